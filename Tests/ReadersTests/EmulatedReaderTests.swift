import Foundation
import SmartCard
import Synchronization
import TestSupport
import TestTools
import Testing
import Traces

@testable import CardReaders

@Suite struct EmulatedReaderTests {
    static let select = StubCard.selectPaymentSystemEnvironment

    @Test func cardsComeAndGo() async throws {
        let reader = EmulatedReader()
        await #expect(throws: ReaderError.noCard) {
            try await reader.activateCard(deadline: .now + .milliseconds(20))
        }
        let card = StubCard.paymentSystem()
        reader.present(card)
        let channel = try await reader.activateCard(deadline: nil)
        #expect(try await channel.transmit(Self.select, timeout: nil).bytes.suffix(2) == [0x90, 0x00])
        #expect(try await reader.awaitRemoval(deadline: .now + .milliseconds(20)) == false)
        reader.remove()
        await #expect(throws: ReaderError.cardRemoved) {
            try await channel.transmit(Self.select, timeout: nil)
        }
        #expect(try await reader.awaitRemoval(deadline: nil))
        #expect(card.log == ["on", "command", "off"])
    }

    @Test(.timeLimit(.minutes(1))) func aWaitEndsWithTheCard() async throws {
        let reader = EmulatedReader()
        let waiting = Task { try await reader.activateCard(deadline: nil).card.answerToReset }
        try await eventually("the reader waits") { reader.waiting == 1 }
        reader.present(StubCard.paymentSystem())
        #expect(try await waiting.value == [0x3B, 0x80, 0x80, 0x01, 0x01])
        let removal = Task { try await reader.awaitRemoval(deadline: nil) }
        try await eventually("the reader waits") { reader.waiting == 1 }
        reader.remove()
        #expect(try await removal.value)
    }

    @Test(.timeLimit(.minutes(1))) func cancellationAndClosing() async throws {
        let reader = EmulatedReader()
        let waiting = Task { try await reader.activateCard(deadline: nil) }
        try await eventually("the reader waits") { reader.waiting == 1 }
        waiting.cancel()
        await #expect(throws: ReaderError.cancelled) { try await waiting.value }
        let second = Task { try await reader.activateCard(deadline: nil) }
        try await eventually("the reader waits") { reader.waiting == 1 }
        await reader.close()
        await #expect(throws: ReaderError.self) { try await second.value }
        await #expect(throws: ReaderError.self) { try await reader.activateCard(deadline: nil) }
    }

    @Test func twoCardsCollide() async throws {
        let reader = EmulatedReader()
        reader.present(StubCard.paymentSystem())
        reader.present(StubCard.paymentSystem())
        await #expect(throws: ReaderError.collision) { try await reader.activateCard(deadline: nil) }
        reader.leaveFirst()
        _ = try await reader.activateCard(deadline: nil)
    }

    /// A second activation resets the card, and the channel of the first is dead.
    @Test func activatedAgainIsAReset() async throws {
        let reader = EmulatedReader()
        let card = StubCard.paymentSystem()
        reader.present(card)
        let first = try await reader.activateCard(deadline: nil)
        _ = try await reader.activateCard(deadline: nil)
        #expect(card.log == ["on", "off", "on"])
        await #expect(throws: ReaderError.cardRemoved) { try await first.transmit(Self.select, timeout: nil) }
        await reader.fieldOff()
        #expect(card.log == ["on", "off", "on", "off"])
    }

    @Test(arguments: [0, 1, 2]) func leavesAfterSoManyCommands(_ count: Int) async throws {
        for lost in [false, true] {
            let reader = EmulatedReader()
            let card = StubCard { _, _ in [0x90, 0x00] }
            reader.present(card, removal: lost ? .duringCommand(count) : .afterCommands(count))
            let channel = try await reader.activateCard(deadline: nil)
            for _ in 0..<count { _ = try await channel.transmit(Self.select, timeout: nil) }
            await #expect(throws: ReaderError.self) { try await channel.transmit(Self.select, timeout: nil) }
            #expect(card.commands.count == (lost ? count + 1 : count))
        }
    }
}

/// 61xx and 6Cxx (ISO/IEC 7816-4, 5.1.3), with cards that mean well and cards that do not.
@Suite struct ExchangeTests {
    static func exchange(
        _ command: [UInt8], _ answer: @escaping ([UInt8], Int) -> [UInt8]?
    ) async throws -> (ResponseAPDU, [[UInt8]]) {
        let reader = EmulatedReader()
        let card = StubCard(answer: answer)
        reader.present(card)
        let channel = try await reader.activateCard(deadline: nil)
        let response = try await channel.exchange(try CommandAPDU(parsing: command), timeout: nil).response
        return (response, card.commands)
    }

