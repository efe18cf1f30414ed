public import EMV

/// Where authorizations go: the built-in simulator, an ISO 8583 host, an HTTP service. A backend does no
/// book-keeping of its own: the terminal's journal knows what was sent and what came back, and decides on
/// reversals from the kind of error.
public protocol AcquirerBackend: Sendable {
    /// Name for journal and receipts, such as `simulator`.
    var name: String { get }

    /// Asks for an authorization (ISO 8583 0100/0200).
    /// - Throws: `AcquirerError`. Where `isOutcomeUnknown` the request must be reversed.
    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse

    /// Takes back an authorization whose outcome is unknown or which could not be completed (0400/0420).
    /// Idempotent: repeating it is safe.
    func reverse(_ request: ReversalRequest) async throws(AcquirerError)

    /// Forwards what was decided offline (0120/0220). Idempotent by the transaction's identifier.
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError)

    /// Tells the final amount of an approved transaction: a pre-authorization's completion, a tip (0220).
    /// Idempotent by transaction and revision.
    /// - Throws: `AcquirerError`; `.rejected` where the backend has no such message (the default).
    func adjust(_ request: AdjustmentRequest) async throws(AcquirerError)

    /// Compares the totals of a batch (0500). Idempotent by terminal and batch: a batch that the host has closed
    /// is answered as before.
    /// - Throws: `AcquirerError`; `.rejected` where the backend has no such message (the default).
    func reconcile(_ request: ReconciliationRequest) async throws(AcquirerError) -> ReconciliationAnswer

    /// Sends one transaction of a batch whose totals did not agree (0320). Idempotent by transaction and batch.
    /// - Throws: `AcquirerError`; `.rejected` where the backend has no such message (the default).
    func upload(_ item: BatchItem) async throws(AcquirerError)

    /// Answers that came when nobody waited any more, and further ones to what was answered already: for the journal, which
    /// notes them, lets no transaction revive, and reverses what the host has approved meanwhile. One listener; without
    /// late answers (the default) the stream is empty and ends at once.
    func answersOutOfTime() async -> AsyncStream<LateAnswer>
}

extension AcquirerBackend {
    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        throw .rejected("\(name) takes no completions or tips")
    }
    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        throw .rejected("\(name) takes no reconciliation")
    }
    public func upload(_ item: BatchItem) async throws(AcquirerError) {
        throw .rejected("\(name) takes no batch upload")
    }
    public func answersOutOfTime() async -> AsyncStream<LateAnswer> { AsyncStream { $0.finish() } }
}

/// How a transaction was decided without the host.
public enum OfflineDecision: String, Sendable, Codable { case approved, declined }

/// What an authorization is asked for.
public enum AuthorizationPurpose: String, Sendable, Codable, CaseIterable {
    /// The amount is taken: it goes into the batch.
    case sale
    /// The amount is only held (0100); a completion names what is taken.
    case preAuthorization = "pre-authorization"
    /// The service was given before the host was asked, as at a transit gate: the answer comes too late for the
    /// card (Unconfirmed: networks mark it in fields of their own, such as message reason code 5206).
    case deferred
}

/// Card data entry (ISO 8583 field 22, first two digits).
public enum PointOfServiceEntryMode: UInt8, Sendable, Codable {
    case contactlessChip = 0x07
    case contactlessMagStripe = 0x91
    case contactChip = 0x05
    case manual = 0x01
}

/// What is sent to be authorized. Amounts are in minor units of `currency`.
public struct AuthorizationRequest: Sendable {
    /// The terminal's own identifier of the transaction, unique for ever: the idempotency key.
    public var transactionID: String
    public var terminalID: String
    public var merchantID: String
    public var merchantName: String
    /// City, for hosts that want it (ISO 8583 field 43); empty where the profile has none.
    public var merchantLocation: String
    public var merchantCategoryCode: String
    public var acquirerID: String
    /// System Trace Audit Number, 1...999 999, unique per terminal and batch.
    public var stan: UInt32
    /// Retrieval Reference Number: 12 characters, unique per day.
    public var retrievalReference: String
    public var amount: Amount
    public var amountOther: Amount
    public var currency: NumericCode
    public var country: NumericCode
    public var transactionType: UInt8
    public var date: EMVDate
    public var hhmmss: Int
    public var entryMode: PointOfServiceEntryMode
    public var primaryAccountNumber: PrimaryAccountNumber
    public var panSequenceNumber: UInt8?
    public var expiry: EMVDate?
    public var track2: Track2EquivalentData?
    /// BER-TLV of the chip data (DE55), as the kernel's Data Record gave it, unaltered.
    public var chipData: [UInt8]
    public var cvm: Outcome.CVM
    /// Enciphered PIN block (8 or 16 bytes) and the key's serial number, where online PIN was asked for.
    public var onlinePIN: EncipheredPIN?
    /// The terminal takes an approval for a part of the amount (response code 10).
    public var acceptsPartialApproval: Bool
    public var purpose: AuthorizationPurpose

