public import ISO8583
public import ProfileFile

extension Dialect {
    /// Reads a dialect file.
    /// - Throws: `ProfileFileError` naming file and line.
    public init(path: String) throws(ProfileFileError) {
        self = try DialectFile(ProfileFile(path: path), depth: 0).dialect
    }

    /// - Parameter files: which files the text may extend; none unless its author may.
    public init(text: String, source: String, files: FileAccess = .noFiles) throws(ProfileFileError) {
        self = try DialectFile(ProfileFile(file: source, text: text, files: files), depth: 0).dialect
    }
}

/// What a dialect file says, with what it takes over from the dialect that it extends.
struct DialectFile {
    struct Defaults {
        var numeric: FieldSpecification.Encoding
        var text: FieldSpecification.Encoding
        var binary: FieldSpecification.Encoding
        var length: FieldSpecification.Encoding
        var lengthUnit: FieldSpecification.LengthUnit
        var padding: FieldSpecification.Padding
    }

    var name: String
    var version: Dialect.Version
    var typeEncoding: FieldSpecification.Encoding
    var bitmapEncoding: FieldSpecification.Encoding
    var hasLongBitmap: Bool
    var characters: Dialect.CharacterSet
    var defaults: Defaults
    var fields: [Int: FieldSpecification]

    /// A chain of files that extend each other is no longer than this.
    static let depthLimit = 8

    var dialect: Dialect {
        Dialect(
            name: name, version: version, typeEncoding: typeEncoding, bitmapEncoding: bitmapEncoding,
            hasLongBitmap: hasLongBitmap, characters: characters,
            fields: fields.values.sorted { $0.number < $1.number })
    }

    /// - Parameter depth: how many files extend this one.
    init(_ file: ProfileFile, depth: Int) throws(ProfileFileError) {
        let top = try file.mapping()
        let base = try top.optional("extends").map { (place) throws(ProfileFileError) in
            try Self.extended(place, depth)
        }
        /// What the dialect that is extended says already need not be said again.
        func key(_ name: String) throws(ProfileFileError) -> ProfileFile? {
            base == nil ? try top.required(name) : top.optional(name)
        }
        name = try top.required("name").string()
        if let place = try key("version") {
            guard let known = Dialect.Version(rawValue: try place.integer()) else {
                throw place.error("expected 1987 or 1993")
            }
            version = known
        } else {
            version = base?.version ?? .v1987
        }
        typeEncoding =
            try key("message-type").map { (place) throws(ProfileFileError) in
                try Self.one(of: [.ascii, .bcd, .ebcdic], place)
            } ?? base?.typeEncoding ?? .ascii
        bitmapEncoding =
            try key("bitmap").map { (place) throws(ProfileFileError) in
                try Self.one(of: [.binary, .hex, .ebcdic], place)
            } ?? base?.bitmapEncoding ?? .binary
        hasLongBitmap = base?.hasLongBitmap ?? false
        if let place = top.optional("bitmap-length") {
            let count = try place.integer()
            guard count == 8 || count == 16 else {
                throw place.error("expected 8 (bytes; 8 more where bit 1 is set) or 16 (always)")
            }
            hasLongBitmap = count == 16
        }
        defaults = try Self.defaults(try key("defaults"), base?.defaults)
        // Characters of code page 037 are those of ISO/IEC 8859-1.
        characters =
            try top.optional("characters")?.choice()
            ?? (base.map(\.characters) ?? (defaults.text == .ebcdic ? .latin1 : .ascii))
        fields = base?.fields ?? [:]
        if let list = try key("fields") {
            for (key, value) in try list.mapping().entries() {
                let number = try key.integer(in: 2...128)
                if let text = try? value.string() {
                    guard text == "none", fields.removeValue(forKey: number) != nil else {
                        throw value.error(
                            base == nil
                                ? "expected keys and values"
                                : "expected keys and values, or none for a field that \(base?.name ?? "") has"
                        )
                    }
                    continue
                }
                fields[number] = try Self.field(
                    number: number, place: value, defaults: defaults, base: fields[number])
            }
        }
        try top.finish()
    }

