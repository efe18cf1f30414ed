public import EMV
public import Issuing

/// The online PIN of the test world: every test card and token has the same, under one test key.
public enum TestPIN {
    public static let pin = "1234"

    /// Zone PIN key of terminal and host: a test key of 16 bytes.
    public static func key() throws(CryptographyError) -> TripleDESKey {
        try TripleDESKey([
            0xCA, 0xFE, 0xBA, 0xBE, 0xDE, 0xAD, 0xBE, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF,
        ])
    }

    /// The issuer's check of a block of format 0 under `key()`.
    public static let verifier: PINVerifier = { block, number in
        do throws(CryptographyError) {
            guard let pin = try PINBlock.decipher(block.block, of: number, with: try key()) else {
                return .unverifiable
            }
            return pin == PIN(TestPIN.pin) ? .correct : .incorrect
        } catch {
            return .unverifiable
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
