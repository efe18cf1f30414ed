public import BERTLV
public import EMV
internal import EMVCryptography
public import SmartCard

/// What an emulated card or phone is: everything that personalisation needs. A value, read from a profile
/// file (see `Profiles/README.md` for the format) or built and changed in code.
public struct CardProfile: Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable { case card, phone }

    /// Short name by which the profile is chosen, such as `visa-credit`.
    public var id: String
    /// One line for people.
    public var title: String
    public var kind: Kind
    /// ISO/IEC 14443 activation data.
    public var activation: ContactlessActivation
    /// At least one; phones with several cards list the default card first.
    public var applications: [ApplicationProfile]
    /// When the phone wants to be unlocked; nil for plastic.
    public var phone: PhoneBehaviour?
    public var faults: CardFaults

    public init(
        id: String, title: String, kind: Kind = .card,
        activation: ContactlessActivation = ContactlessActivation(),
        applications: [ApplicationProfile], phone: PhoneBehaviour? = nil,
        faults: CardFaults = CardFaults()
    ) {
        self.id = id
        self.title = title
        self.kind = kind
        self.activation = activation
        self.applications = applications
        self.phone = phone
        self.faults = faults
    }
}

/// When a phone asks its owner to unlock it before it answers GET PROCESSING OPTIONS.
public struct PhoneBehaviour: Equatable, Sendable {
    public enum Unlock: Equatable, Sendable {
        /// For every payment.
        case always
        /// For amounts above so many minor units, and whenever the reader requires a CVM.
        case above(UInt64)
        /// Only when the reader requires a CVM.
        case whenRequired
    }
    public var unlock: Unlock
    /// Answers readers that announced themselves as transit gates without being unlocked.
    public var expressTransit: Bool
    /// Payments that the phone has keys for until it is unlocked again; nil where it never runs out.
    public var limitedUseKeys: Int?

    public init(unlock: Unlock, expressTransit: Bool = false, limitedUseKeys: Int? = nil) {
        self.unlock = unlock
        self.expressTransit = expressTransit
        self.limitedUseKeys = limitedUseKeys
    }
}

/// One payment application of a card.
public struct ApplicationProfile: Equatable, Sendable {
    public enum Scheme: String, Sendable, CaseIterable { case visa, mastercard }

    public var scheme: Scheme
    /// 5...16 bytes.
    public var applicationIdentifier: [UInt8]
    /// Application Label (50), 1...16 characters.
    public var label: String
    /// Application Preferred Name (9F12).
    public var preferredName: String?
    /// Application Priority Indicator (87), low nibble: 1 is first, 0 none.
    public var priority: UInt8
    /// Kernel Identifier (9F2A) in the directory entry; nil leaves the choice to the AID.
    public var kernelIdentifier: [UInt8]?
    /// Card number, or the token that stands for it on a phone.
    public var primaryAccountNumber: PrimaryAccountNumber
    /// PAN Sequence Number (5F34), 0...99.
    public var sequenceNumber: UInt8
    /// YYMM.
    public var expiry: Int
    /// YYMM; nil where the card has no effective date.
    public var effective: Int?
    /// Three digits.
    public var serviceCode: Int
    /// Digits that end Track 2.
    public var track2Discretionary: String
    /// Cardholder Name (5F20), 2...26 characters.
    public var cardholder: String
    /// Language Preference (5F2D): 1...4 ISO 639 codes.
    public var languages: String
    /// Issuer Country Code (5F28).
    public var country: NumericCode
    /// Application Currency Code (9F42): amounts in it may be approved offline.
    public var currency: NumericCode
    /// Application Interchange Profile (82).
    public var interchangeProfile: ApplicationInterchangeProfile
    /// PDOL (9F38).
    public var pdol: [UInt8]
    /// Application Usage Control (9F07).
    public var usageControl: ApplicationUsageControl
    /// CTQ bits (9F6C) that are set whatever the transaction.
    public var transactionQualifiers: CardTransactionQualifiers
    /// Cardholder verification methods in order of preference.
    public var verificationMethods: [VerificationMethod]
    public var cryptogram: CryptogramProfile
    public var authentication: AuthenticationProfile
    public var risk: RiskProfile
    /// Form Factor Indicator (9F6E), 4 bytes.
    public var formFactor: [UInt8]?
    /// Payment Account Reference (9F24), 29 characters.
    public var paymentAccountReference: String?
    /// Last Four Digits of PAN (9F25) of the funding card, 4 digits.
    public var lastFour: String?
    /// Token Requestor ID (9F19), 11 digits.
    public var tokenRequestor: String?
    /// Application Program Identifier (9F5A) for dynamic reader limits.
    public var programIdentifier: [UInt8]?
    /// Further data objects: answered by READ RECORD where a record lists them.
    public var data: DataObjects
    public var records: [RecordProfile]
    /// Integrated data storage of a Mastercard application; nil where it keeps no data for operators.
    public var dataStorage: DataStorageProfile?
    /// The application left personalisation blocked.
    public var blocked: Bool

