import BERTLV
import EMV
import EMVCryptography
import SmartCard
import Testing

@testable import Kernels

/// Kernel 2 (Book C-2) against hand-written answers: every branch that needs no signature. Names give the book's states.
@Suite struct MChipKernelTests {
    static let cdol = "9F02069F03069F1A0295055F2A029A039C019F37049F35019F34 03".replacing(" ", with: "")
    /// The record of an EMV-mode card; a test changes what it is about.
    static let record: [(Tag, String)] = [
        (0x5A, "5413330089020011"), (0x5F24, "311231"), (0x5F25, "240101"), (0x5F34, "01"), (0x5F28, "0276"),
        (0x57, "5413330089020011D31122010000012300000F"), (0x8C, cdol),
        (0x8E, "000000000000000042035E031F03"),
        (0x9F07, "FF80"), (0x9F08, "0002"), (0x9F0D, "B450848000"), (0x9F0E, "0000000000"),
        (0x9F0F, "B470848000"),
        (0x9F42, "0978"),
    ]
    static let generated: [(Tag, String)] = [
        (0x9F27, "80"), (0x9F36, "0001"), (0x9F26, "1122334455667788"),
        (0x9F10, "0110A00000000000000000000000000000FF"),
    ]

    struct Setup {
        var cents: UInt64 = 1000
        var type: UInt8 = 0
        var other: UInt64 = 0
        var interchangeProfile = "1880"
        var locator = "10010101"
        var options: String?
        var record: [Tag: String] = [:]
        var without: Set<Tag> = []
        var extra = ""
        var recordAnswer: String?
        var generated: [Tag: String] = [:]
        var withoutGenerated: Set<Tag> = []
        var generateAnswer: String?
        var relay: [String] = []
        var microseconds: UInt32 = 4000
        var checksum: String?
        var fci = "5004434152445F2D02656E"
        var kernelData: DataObjects = [
            0x9F09: [0x00, 0x02], 0xDF8117: [0xE0], 0xDF8118: [0x60], 0xDF8119: [0x08], 0xDF811B: [0x20],
            0xDF811E: [0x10], 0xDF812C: [0x00], 0xDF811F: [0x08], 0xDF8120: [0xF4, 0x50, 0x84, 0x80, 0x0C],
            0xDF8121: [0, 0, 0, 0, 0], 0xDF8122: [0xF4, 0x50, 0x84, 0x80, 0x0C],
        ]
        var terminal: DataObjects = [
            0x9F35: [0x22], 0x9F1A: [0x02, 0x76], 0x9F40: [0xF0, 0, 0xF0, 0xA0, 1],
        ]
        var exceptions = ExceptionFile()
        /// The first command that begins so gets no answer.
        var silentOnceAt: String?
        /// The first answer to GENERATE AC instead.
        var generatedFirst: [Tag: String]?
    }

    struct Run {
        var final: FinalOutcome
        var commands: [String]
        var displayed: [UserInterfaceRequest]
        /// Level 2 error and status word of the Error Indication.
        var error: UInt8? { final.outcome.discretionaryData?[0xDF8115].map { Array($0)[1] } }
        var results: String? { final.outcome.dataRecord?[0x95].map { Hex.string($0) } }
        var generate: String? { commands.first { $0.hasPrefix("80AE") } }
    }

    static func template(
        _ tag: Tag, _ objects: [(Tag, String)], _ changed: [Tag: String], _ without: Set<Tag>, _ extra: String
    )
        throws -> [UInt8]
    {
        var inside = BERTLVWriter()
        for (tag, value) in objects where !without.contains(tag) {
            inside.append(tag, try bytes(changed[tag] ?? value))
        }
        for (tag, value) in changed.sorted(by: { $0.key < $1.key })
        where !objects.contains(where: { $0.0 == tag }) {
            inside.append(tag, try bytes(value))
        }
        inside.append(encoded: try bytes(extra))
        var writer = BERTLVWriter()
        writer.append(tag, inside.bytes)
        return writer.bytes + [0x90, 0x00]
    }

