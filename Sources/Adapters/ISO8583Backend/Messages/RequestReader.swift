public import Acquiring
internal import BERTLV
internal import EMV
internal import EMVCryptography
public import ISO8583

/// What a terminal asks a host for.
public enum TerminalRequest: Sendable {
    case authorization(AuthorizationRequest)
    case advice(AuthorizationRequest, OfflineDecision)
    case adjustment(AdjustmentRequest)
    case reversal(ReversalRequest)
    case reconciliation(ReconciliationRequest)
    case upload(BatchItem)
    /// Field 70 of 1987 or field 24 of 1993.
    case management(String)
}

/// A message that a host cannot take.
public struct RequestError: Error, Equatable, Sendable, CustomStringConvertible {
    public let reason: String
    /// Field 39 as of ISO 8583:1987: 30 format error, 12 where the message is one that this host does not take.
    public var code = "30"
    public var description: String { reason }
}

/// Reads terminals' messages, as the host does.
public struct RequestReader: Sendable {
    public let interface: HostInterface
    private var isVersion1993: Bool { interface.dialect.version == .v1993 }

    public init(_ interface: HostInterface) { self.interface = interface }

    /// - Parameter year: the host's, for dates without one.
    /// - Throws: `RequestError` naming the field.
    public func read(_ message: Message, year: Int) throws(RequestError) -> TerminalRequest {
        guard message.type.isVersion1993 == isVersion1993 else {
            throw RequestError(
                reason: "type \(message.type) is not of ISO 8583:\(interface.dialect.version.rawValue)")
        }
        // Class and function; repeats are as the first.
        switch message.type.rawValue >> 4 & 0xFF {
        case 0x10, 0x20: return .authorization(try authorization(message, year))
        case 0x12, 0x22:
            if message.contains(isVersion1993 ? 56 : 90) { return .adjustment(try adjustment(message, year)) }
            let code = message.text(39) ?? ""
            let isDeclined = code == "Z1" || code == "Z3" || (isVersion1993 && code.hasPrefix("1"))
            return .advice(try authorization(message, year), isDeclined ? .declined : .approved)
        case 0x32: return .upload(try upload(message, year))
        case 0x40, 0x42: return .reversal(try reversal(message, year))
        case 0x50, 0x52: return .reconciliation(try reconciliation(message, year))
        case 0x80, 0x82:
            // A dialect without the field can say no more than that the terminal is there.
            let field = isVersion1993 ? 24 : 70
            return .management(interface.dialect[field] == nil ? "" : try text(message, field))
        default: throw RequestError(reason: "type \(message.type) is not taken", code: "12")
        }
    }

    /// The retrieval reference that a host gives which gives them itself; nil for a message that has no numbers.
    func assignedReference(_ message: Message) -> String? { try? reference(message) }

    // MARK: Messages

    private func authorization(_ message: Message, _ year: Int) throws(RequestError) -> AuthorizationRequest {
        let additional = additional(message)
        let track = try track2(message)
        let number: PrimaryAccountNumber
        if message.contains(2) {
            guard let digits = PrimaryAccountNumber(digits: try text(message, 2)) else {
                throw RequestError(reason: "field 2 is no card number")
            }
            number = digits
        } else if let track {
            number = track.primaryAccountNumber
        } else {
            throw RequestError(reason: "fields 2 and 35 are missing")
        }
        let chip = Array(message[55] ?? [])
        let (date, time) = try moment(message, year, chip)
        let code = try processingCode(message)
        var expiry: EMVDate?
        if let yymm = message.text(14).flatMap({ Int($0) }) { expiry = EMVDate(endOfMonthYYMM: yymm) }
        let acceptor = CardAcceptor(message[43] ?? [], in: interface.dialect)
        var request = AuthorizationRequest(
            transactionID: try transactionID(message, additional), terminalID: try text(message, 41),
            merchantID: message.text(42)?.trimmed ?? "", merchantName: acceptor.name,
            merchantLocation: acceptor.city,
            merchantCategoryCode: message.text(isVersion1993 ? 26 : 18) ?? "5999",
            acquirerID: message.text(32) ?? "00000000001", stan: try stan(message),
            retrievalReference: try reference(message), amount: try amount(message, 4),
            currency: try currency(message, 49), country: try country(message, chip), transactionType: code,
            date: date,
            hhmmss: time, entryMode: try entryMode(message), primaryAccountNumber: number,
            panSequenceNumber: message.text(23).flatMap { UInt8($0) }, expiry: expiry, track2: track,
            chipData: chip)
        if let other = message.text(54) { request.amountOther = cashback(other) ?? .zero }
        if let block = try pinBlock(message) {
            request.onlinePIN = EncipheredPIN(
                block: block,
                keySerialNumber: additional[.named(.keySerialNumber)].flatMap { Hex.bytes($0) } ?? [])
        }
        request.cvm = verification(message, additional)
        request.acceptsPartialApproval = additional[.named(.partialApproval)] == "1"
        switch additional[.named(.purpose)] {
        case "P": request.purpose = .preAuthorization
        case "D": request.purpose = .deferred
        case "S": request.purpose = .sale
        default:
            // Without the indicator a 0100 is a hold where sales are financial messages.
            let isAuthorization = message.type.rawValue >> 8 & 0x0F == 1
            request.purpose = isAuthorization && interface.sale == .financial ? .preAuthorization : .sale
        }
        return request
    }