    public init(
        scheme: Scheme = .visa, applicationIdentifier: [UInt8], label: String,
        preferredName: String? = nil, priority: UInt8 = 1, kernelIdentifier: [UInt8]? = nil,
        primaryAccountNumber: PrimaryAccountNumber, sequenceNumber: UInt8 = 1, expiry: Int,
        effective: Int? = nil, serviceCode: Int = 201, track2Discretionary: String = "0000000000",
        cardholder: String = "TEST/CARD", languages: String = "en", country: NumericCode,
        currency: NumericCode, interchangeProfile: ApplicationInterchangeProfile,
        pdol: [UInt8], usageControl: ApplicationUsageControl,
        transactionQualifiers: CardTransactionQualifiers = [],
        verificationMethods: [VerificationMethod] = [], cryptogram: CryptogramProfile,
        authentication: AuthenticationProfile = AuthenticationProfile(),
        risk: RiskProfile = RiskProfile(), formFactor: [UInt8]? = nil,
        paymentAccountReference: String? = nil, lastFour: String? = nil, tokenRequestor: String? = nil,
        programIdentifier: [UInt8]? = nil, data: DataObjects = DataObjects(),
        records: [RecordProfile], blocked: Bool = false
    ) {
        self.scheme = scheme
        self.applicationIdentifier = applicationIdentifier
        self.label = label
        self.preferredName = preferredName
        self.priority = priority
        self.kernelIdentifier = kernelIdentifier
        self.primaryAccountNumber = primaryAccountNumber
        self.sequenceNumber = sequenceNumber
        self.expiry = expiry
        self.effective = effective
        self.serviceCode = serviceCode
        self.track2Discretionary = track2Discretionary
        self.cardholder = cardholder
        self.languages = languages
        self.country = country
        self.currency = currency
        self.interchangeProfile = interchangeProfile
        self.pdol = pdol
        self.usageControl = usageControl
        self.transactionQualifiers = transactionQualifiers
        self.verificationMethods = verificationMethods
        self.cryptogram = cryptogram
        self.authentication = authentication
        self.risk = risk
        self.formFactor = formFactor
        self.paymentAccountReference = paymentAccountReference
        self.lastFour = lastFour
        self.tokenRequestor = tokenRequestor
        self.programIdentifier = programIdentifier
        self.data = data
        self.records = records
        self.blocked = blocked
    }
}

/// A cardholder verification method that a contactless Visa card can ask the reader for, or a device can
/// report.
public enum VerificationMethod: String, Sendable, CaseIterable {
    case onlinePIN = "online-pin"
    case signature
    case consumerDevice = "consumer-device"
}

/// How application cryptograms are made.
public struct CryptogramProfile: Equatable, Sendable {
    /// Cryptogram Version Numbers as they stand in Issuer Application Data, in decimal: 10, 17 and 18 are Visa's, 16,
    /// 17, 20 and 21 M/Chip's.
    public enum Version: Int, Sendable, CaseIterable {
        case cvn10 = 10
        case cvn16 = 16
        case cvn17 = 17
        case cvn18 = 18
        case cvn20 = 20
        case cvn21 = 21

        /// Nil where the scheme has no such version.
        func cryptogramVersion(_ scheme: ApplicationProfile.Scheme) -> CryptogramVersion? {
            switch (scheme, self) {
            case (.visa, .cvn10): .visaCVN10
            case (.visa, .cvn17): .visaCVN17
            case (.visa, .cvn18): .visaCVN18
            case (.mastercard, .cvn16): .mChipCVN16
            case (.mastercard, .cvn17): .mChipCVN17
            case (.mastercard, .cvn20): .mChipCVN20
            case (.mastercard, .cvn21): .mChipCVN21
            default: nil
            }
        }
    }
    public var version: Version
    /// Name of the issuer master key set in `Keys/test-keys.txt`.
    public var keySet: String
    /// Derivation Key Index in Issuer Application Data.
    public var derivationKeyIndex: UInt8

    public init(version: Version, keySet: String = "visa", derivationKeyIndex: UInt8 = 1) {
        self.version = version
        self.keySet = keySet
        self.derivationKeyIndex = derivationKeyIndex
    }
}