    /// A built-in dialect by its name, or a file.
    private static func extended(_ place: ProfileFile, _ depth: Int) throws(ProfileFileError) -> DialectFile {
        let name = try place.string()
        guard depth < depthLimit else {
            throw place.error("more than \(depthLimit) dialects that extend each other: is it a circle?")
        }
        if let text = Dialect.builtInText(name) {
            return try DialectFile(ProfileFile(file: "\(name).yaml", text: text), depth: depth + 1)
        }
        guard name.contains("/") || name.contains(".") else {
            throw place.error(
                "no such dialect; built in are \(Dialect.builtInNames.joined(separator: ", ")), or name a file"
            )
        }
        return try DialectFile(ProfileFile(path: place.namedFile().path), depth: depth + 1)
    }

    private static func defaults(
        _ place: ProfileFile?, _ base: Defaults?
    ) throws(ProfileFileError) -> Defaults {
        guard let place else {
            return base
                ?? Defaults(
                    numeric: .ascii, text: .ascii, binary: .binary, length: .ascii, lengthUnit: .characters,
                    padding: .leftZero)
        }
        let keys = try place.mapping()
        func encoding(
            _ name: String, _ allowed: [FieldSpecification.Encoding],
            _ inherited: FieldSpecification.Encoding?
        ) throws(ProfileFileError) -> FieldSpecification.Encoding {
            if let inherited, keys.optional(name) == nil { return inherited }
            return try one(of: allowed, try keys.required(name))
        }
        let result = Defaults(
            numeric: try encoding("numeric", [.ascii, .bcd, .ebcdic], base?.numeric),
            text: try encoding("text", [.ascii, .ebcdic], base?.text),
            binary: try encoding("binary", [.binary, .hex], base?.binary),
            length: try encoding("length", [.ascii, .bcd, .binary, .ebcdic], base?.length),
            lengthUnit: try keys.optional("length-unit")?.choice() ?? base?.lengthUnit ?? .characters,
            padding: try keys.optional("padding")?.choice() ?? base?.padding ?? .leftZero)
        try keys.finish()
        return result
    }

    private static func one(
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

    /// - Parameter base: the field of the dialect that is extended: what is not said stays as it is there.
    private static func field(
        number: Int, place: ProfileFile, defaults: Defaults, base: FieldSpecification?
    ) throws(ProfileFileError) -> FieldSpecification {
        let keys = try place.mapping()
        func key(_ name: String) throws(ProfileFileError) -> ProfileFile? {
            base == nil ? try keys.required(name) : keys.optional(name)
        }
        let formatPlace = try key("format")
        let format: FieldSpecification.Format = try formatPlace?.choice() ?? base?.format ?? .b
        let length: FieldSpecification.Length =
            try key("length").map { (place) throws(ProfileFileError) in try Self.length(place) }
            ?? base?.length ?? .fixed(1)
        let standard: FieldSpecification.Encoding =
            switch format {
            case .n: defaults.numeric
            case .z, .xn: defaults.numeric == .bcd ? .bcd : defaults.text
            case .b: defaults.binary
            default: defaults.text
            }
        let inherited = formatPlace == nil ? base?.encoding : nil
        let encodingPlace = keys.optional("encoding")
        let encoding = try encodingPlace?.choice() ?? inherited ?? standard
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
            number: number, name: try key("name")?.string() ?? base?.name ?? "", format: format,
            length: length, encoding: encoding,
            lengthEncoding: try keys.optional("length-encoding").map {
                (place) throws(ProfileFileError) in
                try one(of: [.ascii, .bcd, .binary, .ebcdic], place)
            } ?? base?.lengthEncoding ?? defaults.length,
            lengthUnit: try keys.optional("length-unit")?.choice() ?? base?.lengthUnit ?? defaults.lengthUnit,
            padding: try keys.optional("padding")?.choice() ?? base?.padding ?? defaults.padding,
            sensitivity: try keys.optional("sensitive")?.choice() ?? base?.sensitivity ?? .none,
            layout: try SubfieldLayout(keys) ?? base?.layout,
            signEncoding: base?.signEncoding ?? defaults.text)
        try keys.finish()
        return specification
    }

    /// `12` is fixed; `LL 19`, `LLL 999`, `LLLL 9999` have a prefix of so many digits.
    private static func length(_ place: ProfileFile) throws(ProfileFileError) -> FieldSpecification.Length {
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
