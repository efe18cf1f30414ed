public import Acquiring
internal import BERTLV
internal import EMV
public import ISO8583

/// Writes the terminal's requests as messages of one host.
public struct MessageBuilder: Sendable {
    public let interface: HostInterface
    private var dialect: Dialect { interface.dialect }
    private var isVersion1993: Bool { dialect.version == .v1993 }

    public init(_ interface: HostInterface) { self.interface = interface }

    // MARK: Requests

    public func authorization(_ request: AuthorizationRequest) -> Message {
        let isFinancial = interface.sale == .financial && request.purpose != .preAuthorization
        var message = self.message(isFinancial ? 0x0200 : 0x0100)
        fill(&message, request)
        function(&message, isFinancial ? "200" : request.purpose == .preAuthorization ? "101" : "100")
        additional(&message, request)
        return message
    }

    /// Offline approvals are told as 0220 where sales are 0200; all else as 0120.
    public func advice(_ request: AuthorizationRequest, _ decision: OfflineDecision) -> Message {
        let isFinancial = interface.sale == .financial && decision == .approved
        var message = self.message(isFinancial ? 0x0220 : 0x0120)
        fill(&message, request)
        function(&message, isFinancial ? "200" : "100")
        // Authorisation Response Codes of EMV Book 4, Annex A6: Y1 and Z1 are the terminal's own.
        put(
            &message, 39,
            isVersion1993 ? decision == .approved ? "000" : "100" : decision == .approved ? "Y1" : "Z1")
        additional(&message, request)
        return message
    }

    public func adjustment(_ request: AdjustmentRequest) -> Message {
        var message = self.message(repeated(0x0220, request.transmission))
        if let original = request.original {
            fill(&message, original)
        }
        numbers(
            &message, request.terminalID, request.stan, request.retrievalReference, request.amount,
            request.currency)
        put(&message, 42, request.merchantID)
        if let code = request.authorizationCode { put(&message, 38, code) }
        function(&message, request.kind == .completion ? "201" : "202")
        put(&message, 25, isVersion1993 ? "1800" : request.kind == .completion ? "06" : "00")
        put(
            &message, isVersion1993 ? 56 : 90,
            originalData(authorizationType(request.original), request.stan, request.original))
        if isVersion1993 { put(&message, 30, Self.digits(request.approvedAmount.minorUnits, 24)) }
        additional(&message, request.original, [.revision: String(request.revision)])
        return message
    }

    public func reversal(_ request: ReversalRequest) -> Message {
        var message = self.message(
            repeated(interface.reversal == .advice ? 0x0420 : 0x0400, request.transmission))
        if let original = request.original { fill(&message, original) }
        numbers(
            &message, request.terminalID, request.stan, request.retrievalReference, request.amount,
            request.currency)
        if let code = request.authorizationCode { put(&message, 38, code) }
        function(&message, "400")
        if isVersion1993 {
            put(&message, 25, Self.reversalReason(request.reason))
        } else if request.original == nil {
            put(&message, 25, "00")
        }
        put(
            &message, isVersion1993 ? 56 : 90,
            originalData(authorizationType(request.original), request.stan, request.original))
        additional(&message, request.original)
        return message
    }

    public func reconciliation(_ request: ReconciliationRequest) -> Message {
        var message = self.message(0x0500)
        put(&message, 7, Self.monthDay(request.date) + Self.digits(UInt64(max(0, request.hhmmss)), 6))
        put(&message, 11, Self.digits(UInt64(request.stan), 6))
        time(&message, request.date, request.hhmmss)
        function(&message, "500")
        if isVersion1993 {
            // Mandatory in a 1500 of one acquirer's published definition (Elavon, EISOP, fields 28 and 29).
            put(&message, 28, Self.digits(UInt64(request.date.yymmdd), 6))
            put(&message, 29, Self.digits(UInt64(max(0, request.batch)) % 1000, 3))
        }
        put(&message, 32, request.acquirerID)
        put(&message, 41, request.terminalID)
        put(&message, 42, request.merchantID)
        put(&message, 50, request.currency.description)
        totals(&message, request.totals)
        additional(
            &message, nil,
            [
                .batch: Self.digits(UInt64(max(0, request.batch)), 6),
                .afterUpload: request.isAfterUpload ? "1" : "0",
            ])
        return message
    }

