public import BERTLV

/// Where a tag has a given meaning: a specification, a kernel or a scheme. Tags beyond EMV Book 3 are
/// reused, so `9F6E` is Third Party Data to Kernel 2 and the Form Factor Indicator to Kernel 3.
public enum DictionaryContext: String, CaseIterable, Sendable, Codable {
    /// EMV Books 1 to 4.
    case emv
    /// Books A and B (Entry Point).
    case entryPoint
    case kernel2, kernel3, kernel4, kernel5, kernel6, kernel7, kernel8
    /// Card data of the schemes beyond what their kernels read.
    case visa, mastercard, americanExpress, jcb, discover, unionPay, interac
    /// ISO/IEC 7816-4 and -6.
    case iso7816
    case globalPlatform

    /// The character that stands for the context in `DictionaryTable`.
    var symbol: Character {
        switch self {
        case .emv: "E"
        case .entryPoint: "B"
        case .kernel2: "2"
        case .kernel3: "3"
        case .kernel4: "4"
        case .kernel5: "5"
        case .kernel6: "6"
        case .kernel7: "7"
        case .kernel8: "8"
        case .visa: "V"
        case .mastercard: "M"
        case .americanExpress: "A"
        case .jcb: "J"
        case .discover: "D"
        case .unionPay: "U"
        case .interac: "N"
        case .iso7816: "I"
        case .globalPlatform: "G"
        }
    }

    /// The contexts to ask, this one first, until one knows a tag: the kernel, its scheme, the EMV books,
    /// the interindustry standards, then any other.
    public var fallbacks: [DictionaryContext] {
        var first: [DictionaryContext]
        switch self {
        case .kernel2, .mastercard: first = [.kernel2, .mastercard]
        case .kernel3, .visa: first = [.kernel3, .visa]
        case .kernel4, .americanExpress: first = [.kernel4, .americanExpress]
        case .kernel5, .jcb: first = [.kernel5, .jcb]
        case .kernel6, .discover: first = [.kernel6, .discover]
        case .kernel7, .unionPay: first = [.kernel7, .unionPay]
        default: first = []
        }
        if first.last == self { first.reverse() }
        if first.first != self { first.insert(self, at: 0) }
        let others: [DictionaryContext] = [
            .emv, .entryPoint, .kernel3, .kernel2, .iso7816, .visa, .mastercard, .kernel4, .kernel5, .kernel6,
            .kernel7, .kernel8,
        ]
        for other in others + Self.allCases where !first.contains(other) { first.append(other) }
        return first
    }

    /// The kernel or scheme of an application by its RID (first five bytes of the AID); nil where the RID
    /// is unknown or the identifier too short. Defaults by RID: Book B, 3.3.2.3.
    public init?(applicationIdentifier: some Collection<UInt8>) {
        switch Array(applicationIdentifier.prefix(5)) {
        case [0xA0, 0x00, 0x00, 0x00, 0x03]: self = .kernel3
        case [0xA0, 0x00, 0x00, 0x00, 0x04]: self = .kernel2
        case [0xA0, 0x00, 0x00, 0x00, 0x25]: self = .kernel4
        case [0xA0, 0x00, 0x00, 0x00, 0x65]: self = .kernel5
        case [0xA0, 0x00, 0x00, 0x01, 0x52], [0xA0, 0x00, 0x00, 0x03, 0x24]: self = .kernel6
        case [0xA0, 0x00, 0x00, 0x03, 0x33]: self = .kernel7
        case [0xA0, 0x00, 0x00, 0x02, 0x77]: self = .interac
        case [0xA0, 0x00, 0x00, 0x01, 0x51]: self = .globalPlatform
        default: return nil
        }
    }
}

/// What is known about tags: names, formats, lengths, sources, sensitivity, by context.
public enum DataDictionary {
    /// How a value is coded (EMV Book 3, 4.3).
    public enum Format: String, Sendable, Codable {
        /// Binary.
        case b
        /// Packed decimal digits, right-justified, padded with zeros.
        case n
        /// Packed decimal digits, left-justified, padded with F.
        case cn
        /// Letters.
        case a
        /// Letters and digits.
        case an
        /// Letters, digits and special characters.
        case ans
        /// Variable: as the contained data or the source says.
        case variable = "var"
    }

