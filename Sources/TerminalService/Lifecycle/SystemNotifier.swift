internal import Foundation
internal import Glibc
internal import ServiceLifecycle

/// Tells the service manager how the daemon is (sd_notify(3)): one datagram to the socket that `$NOTIFY_SOCKET` names.
/// Without that variable nothing is told.
public struct SystemNotifier: Sendable {
    public enum State: Sendable, Equatable {
        case ready, stopping, watchdog
        /// Reading the configuration again: since when, on the monotonic clock, in microseconds.
        case reloading(monotonicMicroseconds: UInt64)
        /// For people: `systemctl status`.
        case status(String)

        var text: String {
            switch self {
            case .ready: "READY=1"
            case .stopping: "STOPPING=1"
            case .watchdog: "WATCHDOG=1"
            case .reloading(let time): "RELOADING=1\nMONOTONIC_USEC=\(time)"
            case .status(let text): "STATUS=\(text.replacing("\n", with: " "))"
            }
        }
    }

    let socketPath: String?
    /// How often the manager wants to hear from the daemon; nil where it does not.
    public let watchdogInterval: Duration?

    public init(environment: [String: String], processID: Int32? = nil) {
        socketPath = environment["NOTIFY_SOCKET"].flatMap {
            $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil
        }
        let isForUs = environment["WATCHDOG_PID"].map { Int32($0) == processID ?? getpid() } ?? true
        watchdogInterval =
            isForUs
            ? environment["WATCHDOG_USEC"].flatMap(Int64.init).flatMap { $0 > 0 ? .microseconds($0) : nil }
            : nil
    }

    public static func reloadingNow() -> State {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .reloading(
            monotonicMicroseconds: UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000)
    }

    /// - Returns: whether it was told.
    @discardableResult
    public func tell(_ states: State...) -> Bool {
        guard let socketPath else { return false }
        let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socketPath.utf8)
        // An abstract socket's name begins with a zero byte.
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        guard path.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let message = Array(states.map(\.text).joined(separator: "\n").utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(socket, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == message.count
    }
}

/// Tells the service manager that the daemon lives, as long as it proves so.
struct WatchdogService: Service {
    let notifier: SystemNotifier
    /// Whether everything answers; it may take its time, and a silence of the whole interval has the daemon restarted.
    let isAlive: @Sendable () async -> Bool

    func run() async throws {
        guard let interval = notifier.watchdogInterval else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                if await isAlive() { notifier.tell(.watchdog) }
                // Twice in each interval, as sd_watchdog_enabled(3) advises.
                try? await Task.sleep(for: interval / 2)
            }
        }
        // Ending may take longer than the interval: the manager hears until the process is gone.
        notifier.tell(.watchdog)
    }
}
