/// What is wrong with the bytes of an APDU.
public enum APDUError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Fewer than four header bytes.
    case truncatedHeader(count: Int)
    /// The length fields do not fit the number of bytes (ISO/IEC 7816-3, 12.1.3).
    case badLength(count: Int, declaredData: Int)
    /// A response without its two status bytes.
    case truncatedResponse(count: Int)

    public var description: String {
        switch self {
        case .truncatedHeader(let count):
            "a command APDU needs at least 4 bytes, \(count) given"
        case .badLength(let count, let declared):
            "command APDU of \(count) bytes does not fit its Lc of \(declared)"
        case .truncatedResponse(let count):
            "a response APDU needs at least its 2 status bytes, \(count) given"
        }
    }
}

/// A command APDU of any of the four cases, short or extended (ISO/IEC 7816-3, 12.1).
public struct CommandAPDU: Equatable, Sendable {
    public var cla: UInt8
    public var ins: UInt8
    public var p1: UInt8
    public var p2: UInt8
    /// Command data (Lc bytes), 0...65535; empty in cases 1 and 2.
    public var data: [UInt8]
    /// Ne, the greatest number of response data bytes wanted: nil (cases 1, 3) or 1...65536. Le is
    /// written as 00 (or 0000) for 256 (or 65536).
    public var expectedLength: Int?

    /// - Parameter expectedLength: Ne; EMV commands with an Le of 00 want 256.
    public init(
        cla: UInt8, ins: UInt8, p1: UInt8, p2: UInt8, data: [UInt8] = [],
        expectedLength: Int? = 256
    ) {
        self.cla = cla
        self.ins = ins
        self.p1 = p1
        self.p2 = p2
        self.data = data
        self.expectedLength = expectedLength
    }

    /// Whether the extended length form is needed.
    public var isExtended: Bool { data.count > 255 || (expectedLength ?? 0) > 256 }

    /// The command as sent: case 1 `CLA INS P1 P2`, 2 with Le, 3 with Lc and data, 4 with both.
    /// Data beyond 65535 bytes cannot be written and are cut.
    public var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(data.count + 9)
        result.append(cla)
        result.append(ins)
        result.append(p1)
        result.append(p2)
        if isExtended {
            let count = min(data.count, 0xFFFF)
            if count > 0 {
                result.append(0)
                result.append(UInt8(truncatingIfNeeded: count >> 8))
                result.append(UInt8(truncatingIfNeeded: count))
                result.append(contentsOf: data.prefix(count))
            }
            if let ne = expectedLength {
                if count == 0 { result.append(0) }
                result.append(UInt8(truncatingIfNeeded: ne >> 8))
                result.append(UInt8(truncatingIfNeeded: ne))
            }
        } else {
            if !data.isEmpty {
                result.append(UInt8(truncatingIfNeeded: data.count))
                result.append(contentsOf: data)
            }
            if let ne = expectedLength { result.append(UInt8(truncatingIfNeeded: ne)) }
        }
        return result
    }

    /// Reads a command from the bytes that a card receives.
    public init(parsing bytes: some RandomAccessCollection<UInt8>) throws(APDUError) {
        let bytes = ContiguousArray(bytes)
        guard bytes.count >= 4 else { throw .truncatedHeader(count: bytes.count) }
        self.init(
            cla: bytes[0], ins: bytes[1], p1: bytes[2], p2: bytes[3], expectedLength: nil)
        let body = bytes[4...]
        func number(_ index: Int) -> Int { Int(bytes[index]) << 8 | Int(bytes[index + 1]) }
        switch body.count {
        case 0: break
        case 1: expectedLength = bytes[4] == 0 ? 256 : Int(bytes[4])
        default:
            if bytes[4] != 0 {
                let lc = Int(bytes[4])
                guard body.count == 1 + lc || body.count == 2 + lc else {
                    throw .badLength(count: bytes.count, declaredData: lc)
                }
                data = Array(bytes[5..<(5 + lc)])
                if body.count == 2 + lc {
                    let le = bytes[5 + lc]
                    expectedLength = le == 0 ? 256 : Int(le)
                }
            } else {
                guard body.count >= 3 else {
                    throw .badLength(count: bytes.count, declaredData: 0)
                }
                let first = number(5)
                if body.count == 3 {
                    expectedLength = first == 0 ? 65536 : first
                } else {
                    guard first > 0, body.count == 3 + first || body.count == 5 + first else {
                        throw .badLength(count: bytes.count, declaredData: first)
                    }
                    data = Array(bytes[7..<(7 + first)])
                    if body.count == 5 + first {
                        let le = number(7 + first)
                        expectedLength = le == 0 ? 65536 : le
                    }
                }
            }
        }
    }
}

