import Foundation
import SmartCard
import TestSupport
import TestTools
import Testing

@testable import CardReaders
@testable import PCSCReaders

/// What daemons, readers and other programs do to a terminal, against the real pcscd.
@Suite(.serialized, .needs(.virtualPCSC))
struct PCSCHardeningTests {
    static let select = StubCard.selectPaymentSystemEnvironment

    /// Runs `body` with cards in slots of a fresh daemon, one reader per name.
    static func withCards(
        names: [String] = ["Virtual PCD"], wrapped: Bool = false, silence: Duration = .seconds(1),
        _ cards: [Int: @Sendable () -> any VirtualCard],
        _ body: @escaping @Sendable (VirtualPCSC, [Int: VPCDClient]) async throws -> Void
    ) async throws {
        try await VirtualPCSC.run(names: names, wrapped: wrapped) { pcsc in
            var clients: [Int: VPCDClient] = [:]
            for (slot, make) in cards {
                var options = VPCDClient.Options(port: pcsc.ports[slot])
                options.silence = silence
                options.retryAfter = .milliseconds(100)
                clients[slot] = VPCDClient(card: make(), options: options)
            }
            let made = clients
            let serving = made.values.map { client in Task { try await client.run() } }
            let result: Result<Void, any Error>
            do {
                try await body(pcsc, made)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            for task in serving { task.cancel() }
            for task in serving { _ = await task.result }
            try result.get()
        }
    }

    static let plain: @Sendable () -> any VirtualCard = { StubCard.paymentSystem() }
    /// Is held at INS 01.
    static func slow(_ gate: Gate) -> @Sendable () -> any VirtualCard {
        {
            StubCard { command, _ in
                if command[1] == 0x01 { gate.hold() }
                return [0x90, 0x00]
            }
        }
    }
    static let slowCommand: [UInt8] = [0x80, 0x01, 0, 0, 0]

    static func isAnswered(_ channel: any CardChannel) async throws -> Bool {
        try await channel.transmit(select, timeout: .seconds(5)).bytes.suffix(2) == [0x90, 0x00]
    }

    static func isAnswered(in reader: PCSCReader, seconds: Int) async throws -> Bool {
        try await isAnswered(try await reader.activateCard(deadline: .now + .seconds(seconds)))
    }

    // MARK: - Other programs

    @Test(.timeLimit(.minutes(15))) func anotherProgramResetsTheCard() async throws {
        try await Self.withCards([0: Self.plain]) { pcsc, _ in
            let options = PCSCReader.Options(isExclusive: false)
            let ours = PCSCReader(name: pcsc.readers[0], options: options)
            let other = PCSCReader(name: pcsc.readers[0], options: options)
            let channel = try await ours.activateCard(deadline: .now + .seconds(10))
            let second = try await other.activateCard(deadline: .now + .seconds(5))
            // In shared mode both are served.
            #expect(try await Self.isAnswered(channel))
            #expect(try await Self.isAnswered(second))
            _ = try await other.activateCard(deadline: .now + .seconds(5))
            // The card has forgotten what it was told: no command of the old activation may reach it.
            await #expect(throws: ReaderError.cardRemoved) {
                try await channel.transmit(Self.select, timeout: .seconds(5))
            }
            #expect(try await Self.isAnswered(in: ours, seconds: 5))
            await ours.close()
            await other.close()
        }
    }

