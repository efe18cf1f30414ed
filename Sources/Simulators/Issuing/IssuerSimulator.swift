internal import BERTLV
public import EMV
internal import EMVCryptography
internal import EMVDictionary

/// Issuers and their token service: looks at a request as they would and keeps their books. Pure: no clock, no
/// randomness, no I/O; the same requests in the same order give the same answers.
///
/// Checks come in this order: idempotency; route; card or token; token domain; chip data against the request;
/// application cryptogram; transaction counter; verification results; status and expiry; PIN; account, limits,
/// currency, funds. A counter is noted when its cryptogram is right, whatever is answered.
public struct IssuerSimulator: Sendable {
    public private(set) var world: IssuingWorld
    public private(set) var state: State
    /// Verifies online PINs. Without it a PIN is let pass and remarked on.
    public var pinVerifier: PINVerifier?

    /// All that transactions leave behind. Holds no card numbers: cards go by their names in the world.
    public struct State: Sendable, Codable, Equatable {
        public internal(set) var ledger = Ledger()
        public internal(set) var transactions: [String: TransactionRecord] = [:]
        /// By card or token name.
        public internal(set) var cards: [String: CardRecord] = [:]
        /// By account name and date (YYMMDD).
        var spending: [String: [Int: Spending]] = [:]
        var approvals: UInt64 = 0

        public init() {}
    }

    /// What is known of a card or token.
    public struct CardRecord: Sendable, Codable, Equatable {
        public internal(set) var counters = CounterLog()
        /// Wrong PINs in a row.
        public internal(set) var wrongPINs = 0
        /// Names of scripts that went out, and of those that the card carried out.
        public internal(set) var sentScripts: [String] = []
        public internal(set) var confirmedScripts: [String] = []
    }

    struct Spending: Sendable, Codable, Equatable {
        var count = 0
        var amount: UInt64 = 0
    }

    /// One transaction as the host remembers it.
    public struct TransactionRecord: Sendable, Codable, Equatable {
        public enum Status: String, Sendable, Codable {
            case approved, declined, approvedOffline, declinedOffline, reversed
            /// A reversal came without its transaction.
            case reversedUnseen
        }
        public let terminalID: String
        public internal(set) var status: Status
        /// Card or token name; nil where none was found.
        public internal(set) var card: String?
        public internal(set) var answer: IssuingAnswer?
        /// `LedgerEntry.sequence` of its posting and of its reversal.
        public internal(set) var entry: Int?
        public internal(set) var reversalEntry: Int?
        /// Tells a repeat from another transaction with the same identifier.
        var fingerprint: String
        var spent: SpentOn?
        /// What was adjusted afterwards: `LedgerEntry.sequence` of each, and the last revision and amount.
        var amendments: [Int]?
        var revision: Int?
        var amount: Amount?
    }

    struct SpentOn: Sendable, Codable, Equatable {
        let account: String
        let date: Int
        let amount: UInt64
    }

    /// - Throws: `IssuingWorldError` for a world that cannot be.
    public init(
        world: IssuingWorld, state: State = State(), pinVerifier: PINVerifier? = nil
    ) throws(IssuingWorldError) {
        try world.validate()
        self.init(checked: world, state: state)
        self.pinVerifier = pinVerifier
    }

    /// The built-in test world, fresh.
    public init() { self.init(checked: .test, state: State()) }

    private init(checked world: IssuingWorld, state: State) {
        self.world = world
        self.state = state
    }

    // MARK: What the host knows

    public func route(_ number: PrimaryAccountNumber) -> Route { world.route(number) }

    /// Balance in minor units, negative where credit was drawn; nil for an unknown account.
    public func balance(_ account: String) -> Int64? {
        world.accounts.first { $0.id == account }.map(balance)
    }

    /// What can be spent in minor units; nil for an unknown account.
    public func available(_ account: String) -> UInt64? {
        world.accounts.first { $0.id == account }.map(available)
    }

    private func balance(_ account: IssuingWorld.Account) -> Int64 {
        let (sum, overflow) = Int64(account.balance).addingReportingOverflow(state.ledger.sum(account.id))
        return overflow ? .max : sum
    }

    private func available(_ account: IssuingWorld.Account) -> UInt64 {
        let (sum, overflow) = balance(account).addingReportingOverflow(Int64(account.creditLimit))
        return overflow ? UInt64(Int64.max) : UInt64(max(0, sum))
    }

    private func availableMoney(_ account: IssuingWorld.Account) -> IssuerMoney {
        IssuerMoney(
            amount: Amount(clamping: available(account)), currency: account.currency,
            exponent: account.exponent)
    }

    // MARK: Changes from outside

