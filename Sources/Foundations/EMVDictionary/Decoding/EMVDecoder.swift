import BERTLV
internal import EMV

/// Explains any piece of EMV data to people: data objects, APDUs, ATRs, DOLs.
///
///     let node = EMVDecoder.explain(hex: "9F6604360040 00")
///     print(node.text(colour: true))
///     print(node.json())
///
/// Decoding never fails: a damaged input gives the tree of what was readable and an error at the place.
public enum EMVDecoder {
    /// What the input is.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Found out by looking at the bytes.
        case automatic
        case tlv, command, response
        /// Answer To Reset (ISO/IEC 7816-3) and Answer To Select (ISO/IEC 14443-4).
        case atr, ats
        /// A Data Object List: tags and lengths.
        case dol
    }

    public struct Options: Sendable {
        public var kind: Kind
        /// Whose meanings tags have; nil to go by an AID in the input, else EMV's.
        public var context: DictionaryContext?
        /// Whether sensitive values are shown in clear. For test data only.
        public var reveal: Bool
        /// Whether bits that are not set are listed, too.
        public var showUnsetBits: Bool
        /// The DOL that the data of a GET PROCESSING OPTIONS or GENERATE AC command answers, if known.
        public var dataObjectList: [UInt8]?
        /// Part of ISO/IEC 8859 of the texts (tag 9F11); nil to go by 9F11 in the input, else part 1.
        public var issuerCodeTable: Int?
        /// For a response that is a record of the transaction log: what it has (tag 9F4F), empty where that is not known.
        var logFormat: [UInt8]?
        /// Says whether the digits of a PAN are a test PAN's, which is shown in clear.
        public var isTestPAN: @Sendable (String) -> Bool

        public init(
            kind: Kind = .automatic, context: DictionaryContext? = nil, reveal: Bool = false,
            showUnsetBits: Bool = false, dataObjectList: [UInt8]? = nil,
            isTestPAN: @escaping @Sendable (String) -> Bool = { Masking.isTestPAN($0) }
        ) {
            self.kind = kind
            self.context = context
            self.reveal = reveal
            self.showUnsetBits = showUnsetBits
            self.dataObjectList = dataObjectList
            self.isTestPAN = isTestPAN
        }
    }

    /// Explains hexadecimal text; white space, `:`, `-`, `_` and a leading `0x` are passed over, and so is what other tools
    /// write around the digits (`PastedHex`) and a length before data objects: the first line of the node then says so. Text
    /// without digits in pairs gives a node with an error that names the character.
    public static func explain(hex text: some StringProtocol, _ options: Options = Options()) -> ExplainedNode
    {
        var digits = Substring(text)
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") { digits = digits.dropFirst(2) }
        if let bytes = Hex.bytes(digits) { return explainPasted(bytes, options, note: nil) }
        if let (data, note) = PastedHex.behindLength(digits: String(digits)) {
            return noted(explain(data, options), note)
        }
        if let pasted = PastedHex(text) { return explainPasted(pasted.bytes, options, note: pasted.note) }
        var position = 0
        var count = 0
        for character in digits {
            if character.isASCII, character.isHexDigit {
                count += 1
            } else if !(character.isWhitespace || ":-_".contains(character)) {
                return ExplainedNode(
                    name: "Input",
                    error: "character \(position + 1) (\(character)) is not a hexadecimal digit")
            }
            position += 1
        }
        return ExplainedNode(name: "Input", error: "\(count) hexadecimal digits: an even number is needed")
    }

    /// Bytes that somebody has copied: perhaps with the length that they had in a message.
    private static func explainPasted(_ bytes: [UInt8], _ options: Options, note: String?) -> ExplainedNode {
        let isOpen = options.kind == .automatic || options.kind == .tlv
        if isOpen, !areKnownObjects(bytes), options.kind == .tlv || detect(bytes) == .tlv,
            let (data, length) = PastedHex.behindLength(bytes)
        {
            return noted(explain(data, options), [note, length].compactMap(\.self).joined(separator: ", "))
        }
        return noted(explain(bytes, options), note)
    }

    private static func noted(_ node: ExplainedNode, _ note: String?) -> ExplainedNode {
        guard let note, !note.isEmpty else { return node }
        var node = node
        node.lines.insert(ExplanationLine("read: \(note)"), at: 0)
        return node
    }

    /// Whether the bytes are data objects as a whole, each of which the dictionary has.
    static func areKnownObjects(_ bytes: [UInt8]) -> Bool {
        dataObjects(bytes).map { nodes in !nodes.isEmpty && nodes.allSatisfy { isKnown($0.tag) } } ?? false
    }

    /// Explains bytes.
    public static func explain(_ bytes: [UInt8], _ options: Options = Options()) -> ExplainedNode {
        if bytes.isEmpty { return ExplainedNode(name: "Input", offset: 0, length: 0, error: "no data") }
        let kind = options.kind == .automatic ? detect(bytes) : options.kind
        var session = Session(bytes: bytes, options: options)
        switch kind {
        case .command: return session.command()
        case .response: return session.response()
        case .atr: return session.answerToReset()
        case .ats: return session.answerToSelect()
        case .dol:
            var node = session.dataObjectList(0..<bytes.count)
            if options.kind == .automatic, dataObjects(bytes) == nil {
                node.lines.insert(
                    ExplanationLine("read: as tags and lengths; as data objects it would be cut"), at: 0)
            }
            return node
        case .tlv, .automatic: return session.dataObjects()
        }
    }

    /// What the bytes most likely are. Never `.automatic`.
    public static func detect(_ bytes: [UInt8]) -> Kind {
        if bytes.count == 2, bytes[0] == 0x90 || bytes[0] >> 4 == 6 { return .response }
        if let first = bytes.first, first == 0x3B || first == 0x3F,
            AnswerToResetLayout(bytes)?.isComplete == true
        {
            return .atr
        }
        if isLikelyCommand(bytes) { return .command }
        if bytes.count > 2, isStatus(bytes[bytes.count - 2], bytes[bytes.count - 1]) {
            let data = Array(bytes.dropLast(2))
            if let nodes = dataObjects(data), !nodes.isEmpty,
                isKnown(nodes[0].tag)
            {
                return .response
            }
        }
        if let nodes = dataObjects(bytes), !nodes.isEmpty,
            nodes.allSatisfy({ isKnown($0.tag) })
        {
            return .tlv
        }
        if let entries = try? DataObjectList.entries(bytes, name: 0x9F38), !entries.isEmpty,
            entries.allSatisfy({ isKnown($0.tag) })
        {
            return .dol
        }
        return .tlv
    }

    /// The data objects that the bytes are as a whole; nil where they are none.
    private static func dataObjects(_ bytes: [UInt8]) -> [TLVNode]? {
        try? TLVNode.parse(bytes, padding: padding(of: bytes))
    }

    /// FF begins a tag (such as Kernel 2's FF8106) where the bytes so read are data objects as a whole, else
    /// it is padding.
    static func padding(of bytes: [UInt8]) -> BERTLVReader.Padding {
        (try? TLVNode.parse(bytes, padding: .zeros)) != nil ? .zeros : .zerosAndFF
    }

    private static func isKnown(_ tag: Tag) -> Bool { !DataDictionary.meanings(of: tag).isEmpty }

    private static func isStatus(_ sw1: UInt8, _ sw2: UInt8) -> Bool {
        switch sw1 {
        case 0x90: sw2 == 0
        case 0x61, 0x62, 0x63, 0x64, 0x65, 0x67...0x6C, 0x6D, 0x6E, 0x6F: true
        default: false
        }
    }

    private static func isLikelyCommand(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 4, let instruction = CommandName(cla: bytes[0], ins: bytes[1]),
            instruction.isCommon
        else { return false }
        return CommandLayout(bytes)?.error == nil
    }
}

