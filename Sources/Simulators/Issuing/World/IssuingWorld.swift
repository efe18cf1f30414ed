public import EMV
public import EMVCryptography
internal import EMVDictionary

/// Issuers, accounts, cards, tokens and exchange rates of a simulated world: what is there before the first
/// transaction. Read from a file (`init(_:)` over a `ProfileFile`) or built in (`IssuingWorld.test`).
///
/// Test values only. Amounts are in minor units of the account's currency.
public struct IssuingWorld: Sendable {
    public var issuers: [Issuer]
    public var accounts: [Account]
    public var cards: [Card]
    public var tokens: [Token]
    public var rates: [ExchangeRate]

    public init(
        issuers: [Issuer], accounts: [Account], cards: [Card], tokens: [Token] = [],
        rates: [ExchangeRate] = []
    ) {
        self.issuers = issuers
        self.accounts = accounts
        self.cards = cards
        self.tokens = tokens
        self.rates = rates
    }

    /// Issuer master keys under one derivation key index (EMV Book 2, A1.4). 3DES, 16 bytes each.
    public struct MasterKeys: Sendable {
        /// As in the Issuer Application Data (9F10).
        public var derivationKeyIndex: UInt8
        public var derivation: MasterKeyDerivation
        /// IMK-AC, for application cryptograms and ARPCs.
        public var applicationCryptogram: SecretKey
        /// IMK-SMI, for the MACs of issuer scripts.
        public var scriptIntegrity: SecretKey
        /// IMK-SMC, for enciphered script data.
        public var scriptConfidentiality: SecretKey
        /// IMK-CVC3, for mag-stripe mode; nil where the issuer has none.
        public var cardVerificationCode: SecretKey?
        public init(
            derivationKeyIndex: UInt8, derivation: MasterKeyDerivation = .optionA,
            applicationCryptogram: SecretKey, scriptIntegrity: SecretKey, scriptConfidentiality: SecretKey,
            cardVerificationCode: SecretKey? = nil
        ) {
            self.cardVerificationCode = cardVerificationCode
            self.derivationKeyIndex = derivationKeyIndex
            self.derivation = derivation
            self.applicationCryptogram = applicationCryptogram
            self.scriptIntegrity = scriptIntegrity
            self.scriptConfidentiality = scriptConfidentiality
        }
    }

    /// An issuer and the token service that stands before it.
    public struct Issuer: Sendable {
        public enum Status: String, Sendable, Codable, CaseIterable {
            case available
            /// Does not answer the network, which declines with 91.
            case unavailable
        }
        public var id: String
        public var name: String
        public var status: Status
        /// First digits of its card numbers.
        public var prefixes: [String]
        /// First digits of tokens in its name.
        public var tokenPrefixes: [String]
        public var keys: [MasterKeys]
        public var cryptogramVersions: [CryptogramVersion]
        /// How cards (not tokens) may be read.
        public var entryModes: Set<EntryMode>
        /// How far a transaction counter may lie behind the highest one seen: 0...63.
        public var counterWindow: UInt16
        /// A step of the transaction counter that is remarked on.
        public var counterGap: UInt16
        public var refusals: [RefusalRule]
        public init(
            id: String, name: String = "", status: Status = .available, prefixes: [String],
            tokenPrefixes: [String] = [], keys: [MasterKeys], cryptogramVersions: [CryptogramVersion],
            entryModes: Set<EntryMode> = [.contactlessChip, .contactChip], counterWindow: UInt16 = 32,
            counterGap: UInt16 = 100, refusals: [RefusalRule] = []
        ) {
            self.id = id
            self.name = name
            self.status = status
            self.prefixes = prefixes
            self.tokenPrefixes = tokenPrefixes
            self.keys = keys
            self.cryptogramVersions = cryptogramVersions
            self.entryModes = entryModes
            self.counterWindow = counterWindow
            self.counterGap = counterGap
            self.refusals = refusals
        }
    }

    /// Terminal and Card Verification Results that an issuer refuses.
    public struct RefusalRule: Sendable, Equatable {
        /// Masks over the TVR (5 bytes): each must have a bit in common with it.
        public var terminalVerificationResults: [TerminalVerificationResults]
        /// Masks over Visa's CVR (3 bytes without their length, as a big-endian number): each must have a bit
        /// in common with it.
        public var cardVerificationResults: [UInt32]
        public var code: IssuerResponseCode
        public var reason: String
        public init(
            terminalVerificationResults: [TerminalVerificationResults] = [],
            cardVerificationResults: [UInt32] = [], code: IssuerResponseCode, reason: String
        ) {
            self.terminalVerificationResults = terminalVerificationResults
            self.cardVerificationResults = cardVerificationResults
            self.code = code
            self.reason = reason
        }
    }

