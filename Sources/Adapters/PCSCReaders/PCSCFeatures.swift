internal import CPCSC

/// The features of a reader and its driver: tag and control code (PC/SC part 10, 2.2 and 2.3).
package struct PCSCFeatures: Equatable {
    var controlCodes: [UInt8: UInt32] = [:]

    static let names: [UInt8: String] = [
        0x01: "verify-pin-start", 0x02: "verify-pin-finish", 0x03: "modify-pin-start",
        0x04: "modify-pin-finish",
        0x05: "get-key-pressed", 0x06: "verify-pin-direct", 0x07: "modify-pin-direct",
        0x08: "mct-reader-direct",
        0x09: "mct-universal", 0x0A: "ifd-pin-properties", 0x0B: "abort", 0x0C: "set-spe-message",
        0x0D: "verify-pin-direct-app-id", 0x0E: "modify-pin-direct-app-id", 0x0F: "write-display",
        0x10: "get-key", 0x11: "ifd-display-properties", 0x12: "get-tlv-properties", 0x13: "ccid-escape",
        0x20: "execute-pace",
    ]
    static let getTLVProperties: UInt8 = 0x12
    static let escape: UInt8 = 0x13

    /// Reads a list of tag, length 04 and control code, most significant byte first. What does not fit is left out:
    /// it comes from a driver.
    package init(_ bytes: some Sequence<UInt8>) {
        var rest = ArraySlice(Array(bytes))
        while rest.count >= 6 {
            let tag = rest[rest.startIndex]
            let length = Int(rest[rest.startIndex + 1])
            guard rest.count >= 2 + length else { return }
            if length == 4 {
                controlCodes[tag] = rest.dropFirst(2).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            rest = rest.dropFirst(2 + length)
        }
    }

    /// Asks the driver of a connected reader or card; empty where it knows no features.
    static func read(_ handle: SCARDHANDLE) -> PCSCFeatures {
        // CM_IOCTL_GET_FEATURE_REQUEST, SCARD_CTL_CODE(3400).
        PCSCFeatures(PCSCControl.send(handle, code: 0x4200_0000 + 3400, []).bytes)
    }
}

/// The TLV properties of a reader (PC/SC part 10, 2.6.14): one byte of tag, one of length, values least significant
/// byte first.
package struct PCSCProperties: Equatable {
    var firmware: String?
    var maximumDataSize: UInt32?
    var vendorID: UInt16?
    var productID: UInt16?
    /// Bit 0: pseudo-APDUs through SCardControl, bit 1: through SCardTransmit.
    var pseudoAPDUs: UInt8?

    init() {}
    package init(_ bytes: some Sequence<UInt8>) {
        var rest = ArraySlice(Array(bytes))
        while rest.count >= 2 {
            let tag = rest[rest.startIndex]
            let length = Int(rest[rest.startIndex + 1])
            let value = rest.dropFirst(2).prefix(length)
            guard value.count == length else { return }
            let number = value.reversed().prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            switch (tag, length) {
            case (8, _): firmware = PCSCAttributes.text(value)
            case (9, 1): pseudoAPDUs = UInt8(truncatingIfNeeded: number)
            case (10, 1...4): maximumDataSize = number
            case (11, 2): vendorID = UInt16(truncatingIfNeeded: number)
            case (12, 2): productID = UInt16(truncatingIfNeeded: number)
            default: break
            }
            rest = rest.dropFirst(2 + length)
        }
    }

    /// Asks the driver of a connected reader or card; empty where it does not tell.
    static func read(_ handle: SCARDHANDLE, _ features: PCSCFeatures? = nil) -> PCSCProperties {
        let features = features ?? PCSCFeatures.read(handle)
        guard let code = features.controlCodes[PCSCFeatures.getTLVProperties] else { return PCSCProperties() }
        return PCSCProperties(PCSCControl.send(handle, code: code, []).bytes)
    }
}

/// SCardControl, and SCardGetAttrib.
enum PCSCControl {
    /// The buffer that drivers are offered; CCID messages are no longer than 64 KB, escape answers far shorter.
    private static let capacity = 4096

    static func send(
        _ handle: SCARDHANDLE, code: UInt32, _ command: [UInt8]
    ) -> (status: PCSCStatus, bytes: [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: capacity)
        var received = DWORD()
        let status = PCSCStatus(
            SCardControl(
                handle, DWORD(code), command, DWORD(command.count), &buffer, DWORD(buffer.count), &received))
        guard status == .success, Int(received) <= buffer.count else { return (status, []) }
        return (status, Array(buffer.prefix(Int(received))))
    }
}

/// The attributes of a reader (PC/SC part 3, 3.1.2).
enum PCSCAttributes {
    // SCARD_ATTR_VALUE(class, tag); the macros carry casts.
    static let vendorName: UInt32 = 0x0001_0100
    static let vendorIFDType: UInt32 = 0x0001_0101
    static let vendorIFDVersion: UInt32 = 0x0001_0102
    static let vendorIFDSerialNumber: UInt32 = 0x0001_0103
    static let maximumInput: UInt32 = 0x0007_A007

    static func read(_ handle: SCARDHANDLE, _ attribute: UInt32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 264)
        var count = DWORD(buffer.count)
        let status = PCSCStatus(SCardGetAttrib(handle, DWORD(attribute), &buffer, &count))
        guard status == .success, count > 0, Int(count) <= buffer.count else { return nil }
        return Array(buffer.prefix(Int(count)))
    }

    /// Text of a driver: up to a zero byte, nothing but printable characters; nil where nothing remains.
    static func text(_ bytes: some Sequence<UInt8>) -> String? {
        let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            .filter { !$0.isNewline && $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }
        let trimmed = text.drop { $0 == " " }
        return trimmed.isEmpty ? nil : String(trimmed)
    }
}
