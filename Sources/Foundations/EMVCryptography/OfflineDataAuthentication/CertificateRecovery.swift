public import EMV

/// A public key certificate with what comes along: 90, 92, 9F32 for the issuer's key; 9F46, 9F48, 9F47 for
/// the card's; 9F2D, 9F2F, 9F2E for its PIN encipherment key.
public struct PublicKeyCertificate: Hashable, Sendable {
    public var certificate: [UInt8]
    /// The digits of the modulus that have no room in the certificate; may be empty.
    public var remainder: [UInt8]
    /// 03 or 010001.
    public var exponent: [UInt8]

    public init(certificate: [UInt8], remainder: [UInt8] = [], exponent: [UInt8]) {
        self.certificate = certificate
        self.remainder = remainder
        self.exponent = exponent
    }
}

/// An issuer public key out of its certificate (EMV Book 2, 5.3, table 6).
public struct IssuerPublicKey: Sendable {
    public let key: RSAPublicKey
    /// Leftmost 3 to 8 digits of the PAN, padded with F: four bytes.
    public let issuerIdentifier: [UInt8]
    /// Month of expiry as YYYYMM.
    public let expiry: Int
    /// Certificate Serial Number, three bytes as a big-endian number.
    public let serialNumber: UInt32
}

/// A card's public key out of its certificate (EMV Book 2, 6.4, table 14).
public struct ICCPublicKey: Sendable {
    public let key: RSAPublicKey
    /// Month of expiry as YYYYMM.
    public let expiry: Int
    /// Certificate Serial Number, three bytes as a big-endian number.
    public let serialNumber: UInt32
}

extension CertificationAuthorityPublicKey {
    /// Recovers the issuer's public key (EMV Book 2, 5.3 steps 1 to 12).
    /// - Parameters:
    ///   - certificate: 90, 92, 9F32.
    ///   - pan: Application PAN (5A) as BCD, padded with F.
    ///   - date: transaction date; the certificate is good to the end of its month.
    ///   - revocations: certificates that are no longer good.
    /// - Throws: the field that is wrong, step `issuerPublicKey`.
    public func recoverIssuerPublicKey(
        from certificate: PublicKeyCertificate, pan: [UInt8], on date: EMVDate,
        revocations: CertificateRevocationList = CertificateRevocationList()
    ) throws(OfflineDataAuthenticationError) -> IssuerPublicKey {
        let fields = try RecoveredCertificate(
            certificate, with: key, step: .issuerPublicKey, format: 0x02, nameLength: 4,
            staticData: nil)
        guard issuerIdentifierMatches(fields.recovered, pan) else {
            throw OfflineDataAuthenticationError(.issuerPublicKey, .issuerIdentifier)
        }
        let expiry = try fields.checkExpiry(date)
        let serialNumber = fields.serialNumber
        guard
            !revocations.contains(
                CertificateRevocationList.Entry(rid: rid, index: index, serialNumber: serialNumber))
        else {
            throw OfflineDataAuthenticationError(.issuerPublicKey, .revoked(serialNumber: serialNumber))
        }
        return IssuerPublicKey(
            key: try fields.makeKey(), issuerIdentifier: Array(fields.recovered[2..<6]), expiry: expiry,
            serialNumber: serialNumber)
    }
}

extension IssuerPublicKey {
    /// Recovers the card's public key (EMV Book 2, 6.4).
    /// - Parameters:
    ///   - certificate: 9F46, 9F48, 9F47.
    ///   - pan: Application PAN (5A) as BCD, padded with F.
    ///   - date: transaction date.
    ///   - staticData: static data to be authenticated (Book 3, 10.3): the records' data that the AFL names
    ///     and the values of 9F4A's tags.
    /// - Throws: the field that is wrong, step `iccPublicKey`.
    public func recoverICCPublicKey(
        from certificate: PublicKeyCertificate, pan: [UInt8], on date: EMVDate, staticData: Span<UInt8>
    ) throws(OfflineDataAuthenticationError) -> ICCPublicKey {
        try recover(certificate, .iccPublicKey, pan, date, staticData)
    }

