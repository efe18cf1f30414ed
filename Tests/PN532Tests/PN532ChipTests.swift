import PN532
import SmartCard
import TestSupport
import TestTools
import Testing

/// The chip's answers, byte by byte as the host sees them.
@Suite struct PN532ChipTests {
    /// A chip that was woken, and what it answers to commands.
    struct Host {
        var chip: PN532Chip

        init(faults: [PN532Fault] = []) {
            chip = PN532Chip(faults: faults)
            _ = chip.receive([0x55, 0x55, 0x00, 0x00, 0x00])
        }
        /// The bytes of all outputs, pauses left out.
        mutating func raw(_ bytes: [UInt8]) -> [UInt8] {
            chip.receive(bytes).outputs.flatMap { output -> [UInt8] in
                if case .bytes(let bytes) = output { bytes } else { [] }
            }
        }
        /// The frames that answer a command.
        mutating func frames(_ command: [UInt8]) -> [PN532Frame] {
            var parser = PN532FrameParser()
            return raw(PN532Frame.information(identifier: 0xD4, data: command).bytes)
                .compactMap { try? parser.take($0)?.get() }
        }
        /// The answer behind the ACK, with its code; nil where it is no information.
        mutating func answer(_ command: [UInt8]) -> [UInt8]? {
            let frames = frames(command)
            guard frames.count == 2, frames[0] == .acknowledge,
                case .information(0xD5, let data) = frames[1]
            else { return nil }
            return data
        }
    }

    @Test func sleepsUntilItIsWoken() {
        var chip = PN532Chip()
        let command = PN532Frame.information(identifier: 0xD4, data: [0x02]).bytes
        #expect(chip.receive(command).outputs.isEmpty)
        _ = chip.receive([0x55])
        #expect(chip.receive(command).outputs.count == 2)
    }

    @Test func commandsOfTheChip() {
        var host = Host()
        #expect(host.answer([0x02]) == [0x03, 0x32, 0x01, 0x06, 0x07])
        #expect(host.answer([0x00, 0x00] + Array("libnfc".utf8)) == [0x01, 0x00] + Array("libnfc".utf8))
        #expect(host.answer([0x14, 0x01]) == [0x15])
        #expect(host.answer([0x12, 0x14]) == [0x13])
        #expect(host.answer([0x32, 0x01, 0x01]) == [0x33])
        #expect(host.answer([0x04]) == [0x05, 0x00, 0x01, 0x00, 0x00])
        #expect(host.answer([0x08, 0x63, 0x3D, 0x07]) == [0x09])
        #expect(host.answer([0x06, 0x63, 0x3D, 0x63, 0x05]) == [0x07, 0x07, 0x00])
        #expect(host.answer([0x52, 0x00]) == [0x53, 0x00])
        #expect(host.answer([0x16, 0xF0]) == [0x17, 0x00])
        // It sleeps now.
        #expect(host.raw(PN532Frame.information(identifier: 0xD4, data: [0x02]).bytes).isEmpty)
    }

    @Test(arguments: [[0x99], [0x14], [0x4A], [0x4A, 0x03, 0x00], [0x06], [0x08, 0x63], [0x32, 0x77]])
    func nonsenseIsASyntaxError(_ command: [UInt8]) {
        var host = Host()
        #expect(host.frames(command) == [.acknowledge, .applicationError])
    }

    @Test func notAcknowledgeBringsTheAnswerAgain() {
        var host = Host()
        let first = host.raw(PN532Frame.information(identifier: 0xD4, data: [0x02]).bytes)
        #expect(Array(first.dropFirst(6)) == host.raw(PN532Frame.notAcknowledge.bytes))
    }

