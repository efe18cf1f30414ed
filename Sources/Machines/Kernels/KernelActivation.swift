public import EMV
public import EMVCryptography
public import SmartCard

/// Entry Point Configuration Data of one combination for one transaction type (Book A, 5.2, Table 5-2;
/// Book B, 3.1). Absent limits are nil: the check is not made.
public struct CombinationConfiguration: Equatable, Sendable {
    /// The terminal's AID of the combination, 5...16 bytes.
    public var applicationIdentifier: [UInt8]
    public var kernel: KernelIdentifier
    /// Transaction types (9C) to which this configuration belongs.
    public var transactionTypes: Set<UInt8>
    public var statusCheckSupported: Bool
    public var zeroAmountAllowed: Bool
    public var zeroAmountAllowedForOfflineReader: Bool
    public var contactlessTransactionLimit: Amount?
    public var contactlessFloorLimit: Amount?
    public var cvmRequiredLimit: Amount?
    /// Terminal Floor Limit (9F1B): used where there is no contactless floor limit.
    public var terminalFloorLimit: Amount?
    /// Nil where the kernel uses no TTQ.
    public var terminalTransactionQualifiers: TerminalTransactionQualifiers?
    public var extendedSelectionSupported: Bool
    /// Data objects for this combination's kernel, over the terminal's own (Application Version Number
    /// 9F09, terminal action codes, C-2's DF81xx...).
    public var kernelData: DataObjects
    /// Limit sets chosen by the Application Program Identifier 9F5A (Book C-3, dynamic reader limits) or
    /// by a kernel's own rule, in order of preference.
    public var dynamicLimits: [DynamicReaderLimits]

    public init(
        applicationIdentifier: [UInt8], kernel: KernelIdentifier,
        transactionTypes: Set<UInt8> = [0x00], statusCheckSupported: Bool = false,
        zeroAmountAllowed: Bool = true, zeroAmountAllowedForOfflineReader: Bool = false,
        contactlessTransactionLimit: Amount? = nil, contactlessFloorLimit: Amount? = nil,
        cvmRequiredLimit: Amount? = nil, terminalFloorLimit: Amount? = nil,
        terminalTransactionQualifiers: TerminalTransactionQualifiers? = nil,
        extendedSelectionSupported: Bool = false, kernelData: DataObjects = DataObjects(),
        dynamicLimits: [DynamicReaderLimits] = []
    ) {
        self.applicationIdentifier = applicationIdentifier
        self.kernel = kernel
        self.transactionTypes = transactionTypes
        self.statusCheckSupported = statusCheckSupported
        self.zeroAmountAllowed = zeroAmountAllowed
        self.zeroAmountAllowedForOfflineReader = zeroAmountAllowedForOfflineReader
        self.contactlessTransactionLimit = contactlessTransactionLimit
        self.contactlessFloorLimit = contactlessFloorLimit
        self.cvmRequiredLimit = cvmRequiredLimit
        self.terminalFloorLimit = terminalFloorLimit
        self.terminalTransactionQualifiers = terminalTransactionQualifiers
        self.extendedSelectionSupported = extendedSelectionSupported
        self.kernelData = kernelData
        self.dynamicLimits = dynamicLimits
    }
}

/// One Dynamic Reader Limits set (Book C-3, Annex on DRL).
public struct DynamicReaderLimits: Equatable, Sendable {
    /// The start of the card's 9F5A that this set is for: 1...16 bytes.
    public var applicationProgramIdentifier: [UInt8]
    public var statusCheckSupported: Bool
    public var zeroAmountAllowed: Bool
    public var contactlessTransactionLimit: Amount?
    public var contactlessFloorLimit: Amount?
    public var cvmRequiredLimit: Amount?

    public init(
        applicationProgramIdentifier: [UInt8], statusCheckSupported: Bool = false,
        zeroAmountAllowed: Bool = true, contactlessTransactionLimit: Amount? = nil,
        contactlessFloorLimit: Amount? = nil, cvmRequiredLimit: Amount? = nil
    ) {
        self.applicationProgramIdentifier = applicationProgramIdentifier
        self.statusCheckSupported = statusCheckSupported
        self.zeroAmountAllowed = zeroAmountAllowed
        self.contactlessTransactionLimit = contactlessTransactionLimit
        self.contactlessFloorLimit = contactlessFloorLimit
        self.cvmRequiredLimit = cvmRequiredLimit
    }
}

