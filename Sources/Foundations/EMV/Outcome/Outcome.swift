/// A point at which Entry Point processing begins (Book A, 6.1; Book B, 2).
public enum Start: String, Sendable, Codable, CaseIterable {
    /// Pre-processing: a new variable-amount transaction.
    case a = "A"
    /// Protocol activation: fixed amounts, and after outcomes that need a second presentment.
    case b = "B"
    /// Combination selection: the next candidate.
    case c = "C"
    /// Kernel activation: straight back into the kernel.
    case d = "D"
}

/// What a kernel or the Entry Point concludes, with all parameters of Book A, 6.2.
public struct Outcome: Equatable, Sendable {
    public enum Status: String, Sendable, Codable, CaseIterable {
        case selectNext, tryAgain, approved, declined, onlineRequest, requestOnlinePIN
        case tryAnotherInterface, endApplication
    }
    /// Online Response Data: which answer a restart after an Online Request wants.
    public enum OnlineResponse: String, Sendable, Codable { case notApplicable, emvData, any }
    public enum CVM: String, Sendable, Codable {
        case notApplicable, noCVM, signature, onlinePIN, confirmationCodeVerified
    }
    public enum AlternateInterface: String, Sendable, Codable { case contactChip, magStripe }

    public var status: Status
    /// Where Entry Point goes on when it is started again for this transaction; nil is "N/A".
    public var start: Start?
    public var onlineResponse: OnlineResponse
    public var cvm: CVM
    public var uiRequestOnOutcome: UserInterfaceRequest?
    public var uiRequestOnRestart: UserInterfaceRequest?
    /// Data Record: what the acquirer needs (authorization, clearing). Nil is "not present".
    public var dataRecord: DataObjects?
    /// Discretionary Data: what the terminal may want to know (Error Indication, third party data...).
    public var discretionaryData: DataObjects?
    /// What the kernel wants back when it is activated again for this transaction.
    public var restartData: DataObjects?
    /// What the kernel wants back in later transactions too (Kernel 2's Torn Transaction Log), in place of what it got;
    /// nil leaves that as it is.
    public var persistentData: DataObjects?
    public var alternateInterfacePreference: AlternateInterface?
    /// How offline data authentication ended; nil where the kernel did not come to it. Not of the books' parameters.
    public var dataAuthentication: DataAuthenticationResult?
    /// Why it came to this, where it is no approval and no online request. Not of the books' parameters.
    public var reasons: [EndReason] = []
    public var receiptRequested: Bool
    /// Field Off Request in units of 100 ms; nil is "N/A".
    public var fieldOffRequest: UInt8?
    /// Removal Timeout in units of 100 ms; 0 is none.
    public var removalTimeout: UInt16

    public init(
        _ status: Status, start: Start? = nil, onlineResponse: OnlineResponse = .notApplicable,
        cvm: CVM = .notApplicable, uiRequestOnOutcome: UserInterfaceRequest? = nil,
        uiRequestOnRestart: UserInterfaceRequest? = nil, dataRecord: DataObjects? = nil,
        discretionaryData: DataObjects? = nil, restartData: DataObjects? = nil,
        alternateInterfacePreference: AlternateInterface? = nil,
        dataAuthentication: DataAuthenticationResult? = nil, receiptRequested: Bool = false,
        fieldOffRequest: UInt8? = nil, removalTimeout: UInt16 = 0
    ) {
        self.status = status
        self.start = start
        self.onlineResponse = onlineResponse
        self.cvm = cvm
        self.uiRequestOnOutcome = uiRequestOnOutcome
        self.uiRequestOnRestart = uiRequestOnRestart
        self.dataRecord = dataRecord
        self.discretionaryData = discretionaryData
        self.restartData = restartData
        self.alternateInterfacePreference = alternateInterfacePreference
        self.dataAuthentication = dataAuthentication
        self.receiptRequested = receiptRequested
        self.fieldOffRequest = fieldOffRequest
        self.removalTimeout = removalTimeout
    }
}

/// A User Interface Request (Book A, 7; C-2 DF8116): what the customer sees and hears.
public struct UserInterfaceRequest: Hashable, Sendable {
    /// Message identifiers of Book A, Table 9-3 (and C-2, A.1.190).
    public enum Message: UInt8, Sendable, Codable, CaseIterable {
        case approved = 0x03
        case notAuthorised = 0x07
        case enterPIN = 0x09
        case processingError = 0x0F
        case removeCard = 0x10
        case welcome = 0x14
        case presentCard = 0x15
        case processing = 0x16
        case cardReadOKRemove = 0x17
        case insertOrSwipe = 0x18
        case presentOneCardOnly = 0x19
        case approvedSign = 0x1A
        case authorising = 0x1B
        case insertSwipeOrTryAnotherCard = 0x1C
        case insertCard = 0x1D
        case clearDisplay = 0x1E
        case seePhone = 0x20
        case presentCardAgain = 0x21
        case notApplicable = 0xFF
    }
    /// Status identifiers: they drive lights and sounds (Book A, Table 9-4).
    public enum Status: UInt8, Sendable, Codable, CaseIterable {
        case notReady = 0x00
        case idle = 0x01
        case readyToRead = 0x02
        case processing = 0x03
        case cardReadSuccessfully = 0x04
        case processingError = 0x05
        case contactlessCollision = 0x06
        case notApplicable = 0xFF
    }
    public enum ValueQualifier: UInt8, Sendable, Codable {
        case none = 0
        case amount = 1
        case balance = 2
    }

    public var message: Message
    public var status: Status
    /// Hold time in units of 100 ms: how long the message stays before another may replace it.
    public var holdTime: UInt16
    /// ISO 639 codes of the card's preference, in order: 2, 4, 6 or 8 letters.
    public var languagePreference: String?
    public var valueQualifier: ValueQualifier
    /// Minor units of `currency`; given where the qualifier is not `.none`.
    public var value: Amount?
    public var currency: NumericCode?

    public init(
        _ message: Message, _ status: Status = .notApplicable, holdTime: UInt16 = 0,
        languagePreference: String? = nil, valueQualifier: ValueQualifier = .none,
        value: Amount? = nil, currency: NumericCode? = nil
    ) {
        self.message = message
        self.status = status
        self.holdTime = holdTime
        self.languagePreference = languagePreference
        self.valueQualifier = valueQualifier
        self.value = value
        self.currency = currency
    }
}