    private func adjustment(_ message: Message, _ year: Int) throws(RequestError) -> AdjustmentRequest {
        let additional = additional(message)
        let amount = try amount(message, 4)
        let isCompletion = isVersion1993 ? message.text(24) == "201" : message.text(25) == "06"
        return AdjustmentRequest(
            kind: isCompletion ? .completion : .tip, transactionID: try transactionID(message, additional),
            terminalID: try text(message, 41), merchantID: message.text(42)?.trimmed ?? "",
            stan: try stan(message),
            retrievalReference: try reference(message), authorizationCode: message.text(38),
            approvedAmount: amount, amount: amount, currency: try currency(message, 49),
            revision: additional[.named(.revision)].flatMap { Int($0) } ?? 1,
            transmission: transmission(message))
    }

    private func reversal(_ message: Message, _ year: Int) throws(RequestError) -> ReversalRequest {
        let reason: ReversalRequest.Reason =
            switch message.text(25) {
            case "4000": .cancelled
            case "4007": .restart
            case "4013": .malformedResponse
            default: .timeout
            }
        return ReversalRequest(
            transactionID: try transactionID(message, additional(message)), terminalID: try text(message, 41),
            stan: try stan(message), retrievalReference: try reference(message),
            amount: try amount(message, 4),
            currency: try currency(message, 49), reason: isVersion1993 ? reason : .timeout,
            transmission: transmission(message), authorizationCode: message.text(38))
    }

    private func reconciliation(_ message: Message, _ year: Int) throws(RequestError) -> ReconciliationRequest
    {
        let additional = additional(message)
        guard let batch = additional[.named(.batch)].flatMap({ Int($0) }), batch >= 1 else {
            throw RequestError(reason: missingBatch)
        }
        let (date, time) = try moment(message, year, [])
        return ReconciliationRequest(
            terminalID: try text(message, 41), merchantID: message.text(42)?.trimmed ?? "",
            acquirerID: message.text(32) ?? "", batch: batch, stan: try stan(message),
            currency: try currency(message, 50),
            totals: BatchTotals(
                debits: Int(clamping: try number(message, 76)), debitAmount: try number(message, 88),
                credits: Int(clamping: try number(message, 74)), creditAmount: try number(message, 86)),
            isAfterUpload: additional[.named(.afterUpload)] == "1", date: date, hhmmss: time)
    }

    private func upload(_ message: Message, _ year: Int) throws(RequestError) -> BatchItem {
        let additional = additional(message)
        guard let batch = additional[.named(.batch)].flatMap({ Int($0) }), batch >= 1 else {
            throw RequestError(reason: missingBatch)
        }
        func optional(_ field: Int) -> Int {
            isVersion1993 ? 0 : message.text(field).flatMap { Int($0) } ?? 0
        }
        return BatchItem(
            terminalID: try text(message, 41), batch: batch, index: optional(71), count: optional(72),
            transactionID: try transactionID(message, additional), stan: try stan(message),
            retrievalReference: try reference(message), authorizationCode: message.text(38),
            amount: try amount(message, 4), currency: try currency(message, 49),
            transactionType: try processingCode(message), isOffline: message.text(39) == "Y1")
    }

