internal import CLibCrypto
public import EMV

/// An RSA public key for the recovery function of EMV Book 2, B2.1: block ^ exponent mod modulus.
///
/// `@unchecked Sendable`: libcrypto's numbers are written only in `init` and read afterwards.
public final class RSAPublicKey: @unchecked Sendable {
    /// How often the key will be used, which decides what pays to prepare.
    public enum Use: Sendable {
        /// A few times, as an issuer's or a card's key in one transaction. With exponent 3 two divisions
        /// then cost less than half of preparing Montgomery's form.
        case once
        /// Again and again, as a certification authority's key: Montgomery's form is prepared now.
        case often
    }

    /// Big-endian, without leading zeros other than those handed in.
    public let modulus: [UInt8]
    /// Big-endian.
    public let exponent: [UInt8]

    private let modulusNumber: OpaquePointer
    private let exponentNumber: OpaquePointer
    private let montgomery: OpaquePointer?
    private let squarings: Int?

    /// Length of the modulus in bytes, which is that of every block.
    public var byteCount: Int { modulus.count }

    /// - Throws: `.invalidRSAKey`.
    public init(modulus: [UInt8], exponent: [UInt8], use: Use = .once) throws(CryptographyError) {
        // Every public exponent that EMV allows is odd; an even modulus is no RSA modulus.
        guard let lowest = modulus.last, lowest & 1 == 1, modulus.count <= 512,
            let lowestOfExponent = exponent.last, lowestOfExponent & 1 == 1, exponent.count <= 512,
            lowestOfExponent > 1 || exponent.dropLast().contains(where: { $0 != 0 }),
            lowest > 1 || modulus.dropLast().contains(where: { $0 != 0 })
        else { throw .invalidRSAKey }
        self.modulus = modulus
        self.exponent = exponent
        squarings = exponent == [3] ? 1 : exponent == [1, 0, 1] ? 16 : nil
        guard let number = BN_bin2bn(modulus, Int32(modulus.count), nil) else { throw .last }
        guard let power = BN_bin2bn(exponent, Int32(exponent.count), nil) else {
            BN_free(number)
            throw .last
        }
        var form: OpaquePointer?
        if use == .often || squarings != 1 {
            form = BN_MONT_CTX_new()
            let context = BN_CTX_new()
            defer { BN_CTX_free(context) }
            guard form != nil, context != nil, BN_MONT_CTX_set(form, number, context) == 1 else {
                BN_MONT_CTX_free(form)
                BN_free(number)
                BN_free(power)
                throw .last
            }
        }
        modulusNumber = number
        exponentNumber = power
        montgomery = form
    }

    deinit {
        BN_MONT_CTX_free(montgomery)
        BN_free(exponentNumber)
        BN_free(modulusNumber)
    }

    /// The recovered block, as long as the modulus.
    /// - Throws: `.blockLength` unless the block is as long as the modulus, `.blockNotBelowModulus`.
    public func recover(_ block: Span<UInt8>) throws(CryptographyError) -> [UInt8] {
        guard block.count == byteCount else {
            throw .blockLength(found: block.count, modulus: byteCount)
        }
        guard let context = BN_CTX_new() else { throw .last }
        defer { BN_CTX_free(context) }
        guard let input = BN_CTX_get(context), let result = BN_CTX_get(context) else { throw .last }
        let read = block.withUnsafeBufferPointer { BN_bin2bn($0.baseAddress, Int32($0.count), input) }
        guard read != nil else { throw .last }
        guard BN_ucmp(input, modulusNumber) < 0 else { throw .blockNotBelowModulus }

        var done: Int32 = 1
        if let montgomery, let squarings {
            done &= BN_to_montgomery(result, input, montgomery, context)
            for _ in 0..<squarings {
                done &= BN_mod_mul_montgomery(result, result, result, montgomery, context)
            }
            // The input outside Montgomery's form takes the result out of it.
            done &= BN_mod_mul_montgomery(result, result, input, montgomery, context)
        } else if let montgomery {
            done = BN_mod_exp_mont(result, input, exponentNumber, modulusNumber, context, montgomery)
        } else {
            done &= BN_mod_sqr(result, input, modulusNumber, context)
            done &= BN_mod_mul(result, result, input, modulusNumber, context)
        }
        guard done == 1 else { throw .last }
        let length = byteCount
        return [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            BN_bn2binpad(result, buffer.baseAddress, Int32(length))
            count = length
        }
    }
}

extension RSAPublicKey: Equatable, CustomStringConvertible {
    public static func == (lhs: RSAPublicKey, rhs: RSAPublicKey) -> Bool {
        lhs.modulus == rhs.modulus && lhs.exponent == rhs.exponent
    }
    public var description: String { "RSAPublicKey(\(byteCount * 8) bits)" }
}

/// An RSA private key, for the test certification authority, issuers and emulated cards.
///
/// Its descriptions show the length alone. `@unchecked Sendable`: libcrypto's key is not changed after
/// `init` but for its blinding, which libcrypto locks itself.
public final class RSAPrivateKey: @unchecked Sendable {
    public let publicKey: RSAPublicKey
    private let key: OpaquePointer

    /// Length of the modulus in bytes, which is that of every block.
    public var byteCount: Int { publicKey.byteCount }

