import BERTLV
import EMV
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

/// Data exchange and data storage of Kernel 2 (Book C-2, S1, S2, S3R1, S5, S6, S8, S12, S15, 7.6) against hand-written
/// answers. Names give the book's states.
@Suite struct Kernel2DataExchangeTests {
    /// A terminal and a card without CDA; tests add what they are about.
    struct Setup {
        var data: DataObjects = [
            0x9F09: [0x00, 0x02], 0xDF8117: [0xC0], 0xDF8118: [0x60], 0xDF8119: [0x08], 0xDF811B: [0x20],
            0xDF811F: [0x08], 0xDF8120: [0, 0, 0, 0, 0], 0xDF8121: [0, 0, 0, 0, 0],
            0xDF8122: [0, 0, 0, 0, 0],
        ]
        /// Inside A5 of the answer to SELECT.
        var proprietary = "5002 4D43"
        var options = "8202 1080 9404 10010100"
        var record =
            "5A08 5413330089020011 5F2403 311231 5F3401 01 8C0A 9F02069F370495059A03"
            + " 9F0D050000000000 9F0E050000000000 9F0F050000000000"
        var generated = "9F270140 9F36020007 9F2608 1122334455667788 9F1005 0110A00000"
        /// Answers by the first four hexadecimal digits of the command, or by two: instruction.
        var answers: [String: String] = [:]
        /// DET for each DEK, then for each wait; nil is none.
        var replies: [DataObjects?] = []
        var waits: [DataObjects?] = []
        var stopAt: String?
        var type: UInt8 = 0
    }
    struct Run {
        var outcome: Outcome
        var commands: [String] = []
        var signals: [DataExchange] = []
        var waits: [UInt32] = []
        var displayed: [UserInterfaceRequest] = []
        var error: [UInt8] {
            outcome.discretionaryData?[0xDF8115].map { Array($0) } ?? [UInt8](repeating: 0xEE, count: 6)
        }
        func discretionary(_ tag: BERTLV.Tag) -> String? {
            outcome.discretionaryData?[tag].map { Hex.string($0) }
        }
    }

    static func length(_ hex: String) -> String {
        let count = hex.count / 2
        return count < 128 ? Hex.string([UInt8(count)]) : Hex.string([0x81, UInt8(count)])
    }
    static func template(_ tag: String, _ content: String) throws -> [UInt8] {
        let inside = content.replacing(" ", with: "")
        return try bytes(tag + length(inside) + inside + "9000")
    }

    static func run(_ setup: Setup) throws -> Run {
        var combination = combination("A0000000041010", 2)
        combination.contactlessTransactionLimit = Amount(minorUnits: 50000)
        combination.contactlessFloorLimit = Amount(minorUnits: 50000)
        combination.cvmRequiredLimit = Amount(minorUnits: 5000)
        combination.kernelData = setup.data
        let inside = setup.proprietary.replacing(" ", with: "")
        let activation = KernelActivation(
            combination: combination, indicators: PreProcessingIndicators(),
            selectedApplication: try bytes("A0000000041010"),
            selectResponse: try ResponseAPDU(
                bytes: template("6F", "8407A0000000041010A5" + length(inside) + inside)),
            transaction: try inputs(1000, type: setup.type), unpredictableNumber: 0x0102_0304,
            terminal: TerminalConfiguration(
                data: [
                    0x9F35: [0x22], 0x9F1A: [0x02, 0x76], 0x9F40: [0xF0, 0, 0xF0, 0xA0, 1],
                ], certificationAuthorityKeys: TestReader().configuration.terminal.certificationAuthorityKeys)
        )
        var kernel = MChipKernel(activation)
        var run = Run(outcome: Outcome(.endApplication))
        var replies = setup.replies[...]
        var waits = setup.waits[...]
        var action = kernel.start()
        for _ in 0..<400 {
            switch action {
            case .transmit(let command):
                let text = Hex.string(command.bytes)
                run.commands.append(text)
                if let stop = setup.stopAt, text.hasPrefix(stop) {
                    action = kernel.handle(.stop)
                    // Where STOP is not taken, the command is under way still.
                    guard case .transmit(let same) = action, same.bytes == command.bytes else { continue }
                }
                let instruction = String(text.dropFirst(2).prefix(2))
                let key = setup.answers.keys.filter { text.hasPrefix($0) }.max { $0.count < $1.count }
                var answer: [UInt8]?
                if let key {
                    answer = try setup.answers[key].flatMap { $0 == "silence" ? nil : try bytes($0) }
                } else {
                    answer =
                        switch instruction {
                        case "A8": try template("77", setup.options)
                        case "B2": try template("70", setup.record)
                        case "AE": try template("77", setup.generated)
                        case "DA": [0x90, 0x00]
                        default: [0x6A, 0x88]
                        }
                }
                action = kernel.handle(
                    try answer.map { .response(try ResponseAPDU(bytes: $0), microseconds: 1000) }
                        ?? .communicationError(.timeout))
            case .sendDataExchange(let signal):
                run.signals.append(signal)
                let reply = replies.popFirst() ?? nil
                action = kernel.handle(reply.map { .dataExchange($0) } ?? .done)
            case .waitForData(let time):
                run.waits.append(time)
                let data = waits.popFirst() ?? nil
                action = kernel.handle(data.map { .dataExchange($0) } ?? .timeout)
            case .display(let request):
                run.displayed.append(request)
                action = kernel.handle(.done)
            case .outcome(let outcome):
                run.outcome = outcome
                return run
            default: action = kernel.handle(.done)
            }
        }
        Issue.record("no outcome")
        return run
    }