    // MARK: Fields

    /// The terminal's identifier where it is sent; else what tells a transaction on the line. All messages about a
    /// transaction carry the same.
    private func transactionID(
        _ message: Message, _ additional: [DataSource: String]
    ) throws(RequestError) -> String {
        if let own = additional[.named(.transactionID)] { return own }
        return "\(try text(message, 41))/\(try reference(message))/\(try text(message, 11))"
    }

    private func additional(_ message: Message) -> [DataSource: String] {
        var found: [DataSource: String] = [:]
        // With track 2 alone its number tells the scheme.
        let digits = message.text(2) ?? message.text(35)?.prefix { $0.isASCII && $0.isNumber }.description
        let scheme = digits.flatMap { PrimaryAccountNumber(digits: $0) }.map {
            CardScheme(AuthorizationRequestSummary(number: $0, chipData: Array(message[55] ?? [])))
        }
        for field in interface.additionalFields(scheme ?? .other) {
            if let value = message[field.number] { field.read(value, into: &found) }
        }
        return found
    }

    /// Names the field, where the interface has one for it.
    private var missingBatch: String {
        let field = interface.additionalFields(.other).first { field in
            switch field.layout {
            case .tagged(_, _, let elements): elements.contains { $0.source == .named(.batch) }
            case .positions(let pieces): pieces.contains { $0.source == .named(.batch) }
            }
        }
        return "field \(field.map { "\($0.number)" } ?? "?"): the number of the batch is missing"
    }

    private func transmission(_ message: Message) -> Int { message.type.rawValue & 1 == 1 ? 2 : 1 }

    private func text(_ message: Message, _ field: Int) throws(RequestError) -> String {
        guard let text = message.text(field), !text.isEmpty else {
            throw RequestError(reason: "field \(field) is missing")
        }
        return text
    }

    /// Field 37; where the host gives the number, one made of the request's own, the same for all messages about it.
    private func reference(_ message: Message) throws(RequestError) -> String {
        if interface.retrievalReference == .terminal { return try text(message, 37) }
        // Of the terminal's name what tells its terminals apart, and the trace number.
        let terminal = try text(message, 41).filter { $0.isASCII && ($0.isLetter || $0.isNumber) }.suffix(6)
        return String(repeating: "0", count: 6 - terminal.count) + terminal
            + MessageBuilder.digits(UInt64(try stan(message)), 6)
    }

    private func number(_ message: Message, _ field: Int) throws(RequestError) -> UInt64 {
        guard let number = UInt64(try text(message, field)) else {
            throw RequestError(reason: "field \(field) is no number")
        }
        return number
    }

    private func amount(_ message: Message, _ field: Int) throws(RequestError) -> Amount {
        guard let amount = Amount(minorUnits: try number(message, field)) else {
            throw RequestError(reason: "field \(field) is no amount")
        }
        return amount
    }

    private func currency(_ message: Message, _ field: Int) throws(RequestError) -> NumericCode {
        guard let code = NumericCode(try number(message, field)) else {
            throw RequestError(reason: "field \(field) is no currency")
        }
        return code
    }

    private func stan(_ message: Message) throws(RequestError) -> UInt32 {
        guard let stan = UInt32(try text(message, 11)), (1...999_999).contains(stan) else {
            throw RequestError(reason: "field 11 is no 1...999999")
        }
        return stan
    }

    private func processingCode(_ message: Message) throws(RequestError) -> UInt8 {
        guard let type = UInt8(try text(message, 3).prefix(2), radix: 16) else {
            throw RequestError(reason: "field 3 is no processing code")
        }
        return type
    }

    private func entryMode(_ message: Message) throws(RequestError) -> PointOfServiceEntryMode {
        let text = try text(message, 22)
        if isVersion1993 {
            switch text.dropFirst(6).first {
            case "M": return .contactlessChip
            case "A": return .contactlessMagStripe
            case "5": return .contactChip
            case "1", "6": return .manual
            default: throw RequestError(reason: "field 22: this input mode is not taken")
            }
        }
        // With three digits the mode stands first.
        guard let raw = UInt8(text.prefix(2), radix: 16), let mode = PointOfServiceEntryMode(rawValue: raw)
        else {
            throw RequestError(reason: "field 22: this entry mode is not taken")
        }
        return mode
    }

