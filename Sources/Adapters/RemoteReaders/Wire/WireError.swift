/// What is wrong with the bytes of a peer, and where: offsets count from the frame's first byte.
public enum WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The length field announces more than a frame may have.
    case oversized(declared: Int, limit: Int)
    /// The length field leaves no room for type and request id.
    case undersized(declared: Int)
    /// No message of this number goes in this direction.
    case unknownType(UInt8, offset: Int)
    /// The frame ends within a field.
    case truncated(field: String, offset: Int)
    /// Bytes follow the message's last field.
    case trailing(count: Int, offset: Int)
    /// A field has a value that the protocol does not know.
    case invalid(field: String, offset: Int, reason: String)
    /// Request ids rise within a connection; this one was used already or comes too late.
    case replayed(id: UInt32, last: UInt32)

    public var description: String {
        switch self {
        case .oversized(let declared, let limit):
            "a frame of \(declared) bytes is announced at byte 0, at most \(limit) are allowed"
        case .undersized(let declared):
            "a frame of \(declared) bytes is announced at byte 0, the header alone has \(Wire.headerCount)"
        case .unknownType(let type, let offset):
            "unknown message type \(type) at byte \(offset)"
        case .truncated(let field, let offset): "the frame ends within \(field) at byte \(offset)"
        case .trailing(let count, let offset): "\(count) bytes too many at byte \(offset)"
        case .invalid(let field, let offset, let reason): "\(field) at byte \(offset): \(reason)"
        case .replayed(let id, let last):
            "request \(id) comes after request \(last): a replayed or misplaced message"
        }
    }
}

/// Constants of the protocol (Protocol.md).
public enum Wire {
    /// Protocol versions that this program speaks.
    public static let versions: ClosedRange<UInt8> = 1...1
    public static let magic: [UInt8] = Array("TBRR".utf8)
    /// The port that is taken where none is given.
    public static let defaultPort: UInt16 = 7316
    /// Bytes of the length field.
    static let prefixCount = 4
    /// Type and request id.
    static let headerCount = 5
    /// Most pings of a peer in half a heartbeat time: one in a whole one is due.
    static let pingLimit = 100
    /// Most requests that a terminal has given up and whose answers may still come; a server lets fewer wait.
    static let abandonedLimit = 64
    /// Most bytes after the length field: the longest response APDU (65538 bytes), its fields, and room.
    public static let frameLimit = 66_048
    /// Longest name of a reader, terminal or server in UTF-8 bytes.
    public static let nameLimit = 255
    /// Longest explanation in UTF-8 bytes.
    static let reasonLimit = 1024
    /// Most readers that one server offers.
    public static let readerLimit = 255
    /// Most steps of a polling schedule.
    static let pollingLimit = 64
    /// A waiting time without end.
    static let forever = UInt32.max
    /// Longest command APDU in one frame, with its activation and time limit.
    static let commandLimit = frameLimit - headerCount - 8
    /// Longest response APDU: 65536 bytes and the status word.
    static let responseLimit = 65_538
    /// Heartbeat times that a server may name.
    static let heartbeats: ClosedRange<Duration> = .milliseconds(50) ... .seconds(60)
}

/// Reads the fields of one message.
struct WireReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    /// What offsets in errors count from.
    private let start: Int

    /// - Parameters:
    ///   - bytes: the payload.
    ///   - start: index of the frame's first byte in the same array.
    init(_ bytes: ArraySlice<UInt8>, start: Int) {
        self.bytes = bytes
        self.start = start
        position = bytes.startIndex
    }

    var offset: Int { position - start }
    var count: Int { bytes.endIndex - position }

    mutating func bytes(_ count: Int, _ field: StaticString) throws(WireError) -> ArraySlice<UInt8> {
        guard count <= self.count else { throw .truncated(field: "\(field)", offset: offset) }
        defer { position += count }
        return bytes[position..<(position + count)]
    }
    mutating func byte(_ field: StaticString) throws(WireError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncated(field: "\(field)", offset: offset) }
        defer { position += 1 }
        return bytes[position]
    }
    mutating func number16(_ field: StaticString) throws(WireError) -> Int {
        try bytes(2, field).reduce(0) { $0 << 8 | Int($1) }
    }
    mutating func number32(_ field: StaticString) throws(WireError) -> UInt32 {
        try bytes(4, field).reduce(0) { $0 << 8 | UInt32($1) }
    }
    mutating func flag(_ field: StaticString) throws(WireError) -> Bool {
        let at = offset
        switch try byte(field) {
        case 0: return false
        case 1: return true
        case let other: throw .invalid(field: "\(field)", offset: at, reason: "\(other) is neither 0 nor 1")
        }
    }
    /// One byte of length and that many bytes.
    mutating func short(_ field: StaticString) throws(WireError) -> [UInt8] {
        Array(try bytes(Int(try byte(field)), field))
    }
    /// Two bytes of length and UTF-8, without control characters.
    mutating func text(_ field: StaticString, limit: Int) throws(WireError) -> String {
        let at = offset
        let count = try number16(field)
        guard count <= limit else {
            throw .invalid(
                field: "\(field)", offset: at, reason: "\(count) bytes, at most \(limit) are allowed")
        }
        guard let text = String(validating: try bytes(count, field), as: UTF8.self) else {
            throw .invalid(field: "\(field)", offset: at, reason: "not UTF-8")
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        else { throw .invalid(field: "\(field)", offset: at, reason: "control characters") }
        return text
    }
    mutating func rest() -> [UInt8] {
        defer { position = bytes.endIndex }
        return Array(bytes[position...])
    }
    func end() throws(WireError) {
        guard count == 0 else { throw .trailing(count: count, offset: offset) }
    }
}

/// Writes one frame.
struct WireWriter {
    private(set) var bytes: [UInt8]

    init(type: UInt8, id: UInt32, capacity: Int = 64) {
        bytes = []
        bytes.reserveCapacity(Wire.prefixCount + Wire.headerCount + capacity)
        number32(0)
        bytes.append(type)
        number32(id)
    }
    mutating func byte(_ value: UInt8) { bytes.append(value) }
    mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func number16(_ value: Int) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
    mutating func number32(_ value: UInt32) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 24))
        bytes.append(UInt8(truncatingIfNeeded: value >> 16))
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
    /// Cut at 255 bytes: nothing that is written so is longer.
    mutating func short(_ value: some Collection<UInt8>) {
        bytes.append(UInt8(truncatingIfNeeded: min(value.count, 255)))
        bytes.append(contentsOf: value.prefix(255))
    }
    /// Cut to the limit at a character's end; control characters become spaces.
    mutating func text(_ value: String, limit: Int) {
        var utf8: [UInt8] = []
        for scalar in value.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            let encoded = isControl ? [0x20] : Array(String(scalar).utf8)
            guard utf8.count + encoded.count <= limit else { break }
            utf8 += encoded
        }
        number16(utf8.count)
        bytes.append(contentsOf: utf8)
    }
    mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    /// The frame with its length filled in.
    consuming func finish() -> [UInt8] {
        let count = UInt32(truncatingIfNeeded: bytes.count - Wire.prefixCount)
        bytes[0] = UInt8(truncatingIfNeeded: count >> 24)
        bytes[1] = UInt8(truncatingIfNeeded: count >> 16)
        bytes[2] = UInt8(truncatingIfNeeded: count >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: count)
        return bytes
    }
}