    /// Changes the status of a card; false where there is none of this name.
    @discardableResult
    public mutating func setStatus(_ status: IssuingWorld.Status, card: String) -> Bool {
        guard let index = world.cards.firstIndex(where: { $0.id == card }) else { return false }
        world.cards[index].status = status
        return true
    }

    /// Changes the status of a token; false where there is none of this name.
    @discardableResult
    public mutating func setStatus(_ status: IssuingWorld.Token.Status, token: String) -> Bool {
        guard let index = world.tokens.firstIndex(where: { $0.id == token }) else { return false }
        world.tokens[index].status = status
        return true
    }

    /// Changes the status of an account; false where there is none of this name.
    @discardableResult
    public mutating func setStatus(_ status: IssuingWorld.Status, account: String) -> Bool {
        guard let index = world.accounts.firstIndex(where: { $0.id == account }) else { return false }
        world.accounts[index].status = status
        return true
    }

    /// Changes whether an issuer answers; false where there is none of this name.
    @discardableResult
    public mutating func setStatus(_ status: IssuingWorld.Issuer.Status, issuer: String) -> Bool {
        guard let index = world.issuers.firstIndex(where: { $0.id == issuer }) else { return false }
        world.issuers[index].status = status
        return true
    }

    /// Pays in (positive) or out: an adjustment in the books. False for an unknown account, or where a
    /// stored-value account would become negative.
    public mutating func adjust(account id: String, by minorUnits: Int64, reference: String) -> Bool {
        guard let account = world.accounts.first(where: { $0.id == id }),
            minorUnits != .min, let amount = Amount(minorUnits: minorUnits.magnitude)
        else { return false }
        if account.kind == .storedValue, minorUnits < 0, minorUnits.magnitude > available(account) {
            return false
        }
        let postings = [
            Posting(account: id, currency: account.currency, minorUnits: minorUnits),
            Posting(
                account: "adjustment:\(account.currency)", currency: account.currency, minorUnits: -minorUnits
            ),
        ]
        return state.ledger.append(
            .adjustment, transactionID: reference, terminalID: "", amount: amount,
            currency: account.currency, isCredit: minorUnits > 0, postings: postings)
    }
}

// MARK: - Authorization

extension IssuerSimulator {
    /// What was found out on the way to a decision.
    private struct Findings {
        var instrument: Instrument?
        var cryptogram: VerifiedCryptogram?
        var remarks: [String] = []
    }

    /// Answers an authorization request. A repeat of the same request gets the same answer again, and nothing
    /// is booked twice; another request under the same identifier is refused with 94, one that was reversed
    /// before it came with 12.
    public mutating func authorize(_ request: IssuingRequest) -> IssuingAnswer {
        let fingerprint = Self.fingerprint(request)
        if let known = state.transactions[request.transactionID] {
            if known.status == .reversedUnseen {
                return IssuingAnswer(code: .invalidTransaction, reason: "it was reversed before it came")
            }
            guard known.fingerprint == fingerprint, known.terminalID == request.terminalID,
                let answer = known.answer
            else {
                return IssuingAnswer(
                    code: .duplicateTransmission, reason: "another transaction has this identifier")
            }
            if known.status == .reversed {
                return IssuingAnswer(code: .invalidTransaction, reason: "it was reversed")
            }
            return answer
        }
        var findings = Findings()
        var record = TransactionRecord(
            terminalID: request.terminalID, status: .declined, fingerprint: fingerprint)
        var answer: IssuingAnswer
        do throws(Refusal) {
            try examine(request, online: true, &findings)
            answer = try fund(request, findings, &record)
        } catch {
            answer = IssuingAnswer(code: error.code, reason: error.reason)
        }
        if let cryptogram = findings.cryptogram, let instrument = findings.instrument {
            answer.issuerAuthenticationData = cryptogram.issuerAuthenticationData(answer.code)
            answer.issuerScripts = scripts(for: instrument, cryptogram, answer.code)
            if answer.available == nil { answer.available = availableMoney(instrument.account) }
        }
        answer.remarks = findings.remarks
        record.status = answer.code.isApproval ? .approved : .declined
        record.card = findings.instrument?.id
        record.answer = answer
        state.transactions[request.transactionID] = record
        return answer
    }

