internal import EMV
internal import Foundation
internal import Journal
internal import Kernels
internal import Terminal

/// The journal as the API shows it.
struct JournalView: Encodable, Sendable {
    var id: String
    var terminal: String
    var merchant: String
    var batch: Int
    var stan: UInt32
    var retrievalReference: String
    var state: String
    var createdAt: Date
    var updatedAt: Date
    var amount: UInt64
    var amountOther: UInt64
    var amountTaken: UInt64
    var currency: CurrencyView
    var type: String
    var purpose: String
    var card: String?
    var aid: String?
    var application: String?
    var kernel: String?
    var outcome: String?
    var cvm: String?
    var tvr: String?
    var entryMode: String?
    var tokenRequestor: String?
    var formFactor: String?
    var backend: String?
    var responseCode: String?
    var authorizationCode: String?
    var approvedAmount: UInt64?
    var finalAmount: UInt64?
    var adjustment: String?
    var revision: Int
    var reason: String?
    var reversalReason: String?
    var reversalAttempts: Int
    var forwardAttempts: Int
    var adjustmentAttempts: Int
    var parked: Bool
    var idempotencyKey: String?
    var original: String?
    var settledBatch: Int?
    var replaces: String?

    init(_ record: TransactionRecord) {
        id = record.id
        terminal = record.terminalID
        merchant = record.merchantID
        batch = record.batch
        stan = record.stan
        retrievalReference = record.retrievalReference
        state = record.state.rawValue
        createdAt = record.createdAt
        updatedAt = record.updatedAt
        amount = record.amount.minorUnits
        amountOther = record.amountOther.minorUnits
        amountTaken = record.amountTaken.minorUnits
        currency = CurrencyView(record.currency, exponent: record.currencyExponent)
        type = TransactionType(code: record.transactionType)?.rawValue ?? "purchase"
        purpose = PaymentOrder.word(record.purpose)
        card = record.maskedPAN
        aid = record.applicationIdentifier
        application = record.applicationLabel
        kernel = record.kernel.map { KernelIdentifier(rawValue: UInt32(clamping: $0)).description }
        outcome = record.outcome
        cvm = record.cvm
        tvr = record.terminalVerificationResults
        entryMode = record.entryMode
        tokenRequestor = record.tokenRequestorID
        formFactor = record.formFactor
        backend = record.backend
        responseCode = record.responseCode
        authorizationCode = record.authorizationCode
        approvedAmount = record.approvedAmount?.minorUnits
        finalAmount = record.finalAmount?.minorUnits
        adjustment = record.adjustment?.rawValue
        revision = record.revision
        reason = record.reason
        reversalReason = record.reversalReason
        reversalAttempts = record.reversalAttempts
        forwardAttempts = record.forwardAttempts
        adjustmentAttempts = record.adjustmentAttempts
        parked = record.isParked
        idempotencyKey = record.idempotencyKey
        original = record.original
        settledBatch = record.settledBatch
        replaces = record.replaces
    }
}

struct JournalEntryView: Encodable, Sendable {
    struct Change: Encodable, Sendable {
        var sequence: Int64
        var state: String
        var at: Date
        var detail: String?
    }
    var record: JournalView
    var changes: [Change]
}

struct SumsView: Encodable, Sendable {
    var sales: Int
    var salesAmount: UInt64
    var refunds: Int
    var refundsAmount: UInt64
    /// Negative where refunds are more.
    var net: Int64
    init(_ totals: BatchTotals) {
        sales = totals.debits
        salesAmount = totals.debitAmount
        refunds = totals.credits
        refundsAmount = totals.creditAmount
        net = totals.net
    }
}

/// What a terminal's next settlement would hold.
struct BatchView: Encodable, Sendable {
    struct Part: Encodable, Sendable {
        var currency: CurrencyView
        var sums: SumsView
    }
    var terminal: String
    var parts: [Part]
    /// Pre-authorizations that wait for their completion.
    var held: Int
    var backlog: TerminalView.Backlog
}

/// One settlement of one batch.
struct SettlementView: Encodable, Sendable {
    var terminal: String
    var batch: Int
    var merchant: String
    var currency: CurrencyView
    var state: String
    var balanced: Bool
    var stan: UInt32
    var sums: SumsView
    var hostSums: SumsView?
    var closingAt: Date
    var updatedAt: Date
    /// The report for paper, in the answer to the settlement alone.
    var text: String?

    init(_ record: BatchRecord, text: String? = nil) {
        terminal = record.terminalID
        batch = record.batch
        merchant = record.merchantID
        currency = CurrencyView(record.currency, exponent: record.currencyExponent)
        state = record.state.rawValue
        balanced = record.state == .closed
        stan = record.stan
        sums = SumsView(record.sums)
        hostSums = record.hostSums.map(SumsView.init)
        closingAt = record.closingAt
        updatedAt = record.updatedAt
        self.text = text
    }
}

extension TerminalHall {
    private func books<T>(_ body: () async throws(JournalError) -> T) async throws(Problem) -> T {
        do { return try await body() } catch { throw Problem(error) }
    }

    /// Newest first.
    func journalPage(
        _ filter: JournalFilter, limit: Int, cursor: String?
    ) async throws(Problem) -> (items: [TransactionRecord], next: String?) {
        if let cursor, cursor.utf8.count > 64 || !cursor.utf8.allSatisfy({ $0.isNameByte }) {
            throw .bad("the cursor is not one that a page gave")
        }
        let records = try await books { () async throws(JournalError) in
            try await options.journal.list(filter, limit: limit + 1, before: cursor)
        }
        let items = Array(records.prefix(limit))
        return (items, records.count > limit ? items.last?.id : nil)
    }

