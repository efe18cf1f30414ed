/// What a host's response code says about the message that it answers. What a terminal does then follows from this
/// alone, never from the code.
public enum ResponseMeaning: String, Sendable, Codable, CaseIterable {
    /// The amount that was asked for is authorized. Of a message that is only acknowledged: nothing is left to do.
    case approved
    /// A part of the amount is authorized; the response says which.
    case approvedInPart = "approved-in-part"
    /// Authorized if the cardholder is identified.
    case approvedWithIdentification = "approved-with-identification"
    /// Authorized, under a condition that no table names.
    case approvedOtherwise = "approved-otherwise"
    case declined
    /// Declined: the merchant is to call.
    case referral
    /// Declined: the card is to be kept.
    case pickUp = "pick-up"
    /// The host does not take the message's form: nothing was done.
    case formatError = "format-error"
    /// Not processed now: the same may be sent later.
    case tryAgain = "try-again"
    /// The host does not know the transaction that was meant.
    case notFound = "not-found"
    /// The host has had this message before.
    case duplicate
    /// The totals of a batch are not the host's.
    case outOfBalance = "out-of-balance"
    /// The host is still at work: the outcome is unknown.
    case inProgress = "in-progress"
    /// A code that no table has, of a class that refuses as a rule.
    case unknown
    /// A code that does not answer this class of messages, or no code at all.
    case invalid

    /// Whether the host has authorized the transaction, or a part of it, on whatever condition.
    public var isApproval: Bool {
        switch self {
        case .approved, .approvedInPart, .approvedWithIdentification, .approvedOtherwise: true
        case .declined, .referral, .pickUp, .formatError, .tryAgain, .notFound, .duplicate, .outOfBalance,
            .inProgress, .unknown, .invalid:
            false
        }
    }

    /// Whether the host has certainly not authorized the transaction.
    public var isRefusal: Bool {
        switch self {
        case .declined, .referral, .pickUp, .formatError, .tryAgain, .notFound, .duplicate: true
        case .approved, .approvedInPart, .approvedWithIdentification, .approvedOtherwise, .outOfBalance,
            .inProgress, .unknown, .invalid:
            false
        }
    }

    /// The code of ISO 8583:1987 that says the same, for a card (tag 8A) or where a file names a meaning alone.
    var code: String {
        switch self {
        case .approved, .approvedOtherwise: "00"
        case .approvedInPart: "10"
        case .approvedWithIdentification: "08"
        case .referral: "01"
        case .pickUp: "04"
        case .formatError: "30"
        case .tryAgain: "91"
        case .notFound: "25"
        case .duplicate: "94"
        case .outOfBalance: "95"
        case .inProgress: "09"
        case .declined, .unknown, .invalid: "05"
        }
    }
}
