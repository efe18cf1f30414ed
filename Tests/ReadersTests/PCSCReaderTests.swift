import CardReaders
import Cards
import Foundation
import PCSCReaders
import SmartCard
import Synchronization
import Testing
import TestSupport
import TestTools

/// The PC/SC reader against the real pcscd and vsmartcard's virtual reader.
@Suite(.serialized, .needs(.virtualPCSC))
struct PCSCReaderTests {
    static let select = StubCard.selectPaymentSystemEnvironment

    /// Runs `body` with a card in the first slot.
    static func withCard(
        _ make: @escaping @Sendable () throws -> any VirtualCard, silence: Duration = .seconds(1),
        _ body: @escaping @Sendable (VirtualPCSC, PCSCReader, VPCDClient) async throws -> Void
    ) async throws {
        try await VirtualPCSC.run { pcsc in
            var options = VPCDClient.Options(port: pcsc.ports[0])
            options.silence = silence
            let client = VPCDClient(card: try make(), options: options)
            let serving = Task { try await client.run() }
            let reader = PCSCReader(name: pcsc.readers[0])
            let result: Result<Void, any Error>
            do {
                try await body(pcsc, reader, client)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await reader.close()
            serving.cancel()
            _ = await serving.result
            try result.get()
        }
    }

    @Test(.timeLimit(.minutes(15))) func listsReadersAndCards() async throws {
        try await Self.withCard({ StubCard.paymentSystem() }) { pcsc, reader, _ in
            _ = try await reader.activateCard(deadline: .now + .seconds(10))
            await reader.fieldOff()
            let readers = try await PCSCContext.readers()
            #expect(readers.map(\.name) == pcsc.readers)
            #expect(readers[0].answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
            #expect(readers[1].answerToReset == nil)
            #expect(try await PCSCContext.reader(matching: "pcd 00 01").information.name == pcsc.readers[1])
            await #expect(throws: ReaderError.self) { try await PCSCContext.reader(matching: "PCD") }
            await #expect(throws: ReaderError.self) { try await PCSCContext.reader(matching: "ACS") }
        }
    }

    /// Our card through pcscd answers an independent client and our reader as it answers in process.
    @Test(.timeLimit(.minutes(15)), arguments: ["visa-debit", "apple-pay-visa"])
    func emulatedCardThroughThreeWays(_ id: String) async throws {
        let direct = try EmulatedCard(profile: try CardLibrary.profile(id), state: nil)
        direct.powerOn()
        let expected = try #require(direct.process(Self.select))
        try await Self.withCard({ try EmulatedCard(profile: try CardLibrary.profile(id), state: nil) }) {
            pcsc, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == expected)
            await reader.fieldOff()
            let command = Self.select.map { String(format: "%02X", $0) }.joined()
            let tool = try await VirtualPCSC.output(
                of: "/usr/bin/opensc-tool", ["--reader", "0", "--send-apdu", command],
                environment: pcsc.environment)
            #expect(tool.status == 0, "\(tool.text)")
            // Lines of sixteen bytes in hexadecimal, then as text.
            let bytes = tool.text.split(separator: "\n").drop { !$0.hasPrefix("Received") }.dropFirst()
                .flatMap { line in line.prefix(48).split(separator: " ").compactMap { UInt8($0, radix: 16) } }
            #expect(bytes == Array(expected.dropLast(2)), "\(tool.text)")
            #expect(tool.text.contains("SW1=0x90, SW2=0x00"))
        }
    }

