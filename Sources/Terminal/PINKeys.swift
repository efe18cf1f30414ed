internal import Acquiring
internal import BERTLV
internal import EMV
public import EMVCryptography
internal import ProfileFile

/// What a PIN pad enciphers PIN blocks with. Descriptions show no key.
public enum PINKeys: Sendable {
    /// One key for all; blocks of format 0.
    case tripleDES(TripleDESKey, keySerialNumber: [UInt8])
    /// One key for all; blocks of format 4.
    case aes(AESKey, keySerialNumber: [UInt8])
    /// A key per transaction (ANSI X9.24-1); blocks of format 0.
    case tripleDESDUKPT(initialKey: SecretKey, TripleDESDUKPT.KeySerialNumber)
    /// A key per transaction (ANSI X9.24-3), as long as the initial key; blocks of format 4.
    case aesDUKPT(initialKey: SecretKey, AESDUKPT.KeySerialNumber)

    /// The test terminal's keys, which the simulated host knows: Triple DES DUKPT.
    public static func test() throws(DUKPTError) -> PINKeys {
        let number = try TripleDESDUKPT.KeySerialNumber(TestPIN.tripleDESSerialNumber)
        return .tripleDESDUKPT(
            initialKey: try TripleDESDUKPT.initialKey(
                baseKey: TestPIN.tripleDESBaseKey, keySerialNumber: number), number)
    }

    /// The same with AES DUKPT.
    public static func testAES() throws(DUKPTError) -> PINKeys {
        let number = try AESDUKPT.KeySerialNumber(TestPIN.aesSerialNumber)
        return .aesDUKPT(
            initialKey: try AESDUKPT.initialKey(
                baseKey: TestPIN.aesBaseKey, identifier: number.initialKeyIdentifier), number)
    }

    /// Names key or device to the host; may be empty.
    public var keySerialNumber: [UInt8] {
        switch self {
        case .tripleDES(_, let number), .aes(_, let number): number
        case .tripleDESDUKPT(_, let number): number.bytes
        case .aesDUKPT(_, let number): number.bytes
        }
    }

    func encipher(
        _ pin: PIN, of number: PrimaryAccountNumber, counter: any KeyCounter
    ) async throws(PINPadError) -> EncipheredPIN {
        switch self {
        case .tripleDES(let key, let serial):
            let block = try Self.work { () throws(CryptographyError) in
                try PINBlock.enciphered(pin, of: number, with: key)
            }
            return EncipheredPIN(block: block, keySerialNumber: serial)
        case .aes(let key, let serial):
            let block = try Self.work { () throws(CryptographyError) in
                try PINBlock.enciphered(pin, of: number, with: key)
            }
            return EncipheredPIN(block: block, keySerialNumber: serial)
        case .tripleDESDUKPT(let initialKey, let first):
            let used = try await counter.next(first.initial.bytes) { bytes in
                (try? TripleDESDUKPT.KeySerialNumber(bytes))?.successor?.bytes
            }
            let block = try Self.work { () throws -> [UInt8] in
                let key = try TripleDESDUKPT.workingKey(
                    .pinEncryption, initialKey: initialKey, keySerialNumber: .init(used))
                return try PINBlock.enciphered(pin, of: number, with: key)
            }
            return EncipheredPIN(block: block, keySerialNumber: used)
        case .aesDUKPT(let initialKey, let first):
            let used = try await counter.next(first.initial.bytes) { bytes in
                (try? AESDUKPT.KeySerialNumber(bytes))?.successor?.bytes
            }
            let block = try Self.work { () throws -> [UInt8] in
                let type: AESDUKPT.KeyType =
                    switch initialKey.count {
                    case 32: .aes256
                    case 24: .aes192
                    default: .aes128
                    }
                let key = try AESDUKPT.workingKey(
                    .pinEncryption, type, initialKey: initialKey, keySerialNumber: .init(used))
                return try PINBlock.enciphered(pin, of: number, with: AESKey(key))
            }
            return EncipheredPIN(block: block, keySerialNumber: used)
        }
    }

    private static func work(_ body: () throws -> [UInt8]) throws(PINPadError) -> [UInt8] {
        do { return try body() } catch { throw .cryptography("\(error)") }
    }
}

extension PINKeys: CustomStringConvertible {
    public var description: String {
        let serial = Hex.string(keySerialNumber)
        return switch self {
        case .tripleDES: "Triple DES, key \(serial)"
        case .aes: "AES, key \(serial)"
        case .tripleDESDUKPT: "Triple DES DUKPT, \(serial)"
        case .aesDUKPT: "AES DUKPT, \(serial)"
        }
    }
}

extension PINKeys {
    private enum Scheme: String, CaseIterable {
        case tripleDES = "tdes"
        case aes
        case tripleDESDUKPT = "tdes-dukpt"
        case aesDUKPT = "aes-dukpt"
    }

    /// The section `pin-pad` of a terminal profile.
    init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        let scheme = try keys.required("keys").choice(Scheme.self)
        let keyPlace: ProfileFile
        let bytes: [UInt8]
        if let file = keys.optional("key-file") {
            guard keys.optional("key") == nil else { throw file.error("give either key or key-file") }
            keyPlace = file
            bytes = try file.hexadecimalFile()
        } else {
            keyPlace = try keys.required("key")
            // What was found there may be a key: it is not repeated.
            guard let read = Hex.bytes(try keyPlace.string()) else {
                throw keyPlace.error("expected hexadecimal digits in pairs (quote digits-only values)")
            }
            bytes = read
        }
        let serialPlace = keys.optional("serial-number")
        let serial = try serialPlace?.hex(count: 0...20) ?? []
        try keys.finish()
        switch scheme {
        case .tripleDES, .tripleDESDUKPT:
            guard bytes.count == 16 || bytes.count == 24 && scheme == .tripleDES else {
                throw keyPlace.error(
                    "expected a key of \(scheme == .tripleDES ? "16 or 24" : "16") bytes, found \(bytes.count)"
                )
            }
        case .aes, .aesDUKPT:
            guard [16, 24, 32].contains(bytes.count) else {
                throw keyPlace.error("expected a key of 16, 24 or 32 bytes, found \(bytes.count)")
            }
        }
        do {
            switch scheme {
            case .tripleDES: self = .tripleDES(try TripleDESKey(bytes), keySerialNumber: serial)
            case .aes: self = .aes(try AESKey(bytes), keySerialNumber: serial)
            case .tripleDESDUKPT: self = .tripleDESDUKPT(initialKey: SecretKey(bytes), try .init(serial))
            case .aesDUKPT: self = .aesDUKPT(initialKey: SecretKey(bytes), try .init(serial))
            }
        } catch {
            throw (serialPlace ?? place).error("\(error)")
        }
    }
}
