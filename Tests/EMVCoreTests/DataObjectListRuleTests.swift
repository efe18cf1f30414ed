import BERTLV
import EMV
import EMVDictionary
import Testing
import TestTools

/// EMV Book 3, 5.4, against published vectors and a plain model in text.
@Suite struct DataObjectListRuleTests {
    static let objects: DataObjects = [
        0x9C: [0x09], 0x9A: [0x24, 0x02, 0x17], 0x5F2A: [0x09, 0x78],
        0x9F02: [0x00, 0x01, 0x23, 0x45, 0x67, 0x89], 0x9F03: [0x00, 0x09, 0x87, 0x65, 0x43, 0x21],
        0x9F37: [0xDE, 0xAD, 0xBE, 0xEF], 0x5A: [0x54, 0x13, 0x33, 0x00, 0x89, 0x02, 0x00, 0x1F],
        0x9F20: [0x12, 0x34, 0x5F], 0x9F1A: [0x05, 0x28], 0x95: [0x12, 0x34, 0x55, 0x43, 0x21],
        0x9F19: [0x65, 0x43, 0x21, 0x01, 0x23, 0x45],
    ]

    /// The lists and answers of emv-utils' DOL tests.
    @Test(arguments: [
        (
            "9F02069F03069F1A0295055F2A029A039C019F3704",
            "000123456789 000987654321 0528 1234554321 0978 240217 09 DEADBEEF"
        ),
        (
            "9F02039F03079F1A0295065F2A029A009C039F37035A059F20059F1908",
            """
            456789 00000987654321 0528 123455432100 0978 000009 DEADBE 5413330089 12345FFFFF
            0000654321012345
            """
        ),
    ]) func published(_ list: String, _ expected: String) throws {
        let raw = try bytes(list)
        var output: [UInt8] = []
        try DataObjectList.fill(raw.span, name: 0x8C, from: Self.objects, into: &output)
        #expect(output == (try bytes(expected)))
    }

    /// A list that ends early answers nothing: the name of the list and the offset of the bad entry.
    @Test(arguments: [("9F02069F03069F1A0295", 9), ("9F0206 9A03 9F", 5), ("9F0206 DF8181", 3), ("5F", 0)])
    func malformed(_ list: String, _ offset: Int) throws {
        let raw = try bytes(list)
        let error = DataFormatError.malformedDataObjectList(tag: 0x8C, offset: offset)
        #expect(throws: error) { try DataObjectList.entries(raw, name: 0x8C) }
        #expect(throws: error) { try DataObjectList.contains(0x9F02, in: raw.span, name: 0x8C) }
        #expect(error.description.contains("8C") && error.description.contains("\(offset)"))
    }

    /// The format by which a value is fitted is the dictionary's, for every tag of the EMV books.
    @Test func formatsAreTheDictionarys() {
        var seen = 0
        for entry in DataDictionary.entries where entry.contexts.contains(.emv) {
            seen += 1
            let expected: DataObjectList.PaddingFormat =
                switch entry.format {
                case .n: .numeric
                case .cn: .compressedNumeric
                default: .other
                }
            #expect(DataObjectList.PaddingFormat(entry.tag) == expected, "\(entry.tag) \(entry.name)")
        }
        #expect(seen > 100)
    }

    /// No tag is fitted as a number that nobody defines as one.
    @Test func formatsHaveASource() {
        for tag in Set(DataDictionary.entries.map(\.tag)) {
            let formats = Set(DataDictionary.meanings(of: tag).map(\.format))
            switch DataObjectList.PaddingFormat(tag) {
            case .numeric: #expect(formats.contains(.n), "\(tag)")
            case .compressedNumeric: #expect(formats.contains(.cn), "\(tag)")
            case .other: break
            }
        }
    }

    /// The rules on hexadecimal text.
    static func model(_ tag: Tag, _ length: Int, _ value: String?) -> String {
        let digits = length * 2
        guard let value, !tag.isConstructed else { return String(repeating: "0", count: digits) }
        let missing = max(0, digits - value.count)
        switch DataDictionary.entry(for: tag, in: .emv)?.format {
        case .n: return String(repeating: "0", count: missing) + value.suffix(digits)
        case .cn: return value.prefix(digits) + String(repeating: "F", count: missing)
        default: return value.prefix(digits) + String(repeating: "0", count: missing)
        }
    }