/// How values are hidden from people.
public enum Masking {
    /// First digits of published test PANs: not accounts of anybody.
    static let testPrefixes = [
        "476173900", "489537000000", "489538000000", "489539000000", "541333", "520474000000", "411111111111",
        "401288888888", "555555555555", "222300000000", "378282246310", "371449635398", "374245", "356999001",
        "353011133330", "601100000000", "601111111111", "651000000000", "625094000000", "620000000000",
        "679999", "672998",
    ]

    /// Whether the digits are a published test PAN's, or this project's.
    public static func isTestPAN(_ digits: String) -> Bool {
        testPrefixes.contains { digits.hasPrefix($0) }
    }

    /// First six and last four digits, the rest as `*`; of fewer than 13 digits the last four only.
    public static func masked(pan digits: String) -> String {
        let count = digits.count
        let head = count >= 13 ? 6 : 0
        guard count > head + 4 else { return String(repeating: "*", count: count) }
        return digits.prefix(head) + String(repeating: "*", count: count - head - 4) + digits.suffix(4)
    }

    /// Hides each run of 13 to 19 decimal digits that begins as a PAN does and passes the Luhn check, for
    /// hexadecimal text whose structure is unknown.
    static func maskPANs(in hex: String, unless isTestPAN: (String) -> Bool) -> (text: String, isMasked: Bool)
    {
        let characters = Array(hex.utf8)
        var shown = characters
        var found = false
        var index = 0
        // Every start is looked at, inside a match, too: digits before a number may match by chance and
        // must not uncover the rest of it.
        while index < characters.count {
            defer { index += 1 }
            guard (0x32...0x36).contains(characters[index]) else { continue }
            var end = index
            while end < characters.count, end - index < 19, (0x30...0x39).contains(characters[end]) {
                end += 1
            }
            while end - index >= 13, !luhn(characters[index..<end]) { end -= 1 }
            guard end - index >= 13 else { continue }
            if isTestPAN(String(decoding: characters[index..<end], as: UTF8.self)) {
                index = end - 1
            } else {
                for position in (index + 6)..<(end - 4) { shown[position] = 0x2A }
                found = true
            }
        }
        return (String(decoding: shown, as: UTF8.self), found)
    }

