internal import EMV
internal import EMVDictionary
public import ISO8583

/// Card acceptor name and location, field 43.
public struct CardAcceptor: Sendable, Equatable {
    public var name: String
    /// City, as the profile's location has it.
    public var city: String
    /// ISO 3166-1 numeric; 0 where it is not known.
    public var country: Int

    public init(name: String, city: String = "", country: Int = 0) {
        self.name = name
        self.city = city
        self.country = country
    }

    /// What a piece of the field holds, by its name in the dialect file.
    private enum Part {
        case name, city, country, other

        init(_ name: String) {
            let words = name.lowercased()
            self =
                if words.contains("country") {
                    .country
                } else if words.contains("city") || words.contains("location") {
                    .city
                } else if words.contains("name") { .name } else { .other }
        }
    }

    /// The field's bytes in the dialect's characters, each part in its place, cut where it is longer.
    ///
    /// Where the dialect file names parts of fixed length, these: of ISO 8583:1987 name 25, city 13, country 2. Else, in a
    /// field of 1993 that is long enough: name, street and city each ended by a backslash, then postal code (10), region
    /// (3) and country (3). Else name and city, separated by a space.
    // Unconfirmed: the form of 1993, which is that of networks' published field lists.
    public func value(in dialect: Dialect) -> [UInt8] {
        guard let field = dialect[43] else { return [] }
        func text(_ text: String) -> [UInt8] { dialect.characters.encoded(text).bytes }
        func filled(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
            bytes.prefix(count) + Array(repeating: 0x20, count: max(0, count - bytes.count))
        }
        if case .positions(let pieces, repeats: false)? = field.layout {
            var result: [UInt8] = []
            for piece in pieces {
                let count = piece.count ?? max(0, field.most - result.count)
                let part: [UInt8] =
                    switch Part(piece.name) {
                    case .name: text(name)
                    case .city: text(city)
                    case .country: text(countryCode(count))
                    case .other: []
                    }
                result += piece.count == nil ? Array(part.prefix(count)) : filled(part, count)
            }
            return Array(result.prefix(field.most))
        }
        if dialect.version == .v1993, field.most >= 99 {
            func part(_ bytes: [UInt8], _ most: Int) -> [UInt8] {
                bytes.prefix(most).map { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0 } + [
                    UInt8(ascii: "\\")
                ]
            }
            return part(text(name), 48) + part([], 0) + part(text(city), 32)
                + filled([], 13) + filled(text(countryCode(3)), 3)
        }
        let city = text(city)
        let room = city.isEmpty ? field.most : max(0, field.most - city.count - 1)
        return Array((text(name).prefix(room) + (city.isEmpty ? [] : [0x20] + city)).prefix(field.most))
    }

    private func countryCode(_ count: Int) -> String {
        guard let entry = CodeTable.country(country) else { return "" }
        return count == 2 ? entry.alpha2 : count >= 3 ? entry.alpha3 : ""
    }

    /// What a received field 43 says.
    init(_ value: ArraySlice<UInt8>, in dialect: Dialect) {
        self.init(name: "")
        func text(_ bytes: some Sequence<UInt8>) -> String {
            var text = ""
            for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
            return text.trimmed
        }
        if let layout = dialect[43]?.layout {
            for piece in layout.split(value) {
                switch Part(piece.name) {
                case .name: name = text(piece.value)
                case .city: city = text(piece.value)
                case .country: country = CodeTable.country(text(piece.value))?.numeric ?? 0
                case .other: break
                }
            }
            return
        }
        let parts = value.split(separator: UInt8(ascii: "\\"), maxSplits: 3, omittingEmptySubsequences: false)
        name = text(parts.first ?? [])
        guard parts.count == 4 else { return }
        city = text(parts[2])
        country = CodeTable.country(text(parts[3].dropFirst(13)))?.numeric ?? 0
    }

    /// What of the texts this dialect cannot say as they are: characters that it has no spelling for, and what is cut.
    /// Empty where the field says all of it, in letters with or without their marks.
    public func problems(in dialect: Dialect) -> [TextProblem] {
        guard dialect[43] != nil else { return [] }
        var problems: [TextProblem] = []
        func add(isRefused: Bool, _ text: String) {
            problems.append(TextProblem(isRefused: isRefused, description: text))
        }
        for (key, text) in [("name", name), ("location", city)] {
            let (bytes, lost) = dialect.characters.encoded(text)
            if !lost.isEmpty {
                let shown = lost.prefix(5).map { "\"\(PlainText.clean(String($0)))\"" }.joined(
                    separator: ", ")
                add(
                    isRefused: true,
                    "merchant.\(key): \(shown) cannot be written in the characters of dialect \(dialect.name) (\(dialect.characters.rawValue))"
                )
            }
            var alone = CardAcceptor(name: "")
            if key == "name" { alone.name = text } else { alone.city = text }
            let back = CardAcceptor(alone.value(in: dialect)[...], in: dialect)
            let kept =
                key == "name" || dialect[43]?.layout == nil && dialect.version == .v1987
                ? back.name : back.city
            let whole = String(decoding: bytes.map { $0 < 0x80 ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
                .trimmed
            if lost.isEmpty, kept.unicodeScalars.count < whole.unicodeScalars.count {
                add(
                    isRefused: false,
                    "merchant.\(key): \(bytes.count) bytes, of which field 43 of dialect \(dialect.name) takes \(kept.unicodeScalars.count): \"\(PlainText.clean(kept))\""
                )
            }
        }
        return problems
    }
}

/// What of a terminal's texts a host's messages cannot say.
public struct TextProblem: Sendable, Equatable, CustomStringConvertible {
    /// Whether it cannot be said at all, rather than being cut.
    public let isRefused: Bool
    public let description: String
}

extension HostInterface {
    /// What a terminal's texts lose in this host's messages: characters that the dialect does not have, and what is longer
    /// than its place. Empty where nothing is lost.
    public func problems(
        terminalID: String, merchantID: String, merchant: CardAcceptor
    ) -> [TextProblem] {
        var problems = merchant.problems(in: dialect)
        for (key, field, text) in [("terminal.id", 41, terminalID), ("merchant.id", 42, merchantID)] {
            guard let place = dialect[field] else { continue }
            let (bytes, lost) = dialect.characters.encoded(text)
            if !lost.isEmpty || bytes != Array(text.utf8) {
                problems.append(
                    TextProblem(
                        isRefused: true,
                        description: "\(key): only letters and digits of ASCII may stand in field \(field)"))
            } else if bytes.count > place.most {
                problems.append(
                    TextProblem(
                        isRefused: true,
                        description:
                            "\(key): \(bytes.count) characters, field \(field) of dialect \(dialect.name) takes \(place.most)"
                    ))
            }
        }
        return problems
    }
}