    @Test func asTheModel() throws {
        var random = SplitMix(seed: 31)
        let tags: [Tag] = [
            0x9F02, 0x9F03, 0x9F1A, 0x95, 0x5F2A, 0x9A, 0x9C, 0x9F37, 0x5A, 0x9F20, 0x9F21, 0x9F1E, 0x9F33,
            0x9F35, 0x57, 0x5F20, 0x50, 0x70, 0xBF0C, 0x9F7C, 0xDF8129, 0x5F24,
        ]
        for _ in 0..<5000 {
            var objects = DataObjects()
            var values: [Tag: String] = [:]
            for tag in tags where random.below(3) > 0 {
                let value = (0..<random.below(14)).map { _ in UInt8(random.below(256)) }
                objects.set(tag, value)
                values[tag] = Hex.string(value)
            }
            var list: [UInt8] = []
            var expected = ""
            for _ in 0..<random.below(12) {
                let tag = tags[random.below(tags.count)]
                let length = random.below(20) == 0 ? random.below(256) : random.below(16)
                BERTLVWriter.append(tag: tag, to: &list)
                list.append(UInt8(length))
                expected += Self.model(tag, length, values[tag])
            }
            var output: [UInt8] = []
            try DataObjectList.fill(list.span, name: 0x9F38, from: objects, into: &output)
            #expect(Hex.string(output) == expected)
        }
    }
}

/// EMV Book 3, 10.2.
@Suite struct FileLocatorRuleTests {
    @Test(
        arguments: [
            ("", .fileLocatorLength(0)), ("080101", .fileLocatorLength(3)),
            ("0801010010", .fileLocatorLength(5)),
            // SFI 0 and 31; first record 0; last before first; more authenticated than there are.
            ("00010100", .fileLocatorEntry(index: 0, bytes: [0x00, 1, 1, 0])),
            ("08010100F8010100", .fileLocatorEntry(index: 1, bytes: [0xF8, 1, 1, 0])),
            ("080202001001000018010201", .fileLocatorEntry(index: 1, bytes: [0x10, 1, 0, 0])),
            ("08000100", .fileLocatorEntry(index: 0, bytes: [0x08, 0, 1, 0])),
            ("08030100", .fileLocatorEntry(index: 0, bytes: [0x08, 3, 1, 0])),
            ("08010203", .fileLocatorEntry(index: 0, bytes: [0x08, 1, 2, 3])),
            ("080303FF", .fileLocatorEntry(index: 0, bytes: [0x08, 3, 3, 0xFF])),
        ] as [(String, DataFormatError)]) func refused(_ hex: String, _ error: DataFormatError) throws
    {
        let value = try bytes(hex)
        #expect(throws: error) { try ApplicationFileLocator(value) }
    }

    /// Borders that are allowed: all 255 records of a file, all authenticated; many entries of one file.
    @Test func allowed() throws {
        let whole = try ApplicationFileLocator(try bytes("F001FFFF"))
        #expect(whole.entries.first?.sfi == 30 && whole.recordCount == 255)
        #expect(whole.entries.first?.authenticatedRecords == 255)
        #expect(try ApplicationFileLocator(try bytes("F0FFFF01")).recordCount == 1)
        let many = try ApplicationFileLocator(
            [UInt8](repeating: 0, count: 63).flatMap { _ in [0x08, 1, 255, 0] })
        #expect(many.entries.count == 63 && many.recordCount == 63 * 255)
        #expect(try ApplicationFileLocator(try bytes("08020200100104001801020158010101")).recordCount == 8)
    }
}

