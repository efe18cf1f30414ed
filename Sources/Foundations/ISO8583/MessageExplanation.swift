/// A message taken apart for people: every field with place, name and masked value, up to the first error.
public struct MessageExplanation: Sendable, Codable, Equatable {
    public struct Piece: Sendable, Codable, Equatable {
        public var name: String
        public var value: String
        public var meaning: String?
    }
    public struct Field: Sendable, Codable, Equatable {
        public var number: Int
        public var name: String
        /// As ISO 8583 writes it: `n..19 (LL)`.
        public var format: String
        /// Place of the field with its length prefix, from the start of the header.
        public var offset: Int
        public var byteCount: Int
        /// Masked.
        public var value: String
        public var meaning: String?
        public var pieces: [Piece]
    }
    public var dialect: String
    /// Header before the type, hexadecimal; empty where there is none.
    public var header: String
    /// Four digits; nil where they could not be read.
    public var type: String?
    public var typeMeaning: String?
    /// Hexadecimal digits of the primary and, where present, secondary bitmap.
    public var bitmap: String?
    public var fields: [Field]
    /// Why the rest could not be read; nil where the message is whole.
    public var error: String?
    /// How far it could be read, in bytes.
    public var readCount: Int

    public init(
        dialect: String, header: String, fields: [Field] = [], error: String? = nil, readCount: Int = 0
    ) {
        self.dialect = dialect
        self.header = header
        self.fields = fields
        self.error = error
        self.readCount = readCount
    }
}

extension Dialect {
    /// Explains a message, also one that is damaged: what comes before the damage is shown.
    /// - Parameter start: length of the header before the message type.
    /// - Returns: the explanation, and what could be read, for callers that explain field 55 further. Only the
    ///   explanation is masked.
    public func explain(_ bytes: [UInt8], from start: Int = 0) -> (MessageExplanation, Message) {
        let begin = min(max(0, start), bytes.count)
        var explanation = MessageExplanation(
            dialect: name, header: Masking.hex(bytes[..<begin]), fields: [], readCount: begin)
        var message = Message(0)
        message.header = Array(bytes[..<begin])
        var offset = begin
        do throws(ISO8583Error) {
            message.type = try readType(bytes.span, &offset)
            explanation.type = message.type.description
            explanation.typeMeaning = message.type.meaning
            var place = offset
            explanation.bitmap = (try? readBitmap(bytes.span, &place)).map(Self.hex)
            let (primary, second) = try readBitmaps(bytes.span, &offset)
            let secondary = second ?? 0
            explanation.bitmap = Self.hex(primary) + (second.map(Self.hex) ?? "")
            for number in 2...128 {
                let isPresent =
                    number <= 64
                    ? primary & (1 << UInt64(64 - number)) != 0
                    : secondary & (1 << UInt64(128 - number)) != 0
                guard isPresent else { continue }
                explanation.readCount = offset
                let place = offset
                guard let specification = self[number] else {
                    throw .unknownField(number, offset: offset)
                }
                try Self.read(FieldCoding(specification), bytes.span, &offset, &message)
                explanation.fields.append(explain(specification, message, place, offset - place))
            }
            explanation.readCount = offset
            guard offset == bytes.count else {
                throw .trailingBytes(offset: offset, count: bytes.count - offset)
            }
        } catch {
            explanation.error = "\(error)"
        }
        return (explanation, message)
    }

    func explain(
        _ field: FieldSpecification, _ message: Message, _ offset: Int, _ count: Int
    ) -> MessageExplanation.Field {
        let value = message[field.number] ?? []
        var pieces: [MessageExplanation.Piece] = []
        if field.sensitivity == .none, let layout = field.layout {
            pieces = layout.split(value).map { piece in
                let text = Masking.text(piece.value, field, in: characters)
                return MessageExplanation.Piece(
                    name: piece.name, value: text,
                    meaning: FieldMeaning.piece(field.number, piece.name, text, version))
            }
        }
        return MessageExplanation.Field(
            number: field.number, name: field.name, format: field.notation, offset: offset, byteCount: count,
            value: Masking.shown(value, field, in: characters),
            meaning: FieldMeaning.field(field.number, Masking.characters(value), version), pieces: pieces)
    }

    static func hex(_ bits: UInt64) -> String {
        let digits = String(bits, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Message {
    /// Each field on a line, masked by the dialect's specifications; fields that it does not have are masked whole.
    public func description(in dialect: Dialect) -> String {
        var lines = ["\(type)" + (type.meaning.map { " \($0)" } ?? "")]
        for field in fields {
            guard let value = self[field] else { continue }
            let shown =
                dialect[field].map { Masking.shown(value, $0, in: dialect.characters) }
                ?? "**** (\(value.count) bytes)"
            lines.append("  \(field) \(dialect[field]?.name ?? "?"): \(shown)")
        }
        return lines.joined(separator: "\n")
    }
}

extension MessageExplanation {
    /// Lines for a terminal.
    public func text() -> String {
        var lines: [String] = []
        if !header.isEmpty { lines.append("header \(header)") }
        if let type { lines.append("\(type) \(typeMeaning ?? "unknown message type")") }
        if let bitmap { lines.append("bitmap \(bitmap)") }
        func pad(_ text: String, _ count: Int) -> String {
            text + String(repeating: " ", count: max(0, count - text.count))
        }
        for field in fields {
            lines.append(
                pad("\(field.number)", 4) + pad(field.name, 42) + " " + field.value
                    + (field.meaning.map { "  (\($0))" } ?? ""))
            for piece in field.pieces {
                lines.append(
                    "      " + pad(piece.name, 40) + " " + piece.value
                        + (piece.meaning.map { "  (\($0))" } ?? ""))
            }
        }
        if let error { lines.append("error: \(error)") }
        return lines.joined(separator: "\n")
    }
}
