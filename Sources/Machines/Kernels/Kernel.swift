public import BERTLV
public import EMV
public import SmartCard

/// A kernel: the pure state machine that carries one card through one transaction (Book A, 5.8; Books
/// C-2...C-8). It receives one event at a time and answers with the one action to carry out next; it does
/// no I/O and knows neither clock nor chance, so the same events always give the same actions.
///
/// After an `.outcome` a kernel is finished: every further event gives that outcome again.
public protocol Kernel: Sendable {
    /// The first action (Start D).
    mutating func start() -> KernelAction
    /// The next action.
    mutating func handle(_ event: KernelEvent) -> KernelAction
    /// What the kernel waits for at the moment, in one word: for people who look on. Empty where a kernel does not tell.
    var stateName: String { get }
}

extension Kernel {
    public var stateName: String { "" }

    /// The name of an enum's case, without what it carries.
    static func name(ofCase value: some Sendable) -> String {
        Mirror(reflecting: value).children.first?.label ?? "\(value)"
    }
}

/// What happened, told to a kernel.
public enum KernelEvent: Equatable, Sendable {
    /// The card answered the command of `.transmit`. `microseconds` is the time from the end of the
    /// command to the start of the answer, as far as the reader can tell (relay resistance needs it).
    case response(ResponseAPDU, microseconds: UInt32)
    /// No usable answer came (Level 1).
    case communicationError(CommunicationError)
    /// An action without an answer (`.display`, `.sendDataExchange`) was carried out.
    case done
    /// The unpredictable number that `.drawUnpredictableNumber` asked for.
    case unpredictableNumber(UInt32)
    /// Data from the terminal (C-2's DET signal). Data that come while the response to a command is awaited are taken or passed
    /// over, and the kernel gives the same `.transmit` again: the command is under way and is not sent a second time.
    case dataExchange(DataObjects)
    /// The time that `.waitForData` allowed is over.
    case timeout
    /// The terminal cancels (C-2's STOP signal). Where its book takes no STOP a kernel goes on, and gives the same action again.
    case stop
}

/// Level 1 errors (Book D, and C-2's L1 Error Indication).
public enum CommunicationError: UInt8, Error, Sendable, Codable, CaseIterable {
    case timeout = 0x01
    case transmission = 0x02
    case `protocol` = 0x03
    /// The reader itself failed; the transaction cannot go on.
    case readerFailure = 0x7F

    var reason: EndReason {
        switch self {
        case .timeout: .communication("the card did not answer")
        case .transmission: .communication("the card's answer was damaged on the air")
        case .protocol: .communication("the card did not keep to the protocol of the air")
        case .readerFailure: .communication("the reader failed")
        }
    }
}

/// What is to be done next.
public enum KernelAction: Equatable, Sendable {
    /// Send a command; answer with `.response` or `.communicationError`.
    case transmit(CommandAPDU)
    /// Show a message now; answer with `.done`.
    case display(UserInterfaceRequest)
    /// Answer with `.unpredictableNumber`.
    case drawUnpredictableNumber
    /// Data or a request for the terminal (C-2's DEK signal); answer with `.done`, or with `.dataExchange`
    /// where the terminal has data at once.
    case sendDataExchange(DataExchange)
    /// Wait for `.dataExchange`, at most so many milliseconds; else answer with `.timeout`. Where the data were not enough the
    /// kernel asks to wait once more: the time that began with the first of these runs on.
    case waitForData(milliseconds: UInt32)
    /// The kernel is finished.
    indirect case outcome(Outcome)
}

/// C-2's DEK signal: data for the terminal, and tags that the kernel needs.
public struct DataExchange: Equatable, Sendable {
    public var dataToSend: DataObjects
    public var dataNeeded: [Tag]
    public init(dataToSend: DataObjects = DataObjects(), dataNeeded: [Tag] = []) {
        self.dataToSend = dataToSend
        self.dataNeeded = dataNeeded
    }
}

/// One transaction's inputs, handed in by the terminal.
public struct TransactionInputs: Equatable, Sendable {
    /// Amount, Authorised (9F02), including `amountOther`.
    public var amount: Amount
    /// Amount, Other (9F03): cashback.
    public var amountOther: Amount
    /// Transaction Type (9C): 00 purchase, 01 cash, 09 purchase with cashback, 20 refund.
    public var transactionType: UInt8
    /// Transaction Currency Code (5F2A) and Exponent (5F36).
    public var currency: NumericCode
    public var currencyExponent: UInt8
    /// Local date (9A) and time (9F21, HHMMSS).
    public var date: EMVDate
    public var hhmmss: Int
    /// Transaction Sequence Counter (9F41), 1...99 999 999.
    public var sequenceCounter: UInt32

    public init(
        amount: Amount, amountOther: Amount = .zero, transactionType: UInt8 = 0x00,
        currency: NumericCode, currencyExponent: UInt8 = 2, date: EMVDate, hhmmss: Int,
        sequenceCounter: UInt32
    ) {
        self.amount = amount
        self.amountOther = amountOther
        self.transactionType = transactionType
        self.currency = currency
        self.currencyExponent = currencyExponent
        self.date = date
        self.hhmmss = hhmmss
        self.sequenceCounter = sequenceCounter
    }
}

/// A kernel identifier (Book B, 3.3.2.5): one byte (`b8 b7 | Short Kernel ID`), or the three bytes of a
/// domestic or proprietary kernel (`b8 b7 | Short Kernel ID | Extended Kernel ID`) as one number.
public struct KernelIdentifier: RawRepresentable, Hashable, Sendable, Codable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(integerLiteral value: UInt32) { rawValue = value }
    /// Decimal for one-byte identifiers, hexadecimal for longer ones.
    public var description: String {
        rawValue <= 0xFF ? String(rawValue) : String(rawValue, radix: 16, uppercase: true)
    }

    /// The kernel that a card without 9F2A asks for, by the RID of the matching AID (Book B, Table 3-6);
    /// 0 for any other RID: whatever the terminal has.
    public init(defaultFor applicationIdentifier: some Collection<UInt8>) {
        guard applicationIdentifier.count >= 5 else {
            self = 0
            return
        }
        let rid = applicationIdentifier.prefix(5).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch rid {
        case 0xA0_0000_0004: self = 2  // Mastercard
        case 0xA0_0000_0003: self = 3  // Visa
        case 0xA0_0000_0025: self = 4  // American Express
        case 0xA0_0000_0065: self = 5  // JCB
        case 0xA0_0000_0152, 0xA0_0000_0324: self = 6  // Discover, Diners; ZIP
        case 0xA0_0000_0333: self = 7  // UnionPay
        default: self = 0
        }
    }
}

/// What the answer of the issuer brings to the card on a second presentment (Book A, 6.3).
public struct IssuerUpdate: Equatable, Sendable {
    /// Issuer Authentication Data, tag 91 (8...16 bytes).
    public var issuerAuthenticationData: [UInt8]?
    /// Issuer Script Templates 71 and 72, as received, one after the other.
    public var issuerScripts: [UInt8]
    /// Authorisation Response Code, tag 8A (2 characters).
    public var authorisationResponseCode: [UInt8]
    public var isEmpty: Bool { issuerAuthenticationData == nil && issuerScripts.isEmpty }

    public init(
        issuerAuthenticationData: [UInt8]?, issuerScripts: [UInt8] = [],
        authorisationResponseCode: [UInt8]
    ) {
        self.issuerAuthenticationData = issuerAuthenticationData
        self.issuerScripts = issuerScripts
        self.authorisationResponseCode = authorisationResponseCode
    }
}