    @Test(.timeLimit(.minutes(15)), arguments: [(true, false), (false, true), (true, true)])
    func oneHoldsTheOtherWaits(first: Bool, second: Bool) async throws {
        try await Self.withCards([0: Self.plain]) { pcsc, _ in
            let holder = PCSCReader(name: pcsc.readers[0], options: .init(isExclusive: first))
            let waiter = PCSCReader(name: pcsc.readers[0], options: .init(isExclusive: second))
            _ = try await holder.activateCard(deadline: .now + .seconds(10))
            // Held on: told in words.
            do {
                _ = try await waiter.activateCard(deadline: .now + .milliseconds(600))
                Issue.record("an exclusive hold was not kept")
            } catch ReaderError.readerUnavailable(_, let reason) {
                #expect(reason.contains("another program"))
            }
            // Let go a moment later, as desktop programs do: the card is had.
            let before = pcsc.count(of: .connect)
            let waiting = Task { try await waiter.activateCard(deadline: .now + .seconds(60)) }
            try await pcsc.asked(.connect, than: before)
            await holder.fieldOff()
            let had = try await waiting.value
            #expect(try await Self.isAnswered(had))
            await holder.close()
            await waiter.close()
        }
    }

    // MARK: - Cancellation

    @Test(.timeLimit(.minutes(15))) func cancelledCommand() async throws {
        let commands = Recorded<[UInt8]>()
        let silent: @Sendable () -> any VirtualCard = {
            StubCard { command, _ in
                commands.append(command)
                return command[1] == 0x01 ? nil : [0x90, 0x00]
            }
        }
        try await Self.withCards(silence: .seconds(5), [0: silent]) { pcsc, _ in
            let reader = PCSCReader(name: pcsc.readers[0])
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            let sending = Task { try await channel.transmit(Self.slowCommand, timeout: nil) }
            try await commands.wait(until: "the card has the command") { $0.contains(Self.slowCommand) }
            let start = ContinuousClock.now
            sending.cancel()
            await #expect(throws: ReaderError.cancelled) { try await sending.value }
            // Not at the end of the five seconds of silence.
            #expect(start.duration(to: .now) < .seconds(4))
            // What the card answered, or will answer, belongs to nobody: the activation is over.
            await #expect(throws: ReaderError.self) {
                try await channel.transmit(Self.select, timeout: .seconds(5))
            }
            #expect(try await Self.isAnswered(in: reader, seconds: 60))
            await reader.close()
        }
    }

    /// However a cancellation falls, nothing stays held and the next activation works.
    @Test(.timeLimit(.minutes(15))) func cancelledActivationHoldsNothing() async throws {
        try await Self.withCards([0: Self.plain]) { pcsc, _ in
            let reader = PCSCReader(name: pcsc.readers[0])
            _ = try await reader.activateCard(deadline: .now + .seconds(60))
            await reader.fieldOff()
            let clock = ContinuousClock()
            let whole = try await clock.measure {
                _ = try await reader.activateCard(deadline: .now + .seconds(60))
            }
            await reader.fieldOff()
            var cancelled = 0
            for step in 0..<60 {
                let activation = Task { try await reader.activateCard(deadline: .now + .seconds(60)) }
                await pass(step, of: 60, of: whole)
                activation.cancel()
                switch await activation.result {
                case .success: await reader.fieldOff()
                case .failure(let error):
                    #expect(error as? ReaderError == .cancelled)
                    cancelled += 1
                }
            }
            #expect(cancelled > 0)
            // An exclusive hold that nobody knows of would be in the way of this one.
            let other = PCSCReader(name: pcsc.readers[0])
            #expect(try await Self.isAnswered(in: other, seconds: 2))
            await other.close()
            await reader.close()
        }
    }

    /// A reader that is let go without a word gives the card back.
    @Test(.timeLimit(.minutes(15))) func forgottenReaderLetsGo() async throws {
        try await Self.withCards([0: Self.plain]) { pcsc, _ in
            for _ in 0..<5 {
                let reader = PCSCReader(name: pcsc.readers[0])
                let isAnswered = try await Self.isAnswered(in: reader, seconds: 10)
                #expect(isAnswered)
            }
        }
    }

    // MARK: - The daemon

    @Test(.timeLimit(.minutes(15))) func daemonDiesDuringACommand() async throws {
        let gate = Gate()
        try await Self.withCards([0: Self.slow(gate)]) { pcsc, _ in
            let reader = PCSCReader(name: pcsc.readers[0])
            for round in 1...3 {
                let channel = try await reader.activateCard(deadline: .now + .seconds(20))
                let sending = Task { try await channel.transmit(Self.slowCommand, timeout: .seconds(10)) }
                try await gate.reached(round)
                pcsc.stop()
                gate.open()
                do {
                    _ = try await sending.value
                    Issue.record("a dead daemon answered")
                } catch ReaderError.readerUnavailable(_, let reason) {
                    #expect(reason.contains("pcscd"))
                }
                await #expect(throws: ReaderError.self) {
                    try await channel.transmit(Self.select, timeout: .seconds(5))
                }
                try await pcsc.start()
            }
            #expect(try await Self.isAnswered(in: reader, seconds: 20))
            await reader.close()
        }
    }

    /// A wait for a card outlives a restart of the daemon.
    @Test(.timeLimit(.minutes(15))) func daemonRestartsWhileWaiting() async throws {
        try await VirtualPCSC.run { pcsc in
            let reader = PCSCReader(name: pcsc.readers[0])
            let before = pcsc.count(of: .wait)
            let waiting = Task { try await reader.activateCard(deadline: .now + .seconds(60)) }
            try await pcsc.asked(.wait, than: before)
            pcsc.stop()
            try await pcsc.start()
            let client = VPCDClient(card: StubCard.paymentSystem(), options: .init(port: pcsc.ports[0]))
            let serving = Task { try await client.run() }
            let had = try await waiting.value
            #expect(try await Self.isAnswered(had))
            serving.cancel()
            _ = await serving.result
            await reader.close()
        }
    }

    /// A daemon that stays away ends the wait with words, long before the deadline.
    @Test(.timeLimit(.minutes(15))) func daemonStaysAway() async throws {
        try await VirtualPCSC.run { pcsc in
            let reader = PCSCReader(name: pcsc.readers[0])
            let before = pcsc.count(of: .wait)
            let waiting = Task { try await reader.activateCard(deadline: .now + .seconds(50)) }
            try await pcsc.asked(.wait, than: before)
            pcsc.stop()
            do {
                _ = try await waiting.value
                Issue.record("a card without a daemon")
            } catch ReaderError.readerUnavailable(_, let reason) {
                #expect(reason.contains("pcscd"))
            }
            await reader.close()
        }
    }

    // MARK: - The reader

    @Test(.timeLimit(.minutes(15)), .needs(.wrappedDriver))
    func readerPulledOutDuringACommand() async throws {
        let gate = Gate()
        try await Self.withCards(wrapped: true, [0: Self.slow(gate)]) { pcsc, _ in
            let reader = PCSCReader(name: pcsc.readers[0])
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            let sending = Task { try await channel.transmit(Self.slowCommand, timeout: .seconds(10)) }
            try await gate.reached()
            try pcsc.setDriverFile("gone", "")
            gate.open()
            await #expect(throws: ReaderError.self) { try await sending.value }
            await reader.fieldOff()
            do {
                _ = try await reader.activateCard(deadline: .now + .milliseconds(500))
                Issue.record("a card in a reader that is gone")
            } catch let error as ReaderError {
                switch error {
                case .readerUnavailable, .noCard, .activationFailed: break
                default: Issue.record("\(error)")
                }
            }
            try pcsc.setDriverFile("gone", nil)
            // While the reader comes back its card may be there and not answer yet.
            var again: (any CardChannel)?
            try await eventually("the card answers in the reader that is back") {
                again = try? await reader.activateCard(deadline: .now + .seconds(15))
                return again != nil
            }
            #expect(try await Self.isAnswered(try #require(again)))
            await reader.close()
        }
    }

    @Test(.timeLimit(.minutes(15))) func aDozenTerminals() async throws {
        let names = (0..<6).map { "Counter \($0)" }
        var cards: [Int: @Sendable () -> any VirtualCard] = [:]
        for slot in 0..<12 {
            // Each says which one it is, and what it was asked.
            cards[slot] = { StubCard { command, _ in [UInt8(slot)] + command.suffix(2) + [0x90, 0x00] } }
        }
        try await Self.withCards(names: names, cards) { pcsc, _ in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for slot in 0..<12 {
                    group.addTask {
                        let reader = PCSCReader(name: pcsc.readers[slot])
                        var answered = 0
                        for round in 0..<5 {
                            let channel = try await reader.activateCard(deadline: .now + .seconds(30))
                            for number in 0..<20 {
                                let command: [UInt8] = [0x80, 0x10, 0, 0, 2, UInt8(round), UInt8(number)]
                                let answer = try await channel.transmit(command, timeout: .seconds(10)).bytes
                                #expect(answer == [UInt8(slot), UInt8(round), UInt8(number), 0x90, 0x00])
                                answered += 1
                            }
                            await reader.fieldOff()
                        }
                        await reader.close()
                        return answered
                    }
                }
                let answered = try await group.reduce(0, +)
                #expect(answered == 12 * 5 * 20)
            }
        }
    }

    // MARK: - Lengths

    /// As long as the virtual reader's messages may be: 65535 bytes.
    @Test(.timeLimit(.minutes(15))) func longestLengths() async throws {
        let card: @Sendable () -> any VirtualCard = {
            StubCard { command, _ in
                if command[1] == 0x01 {
                    let count = Int(command[2]) << 8 | Int(command[3])
                    return [UInt8](repeating: 0x5A, count: count) + [0x90, 0x00]
                }
                return [UInt8(command.count >> 8), UInt8(command.count & 0xFF), 0x90, 0x00]
            }
        }
        try await Self.withCards([0: card]) { pcsc, _ in
            let reader = PCSCReader(name: pcsc.readers[0])
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            for count in [65532, 65533] {
                let command: [UInt8] = [0x80, 0x01, UInt8(count >> 8), UInt8(count & 0xFF), 0, 0, 0]
                #expect(try await channel.transmit(command, timeout: .seconds(10)).bytes.count == count + 2)
            }
            for count in [32768, 65527, 65528] {
                let command: [UInt8] =
                    [0x80, 0x02, 0, 0, 0, UInt8(count >> 8), UInt8(count & 0xFF)]
                    + [UInt8](repeating: 1, count: count)
                let answer = try await channel.transmit(command, timeout: .seconds(10)).bytes
                #expect(answer == [UInt8(command.count >> 8), UInt8(command.count & 0xFF), 0x90, 0x00])
            }
            // Longer than any APDU: refused before it reaches the reader, which goes on.
            await #expect(throws: ReaderError.self) {
                try await channel.transmit([UInt8](repeating: 1, count: 65545), timeout: .seconds(5))
            }
            #expect(
                try await channel.transmit([0x80, 0x02, 0, 0], timeout: .seconds(5)).bytes == [0, 4, 0x90, 0])
            await reader.close()
        }
    }

    /// A reader that tells that it takes short APDUs only gets no other: what fits is sent short, what does not is
    /// chained where the card announces that, and refused where not.
    @Test(
        .timeLimit(.minutes(15)), .needs(.wrappedDriver),
        arguments: [false, true])
    func shortReader(chains: Bool) async throws {
        let log = Recorded<[UInt8]>()
        let card: @Sendable () -> any VirtualCard = {
            let card = StubCard { command, _ in
                log.append(command)
                return [0x90, 0x00]
            }
            // Historical bytes 80 73 00 00 80: card capabilities with command chaining; check byte last.
            if chains { card.answerToReset = [0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0x00, 0x00, 0x80, 0x77] }
            return card
        }
        try await Self.withCards(wrapped: true, [0: card]) { pcsc, _ in
            // dwMaxAPDUDataSize 0.
            try pcsc.setDriverFile("properties", "0A0400000000")
            let reader = PCSCReader(name: pcsc.readers[0])
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            _ = try await channel.transmit(
                [0x00, 0xCB, 0, 0, 0, 0, 2, 0xAA, 0xBB, 0, 0], timeout: .seconds(5))
            #expect(log.all == [[0x00, 0xCB, 0, 0, 2, 0xAA, 0xBB, 0]])
            log.clear()
            let data = (0..<600).map { UInt8(truncatingIfNeeded: $0) }
            let long: [UInt8] = [0x00, 0xDB, 0x3F, 0xFF, 0, 2, 88] + data
            if chains {
                #expect(try await channel.transmit(long, timeout: .seconds(5)).bytes == [0x90, 0x00])
                #expect(
                    log.all.map { $0.prefix(5) } == [
                        [0x10, 0xDB, 0x3F, 0xFF, 255], [0x10, 0xDB, 0x3F, 0xFF, 255],
                        [0x00, 0xDB, 0x3F, 0xFF, 90],
                    ])
                #expect(log.all.flatMap { $0.dropFirst(5) } == data)
            } else {
                do {
                    _ = try await channel.transmit(long, timeout: .seconds(5))
                    Issue.record("a command longer than the reader takes was sent")
                } catch ReaderError.protocolViolation(let reason) {
                    #expect(reason.contains("255 bytes"))
                }
                #expect(log.all.isEmpty)
            }
            await reader.close()
        }
    }

    // MARK: - Slots

    /// The contactless slot of a dual reader is taken, its contact and SAM slots only when they are named.
    @Test(.timeLimit(.minutes(15))) func dualReader() async throws {
        let dual = "HID Global OMNIKEY 5422 Smartcard Reader"
        let names = [
            "\(dual) [OMNIKEY 5422 Smartcard Reader] (KR1)",
            "\(dual) [OMNIKEY 5422CL Smartcard Reader] (KR1)",
        ]
        try await VirtualPCSC.run(names: names) { pcsc in
            let readers = try await PCSCContext.readers()
            #expect(readers.map(\.name) == pcsc.readers)
            #expect(readers.map(\.interface) == [.contact, .contact, .contactless, .contactless])
            #expect(try await PCSCContext.reader().information.name == pcsc.readers[2])
            #expect(
                try await PCSCContext.reader(matching: pcsc.readers[0]).information.name == pcsc.readers[0])
        }
        try await VirtualPCSC.run(names: ["ACS ACR38U-CCID Contact"]) { pcsc in
            await #expect(throws: ReaderError.self) { try await PCSCContext.reader() }
            let taken = try await PCSCContext.reader(allowsContact: true)
            #expect(taken.information.name == pcsc.readers[0])
        }
    }
}

