public import EMV

/// Makes certificates and signatures for test cards (EMV Book 2, sections 5 and 6): the counterpart of their
/// recovery.
public enum CertificateMaking {
    /// Why a certificate or signature cannot be made.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// The signing key's modulus is too short for the fields: `needed` bytes.
        case keyTooShort(found: Int, needed: Int)
        /// The issuer identifier has not 3 to 8 digits, or the PAN has more than ten bytes.
        case name
        /// The expiry is not a month of 1950...2049, written YYYYMM.
        case expiry(Int)
        /// The ICC dynamic number has not 2 to 8 bytes.
        case iccDynamicNumber(count: Int)
        /// The ICC dynamic data has more than 255 bytes, or the certified modulus has.
        case tooLong(Int)
        case primitive(CryptographyError)

        public var description: String {
            switch self {
            case .keyTooShort(let found, let needed):
                "the signing key has \(found) bytes, \(needed) are needed"
            case .name: "the issuer identifier has not 3 to 8 digits or the PAN is too long"
            case .expiry(let expiry): "\(expiry) is not a month YYYYMM"
            case .iccDynamicNumber(let count): "an ICC dynamic number of \(count) bytes; it has 2 to 8"
            case .tooLong(let count): "\(count) bytes are too many"
            case .primitive(let error): "\(error)"
            }
        }
    }

    /// An issuer public key certificate (Book 2, table 1): 90, 92, 9F32.
    /// - Parameters:
    ///   - issuerIdentifier: 3 to 8 leading digits of the PAN as BCD padded with F, up to four bytes.
    ///   - expiry: month YYYYMM.
    ///   - serialNumber: three bytes as a number.
    ///   - format: certificate format, 02; another value makes a bad certificate on purpose.
    public static func issuerCertificate(
        for key: RSAPublicKey, signedBy authority: RSAPrivateKey, issuerIdentifier: [UInt8], expiry: Int,
        serialNumber: UInt32, format: UInt8 = 0x02
    ) throws(Failure) -> PublicKeyCertificate {
        guard (2...4).contains(issuerIdentifier.count) else { throw .name }
        return try certificate(
            key, authority, format, padded(issuerIdentifier, 4), expiry, serialNumber, [UInt8]().span)
    }

    /// An ICC public key certificate (Book 2, table 10): 9F46, 9F48, 9F47; with empty static data also that
    /// for PIN encipherment: 9F2D, 9F2F, 9F2E.
    /// - Parameters:
    ///   - pan: Application PAN as BCD, padded with F.
    ///   - expiry: month YYYYMM.
    ///   - serialNumber: three bytes as a number.
    ///   - staticData: static data to be authenticated.
    ///   - format: certificate format, 04; another value makes a bad certificate on purpose.
    public static func iccCertificate(
        for key: RSAPublicKey, signedBy issuer: RSAPrivateKey, pan: [UInt8], expiry: Int,
        serialNumber: UInt32,
        staticData: Span<UInt8>, format: UInt8 = 0x04
    ) throws(Failure) -> PublicKeyCertificate {
        guard !pan.isEmpty, pan.count <= 10 else { throw .name }
        return try certificate(key, issuer, format, padded(pan, 10), expiry, serialNumber, staticData)
    }

    /// Signed Static Application Data (Book 2, table 2): 93.
    public static func signedStaticApplicationData(
        signedBy issuer: RSAPrivateKey, dataAuthenticationCode: UInt16, staticData: Span<UInt8>
    ) throws(Failure) -> [UInt8] {
        let body: [UInt8] = [
            0x03, 0x01, UInt8(truncatingIfNeeded: dataAuthenticationCode >> 8),
            UInt8(truncatingIfNeeded: dataAuthenticationCode),
        ]
        var digest = SHA1()
        return try sign(body, issuer, &digest) { $0.update(staticData) }
    }

    /// Signed Dynamic Application Data (Book 2, table 15): 9F4B of DDA, and of fast DDA with the terminal
    /// dynamic data that the version names and the ATC as ICC dynamic number.
    /// - Parameter format: Signed Data Format: 05, or 95 for fast DDA with an ARQC (Book C-3, Annex C).
    public static func signedDynamicApplicationData(
        signedBy icc: RSAPrivateKey, iccDynamicNumber: [UInt8], terminalDynamicData: Span<UInt8>,
        format: UInt8 = 0x05
    ) throws(Failure) -> [UInt8] {
        try dynamic(icc, iccDynamicNumber, [], terminalDynamicData, format: format)
    }

    /// Signed Dynamic Application Data of CDA (Book 2, tables 18 and 19): 9F4B.
    /// - Parameters:
    ///   - transactionDataHash: 20 bytes, see `TransactionDataHash`.
    ///   - rest: further ICC dynamic data, such as kernel 2's relay resistance data.
    public static func combinedSignedDynamicApplicationData(
        signedBy icc: RSAPrivateKey, iccDynamicNumber: [UInt8], cryptogramInformationData: UInt8,
        cryptogram: Cryptogram, transactionDataHash: [UInt8], rest: [UInt8] = [],
        unpredictableNumber: Span<UInt8>
    ) throws(Failure) -> [UInt8] {
        var data = [cryptogramInformationData]
        cryptogram.append(to: &data)
        data += transactionDataHash
        data += rest
        return try dynamic(icc, iccDynamicNumber, data, unpredictableNumber)
    }

    private static func dynamic(
        _ icc: RSAPrivateKey, _ number: [UInt8], _ data: [UInt8], _ terminalData: Span<UInt8>,
        format: UInt8 = 0x05
    ) throws(Failure) -> [UInt8] {
        guard (2...8).contains(number.count) else { throw .iccDynamicNumber(count: number.count) }
        let length = 1 + number.count + data.count
        guard let lengthByte = UInt8(exactly: length) else { throw .tooLong(length) }
        var body: [UInt8] = [format, 0x01, lengthByte, UInt8(number.count)]
        body += number
        body += data
        var digest = SHA1()
        return try sign(body, icc, &digest) { $0.update(terminalData) }
    }

    private static func certificate(
        _ key: RSAPublicKey, _ signer: RSAPrivateKey, _ format: UInt8, _ name: [UInt8], _ expiry: Int,
        _ serialNumber: UInt32, _ staticData: Span<UInt8>
    ) throws(Failure) -> PublicKeyCertificate {
        let (year, month) = (expiry / 100, expiry % 100)
        guard (1950...2049).contains(year), (1...12).contains(month) else { throw .expiry(expiry) }
        guard let keyLength = UInt8(exactly: key.byteCount),
            let exponentLength = UInt8(exactly: key.exponent.count)
        else { throw .tooLong(key.byteCount) }
        var body = [format]
        body += name
        body += BCD.bytes(UInt64(month * 100 + year % 100), count: 2)
        body += [
            UInt8(truncatingIfNeeded: serialNumber >> 16), UInt8(truncatingIfNeeded: serialNumber >> 8),
            UInt8(truncatingIfNeeded: serialNumber), 0x01, 0x01, keyLength, exponentLength,
        ]
        let room = signer.byteCount - 22 - body.count
        guard room >= 0 else { throw .keyTooShort(found: signer.byteCount, needed: body.count + 22) }
        body += key.modulus.prefix(room)
        let remainder = Array(key.modulus.dropFirst(room))
        var digest = SHA1()
        let exponent = key.exponent
        let signature = try sign(body, signer, &digest) {
            $0.update(remainder)
            $0.update(exponent)
            $0.update(staticData)
        }
        return PublicKeyCertificate(certificate: signature, remainder: remainder, exponent: exponent)
    }

    /// 6A, the body padded with BB, the hash over it and what `more` appends, BC; signed.
    private static func sign(
        _ body: [UInt8], _ key: RSAPrivateKey, _ digest: inout SHA1, _ more: (inout SHA1) -> Void
    ) throws(Failure) -> [UInt8] {
        let padding = key.byteCount - 22 - body.count
        guard padding >= 0 else { throw .keyTooShort(found: key.byteCount, needed: body.count + 22) }
        var block: [UInt8] = [0x6A]
        block.reserveCapacity(key.byteCount)
        block += body
        block += repeatElement(0xBB, count: padding)
        digest.update(block.span.extracting(1..<block.count))
        more(&digest)
        block += digest.finalize()
        block.append(0xBC)
        do throws(CryptographyError) { return try key.sign(block.span) } catch { throw .primitive(error) }
    }

    private static func padded(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
        bytes + repeatElement(0xFF, count: max(0, count - bytes.count))
    }
}
