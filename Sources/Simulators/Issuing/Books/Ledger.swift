public import EMV

/// Money that moves onto (positive) or off (negative) one account, in minor units of its currency.
public struct Posting: Sendable, Codable, Equatable {
    /// An account of the world, or one of the bank's own: `clearing:ISSUER:CUR`, what is owed to acquirers;
    /// `disputed:ISSUER:CUR`, offline approvals that no cardholder is charged for; `shortfall:ISSUER:CUR`, what
    /// stored-value accounts could not cover.
    public let account: String
    public let currency: NumericCode
    public let minorUnits: Int64

    var negated: Posting { Posting(account: account, currency: currency, minorUnits: -minorUnits) }
}

/// One line of the books: postings of one currency whose sum is zero, and the transaction that they come from.
public struct LedgerEntry: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        case authorization, refund, offlineApproval, reversal, adjustment
        /// A purchase became more or less than was approved (completion, tip): by how much.
        case amendment
    }
    /// From 1, without gaps.
    public let sequence: Int
    public let kind: Kind
    public let transactionID: String
    public let terminalID: String
    /// In the transaction's currency, as the terminal knows it; `isCredit` where it goes to the cardholder.
    public let amount: Amount
    public let currency: NumericCode
    public let isCredit: Bool
    public let postings: [Posting]
}

/// What a host owes a terminal's merchant, by its own books: to be compared with the terminal's journal.
public struct HostTotals: Sendable, Equatable {
    public var purchases = 0
    public var purchaseAmount: UInt64 = 0
    public var refunds = 0
    public var refundAmount: UInt64 = 0
    /// Purchases and refunds that were reversed are no longer in the figures above.
    public var reversals = 0

    public init(
        purchases: Int = 0, purchaseAmount: UInt64 = 0, refunds: Int = 0, refundAmount: UInt64 = 0,
        reversals: Int = 0
    ) {
        self.purchases = purchases
        self.purchaseAmount = purchaseAmount
        self.refunds = refunds
        self.refundAmount = refundAmount
        self.reversals = reversals
    }
}

/// Double-entry books: entries are only added, and balances follow from them.
public struct Ledger: Sendable, Codable, Equatable {
    public private(set) var entries: [LedgerEntry] = []
    /// Sum of postings of each account.
    public private(set) var sums: [String: Int64] = [:]

    public init() {}

    /// Sum of an account's postings: its balance less what was on it at the beginning.
    public func sum(_ account: String) -> Int64 { sums[account] ?? 0 }

    /// Adds an entry; false, and nothing is added, where a sum does not fit 64 bits.
    mutating func append(
        _ kind: LedgerEntry.Kind, transactionID: String, terminalID: String, amount: Amount,
        currency: NumericCode, isCredit: Bool, postings: [Posting]
    ) -> Bool {
        append(
            LedgerEntry(
                sequence: entries.count + 1, kind: kind, transactionID: transactionID,
                terminalID: terminalID, amount: amount, currency: currency, isCredit: isCredit,
                postings: postings))
    }

    /// Adds an entry as it was made; false, and nothing is added, where it does not follow the last one or a sum does not
    /// fit 64 bits.
    mutating func append(_ entry: LedgerEntry) -> Bool {
        guard entry.sequence == entries.count + 1 else { return false }
        var changed: [String: Int64] = [:]
        for posting in entry.postings {
            let (sum, overflow) = (changed[posting.account] ?? sum(posting.account))
                .addingReportingOverflow(posting.minorUnits)
            guard !overflow else { return false }
            changed[posting.account] = sum
        }
        sums.merge(changed) { $1 }
        entries.append(entry)
        return true
    }

    /// Totals by transaction currency.
    /// - Parameter terminalID: nil for all terminals together.
    public func totals(terminalID: String? = nil) -> [NumericCode: HostTotals] {
        var result: [NumericCode: HostTotals] = [:]
        for entry in entries where terminalID == nil || entry.terminalID == terminalID {
            var totals = result[entry.currency] ?? HostTotals()
            let amount = entry.amount.minorUnits
            switch (entry.kind, entry.isCredit) {
            case (.adjustment, _): continue
            case (.amendment, false): totals.purchaseAmount += amount
            case (.amendment, true): totals.purchaseAmount -= min(amount, totals.purchaseAmount)
            case (.reversal, true):
                // Gives a purchase back.
                totals.purchases -= 1
                totals.purchaseAmount -= min(amount, totals.purchaseAmount)
                totals.reversals += 1
            case (.reversal, false):
                totals.refunds -= 1
                totals.refundAmount -= min(amount, totals.refundAmount)
                totals.reversals += 1
            case (_, false):
                totals.purchases += 1
                totals.purchaseAmount += amount
            case (_, true):
                totals.refunds += 1
                totals.refundAmount += amount
            }
            result[entry.currency] = totals
        }
        return result
    }
}