    /// Nothing configured: no signal is sent.
    @Test func silent() throws {
        let run = try Self.run(Setup())
        #expect(run.outcome.status == .approved)
        #expect(run.signals.isEmpty && run.waits.isEmpty)
        #expect(run.displayed.map(\.message) == [.clearDisplay])
        #expect(run.displayed.map(\.status) == [.cardReadSuccessfully])
    }

    // MARK: - S1, S2: data for the PDOL

    static var operatorPDOL: Setup {
        var setup = Setup()
        setup.proprietary = "5002 4D43 9F3803 9F5C08"
        setup.data.set(0x9F5C, [])
        return setup
    }

    /// S1.21, S2.8: what is present without a value is asked for, and GET PROCESSING OPTIONS waits for it.
    @Test func dataForProcessingOptions() throws {
        var setup = Self.operatorPDOL
        setup.replies = [[0x9F5C: [1, 2, 3, 4, 5, 6, 7, 8]]]
        var run = try Self.run(setup)
        #expect(run.signals.first?.dataNeeded == [0x9F5C])
        #expect(run.commands.first == "80A800000A8308010203040506070800")
        #expect(run.outcome.status == .approved)
        // Later, while the kernel waits for the time of DF8127.
        setup.replies = []
        setup.waits = [[0x9F5C: [1, 2, 3, 4, 5, 6, 7, 8]]]
        run = try Self.run(setup)
        #expect(run.waits == [500])
        #expect(run.outcome.status == .approved)
    }

    /// S2: time-out, STOP, data of the wrong length, and a partner that never has it.
    @Test func processingOptionsDataNeverCome() throws {
        var setup = Self.operatorPDOL
        var run = try Self.run(setup)
        #expect(run.commands.isEmpty)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error[2] == 0x01)
        setup.waits = .init(repeating: [0x9F5C: [1, 2]], count: 300)
        run = try Self.run(setup)
        #expect(run.error[2] == 0x01)
        #expect(run.waits.count <= MChipKernel.maximumExchanges)
    }

    /// A tag that is not there at all is filled with zeros, as in any DOL.
    @Test func absentDataAreZeros() throws {
        var setup = Self.operatorPDOL
        setup.data.remove(0x9F5C)
        let run = try Self.run(setup)
        #expect(run.signals.isEmpty)
        #expect(run.commands.first == "80A800000A8308000000000000000000")
    }

    // MARK: - Tags To Read

