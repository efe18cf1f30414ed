public import EMV

/// What an acquirer owes each terminal's merchant, batch by batch: compared with the terminal's totals when it
/// settles.
public struct AcquirerBooks: Sendable, Codable, Equatable {
    struct Item: Sendable, Codable, Equatable {
        var amount: Amount
        var currency: NumericCode
        var isCredit: Bool
        /// Held and not completed: in no batch yet.
        var isHeld: Bool
    }
    struct Closed: Sendable, Codable, Equatable {
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

    mutating func approved(
        _ transactionID: String, terminalID: String, amount: Amount, currency: NumericCode, isCredit: Bool,
        isHeld: Bool
    ) {
        guard !isInClosedBatch(transactionID, terminalID) else { return }
        terminals[terminalID, default: Terminal()].open[transactionID] = Item(
            amount: amount, currency: currency, isCredit: isCredit, isHeld: isHeld)
    }

    mutating func reversed(_ transactionID: String, terminalID: String) {
        terminals[terminalID]?.open[transactionID] = nil
    }

    mutating func adjusted(_ transactionID: String, terminalID: String, to amount: Amount) {
        guard var item = terminals[terminalID]?.open[transactionID] else { return }
        item.amount = amount
        item.isHeld = false
        terminals[terminalID]?.open[transactionID] = item
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

    mutating func reconcile(_ request: ReconciliationRequest) -> ReconciliationAnswer {
        var terminal = terminals[request.terminalID] ?? Terminal()
        if let closed = terminal.closed[request.batch] {
            return closed.totals == request.totals && closed.currency == request.currency
                ? .balanced : .outOfBalance(closed.totals)
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
            return .outOfBalance(totals)
        }
        terminal.closed[request.batch] = Closed(
            currency: request.currency, totals: totals, transactions: members.keys.sorted())
        for id in members.keys { terminal.open[id] = nil }
        terminal.uploads[request.batch] = nil
        terminals[request.terminalID] = terminal
        return .balanced
    }

    mutating func upload(_ item: BatchItem) {
        guard terminals[item.terminalID]?.closed[item.batch] == nil else { return }
        terminals[item.terminalID, default: Terminal()].uploads[item.batch, default: [:]][
            item.transactionID] =
            Item(amount: item.amount, currency: item.currency, isCredit: item.isCredit, isHeld: false)
    }
}