    /// All checks but those of funds.
    private mutating func examine(
        _ request: IssuingRequest, online: Bool, _ findings: inout Findings
    ) throws(Refusal) {
        guard [0x00, 0x01, 0x09, 0x20].contains(request.transactionType) else {
            throw Refusal(
                .invalidTransaction,
                "transaction type \(Hex.string([request.transactionType])) is not offered")
        }
        let instrument = try find(request)
        findings.instrument = instrument
        try checkDomain(request, instrument)
        if let data = request.chipData {
            try compare(request, data, instrument, &findings)
            let cryptogram = try VerifiedCryptogram(data, of: instrument)
            try checkCounter(cryptogram.counter, instrument, &findings)
            findings.cryptogram = cryptogram
            confirmScripts(cryptogram, instrument, &findings)
            try checkType(request, data, cryptogram, online: online)
            try checkResults(data, cryptogram, instrument)
        } else if request.entryMode == .contactlessChip || request.entryMode == .contactChip {
            throw Refusal(.securityViolation, "chip entry without chip data")
        } else if request.entryMode == .contactlessMagStripe {
            try checkChecksum(request, instrument, &findings)
        } else {
            findings.remarks.append("no chip data: nothing proves that the card was there")
        }
        try checkStatus(request, instrument)
        if online { try checkPIN(request, instrument, &findings) }
    }

    private func find(_ request: IssuingRequest) throws(Refusal) -> Instrument {
        let sequence =
            request.chipData?[0x5F34].flatMap { BCD.number($0) }.map { UInt8(truncatingIfNeeded: $0) }
            ?? request.sequence
        /// The one with the sequence number asked for; the only one where none was.
        func pick<Value>(_ found: [Value], _ number: (Value) -> UInt8) throws(Refusal) -> Value {
            guard !found.isEmpty else { throw Refusal(.invalidCardNumber, "no such number") }
            if let sequence {
                guard let match = found.first(where: { number($0) == sequence }) else {
                    throw Refusal(.invalidCardNumber, "no card of sequence number \(sequence)")
                }
                return match
            }
            return found.first { number($0) == 0 } ?? found[0]
        }
        func issuer(_ id: String) throws(Refusal) -> IssuingWorld.Issuer {
            guard let issuer = world.issuers.first(where: { $0.id == id }) else {
                throw Refusal(.noSuchIssuer, "no issuer \"\(id)\"")
            }
            guard issuer.status == .available else {
                throw Refusal(.issuerInoperative, "\(issuer.name) does not answer")
            }
            return issuer
        }
        func account(_ id: String) throws(Refusal) -> IssuingWorld.Account {
            guard let account = world.accounts.first(where: { $0.id == id }) else {
                throw Refusal(.noSuchAccount, "no account \"\(id)\"")
            }
            return account
        }
        switch world.route(request.number) {
        case .unknown: throw Refusal(.noSuchIssuer, "no issuer has this number range")
        case .issuer(let id):
            let issuer = try issuer(id)
            let card = try pick(world.cards.filter { $0.number == request.number }, \.sequence)
            return Instrument(
                id: card.id, number: card.number, sequence: card.sequence, expiry: card.expiry,
                version: card.cryptogramVersion, scripts: card.scripts, issuer: issuer,
                account: try account(card.account), card: card, token: nil)
        case .tokenService(let id):
            let issuer = try issuer(id)
            let token = try pick(world.tokens.filter { $0.number == request.number }, \.sequence)
            return Instrument(
                id: token.id, number: token.number, sequence: token.sequence, expiry: token.expiry,
                version: token.cryptogramVersion, scripts: token.scripts, issuer: issuer,
                account: try account(token.account),
                card: token.card.flatMap { id in world.cards.first { $0.id == id } }, token: token)
        }
    }

    /// Token domain restriction controls, or how the issuer lets its cards be read.
    private func checkDomain(_ request: IssuingRequest, _ instrument: Instrument) throws(Refusal) {
        guard let token = instrument.token else {
            guard instrument.issuer.entryModes.contains(request.entryMode) else {
                throw Refusal(
                    .notPermittedToCardholder, "the issuer takes no \(request.entryMode.rawValue) entry")
            }
            return
        }
        switch token.status {
        case .active: break
        case .suspended: throw Refusal(.restrictedCard, "the token is suspended")
        case .deleted: throw Refusal(.invalidCardNumber, "the token is deleted")
        }
        guard token.entryModes.contains(request.entryMode) else {
            throw Refusal(
                .notPermittedToCardholder,
                "token domain: \(request.entryMode.rawValue) entry is outside of it")
        }
        guard let data = request.chipData, data.contains(0x9F26) else {
            throw Refusal(.securityViolation, "token domain: a cryptogram is mandatory")
        }
        if let bytes = data[0x9F19] {
            // Format n 11 in 6 bytes.
            guard bytes.count == 6, let number = BCD.number(bytes), number == UInt64(token.requestor) else {
                throw Refusal(
                    .notPermittedToCardholder, "token domain: token requestor (9F19) is not the token's own")
            }
        }
    }