    @Test func moreIsFetched() async throws {
        let (response, commands) = try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) {
            command, number in
            switch number {
            case 0: [0x61, 0x03]
            case 1: [1, 2, 3, 0x61, 0x02]
            default: [4, 5, 0x90, 0x00]
            }
        }
        #expect(response.bytes == [1, 2, 3, 4, 5, 0x90, 0x00])
        #expect(
            commands == [[0x00, 0xB2, 0x01, 0x0C, 0x00], [0x00, 0xC0, 0, 0, 3], [0x00, 0xC0, 0, 0, 2]])
    }

    @Test func dataBefore61AreKept() async throws {
        let (response, _) = try await Self.exchange([0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]) { _, number in
            number == 0 ? [0xAA, 0x61, 0x01] : [0xBB, 0x90, 0x00]
        }
        #expect(response.bytes == [0xAA, 0xBB, 0x90, 0x00])
    }

    @Test func rightLengthIsAskedFor() async throws {
        let (response, commands) = try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) {
            command, number in
            number == 0 ? [0x6C, 0x02] : [7, 8, 0x90, 0x00]
        }
        #expect(response.bytes == [7, 8, 0x90, 0x00])
        #expect(commands.last == [0x00, 0xB2, 0x01, 0x0C, 0x02])
    }

    /// 6Cxx again and again is given to the caller, not followed for ever.
    @Test(.timeLimit(.minutes(1))) func endless6C() async throws {
        let (response, commands) = try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) { _, _ in
            [0x6C, 0x10]
        }
        #expect(response.status.sw1 == 0x6C)
        #expect(commands.count == 2)
    }

    /// As many GET RESPONSE as the longest response takes, and no more.
    @Test(arguments: [(0, 2), (1, 257), (255, 257), (256, 256)])
    func endless61(_ count: Int, _ commands: Int) async throws {
        let card = StubCard { _, _ in [UInt8](repeating: 5, count: count) + [0x61, 0xFF] }
        let reader = EmulatedReader()
        reader.present(card)
        let channel = try await reader.activateCard(deadline: nil)
        await #expect {
            try await channel.exchange(CommandAPDU(cla: 0, ins: 0xB2, p1: 1, p2: 0x0C, expectedLength: 256))
        } throws: { if case .protocolViolation? = $0 as? ReaderError { true } else { false } }
        #expect(card.commands.count == commands)
    }

    /// The longest response that there is.
    @Test func longestResponse() async throws {
        let (response, commands) = try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) { _, number in
            number == 0
                ? [0x61, 0x00]
                : [UInt8](repeating: 5, count: 256) + (number < 256 ? [0x61, 0x00] : [0x90, 0x00])
        }
        #expect(response.data.count == 65536 && commands.count == 257)
    }

    /// What is sent is taken off the budget, repeats and GET RESPONSE included, and nothing is sent beyond it.
    @Test(arguments: [
        // answers, budget, sent, left; nil for "nothing came of it"
        ([[0x90, 0x00]], 5, 1, 4, true), ([[0x61, 0x01], [1, 0x90, 0x00]], 5, 2, 3, true),
        ([[0x6C, 0x01], [0x61, 0x01], [1, 0x90, 0x00]], 5, 3, 2, true), ([[0x90, 0x00]], 0, 0, 0, false),
        ([[0x6C, 0x01], [1, 0x90, 0x00]], 1, 1, 0, false),
        ([[1, 0x61, 0x01], [1, 0x61, 0x01], [1, 0x61, 0x01], [1, 0x61, 0x01]], 3, 3, 0, false),
    ]) func budget(_ answers: [[UInt8]], _ count: Int, _ sent: Int, _ left: Int, _ isAnswered: Bool)
        async throws
    {
        let card = StubCard { _, number in answers[min(number, answers.count - 1)] }
        let reader = EmulatedReader()
        reader.present(card)
        let channel = try await reader.activateCard(deadline: nil)
        var budget = CommandBudget(count)
        let command = CommandAPDU(cla: 0, ins: 0xB2, p1: 1, p2: 0x0C, expectedLength: 256)
        do throws(ReaderError) {
            _ = try await channel.exchange(command, timeout: nil, budget: &budget)
            #expect(isAnswered)
        } catch {
            #expect(!isAnswered && error == .protocolViolation("the card takes more commands than it may"))
        }
        #expect(card.commands.count == sent && budget.left == left)
    }

    /// A channel whose answers take their time.
    final class SlowChannel: CardChannel {
        let card = CardInformation(answerToReset: [])
        let timeouts = Mutex<[Duration?]>([])
        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            timeouts.withLock { $0.append(timeout) }
            return CardAnswer(bytes: [1, 0x61, 0x01], microseconds: 2_000_000)
        }
    }

    /// The time for a command is that for all its pieces.
    @Test func slowPieces() async throws {
        let channel = SlowChannel()
        await #expect(throws: ReaderError.cardTimeout) {
            try await channel.exchange(CommandAPDU(cla: 0, ins: 0xB2, p1: 1, p2: 0x0C), timeout: .seconds(5))
        }
        #expect(channel.timeouts.withLock { $0 } == [.seconds(5), .seconds(3), .seconds(1)])
    }

    @Test(arguments: [[], [0x90]]) func answersWithoutAStatusWord(_ bytes: [UInt8]) async throws {
        await #expect(throws: ReaderError.self) {
            try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) { _, _ in bytes }
        }
    }

    @Test func silence() async throws {
        await #expect(throws: ReaderError.self) {
            try await Self.exchange([0x00, 0xB2, 0x01, 0x0C, 0x00]) { _, _ in nil }
        }
    }
}