    /// The check digit rule of ISO/IEC 7812-1, Annex B, on ASCII digits.
    static func luhn(_ digits: some BidirectionalCollection<UInt8>) -> Bool {
        var sum = 0
        for (position, digit) in digits.reversed().enumerated() {
            guard (0x30...0x39).contains(digit) else { return false }
            let value = Int(digit - 0x30) * (position.isMultiple(of: 2) ? 1 : 2)
            sum += value > 9 ? value - 9 : value
        }
        return sum.isMultiple(of: 10)
    }
}

extension EMVDecoder {
    /// The state of explaining one input.
    struct Session {
        let bytes: [UInt8]
        let options: Options
        var context: DictionaryContext
        /// Values met anywhere in the input: currencies for amounts, AIDs for the context.
        var seen: [Tag: ArraySlice<UInt8>] = [:]

        /// What is passed over between data objects.
        var padding = BERTLVReader.Padding.zerosAndFF

        static let depthLimit = 16

        init(bytes: [UInt8], options: Options) {
            self.bytes = bytes
            self.options = options
            context = options.context ?? .emv
        }

        // MARK: Data objects

        mutating func dataObjects() -> ExplainedNode {
            survey(0..<bytes.count, depth: 0)
            let (nodes, error) = elements(0..<bytes.count, within: nil, depth: 0)
            if nodes.count == 1, error == nil, let node = nodes.first { return node }
            return ExplainedNode(
                name: "Data objects", offset: 0, length: bytes.count, children: nodes, error: error)
        }

        /// Collects values and, unless told, the context from the first known AID.
        mutating func survey(_ range: Range<Int>, depth: Int) {
            let input = bytes
            if depth == 0 { padding = EMVDecoder.padding(of: Array(input[range])) }
            var reader = BERTLVReader(input.span, in: range, padding: padding)
            var inner: [Range<Int>] = []
            while let element = try? reader.next() {
                if element.tag.isConstructed {
                    inner.append(element.value)
                } else if seen[element.tag] == nil {
                    seen[element.tag] = input[element.value]
                }
            }
            if depth < Self.depthLimit { for range in inner { survey(range, depth: depth + 1) } }
            if depth == 0 { adoptContext() }
        }

