import BERTLV
import Cards
import EMV
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
                    isMagStripe ? "770A 82020000 940408010100 9000" : "770A 82021981 940410010100 9000"),
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
            log = found.persistentData
        }
    }

    private static func event(
        _ action: KernelAction, _ answers: [String: [UInt8]], _ random: inout SeededGenerator
    ) -> KernelEvent {
        guard case .transmit(let command) = action else {
            if case .drawUnpredictableNumber = action { return .unpredictableNumber(7) }
            return .done
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