    public func upload(_ item: BatchItem) -> Message {
        var message = self.message(0x0320)
        if let original = item.original { fill(&message, original) }
        numbers(&message, item.terminalID, item.stan, item.retrievalReference, item.amount, item.currency)
        put(&message, 3, Self.processingCode(item.transactionType))
        if let code = item.authorizationCode { put(&message, 38, code) }
        function(&message, "301")
        if !isVersion1993 {
            put(&message, 39, item.isOffline ? "Y1" : "00")
            put(&message, 71, Self.digits(UInt64(max(0, item.index)) % 10_000, 4))
            put(&message, 72, Self.digits(UInt64(max(0, item.count)) % 10_000, 4))
        }
        additional(&message, item.original, [.batch: Self.digits(UInt64(max(0, item.batch)), 6)])
        return message
    }

    public enum NetworkManagement: Sendable {
        case signOn, signOff, echo
        /// Field 70 of 1987, field 24 of 1993.
        func code(_ version: Dialect.Version) -> String {
            switch (self, version) {
            case (.signOn, .v1987): "001"
            case (.signOff, .v1987): "002"
            case (.echo, .v1987): "301"
            case (.signOn, .v1993): "801"
            case (.signOff, .v1993): "802"
            case (.echo, .v1993): "831"
            }
        }
    }

    /// - Parameter now: MMDDhhmmss in UTC.
    public func management(_ kind: NetworkManagement, stan: UInt32, now: String) -> Message {
        var message = self.message(0x0800)
        put(&message, 7, now)
        put(&message, 11, Self.digits(UInt64(stan), 6))
        put(&message, isVersion1993 ? 24 : 70, kind.code(dialect.version))
        return message
    }

    // MARK: Parts

    /// A message of the dialect's version, with header.
    func message(_ type: MessageType) -> Message {
        var message = Message(isVersion1993 ? MessageType(rawValue: type.rawValue | 0x1000) : type)
        message.header = interface.header
        return message
    }

    private func repeated(_ type: MessageType, _ transmission: Int) -> MessageType {
        transmission > 1 ? type.repeated : type
    }

    /// Fields that the dialect does not have are left out: a host's file decides.
    func put(_ message: inout Message, _ field: Int, _ text: String) {
        if dialect[field] != nil { message.set(field, text) }
    }
    private func put(_ message: inout Message, _ field: Int, _ bytes: [UInt8]) {
        if dialect[field] != nil { message.set(field, bytes) }
    }

    private func function(_ message: inout Message, _ code: String) {
        if isVersion1993 {
            put(&message, 24, code)
        } else if let identifier = interface.networkIdentifier {
            put(&message, 24, identifier)
        }
    }

    /// Local time: fields 12 and 13, or 12 alone with the date (1993).
    private func time(_ message: inout Message, _ date: EMVDate, _ hhmmss: Int) {
        let time = Self.digits(UInt64(max(0, hhmmss)), 6)
        if isVersion1993 {
            put(&message, 12, Self.digits(UInt64(date.year % 100), 2) + Self.monthDay(date) + time)
        } else {
            put(&message, 12, time)
            put(&message, 13, Self.monthDay(date))
        }
    }

    /// What tells a transaction.
    private func numbers(
        _ message: inout Message, _ terminalID: String, _ stan: UInt32, _ reference: String, _ amount: Amount,
        _ currency: NumericCode
    ) {
        if message[3] == nil { put(&message, 3, Self.processingCode(0)) }
        put(&message, 4, Self.digits(amount.minorUnits, 12))
        put(&message, 11, Self.digits(UInt64(stan), 6))
        if interface.retrievalReference == .terminal { put(&message, 37, reference) }
        put(&message, 41, terminalID)
        put(&message, 49, currency.description)
    }