/// The rules of lengths and names, without a reader.
struct PCSCRuleTests {
    /// Names as pcsc-lite composes them from the CCID driver's list.
    @Test(arguments: [
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", ReaderListing.Interface.contactless),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00", .sam),
        ("ACS ACR122U PICC Interface 00 00", .contactless), ("ACS ACR122U 00 00", .contactless),
        ("Identiv uTrust 3700 F CL Reader [uTrust 3700 F CL Reader] (55041447200096) 00 00", .contactless),
        ("SCM Microsystems Inc. SCL3711-NFC&RW 00 00", .contactless),
        ("Gemalto PC Twin Reader 00 00", .unknown), ("Virtual PCD 00 00", .unknown),
        ("HID Global OMNIKEY 5022 Smart Card Reader 00 00", .unknown),
    ]) func interfaces(name: String, interface: ReaderListing.Interface) {
        #expect(ReaderListing(name: name).interface == interface)
    }

    /// Case 4 extended and its limits (PC/SC part 10, 2.6.14).
    @Test func plans() {
        let command: [UInt8] = [0, 0xCB, 1, 2, 0, 0, 3, 7, 8, 9, 0, 0]
        #expect(APDULengthLimits(maximumDataSize: nil).plan(command) == .send(command))
        #expect(APDULengthLimits(maximumDataSize: 65536).plan(command) == .send(command))
        #expect(APDULengthLimits(maximumDataSize: 0).plan(command) == .send([0, 0xCB, 1, 2, 3, 7, 8, 9, 0]))
        // Case 2 extended: 65536 wanted becomes 256.
        #expect(
            APDULengthLimits(maximumDataSize: 256).plan([0, 0xB0, 0, 0, 0, 0, 0])
                == .send([0, 0xB0, 0, 0, 0]))
        #expect(
            APDULengthLimits(maximumDataSize: 256).plan([0, 0xB0, 0, 0, 0, 0, 9])
                == .send([0, 0xB0, 0, 0, 9]))
        // Cut off, or with a length that does not fit: never sent on.
        for count in [6, 8, 9, 11, 13] {
            let broken = Array((command + [0, 0]).prefix(count))
            guard case .refuse = APDULengthLimits(maximumDataSize: 0).plan(broken) else {
                Issue.record("\(broken) passed")
                continue
            }
        }
        // Proprietary classes are not chained.
        let long: [UInt8] = [0x80, 1, 0, 0, 0, 1, 0] + [UInt8](repeating: 0, count: 256)
        guard case .refuse = APDULengthLimits(maximumDataSize: 0, cardChains: true).plan(long) else {
            Issue.record("a proprietary class was chained")
            return
        }
    }

    /// Any bytes end in a plan, and no plan has a part longer than the reader takes.
    @Test func plansOfAnything() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20000 {
            var command = (0..<Int.random(in: 6...700, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            command[4] = 0
            if Bool.random(using: &generator) {
                command[5] = UInt8((command.count - 7).magnitude >> 8)
                if command.count > 6 { command[6] = UInt8(truncatingIfNeeded: command.count - 7) }
            }
            let limit = UInt32.random(in: 0...300, using: &generator)
            switch APDULengthLimits(maximumDataSize: limit, cardChains: true).plan(command) {
            case .send(let bytes): #expect(bytes.count <= max(Int(limit), 255) + 9)
            case .chain(let parts): #expect(parts.allSatisfy { $0.count <= 261 } && parts.count > 1)
            case .refuse: break
            }
        }
    }

    @Test func historicalBytes() {
        // ISO/IEC 7816-4 compact-TLV: 73 C0 01 C0 (no: bit 8 of the third byte is set in C0).
        #expect(APDULengthLimits.chains([0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x01, 0xC0, 0xF6]))
        #expect(!APDULengthLimits.chains([0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x01, 0x40, 0x76]))
        #expect(!APDULengthLimits.chains([0x3B, 0x80, 0x80, 0x01, 0x01]))
        for count in 0..<10 {
            #expect(
                !APDULengthLimits.chains(
                    Array([0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x01, 0xC0, 0xF6].prefix(count)))
                    || count >= 9)
        }
    }

    /// What drivers say may be anything.
    @Test func featuresAndProperties() {
        let features = PCSCFeatures([0x12, 4, 0x42, 0x33, 0x00, 0x12, 0x13, 4, 0x42, 0, 0, 1, 0x06, 4, 0x42])
        #expect(features.controlCodes == [0x12: 0x4233_0012, 0x13: 0x4200_0001])
        let properties = PCSCProperties([
            10, 4, 0, 0, 1, 0, 11, 2, 0x2F, 0x07, 12, 2, 0x00, 0x22, 8, 2, 0x31, 0x32,
        ])
        #expect(properties.maximumDataSize == 65536)
        #expect(properties.vendorID == 0x072F)
        #expect(properties.productID == 0x2200)
        #expect(properties.firmware == "12")
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...20, using: &generator)
            }
            _ = PCSCFeatures(bytes)
            _ = PCSCProperties(bytes)
            _ = APDULengthLimits.chains(bytes)
        }
    }
}