    static func run(_ setup: Setup) throws -> Run {
        var combination = combination("A0000000041010", 2)
        combination.contactlessTransactionLimit = Amount(minorUnits: 50000)
        combination.contactlessFloorLimit = Amount(minorUnits: 1500)
        combination.cvmRequiredLimit = Amount(minorUnits: 5000)
        combination.kernelData = setup.kernelData
        let directory = card([DirectoryEntry("A0000000041010", priority: 1)])
        let inside =
            "8407A0000000041010A5" + String(setup.fci.count / 2 + 0x100, radix: 16).suffix(2) + setup.fci
        let fci = try bytes("6F" + String(inside.count / 2 + 0x100, radix: 16).suffix(2) + inside + "9000")
        let options =
            try setup.options.map { try bytes($0) }
            ?? template(0x77, [(0x82, setup.interchangeProfile), (0x94, setup.locator)], [:], [], "")
        let record =
            try setup.recordAnswer.map { try bytes($0) }
            ?? template(0x70, record, setup.record, setup.without, setup.extra)
        let generated =
            try setup.generateAnswer.map { try bytes($0) }
            ?? template(0x77, generated, setup.generated, setup.withoutGenerated, "")
        let checksum = try setup.checksum.map { try bytes($0) }
        var relay = try setup.relay.map { try bytes($0) }
        var silent = setup.silentOnceAt
        var first = try setup.generatedFirst.map { try template(0x77, Self.generated, $0, [], "") }
        var bench = Bench([combination]) { command in
            let text = Hex.string(command)
            if let prefix = silent, text.hasPrefix(prefix) {
                silent = nil
                return nil
            }
            if text.hasPrefix("80A8") { return options }
            if text.hasPrefix("00B2") { return record }
            if text.hasPrefix("80AE") {
                defer { first = nil }
                return first ?? generated
            }
            if text.hasPrefix("80EA") { return relay.isEmpty ? [0x6D, 0x00] : relay.removeFirst() }
            if text.hasPrefix("802A8E80") { return checksum ?? [0x6D, 0x00] }
            if text.contains("325041592E") { return directory(command) }
            return fci
        }
        bench.microseconds = setup.microseconds
        bench.entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: [combination],
                terminal: TerminalConfiguration(data: setup.terminal, exceptionFile: setup.exceptions)),
            kernels: .all)
        let final = try bench.run(
            bench.entryPoint.start(try inputs(setup.cents, type: setup.type, other: setup.other)))
        return Run(final: final, commands: bench.commands, displayed: bench.displayed)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout Setup) -> Void
        var status: Outcome.Status
        var cvm: Outcome.CVM = .notApplicable
        /// L2 of the Error Indication.
        var error: UInt8 = 0
        /// TVR as the data record has it.
        var results: String?
        /// P1 of GENERATE AC.
        var requested: String?
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        // Without CDA the TVR says so, and the action codes send it online.
        Case(
            name: "S910 ARQC", change: { _ in }, status: .onlineRequest, cvm: .noCVM, results: "8000000001",
            requested: "80"),
        Case(
            name: "S910 TC",
            change: {
                $0.record[0x9F0F] = "0000000000"
                $0.kernelData.set(0xDF8122, [0, 0, 0, 0, 0])
                $0.generated[0x9F27] = "40"
            }, status: .approved, cvm: .noCVM, requested: "40"),
        Case(
            name: "S910 AAC", change: { $0.generated[0x9F27] = "00" }, status: .tryAnotherInterface,
            cvm: .noCVM,
            results: "8000000001"),
        Case(
            name: "S9 TC where an ARQC was asked for", change: { $0.generated[0x9F27] = "40" },
            status: .endApplication,
            error: 6),
        Case(
            name: "S9 status word", change: { $0.generateAnswer = "6985" }, status: .endApplication, error: 3),
        Case(
            name: "S9 broken answer", change: { $0.generateAnswer = "7705 9F2701 9000" },
            status: .endApplication, error: 4),
        Case(
            name: "S9 other template", change: { $0.generateAnswer = "7003 9F2700 9000" },
            status: .endApplication, error: 4),
        Case(
            name: "S9 no CID", change: { $0.withoutGenerated = [0x9F27] }, status: .endApplication, error: 1),
        Case(
            name: "S9 no ATC", change: { $0.withoutGenerated = [0x9F36] }, status: .endApplication, error: 1),
        Case(
            name: "S9 no cryptogram", change: { $0.withoutGenerated = [0x9F26] }, status: .endApplication,
            error: 1),
        Case(
            name: "S9 format 1",
            change: { $0.generateAnswer = "8012 80 0001 1122334455667788 0110A000000000 9000" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "S9 format 1 too short", change: { $0.generateAnswer = "800280009000" },
            status: .endApplication, error: 4),
        Case(
            name: "S9 a data object of the records again",
            change: { $0.generated[0x5A] = "5413330089020011" },
            status: .endApplication, error: 4),
        Case(
            name: "S9 a signature that was not asked for", change: { $0.generated[0x9F4B] = "00" },
            status: .endApplication,
            error: 2),

        // S3.
        Case(name: "S3 status word", change: { $0.options = "6985" }, status: .endApplication, error: 3),
        Case(
            name: "S3 broken answer", change: { $0.options = "770582029000" }, status: .endApplication,
            error: 4),
        Case(
            name: "S3 no AFL", change: { $0.options = "7704820218809000" }, status: .endApplication, error: 1),
        Case(
            name: "S3 format 1", change: { $0.options = "8006 1880 10010101 9000" }, status: .onlineRequest,
            cvm: .noCVM),
        Case(
            name: "S3 format 1 with half an entry", change: { $0.options = "8005 1880 100101 9000" },
            status: .endApplication, error: 4),
        Case(
            name: "S3 EMV mode switched off and no mag-stripe data",
            change: { $0.kernelData.set(0xDF811B, [0x70]) },
            status: .endApplication, error: 1),
        Case(
            name: "S3 mag-stripe mode switched off",
            change: {
                $0.interchangeProfile = "1800"
                $0.kernelData.set(0xDF811B, [0xB0])
            }, status: .endApplication, error: 7),
        Case(
            name: "S3 AFL with SFI 0", change: { $0.locator = "00010101" }, status: .endApplication, error: 6),

        // S4.
        Case(name: "S4 status word", change: { $0.recordAnswer = "6A83" }, status: .endApplication, error: 3),
        Case(
            name: "S4 no template", change: { $0.recordAnswer = "5F280202769000" }, status: .endApplication,
            error: 4),
        Case(
            name: "S4 bytes behind the template", change: { $0.recordAnswer = "70005F280202769000" },
            status: .endApplication, error: 4),
        Case(
            name: "S4 a data object twice", change: { $0.extra = "5F3401019F0702FF80" },
            status: .endApplication, error: 4),
        Case(
            name: "S4 what the kernel does not know, twice",
            change: { $0.extra = "9F140101 9F140102 9B020000" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "S4 known data objects of the private class",
            change: { $0.extra = "DF600101 DF620101 DF810C0103 DF830101FF FF810103DF0100" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "S4 Account Type", change: { $0.extra = "5F570120" }, status: .endApplication, error: 4),
        Case(
            name: "S4 a label in a record", change: { $0.extra = "500141" }, status: .endApplication, error: 4
        ),
        Case(
            name: "S1 an empty label", change: { $0.fci = "50009F1200" }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "S1 a card number in the FCI", change: { $0.fci = "5A085413330089020011" },
            status: .endApplication, error: 4),
        Case(
            name: "S1 a log entry of three bytes", change: { $0.fci = "BF0C069F4D030B0A00" },
            status: .endApplication, error: 4),
        Case(
            name: "S1 other schemes' data", change: { $0.fci = "BF0C0ADF620240804203476173" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "S4 a data object of the terminal", change: { $0.extra = "9F1A020276" },
            status: .endApplication, error: 4),

        // S456.
        Case(name: "S456 no PAN", change: { $0.without = [0x5A] }, status: .endApplication, error: 1),
        Case(name: "S456 no expiry", change: { $0.without = [0x5F24] }, status: .endApplication, error: 1),
        Case(name: "S456 no CDOL1", change: { $0.without = [0x8C] }, status: .endApplication, error: 1),
        Case(
            name: "S456 broken CDOL1", change: { $0.record[0x8C] = "9F02" }, status: .endApplication, error: 4
        ),
        Case(
            name: "S456 a track 2 is not asked for", change: { $0.without = [0x57] }, status: .onlineRequest,
            cvm: .noCVM),

        // Processing restrictions, each with its bit.
        Case(
            name: "other application version", change: { $0.record[0x9F08] = "0001" }, status: .onlineRequest,
            cvm: .noCVM,
            results: "8080000001"),
        Case(
            name: "expired", change: { $0.record[0x5F24] = "241231" }, status: .onlineRequest, cvm: .noCVM,
            results: "8040000001"),
        Case(
            name: "not yet effective", change: { $0.record[0x5F25] = "270101" }, status: .onlineRequest,
            cvm: .noCVM,
            results: "8020000001"),
        Case(
            name: "usage control", change: { $0.record[0x9F07] = "C100" }, status: .onlineRequest,
            cvm: .noCVM,
            results: "8010000001"),
        Case(
            name: "usage control, type 17 is cash",
            change: {
                $0.type = 0x17
                $0.record[0x9F07] = "3F00"
            }, status: .onlineRequest, cvm: .noCVM, results: "8010000001"),
        Case(
            name: "usage control, type 17 is allowed",
            change: {
                $0.type = 0x17
                $0.record[0x9F07] = "8100"
            }, status: .onlineRequest, cvm: .noCVM, results: "8000000001"),
        Case(
            name: "usage control, cashback with any type",
            change: {
                $0.type = 0x01
                $0.other = 100
                $0.record[0x9F07] = "FF00"
            }, status: .onlineRequest, cvm: .noCVM, results: "8010000001"),
        Case(
            name: "exception file",
            change: {
                if let number = PrimaryAccountNumber(digits: "5413330089020011") {
                    $0.exceptions.insert(number)
                }
            }, status: .onlineRequest, cvm: .noCVM, results: "9000000001"),
        Case(
            name: "floor limit", change: { $0.cents = 1501 }, status: .onlineRequest, cvm: .noCVM,
            results: "8000008001"),

        // Terminal action analysis.
        Case(
            name: "IAC Denial",
            change: {
                $0.record[0x9F0E] = "8000000000"
                $0.generated[0x9F27] = "00"
            }, status: .tryAnotherInterface, cvm: .noCVM, requested: "00"),
        Case(
            name: "TAC Denial",
            change: {
                $0.kernelData.set(0xDF8121, [0x80, 0, 0, 0, 0])
                $0.generated[0x9F27] = "00"
            }, status: .tryAnotherInterface, cvm: .noCVM, requested: "00"),
        Case(
            name: "online-only terminal",
            change: {
                $0.terminal.set(0x9F35, [0x21])
                $0.record[0x9F0F] = "0000000000"
                $0.kernelData.set(0xDF8122, [0, 0, 0, 0, 0])
            }, status: .onlineRequest, cvm: .noCVM, requested: "80"),
        Case(
            name: "offline-only terminal, IAC Default",
            change: {
                $0.terminal.set(0x9F35, [0x23])
                $0.generated[0x9F27] = "00"
            }, status: .tryAnotherInterface, cvm: .noCVM, requested: "00"),
        Case(
            name: "offline-only terminal, nothing against it",
            change: {
                $0.terminal.set(0x9F35, [0x23])
                $0.record[0x9F0D] = "0000000000"
                $0.kernelData.set(0xDF8120, [0, 0, 0, 0, 0])
                $0.generated[0x9F27] = "40"
            }, status: .approved, cvm: .noCVM, requested: "40"),
        Case(
            name: "no IAC Online: all ones",
            change: {
                $0.without = [0x9F0F]
                $0.kernelData.set(0xDF8122, [0, 0, 0, 0, 0])
            }, status: .onlineRequest, cvm: .noCVM, requested: "80"),

        // CVM selection: required above 50.00.
        Case(
            name: "online PIN", change: { $0.cents = 5001 }, status: .onlineRequest, cvm: .onlinePIN,
            results: "8000048001"),
        Case(
            name: "no PIN pad: signature",
            change: {
                $0.cents = 5001
                $0.kernelData.set(0xDF8118, [0x20])
            }, status: .onlineRequest, cvm: .signature, results: "8000008001"),
        Case(
            name: "nothing that both know",
            change: {
                $0.cents = 5001
                $0.kernelData.set(0xDF8118, [0x00])
            }, status: .onlineRequest, cvm: .noCVM, results: "8000808001"),
        Case(
            name: "AIP without cardholder verification",
            change: {
                $0.cents = 5001
                $0.interchangeProfile = "0880"
            }, status: .onlineRequest, cvm: .noCVM, results: "8000008001"),
        Case(
            name: "no CVM List", change: { $0.without = [0x8E] }, status: .onlineRequest, cvm: .noCVM,
            results: "A000000001"),
        Case(
            name: "unrecognised method, then no CVM",
            change: { $0.record[0x8E] = "0000000000000000 4A00 1F00" },
            status: .onlineRequest, cvm: .noCVM, results: "8000400001"),
        Case(
            name: "unrecognised method under condition 03: the rule is skipped",
            change: { $0.record[0x8E] = "0000000000000000 2003 1F00" },
            status: .onlineRequest, cvm: .noCVM, results: "8000000001"),
        Case(
            name: "half a rule at the end of the CVM List",
            change: { $0.record[0x8E] = "0000000000000000 1F03 02" }, status: .endApplication, error: 6),
        Case(
            name: "half a rule, and the card does no cardholder verification",
            change: {
                $0.interchangeProfile = "0880"
                $0.record[0x8E] = "0000000000000000 1F03 02"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "fail CVM processing", change: { $0.record[0x8E] = "0000000000000000 0000 1F00" },
            status: .onlineRequest, cvm: .noCVM, results: "8000800001"),
        Case(
            name: "condition under X in the card's currency",
            change: {
                $0.record[0x8E] = "000007D000000000 1F06 0200"
            }, status: .onlineRequest, cvm: .noCVM, results: "8000000001"),
        Case(
            name: "condition over X",
            change: {
                $0.cents = 5001
                $0.record[0x8E] = "000007D000000000 1F06 0207"
            }, status: .onlineRequest, cvm: .onlinePIN, results: "8000048001"),
        // GAC.22: without CDA the reader asks for an AAC where the owner is verified on the device.
        Case(
            name: "on the device above the limit",
            change: {
                $0.cents = 5001
                $0.interchangeProfile = "1A80"
                $0.generated[0x9F27] = "00"
            }, status: .tryAnotherInterface, cvm: .confirmationCodeVerified, results: "8000008001",
            requested: "00"),
        Case(
            name: "on the device, kernel without it",
            change: {
                $0.interchangeProfile = "1A80"
                $0.kernelData.set(0xDF811B, [0x00])
            }, status: .onlineRequest, cvm: .noCVM, requested: "80"),

        // A refund is analysed like other payments (7.8).
        Case(
            name: "refund", change: { $0.type = 0x20 }, status: .onlineRequest, cvm: .noCVM, requested: "80"),

        // S910.74, the card gave an AAC.
        Case(
            name: "S910 AAC, no contact interface",
            change: {
                $0.generated[0x9F27] = "00"
                $0.kernelData.set(0xDF8117, [0xC0])
            }, status: .declined, cvm: .noCVM),
        Case(
            name: "S910 AAC of a phone",
            change: {
                $0.generated[0x9F27] = "00"
                $0.record[0x9F6E] = "0276 0000 3037"
            }, status: .declined, cvm: .noCVM),
        Case(
            name: "S910 AAC, third party data of a card",
            change: {
                $0.generated[0x9F27] = "00"
                $0.record[0x9F6E] = "0276 0000 3030"
            }, status: .tryAnotherInterface, cvm: .noCVM),
        Case(
            name: "S910 AAC, third party data with a proprietary identifier",
            change: {
                $0.generated[0x9F27] = "00"
                $0.record[0x9F6E] = "0276 8001 3037"
            }, status: .tryAnotherInterface, cvm: .noCVM),
        Case(
            name: "S910 AAC for a refund",
            change: {
                $0.generated[0x9F27] = "00"
                $0.type = 0x20
            }, status: .endApplication, cvm: .noCVM),
        Case(
            name: "CVM condition 03, method not supported: next rule",
            change: {
                $0.cents = 5001
                $0.kernelData.set(0xDF8118, [0x20])
                $0.record[0x8E] = "0000000000000000 0203 1E03"
            }, status: .onlineRequest, cvm: .signature),
        Case(
            name: "CVM condition 00, method not supported: failed",
            change: {
                $0.cents = 5001
                $0.kernelData.set(0xDF8118, [0x20])
                $0.record[0x8E] = "0000000000000000 0200 1E03"
            }, status: .onlineRequest, cvm: .noCVM, results: "8000808001"),
        // Lengths and templates of the dictionary.
        Case(
            name: "S4 a date of two bytes", change: { $0.record[0x5F24] = "3112" }, status: .endApplication,
            error: 4),
        Case(
            name: "S9 a counter of three bytes", change: { $0.generated[0x9F36] = "000001" },
            status: .endApplication, error: 4),
        Case(
            name: "S4 capabilities in a record", change: { $0.extra = "9F5D03000000" },
            status: .endApplication, error: 4),
        Case(
            name: "S4 a cryptogram in a record", change: { $0.extra = "9F26081122334455667788" },
            status: .endApplication, error: 4),

        // CDA without what it needs.
        Case(
            name: "CDA, no certificates",
            change: {
                $0.interchangeProfile = "1980"
                $0.record[0x9F4A] = "82"
            }, status: .onlineRequest, cvm: .noCVM,
            results: "2400000001", requested: "80"),

        Case(
            name: "CDA, no Static Data Authentication Tag List", change: { $0.interchangeProfile = "1980" },
            status: .endApplication, error: 6),
        Case(
            name: "CDA, another Static Data Authentication Tag List",
            change: {
                $0.interchangeProfile = "1980"
                $0.record[0x9F4A] = "5F24"
            }, status: .endApplication, error: 6),

        // Relay resistance (SR1): minimum 0, maximum 5 ms, estimated 2.4 ms.
        Case(
            name: "SR1 in time",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = ["800A AABBCCDD 0000 0032 0018 9000"]
            }, status: .onlineRequest, cvm: .noCVM, results: "8000000002"),
        Case(
            name: "SR1 too slow three times",
            change: {
                $0.interchangeProfile = "1881"
                $0.microseconds = 30000
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = [String](repeating: "800A AABBCCDD 0000 0032 0018 9000", count: 3)
            }, status: .onlineRequest, cvm: .noCVM, results: "8000000006"),
        Case(
            name: "SR1 faster than the card can be",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = ["800A AABBCCDD 0100 0200 0018 9000"]
            }, status: .endApplication, error: 6),
        Case(
            name: "SR1 transmission times that do not fit",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = ["800A AABBCCDD 0000 0032 0090 9000"]
            }, status: .onlineRequest, cvm: .noCVM, results: "800000000A"),
        Case(
            name: "SR1 status word",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = ["6A80"]
            }, status: .endApplication, error: 3),
        Case(
            name: "SR1 answer too short",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x30])
                $0.relay = ["8009 AABBCCDD 0000 0032 00 9000"]
            }, status: .endApplication, error: 4),
        Case(
            name: "SR1 the card does it, the kernel not",
            change: {
                $0.interchangeProfile = "1881"
                $0.kernelData.set(0xDF811B, [0x20])
            }, status: .onlineRequest, cvm: .noCVM, results: "8000000001"),
        Case(
            name: "SR1 the kernel does it, the card not: not performed",
            change: { $0.kernelData.set(0xDF811B, [0x30]) }, status: .onlineRequest, cvm: .noCVM,
            results: "8000000001"),
    ]

    @Test(arguments: cases) func outcomes(_ c: Case) throws {
        var setup = Setup()
        c.change(&setup)
        let run = try Self.run(setup)
        #expect(run.final.outcome.status == c.status)
        #expect(run.final.outcome.cvm == c.cvm)
        // A Select Next that leaves no candidate is the Entry Point's End Application, with the kernel's Error Indication.
        #expect((run.error ?? 0) == c.error)
        if let results = c.results { #expect(run.results == results) }
        if let requested = c.requested { #expect(run.generate?.dropFirst(4).prefix(2) == requested[...]) }
        if c.status == .onlineRequest || c.status == .approved {
            let record = try #require(run.final.outcome.dataRecord)
            for tag: Tag in [0x9F26, 0x9F36, 0x9F10, 0x9F02, 0x9F37, 0x84, 0x9F34, 0x9F33, 0x95] {
                #expect(record.contains(tag), "\(tag)")
            }
        }
    }

    /// Why it ended, in words that a person can act on.
    @Test func reasons() throws {
        func reasons(_ change: (inout Setup) -> Void) throws -> [EndReason] {
            var setup = Setup()
            change(&setup)
            return try Self.run(setup).final.outcome.reasons
        }
        let expiry = try #require(EMVDate(yymmdd: 241231))
        #expect(try reasons { _ in } == [])
        #expect(
            try reasons {
                $0.record[0x5F24] = "241231"
                $0.kernelData.set(0xDF8121, [0, 0x40, 0, 0, 0])
                $0.generated[0x9F27] = "00"
            } == [.expired(expiry)])
        #expect(
            try reasons {
                $0.record[0x9F07] = "0000"
                $0.record[0x8E] = "0000000000000000 0000"
                $0.kernelData.set(0xDF8121, [0x80, 0x10, 0x80, 0, 0])
                $0.generated[0x9F27] = "00"
            } == [.usageControl, .cardholderVerification, .actionCodes(0x80_0000_0000)])
        #expect(try reasons { $0.generated[0x9F27] = "00" } == [.declinedByCard])
        #expect(
            try reasons { $0.recordAnswer = "6A83" } == [.command("READ RECORD", status: 0x6A83)])
        #expect(try reasons { $0.options = "6985" } == [.command("GET PROCESSING OPTIONS", status: 0x6985)])
        #expect(try reasons { $0.without = [0x5A] } == [.missingData(0x5A)])
        #expect(try reasons { $0.extra = "5F340101" } == [.repeatedData(0x5F34)])
        #expect(try reasons { $0.extra = "500141" } == [.misplacedData(0x50)])
        #expect(try reasons { $0.cents = 60_000 } == [.noCombinationAllowed])
        // FF is no filler between data objects: EMV Book 3, B2, names 00 alone.
        guard case .malformedData = try reasons({ $0.recordAnswer = "7006 5F280202 76FF 9000" }).first else {
            Issue.record("FF between data objects has no reason")
            return
        }
    }

    /// GENERATE AC carries the CDOL1's data with the TVR and CVM Results as they stand.
    @Test func generateCarriesWhatWasFound() throws {
        var setup = Setup()
        setup.cents = 5001
        let run = try Self.run(setup)
        #expect(run.generate?.contains("8000048001") == true)
        #expect(run.generate?.hasSuffix("22420300" + "00") == true)
    }

    /// S910.39: without a signature the issuer learns of the relay resistance protocol from track 2: key index, counter,
    /// entropy (two bytes as five digits, one as three), milliseconds.
    @Test func relayResistanceInTrack2() throws {
        var setup = Setup()
        setup.interchangeProfile = "1881"
        setup.kernelData.set(0xDF811B, [0x30])
        setup.relay = ["800A AABBCCDD 0000 0032 0018 9000"]
        setup.record[0x8F] = "05"
        func track(_ setup: Setup) throws -> String? {
            try Self.run(setup).final.outcome.dataRecord?[0x57].map { Hex.string($0) }
        }
        // BB is 187, CCDD is 52445; 40 units took 18 for the command and 24 for the answer: 0.
        #expect(try track(setup) == "5413330089020011D3112201" + "5" + "0" + "52445" + "187" + "000" + "F")
        setup.microseconds = 8200
        #expect(try track(setup)?.hasSuffix("52445187004F") == true)
        setup.record[0x8F] = "F1"
        #expect(try track(setup)?.contains("D31122010052445") == true)
    }

    /// S13.30: each failure in a row doubles the wait before it is told, to 9.6 seconds; a success ends the row.
    @Test func failuresDelay() throws {
        var combination = combination("A0000000041010", 2)
        combination.contactlessTransactionLimit = Amount(minorUnits: 50000)
        combination.kernelData = [0xDF811B: [0x00]]
        let record = try Self.template(
            0x70,
            [
                (0x9F6C, "0001"), (0x9F6B, "5413330089020011D31122010000000000000F"), (0x9F65, "000E"),
                (0x9F66, "07F0"), (0x9F67, "04"),
            ], [:], [], "")
        var memory: DataObjects?
        func wait(_ checksum: String?) throws -> UInt32? {
            var kernel = MChipKernel(
                KernelActivation(
                    combination: combination, indicators: PreProcessingIndicators(),
                    selectedApplication: try bytes("A0000000041010"),
                    selectResponse: try ResponseAPDU(
                        bytes: bytes("6F0F8407A0000000041010A5045002 4D43 9000")),
                    transaction: try inputs(1000), unpredictableNumber: 7,
                    terminal: TerminalConfiguration(data: [0x9F35: [0x22]]), persistentData: memory))
            var waited: UInt32?
            var action = kernel.start()
            while true {
                switch action {
                case .transmit(let command):
                    let answer: [UInt8]? =
                        switch command.ins {
                        case 0xA8: try bytes("770A 82020000 940408010100 9000")
                        case 0xB2: record
                        default: try checksum.map { try bytes($0) }
                        }
                    action = kernel.handle(
                        try answer.map { .response(try ResponseAPDU(bytes: $0), microseconds: 0) }
                            ?? .communicationError(.timeout))
                case .waitForData(let time):
                    waited = time
                    action = kernel.handle(.timeout)
                case .outcome(let outcome):
                    if let kept = outcome.persistentData { memory = kept }
                    return waited
                default: action = kernel.handle(.done)
                }
            }
        }
        for expected: UInt32 in [300, 600, 1200, 2400, 4800, 9600, 9600] {
            #expect(try wait("6985") == expected)
        }
        #expect(try wait("770A 9F61 02 04D2 9F36 02 0BB8 9000") == nil)
        #expect(try wait(nil) == 300)
    }

    /// Cards of both modes: the first record is read in mag-stripe mode alone (S3, Active AFL).
    @Test func wellKnownFirstRecordIsLeftOut() throws {
        var setup = Setup()
        setup.locator = "0801010010010101"
        #expect(try Self.run(setup).commands.filter { $0.hasPrefix("00B2") } == ["00B2011400"])
        setup.kernelData.set(0xDF811B, [0xB0])
        #expect(try Self.run(setup).commands.filter { $0.hasPrefix("00B2") }.first == "00B2010C00")
        // The AFL of early cards: without CDA the certificates' files are not read, unless all are to be read. What this
        // test's card answers there is the first record again, and refused.
        setup.kernelData.set(0xDF811B, [0x20])
        setup.locator = "08010100100101011801020020010200"
        #expect(try Self.run(setup).commands.filter { $0.hasPrefix("00B2") } == ["00B2011400"])
        setup.kernelData.set(0xDF811B, [0x24])
        #expect(
            try Self.run(setup).commands.filter { $0.hasPrefix("00B2") } == ["00B2011400", "00B2011C00"])
    }

    /// A phone that wants its owner first (S910, POS Cardholder Interaction Information): see phone, second tap.
    @Test func phoneInteraction() throws {
        var setup = Setup()
        setup.generatedFirst = [0x9F27: "00", 0xDF4B: "000200"]
        var run = try Self.run(setup)
        #expect(run.final.outcome.status == .onlineRequest)
        // The phone's message stays, with the field ready for it again.
        #expect(run.displayed.filter { $0.message == .seePhone }.map(\.status) == [.notReady, .readyToRead])
        #expect(!run.displayed.contains { $0.message == .presentCardAgain })
        setup.generatedFirst = [0x9F27: "00", 0xDF4B: "000000"]
        run = try Self.run(setup)
        #expect(run.final.outcome.status == .tryAnotherInterface)
        #expect(!run.displayed.contains { $0.message == .seePhone })
    }

    /// Mag-stripe mode: the published layout of bitmaps, digits at their places, and what is missing.
    @Test func magStripeMode() throws {
        var setup = Setup()
        setup.interchangeProfile = "0000"
        setup.locator = "08010100"
        let good: [(Tag, String)] = [
            (0x9F6C, "0001"), (0x9F6B, "5413330089020011D31122010000000000000F"), (0x9F65, "000E"),
            (0x9F66, "07F0"),
            (0x9F67, "04"),
        ]
        func record(_ without: Tag? = nil, _ changed: [Tag: String] = [:]) throws -> String {
            Hex.string(try Self.template(0x70, good, changed, without.map { [$0] } ?? [], ""))
        }
        setup.recordAnswer = try record()
        setup.checksum = "770A 9F61 02 04D2 9F36 02 0BB8 9000"
        let run = try Self.run(setup)
        #expect(run.final.outcome.status == .onlineRequest)
        // 12345678 hexadecimal is 305419896: its last three digits are 896. CVC3 1234, ATC 3000, three digits.
        #expect(run.commands.last == "802A8E80040000089600")
        let track = run.final.outcome.dataRecord?[0x9F6B].map { Hex.string($0) }
        #expect(track == "5413330089020011D3112201" + "00" + "3000" + "896" + "234" + "3" + "F")
        for tag: Tag in [0x9F6B, 0x9F65, 0x9F66, 0x9F67] {
            setup.recordAnswer = try record(tag)
            #expect(try Self.run(setup).error == 1, "\(tag)")
        }
        setup.recordAnswer = try record(nil, [0x9F67: "09"])
        #expect(try Self.run(setup).error == 6)
        setup.recordAnswer = try record(nil, [0x9F65: "FFFF"])
        #expect(try Self.run(setup).error == 6)
        setup.recordAnswer = try record()
        setup.checksum = "6985"
        #expect(try Self.run(setup).error == 3)
        setup.checksum = "7704 9F6102 04D2 9000"
        #expect(try Self.run(setup).error == 4)
        setup.checksum = "7705 9F36020BB8 9000"
        #expect(try Self.run(setup).error == 1)
        // No CVC3 and a reason of the phone's: declined, or a second tap.
        setup.checksum = "770B 9F36020BB8 DF4B03000000 9000"
        #expect(try Self.run(setup).final.outcome.status == .declined)
        // Verified on the device above the limit: the number of digits and five.
        setup.checksum = "7710 9F61 02 04D2 9F36 02 0BB8 DF4B03001000 9000"
        setup.interchangeProfile = "0200"
        setup.cents = 5001
        let device = try Self.run(setup)
        #expect(device.final.outcome.cvm == .confirmationCodeVerified)
        #expect(device.final.outcome.dataRecord?[0x9F6B].map { Hex.string($0) }?.hasSuffix("2348F") == true)
        #expect(device.final.outcome.receiptRequested)
        // S14.17, S14.21: without the phone's word on it, or without verification above the limit.
        setup.checksum = "770A 9F61 02 04D2 9F36 02 0BB8 9000"
        #expect(try Self.run(setup).error == 1)
        setup.checksum = "7710 9F61 02 04D2 9F36 02 0BB8 DF4B03000000 9000"
        #expect(try Self.run(setup).error == 6)
        setup.cents = 1000
        let below = try Self.run(setup)
        #expect(below.final.outcome.cvm == .noCVM)
        #expect(below.final.outcome.dataRecord?[0x9F6B].map { Hex.string($0) }?.hasSuffix("2343F") == true)
        // S78.20: the reader tells the phone that it wants verification.
        #expect(device.final.outcome.discretionaryData?[0xDF812B].map { Hex.string($0) } == "0000000000000F")
    }

    /// No answer: the card is asked for again, and the next tap pays.
    @Test(arguments: ["80A8", "00B2", "80AE"]) func communicationErrors(_ prefix: String) throws {
        var setup = Setup()
        setup.silentOnceAt = prefix
        let run = try Self.run(setup)
        #expect(run.final.outcome.status == .onlineRequest)
        // S3.5: nothing is said where GET PROCESSING OPTIONS got no answer.
        #expect(run.displayed.contains { $0.message == .presentCardAgain } == (prefix != "80A8"))
        #expect(run.commands.count { $0.hasPrefix(prefix) } == 2)
    }
}
