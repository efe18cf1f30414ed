public import Acquiring
public import EMV
internal import EMVDictionary
public import ISO8583

/// What a late answer is still compared with: numbers of the request, nothing of the card.
public struct SentAuthorization: Sendable {
    public let transactionID: String
    public let retrievalReference: String
    public let amount: Amount
    public let currency: NumericCode
    public init(_ request: AuthorizationRequest) {
        transactionID = request.transactionID
        retrievalReference = request.retrievalReference
        amount = request.amount
        currency = request.currency
    }
}

/// Reads a host's answers. That type, field 11 and field 41 fit is the connection's business.
public struct AnswerReader: Sendable {
    public let interface: HostInterface
    private let codes: ResponseCodeTable

    public init(_ interface: HostInterface) {
        self.interface = interface
        codes = interface.responseCodeTable
    }

    /// - Throws: `.malformedResponse` where the answer says another transaction or cannot be used; `.rejected` where
    ///   the host refuses the message for its format.
    public func authorization(
        _ answer: Message, of sent: SentAuthorization
    ) throws(AcquirerError) -> AuthorizationResponse {
        let code = try code(answer)
        if interface.retrievalReference == .terminal, let reference = answer.text(37),
            reference != sent.retrievalReference
        {
            throw .malformedResponse("field 37 is that of another transaction")
        }
        if let currency = number(answer, 49), currency != UInt64(sent.currency.value) {
            throw .malformedResponse("field 49 has another currency")
        }
        let meaning = codes.meaning(of: code, in: .authorization)
        if meaning == .formatError {
            throw .rejected("format error (field 39 is \(code))\(text(answer).map { ": \($0)" } ?? "")")
        }
        var chip = ChipData([])
        if let data = answer[55], !data.isEmpty {
            chip = ChipData(Array(data))
            if let error = chip.error { throw .malformedResponse("field 55: \(error)") }
        }
        var response = AuthorizationResponse(
            responseCode: code, meaning: meaning,
            authorisationResponseCode: chip[0x8A].flatMap(Self.issuerCode)
                ?? codes.authorisationResponseCode(of: code))
        if answer.contains(4) {
            guard let units = number(answer, 4), let amount = Amount(minorUnits: units) else {
                throw .malformedResponse("field 4 is not an amount")
            }
            if amount != sent.amount {
                guard meaning == .approvedInPart, amount < sent.amount, amount != .zero else {
                    throw .malformedResponse("field 4 is not the amount that was asked for")
                }
                response.approvedAmount = amount
            }
        }
        if meaning == .approvedInPart, response.approvedAmount == nil {
            throw .malformedResponse(
                "approved for a part (field 39 is \(code)), and field 4 does not tell which")
        }
        response.authorizationCode = try authorizationCode(answer)
        response.issuerAuthenticationData = chip[0x91].map { Array($0) }
        response.issuerScripts = chip.encoded { $0 == 0x71 || $0 == 0x72 }
        if let units = number(answer, 6), let amount = Amount(minorUnits: units),
            let currency = number(answer, 51).flatMap({ NumericCode($0) }), currency != sent.currency
        {
            response.accountCharge = AccountCharge(
                amount: amount, currency: currency, currencyExponent: CodeTable.minorUnits(of: currency),
                rate: answer.text(10).flatMap(Self.rate) ?? "")
        }
        response.availableBalance = answer.text(54).flatMap(Self.balance)
        response.message = text(answer)
        return response
    }

    /// Answers that acknowledge: to reversals, advices, adjustments and uploads.
    /// - Parameter alsoAccepted: what besides an approval means that nothing is left to do.
    /// - Throws: `.notProcessed` where the host asks to come again, `.malformedResponse` for a code that does not answer
    ///   messages of this class, `.rejected` for all other refusals.
    public func acknowledgement(
        _ answer: Message, alsoAccepted: Set<ResponseMeaning> = []
    ) throws(AcquirerError) {
        let code = try code(answer)
        let meaning = meaning(of: code, answer)
        guard !meaning.isApproval, !alsoAccepted.contains(meaning) else { return }
        let reason = "the host answered \(code)\(text(answer).map { ": \($0)" } ?? "")"
        switch meaning {
        case .tryAgain, .inProgress: throw .notProcessed(reason)
        case .invalid: throw .malformedResponse("\(reason), which is no response to a message of this kind")
        default: throw .rejected(reason)
        }
    }