    /// Recovers the card's public key for PIN encipherment (EMV Book 2, 7.1). Its certificate covers no
    /// static data.
    /// - Throws: the field that is wrong, step `iccPINEnciphermentPublicKey`.
    public func recoverICCPINEnciphermentPublicKey(
        from certificate: PublicKeyCertificate, pan: [UInt8], on date: EMVDate
    ) throws(OfflineDataAuthenticationError) -> ICCPublicKey {
        try recover(certificate, .iccPINEnciphermentPublicKey, pan, date, nil)
    }

    private func recover(
        _ certificate: PublicKeyCertificate, _ step: OfflineDataAuthenticationError.Step, _ pan: [UInt8],
        _ date: EMVDate, _ staticData: Span<UInt8>?
    ) throws(OfflineDataAuthenticationError) -> ICCPublicKey {
        let fields = try RecoveredCertificate(
            certificate, with: key, step: step, format: 0x04, nameLength: 10, staticData: staticData)
        guard panMatches(fields.recovered, pan) else {
            throw OfflineDataAuthenticationError(step, .primaryAccountNumber)
        }
        let expiry = try fields.checkExpiry(date)
        return ICCPublicKey(key: try fields.makeKey(), expiry: expiry, serialNumber: fields.serialNumber)
    }
}

/// The common layout of issuer and ICC public key certificates: header, format, name (4 or 10 bytes), expiry
/// (2), serial number (3), hash algorithm, key algorithm, key length, exponent length, leftmost digits of the
/// key, hash (20), trailer.
struct RecoveredCertificate: ~Copyable {
    let recovered: [UInt8]
    let step: OfflineDataAuthenticationError.Step
    private let source: PublicKeyCertificate
    /// Offset of the expiration date.
    private let fixed: Int

    /// Checks length, trailer, header, format and hash, in the order of the book.
    init(
        _ source: PublicKeyCertificate, with key: RSAPublicKey, step: OfflineDataAuthenticationError.Step,
        format: UInt8, nameLength: Int, staticData: Span<UInt8>?
    ) throws(OfflineDataAuthenticationError) {
        self.step = step
        self.source = source
        fixed = 2 + nameLength
        // Nine bytes between the name and the key; 21 for hash and trailer.
        let recovered = try recover(
            source.certificate.span, with: key, step: step, format: format, minimum: fixed + 9 + 21)
        let hashAlgorithm = recovered[fixed + 5]
        guard hashAlgorithm == 0x01 else {
            throw OfflineDataAuthenticationError(step, .hashAlgorithm(hashAlgorithm))
        }
        var digest = SHA1()
        digest.update(recovered.span.extracting(1..<recovered.count - 21))
        digest.update(source.remainder.span)
        digest.update(source.exponent.span)
        if let staticData { digest.update(staticData) }
        guard hashMatches(digest.finalize(), recovered) else {
            throw OfflineDataAuthenticationError(step, .hash)
        }
        self.recovered = recovered
    }

    var serialNumber: UInt32 {
        UInt32(recovered[fixed + 2]) << 16 | UInt32(recovered[fixed + 3]) << 8 | UInt32(recovered[fixed + 4])
    }

    /// The month of expiry as YYYYMM, unless it is over on `date`.
    func checkExpiry(_ date: EMVDate) throws(OfflineDataAuthenticationError) -> Int {
        func digits(_ byte: UInt8) -> Int? {
            byte & 0x0F <= 9 && byte >> 4 <= 9 ? Int(byte >> 4) * 10 + Int(byte & 0x0F) : nil
        }
        guard let month = digits(recovered[fixed]), (1...12).contains(month),
            let year = digits(recovered[fixed + 1])
        else { throw OfflineDataAuthenticationError(step, .expirationDate) }
        // Two-digit years as in Book 4, 6.7.3: 50...99 are of the last century.
        let expiry = (year >= 50 ? 1900 + year : 2000 + year) * 100 + month
        guard date.year * 100 + date.month <= expiry else {
            throw OfflineDataAuthenticationError(step, .expired(expiry))
        }
        return expiry
    }

