internal import BERTLV
internal import EMV

extension EMVDecoder {
    /// What earlier commands and responses of an exchange say about one: what its data answer, and in which characters its
    /// texts are.
    public struct Hint: Sendable, Equatable {
        /// The list that the data of a command answer: PDOL, CDOL, DDOL, UDOL or DRDOL.
        public var dataObjectList: [UInt8]?
        /// Part of ISO/IEC 8859 (tag 9F11), where no 9F11 comes with the data themselves.
        public var issuerCodeTable: Int?
        /// Whether a response to READ RECORD is a record of the transaction log, which is no data objects.
        public var isLogRecord = false
        /// What a record of the transaction log has (tag 9F4F).
        public var logFormat: [UInt8]?
        /// Whose meanings tags have, by the application that was selected.
        public var context: DictionaryContext?

        public init() {}
    }

    /// Explains a command or response by what came before it.
    public static func explain(_ bytes: [UInt8], _ options: Options, hint: Hint) -> ExplainedNode {
        var options = options
        options.context = options.context ?? hint.context
        options.issuerCodeTable = hint.issuerCodeTable
        options.logFormat = hint.isLogRecord ? hint.logFormat ?? [] : nil
        guard options.dataObjectList == nil, let list = hint.dataObjectList else {
            return explain(bytes, options)
        }
        let plain = explain(bytes, options)
        options.dataObjectList = list
        let node = explain(bytes, options)
        // A list that does not fit was not the one that was answered.
        return node.hasErrors && !plain.hasErrors ? plain : node
    }
}

/// Listens to the commands and responses of one card and tells what each needs to be explained: the lists that the card has
/// given and that the terminal answers, its transaction log, and its alphabet.
///
///     var context = ExchangeContext()
///     let tree = EMVDecoder.explain(command, options, hint: context.sent(command))
///     let answer = EMVDecoder.explain(response, options, hint: context.received(response))
public struct ExchangeContext: Sendable {
    private var lists: [Tag: [UInt8]] = [:]
    private var logEntry: [UInt8]?
    private var logFormat: [UInt8]?
    private var codeTable: Int?
    private var context: DictionaryContext?
    private var generatedCryptograms = 0
    /// SFI of the record that was asked for last; nil after other commands.
    private var recordSFI: UInt8?
    private var isSelecting = false

    /// PDOL, CDOL1, CDOL2, DDOL, UDOL, DRDOL, DSDOL. 9F69 is a list in Kernel 2's applications only, as 9F51 and 9F5B.
    private static let listTags: [Tag] = [0x9F38, 0x8C, 0x8D, 0x9F49, 0x9F69, 0x9F51, 0x9F5B]
    /// Unpredictable Number, 4 bytes: the DDOL that a terminal may have where the card has none (EMV Book 3, 6.5.9), and
    /// the default UDOL (Book C-2, A.1.50: 9F6A 04).
    private static let defaultDDOL: [UInt8] = [0x9F, 0x37, 0x04]
    private static let defaultUDOL: [UInt8] = [0x9F, 0x6A, 0x04]

    public init() {}

    /// Takes note of a command.
    public mutating func sent(_ command: [UInt8]) -> EMVDecoder.Hint {
        recordSFI = nil
        isSelecting = false
        guard command.count >= 4, let name = CommandName(cla: command[0], ins: command[1])?.name else {
            return hint()
        }
        var hint = hint()
        switch name {
        case "SELECT":
            self = ExchangeContext()
            isSelecting = true
            hint = EMVDecoder.Hint()
        case "GET PROCESSING OPTIONS": hint.dataObjectList = lists[0x9F38]
        case "GENERATE AC":
            generatedCryptograms += 1
            hint.dataObjectList = generatedCryptograms == 1 ? firstList(command) : lists[0x8D]
        case "INTERNAL AUTHENTICATE": hint.dataObjectList = lists[0x9F49] ?? Self.defaultDDOL
        case "COMPUTE CRYPTOGRAPHIC CHECKSUM": hint.dataObjectList = lists[0x9F69] ?? Self.defaultUDOL
        case "RECOVER AC": hint.dataObjectList = lists[0x9F51]
        case "READ RECORD": recordSFI = command[3] >> 3
        default: break
        }
        return hint
    }

    /// CDOL1, with the DSDOL behind it where data storage adds it (EMV Contactless Book C-2, S9).
    private func firstList(_ command: [UInt8]) -> [UInt8]? {
        guard let list = lists[0x8C] else { return nil }
        guard let more = lists[0x9F5B], let layout = CommandLayout(command),
            let wanted = Self.answerCount(list),
            wanted < layout.data.count
        else { return list }
        return list + more
    }

    private static func answerCount(_ list: [UInt8]) -> Int? {
        (try? DataObjectList.entries(list, name: 0x8C))?.reduce(0) { $0 + $1.length }
    }

    /// Takes note of a response.
    public mutating func received(_ response: [UInt8]) -> EMVDecoder.Hint {
        defer { recordSFI = nil }
        guard response.count > 2 else { return hint() }
        let data = Array(response.dropLast(2))
        if let recordSFI, isLog(recordSFI, data) {
            var hint = hint()
            hint.isLogRecord = true
            return hint
        }
        collect(data, 0..<data.count, depth: 0)
        if isSelecting { isSelecting = false }
        return hint()
    }

    /// The log's records have no template (EMV Book 3, Annex D4); records of SFI 1 to 10 have 70 (6.5.11).
    private func isLog(_ sfi: UInt8, _ data: [UInt8]) -> Bool {
        if let entry = logEntry?.first { return sfi == entry & 0x1F }
        return (11...30).contains(sfi) && data.first != 0x70
    }

    private func hint() -> EMVDecoder.Hint {
        var hint = EMVDecoder.Hint()
        hint.issuerCodeTable = codeTable
        hint.logFormat = logFormat
        hint.context = context
        return hint
    }

    private mutating func collect(_ data: [UInt8], _ range: Range<Int>, depth: Int) {
        var reader = BERTLVReader(data.span, in: range, padding: .zerosAndFF)
        while let element = try? reader.next() {
            if element.tag.isConstructed {
                if depth < 8 { collect(data, element.value, depth: depth + 1) }
                continue
            }
            let value = data[element.value]
            switch element.tag {
            case 0x84 where isSelecting:
                context = DictionaryContext(applicationIdentifier: value)
            case 0x9F11: codeTable = EMVDecoder.Session.decimal(value)
            case 0x9F4D: logEntry = Array(value)
            case 0x9F4F: logFormat = Array(value)
            case 0x9F69, 0x9F51, 0x9F5B:
                // Other applications have other data under these tags.
                if context == .kernel2 { lists[element.tag] = Array(value) }
            default: if Self.listTags.contains(element.tag) { lists[element.tag] = Array(value) }
            }
        }
    }
}