    private func fill(_ message: inout Message, _ request: AuthorizationRequest) {
        let sendsNumber = request.track2 == nil || interface.sendsNumberWithTrack
        if sendsNumber { put(&message, 2, request.primaryAccountNumber.clearDigits) }
        put(&message, 3, Self.processingCode(request.transactionType))
        numbers(
            &message, request.terminalID, request.stan, request.retrievalReference, request.amount,
            request.currency)
        // The same in each repeat and in field 90: made of the transaction's own time, not of the clock's.
        // Unconfirmed: hosts that want UTC here while fields 12 and 13 are local.
        put(
            &message, 7, Self.monthDay(request.date) + Self.digits(UInt64(max(0, request.hhmmss)), 6))
        time(&message, request.date, request.hhmmss)
        if sendsNumber, let expiry = Self.expiry(request) { put(&message, 14, expiry) }
        put(&message, isVersion1993 ? 26 : 18, request.merchantCategoryCode)
        put(&message, 22, isVersion1993 ? posData(request) : Self.mode(request.entryMode) + pinCapability)
        if let sequence = request.panSequenceNumber { put(&message, 23, Self.digits(UInt64(sequence), 3)) }
        if !isVersion1993 { put(&message, 25, "00") }
        put(&message, 32, request.acquirerID)
        if let track = request.track2 {
            let isPacked = dialect[35]?.encoding == .bcd
            put(&message, 35, track.clearText(separator: isPacked ? "D" : "="))
        }
        put(&message, 42, request.merchantID)
        let acceptor = CardAcceptor(
            name: request.merchantName, city: request.merchantLocation, country: Int(request.country.value))
        if !acceptor.name.isEmpty || !acceptor.city.isEmpty { put(&message, 43, acceptor.value(in: dialect)) }
        if let pin = request.onlinePIN { put(&message, pinBlock: pin.block) }
        if request.amountOther != .zero {
            put(
                &message, 54,
                "0040" + request.currency.description + "D" + Self.digits(request.amountOther.minorUnits, 12))
        }
        if !request.chipData.isEmpty {
            let chip: [UInt8]
            if let tags = interface.chipTags[scheme(request)] {
                chip = ChipData(request.chipData).encoded { tags.contains($0.rawValue) }
            } else {
                chip = Self.fitting(request.chipData, most: dialect[55]?.most ?? .max)
            }
            put(&message, 55, chip)
        }
    }

    /// Field 52, or where longer blocks go. One that has no place is put in field 52 all the same: then the message
    /// cannot be written and the payment says why, rather than leave without its PIN.
    private func put(_ message: inout Message, pinBlock block: [UInt8]) {
        guard let field = dialect[52], block.count > field.most, let long = interface.longPINBlock,
            let place = dialect[long]
        else { return message.set(52, block) }
        if place.isBinary { message.set(long, block) } else { message.set(long, Hex.string(block)) }
    }

    /// What an issuer needs of the chip data, the most important first: what the cryptogram covers and what verifies it
    /// (EMV Book 2, 8.1.1; Book 4, 12.1.1), then what networks ask for besides.
    // Unconfirmed: networks' own orders of importance differ in their last places.
    private static let importance: [BERTLV.Tag] = [
        0x9F26, 0x9F27, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C, 0x9F02, 0x5F2A, 0x82, 0x9F1A, 0x9F03,
        0x9F33,
        0x9F34, 0x84, 0x5F34, 0x9F6E, 0x9F66, 0x9F6C, 0x9F19, 0x9F35, 0x9F24, 0x9F53, 0x9F09, 0x9F1E, 0x9F41,
    ]

    /// The chip data as they are where field 55 has room for them (in ISO 8583:1993 it has 255 bytes); else the most
    /// important objects that fit, each whole, in the order they came.
    static func fitting(_ data: [UInt8], most: Int) -> [UInt8] {
        guard data.count > most else { return data }
        let chip = ChipData(data)
        var room = most
        var taken: Set<UInt32> = []
        for tag in importance {
            let count = chip.encoded { $0 == tag }.count
            guard count > 0, count <= room else { continue }
            room -= count
            taken.insert(tag.rawValue)
        }
        return chip.encoded { taken.contains($0.rawValue) }
    }

    private func additional(
        _ message: inout Message, _ request: AuthorizationRequest?, _ others: [DataSource.Name: String] = [:]
    ) {
        let scheme = request.map(scheme) ?? .other
        let values = SourceValues(request, scheme: scheme, others: others)
        for field in interface.additionalFields(scheme) {
            if let value = field.value(values.find) { put(&message, field.number, value) }
        }
    }