    /// S1.15, S3R1.1, S5, S456.2: records' data and GET DATA, told when all of it is there.
    @Test func tagsToRead() throws {
        var setup = Setup()
        // 5F24 from the record, 9F75 by GET DATA, 9F76 which the card has not, 9F02 of the terminal.
        setup.data.set(0xDF8112, try bytes("5F24 9F75 9F76 9F02"))
        setup.answers["80CA9F75"] = "9F7503 AABBCC 9000"
        let run = try Self.run(setup)
        #expect(
            run.commands.map { String($0.prefix(8)) } == [
                "80A80000", "80CA9F75", "80CA9F76", "00B20114", "80AE4000",
            ])
        #expect(run.outcome.status == .approved)
        let sent = run.signals.reduce(into: DataObjects()) { $0.merge($1.dataToSend) }
        #expect(sent[0x9F75].map { Array($0) } == [0xAA, 0xBB, 0xCC])
        #expect(sent[0x9F76].map { Array($0) } == [])
        #expect(sent[0x5F24].map { Array($0) } == [0x31, 0x12, 0x31])
        #expect(sent.contains(0x9F02))
        #expect(run.signals.allSatisfy { $0.dataNeeded.isEmpty })
    }

    /// S456.21: what was never found goes out without a value, unless the kernel does not know it; nothing is told twice.
    @Test func tagsNeverFound() throws {
        var setup = Setup()
        setup.data.set(0xDF8112, try bytes("5F20 5F28 5F24"))
        let run = try Self.run(setup)
        let tags = run.signals.flatMap { $0.dataToSend.tags }
        #expect(tags.sorted { $0.rawValue < $1.rawValue } == [0x5F24, 0x5F28])
        #expect(run.signals.last?.dataToSend[0x5F28].map { Array($0) } == [])
    }

    /// S5 whose answer is of another tag, malformed or too long: the tag without a value.
    @Test(arguments: ["9F7601AA 9000", "9F75 9000", "9F7504AABB 9000", "9000", "6985"])
    func spoiltGetData(_ answer: String) throws {
        var setup = Setup()
        setup.data.set(0xDF8112, try bytes("9F75"))
        setup.answers["80CA9F75"] = answer
        let run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(run.signals.first?.dataToSend[0x9F75].map { Array($0) } == [])
    }

    /// S5 without an answer.
    @Test func silentGetData() throws {
        var setup = Setup()
        setup.data.set(0xDF8112, try bytes("9F75"))
        setup.answers = ["80CA9F75": "silence"]
        #expect(try Self.run(setup).outcome.status == .tryAgain)
    }

    // MARK: - S6, S8: Proceed To First Write Flag

    @Test(arguments: [true, false]) func firstWrite(_ isEMV: Bool) throws {
        var setup = Setup()
        if !isEMV { setup.becomeMagStripe() }
        setup.data.set(0xDF8110, [])
        setup.replies = [nil]
        setup.waits = [[0xDF8110: [0]], [0xDF8110: [1]]]
        var run = try Self.run(setup)
        #expect(run.signals.first?.dataNeeded == [0xDF8110])
        #expect(run.waits.count == 2)
        #expect(run.outcome.status == (isEMV ? .approved : .onlineRequest))
        // Zero from the beginning: waits without asking.
        setup.data.set(0xDF8110, [0])
        setup.waits = [[0xDF8110: [1]]]
        run = try Self.run(setup)
        #expect(run.signals.isEmpty)
        #expect(run.waits.count == 1)
        // Never.
        setup.waits = []
        run = try Self.run(setup)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error[2] == 0x01)
        #expect(!run.commands.contains { $0.hasPrefix("80AE") || $0.hasPrefix("802A") })
    }

    /// S6.8: the terminal saw the records and wants more before it lets the kernel go on.
    @Test func readsMoreBeforeFirstWrite() throws {
        var setup = Setup()
        setup.data.set(0xDF8110, [])
        setup.waits = [[0xDF8112: try bytes("9F79")], [0xDF8110: [1]]]
        setup.answers["80CA9F79"] = "9F790155 9000"
        let run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(
            run.commands.map { String($0.prefix(8)) } == ["80A80000", "00B20114", "80CA9F79", "80AE4000"])
        #expect(run.signals.contains { $0.dataToSend[0x9F79].map { Array($0) } == [0x55] })
    }

    /// The terminal may not change what was agreed at the start.
    @Test func amountsStay() throws {
        var setup = Setup()
        setup.data.set(0xDF8110, [])
        setup.replies = [
            [0x9F02: [0, 0, 0, 0, 0, 1], 0x9F37: [9, 9, 9, 9], 0xDF8110: [1], 0xDF811B: [0xFF]]
        ]
        let run = try Self.run(setup)
        #expect(run.outcome.dataRecord?[0x9F02].map { Hex.string($0) } == "000000001000")
        #expect(run.outcome.dataRecord?[0x9F37].map { Hex.string($0) } == "01020304")
    }

    /// STOP at each command: End Application with its reason, but a payment that was made stays made (S15, S17).
    @Test(arguments: [
        ("80A8", false), ("80CA9F75", false), ("00B2", false), ("80DA9F75", false), ("80AE", false),
        ("80DA9F79", true),
    ])
    func stopAnywhere(_ command: String, _ isMade: Bool) throws {
        var setup = Setup()
        setup.data.set(0xDF8112, try bytes("9F75"))
        setup.data.set(0xFF8102, try bytes("9F7501AA"))
        setup.data.set(0xFF8103, try bytes("9F7901DD"))
        setup.stopAt = command
        let run = try Self.run(setup)
        #expect(run.outcome.status == (isMade ? .approved : .endApplication))
        #expect(run.error[2] == (isMade ? 0 : 2))
    }

    // MARK: - Standalone data storage

    /// S12 and S15: PUT DATA before and after GENERATE AC, with their status.
    @Test func putData() throws {
        var setup = Setup()
        setup.data.set(0xFF8102, try bytes("9F7501AA 9F7602BBCC"))
        setup.data.set(0xFF8103, try bytes("9F7901DD"))
        let run = try Self.run(setup)
        #expect(
            run.commands.dropFirst(2).map { String($0.prefix(12)) } == [
                "80DA9F7501AA", "80DA9F7602BB", "80AE40001200", "80DA9F7901DD",
            ])
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF810F) == "80")
        #expect(run.discretionary(0xDF810E) == "80")
        // S15.12: "card read" comes after the last write.
        #expect(run.displayed.map(\.message) == [.clearDisplay])
    }

    /// A write that fails ends the writing, not the payment; one that gets no answer before GENERATE AC ends the tap.
    @Test func putDataFails() throws {
        var setup = Setup()
        setup.data.set(0xFF8102, try bytes("9F7501AA 9F7602BBCC"))
        setup.data.set(0xFF8103, try bytes("9F7801DD 9F7901DD"))
        setup.answers = ["80DA": "6985"]
        var run = try Self.run(setup)
        #expect(run.commands.count { $0.hasPrefix("80DA") } == 2)
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF810F) == "00")
        #expect(run.discretionary(0xDF810E) == "00")
        setup.answers = ["80DA9F75": "silence"]
        run = try Self.run(setup)
        #expect(run.outcome.status == .tryAgain)
        setup.answers = ["80DA9F78": "silence"]
        run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF810E) == "00")
    }

    /// Lists that are noise, and tags that PUT DATA does not write, are passed over.
    @Test(arguments: ["DF8150010A", "9F75", "9F7505AA", "FF", ""]) func spoiltLists(_ hex: String) throws {
        var setup = Setup()
        for tag: BERTLV.Tag in [0xFF8102, 0xFF8103, 0xDF8112] where !hex.isEmpty {
            setup.data.set(tag, try bytes(hex))
        }
        let run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(!run.commands.contains { $0.hasPrefix("80DA") })
    }

    // MARK: - Integrated data storage

    static var storage: Setup {
        var setup = Setup()
        setup.proprietary = "5002 4D43 9F3803 9F5C08 BF0C12 9F5D03 010000 9F5E09 541333008902001101"
        setup.options = "8202 1980 9404 10010100 9F5F0180 9F7D08 0000000000000000 9F7F04 05060708"
        setup.record += " 9F5B09 DF6008 DF6108 DF63A0 9F4A0182"
        setup.data.set(0xDF810D, [0x01])
        setup.data.set(0x9F5C, [0x81, 0x99, 0x82, 0x99, 0x83, 0x99, 0x84, 0x99])
        return setup
    }

    /// S1.17, S3R1.11: the terminal learns what the card has of its operator.
    @Test func tellsOfTheSlot() throws {
        let run = try Self.run(Self.storage)
        let sent = run.signals.reduce(into: DataObjects()) { $0.merge($1.dataToSend) }
        #expect(sent[0x9F5E].map { Hex.string($0) } == "541333008902001101")
        #expect(sent[0x9F5D].map { Hex.string($0) } == "010000")
        #expect(sent[0x9F5F].map { Hex.string($0) } == "80")
        #expect(sent[0x9F7D] != nil && sent[0x9F7F] != nil)
        #expect(sent[0x9F37].map { Hex.string($0) } == "01020304")
    }

    /// A card without data storage, or an answer without a slot: the tags come without values and nothing is written.
    @Test func noSlot() throws {
        var setup = Self.storage
        setup.proprietary = "5002 4D43 9F3803 9F5C08"
        setup.options = "8202 1080 9404 10010100"
        var run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(run.signals.first?.dataToSend[0x9F5E].map { Array($0) } == [])
        setup = Self.storage
        setup.options = "8202 1080 9404 10010100"
        setup.data.set(0xDF62, [0x80])
        run = try Self.run(setup)
        #expect(run.outcome.status == .approved)
        #expect(run.commands.last?.hasPrefix("80AE4000") == true)
    }

    /// S456.19: a DS ID that is not the card's number.
    @Test func identifierDiffers() throws {
        var setup = Self.storage
        setup.proprietary = setup.proprietary.replacing("541333008902001101", with: "541333008902001102")
        let run = try Self.run(setup)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error[1] == 0x06)
    }

    /// The table of 7.6: AC type decided by the terminal's analysis, by the operator, and what DS ODS Info For Reader
    /// allows.
    @Test(arguments: [
        // analysis, DS AC Type, DS ODS Info For Reader, P1 or error
        ("40", "40", "00", "50"), ("40", "80", "00", "90"), ("40", "00", "00", "10"),
        ("80", "40", "40", "90"),
        ("80", "40", "20", "90"), ("80", "40", "04", "0E"), ("00", "40", "20", "10"),
        ("00", "80", "04", "0E"),
        ("80", "80", "00", "90"), ("40", "", "00", "0D"), ("40", "40", "", "0D"),
    ])
    func cryptogramType(_ analysis: String, _ wanted: String, _ information: String, _ expected: String)
        throws
    {
        var setup = Self.storage
        setup.data.set(0xDF62, [0x80])
        setup.data.set(0xDF60, [1, 1, 1, 1, 1, 1, 1, 1])
        setup.data.set(0xDF63, [0xAA, 0xBB, 0xCC])
        setup.data.set(0xDF8109, try bytes("1223344556677889"))
        if !wanted.isEmpty { setup.data.set(0xDF8108, try bytes(wanted)) }
        if !information.isEmpty { setup.data.set(0xDF810A, try bytes(information)) }
        if analysis == "80" { setup.data.set(0xDF8122, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) }
        if analysis == "00" { setup.data.set(0xDF8121, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) }
        setup.addCertificates()
        let run = try Self.run(setup)
        let generate = run.commands.first { $0.hasPrefix("80AE") }
        if expected.hasPrefix("0") {
            #expect(generate == nil)
            #expect(run.error[1] == (expected == "0D" ? 0x0D : 0x0E))
        } else {
            #expect(generate?.dropFirst(4).prefix(2) == expected[...])
            // ODS Term, the last of the DSDOL, is not filled up.
            let isWritten = !(analysis == "80" && wanted == "40" && information == "20")
            #expect(generate?.hasSuffix("AABBCC00") == isWritten)
        }
    }
}

extension Kernel2DataExchangeTests.Setup {
    mutating func becomeMagStripe() {
        options = "8202 0000 9404 08010100"
        record = "9F6C020001 9F6B13 5413330089020011D31122010000000000000F 9F6502000E 9F660207F0 9F670104"
        answers["802A"] = "770A 9F6102 04D2 9F3602 0BB8 9000"
        data.set(0xDF812C, [0x00])
    }

    /// Something in each place that CDA needs; the key of the reader is not asked for before the signature.
    mutating func addCertificates() {
        record += " 8F01F1 9F320103 9F470103 9004AABBCCDD 9F4604AABBCCDD"
    }
}