    /// The request against its chip data, where both say something.
    private func compare(
        _ request: IssuingRequest, _ data: DataObjects, _ instrument: Instrument, _ findings: inout Findings
    ) throws(Refusal) {
        func mismatch(_ what: String) -> Refusal {
            Refusal(.securityViolation, "\(what) of the chip data is not the message's")
        }
        if data.contains(0x9F02), data.decimal(0x9F02) != request.amount.minorUnits {
            throw mismatch("the amount (9F02)")
        }
        if data.contains(0x9F03), data.decimal(0x9F03) != request.amountOther.minorUnits {
            throw mismatch("the other amount (9F03)")
        }
        if let bytes = data[0x5F2A], NumericCode(bytes: bytes) != request.currency {
            throw mismatch("the currency (5F2A)")
        }
        if let bytes = data[0x9C], !bytes.elementsEqual([request.transactionType]) {
            throw mismatch("the transaction type (9C)")
        }
        if let bytes = data[0x5A], PrimaryAccountNumber(compressedNumeric: bytes) != request.number {
            throw mismatch("the number (5A)")
        }
        if let bytes = data[0x57], Track2EquivalentData(bytes)?.primaryAccountNumber != request.number {
            throw mismatch("the number (57)")
        }
        if let bytes = data[0x9A], EMVDate(bytes: bytes) != request.date {
            findings.remarks.append("the date of the chip data (9A) is not the message's")
        }
        let presented =
            request.expiry
            ?? data[0x5F24].flatMap { BCD.number($0) }.map { Int(truncatingIfNeeded: $0 / 100) }
        if let presented, presented != instrument.expiry {
            throw Refusal(
                .expiredCard, "the expiry date is not the \(instrument.token == nil ? "card" : "token")'s")
        }
    }

    /// Mag-stripe mode: the dynamic CVC3 of track 2.
    private mutating func checkChecksum(
        _ request: IssuingRequest, _ instrument: Instrument, _ findings: inout Findings
    ) throws(Refusal) {
        guard let layout = instrument.card?.magStripe, instrument.token == nil,
            let keys = instrument.issuer.keys.first, let master = keys.cardVerificationCode
        else { throw Refusal(.securityViolation, "the card has no mag-stripe mode") }
        guard let track = request.track2, track.primaryAccountNumber == instrument.number else {
            throw Refusal(.securityViolation, "mag-stripe entry without the card's track 2")
        }
        guard track.expiry == instrument.expiry else {
            throw Refusal(.expiredCard, "the expiry date of track 2 is not the card's")
        }
        let key: TripleDESKey
        do throws(CryptographyError) {
            key = try TripleDESKey(master).iccMasterKey(
                pan: instrument.number.compressedNumeric,
                panSequenceNumber: instrument.sequence / 10 << 4 | instrument.sequence % 10,
                derivation: keys.derivation)
        } catch { throw Refusal(.systemMalfunction, "master key: \(error)") }
        let counter = try DynamicCVC3(layout: layout, key: key).verify(
            track, highest: state.cards[instrument.id]?.counters.highest)
        try checkCounter(counter, instrument, &findings)
    }

    private mutating func checkCounter(
        _ counter: UInt16, _ instrument: Instrument, _ findings: inout Findings
    ) throws(Refusal) {
        var record = state.cards[instrument.id] ?? CardRecord()
        let finding = record.counters.look(counter, window: instrument.issuer.counterWindow)
        switch finding {
        case .repeated:
            throw Refusal(
                .securityViolation, "transaction counter \(counter) was used before")
        case .outsideWindow(let steps):
            throw Refusal(
                .securityViolation,
                "transaction counter \(counter) lies \(steps) behind the highest one")
        case .behind(let steps):
            findings.remarks.append("transaction counter \(steps) behind the highest one")
        case .ahead(let step) where step > instrument.issuer.counterGap:
            findings.remarks.append("transaction counter jumped ahead by \(step)")
        case .first, .ahead: break
        }
        record.counters.note(counter)
        state.cards[instrument.id] = record
    }

    /// The kind of cryptogram against what is asked of the issuer. What the cryptogram covers (CVR) counts;
    /// 9F27 is not covered, and has to say the same.
    private func checkType(
        _ request: IssuingRequest, _ data: DataObjects, _ cryptogram: VerifiedCryptogram, online: Bool
    ) throws(Refusal) {
        let shown = data[0x9F27]?.first.map { CryptogramInformationData(rawValue: $0).type }
        if let shown, let type = cryptogram.type, shown != type {
            throw Refusal(
                .securityViolation, "9F27 says \(shown), the card verification results say \(type)")
        }
        // A refund is no purchase by the card: an AAC will do (Book C-3 ends refunds on card data alone).
        if online, !request.isRefund, let type = cryptogram.type ?? shown, type != .arqc {
            throw Refusal(.securityViolation, "the cryptogram is no ARQC but \(type)")
        }
    }