    func journalEntry(_ id: String) async throws(Problem) -> JournalEntryView {
        let record = try await books { () async throws(JournalError) in try await options.journal.show(id) }
        guard let record, record.id == id else { throw .notFound("transaction \(id)") }
        let changes = try await books { () async throws(JournalError) in
            try await options.journal.changes(of: id)
        }
        return JournalEntryView(
            record: JournalView(record),
            changes: changes.map {
                .init(sequence: $0.sequence, state: $0.state.rawValue, at: $0.at, detail: $0.detail)
            })
    }

    /// The receipt of a payment whose own is not kept any more, made anew from the journal.
    /// - Returns: nil while it is under way.
    func receiptCopy(of id: String) async throws(Problem) -> Receipt? {
        let record = try await books { () async throws(JournalError) in try await options.journal.show(id) }
        guard let record, record.id == id else { throw .notFound("payment \(id)") }
        return Receipt(copyOf: record, profile: terminal(named: record.terminalID)?.stage.profile)
    }

    /// Verifies the whole journal: one at a time, as each reads all of it. Who asks meanwhile gets the same result.
    func verification() async throws(Problem) -> JournalVerification {
        try await verifying.run { [self] () async throws(Problem) in
            try await books { () async throws(JournalError) in try await options.journal.verify() }
        }
    }

    var paymentsUnderWay: [PaymentView] {
        underWay.map(\.view).filter { !$0.id.isEmpty }.sorted { $0.id > $1.id }
    }

    /// A host approved what was declined or reversed: its terminal delivers the reversal, and whoever looks on is told.
    func tookLateResponse(_ action: LateResponse.Action, _ record: TransactionRecord) async {
        guard action != .noted, let terminal = terminal(named: record.terminalID) else { return }
        terminal.startForwarding()
        await terminal.session.forwarder.wake()
        terminal.stage.tellChange(view(record, livePayment(record.id)))
        await terminal.countBacklog()
    }

    /// Voids, completions and tips, at the desk of the terminal that took the payment.
    /// - Returns: the payment; and whether the same was done before.
    func atDesk(
        _ id: String,
        _ body: (PaymentDesk, String) async throws(DeskError) -> PaymentDesk.Change
    ) async throws(Problem) -> (payment: PaymentView, isRepeated: Bool) {
        let view = try await payment(id)
        guard view.state == .finished else { throw .conflict("payment \(id) is still under way") }
        guard let terminal = terminal(named: view.terminal) else {
            throw .conflict("its terminal, \(view.terminal), is not here any more: make it again first")
        }
        terminal.startForwarding()
        let change: PaymentDesk.Change
        do throws(DeskError) {
            change = try await body(terminal.desk, id)
        } catch {
            switch error {
            case .notFound: throw .notFound("payment \(id)")
            case .notPossible(let id, let state, let reason):
                throw .conflict(reason, transaction: id, in: state)
            case .journal(let error): throw Problem(error)
            }
        }
        let changed = self.view(change.record, livePayment(id))
        terminal.stage.tellChange(changed)
        await terminal.countBacklog()
        return (changed, change.isRepeated)
    }

    func batch(_ id: String) async throws(Problem) -> BatchView {
        let terminal = try terminal(id)
        let records = try await books { () async throws(JournalError) in
            try await options.journal.list(
                JournalFilter(terminalID: id, states: TransactionState.inBatch), order: .oldestFirst)
        }
        var totals: [(currency: CurrencyView, sums: BatchTotals)] = []
        var held = 0
        for record in records {
            if record.purpose == .preAuthorization, record.state == .approved {
                held += 1
                continue
            }
            let currency = CurrencyView(record.currency, exponent: record.currencyExponent)
            let index =
                totals.firstIndex { $0.currency.code == currency.code }
                ?? {
                    totals.append((currency, BatchTotals()))
                    return totals.count - 1
                }()
            totals[index].sums.add(record.amountTaken, isCredit: record.isCredit)
        }
        await terminal.countBacklog()
        return BatchView(
            terminal: id, parts: totals.map { .init(currency: $0.currency, sums: SumsView($0.sums)) },
            held: held,
            backlog: terminal.stage.view.backlog)
    }

    func settle(_ terminal: HallTerminal) async throws(Problem) -> Page<SettlementView> {
        terminal.startForwarding()
        do {
            let reports = try await terminal.session.settle()
            await terminal.countBacklog()
            return Page(items: reports.map { SettlementView($0.batch, text: $0.text()) }, next: nil)
        } catch let error as TerminalError {
            throw Problem(error)
        } catch SettlementError.journal(let error) {
            throw Problem(error)
        } catch SettlementError.afterReports(_, .journal(let error)) {
            throw Problem(error)
        } catch {
            throw Problem(
                .conflict, status: 502, title: "The host does not settle", detail: "\(error)", retryable: true
            )
        }
    }

    func settlements(_ query: Query) async throws(Problem) -> Page<SettlementView> {
        let batches = try await books { () async throws(JournalError) in
            try await options.journal.batches(terminal: query["terminal"])
        }
        return try Paging.page(batches, query, id: { "\($0.terminalID).\($0.batch)" }) {
            (batch) throws(Problem) in
            SettlementView(batch)
        }
    }
}
