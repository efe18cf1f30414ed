import BERTLV
import Cards
import EMV
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

/// Kernel 2 under tearing and noise: recovery of a signed answer through the Entry Point, and properties that hold
/// for every answer a card can give.
@Suite struct Kernel2PropertyTests {
    /// A genuine card whose answer to the first GENERATE AC is lost; `change` spoils what RECOVER AC gets.
    final class TornCard {
        let card: EmulatedCard
        let change: ([UInt8]) -> [UInt8]
        var isTorn = false
        var commands: [String] = []

        init(_ id: String, change: @escaping ([UInt8]) -> [UInt8]) throws {
            card = try EmulatedCard(profile: CardLibrary.profile(id), random: SeededGenerator(seed: 7))
            card.unlock()
            self.change = change
        }

        func process(_ command: [UInt8]) throws -> [UInt8]? {
            let text = Hex.string(command)
            commands.append(text)
            let answer = card.process(command)
            if text.hasPrefix("80D0") { return answer.map(change) }
            if text.hasPrefix("80AE"), !isTorn {
                isTorn = true
                return nil
            }
            return answer
        }
    }

    static func pay(_ torn: TornCard) throws -> Outcome {
        let reader = TestReader()
        var configuration = reader.configuration
        for index in configuration.combinations.indices {
            configuration.combinations[index].kernelData.set(0xDF811D, [0x01])
        }
        var entryPoint = EntryPoint(configuration: configuration, kernels: .all)
        var number: UInt32 = 0x1000_0000
        var action = entryPoint.start(try reader.inputs(1000))
        for _ in 0..<500 {
            switch action {
            case .outcome(let final): return final.outcome
            case .activateCard:
                torn.card.powerOn()
                action = entryPoint.handle(.cardActivated)
            case .kernel(.transmit(let command)):
                let answer = try torn.process(command.bytes)
                action = entryPoint.handle(
                    .kernel(
                        try answer.map { .response(try ResponseAPDU(bytes: $0), microseconds: 4000) }
                            ?? .communicationError(.timeout)))
            case .kernel(.drawUnpredictableNumber):
                number += 1
                action = entryPoint.handle(.kernel(.unpredictableNumber(number)))
            default: action = entryPoint.handle(.kernel(.done))
            }
        }
        Issue.record("no outcome")
        return Outcome(.endApplication)
    }

    /// S10: the signature of the recovered answer covers the data of the torn tap: unpredictable number, PDOL and CDOL1
    /// values, relay resistance data. It verifies, and any change to it does not.
    @Test(arguments: [("mc-debit", Outcome.Status.approved), ("mc-credit", .onlineRequest)])
    func recoveredSignature(_ id: String, _ expected: Outcome.Status) throws {
        let torn = try TornCard(id) { $0 }
        let outcome = try Self.pay(torn)
        #expect(outcome.status == expected)
        #expect(torn.commands.count { $0.hasPrefix("80AE") } == 1)
        let recover = try #require(torn.commands.last { $0.hasPrefix("80D0") })
        let number = outcome.dataRecord?[0x9F37].map { Hex.string($0) } ?? ""
        #expect(recover == "80D0000004" + number + "00")
        let generate = try #require(torn.commands.first { $0.hasPrefix("80AE") })
        #expect(generate.contains(number))

        let changed = try Self.pay(try TornCard(id) { edited($0, [0x9F36: "7777"]) })
        #expect(changed.status == .endApplication)
        #expect(changed.discretionaryData?[0xDF8115].map { Array($0)[1] } == 2)
    }

