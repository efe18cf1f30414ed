import CBenchmarkCrypto
import EMV

/// The recovery of a block as libcrypto's own RSA interface does it, with nothing of ours around it: what
/// data authentication is measured against. Its leanest form: no EVP, which takes twice the time.
final class RSABaseline {
    private let key: OpaquePointer
    private let count: Int

    /// - Throws: `.invalidRSAKey` where libcrypto refuses the numbers.
    init(modulus: [UInt8], exponent: [UInt8]) throws(CryptographyError) {
        guard let key = RSA_new(), let number = BN_bin2bn(modulus, Int32(modulus.count), nil),
            let power = BN_bin2bn(exponent, Int32(exponent.count), nil),
            RSA_set0_key(key, number, power, nil) == 1
        else { throw .invalidRSAKey }
        self.key = key
        count = modulus.count
    }

    deinit { RSA_free(key) }

    /// - Parameter block: as long as the modulus.
    /// - Throws: `.blockNotBelowModulus` for every block that libcrypto refuses.
    func recover(_ block: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard block.count == count else { throw .blockNotBelowModulus }
        var output = [UInt8](repeating: 0, count: count)
        guard RSA_public_decrypt(Int32(count), block, &output, key, RSA_NO_PADDING) == Int32(count) else {
            throw .blockNotBelowModulus
        }
        return output
    }
}