    private func track2(_ message: Message) throws(RequestError) -> Track2EquivalentData? {
        guard let text = message.text(35) else { return nil }
        let digits = text.replacing("=", with: "D")
        guard let bytes = Hex.bytes(digits.utf8.count % 2 == 0 ? digits : digits + "F"),
            let track = Track2EquivalentData(bytes)
        else { throw RequestError(reason: "field 35 is no track 2") }
        return track
    }

    /// Local date and time. Without a year it is that of the chip data, else the host's.
    private func moment(
        _ message: Message, _ year: Int, _ chip: [UInt8]
    ) throws(RequestError) -> (EMVDate, Int) {
        // A client that has no local time has that of the transmission.
        if !isVersion1993, !message.contains(12), let text = message.text(7), text.utf8.count == 10,
            let mmdd = Int(text.prefix(4)), let time = Int(text.dropFirst(4)),
            let date = EMVDate(year: year, month: mmdd / 100, day: mmdd % 100)
        {
            return (date, time)
        }
        let text = try text(message, 12)
        if isVersion1993 {
            guard text.utf8.count == 12, let yymmdd = Int(text.prefix(6)), let date = EMVDate(yymmdd: yymmdd),
                let time = Int(text.dropFirst(6))
            else { throw RequestError(reason: "field 12 is no date and time") }
            return (date, time)
        }
        let day = try message.contains(13) ? self.text(message, 13) : String(self.text(message, 7).prefix(4))
        guard let time = Int(text), let mmdd = Int(day) else {
            throw RequestError(reason: "fields 12 and 13 are no date and time")
        }
        if let own = ChipData(chip)[0x9A], let date = EMVDate(bytes: own), date.month * 100 + date.day == mmdd
        {
            return (date, time)
        }
        guard let date = EMVDate(year: year, month: mmdd / 100, day: mmdd % 100) else {
            throw RequestError(reason: "field 13 is no date")
        }
        return (date, time)
    }

    /// The terminal's country is told by chip data, or by the acquirer's in field 19; 000 where neither is there.
    private func country(_ message: Message, _ chip: [UInt8]) throws(RequestError) -> NumericCode {
        if let code = ChipData(chip)[0x9F1A].flatMap({ NumericCode(bytes: $0) }) { return code }
        guard let code = NumericCode(message.text(19).flatMap { UInt16($0) } ?? 0) else {
            throw RequestError(reason: "field 19 is no country")
        }
        return code
    }

    private func cashback(_ text: String) -> Amount? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, String(decoding: bytes[2..<4], as: UTF8.self) == "40",
            let units = UInt64(String(decoding: bytes[8..<20], as: UTF8.self))
        else { return nil }
        return Amount(minorUnits: units)
    }

    private func pinBlock(_ message: Message) throws(RequestError) -> [UInt8]? {
        if let block = message[52] { return Array(block) }
        guard let field = interface.longPINBlock, let value = message[field] else { return nil }
        let isBinary = interface.dialect[field]?.isBinary ?? false
        guard let block = isBinary ? Array(value) : message.text(field).flatMap({ Hex.bytes($0) }),
            block.count == 16
        else { throw RequestError(reason: "field \(field) is no PIN block of 16 bytes") }
        return block
    }

    private func verification(_ message: Message, _ additional: [DataSource: String]) -> Outcome.CVM {
        if isVersion1993, let method = message.text(22)?.dropFirst(7).first {
            switch method {
            case "1": return .onlinePIN
            case "5": return .signature
            case "9": return .confirmationCodeVerified
            default: break
            }
        }
        switch additional[.named(.cardholderVerification)] {
        case "1": return .signature
        case "2": return .onlinePIN
        case "3": return .confirmationCodeVerified
        default:
            let hasPIN = message.contains(52) || interface.longPINBlock.map { message.contains($0) } ?? false
            return hasPIN ? .onlinePIN : .noCVM
        }
    }
}
