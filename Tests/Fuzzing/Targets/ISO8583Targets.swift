import ISO8583
import ISO8583Dialects

extension FuzzTarget {
    static let iso8583: [FuzzTarget] = [
        FuzzTarget("iso8583", mutations: 12, seeds: { ISOMessages.plainSeeds }) { try ISOMessages.check($0) },
        FuzzTarget(
            "iso8583-framing", longestInput: 600,
            seeds: {
                try ISOMessages.framings.indices.map { index in
                    try [UInt8(index), 3] + ISOMessages.framings[index].frame([UInt8](0x20...0x60))
                }
            }
        ) { try ISOMessages.cut($0) },
        FuzzTarget(
            "framing-text", longestInput: 64,
            seeds: { ISOMessages.framings.map { Array($0.description.utf8) } }
        ) { input in
            guard let framing = Framing(String(decoding: input, as: UTF8.self)) else { return }
            try hold(Framing(framing.description) == framing, "\(framing) read again differs")
            try hold(framing.most > 0 && framing.lengthCount <= 8, "\(framing) holds \(framing.most)")
        },
    ]
}

/// Messages of all built-in dialects; the first byte of an input chooses one.
enum ISOMessages {
    static let dialects: [Dialect] = Dialect.builtInNames.compactMap { try? Dialect.builtIn($0) }
    static let framings: [Framing] = [
        "2-byte", "2-byte +self", "2-byte tpdu", "4-byte", "4-byte +self header 12", "bcd", "bcd +self tpdu",
        "ascii-4",
        "ascii-2 +self", "ascii-8 header 255", "hex-4 tpdu", "2-byte gap 2 header 22", "2-byte trailer 03",
        "none trailer 7F", "none header 12 trailer 7F00",
    ].compactMap { Framing($0) }

    /// Messages that a dialect writes from values that most of them have.
    static let plainSeeds: [[UInt8]] = dialects.enumerated().flatMap { index, dialect -> [[UInt8]] in
        let values: [Int: String] = [
            2: "4761739001010119", 3: "000000", 4: "000000001500", 7: "1120223015", 11: "000001",
            12: "223015", 14: "3112",
            22: "071", 25: "00", 32: "1", 35: "4761739001010119=31122011143878089", 37: "632500000001",
            38: "123456",
            39: "00", 41: "TERM0001", 42: "MERCHANT0000001", 43: "Tapbridge Demo Store", 48: "PU004SALE",
            49: "978",
            54: "0002978C000000001500", 60: "0000010", 63: "x", 70: "301",
            90: "020000000111202230150000000000100000000000",
            95: "000000001500", 97: "C0000000000021400", 102: "1", 127: "y",
        ]
        return [[Int](2...64), [Int](2...128), [2, 4, 35, 55], [11, 70]].compactMap { fields -> [UInt8]? in
            var message = Message(dialect.version == .v1993 ? 0x1200 : 0x0200)
            for field in fields {
                var one = Message(message.type)
                if let text = values[field] {
                    one.set(field, text)
                } else if field == 55 {
                    one.set(55, [0x9F, 0x27, 1, 0x80])
                }
                guard let value = one[field], (try? dialect.pack(one)) != nil else { continue }
                message.set(field, value)
            }
            return (try? dialect.pack(message)).map { [UInt8(index)] + $0 }
        }
    }

    // MARK: Properties

    static func check(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let first = input.byte()
        let dialect = dialects[Int(first & 0x1F) % dialects.count]
        let start = Int(first >> 5) == 0 ? 0 : 5 * Int(first >> 7)
        let bytes = input.remainder()
        let (explanation, explained) = dialect.explain(bytes, from: start)
        try inspect(explanation, of: dialect, bytes)
        let message: Message
        do throws(ISO8583Error) { message = try dialect.unpack(bytes, from: start) } catch {
            try hold(
                explanation.error == "\(error)",
                "explained with \(explanation.error ?? "nothing"), read with \(error)")
            return
        }
        try hold(explanation.error == nil && explained == message, "what is explained is not what is read")
        // Each value is shown alike in both. By lines, as no text is found in another where it is empty.
        let shown = Set(message.description(in: dialect).split(separator: "\n").map(String.init))
        for field in explanation.fields {
            try hold(
                shown.contains("  \(field.number) \(field.name): \(field.value)"),
                "the description shows another value of field \(field.number) than the explanation")
        }
        // What was read can be written, and says the same.
        let written = try dialect.pack(message)
        let again = try dialect.unpack(written, from: message.header.count)
        try hold(
            again == message && again.header == message.header, "the message written and read again differs")
        try hold(try dialect.pack(again) == written, "written twice, the message differs")
        for other in dialects { _ = try? other.pack(message) }
    }

    private static func inspect(_ explanation: MessageExplanation, of dialect: Dialect, _ bytes: [UInt8])
        throws
    {
        try hold(
            explanation.readCount <= bytes.count, "read \(explanation.readCount) of \(bytes.count) bytes")
        var end = 0
        for field in explanation.fields {
            try hold(
                field.offset >= end && field.byteCount >= 0 && field.offset + field.byteCount <= bytes.count,
                "field \(field.number) lies outside of the message")
            end = field.offset + field.byteCount
            for text in [field.value] + field.pieces.map(\.value) {
                let format = dialect[field.number]?.format
                // Totals of settlement are none, and numbers that are filled up with zeros begin with them.
                if [86, 87, 88, 89, 97, 105, 106].contains(field.number), format == .n || format == .xn {
                    continue
                }
                // In bytes, digits are digits by chance: only those that begin as a card number does count.
                if format != .b {
                    try hold(
                        !CardNumbers.hasRun(text, afterZero: false),
                        "field \(field.number) shows a card number: \(text)")
                }
                // In fields of digits alone the check passes too often by chance.
                if format != .n, format != .xn {
                    try hold(
                        !CardNumbers.hasStretch(text), "field \(field.number) shows a card number: \(text)")
                }
            }
        }
        try hold(explanation.text().utf8.count <= 40 * bytes.count + 10_000, "the text is too long")
    }

    /// Whatever the pieces are in which it comes, a stream is cut into the same messages.
    static func cut(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let framing = framings[input.number(below: framings.count)]
        let size = max(1, input.number(below: 32))
        let stream = input.remainder()
        func read(_ size: Int) throws -> (messages: [[UInt8]], error: FramingError?) {
            var reader = FrameReader(framing, limit: 300)
            var messages: [[UInt8]] = []
            var place = 0
            do throws(FramingError) {
                while place < stream.count {
                    reader.append(stream[place..<min(stream.count, place + size)])
                    place += size
                    while let message = try reader.next() { messages.append(message) }
                }
            } catch { return (messages, error) }
            try hold(
                reader.pending <= 300 + framing.prefixCount + framing.trailer.count,
                "\(reader.pending) bytes wait")
            return (messages, nil)
        }
        let whole = try read(max(1, stream.count))
        let parts = try read(size)
        try hold(
            whole.messages == parts.messages && whole.error == parts.error, "in pieces, other messages come")
        for message in whole.messages {
            try hold(
                message.count > framing.header.count && message.count <= 300,
                "a message of \(message.count) bytes")
            guard let framed = try? framing.frame(message) else { continue }
            var reader = FrameReader(framing, limit: 300)
            reader.append(framed)
            try hold(
                try reader.next() == message && reader.pending == 0, "a message framed and cut again differs")
        }
        if let error = whole.error { try hold(!error.description.isEmpty, "an error without words") }
    }
}