    /// From the two primes, big-endian, and the public exponent.
    /// - Throws: `.invalidRSAKey` if the exponent has no inverse for these primes.
    public init(prime1: [UInt8], prime2: [UInt8], exponent: [UInt8] = [3]) throws(CryptographyError) {
        guard let context = BN_CTX_secure_new() else { throw .last }
        defer { BN_CTX_free(context) }
        guard (8...256).contains(prime1.count), (8...256).contains(prime2.count), prime1 != prime2,
            (1...8).contains(exponent.count)
        else { throw .invalidRSAKey }
        guard let p = BN_bin2bn(prime1, Int32(prime1.count), nil),
            let q = BN_bin2bn(prime2, Int32(prime2.count), nil),
            let e = BN_bin2bn(exponent, Int32(exponent.count), nil),
            let n = BN_new(), let dp = BN_new(), let dq = BN_new(), let d = BN_new(),
            let p1 = BN_dup(p), let q1 = BN_dup(q), let phi = BN_new(), let rsa = RSA_new()
        else { throw .last }
        defer {
            BN_clear_free(p1)
            BN_clear_free(q1)
            BN_clear_free(phi)
        }
        let made =
            BN_mul(n, p, q, context) == 1 && BN_sub_word(p1, 1) == 1 && BN_sub_word(q1, 1) == 1
            && BN_mul(phi, p1, q1, context) == 1 && BN_mod_inverse(d, e, phi, context) != nil
            && BN_div(nil, dp, d, p1, context) == 1 && BN_div(nil, dq, d, q1, context) == 1
        let inverse = made ? BN_mod_inverse(nil, q, p, context) : nil
        guard made, let inverse else {
            for number in [p, q, e, n, dp, dq, d] { BN_clear_free(number) }
            RSA_free(rsa)
            throw .invalidRSAKey
        }
        // From here on the key owns the numbers.
        RSA_set0_key(rsa, n, e, d)
        RSA_set0_factors(rsa, p, q)
        RSA_set0_crt_params(rsa, dp, dq, inverse)
        do throws(CryptographyError) {
            publicKey = try RSAPublicKey(
                modulus: bytes(of: n), exponent: bytes(of: e), use: .often)
        } catch {
            RSA_free(rsa)
            throw error
        }
        key = rsa
    }

    /// Takes `rsa` over.
    private init(_ rsa: OpaquePointer) throws(CryptographyError) {
        var n: OpaquePointer?
        var e: OpaquePointer?
        RSA_get0_key(rsa, &n, &e, nil)
        do throws(CryptographyError) {
            guard let n, let e else { throw CryptographyError.invalidRSAKey }
            publicKey = try RSAPublicKey(modulus: bytes(of: n), exponent: bytes(of: e), use: .often)
        } catch {
            RSA_free(rsa)
            throw error
        }
        key = rsa
    }

    deinit { RSA_free(key) }

    /// A new random key.
    /// - Parameters:
    ///   - bits: length of the modulus, 512...4096.
    ///   - exponent: 3 or 65537 (EMV Book 2, B2.1).
    /// - Throws: `.invalidRSAKey`.
    public static func generate(bits: Int, exponent: UInt32 = 3) throws(CryptographyError) -> RSAPrivateKey {
        guard (512...4096).contains(bits), exponent == 3 || exponent == 65537 else { throw .invalidRSAKey }
        guard let rsa = RSA_new(), let e = BN_new() else { throw .last }
        defer { BN_free(e) }
        guard BN_set_word(e, UInt(exponent)) == 1, RSA_generate_key_ex(rsa, Int32(bits), e, nil) == 1 else {
            RSA_free(rsa)
            throw .last
        }
        return try RSAPrivateKey(rsa)
    }

    /// The primes and the exponent, big-endian: all that `init(prime1:prime2:exponent:)` needs.
    public var clearComponents: (prime1: [UInt8], prime2: [UInt8], exponent: [UInt8]) {
        var p: OpaquePointer?
        var q: OpaquePointer?
        RSA_get0_factors(key, &p, &q)
        return (p.map(bytes(of:)) ?? [], q.map(bytes(of:)) ?? [], publicKey.exponent)
    }

    /// The signing function of EMV Book 2, B2.1: block ^ private exponent mod modulus.
    /// - Throws: `.blockLength` unless the block is as long as the modulus, `.blockNotBelowModulus`.
    public func sign(_ block: Span<UInt8>) throws(CryptographyError) -> [UInt8] {
        guard block.count == byteCount else {
            throw .blockLength(found: block.count, modulus: byteCount)
        }
        let length = byteCount
        var written: Int32 = 0
        let result = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            written = block.withUnsafeBufferPointer { input in
                RSA_private_encrypt(
                    Int32(length), input.baseAddress, buffer.baseAddress, key, RSA_NO_PADDING)
            }
            count = written == Int32(length) ? length : 0
        }
        guard written == Int32(length) else {
            ERR_clear_error()
            throw .blockNotBelowModulus
        }
        return result
    }
}

extension RSAPrivateKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "RSAPrivateKey(\(byteCount * 8) bits)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["bits": byteCount * 8]) }
}

private func bytes(of number: OpaquePointer) -> [UInt8] {
    let length = (Int(BN_num_bits(number)) + 7) / 8
    return [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
        count = Int(BN_bn2bin(number, buffer.baseAddress))
    }
}

extension CryptographyError {
    /// libcrypto's latest error, taken off its queue.
    static var last: CryptographyError {
        let code = ERR_get_error()
        ERR_clear_error()
        return .libcrypto(code: UInt(code))
    }
}
