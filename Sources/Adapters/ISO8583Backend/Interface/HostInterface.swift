internal import BERTLV
public import EMV
public import ISO8583
internal import ISO8583Dialects
internal import ProfileFile

/// How a host wants its messages: the dialect, and what stands in which field. Terminal and simulated host use the
/// same description.
public struct HostInterface: Sendable {
    public enum Sale: String, Sendable, CaseIterable {
        /// 0100, and the batch tells what is taken.
        case authorization
        /// 0200: what is approved is taken.
        case financial
    }
    public enum Reversal: String, Sendable, CaseIterable {
        /// 0420, then 0421.
        case advice
        /// 0400, then 0401.
        case request
    }

    /// Who gives a transaction its retrieval reference number (field 37).
    public enum RetrievalReference: String, Sendable, CaseIterable {
        /// The terminal: the response must have the same.
        case terminal
        /// The host: it is left out of requests, and any is taken in responses.
        // The host's number is not kept: later messages about a transaction are told by field 11 and the original data
        // (field 90; in 1993 field 56).
        case host
    }

    /// Which way the net amount of a batch (field 97) is counted.
    public enum NetAmountSign: String, Sendable, CaseIterable {
        /// Credits (86, 87) less debits (88, 89), D where that is below zero: a day of sales has D.
        case creditsMinusDebits = "credits-minus-debits"
        case debitsMinusCredits = "debits-minus-credits"

        // Unconfirmed for the standard's own text: one acquirer's published definition of the field (Elavon, EISOP).
        public static let standard = creditsMinusDebits
    }

    public var dialect: Dialect
    public var framing: Framing
    /// Before each message: a TPDU of 5 bytes, or what the framing's header holds. Empty without header.
    public var header: [UInt8]
    public var sale: Sale
    public var reversal: Reversal
    /// Which fields tell, beside its type, what a response belongs to. A response without one of them belongs to a request
    /// where there is just one that has the others.
    public var matching: [Int]
    public var retrievalReference: RetrievalReference
    /// Sign of the net amount (field 97).
    public var netAmountSign: NetAmountSign
    /// Field 24 of 1987 (network international identifier); nil leaves it out.
    public var networkIdentifier: String?
    /// Whether fields 2 and 14 go beside field 35.
    public var sendsNumberWithTrack: Bool
    /// Whether the terminal takes PINs: third digit of field 22.
    public var takesPINs: Bool
    /// Where a PIN block goes that does not fit field 52, which has 64 bits: those of format 4, 128 bits (ISO 9564-1,
    /// 9.4.2.2). In hexadecimal where the field is of characters. Nil where the host takes none.
    // Unconfirmed: no edition of ISO 8583 that terminals use has a field for it; hosts name places of their own.
    public var longPINBlock: Int?
    /// Tags of field 55 by scheme; a scheme that is not there gets the chip data as they are.
    public var chipTags: [CardScheme: [UInt32]]
    /// Private fields by scheme; schemes that are not there get those of `.other`.
    public var additionalData: [CardScheme: [AdditionalField]]
    /// Codes of field 39 that mean something of this host's own: `["Z3": "91"]`.
    public var responseCodes: ResponseCodeTable.Overrides
    public var mac: MessageMAC?

    public init(
        dialect: Dialect, framing: Framing = Framing(), header: [UInt8]? = nil, sale: Sale = .financial,
        reversal: Reversal = .advice, matching: [Int] = HostInterface.standardMatching,
        retrievalReference: RetrievalReference = .terminal, netAmountSign: NetAmountSign = .standard,
        networkIdentifier: String? = nil, sendsNumberWithTrack: Bool = true,
        takesPINs: Bool = true, longPINBlock: Int? = HostInterface.standardLongPINBlock,
        chipTags: [CardScheme: [UInt32]] = [:],
        additionalData: [CardScheme: [AdditionalField]] = [.other: HostInterface.standardFields],
        responseCodes: ResponseCodeTable.Overrides = [:], mac: MessageMAC? = nil
    ) {
        self.dialect = dialect
        self.framing = framing
        self.header = header ?? Self.standardHeader(framing)
        self.sale = sale
        self.reversal = reversal
        self.matching = matching
        self.retrievalReference = retrievalReference
        self.netAmountSign = netAmountSign
        self.networkIdentifier = networkIdentifier
        self.sendsNumberWithTrack = sendsNumberWithTrack
        self.takesPINs = takesPINs
        self.longPINBlock = longPINBlock
        self.chipTags = chipTags
        self.additionalData = additionalData
        self.responseCodes = responseCodes
        self.mac = mac
    }

    /// Fields for the totals of a batch that the dialect does not have; empty where it can settle.
    public var missingTotals: [Int] { [74, 76, 86, 88].filter { dialect[$0] == nil } }

    /// That this host cannot settle, as the end of a line for people; empty where it can.
    package var settlementNote: String {
        missingTotals.isEmpty
            ? ""
            : "; cannot settle: no fields \(missingTotals.map(String.init).joined(separator: ", ")) for totals"
    }

    /// What the host's response codes mean.
    public var responseCodeTable: ResponseCodeTable {
        ResponseCodeTable(dialect.version.responseCodes, overrides: responseCodes)
    }

    /// A message as it goes on the line: packed, with its MAC where the host wants one, framed.
    public func framed(_ message: Message) throws -> [UInt8] {
        let bytes: [UInt8]
        if let mac {
            bytes = try dialect.pack(message, authenticatedBy: { mac.code($0) })
        } else {
            bytes = try dialect.pack(message)
        }
        return try framing.frame(bytes)
    }