@Suite struct RecordingTests {
    @Test func recordedIsReplayed() async throws {
        let field = EmulatedReader()
        field.present(StubCard.paymentSystem())
        let recorder = TraceRecorder()
        let reader = RecordingReader(field, recorder: recorder)
        let channel = try await reader.activateCard(deadline: nil)
        let select = StubCard.selectPaymentSystemEnvironment
        let good = try await channel.transmit(select, timeout: nil)
        let bad = try await channel.transmit([0x00, 0xB0, 0, 0], timeout: nil)
        field.remove()
        await #expect(throws: ReaderError.cardRemoved) { try await channel.transmit(select, timeout: nil) }
        await reader.fieldOff()

        let trace = try Trace(parsing: recorder.recorded.description)
        let replay = ReplayReader(trace)
        let again = try await replay.activateCard(deadline: nil)
        #expect(again.card.answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
        #expect(try await again.transmit(select, timeout: nil).bytes == good.bytes)
        #expect(try await again.transmit([0x00, 0xB0, 0, 0], timeout: nil).bytes == bad.bytes)
        await #expect(throws: ReaderError.cardRemoved) { try await again.transmit(select, timeout: nil) }
        #expect(replay.firstDifference == nil)
        #expect(replay.unusedRest == nil)
    }

    static func trace() throws -> Trace {
        try Trace(
            parsing: """
                tapbridge-trace 1
                title: test

                + 3B80800101
                > 00A4040001AA00
                < 6F009000
                ? 12345678
                > 80A80000028300
                < 77009000
                > 00B2010C00
                < 70009000
                @ answer code=00

                """)
    }

    @Test func strictNamesTheDifference() async throws {
        let replay = ReplayReader(try Self.trace())
        let channel = try await replay.activateCard(deadline: nil)
        _ = try await channel.transmit([0x00, 0xA4, 0x04, 0x00, 0x01, 0xAA, 0x00], timeout: nil)
        #expect(replay.nextUnpredictableNumber() == 0x1234_5678)
        await #expect(throws: ReaderError.self) {
            try await channel.transmit([0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x01], timeout: nil)
        }
        let words = try #require(replay.firstDifference)
        #expect(words.contains("line 8") && words.contains("GET PROCESSING OPTIONS"), "\(words)")
        #expect(replay.nextUnpredictableNumber() == nil)
    }

    @Test func lenientServesTheNearest() async throws {
        let replay = ReplayReader(try Self.trace(), mode: .lenient)
        let channel = try await replay.activateCard(deadline: nil)
        let record = try await channel.transmit([0x00, 0xB2, 0x01, 0x0C, 0x00], timeout: nil)
        #expect(record.bytes == [0x70, 0x00, 0x90, 0x00])
        let options = try await channel.transmit([0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x01], timeout: nil)
        #expect(options.bytes == [0x77, 0x00, 0x90, 0x00])
    }

    @Test func whatWasNotUsedIsTold() async throws {
        let replay = ReplayReader(try Self.trace())
        let channel = try await replay.activateCard(deadline: nil)
        _ = try await channel.transmit([0x00, 0xA4, 0x04, 0x00, 0x01, 0xAA, 0x00], timeout: nil)
        #expect(replay.unusedRest != nil)
        #expect(replay.nextHostAnswer()?.word == "answer")
    }
}