    /// Who provides a data object.
    public struct Sources: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let card = Self(rawValue: 1)
        public static let terminal = Self(rawValue: 2)
        public static let issuer = Self(rawValue: 4)
        public static let kernel = Self(rawValue: 8)
    }

    /// One meaning of a tag.
    public struct Entry: Sendable, Hashable {
        public let tag: Tag
        /// Name of the constant in `extension Tag`; nil where there is none.
        public let constantName: String?
        /// The name in the specification.
        public let name: String
        public let format: Format
        /// Greatest number of digits (formats n and cn); nil where the length alone decides.
        public let maximumDigits: Int?
        /// Allowed numbers of bytes, least to greatest. 0...255 where the source says "variable".
        public let lengths: ClosedRange<Int>
        public let sources: Sources
        /// The books, kernels and schemes that give the tag this meaning.
        public let contexts: Set<DictionaryContext>
        /// Whether the value must be masked for people: PAN, track data, PIN, key, name, card code.
        public let isSensitive: Bool
        /// The templates in which alone the tag has this meaning; empty where it has it anywhere.
        public let templates: [Tag]

        /// Whether the value is itself a sequence of data objects.
        public var isTemplate: Bool { tag.isConstructed }
    }

    /// All meanings, sorted by tag; meanings of one tag in the order of the table.
    public static let entries: [Entry] = {
        var parsed: [Entry] = []
        parsed.reserveCapacity(600)
        for group in DictionaryTable.groups {
            for line in group.split(separator: "\n") {
                if let entry = Entry(line: line) { parsed.append(entry) }
            }
        }
        // `sorted` is not stable, so the position breaks ties.
        return parsed.enumerated()
            .sorted { ($0.element.tag, $0.offset) < ($1.element.tag, $1.offset) }
            .map(\.element)
    }()

    /// Number of different tags.
    public static var tagCount: Int { Set(entries.map(\.tag)).count }

    /// Every meaning of a tag. O(log n).
    public static func meanings(of tag: Tag) -> ArraySlice<Entry> {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].tag < tag { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < entries.count, entries[end].tag == tag { end += 1 }
        return entries[low..<end]
    }

    /// The meaning of a tag; nil where unknown. O(log n).
    ///
    /// - Parameters:
    ///   - context: whose meaning is wanted; others follow in the order of its `fallbacks`.
    ///   - template: the template that holds the data object, if any.
    ///   - length: the value's number of bytes; a meaning that allows it goes before one that does not,
    ///     unless the latter belongs to `context` itself.
    public static func entry(
        for tag: Tag, in context: DictionaryContext = .emv, within template: Tag? = nil, length: Int? = nil
    ) -> Entry? {
        let meanings = meanings(of: tag)
        if meanings.isEmpty { return nil }
        if let template, let entry = meanings.first(where: { $0.templates.contains(template) }) {
            return entry
        }
        let general = meanings.filter { $0.templates.isEmpty }
        if general.count < 2 { return general.first }
        var best: Entry?
        for candidate in context.fallbacks {
            for entry in general where entry.contexts.contains(candidate) {
                if candidate == context, candidate != .emv { return entry }
                if length.map(entry.lengths.contains) ?? true { return entry }
                best = best ?? entry
            }
        }
        return best ?? general.first
    }

    /// The name of a tag; nil where unknown.
    public static func name(of tag: Tag, in context: DictionaryContext = .emv) -> String? {
        entry(for: tag, in: context)?.name
    }

    /// Meanings whose name, constant name or tag contains the text, ignoring case.
    public static func search(_ text: String) -> [Entry] {
        let wanted = text.lowercased()
        return entries.filter {
            $0.name.lowercased().contains(wanted) || $0.tag.description.lowercased() == wanted
                || ($0.constantName?.lowercased().contains(wanted) ?? false)
        }
    }
}

extension DataDictionary.Entry {
    /// Reads one line of `DictionaryTable`; nil where malformed.
    init?(line: Substring) {
        let fields = line.split(separator: "|", omittingEmptySubsequences: false)
        guard fields.count == 8, let tag = Tag(hex: fields[0]) else { return nil }
        let letters = fields[3].prefix { !$0.isNumber }
        guard let format = DataDictionary.Format(rawValue: String(letters)) else { return nil }
        let digits = fields[3].dropFirst(letters.count)
        let bounds = fields[4].split(separator: "-").compactMap { Int($0) }
        guard let least = bounds.first, let greatest = bounds.last, least <= greatest else { return nil }
        var sources: DataDictionary.Sources = []
        for letter in fields[5] {
            switch letter {
            case "I": sources.insert(.card)
            case "T": sources.insert(.terminal)
            case "S": sources.insert(.issuer)
            case "K": sources.insert(.kernel)
            default: return nil
            }
        }
        var contexts: Set<DictionaryContext> = []
        for letter in fields[6] {
            for context in DictionaryContext.allCases
            where context.symbol == letter || (letter == "*" && ("2"..."8").contains(context.symbol)) {
                contexts.insert(context)
            }
        }
        var templates: [Tag] = []
        var isSensitive = false
        for flag in fields[7].split(separator: ",") {
            if flag == "s" {
                isSensitive = true
            } else if let template = Tag(hex: flag.first == "p" ? flag.dropFirst() : flag) {
                templates.append(template)
            } else {
                return nil
            }
        }
        self.init(
            tag: tag, constantName: fields[1] == "-" ? nil : String(fields[1]), name: String(fields[2]),
            format: format, maximumDigits: Int(digits), lengths: least...greatest, sources: sources,
            contexts: contexts, isSensitive: isSensitive, templates: templates)
    }
}
