internal import SmartCard

/// A frame in the field: bytes with their checksum, the last byte maybe incomplete.
struct RadioFrame: Equatable, Sendable {
    var modulation: ContactlessActivation.Modulation
    var bytes: [UInt8]
    /// How many bits of the last byte are sent, 1 to 7; 0 for all.
    var lastBits = 0

    var bitCount: Int { max(0, bytes.count * 8 - (lastBits == 0 ? 0 : 8 - lastBits)) }

    /// CRC_A or CRC_B, least significant byte first.
    static func checksum(
        _ bytes: some Sequence<UInt8>, _ modulation: ContactlessActivation.Modulation
    ) -> [UInt8] {
        let value = FrameChecksum.value(bytes, modulation)
        return [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
    }

    /// With the checksum behind.
    static func checked(
        _ bytes: [UInt8], _ modulation: ContactlessActivation.Modulation
    ) -> RadioFrame {
        RadioFrame(modulation: modulation, bytes: bytes + checksum(bytes, modulation))
    }

    /// The bytes before the checksum; nil where it is wrong or not there.
    var unchecked: [UInt8]? {
        guard lastBits == 0, bytes.count >= 3 else { return nil }
        let body = bytes.dropLast(2)
        guard Self.checksum(body, modulation) == Array(bytes.suffix(2)) else { return nil }
        return Array(body)
    }
}
