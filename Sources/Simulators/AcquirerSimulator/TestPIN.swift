internal import EMV
public import EMVCryptography
public import Issuing

extension TestPIN {
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