/// Entry Point Pre-Processing Indicators of one combination (Book B, 3.1.1).
public struct PreProcessingIndicators: Equatable, Sendable {
    public var statusCheckRequested = false
    public var contactlessApplicationNotAllowed = false
    public var zeroAmount = false
    public var cvmRequiredLimitExceeded = false
    public var contactlessFloorLimitExceeded = false
    /// The TTQ copy of this transaction; nil where the combination has none.
    public var terminalTransactionQualifiers: TerminalTransactionQualifiers?

    public init() {}
}

/// Everything that a kernel gets at its activation (Book B, 3.4).
public struct KernelActivation: Sendable {
    public var combination: CombinationConfiguration
    public var indicators: PreProcessingIndicators
    /// The ADF Name of the SELECT, with the Extended Selection where it was appended.
    public var selectedApplication: [UInt8]
    /// The answer to the final SELECT, status word included.
    public var selectResponse: ResponseAPDU
    public var transaction: TransactionInputs
    /// Unpredictable Number (9F37) drawn for this activation.
    public var unpredictableNumber: UInt32
    public var terminal: TerminalConfiguration
    /// The start at which the Entry Point came to this activation: A or B for a new transaction.
    public var start = Start.a
    /// Restart flag: this transaction has had a final outcome, and goes on at `start` (Book A, 8.1.1.9).
    public var isRestart = false
    /// Present when the kernel is activated again to bring the issuer's answer to the card.
    public var issuerUpdate: IssuerUpdate?
    /// What the kernel put by at its earlier outcome of this transaction for its restart.
    public var restartData: DataObjects?
    /// What the kernel put by at an earlier outcome of whatever transaction (`Outcome.persistentData`).
    public var persistentData: DataObjects? = nil
}

/// What all kernels of a terminal share.
public struct TerminalConfiguration: Sendable {
    /// Terminal data objects of EMV Book 4, Annex A: 9F1A, 9F33, 9F35, 9F40, 9F15, 9F16, 9F1C, 9F1E,
    /// 9F4E, 9F01...
    public var data: DataObjects
    public var exceptionFile: ExceptionFile
    public var certificationAuthorityKeys: CertificationAuthorityPublicKeyStore
    public var revocationList: CertificateRevocationList

    public init(
        data: DataObjects, exceptionFile: ExceptionFile = ExceptionFile(),
        certificationAuthorityKeys: CertificationAuthorityPublicKeyStore = .init(),
        revocationList: CertificateRevocationList = .init()
    ) {
        self.data = data
        self.exceptionFile = exceptionFile
        self.certificationAuthorityKeys = certificationAuthorityKeys
        self.revocationList = revocationList
    }
}

/// The terminal exception file (EMV Book 4, 6.3.5): cards to refuse.
public struct ExceptionFile: Sendable, Equatable {
    struct Key: Hashable, Sendable {
        let number: PrimaryAccountNumber
        /// Nil: the card number with any sequence number.
        let sequenceNumber: UInt8?
    }
    private var keys: Set<Key> = []
    public init() {}
    public mutating func insert(_ number: PrimaryAccountNumber, sequenceNumber: UInt8? = nil) {
        keys.insert(Key(number: number, sequenceNumber: sequenceNumber))
    }
    public var isEmpty: Bool { keys.isEmpty }
    public func contains(_ number: PrimaryAccountNumber, sequenceNumber: UInt8?) -> Bool {
        keys.contains(Key(number: number, sequenceNumber: nil))
            || keys.contains(Key(number: number, sequenceNumber: sequenceNumber ?? 0))
    }
}

/// The kernels of a terminal by identifier. A kernel is added with one line of registration.
public struct KernelRegistry: Sendable {
    public typealias Factory = @Sendable (KernelActivation) -> any Kernel
    private var factories: [(KernelIdentifier, Factory)] = []
    public init() {}
    public mutating func register(_ identifier: KernelIdentifier, _ factory: @escaping Factory) {
        factories.removeAll { $0.0 == identifier }
        factories.append((identifier, factory))
    }
    public func contains(_ identifier: KernelIdentifier) -> Bool {
        factories.contains { $0.0 == identifier }
    }
    public var identifiers: [KernelIdentifier] { factories.map(\.0) }
    func make(_ identifier: KernelIdentifier, _ activation: KernelActivation) -> (any Kernel)? {
        factories.first { $0.0 == identifier }?.1(activation)
    }
}