/// The two status bytes of a response (ISO/IEC 7816-4, 5.6; EMV Book 3, 6.3.5).
public struct StatusWord: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public init(integerLiteral value: UInt16) { self.rawValue = value }
    @inlinable public init(sw1: UInt8, sw2: UInt8) { rawValue = UInt16(sw1) << 8 | UInt16(sw2) }

    @inlinable public var sw1: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }
    @inlinable public var sw2: UInt8 { UInt8(truncatingIfNeeded: rawValue) }

    public static let success: StatusWord = 0x9000
    public static let fileInvalidated: StatusWord = 0x6283
    public static let wrongLength: StatusWord = 0x6700
    public static let authenticationBlocked: StatusWord = 0x6983
    public static let securityStatusNotSatisfied: StatusWord = 0x6982
    public static let referenceDataInvalidated: StatusWord = 0x6984
    public static let conditionsNotSatisfied: StatusWord = 0x6985
    public static let commandNotAllowed: StatusWord = 0x6986
    public static let wrongData: StatusWord = 0x6A80
    public static let functionNotSupported: StatusWord = 0x6A81
    public static let fileNotFound: StatusWord = 0x6A82
    public static let recordNotFound: StatusWord = 0x6A83
    public static let incorrectParameters: StatusWord = 0x6A86
    public static let referencedDataNotFound: StatusWord = 0x6A88
    public static let instructionNotSupported: StatusWord = 0x6D00
    public static let classNotSupported: StatusWord = 0x6E00
    public static let unknownError: StatusWord = 0x6F00
}

extension StatusWord: CustomStringConvertible {
    /// Four hexadecimal digits and, where known, the meaning.
    public var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        let hex = String(repeating: "0", count: 4 - digits.utf8.count) + digits
        return meaning.map { "\(hex) (\($0))" } ?? hex
    }

    /// The meaning in a few words, nil where neither ISO/IEC 7816-4 nor EMV gives one.
    public var meaning: String? {
        switch rawValue {
        case 0x9000: "success"
        case 0x6100...0x61FF: "\(sw2 == 0 ? 256 : Int(sw2)) more bytes to get"
        case 0x6283: "selected file invalidated"
        case 0x6300: "authentication failed"
        case 0x63C0...0x63CF: "verification failed, \(sw2 & 0x0F) tries left"
        case 0x6581: "memory failure"
        case 0x6700: "wrong length"
        case 0x6982: "security status not satisfied"
        case 0x6983: "authentication method blocked"
        case 0x6984: "reference data invalidated"
        case 0x6985: "conditions of use not satisfied"
        case 0x6986: "command not allowed, see phone"
        case 0x6A80: "wrong data"
        case 0x6A81: "function not supported"
        case 0x6A82: "file or application not found"
        case 0x6A83: "record not found"
        case 0x6A86: "incorrect parameters P1-P2"
        case 0x6A88: "referenced data not found"
        case 0x6B00: "wrong parameters P1-P2"
        case 0x6C00...0x6CFF: "wrong Le, \(sw2 == 0 ? 256 : Int(sw2)) bytes are available"
        case 0x6D00: "instruction not supported"
        case 0x6E00: "class not supported"
        case 0x6F00: "no precise diagnosis"
        default: nil
        }
    }
}

/// A response APDU: data and status word.
public struct ResponseAPDU: Equatable, Sendable {
    /// Data and the two status bytes, as received: at least two bytes.
    public let bytes: [UInt8]

    /// - Throws: `.truncatedResponse` for fewer than two bytes.
    @inlinable
    public init(bytes: [UInt8]) throws(APDUError) {
        guard bytes.count >= 2 else { throw .truncatedResponse(count: bytes.count) }
        self.bytes = bytes
    }

    public init(data: [UInt8] = [], status: StatusWord) {
        var bytes = data
        bytes.append(status.sw1)
        bytes.append(status.sw2)
        self.bytes = bytes
    }

    @inlinable public var status: StatusWord {
        StatusWord(sw1: bytes[bytes.count &- 2], sw2: bytes[bytes.count &- 1])
    }
    /// The response data without the status bytes.
    @inlinable public var data: ArraySlice<UInt8> { bytes[..<(bytes.count &- 2)] }
    @inlinable public var dataRange: Range<Int> { 0..<(bytes.count &- 2) }
    @inlinable public var isSuccess: Bool { status == .success }
}
