import BERTLV
import EMV
import EMVCryptography
import SmartCard
import Testing

@testable import Kernels

/// Kernel 3 (Book C-3) against hand-written answers. What needs a signature is tested with the emulated cards.
@Suite struct QVSDCKernelTests {
    /// Card data of an online answer; a test changes what it is about.
    static let answer: [(Tag, String)] = [
        (0x82, "2000"), (0x57, "4761739001010119D31122010000012300000F"), (0x5F34, "01"),
        (0x9F10, "06010A03A00000"), (0x9F26, "1122334455667788"), (0x9F27, "80"), (0x9F36, "0001"),
        (0x9F6C, "0000"),
    ]

    struct Setup {
        var cents: UInt64 = 1000
        var type: UInt8 = 0
        var other: UInt64 = 0
        var card: [Tag: String] = [:]
        var without: Set<Tag> = []
        var extra = ""
        var status = "9000"
        var qualifiers: UInt32 = 0x3600_C000
        var cvmLimit: UInt64 = 5000
        var floorLimit: UInt64 = 500
        var terminal: DataObjects = [
            0x9F35: [0x22], 0x9F1A: [0x02, 0x76], 0x9F40: [0xF0, 0, 0xF0, 0xA0, 1],
        ]
        var exceptions = ExceptionFile()
        var dynamic: [DynamicReaderLimits] = []
        var fci =
            QVSDCKernelTests.fci("500456495341 9F38189F66049F02069F03069F1A0295055F2A029A039C019F3704")
        var records: [String: String] = [:]
        /// The whole answer to GET PROCESSING OPTIONS instead.
        var options: String?
    }

    /// An FCI with this inside its proprietary template.
    static func fci(_ inside: String) -> String {
        let digits = inside.filter { $0 != " " }
        let proprietary = "A5" + String(digits.count / 2 + 0x100, radix: 16).suffix(2) + digits
        let all = "8407A0000000031010" + proprietary
        return "6F" + String(all.count / 2 + 0x100, radix: 16).suffix(2) + all
    }

    final class Tally { var commands: [String] = [] }

