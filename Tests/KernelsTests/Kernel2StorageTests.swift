import BERTLV
import Cards
import EMV
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

/// Integrated data storage through the Entry Point, against the emulated card that keeps operators' data under a real
/// signature.
@Suite struct Kernel2StorageTests {
    static let operatorIdentifier = "8199829983998499"

    /// A gate: its card, what it writes, and what goes wrong on the way.
    struct Gate {
        let card: EmulatedCard
        var operatorIdentifier = Kernel2StorageTests.operatorIdentifier
        var input = "0000000000000000"
        var nextInput = "1223344556677889"
        var data = "AABBCC"
        var information: UInt8 = 0xE0
        /// Spoils an answer: instruction, answer.
        var change: (String, [UInt8]) -> [UInt8]? = { _, answer in answer }
        /// The first command of this instruction does not reach the card, or its answer is lost.
        var lostCommand: String?
        var lostAnswer: String?
        /// Commands of this instruction do not reach the card and are refused.
        var refused: String?

        init() throws {
            card = try EmulatedCard(
                profile: CardLibrary.profile("mc-data-storage"), random: SeededGenerator(seed: 5))
        }
    }
    struct Run {
        var outcome: Outcome
        var sent = DataObjects()
        var commands: [String] = []
        var error: UInt8 { outcome.discretionaryData?[0xDF8115].map { Array($0)[1] } ?? 0xEE }
        func discretionary(_ tag: BERTLV.Tag) -> String? {
            outcome.discretionaryData?[tag].map { Hex.string($0) }
        }
    }

    static func tap(_ gate: inout Gate) throws -> Run {
        let reader = TestReader()
        var configuration = reader.configuration
        for index in configuration.combinations.indices where configuration.combinations[index].kernel == 2 {
            var data = configuration.combinations[index].kernelData
            data.set(0xDF810D, [0x01])
            for tag: BERTLV.Tag in [0x9F5C, 0xDF60, 0xDF62, 0xDF63] { data.set(tag, []) }
            data.set(0xDF8108, [0x40])
            data.set(0xDF8109, try bytes(gate.nextInput))
            data.set(0xDF810A, [gate.information])
            data.set(0xDF811D, [0x02])
            configuration.combinations[index].kernelData = data
        }
        let answers: DataObjects = [
            0x9F5C: try bytes(gate.operatorIdentifier), 0xDF60: try bytes(gate.input), 0xDF62: [0x80],
            0xDF63: try bytes(gate.data),
        ]
        var entryPoint = EntryPoint(configuration: configuration, kernels: .all)
        var run = Run(outcome: Outcome(.endApplication))
        var number: UInt32 = 0x2000_0000
        var action = entryPoint.start(try reader.inputs(1000))
        for _ in 0..<500 {
            switch action {
            case .outcome(let final):
                run.outcome = final.outcome
                return run
            case .activateCard:
                gate.card.powerOn()
                action = entryPoint.handle(.cardActivated)
            case .kernel(.transmit(let command)):
                let text = Hex.string(command.bytes)
                run.commands.append(text)
                let instruction = String(text.dropFirst(2).prefix(2))
                var answer: [UInt8]?
                if gate.refused == instruction {
                    answer = [0x6A, 0x88]
                } else if gate.lostCommand == instruction {
                    gate.lostCommand = nil
                } else {
                    answer = gate.card.process(command.bytes).flatMap { gate.change(instruction, $0) }
                    if gate.lostAnswer == instruction {
                        gate.lostAnswer = nil
                        answer = nil
                    }
                }
                action = entryPoint.handle(
                    .kernel(
                        try answer.map { .response(try ResponseAPDU(bytes: $0), microseconds: 4000) }
                            ?? .communicationError(.timeout)))
            case .kernel(.drawUnpredictableNumber):
                number += 1
                action = entryPoint.handle(.kernel(.unpredictableNumber(number)))
            case .kernel(.sendDataExchange(let signal)):
                run.sent.merge(signal.dataToSend)
                var reply = DataObjects()
                for tag in signal.dataNeeded {
                    if let value = answers[tag] { reply.set(tag, value) }
                }
                action = entryPoint.handle(.kernel(reply.isEmpty ? .done : .dataExchange(reply)))
            default: action = entryPoint.handle(.kernel(.done))
            }
        }
        Issue.record("no outcome")
        return run
    }

