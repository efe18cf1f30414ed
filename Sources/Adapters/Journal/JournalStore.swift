public import EMV
public import EMVCryptography
public import Foundation

/// One change of one transaction, as an engine gets it: a compare-and-set of its row and one appended row
/// of its history. The state machine has been asked before.
public struct JournalChange: Sendable {
    /// What is transmitted again and again until it is acknowledged.
    public enum Transmission: Sendable { case reversal, forwarding, adjustment }

    public var id: String
    /// The change happens only if the transaction is in one of these.
    public var from: [TransactionState]
    /// Nil where the state stays.
    public var to: TransactionState?
    public var at: Date
    /// For the history.
    public var detail: String?
    public var reading: CardReading?
    /// Only values that are present replace earlier ones.
    public var result: TransactionResult?
    public var backend: String?
    /// SHA-256, 32 bytes.
    public var requestDigest: [UInt8]?
    public var reversalReason: String?
    /// Counts one more transmission.
    public var transmission: Transmission?
    public var parked: Bool?
    /// A new final amount, which begins a new revision.
    public var finalAmount: (amount: Amount, kind: AmountAdjustment)?
    /// The change happens only if this is the latest final amount.
    public var revision: Int?
    /// Kept enciphered until the transaction leaves `TransactionState.keeping`.
    public var kept: [UInt8]?

    public init(id: String, from: [TransactionState], to: TransactionState? = nil, at: Date) {
        self.id = id
        self.from = from
        self.to = to
        self.at = at
    }

    /// Whether a full disk must not stand in its way: everything but what leads to a new request.
    public var isVital: Bool {
        switch to {
        case .started, .cardRead, .requestWritten, .authorizing: false
        default: true
        }
    }
}

/// What `verify` found.
public struct JournalVerification: Sendable, Codable, Equatable {
    public var transactions: Int
    public var changes: Int
    /// In words, at most a hundred; empty for an unaltered journal.
    public var problems: [String]
    public var isSound: Bool { problems.isEmpty }
}

/// Counts and sums.
public struct JournalStatistics: Sendable, Codable, Equatable {
    public struct Group: Sendable, Codable, Equatable {
        public var state: TransactionState
        public var currency: String
        public var currencyExponent: UInt8
        public var count: Int
        /// Minor units.
        public var sum: Int64
    }
    /// By state and currency, in the order of `TransactionState.allCases`.
    public var groups: [Group]
    public var count: Int { groups.reduce(0) { $0 + $1.count } }
}

/// An engine that keeps a journal: SQLite in a file here, a database server for many daemons later. All
/// functions that change something return when the change is durable, and fail as a whole otherwise.
public protocol JournalStore: Sendable {
    /// Where the journal is, for messages.
    var location: String { get }

    /// Stores a new transaction with its numbers.
    /// - Returns: the transaction, and whether it is new: with an idempotency key that is known, the one that it
    ///   names.
    /// - Throws: `.keyReused` where the key names another payment; `.rejected` where `TransactionRemainder` rejects what is
    ///   asked of the original, as that is in this same write; `.stateMoved` if what is to be replaced is no longer authorizing in
    ///   this same write, and nothing has replaced it.
    func begin(
        _ intent: TransactionIntent, at: Date
    ) async throws(JournalError) -> (record: TransactionRecord, isNew: Bool)
    /// Takes the next number of a terminal's counter of trace numbers.
    /// - Returns: 1...999 999; after the last a new round begins.
    func drawTraceNumber(terminal: String) async throws(JournalError) -> UInt32
    /// - Returns: the transaction after the change.
    /// - Throws: `.unknownTransaction`, `.stateMoved`, `.rejected` where `TransactionRemainder` rejects the change's
    ///   follow-up, as the transaction is in this same write: nothing was changed.
    func apply(_ change: JournalChange) async throws(JournalError) -> TransactionRecord

    func record(_ id: String) async throws(JournalError) -> TransactionRecord?
    /// What was kept with `JournalChange.kept` and is not yet deleted, deciphered.
    /// - Throws: `.damaged` where it cannot be deciphered.
    func kept(_ id: String) async throws(JournalError) -> [UInt8]?
    /// Transactions whose identifier begins so, at most `limit`.
    func records(beginning: String, limit: Int) async throws(JournalError) -> [TransactionRecord]
    /// Oldest first.
    func changes(of id: String) async throws(JournalError) -> [StateChange]
    /// - Parameters:
    ///   - after: the identifier of the last transaction of the page before.
    ///   - limit: all where nil.
    func page(
        _ filter: JournalFilter, order: JournalOrder, after: String?, limit: Int?
    ) async throws(JournalError) -> [TransactionRecord]
    /// The terminals that have a transaction in one of the filter's states, parked or not as it says, in the order of their
    /// names. Costs a look-up for each terminal, whatever the number of transactions.
    func terminals(_ filter: JournalFilter) async throws(JournalError) -> [String]
    func statistics(_ filter: JournalFilter) async throws(JournalError) -> JournalStatistics
    func verify() async throws(JournalError) -> JournalVerification

    /// The batch of a terminal and currency that is not closed yet, or a new one of all transactions that belong to
    /// the merchant and lie in no batch; nil where there is neither.
    func closeBatch(
        terminal: String, currency: NumericCode, at: Date
    ) async throws(JournalError) -> BatchRecord?
    /// Changes a batch that is not closed; closing settles its transactions. A closed one stays as it is.
    func changeBatch(
        terminal: String, batch: Int, _ change: BatchChange, at: Date
    ) async throws(JournalError) -> BatchRecord
    /// Newest first.
    func batches(terminal: String?, limit: Int?) async throws(JournalError) -> [BatchRecord]
    /// In the order of their beginning.
    func items(terminal: String, batch: Int) async throws(JournalError) -> [TransactionRecord]
    /// Deletes transactions that are final and were changed last before a time, from the oldest on.
    func prune(before: Date, at: Date) async throws(JournalError) -> JournalPruning

    /// Keeps, enciphered, what a terminal wants to find again after a restart; nil forgets it.
    func keep(
        _ name: String, for terminal: String, _ bytes: SensitiveBytes?, at: Date
    ) async throws(JournalError)
    /// - Throws: `.damaged` where it cannot be deciphered.
    func keptState(_ name: String, for terminal: String) async throws(JournalError) -> KeptState?
    /// Whether writes are taken now: cheap, and good for being asked again and again.
    /// - Throws: why not.
    func checkWrites() async throws(JournalError)
    /// Each change of how the engine is. Ends when it has stopped for good.
    func healthChanges() -> AsyncStream<JournalHealth>
    /// Ends all access; later calls fail.
    func close() async throws(JournalError)
}
