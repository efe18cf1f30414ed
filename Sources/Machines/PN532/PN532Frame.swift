/// A frame between a PN532 and its host (NXP UM0701-02, 6.2.1).
public enum PN532Frame: Equatable, Sendable {
    /// Data after the frame identifier (TFI): D4 from the host, D5 from the chip. At most 264 bytes.
    case information(identifier: UInt8, data: [UInt8])
    case acknowledge
    case notAcknowledge
    /// "Syntax error at application level": the chip does not understand the command.
    case applicationError

    /// The most data bytes behind the frame identifier.
    public static let maximumDataCount = 264
    /// The frame identifier of what the host sends.
    public static let fromHost: UInt8 = 0xD4
    /// The frame identifier of what the chip sends.
    public static let fromChip: UInt8 = 0xD5

    /// The frame with preamble, checksums and postamble. Information of more than 254 bytes travels in an
    /// extended frame; what exceeds `maximumDataCount` is cut off.
    public var bytes: [UInt8] {
        switch self {
        case .acknowledge: return [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00]
        case .notAcknowledge: return [0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00]
        case .applicationError: return [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00]
        case .information(let identifier, let data):
            let data = data.prefix(Self.maximumDataCount)
            let length = data.count + 1
            var bytes: [UInt8] = [0x00, 0x00, 0xFF]
            bytes.reserveCapacity(length + 10)
            if length <= 255 {
                bytes.append(UInt8(truncatingIfNeeded: length))
                bytes.append(0 &- UInt8(truncatingIfNeeded: length))
            } else {
                let high = UInt8(truncatingIfNeeded: length >> 8)
                let low = UInt8(truncatingIfNeeded: length)
                bytes.append(contentsOf: [0xFF, 0xFF, high, low, 0 &- high &- low])
            }
            bytes.append(identifier)
            bytes.append(contentsOf: data)
            bytes.append(0 &- data.reduce(identifier, &+))
            bytes.append(0x00)
            return bytes
        }
    }
}

/// Finds frames in a stream of bytes that may begin and break off anywhere.
public struct PN532FrameParser: Sendable {
    /// Why a frame was given up. The parser then looks for the next start code.
    public enum Damage: Error, Equatable, Sendable {
        /// LEN and LCS do not add up to zero, or the length is zero.
        case lengthChecksum
        /// More bytes announced than any frame has.
        case length(Int)
        /// The bytes and DCS do not add up to zero.
        case dataChecksum
    }

    private enum State: Sendable {
        /// Looks for the start code 00 FF.
        case hunting(afterZero: Bool)
        case length
        case lengthChecksum(UInt8)
        case extendedLength([UInt8])
        case body(count: Int)
    }
    private var state = State.hunting(afterZero: false)
    private var body: [UInt8] = []

    public init() {}

    /// Whether a frame has begun and not ended.
    public var isInsideFrame: Bool {
        if case .hunting = state { return false }
        return true
    }

    /// Takes one byte. Gives a frame with its last checksum byte; the postamble is not waited for.
    public mutating func take(_ byte: UInt8) -> Result<PN532Frame, Damage>? {
        switch state {
        case .hunting(let afterZero):
            state = afterZero && byte == 0xFF ? .length : .hunting(afterZero: byte == 0x00)
            return nil
        case .length:
            state = .lengthChecksum(byte)
            return nil
        case .lengthChecksum(let length):
            switch (length, byte) {
            case (0x00, 0xFF): return finish(.success(.acknowledge))
            case (0xFF, 0x00): return finish(.success(.notAcknowledge))
            case (0xFF, 0xFF):
                state = .extendedLength([])
                return nil
            default:
                guard length != 0, length &+ byte == 0 else { return finish(.failure(.lengthChecksum)) }
                begin(Int(length))
                return nil
            }
        case .extendedLength(var bytes):
            bytes.append(byte)
            guard bytes.count == 3 else {
                state = .extendedLength(bytes)
                return nil
            }
            guard bytes.reduce(0, &+) == 0 else { return finish(.failure(.lengthChecksum)) }
            let length = Int(bytes[0]) << 8 | Int(bytes[1])
            guard length >= 1, length <= PN532Frame.maximumDataCount + 1 else {
                return finish(.failure(.length(length)))
            }
            begin(length)
            return nil
        case .body(let count):
            guard body.count == count else {
                body.append(byte)
                return nil
            }
            guard body.reduce(byte, &+) == 0 else { return finish(.failure(.dataChecksum)) }
            if body == [0x7F] { return finish(.success(.applicationError)) }
            return finish(.success(.information(identifier: body[0], data: Array(body.dropFirst()))))
        }
    }

    private mutating func begin(_ length: Int) {
        body.removeAll(keepingCapacity: true)
        state = .body(count: length)
    }

    private mutating func finish(_ result: Result<PN532Frame, Damage>) -> Result<PN532Frame, Damage> {
        state = .hunting(afterZero: false)
        return result
    }
}
