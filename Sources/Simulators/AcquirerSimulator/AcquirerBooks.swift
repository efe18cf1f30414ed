internal import Acquiring
public import EMV

/// What an acquirer owes each terminal's merchant, batch by batch: compared with the terminal's totals when it
/// settles.
public struct AcquirerBooks: Sendable, Codable, Equatable {
    public struct Item: Sendable, Codable, Equatable {
        var amount: Amount
        var currency: NumericCode
        var isCredit: Bool
        /// Held and not completed: in no batch yet.
        var isHeld: Bool
    }
    public struct Closed: Sendable, Codable, Equatable {
        var currency: NumericCode
        var totals: BatchTotals
        var transactions: [String]
    }
    struct Terminal: Sendable, Codable, Equatable {
        /// By transaction.
        var open: [String: Item] = [:]
        /// By batch number.
        var closed: [Int: Closed] = [:]
        /// By batch number and transaction.
        var uploads: [Int: [String: Item]] = [:]
    }
    private(set) var terminals: [String: Terminal] = [:]

    public init() {}

    /// What one message left behind in the books.
    public enum Change: Sendable, Codable, Equatable {
        /// What is open of a transaction; nil where nothing is any more.
        case open(terminal: String, transaction: String, item: Item?)
        case closed(terminal: String, batch: Int, Closed)
        case uploaded(terminal: String, batch: Int, transaction: String, item: Item)
    }

    /// Brings the books on by a change.
    public mutating func apply(_ change: Change) {
        switch change {
        case .open(let terminal, let transaction, let item):
            terminals[terminal, default: Terminal()].open[transaction] = item
        case .closed(let terminal, let batch, let closed):
            terminals[terminal, default: Terminal()].closed[batch] = closed
            for id in closed.transactions { terminals[terminal]?.open[id] = nil }
            terminals[terminal]?.uploads[batch] = nil
        case .uploaded(let terminal, let batch, let transaction, let item):
            terminals[terminal, default: Terminal()].uploads[batch, default: [:]][transaction] = item
        }
    }

    private mutating func applied(_ change: Change) -> Change {
        apply(change)
        return change
    }

    mutating func approved(
        _ transactionID: String, terminalID: String, amount: Amount, currency: NumericCode, isCredit: Bool,
        isHeld: Bool
    ) -> Change? {
        guard !isInClosedBatch(transactionID, terminalID) else { return nil }
        let item = Item(amount: amount, currency: currency, isCredit: isCredit, isHeld: isHeld)
        guard terminals[terminalID]?.open[transactionID] != item else { return nil }
        return applied(.open(terminal: terminalID, transaction: transactionID, item: item))
    }

    mutating func reversed(_ transactionID: String, terminalID: String) -> Change? {
        guard terminals[terminalID]?.open[transactionID] != nil else { return nil }
        return applied(.open(terminal: terminalID, transaction: transactionID, item: nil))
    }

    mutating func adjusted(_ transactionID: String, terminalID: String, to amount: Amount) -> Change? {
        guard var item = terminals[terminalID]?.open[transactionID] else { return nil }
        item.amount = amount
        item.isHeld = false
        return applied(.open(terminal: terminalID, transaction: transactionID, item: item))
    }

    private func isInClosedBatch(_ transactionID: String, _ terminalID: String) -> Bool {
        terminals[terminalID]?.closed.values.contains { $0.transactions.contains(transactionID) } ?? false
    }

    /// What lies in no closed batch.
    public func openTotals(terminalID: String, currency: NumericCode) -> BatchTotals {
        var totals = BatchTotals()
        for item in terminals[terminalID]?.open.values ?? [:].values
        where item.currency == currency && !item.isHeld {
            totals.add(item.amount, isCredit: item.isCredit)
        }
        return totals
    }

    /// Totals and transactions of a closed batch.
    public func closedBatch(terminalID: String, batch: Int) -> (totals: BatchTotals, transactions: [String])?
    {
        (terminals[terminalID]?.closed[batch]).map { ($0.totals, $0.transactions) }
    }

    mutating func reconcile(
        _ request: ReconciliationRequest
    ) -> (answer: ReconciliationAnswer, change: Change?) {
        let terminal = terminals[request.terminalID] ?? Terminal()
        if let closed = terminal.closed[request.batch] {
            let isSame = closed.totals == request.totals && closed.currency == request.currency
            return (isSame ? .balanced : .outOfBalance(closed.totals), nil)
        }
        let members: [String: Item]
        if request.isAfterUpload {
            members = terminal.uploads[request.batch] ?? [:]
        } else {
            members = terminal.open.filter { $0.value.currency == request.currency && !$0.value.isHeld }
        }
        var totals = BatchTotals()
        for item in members.values { totals.add(item.amount, isCredit: item.isCredit) }
        guard totals == request.totals, members.values.allSatisfy({ $0.currency == request.currency }) else {
            return (.outOfBalance(totals), nil)
        }
        let closed = Closed(
            currency: request.currency, totals: totals, transactions: members.keys.sorted())
        return (
            .balanced, applied(.closed(terminal: request.terminalID, batch: request.batch, closed))
        )
    }

    mutating func upload(_ item: BatchItem) -> Change? {
        guard terminals[item.terminalID]?.closed[item.batch] == nil else { return nil }
        return applied(
            .uploaded(
                terminal: item.terminalID, batch: item.batch, transaction: item.transactionID,
                item: Item(
                    amount: item.amount, currency: item.currency, isCredit: item.isCredit, isHeld: false)))
    }
}