    public func reconciliation(_ answer: Message) throws(AcquirerError) -> ReconciliationAnswer {
        switch meaning(of: try code(answer), answer) {
        case .outOfBalance: return .outOfBalance(totals(answer))
        case .approved:
            // Field 66 is the settlement code in 1987 only: in 1993 it holds original fees.
            let isOutOfBalance = interface.dialect.version == .v1987 && number(answer, 66) == 2
            return isOutOfBalance ? .outOfBalance(totals(answer)) : .balanced
        default:
            try acknowledgement(answer)
            return .outOfBalance(totals(answer))
        }
    }

    /// What the host says to one of its network management messages.
    func management(_ answer: Message) throws(AcquirerError) -> (code: String, meaning: ResponseMeaning) {
        let code = try code(answer)
        return (code, codes.meaning(of: code, in: .networkManagement))
    }

    private func meaning(of code: String, _ answer: Message) -> ResponseMeaning {
        answer.type.responseClass.map { codes.meaning(of: code, in: $0) } ?? .invalid
    }

    private func totals(_ answer: Message) -> BatchTotals? {
        guard let credits = number(answer, 74), let debits = number(answer, 76),
            let creditAmount = number(answer, 86), let debitAmount = number(answer, 88)
        else { return nil }
        return BatchTotals(
            debits: Int(clamping: debits), debitAmount: debitAmount, credits: Int(clamping: credits),
            creditAmount: creditAmount)
    }

    /// Field 38, an 6: letters, digits and spaces around them (ISO 8583:1987, 4.1); nil where it is absent or blank.
    private func authorizationCode(_ answer: Message) throws(AcquirerError) -> String? {
        guard answer.contains(38) else { return nil }
        let code = answer.text(38)?.trimmed
        guard let code, code.utf8.count <= 6,
            code.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x20
            })
        else { throw .malformedResponse("field 38 is not of letters and digits") }
        return code.isEmpty ? nil : code
    }

    /// Field 39 as it came.
    private func code(_ answer: Message) throws(AcquirerError) -> String {
        guard let text = answer.text(39)?.trimmed, !text.isEmpty else {
            throw .malformedResponse("field 39 is missing")
        }
        return text
    }

    /// Tag 8A of the issuer's own data: what its cryptogram was made with.
    private static func issuerCode(_ value: ArraySlice<UInt8>) -> String? {
        guard value.count == 2, value.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) })
        else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    private func text(_ answer: Message) -> String? {
        guard let text = answer.text(44)?.trimmed, !text.isEmpty,
            text.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        return text
    }

    private func number(_ message: Message, _ field: Int) -> UInt64? {
        message.text(field).flatMap { UInt64($0) }
    }

    /// Field 10: how many digits come after the decimal point, and seven digits.
    public static func rate(_ text: String) -> String? {
        guard text.utf8.count == 8, let places = text.first?.wholeNumberValue, places <= 7,
            let digits = UInt64(text.dropFirst())
        else { return nil }
        let padded = MessageBuilder.digits(digits, 8)
        let whole = UInt64(padded.prefix(8 - places)) ?? 0
        return places == 0 ? "\(whole)" : "\(whole).\(padded.suffix(places))"
    }

    /// The available balance (amount type 02) of field 54, or the first of any type.
    static func balance(_ text: String) -> AccountBalance? {
        var rest = Array(text.utf8)[...]
        var found: AccountBalance?
        while rest.count >= 20 {
            let piece = rest.prefix(20)
            rest = rest.dropFirst(20)
            func part(_ range: Range<Int>) -> String {
                String(decoding: piece.dropFirst(range.lowerBound).prefix(range.count), as: UTF8.self)
            }
            guard let currency = UInt16(part(4..<7)).flatMap({ NumericCode($0) }),
                let units = UInt64(part(8..<20)), let amount = Amount(minorUnits: units), part(2..<4) != "40"
            else { continue }
            let balance = AccountBalance(
                amount: part(7..<8) == "D" ? .zero : amount, currency: currency,
                currencyExponent: CodeTable.minorUnits(of: currency))
            if part(2..<4) == "02" { return balance }
            found = found ?? balance
        }
        return found
    }
}

extension String {
    /// Without spaces at both ends.
    var trimmed: String {
        var text = self[...]
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