    private func checkResults(
        _ data: DataObjects, _ cryptogram: VerifiedCryptogram, _ instrument: Instrument
    ) throws(Refusal) {
        let terminal = TerminalVerificationResults(rawValue: data.number(0x95) ?? 0)
        for rule in instrument.issuer.refusals {
            let hits =
                rule.terminalVerificationResults.allSatisfy { !$0.isDisjoint(with: terminal) }
                && rule.cardVerificationResults.allSatisfy { mask in
                    (cryptogram.cardVerificationResults ?? 0) & mask != 0
                }
            if hits { throw Refusal(rule.code, rule.reason) }
        }
    }

    private func checkStatus(_ request: IssuingRequest, _ instrument: Instrument) throws(Refusal) {
        func check(_ status: IssuingWorld.Status, _ what: String) throws(Refusal) {
            switch status {
            case .active: break
            case .blocked: throw Refusal(.restrictedCard, "the \(what) is blocked")
            case .closed: throw Refusal(.noSuchAccount, "the \(what) is closed")
            case .lost: throw Refusal(.lostCard, "the \(what) was reported lost")
            case .stolen: throw Refusal(.stolenCard, "the \(what) was reported stolen")
            }
        }
        if let card = instrument.card {
            try check(card.status, instrument.token == nil ? "card" : "card behind the token")
        }
        try check(instrument.account.status, "account")
        // A token's own date counts; the card behind it may have been replaced.
        if let end = EMVDate(endOfMonthYYMM: instrument.expiry), end < request.date {
            throw Refusal(
                .expiredCard,
                "the \(instrument.token == nil ? "card" : "token") expired at the end of \(end.year)-\(end.month)"
            )
        }
    }

    private mutating func checkPIN(
        _ request: IssuingRequest, _ instrument: Instrument, _ findings: inout Findings
    ) throws(Refusal) {
        guard let pin = request.pin else { return }
        guard let pinVerifier else {
            findings.remarks.append("an online PIN came and was not verified")
            return
        }
        var record = state.cards[instrument.id] ?? CardRecord()
        guard record.wrongPINs < 3 else { throw Refusal(.pinTriesExceeded, "three wrong PINs before") }
        switch pinVerifier(pin, instrument.number) {
        case .correct: record.wrongPINs = 0
        case .incorrect: record.wrongPINs += 1
        case .unverifiable: throw Refusal(.systemMalfunction, "the PIN block cannot be deciphered")
        }
        state.cards[instrument.id] = record
        if record.wrongPINs > 0 {
            throw record.wrongPINs < 3
                ? Refusal(.incorrectPIN, "wrong PIN") : Refusal(.pinTriesExceeded, "third wrong PIN")
        }
    }

    /// Converts, checks limits and funds, and books.
    private mutating func fund(
        _ request: IssuingRequest, _ findings: Findings, _ record: inout TransactionRecord
    ) throws(Refusal) -> IssuingAnswer {
        guard let instrument = findings.instrument else {
            throw Refusal(.systemMalfunction, "no card was found")
        }
        let account = instrument.account
        let (rate, full) = try convert(request, account)
        var approved = request.amount
        var charge = full
        if !request.isRefund {
            guard request.amountOther <= request.amount else {
                throw Refusal(.invalidAmount, "cashback is more than the whole amount")
            }
            let spendable = available(account)
            if charge.minorUnits > spendable {
                approved =
                    request.acceptsPartialApproval && request.amountOther == .zero
                    ? rate.greatestAmount(
                        within: spendable, fromExponent: CodeTable.minorUnits(of: request.currency),
                        toExponent: account.exponent) : .zero
                guard approved > .zero,
                    let part = rate.convert(
                        approved, fromExponent: CodeTable.minorUnits(of: request.currency),
                        toExponent: account.exponent), part.minorUnits <= spendable
                else { throw Refusal(.insufficientFunds, "the account cannot cover it") }
                charge = part
            }
            try checkVelocity(account, charge, request.date)
        }
        guard book(request, instrument, approved, charge, &record) else {
            throw Refusal(.systemMalfunction, "the books are full")
        }
        if !request.isRefund { spend(account, charge, request.date, &record) }
        let isPart = approved != request.amount
        var answer = IssuingAnswer(
            code: isPart ? .approvedForPart : .approved,
            reason: request.isRefund
                ? "refund credited" : isPart ? "approved for what the account can cover" : "approved")
        state.approvals += 1
        answer.authorizationCode = Self.authorizationCode(state.approvals)
        answer.approvedAmount = isPart ? approved : nil
        answer.charge = IssuerMoney(
            amount: charge, currency: account.currency, exponent: account.exponent)
        answer.rate = rate.text
        answer.available = availableMoney(account)
        return answer
    }

