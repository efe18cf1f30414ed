/// A message as JSON: its type, a header where it has one, and values by field number; those of bytes in hexadecimal.
///
///     { "type": "0200", "fields": { "2": "4761739001010119", "3": "000000", "55": "9F2701809F3602000A" } }
///
/// Also read is what `tapbridge iso decode --json` prints, where nothing is masked: `fields` is a list there, and all but
/// number and value is passed over.
public struct MessageDescription: Codable, Sendable, Equatable {
    /// Four digits.
    public var type: String
    /// Hexadecimal; nil for none.
    public var header: String?
    public var fields: [String: String]

    public init(type: String, header: String? = nil, fields: [String: String]) {
        self.type = type
        self.header = header
        self.fields = fields
    }

    private enum Keys: String, CodingKey { case message, type, header, fields }
    private struct Item: Decodable {
        var number: Int
        var value: String
    }

    public init(from decoder: any Decoder) throws {
        var keys = try decoder.container(keyedBy: Keys.self)
        if let inner = try? keys.nestedContainer(keyedBy: Keys.self, forKey: .message) { keys = inner }
        type = try keys.decode(String.self, forKey: .type)
        header = try keys.decodeIfPresent(String.self, forKey: .header)
        if header?.isEmpty == true { header = nil }
        if let items = try? keys.decode([Item].self, forKey: .fields) {
            fields = [:]
            for item in items {
                guard fields.updateValue(item.value, forKey: "\(item.number)") == nil else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .fields, in: keys, debugDescription: "field \(item.number) is there twice")
                }
            }
        } else {
            fields = try keys.decode([String: String].self, forKey: .fields)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: Keys.self)
        try keys.encode(type, forKey: .type)
        try keys.encodeIfPresent(header, forKey: .header)
        try keys.encode(fields, forKey: .fields)
    }

    /// The message itself.
    ///
    /// Texts are written in the dialect's characters. Numbers that are shorter than their field are filled by packing, as ever.
    /// - Throws: `MessageDescriptionError` naming the field.
    public func message(in dialect: Dialect) throws(MessageDescriptionError) -> Message {
        guard type.utf8.count == 4, type.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt16(type, radix: 16)
        else { throw .init(field: nil, reason: "type \"\(type.prefix(20))\" is not four digits") }
        var message = Message(MessageType(rawValue: number))
        if let header {
            guard let bytes = Self.bytes(header) else {
                throw .init(field: nil, reason: "the header is not hexadecimal digits in pairs")
            }
            message.header = bytes
        }
        for (key, value) in fields {
            guard let field = Int(key), (2...128).contains(field) else {
                throw .init(field: nil, reason: "\"\(key.prefix(20))\" is no field number 2...128")
            }
            guard let specification = dialect[field] else {
                throw .init(field: field, reason: "dialect \(dialect.name) does not have it")
            }
            guard !value.contains("*") || specification.sensitivity == .none && !value.contains("***") else {
                throw .init(field: field, reason: "its value is masked: \"\(value.prefix(20))\"")
            }
            if specification.isBinary {
                guard let bytes = Self.bytes(value) else {
                    throw .init(field: field, reason: "its bytes are not hexadecimal digits in pairs")
                }
                message.set(field, bytes)
            } else {
                let (bytes, lost) = dialect.characters.encoded(value)
                guard lost.isEmpty else {
                    throw .init(
                        field: field,
                        reason:
                            "\(lost.count) characters cannot be written in the characters of dialect \(dialect.name) (\(dialect.characters.rawValue))"
                    )
                }
                message.set(field, bytes)
            }
        }
        return message
    }

    /// The values of a message, in clear.
    public init(_ message: Message, in dialect: Dialect) {
        type = message.type.description
        header = message.header.isEmpty ? nil : Masking.hex(message.header[...])
        fields = [:]
        for field in message.fields {
            guard let value = message[field] else { continue }
            if dialect[field]?.isBinary ?? true {
                fields["\(field)"] = Masking.hex(value)
            } else {
                var text = ""
                for byte in value { text.unicodeScalars.append(Unicode.Scalar(byte)) }
                fields["\(field)"] = text
            }
        }
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var high: UInt8?
        for byte in text.utf8 where byte != 0x20 {
            guard let digit = Dialect.hexDigit(byte) else { return nil }
            if let first = high {
                result.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? result : nil
    }
}

/// What of a described message cannot be taken.
public struct MessageDescriptionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nil where no field is meant.
    public let field: Int?
    public let reason: String
    public init(field: Int?, reason: String) {
        self.field = field
        self.reason = reason
    }
    public var description: String { (field.map { "field \($0): " } ?? "") + reason }
}