    /// Whatever comes: one outcome in bounded exchanges, with an Error Indication, and never more torn records than fit.
    @Test(arguments: 0..<40) func noise(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: 1000 + seed)
        var log: DataObjects?
        for round in 0..<50 {
            let isMagStripe = round % 4 == 3
            let answers: [String: [UInt8]] = [
                "A8": try bytes(
                    round % 3 == 1 && !isMagStripe
                        ? "7720 82021981 940410010100 9F5F0180 9F7D080000000000000000 9F7F0405060708 9000"
                        : isMagStripe ? "770A 82020000 940408010100 9000" : "770A 82021981 940410010100 9000"),
                "B2": isMagStripe
                    ? try bytes(
                        "7029 9F6C020001 9F6B135413330089020011D31122010000000000000F 9F6502000E 9F660207F0 9F670104 9000"
                    )
                    : try Kernel2RecoveryTests.record(), "EA": try bytes("800A AABBCCDD 0000 0032 0018 9000"),
                "CA": try bytes("9F5006000000012345 9000"), "AE": try Kernel2RecoveryTests.cryptogram(),
                "D0": try Kernel2RecoveryTests.cryptogram(),
                "2A": try bytes("770A 9F61 02 04D2 9F36 02 0BB8 9000"),
            ]
            var configuration = Kernel2RecoveryTests.balance(true, true)
            configuration.kernelData.set(0xDF811B, [0x30])
            var fci = try bytes("6F0F8407A0000000041010A5045002 4D43 9000")
            if round % 3 == 1 {
                // Data exchange and storage of all kinds.
                fci = try bytes(
                    "6F2A 8407A0000000041010 A51F 50024D43 9F3803 9F5C08 BF0C12 9F5D03010300 9F5E09541333008902001101 9000"
                )
                for (tag, value): (BERTLV.Tag, [UInt8]) in [
                    (0x9F5C, []), (0xDF810D, [1]), (0xDF8110, []), (0xDF8112, [0x9F, 0x75, 0x5F, 0x24]),
                    (0xFF8102, []), (0xFF8103, [0x9F, 0x79, 0x01, 0x05]), (0xDF62, []), (0xDF60, []),
                    (0xDF63, []),
                    (0xDF8108, [0x40]), (0xDF810A, [UInt8.random(in: 0...255, using: &random)]),
                ] { configuration.kernelData.set(tag, value) }
            }
            if round % 5 == 4 { Self.spoil(&fci, &random) }
            guard let selected = try? ResponseAPDU(bytes: fci) else { continue }
            var kernel = MChipKernel(
                KernelActivation(
                    combination: configuration, indicators: PreProcessingIndicators(),
                    selectedApplication: try bytes("A0000000041010"), selectResponse: selected,
                    transaction: try inputs(1000),
                    unpredictableNumber: UInt32.random(in: 0 ... .max, using: &random),
                    terminal: TerminalConfiguration(data: [0x9F35: [0x22], 0x9F1A: [0x02, 0x76]]),
                    persistentData: log))
            var action = kernel.start()
            var outcome: Outcome?
            for _ in 0..<400 {
                if case .outcome(let found) = action {
                    outcome = found
                    break
                }
                action = kernel.handle(Self.event(action, answers, &random))
            }
            let found = try #require(outcome, "seed \(seed), round \(round)")
            #expect(found.discretionaryData?.length(0xDF8115) == 6)
            #expect(TornTransactionLog(found.persistentData).records.count <= 2)
            if found.status == .approved || found.status == .onlineRequest {
                #expect(found.dataRecord != nil)
            }
            // Finished: every further event gives the outcome again.
            guard case .outcome(let again) = kernel.handle(Self.event(action, answers, &random)) else {
                Issue.record("not finished")
                return
            }
            #expect(again == found)
            log = found.persistentData ?? log
        }
    }

    /// Data objects that were asked for and others, of whatever length.
    private static func someData(_ needed: [BERTLV.Tag], _ random: inout SeededGenerator) -> DataObjects {
        var data = DataObjects()
        let tags: [BERTLV.Tag] = [
            0x9F5C, 0xDF60, 0xDF62, 0xDF63, 0xDF8108, 0xDF8109, 0xDF810A, 0xDF8110, 0xDF8112, 0xFF8102,
            0xFF8103,
            0x9F75, 0x9F02, 0x5A, 0xDF8115, 0x9F53, 0x9F7C, 0xDF8104,
        ]
        for tag in needed + (0..<3).map({ _ in tags[Int.random(in: 0..<tags.count, using: &random)] }) {
            let usual = [0x9F5C: 8, 0xDF60: 8, 0xDF8109: 8][tag.rawValue] ?? 1
            let count = Bool.random(using: &random) ? usual : Int.random(in: 0...255, using: &random)
            data.set(tag, (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
        return data
    }

    private static func event(
        _ action: KernelAction, _ answers: [String: [UInt8]], _ random: inout SeededGenerator
    ) -> KernelEvent {
        guard case .transmit(let command) = action else {
            switch action {
            case .drawUnpredictableNumber: return .unpredictableNumber(7)
            // The partner of data exchange: silent, late, right, wrong, stopping.
            case .sendDataExchange(let signal):
                switch UInt8.random(in: 0..<8, using: &random) {
                case 0: return .stop
                case 1, 2: return .done
                default: return .dataExchange(someData(signal.dataNeeded, &random))
                }
            case .waitForData:
                return UInt8.random(in: 0..<4, using: &random) == 0
                    ? .timeout : .dataExchange(someData([0x9F5C, 0xDF8110], &random))
            default: return .done
            }
        }
        switch UInt8.random(in: 0..<12, using: &random) {
        case 0: return .communicationError(.timeout)
        case 1, 2, 3:
            var answer = answers[String(Hex.string(command.bytes).dropFirst(2).prefix(2))] ?? [0x6D, 0x00]
            spoil(&answer, &random)
            guard let response = try? ResponseAPDU(bytes: answer) else {
                return .communicationError(.protocol)
            }
            return .response(response, microseconds: UInt32.random(in: 0 ... .max, using: &random))
        default:
            let answer = answers[String(Hex.string(command.bytes).dropFirst(2).prefix(2))] ?? [0x6D, 0x00]
            guard let response = try? ResponseAPDU(bytes: answer) else { return .stop }
            return .response(response, microseconds: UInt32.random(in: 0..<20000, using: &random))
        }
    }

    /// Bytes changed, cut, doubled or put in; the status word stays in half of the cases.
    private static func spoil(_ answer: inout [UInt8], _ random: inout SeededGenerator) {
        let status = Array(answer.suffix(2))
        var body = Array(answer.dropLast(2))
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place = Int.random(in: 0...body.count, using: &random)
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0 where place < body.count: body[place] = UInt8.random(in: 0 ... .max, using: &random)
            case 1: body.insert(UInt8.random(in: 0 ... .max, using: &random), at: place)
            case 2 where place < body.count: body.removeSubrange(place...)
            default: body += body.prefix(place)
            }
        }
        body = Array(body.prefix(254))
        answer = body + (Bool.random(using: &random) ? status : [0x90, 0x00])
    }
}
