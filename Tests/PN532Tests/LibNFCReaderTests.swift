import CardReaders
import Cards
import EMV
import Foundation
import Kernels
import LibNFCReaders
import PCSCReaders
import PN532
import SoftwarePN532
import SmartCard
import Terminal
import Testing
import TestSupport
import TestTools

/// The libnfc reader through the real libnfc and a software PN532 on a pseudo-terminal.
@Suite(.serialized) struct LibNFCReaderTests {
    static let select = StubCard.selectPaymentSystemEnvironment
    static let answer = StubCard.paymentSystemEnvironment + [0x90, 0x00]
    static let typeB = ContactlessActivation(
        modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD4], atqa: [], sak: 0,
        ats: [1, 2, 3, 4, 0x00, 0x81, 0x71])

    /// Runs `body` with a chip and a reader on it.
    /// - Parameter native: the device activates by itself.
    static func with(
        faults: [PN532Fault] = [], extensions: Int = 0, link: String? = nil, native: Bool = false,
        schedule: PollingSchedule = .standard,
        _ body: (PN532Device, LibNFCReader) async throws -> Void
    ) async throws {
        let device = try PN532Device(faults: faults, waitingTimeExtensions: extensions, link: link)
        let reader = LibNFCReader(
            connectionString: try #require(device.connectionString),
            options: .init(isNative: native, schedule: schedule))
        let result: Result<Void, any Error>
        do {
            try await body(device, reader)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await reader.close()
        try result.get()
    }

    /// What a call of the reader gave or threw.
    static func result<Value>(
        _ body: () async throws(ReaderError) -> Value
    ) async -> Result<Value, ReaderError> {
        do throws(ReaderError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    static var soon: ContinuousClock.Instant { .now + .seconds(10) }

    /// A card that always promises one byte more, through libnfc and by our own block protocol.
    @Test(.timeLimit(.minutes(1)), arguments: [false, true]) func oneByteMoreForEver(_ native: Bool)
        async throws
    {
        let counter = Counter()
        try await Self.with(native: native) { device, reader in
            device.present(
                StubCard { _, _ in
                    counter.add()
                    return [0x5A, 0x61, 0xFF]
                })
            let channel = try await reader.activateCard(deadline: Self.soon)
            var budget = CommandBudget(40)
            let command = CommandAPDU(cla: 0, ins: 0xB2, p1: 1, p2: 0x0C, expectedLength: 256)
            do throws(ReaderError) {
                _ = try await channel.exchange(command, timeout: .seconds(30), budget: &budget)
                Issue.record("it ended")
            } catch {
                #expect(error == .protocolViolation("the card takes more commands than it may"))
            }
            #expect(budget.left == 0 && counter.value == 40)
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [false, true]) func typeA(_ native: Bool) async throws {
        try await Self.with(native: native) { device, reader in
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(channel.card.answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
            #expect(channel.card.activation == ContactlessActivation())
            for _ in 0..<3 {
                #expect(
                    try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            }
            #expect(try await reader.isCardPresent())
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            await reader.fieldOff()
            #expect(!device.isFieldOn)
            // A channel of a session that is over is dead.
            await #expect(throws: ReaderError.cardRemoved) {
                try await channel.transmit(Self.select, timeout: .seconds(5))
            }
            // The same card again, and once more without the field being off between.
            for _ in 0..<2 {
                let again = try await reader.activateCard(deadline: Self.soon)
                #expect(try await again.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [false, true]) func typeB(_ native: Bool) async throws {
        try await Self.with(native: native) { device, reader in
            device.present(
                StubCard(activation: Self.typeB) { command, _ in
                    command == Self.select ? Self.answer : [0x6D, 0x00]
                })
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(channel.card.activation == Self.typeB)
            // PC/SC part 3: application data, protocol info, and the length of MBLI with zero.
            #expect(
                Array(channel.card.answerToReset.prefix(11))
                    == [0x3B, 0x88, 0x80, 0x01, 1, 2, 3, 4, 0x00, 0x81, 0x71])
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            #expect(try await reader.isCardPresent())
            device.removeCards()
            #expect(try await !reader.isCardPresent())
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [4, 7, 10])
    func identifiersOfAllLengths(_ count: Int) async throws {
        let activation = ContactlessActivation(
            identifier: (0..<count).map { UInt8(0x10 + $0) },
            ats: [0x0A, 0x77, 0x81, 0x71, 0x02, 1, 2, 3, 4, 5])
        try await Self.with { device, reader in
            device.present(StubCard(activation: activation))
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(channel.card.activation == activation)
        }
    }

    /// A card answers through the chip as it answers in process.
    @Test(.timeLimit(.minutes(1)), arguments: ["visa-debit", "mc-credit", "apple-pay-visa"])
    func emulatedCards(_ id: String) async throws {
        let direct = try EmulatedCard(profile: try CardLibrary.profile(id), state: nil)
        direct.powerOn()
        let expected = try #require(direct.process(Self.select))
        try await Self.with { device, reader in
            device.present(try EmulatedCard(profile: try CardLibrary.profile(id), state: nil))
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == expected)
        }
    }

    // MARK: - Collisions

    static let pairs: [[ContactlessActivation]] = [
        [ContactlessActivation(identifier: [1, 2, 3, 4]), ContactlessActivation(identifier: [1, 2, 3, 5])],
        [ContactlessActivation(), typeB],
        [
            typeB,
            ContactlessActivation(
                modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD5], ats: [1, 2, 3, 4, 0, 0x81, 0x71]),
        ],
    ]
    @Test(.timeLimit(.minutes(1)), arguments: pairs.indices, [false, true])
    func twoCards(_ index: Int, _ native: Bool) async throws {
        try await Self.with(native: native) { device, reader in
            for activation in Self.pairs[index] { device.present(StubCard(activation: activation)) }
            await #expect(throws: ReaderError.collision) {
                try await reader.activateCard(deadline: Self.soon)
            }
            device.removeCards()
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
        }
    }

    // MARK: - What goes wrong

    /// Seen by the card, in order.
    final class Counter: @unchecked Sendable {
        private let lock = NSLock()
        private var count = 0
        func add() { lock.withLock { count += 1 } }
        var value: Int { lock.withLock { count } }
    }

    enum Expected: Sendable { case survives, removed, lost }
    /// InCommunicateThru carries the blocks.
    static let misbehaviours: [(PN532Fault.Kind, Expected)] = [
        (.lostAcknowledge, .survives),
        (.lostAnswer, .survives),
        (.wrongChecksum, .survives),
        (.slowAnswer(.milliseconds(150)), .survives),
        (.slowAnswer(.milliseconds(700)), .survives),
        (.nonsense([0xDE, 0xAD, 0x00, 0xFF, 0x20, 0x11, 0x00, 0x00, 0xFF]), .survives),
        (.nonsense([0x00, 0x00, 0xFF, 0xFF, 0xFF, 0x40, 0x00, 0xC0, 0xD5]), .survives),
        (.forgedAnswer([]), .survives),
        (.forgedAnswer([0x00]), .survives),
        (.forgedAnswer([0x02]), .survives),
        (.forgedAnswer([0x00, 0x02, 0x90, 0x00, 0x00, 0x00]), .survives),
        (.forgedAnswer([0x00] + [UInt8](repeating: 0x55, count: 262)), .survives),
        // NAD, which libnfc does not survive by itself; more promised, and never sent.
        (.forgedAnswer([0x80]), .survives),
        (.forgedAnswer([0xFF, 0x02, 0x90, 0x00]), .survives),
        (.cardLeaves, .removed),
        (.cardLeavesDuringCommand, .removed),
        (.reset, .lost),
    ]

    /// The third command meets a misbehaviour. What the line lost is fetched again, and the card acts once; a card
    /// that left is told apart from a reader that failed; and in any case the next card works.
    @Test(.timeLimit(.minutes(1)), arguments: misbehaviours.indices)
    func misbehaves(_ index: Int) async throws {
        let (kind, expected) = Self.misbehaviours[index]
        let counter = Counter()
        try await Self.with { device, reader in
            device.present(
                StubCard { command, _ in
                    counter.add()
                    return command == Self.select ? Self.answer : [0x6D, 0x00]
                })
            let channel = try await reader.activateCard(deadline: Self.soon)
            for _ in 0..<2 { _ = try await channel.transmit(Self.select, timeout: .seconds(9)) }
            device.add([PN532Fault(kind, command: 0x42)])
            switch (
                expected,
                await Self.result { () throws(ReaderError) in
                    try await channel.transmit(Self.select, timeout: .seconds(9)).bytes
                }
            ) {
            case (.survives, .success(let bytes)):
                #expect(bytes == Self.answer)
                #expect(counter.value == 3)
                #expect(try await channel.transmit(Self.select, timeout: .seconds(9)).bytes == Self.answer)
            case (.removed, .failure(.cardRemoved)), (.lost, .failure(.transmission)): break
            case (_, let other): Issue.record("\(kind): \(other)")
            }
            device.clearFaults()
            device.removeCards()
            device.present(StubCard.paymentSystem())
            let next = try await reader.activateCard(deadline: Self.soon)
            #expect(try await next.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
        }
    }

    /// The same with the device's own block protocol: there is no second chance, the error is told, and the next
    /// card works.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            PN532Fault.Kind.lostAcknowledge, .lostAnswer, .wrongChecksum,
            .nonsense([0xDE, 0xAD, 0x00, 0xFF, 0x20, 0x11]), .forgedAnswer([0x80]), .cardLeaves,
            .cardLeavesDuringCommand, .reset,
        ])
    func misbehavesNatively(_ kind: PN532Fault.Kind) async throws {
        try await Self.with(native: true) { device, reader in
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            device.add([PN532Fault(kind)])
            do throws(ReaderError) {
                _ = try await channel.transmit(Self.select, timeout: .milliseconds(900))
                Issue.record("\(kind) went by")
            } catch {
                switch (kind, error) {
                case (.cardLeaves, .cardRemoved), (.cardLeavesDuringCommand, .cardRemoved): break
                case (.lostAnswer, .cardTimeout), (.reset, .cardTimeout), (.lostAcknowledge, .cardTimeout):
                    break
                case (.lostAcknowledge, .transmission), (.wrongChecksum, .transmission),
                    (.nonsense, .transmission), (.nonsense, .cardTimeout), (.forgedAnswer, .transmission):
                    break
                default: Issue.record("\(kind): \(error)")
                }
            }
            device.removeCards()
            device.present(StubCard.paymentSystem())
            let next = try await reader.activateCard(deadline: Self.soon)
            #expect(try await next.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
        }
    }

    /// Faults while nobody is there and while a card comes in, of any command: the card is found all the same.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            PN532Fault.Kind.lostAcknowledge, .lostAnswer, .wrongChecksum, .nonsense([0x00, 0x00, 0xFF]),
            .reset,
        ], [0, 1, 5, 9])
    func misbehavesWhilePolling(_ kind: PN532Fault.Kind, _ after: Int) async throws {
        try await Self.with { device, reader in
            await #expect(throws: ReaderError.noCard) {
                try await reader.activateCard(deadline: .now + .milliseconds(50))
            }
            device.present(StubCard.paymentSystem())
            device.add([PN532Fault(kind, command: nil, after: after)])
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(try await channel.transmit(Self.select, timeout: .seconds(9)).bytes == Self.answer)
        }
    }

    /// A chip that says anything, well framed: an error or an answer, never a trap or a hang, and then it works.
    /// Commands: InCommunicateThru; in native mode InListPassiveTarget, InDataExchange, and GetFirmwareVersion of a device
    /// that is opened anew.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: [(false, 0x42), (true, 0x4A), (true, 0x40), (true, 0x02)] as [(Bool, UInt8)])
    func forgedAnswers(_ native: Bool, _ command: UInt8) async throws {
        var random = SplitMix(seed: 4)
        try await Self.with(native: native) { device, reader in
            for _ in 0..<60 {
                let bytes = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                device.present(StubCard.paymentSystem())
                device.add([
                    PN532Fault(
                        .forgedAnswer(bytes), command: command,
                        after: Int.random(in: 0..<(native ? 3 : 12), using: &random),
                        count: Int.random(in: 1...3, using: &random))
                ])
                if let channel = try? await reader.activateCard(deadline: .now + .milliseconds(500)) {
                    _ = try? await channel.transmit(Self.select, timeout: .milliseconds(500))
                }
                device.clearFaults()
                device.removeCards()
            }
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
        }
    }

    /// A chip that promises more (MI) and sends an answer without any byte, which libnfc copies as "-1" bytes; and one that
    /// promises more again and again. Both end in an error, and the next card works.
    @Test(.timeLimit(.minutes(1)), arguments: [false, true], [[0x40], []] as [[UInt8]])
    func promisesMore(_ native: Bool, _ then: [UInt8]) async throws {
        try await Self.with(native: native) { device, reader in
            let code: UInt8 = native ? 0x40 : 0x42
            for _ in 0..<3 {
                device.present(StubCard.paymentSystem())
                let channel = try await reader.activateCard(deadline: Self.soon)
                device.add([
                    PN532Fault(.forgedAnswer([0x40, 0x02]), command: code),
                    PN532Fault(.forgedAnswer(then), command: code, after: then.isEmpty ? 0 : 1, count: nil),
                ])
                await #expect(throws: ReaderError.self) {
                    try await channel.transmit(Self.select, timeout: .milliseconds(800))
                }
                device.clearFaults()
                device.removeCards()
            }
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
        }
    }

    // MARK: - Cards

    @Test(.timeLimit(.minutes(1))) func silentCardIsNoAbsentOne() async throws {
        try await Self.with { device, reader in
            device.present(StubCard { _, number in number == 0 ? [0x90, 0x00] : nil })
            let channel = try await reader.activateCard(deadline: Self.soon)
            _ = try await channel.transmit(Self.select, timeout: .seconds(5))
            await #expect(throws: ReaderError.cardTimeout) {
                try await channel.transmit(Self.select, timeout: .seconds(5))
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 3, 40])
    func cardsThatAskForTimeGetIt(_ count: Int) async throws {
        try await Self.with(extensions: count) { device, reader in
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            for _ in 0..<2 {
                #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func timeIsNotGivenForEver() async throws {
        try await Self.with(extensions: .max) { device, reader in
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            await #expect(throws: ReaderError.cardTimeout) {
                try await channel.transmit(Self.select, timeout: .milliseconds(300))
            }
            // The thread is free again.
            let again = try await reader.activateCard(deadline: Self.soon)
            #expect(again.card.activation != nil)
        }
    }

    /// Commands and responses of many blocks, with cards of small and large frames.
    @Test(.timeLimit(.minutes(1)), arguments: [UInt8(0), 2, 5, 8], [1, 255, 256, 1000, 4000])
    func chaining(_ frameSizeCode: UInt8, _ count: Int) async throws {
        let activation = ContactlessActivation(ats: [0x05, 0x70 | frameSizeCode, 0x80, 0x70, 0x02])
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let command = CommandAPDU(cla: 0, ins: 0xDA, p1: 0, p2: 0, data: data, expectedLength: nil).bytes
        try await Self.with { device, reader in
            device.present(
                StubCard(activation: activation) { received, _ in
                    received == command ? data + [0x90, 0x00] : [0x67, 0x00]
                })
            let channel = try await reader.activateCard(deadline: Self.soon)
            #expect(
                try await channel.transmit(command, timeout: .seconds(20)).bytes == data + [0x90, 0x00])
        }
    }

    @Test(.timeLimit(.minutes(1))) func nativeCommandsHaveALimit() async throws {
        try await Self.with(native: true) { device, reader in
            device.present(StubCard())
            let channel = try await reader.activateCard(deadline: Self.soon)
            let longest = [UInt8](repeating: 0, count: 262)
            #expect(try await channel.transmit(longest, timeout: .seconds(5)).bytes == [0x90, 0x00])
            await #expect(throws: ReaderError.self) {
                try await channel.transmit(longest + [0], timeout: .seconds(5))
            }
            #expect(try await channel.transmit(longest, timeout: .seconds(5)).bytes == [0x90, 0x00])
        }
    }

    // MARK: - Waiting, removal, cancellation

    @Test(.timeLimit(.minutes(1)), arguments: [false, true])
    func aCardThatComesLaterIsWaitedFor(_ native: Bool) async throws {
        try await Self.with(native: native) { device, reader in
            await #expect(throws: ReaderError.noCard) {
                try await reader.activateCard(deadline: .now + .milliseconds(100))
            }
            let before = device.statistics.bytesFromHost
            async let waiting = reader.activateCard(deadline: .now + .seconds(20)).card.activation
            try await eventually("the reader polls") { device.statistics.bytesFromHost > before }
            device.present(StubCard.paymentSystem())
            #expect(try await waiting == ContactlessActivation())
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [false, true])
    func removalProcedure(_ native: Bool) async throws {
        try await Self.with(native: native) { device, reader in
            device.present(StubCard.paymentSystem())
            _ = try await reader.activateCard(deadline: Self.soon)
            #expect(try await !reader.awaitRemoval(deadline: .now + .milliseconds(200)))
            let before = device.statistics.bytesFromHost
            async let removed = reader.awaitRemoval(deadline: Self.soon)
            try await eventually("the reader looks for the card") { device.statistics.bytesFromHost > before }
            device.removeCards()
            #expect(try await removed)
        }
    }

    @Test(.timeLimit(.minutes(1))) func cancellationIsPrompt() async throws {
        try await Self.with { device, reader in
            let idle = device.statistics.bytesFromHost
            let waiting = Task { try await reader.activateCard(deadline: nil).card }
            try await eventually("the reader polls") { device.statistics.bytesFromHost > idle }
            waiting.cancel()
            await #expect(throws: ReaderError.cancelled) { try await waiting.value }
            // A card that thinks for ever: the wait for it is given up from another thread.
            let forever = PN532Fault(.slowAnswer(.seconds(30)), command: 0x42)
            device.present(
                StubCard(activation: ContactlessActivation(ats: [0x05, 0x78, 0x80, 0xE0, 0x02])))
            let channel = try await reader.activateCard(deadline: Self.soon)
            device.add([forever])
            let before = device.statistics.bytesFromHost
            let sending = Task { try await channel.transmit(Self.select, timeout: nil) }
            try await eventually("the command is sent") { device.statistics.bytesFromHost > before }
            let start = ContinuousClock.now
            sending.cancel()
            await #expect(throws: ReaderError.cancelled) { try await sending.value }
            _ = try await reader.activateCard(deadline: Self.soon)
            // FWI 14 would have been waited for 3.6 seconds and more.
            #expect(start.duration(to: .now) < .seconds(3))
        }
    }

    // MARK: - Devices that go

    @Test(.timeLimit(.minutes(1)), arguments: [false, true])
    func unpluggedAndBack(_ native: Bool) async throws {
        let link = NSTemporaryDirectory() + "/tapbridge-nfc-\(UUID().uuidString)"
        try await Self.with(link: link, native: native) { device, reader in
            device.present(StubCard.paymentSystem())
            let channel = try await reader.activateCard(deadline: Self.soon)
            _ = try await channel.transmit(Self.select, timeout: .seconds(5))
            device.unplug()
            do throws(ReaderError) {
                _ = try await channel.transmit(Self.select, timeout: .seconds(5))
                Issue.record("an unplugged reader answered")
            } catch {
                guard case .readerUnavailable(_, let reason) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(reason.contains("plug it in"))
            }
            do throws(ReaderError) {
                _ = try await reader.activateCard(deadline: Self.soon)
                Issue.record("an unplugged reader found a card")
            } catch {
                guard case .readerUnavailable = error else {
                    Issue.record("\(error)")
                    return
                }
            }
            try device.plugIn()
            let again = try await reader.activateCard(deadline: Self.soon)
            #expect(try await again.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            // In the middle of waiting for a card.
            device.removeCards()
            await reader.fieldOff()
            let before = device.statistics.bytesFromHost
            let waiting = Task { try await reader.activateCard(deadline: nil).card }
            try await eventually("the reader polls") { device.statistics.bytesFromHost > before }
            device.unplug()
            await #expect(throws: ReaderError.self) { try await waiting.value }
        }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ("nfc:pn532_uart:/dev/there-is-no-such-line", "is not there"),
            ("nfc:no-such-driver", "knows no driver"),
            ("nfc:pn532_uart:/dev/null", "nothing answers"),
        ])
    func unavailableReadersSayWhy(_ name: String, _ words: String) async throws {
        let reader = try await LibNFCContext.reader(named: name)
        #expect(reader.information.kind == .libnfc)
        #expect(reader.information.name == name)
        do throws(ReaderError) {
            _ = try await reader.activateCard(deadline: Self.soon)
            Issue.record("\(name) found a card")
        } catch {
            guard case .readerUnavailable(let told, let reason) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(told == name)
            #expect(reason.contains(words), "\(reason)")
        }
        await reader.close()
    }

    // MARK: - Polling

    @Test(.timeLimit(.minutes(1))) func pollsAsPhonesExpect() async throws {
        // CRC_A of 6A 01 00 00 03; the frame's bytes as in the public description of the frames.
        let schedules: [(String, [UInt8])] = [
            ("payment", [0x6A, 0x01, 0x00, 0x00, 0x03]),
            (
                "transit:030002:7900000000",
                [0x6A, 0x02, 0xC8, 0x01, 0x00, 0x03, 0x00, 0x02, 0x79, 0x00, 0x00, 0x00, 0x00]
            ),
        ]
        for (words, frame) in schedules {
            let schedule = try #require(PollingSchedule(words: words))
            try await Self.with(schedule: schedule) { device, reader in
                await #expect(throws: ReaderError.noCard) {
                    try await reader.activateCard(deadline: .now + .milliseconds(150))
                }
                let sent = device.sentFrames
                let index = try #require(sent.firstIndex { $0.prefix(frame.count) == frame[...] })
                // WUPA before it, a checksum behind it, WUPB after it.
                #expect(index > 0 && sent[index - 1] == [0x52])
                #expect(sent[index].count == frame.count + 2)
                #expect(index + 1 < sent.count && sent[index + 1].prefix(3) == [0x05, 0x00, 0x08])
                device.present(StubCard.paymentSystem())
                let channel = try await reader.activateCard(deadline: Self.soon)
                #expect(try await channel.transmit(Self.select, timeout: .seconds(5)).bytes == Self.answer)
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func pollsForFeliCaAndFindsTheOthers() async throws {
        try await Self.with(schedule: PollingSchedule.payment.withTypeF) { device, reader in
            await #expect(throws: ReaderError.noCard) {
                try await reader.activateCard(deadline: .now + .milliseconds(150))
            }
            for activation in [ContactlessActivation(), Self.typeB] {
                device.present(StubCard(activation: activation))
                let channel = try await reader.activateCard(deadline: Self.soon)
                #expect(channel.card.activation == activation)
                device.removeCards()
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func saysWhatItCannotPollFor() async throws {
        func expectRefusal(_ reader: any CardReader, _ schedule: PollingSchedule) async {
            do throws(ReaderError) {
                try await reader.usePolling(schedule)
                Issue.record("\(reader.information.name) took \(schedule)")
            } catch {
                #expect("\(error)".contains("this reader cannot"), "\(error)")
            }
        }
        try await Self.with { _, reader in
            await expectRefusal(reader, PollingSchedule(steps: [.typeA, .typeV]))
            await expectRefusal(reader, PollingSchedule(steps: [.frame([])]))
            try await reader.usePolling(.payment)
        }
        try await Self.with(native: true) { _, reader in
            await expectRefusal(reader, .payment)
            try await reader.usePolling(.standard)
        }
        await expectRefusal(PCSCReader(name: "any"), .payment)
    }

    @Test(arguments: [
        "", "payments", "transit", "transit:", "transit:0300", "transit:040002", "transit:03000g",
        "transit:030002:79", "payment:1", "+f",
    ])
    func schedulesThatAreNone(_ words: String) { #expect(PollingSchedule(words: words) == nil) }
}
