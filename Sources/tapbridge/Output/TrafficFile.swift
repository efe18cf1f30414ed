import CommandSupport
import AcquirerHost
import Foundation
import ISO8583Backend
import Synchronization

/// Where `tapbridge host --dump` writes messages: hexadecimal lines, or a capture file where the name ends in `.pcap`. For its
/// owner alone, as card numbers are in clear.
final class TrafficFile: Sendable {
    private let path: String
    private let descriptor: Int32
    /// Nil for lines.
    private let capture: Mutex<PacketCapture?>
    private let hasFailed = Mutex(false)

    init(_ path: String, _ interface: HostInterface) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(.badInput, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        let isCapture = path.lowercased().hasSuffix(".pcap")
        capture = Mutex(isCapture ? PacketCapture(interface.framing) : nil)
        if isCapture { append(PacketCapture.fileHeader) }
    }

    func close() { _ = Foundation.close(descriptor) }

    func write(_ traffic: HostTraffic) {
        let now = Date()
        // One after the other, as sequence numbers count on.
        capture.withLock { capture in
            guard capture != nil else {
                return append(
                    Array(
                        traffic.dumpLines(time: now.ISO8601Format(.init(includingFractionalSeconds: true)))
                            .utf8))
            }
            let time = now.timeIntervalSince1970
            let seconds = time.rounded(.down)
            append(
                capture?.records(
                    traffic, seconds: UInt32(clamping: Int64(seconds)),
                    microseconds: min(999_999, UInt32((time - seconds) * 1_000_000))) ?? [])
        }
    }

    private func append(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // Told once: the host goes on.
                let isFirst = hasFailed.withLock { failed in
                    defer { failed = true }
                    return !failed
                }
                if isFirst {
                    Console.printError("\(path) cannot be written: \(String(cString: strerror(errno)))")
                }
                return
            }
            rest = rest.dropFirst(count)
        }
    }
}