    private func convert(
        _ request: IssuingRequest, _ account: IssuingWorld.Account
    ) throws(Refusal) -> (ExchangeRate, Amount) {
        let rate =
            request.currency == account.currency
            ? ExchangeRate.identity(account.currency)
            : world.rates.first { $0.from == request.currency && $0.to == account.currency }
        guard let rate else {
            throw Refusal(
                .notPermittedToCardholder,
                "no exchange rate from currency \(request.currency) to \(account.currency)")
        }
        guard
            let charge = rate.convert(
                request.amount, fromExponent: CodeTable.minorUnits(of: request.currency),
                toExponent: account.exponent)
        else { throw Refusal(.invalidAmount, "the amount is too great to convert") }
        return (rate, charge)
    }

    private func checkVelocity(
        _ account: IssuingWorld.Account, _ charge: Amount, _ date: EMVDate
    ) throws(Refusal) {
        if let limit = account.singleLimit, charge.minorUnits > limit {
            throw Refusal(.exceedsAmountLimit, "above the limit for one transaction")
        }
        let today = state.spending[account.id]?[date.yymmdd] ?? Spending()
        if let limit = account.dailyLimit {
            let (sum, overflow) = today.amount.addingReportingOverflow(charge.minorUnits)
            guard !overflow, sum <= limit else {
                throw Refusal(.exceedsAmountLimit, "above the limit for a day")
            }
        }
        if let limit = account.dailyCount, today.count >= limit {
            throw Refusal(.exceedsFrequencyLimit, "more transactions than a day allows")
        }
    }

    private mutating func spend(
        _ account: IssuingWorld.Account, _ charge: Amount, _ date: EMVDate, _ record: inout TransactionRecord
    ) {
        guard account.dailyLimit != nil || account.dailyCount != nil else { return }
        var days = state.spending[account.id] ?? [:]
        var today = days[date.yymmdd] ?? Spending()
        today.count += 1
        let (sum, overflow) = today.amount.addingReportingOverflow(charge.minorUnits)
        today.amount = overflow ? .max : sum
        days[date.yymmdd] = today
        state.spending[account.id] = days
        record.spent = SpentOn(account: account.id, date: date.yymmdd, amount: charge.minorUnits)
    }

    /// Books a purchase or refund between the account and what is owed to acquirers.
    private mutating func book(
        _ request: IssuingRequest, _ instrument: Instrument, _ amount: Amount, _ charge: Amount,
        kind: LedgerEntry.Kind? = nil, _ record: inout TransactionRecord
    ) -> Bool {
        let currency = instrument.account.currency
        let signed = request.isRefund ? Int64(charge.minorUnits) : -Int64(charge.minorUnits)
        let postings = covered(
            [
                Posting(account: instrument.account.id, currency: currency, minorUnits: signed),
                Posting(
                    account: "clearing:\(instrument.issuer.id):\(currency)", currency: currency,
                    minorUnits: -signed),
            ], issuer: instrument.issuer.id)
        guard
            state.ledger.append(
                kind ?? (request.isRefund ? .refund : .authorization),
                transactionID: request.transactionID, terminalID: request.terminalID, amount: amount,
                currency: request.currency, isCredit: request.isRefund, postings: postings)
        else { return false }
        record.entry = state.ledger.entries.count
        return true
    }

    /// The same postings, where a stored-value account gives no more than it has, and the bank the rest.
    private func covered(_ postings: [Posting], issuer: String) -> [Posting] {
        var result: [Posting] = []
        for posting in postings {
            guard posting.minorUnits < 0,
                let account = world.accounts.first(where: { $0.id == posting.account }),
                account.kind == .storedValue
            else {
                result.append(posting)
                continue
            }
            let taken = min(Int64(clamping: available(account)), -posting.minorUnits)
            let rest = posting.minorUnits + taken
            result.append(
                Posting(account: posting.account, currency: posting.currency, minorUnits: -taken))
            if rest != 0 {
                result.append(
                    Posting(
                        account: "shortfall:\(issuer):\(posting.currency)", currency: posting.currency,
                        minorUnits: rest))
            }
        }
        return result
    }

    /// Six digits that do not repeat within a million approvals.
    static func authorizationCode(_ number: UInt64) -> String {
        let digits = String((number % 1_000_000 * 7919 + 104_729) % 1_000_000)
        return String(repeating: "0", count: 6 - digits.utf8.count) + digits
    }

    private static func fingerprint(_ request: IssuingRequest) -> String {
        let cryptogram = request.chipData?[0x9F26].map { Hex.string($0) } ?? "-"
        return
            "\(request.number.masked) \(cryptogram) \(request.amount) \(request.currency) \(request.transactionType)"
    }
}

// MARK: - Issuer scripts

