public import EMV
internal import EMVCryptography
public import Foundation
internal import UserDirectories

/// The durable record of every transaction: the state machine, the clock and what may be stored, before an
/// engine that keeps it.
///
/// Every function that changes something returns after its change is durable (SQLite: write-ahead log,
/// synchronous FULL). Each change appends a row to the history, chained by SHA-256, so that what was written
/// cannot be altered unnoticed. All functions may be called from many tasks at once: writes that wait are
/// committed together. They are not ended by a task's cancellation.
public struct Journal: Sendable {
    public let store: any JournalStore
    /// What this process is at work on: shared by all copies of this value, and empty for one that is opened anew.
    public let underWay = TransactionsUnderWay()
    let now: @Sendable () -> Date

    public init(store: any JournalStore, now: @escaping @Sendable () -> Date = { Date() }) {
        self.store = store
        self.now = now
    }

    /// Where the journal is, for messages.
    public var path: String { store.location }

    // MARK: - Opening

    /// Opens a journal file for writing and creates it where there is none.
    /// - Parameters:
    ///   - path: `defaultPath` where nil.
    ///   - keyFile: the key of what is kept enciphered: 32 bytes or 64 hexadecimal digits. Nil for the service
    ///     manager's credential `tapbridge-journal-key`, or else `.key` beside the journal, made when needed.
    /// - Throws: `.locked`, `.cannotOpen`, `.notAJournal`, `.damaged`, `.newerSchema`, `.notDurable`.
    public static func open(
        at path: String? = nil, keyFile: String? = nil, now: @escaping @Sendable () -> Date = { Date() }
    ) async throws(JournalError) -> Journal {
        Journal(store: try await SQLiteJournal.open(at: path ?? defaultPath, keyFile: keyFile), now: now)
    }

    /// Opens an existing journal file for reading, beside a writer or alone.
    public static func openReadOnly(
        at path: String? = nil, keyFile: String? = nil
    ) throws(JournalError) -> Journal {
        Journal(store: try SQLiteJournal.openReadOnly(at: path ?? defaultPath, keyFile: keyFile))
    }