    /// Type A as UM0701-02, 7.3.5 lays it out: Tg, SENS_RES, SEL_RES, NFCID1, ATS.
    @Test func typeA() {
        var host = Host()
        _ = host.answer([0x32, 0x05, 0x00, 0x01, 0x02])
        #expect(host.answer([0x4A, 0x01, 0x00]) == [0x4B, 0x00])
        _ = host.chip.present(StubCard.paymentSystem())
        #expect(
            host.answer([0x4A, 0x01, 0x00]) == [
                0x4B, 0x01, 0x01, 0x00, 0x04, 0x20, 0x04, 0x08, 0x01, 0x02, 0x03, 0x05, 0x78, 0x80, 0x70,
                0x02,
            ])
        #expect(
            host.answer([0x40, 0x01] + StubCard.selectPaymentSystemEnvironment)
                == [0x41, 0x00] + StubCard.paymentSystemEnvironment + [0x90, 0x00])
        #expect(host.answer([0x00, 0x06]) == [0x01, 0x00])
        host.chip.removeCards()
        #expect(host.answer([0x40, 0x01, 0x00, 0xA4, 0x00, 0x00]) == [0x41, 0x01])
    }

    @Test(arguments: [4, 7, 10]) func identifiersOfAllLengths(_ count: Int) throws {
        let identifier = (0..<count).map { UInt8(0x10 + $0) }
        var host = Host()
        _ = host.chip.present(StubCard(activation: ContactlessActivation(identifier: identifier)))
        let answerFound = host.answer([0x4A, 0x01, 0x00])
        let answer = try #require(answerFound)
        #expect(Array(answer.dropFirst(6).prefix(count + 1)) == [UInt8(count)] + identifier)
    }

    @Test func typeB() {
        let activation = ContactlessActivation(
            modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD4], ats: [0, 0, 0, 0, 0x00, 0x81, 0x71])
        var host = Host()
        _ = host.answer([0x32, 0x05, 0x00, 0x01, 0x02])
        _ = host.chip.present(StubCard(activation: activation))
        #expect(host.answer([0x4A, 0x01, 0x00]) == [0x4B, 0x00])
        #expect(
            host.answer([0x4A, 0x01, 0x03, 0x00]) == [
                0x4B, 0x01, 0x01, 0x50, 0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0, 0x00, 0x81, 0x71, 0x01, 0x01,
            ])
        #expect(host.answer([0x40, 0x01, 0x00, 0xA4, 0x00, 0x00]) == [0x41, 0x00, 0x90, 0x00])
    }

    /// A target that was deselected is selected again, and answers; one that left is not.
    @Test(arguments: [
        ContactlessActivation(identifier: [1, 2, 3, 4, 5, 6, 7]),
        ContactlessActivation(
            modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD4], ats: [0, 0, 0, 0, 0x00, 0x81, 0x71]),
    ]) func selectsAgain(_ activation: ContactlessActivation) {
        var host = Host()
        _ = host.chip.present(StubCard(activation: activation))
        let list: [UInt8] = activation.modulation == .typeA ? [0x4A, 0x01, 0x00] : [0x4A, 0x01, 0x03, 0x00]
        let listed = host.answer(list)
        #expect(listed?[1] == 1)
        let command: [UInt8] = [0x40, 0x01, 0x00, 0xA4, 0x00, 0x00]
        #expect(host.answer([0x44, 0x01]) == [0x45, 0x00])
        #expect(host.answer(command) == [0x41, 0x27])
        #expect(host.answer([0x54, 0x01]) == [0x55, 0x00])
        #expect(host.answer(command) == [0x41, 0x00, 0x90, 0x00])
        #expect(host.answer([0x54, 0x01]) == [0x55, 0x00])
        #expect(host.answer([0x54, 0x02]) == [0x55, 0x27])
        #expect(host.answer([0x44, 0x01]) == [0x45, 0x00])
        host.chip.removeCards()
        #expect(host.answer([0x54, 0x01]) == [0x55, 0x01])
    }

    /// InAutoPoll, as nfc-poll uses it: cards that are there, that come while it polls, that come too late.
    @Test func pollsAutomatically() throws {
        let poll: [UInt8] = [0x60, 0x02, 0x01, 0x20, 0x10, 0x23]
        let found: [UInt8] = [
            0x61, 0x01, 0x20, 0x0E, 0x01, 0x00, 0x04, 0x20, 0x04, 0x08, 0x01, 0x02, 0x03, 0x05, 0x78, 0x80,
            0x70,
            0x02,
        ]
        var host = Host()
        _ = host.chip.present(StubCard.paymentSystem())
        #expect(host.answer(poll) == found)
        #expect(host.answer([0x40, 0x01] + StubCard.selectPaymentSystemEnvironment)?[1] == 0x00)
        host.chip.removeCards()
        #expect(host.answer([0x52, 0x00]) == [0x53, 0x00])
        // Nobody: the answer takes two rounds of 150 ms for each of three types.
        let reaction = host.chip.receive(PN532Frame.information(identifier: 0xD4, data: poll).bytes)
        #expect(reaction.outputs.contains(.pause(.milliseconds(900))))
        #expect(
            reaction.outputs.last
                == .bytes(PN532Frame.information(identifier: 0xD5, data: [0x61, 0x00]).bytes))
        // One that comes meanwhile takes its place.
        let coming = host.chip.present(StubCard.paymentSystem())
        #expect(coming.abandonsPending)
        #expect(coming.outputs == [.bytes(PN532Frame.information(identifier: 0xD5, data: found).bytes)])
        host.chip.removeCards()
        #expect(host.answer(poll) == [0x61, 0x00])
        host.chip.outputsAreSent()
        let late = host.chip.present(StubCard.paymentSystem())
        #expect(late.outputs.isEmpty && !late.abandonsPending)
    }

    /// Two cards: the chip resolves the collision and lists both (MaxTg 2).
    @Test func twoCards() throws {
        var host = Host()
        _ = host.chip.present(
            StubCard(activation: ContactlessActivation(identifier: [0x01, 0x22, 0x33, 0x44])))
        _ = host.chip.present(
            StubCard(activation: ContactlessActivation(identifier: [0x02, 0x22, 0x33, 0x44])))
        let answerFound = host.answer([0x4A, 0x02, 0x00])
        let answer = try #require(answerFound)
        #expect(answer[1] == 2)
        #expect(answer.contains(0x01) && answer.contains(0x02))
    }

    /// Chaining: a command in two pieces (MI), a response longer than one frame.
    @Test func chaining() throws {
        let long = (0..<600).map { UInt8(truncatingIfNeeded: $0) } + [0x90, 0x00]
        var host = Host()
        _ = host.chip.present(StubCard { command, _ in command.count == 300 ? long : [0x67, 0x00] })
        _ = host.answer([0x4A, 0x01, 0x00])
        let command = [UInt8](repeating: 0x5A, count: 300)
        #expect(host.answer([0x40, 0x41] + command[..<200]) == [0x41, 0x00])
        var response: [UInt8] = []
        let firstPiece = host.answer([0x40, 0x01] + command[200...])
        var piece = try #require(firstPiece)
        while piece[1] == 0x40 {
            response += piece[2...]
            let nextPiece = host.answer([0x40, 0x01])
            piece = try #require(nextPiece)
        }
        #expect(piece[1] == 0x00)
        #expect(response + piece[2...] == long)
    }

    /// A card that asks for more time gets it.
    @Test func waitingTimeExtension() {
        var host = Host()
        host.chip.waitingTimeExtensions = 3
        _ = host.chip.present(StubCard.paymentSystem())
        _ = host.answer([0x4A, 0x01, 0x00])
        #expect(host.answer([0x40, 0x01, 0x00, 0xA4, 0x00, 0x00]) == [0x41, 0x00, 0x6D, 0x00])
    }

    /// Raw frames: WUPA of seven bits, anticollision, SELECT, RATS, an I-block, all by hand. CRC_A of RATS `E0 80`
    /// is `31 73`, of HLTA `50 00` is `57 CD` (ISO/IEC 14443-3, annex B and common practice).
    @Test func rawFrames() throws {
        var host = Host()
        _ = host.chip.present(StubCard())
        _ = host.answer([0x32, 0x01, 0x01])
        // No checksums by the chip; seven bits of the last byte.
        _ = host.answer([0x08, 0x63, 0x02, 0x00, 0x63, 0x03, 0x00, 0x63, 0x3D, 0x07])
        #expect(host.answer([0x42, 0x52]) == [0x43, 0x00, 0x04, 0x00])
        _ = host.answer([0x08, 0x63, 0x3D, 0x00])
        #expect(host.answer([0x42, 0x93, 0x20]) == [0x43, 0x00, 0x08, 0x01, 0x02, 0x03, 0x08])
        let select: [UInt8] = [0x93, 0x70, 0x08, 0x01, 0x02, 0x03, 0x08]
        // With a wrong checksum the card keeps silent.
        #expect(host.answer([0x42] + select + [0x00, 0x00]) == [0x43, 0x01])
        _ = host.answer([0x08, 0x63, 0x3D, 0x07])
        #expect(host.answer([0x42, 0x52]) == [0x43, 0x00, 0x04, 0x00])
        _ = host.answer([0x08, 0x63, 0x3D, 0x00, 0x63, 0x02, 0x80, 0x63, 0x03, 0x80])
        #expect(host.answer([0x42] + select) == [0x43, 0x00, 0x20])
        _ = host.answer([0x08, 0x63, 0x02, 0x00, 0x63, 0x03, 0x00])
        let atsFound = host.answer([0x42, 0xE0, 0x80, 0x31, 0x73])
        let ats = try #require(atsFound)
        #expect(Array(ats.prefix(7)) == [0x43, 0x00, 0x05, 0x78, 0x80, 0x70, 0x02])
        #expect(ats.count == 9)
    }

    /// Any bytes from the host: no trap, and the chip still answers.
    @Test func noiseFromTheHost() {
        var random = SplitMix(seed: 1)
        for round in 0..<300 {
            var host = Host()
            if round % 3 > 0 { _ = host.chip.present(StubCard.paymentSystem()) }
            for _ in 0..<40 {
                var command = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                // Half of them known commands with parameters that mean nothing; never PowerDown.
                if Bool.random(using: &random),
                    let known = PN532Chip.Command.allCases.randomElement(using: &random)
                {
                    command.insert(known.rawValue, at: 0)
                }
                if command.first == 0x16 { command[0] = 0x4A }
                _ = host.frames(command)
            }
            #expect(host.answer([0x02]) == [0x03, 0x32, 0x01, 0x06, 0x07])
        }
    }

    @Test(arguments: [
        ("lost-ack", PN532Fault(.lostAcknowledge)), ("card-leaves@3", PN532Fault(.cardLeaves, after: 3)),
        ("slow=500", PN532Fault(.slowAnswer(.milliseconds(500)))), ("reset@0", PN532Fault(.reset)),
    ]) func faultsByTheirWords(_ words: String, _ fault: PN532Fault) {
        #expect(PN532Fault(words: words) == fault)
    }
    @Test(arguments: ["", "lost", "slow", "slow=", "slow=-1", "lost-ack@", "lost-ack@x", "lost-ack=3", "@"])
    func wordsThatAreNoFault(_ words: String) { #expect(PN532Fault(words: words) == nil) }
}