    public init(
        transactionID: String, terminalID: String, merchantID: String, merchantName: String = "",
        merchantLocation: String = "", merchantCategoryCode: String = "5999",
        acquirerID: String = "00000000001", stan: UInt32,
        retrievalReference: String, amount: Amount, amountOther: Amount = .zero,
        currency: NumericCode, country: NumericCode, transactionType: UInt8, date: EMVDate, hhmmss: Int,
        entryMode: PointOfServiceEntryMode, primaryAccountNumber: PrimaryAccountNumber,
        panSequenceNumber: UInt8? = nil, expiry: EMVDate? = nil, track2: Track2EquivalentData? = nil,
        chipData: [UInt8] = [], cvm: Outcome.CVM = .notApplicable, onlinePIN: EncipheredPIN? = nil,
        acceptsPartialApproval: Bool = false, purpose: AuthorizationPurpose = .sale
    ) {
        self.transactionID = transactionID
        self.terminalID = terminalID
        self.merchantID = merchantID
        self.merchantName = merchantName
        self.merchantLocation = merchantLocation
        self.merchantCategoryCode = merchantCategoryCode
        self.acquirerID = acquirerID
        self.stan = stan
        self.retrievalReference = retrievalReference
        self.amount = amount
        self.amountOther = amountOther
        self.currency = currency
        self.country = country
        self.transactionType = transactionType
        self.date = date
        self.hhmmss = hhmmss
        self.entryMode = entryMode
        self.primaryAccountNumber = primaryAccountNumber
        self.panSequenceNumber = panSequenceNumber
        self.expiry = expiry
        self.track2 = track2
        self.chipData = chipData
        self.cvm = cvm
        self.onlinePIN = onlinePIN
        self.acceptsPartialApproval = acceptsPartialApproval
        self.purpose = purpose
    }
}

