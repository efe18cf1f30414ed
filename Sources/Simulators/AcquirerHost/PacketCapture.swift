public import ISO8583

/// Messages of a host's line as a capture file (libpcap's format, which Wireshark and tcpdump read): each as one TCP segment
/// between the connection's addresses, in the clear even where the line has TLS.
///
/// Lengths and trailers of the framing are there as on the line. Nothing is masked.
public struct PacketCapture {
    private struct Flow: Hashable {
        var line: HostTraffic.Line
        var isReceived: Bool
    }
    /// Bytes so far, which are the sequence numbers.
    private var sent: [Flow: UInt32] = [:]
    private let framing: Framing
    /// An IP packet has at most 65535 bytes.
    private static let segmentLimit = 65_000

    public init(_ framing: Framing) { self.framing = framing }

    /// The file's beginning: version 2.4, microseconds, raw IP (link type 101).
    public static let fileHeader: [UInt8] =
        little(0xA1B2_C3D4, 4) + little(2, 2) + little(4, 2) + little(0, 4) + little(0, 4)
        + little(262_144, 4)
        + little(101, 4)

    /// The records of one message.
    /// - Parameters:
    ///   - seconds: since 1970.
    ///   - microseconds: 0...999 999.
    public mutating func records(_ traffic: HostTraffic, seconds: UInt32, microseconds: UInt32) -> [UInt8] {
        let frame = (try? framing.frame(traffic.content)) ?? traffic.content
        var result: [UInt8] = []
        var rest = frame[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.segmentLimit)
            rest = rest.dropFirst(part.count)
            let packet = packet(traffic, Array(part))
            result += Self.little(seconds, 4) + Self.little(microseconds, 4)
            result += Self.little(UInt32(packet.count), 4) + Self.little(UInt32(packet.count), 4) + packet
        }
        return result
    }

    private mutating func packet(_ traffic: HostTraffic, _ payload: [UInt8]) -> [UInt8] {
        let ends =
            traffic.isReceived
            ? (traffic.line.peer, traffic.line.local) : (traffic.line.local, traffic.line.peer)
        let (source, destination) = (Address(ends.0), Address(ends.1))
        let forth = Flow(line: traffic.line, isReceived: traffic.isReceived)
        let back = Flow(line: traffic.line, isReceived: !traffic.isReceived)
        let sequence = sent[forth] ?? 1
        sent[forth] = sequence &+ UInt32(payload.count)

        // RFC 9293, 3.1: PSH and ACK.
        var segment = Self.big(UInt32(source.port), 2) + Self.big(UInt32(destination.port), 2)
        segment += Self.big(sequence, 4) + Self.big(sent[back] ?? 1, 4) + [0x50, 0x18] + Self.big(65_535, 2)
        segment += [0, 0, 0, 0] + payload
        let isVersion6 = source.bytes.count == 16 && destination.bytes.count == 16
        let (from, to) =
            isVersion6 ? (source.bytes, destination.bytes) : (source.version4, destination.version4)
        let length = UInt32(segment.count)
        let pseudo =
            from + to + (isVersion6 ? Self.big(length, 4) + [0, 0, 0, 6] : [0, 6] + Self.big(length, 2))
        segment.replaceSubrange(16..<18, with: Self.checksum(pseudo + segment))
        if isVersion6 {
            // RFC 8200, 3.
            return [0x60, 0, 0, 0] + Self.big(length, 2) + [6, 64] + from + to + segment
        }
        // RFC 791, 3.1.
        var header: [UInt8] =
            [0x45, 0] + Self.big(length + 20, 2) + [0, 0, 0x40, 0, 64, 6, 0, 0] + from + to
        header.replaceSubrange(10..<12, with: Self.checksum(header))
        return header + segment
    }

    /// `127.0.0.1:8583` or `::1:8583`, as NIO has it.
    private struct Address {
        var bytes: [UInt8]
        var port: Int

        init(_ text: String) {
            let colon = text.lastIndex(of: ":") ?? text.endIndex
            let host = text[..<colon]
            port = colon < text.endIndex ? Int(text[text.index(after: colon)...]) ?? 0 : 0
            port = (0...65_535).contains(port) ? port : 0
            let parts = host.split(separator: ".").compactMap { UInt8($0) }
            bytes = parts.count == 4 ? parts : host.contains(":") ? Self.version6(host) : [0, 0, 0, 0]
        }

        var version4: [UInt8] { bytes.count == 4 ? bytes : [0, 0, 0, 0] }

        /// RFC 4291, 2.2: groups of up to four digits, zeros left out once.
        private static func version6(_ text: Substring) -> [UInt8] {
            func groups(_ text: Substring) -> [UInt8] {
                text.split(separator: ":").compactMap { UInt16($0.prefix { $0 != "%" }, radix: 16) }.flatMap {
                    [UInt8($0 >> 8), UInt8($0 & 0xFF)]
                }
            }
            guard let gap = text.firstRange(of: "::") else {
                let all = groups(text)
                return all.count == 16 ? all : Array(repeating: 0, count: 16)
            }
            let (head, tail) = (groups(text[..<gap.lowerBound]), groups(text[gap.upperBound...]))
            guard head.count + tail.count <= 16 else { return Array(repeating: 0, count: 16) }
            return head + Array(repeating: 0, count: 16 - head.count - tail.count) + tail
        }
    }

    /// RFC 1071.
    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
            sum = sum & 0xFFFF + sum >> 16
        }
        return big(~sum & 0xFFFF, 2)
    }

    private static func big(_ number: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: number >> UInt32($0 * 8)) }
    }
    private static func little(_ number: UInt32, _ count: Int) -> [UInt8] { big(number, count).reversed() }
}
