import BERTLV
import EMV
import SmartCard
import Testing

@testable import Kernels

/// Torn transactions (Book C-2, S9, S10, S11) and balance reading (S16, S17) of Kernel 2 against hand-written answers.
@Suite struct Kernel2RecoveryTests {
    static let pan = "5413330089020011"

    /// A Mastercard terminal that keeps two torn records, wants both balances, and approves offline without CDA.
    static func configuration(_ change: (inout DataObjects) -> Void = { _ in }) -> CombinationConfiguration {
        var result = combination("A0000000041010", 2)
        result.contactlessTransactionLimit = Amount(minorUnits: 50000)
        result.contactlessFloorLimit = Amount(minorUnits: 50000)
        result.cvmRequiredLimit = Amount(minorUnits: 5000)
        result.kernelData = [
            0x9F09: [0x00, 0x02], 0xDF8117: [0xE0], 0xDF8118: [0x60], 0xDF8119: [0x08], 0xDF811B: [0x20],
            0xDF811D: [0x02], 0xDF8120: [0, 0, 0, 0, 0], 0xDF8121: [0, 0, 0, 0, 0],
            0xDF8122: [0, 0, 0, 0, 0],
        ]
        change(&result.kernelData)
        return result
    }

    static func record(_ pan: String = pan, _ changed: [Tag: String] = [:]) throws -> [UInt8] {
        var objects: [(Tag, String)] = [
            (0x5A, pan), (0x5F24, "311231"), (0x5F34, "01"), (0x8C, "9F02069F3704" + "95059A03"),
            (0x9F0D, "0000000000"), (0x9F0E, "0000000000"), (0x9F0F, "0000000000"), (0x9F42, "0978"),
            (0x9F51, "9F3704"),
        ]
        objects = objects.map { ($0.0, changed[$0.0] ?? $0.1) }.filter { !$0.1.isEmpty }
        return try MChipKernelTests.template(0x70, objects, [:], [], "")
    }
    static func cryptogram(_ type: String = "40", _ value: String = "1122334455667788") throws -> [UInt8] {
        try MChipKernelTests.template(
            0x77, [(0x9F27, type), (0x9F36, "0007"), (0x9F26, value), (0x9F10, "0110A00000")], [:], [], "")
    }

    struct Run {
        var outcome: Outcome
        var commands: [String]
        /// The Torn Transaction Log afterwards; nil for an empty one.
        var log: DataObjects?
        func discretionary(_ tag: Tag) -> String? { outcome.discretionaryData?[tag].map { Hex.string($0) } }
        func recorded(_ tag: Tag) -> String? { outcome.dataRecord?[tag].map { Hex.string($0) } }
        /// The instructions sent, one after the other.
        var instructions: [String] { commands.map { String($0.dropFirst(2).prefix(2)) } }
    }

    /// One tap: `answers` by instruction; nil is silence.
    static func tap(
        _ configuration: CombinationConfiguration, number: UInt32, cents: UInt64 = 1000,
        log: DataObjects? = nil, capabilities: String = "000200",
        record: [UInt8], _ answers: [String: [UInt8]?]
    ) throws -> Run {
        let activation = KernelActivation(
            combination: configuration, indicators: PreProcessingIndicators(),
            selectedApplication: try bytes("A0000000041010"),
            selectResponse: try ResponseAPDU(
                bytes: bytes("6F18 8407A0000000041010 A50D 50024D43 BF0C06 9F5D03 \(capabilities) 9000")),
            transaction: try inputs(cents), unpredictableNumber: number,
            terminal: TerminalConfiguration(data: [
                0x9F35: [0x22], 0x9F1A: [0x02, 0x76], 0x9F40: [0xF0, 0, 0xF0, 0xA0, 1],
            ]),
            persistentData: log)
        var kernel = MChipKernel(activation)
        var commands: [String] = []
        var action = kernel.start()
        for _ in 0..<50 {
            switch action {
            case .transmit(let command):
                let text = Hex.string(command.bytes)
                commands.append(text)
                let instruction = String(text.dropFirst(2).prefix(2))
                let answer: [UInt8]?
                switch instruction {
                case "A8": answer = try bytes("770A 82021080 940410010100 9000")
                case "B2": answer = record
                default: answer = answers[instruction] ?? [0x6D, 0x00]
                }
                action = kernel.handle(
                    try answer.map { .response(try ResponseAPDU(bytes: $0), microseconds: 1000) }
                        ?? .communicationError(.timeout))
            case .outcome(let outcome):
                let kept = outcome.persistentData ?? log
                return Run(outcome: outcome, commands: commands, log: kept?.isEmpty == true ? nil : kept)
            default: action = kernel.handle(.done)
            }
        }
        Issue.record("no outcome")
        return Run(outcome: Outcome(.endApplication), commands: commands)
    }