    /// A journal that is gone with the process: for tests and trials.
    public static func inMemory(
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(JournalError) -> Journal {
        Journal(store: try SQLiteJournal.inMemory(), now: now)
    }

    /// `journal.sqlite` in the user's state directory (`UserDirectories.state`).
    public static var defaultPath: String { UserDirectories.current.state + "/journal.sqlite" }

    /// Ends all access and lets another process open the journal.
    public func close() async throws(JournalError) { try await store.close() }

    /// Whether the journal takes writes: by its last commit, or by one that changes nothing where that was long ago.
    /// - Throws: why not.
    public func checkWrites() async throws(JournalError) { try await store.checkWrites() }

    /// Each change of whether the journal takes writes. Ends when it has stopped for good.
    public func healthChanges() -> AsyncStream<JournalHealth> { store.healthChanges() }

    // MARK: - Writing

    /// Writes a new transaction with its numbers: STAN (1...999 999, unique per terminal and round; after the
    /// last a new round begins) and RRN (12 digits, unique per day).
    /// - Throws: `.diskFull` where no room is left, besides what is kept for reversals; `.keyReused` where the
    ///   intent's idempotency key is known, whatever it names; `.rejected` where a refund's original does not allow it,
    ///   `.unknownTransaction` where there is none.
    public func begin(_ intent: TransactionIntent) async throws(JournalError) -> TransactionRecord {
        let (record, isNew) = try await beginOnce(intent)
        guard isNew else { throw .keyReused(key: intent.idempotencyKey ?? "", id: record.id) }
        return record
    }

    /// Writes a new transaction, or finds the one that the intent's idempotency key names.
    /// An intent that takes the place of a transaction is found by that one.
    /// - Returns: the transaction, and whether it is new.
    /// - Throws: as `begin`; `.keyReused` where the key names a payment with another amount, currency, type,
    ///   merchant or original.
    public func beginOnce(
        _ intent: TransactionIntent
    ) async throws(JournalError) -> (record: TransactionRecord, isNew: Bool) {
        try Self.checkName(intent.terminalID, "terminal identifier")
        try Self.checkName(intent.merchantID, "merchant identifier")
        if let key = intent.idempotencyKey { try Self.checkName(key, "idempotency key") }
        if let original = intent.original {
            try Self.checkName(original, "original transaction")
            guard intent.isCredit else {
                throw .invalidValue("an original transaction of what is no refund")
            }
        }
        return try await store.begin(intent, at: Timestamp.rounded(now()))
    }

    /// Takes the next System Trace Audit Number of a terminal, for a message that belongs to no transaction, such as a sign-on
    /// (ISO 8583 field 11): transactions, batches and these share one counter.
    /// - Returns: 1...999 999; after the last a new round begins.
    public func drawTraceNumber(terminal: String) async throws(JournalError) -> UInt32 {
        try Self.checkName(terminal, "terminal identifier")
        return try await store.drawTraceNumber(terminal: terminal)
    }

    /// Keeps what the card gave; a later reading replaces it.
    public func cardRead(_ id: String, _ reading: CardReading) async throws(JournalError) {
        var change = change(id, from: [.started, .cardRead], to: .cardRead, detail: reading.outcome)
        change.reading = cleaned(reading)
        _ = try await store.apply(change)
    }

    /// The request for the host is written: returns when that is durable. Nothing may be sent before `authorizing`.
    /// - Parameters:
    ///   - reading: what the card gave.
    ///   - kept: what later messages of this transaction will need (card number, chip data), enciphered until it is
    ///     settled, reversed or declined.
    public func requestWritten(
        _ id: String, _ reading: CardReading?, keeping kept: [UInt8]?
    ) async throws(JournalError) {
        var change = change(
            id, from: TransactionState.requestWritten.predecessors, to: .requestWritten,
            detail: reading?.outcome)
        change.reading = reading.map(cleaned)
        change.kept = kept
        _ = try await store.apply(change)
    }

    /// The service is given and the host asked later, by what is kept of the request.
    /// - Parameter kept: nil where `requestWritten` kept it already.
    public func deferred(
        _ id: String, reason: String, keeping kept: [UInt8]? = nil
    ) async throws(JournalError) {
        var change = change(
            id, from: TransactionState.deferred.predecessors, to: .deferred, detail: reason)
        change.kept = kept
        _ = try await store.apply(change)
    }

    private func cleaned(_ reading: CardReading) -> CardReading {
        var reading = reading
        reading.maskedPAN = reading.maskedPAN.map(StoredText.maskedPAN)
        reading.applicationLabel = reading.applicationLabel.map(StoredText.cleaned)
        reading.outcome = reading.outcome.map(StoredText.cleaned)
        reading.applicationIdentifier = reading.applicationIdentifier
            .map { StoredText.hexadecimal($0, bytes: 16) }
        reading.terminalVerificationResults = reading.terminalVerificationResults
            .map { StoredText.hexadecimal($0, bytes: 5) }
        reading.cvm = reading.cvm.map(StoredText.cleaned)
        reading.entryMode = reading.entryMode.map(StoredText.cleaned)
        reading.tokenRequestorID = reading.tokenRequestorID.map(StoredText.cleaned)
        reading.formFactor = reading.formFactor.map(StoredText.cleaned)
        return reading
    }

    /// Before anything leaves for the host: returns when that intent is durable.
    /// - Parameter request: the bytes that will be sent; their SHA-256 is kept, not they.
    public func authorizing(
        _ id: String, backend: String, request: [UInt8]? = nil
    ) async throws(JournalError) {
        var change = change(
            id, from: TransactionState.authorizing.predecessors, to: .authorizing, detail: backend)
        change.backend = StoredText.cleaned(backend)
        change.requestDigest = request.map { SHA256.hash($0) }
        _ = try await store.apply(change)
    }

    /// Ends a transaction, or changes its state otherwise: one compare-and-set.
    /// - Throws: `.stateMoved` where it is in none of `from`, `.forbiddenTransition` where no transaction may
    ///   go from one of them to `state`, or not by this way (settled, adjustment due).
    @discardableResult
    public func complete(
        _ id: String, from: [TransactionState], to state: TransactionState, result: TransactionResult
    ) async throws(JournalError) -> TransactionRecord {
        guard !from.isEmpty, from.allSatisfy(state.predecessors.contains), state != .settled,
            state != .adjustmentDue
        else { throw .forbiddenTransition(id: id, from: from, to: state) }
        var change = change(id, from: from, to: state, detail: result.reason)
        change.result = cleaned(result)
        return try await store.apply(change)
    }

    /// The host's answer is durable, before card or terminal do anything on it.
    public func answered(_ id: String, result: TransactionResult) async throws(JournalError) {
        var change = change(id, from: [.authorizing], to: .answered, detail: result.responseCode)
        change.result = cleaned(result)
        _ = try await store.apply(change)
    }

    /// A new final amount of an approved transaction is owed to the host: a completion, a tip.
    /// - Throws: `.rejected` where the transaction does not allow it, `.inBatch` where it is being settled.
    /// - Returns: the transaction; `revision` counts its final amounts.
    @discardableResult
    public func adjustmentDue(
        _ id: String, _ kind: AmountAdjustment, amount: Amount
    ) async throws(JournalError) -> TransactionRecord {
        var change = change(
            id, from: TransactionState.adjustmentDue.predecessors, to: .adjustmentDue, detail: kind.rawValue)
        change.finalAmount = (amount, kind)
        return try await store.apply(change)
    }

    /// Counts a transmission of the final amount, before it leaves.
    /// - Returns: the transaction as it is with this transmission.
    public func adjustmentAttempt(_ id: String) async throws(JournalError) -> TransactionRecord {
        var change = change(id, from: [.adjustmentDue], detail: "adjustment transmitted")
        change.transmission = .adjustment
        return try await store.apply(change)
    }

    /// The host acknowledged a final amount.
    /// - Parameter revision: which one: a newer one stays due.
    public func adjusted(_ id: String, revision: Int) async throws(JournalError) {
        var change = change(id, from: [.adjustmentDue], to: .adjusted)
        change.revision = revision
        do throws(JournalError) {
            _ = try await store.apply(change)
        } catch .stateMoved(_, _, .adjustmentDue) {
            return
        }
    }

    /// A reversal is owed: durable before anything is reported or sent.
    /// - Parameter from: `TransactionState.voidable` where an approval is taken back.
    /// - Throws: `.rejected` where an approval is to be taken back and the transaction does not allow it, `.inBatch` where
    ///   it is being settled.
    @discardableResult
    public func reversalDue(
        _ id: String, reason: String, result: TransactionResult = TransactionResult(),
        from: [TransactionState] = [.authorizing]
    ) async throws(JournalError) -> TransactionRecord {
        guard !from.isEmpty, from.allSatisfy(TransactionState.reversalDue.predecessors.contains) else {
            throw .forbiddenTransition(id: id, from: from, to: .reversalDue)
        }
        var change = change(id, from: from, to: .reversalDue, detail: reason)
        change.result = cleaned(result)
        change.reversalReason = StoredText.cleaned(reason)
        return try await store.apply(change)
    }

    /// How often late approvals make a reversal of one transaction due: a host that goes on approving is for a person.
    public static let greatestLateApprovals = 5
    private static let lateApproval = "late approval"

    /// The host approved a transaction after it was declined or reversed: its reversal is due (again). Counted in the
    /// history, which outlives restarts, and bounded.
    /// - Parameters:
    ///   - text: what the host said.
    ///   - authorizationCode: of the approval, for the reversal.
    /// - Returns: how many times that was; nil, and only a note, where it was `greatestLateApprovals` times before.
    /// - Throws: `.stateMoved` where it is neither declined nor reversed.
    @discardableResult
    public func lateApproval(
        _ id: String, _ text: String, authorizationCode: String?, reason: String
    ) async throws(JournalError) -> Int? {
        let count = try await changes(of: id).count {
            $0.state == .reversalDue && $0.detail?.contains(Self.lateApproval) == true
        }
        let from: [TransactionState] = [.declined, .reversed]
        guard count < Self.greatestLateApprovals else {
            _ = try await store.apply(
                change(
                    id, from: from,
                    detail:
                        "\(text): approved late more than \(count) times: not reversed again, a person must look"
                ))
            return nil
        }
        var change = change(
            id, from: from, to: .reversalDue,
            detail:
                "\(text): \(Self.lateApproval) \(count + 1) of \(Self.greatestLateApprovals), reversal due")
        change.result = cleaned(TransactionResult(authorizationCode: authorizationCode))
        change.reversalReason = StoredText.cleaned(reason)
        _ = try await store.apply(change)
        return count + 1
    }

    /// Counts a transmission of the reversal, before it leaves: a repeat (0421 instead of 0420) is known by
    /// transmissions, not by answers.
    /// - Returns: 1 for the first, more for repeats.
    public func reversalAttempt(_ id: String) async throws(JournalError) -> Int {
        var change = change(id, from: [.reversalDue], detail: "reversal transmitted")
        change.transmission = .reversal
        return try await store.apply(change).reversalAttempts
    }

    /// The host acknowledged the reversal.
    public func reversed(_ id: String) async throws(JournalError) {
        _ = try await store.apply(change(id, from: [.reversalDue], to: .reversed))
    }

    /// The card approved without the host, which is owed an advice.
    /// - Parameter kept: what the advice will need (card number, chip data): kept enciphered in the same write,
    ///   and deleted when it is settled.
    public func storeOffline(
        _ id: String, result: TransactionResult = TransactionResult(), keeping kept: [UInt8]? = nil
    ) async throws(JournalError) {
        var change = change(
            id, from: TransactionState.approvedOffline.predecessors, to: .approvedOffline,
            detail: result.reason)
        change.result = cleaned(result)
        change.kept = kept
        _ = try await store.apply(change)
    }

    /// Keeps, enciphered, what a later message of this transaction will need, and replaces what was kept before.
    /// It is deleted in the same write as the change that ends the transaction: settled, reversed, declined.
    /// - Throws: `.stateMoved` where nothing more is to be sent.
    public func keepForForwarding(transactionID id: String, payload: [UInt8]) async throws(JournalError) {
        var change = change(id, from: TransactionState.keeping, detail: "kept for forwarding")
        change.kept = payload
        _ = try await store.apply(change)
    }

    /// What `storeOffline` or `keepForForwarding` kept; nil once the transaction ended.
    /// - Throws: `.damaged` where the key or the enciphered bytes are not what they were.
    public func kept(_ id: String) async throws(JournalError) -> [UInt8]? { try await store.kept(id) }

    /// Counts a transmission of an offline approval's advice, before it leaves.
    /// - Returns: 1 for the first, more for repeats.
    public func forwardAttempt(_ id: String) async throws(JournalError) -> Int {
        var change = change(id, from: [.approvedOffline], detail: "advice transmitted")
        change.transmission = .forwarding
        return try await store.apply(change).forwardAttempts
    }

    /// The host acknowledged an offline approval.
    public func forwarded(_ id: String) async throws(JournalError) {
        _ = try await store.apply(change(id, from: [.approvedOffline], to: .forwarded))
    }

    /// Sets what is owed to the host aside for a person, so that it does not hold up what comes after it.
    public func parked(_ id: String, reason: String) async throws(JournalError) {
        var change = change(id, from: TransactionState.owed, detail: "parked: \(reason)")
        change.parked = true
        _ = try await store.apply(change)
    }

    /// Takes up again what was parked.
    public func resumed(_ id: String, reason: String) async throws(JournalError) {
        var change = change(id, from: TransactionState.owed, detail: "resumed: \(reason)")
        change.parked = false
        _ = try await store.apply(change)
    }

    /// Adds to the history without changing anything: a late answer, a person's remark.
    /// - Parameter states: only while the transaction is in one of them.
    /// - Throws: `.stateMoved` where it is in none of `states`.
    public func note(
        _ id: String, _ text: String, in states: [TransactionState] = TransactionState.allCases
    ) async throws(JournalError) {
        _ = try await store.apply(change(id, from: states, detail: text))
    }

    private func change(
        _ id: String, from: [TransactionState], to state: TransactionState? = nil, detail: String? = nil
    ) -> JournalChange {
        var change = JournalChange(id: id, from: from, to: state, at: Timestamp.rounded(now()))
        change.detail = detail.map(StoredText.cleaned)
        return change
    }

    private func cleaned(_ result: TransactionResult) -> TransactionResult {
        var result = result
        result.reason = result.reason.map(StoredText.cleaned)
        result.responseCode = result.responseCode.map(StoredText.cleaned)
        result.authorizationCode = result.authorizationCode.map(StoredText.cleaned)
        return result
    }

    // MARK: - Reading

    /// One transaction by its identifier or by an unambiguous start of it; nil where there is none.
    public func show(_ id: String) async throws(JournalError) -> TransactionRecord? {
        if let record = try await store.record(id) { return record }
        guard !id.isEmpty else { return nil }
        let records = try await store.records(beginning: id, limit: 2)
        return records.count == 1 ? records[0] : nil
    }

    /// A transaction's changes, oldest first.
    public func changes(of id: String) async throws(JournalError) -> [StateChange] {
        try await store.changes(of: id)
    }

    /// Transactions, newest first.
    /// - Parameters:
    ///   - limit: at most so many; all where nil.
    ///   - before: only those older than this transaction, for paging.
    public func list(
        _ filter: JournalFilter = JournalFilter(), limit: Int? = nil, before: String? = nil
    ) async throws(JournalError) -> [TransactionRecord] {
        try await store.page(filter, order: .newestFirst, after: before, limit: limit)
    }

    /// Transactions in either order.
    /// - Parameters:
    ///   - after: the last transaction of the page before.
    ///   - limit: at most so many; all where nil.
    public func list(
        _ filter: JournalFilter = JournalFilter(), order: JournalOrder, after: String? = nil,
        limit: Int? = nil
    ) async throws(JournalError) -> [TransactionRecord] {
        try await store.page(filter, order: order, after: after, limit: limit)
    }

    /// Terminals that have something unfinished, whether a program still knows them or not.
    public func unfinishedTerminals(includingParked: Bool = false) async throws(JournalError) -> [String] {
        try await store.terminals(
            JournalFilter(states: TransactionState.unfinished, isParked: includingParked ? nil : false))
    }

    /// What a restart must look after, oldest first.
    public func unfinished(
        terminal: String, includingParked: Bool = false
    ) async throws(JournalError) -> [TransactionRecord] {
        let filter = JournalFilter(
            terminalID: terminal, states: TransactionState.unfinished,
            isParked: includingParked ? nil : false)
        return try await store.page(filter, order: .oldestFirst, after: nil, limit: nil)
    }

    /// Offline approvals that the host does not know yet, oldest first. `kept` gives what to send.
    /// - Parameter terminal: all terminals where nil.
    public func pendingForwarding(
        terminal: String? = nil, includingParked: Bool = false
    ) async throws(JournalError) -> [TransactionRecord] {
        try await pending(.approvedOffline, terminal, includingParked)
    }

    /// Reversals that the host did not acknowledge yet, oldest first.
    /// - Parameter terminal: all terminals where nil.
    public func pendingReversals(
        terminal: String? = nil, includingParked: Bool = false
    ) async throws(JournalError) -> [TransactionRecord] {
        try await pending(.reversalDue, terminal, includingParked)
    }

    /// All that is owed to the host, oldest first: reversals, advices, final amounts, deferred authorizations.
    /// - Parameter terminal: all terminals where nil.
    public func owed(
        terminal: String? = nil, includingParked: Bool = false
    ) async throws(JournalError) -> [TransactionRecord] {
        let filter = JournalFilter(
            terminalID: terminal, states: TransactionState.owed, isParked: includingParked ? nil : false)
        return try await store.page(filter, order: .oldestFirst, after: nil, limit: nil)
    }

    private func pending(
        _ state: TransactionState, _ terminal: String?, _ includingParked: Bool
    ) async throws(JournalError) -> [TransactionRecord] {
        let filter = JournalFilter(
            terminalID: terminal, states: [state], isParked: includingParked ? nil : false)
        return try await store.page(filter, order: .oldestFirst, after: nil, limit: nil)
    }

    /// Counts and sums by state and currency.
    public func statistics(
        _ filter: JournalFilter = JournalFilter()
    ) async throws(JournalError) -> JournalStatistics {
        try await store.statistics(filter)
    }

    /// Checks the file, the chain over all changes, that every transaction is as its last change left it,
    /// the counters of STAN and RRN, and that what is kept enciphered belongs to an unfinished transaction and
    /// can be deciphered. Each problem names its row.
    public func verify() async throws(JournalError) -> JournalVerification { try await store.verify() }
}