    private func scheme(_ request: AuthorizationRequest) -> CardScheme {
        CardScheme(
            AuthorizationRequestSummary(number: request.primaryAccountNumber, chipData: request.chipData))
    }

    private func totals(_ message: inout Message, _ totals: BatchTotals) {
        for (field, count) in [(74, totals.credits), (75, 0), (76, totals.debits), (77, 0)] {
            put(&message, field, Self.digits(UInt64(max(0, count)), 10))
        }
        for (field, amount) in [(86, totals.creditAmount), (87, 0), (88, totals.debitAmount), (89, 0)] {
            put(&message, field, Self.digits(amount, 16))
        }
        let net = interface.netAmountSign == .creditsMinusDebits ? -totals.net : totals.net
        put(&message, 97, (net < 0 ? "D" : "C") + Self.digits(net.magnitude, 16))
    }

    /// The type under which a transaction was sent.
    private func authorizationType(_ original: AuthorizationRequest?) -> MessageType {
        let isFinancial = interface.sale == .financial && original?.purpose != .preAuthorization
        return message(isFinancial ? 0x0200 : 0x0100).type
    }

    /// Field 90 (42 digits) or, in 1993, field 56.
    private func originalData(_ type: MessageType, _ stan: UInt32, _ original: AuthorizationRequest?)
        -> String
    {
        let head = type.description + Self.digits(UInt64(stan), 6)
        let time = Self.digits(UInt64(max(0, original?.hhmmss ?? 0)), 6)
        let acquirer = original?.acquirerID ?? ""
        let zeros = String(repeating: "0", count: max(0, 11 - acquirer.utf8.count))
        if isVersion1993 {
            let date =
                original.map { Self.digits(UInt64($0.date.year % 100), 2) + Self.monthDay($0.date) }
                ?? "000000"
            return head + date + time + "11" + zeros + acquirer
        }
        return head + (original.map { Self.monthDay($0.date) } ?? "0000") + time + zeros + acquirer
            + "00000000000"
    }

    /// ISO 8583:1987, annex A: 1 can take PINs, 2 cannot.
    private var pinCapability: String { interface.takesPINs ? "1" : "2" }

    /// Point of service data code (ISO 8583:1993, annex A).
    /// Unconfirmed: the base standard has no contactless input mode; M and A are what networks use.
    private func posData(_ request: AuthorizationRequest) -> String {
        let mode =
            switch request.entryMode {
            case .contactlessChip: "M"
            case .contactlessMagStripe: "A"
            case .contactChip: "5"
            case .manual: "1"
            }
        let method =
            switch request.cvm {
            case .onlinePIN: "13"
            case .signature: "54"
            case .confirmationCodeVerified: "91"
            default: "00"
            }
        return "5" + (interface.takesPINs ? "1" : "0") + "0" + "1" + "0"
            + (request.entryMode == .manual ? "0" : "1") + mode + method + "1" + "4"
            + (interface.takesPINs ? "C" : "0")
    }

    /// ISO 8583:1993, message reason codes 4000-4499.
    static func reversalReason(_ reason: ReversalRequest.Reason) -> String {
        switch reason {
        case .timeout, .lateResponse: "4021"
        case .malformedResponse: "4013"
        case .restart, .approvalNotTaken: "4007"
        case .cardDeclined: "4013"
        case .cancelled: "4000"
        }
    }

    static func expiry(_ request: AuthorizationRequest) -> String? {
        if let date = request.expiry { return digits(UInt64(date.year % 100 * 100 + date.month), 4) }
        return (request.track2?.expiry).map { digits(UInt64(max(0, $0)), 4) }
    }

    /// Field 22's first two digits.
    static func mode(_ mode: PointOfServiceEntryMode) -> String {
        (mode.rawValue < 16 ? "0" : "") + String(mode.rawValue, radix: 16)
    }

    /// Tag 9C is in BCD; both accounts are the default ones.
    static func processingCode(_ type: UInt8) -> String {
        (type < 16 ? "0" : "") + String(type, radix: 16) + "0000"
    }

    static func monthDay(_ date: EMVDate) -> String { digits(UInt64(date.month * 100 + date.day), 4) }

    /// A number with zeros on its left; longer where it does not fit, so that writing it fails.
    static func digits(_ number: UInt64, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}