    public enum Status: String, Sendable, Codable, CaseIterable {
        case active, blocked, closed, lost, stolen
    }

    public struct Account: Sendable {
        public enum Kind: String, Sendable, Codable, CaseIterable {
            case credit, debit
            /// Prepaid: no posting ever makes it negative.
            case storedValue = "stored-value"
        }
        public var id: String
        public var kind: Kind
        public var currency: NumericCode
        /// Minor-unit digits of the currency.
        public var exponent: UInt8 { CodeTable.minorUnits(of: currency) }
        /// What is on it at the beginning.
        public var balance: UInt64
        public var creditLimit: UInt64
        public var status: Status
        /// Most for one transaction, for a day, and transactions a day; nil is without limit.
        public var singleLimit: UInt64?
        public var dailyLimit: UInt64?
        public var dailyCount: Int?
        public init(
            id: String, kind: Kind, currency: NumericCode, balance: UInt64 = 0,
            creditLimit: UInt64 = 0, status: Status = .active, singleLimit: UInt64? = nil,
            dailyLimit: UInt64? = nil, dailyCount: Int? = nil
        ) {
            self.id = id
            self.kind = kind
            self.currency = currency
            self.balance = balance
            self.creditLimit = creditLimit
            self.status = status
            self.singleLimit = singleLimit
            self.dailyLimit = dailyLimit
            self.dailyCount = dailyCount
        }
    }

    /// Where a card's track 2 is dynamic: bitmaps over its discretionary data, bit 1 the last digit (9F65, 9F66, 9F67).
    public struct MagStripeLayout: Sendable, Equatable {
        public var checksumPositions: UInt64
        public var numberAndCounterPositions: UInt64
        public var counterDigits: Int
        public init(checksumPositions: UInt64, numberAndCounterPositions: UInt64, counterDigits: Int) {
            self.checksumPositions = checksumPositions
            self.numberAndCounterPositions = numberAndCounterPositions
            self.counterDigits = counterDigits
        }
    }

    public struct Card: Sendable {
        public var id: String
        public var number: PrimaryAccountNumber
        /// PAN Sequence Number (5F34), 0...99.
        public var sequence: UInt8
        /// YYMM; good to the end of the month.
        public var expiry: Int
        public var account: String
        public var status: Status
        /// What it was personalised with; nil takes any that the issuer supports.
        public var cryptogramVersion: CryptogramVersion?
        public var scripts: [ScriptProfile]
        /// Nil for cards without mag-stripe mode.
        public var magStripe: MagStripeLayout?
        public init(
            id: String, number: PrimaryAccountNumber, sequence: UInt8 = 0, expiry: Int, account: String,
            status: Status = .active, cryptogramVersion: CryptogramVersion? = nil,
            scripts: [ScriptProfile] = [], magStripe: MagStripeLayout? = nil
        ) {
            self.magStripe = magStripe
            self.id = id
            self.number = number
            self.sequence = sequence
            self.expiry = expiry
            self.account = account
            self.status = status
            self.cryptogramVersion = cryptogramVersion
            self.scripts = scripts
        }
    }

    /// A payment token (EMV Payment Tokenisation): a number that is good within its domain only.
    public struct Token: Sendable {
        public enum Status: String, Sendable, Codable, CaseIterable { case active, suspended, deleted }
        public var id: String
        public var number: PrimaryAccountNumber
        public var sequence: UInt8
        /// YYMM of the token, not of the card behind it.
        public var expiry: Int
        public var account: String
        /// The card behind it; nil where the account has none.
        public var card: String?
        /// Token Requestor ID, 11 digits, checked where 9F19 is in the chip data.
        public var requestor: String
        public var status: Status
        public var entryModes: Set<EntryMode>
        public var cryptogramVersion: CryptogramVersion?
        public var scripts: [ScriptProfile]
        public init(
            id: String, number: PrimaryAccountNumber, sequence: UInt8 = 0, expiry: Int, account: String,
            card: String? = nil, requestor: String, status: Status = .active,
            entryModes: Set<EntryMode> = [.contactlessChip], cryptogramVersion: CryptogramVersion? = nil,
            scripts: [ScriptProfile] = []
        ) {
            self.id = id
            self.number = number
            self.sequence = sequence
            self.expiry = expiry
            self.account = account
            self.card = card
            self.requestor = requestor
            self.status = status
            self.entryModes = entryModes
            self.cryptogramVersion = cryptogramVersion
            self.scripts = scripts
        }
    }

}