        mutating func adoptContext() {
            guard options.context == nil else { return }
            for tag: Tag in [0x84, 0x4F, 0x9F06] {
                if let identifier = seen[tag],
                    let found = DictionaryContext(applicationIdentifier: identifier)
                {
                    context = found
                    return
                }
            }
        }

        func elements(
            _ range: Range<Int>, within template: Tag?, depth: Int
        ) -> (nodes: [ExplainedNode], error: String?) {
            var nodes: [ExplainedNode] = []
            var reader = BERTLVReader(bytes.span, in: range, padding: padding)
            while true {
                let position = reader.position
                do {
                    guard let element = try reader.next() else { return (nodes, nil) }
                    nodes.append(
                        node(element.tag, at: element.start, value: element.value, within: template, depth))
                } catch {
                    switch error {
                    case .valueTooShort(let tag, let offset, _, let available):
                        let end = range.clamped(to: 0..<bytes.count).upperBound
                        var damaged = node(
                            tag, at: offset, value: (end - available)..<end, within: template, depth)
                        damaged.error = error.description
                        nodes.append(damaged)
                        return (nodes, nil)
                    case .truncatedLength(let tag, let offset), .unsupportedLength(let tag, let offset, _),
                        .nestedTooDeep(let tag, let offset, _):
                        let entry = DataDictionary.entry(for: tag, in: context, within: template)
                        nodes.append(
                            ExplainedNode(
                                name: entry?.name ?? "Unknown data object", tag: tag.description,
                                offset: offset, error: error.description))
                        return (nodes, nil)
                    case .truncatedTag, .tagTooLong:
                        let end = range.clamped(to: 0..<bytes.count).upperBound
                        let rest = shown(bytes[min(position, end)..<end])
                        return (nodes, error.description + " (left: \(rest.text))")
                    }
                }
            }
        }

        func node(
            _ tag: Tag, at start: Int?, value range: Range<Int>, within template: Tag?, _ depth: Int
        ) -> ExplainedNode {
            let entry = DataDictionary.entry(
                for: tag, in: context, within: template, length: tag.isConstructed ? nil : range.count)
            var node = ExplainedNode(
                name: entry?.name ?? "Unknown data object", tag: tag.description, offset: start,
                length: range.count)
            if tag.isConstructed, !(tag == 0x80) {
                guard depth < Self.depthLimit else {
                    node.error =
                        BERTLVError.nestedTooDeep(
                            tag: tag, offset: start ?? range.lowerBound, limit: Self.depthLimit
                        ).description
                    return node
                }
                (node.children, node.error) = elements(range, within: tag, depth: depth + 1)
                return node
            }
            let value = bytes[range]
            fill(&node, tag: tag, entry: entry, value: value)
            if tag == 0x80, template == nil { node.children = format1(range) }
            if let entry, !entry.lengths.contains(value.count), node.children.isEmpty {
                node.lines.append(
                    ExplanationLine(
                        entry.lengths.count == 1
                            ? "note: \(value.count) bytes where \(entry.lengths.lowerBound) are specified"
                            : "note: \(value.count) bytes where \(entry.lengths.lowerBound) to \(entry.lengths.upperBound) are specified"
                    ))
            }
            return node
        }

        /// Value and lines of a primitive data object, masked where it must be.
        func fill(
            _ node: inout ExplainedNode, tag: Tag, entry: DataDictionary.Entry?, value: ArraySlice<UInt8>
        ) {
            guard let entry else {
                let shown = shown(value)
                node.value = shown.text
                node.isMasked = shown.isMasked
                return
            }
            if entry.isSensitive, !options.reveal {
                let hidden = sensitive(tag, entry, value)
                node.value = hidden.value
                node.isMasked = hidden.isMasked
                node.lines = hidden.lines
                return
            }
            node.value = Hex.string(value)
            node.lines = lines(tag, entry, value)
        }