    /// The certified key: leftmost digits, then the remainder.
    func makeKey() throws(OfflineDataAuthenticationError) -> RSAPublicKey {
        let algorithm = recovered[fixed + 6]
        guard algorithm == 0x01 else {
            throw OfflineDataAuthenticationError(step, .publicKeyAlgorithm(algorithm))
        }
        let declared = Int(recovered[fixed + 7])
        let room = recovered.count - (fixed + 9 + 21)
        let available = min(declared, room) + source.remainder.count
        guard declared > 0, declared == available else {
            throw OfflineDataAuthenticationError(
                step, .publicKeyLength(declared: declared, available: available))
        }
        guard Int(recovered[fixed + 8]) == source.exponent.count,
            source.exponent == [3] || source.exponent == [1, 0, 1]
        else { throw OfflineDataAuthenticationError(step, .exponent) }
        var modulus: [UInt8] = []
        modulus.reserveCapacity(declared)
        modulus.append(contentsOf: recovered[(fixed + 9)..<(fixed + 9 + min(declared, room))])
        modulus.append(contentsOf: source.remainder)
        do throws(CryptographyError) {
            return try RSAPublicKey(modulus: modulus, exponent: source.exponent)
        } catch { throw OfflineDataAuthenticationError(step, .modulus) }
    }
}

/// Recovers a signature with message recovery (EMV Book 2, A2.1.3) and checks length, trailer, header and
/// format.
func recover(
    _ signature: Span<UInt8>, with key: RSAPublicKey, step: OfflineDataAuthenticationError.Step,
    format: UInt8,
    minimum: Int
) throws(OfflineDataAuthenticationError) -> [UInt8] {
    guard signature.count == key.byteCount else {
        throw OfflineDataAuthenticationError(
            step, .length(found: signature.count, expected: key.byteCount))
    }
    guard signature.count >= minimum else {
        throw OfflineDataAuthenticationError(step, .tooShort(signature.count))
    }
    let recovered: [UInt8]
    do throws(CryptographyError) {
        recovered = try key.recover(signature)
    } catch {
        throw OfflineDataAuthenticationError(
            step, error == .blockNotBelowModulus ? .notBelowModulus : .primitive(error))
    }
    guard recovered[recovered.count - 1] == 0xBC else {
        throw OfflineDataAuthenticationError(step, .trailer(recovered[recovered.count - 1]))
    }
    guard recovered[0] == 0x6A else { throw OfflineDataAuthenticationError(step, .header(recovered[0])) }
    guard recovered[1] == format else {
        throw OfflineDataAuthenticationError(step, .format(recovered[1], expected: format))
    }
    return recovered
}

/// Whether the hash before the trailer is `digest`.
func hashMatches(_ digest: [UInt8], _ recovered: [UInt8]) -> Bool {
    recovered[(recovered.count - 21)..<(recovered.count - 1)].elementsEqual(digest)
}

/// Digit `index` of compressed numeric bytes; F behind the end.
private func digit(_ bytes: [UInt8], _ index: Int, from start: Int = 0) -> UInt8 {
    let position = start + index / 2
    guard position < bytes.count else { return 0xF }
    return index.isMultiple(of: 2) ? bytes[position] >> 4 : bytes[position] & 0x0F
}

/// Whether the issuer identifier at offset 2 is the beginning of the PAN: 3 to 8 digits, then F.
private func issuerIdentifierMatches(_ recovered: [UInt8], _ pan: [UInt8]) -> Bool {
    var count = 0
    while count < 8 {
        let own = digit(recovered, count, from: 2)
        if own == 0xF { break }
        guard own == digit(pan, count) else { return false }
        count += 1
    }
    guard count >= 3 else { return false }
    return (count..<8).allSatisfy { digit(recovered, $0, from: 2) == 0xF }
}

/// Whether the ten bytes at offset 2 are the PAN, both padded with F.
private func panMatches(_ recovered: [UInt8], _ pan: [UInt8]) -> Bool {
    guard !pan.isEmpty, pan.count <= 10 else { return false }
    return (0..<10).allSatisfy { recovered[2 + $0] == ($0 < pan.count ? pan[$0] : 0xFF) }
}