/// Offline data authentication of an application.
public struct AuthenticationProfile: Equatable, Sendable {
    public enum Method: String, Sendable, CaseIterable {
        case none
        /// Fast DDA version 00: the signature covers the Unpredictable Number alone.
        case fdda00 = "fdda-00"
        /// Fast DDA version 01: the signature covers amount, currency and Card Authentication Related Data.
        case fdda01 = "fdda-01"
        /// Combined DDA and application cryptogram generation, of M/Chip cards.
        case cda
    }
    /// What personalisation or the card spoils on purpose.
    public enum Tampering: String, Sendable, CaseIterable {
        case none
        case issuerCertificate = "issuer-certificate"
        case cardCertificate = "card-certificate"
        /// The Signed Dynamic Application Data of each transaction.
        case signature
        /// A signed record is changed after the certificate was made.
        case staticData = "static-data"
        /// The CA Public Key Index names a key that does not exist.
        case authorityIndex = "authority-index"
    }
    public var method: Method
    /// Issuer key and card key by name in `Keys/test-keys.txt`.
    public var issuerKey: String
    public var cardKey: String
    public var tampering: Tampering
    /// Which byte of the certificate, signature or record is spoilt, from 0.
    public var tamperedByte: Int

    public init(
        method: Method = .none, issuerKey: String = "issuer-visa", cardKey: String = "icc-a",
        tampering: Tampering = .none, tamperedByte: Int = 40
    ) {
        self.method = method
        self.issuerKey = issuerKey
        self.cardKey = cardKey
        self.tampering = tampering
        self.tamperedByte = tamperedByte
    }
}

/// Card risk management parameters. Amounts in minor units of the application currency.
public struct RiskProfile: Equatable, Sendable {
    public enum Decision: String, Sendable, CaseIterable {
        /// Offline where the limits allow, else online.
        case byLimits = "by-limits"
        /// Always an ARQC.
        case online
        /// Always an AAC.
        case decline
    }
    public var decision: Decision
    /// Greatest amount of a single offline approval.
    public var singleLimit: UInt64
    /// Greatest sum of offline approvals since the last online one (9F54).
    public var cumulativeLimit: UInt64
    /// Greatest number of offline approvals in a row (9F58).
    public var consecutiveLimit: UInt8
    /// Gives Available Offline Spending Amount (9F5D) with GPO.
    public var reportsAvailableAmount: Bool
    /// Answers 6984 (use another interface) where no verification method suits the reader and the reader
    /// has a contact chip; else declines.
    public var switchesInterface: Bool
    /// The ATC that blocks the application for good; the transaction before it is the last.
    public var transactionCounterLimit: UInt16
    /// PIN Try Counter (9F17) at personalisation.
    public var pinTries: UInt8

    public init(
        decision: Decision = .online, singleLimit: UInt64 = 0, cumulativeLimit: UInt64 = 0,
        consecutiveLimit: UInt8 = 0, reportsAvailableAmount: Bool = false,
        switchesInterface: Bool = false, transactionCounterLimit: UInt16 = 0xFFFF, pinTries: UInt8 = 3
    ) {
        self.decision = decision
        self.singleLimit = singleLimit
        self.cumulativeLimit = cumulativeLimit
        self.consecutiveLimit = consecutiveLimit
        self.reportsAvailableAmount = reportsAvailableAmount
        self.switchesInterface = switchesInterface
        self.transactionCounterLimit = transactionCounterLimit
        self.pinTries = pinTries
    }
}

/// Integrated data storage (Book C-2, 3.6), version 1.
public struct DataStorageProfile: Equatable, Sendable {
    /// Operators that find room, 1...16.
    public var slots: Int
    /// Bytes of each operator's data, 1...160.
    public var size: Int
    public init(slots: Int, size: Int) {
        self.slots = slots
        self.size = size
    }
}

/// One record of the application's files.
public struct RecordProfile: Equatable, Sendable {
    public enum Purpose: String, Sendable, CaseIterable {
        /// In the AFL of every transaction.
        case always
        /// Only where offline data authentication takes place.
        case authentication
    }
    /// Short File Identifier, 1...10.
    public var sfi: UInt8
    /// Record number, from 1.
    public var number: UInt8
    public var purpose: Purpose
    /// Whether the record is part of the static data that the card's certificate signs.
    public var signed: Bool
    public var tags: [Tag]

    public init(
        sfi: UInt8, number: UInt8, purpose: Purpose = .always, signed: Bool = false, tags: [Tag]
    ) {
        self.sfi = sfi
        self.number = number
        self.purpose = purpose
        self.signed = signed
        self.tags = tags
    }
}

/// Misbehaviour that belongs to a profile; chance faults are `HostileCard`, `TornCard`, `SlowCard`.
public struct CardFaults: Equatable, Sendable {
    /// Commands (INS) answered with a fixed status word.
    public var statusWords: [UInt8: StatusWord]
    /// Commands (INS) not answered at all.
    public var silent: Set<UInt8>
    /// Data objects left out of GPO responses and records.
    public var omitted: Set<Tag>
    /// Data objects given twice in GPO responses and records.
    public var duplicated: Set<Tag>

    public init(
        statusWords: [UInt8: StatusWord] = [:], silent: Set<UInt8> = [], omitted: Set<Tag> = [],
        duplicated: Set<Tag> = []
    ) {
        self.statusWords = statusWords
        self.silent = silent
        self.omitted = omitted
        self.duplicated = duplicated
    }
}
