/// CRC_A and CRC_B (ISO/IEC 14443-3, annex B), sent least significant byte first.
public enum FrameChecksum {
    @inlinable public static func value(
        _ bytes: some Sequence<UInt8>, _ modulation: ContactlessActivation.Modulation
    ) -> UInt16 {
        // CRC_A starts at 6363. CRC_B starts at FFFF and is inverted.
        var register: UInt16 = modulation == .typeA ? 0x6363 : 0xFFFF
        for byte in bytes {
            var value = byte ^ UInt8(truncatingIfNeeded: register)
            value ^= value << 4
            let wide = UInt16(value)
            register = (register >> 8) ^ (wide << 8) ^ (wide << 3) ^ (wide >> 4)
        }
        return modulation == .typeA ? register : ~register
    }
}
