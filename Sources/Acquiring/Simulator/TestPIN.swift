public import EMV
public import Issuing

/// The online PIN of the test world: every test card and token has the same, under published test keys.
public enum TestPIN {
    public static let pin = "1234"

    /// Zone PIN key of terminal and host: a test key of 16 bytes.
    public static func key() throws(CryptographyError) -> TripleDESKey {
        try TripleDESKey([
            0xCA, 0xFE, 0xBA, 0xBE, 0xDE, 0xAD, 0xBE, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF,
        ])
    }

    /// Base Derivation Key of ANSI X9.24-1's test vectors, 16 bytes.
    public static let tripleDESBaseKey = SecretKey([
        0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10,
    ])

    /// Initial key serial number of the test terminal under `tripleDESBaseKey`, 10 bytes.
    public static let tripleDESSerialNumber: [UInt8] = [
        0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0x00, 0x00,
    ]

    /// Base Derivation Key of ANSI X9.24-3's test vectors, AES-128.
    public static let aesBaseKey = SecretKey([
        0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1, 0xF1,
    ])

    /// Initial key serial number of the test terminal under `aesBaseKey`, 12 bytes.
    public static let aesSerialNumber: [UInt8] = [
        0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
    ]

    /// The issuer's check of an enciphered PIN. The key serial number tells how it was enciphered: none, under
    /// `key()`; 10 bytes, Triple DES DUKPT; 12 bytes, AES DUKPT with a key of AES-128.
    public static let verifier: PINVerifier = { enciphered, number in
        guard let pin = try? decipher(enciphered, of: number) else { return .unverifiable }
        return pin == PIN(TestPIN.pin) ? .correct : .incorrect
    }

    private static func decipher(
        _ enciphered: IssuingRequest.PIN, of number: PrimaryAccountNumber
    ) throws -> PIN? {
        let serial = enciphered.keySerialNumber
        switch serial.count {
        case 0: return try PINBlock.decipher(enciphered.block, of: number, with: try key())
        case TripleDESDUKPT.KeySerialNumber.byteCount:
            let serial = try TripleDESDUKPT.KeySerialNumber(serial)
            let initial = try TripleDESDUKPT.initialKey(baseKey: tripleDESBaseKey, keySerialNumber: serial)
            let key = try TripleDESDUKPT.workingKey(
                .pinEncryption, initialKey: initial, keySerialNumber: serial)
            return try PINBlock.decipher(enciphered.block, of: number, with: key)
        case AESDUKPT.KeySerialNumber.byteCount:
            let serial = try AESDUKPT.KeySerialNumber(serial)
            let initial = try AESDUKPT.initialKey(
                baseKey: aesBaseKey, identifier: serial.initialKeyIdentifier)
            let key = try AESDUKPT.workingKey(
                .pinEncryption, .aes128, initialKey: initial, keySerialNumber: serial)
            return PINBlock.decipher(enciphered.block, of: number, with: try AESKey(key))
        default: return nil
        }
    }
}

extension IssuerSimulator {
    /// The built-in test world with its PINs and fresh books.
    public static var testWorld: IssuerSimulator {
        var issuer = IssuerSimulator()
        issuer.pinVerifier = TestPIN.verifier
        return issuer
    }
}
