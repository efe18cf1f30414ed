/// What the journal cannot do, where, and what to do about it.
public enum JournalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another process writes to this journal; nil where its number is not known.
    case locked(path: String, processID: Int32?)
    case cannotOpen(path: String, reason: String)
    /// Some other file or another program's database: nothing was changed.
    case notAJournal(path: String, reason: String)
    /// Damaged or altered: nothing was changed.
    case damaged(path: String, reason: String)
    /// Written by a newer version.
    case newerSchema(path: String, found: Int, supported: Int)
    /// `PRAGMA synchronous` is not FULL: what is acknowledged would not be durable.
    case notDurable(path: String, synchronous: Int)
    case unknownTransaction(id: String)
    /// The state moved on meanwhile.
    case stateMoved(id: String, expected: [TransactionState], actual: TransactionState)
    /// No transaction may take this way.
    case forbiddenTransition(id: String, from: [TransactionState], to: TransactionState)
    /// The key names another payment already.
    case keyReused(key: String, id: String)
    /// The transaction is in a batch that is being closed, or closed.
    case inBatch(id: String, batch: Int)
    /// A refund, void, completion or tip that the transaction does not allow as it stands.
    case rejected(FollowUpRejection)
    /// A value that the journal does not take: which and why.
    case invalidValue(String)
    /// No room for new transactions. What is owed to the host is still written, from reserved room.
    case diskFull(path: String)
    /// This write failed and nothing of it was kept; others may succeed.
    case writeFailed(path: String, reason: String)
    /// The disk failed: the journal takes no more until it is opened anew.
    case stopped(path: String, reason: String)
    case readFailed(path: String, reason: String)
    /// Where an export was to go does not take it.
    case exportFailed(reason: String)

    /// Whether what failed was the journal, and not one step of one transaction beside which others can go on. On a full disk
    /// what is owed to the host is written still.
    public var holdsUpOthers: Bool {
        switch self {
        case .unknownTransaction, .stateMoved, .forbiddenTransition, .keyReused, .inBatch, .rejected,
            .invalidValue,
            .damaged, .diskFull:
            false
        case .locked, .cannotOpen, .notAJournal, .newerSchema, .notDurable, .writeFailed, .stopped,
            .readFailed,
            .exportFailed:
            true
        }
    }

    public var description: String {
        switch self {
        case .locked(let path, let process):
            "journal \(path) is in use" + (process.map { " by process \($0)" } ?? "")
                + ": stop it or choose another journal file"
        case .cannotOpen(let path, let reason):
            "journal \(path) cannot be opened: \(reason); it needs a directory and a file that this user may write, or choose another journal file"
        case .notAJournal(let path, let reason):
            "\(path) is not a journal (\(reason)): nothing was changed; choose another file"
        case .damaged(let path, let reason):
            "journal \(path) is damaged (\(reason)): nothing was changed; keep the file and restore a copy, or choose another file"
        case .newerSchema(let path, let found, let supported):
            "journal \(path) has schema \(found), this program knows up to \(supported): use the newer program"
        case .notDurable(let path, let value):
            "journal \(path): synchronous is \(value) instead of 2 (FULL), refusing to run: check the SQLite library"
        case .unknownTransaction(let id): "no transaction \(id) in the journal"
        case .stateMoved(let id, let expected, let actual):
            "transaction \(id) is \(actual.rawValue), expected "
                + expected.map(\.rawValue).joined(separator: " or ")
        case .forbiddenTransition(let id, let from, let to):
            "transaction \(id) may not go from \(from.map(\.rawValue).joined(separator: " or ")) to \(to.rawValue)"
        case .keyReused(let key, let id):
            "the idempotency key \(key) names transaction \(id), which is another payment: use a new key"
        case .inBatch(let id, let batch):
            "transaction \(id) is in batch \(batch), which is being settled: give it back with a refund instead"
        case .rejected(let rejection): "\(rejection)"
        case .invalidValue(let what): "the journal does not take \(what)"
        case .diskFull(let path):
            "journal \(path): the disk is full, no new payments; free space on it and go on"
        case .writeFailed(let path, let reason):
            "journal \(path): a write failed and nothing of it was kept: \(reason); try again, and look at the disk if it goes on"
        case .stopped(let path, let reason):
            "journal \(path): stopped after \(reason); no more payments until that is mended and the journal opened anew"
        case .readFailed(let path, let reason):
            "journal \(path) cannot be read: \(reason); nothing was changed, try again"
        case .exportFailed(let reason):
            "the export failed: \(reason); the journal is unchanged, choose another place for the export"
        }
    }
}
