internal import EMV
internal import EMVCryptography

/// Response codes of ISO 8583 field 39 that the simulated hosts give.
public enum IssuerResponseCode: String, Sendable, Codable, CaseIterable {
    case approved = "00"
    case doNotHonour = "05"
    case approvedForPart = "10"
    case invalidTransaction = "12"
    case invalidAmount = "13"
    case invalidCardNumber = "14"
    case noSuchIssuer = "15"
    case formatError = "30"
    case lostCard = "41"
    case stolenCard = "43"
    case insufficientFunds = "51"
    case expiredCard = "54"
    case incorrectPIN = "55"
    case notPermittedToCardholder = "57"
    case exceedsAmountLimit = "61"
    case restrictedCard = "62"
    case securityViolation = "63"
    case exceedsFrequencyLimit = "65"
    case pinTriesExceeded = "75"
    case noSuchAccount = "78"
    case issuerInoperative = "91"
    case duplicateTransmission = "94"
    case systemMalfunction = "96"

    public var isApproval: Bool { ResponseCodeTable.meaning(of: rawValue).isApproval }

    /// What the code says, in words for a journal.
    public var text: String {
        switch self {
        case .approved: "approved"
        case .doNotHonour: "do not honour"
        case .approvedForPart: "approved for a part of the amount"
        case .invalidTransaction: "invalid transaction"
        case .invalidAmount: "invalid amount"
        case .invalidCardNumber: "invalid card number"
        case .noSuchIssuer: "no such issuer"
        case .formatError: "format error"
        case .lostCard: "lost card"
        case .stolenCard: "stolen card"
        case .insufficientFunds: "insufficient funds"
        case .expiredCard: "expired card"
        case .incorrectPIN: "incorrect PIN"
        case .notPermittedToCardholder: "transaction not permitted to cardholder"
        case .exceedsAmountLimit: "exceeds amount limit"
        case .restrictedCard: "restricted card"
        case .securityViolation: "security violation"
        case .exceedsFrequencyLimit: "exceeds frequency limit"
        case .pinTriesExceeded: "PIN tries exceeded"
        case .noSuchAccount: "no such account"
        case .issuerInoperative: "issuer inoperative"
        case .duplicateTransmission: "duplicate transmission"
        case .systemMalfunction: "system malfunction"
        }
    }
}