    static func run(_ setup: Setup) throws -> (FinalOutcome, [String], [UserInterfaceRequest]) {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: setup.qualifiers)
        combination.cvmRequiredLimit = Amount(minorUnits: setup.cvmLimit)
        combination.contactlessFloorLimit = Amount(minorUnits: setup.floorLimit)
        combination.dynamicLimits = setup.dynamic
        var objects = BERTLVWriter()
        for (tag, value) in answer where !setup.without.contains(tag) {
            objects.append(tag, try bytes(setup.card[tag] ?? value))
        }
        for (tag, value) in setup.card.sorted(by: { $0.key < $1.key })
        where !answer.contains(where: { $0.0 == tag }) {
            objects.append(tag, try bytes(value))
        }
        objects.append(encoded: try bytes(setup.extra))
        var template = BERTLVWriter()
        template.append(0x77, objects.bytes)
        let options = try setup.options.map { try bytes($0) } ?? template.bytes + bytes(setup.status)
        let inside = try bytes(setup.fci)
        let directory = card([DirectoryEntry("A0000000031010", priority: 1)])
        let records = setup.records
        let tally = Tally()
        var bench = Bench([], card: { _ in nil })
        bench = Bench([combination]) { command in
            let text = Hex.string(command)
            tally.commands.append(text)
            if text.hasPrefix("80A8") { return options }
            if text.hasPrefix("00B2") {
                return records[String(text.dropFirst(4).prefix(4))].flatMap { Hex.bytes($0) } ?? [0x6A, 0x83]
            }
            if text.contains("325041592E") { return directory(command) }
            return inside + [0x90, 0x00]
        }
        bench.entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: [combination],
                terminal: TerminalConfiguration(data: setup.terminal, exceptionFile: setup.exceptions)),
            kernels: .all)
        let final = try bench.run(
            bench.entryPoint.start(try inputs(setup.cents, type: setup.type, other: setup.other)))
        return (final, tally.commands, bench.displayed)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout Setup) -> Void
        var status: Outcome.Status
        var cvm: Outcome.CVM = .notApplicable
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        // The cryptogram (5.5): AAC declines, ARQC goes online, TC needs authentication.
        Case(name: "ARQC", change: { _ in }, status: .onlineRequest, cvm: .noCVM),
        Case(name: "AAC", change: { $0.card[0x9F27] = "00" }, status: .declined),
        Case(name: "ARQC, offline-only reader", change: { $0.qualifiers = 0x3E00_C000 }, status: .declined),
        Case(
            name: "no CID: the type of the Issuer Application Data", change: { $0.without.insert(0x9F27) },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "no CID: AAC by the Issuer Application Data",
            change: {
                $0.without.insert(0x9F27)
                $0.card[0x9F10] = "06010A03800000"
            }, status: .declined),
        Case(
            name: "TC although an online cryptogram was required", change: { $0.card[0x9F27] = "40" },
            status: .declined),
        Case(
            name: "TC without certificates: declined",
            change: {
                $0.card[0x9F27] = "40"
                $0.card[0x5F24] = "311231"
                $0.floorLimit = 100_000
            }, status: .declined),
        Case(
            name: "TC without expiry, CTQ: online if expired",
            change: {
                $0.card[0x9F27] = "40"
                $0.floorLimit = 100_000
                $0.card[0x9F6C] = "0800"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "TC without certificates, CTQ: online",
            change: {
                $0.card[0x9F27] = "40"
                $0.card[0x5F24] = "311231"
                $0.floorLimit = 100_000
                $0.card[0x9F6C] = "2000"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "TC without certificates, CTQ: online, offline-only reader",
            change: {
                $0.card[0x9F27] = "40"
                $0.card[0x5F24] = "311231"
                $0.floorLimit = 100_000
                $0.card[0x9F6C] = "2000"
                $0.qualifiers = 0x3E00_C000
            }, status: .declined),
        Case(
            name: "TC without certificates, CTQ: other interface",
            change: {
                $0.card[0x9F27] = "40"
                $0.card[0x5F24] = "311231"
                $0.floorLimit = 100_000
                $0.card[0x9F6C] = "1000"
            }, status: .tryAnotherInterface),
        Case(
            name: "TC without certificates, CTQ: other interface, no contact chip",
            change: {
                $0.card[0x9F27] = "40"
                $0.card[0x5F24] = "311231"
                $0.floorLimit = 100_000
                $0.card[0x9F6C] = "1000"
                $0.qualifiers = 0x2600_C000
            }, status: .declined),

        // Status words of GET PROCESSING OPTIONS (5.2).
        Case(name: "6984", change: { $0.options = "6984" }, status: .tryAnotherInterface),
        Case(name: "6985, no other candidate", change: { $0.options = "6985" }, status: .endApplication),
        Case(name: "6A81", change: { $0.options = "6A81" }, status: .endApplication),
        Case(name: "6283", change: { $0.status = "6283" }, status: .endApplication),

        // Mandatory data (5.4).
        Case(name: "no AIP", change: { $0.without.insert(0x82) }, status: .endApplication),
        Case(name: "AIP of one byte", change: { $0.card[0x82] = "20" }, status: .endApplication),
        Case(name: "no cryptogram", change: { $0.without.insert(0x9F26) }, status: .endApplication),
        Case(
            name: "cryptogram of 7 bytes", change: { $0.card[0x9F26] = "11223344556677" },
            status: .endApplication),
        Case(name: "no ATC", change: { $0.without.insert(0x9F36) }, status: .endApplication),
        Case(
            name: "no Issuer Application Data", change: { $0.without.insert(0x9F10) },
            status: .endApplication),
        Case(name: "no track 2 and no PAN", change: { $0.without.insert(0x57) }, status: .endApplication),
        Case(
            name: "PAN without track 2",
            change: {
                $0.without.insert(0x57)
                $0.card[0x5A] = "4761739001010119"
            }, status: .endApplication),
        Case(
            name: "PAN and track 2", change: { $0.card[0x5A] = "4761739001010119" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "PAN and track 2 differ", change: { $0.card[0x5A] = "4761739001010010" },
            status: .endApplication),
        Case(
            name: "PAN of another length than track 2", change: { $0.card[0x5A] = "476173900101011F" },
            status: .endApplication),
        Case(
            name: "an unknown data object twice", change: { $0.extra = "DF4F0101DF4F0102" },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "track 2 without separator", change: { $0.card[0x57] = "47617390010101193112" },
            status: .endApplication),
        Case(name: "a data object twice", change: { $0.extra = "9F36020001" }, status: .endApplication),
        Case(name: "CID of two bytes", change: { $0.card[0x9F27] = "8000" }, status: .endApplication),
        Case(name: "no template", change: { $0.options = "820220009000" }, status: .endApplication),
        Case(name: "empty answer", change: { $0.options = "9000" }, status: .endApplication),
        Case(name: "broken template", change: { $0.options = "770582029000" }, status: .endApplication),
        Case(
            name: "format 1 without a cryptogram", change: { $0.options = "800220009000" },
            status: .endApplication),
        Case(name: "format 1 of one byte", change: { $0.options = "8001209000" }, status: .endApplication),

        // Records (5.3).
        Case(name: "AFL of three bytes", change: { $0.card[0x94] = "080101" }, status: .endApplication),
        Case(name: "AFL of SFI 31", change: { $0.card[0x94] = "F8010100" }, status: .endApplication),
        Case(name: "record missing", change: { $0.card[0x94] = "08010100" }, status: .endApplication),
        Case(
            name: "record without template",
            change: {
                $0.card[0x94] = "08010100"
                $0.records = ["010C": "5F28020276 9000"]
            }, status: .endApplication),
        Case(
            name: "record with a data object of the GPO",
            change: {
                $0.card[0x94] = "08010100"
                $0.records = ["010C": "70059F36020001 9000"]
            }, status: .endApplication),
        Case(
            name: "good record",
            change: {
                $0.card[0x94] = "08010100"
                $0.records = ["010C": "70055F28020276 9000"]
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "empty AFL reads nothing", change: { $0.card[0x94] = "" }, status: .onlineRequest,
            cvm: .noCVM),

        Case(
            name: "record of file 11 without template",
            change: {
                $0.card[0x94] = "58010100"
                $0.records = ["015C": "01020304 9000"]
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "record of file 11 in its template",
            change: {
                $0.card[0x94] = "58010100"
                $0.records = ["015C": "70059F36020001 9000"]
            }, status: .endApplication),

        // Cardholder verification (5.7): required at 50.00.
        Case(
            name: "online PIN by CTQ",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "8000"
            }, status: .onlineRequest, cvm: .onlinePIN),
        Case(
            name: "online PIN by CTQ though none is required", change: { $0.card[0x9F6C] = "8000" },
            status: .onlineRequest, cvm: .onlinePIN),
        Case(
            name: "signature by CTQ",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "4000"
            }, status: .onlineRequest, cvm: .signature),
        Case(
            name: "PIN goes before signature",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "C000"
            }, status: .onlineRequest, cvm: .onlinePIN),
        Case(
            name: "PIN wished for, no PIN pad: signature",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "C000"
                $0.qualifiers = 0x3200_C000
            }, status: .onlineRequest, cvm: .signature),
        Case(
            name: "verified on the device, ARQC",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "0080"
            }, status: .onlineRequest, cvm: .confirmationCodeVerified),
        Case(
            name: "verified on the device, reader does not know it",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "0080"
                $0.qualifiers = 0x3600_8000
            }, status: .onlineRequest, cvm: .confirmationCodeVerified),
        Case(
            name: "verified on the device, signed CTQ differ, reader does not know it: no signature instead",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "4080"
                $0.card[0x9F69] = "01AABBCCDD0000"
                $0.qualifiers = 0x3600_8000
            }, status: .declined),
        Case(
            name: "verified on the device, signed CTQ agree",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "0080"
                $0.card[0x9F69] = "01AABBCCDD0080"
            }, status: .onlineRequest, cvm: .confirmationCodeVerified),
        Case(
            name: "verified on the device, signed CTQ differ",
            change: {
                $0.cents = 5000
                $0.card[0x9F6C] = "0080"
                $0.card[0x9F69] = "01AABBCCDD0000"
            }, status: .declined),
        Case(name: "required and nothing offered", change: { $0.cents = 5000 }, status: .declined),
        Case(
            name: "required, no CTQ: signature",
            change: {
                $0.cents = 5000
                $0.without.insert(0x9F6C)
            }, status: .onlineRequest, cvm: .signature),
        Case(
            name: "required, no CTQ, no signature: online PIN",
            change: {
                $0.cents = 5000
                $0.without.insert(0x9F6C)
                $0.qualifiers = 0x3400_C000
            }, status: .onlineRequest, cvm: .onlinePIN),
        Case(
            name: "required, no CTQ, neither signature nor PIN",
            change: {
                $0.cents = 5000
                $0.without.insert(0x9F6C)
                $0.qualifiers = 0x3000_C000
            }, status: .declined),

        // Processing restrictions (5.5).
        Case(
            name: "exception file",
            change: {
                if let number = PrimaryAccountNumber(digits: "4761739001010119") {
                    $0.exceptions.insert(number)
                }
            }, status: .declined),
        Case(
            name: "exception file, another sequence number",
            change: {
                if let number = PrimaryAccountNumber(digits: "4761739001010119") {
                    $0.exceptions.insert(number, sequenceNumber: 2)
                }
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "cash, usage control forbids",
            change: {
                $0.type = 0x01
                $0.card[0x9F07] = "3F00"
                $0.card[0x5F28] = "0276"
            }, status: .declined),
        Case(
            name: "cash, usage control allows at home",
            change: {
                $0.type = 0x01
                $0.card[0x9F07] = "8000"
                $0.card[0x5F28] = "0276"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "cash abroad, usage control forbids",
            change: {
                $0.type = 0x01
                $0.card[0x9F07] = "8000"
                $0.card[0x5F28] = "0840"
            }, status: .declined),
        Case(
            name: "cashback, usage control forbids",
            change: {
                $0.type = 0x09
                $0.other = 200
                $0.card[0x9F07] = "FF00"
                $0.card[0x5F28] = "0276"
            }, status: .declined),
        Case(
            name: "cashback, usage control allows",
            change: {
                $0.type = 0x09
                $0.other = 200
                $0.card[0x9F07] = "FF80"
                $0.card[0x5F28] = "0276"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "cash, CTQ: other interface",
            change: {
                $0.type = 0x01
                $0.card[0x9F6C] = "0400"
            }, status: .tryAnotherInterface),
        Case(
            name: "cashback, CTQ: other interface",
            change: {
                $0.type = 0x09
                $0.other = 200
                $0.card[0x9F6C] = "0200"
            }, status: .tryAnotherInterface),
        Case(
            name: "cash, usage control allows, CTQ: other interface",
            change: {
                $0.type = 0x01
                $0.card[0x9F07] = "8000"
                $0.card[0x5F28] = "0276"
                $0.card[0x9F6C] = "0400"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "cashback, usage control allows, CTQ: other interface",
            change: {
                $0.type = 0x09
                $0.other = 200
                $0.card[0x9F07] = "FF80"
                $0.card[0x5F28] = "0276"
                $0.card[0x9F6C] = "0200"
            }, status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "cash without usage control", change: { $0.type = 0x01 }, status: .declined),
        Case(
            name: "cash without a country",
            change: {
                $0.type = 0x01
                $0.card[0x9F07] = "FFC0"
            }, status: .declined),
        Case(
            name: "type 17 is cash",
            change: {
                $0.type = 0x17
                $0.card[0x9F07] = "3F00"
                $0.card[0x5F28] = "0276"
            }, status: .declined),
        Case(
            name: "ATM, CTQ: not valid",
            change: {
                $0.terminal.set(0x9F35, [0x14])
                $0.card[0x9F6C] = "0100"
            }, status: .declined),
        Case(
            name: "expired, ARQC: the issuer decides", change: { $0.card[0x5F24] = "241231" },
            status: .onlineRequest,
            cvm: .noCVM),

        // The FCI.
        Case(
            name: "PDOL of 252 bytes", change: { $0.fci = QVSDCKernelTests.fci("9F38069F66049F01F8") },
            status: .onlineRequest, cvm: .noCVM),
        Case(
            name: "PDOL of 253 bytes: no short command holds it",
            change: { $0.fci = QVSDCKernelTests.fci("9F38069F66049F01F9") }, status: .endApplication),
        Case(
            name: "PDOL cut off after the TTQ",
            change: { $0.fci = QVSDCKernelTests.fci("9F38059F66049F02") }, status: .endApplication),
        Case(name: "no FCI template", change: { $0.fci = "A500" }, status: .endApplication),
    ]

    @Test(arguments: cases) func outcomes(_ c: Case) throws {
        var setup = Setup()
        c.change(&setup)
        let (final, _, _) = try Self.run(setup)
        #expect(final.outcome.status == c.status)
        #expect(final.outcome.cvm == c.cvm)
        switch c.status {
        case .onlineRequest, .declined:
            let record = try #require(final.outcome.dataRecord)
            for tag: Tag in [0x9F26, 0x9F36, 0x9F10, 0x9F02, 0x9F37, 0x9F66, 0x84, 0x9F34] {
                #expect(record.contains(tag), "\(tag)")
            }
        default: #expect(final.outcome.dataRecord == nil)
        }
    }

    /// 6986: "see phone", the field goes off, the card is asked for again (5.2).
    @Test func seePhone() throws {
        var count = 0
        var bench = Bench([combination("A0000000031010", 3)]) { command in
            let text = Hex.string(command)
            if text.hasPrefix("80A8") {
                count += 1
                return count == 1 ? [0x69, 0x86] : [0x69, 0x84]
            }
            return card([DirectoryEntry("A0000000031010")])(command)
        }
        bench.entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: [combination("A0000000031010", 3)], terminal: TerminalConfiguration(data: [:])),
            kernels: .all)
        let final = try bench.pay()
        #expect(final.outcome.status == .tryAnotherInterface)
        #expect(bench.displayed.map(\.message) == [.presentCard, .seePhone, .presentCardAgain])
        #expect(bench.fieldOffs.count == 1 && bench.activations == 2)
    }

    /// What GPO carries: the TTQ of this transaction and the other data that the PDOL asks for.
    @Test func processingOptionsCarryTheCopyOfTheQualifiers() throws {
        var setup = Setup()
        setup.cents = 5000
        setup.fci = Self.fci("500456495341 9F38069F66049F0206")
        let (_, commands, _) = try Self.run(setup)
        #expect(commands.last == "80A800000C830A36C0C00000000000500000")
    }

    /// No PDOL at all: an empty template 83. The Entry Point keeps such a card from Kernel 3, so it is asked directly.
    @Test func noList() throws {
        var kernel = QVSDCKernel(
            KernelActivation(
                combination: combination("A0000000031010", 3), indicators: PreProcessingIndicators(),
                selectedApplication: try bytes("A0000000031010"),
                selectResponse: try ResponseAPDU(bytes: try bytes("6F098407A0000000031010 9000")),
                transaction: try inputs(100), unpredictableNumber: 1,
                terminal: TerminalConfiguration(data: [:])))
        guard case .transmit(let command) = kernel.start() else {
            Issue.record("no command")
            return
        }
        #expect(Hex.string(command.bytes) == "80A8000002830000")
    }

    /// Dynamic reader limits: the set whose program begins the card's 9F5A decides.
    @Test func dynamicReaderLimits() throws {
        var setup = Setup()
        setup.cents = 1000
        setup.dynamic = [
            DynamicReaderLimits(
                applicationProgramIdentifier: [0x03, 0x02],
                contactlessTransactionLimit: Amount(minorUnits: 500)),
            DynamicReaderLimits(
                applicationProgramIdentifier: [0x03], cvmRequiredLimit: Amount(minorUnits: 800)),
        ]
        func fci(_ program: String) -> String {
            Self.fci(
                "500456495341 9F38039F6604 9F5A" + String(program.count / 2 + 0x100, radix: 16).suffix(2)
                    + program)
        }
        setup.fci = fci("0301")
        let (required, commands, _) = try Self.run(setup)
        // The set has no floor limit: the online cryptogram is not asked for; the CVM is.
        #expect(commands.last == "80A800000683043640C00000")
        #expect(required.outcome.status == .declined)
        setup.fci = fci("0302")
        let (above, none, _) = try Self.run(setup)
        #expect(above.outcome.status == .endApplication)
        #expect(!none.contains { $0.hasPrefix("80A8") })
        setup.fci = fci("99")
        #expect(try Self.run(setup).0.outcome.status == .onlineRequest)
    }

    /// A card that takes the issuer's update (CTQ) under a reader that does (TTQ) is asked for again.
    @Test(arguments: [
        ("0040", 0x3600_C000, true), ("0040", 0x3600_4000, false), ("0000", 0x3600_C000, false),
    ])
    func issuerUpdate(_ qualifiers: String, _ reader: UInt32, _ updates: Bool) throws {
        var setup = Setup()
        setup.card[0x9F6C] = qualifiers
        setup.qualifiers = reader
        let outcome = try Self.run(setup).0.outcome
        #expect(outcome.start == (updates ? .b : nil))
        #expect(outcome.onlineResponse == (updates ? .emvData : .notApplicable))
        #expect((outcome.uiRequestOnRestart != nil) == updates)
    }

    /// "Card read OK" is shown when all was read, in the card's language.
    @Test func messages() throws {
        var setup = Setup()
        setup.fci = Self.fci("500456495341 5F2D046465656E 9F38069F66049F0206")
        let (final, _, displayed) = try Self.run(setup)
        #expect(displayed.map(\.message) == [.presentCard, .cardReadOKRemove])
        #expect(displayed.last?.languagePreference == "deen")
        #expect(final.outcome.uiRequestOnOutcome?.message == .authorising)
    }

    /// The transmission fails at each command: Try Again, or once the card has given its cryptogram as the book says;
    /// always an outcome.
    @Test(arguments: 1...3) func communicationErrors(_ at: Int) throws {
        var count = 0
        let good = card([DirectoryEntry("A0000000031010")])
        var bench = Bench([combination("A0000000031010", 3)]) { command in
            count += 1
            if count == at { return nil }
            return Hex.string(command).hasPrefix("80A8") ? [0x69, 0x84] : good(command)
        }
        bench.entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: [combination("A0000000031010", 3)], terminal: TerminalConfiguration(data: [:])),
            kernels: .all)
        #expect(try bench.pay().outcome.status == .tryAnotherInterface)
        #expect(bench.activations == 2)
    }
}
