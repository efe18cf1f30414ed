import BERTLV
internal import EMV
public import EMVCryptography
import Synchronization

/// The "Tapbridge Test CA": certifies test issuers and test cards, and gives terminals its public keys.
public enum TestCertificationAuthority {
    /// Certification Authority Public Key Index of every key of this CA.
    public static let keyIndex: UInt8 = 0xF1

    struct Authority: Sendable {
        let rid: [UInt8]
        let key: String
    }
    /// One CA key for each RID.
    static let authorities = [
        Authority(rid: [0xA0, 0x00, 0x00, 0x00, 0x03], key: "ca-visa"),
        Authority(rid: [0xA0, 0x00, 0x00, 0x00, 0x04], key: "ca-mastercard"),
    ]

    /// What a terminal loads: RID, index F1, modulus, exponent, checksum, expiry 2049-12-31.
    public static let publicKeys: [CertificationAuthorityPublicKey] = authorities.compactMap { authority in
        guard let key = TestKeys.shared.rsa[authority.key] else { return nil }
        return try? CertificationAuthorityPublicKey(
            rid: authority.rid, index: keyIndex, modulus: key.modulus, exponent: [3],
            expiry: EMVDate(year: 2049, month: 12, day: 31))
    }

    /// `publicKeys` as the `ca-keys` list of a terminal profile (YAML).
    public static var terminalProfileText: String {
        var text = "ca-keys:\n"
        for key in publicKeys {
            text += "  # Tapbridge Test CA: a test key, to be trusted by test terminals only.\n"
            text += "  - rid: \(key.rid)\n"
            text += "    index: \(Hex.string([key.index]))\n"
            text += "    exponent: \"03\"\n"
            text += "    expires: 2049-12-31\n"
            text += "    checksum: \(Hex.string(key.checksum))\n"
            text += "    modulus: >-\n"
            let digits = Hex.string(key.key.modulus)
            var rest = Substring(digits)
            while !rest.isEmpty {
                text += "      \(rest.prefix(64))\n"
                rest = rest.dropFirst(64)
            }
        }
        return text
    }

    private static let issuerCache = Mutex<[String: PublicKeyCertificate]>([:])
    private static let cardCache = Mutex<[[UInt8]: PublicKeyCertificate]>([:])

    /// The issuer's public key certificate (90, 92, 9F32); made once per process.
    static func issuerCertificate(
        issuerKey: String, rid: [UInt8], pan: PrimaryAccountNumber
    ) throws(PersonalisationError) -> PublicKeyCertificate {
        guard let authority = authorities.first(where: { $0.rid == rid }) else { throw .unknownRID(rid) }
        // Issuer Identifier: the six-digit IIN, padded with F to four bytes.
        let identifier = Array(pan.compressedNumeric.prefix(3))
        let name = "\(authority.key) \(issuerKey) \(Hex.string(identifier))"
        if let made = issuerCache.withLock({ $0[name] }) { return made }
        let key = try TestKeys.shared.privateKey(issuerKey)
        let signer = try TestKeys.shared.privateKey(authority.key)
        do throws(CertificateMaking.Failure) {
            let certificate = try CertificateMaking.issuerCertificate(
                for: key.publicKey, signedBy: signer, issuerIdentifier: identifier, expiry: 2049_12,
                serialNumber: 0x000001)
            issuerCache.withLock { $0[name] = certificate }
            return certificate
        } catch { throw .cryptography("issuer certificate: \(error)") }
    }

    /// The card's public key certificate (9F46, 9F48, 9F47) over `staticData`; made once per process for
    /// each card and content.
    static func cardCertificate(
        cardKey: String, issuerKey: String, pan: PrimaryAccountNumber, expiry: Int, staticData: [UInt8]
    ) throws(PersonalisationError) -> PublicKeyCertificate {
        let name = Array("\(cardKey) \(issuerKey) \(expiry) ".utf8) + pan.compressedNumeric + staticData
        if let made = cardCache.withLock({ $0[name] }) { return made }
        let key = try TestKeys.shared.privateKey(cardKey)
        let signer = try TestKeys.shared.privateKey(issuerKey)
        let century = expiry / 100 >= 50 ? 1900_00 : 2000_00
        do throws(CertificateMaking.Failure) {
            let certificate = try CertificateMaking.iccCertificate(
                for: key.publicKey, signedBy: signer, pan: pan.compressedNumeric, expiry: century + expiry,
                serialNumber: 0x000001, staticData: staticData.span)
            cardCache.withLock { $0[name] = certificate }
            return certificate
        } catch { throw .cryptography("card certificate: \(error)") }
    }
}
