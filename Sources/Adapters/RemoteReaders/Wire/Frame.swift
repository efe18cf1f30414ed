/// What one direction of the protocol may say.
public protocol WireMessage: Sendable, Equatable {
    /// The message's number and fields.
    func encoded(id: UInt32) -> [UInt8]
    /// - Returns: nil where no message of this type goes in this direction.
    static func decode(
        type: UInt8, payload: ArraySlice<UInt8>, frameStart: Int
    ) throws(WireError) -> Self?
}

/// One frame: length (4 bytes, most significant first, counting what follows it), type (1), request id (4), fields.
public enum Frame<Message: WireMessage>: Sendable, Equatable {
    /// Asks for a sign of life.
    case ping(id: UInt32)
    case pong(id: UInt32)
    case message(id: UInt32, Message)

    static var pingType: UInt8 { 0x70 }
    static var pongType: UInt8 { 0x71 }

    public var encoded: [UInt8] {
        switch self {
        case .ping(let id): WireWriter(type: Self.pingType, id: id).finish()
        case .pong(let id): WireWriter(type: Self.pongType, id: id).finish()
        case .message(let id, let message): message.encoded(id: id)
        }
    }
}

/// Cuts a stream of bytes into frames. Pure: it holds at most one frame's bytes and what came with them.
public struct FrameDecoder<Message: WireMessage>: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0
    public init() {}

    /// Bytes that do not make a whole frame yet.
    public var pendingCount: Int { buffer.count - start }

    public mutating func append(_ bytes: some Sequence<UInt8>) {
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.count <= 4096)
            start = 0
        } else if start > Wire.frameLimit {
            buffer.removeSubrange(..<start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole frame; nil until more bytes have come. After an error the stream has no meaning any more:
    /// the connection is to be closed.
    public mutating func next() throws(WireError) -> Frame<Message>? {
        guard pendingCount >= Wire.prefixCount else { return nil }
        var length = 0
        for index in start..<(start + Wire.prefixCount) { length = length << 8 | Int(buffer[index]) }
        // Both are told as soon as the length has come: nobody waits for what is never taken.
        guard length <= Wire.frameLimit else {
            throw .oversized(declared: length, limit: Wire.frameLimit)
        }
        guard length >= Wire.headerCount else { throw .undersized(declared: length) }
        let end = start + Wire.prefixCount + length
        guard end <= buffer.count else { return nil }
        let type = buffer[start + Wire.prefixCount]
        let payloadStart = start + Wire.prefixCount + Wire.headerCount
        var id: UInt32 = 0
        for index in (payloadStart - 4)..<payloadStart { id = id << 8 | UInt32(buffer[index]) }
        let payload = buffer[payloadStart..<end]
        let frameStart = start
        start = end
        switch type {
        case Frame<Message>.pingType, Frame<Message>.pongType:
            try WireReader(payload, start: frameStart).end()
            return type == Frame<Message>.pingType ? .ping(id: id) : .pong(id: id)
        default:
            guard
                let message = try Message.decode(type: type, payload: payload, frameStart: frameStart)
            else { throw .unknownType(type, offset: Wire.prefixCount) }
            return .message(id: id, message)
        }
    }
}

/// Request ids of one connection as the server sees them: each is greater than the one before.
public struct RequestSequence: Sendable, Equatable {
    public private(set) var last: UInt32 = 0
    public init() {}

    public mutating func accept(_ id: UInt32) throws(WireError) {
        guard id > last else { throw .replayed(id: id, last: last) }
        last = id
    }
}

/// Pings of a peer since the last look. Each makes an answer: who sends them by the thousand is not answered.
struct PingCount: Sendable, Equatable {
    private var count = 0

    mutating func note() throws(WireError) {
        count += 1
        guard count <= Wire.pingLimit else {
            throw .invalid(
                field: "ping", offset: Wire.prefixCount,
                reason: "more than \(Wire.pingLimit) within half a heartbeat time")
        }
    }
    mutating func reset() { count = 0 }
}