    static func standardHeader(_ framing: Framing) -> [UInt8] {
        framing.header == .tpdu ? [0x60, 0, 0, 0, 0] : Array(repeating: 0, count: framing.header.count)
    }

    /// Where this project puts what has no field of its own, unless a file says otherwise.
    public static let standardFields: [AdditionalField] = [
        AdditionalField(
            number: 48,
            layout: .tagged(
                tag: 2, length: 3,
                elements: standardElements.map {
                    AdditionalField.Element(tag: $0.0, source: .named($0.1))
                })),
        AdditionalField(
            number: 60,
            layout: .positions([
                AdditionalField.Piece(source: .named(.batch), count: 6),
                AdditionalField.Piece(source: .named(.afterUpload), count: 1),
            ])),
    ]

    private static let standardElements: [(String, DataSource.Name)] = [
        ("TR", .tokenRequestor), ("PA", .paymentAccountReference), ("FF", .formFactor), ("WA", .wallet),
        ("CV", .cardholderVerification), ("PU", .purpose), ("PP", .partialApproval), ("KS", .keySerialNumber),
        ("RV", .revision),
    ]

    /// Trace number and terminal.
    public static let standardMatching = [11, 41]

    /// A private field of both versions.
    public static let standardLongPINBlock = 126

    func additionalFields(_ scheme: CardScheme) -> [AdditionalField] {
        additionalData[scheme] ?? additionalData[.other] ?? []
    }

    /// Reads the keys of a `messages` mapping.
    init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        let dialectPlace = try keys.required("dialect")
        let name = try dialectPlace.string()
        if let builtIn = try Dialect.builtIn(name) {
            dialect = builtIn
        } else if name.contains("/") || name.contains(".") {
            dialect = try Dialect(path: dialectPlace.namedFile().path)
        } else {
            throw dialectPlace.error(
                "no such dialect; built in are \(Dialect.builtInNames.joined(separator: ", ")), or name a file"
            )
        }
        framing = Framing()
        if let text = keys.optional("framing") {
            guard let framing = Framing(try text.string()) else {
                throw text.error("expected \(Framing.syntax)")
            }
            guard framing.isDelimited else {
                throw text.error(
                    "a length or a trailer is needed: nothing tells messages on a connection apart")
            }
            self.framing = framing
        }
        header = Self.standardHeader(framing)
        if let text = keys.optional("header") {
            header = try text.hex(count: framing.header.count...framing.header.count)
        }
        sale = try keys.optional("sale")?.choice() ?? .financial
        reversal = try keys.optional("reversal")?.choice() ?? .advice
        retrievalReference = try keys.optional("retrieval-reference")?.choice() ?? .terminal
        netAmountSign = try keys.optional("net-amount-sign")?.choice() ?? .standard
        matching = Self.standardMatching
        if let list = keys.optional("match") {
            matching = []
            for item in try list.list() {
                let field = try item.integer(in: 2...128)
                guard dialect[field] != nil else { throw item.error("the dialect has no field \(field)") }
                guard !matching.contains(field) else { throw item.error("field \(field) is named twice") }
                matching.append(field)
            }
            guard matching.contains(11) || matching.contains(37) && retrievalReference == .terminal else {
                throw list.error(
                    "field 11, or 37 where the terminal gives it, is needed: without them requests of a terminal are not told apart"
                )
            }
        }
        networkIdentifier = nil
        if let text = keys.optional("network-identifier") {
            let digits = try text.string()
            guard digits.utf8.count == 3, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw text.error("expected three digits in quotes")
            }
            networkIdentifier = digits
        }
        sendsNumberWithTrack = try keys.optional("number-with-track")?.bool() ?? true
        takesPINs = try keys.optional("takes-pins")?.bool() ?? true
        longPINBlock = Self.standardLongPINBlock
        if let field = keys.optional("long-pin-block") {
            let number = try field.integer(in: 2...127)
            guard let place = dialect[number] else { throw field.error("the dialect has no field \(number)") }
            guard place.most >= (place.isBinary ? 16 : 32) else {
                throw field.error("field \(number) is too short for 16 bytes")
            }
            longPINBlock = number
        }
        chipTags = [:]
        if let list = keys.optional("chip-data") {
            for (key, value) in try list.mapping().entries() {
                let scheme: CardScheme = try key.choice()
                var tags: [UInt32] = []
                for tag in try value.list() { tags.append(try tag.tag().rawValue) }
                chipTags[scheme] = tags
            }
        }
        additionalData = [.other: Self.standardFields]
        if let list = keys.optional("additional-data") {
            additionalData = [:]
            for (key, value) in try list.mapping().entries() {
                let scheme: CardScheme = try key.choice()
                var fields: [AdditionalField] = []
                for (number, field) in try value.mapping().entries() {
                    let field = try AdditionalField(number: try number.integer(in: 2...127), field)
                    guard dialect[field.number] != nil else {
                        throw number.error("the dialect has no field \(field.number)")
                    }
                    fields.append(field)
                }
                additionalData[scheme] = fields
            }
        }
        responseCodes = [:]
        if let list = keys.optional("response-codes") {
            responseCodes = try ResponseCodeTable.Overrides(list, dialect.version)
        }
        mac = nil
        if let code = keys.optional("mac") {
            mac = try MessageMAC(code)
            guard dialect[64] != nil, dialect[128] != nil else {
                throw code.error("the dialect needs fields 64 and 128 for codes")
            }
        }
        try keys.finish()
    }
}