    @Test(.timeLimit(.minutes(15))) func aCardThatComesLaterIsWaitedFor() async throws {
        try await VirtualPCSC.run { pcsc in
            let reader = PCSCReader(name: pcsc.readers[0])
            await #expect(throws: ReaderError.noCard) {
                try await reader.activateCard(deadline: .now + .milliseconds(200))
            }
            let before = pcsc.count(of: .wait)
            let waiting = Task { try await reader.activateCard(deadline: .now + .seconds(60)).card }
            try await pcsc.asked(.wait, than: before)
            let client = VPCDClient(card: StubCard.paymentSystem(), options: .init(port: pcsc.ports[0]))
            let serving = Task { try await client.run() }
            #expect(try await waiting.value.answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
            serving.cancel()
            _ = await serving.result
            await reader.close()
        }
    }

    /// Pulled in the middle of a command: told as such, and the next tap works.
    @Test(.timeLimit(.minutes(15))) func removalDuringACommand() async throws {
        let gate = Gate()
        let slow: @Sendable () -> any VirtualCard = {
            StubCard { _, number in
                if number == 1 { gate.hold() }
                return [0x90, 0x00]
            }
        }
        try await Self.withCard(slow) { _, reader, client in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == [0x90, 0x00])
            let sending = Task { try await channel.transmit(Self.select, timeout: .seconds(10)) }
            try await gate.reached()
            client.pull()
            gate.open()
            let result = await sending.result
            guard case .failure(let error as ReaderError) = result else {
                Issue.record("a pulled card answered: \(result)")
                return
            }
            switch error {
            case .cardRemoved, .transmission, .cardTimeout: break
            default: Issue.record("\(error)")
            }
            await #expect(throws: ReaderError.self) {
                try await channel.transmit(Self.select, timeout: .seconds(1))
            }
            await reader.fieldOff()
            let again = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(try await again.transmit(Self.select, timeout: .seconds(5)).bytes == [0x90, 0x00])
        }
    }

    @Test(.timeLimit(.minutes(15))) func removalIsNoticed() async throws {
        try await VirtualPCSC.run { pcsc in
            var options = VPCDClient.Options(port: pcsc.ports[0])
            options.reconnects = false
            let client = VPCDClient(card: StubCard.paymentSystem(), options: options)
            let serving = Task { try await client.run() }
            let reader = PCSCReader(name: pcsc.readers[0])
            _ = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(try await reader.awaitRemoval(deadline: .now + .milliseconds(100)) == false)
            let before = pcsc.count(of: .wait)
            let removal = Task { try await reader.awaitRemoval(deadline: .now + .seconds(60)) }
            try await pcsc.asked(.wait, than: before)
            serving.cancel()
            _ = await serving.result
            #expect(try await removal.value)
            await reader.close()
        }
    }

    /// A card that never answers: given up at the time limit, without holding up anything else.
    @Test(.timeLimit(.minutes(15))) func silentCard() async throws {
        let silent: @Sendable () -> any VirtualCard = {
            StubCard { _, number in number == 0 ? [0x90, 0x00] : nil }
        }
        try await Self.withCard(silent, silence: .seconds(2)) { _, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            _ = try await channel.transmit(Self.select, timeout: .seconds(5))
            await #expect(throws: ReaderError.cardTimeout) {
                try await channel.transmit(Self.select, timeout: .milliseconds(200))
            }
            // The reader is free again when the card has been torn away.
            let again = try await reader.activateCard(deadline: .now + .seconds(60))
            #expect(again.card.answerToReset.first == 0x3B)
        }
    }

    @Test(.timeLimit(.minutes(15))) func cancellation() async throws {
        try await VirtualPCSC.run { pcsc in
            let reader = PCSCReader(name: pcsc.readers[0])
            let before = pcsc.count(of: .wait)
            let waiting = Task { try await reader.activateCard(deadline: nil) }
            try await pcsc.asked(.wait, than: before)
            waiting.cancel()
            await #expect(throws: ReaderError.cancelled) { try await waiting.value }
            // At once, not at the end of anything.
            await #expect(throws: ReaderError.noCard) {
                try await reader.activateCard(deadline: .now + .milliseconds(50))
            }
            await reader.close()
        }
    }

    /// Another program's hold is told in words; ours keeps others out.
    @Test(.timeLimit(.minutes(15))) func exclusiveHold() async throws {
        try await Self.withCard({ StubCard.paymentSystem() }) { pcsc, reader, _ in
            _ = try await reader.activateCard(deadline: .now + .seconds(10))
            let other = PCSCReader(name: pcsc.readers[0])
            do {
                _ = try await other.activateCard(deadline: .now + .seconds(2))
                Issue.record("two programs hold one card")
            } catch ReaderError.readerUnavailable(_, let reason) {
                #expect(reason.contains("another program"))
            }
            #expect(try await PCSCContext.readers()[0].isExclusivelyUsed)
            await reader.fieldOff()
            _ = try await other.activateCard(deadline: .now + .seconds(5))
            await other.close()
        }
    }

    /// A restart with the card still in the field is a reset for the card.
    @Test(.timeLimit(.minutes(15))) func activatedAgainIsAReset() async throws {
        let events = Recorded<String>()
        try await VirtualPCSC.run { pcsc in
            let client = VPCDClient(
                card: StubCard.paymentSystem(), options: .init(port: pcsc.ports[0])
            ) { event in
                switch event {
                case .reset: events.append("reset")
                case .powerOff: events.append("off")
                default: break
                }
            }
            let serving = Task { try await client.run() }
            let reader = PCSCReader(name: pcsc.readers[0])
            let first = try await reader.activateCard(deadline: .now + .seconds(10))
            events.clear()
            let second = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(!events.all.isEmpty)
            await #expect(throws: ReaderError.cardRemoved) {
                try await first.transmit(Self.select, timeout: .seconds(1))
            }
            #expect(
                try await second.transmit(Self.select, timeout: .seconds(5)).bytes.suffix(2) == [0x90, 0x00])
            await reader.close()
            serving.cancel()
            _ = await serving.result
        }
    }

    /// Short and long answers and commands arrive as they were sent.
    @Test(.timeLimit(.minutes(15))) func lengths() async throws {
        let echo: @Sendable () -> any VirtualCard = {
            StubCard { command, _ in
                // Answers with as many bytes as P1 P2 say.
                let count = Int(command[2]) << 8 | Int(command[3])
                return (0..<count).map { UInt8(truncatingIfNeeded: $0) } + [0x90, 0x00]
            }
        }
        try await Self.withCard(echo) { _, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            for count in [0, 1, 254, 255, 256, 257, 4096, 32767, 65500] {
                let command: [UInt8] = [0x80, 0x01, UInt8(count >> 8), UInt8(count & 0xFF), 0x00, 0x00, 0x00]
                let answer = try await channel.transmit(command, timeout: .seconds(10)).bytes
                #expect(answer.count == count + 2, "\(count)")
                #expect(answer.prefix(count).enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0) })
            }
            for count in [1, 255, 256, 4000] {
                let data = [UInt8](repeating: 0x5A, count: count)
                let command = CommandAPDU(cla: 0x80, ins: 2, p1: 0, p2: 1, data: data).bytes
                #expect(try await channel.transmit(command, timeout: .seconds(10)).bytes == [0, 0x90, 0x00])
            }
        }
    }

    /// Answers of no byte and of one are against the protocol; they end in an error, not in a trap.
    @Test(.timeLimit(.minutes(15)), arguments: [0, 1]) func tooShortAnswers(_ count: Int) async throws {
        let card: @Sendable () -> any VirtualCard = {
            StubCard { _, _ in [UInt8](repeating: 0x90, count: count) }
        }
        try await Self.withCard(card) { _, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            let command = try CommandAPDU(parsing: Self.select)
            await #expect(throws: ReaderError.self) {
                try await channel.exchange(command, timeout: .seconds(3))
            }
        }
    }

    /// A card that always promises one byte more.
    @Test(.timeLimit(.minutes(15))) func oneByteMoreForEver() async throws {
        let card: @Sendable () -> any VirtualCard = { StubCard { _, _ in [0x5A, 0x61, 0xFF] } }
        try await Self.withCard(card) { _, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            var budget = CommandBudget(600)
            await #expect(throws: ReaderError.self) {
                try await channel.exchange(
                    CommandAPDU(parsing: Self.select), timeout: .seconds(30), budget: &budget)
            }
            // The command and 256 GET RESPONSE; fewer where pcscd's reader fetches some itself.
            #expect(budget.left >= 600 - 257)
        }
    }

    /// The daemon dies and comes back: the text says what to do meanwhile, and the reader works on.
    @Test(.timeLimit(.minutes(15))) func daemonDiesAndComesBack() async throws {
        try await Self.withCard({ StubCard.paymentSystem() }) { pcsc, reader, _ in
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            pcsc.stop()
            do {
                _ = try await channel.transmit(Self.select, timeout: .seconds(5))
                Issue.record("a dead daemon answered")
            } catch {
                #expect(!"\(error)".isEmpty)
            }
            do {
                _ = try await PCSCContext.readers()
                Issue.record("a dead daemon listed readers")
            } catch {
                #expect("\(error)".contains("pcscd"))
            }
            await reader.fieldOff()
            try await pcsc.start()
            let again = try await reader.activateCard(deadline: .now + .seconds(20))
            #expect(
                try await again.transmit(Self.select, timeout: .seconds(5)).bytes.suffix(2) == [0x90, 0x00])
        }
    }

    @Test(.timeLimit(.minutes(15))) func noDaemonAtAll() async throws {
        try await VirtualPCSC.run(starting: false) { pcsc in
            do {
                _ = try await PCSCContext.readers()
                Issue.record("no daemon listed readers")
            } catch {
                #expect("\(error)".contains("apt install pcscd"))
            }
            let reader = PCSCReader(name: pcsc.readers[0])
            await #expect(throws: ReaderError.self) {
                try await reader.activateCard(deadline: .now + .seconds(2))
            }
        }
    }

    /// Hot-plug of the service and of cards, as `readers --watch` tells it.
    @Test(.timeLimit(.minutes(15))) func watching() async throws {
        try await VirtualPCSC.run { pcsc in
            let seen = Recorded<ReaderEvent>()
            let watching = Task {
                for await event in PCSCContext.events() { seen.append(event) }
            }
            let name = pcsc.readers[0]
            try await seen.wait(until: "two readers are there") {
                $0.count { if case .readerAdded = $0 { true } else { false } } == 2
            }
            var options = VPCDClient.Options(port: pcsc.ports[0])
            options.reconnects = false
            let client = VPCDClient(card: StubCard.paymentSystem(), options: options)
            let serving = Task { try await client.run() }
            try await seen.wait(until: "a card is there") {
                $0.contains { if case .cardInserted = $0 { true } else { false } }
            }
            serving.cancel()
            _ = await serving.result
            try await seen.wait(until: "it is removed") { $0.contains(.cardRemoved(reader: name)) }
            pcsc.stop()
            try await seen.wait(until: "the daemon is gone") {
                $0.contains { if case .serviceLost = $0 { true } else { false } }
            }
            watching.cancel()
            await watching.value
        }
    }

    /// More waiting readers than there are cores: nothing else is held up.
    @Test(.timeLimit(.minutes(15))) func waitingHoldsUpNobody() async throws {
        try await VirtualPCSC.run { pcsc in
            let waiting = (0..<16).map { number in
                Task {
                    try await PCSCReader(name: pcsc.readers[number % 2]).activateCard(
                        deadline: .now + .milliseconds(800))
                }
            }
            let counter = Recorded<Int>()
            let working = Task {
                while !Task.isCancelled {
                    counter.append(1)
                    await Task.yield()
                }
            }
            for task in waiting {
                await #expect(throws: ReaderError.noCard) { try await task.value }
            }
            working.cancel()
            #expect(counter.all.count > 100)
        }
    }
}
