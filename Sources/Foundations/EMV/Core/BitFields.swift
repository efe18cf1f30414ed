// Bit fields of EMV as option sets. A field's raw value is the big-endian number of its bytes, so byte 1
// bit 8 is the topmost bit. Names and positions: EMV Book 3, Annex C; Book A, C-3 where given.

/// Application Interchange Profile, tag 82, 2 bytes (EMV Book 3, C1; contactless meanings in the kernels'
/// books).
public struct ApplicationInterchangeProfile: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let staticDataAuthentication = Self(rawValue: 0x4000)
    public static let dynamicDataAuthentication = Self(rawValue: 0x2000)
    public static let cardholderVerification = Self(rawValue: 0x1000)
    public static let terminalRiskManagement = Self(rawValue: 0x0800)
    public static let issuerAuthentication = Self(rawValue: 0x0400)
    /// Byte 1 bit 2: on-device cardholder verification (Book C-2); reserved elsewhere.
    public static let onDeviceCardholderVerification = Self(rawValue: 0x0200)
    public static let combinedDataAuthentication = Self(rawValue: 0x0100)
    /// Byte 2 bit 8: EMV mode is supported (C-2); mag-stripe data mode (C-3).
    public static let emvMode = Self(rawValue: 0x0080)
    /// Byte 2 bit 1: relay resistance protocol (C-2).
    public static let relayResistanceProtocol = Self(rawValue: 0x0001)
}

/// Terminal Verification Results, tag 95, 5 bytes (EMV Book 3, C5).
public struct TerminalVerificationResults: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    static func bit(_ byte: Int, _ bit: Int) -> Self { Self(rawValue: 1 << UInt64((5 - byte) * 8 + bit - 1)) }

    public static let offlineDataAuthenticationNotPerformed = bit(1, 8)
    public static let staticDataAuthenticationFailed = bit(1, 7)
    public static let iccDataMissing = bit(1, 6)
    public static let cardOnExceptionFile = bit(1, 5)
    public static let dynamicDataAuthenticationFailed = bit(1, 4)
    public static let combinedDataAuthenticationFailed = bit(1, 3)
    public static let staticDataAuthenticationSelected = bit(1, 2)

    public static let applicationVersionsDiffer = bit(2, 8)
    public static let expiredApplication = bit(2, 7)
    public static let applicationNotYetEffective = bit(2, 6)
    public static let serviceNotAllowed = bit(2, 5)
    public static let newCard = bit(2, 4)

    public static let cardholderVerificationFailed = bit(3, 8)
    public static let unrecognisedCVM = bit(3, 7)
    public static let pinTryLimitExceeded = bit(3, 6)
    public static let pinPadMissing = bit(3, 5)
    public static let pinNotEntered = bit(3, 4)
    public static let onlinePINEntered = bit(3, 3)

    public static let floorLimitExceeded = bit(4, 8)
    public static let lowerConsecutiveOfflineLimitExceeded = bit(4, 7)
    public static let upperConsecutiveOfflineLimitExceeded = bit(4, 6)
    public static let randomlySelectedOnline = bit(4, 5)
    public static let merchantForcedOnline = bit(4, 4)

    public static let defaultTDOLUsed = bit(5, 8)
    public static let issuerAuthenticationFailed = bit(5, 7)
    public static let scriptFailedBeforeFinalGenerateAC = bit(5, 6)
    public static let scriptFailedAfterFinalGenerateAC = bit(5, 5)
    public static let relayResistanceThresholdExceeded = bit(5, 4)
    public static let relayResistanceTimeLimitsExceeded = bit(5, 3)
    /// Byte 5 bits 2-1: 01 relay resistance protocol not performed, 10 performed (C-2).
    public static let relayResistanceNotPerformed = bit(5, 1)
    public static let relayResistancePerformed = bit(5, 2)

    public var bytes: [UInt8] { bigEndian(rawValue, 5) }
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 5 else { return nil }
        self.init(rawValue: number(bytes))
    }
}

/// Transaction Status Information, tag 9B, 2 bytes (EMV Book 3, C6).
public struct TransactionStatusInformation: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let offlineDataAuthenticationPerformed = Self(rawValue: 0x8000)
    public static let cardholderVerificationPerformed = Self(rawValue: 0x4000)
    public static let cardRiskManagementPerformed = Self(rawValue: 0x2000)
    public static let issuerAuthenticationPerformed = Self(rawValue: 0x1000)
    public static let terminalRiskManagementPerformed = Self(rawValue: 0x0800)
    public static let scriptProcessingPerformed = Self(rawValue: 0x0400)
    public var bytes: [UInt8] { bigEndian(UInt64(rawValue), 2) }
}

