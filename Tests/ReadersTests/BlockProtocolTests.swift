import SmartCard
import Testing

@testable import CardReaders

/// A card of a few rules behind a line of frames.
final class ScriptedLink: FrameLink {
    enum Reply {
        case frame([UInt8])
        case silence, damaged, collision
        case fails(LinkFailure)
    }
    var frameLimit = 256
    private var replies: [Reply]
    private(set) var sent: [[UInt8]] = []
    private(set) var waits: [Duration] = []
    private(set) var modulation: ContactlessActivation.Modulation?

    init(_ replies: [Reply]) { self.replies = replies }

    var isUsedUp: Bool { replies.isEmpty }
    func use(_ modulation: ContactlessActivation.Modulation) { self.modulation = modulation }
    func setField(_ isOn: Bool) {}
    func pause(_ duration: Duration) {}
    func exchange(
        _ frame: [UInt8], lastBits: Int, checked: Bool, wait: Duration
    ) throws(LinkFailure) -> FrameAnswer {
        sent.append(frame)
        waits.append(wait)
        guard !replies.isEmpty else { return .silence }
        switch replies.removeFirst() {
        case .frame(let bytes): return .frame(bytes)
        case .silence: return .silence
        case .damaged: return .damaged
        case .collision: return .collision
        case .fails(let failure): throw failure
        }
    }
}

/// The block protocol by the scenarios of ISO/IEC 14443-4, annex B.
@Suite struct BlockProtocolTests {
    typealias Reply = ScriptedLink.Reply

    static func run(
        _ command: [UInt8], _ replies: [Reply], frameSize: Int = 256
    ) -> (result: Result<[UInt8], BlockProtocol.Failure>, link: ScriptedLink) {
        let link = ScriptedLink(replies)
        var blocks = BlockProtocol(
            modulation: .typeA, frameSize: frameSize, ownFrameSize: 256, frameWaitingTime: .milliseconds(40))
        do throws(BlockProtocol.Failure) {
            return (
                .success(try blocks.transmit(command, over: link, deadline: nil, isAbandoned: { false })),
                link
            )
        } catch {
            return (.failure(error), link)
        }
    }

    struct Scenario: Sendable {
        var name: String
        var command: [UInt8] = [0xAA, 0xBB]
        var replies: [[UInt8]?]
        var sent: [[UInt8]]
        var response: [UInt8]
    }
    /// nil is silence.
    static let scenarios: [Scenario] = [
        Scenario(
            name: "exchange of I-blocks", replies: [[0x02, 0x90, 0x00]], sent: [[0x02, 0xAA, 0xBB]],
            response: [0x90, 0x00]),
        Scenario(
            name: "request for waiting time extension", replies: [[0xF2, 0x05], [0x02, 0x90, 0x00]],
            sent: [[0x02, 0xAA, 0xBB], [0xF2, 0x05]], response: [0x90, 0x00]),
        // The power level in the upper two bits is not sent back.
        Scenario(
            name: "extension with power level", replies: [[0xF2, 0xC5], [0x02, 0x90, 0x00]],
            sent: [[0x02, 0xAA, 0xBB], [0xF2, 0x05]], response: [0x90, 0x00]),
        Scenario(
            name: "terminal chains", command: Array(repeating: 0x11, count: 30),
            replies: [[0xA2], [0xA3], [0x02, 0x90, 0x00]],
            sent: [
                [0x12] + Array(repeating: 0x11, count: 13), [0x13] + Array(repeating: 0x11, count: 13),
                [0x02] + Array(repeating: 0x11, count: 4),
            ], response: [0x90, 0x00]),
        Scenario(
            name: "card chains", replies: [[0x12, 1, 2], [0x13, 3, 4], [0x02, 5]],
            sent: [[0x02, 0xAA, 0xBB], [0xA3], [0xA2]], response: [1, 2, 3, 4, 5]),
        Scenario(
            name: "I-block lost", replies: [nil, [0xA3], [0x02, 0x90, 0x00]],
            sent: [[0x02, 0xAA, 0xBB], [0xB2], [0x02, 0xAA, 0xBB]], response: [0x90, 0x00]),
        Scenario(
            name: "answer lost", replies: [nil, [0x02, 0x90, 0x00]], sent: [[0x02, 0xAA, 0xBB], [0xB2]],
            response: [0x90, 0x00]),
        Scenario(
            name: "request for extension lost", replies: [nil, [0xF2, 0x01], [0x02, 0x90, 0x00]],
            sent: [[0x02, 0xAA, 0xBB], [0xB2], [0xF2, 0x01]], response: [0x90, 0x00]),
        Scenario(
            name: "answer to extension lost",
            replies: [[0xF2, 0x01], nil, [0xF2, 0x01], [0x02, 0x90, 0x00]],
            sent: [[0x02, 0xAA, 0xBB], [0xF2, 0x01], [0xB2], [0xF2, 0x01]], response: [0x90, 0x00]),
        Scenario(
            name: "R(ACK) of the terminal lost", replies: [[0x12, 1], nil, [0x03, 2]],
            sent: [[0x02, 0xAA, 0xBB], [0xA3], [0xA3]], response: [1, 2]),
        Scenario(
            name: "R(ACK) of the card lost", command: Array(repeating: 0x11, count: 20),
            replies: [nil, [0xA2], [0x03, 0x90, 0x00]],
            sent: [
                [0x12] + Array(repeating: 0x11, count: 13), [0xB2],
                [0x13 & 0x03] + Array(repeating: 0x11, count: 7),
            ], response: [0x90, 0x00]),
        Scenario(name: "empty response", replies: [[0x02]], sent: [[0x02, 0xAA, 0xBB]], response: []),
    ]

