public import ISO8583
public import ProfileFile

/// Dialects as YAML files.
extension Dialect {
    /// Reads a dialect file.
    /// - Throws: `ProfileFileError` naming file and line.
    public init(path: String) throws(ProfileFileError) {
        try self.init(ProfileFile(path: path))
    }

    public init(text: String, source: String) throws(ProfileFileError) {
        try self.init(ProfileFile(file: source, text: text))
    }

    init(_ file: ProfileFile) throws(ProfileFileError) {
        let top = try file.mapping()
        let name = try top.required("name").string()
        // Kept for people; the field numbers and lengths are those of the file.
        let versionPlace = try top.required("version")
        guard let version = Version(rawValue: try versionPlace.integer()) else {
            throw versionPlace.error("expected 1987 or 1993")
        }
        let typeEncoding = try Self.one(
            of: [.ascii, .bcd, .ebcdic], try top.required("message-type"))
        let bitmapEncoding = try Self.one(
            of: [.binary, .hex, .ebcdic], try top.required("bitmap"))
        let defaults = try top.required("defaults").mapping()
        let base = Defaults(
            numeric: try Self.one(of: [.ascii, .bcd, .ebcdic], try defaults.required("numeric")),
            text: try Self.one(of: [.ascii, .ebcdic], try defaults.required("text")),
            binary: try Self.one(of: [.binary, .hex], try defaults.required("binary")),
            length: try Self.one(of: [.ascii, .bcd, .binary, .ebcdic], try defaults.required("length")),
            lengthUnit: try defaults.optional("length-unit")?.choice() ?? .characters,
            padding: try defaults.optional("padding")?.choice() ?? .leftZero)
        try defaults.finish()

        var fields: [FieldSpecification] = []
        for (key, value) in try top.required("fields").mapping().entries() {
            fields.append(
                try Self.field(number: try key.integer(in: 2...128), place: value, defaults: base))
        }
        try top.finish()
        self.init(
            name: name, version: version, typeEncoding: typeEncoding, bitmapEncoding: bitmapEncoding,
            fields: fields)
    }

    struct Defaults {
        var numeric: FieldSpecification.Encoding
        var text: FieldSpecification.Encoding
        var binary: FieldSpecification.Encoding
        var length: FieldSpecification.Encoding
        var lengthUnit: FieldSpecification.LengthUnit
        var padding: FieldSpecification.Padding
    }

    static func one(
        of allowed: [FieldSpecification.Encoding], _ place: ProfileFile
    ) throws(ProfileFileError) -> FieldSpecification.Encoding {
        let value: FieldSpecification.Encoding = try place.choice()
        guard allowed.contains(value) else {
            throw place.error(
                "expected one of \(allowed.map(\.rawValue).joined(separator: ", ")), found \"\(value.rawValue)\""
            )
        }
        return value
    }

    static func field(
        number: Int, place: ProfileFile, defaults: Defaults
    ) throws(ProfileFileError) -> FieldSpecification {
        let keys = try place.mapping()
        let format: FieldSpecification.Format = try keys.required("format").choice()
        let length = try Self.length(try keys.required("length"))
        let standard: FieldSpecification.Encoding =
            switch format {
            case .n: defaults.numeric
            case .z, .xn: defaults.numeric == .bcd ? .bcd : defaults.text
            case .b: defaults.binary
            default: defaults.text
            }
        let encodingPlace = keys.optional("encoding")
        let encoding = try encodingPlace?.choice() ?? standard
        switch (format, encoding) {
        case (.b, .binary), (.b, .hex), (.n, .bcd), (.z, .bcd), (.n, .ascii), (.n, .ebcdic): break
        case (.xn, .bcd):
            guard case .fixed = length else {
                throw (encodingPlace ?? place).error("format x+n in BCD has a fixed length")
            }
        case (.b, _), (_, .binary), (_, .hex), (_, .bcd):
            throw (encodingPlace ?? place).error(
                "format \(format.rawValue) cannot be written as \(encoding.rawValue)")
        default: break
        }
        let specification = FieldSpecification(
            number: number, name: try keys.required("name").string(), format: format, length: length,
            encoding: encoding,
            lengthEncoding: try keys.optional("length-encoding").map {
                (place) throws(ProfileFileError) in
                try one(of: [.ascii, .bcd, .binary, .ebcdic], place)
            } ?? defaults.length,
            lengthUnit: try keys.optional("length-unit")?.choice() ?? defaults.lengthUnit,
            padding: try keys.optional("padding")?.choice() ?? defaults.padding,
            sensitivity: try keys.optional("sensitive")?.choice() ?? .none,
            layout: try SubfieldLayout(keys), signEncoding: defaults.text)
        try keys.finish()
        return specification
    }

    /// `12` is fixed; `LL 19`, `LLL 999`, `LLLL 9999` have a prefix of so many digits.
    static func length(_ place: ProfileFile) throws(ProfileFileError) -> FieldSpecification.Length {
        let words = try place.string().split(separator: " ")
        if words.count == 1, let count = Int(words[0]), (1...9999).contains(count) {
            return .fixed(count)
        }
        if words.count == 2, words[0].allSatisfy({ $0 == "L" }), (1...6).contains(words[0].count),
            let most = Int(words[1]), most >= 1, String(most).count <= words[0].count
        {
            return .variable(digits: words[0].count, most: most)
        }
        throw place.error("expected a length such as 12, \"LL 19\" or \"LLL 999\"")
    }
}

extension SubfieldLayout {
    /// `subfields: "Name 2; Other name 12; Rest *"` with `repeat: true`, or `layout: ber-tlv` or
    /// `layout: "tagged 2 3"`.
    init?(_ keys: ProfileMapping) throws(ProfileFileError) {
        let repeats = try keys.optional("repeat")?.bool() ?? false
        if let place = keys.optional("subfields") {
            var pieces: [Piece] = []
            let items = try place.string().split(separator: ";")
            for (index, item) in items.enumerated() {
                let words = item.split(separator: " ")
                let isLast = index == items.count - 1
                guard words.count >= 2, let last = words.last,
                    last == "*" && isLast && !repeats || Int(last).map({ (1...9999).contains($0) }) == true
                else {
                    throw place.error(
                        "expected a name and a length such as \"Message type 4; Rest *\", found \"\(item)\"")
                }
                pieces.append(Piece(words.dropLast().joined(separator: " "), Int(last)))
            }
            guard !pieces.isEmpty else { throw place.error("no subfields are named") }
            self = .positions(pieces, repeats: repeats)
            return
        }
        guard let place = keys.optional("layout") else { return nil }
        let words = try place.string().split(separator: " ")
        if words == ["ber-tlv"] {
            self = .berTLV
        } else if words.count == 3, words[0] == "tagged", let tag = Int(words[1]), let length = Int(words[2]),
            (1...8).contains(tag), (1...4).contains(length)
        {
            self = .tagged(tag: tag, length: length)
        } else {
            throw place.error("expected ber-tlv or \"tagged 2 3\" (characters of tag and of length)")
        }
    }
}
