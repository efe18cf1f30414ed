import BERTLV
internal import EMV
public import EMVCryptography
import Synchronization

/// The keys of `test-keys.txt`: test keys only, published on purpose.
public final class TestKeys: Sendable {
    /// Issuer master keys of one issuer.
    public struct MasterKeys: Sendable {
        /// For application cryptograms (IMK-AC).
        public let applicationCryptogram: SecretKey
        /// For the MAC of issuer scripts (IMK-SMI).
        public let scriptIntegrity: SecretKey
        /// For enciphered script data (IMK-SMC).
        public let scriptConfidentiality: SecretKey
        /// For the dynamic CVC3 of mag-stripe mode (IMK-CVC3); that of application cryptograms where there is none.
        public let cardVerificationCode: SecretKey
    }

    /// Numbers of an RSA key with public exponent 3.
    public struct RSAKey: Sendable {
        public let bits: Int
        public let modulus: [UInt8]
        let prime1: [UInt8]
        let prime2: [UInt8]
    }

    /// What is wrong in a key file, and in which line.
    struct FileError: Error, CustomStringConvertible {
        let line: Int
        let reason: String
        var description: String { "test-keys.txt:\(line): \(reason)" }
    }

    public let rsa: [String: RSAKey]
    public let masterKeys: [String: MasterKeys]
    private let made = Mutex<[String: RSAPrivateKey]>([:])

    /// The keys that come with the library.
    public static let shared: TestKeys = {
        do {
            return try TestKeys(text: String(decoding: PackageResources.test_keys_txt, as: UTF8.self))
        } catch {
            // The file is compiled in: this cannot depend on anything outside.
            fatalError("\(error)")
        }
    }()

    init(text: String) throws {
        var fields: [(line: Int, kind: String, name: String, bits: Int, values: [String: String])] = []
        var current = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ")
            guard let first = words.first, !line.hasPrefix("#") else { continue }
            if !line.hasPrefix(" ") {
                guard words.count >= 3, first == "rsa" || first == "master" else {
                    throw FileError(
                        line: index + 1, reason: "expected \"rsa NAME BITS ...\" or \"master NAME ...\"")
                }
                fields.append((index + 1, String(first), String(words[1]), Int(words[2]) ?? 0, [:]))
            } else if words.count == 2, !fields.isEmpty {
                current = String(first)
                fields[fields.count - 1].values[current] = String(words[1])
            } else if words.count == 1, !fields.isEmpty, !current.isEmpty {
                fields[fields.count - 1].values[current, default: ""] += first
            } else {
                throw FileError(line: index + 1, reason: "expected a name and hexadecimal digits")
            }
        }
        var rsa: [String: RSAKey] = [:]
        var masters: [String: MasterKeys] = [:]
        for field in fields {
            func bytes(_ name: String, _ count: Int) throws -> [UInt8] {
                guard let value = field.values[name].flatMap({ Hex.bytes($0) }), value.count == count else {
                    throw FileError(
                        line: field.line, reason: "\(field.name): expected \"\(name)\" with \(count) bytes")
                }
                return value
            }
            if field.kind == "rsa" {
                rsa[field.name] = RSAKey(
                    bits: field.bits, modulus: try bytes("n", field.bits / 8),
                    prime1: try bytes("p", field.bits / 16), prime2: try bytes("q", field.bits / 16))
            } else {
                masters[field.name] = MasterKeys(
                    applicationCryptogram: SecretKey(try bytes("ac", 16)),
                    scriptIntegrity: SecretKey(try bytes("smi", 16)),
                    scriptConfidentiality: SecretKey(try bytes("smc", 16)),
                    cardVerificationCode: SecretKey(
                        try bytes(field.values["cvc3"] == nil ? "ac" : "cvc3", 16)))
            }
        }
        self.rsa = rsa
        self.masterKeys = masters
    }

    /// An RSA key ready to sign; made once per process.
    /// - Throws: `PersonalisationError.unknownKey` for a name that the file does not have.
    func privateKey(_ name: String) throws(PersonalisationError) -> RSAPrivateKey {
        if let key = made.withLock({ $0[name] }) { return key }
        guard let numbers = rsa[name] else { throw .unknownKey(name) }
        do throws(CryptographyError) {
            let key = try RSAPrivateKey(prime1: numbers.prime1, prime2: numbers.prime2)
            made.withLock { $0[name] = key }
            return key
        } catch { throw .cryptography("\(error)") }
    }
}