    @Test(arguments: scenarios.indices) func scenario(_ index: Int) {
        let scenario = Self.scenarios[index]
        let (result, link) = Self.run(
            scenario.command, scenario.replies.map { $0.map { .frame($0) } ?? .silence }, frameSize: 16)
        #expect(result == .success(scenario.response), "\(scenario.name)")
        #expect(link.sent == scenario.sent, "\(scenario.name)")
    }

    /// The time that was asked for holds for one block, and never exceeds the longest there is.
    @Test func extensionsOfTime() {
        let (_, link) = Self.run(
            [0], [.frame([0xF2, 0x03]), .frame([0xF2, 0x3B]), .damaged, .frame([0x02, 0])])
        #expect(
            link.waits == [.milliseconds(40), .milliseconds(120), .milliseconds(2360), .milliseconds(40)])
    }

    static let failures: [([Reply], BlockProtocol.Failure)] = [
        ([.silence, .silence, .silence], .timeout),
        ([.damaged, .damaged, .damaged], .transmission),
        ([.collision, .silence, .damaged], .transmission),
        ([.fails(.garbled), .fails(.garbled), .fails(.timeout)], .link(.timeout)),
        ([.fails(.gone)], .link(.gone)),
        ([.fails(.aborted)], .abandoned),
        ([.frame([0x03, 0x90, 0x00])], .violation("a block with the wrong number")),
        ([.frame([0xA2])], .violation("an R(ACK) without chaining")),
        ([.frame([0xA2, 0x00])], .violation("an R-block with data")),
        ([.frame([0xF2])], .violation("a waiting time extension of no valid length")),
        ([.frame([0xF2, 0x00])], .violation("a waiting time extension of no valid length")),
        ([.frame([0xF2, 0x3C])], .violation("a waiting time extension of no valid length")),
        ([.frame([0xC2])], .violation("a block that begins with C2")),
        ([.frame([0x12])], .violation("the card chains empty blocks")),
        ([.frame([0xA3]), .frame([0xA3]), .frame([0xA3])], .timeout),
    ]
    @Test(arguments: failures.indices) func failure(_ index: Int) {
        let (replies, expected) = Self.failures[index]
        #expect(Self.run([0xAA], replies).result == .failure(expected))
    }

    /// A card that chains for ever is stopped, and so is one that asks for time when nobody waits any more.
    @Test func endlessCards() {
        var replies: [Reply] = []
        for number in 0..<400 {
            replies.append(.frame([0x12 | UInt8(number & 1)] + Array(repeating: 0, count: 252)))
        }
        #expect(
            Self.run([0xAA], replies).result
                == .failure(.violation("the response is longer than any APDU may be")))
        let patient = Self.run([0xAA], Array(repeating: .frame([0xF2, 0x01]), count: 2000))
        #expect(patient.result == .failure(.violation("the card asks for more time without end")))
        #expect(patient.link.sent.count == 1001)
        let link = ScriptedLink(Array(repeating: .frame([0xF2, 0x01]), count: 100))
        var blocks = BlockProtocol(
            modulation: .typeA, frameSize: 256, ownFrameSize: 256, frameWaitingTime: .milliseconds(1))
        var looks = 0
        #expect(throws: BlockProtocol.Failure.abandoned) {
            try blocks.transmit([0xAA], over: link, deadline: nil) {
                looks += 1
                return looks > 20
            }
        }
    }
}

