import BERTLV
import Foundation
import TestTools
import Testing

@testable import EMV
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography

private func rows(_ text: String) -> [[String]] {
    text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
}

private func clear(_ key: SecretKey) -> String {
    key.withClearBytes { bytes in Hex.string(bytes.indices.map { bytes[$0] }) }
}

@Suite struct TripleDESDUKPTTests {
    typealias Number = TripleDESDUKPT.KeySerialNumber
    static let baseKey = SecretKey(hex: "0123456789ABCDEFFEDCBA9876543210")!
    static func number(_ hex: String) throws -> Number { try Number(Hex.bytes(hex)!) }

    static func initialKey() throws -> SecretKey {
        try TripleDESDUKPT.initialKey(
            baseKey: baseKey, keySerialNumber: try number("FFFF9876543210E00000"))
    }

    @Test func initialKeyOfTheDevice() throws {
        #expect(clear(try Self.initialKey()) == "6AC292FAA1315B4D858AB3A3D7D5933A")
        // Any counter names the same device.
        let later = try Self.number("FFFF9876543210FFF800")
        #expect(
            try TripleDESDUKPT.initialKey(baseKey: Self.baseKey, keySerialNumber: later) == Self.initialKey())
    }

    @Test(arguments: rows(tripleDESDUKPTVectors)) func published(_ row: [String]) throws {
        let key = try Self.initialKey()
        let number = try Self.number(row[0])
        func working(_ usage: TripleDESDUKPT.Usage) throws -> TripleDESKey {
            try TripleDESDUKPT.workingKey(usage, initialKey: key, keySerialNumber: number)
        }
        #expect(clear(try TripleDESDUKPT.transactionKey(initialKey: key, keySerialNumber: number)) == row[1])
        let pin = try #require(PIN("1234"))
        let card = try #require(PrimaryAccountNumber(digits: "4012345678909"))
        let block = try PINBlock.enciphered(pin, of: card, with: try working(.pinEncryption))
        #expect(Hex.string(block) == row[2])
        #expect(try PINBlock.decipher(block, of: card, with: try working(.pinEncryption)) == pin)
        let message = Array("4012345678909D987".utf8)
        func mac(_ usage: TripleDESDUKPT.Usage) throws -> String {
            let whole = try working(usage).retailMAC(message.span, padding: .method1)
            return Hex.string(whole.bytes.prefix(4))
        }
        #expect(try mac(.macRequest) == row[3])
        #expect(try mac(.macResponse) == row[4])
        let padded = message + [UInt8](repeating: 0, count: 7)
        #expect(Hex.string(try working(.dataRequest).encryptCBC(padded.span)) == row[5])
    }

    /// The four variants of the first transaction as published in annex C.
    @Test(arguments: [
        (TripleDESDUKPT.Usage.pinEncryption, "042666B49184CF5C68DE9628D0397B36"),
        (.macRequest, "042666B4918430A368DE9628D03984C9"),
        (.macResponse, "042666B46E84CFA368DE96282F397BC9"),
        (.dataRequest, "448D3F076D8304036A55A3D7E0055A78"),
    ]) func variants(_ usage: TripleDESDUKPT.Usage, _ expected: String) throws {
        let key = try TripleDESDUKPT.workingKey(
            usage, initialKey: try Self.initialKey(),
            keySerialNumber: try Self.number("FFFF9876543210E00001"))
        #expect(clear(key.secretKey) == expected)
    }

    @Test(arguments: [
        ("FFFF9876543210E00000", "FFFF9876543210E00001"), ("FFFF9876543210E00001", "FFFF9876543210E00002"),
        ("FFFF9876543210E003FF", "FFFF9876543210E00400"), ("FFFF9876543210E007FE", "FFFF9876543210E00800"),
        ("FFFF9876543210EFF800", "FFFF9876543210EFF801"), ("FFFF9876543210EFF801", "FFFF9876543210EFF802"),
        ("FFFF9876543210EFF802", "FFFF9876543210EFF804"), ("FFFF9876543210EFFC00", "FFFF9876543210F00000"),
        ("FFFF9876543210FFF000", "FFFF9876543210FFF001"), ("FFFF9876543210FFF400", "FFFF9876543210FFF800"),
        ("FFFF9876543210FFF800", nil),
        ("FFFF9876543210FFFFFF", nil),
    ]) func successors(_ number: String, _ next: String?) throws {
        #expect(try Self.number(number).successor?.description == next)
    }

    /// Half of all counters but zero: "more than one million" in the standard.
    @Test func life() throws {
        var number: Number? = try Self.number("FFFF9876543210E00000")
        var count = -1
        while let current = number {
            count += 1
            if count > 0, !current.isUsable { Issue.record("\(current)") }
            number = current.successor
        }
        #expect(count == 1_048_575)
    }

    @Test func refusals() throws {
        let key = try Self.initialKey()
        for hex in ["FFFF9876543210E00000", "FFFF9876543210E007FF", "FFFF9876543210FFFFFF"] {
            let number = try Self.number(hex)
            #expect(!number.isUsable)
            #expect(throws: DUKPTError.counter(number.counter, limit: 10)) {
                try TripleDESDUKPT.workingKey(.pinEncryption, initialKey: key, keySerialNumber: number)
            }
        }
        for count in [0, 9, 11, 12] {
            #expect(throws: DUKPTError.identifierLength(found: count, expected: 10)) {
                try Number([UInt8](repeating: 1, count: count))
            }
        }
        let number = try Self.number("FFFF9876543210E00001")
        for count in [0, 8, 24] {
            let wrong = SecretKey([UInt8](repeating: 1, count: count))
            #expect(throws: DUKPTError.keyLength(found: count, allowed: [16])) {
                try TripleDESDUKPT.initialKey(baseKey: wrong, keySerialNumber: number)
            }
            #expect(throws: DUKPTError.keyLength(found: count, allowed: [16])) {
                try TripleDESDUKPT.transactionKey(initialKey: wrong, keySerialNumber: number)
            }
        }
    }
}

