import BERTLV
import EMV
import SmartCard
import Testing

@testable import Kernels

/// Kernel 3: the parameters of its outcomes (Book C-3, 5.8; Book A, 6.2), limits by program, and the way to the next
/// candidate.
@Suite struct QVSDCOutcomeTests {
    typealias Setup = QVSDCKernelTests.Setup

    static func outcome(_ change: (inout Setup) -> Void) throws -> Outcome {
        var setup = Setup()
        change(&setup)
        return try QVSDCKernelTests.run(setup).0.outcome
    }

    /// Error Indication: L1, L2, L3, SW1 SW2, message.
    struct Failure: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout Setup) -> Void
        var indication: String
        var testDescription: String { name }
    }
    static let failures: [Failure] = [
        Failure(name: "status of GPO", change: { $0.options = "6A81" }, indication: "0003006A811C"),
        Failure(
            name: "status of a record", change: { $0.card[0x94] = "08010100" }, indication: "0003006A831C"),
        Failure(name: "data missing", change: { $0.without.insert(0x9F36) }, indication: "00010000001C"),
        Failure(name: "data twice", change: { $0.extra = "82022000" }, indication: "00060000001C"),
        Failure(name: "not BER-TLV", change: { $0.options = "7705829000" }, indication: "00040000001C"),
        Failure(name: "AFL", change: { $0.card[0x94] = "0801" }, indication: "00040000001C"),
    ]

    @Test(arguments: failures) func endApplication(_ c: Failure) throws {
        let outcome = try Self.outcome(c.change)
        #expect(outcome.status == .endApplication && outcome.start == nil && outcome.dataRecord == nil)
        #expect(outcome.discretionaryData?[0xDF8115].map { Hex.string($0) } == c.indication)
        #expect(outcome.uiRequestOnOutcome?.message == .insertSwipeOrTryAnotherCard)
        #expect(outcome.uiRequestOnOutcome?.status == .processingError)
    }

    /// Why it ended, in words that a person can act on.
    @Test func reasons() throws {
        let expiry = try #require(EMVDate(yymmdd: 241231))
        let cases: [((inout Setup) -> Void, [EndReason])] = [
            ({ _ in }, []),
            ({ $0.card[0x9F27] = "00" }, [.declinedByCard]),
            ({ $0.qualifiers = 0x3E00_C000 }, [.cannotGoOnline]),
            (
                {
                    $0.card[0x9F27] = "40"
                    $0.floorLimit = 100_000
                    $0.card[0x5F24] = "241231"
                }, [.expired(expiry)]
            ),
            (
                {
                    $0.card[0x9F27] = "40"
                    $0.floorLimit = 100_000
                    $0.card[0x5F24] = "311231"
                }, [.dataAuthentication(.missing(0x8F))]
            ),
            ({ $0.type = 0x01 }, [.usageControl]),
            ({ $0.cents = 5000 }, [.cardholderVerification]),
            ({ $0.card[0x5A] = "4761739001010010" }, [.differentCardNumbers]),
            ({ $0.without.insert(0x9F36) }, [.missingData(0x9F36)]),
            ({ $0.extra = "82022000" }, [.repeatedData(0x82)]),
            ({ $0.options = "6985" }, [.command("GET PROCESSING OPTIONS", status: 0x6985)]),
            ({ $0.options = "6984" }, [.cardWantsOtherInterface]),
        ]
        for (index, (change, reasons)) in cases.enumerated() {
            #expect(try Self.outcome(change).reasons == reasons, "case \(index)")
        }
    }

    /// Form Factor Indicator in the Data Record: the payment technology of byte 4 is 0000, contactless (4.1.1.1).
    @Test(arguments: [("2388000F", "23880000"), ("238800F3", "238800F0"), ("23880000", "23880000")])
    func formFactor(_ given: String, _ told: String) throws {
        let outcome = try Self.outcome { $0.card[0x9F6E] = given }
        #expect(outcome.dataRecord?[0x9F6E].map { Hex.string($0) } == told)
    }

    /// The contact interface is named where the reader has one (TTQ byte 1 bit 5).
    @Test(
        arguments: [
            (0x3600_C000, UserInterfaceRequest.Message.insertCard, Outcome.AlternateInterface.contactChip),
            (0x2600_C000, .insertOrSwipe, nil),
        ] as [(UInt32, UserInterfaceRequest.Message, Outcome.AlternateInterface?)])
    func tryAnotherInterface(
        _ qualifiers: UInt32, _ message: UserInterfaceRequest.Message,
        _ preference: Outcome.AlternateInterface?
    ) throws {
        let outcome = try Self.outcome {
            $0.options = "6984"
            $0.qualifiers = qualifiers
        }
        #expect(outcome.status == .tryAnotherInterface)
        #expect(outcome.uiRequestOnOutcome?.message == message)
        #expect(outcome.alternateInterfacePreference == preference)
        #expect(outcome.start == nil && outcome.dataRecord == nil)
    }

    /// 6986: hold time and field off of 1.3 s, "present card again" on restart.
    @Test func seePhone() throws {
        var kernel = QVSDCKernel(try Self.activation())
        _ = kernel.start()
        let action = kernel.handle(
            .response(try ResponseAPDU(bytes: [0x69, 0x86]), microseconds: 1))
        guard case .outcome(let outcome) = action else {
            Issue.record("no outcome")
            return
        }
        #expect(outcome.status == .tryAgain && outcome.start == .b)
        #expect(outcome.fieldOffRequest == 13)
        #expect(outcome.uiRequestOnOutcome == UserInterfaceRequest(.seePhone, .processingError, holdTime: 13))
        #expect(outcome.uiRequestOnRestart == UserInterfaceRequest(.presentCardAgain, .readyToRead))
    }

    /// The line fails: Try Again at Start B, L1 error told.
    @Test(arguments: [CommunicationError.timeout, .transmission, .protocol])
    func communicationError(_ error: CommunicationError) throws {
        var kernel = QVSDCKernel(try Self.activation())
        _ = kernel.start()
        guard case .outcome(let outcome) = kernel.handle(.communicationError(error)) else {
            Issue.record("no outcome")
            return
        }
        #expect(outcome.status == .tryAgain && outcome.start == .b && outcome.dataRecord == nil)
        #expect(outcome.uiRequestOnRestart?.message == .presentCardAgain)
        #expect(outcome.discretionaryData?[0xDF8115]?.first == error.rawValue)
    }

    static func activation() throws -> KernelActivation {
        KernelActivation(
            combination: combination("A0000000031010", 3), indicators: PreProcessingIndicators(),
            selectedApplication: try bytes("A0000000031010"),
            selectResponse: try ResponseAPDU(bytes: try bytes("6F098407A0000000031010 9000")),
            transaction: try inputs(100), unpredictableNumber: 1, terminal: TerminalConfiguration(data: [:]))
    }

    /// Online Request: a receipt for a signature; what the host is told of the verification (CVM Results, EMV Book 4,
    /// A4).
    @Test(
        arguments: [
            ("0000", 1000, Outcome.CVM.noCVM, "1F0000", false), ("8000", 5000, .onlinePIN, "020000", false),
            ("4000", 5000, .signature, "1E0000", true),
            ("0080", 5000, .confirmationCodeVerified, "010002", false),
        ] as [(String, UInt64, Outcome.CVM, String, Bool)])
    func onlineRequest(
        _ qualifiers: String, _ cents: UInt64, _ method: Outcome.CVM, _ results: String, _ receipt: Bool
    ) throws {
        let outcome = try Self.outcome {
            $0.cents = cents
            $0.card[0x9F6C] = qualifiers
        }
        #expect(outcome.status == .onlineRequest && outcome.cvm == method)
        #expect(outcome.receiptRequested == receipt)
        #expect(outcome.uiRequestOnOutcome?.message == .authorising)
        let record = try #require(outcome.dataRecord)
        // Method and condition; "unknown" and "successful" are both right for a result that the issuer gives.
        #expect(record[0x9F34].map { Hex.string($0.prefix(1)) } == String(results.prefix(2)))
        #expect(record[0x9F66].map { Hex.string($0) } == (cents == 5000 ? "36C0C000" : "3680C000"))
        #expect(record[0x9F02].map { Hex.string($0) } == (cents == 5000 ? "000000005000" : "000000001000"))
        #expect(record[0x95].map { Hex.string($0) } == "0000000000")
        #expect(record[0x9F37].map { Hex.string($0) } == "12345678")
        #expect(record[0x9A].map { Hex.string($0) } == "261120")
        #expect(record[0x9F26].map { Hex.string($0) } == "1122334455667788")
        #expect(record[0x57].map { Hex.string($0) } == "4761739001010119D31122010000012300000F")
    }

    /// A card cannot change what the terminal says of itself and of the transaction.
    @Test func cardCannotChangeTerminalData() throws {
        let outcome = try Self.outcome {
            $0.extra =
                "9F0206000000000001" + "9F370400000000" + "5F2A020840" + "9A03991231" + "95058000000000"
                + "9F1A020840" + "9C0120" + "9F660400000000" + "9F34033F0002"
        }
        let record = try #require(outcome.dataRecord)
        #expect(record[0x9F02].map { Hex.string($0) } == "000000001000")
        #expect(record[0x9F37].map { Hex.string($0) } == "12345678")
        #expect(record[0x5F2A].map { Hex.string($0) } == "0978")
        #expect(record[0x9A].map { Hex.string($0) } == "261120")
        #expect(record[0x95].map { Hex.string($0) } == "0000000000")
        #expect(record[0x9F1A].map { Hex.string($0) } == "0276")
        #expect(record[0x9C].map { Hex.string($0) } == "00")
        #expect(record[0x9F66].map { Hex.string($0) } == "3680C000")
    }

    // MARK: - Dynamic reader limits

    struct Limits: Sendable, CustomTestStringConvertible {
        var name: String
        var program: String?
        var cents: UInt64
        var sets: [DynamicReaderLimits]
        /// TTQ in GPO; nil: not sent.
        var qualifiers: String?
        var testDescription: String { name }
    }
    static func limits(
        _ program: [UInt8], status: Bool = false, zero: Bool = true, transaction: UInt64? = nil,
        floor: UInt64? = nil, cvm: UInt64? = nil
    ) -> DynamicReaderLimits {
        DynamicReaderLimits(
            applicationProgramIdentifier: program, statusCheckSupported: status, zeroAmountAllowed: zero,
            contactlessTransactionLimit: transaction.flatMap { Amount(minorUnits: $0) },
            contactlessFloorLimit: floor.flatMap { Amount(minorUnits: $0) },
            cvmRequiredLimit: cvm.flatMap { Amount(minorUnits: $0) })
    }
    /// The combination's own: floor limit 5.00, CVM limit 50.00.
    static let programs: [Limits] = [
        Limits(name: "no program", program: nil, cents: 5000, sets: [limits([3])], qualifiers: "36C0C000"),
        Limits(
            name: "no set for it", program: "0402", cents: 5000, sets: [limits([3])], qualifiers: "36C0C000"),
        Limits(
            name: "a set without limits", program: "03", cents: 5000, sets: [limits([3])],
            qualifiers: "3600C000"),
        Limits(
            name: "a set longer than the program", program: "03", cents: 5000, sets: [limits([3, 1])],
            qualifiers: "36C0C000"),
        Limits(
            name: "the longest set that fits", program: "0301", cents: 5000,
            sets: [limits([3, 1], floor: 100), limits([3], cvm: 100)], qualifiers: "3680C000"),
        Limits(
            name: "the longest set that fits, in the other order", program: "0301", cents: 5000,
            sets: [limits([3], cvm: 100), limits([3, 1], floor: 100)], qualifiers: "3680C000"),
        Limits(
            name: "at the floor limit", program: "03", cents: 100, sets: [limits([3], floor: 100)],
            qualifiers: "3600C000"),
        Limits(
            name: "above the floor limit", program: "03", cents: 101, sets: [limits([3], floor: 100)],
            qualifiers: "3680C000"),
        Limits(
            name: "below the transaction limit", program: "03", cents: 99,
            sets: [limits([3], transaction: 100)], qualifiers: "3600C000"),
        Limits(
            name: "at the transaction limit", program: "03", cents: 100,
            sets: [limits([3], transaction: 100)],
            qualifiers: nil),
        Limits(
            name: "status check", program: "03", cents: 100, sets: [limits([3], status: true)],
            qualifiers: "3680C000"),
        Limits(
            name: "status check, another amount", program: "03", cents: 200,
            sets: [limits([3], status: true)],
            qualifiers: "3600C000"),
        Limits(name: "zero amount", program: "03", cents: 0, sets: [limits([3])], qualifiers: "3680C000"),
        Limits(
            name: "zero amount not allowed", program: "03", cents: 0, sets: [limits([3], zero: false)],
            qualifiers: nil),
    ]

    /// Programs in the FCI's proprietary template and in its discretionary data.
    @Test(arguments: programs, [false, true]) func dynamicLimits(_ c: Limits, _ discretionary: Bool) throws {
        var program = ""
        if let value = c.program {
            program = "9F5A0" + String(value.count / 2) + value
            if discretionary { program = "BF0C0" + String(program.count / 2) + program }
        }
        var setup = Setup()
        setup.cents = c.cents
        setup.dynamic = c.sets
        setup.fci = QVSDCKernelTests.fci("9F38039F6604" + program)
        let (final, commands, _) = try QVSDCKernelTests.run(setup)
        let sent = commands.first { $0.hasPrefix("80A8") }.map { String($0.dropFirst(14).prefix(8)) }
        #expect(sent == c.qualifiers)
        if c.qualifiers == nil { #expect(final.outcome.status == .endApplication) }
    }

    // MARK: - The next candidate

    /// A program that rules the amount out and a card that refuses (6985) leave the second Visa application its turn;
    /// other refusals do not.
    @Test(arguments: [("6985", true), ("6A81", false), ("6984", false), ("9000", false)])
    func nextCandidate(_ status: String, _ goesOn: Bool) throws {
        let names = ["A0000000031010", "A0000000032010"]
        let answers = card(names.enumerated().map { DirectoryEntry($1, priority: UInt8($0 + 1)) })
        var combinations = names.map { combination($0, 3) }
        for index in combinations.indices {
            combinations[index].terminalTransactionQualifiers = TerminalTransactionQualifiers(
                rawValue: 0x3600_C000)
        }
        var good = BERTLVWriter()
        good.template(0x77) { inside in
            for (tag, value) in QVSDCKernelTests.answer { inside.append(tag, Hex.bytes(value) ?? []) }
        }
        let approving: [UInt8] = good.bytes + [0x90, 0x00]
        let refusing = try bytes(status)
        var count = 0
        var bench = Bench(combinations) { (command: [UInt8]) -> [UInt8]? in
            guard command[1] == 0xA8 else { return answers(command) }
            count += 1
            return count == 1 ? refusing : approving
        }
        bench.entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: combinations, terminal: TerminalConfiguration(data: [:])), kernels: .all)
        let final = try bench.pay(1000)
        #expect(bench.selected == (goesOn ? names : [names[0]]))
        #expect((final.outcome.status == .onlineRequest) == goesOn)
        #expect(bench.activations == 1)
        if goesOn { #expect(final.selected.map { Hex.string($0.applicationIdentifier) } == names[1]) }
    }
}
