/// What a field's value is made of.
public enum SubfieldLayout: Sendable, Equatable {
    /// Pieces of fixed length, one after the other; the last may take what is left (`count` nil). With
    /// `repeats` the row of pieces comes as often as there are characters for it.
    case positions([Piece], repeats: Bool)
    /// BER-TLV data objects, as in field 55.
    case berTLV
    /// Elements of a tag and a length in so many characters each, as in private fields.
    case tagged(tag: Int, length: Int)

    public struct Piece: Sendable, Equatable {
        public var name: String
        public var count: Int?
        public init(_ name: String, _ count: Int?) {
            self.name = name
            self.count = count
        }
    }

    /// One piece of a value.
    public struct Subfield: Sendable, Equatable {
        /// Name or tag.
        public var name: String
        public var value: ArraySlice<UInt8>
        public init(_ name: String, _ value: ArraySlice<UInt8>) {
            self.name = name
            self.value = value
        }
    }

    /// Takes a value apart. What does not fit the layout comes last under the name `?`: nothing is dropped.
    /// BER-TLV is given back as one piece.
    public func split(_ value: ArraySlice<UInt8>) -> [Subfield] {
        var rest = value
        var result: [Subfield] = []
        func take(_ count: Int) -> ArraySlice<UInt8> {
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        switch self {
        case .positions(let pieces, let repeats):
            let row = pieces.reduce(0) { $0 + ($1.count ?? 0) }
            repeat {
                for piece in pieces where !rest.isEmpty {
                    if let count = piece.count, count > rest.count { break }
                    result.append(Subfield(piece.name, take(piece.count ?? rest.count)))
                }
            } while repeats && row > 0 && rest.count >= row
        case .berTLV: break
        case .tagged(let tag, let length):
            while rest.count >= tag + length {
                guard let count = Self.number(rest.dropFirst(tag).prefix(length)),
                    count <= rest.count - tag - length
                else { break }
                let name = String(decoding: take(tag), as: UTF8.self)
                _ = take(length)
                result.append(Subfield(name, take(count)))
            }
        }
        if !rest.isEmpty { result.append(Subfield("?", rest)) }
        return result
    }

    /// Puts elements of a tag and a length together.
    /// - Returns: nil where a tag has another length than the layout's, a value is too long, or the layout is another.
    public func joined(_ elements: [(tag: String, value: [UInt8])]) -> [UInt8]? {
        guard case .tagged(let tagCount, let lengthCount) = self else { return nil }
        var result: [UInt8] = []
        for (tag, value) in elements {
            let digits = String(value.count)
            guard tag.utf8.count == tagCount, digits.count <= lengthCount else { return nil }
            result += Array(tag.utf8)
            result += Array(repeating: 0x30, count: lengthCount - digits.count) + Array(digits.utf8)
            result += value
        }
        return result
    }

    static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }
}

extension Dialect {
    /// The pieces of a field by its layout; empty where the field is absent or has none.
    public func subfields(of field: Int, in message: Message) -> [SubfieldLayout.Subfield] {
        guard let value = message[field], let layout = self[field]?.layout else { return [] }
        return layout.split(value)
    }
}
