import Foundation
import HTTPTypes
import Testing

@testable import TerminalService

/// What connections may take of the daemon: one request at a time, nothing that is no HTTP, and little memory.
@Suite("Connections", .serialized)
struct ConnectionTests {
    // MARK: One request at a time

    @Test("no piece goes beyond an empty line, however its bytes come")
    func emptyLine() {
        let text = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /\r\r\n\r\r\n\r\n\r\n".utf8)
        for size in 1...text.count {
            var line = EmptyLine()
            var ends: Set<Int> = []
            var start = 0
            var arrived = 0
            while start < text.count {
                if start == arrived { arrived = min(arrived + size, text.count) }
                let length = text[start..<arrived].withUnsafeBytes { line.length(in: $0) }
                guard length > 0 else { break }
                start += length
                ends.insert(start)
            }
            #expect(start == text.count && ends.isSuperset(of: [27, 40]), "pieces of \(size)")
        }
    }

    private static let requests = [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"hex\":\"9F3704\"}",
        // Empty lines within the bodies.
        "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{\"hex\":\r\n\r\n\"9F3704\"}\r\n0\r\nX: y\r\n\r\n",
        "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"hex\":\r\n\r\n\"9F3704\"}",
        "HEAD /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ]
    private static let expected = [200, 200, 200, 200, 200, 404, 200]

    static func statuses(_ text: String) -> [Int] {
        text.ranges(of: "HTTP/1.1 ").compactMap { Int(text[$0.upperBound...].prefix(3)) }
    }

    @Test(
        "requests on end are answered one after another, in any pieces, also if the client has closed its side",
        arguments: [1, 3, 7, 64, 500, 100_000], [false, true])
    func pipelined(_ size: Int, _ closes: Bool) async throws {
        try await TestDaemon.with { daemon in
            let connection = try RawConnection(port: daemon.port)
            let bytes = Array(Self.requests.joined().utf8)
            var start = 0
            while start < bytes.count {
                let end = min(start + size, bytes.count)
                connection.send(String(decoding: bytes[start..<end], as: UTF8.self))
                start = end
            }
            if closes { connection.endSending() }
            try await connection.receive()
            #expect(Self.statuses(connection.text) == Self.expected)
            #expect(daemon.metrics.rejected.value("pipelined") == 0)
            #expect(connection.isAtEnd)
        }
    }

    @Test("after a request that says it is the last nothing is read, and the connection is not held")
    func lastRequest() async throws {
        try await TestDaemon.with("limits: {header-timeout: 300 ms}") { daemon in
            let connection = try RawConnection(port: daemon.port)
            connection.send(Self.requests[6] + Self.requests[0] + Self.requests[0])
            try await connection.receive()
            #expect(Self.statuses(connection.text) == [200])
            #expect(try await eventually { daemon.daemon.keeper.count == 0 })
        }
    }

    @Test("requests piled up behind a closed side are not read without end")
    func piledUp() async throws {
        try await TestDaemon.with { daemon in
            let connection = try RawConnection(port: daemon.port)
            // The first one waits: what is behind it is held.
            let id = try await daemon.pay("TERM0001")
            connection.get("/v1/payments/\(id)?wait=60")
            connection.send(String(repeating: Self.requests[0], count: 50_000 / Self.requests[0].utf8.count))
            connection.endSending()
            #expect(try await eventually { daemon.metrics.rejected.value("pipelined") == 1 })
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
            _ = try await daemon.ask("POST", "/v1/payments/\(id)/cancel")
        }
    }

    // MARK: What is no HTTP

    static let malformedRequests: [(name: String, request: String)] = [
        (
            "chunk size",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
        ),
        (
            "negative chunk size",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n"
        ),
        (
            "huge chunk size",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n{}\r\n"
        ),
        (
            "no end of chunk",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}{}{}\r\n0\r\n\r\n"
        ),
        (
            "unknown transfer coding",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n{}"
        ),
        (
            "chunked, then unknown",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ),
        (
            "large trailers",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
                + String(repeating: "X-Trailer: \(String(repeating: "x", count: 1000))\r\n", count: 60)
                + "\r\n"
        ),
        (
            "many trailers",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
                + String(repeating: "X: y\r\n", count: 2000) + "\r\n"
        ),
        (
            "large head",
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "x", count: 40_000))\r\n\r\n"
        ),
        (
            "two lengths",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
        ),
        (
            "length and chunks",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ),
        ("negative length", "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}"),
        ("no method", "\u{16}\u{3}\u{1} what is this\r\n\r\n"),
        ("another version", "GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n"),
        ("another scheme", "GET gopher://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("no authority", "GET http:///healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("asterisk", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a header without a name", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n"),
        (
            "an end within the body",
            "POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        ),
    ]

    @Test(
        "what is malformed is a problem of the client's: 400, and no error of the daemon's",
        arguments: malformedRequests.indices)
    func malformed(_ index: Int) async throws {
        let (name, request) = Self.malformedRequests[index]
        try await TestDaemon.with { daemon in
            // Also behind a good request.
            for before in ["", Self.requests[0]] {
                let connection = try RawConnection(port: daemon.port)
                connection.send(before + request)
                if name == "an end within the body" { connection.endSending() }
                try await connection.receive()
                let statuses = Self.statuses(connection.text)
                #expect(
                    statuses == (before.isEmpty ? [400] : [200, 400]),
                    "\(name): \(connection.text.prefix(2000))")
                #expect(connection.text.contains("application/problem+json"), "\(name)")
                #expect(connection.text.contains("\"code\":\"bad_request\""), "\(name)")
                #expect(connection.text.contains("\"retryable\":false"), "\(name)")
                #expect(connection.isAtEnd, "\(name)")
            }
            #expect(daemon.metrics.logLines.value("error") == 0, "\(name): \(daemon.log)")
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
        }
    }

    // MARK: Memory

    @Test("clients that send on end and read nothing have one request each, and nobody else notices")
    func neverReading() async throws {
        try await TestDaemon.with("limits: {requests-per-second: 0}") { daemon in
            let bytes = Array(
                String(repeating: "GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 1000).utf8)
            let connections = try (0..<20).map { _ in
                try RawConnection(port: daemon.port, receiveBuffer: 4096)
            }
            for _ in 0..<20 {
                for connection in connections { _ = connection.sendWhatFits(bytes) }
                #expect(try await daemon.ask("GET", "/healthz").status == 200)
            }
            // A second request beside one that has no response yet would end the connection.
            #expect(daemon.metrics.rejected.value("pipelined") == 0)
            #expect(daemon.daemon.keeper.unread <= 64 << 20)
        }
    }

    @Test("responses that are left unread are bounded for all connections together")
    func unread() async throws {
        try await TestDaemon.with("limits: {unread: 8 MiB, requests-per-second: 0}") { daemon in
            let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            var trace = try String(
                contentsOf: folder.appending(path: "apdu-traces/alipay-wallet.trace"), encoding: .utf8)
            trace += String(repeating: "# \(String(repeating: "x", count: 97))\n", count: 9000)
            let put =
                "PUT /v1/traces/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(trace.utf8.count)\r\n\r\n\(trace)"
            let uploader = try RawConnection(port: daemon.port)
            uploader.send(put)
            try await uploader.receive { $0.contains("\r\n\r\n") }
            try #require(uploader.text.hasPrefix("HTTP/1.1 20"), "\(uploader.text.prefix(500))")
            let connections = try (0..<20).map { _ in
                let connection = try RawConnection(port: daemon.port, receiveBuffer: 4096)
                for _ in 0..<8 { connection.get("/v1/traces/large") }
                return connection
            }
            #expect(try await eventually { daemon.metrics.rejected.value("unread") >= 1 })
            #expect(try await eventually { daemon.daemon.keeper.unread <= 8 << 20 })
            #expect(try await daemon.ask("GET", "/healthz").status == 200)
            _ = connections
        }
    }

    @Test("verifications at once are one, and the daemon stays ready")
    func verifications() async throws {
        try await TestDaemon.with { daemon in
            for _ in 0..<5 { _ = try await daemon.finished(try await daemon.pay("TERM0001", "visa-credit")) }
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<24 {
                    group.addTask {
                        let found = try await daemon.ask("GET", "/v1/journal/verification")
                        return found.object["transactions"] as? Int == 5 ? found.status : 0
                    }
                }
                #expect(try await daemon.ask("GET", "/readyz").status == 200)
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses == Array(repeating: 200, count: 24))
        }
    }
}
