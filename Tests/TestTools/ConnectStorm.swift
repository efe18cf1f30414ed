import Foundation
import Synchronization

/// Opens TCP connections to a port of this machine without end, by plain sockets on threads of its own, for tests that
/// stop a server meanwhile.
public final class ConnectStorm: Sendable {
    private let port: Int
    private let first: [UInt8]
    private let isOver = Atomic(false)
    /// Connections so far.
    private let count = Observed(0)
    private let finished = Observed<[[Int32]]>([])

    private init(_ port: Int, _ first: [UInt8]) {
        self.port = port
        self.first = first
    }

    /// Runs a storm while `body` runs.
    /// - Parameter first: what each connection says.
    /// - Returns: how many of the last connections the server has left open.
    public static func run(
        port: Int, threads: Int = 2, first: [UInt8] = [], _ body: (ConnectStorm) async throws -> Void
    ) async throws -> Int {
        let storm = ConnectStorm(port, first)
        for _ in 0..<threads { Thread.detachNewThread { storm.blow() } }
        let result: Result<Void, any Error>
        do { result = .success(try await body(storm)) } catch { result = .failure(error) }
        storm.isOver.store(true, ordering: .relaxed)
        await storm.finished.waitForever { $0.count == threads }
        let sockets = storm.finished.value.flatMap { $0 }
        let left = sockets.count { !Self.isEnded($0) }
        for socket in sockets { close(socket) }
        try result.get()
        return left
    }

    /// Waits for so many connections.
    public func connected(_ wanted: Int) async { await count.waitForever { $0 >= wanted } }

    private func blow() {
        var open: [Int32] = []
        var number = 0
        while !isOver.load(ordering: .relaxed) {
            guard let socket = Self.connect(port) else {
                // Nobody listens any more.
                sched_yield()
                continue
            }
            number += 1
            if !first.isEmpty { _ = send(socket, first, first.count, Int32(MSG_NOSIGNAL)) }
            count.update { $0 += 1 }
            open.append(socket)
            guard open.count > 16 else { continue }
            let oldest = open.removeFirst()
            if number.isMultiple(of: 2) {
                // A reset instead of an end.
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    oldest, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
            }
            close(oldest)
        }
        finished.update { [open] in $0.append(open) }
    }

    private static func connect(_ port: Int) -> Int32? {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return nil }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0, ownPort(socket) != port else {
            close(socket)
            return nil
        }
        return socket
    }

    /// A port of which nobody listens any more may be given to the connecting socket itself, which then is connected to
    /// itself (RFC 9293, 3.5: simultaneous open).
    private static func ownPort(_ socket: Int32) -> Int? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return status == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : nil
    }

    /// Whether the other side has ended the connection, at the latest in a minute; takes what it says before.
    private static func isEnded(_ socket: Int32) -> Bool {
        // A connection that found the queue of a listener full is one for its client alone: only what it sends is answered by a
        // reset.
        _ = send(socket, [0], 1, Int32(MSG_NOSIGNAL))
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            var descriptor = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard poll(&descriptor, 1, 60_000) > 0 else { return false }
            if recv(socket, &bytes, bytes.count, 0) <= 0 { return true }
        }
    }
}
