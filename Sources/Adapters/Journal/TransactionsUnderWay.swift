internal import Synchronization

/// The transactions that this process is at work on. Whatever is unfinished in the journal and not among them was left
/// behind, by an earlier run or by a write that failed, and is to be resolved: no guess by its age is needed, as one
/// process at a time writes to a journal.
public final class TransactionsUnderWay: Sendable {
    /// Work on one transaction. It ends with `end`, or when nobody holds it any more.
    public final class Claim: Sendable {
        private let owner: TransactionsUnderWay
        private let work: Mutex<Work?>

        fileprivate init(_ owner: TransactionsUnderWay, _ work: Work) {
            self.owner = owner
            self.work = Mutex(work)
            owner.add(work)
        }
        deinit { end() }

        /// The transaction that was about to begin is this one.
        public func isFor(_ id: String) {
            work.withLock { work in
                guard let before = work else { return }
                // Never a moment in which neither is there.
                owner.add(.transaction(id))
                owner.remove(before)
                work = .transaction(id)
            }
        }

        public func end() {
            work.withLock { work in
                if let work { owner.remove(work) }
                work = nil
            }
        }
    }

    fileprivate enum Work: Hashable, Sendable {
        case transaction(String)
        /// At this terminal: the journal may have it a moment before its identifier is known.
        case beginning(terminal: String)
        /// The host acknowledged its reversal, and the journal does not have that yet.
        case acknowledged(String)
    }
    private let counts = Mutex<[Work: Int]>([:])

    public init() {}

    /// Work on a transaction of the journal.
    public func claim(_ id: String) -> Claim { Claim(self, .transaction(id)) }

    /// A transaction is about to begin: `Claim.isFor` names it afterwards.
    public func claimBeginning(at terminal: String) -> Claim { Claim(self, .beginning(terminal: terminal)) }

    /// The host acknowledged a transaction's reversal, until the journal has it.
    public func claimAcknowledged(_ id: String) -> Claim { Claim(self, .acknowledged(id)) }

    /// Whether the host acknowledged the transaction's reversal a moment ago: what it approves from then on is not reversed by it.
    public func isAcknowledged(_ id: String) -> Bool { counts.withLock { $0[.acknowledged(id)] != nil } }

    /// Whether this process is, or may be, at work on a transaction.
    public func contains(_ record: TransactionRecord) -> Bool {
        counts.withLock {
            $0[.transaction(record.id)] != nil || $0[.beginning(terminal: record.terminalID)] != nil
        }
    }

    private func add(_ work: Work) { counts.withLock { $0[work, default: 0] += 1 } }
    private func remove(_ work: Work) {
        counts.withLock { counts in
            guard let count = counts[work] else { return }
            counts[work] = count > 1 ? count - 1 : nil
        }
    }
}
