public import Acquiring
internal import BERTLV
internal import EMV
internal import EMVCryptography
public import Issuing

/// Acquirer, network, token service and issuer in one: the built-in backend. Deterministic but for the clock,
/// which is handed in. What goes wrong is told by a `TroubleScript`.
///
/// One simulator serves many terminals. Its books outlive a run where the caller keeps `issuer.state`, which
/// is `Codable`; cards whose counters begin again need a fresh one, as a used counter is refused.
public actor SimulatedAcquirer: AcquirerBackend {
    public nonisolated let name = "simulator"

    /// The issuers behind the network, with their books.
    public private(set) var issuer: IssuerSimulator
    /// Batches of the terminals.
    public private(set) var books: AcquirerBooks
    /// What the host did, latest last; at most `eventLimit`.
    public private(set) var events: [HostEvent] = []
    /// Answers that came after the terminal's wait, latest last; at most `eventLimit`.
    public private(set) var lateAnswers: [LateAnswer] = []

    /// How long a terminal waits for an answer.
    public nonisolated let answerTimeout: Duration
    /// Messages that the host has seen or missed, all of them.
    public private(set) var messageCount = 0
    private static let eventLimit = 1000
    private var troubles: TroubleMaker
    private let ledger: (any HostLedger)?
    private var lateListener: AsyncStream<LateAnswer>.Continuation?
    private let sleep: @Sendable (Duration) async throws -> Void
    private let elapsed: @Sendable () -> Duration

    /// - Parameters:
    ///   - issuer: the built-in test world where not given.
    ///   - ledger: told each change of the books as it is made.
    ///   - troubles: none where not given; `.amountTable` for people.
    ///   - answerTimeout: how long a terminal waits for an answer.
    ///   - clock: what delays and time-outs go by.
    public init(
        issuer: IssuerSimulator = .testWorld, books: AcquirerBooks = AcquirerBooks(),
        troubles: TroubleScript = .none,
        answerTimeout: Duration = .seconds(30), clock: any Clock<Duration> = ContinuousClock(),
        ledger: (any HostLedger)? = nil
    ) {
        self.issuer = issuer
        self.books = books
        self.ledger = ledger
        self.troubles = TroubleMaker(troubles)
        self.answerTimeout = answerTimeout
        sleep = { duration in try await clock.sleep(for: duration) }
        elapsed = Self.stopwatch(clock)
    }

    private static func stopwatch<C: Clock>(_ clock: C) -> @Sendable () -> Duration
    where C.Duration == Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// Issuers' and acquirer's books together, at one moment.
    public var allBooks: HostBooks { HostBooks(issuer: issuer.state, acquirer: books) }

    private func keep(
        _ issuer: @autoclosure () -> IssuerSimulator.StateChange?, _ acquirer: AcquirerBooks.Change?
    ) {
        guard let ledger else { return }
        let issuer = issuer()
        guard issuer != nil || acquirer != nil else { return }
        if ledger.append(HostChange(issuer: issuer, acquirer: acquirer)) { ledger.replace(with: allBooks) }
    }

    /// Begins another script of troubles.
    public func setTroubles(_ script: TroubleScript) { troubles = TroubleMaker(script) }

    // MARK: AcquirerBackend

    public func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse {
        let trouble = troubles.next(
            .authorization, amount: request.amount, card: request.primaryAccountNumber, elapsed: elapsed())
        if trouble == .unreachable { throw unreachable(request.transactionID, .authorization) }
        if trouble == .approve { return approve(request) }
        let data = try check(request, .authorization)
        switch trouble {
        case nil, .unreachable, .table, .approve: return decide(request, data)
        case .decline(let code):
            note(request.transactionID, .authorization, code, "declined by the script of troubles")
            return AuthorizationResponse(
                responseCode: code, message: Self.message(code), reason: "declined by the script of troubles")
        case .duplicate:
            _ = decide(request, data)
            return decide(request, data)
        case .wrongResponseCryptogram:
            var response = decide(request, data)
            response.issuerAuthenticationData = response.issuerAuthenticationData.map(Self.changed)
            return response
        case .wrongScript:
            var response = decide(request, data)
            response.issuerScripts = Self.changed(response.issuerScripts)
            return response
        case .silence:
            _ = decide(request, data)
            throw await waitInVain()
        case .lost:
            note(request.transactionID, .authorization, nil, "lost on the way")
            throw await waitInVain()
        case .garbage:
            _ = decide(request, data)
            throw .malformedResponse("the answer ends within its bitmap")
        case .wrongMAC:
            _ = decide(request, data)
            throw .malformedResponse("the message authentication code is wrong")
        case .cut(let seenByHost):
            if seenByHost { _ = decide(request, data) }
            throw .connectionLost("closed by the host before it answered")
        case .late(let delay):
            let response = decide(request, data)
            guard delay > answerTimeout else {
                try await wait(delay)
                return response
            }
            deliver(LateAnswer(transactionID: request.transactionID, response: response), after: delay)
            throw await waitInVain()
        case .overtaken(let delay):
            let sleep = sleep
            Task {
                try? await sleep(delay)
                self.decideLate(request, data)
            }
            throw await waitInVain()
        }
    }

    public func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        let trouble = troubles.next(.reversal, amount: request.amount, card: nil, elapsed: elapsed())
        if trouble == .unreachable { throw unreachable(request.transactionID, .reversal) }
        do throws(AcquirerError) {
            try MessageCheck.check(
                transactionID: request.transactionID, terminalID: request.terminalID, stan: request.stan,
                retrievalReference: request.retrievalReference)
            guard request.transmission >= 1 else { throw .rejected("transmission 0") }
        } catch { throw rejected(request.transactionID, .reversal, error) }
        try await suffer(trouble, request.transactionID, .reversal) {
            let mark = issuer.mark(request.transactionID)
            let result = issuer.reverse(
                transactionID: request.transactionID, terminalID: request.terminalID)
            if case .refused(let reason) = result {
                note(request.transactionID, .reversal, "12", reason)
                return .rejected(reason)
            }
            keep(
                issuer.change(since: mark),
                books.reversed(request.transactionID, terminalID: request.terminalID))
            note(request.transactionID, .reversal, "00", "\(result)")
            return nil
        }
    }

    public func advise(
        _ request: AuthorizationRequest, offline: OfflineDecision
    ) async throws(AcquirerError) {
        let trouble = troubles.next(
            .advice, amount: request.amount, card: request.primaryAccountNumber, elapsed: elapsed())
        if trouble == .unreachable { throw unreachable(request.transactionID, .advice) }
        let data = try check(request, .advice)
        try await suffer(trouble, request.transactionID, .advice) {
            let mark = issuer.mark(request.transactionID)
            let result = issuer.advise(Self.issuing(request, data), approved: offline == .approved)
            let change: AcquirerBooks.Change? =
                switch result {
                case .posted, .disputed:
                    books.approved(
                        request.transactionID, terminalID: request.terminalID, amount: request.amount,
                        currency: request.currency, isCredit: request.transactionType == 0x20, isHeld: false)
                case .noted, .repeated, .reversedBefore: nil
                }
            keep(issuer.change(since: mark), change)
            note(request.transactionID, .advice, "00", "\(result)")
            return nil
        }
    }

    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        let trouble = troubles.next(.adjustment, amount: request.amount, card: nil, elapsed: elapsed())
        if trouble == .unreachable { throw unreachable(request.transactionID, .adjustment) }
        do throws(AcquirerError) {
            try MessageCheck.check(
                transactionID: request.transactionID, terminalID: request.terminalID, stan: request.stan,
                retrievalReference: request.retrievalReference)
            guard request.transmission >= 1, request.revision >= 1 else {
                throw .rejected("transmission or revision 0")
            }
        } catch { throw rejected(request.transactionID, .adjustment, error) }
        try await suffer(trouble, request.transactionID, .adjustment) {
            let mark = issuer.mark(request.transactionID)
            let result = issuer.adjust(
                transactionID: request.transactionID, terminalID: request.terminalID, to: request.amount,
                revision: request.revision)
            if case .refused(let reason) = result {
                note(request.transactionID, .adjustment, "12", reason)
                return .rejected(reason)
            }
            let change =
                result == .adjusted
                ? books.adjusted(
                    request.transactionID, terminalID: request.terminalID, to: request.amount) : nil
            keep(issuer.change(since: mark), change)
            note(request.transactionID, .adjustment, "00", "\(result)")
            return nil
        }
    }

    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        let trouble = troubles.next(.reconciliation, amount: .zero, card: nil, elapsed: elapsed())
        let name = "\(request.terminalID) batch \(request.batch)"
        if trouble == .unreachable { throw unreachable(name, .reconciliation) }
        guard (1...999_999).contains(request.stan), request.batch >= 1 else {
            throw rejected(name, .reconciliation, .rejected("field 11 or the batch number is out of range"))
        }
        var answer = ReconciliationAnswer.outOfBalance(nil)
        try await suffer(trouble, name, .reconciliation) {
            let (found, change) = books.reconcile(request)
            answer = found
            keep(nil, change)
            note(name, .reconciliation, answer == .balanced ? "00" : "95", "\(answer)")
            return nil
        }
        return answer
    }

    public func upload(_ item: BatchItem) async throws(AcquirerError) {
        let trouble = troubles.next(.upload, amount: item.amount, card: nil, elapsed: elapsed())
        if trouble == .unreachable { throw unreachable(item.transactionID, .upload) }
        try await suffer(trouble, item.transactionID, .upload) {
            keep(nil, books.upload(item))
            note(item.transactionID, .upload, "00", "\(item.index) of \(item.count)")
            return nil
        }
    }

    public func answersOutOfTime() async -> AsyncStream<LateAnswer> {
        lateListener?.finish()
        let (stream, continuation) = AsyncStream.makeStream(of: LateAnswer.self)
        lateListener = continuation
        return stream
    }

    // MARK: The host's work

    private func check(
        _ request: AuthorizationRequest, _ kind: TroubleRule.Message
    ) throws(AcquirerError) -> DataObjects? {
        do throws(AcquirerError) { return try MessageCheck.check(request) } catch {
            throw rejected(request.transactionID, kind, error)
        }
    }

    /// Approves and books a request without asking an issuer, whatever it has for chip data, card and entry mode.
    /// Repeated, it is booked once and answered alike. A reversal takes it back.
    /// - Returns: code 00, and an authorization code made of the trace number.
    public func approve(_ request: AuthorizationRequest) -> AuthorizationResponse {
        keep(
            nil,
            books.approved(
                request.transactionID, terminalID: request.terminalID, amount: request.amount,
                currency: request.currency, isCredit: request.transactionType == 0x20,
                isHeld: request.purpose == .preAuthorization))
        note(request.transactionID, .authorization, "00", "approved by a rule")
        let digits = String(request.stan % 1_000_000)
        return AuthorizationResponse(
            responseCode: "00",
            authorizationCode: String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits,
            message: Self.message("00"), reason: "approved by a rule")
    }

    /// The network's rules, then the token service or issuer.
    private func decide(_ request: AuthorizationRequest, _ data: DataObjects?) -> AuthorizationResponse {
        if case .tokenService = issuer.route(request.primaryAccountNumber),
            request.entryMode == .contactlessMagStripe || request.entryMode == .manual
        {
            let reason = "network: a token came by \(request.entryMode) entry"
            note(request.transactionID, .authorization, "57", reason)
            return AuthorizationResponse(responseCode: "57", message: Self.message("57"), reason: reason)
        }
        if request.cvm == .onlinePIN, request.onlinePIN == nil {
            let reason = "network: the card was verified by online PIN, and no PIN block came"
            note(request.transactionID, .authorization, "55", reason)
            return AuthorizationResponse(responseCode: "55", message: Self.message("55"), reason: reason)
        }
        let mark = issuer.mark(request.transactionID)
        let answer = issuer.authorize(Self.issuing(request, data))
        let code = answer.code.rawValue
        let change =
            answer.code.isApproval
            ? books.approved(
                request.transactionID, terminalID: request.terminalID,
                amount: answer.approvedAmount ?? request.amount, currency: request.currency,
                isCredit: request.transactionType == 0x20, isHeld: request.purpose == .preAuthorization)
            : nil
        keep(issuer.change(since: mark), change)
        let reason = ([answer.reason] + answer.remarks).joined(separator: "; ")
        note(request.transactionID, .authorization, code, reason)
        var response = AuthorizationResponse(
            responseCode: code, authorizationCode: answer.authorizationCode,
            issuerAuthenticationData: answer.issuerAuthenticationData, issuerScripts: answer.issuerScripts,
            approvedAmount: answer.approvedAmount, message: Self.message(code), reason: reason)
        if let charge = answer.charge, let rate = answer.rate, charge.currency != request.currency {
            response.accountCharge = AccountCharge(
                amount: charge.amount, currency: charge.currency, currencyExponent: charge.exponent,
                rate: rate)
        }
        // A balance is told of prepaid and debit accounts to their owners; here to everybody, as it is a test.
        response.availableBalance = answer.available.map {
            AccountBalance(amount: $0.amount, currency: $0.currency, currencyExponent: $0.exponent)
        }
        return response
    }

    private func decideLate(_ request: AuthorizationRequest, _ data: DataObjects?) {
        keep(LateAnswer(transactionID: request.transactionID, response: decide(request, data)))
    }

    static func issuing(_ request: AuthorizationRequest, _ data: DataObjects?) -> IssuingRequest {
        let entry: EntryMode =
            switch request.entryMode {
            case .contactlessChip: .contactlessChip
            case .contactlessMagStripe: .contactlessMagStripe
            case .contactChip: .contactChip
            case .manual: .manual
            }
        return IssuingRequest(
            transactionID: request.transactionID, terminalID: request.terminalID,
            number: request.primaryAccountNumber, sequence: request.panSequenceNumber,
            expiry: request.expiry.map { $0.yymmdd / 100 } ?? request.track2?.expiry, entryMode: entry,
            amount: request.amount, amountOther: request.amountOther, currency: request.currency,
            transactionType: request.transactionType, date: request.date, chipData: data,
            track2: request.track2,
            acceptsPartialApproval: request.acceptsPartialApproval,
            pin: request.onlinePIN.map {
                IssuingRequest.PIN(block: $0.block, keySerialNumber: $0.keySerialNumber)
            })
    }

    // MARK: Troubles

    /// Troubles of messages that are answered with no more than an acknowledgement.
    /// - Parameter work: what the host does, as often as it sees the message; an error is its refusal.
    private func suffer(
        _ trouble: Trouble?, _ transactionID: String, _ kind: TroubleRule.Message,
        _ work: () -> AcquirerError?
    ) async throws(AcquirerError) {
        switch trouble {
        case nil, .unreachable, .table, .approve, .wrongResponseCryptogram, .wrongScript:
            if let error = work() { throw error }
        case .decline(let code):
            note(transactionID, kind, code, "refused by the script of troubles")
            throw .rejected("response code \(code)")
        case .duplicate:
            _ = work()
            if let error = work() { throw error }
        case .silence:
            _ = work()
            throw await waitInVain()
        case .lost:
            note(transactionID, kind, nil, "lost on the way")
            throw await waitInVain()
        case .garbage:
            _ = work()
            throw .malformedResponse("the answer ends within its bitmap")
        case .wrongMAC:
            _ = work()
            throw .malformedResponse("the message authentication code is wrong")
        case .cut(let seenByHost):
            if seenByHost { _ = work() }
            throw .connectionLost("closed by the host before it answered")
        case .late(let delay), .overtaken(let delay):
            let error = work()
            guard delay > answerTimeout else {
                try await wait(delay)
                if let error { throw error }
                return
            }
            throw await waitInVain()
        }
    }

    /// The terminal's whole wait, at whose end no answer has come.
    private func waitInVain() async -> AcquirerError {
        do throws(AcquirerError) { try await wait(answerTimeout) } catch { return error }
        return .timeout
    }

    private func wait(_ duration: Duration) async throws(AcquirerError) {
        // Clocks throw when the task is cancelled: the request has left, so its outcome is unknown.
        do { try await sleep(duration) } catch { throw .connectionLost("cancelled while waiting") }
    }

    private func deliver(_ answer: LateAnswer, after delay: Duration) {
        let sleep = sleep
        Task {
            try? await sleep(delay)
            self.keep(answer)
        }
    }

    private func keep(_ answer: LateAnswer) {
        if lateAnswers.count >= Self.eventLimit { lateAnswers.removeFirst() }
        lateAnswers.append(answer)
        lateListener?.yield(answer)
    }

    private func unreachable(_ transactionID: String, _ kind: TroubleRule.Message) -> AcquirerError {
        note(transactionID, kind, nil, "unreachable")
        return .unreachable("no route to the host")
    }

    private func rejected(
        _ transactionID: String, _ kind: TroubleRule.Message, _ error: AcquirerError
    ) -> AcquirerError {
        note(transactionID, kind, "30", "\(error)")
        return error
    }

    private func note(
        _ transactionID: String, _ kind: TroubleRule.Message, _ code: String?, _ reason: String
    ) {
        messageCount += 1
        if events.count >= Self.eventLimit { events.removeFirst() }
        events.append(
            HostEvent(transactionID: transactionID, message: kind, responseCode: code, reason: reason))
    }

    private static func changed(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        if let last = bytes.indices.last { bytes[last] ^= 0x01 }
        return bytes
    }

    /// What a cashier may read; nothing that tells why a card is refused.
    private static func message(_ code: String) -> String {
        switch IssuerResponseCode(rawValue: code) {
        case .approved: "APPROVED"
        case .approvedForPart: "APPROVED FOR A PART"
        case .insufficientFunds: "INSUFFICIENT FUNDS"
        case .expiredCard: "CARD EXPIRED"
        case .incorrectPIN: "WRONG PIN"
        case .pinTriesExceeded: "TOO MANY WRONG PINS"
        case .issuerInoperative: "ISSUER NOT AVAILABLE"
        case .exceedsAmountLimit, .exceedsFrequencyLimit: "LIMIT EXCEEDED"
        default: "DECLINED"
        }
    }
}

/// One message as the host saw it.
public struct HostEvent: Sendable, Equatable {
    public let transactionID: String
    public let message: TroubleRule.Message
    /// Nil where the host did not see it.
    public let responseCode: String?
    public let reason: String
}
