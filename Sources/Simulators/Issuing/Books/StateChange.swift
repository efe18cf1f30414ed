extension IssuerSimulator {
    /// What one message left behind in the books: enough to bring the state before it to the state after it. Holds no
    /// card numbers, as `State` does not.
    public struct StateChange: Sendable, Codable, Equatable {
        var entries: [LedgerEntry]
        let transactionID: String
        let transaction: TransactionRecord
        /// The card or token that was used, as it is known now.
        var card: CardRecord?
        /// The day's spending of the account.
        var spending: Spending?
        let approvals: UInt64
    }

    /// Where a change begins.
    public struct Mark: Sendable {
        let transactionID: String
        let transaction: TransactionRecord?
        let entries: Int
    }

    /// Before a message about this transaction.
    public func mark(_ transactionID: String) -> Mark {
        Mark(
            transactionID: transactionID, transaction: state.transactions[transactionID],
            entries: state.ledger.entries.count)
    }

    /// After that message; nil where it changed nothing, as a repeat does.
    public func change(since mark: Mark) -> StateChange? {
        guard let transaction = state.transactions[mark.transactionID], transaction != mark.transaction else {
            return nil
        }
        return StateChange(
            entries: Array(state.ledger.entries.dropFirst(mark.entries)), transactionID: mark.transactionID,
            transaction: transaction, card: transaction.card.flatMap { state.cards[$0] },
            spending: transaction.spent.flatMap { state.spending[$0.account]?[$0.date] },
            approvals: state.approvals)
    }
}

extension IssuerSimulator.State {
    /// Brings the books on by a change.
    /// - Returns: false, and nothing is done, where the change does not follow what is there.
    @discardableResult
    public mutating func apply(_ change: IssuerSimulator.StateChange) -> Bool {
        var ledger = ledger
        for entry in change.entries {
            guard ledger.append(entry) else { return false }
        }
        self.ledger = ledger
        transactions[change.transactionID] = change.transaction
        if let card = change.transaction.card, let record = change.card { cards[card] = record }
        if let spent = change.transaction.spent, let day = change.spending {
            spending[spent.account, default: [:]][spent.date] = day
        }
        approvals = change.approvals
        return true
    }
}
