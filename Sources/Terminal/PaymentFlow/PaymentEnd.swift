/// How a payment ended.
public enum PaymentStatus: String, Sendable, Codable, CaseIterable {
    case approved, declined
    /// The card cannot be used here without contact: another interface or another card is needed.
    case tryAnotherInterface = "try-another-interface"
    case ended
    case refusedByMerchant = "refused-by-merchant"
    case cancelled
    case timedOut = "timed-out"
    /// The reader or the journal failed, or the host's response stayed unknown (a reversal is due).
    case failed
}

/// What a payment's machine ends with: everything that is reported about the end and is neither the card's nor the host's data.
package struct PaymentEnd: Equatable, Sendable {
    package var status: PaymentStatus
    /// Why, in words: for cashier and engineer.
    package var reason: String?
    /// Whether the host decided (true), the card and terminal (false), or nobody (nil).
    package var online: Bool?
    /// The service is given; the host is asked later.
    package var isDeferred = false
    /// A reversal is due that the host did not acknowledge yet, or whatever the journal did not take must be reversed.
    package var reversalOutstanding = false
    /// The journal did not take a change: what it has is resolved as soon as it takes writes again (`InterruptedPayment`).
    package var journalFailed = false

    package init(
        _ status: PaymentStatus, reason: String? = nil, online: Bool? = nil, isDeferred: Bool = false,
        reversalOutstanding: Bool = false, journalFailed: Bool = false
    ) {
        self.status = status
        self.reason = reason
        self.online = online
        self.isDeferred = isDeferred
        self.reversalOutstanding = reversalOutstanding
        self.journalFailed = journalFailed
    }
}