@Suite struct AESDUKPTTests {
    typealias Number = AESDUKPT.KeySerialNumber
    static let identifier = Hex.bytes("1234567890123456")!
    static let half = "FEDCBA9876543210F1F1F1F1F1F1F1F1"

    static func initialKey(bits: Int) throws -> SecretKey {
        let base = SecretKey(hex: bits == 128 ? half : half + half)!
        return try AESDUKPT.initialKey(baseKey: base, identifier: identifier)
    }

    @Test func initialKeys() throws {
        #expect(clear(try Self.initialKey(bits: 128)) == "1273671EA26AC29AFA4D1084127652A1")
        #expect(
            clear(try Self.initialKey(bits: 256))
                == "CE9CE0C101D1138F97FB6CAD4DF045A7083D4EAE2D35A31789D01CCF0949550F")
    }

    private func check(_ row: [String], _ initial: SecretKey, _ type: AESDUKPT.KeyType, _ first: Int) throws {
        let number = try Number(Hex.bytes(row[0])!)
        for (offset, usage) in [AESDUKPT.Usage.pinEncryption, .macGeneration, .dataEncryption].enumerated() {
            let key = try AESDUKPT.workingKey(usage, type, initialKey: initial, keySerialNumber: number)
            #expect(clear(key) == row[first + offset], "\(usage) of \(number)")
        }
    }

    @Test(arguments: rows(aes128DUKPTVectors)) func published128(_ row: [String]) throws {
        let initial = try Self.initialKey(bits: 128)
        let number = try Number(Hex.bytes(row[0])!)
        #expect(
            clear(try AESDUKPT.transactionKey(initialKey: initial, keySerialNumber: number)) == row[1])
        try check(row, initial, .aes128, 2)
        let key = try AESKey(
            try AESDUKPT.workingKey(.pinEncryption, .aes128, initialKey: initial, keySerialNumber: number))
        let pin = try #require(PIN("1234"))
        let card = try #require(PrimaryAccountNumber(digits: "4111111111111111"))
        let fill = try #require(UInt64("2F69ADDE2E9E7ACE", radix: 16)).bigEndian
        #expect(Hex.string(PINBlock.enciphered(pin, of: card, with: key, random: fill)) == row[5])
        #expect(PINBlock.decipher(try #require(Hex.bytes(row[5])), of: card, with: key) == pin)
    }

    @Test(arguments: rows(aes256DUKPTVectors)) func published256(_ row: [String]) throws {
        let initial = try Self.initialKey(bits: 256)
        let number = try Number(Hex.bytes(row[0])!)
        #expect(
            clear(try AESDUKPT.transactionKey(initialKey: initial, keySerialNumber: number)) == row[1])
        try check(row, initial, .aes128, 2)
        try check(row, initial, .aes256, 5)
    }

    @Test(arguments: [(128, aes128DUKPTFurtherVectors), (256, aes256DUKPTFurtherVectors)])
    func carriesAndEndOfLife(_ bits: Int, _ vectors: String) throws {
        let initial = try Self.initialKey(bits: bits)
        for row in rows(vectors) {
            let number = try Number(Hex.bytes(row[0])!)
            let key = try AESDUKPT.transactionKey(initialKey: initial, keySerialNumber: number)
            #expect(clear(key) == row[1], "\(number)")
        }
    }

    /// From the supplement's "update key" page.
    @Test(arguments: [
        (AESDUKPT.KeyType.aes128, "9A9770AEE1ACD1B13473D0463A1883B9"),
        (.twoKeyTripleDES, "4744A5ECBC62B5C4BB76FBEAE1E244A3"),
        (.threeKeyTripleDES, "AF82BE8533CFCA526DA71708667AD0BBC7A7517504C78C8A"),
    ]) func updateKeys(_ type: AESDUKPT.KeyType, _ expected: String) throws {
        let key = try AESDUKPT.updateKey(
            type, initialKey: try Self.initialKey(bits: 128), identifier: Self.identifier)
        #expect(clear(key) == expected)
    }

    /// The published sequence of counters: at most sixteen bits, none in between left out.
    @Test(
        arguments: [
            (0, 1), (1, 2), (0xFFFE, 0xFFFF), (0xFFFF, 0x1_0000), (0x1_FFFE, 0x2_0000), (0x2_0000, 0x2_0001),
            (0xFFFE_2000, 0xFFFE_4000), (0xFFFE_4000, 0xFFFE_8000), (0xFFFE_8000, 0xFFFF_0000),
            (0xFFFF_0000, nil), (0xFFFF_FFFF, nil),
        ] as [(UInt32, UInt32?)]) func successors(_ counter: UInt32, _ next: UInt32?) throws
    {
        let number = try Number(initialKeyIdentifier: Self.identifier, counter: counter)
        #expect(number.successor?.counter == next)
    }

    /// A key of 192 bits is the longest that shares the first block with 256: checked against a second derivation
    /// made here with AES-ECB by hand.
    @Test func keysOf192Bits() throws {
        let base = SecretKey(hex: Self.half + "0123456789ABCDEF")!
        let initial = try AESDUKPT.initialKey(baseKey: base, identifier: Self.identifier)
        let cipher = try AESKey(base)
        let first = try cipher.encryptECB(Hex.bytes("01018001000300C01234567890123456")!)
        let second = try cipher.encryptECB(Hex.bytes("01028001000300C01234567890123456")!)
        #expect(clear(initial) == Hex.string(first + second.prefix(8)))
    }

    @Test func refusals() throws {
        let initial = try Self.initialKey(bits: 128)
        let number = try Number(initialKeyIdentifier: Self.identifier, counter: 1)
        for type in [AESDUKPT.KeyType.aes192, .aes256, .hmac192, .hmac256] {
            #expect(throws: DUKPTError.strongerThanItsSource(bits: type.bits, source: 128)) {
                try AESDUKPT.workingKey(.pinEncryption, type, initialKey: initial, keySerialNumber: number)
            }
        }
        for counter: UInt32 in [0, 0x1_FFFF, .max] {
            let wrong = number.with(counter: counter)
            #expect(throws: DUKPTError.counter(counter, limit: 16)) {
                try AESDUKPT.transactionKey(initialKey: initial, keySerialNumber: wrong)
            }
        }
        #expect(throws: DUKPTError.keyLength(found: 20, allowed: [16, 24, 32])) {
            try AESDUKPT.initialKey(
                baseKey: SecretKey([UInt8](repeating: 0, count: 20)), identifier: Self.identifier)
        }
        #expect(throws: DUKPTError.identifierLength(found: 7, expected: 8)) {
            try AESDUKPT.initialKey(baseKey: initial, identifier: [UInt8](repeating: 0, count: 7))
        }
        #expect(throws: DUKPTError.identifierLength(found: 10, expected: 12)) {
            try Number([UInt8](repeating: 0, count: 10))
        }
    }
}

