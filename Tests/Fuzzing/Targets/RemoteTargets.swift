import RemoteReaders

extension FuzzTarget {
    static let remoteReaders: [FuzzTarget] = [
        FuzzTarget("remote-terminal-messages", longestInput: 2048, seeds: { terminalMessages }) {
            try frames(of: TerminalMessage.self, $0)
        },
        FuzzTarget("remote-server-messages", longestInput: 2048, seeds: { serverMessages }) {
            try frames(of: ServerMessage.self, $0)
        },
        FuzzTarget(
            "remote-address", longestInput: 200,
            seeds: { ["remote:host:7316/name", "remote:[::1]:1/x", "host"].map { Array($0.utf8) } }
        ) { input in
            guard let address = try? RemoteReaderAddress(String(decoding: input, as: UTF8.self)) else {
                return
            }
            try hold(try RemoteReaderAddress("\(address)") == address, "\(address) read again differs")
        },
    ]

    /// A stream in pieces of a size that the first byte gives: the same frames as in one piece, and each frame
    /// written and read again is the same.
    private static func frames<Message: WireMessage>(of type: Message.Type, _ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let size = 1 + Int(input.byte())
        let stream = input.remainder()
        func read(_ size: Int) -> (frames: [Frame<Message>], error: WireError?) {
            var decoder = FrameDecoder<Message>()
            var frames: [Frame<Message>] = []
            var place = 0
            do throws(WireError) {
                while place < stream.count {
                    decoder.append(stream[place..<min(stream.count, place + size)])
                    place += size
                    while let frame = try decoder.next() { frames.append(frame) }
                }
            } catch { return (frames, error) }
            return (frames, nil)
        }
        let whole = read(max(1, stream.count))
        let parts = read(size)
        try hold(whole.frames == parts.frames && whole.error == parts.error, "in pieces, other frames come")
        for frame in whole.frames {
            var decoder = FrameDecoder<Message>()
            decoder.append(frame.encoded)
            try hold(
                try decoder.next() == frame && decoder.pendingCount == 0,
                "a frame written and read again differs")
        }
        if let error = whole.error { try hold(!error.description.isEmpty, "an error without words") }
        var sequence = RequestSequence()
        for case .message(let id, _) in whole.frames { try? sequence.accept(id) }
    }

    private static var terminalMessages: [[UInt8]] {
        let messages: [TerminalMessage] = [
            .hello(versions: 1...1, token: [UInt8](1...16), name: "TERM0001"), .watch,
            .attach(reader: "reader"),
            .detach, .activate(milliseconds: 1000),
            .transmit(activation: 1, milliseconds: nil, command: [0, 0xA4, 4, 0, 0]),
            .awaitRemoval(milliseconds: nil), .fieldOff, .poll(.payment), .cancel(request: 1),
        ]
        return messages.map { [0xFF] + $0.encoded(id: 1) }
            + [[2] + messages.enumerated().flatMap { $0.element.encoded(id: UInt32($0.offset + 1)) }]
    }

    private static var serverMessages: [[UInt8]] {
        let messages: [ServerMessage] = [
            .welcome(
                version: 1, heartbeat: 1000, name: "server",
                readers: [OfferedReader(name: "a", kind: .pcsc, vendor: "v", serialNumber: "1", isBusy: true)]
            ),
            .done, .answer(microseconds: 100, response: [0x90, 0x00]), .removal(true),
            .event(.cardInserted(reader: "a", answerToReset: [0x3B, 0x00])),
            .event(.serviceLost(reason: "gone")),
            .fault(RemoteFault(code: .busy, reason: "taken")),
            .activated(
                activation: 1, card: .init(answerToReset: [0x3B, 0x00], activation: .init())),
        ]
        return messages.map { [0xFF] + $0.encoded(id: 1) }
            + [[2] + messages.enumerated().flatMap { $0.element.encoded(id: UInt32($0.offset + 1)) }]
    }
}
