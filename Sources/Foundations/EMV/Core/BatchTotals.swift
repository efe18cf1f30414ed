/// Counts and sums of one batch, in minor units of its one currency.
public struct BatchTotals: Sendable, Equatable, Codable {
    /// Purchases, cash and cashback (ISO 8583 fields 76 and 88).
    public var debits: Int
    public var debitAmount: UInt64
    /// Refunds (fields 74 and 86).
    public var credits: Int
    public var creditAmount: UInt64

    public init(debits: Int = 0, debitAmount: UInt64 = 0, credits: Int = 0, creditAmount: UInt64 = 0) {
        self.debits = debits
        self.debitAmount = debitAmount
        self.credits = credits
        self.creditAmount = creditAmount
    }

    /// Counts one transaction; sums stay within 64 bits.
    public mutating func add(_ amount: Amount, isCredit: Bool) {
        if isCredit {
            credits += 1
            let (sum, overflow) = creditAmount.addingReportingOverflow(amount.minorUnits)
            creditAmount = overflow ? .max : sum
        } else {
            debits += 1
            let (sum, overflow) = debitAmount.addingReportingOverflow(amount.minorUnits)
            debitAmount = overflow ? .max : sum
        }
    }

    /// What the acquirer owes the merchant (field 97): negative where refunds are more.
    public var net: Int64 {
        let (sum, overflow) = Int64(clamping: debitAmount).subtractingReportingOverflow(
            Int64(clamping: creditAmount))
        return overflow ? 0 : sum
    }
}