/// How the card's data came into the terminal (ISO 8583 field 22).
public enum EntryMode: String, Sendable, Codable, CaseIterable {
    case contactlessChip = "contactless-chip"
    case contactChip = "contact-chip"
    case contactlessMagStripe = "contactless-mag-stripe"
    case manual
}

/// What makes a world unusable, and where.
public struct IssuingWorldError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Such as `cards[visa-credit].account`.
    public let place: String
    public let reason: String
    public var description: String { "\(place): \(reason)" }
}

extension IssuingWorld {
    /// Checks that names are unique, references lead somewhere, numbers lie in their issuer's ranges and keys
    /// have 16 bytes.
    public func validate() throws(IssuingWorldError) {
        func unique(_ place: String, _ names: [String]) throws(IssuingWorldError) {
            var seen: Set<String> = []
            for name in names where !seen.insert(name).inserted {
                throw IssuingWorldError(place: "\(place)[\(name)]", reason: "there are two of this name")
            }
        }
        try unique("issuers", issuers.map(\.id))
        try unique("accounts", accounts.map(\.id))
        try unique("cards and tokens", cards.map(\.id) + tokens.map(\.id))
        let accountNames = Set(accounts.map(\.id))
        let cardNames = Set(cards.map(\.id))
        for issuer in issuers {
            for keys in issuer.keys {
                for (name, key) in [
                    ("application_cryptogram", keys.applicationCryptogram),
                    ("script_integrity", keys.scriptIntegrity),
                    ("script_confidentiality", keys.scriptConfidentiality),
                ] where key.count != 16 {
                    throw IssuingWorldError(
                        place: "issuers[\(issuer.id)].keys[\(keys.derivationKeyIndex)].\(name)",
                        reason: "\(key.count) bytes where 16 are needed")
                }
            }
            guard issuer.counterWindow <= 63 else {
                throw IssuingWorldError(
                    place: "issuers[\(issuer.id)].counter_window", reason: "more than 63")
            }
        }
        for account in accounts {
            let place = "accounts[\(account.id)]"
            for reserved in ["clearing:", "disputed:", "shortfall:", "adjustment:"]
            where account.id.hasPrefix(reserved) {
                throw IssuingWorldError(place: place, reason: "\(reserved) begins the bank's own accounts")
            }
            guard account.balance <= Amount.greatest, account.creditLimit <= Amount.greatest else {
                throw IssuingWorldError(place: place, reason: "an amount of more than twelve digits")
            }
        }
        for card in cards {
            let place = "cards[\(card.id)]"
            guard accountNames.contains(card.account) else {
                throw IssuingWorldError(place: place + ".account", reason: "no account \"\(card.account)\"")
            }
            guard case .issuer = route(card.number) else {
                throw IssuingWorldError(
                    place: place + ".number", reason: "\(card.number) lies in no issuer's card range")
            }
            guard EMVDate(endOfMonthYYMM: card.expiry) != nil else {
                throw IssuingWorldError(place: place + ".expires", reason: "\(card.expiry) is no YYMM")
            }
        }
        for token in tokens {
            let place = "tokens[\(token.id)]"
            guard accountNames.contains(token.account) else {
                throw IssuingWorldError(place: place + ".account", reason: "no account \"\(token.account)\"")
            }
            if let card = token.card, !cardNames.contains(card) {
                throw IssuingWorldError(place: place + ".card", reason: "no card \"\(card)\"")
            }
            guard case .tokenService = route(token.number) else {
                throw IssuingWorldError(
                    place: place + ".number", reason: "\(token.number) lies in no issuer's token range")
            }
            guard EMVDate(endOfMonthYYMM: token.expiry) != nil else {
                throw IssuingWorldError(place: place + ".expires", reason: "\(token.expiry) is no YYMM")
            }
        }
    }
}

/// Who answers for a card number.
public enum Route: Equatable, Sendable {
    /// The issuer of this name.
    case issuer(String)
    /// The token service that stands before the issuer of this name.
    case tokenService(String)
    case unknown
}

extension IssuingWorld {
    /// The owner of the longest prefix that the number begins with.
    public func route(_ number: PrimaryAccountNumber) -> Route {
        let digits = number.clearDigits
        var best = (length: 0, route: Route.unknown)
        for issuer in issuers {
            for prefix in issuer.prefixes where prefix.utf8.count > best.length && digits.hasPrefix(prefix) {
                best = (prefix.utf8.count, .issuer(issuer.id))
            }
            for prefix in issuer.tokenPrefixes
            where prefix.utf8.count > best.length && digits.hasPrefix(prefix) {
                best = (prefix.utf8.count, .tokenService(issuer.id))
            }
        }
        return best.route
    }
}