/// Activation by what ISO/IEC 14443-3 and -4 lay out, and cards that do otherwise.
@Suite struct CardPollingTests {
    typealias Reply = ScriptedLink.Reply

    static func activate(
        typeA: Bool = true, typeB: Bool = false, _ replies: [Reply]
    ) -> (Result<CardPolling.Session, CardPolling.Failure>, ScriptedLink) {
        let link = ScriptedLink(replies)
        do throws(CardPolling.Failure) {
            return (.success(try CardPolling.activate(.init(typeA: typeA, typeB: typeB), over: link)), link)
        } catch {
            return (.failure(error), link)
        }
    }

    /// A double-size identifier: cascade tag 88, BCC over each level, SAK with and without the cascade bit.
    @Test func typeAWithSevenBytes() throws {
        let (result, link) = Self.activate([
            .frame([0x44, 0x00]), .frame([0x88, 0x04, 0x11, 0x22, 0xBF]), .frame([0x24]),
            .frame([0x33, 0x44, 0x55, 0x66, 0x44]), .frame([0x20]),
            .frame([0x06, 0x78, 0x80, 0x82, 0x02, 0x01]),
        ])
        let session = try result.get()
        #expect(session.activation.identifier == [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66])
        #expect(session.activation.atqa == [0x44, 0x00])
        #expect(session.activation.sak == 0x20)
        // FSCI 8: 256 bytes. FWI 8: 77.3 ms and 3.6 ms of EMV's.
        #expect(session.blocks.frameSize == 256)
        #expect(session.blocks.frameWaitingTime > .milliseconds(80))
        #expect(session.blocks.frameWaitingTime < .milliseconds(82))
        #expect(
            link.sent == [
                [0x52], [0x93, 0x20], [0x93, 0x70, 0x88, 0x04, 0x11, 0x22, 0xBF], [0x95, 0x20],
                [0x95, 0x70, 0x33, 0x44, 0x55, 0x66, 0x44], [0xE0, 0x80],
            ])
    }

    /// An ATS of its length byte alone: 32-byte frames, FWI 4.
    @Test func shortestATS() throws {
        let session = try Self.activate([
            .frame([0x04, 0x00]), .frame([0x08, 1, 2, 3, 0x08]), .frame([0x20]), .frame([0x01]),
        ]).0.get()
        #expect(session.blocks.frameSize == 32)
        #expect(session.blocks.frameWaitingTime < .milliseconds(9))
    }

    @Test func typeB() throws {
        let (result, link) = Self.activate(
            typeA: false, typeB: true,
            [
                .frame([0x50, 0xA1, 0xB2, 0xC3, 0xD4, 1, 2, 3, 4, 0x00, 0x81, 0x71]), .frame([0x00]),
            ])
        let session = try result.get()
        #expect(session.activation.identifier == [0xA1, 0xB2, 0xC3, 0xD4])
        #expect(session.activation.ats == [1, 2, 3, 4, 0x00, 0x81, 0x71])
        #expect(session.blocks.frameSize == 256)
        #expect(
            link.sent == [
                [0x05, 0x00, 0x08], [0x1D, 0xA1, 0xB2, 0xC3, 0xD4, 0x00, 0x08, 0x01, 0x00],
            ])
    }

    static let wrong: [(typeA: Bool, replies: [Reply], failure: CardPolling.Failure)] = [
        (true, [.collision], .collision),
        (true, [.frame([0x04, 0x00]), .collision], .collision),
        (true, [.silence], .lost("no answer to WUPA")),
        (true, [.frame([0x04])], .lost("ATQA is damaged")),
        (true, [.frame([4, 0]), .silence, .damaged, .silence], .lost("no answer to anticollision")),
        (true, [.frame([4, 0]), .frame([8, 1, 2])], .violation("3 bytes of identifier")),
        (true, [.frame([4, 0]), .frame([8, 1, 2, 3, 9])], .lost("the identifier's check byte is wrong")),
        (
            true, [.frame([4, 0]), .frame([8, 1, 2, 3, 8]), .frame([0x04])],
            .violation("cascade tag and SAK contradict each other")
        ),
        (
            true, [.frame([4, 0]), .frame([8, 1, 2, 3, 8]), .frame([0x08])],
            .violation("the card does not speak ISO/IEC 14443-4 (SAK 8)")
        ),
        (
            true, [.frame([4, 0]), .frame([8, 1, 2, 3, 8]), .frame([0x20]), .frame([0x05, 0x78])],
            .violation("an ATS of wrong length")
        ),
        (
            true, [.frame([4, 0]), .frame([8, 1, 2, 3, 8]), .frame([0x20]), .frame([0x02, 0x78])],
            .violation("an ATS without its TB(1)")
        ),
        (
            true,
            [.frame([4, 0]), .frame([8, 1, 2, 3, 8]), .frame([0x20]), .frame([0x04, 0x78, 0, 0x70])],
            .violation("an ATS without its interface bytes")
        ),
        (false, [.frame([0x50, 1, 2])], .violation("an ATQB of 3 bytes")),
        (
            false, [.frame([0x50, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0x80, 0x71])],
            .violation("the card does not speak ISO/IEC 14443-4 (protocol type 0)")
        ),
        (
            false, [.frame([0x50, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0x81, 0x71]), .frame([0x05])],
            .violation("an answer to ATTRIB with another CID")
        ),
    ]
    @Test(arguments: wrong.indices) func wrongCards(_ index: Int) {
        let (typeA, replies, failure) = Self.wrong[index]
        guard case .failure(let told) = Self.activate(typeA: typeA, typeB: !typeA, replies).0 else {
            Issue.record("\(failure) went by")
            return
        }
        #expect(told == failure)
    }

    @Test func bothTypesCollide() {
        guard case .failure(.collision) = Self.activate(typeA: true, typeB: true, []).0 else {
            Issue.record("two types went by")
            return
        }
    }

    /// CRC_A and CRC_B of ISO/IEC 14443-3, annex B: 00 00 and 12 34; 00 00 00 and 0F AA FF.
    @Test func checksums() {
        #expect(FrameChecksum.value([0x00, 0x00], .typeA) == 0x1EA0)
        #expect(FrameChecksum.value([0x12, 0x34], .typeA) == 0xCF26)
        #expect(FrameChecksum.value([0x00, 0x00, 0x00], .typeB) == 0xC6CC)
        #expect(FrameChecksum.value([0x0F, 0xAA, 0xFF], .typeB) == 0xD1FC)
    }

    /// Any frames in any order: no trap, no endless loop.
    @Test func noise() {
        var state: UInt64 = 7
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        for _ in 0..<5000 {
            let replies = (0..<20).map { _ -> Reply in
                switch next() % 8 {
                case 0: .silence
                case 1: .damaged
                case 2: .frame([])
                default: .frame((0..<(next() % 16)).map { _ in UInt8(truncatingIfNeeded: next()) })
                }
            }
            let link = ScriptedLink(replies)
            let presence = CardPolling.Presence(typeA: next() % 2 == 0, typeB: next() % 2 == 0)
            guard !presence.isNobody, var session = try? CardPolling.activate(presence, over: link) else {
                continue
            }
            _ = try? session.blocks.transmit([0, 1, 2, 3], over: link, deadline: nil, isAbandoned: { false })
        }
        for _ in 0..<5000 {
            let replies = (0..<30).map { _ -> Reply in
                let first: [UInt8] = [0x02, 0x03, 0x12, 0x13, 0xA2, 0xA3, 0xF2, 0xB2]
                var bytes = (0..<(next() % 8)).map { _ in UInt8(truncatingIfNeeded: next()) }
                if next() % 4 > 0, !bytes.isEmpty { bytes[0] = first[Int(next() % 8)] }
                return next() % 6 == 0 ? .silence : .frame(bytes)
            }
            _ = BlockProtocolTests.run(Array(repeating: 0, count: Int(next() % 40)), replies, frameSize: 16)
        }
    }
}
