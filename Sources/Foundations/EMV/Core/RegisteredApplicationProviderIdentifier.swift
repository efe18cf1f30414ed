internal import BERTLV

/// Registered Application Provider Identifier: the first five bytes of an AID (ISO/IEC 7816-5).
public struct RegisteredApplicationProviderIdentifier: Hashable, Sendable, CustomStringConvertible {
    /// The five bytes as a big-endian number.
    public let rawValue: UInt64

    /// From the first five bytes of a RID or AID; nil if there are fewer.
    @inlinable public init?(_ bytes: some Collection<UInt8>) {
        var value: UInt64 = 0
        var count = 0
        for byte in bytes {
            value = value << 8 | UInt64(byte)
            count += 1
            if count == 5 { break }
        }
        guard count == 5 else { return nil }
        rawValue = value
    }

    /// The five bytes.
    public var bytes: [UInt8] { (0..<5).map { UInt8(truncatingIfNeeded: rawValue >> (32 - 8 * UInt64($0))) } }

    public var description: String { Hex.string(bytes) }
}
