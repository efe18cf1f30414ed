import Foundation
import Glibc
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing

@testable import Terminal
@testable import TerminalService

/// A connection that reads when it is told to, and not otherwise.
final class RawConnection: @unchecked Sendable {
    // Used by one test at a time.
    private let descriptor: Int32
    private(set) var text = ""

    /// - Parameter source: the address that the other side sees.
    init(port: Int, receiveBuffer: Int32? = nil, source: String? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        func call(
            _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ host: String, _ port: Int
        ) -> Int32 {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port)).bigEndian
            address.sin_addr.s_addr = inet_addr(host)
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        if let source, call(bind, source, 0) != 0 { throw POSIXError(.EADDRNOTAVAIL) }
        let result = call(connect, "127.0.0.1", port)
        guard result == 0 else { throw POSIXError(.ECONNREFUSED) }
    }
    deinit { close(descriptor) }

    /// Forgets what was read.
    func clear() { text = "" }

    /// The other side closed and everything was read.
    private(set) var isAtEnd = false

    /// Closes this side alone.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends as much as there is room for.
    /// - Returns: the count of bytes.
    func sendWhatFits(_ bytes: [UInt8]) -> Int {
        max(
            0,
            bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            })
    }

    func send(_ request: String) {
        let bytes = Array(request.utf8)
        _ = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
    }
    func get(_ path: String, _ headers: String = "") {
        send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n")
    }

    /// As `read`, on a thread of its own: the tasks of the daemon need those of the pool.
    func receive(
        milliseconds: Int32 = 60_000, until condition: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws {
        try await onThread { self.read(milliseconds: milliseconds, until: condition) }
    }

    /// Reads until the condition holds, the other side closes, or nothing comes for so long.
    func read(milliseconds: Int32 = 60_000, until condition: (String) -> Bool) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !condition(text) {
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, milliseconds) > 0 else { return }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                isAtEnd = count == 0 || errno == ECONNRESET
                return
            }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    var ids: [Int] {
        // The chunks' ends are CRLF, which is one character.
        text.replacing("\r\n", with: "\n").split(separator: "\n").filter { $0.hasPrefix("id: ") }.compactMap {
            Int($0.dropFirst(4))
        }
    }
}

@Suite(.serialized) struct EventStreamTests {
    func serve(
        _ house: House, _ body: @Sendable @escaping (any TestClientProtocol, Int) async throws -> Void
    ) async throws {
        let application = Application(router: try API.router(hall: house.hall))
        try await application.test(.live) { client in
            do {
                try await body(client, try #require(client.port))
            } catch {
                house.hall.hub.close()
                throw error
            }
            house.hall.hub.close()
        }
    }

    @Test func liveEventsAndComingBack() async throws {
        let house = try await House()
        try await serve(house) { client, port in
            let stream = try RawConnection(port: port)
            stream.get("/v1/events?terminal=TERM0001")
            stream.read { $0.contains("retry: 1000") }
            #expect(stream.text.hasPrefix("HTTP/1.1 200 OK"))
            #expect(stream.text.contains("text/event-stream"))
            let payment = try await house.pay(House.order(1250, cards: ["visa-credit"]))
            stream.read { $0.contains("event: finished") && $0.hasSuffix("\n\n\r\n") }
            let ids = stream.ids
            #expect(ids.count >= 25)
            #expect(ids == Array(ids[0]...ids[ids.count - 1]))
            #expect(stream.text.contains("event: authorizationAnswered"))

            // The rest after an event that the client has.
            let middle = ids[ids.count / 2]
            let again = try RawConnection(port: port)
            again.get("/v1/events", "Last-Event-ID: \(middle)\r\n")
            again.read { $0.contains("event: finished") && $0.contains("id: \(ids[ids.count - 1])\n") }
            #expect(again.ids.first == middle + 1)

            // A payment's own events end with it.
            let own = try RawConnection(port: port)
            own.get("/v1/payments/\(payment.id)/events", "Connection: close\r\n")
            own.read { _ in false }
            #expect(own.text.contains("event: payment"))
            #expect(own.text.contains("event: finished"))
        }
    }

    /// Payments go on, others hear of them, and the one who did not read is told what was lost.
    @Test func clientThatNeverReads() async throws {
        let house = try await House(change: { $0.eventsPerClient = 30 })
        try await serve(house) { client, port in
            let silent = try RawConnection(port: port, receiveBuffer: 4096)
            silent.get("/v1/events")
            #expect(try await eventually { house.hall.hub.listeners == 1 })
            for _ in 0..<80 {
                let payment = try await house.pay(House.order(1250, cards: ["mc-credit"]))
                #expect(payment.state == .finished)
            }
            let count = Int(house.hall.hub.lastID)
            silent.read { $0.contains("event: lost") }
            #expect(silent.text.contains("event: lost\ndata: {\"type\":\"lost\",\"count\":"))
            #expect(silent.ids.count < count)
            // It gets new events again.
            silent.read(milliseconds: 500) { _ in false }
            let last = try await house.pay(House.order(1250, cards: ["mc-credit"]))
            silent.read { $0.contains(last.id) }
            #expect(silent.text.contains(last.id))
        }
    }

    @Test func streamsAreLimitedAndGivenBack() async throws {
        let house = try await House(change: { $0.mostEventClients = 2 })
        try await serve(house) { client, port in
            var streams: [RawConnection] = []
            for _ in 0..<2 {
                let stream = try RawConnection(port: port)
                stream.get("/v1/events")
                stream.read { $0.contains("retry") }
                streams.append(stream)
            }
            let refused = try await client.call(.get, "/v1/events")
            #expect(refused.status.code == 503)
            #expect(refused.code == "too_many_streams")
            // Gone clients are noticed with the next events.
            streams = []
            #expect(
                try await eventually {
                    house.hall.hub.beat()
                    return house.hall.hub.listeners == 0
                })
        }
    }

    /// Connections that send nothing, half a request or nonsense hold up nobody.
    @Test func strangeConnections() async throws {
        let house = try await House()
        try await serve(house) { client, port in
            var held: [RawConnection] = []
            for number in 0..<200 {
                let connection = try RawConnection(port: port)
                switch number % 4 {
                case 0: break
                case 1:
                    connection.send(
                        "POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
                case 2: connection.send("\u{16}\u{3}\u{1}\u{2}\u{0}nonsense\r\n\r\n")
                default: connection.send("GET /v1/status HTTP/1.1\r\nHost")
                }
                held.append(connection)
            }
            let answer = try await client.call(.get, "/v1/status")
            #expect(answer.status == .ok)
            #expect(
                try await house.pay(House.order(1250, cards: ["visa-credit"])).result?.status == "approved")
            held[2].read { $0.contains("400") }
            #expect(held[2].text.contains("400"))
        }
    }
}
