import BERTLV
import EMV

/// The non-volatile memory of an emulated card: what one tap leaves for the next. Encodes to JSON, so that a
/// program can keep a card's counters between its runs.
public struct CardState: Codable, Equatable, Sendable {
    /// `CardProfile.id` of the card that this belongs to.
    public var profile: String
    /// One for each application of the profile, by AID in hexadecimal.
    public var applications: [String: ApplicationState]
    /// CARD BLOCK was carried out.
    public var cardBlocked = false
    /// Limited-use keys that a phone has used since it was last unlocked.
    public var keysUsed: Int?

    public init(profile: String, applications: [String: ApplicationState] = [:]) {
        self.profile = profile
        self.applications = applications
    }

    /// A card as it left personalisation.
    public init(fresh profile: CardProfile) {
        self.init(profile: profile.id)
        for application in profile.applications {
            applications[Hex.string(application.applicationIdentifier)] = ApplicationState(fresh: application)
        }
    }
}

/// Non-volatile memory of one application.
public struct ApplicationState: Codable, Equatable, Sendable {
    /// Application Transaction Counter (9F36).
    public var transactionCounter: UInt16
    /// Last Online ATC Register (9F13).
    public var lastOnlineCounter: UInt16
    /// Offline approvals in a row.
    public var consecutiveOffline: UInt8
    /// Sum of offline approvals in minor units of the application currency.
    public var cumulativeOffline: UInt64
    /// The next transaction has to go online.
    public var goOnlineNextTime: Bool
    public var blocked: Bool
    /// PIN Try Counter (9F17).
    public var pinTries: UInt8
    /// Cryptogram of the latest transaction, which issuer authentication and scripts refer to: 16
    /// hexadecimal digits.
    public var lastCryptogram: String?
    /// The latest transaction asked to go online, and its issuer has not answered the card yet.
    public var awaitsIssuer: Bool
    /// Amount of the latest transaction.
    public var lastAmount: UInt64
    /// The latest EXTERNAL AUTHENTICATE failed.
    public var issuerAuthenticationFailed: Bool
    /// Script commands carried out since the latest online transaction, and whether one failed.
    public var scriptCommands: UInt8
    public var scriptFailed: Bool
    /// Limits and qualifiers that PUT DATA changed: tag and value in hexadecimal.
    public var changedData: [String: String]
    /// Records that UPDATE RECORD replaced: `SFI.record` and template 70 in hexadecimal.
    public var changedRecords: [String: String]
    /// Transaction log, newest first, in hexadecimal.
    public var log: [String]
    /// Integrated data storage of a Mastercard application: the operators' slots; nil where none was ever written.
    public var slots: [StorageSlot]?
    /// The latest answer to GENERATE AC, which RECOVER AC asks for again: DRDOL data and response in hexadecimal.
    public var recoverable: Recoverable?

    public struct Recoverable: Codable, Equatable, Sendable {
        public var data: String
        public var response: String
    }
    /// One operator's data (Book C-2, 3.6).
    public struct StorageSlot: Codable, Equatable, Sendable {
        /// Operator ID, 16 hexadecimal digits.
        public var operatorIdentifier: String
        /// Operator Data Set (9F54).
        public var data: String
        /// DS Summary (9F7D).
        public var summary: String
        /// DS Digest H: what the next writer's DS Input must hash to.
        public var digest: String
    }

    public init(fresh profile: ApplicationProfile) {
        transactionCounter = 0
        lastOnlineCounter = 0
        consecutiveOffline = 0
        cumulativeOffline = 0
        goOnlineNextTime = false
        blocked = profile.blocked
        pinTries = profile.risk.pinTries
        lastCryptogram = nil
        awaitsIssuer = false
        lastAmount = 0
        issuerAuthenticationFailed = false
        scriptCommands = 0
        scriptFailed = false
        changedData = [:]
        changedRecords = [:]
        log = []
    }
}

/// The transaction log that Log Entry (9F4D) and Log Format (9F4F) describe (EMV Book 3, Annex D).
enum TransactionLog {
    static let fileIdentifier: UInt8 = 0x0B
    static let capacity: UInt8 = 10
    /// 9A, 9F02, 5F2A, 9F1A, 9F36, 9F27.
    static let format: [UInt8] = [
        0x9A, 3, 0x9F, 0x02, 6, 0x5F, 0x2A, 2, 0x9F, 0x1A, 2, 0x9F, 0x36, 2, 0x9F, 0x27, 1,
    ]
}