    /// S9 without an answer keeps a record; S10 recovers the answer, over the data that were sent then.
    @Test func recovered() throws {
        let configuration = Self.configuration()
        let first = try Self.tap(
            configuration, number: 0xAABB_CCDD, record: try Self.record(), ["AE": nil])
        #expect(first.outcome.status == .tryAgain)
        #expect(first.discretionary(0xDF8115)?.hasPrefix("01") == true)
        let log = try #require(first.log)

        let second = try Self.tap(
            configuration, number: 0x1122_3344, log: log, record: try Self.record(), ["D0": Self.cryptogram()]
        )
        #expect(second.instructions == ["A8", "B2", "D0"])
        #expect(second.commands.last == "80D0000004AABBCCDD00")
        #expect(second.outcome.status == .approved)
        // The cryptogram is over the first tap's unpredictable number, so that number goes into clearing.
        #expect(second.recorded(0x9F37) == "AABBCCDD")
        #expect(second.recorded(0x9F26) == "1122334455667788")
        #expect(second.log == nil)
        #expect(second.discretionary(0xFF8101) == nil)
    }

    /// S11: the card knows nothing of the torn GENERATE AC; a new one follows and the record leaves.
    @Test func notRecovered() throws {
        let configuration = Self.configuration()
        let log = try Self.tap(configuration, number: 1, record: try Self.record(), ["AE": nil])
            .log
        let run = try Self.tap(
            configuration, number: 2, log: log, record: try Self.record(),
            ["D0": [0x6A, 0x88], "AE": Self.cryptogram("80")])
        #expect(run.instructions == ["A8", "B2", "D0", "AE"])
        #expect(
            run.outcome.status == .onlineRequest)
        #expect(run.recorded(0x9F37) == "00000002")
        // Book C-2 tells of the lost record only where data storage was being written (S11.91).
        #expect(run.discretionary(0xFF8101) == nil)
        #expect(run.log == nil)
    }

    /// Torn again at each place: the log never loses the record that may still be recovered.
    @Test func tornAgain() throws {
        let configuration = Self.configuration()
        let log = try Self.tap(configuration, number: 1, record: try Self.record(), ["AE": nil])
            .log
        // S10 without an answer: the same record stays.
        var run = try Self.tap(
            configuration, number: 2, log: log, record: try Self.record(), ["D0": nil])
        #expect(run.outcome.status == .tryAgain)
        #expect(run.log == log)
        // S11 without an answer: the new GENERATE AC's record comes instead of the old one.
        run = try Self.tap(
            configuration, number: 3, log: log, record: try Self.record(),
            ["D0": [0x6A, 0x88], "AE": nil])
        #expect(run.outcome.status == .tryAgain)
        #expect(run.discretionary(0xFF8101) == nil)
        let kept = TornTransactionLog(run.log).records
        #expect(kept.count == 1)
        #expect(kept.first?[0x9F37].map { Hex.string($0) } == "00000003")
        // Before GENERATE AC: nothing changes.
        run = try Self.tap(configuration, number: 4, log: log, record: [0x6A, 0x83], [:])
        #expect(run.outcome.status == .endApplication)
        #expect(run.log == log)
    }

    /// Another card, sequence number or amount: a new GENERATE AC, and the record waits for its card.
    @Test func onlyItsOwnCard() throws {
        let configuration = Self.configuration()
        let log = try Self.tap(configuration, number: 1, record: try Self.record(), ["AE": nil])
            .log
        for (record, cents) in [
            (try Self.record("5413330089020029"), 1000), (try Self.record(Self.pan, [0x5F34: "02"]), 1000),
            (try Self.record(Self.pan, [0x5F34: ""]), 1000), (try Self.record(Self.pan, [0x9F51: ""]), 1000),
            (try Self.record(), 1001),
        ] {
            let run = try Self.tap(
                configuration, number: 2, cents: UInt64(cents), log: log, record: record,
                ["AE": Self.cryptogram()])
            #expect(run.instructions == ["A8", "B2", "AE"])
            #expect(run.outcome.status == .approved)
            #expect(run.log == log)
        }
    }

    /// Two records fit: the third tear drops the oldest, which leaves as Torn Record.
    @Test func oldestLeaves() throws {
        let configuration = Self.configuration()
        var log: DataObjects?
        var last: Run?
        for (index, pan) in ["5413330089020011", "5413330089020029", "5413330089020037"].enumerated() {
            last = try Self.tap(
                configuration, number: UInt32(index + 1), log: log, record: try Self.record(pan),
                ["AE": nil])
            log = last?.log
        }
        #expect(TornTransactionLog(log).records.count == 2)
        #expect(last?.discretionary(0xFF8101)?.contains("5A085413330089020011") == true)
    }

    /// No room for records (the default), or a card without DRDOL: nothing is kept.
    @Test func notSupported() throws {
        let off = Self.configuration { $0.set(0xDF811D, [0]) }
        #expect(
            try Self.tap(off, number: 1, record: try Self.record(), ["AE": nil]).log
                == nil)
        let without = try Self.record(Self.pan, [0x9F51: ""])
        #expect(
            try Self.tap(Self.configuration(), number: 1, record: without, ["AE": nil]).log == nil)
    }

    /// A log that is noise is an empty log.
    @Test(arguments: ["", "FF", "FF8101", "FF810105", "FF810103 5A0854", "5A0100", "FF8101035A0100FFFFFFFF"])
    func spoiltLog(_ hex: String) throws {
        let run = try Self.tap(
            Self.configuration(), number: 1, log: [0xFF8101: try bytes(hex)], record: try Self.record(),
            ["AE": Self.cryptogram()])
        #expect(run.instructions == ["A8", "B2", "AE"])
        #expect(run.outcome.status == .approved)
    }

    // MARK: - Balance

    static func balance(_ before: Bool, _ after: Bool) -> CombinationConfiguration {
        configuration {
            if before { $0.set(0xDF8104, []) }
            if after { $0.set(0xDF8105, []) }
        }
    }

    @Test func balances() throws {
        let answer = try bytes("9F5006000000012345 9000")
        let run = try Self.tap(
            Self.balance(true, true), number: 1, record: try Self.record(),
            ["CA": answer, "AE": Self.cryptogram()])
        #expect(run.commands.filter { $0.hasPrefix("80CA") } == ["80CA9F5000", "80CA9F5000"])
        #expect(run.instructions == ["A8", "B2", "CA", "AE", "CA"])
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF8104) == "000000012345")
        #expect(run.discretionary(0xDF8105) == "000000012345")
        #expect(run.outcome.uiRequestOnOutcome?.valueQualifier == .balance)
        #expect(run.outcome.uiRequestOnOutcome?.value == Amount(minorUnits: 12345))
    }

    /// The terminal wants none, or the card has none.
    @Test func noBalance() throws {
        var run = try Self.tap(
            Self.balance(false, false), number: 1, record: try Self.record(), ["AE": Self.cryptogram()])
        #expect(run.instructions == ["A8", "B2", "AE"])
        run = try Self.tap(
            Self.balance(true, true), number: 1, capabilities: "000000", record: try Self.record(),
            ["AE": Self.cryptogram()])
        #expect(run.instructions == ["A8", "B2", "AE"])
    }

    /// A balance that is no balance changes nothing of the payment.
    @Test(arguments: ["6A88", "9F50050000012345 9000", "9F5106000000012345 9000", "9F5006 9000", "9000"])
    func spoiltBalance(_ hex: String) throws {
        let run = try Self.tap(
            Self.balance(true, true), number: 1, record: try Self.record(),
            ["CA": try bytes(hex), "AE": Self.cryptogram()])
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF8104) == "")
        #expect(run.discretionary(0xDF8105) == "")
        #expect(run.outcome.uiRequestOnOutcome?.valueQualifier == UserInterfaceRequest.ValueQualifier.none)
    }

    /// Silence before GENERATE AC asks for the card again; after it the payment is done (S16, S17).
    @Test func silentBalance() throws {
        var run = try Self.tap(
            Self.balance(true, false), number: 1, record: try Self.record(), ["CA": nil])
        #expect(run.outcome.status == .tryAgain)
        #expect(run.log == nil)
        run = try Self.tap(
            Self.balance(false, true), number: 1, record: try Self.record(),
            ["CA": nil, "AE": Self.cryptogram()])
        #expect(run.outcome.status == .approved)
    }
}
