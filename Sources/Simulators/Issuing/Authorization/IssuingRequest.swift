public import EMV
internal import EMVCryptography

/// What an issuer is asked. Amounts in minor units of `currency`.
public struct IssuingRequest: Sendable {
    /// Unique for ever: the idempotency key.
    public var transactionID: String
    public var terminalID: String
    public var number: PrimaryAccountNumber
    /// PAN Sequence Number as a number (0...99), where field 23 was there. 5F34 of the chip data goes first.
    public var sequence: UInt8?
    /// YYMM, where field 14 or the track had it.
    public var expiry: Int?
    public var entryMode: EntryMode
    /// Amount with cashback.
    public var amount: Amount
    public var amountOther: Amount
    public var currency: NumericCode
    /// First two digits of the processing code, BCD as in 9C: 00 purchase, 01 cash, 09 cashback, 20 refund.
    public var transactionType: UInt8
    /// The terminal's date, which expiry and daily limits go by.
    public var date: EMVDate
    /// Chip data of field 55; nil where there were none.
    public var chipData: DataObjects?
    /// Track 2 of mag-stripe entry; nil where there was none.
    public var track2: Track2EquivalentData?
    /// The terminal takes an approval for less than the amount.
    public var acceptsPartialApproval: Bool
    /// Enciphered PIN block and key serial number, for the PIN verifier.
    public var pin: PIN?

    public struct PIN: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        public let block: [UInt8]
        public let keySerialNumber: [UInt8]
        public init(block: [UInt8], keySerialNumber: [UInt8]) {
            self.block = block
            self.keySerialNumber = keySerialNumber
        }
        public var description: String { "PIN(****)" }
        public var debugDescription: String { description }
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    public init(
        transactionID: String, terminalID: String, number: PrimaryAccountNumber, sequence: UInt8? = nil,
        expiry: Int? = nil, entryMode: EntryMode, amount: Amount, amountOther: Amount = .zero,
        currency: NumericCode, transactionType: UInt8 = 0, date: EMVDate, chipData: DataObjects? = nil,
        track2: Track2EquivalentData? = nil, acceptsPartialApproval: Bool = false, pin: PIN? = nil
    ) {
        self.transactionID = transactionID
        self.terminalID = terminalID
        self.number = number
        self.sequence = sequence
        self.expiry = expiry
        self.entryMode = entryMode
        self.amount = amount
        self.amountOther = amountOther
        self.currency = currency
        self.transactionType = transactionType
        self.date = date
        self.chipData = chipData
        self.track2 = track2
        self.acceptsPartialApproval = acceptsPartialApproval
        self.pin = pin
    }

    var isRefund: Bool { transactionType == 0x20 }
}

/// Money in some account's currency.
public struct IssuerMoney: Sendable, Codable, Equatable {
    public let amount: Amount
    public let currency: NumericCode
    public let exponent: UInt8
}

/// What an issuer answers.
public struct IssuingAnswer: Sendable, Codable, Equatable {
    public var code: IssuerResponseCode
    /// Why, in words for journal and console; names no more of a card than its profile.
    public var reason: String
    /// Six characters where approved.
    public var authorizationCode: String?
    /// Value of tag 91; nil where no right cryptogram came.
    public var issuerAuthenticationData: [UInt8]?
    /// Templates 71 and 72, whole; empty where there are none.
    public var issuerScripts: [UInt8]
    /// Where less than asked was approved.
    public var approvedAmount: Amount?
    /// What the account was charged (or, for a refund, given).
    public var charge: IssuerMoney?
    /// Units of the account's currency for one of the transaction's.
    public var rate: String?
    /// What can be spent after this transaction.
    public var available: IssuerMoney?
    /// What the issuer noticed and let pass.
    public var remarks: [String]

    public init(code: IssuerResponseCode, reason: String) {
        self.code = code
        self.reason = reason
        issuerScripts = []
        remarks = []
    }
}

/// What became of an advice.
public enum AdviceResult: Sendable, Equatable {
    /// An offline approval went to the cardholder's account.
    case posted
    /// An offline approval was booked, but not at the cardholder's cost: the reason says why.
    case disputed(String)
    /// An offline decline was noted.
    case noted
    /// Known already.
    case repeated
    /// The transaction was reversed: nothing is booked.
    case reversedBefore
}

/// What became of a reversal.
public enum ReversalResult: Sendable, Equatable {
    /// Balances are as they were.
    case reversed
    case alreadyReversed
    /// The transaction was declined: nothing to take back.
    case nothingToReverse
    /// No such transaction (yet): should it come, it is refused.
    case remembered
    /// Not the terminal's own transaction.
    case refused(String)
}

/// What became of an enciphered PIN.
public enum PINVerification: Sendable, Equatable { case correct, incorrect, unverifiable }

/// Verifies an enciphered PIN of an account number.
public typealias PINVerifier = @Sendable (IssuingRequest.PIN, PrimaryAccountNumber) -> PINVerification

/// What became of an adjustment.
public enum AdjustmentResult: Sendable, Equatable {
    case adjusted
    /// Known already, or older than the last one.
    case repeated
    case refused(String)
}