/// A PIN block under a key: never shown.
public struct EncipheredPIN: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    public let block: [UInt8]
    public let keySerialNumber: [UInt8]
    public init(block: [UInt8], keySerialNumber: [UInt8]) {
        self.block = block
        self.keySerialNumber = keySerialNumber
    }
    public var description: String { "EncipheredPIN(****)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The host's answer.
public struct AuthorizationResponse: Sendable, Equatable {
    /// Response code of ISO 8583 field 39 as it came: two characters in 1987, three digits in 1993.
    public let responseCode: String
    /// What the code says in the response to an authorization of this host.
    public let meaning: ResponseMeaning
    /// The Authorisation Response Code (tag 8A) that the card is given: two characters, as of ISO 8583:1987.
    public let authorisationResponseCode: String
    /// Six characters where approved.
    public var authorizationCode: String?
    /// Issuer Authentication Data, tag 91: ARPC and response code or card status update.
    public var issuerAuthenticationData: [UInt8]?
    /// Issuer Script Templates 71 and 72 as received.
    public var issuerScripts: [UInt8]
    /// Less than asked where approved in part; nil otherwise.
    public var approvedAmount: Amount?
    /// What the funding account was charged, where it is held in another currency.
    public var accountCharge: AccountCharge?
    /// A text for cashier or cardholder.
    public var message: String?
    /// Why, where the host tells: for journal and console, not for the cardholder.
    public var reason: String?
    /// What is left on the account (ISO 8583 field 54), where the host tells.
    public var availableBalance: AccountBalance?

    /// - Parameters:
    ///   - meaning: what the host means by the code; nil for the standard's meaning, in the version that the code's
    ///     length tells.
    ///   - authorisationResponseCode: for the card; nil for the code of 1987 that is nearest to `responseCode`.
    public init(
        responseCode: String, meaning: ResponseMeaning? = nil, authorisationResponseCode: String? = nil,
        authorizationCode: String? = nil,
        issuerAuthenticationData: [UInt8]? = nil, issuerScripts: [UInt8] = [],
        approvedAmount: Amount? = nil, accountCharge: AccountCharge? = nil, message: String? = nil,
        reason: String? = nil,
        availableBalance: AccountBalance? = nil
    ) {
        self.responseCode = responseCode
        self.meaning = meaning ?? ResponseCodeTable.meaning(of: responseCode)
        self.authorisationResponseCode =
            authorisationResponseCode ?? ResponseCodeTable.authorisationResponseCode(of: responseCode)
        self.authorizationCode = authorizationCode
        self.issuerAuthenticationData = issuerAuthenticationData
        self.issuerScripts = issuerScripts
        self.approvedAmount = approvedAmount
        self.accountCharge = accountCharge
        self.message = message
        self.reason = reason
        self.availableBalance = availableBalance
    }
    /// Whether the host has approved, on whatever condition. Whether the terminal takes the approval is its `decision`.
    public var isApproved: Bool { meaning.isApproval }
}

/// An answer that came when nobody waited any more: too late, or after another one.
public struct LateAnswer: Sendable, Equatable {
    public let transactionID: String
    public let response: AuthorizationResponse
    public init(transactionID: String, response: AuthorizationResponse) {
        self.transactionID = transactionID
        self.response = response
    }
}

/// Amount taken from an account in its own currency (ISO 8583 fields 6 and 51).
public struct AccountCharge: Sendable, Equatable, Codable {
    public var amount: Amount
    public var currency: NumericCode
    public var currencyExponent: UInt8
    /// Units of the account's currency for one unit of the transaction's, as decimal text.
    public var rate: String
    public init(amount: Amount, currency: NumericCode, currencyExponent: UInt8, rate: String) {
        self.amount = amount
        self.currency = currency
        self.currencyExponent = currencyExponent
        self.rate = rate
    }
}

/// Money available on an account, in minor units of its currency.
public struct AccountBalance: Sendable, Equatable, Codable {
    public var amount: Amount
    public var currency: NumericCode
    public var currencyExponent: UInt8
    public init(amount: Amount, currency: NumericCode, currencyExponent: UInt8) {
        self.amount = amount
        self.currency = currency
        self.currencyExponent = currencyExponent
    }
}

/// Which authorization to take back, and why.
public struct ReversalRequest: Sendable {
    public enum Reason: String, Sendable, Codable {
        case timeout, malformedResponse, restart, cardDeclined, cancelled, lateResponse
        /// The host approved in a way that this terminal does not take.
        case approvalNotTaken
    }
    /// The original request's numbers.
    public var transactionID: String
    public var terminalID: String
    public var stan: UInt32
    public var retrievalReference: String
    public var amount: Amount
    public var currency: NumericCode
    public var reason: Reason
    /// 1 for the first transmission (0420), more for repeats (0421).
    public var transmission: Int
    /// The request as it was sent, as far as the journal has kept it: without track and PIN block, and nil where
    /// nothing was kept.
    public var original: AuthorizationRequest?
    /// Of the answer, where one came.
    public var authorizationCode: String?
    public init(
        transactionID: String, terminalID: String, stan: UInt32, retrievalReference: String,
        amount: Amount, currency: NumericCode, reason: Reason, transmission: Int = 1,
        original: AuthorizationRequest? = nil, authorizationCode: String? = nil
    ) {
        self.original = original
        self.authorizationCode = authorizationCode
        self.transactionID = transactionID
        self.terminalID = terminalID
        self.stan = stan
        self.retrievalReference = retrievalReference
        self.amount = amount
        self.currency = currency
        self.reason = reason
        self.transmission = transmission
    }
}

/// Why there is no usable answer.
public enum AcquirerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no line to the host; the request certainly did not leave: nothing to reverse.
    case unreachable(String)
    /// The host is there and takes no requests: it refused the sign-on or answered it with something else, or asks to come
    /// again. The request did not leave or was not taken: nothing to reverse.
    case notReady(String)
    /// No answer in time.
    case timeout
    /// An answer that cannot be read or belongs to something else.
    case malformedResponse(String)
    /// The line was lost after the request was sent.
    case connectionLost(String)
    /// The host refused the message itself (format error): nothing was authorized.
    case rejected(String)
    /// The host does not process this message now (response codes 91 and 96 of ISO 8583): nothing was done, and the same
    /// may be sent later.
    case notProcessed(String)

    /// Whether the host may have authorized the request.
    public var isOutcomeUnknown: Bool {
        switch self {
        case .unreachable, .notReady, .rejected, .notProcessed: false
        case .timeout, .malformedResponse, .connectionLost: true
        }
    }
    public var description: String {
        switch self {
        case .unreachable(let reason): "the acquirer cannot be reached: \(reason)"
        case .notReady(let reason): "the acquirer takes no requests: \(reason)"
        case .timeout: "the acquirer did not answer in time"
        case .malformedResponse(let reason): "the acquirer's answer cannot be used: \(reason)"
        case .connectionLost(let reason): "the connection to the acquirer was lost: \(reason)"
        case .rejected(let reason): "the acquirer rejected the message: \(reason)"
        case .notProcessed(let reason): "the acquirer does not process the message now: \(reason)"
        }
    }
}

/// A message to or from a host as its line has it, for people who look on.
public struct HostMessage: Sendable, Equatable {
    public var transactionID: String
    public var isSent: Bool
    /// Hexadecimal, `*` for each digit of a sensitive field.
    public var hex: String
    /// Field by field, masked.
    public var text: String
    public init(transactionID: String, isSent: Bool, hex: String, text: String) {
        self.transactionID = transactionID
        self.isSent = isSent
        self.hex = hex
        self.text = text
    }
}

/// A host with messages of its own beside those of transactions, such as sign-on and echo test, that have trace numbers
/// (ISO 8583 field 11), too.
public protocol TraceNumberedBackend: AcquirerBackend {
    /// Takes trace numbers from the terminal's counter from now on, so that no two messages have the same.
    /// - Parameter source: draws the next number, 1...999 999; nil where that fails: then a number of the backend's own is
    ///   used.
    func takeTraceNumbers(from source: @escaping @Sendable () async -> UInt32?)
}

/// A host whose messages can be looked at.
public protocol ObservableBackend: AcquirerBackend {
    /// Tells each authorization's messages from now on; explaining them costs nothing without an observer.
    func observeMessages(_ observer: @escaping @Sendable (HostMessage) -> Void)
}
