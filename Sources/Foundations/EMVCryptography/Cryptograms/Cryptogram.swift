internal import BERTLV

/// Eight bytes of a cryptogram or MAC: ARQC, TC, AAC, ARPC of method 1, command MAC.
public struct Cryptogram: Hashable, Sendable, CustomStringConvertible {
    /// The bytes as a big-endian number.
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Nil unless there are exactly eight bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 8 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The eight bytes.
    public var bytes: [UInt8] { withUnsafeBytes(of: rawValue.bigEndian) { Array($0) } }

    /// Appends the eight bytes.
    public func append(to buffer: inout [UInt8]) {
        withUnsafeBytes(of: rawValue.bigEndian) { buffer.append(contentsOf: $0) }
    }

    /// The cryptogram `steps` further, as M/Chip counts script commands.
    public func advanced(by steps: UInt64) -> Cryptogram { Cryptogram(rawValue: rawValue &+ steps) }

    /// The bytes in hexadecimal.
    public var description: String { Hex.string(bytes) }
}