    /// A free slot, then the operator's own: read under the signature, written with the proof that the last writer left.
    @Test func writesAndReads() throws {
        var gate = try Gate()
        var run = try Self.tap(&gate)
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF810B) == "C0")
        #expect(run.discretionary(0xDF8101) == "0000000000000000")
        let first = try #require(run.discretionary(0xDF8102))
        #expect(first != "0000000000000000")
        #expect(run.sent[0x9F5F] != nil)
        #expect(gate.card.state.applications.values.first?.slots?.first?.data == "AABBCC")
        // The relay resistance data are behind the summaries in the signature.
        #expect(run.outcome.dataRecord?[0x95].map { Array($0)[4] & 0x03 } == 0x02)

        gate.input = gate.nextInput
        gate.nextInput = "9988776655443322"
        gate.data = "DDEE"
        run = try Self.tap(&gate)
        #expect(run.outcome.status == .approved)
        #expect(run.sent[0x9F54].map { Hex.string($0) } == "AABBCC")
        #expect(run.sent[0x9F7D].map { Hex.string($0) } == first)
        #expect(run.discretionary(0xDF810B) == "C0")
        #expect(run.discretionary(0xDF8101) == first)
        #expect(gate.card.state.applications.values.first?.slots?.first?.data == "DDEE")
    }

    /// Another writer without the proof changes nothing; whether that ends the payment is the operator's choice.
    @Test func wrongProof() throws {
        var gate = try Gate()
        _ = try Self.tap(&gate)
        gate.data = "FF"
        var run = try Self.tap(&gate)
        #expect(run.outcome.status == .approved)
        #expect(run.discretionary(0xDF810B) == "80")
        #expect(gate.card.state.applications.values.first?.slots?.first?.data == "AABBCC")
        gate.information = 0xE2
        run = try Self.tap(&gate)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error == 0x0C)
        #expect(run.outcome.dataRecord == nil)
    }

    /// Two operators fit; for the third there is no room, and it is paid without data storage.
    @Test func full() throws {
        var gate = try Gate()
        for index in 1...3 {
            gate.operatorIdentifier = "000000000000000\(index)"
            let run = try Self.tap(&gate)
            #expect(run.outcome.status == .approved)
            #expect((run.discretionary(0xDF810B) == "C0") == (index < 3))
        }
        #expect(gate.card.state.applications.values.first?.slots?.count == 2)
    }

    /// A summary that was changed on the way to the reader is not the one under the signature.
    @Test func changedSummary() throws {
        var gate = try Gate()
        gate.change = { $0 == "A8" ? edited($1, [0x9F7D: "0000000000000001"]) : $1 }
        let run = try Self.tap(&gate)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error == 0x0B)
        // Something was written: the terminal gets the Data Record.
        #expect(run.outcome.dataRecord != nil)
    }

    /// S10: the answer that was lost, again, with the summaries of the lost tap.
    @Test func recovered() throws {
        var gate = try Gate()
        gate.lostAnswer = "AE"
        let run = try Self.tap(&gate)
        #expect(run.outcome.status == .approved)
        #expect(run.commands.contains { $0.hasPrefix("80D0") })
        #expect(run.commands.count { $0.hasPrefix("80AE") } == 1)
        #expect(run.discretionary(0xDF810B) == "C0")
        #expect(gate.card.state.applications.values.first?.slots?.first?.data == "AABBCC")
    }

    /// S11: GENERATE AC never reached the card: it is written at the second tap.
    @Test func neverReached() throws {
        var gate = try Gate()
        gate.lostCommand = "AE"
        let run = try Self.tap(&gate)
        #expect(run.outcome.status == .approved)
        #expect(run.commands.count { $0.hasPrefix("80AE") } == 2)
        #expect(run.discretionary(0xDF810B) == "C0")
        #expect(run.discretionary(0xFF8101) == nil)
    }

    /// S11.47: the card wrote at the lost tap, but does not recover: the summary has changed since, and the terminal is
    /// told of the lost record.
    @Test func writtenButNotRecovered() throws {
        var gate = try Gate()
        gate.lostAnswer = "AE"
        gate.refused = "D0"
        let run = try Self.tap(&gate)
        #expect(run.outcome.status == .endApplication)
        #expect(run.error == 0x0B)
        #expect(
            run.discretionary(0xFF8101)?.contains("DF81280140") == true
                || run.discretionary(0xFF8101)?.contains("DF812801C0") == true)
    }
}