/// Terminal Transaction Qualifiers, tag 9F66, 4 bytes (Book A 5.7; Book C-3).
public struct TerminalTransactionQualifiers: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let magStripeMode = Self(rawValue: 0x8000_0000)
    public static let emvMode = Self(rawValue: 0x2000_0000)
    public static let emvContactChip = Self(rawValue: 0x1000_0000)
    public static let offlineOnlyReader = Self(rawValue: 0x0800_0000)
    public static let onlinePIN = Self(rawValue: 0x0400_0000)
    public static let signature = Self(rawValue: 0x0200_0000)
    public static let offlineDataAuthenticationForOnline = Self(rawValue: 0x0100_0000)
    public static let onlineCryptogramRequired = Self(rawValue: 0x0080_0000)
    public static let cvmRequired = Self(rawValue: 0x0040_0000)
    public static let contactOfflinePIN = Self(rawValue: 0x0020_0000)
    public static let issuerUpdateProcessing = Self(rawValue: 0x0000_8000)
    public static let consumerDeviceCVM = Self(rawValue: 0x0000_4000)
    public var bytes: [UInt8] { bigEndian(UInt64(rawValue), 4) }
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        self.init(rawValue: UInt32(truncatingIfNeeded: number(bytes)))
    }
}

/// Card Transaction Qualifiers, tag 9F6C, 2 bytes (Book C-3, Annex A).
public struct CardTransactionQualifiers: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let onlinePINRequired = Self(rawValue: 0x8000)
    public static let signatureRequired = Self(rawValue: 0x4000)
    public static let goOnlineIfODAFailsAndReaderOnlineCapable = Self(rawValue: 0x2000)
    public static let switchInterfaceIfODAFails = Self(rawValue: 0x1000)
    public static let goOnlineIfApplicationExpired = Self(rawValue: 0x0800)
    public static let switchInterfaceForCash = Self(rawValue: 0x0400)
    public static let switchInterfaceForCashback = Self(rawValue: 0x0200)
    public static let notValidForContactlessATM = Self(rawValue: 0x0100)
    public static let consumerDeviceCVMPerformed = Self(rawValue: 0x0080)
    public static let issuerUpdateProcessing = Self(rawValue: 0x0040)
    public var bytes: [UInt8] { bigEndian(UInt64(rawValue), 2) }
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 2 else { return nil }
        self.init(rawValue: UInt16(truncatingIfNeeded: number(bytes)))
    }
}

/// Application Usage Control, tag 9F07, 2 bytes (EMV Book 3, C2).
public struct ApplicationUsageControl: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let domesticCash = Self(rawValue: 0x8000)
    public static let internationalCash = Self(rawValue: 0x4000)
    public static let domesticGoods = Self(rawValue: 0x2000)
    public static let internationalGoods = Self(rawValue: 0x1000)
    public static let domesticServices = Self(rawValue: 0x0800)
    public static let internationalServices = Self(rawValue: 0x0400)
    public static let atATMs = Self(rawValue: 0x0200)
    public static let atTerminalsOtherThanATMs = Self(rawValue: 0x0100)
    public static let domesticCashback = Self(rawValue: 0x0080)
    public static let internationalCashback = Self(rawValue: 0x0040)
}

/// Terminal Capabilities, tag 9F33, 3 bytes (EMV Book 4, A2).
public struct TerminalCapabilities: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let manualKeyEntry = Self(rawValue: 0x80_0000)
    public static let magneticStripe = Self(rawValue: 0x40_0000)
    public static let contactChip = Self(rawValue: 0x20_0000)
    public static let plaintextPIN = Self(rawValue: 0x00_8000)
    public static let onlineEncipheredPIN = Self(rawValue: 0x00_4000)
    public static let signature = Self(rawValue: 0x00_2000)
    public static let offlineEncipheredPIN = Self(rawValue: 0x00_1000)
    public static let noCVM = Self(rawValue: 0x00_0800)
    public static let staticDataAuthentication = Self(rawValue: 0x00_0080)
    public static let dynamicDataAuthentication = Self(rawValue: 0x00_0040)
    public static let cardCapture = Self(rawValue: 0x00_0020)
    public static let combinedDataAuthentication = Self(rawValue: 0x00_0008)
}

/// Cryptogram Information Data, tag 9F27, 1 byte (EMV Book 3, 6.5.5.4).
public struct CryptogramInformationData: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public enum CryptogramType: UInt8, Sendable {
        /// Application Authentication Cryptogram: declined.
        case aac = 0b00
        /// Transaction Certificate: approved offline.
        case tc = 0b01
        /// Authorisation Request Cryptogram: online wanted.
        case arqc = 0b10
        /// Application Authorisation Referral (reserved since EMV 4.2).
        case aar = 0b11
    }
    public var type: CryptogramType { CryptogramType(rawValue: rawValue >> 6) ?? .aac }
    /// Reason or advice code, bits 3-1.
    public var reason: UInt8 { rawValue & 0x07 }
}

/// CVM Results, tag 9F34, 3 bytes: method, condition, result (EMV Book 4, A4).
public struct CVMResults: Hashable, Sendable {
    public var method: UInt8
    public var condition: UInt8
    public var result: UInt8
    public init(method: UInt8, condition: UInt8, result: UInt8) {
        self.method = method
        self.condition = condition
        self.result = result
    }
    public static let notPerformed = Self(method: 0x3F, condition: 0, result: 0)
    public static let noCVM = Self(method: 0x1F, condition: 0, result: 2)
    public static let signature = Self(method: 0x1E, condition: 0, result: 0)
    public static let onlinePIN = Self(method: 0x02, condition: 0, result: 0)
    public var bytes: [UInt8] { [method, condition, result] }
}

@inlinable func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - $0) * 8)) }
}

@inlinable func number(_ bytes: some Collection<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
}