/// PIN blocks and message authentication codes of another implementation.
@Suite struct PINOracle {
    private func check(_ line: String) throws {
        let kind = try #require(line.split(separator: " ").first)
        func text(_ name: String) throws -> String {
            let word = try #require(line.split(separator: " ").first { $0.hasPrefix(name + "=") })
            return String(word.dropFirst(name.count + 1))
        }
        func bytes(_ name: String) throws -> [UInt8] { try #require(Hex.bytes(try text(name))) }
        let key = try bytes("key")
        switch kind {
        case "format0":
            let pin = try #require(PIN(try text("pin")))
            let card = try #require(PrimaryAccountNumber(digits: try text("pan")))
            let cipher = try TripleDESKey(key)
            #expect(try PINBlock.enciphered(pin, of: card, with: cipher) == bytes("block"))
            #expect(try PINBlock.decipher(try bytes("block"), of: card, with: cipher) == pin)
        case "format4":
            let pin = try #require(PIN(try text("pin")))
            let card = try #require(PrimaryAccountNumber(digits: try text("pan")))
            let cipher = try AESKey(key)
            #expect(PINBlock.decipher(try bytes("block"), of: card, with: cipher) == pin)
            // Its second half is random: ours must come back, and never look the same.
            let ours = try PINBlock.enciphered(pin, of: card, with: cipher)
            #expect(PINBlock.decipher(ours, of: card, with: cipher) == pin)
            #expect(try PINBlock.enciphered(pin, of: card, with: cipher) != ours)
        default:
            let data = try bytes("data")
            let padding: MACPadding = try text("padding") == "1" ? .method1 : .method2
            let mac: [UInt8] =
                switch kind {
                case "algorithm1": try TripleDESKey(key).cbcMAC(data.span, padding: padding).bytes
                case "algorithm3": try TripleDESKey(key).retailMAC(data.span, padding: padding).bytes
                case "aes1": try AESKey(key).cbcMAC(data.span, padding: padding)
                default: try MessageAuthentication.hmacSHA256(data.span, key: SecretKey(key))
                }
            #expect(try mac == bytes("mac"), "\(line)")
        }
    }

    @Test(arguments: pinVectors.split(separator: "\n").map(String.init)) func committed(_ line: String) throws
    {
        try check(line)
    }

    @Test(.needs(.oracles)) func live() throws {
        let lines = try PythonOracle("pin_vectors.py").lines(["91", "100"])
        #expect(lines.count == 600)
        for line in lines { try check(line) }
    }

    /// RFC 4231 cases 1, 2, 6; RFC 4493 has AES-CMAC's, tested with the cryptograms.
    @Test(arguments: [
        (
            "0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B", "Hi There",
            "B0344C61D8DB38535CA8AFCEAF0BF12B881DC200C9833DA726E9376C2E32CFF7"
        ),
        (
            "4A656665", "what do ya want for nothing?",
            "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"
        ),
        (
            String(repeating: "AA", count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60E431591EE0B67F0D8A26AACBF5B77F8E0BC6213728C5140546040F0EE37F54"
        ),
    ]) func rfc4231(_ key: String, _ message: String, _ expected: String) throws {
        let mac = try MessageAuthentication.hmacSHA256(
            Array(message.utf8).span, key: try #require(SecretKey(hex: key)))
        #expect(Hex.string(mac) == expected)
        #expect(MessageAuthentication.isEqual(mac, mac))
        #expect(!MessageAuthentication.isEqual(mac, Array(mac.dropLast())))
        #expect(!MessageAuthentication.isEqual(mac, [mac[0] ^ 1] + mac.dropFirst()))
    }

    @Test func format4OfAnotherCardHoldsNoPIN() throws {
        let key = try AESKey([UInt8](repeating: 7, count: 16))
        let card = try #require(PrimaryAccountNumber(digits: "4761739001010135"))
        let other = try #require(PrimaryAccountNumber(digits: "5413330089020011"))
        let block = try PINBlock.enciphered(try #require(PIN("1234")), of: card, with: key)
        #expect(PINBlock.decipher(block, of: other, with: key) == nil)
        for count in [0, 8, 15, 17] {
            #expect(PINBlock.decipher([UInt8](repeating: 1, count: count), of: card, with: key) == nil)
        }
    }
}
