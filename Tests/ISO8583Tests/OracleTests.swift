import BERTLV
import EMVCryptography
import Foundation
import ISO8583
import ISO8583Dialects
import Testing
import TestTools

/// A line of `Tests/Oracles/iso8583_messages.py`.
struct OracleMessage: Sendable, CustomTestStringConvertible {
    let layout: String
    let bytes: [UInt8]
    /// Of the authentication code in the last field; empty where it has none.
    let key: [UInt8]
    let message: Message
    var testDescription: String { "\(layout) \(message)" }

    /// - Parameter hasBytes: whether the message itself comes after the layout.
    init(_ line: Substring, hasBytes: Bool = true) {
        var words = line.split(separator: " ")[...]
        layout = String(words.removeFirst())
        bytes = hasBytes ? Hex.bytes(words.removeFirst())! : []
        var key: [UInt8] = []
        var message = Message(0)
        for word in words {
            let pair = word.split(separator: "=", omittingEmptySubsequences: false)
            let value = Hex.bytes(pair[1])!
            switch pair[0] {
            case "mac": key = value
            case "t":
                message.type = MessageType(
                    rawValue: UInt16(String(decoding: value, as: UTF8.self), radix: 16)!)
            default: message.set(Int(pair[0])!, value)
            }
        }
        self.key = key
        self.message = message
    }

    static func all(_ text: String, hasBytes: Bool = true) -> [OracleMessage] {
        text.split(separator: "\n").map { OracleMessage($0, hasBytes: hasBytes) }
    }
}

@Suite struct OracleTests {
    func check(_ oracle: OracleMessage) throws {
        let dialect = try #require(try Dialect.builtIn(oracle.layout))
        #expect(try dialect.unpack(oracle.bytes) == oracle.message)
        #expect(Hex.string(try dialect.pack(oracle.message)) == Hex.string(oracle.bytes))
        guard !oracle.key.isEmpty else { return }
        let key = try TripleDESKey(oracle.key)
        let signed = try #require(dialect.authentication(of: oracle.message, in: oracle.bytes))
        #expect(key.retailMAC(Array(signed.covered), padding: .method1).bytes == Array(signed.code))
        var bare = oracle.message
        bare.remove(64)
        bare.remove(128)
        let packed = try dialect.pack(
            bare, authenticatedBy: { key.retailMAC(Array($0), padding: .method1).bytes })
        #expect(packed == oracle.bytes)
    }

    @Test(arguments: OracleMessage.all(pyiso8583Vectors)) func committed(_ oracle: OracleMessage) throws {
        try check(oracle)
    }

    static func run(_ arguments: [String], input: String = "") throws -> String {
        try PythonOracle("iso8583_messages.py").run(arguments, input: input)
    }

    @Test(.needs(.oracles)) func readsWhatPyISO8583Writes() throws {
        let messages = OracleMessage.all(try Self.run(["make", "77", "60"]))
        #expect(messages.count == 240)
        for message in messages { try check(message) }
    }

    @Test(.needs(.oracles)) func pyISO8583ReadsWhatWeWrite() throws {
        var random = SplitMix(seed: 8583)
        var sent: [Message] = []
        var lines = ""
        for name in ["pyiso8583-default", "generic-ascii", "generic-bcd", "generic-ebcdic"] {
            let dialect = try #require(try Dialect.builtIn(name))
            for _ in 0..<60 {
                var message = SampleMessages.random(in: dialect, &random, shortest: 1)
                // pyiso8583's default takes less in some fields.
                if let text = message.text(44) { message.set(44, String(text.prefix(25))) }
                if let text = message.text(54) { message.set(54, String(text.prefix(120))) }
                sent.append(message)
                lines += "\(name) \(Hex.string(try dialect.pack(message)))\n"
            }
        }
        let read = OracleMessage.all(try Self.run(["read"], input: lines), hasBytes: false).map(\.message)
        #expect(read.count == sent.count)
        for (read, sent) in zip(read, sent) { #expect(read == sent) }
    }
}

enum SampleMessages {
    static let types: [MessageType] = [0x0100, 0x0110, 0x0200, 0x0421, 0x0800, 0x0500]

    /// A message with a random choice of the dialect's fields; fixed fields have their whole length.
    static func random(in dialect: Dialect, _ random: inout SplitMix, shortest: Int = 0) -> Message {
        var message = Message(types.randomElement(using: &random)!)
        for field in 2...128 where random.next() % 4 == 0 {
            guard let specification = dialect[field] else { continue }
            let count: Int
            switch specification.length {
            case .fixed(let fixed): count = fixed
            case .variable(_, let most): count = Int.random(in: shortest...min(most, 90), using: &random)
            }
            let characters: [UInt8]
            switch specification.format {
            case .b:
                message.set(field, (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
                continue
            case .n: characters = Array("0123456789".utf8)
            case .xn:
                let digits = (1..<count).map { _ in UInt8.random(in: 0x30...0x39, using: &random) }
                message.set(field, [UInt8(ascii: random.next() % 2 == 0 ? "C" : "D")] + digits)
                continue
            case .z: characters = Array("0123456789D".utf8)
            default: characters = Array(0x20...0x7E)
            }
            message.set(field, (0..<count).map { _ in characters.randomElement(using: &random)! })
        }
        return message
    }
}
