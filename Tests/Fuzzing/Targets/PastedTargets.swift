import EMVDictionary
import BERTLV
import EMV
import Foundation
import ISO8583
import ISO8583Backend

extension FuzzTarget {
    /// What people paste, and texts that go to hosts.
    static let pasted: [FuzzTarget] = [
        FuzzTarget(
            "pasted-message", longestInput: 400,
            seeds: {
                [
                    "[+] <<<< 6A82", "00000123 APDU: 00 A4 04 00 0E", "0149 9F2608", "0x9F 0x02",
                    "00000010  00 a4 04 00 0e 32 50 41  |.....2PA|\n00000018  59 |Y|",
                    "6000030000 0200 7020000000800000 16 4761739001010010 000000 000000001500",
                    "ISO026000070080020200000008000000000000000042TERM0001",
                    "received: 0800202000000080000000000042",
                ].map { Array($0.utf8) }
            }
        ) { input in
            let text = String(decoding: input, as: UTF8.self)
            let messages = PastedMessage.messages(in: text)
            try hold(messages.count <= input.count + 1, "\(messages.count) messages of \(input.count) bytes")
            for message in messages {
                for reading in message.readings {
                    try hold(
                        !reading.bytes.isEmpty && reading.bytes.count <= input.count
                            && !reading.reading.isEmpty,
                        "a reading of nothing")
                    try hold(
                        reading.reading.unicodeScalars.allSatisfy { $0.value >= 0x20 },
                        "a reading with control characters")
                }
            }
            if let pasted = PastedHex(text) {
                try hold(
                    pasted.bytes.count * 2 <= text.utf8.count + 1 && !pasted.bytes.isEmpty,
                    "more bytes than digits")
            }
            try hold(!EMVDecoder.explain(hex: text).name.isEmpty, "a node without a name")
        },
        FuzzTarget(
            "message-description", longestInput: 600,
            seeds: {
                [
                    #"{"type":"0200","fields":{"2":"4761739001010119","4":"1500","52":"0123456789ABCDEF","55":"9F270180"}}"#,
                    #"{"message":{"type":"0800","fields":[{"number":11,"value":"42"}]},"framing":"none"}"#,
                    #"{"type":"0500","header":"6000","fields":{"43":"Café","97":"C1"}}"#,
                ].map { Array($0.utf8) }
            }
        ) { input in
            guard let described = try? JSONDecoder().decode(MessageDescription.self, from: Data(input)) else {
                return
            }
            for dialect in ISOMessages.dialects {
                let message: Message
                do throws(MessageDescriptionError) { message = try described.message(in: dialect) } catch {
                    try hold(!error.description.isEmpty, "an error without words")
                    continue
                }
                guard let bytes = try? dialect.pack(message),
                    let read = try? dialect.unpack(bytes, from: message.header.count)
                else { continue }
                let again = try MessageDescription(read, in: dialect).message(in: dialect)
                try hold(again == read && again.header == read.header, "described again, it differs")
            }
        },
        FuzzTarget(
            "card-acceptor", longestInput: 200,
            seeds: { ["Café Zürich|Berlin", "Кофе|", "a\\b|c"].map { [20] + Array($0.utf8) } }
        ) { input in
            var input = FuzzInput(input)
            let country = input.number16()
            let parts = String(decoding: input.remainder(), as: UTF8.self).split(
                separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
            let acceptor = CardAcceptor(
                name: String(parts[0]), city: parts.count == 2 ? String(parts[1]) : "",
                country: country % 1000)
            for dialect in ISOMessages.dialects {
                let value = acceptor.value(in: dialect)
                try hold(value.count <= dialect[43]?.most ?? 0, "field 43 has \(value.count) bytes")
                var message = Message(0x0200)
                message.set(43, value)
                try hold((try? dialect.pack(message)) != nil, "field 43 cannot be written in \(dialect.name)")
                let most = dialect.characters == .ascii ? 0x7F as UInt8 : 0xFF
                try hold(value.allSatisfy { $0 >= 0x20 && $0 <= most }, "field 43 holds other characters")
                _ = acceptor.problems(in: dialect)
            }
        },
        FuzzTarget(
            "exchange-context", longestInput: 600,
            seeds: {
                [
                    chunks([
                        [0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0, 0, 0, 0x04, 0x10, 0x10],
                        [
                            0x6F, 0x15, 0x84, 0x07, 0xA0, 0, 0, 0, 0x04, 0x10, 0x10, 0xA5, 0x0A, 0x9F, 0x38,
                            0x03, 0x9F,
                            0x37, 0x04, 0x9F, 0x11, 0x01, 0x05, 0x90, 0x00,
                        ],
                        [0x80, 0xA8, 0, 0, 6, 0x83, 4, 1, 2, 3, 4, 0], [0x80, 0x02, 0, 0, 0x90, 0],
                        [0x00, 0xB2, 0x01, 0x5C, 0x00], [0x9A, 0x03, 0x26, 0x11, 0x30, 0x90, 0x00],
                    ])
                ]
            }
        ) { input in
            var input = FuzzInput(input)
            var context = ExchangeContext()
            while !input.isEmpty {
                let command = input.chunk()
                let response = input.chunk()
                for (bytes, kind, hint) in [
                    (command, EMVDecoder.Kind.command, context.sent(command)),
                    (response, .response, context.received(response)),
                ] {
                    let node = EMVDecoder.explain(bytes, EMVDecoder.Options(kind: kind), hint: hint)
                    try inRange(node, bytes.count)
                }
            }
        },
    ]

    /// Every piece lies within the bytes.
    private static func inRange(_ node: ExplainedNode, _ count: Int) throws {
        if let offset = node.offset, let length = node.length, node.error == nil {
            try hold(offset >= 0 && length >= 0 && offset <= count, "\(node.name) at \(offset) of \(count)")
        }
        for child in node.children { try inRange(child, count) }
    }
}