        /// Hexadecimal text of bytes without known structure, PANs in it masked.
        func shown(_ value: some Collection<UInt8>) -> (text: String, isMasked: Bool) {
            let text = Hex.string(value)
            if options.reveal { return (text, false) }
            return Masking.maskPANs(in: text, unless: options.isTestPAN)
        }

        // MARK: Response format 1

        /// The unnamed parts of template 80: AIP and AFL, or CID, ATC, cryptogram and IAD (Book 3, 6.5.5.4
        /// and 6.5.8.4).
        func format1(_ range: Range<Int>) -> [ExplainedNode] {
            let value = bytes[range]
            func part(_ tag: Tag, _ from: Int, _ count: Int) -> ExplainedNode {
                let start = range.lowerBound + from
                return node(tag, at: start, value: start..<(start + count), within: nil, 1)
            }
            let isProcessingOptions =
                value.count >= 6 && (value.count - 2).isMultiple(of: 4)
                && (try? ApplicationFileLocator(Array(value.dropFirst(2)).span)) != nil
            if isProcessingOptions { return [part(0x82, 0, 2), part(0x94, 2, value.count - 2)] }
            if value.count >= 11, value.count <= 43 {
                var parts = [part(0x9F27, 0, 1), part(0x9F36, 1, 2), part(0x9F26, 3, 8)]
                if value.count > 11 { parts.append(part(0x9F10, 11, value.count - 11)) }
                return parts
            }
            return []
        }

        // MARK: Data Object Lists

        func dataObjectList(_ range: Range<Int>) -> ExplainedNode {
            let shown = shown(bytes[range])
            var node = ExplainedNode(
                name: "Data Object List", offset: range.lowerBound, length: range.count,
                value: shown.text, isMasked: shown.isMasked)
            var offset = range.lowerBound
            var total = 0
            let end = range.upperBound
            while offset < end {
                let start = offset
                guard let (tag, next) = tag(at: offset, end: end), next < end else {
                    node.error = "offset \(start): the list ends inside an entry"
                    break
                }
                let length = Int(bytes[next])
                total += length
                offset = next + 1
                let entry = DataDictionary.entry(for: tag, in: context, length: length)
                node.children.append(
                    ExplainedNode(
                        name: entry?.name ?? "Unknown data object", tag: tag.description, offset: start,
                        length: length))
            }
            node.lines.append(ExplanationLine("\(node.children.count) data objects, \(total) bytes in all"))
            return node
        }

        func tag(at start: Int, end: Int) -> (tag: Tag, next: Int)? {
            guard start < end else { return nil }
            var raw = UInt32(bytes[start])
            var offset = start + 1
            if raw & 0x1F == 0x1F {
                while true {
                    guard offset < end, offset - start < 4 else { return nil }
                    raw = raw << 8 | UInt32(bytes[offset])
                    offset += 1
                    if raw & 0x80 == 0 { break }
                }
            }
            return (Tag(raw), offset)
        }

        /// The values that answer a DOL, named by it.
        mutating func answers(
            _ list: [UInt8], _ range: Range<Int>
        ) -> (nodes: [ExplainedNode], error: String?) {
            guard let entries = try? DataObjectList.entries(list, name: 0x9F38) else {
                return ([], "the DOL given is malformed")
            }
            // An amount's currency may come behind it.
            var place = range.lowerBound
            for entry in entries where entry.length <= range.upperBound - place {
                seen[entry.tag] = bytes[place..<(place + entry.length)]
                place += entry.length
            }
            var nodes: [ExplainedNode] = []
            var offset = range.lowerBound
            for entry in entries {
                guard entry.length <= range.upperBound - offset else {
                    let left = range.upperBound - offset
                    return (
                        nodes,
                        "offset \(offset): tag \(entry.tag) needs \(entry.length) bytes, \(left) are left"
                    )
                }
                let end = offset + entry.length
                nodes.append(node(entry.tag, at: offset, value: offset..<end, within: nil, 1))
                offset = end
            }
            if offset < range.upperBound {
                return (nodes, "offset \(offset): \(range.upperBound - offset) bytes beyond the DOL")
            }
            return (nodes, nil)
        }
    }
}