extension IssuerSimulator {
    /// Scripts that went out and that the card's counter confirms now go out no more.
    private mutating func confirmScripts(
        _ cryptogram: VerifiedCryptogram, _ instrument: Instrument, _ findings: inout Findings
    ) {
        guard var record = state.cards[instrument.id], !record.sentScripts.isEmpty,
            cryptogram.scriptCommands > 0
        else { return }
        if cryptogram.scriptFailed {
            findings.remarks.append("the card says that an issuer script failed")
        } else {
            record.confirmedScripts += record.sentScripts
        }
        record.sentScripts = []
        state.cards[instrument.id] = record
    }

    private mutating func scripts(
        for instrument: Instrument, _ cryptogram: VerifiedCryptogram, _ code: IssuerResponseCode
    ) -> [UInt8] {
        var record = state.cards[instrument.id] ?? CardRecord()
        var builder = ScriptBuilder(cryptogram)
        for script in instrument.scripts {
            let applies =
                switch script.when {
                case .always: true
                case .approved: code.isApproval
                case .declined: !code.isApproval
                }
            guard applies else { continue }
            if script.until == .confirmed {
                guard !record.confirmedScripts.contains(script.id) else { continue }
                if !record.sentScripts.contains(script.id) { record.sentScripts.append(script.id) }
            }
            builder.append(script)
        }
        // A lost or stolen card blocks itself, as far as it can still be reached.
        if code == .lostCard || code == .stolenCard {
            builder.append(ScriptProfile(id: "block", commands: [.applicationBlock]))
        }
        state.cards[instrument.id] = record
        return builder.bytes
    }
}

// MARK: - Advices and reversals

extension IssuerSimulator {
    /// Takes what was decided offline. Every offline approval is booked once, so that the totals are the
    /// terminal's; at the bank's cost where the cryptogram is wrong, the counter repeated or the card unknown.
    public mutating func advise(_ request: IssuingRequest, approved: Bool) -> AdviceResult {
        if let known = state.transactions[request.transactionID] {
            switch known.status {
            case .reversed, .reversedUnseen: return .reversedBefore
            case .approved, .approvedOffline, .declinedOffline: return .repeated
            case .declined: if !approved { return .repeated }
            }
        }
        let overruled = state.transactions[request.transactionID] != nil
        var findings = Findings()
        var record = TransactionRecord(
            terminalID: request.terminalID, status: approved ? .approvedOffline : .declinedOffline,
            fingerprint: Self.fingerprint(request))
        var problem: String?
        if overruled {
            problem = "it was declined online"
        } else {
            do throws(Refusal) {
                try examine(request, online: false, &findings)
                if approved, let type = findings.cryptogram?.type, type != .tc, !request.isRefund {
                    problem = "the cryptogram is no TC but \(type)"
                }
            } catch {
                // Status and expiry are the issuer's risk once the card has approved.
                if findings.cryptogram == nil || error.code == .securityViolation { problem = error.reason }
            }
        }
        record.card = findings.instrument?.id
        defer { state.transactions[request.transactionID] = record }
        guard approved else { return .noted }
        if problem == nil, let instrument = findings.instrument {
            do throws(Refusal) {
                let (_, charge) = try convert(request, instrument.account)
                if book(request, instrument, request.amount, charge, kind: .offlineApproval, &record) {
                    return .posted
                }
                problem = "the books are full"
            } catch { problem = error.reason }
        }
        let issuer = findings.instrument?.issuer.id ?? "unknown"
        let signed = Int64(request.amount.minorUnits) * (request.isRefund ? 1 : -1)
        let booked = state.ledger.append(
            .offlineApproval, transactionID: request.transactionID, terminalID: request.terminalID,
            amount: request.amount, currency: request.currency, isCredit: request.isRefund,
            postings: [
                Posting(
                    account: "disputed:\(issuer):\(request.currency)", currency: request.currency,
                    minorUnits: signed),
                Posting(
                    account: "clearing:\(issuer):\(request.currency)", currency: request.currency,
                    minorUnits: -signed),
            ])
        if booked { record.entry = state.ledger.entries.count }
        return .disputed(problem ?? "unknown")
    }

