public import Acquiring
internal import EMV
public import Journal

/// Delivers what one terminal owes its host: reversals until they are acknowledged, advices of offline approvals,
/// final amounts, deferred authorizations. In the order of their transactions, one after the other, each counted in the
/// journal before it leaves; with back-off while the line is down. Each pass begins with what was left behind unfinished
/// (`resolveInterrupted`), so that a payment that failed with the journal is reversed while the program runs.
///
/// `run` works beside the payments until its task is cancelled; `flush` makes one pass. What the host refuses for good,
/// answers with nothing usable again and again, or got through another host than the present one, is parked for a person
/// and holds up nothing.
public actor Forwarder {
    /// When to try again.
    public struct Policy: Sendable, Equatable {
        /// After the first failure; doubled with each that follows.
        public var firstDelay: Duration = .seconds(2)
        public var greatestDelay: Duration = .seconds(600)
        /// So much of a delay is chance, so that many terminals do not come at once.
        public var jitter = 0.2
        /// Transmissions after which an unusable answer parks a message, and a missing one no longer holds up those
        /// behind it.
        public var patience = 6
        /// How long to wait for an acknowledgement.
        public var answerTimeout: Duration = .seconds(30)
        /// How often to look though nothing is known to be due.
        public var idleDelay: Duration = .seconds(60)
        public init() {}

        /// - Parameters:
        ///   - failures: in a row, from 1.
        ///   - chance: 0 to 1.
        public func delay(after failures: Int, chance: Double) -> Duration {
            let factor = Double(UInt64(1) << UInt64(min(max(failures, 1) - 1, 40)))
            let plain = min(firstDelay * factor, greatestDelay)
            return plain * (1 + jitter * (2 * min(max(chance, 0), 1) - 1))
        }
    }

    /// What became of one message.
    public struct Delivery: Sendable {
        public enum Result: Sendable, Equatable {
            /// The host acknowledged; the transaction is in this state now.
            case delivered(TransactionState)
            /// Still owed.
            case postponed(AcquirerError)
            /// Set aside for a person.
            case parked(String)
            /// Still owed: the journal did not take a step of this one.
            case failed(JournalError)
        }
        /// As it was before.
        public var record: TransactionRecord
        public var result: Result
    }

    public enum Event: Sendable {
        case delivery(Delivery)
        /// A reversal was transmitted, and acknowledged or not.
        case reversal(ReversalRequest, delivered: Bool)
        /// What was left behind in this state is resolved.
        case resolved(TransactionRecord, action: String)
        /// An answer came after the wait, or after another: it is noted, and may make a reversal due.
        case lateAnswer(LateAnswer)
        /// What was done with it.
        case lateAnswerRecorded(LateAnswer, LateResponse.Action)
        /// The next pass comes after this time, after so many passes that failed.
        case waiting(Duration, failures: Int)
        case journalFailed(JournalError)
    }

    public nonisolated let terminalID: String
    let journal: Journal
    let backend: any AcquirerBackend
    let policy: Policy
    private let sleep: @Sendable (Duration) async -> Void
    private let chance: @Sendable () -> Double
    private let observer: (@Sendable (Event) -> Void)?
    private var pass: Task<Result<[Delivery], JournalError>, Never>?
    private var bell: AsyncStream<Void>.Continuation?
    /// Delivers for this terminal until it is over.
    private var predecessor: Task<Void, Never>?

    /// - Parameters:
    ///   - sleep: what waiting goes by.
    ///   - chance: 0 to 1, for the jitter.
    public init(
        terminalID: String, journal: Journal, backend: any AcquirerBackend, policy: Policy = Policy(),
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0...1) },
        observer: (@Sendable (Event) -> Void)? = nil
    ) {
        self.terminalID = terminalID
        self.journal = journal
        self.backend = backend
        self.policy = policy
        self.sleep = sleep
        self.chance = chance
        self.observer = observer
    }

    /// For another terminal of the same journal and host.
    func copy(terminalID: String) -> Forwarder {
        Forwarder(
            terminalID: terminalID, journal: journal, backend: backend, policy: policy, sleep: sleep,
            chance: chance, observer: observer)
    }

    /// Whether `run` is at work.
    public var isRunning: Bool { bell != nil }

    /// Something new is owed: makes `run` look at once.
    public func wake() { bell?.yield() }

    /// Begins only when another one, which delivered for this terminal so far, is over: no two send at the same time.
    public func follow(_ other: Task<Void, Never>) { predecessor = other }

    func report(_ event: Event) { observer?(event) }

    /// Delivers what is owed, and what becomes owed, until the task is cancelled. One at a time.
    /// - Parameter endsWhenDone: also ends when nothing is owed any more, but for what is parked.
    public func run(endsWhenDone: Bool = false) async {
        guard bell == nil else { return }
        let (signals, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.bell = bell
        let listener = Task { await listen() }
        var signal = signals.makeAsyncIterator()
        var failures = 0
        while !Task.isCancelled {
            var delay = policy.idleDelay
            do throws(JournalError) {
                let isHeldUp = try await flush().contains {
                    switch $0.result {
                    case .postponed, .failed: true
                    case .delivered, .parked: false
                    }
                }
                failures = isHeldUp ? failures + 1 : 0
                if failures > 0 { delay = policy.delay(after: failures, chance: chance()) }
                if endsWhenDone, try await journal.unfinished(terminal: terminalID).isEmpty { break }
            } catch {
                observer?(.journalFailed(error))
                failures += 1
                // It is on this machine: it may be back at any time, and asking costs little.
                delay = min(policy.delay(after: failures, chance: chance()), policy.idleDelay)
            }
            if failures > 0 { observer?(.waiting(delay, failures: failures)) }
            if Task.isCancelled { break }
            let sleep = sleep
            let clock = Task {
                await sleep(delay)
                // Cancelled below it must not ring: that would be the next round's beginning, again and again.
                if !Task.isCancelled { bell.yield() }
            }
            _ = await signal.next()
            clock.cancel()
        }
        listener.cancel()
        bell.finish()
        self.bell = nil
    }

    /// One pass over all that is owed, in order; ends at the first message that the line does not carry. Not ended by a
    /// task's cancellation. Passes do not overlap: one that is asked for during another follows it.
    public func flush() async throws(JournalError) -> [Delivery] {
        if let predecessor {
            await predecessor.value
            self.predecessor = nil
        }
        while let pass { _ = await pass.value }
        let task = Task { await self.work() }
        pass = task
        return try await task.value.get()
    }

    private func work() async -> Result<[Delivery], JournalError> {
        defer { pass = nil }
        var done: [Delivery] = []
        do throws(JournalError) {
            let found = try await leftBehind()
            let isResolved = found.allSatisfy { !TransactionState.inProgress.contains($0.state) }
            if !isResolved { _ = try await resolve(found) }
            for record in isResolved ? found : try await journal.owed(terminal: terminalID) {
                let delivery: Delivery
                do throws(JournalError) {
                    delivery = Delivery(record: record, result: try await deliver(record))
                } catch {
                    // Somebody else took it on meanwhile.
                    if case .stateMoved = error { continue }
                    guard !error.holdsUpOthers else { throw error }
                    delivery = Delivery(record: record, result: await setAside(record, error))
                }
                done.append(delivery)
                observer?(.delivery(delivery))
                if case .postponed(let error) = delivery.result, !maySkip(record, after: error) { break }
            }
        } catch {
            return .failure(error)
        }
        return .success(done)
    }

    private func maySkip(_ record: TransactionRecord, after error: AcquirerError) -> Bool {
        DeliveryOrder.maySkip(
            after: error, transmissions: attempts(record) + 1, patience: policy.patience)
    }

    private func attempts(_ record: TransactionRecord) -> Int {
        switch record.state {
        case .reversalDue: record.reversalAttempts
        case .approvedOffline: record.forwardAttempts
        case .adjustmentDue: record.adjustmentAttempts
        default: 0
        }
    }

    // MARK: - One message

    /// Carries out what `DeliveryFlow` asks for.
    private func deliver(_ found: TransactionRecord) async throws(JournalError) -> Delivery.Result {
        var record = found
        let isElsewhere = DeliveryFlow.isOfAnotherHost(record, than: backend.name)
        let original = isElsewhere ? nil : try await keptRequest(record)
        var flow = DeliveryFlow(
            DeliveryFlow.Terms(
                state: record.state, backend: record.backend, host: backend.name,
                hasRequest: original != nil, amount: original?.amount ?? record.amount,
                acceptsPartialApproval: original?.acceptsPartialApproval ?? false, patience: policy.patience))
        let claim = record.state == .deferred ? journal.underWay.claim(record.id) : nil
        defer { claim?.end() }
        var acknowledged: TransactionsUnderWay.Claim?
        defer { acknowledged?.end() }
        var action = flow.start()
        while true {
            switch action {
            case .write(.transmission(.reversal)):
                action = flow.handle(.counted(try await journal.reversalAttempt(record.id), revision: nil))
            case .write(.transmission(.forwarding)):
                action = flow.handle(.counted(try await journal.forwardAttempt(record.id), revision: nil))
            case .write(.transmission(.adjustment)):
                record = try await journal.adjustmentAttempt(record.id)
                let isKnown = record.finalAmount != nil && record.adjustment != nil
                action = flow.handle(
                    .counted(record.adjustmentAttempts, revision: isKnown ? record.revision : nil))
            case .write(let write):
                try await journal.write(write, of: record.id, backend: backend.name)
                if case .reversal = write {
                    // With the response of the authorization that is taken back.
                    guard let due = try await journal.show(record.id) else {
                        throw .unknownTransaction(id: record.id)
                    }
                    record = due
                }
                action = flow.handle(.written)
            case .send(let message, let transmission):
                let error = await send(message, transmission: transmission, of: record, original)
                if error == nil, message == .reversal {
                    acknowledged = journal.underWay.claimAcknowledged(record.id)
                }
                action = flow.handle(error.map { .failed($0) } ?? .acknowledged)
            case .authorize: action = flow.handle(await authorize(original))
            case .sendAnew(let reason):
                if let original { try await sendAnew(record, original, reason) }
                action = flow.handle(.sentAnew)
            case .finish(.delivered(let state)): return .delivered(state)
            case .finish(.postponed(let error)): return .postponed(error)
            case .finish(.parked(let reason)): return .parked(reason)
            }
        }
    }

    func keptRequest(_ record: TransactionRecord) async throws(JournalError) -> AuthorizationRequest? {
        do throws(JournalError) {
            return try await journal.kept(record.id).flatMap(KeptRequest.request)
        } catch {
            // A lost key must not hold back a reversal: it goes by its numbers.
            if case .damaged = error, record.state == .reversalDue || record.state == .authorizing {
                return nil
            }
            throw error
        }
    }

    /// - Returns: the error; nil where the host acknowledged.
    private func send(
        _ message: DeliveryFlow.Message, transmission: Int, of record: TransactionRecord,
        _ original: AuthorizationRequest?
    ) async -> AcquirerError? {
        switch message {
        case .reversal:
            let request = ReversalRequest(
                transactionID: record.id, terminalID: record.terminalID, stan: record.stan,
                retrievalReference: record.retrievalReference, amount: record.amount,
                currency: record.currency,
                reason: record.reversalReason.flatMap(ReversalRequest.Reason.init) ?? .cancelled,
                transmission: transmission, original: original, authorizationCode: record.authorizationCode)
            let error = await within(policy.answerTimeout) { [backend] () async throws(AcquirerError) in
                try await backend.reverse(request)
            }
            observer?(.reversal(request, delivered: error == nil))
            return error
        case .advice:
            guard let original else { return .unreachable("nothing was kept to forward it") }
            return await within(policy.answerTimeout) { [backend] () async throws(AcquirerError) in
                try await backend.advise(original, offline: .approved)
            }
        case .adjustment:
            guard let amount = record.finalAmount, let kind = record.adjustment else {
                return .unreachable("its final amount is missing")
            }
            let request = AdjustmentRequest(
                kind: kind == .completion ? .completion : .tip, transactionID: record.id,
                terminalID: record.terminalID, merchantID: record.merchantID, stan: record.stan,
                retrievalReference: record.retrievalReference, authorizationCode: record.authorizationCode,
                approvedAmount: record.approvedAmount ?? record.amount, amount: amount,
                currency: record.currency, revision: record.revision,
                transmission: transmission, original: original)
            return await within(policy.answerTimeout) { [backend] () async throws(AcquirerError) in
                try await backend.adjust(request)
            }
        }
    }

    private func authorize(_ request: AuthorizationRequest?) async -> DeliveryFlow.Event {
        guard let request else { return .failed(.unreachable("nothing was kept to send it")) }
        switch await HostCall.authorize(request, by: backend, within: policy.answerTimeout) {
        case .success(let response): return .responded(response)
        case .failure(let error): return .failed(error)
        }
    }

    /// A deferred authorization whose outcome is unknown is reversed and sent again under new numbers, as no
    /// authorization is ever repeated. Safe to be done again after a crash at any place.
    func sendAnew(
        _ record: TransactionRecord, _ original: AuthorizationRequest, _ reason: ReversalRequest.Reason
    ) async throws(JournalError) {
        let claim = journal.underWay.claimBeginning(at: record.terminalID)
        defer { claim.end() }
        let (next, _) = try await journal.beginOnce(TransactionIntent(replacing: record))
        if TransactionState.deferred.predecessors.contains(next.state), next.state != .authorizing {
            var request = original
            request.transactionID = next.id
            request.stan = next.stan
            request.retrievalReference = next.retrievalReference
            try await journal.cardRead(next.id, CardReading(record))
            try await journal.deferred(
                next.id, reason: "in place of \(record.id)", keeping: KeptRequest(request).bytes)
        }
        try await journal.reversalDue(record.id, reason: reason.rawValue)
        wake()
    }

    /// What the journal does not take of one transaction is for a person to look at, and no reason for the others to wait.
    private func setAside(_ record: TransactionRecord, _ error: JournalError) async -> Delivery.Result {
        // Room comes back by itself.
        if case .diskFull = error { return .failed(error) }
        do throws(JournalError) { return try await park(record, "\(error)") } catch { return .failed(error) }
    }

    private func park(_ record: TransactionRecord, _ reason: String) async throws(JournalError)
        -> Delivery.Result
    {
        try await journal.parked(record.id, reason: reason)
        return .parked(reason)
    }

    /// - Returns: the error; nil where it went well.
    private func within(
        _ limit: Duration, _ body: @escaping @Sendable () async throws(AcquirerError) -> Void
    ) async -> AcquirerError? {
        if case .failure(let error) = await HostCall.within(limit, body) { error } else { nil }
    }

    // MARK: - Late answers

    /// Records what the host says out of time until the task is cancelled, and reverses what it approves then: `run` does it
    /// besides, a program that runs payments alone lets it run beside them. The last one that listens is the one who
    /// hears.
    public func listen() async {
        await LateResponse.listen(
            to: backend, journal: journal, sleep: sleep,
            failed: { [observer] in observer?(.journalFailed($0)) }
        ) { [weak self, observer] answer, action, _ in
            observer?(.lateAnswer(answer))
            observer?(.lateAnswerRecorded(answer, action))
            if case .reversalDue = action { await self?.deliverSoon() }
        }
    }

    /// By `run` where it is at work, else in a pass of its own.
    private func deliverSoon() async {
        if isRunning { return wake() }
        do throws(JournalError) { _ = try await flush() } catch { observer?(.journalFailed(error)) }
    }
}