/// Bits as EMV Book 3, Annex C, Books A and C-3 number them; values as emv-utils defines them.
@Suite struct BitFieldTests {
    @Test func terminalVerificationResults() {
        typealias TVR = TerminalVerificationResults
        let bits: [[TVR]] = [
            [
                .offlineDataAuthenticationNotPerformed, .staticDataAuthenticationFailed, .iccDataMissing,
                .cardOnExceptionFile, .dynamicDataAuthenticationFailed, .combinedDataAuthenticationFailed,
                .staticDataAuthenticationSelected,
            ],
            [
                .applicationVersionsDiffer, .expiredApplication, .applicationNotYetEffective,
                .serviceNotAllowed, .newCard,
            ],
            [
                .cardholderVerificationFailed, .unrecognisedCVM, .pinTryLimitExceeded, .pinPadMissing,
                .pinNotEntered, .onlinePINEntered,
            ],
            [
                .floorLimitExceeded, .lowerConsecutiveOfflineLimitExceeded,
                .upperConsecutiveOfflineLimitExceeded, .randomlySelectedOnline, .merchantForcedOnline,
            ],
            [
                .defaultTDOLUsed, .issuerAuthenticationFailed, .scriptFailedBeforeFinalGenerateAC,
                .scriptFailedAfterFinalGenerateAC, .relayResistanceThresholdExceeded,
                .relayResistanceTimeLimitsExceeded, .relayResistancePerformed, .relayResistanceNotPerformed,
            ],
        ]
        for (index, fields) in bits.enumerated() {
            for (position, field) in fields.enumerated() {
                var expected = [UInt8](repeating: 0, count: 5)
                expected[index] = 0x80 >> UInt8(position)
                #expect(field.bytes == expected)
                #expect(TVR(bytes: expected) == field)
            }
        }
        #expect(TVR(bytes: [0, 0, 0, 0]) == nil && TVR(bytes: [UInt8](repeating: 0, count: 6)) == nil)
    }

    @Test func qualifiers() {
        typealias TTQ = TerminalTransactionQualifiers
        for (field, hex) in [
            (TTQ.magStripeMode, "80000000"), (.emvMode, "20000000"), (.emvContactChip, "10000000"),
            (.offlineOnlyReader, "08000000"), (.onlinePIN, "04000000"), (.signature, "02000000"),
            (.offlineDataAuthenticationForOnline, "01000000"), (.onlineCryptogramRequired, "00800000"),
            (.cvmRequired, "00400000"), (.contactOfflinePIN, "00200000"),
            (.issuerUpdateProcessing, "00008000"), (.consumerDeviceCVM, "00004000"),
        ] { #expect(Hex.string(field.bytes) == hex) }
        typealias CTQ = CardTransactionQualifiers
        for (field, hex) in [
            (CTQ.onlinePINRequired, "8000"), (.signatureRequired, "4000"),
            (.goOnlineIfODAFailsAndReaderOnlineCapable, "2000"), (.switchInterfaceIfODAFails, "1000"),
            (.goOnlineIfApplicationExpired, "0800"), (.switchInterfaceForCash, "0400"),
            (.switchInterfaceForCashback, "0200"), (.notValidForContactlessATM, "0100"),
            (.consumerDeviceCVMPerformed, "0080"), (.issuerUpdateProcessing, "0040"),
        ] { #expect(Hex.string(field.bytes) == hex) }
        #expect(CTQ(bytes: [1]) == nil && TTQ(bytes: [1, 2, 3]) == nil)
    }

    @Test func otherFields() {
        typealias AIP = ApplicationInterchangeProfile
        #expect(
            [
                AIP.staticDataAuthentication, .dynamicDataAuthentication, .cardholderVerification,
                .terminalRiskManagement, .issuerAuthentication, .onDeviceCardholderVerification,
                .combinedDataAuthentication, .emvMode, .relayResistanceProtocol,
            ].map(\.rawValue) == [0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0200, 0x0100, 0x0080, 0x0001])
        typealias TSI = TransactionStatusInformation
        #expect(
            [
                TSI.offlineDataAuthenticationPerformed, .cardholderVerificationPerformed,
                .cardRiskManagementPerformed, .issuerAuthenticationPerformed,
                .terminalRiskManagementPerformed, .scriptProcessingPerformed,
            ].map(\.rawValue) == [0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400])
        for byte in UInt8.min...UInt8.max {
            let information = CryptogramInformationData(rawValue: byte)
            #expect(information.type.rawValue == byte / 64 && information.reason == byte % 8)
        }
    }
}
