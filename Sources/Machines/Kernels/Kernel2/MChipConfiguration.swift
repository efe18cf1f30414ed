import BERTLV
import EMV

/// Kernel 2's configuration data objects and their default values (Book C-2, 4.2 and Annex A.1). A combination's
/// `data` in the terminal profile replaces them.
enum MChipConfiguration {
    /// Tags of the data objects that only configure.
    static let cardDataInputCapability: Tag = 0xDF8117
    static let cvmCapabilityCVMRequired: Tag = 0xDF8118
    static let cvmCapabilityNoCVMRequired: Tag = 0xDF8119
    static let defaultUDOL: Tag = 0xDF811A
    static let kernelConfiguration: Tag = 0xDF811B
    static let magStripeCVMCapabilityCVMRequired: Tag = 0xDF811E
    static let securityCapability: Tag = 0xDF811F
    static let terminalActionCodeDefault: Tag = 0xDF8120
    static let terminalActionCodeDenial: Tag = 0xDF8121
    static let terminalActionCodeOnline: Tag = 0xDF8122
    static let floorLimit: Tag = 0xDF8123
    static let transactionLimitNoOnDeviceCVM: Tag = 0xDF8124
    static let transactionLimitOnDeviceCVM: Tag = 0xDF8125
    static let cvmRequiredLimit: Tag = 0xDF8126
    static let magStripeCVMCapabilityNoCVMRequired: Tag = 0xDF812C
    static let maximumTornRecords: Tag = 0xDF811D
    static let messageHoldTime: Tag = 0xDF812D
    static let phoneMessageTable: Tag = 0xDF8131
    static let minimumRelayResistanceGracePeriod: Tag = 0xDF8132
    static let maximumRelayResistanceGracePeriod: Tag = 0xDF8133
    static let expectedTransmissionTimeCommand: Tag = 0xDF8134
    static let expectedTransmissionTimeResponse: Tag = 0xDF8135
    static let relayResistanceAccuracyThreshold: Tag = 0xDF8136
    static let relayResistanceMismatchThreshold: Tag = 0xDF8137
    static let maximumTornLifetime: Tag = 0xDF811C
    static let holdTimeValue: Tag = 0xDF8130
    static let timeOut: Tag = 0xDF8127
    static let proceedToFirstWrite: Tag = 0xDF8110
    static let dataStorageVersion: Tag = 0xDF810D
    static let kernelIdentifier: Tag = 0xDF810C
    /// Failed MS Cntr has no tag in Book C-2; this one only names it among what the kernel keeps.
    static let failedMagStripeCounter: Tag = 0xDF837F

    static let defaults: DataObjects = [
        0x9F40: [0, 0, 0, 0, 0], 0x9F09: [0x00, 0x02], kernelIdentifier: [0x02],
        cardDataInputCapability: [0x00],
        cvmCapabilityCVMRequired: [0x00], cvmCapabilityNoCVMRequired: [0x00],
        defaultUDOL: [0x9F, 0x6A, 0x04],
        holdTimeValue: [0x0D], kernelConfiguration: [0x00], 0x9F6D: [0x00, 0x01],
        magStripeCVMCapabilityCVMRequired: [0xF0], magStripeCVMCapabilityNoCVMRequired: [0xF0],
        maximumTornLifetime: [0x01, 0x2C], maximumTornRecords: [0x00], messageHoldTime: [0x00, 0x00, 0x13],
        floorLimit: [0, 0, 0, 0, 0, 0], transactionLimitNoOnDeviceCVM: [0, 0, 0, 0, 0, 0],
        transactionLimitOnDeviceCVM: [0, 0, 0, 0, 0, 0], cvmRequiredLimit: [0, 0, 0, 0, 0, 0],
        securityCapability: [0x00], terminalActionCodeDefault: [0x84, 0, 0, 0, 0x0C],
        terminalActionCodeDenial: [0x84, 0, 0, 0, 0x0C], terminalActionCodeOnline: [0x84, 0, 0, 0, 0x0C],
        timeOut: [0x01, 0xF4], phoneMessageTable: defaultPhoneMessageTable,
        minimumRelayResistanceGracePeriod: [0x00, 0x14], maximumRelayResistanceGracePeriod: [0x00, 0x32],
        expectedTransmissionTimeCommand: [0x00, 0x12], expectedTransmissionTimeResponse: [0x00, 0x18],
        relayResistanceAccuracyThreshold: [0x01, 0x2C], relayResistanceMismatchThreshold: [0x32],
        // S1.16: DS Summary Status, Post-Gen AC and Pre-Gen AC Put Data Status are told from the beginning.
        0xDF810B: [0x00], 0xDF810E: [0x00], 0xDF810F: [0x00],
    ]

    /// PCII mask (3), PCII value (3), message, status: what a phone's POS Cardholder Interaction Information is
    /// answered with; the first line that fits counts (Annex A.1, Phone Message Table).
    static let defaultPhoneMessageTable: [UInt8] = [
        0x00, 0x00, 0x01, 0x00, 0x00, 0x01, 0x20, 0x00,  // the third byte's own condition: see phone
        0x00, 0x08, 0x00, 0x00, 0x08, 0x00, 0x20, 0x00,  // offline PIN verification failed: see phone
        0x00, 0x04, 0x00, 0x00, 0x04, 0x00, 0x20, 0x00,  // PIN try limit exceeded: see phone
        0x00, 0x01, 0x00, 0x00, 0x01, 0x00, 0x20, 0x00,  // context is conflicting: see phone
        0x00, 0x02, 0x00, 0x00, 0x02, 0x00, 0x20, 0x00,  // acknowledgement required: see phone
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00,  // anything else: declined
    ]
}

/// Kernel Configuration, DF811B (Annex A.1).
struct MChipKernelConfiguration: OptionSet {
    let rawValue: UInt8
    static let magStripeModeNotSupported = Self(rawValue: 0x80)
    static let emvModeNotSupported = Self(rawValue: 0x40)
    static let onDeviceCardholderVerification = Self(rawValue: 0x20)
    static let relayResistanceProtocol = Self(rawValue: 0x10)
    static let readsAllRecordsWithoutCDA = Self(rawValue: 0x04)
}

/// Level 2 errors of the Error Indication, DF8115 (Annex A.1).
enum MChipError: UInt8 {
    case ok = 0x00
    case cardDataMissing = 0x01
    case camFailed = 0x02
    case statusBytes = 0x03
    case parsingError = 0x04
    case maximumLimitExceeded = 0x05
    case cardDataError = 0x06
    case magStripeNotSupported = 0x07
    case dataStorageReadError = 0x0B
    case dataStorageWriteError = 0x0C
    case dataStorageDataError = 0x0D
    case dataStorageNoMatchingCryptogram = 0x0E
    case terminalDataError = 0x0F
}

/// Level 3 errors of the Error Indication.
enum MChipTerminalError: UInt8 {
    case timeOut = 0x01
    case stop = 0x02
    case amountNotPresent = 0x03
}
