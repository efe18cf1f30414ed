import CardReaders
import RemoteReaders
import SmartCard
import Testing
import TestTools

/// Frames byte by byte as Protocol.md lays them out, and what is refused.
struct WireTests {
    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).map { index in
            let start = digits.index(digits.startIndex, offsetBy: index)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
        }
    }

    static let token = [UInt8](0xA0...0xAF)
    static let requests: [(TerminalMessage, String)] = [
        (
            .hello(versions: 1...1, token: token, name: "till"),
            "00000021 01 00000007 54425252 01 01 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 0004 74696C6C"
        ),
        (.watch, "00000005 02 00000007"),
        (.attach(reader: "Zähler"), "0000000E 03 00000007 0007 5AC3A4686C6572"),
        (.detach, "00000005 04 00000007"),
        (.activate(milliseconds: nil), "00000009 05 00000007 FFFFFFFF"),
        (.activate(milliseconds: 30000), "00000009 05 00000007 00007530"),
        (
            .transmit(activation: 3, milliseconds: 5000, command: [0x00, 0xA4, 0x04, 0x00, 0x00]),
            "00000012 06 00000007 00000003 00001388 00A4040000"
        ),
        (.awaitRemoval(milliseconds: 1), "00000009 07 00000007 00000001"),
        (.fieldOff, "00000005 08 00000007"),
        (.cancel(request: 6), "00000009 09 00000007 00000006"),
        (
            .poll(
                PollingSchedule(steps: [
                    .typeA, .pause(milliseconds: 300), .frame([0x6A, 0x02]), .typeB, .typeF, .typeV,
                ])), "00000011 0A 00000007 06 01 06012C 05026A02 02 03 04"
        ),
    ]

    static let answers: [(ServerMessage, String)] = [
        (
            .welcome(
                version: 1, heartbeat: 2000, name: "s",
                readers: [
                    OfferedReader(name: "r", kind: .pcsc, vendor: "v", serialNumber: nil, isBusy: true)
                ]),
            "00000018 81 00000001 01 000007D0 0001 73 01 0001 72 03 0001 76 0000 01"
        ),
        (.done, "00000005 82 00000001"),
        (
            .activated(activation: 9, card: CardInformation(answerToReset: [0x3B, 0x80])),
            "0000000D 83 00000001 00000009 02 3B80 00"
        ),
        (
            .activated(
                activation: 9,
                card: CardInformation(
                    answerToReset: [0x3B],
                    activation: ContactlessActivation(
                        modulation: .typeB, identifier: [1, 2, 3, 4], atqa: [], sak: 0, ats: [9]))),
            "00000016 83 00000001 00000009 01 3B 01 42 04 01020304 00 00 01 09"
        ),
        (.answer(microseconds: 258, response: [0x90, 0x00]), "0000000B 84 00000001 00000102 9000"),
        (.removal(true), "00000006 85 00000001 01"),
        (
            .event(.readerAdded(ReaderListing(name: "r", answerToReset: nil, isExclusivelyUsed: true))),
            "0000000C 86 00000001 01 0001 72 00 00 01"
        ),
        (.event(.readerRemoved(name: "r")), "00000009 86 00000001 02 0001 72"),
        (
            .event(.cardInserted(reader: "r", answerToReset: [0x3B, 0x00])),
            "0000000C 86 00000001 03 0001 72 02 3B00"
        ),
        (.event(.cardRemoved(reader: "r")), "00000009 86 00000001 04 0001 72"),
        (.event(.serviceLost(reason: "x")), "00000009 86 00000001 05 0001 78"),
        (.event(.serviceFound), "00000006 86 00000001 06"),
        (.fault(RemoteFault(code: .busy, reason: "till")), "0000000C 8F 00000001 22 0004 74696C6C"),
    ]

    @Test(arguments: requests) func requestBytes(_ message: TerminalMessage, _ hex: String) throws {
        let expected = Self.bytes(hex)
        #expect(message.encoded(id: 7) == expected)
        var decoder = FrameDecoder<TerminalMessage>()
        decoder.append(expected)
        #expect(try decoder.next() == .message(id: 7, message))
        #expect(try decoder.next() == nil)
        #expect(decoder.pendingCount == 0)
    }

    @Test(arguments: answers) func answerBytes(_ message: ServerMessage, _ hex: String) throws {
        let expected = Self.bytes(hex)
        #expect(message.encoded(id: 1) == expected)
        var decoder = FrameDecoder<ServerMessage>()
        decoder.append(expected)
        #expect(try decoder.next() == .message(id: 1, message))
        #expect(try decoder.next() == nil)
    }

    @Test func heartbeats() throws {
        let ping = Frame<ServerMessage>.ping(id: 5).encoded
        #expect(ping == Self.bytes("00000005 70 00000005"))
        var decoder = FrameDecoder<TerminalMessage>()
        decoder.append(ping + Self.bytes("00000005 71 00000005"))
        #expect(try decoder.next() == .ping(id: 5))
        #expect(try decoder.next() == .pong(id: 5))
    }

    static let refused: [(String, WireError)] = [
        ("00010201", .oversized(declared: 66049, limit: 66048)),
        ("FFFFFFFF", .oversized(declared: 4_294_967_295, limit: 66048)),
        ("00000004", .undersized(declared: 4)),
        ("00000005 0B 00000001", .unknownType(0x0B, offset: 4)),
        // An answer does not go this way.
        ("00000005 82 00000001", .unknownType(0x82, offset: 4)),
        ("00000006 02 00000001 00", .trailing(count: 1, offset: 9)),
        ("00000006 70 00000001 00", .trailing(count: 1, offset: 9)),
        ("00000008 05 00000001 000000", .truncated(field: "waiting time", offset: 9)),
        ("0000000D 06 00000001 00000001 00000001", .truncated(field: "command", offset: 17)),
        ("00000008 03 00000001 0002 41", .truncated(field: "reader", offset: 11)),
        ("00000009 03 00000001 0002 C328", .invalid(field: "reader", offset: 9, reason: "not UTF-8")),
        (
            "00000008 03 00000001 0001 0A",
            .invalid(field: "reader", offset: 9, reason: "control characters")
        ),
        (
            "00000007 03 00000001 0100",
            .invalid(field: "reader", offset: 9, reason: "256 bytes, at most 255 are allowed")
        ),
        (
            "00000021 01 00000001 47455420 01 01 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 0004 74696C6C",
            .invalid(field: "magic", offset: 9, reason: "not a terminal of this protocol")
        ),
        (
            "00000021 01 00000001 54425252 02 01 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 0004 74696C6C",
            .invalid(field: "versions", offset: 13, reason: "from 2 to 1")
        ),
    ]

    @Test(arguments: refused) func refusedRequests(_ hex: String, _ error: WireError) {
        var decoder = FrameDecoder<TerminalMessage>()
        decoder.append(Self.bytes(hex))
        #expect(throws: error) { try decoder.next() }
        // Offsets count from the frame, also where another came before.
        var second = FrameDecoder<TerminalMessage>()
        second.append(Self.bytes("00000005 08 00000001") + Self.bytes(hex))
        #expect(throws: error) {
            _ = try second.next()
            _ = try second.next()
        }
    }

    @Test(arguments: [
        (
            "00000006 85 00000001 02",
            WireError.invalid(field: "removal", offset: 9, reason: "2 is neither 0 nor 1")
        ),
        ("00000006 86 00000001 07", .invalid(field: "event", offset: 9, reason: "7 is none")),
        ("00000008 8F 00000001 00 0000", .invalid(field: "code", offset: 9, reason: "0 is none")),
        ("00000008 84 00000001 000000", .truncated(field: "time", offset: 9)),
        (
            "00000018 81 00000001 01 000007D0 0001 73 01 0001 72 09 0001 76 0000 01",
            .invalid(field: "kind", offset: 21, reason: "9 is none")
        ),
    ]) func refusedAnswers(_ hex: String, _ error: WireError) {
        var decoder = FrameDecoder<ServerMessage>()
        decoder.append(Self.bytes(hex))
        #expect(throws: error) { try decoder.next() }
    }

    @Test func longestMessages() throws {
        let response = [UInt8](repeating: 0x5A, count: 65538)
        var answers = FrameDecoder<ServerMessage>()
        answers.append(ServerMessage.answer(microseconds: 1, response: response).encoded(id: 1))
        #expect(try answers.next() == .message(id: 1, .answer(microseconds: 1, response: response)))
        let command = CommandAPDU(
            cla: 0, ins: 0xD6, p1: 0, p2: 0, data: [UInt8](repeating: 1, count: 65535), expectedLength: 65536
        ).bytes
        var requests = FrameDecoder<TerminalMessage>()
        let request = TerminalMessage.transmit(activation: 1, milliseconds: 1, command: command)
        requests.append(request.encoded(id: 1))
        #expect(try requests.next() == .message(id: 1, request))
    }

    @Test func textIsCutToItsLimitAtACharacter() throws {
        let long = String(repeating: "ä", count: 200)
        var decoder = FrameDecoder<TerminalMessage>()
        decoder.append(TerminalMessage.attach(reader: long).encoded(id: 1))
        #expect(
            try decoder.next() == .message(id: 1, .attach(reader: String(repeating: "ä", count: 127))))
        decoder.append(TerminalMessage.attach(reader: "a\nb").encoded(id: 2))
        #expect(try decoder.next() == .message(id: 2, .attach(reader: "a b")))
    }

    @Test func requestIdsRise() throws {
        var sequence = RequestSequence()
        try sequence.accept(1)
        try sequence.accept(5)
        #expect(throws: WireError.replayed(id: 5, last: 5)) { try sequence.accept(5) }
        #expect(throws: WireError.replayed(id: 2, last: 5)) { try sequence.accept(2) }
        #expect(throws: WireError.replayed(id: 0, last: 5)) { try sequence.accept(0) }
        try sequence.accept(.max)
        #expect(throws: WireError.self) { try sequence.accept(.max) }
    }

    // MARK: - Properties

    /// However a stream is cut, the same frames come out.
    @Test func cutsDoNotMatter() throws {
        var random = SplitMix(seed: 0x5EED)
        for _ in 0..<200 {
            let messages = (0..<6).map { _ in Self.requests.randomElement(using: &random)!.0 }
            let stream = messages.enumerated().flatMap { $1.encoded(id: UInt32($0 + 1)) }
            var decoder = FrameDecoder<TerminalMessage>()
            var decoded: [TerminalMessage] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...min(rest.count, 20), using: &random)
                decoder.append(rest.prefix(count))
                rest = rest.dropFirst(count)
                while case .message(let id, let message) = try decoder.next() {
                    decoded.append(message)
                    #expect(id == UInt32(decoded.count))
                }
            }
            #expect(decoded == messages)
        }
    }

    /// Spoiled streams end in frames or in a typed error with an offset within the frame; what decodes encodes
    /// to the same bytes again.
    @Test(arguments: [1, 2, 3, 4]) func spoiledStreams(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var errors = 0
        var frames = 0
        func run<Message: WireMessage>(_ type: Message.Type, _ originals: [[UInt8]]) {
            for _ in 0..<4000 {
                var stream =
                    originals.randomElement(using: &random)! + originals.randomElement(using: &random)!
                for _ in 0..<Int.random(in: 0...3, using: &random) {
                    let index = Int.random(in: 0..<stream.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: stream[index] = UInt8.random(in: 0...255, using: &random)
                    case 1: stream[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    case 2: stream.remove(at: index)
                    default: stream.insert(UInt8.random(in: 0...255, using: &random), at: index)
                    }
                    if stream.isEmpty { break }
                }
                var decoder = FrameDecoder<Message>()
                decoder.append(stream)
                var position = 0
                do {
                    while let frame = try decoder.next() {
                        frames += 1
                        let encoded = frame.encoded
                        #expect(Array(stream[position..<(position + encoded.count)]) == encoded)
                        position += encoded.count
                        #expect(decoder.pendingCount == stream.count - position)
                    }
                } catch {
                    errors += 1
                    switch error {
                    case .truncated(_, let offset), .trailing(_, let offset), .invalid(_, let offset, _):
                        #expect(offset >= 9 && offset <= stream.count - position)
                    case .unknownType(_, let offset): #expect(offset == 4)
                    case .oversized, .undersized, .replayed: break
                    }
                }
            }
        }
        run(TerminalMessage.self, Self.requests.map { Self.bytes($0.1) })
        run(ServerMessage.self, Self.answers.map { Self.bytes($0.1) })
        #expect(errors > 1000 && frames > 4000)
    }
}
