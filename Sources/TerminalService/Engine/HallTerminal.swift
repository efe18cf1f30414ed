internal import Acquiring
internal import CardReaders
internal import EMV
internal import Journal
internal import Synchronization
public import Terminal

/// One terminal of the hall: its session, what delivers what it owes, and its stage.
public final class HallTerminal: Sendable {
    public var id: String { stage.id }
    public let session: TerminalSession
    let stage: Stage
    private let journal: Journal
    private let forwarding = Mutex<Task<Void, Never>?>(nil)
    private let predecessor = Mutex<Task<Void, Never>?>(nil)

    init(
        stage: Stage, reader: any CardReader, backend: any AcquirerBackend, journal: Journal,
        pinKeyCounter: any KeyCounter
    ) throws {
        self.stage = stage
        self.journal = journal
        let isEmulated = stage.field != nil
        let environment = TerminalEnvironment(
            observer: { [stage] event in stage.observe(event) },
            sleep: { duration in
                // What delivers to the host sleeps, too: that is no payment's time.
                let payment = LivePayment.running
                payment?.waits()
                try? await Task.sleep(for: duration)
                payment?.goesOn()
            },
            // Nobody looks at an emulated terminal's display while it waits for itself.
            holdsMessages: !isEmulated)
        session = try TerminalAssembly(
            profile: stage.profile, reader: Stage.WatchedReader(base: reader, stage: stage), backend: backend,
            journal: journal, environment: environment,
            pinEntry: .software(counter: pinKeyCounter) { [stage] _ in await stage.askPIN() }
        ).terminal()
    }

    /// Resolves in the journal what was left unfinished here, and delivers what is owed beside the payments: a host that
    /// does not answer holds nobody up. Where the journal fails it is tried again beside the payments.
    func recover() async {
        let found = try? await session.forwarder.resolveInterrupted().found
        if let found, found.isEmpty { return }
        await countBacklog()
        startForwarding()
        // What was due already has its own times.
        if found?.contains(where: { TransactionState.inProgress.contains($0.state) }) == true {
            await session.forwarder.wake()
        }
    }

    /// Sends nothing before another one, which delivered for this terminal so far, is over.
    func deliver(after other: Task<Void, Never>) {
        predecessor.withLock { $0 = other }
        startForwarding()
    }

    /// What is owed to the host, in words; nil where nothing is.
    func owed() async throws(Problem) -> String? {
        let records: [TransactionRecord]
        do throws(JournalError) {
            try await session.forwarder.resolveInterrupted()
            records = try await journal.owed(terminal: id, includingParked: true)
        } catch {
            throw Problem(error)
        }
        guard !records.isEmpty else { return nil }
        let parts = TransactionState.owed.compactMap { state -> String? in
            let count = records.count { $0.state == state }
            return count == 0 ? nil : "\(count) \(state.rawValue)"
        }
        let parked = records.count { $0.isParked }
        return parts.joined(separator: ", ") + (parked == 0 ? "" : " (\(parked) set aside for a person)")
    }

    /// Delivers what is owed beside the payments, from the first one on.
    func startForwarding() {
        forwarding.withLock { forwarding in
            guard forwarding == nil else { return }
            let other = predecessor.withLock { $0 }
            forwarding = Task { [forwarder = session.forwarder] in
                if let other { await forwarder.follow(other) }
                await forwarder.run()
            }
        }
    }
    func stopForwarding() async { await endForwarding()?.value }

    /// Asks for the end, and waits for nothing: what has left for the host is carried to its end.
    func endForwarding() -> Task<Void, Never>? {
        let task = forwarding.withLock { forwarding in
            defer { forwarding = nil }
            return forwarding
        }
        task?.cancel()
        return task
    }

    /// Begins a payment; it goes on whatever becomes of the caller.
    /// - Throws: `Problem` where the terminal takes none now.
    func begin(_ payment: LivePayment, cards: [ShelfCard]) throws(Problem) {
        try stage.begin(payment)
        if payment.order.tap != nil {
            do throws(Problem) {
                try stage.awaitTap(cards)
            } catch {
                stage.end(payment, nil)
                throw error
            }
        }
        startForwarding()
        payment.run { [self] in
            let order = payment.order
            let request = PaymentRequest(
                amount: order.amount, amountOther: order.amountOther, type: order.type,
                purpose: order.purpose,
                idempotencyKey: order.key, original: order.original,
                acceptsPartialApproval: order.acceptsPartialApproval, cardWait: order.cardWait)
            // What is logged below, in any layer, says whose payment it belongs to.
            let paid: Result<PaymentResult, TerminalError> = await LogContext.$current.withValue(
                LogContext(terminal: id)
            ) {
                do throws(TerminalError) { return .success(try await session.pay(request)) } catch {
                    return .failure(error)
                }
            }
            do throws(TerminalError) {
                let result = try paid.get()
                stage.end(payment, result)
                if result.isRepeated {
                    // Another program of the same journal took it.
                    payment.begin(id: result.transactionID)
                    payment.begun.happen()
                }
                await countBacklog()
            } catch {
                stage.end(payment, nil)
                payment.refuse(Problem(error))
            }
        }
    }

    /// What the terminal owes to the host.
    func countBacklog() async {
        guard let owed = try? await journal.owed(terminal: id, includingParked: true) else { return }
        stage.setBacklog(
            count: owed.count, amount: owed.reduce(0) { $0 &+ $1.amountTaken.minorUnits })
    }

    var desk: PaymentDesk { PaymentDesk(journal: journal, forwarder: session.forwarder) }
}

extension Problem {
    init(_ error: TerminalError) {
        switch error {
        case .busy:
            self.init(
                .terminalBusy, status: 409, title: "The terminal is busy", detail: "\(error)", retryable: true
            )
        case .keyReused: self = .keyReused("\(error)")
        case .rejected(let rejection):
            self = .conflict("\(rejection)", transaction: rejection.id, in: rejection.state)
        case .invalidRequest: self.init(.badRequest, status: 400, title: "Not a payment", detail: "\(error)")
        case .journal(let reason): self = .journal(reason)
        }
    }
    init(_ error: JournalError) { self = .journal("\(error)") }

    static func journal(_ reason: String) -> Problem {
        Problem(.journalFailed, status: 503, title: "The journal failed", detail: reason, retryable: true)
    }
    static func keyReused(_ detail: String) -> Problem {
        Problem(.keyReused, status: 422, title: "The key names another payment", detail: detail)
    }
    static func notFound(_ what: String) -> Problem {
        Problem(.notFound, status: 404, title: "Not found", detail: "there is no \(what)")
    }
    static func bad(_ detail: String) -> Problem {
        Problem(.badRequest, status: 400, title: "The request is not as it must be", detail: detail)
    }
    static func conflict(_ detail: String) -> Problem {
        Problem(.conflict, status: 409, title: "Not possible as things stand", detail: detail)
    }
    /// - Parameter id: the transaction that does not allow it.
    static func conflict(_ detail: String, transaction id: String, in state: TransactionState) -> Problem {
        var problem = conflict(detail)
        problem.transaction = Transaction(id: id, state: state.rawValue)
        return problem
    }
}