    /// Takes a transaction back: once, and exactly. One that is not known is remembered, and refused should
    /// it come.
    public mutating func reverse(transactionID: String, terminalID: String) -> ReversalResult {
        guard var record = state.transactions[transactionID] else {
            state.transactions[transactionID] = TransactionRecord(
                terminalID: terminalID, status: .reversedUnseen, fingerprint: "")
            return .remembered
        }
        guard record.terminalID == terminalID else {
            return .refused("the transaction is of another terminal")
        }
        switch record.status {
        case .reversed, .reversedUnseen: return .alreadyReversed
        case .declined, .declinedOffline: return .nothingToReverse
        case .approved, .approvedOffline: break
        }
        guard let sequence = record.entry, state.ledger.entries.indices.contains(sequence - 1) else {
            return .nothingToReverse
        }
        let entry = state.ledger.entries[sequence - 1]
        let postings = posted(record)
        let issuer = entry.postings.lazy.map(\.account).first { $0.hasPrefix("clearing:") }?
            .split(separator: ":").dropFirst().first.map { String($0) }
        guard
            state.ledger.append(
                .reversal, transactionID: transactionID, terminalID: terminalID,
                amount: record.amount ?? entry.amount, currency: entry.currency, isCredit: !entry.isCredit,
                postings: covered(postings.map(\.negated), issuer: issuer ?? "unknown"))
        else { return .refused("the books are full") }
        record.reversalEntry = state.ledger.entries.count
        record.status = .reversed
        if let spent = record.spent, var today = state.spending[spent.account]?[spent.date] {
            today.count = max(0, today.count - 1)
            today.amount -= min(today.amount, spent.amount)
            state.spending[spent.account]?[spent.date] = today
        }
        state.transactions[transactionID] = record
        return .reversed
    }
}

// MARK: - Adjustments

extension IssuerSimulator {
    /// All postings of a transaction, those of its adjustments included, one for each account.
    private func posted(_ record: TransactionRecord) -> [Posting] {
        var result: [Posting] = []
        for sequence in [record.entry].compactMap({ $0 }) + (record.amendments ?? [])
        where state.ledger.entries.indices.contains(sequence - 1) {
            for posting in state.ledger.entries[sequence - 1].postings {
                if let index = result.firstIndex(where: { $0.account == posting.account }) {
                    let (sum, overflow) = result[index].minorUnits.addingReportingOverflow(posting.minorUnits)
                    if overflow { continue }
                    result[index] = Posting(
                        account: posting.account, currency: posting.currency, minorUnits: sum)
                } else {
                    result.append(posting)
                }
            }
        }
        return result
    }

    /// Sets what an approved purchase comes to in the end: a completion, a tip. An advice: it is booked whatever
    /// the account can cover.
    /// - Parameter revision: an adjustment that is no newer than the last changes nothing.
    public mutating func adjust(
        transactionID: String, terminalID: String, to amount: Amount, revision: Int
    ) -> AdjustmentResult {
        guard var record = state.transactions[transactionID] else {
            return .refused("no such transaction")
        }
        guard record.terminalID == terminalID else {
            return .refused("the transaction is of another terminal")
        }
        switch record.status {
        case .approved, .approvedOffline: break
        case .reversed, .reversedUnseen: return .refused("the transaction was reversed")
        case .declined, .declinedOffline: return .refused("the transaction was declined")
        }
        guard revision > record.revision ?? 0 else { return .repeated }
        guard let sequence = record.entry, state.ledger.entries.indices.contains(sequence - 1) else {
            return .refused("nothing was booked")
        }
        let entry = state.ledger.entries[sequence - 1]
        guard !entry.isCredit else { return .refused("a refund is not adjusted") }
        let postings = posted(record)
        guard let clearing = postings.first(where: { $0.account.hasPrefix("clearing:") }),
            let payer = entry.postings.first(where: { $0.account != clearing.account })
        else { return .refused("nothing was booked") }
        let parts = clearing.account.split(separator: ":")
        let issuer = parts.count > 1 ? String(parts[1]) : "unknown"

        var charge = amount
        if let account = world.accounts.first(where: { $0.id == payer.account }) {
            let rate =
                entry.currency == account.currency
                ? ExchangeRate.identity(account.currency)
                : world.rates.first { $0.from == entry.currency && $0.to == account.currency }
            guard
                let converted = rate?.convert(
                    amount, fromExponent: CodeTable.minorUnits(of: entry.currency),
                    toExponent: account.exponent)
            else { return .refused("the amount cannot be converted") }
            charge = converted
        }
        let difference = Int64(charge.minorUnits) - clearing.minorUnits
        let before = record.amount ?? entry.amount
        let change =
            amount > before
            ? amount.minorUnits - before.minorUnits : before.minorUnits - amount.minorUnits
        guard
            state.ledger.append(
                .amendment, transactionID: transactionID, terminalID: terminalID,
                amount: Amount(clamping: change), currency: entry.currency, isCredit: amount < before,
                postings: covered(
                    [
                        Posting(
                            account: payer.account, currency: payer.currency, minorUnits: -difference),
                        Posting(
                            account: clearing.account, currency: clearing.currency, minorUnits: difference),
                    ], issuer: issuer))
        else { return .refused("the books are full") }
        record.amendments = (record.amendments ?? []) + [state.ledger.entries.count]
        record.revision = revision
        record.amount = amount
        state.transactions[transactionID] = record
        return .adjusted
    }
}