/// Calls of a backend that end in time. Not ended by the caller's cancellation: once sent, the outcome must be known.
enum HostCall {
    static func within<T: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws(AcquirerError) -> T
    ) async -> Result<T, AcquirerError> {
        await Task.detached {
            await withTaskGroup(of: Result<T, AcquirerError>.self) { group in
                group.addTask {
                    do throws(AcquirerError) {
                        return .success(try await body())
                    } catch {
                        return .failure(error)
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: limit)
                    return .failure(.timeout)
                }
                let first = await group.next() ?? .failure(.timeout)
                group.cancelAll()
                return first
            }
        }.value
    }

    static func authorize(
        _ request: AuthorizationRequest, by backend: any AcquirerBackend, within limit: Duration
    ) async -> Result<AuthorizationResponse, AcquirerError> {
        await within(limit) { () async throws(AcquirerError) in try await backend.authorize(request) }
    }
}

extension CardReading {
    /// What a transaction has of its card.
    init(_ record: TransactionRecord) {
        self.init(
            maskedPAN: record.maskedPAN, panSequenceNumber: record.panSequenceNumber,
            applicationIdentifier: record.applicationIdentifier, applicationLabel: record.applicationLabel,
            kernel: record.kernel, outcome: record.outcome, cvm: record.cvm,
            terminalVerificationResults: record.terminalVerificationResults, entryMode: record.entryMode,
            tokenRequestorID: record.tokenRequestorID, formFactor: record.formFactor)
    }
}
