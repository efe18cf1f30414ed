import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Synchronization
import Testing

@testable import TerminalService

/// One request of a raw connection, and the status that came back.
///
/// Connections are kept where the response says how long it is.
private final class Asker {
    private let port: Int
    private let source: String
    private var connection: RawConnection?

    init(port: Int, source: String) {
        self.port = port
        self.source = source
    }

    func status(_ method: String, _ target: String, hosts: [String], _ headers: String) throws -> Int {
        let connection = try self.connection ?? RawConnection(port: port, source: source)
        self.connection = nil
        connection.clear()
        let hostLines = hosts.map { "Host: \($0)\r\n" }.joined()
        connection.send("\(method) \(target) HTTP/1.1\r\n\(hostLines)\(headers)\r\n")
        connection.read(milliseconds: 60_000) { $0.contains("\r\n\r\n") }
        let head = try #require(
            connection.text.firstRange(of: "\r\n\r\n"), "\(method) \(target): no response")
        let lines = connection.text[..<head.lowerBound].lowercased().split(separator: "\r\n")
        let status = try #require(lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        let isEmpty = method == "HEAD" || status == 204 || status == 304
        let length = lines.first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.split(separator: ":")[1].drop { $0 == " " }) }
        if let length = isEmpty ? 0 : length, !lines.contains("connection: close") {
            let expected = connection.text[..<head.upperBound].utf8.count + length
            connection.read(milliseconds: 60_000) { $0.utf8.count >= expected }
            if connection.text.utf8.count == expected { self.connection = connection }
        }
        return status
    }
}

@Suite("Access", .serialized)
struct AccessTests {
    static let operatorToken = AccessToken.make()
    static let observerToken = AccessToken.make()
    static let tokens = """
        tokens:
          - {name: till, role: operator, sha256: \(AccessToken(name: "", role: .operator, hash: AccessToken.hash(of: operatorToken)).hashText)}
          - {name: board, role: observer, sha256: \(AccessToken(name: "", role: .observer, hash: AccessToken.hash(of: observerToken)).hashText)}
        """

    // MARK: Declarations

    @Test("a route that declares nothing does not start the daemon")
    func undeclared() async throws {
        let house = try await House()
        #expect(throws: UndeclaredRoutes(routes: ["GET /v1/back-door", "PUT /v1/status"])) {
            _ = try API.router(hall: house.hall) { routes in
                routes.get("/v1/front-door", .observer) { _, _ in .text("") }
                routes.router.get("/v1/back-door") { _, _ in "open" }
                routes.router.put("/v1/status") { _, _ in "open" }
            }
        }
    }

    @Test("one that is added behind the back of the table is served to nobody")
    func addedLater() async throws {
        let house = try await House()
        let router = try API.router(hall: house.hall)
        router.get("/v1/back-door") { _, _ in "open" }
        try await Application(router: router).test(.live) { client in
            let door = try await client.call(.get, "/v1/back-door")
            #expect(door.status == .notFound)
            let status = try await client.call(.get, "/v1/status")
            #expect(status.status == .ok)
        }
    }

    /// The document of the API is the judge: what needs no security there is open here, and nothing else is.
    @Test("what is open is what the API's document says, and what changes something takes an operator")
    func declarations() async throws {
        let table = try await TestDaemon.with { try $0.table() }
        var open: Set<String> = []
        for (path, item) in try #require(try OpenAPITests.document()["paths"] as? [String: [String: Any]]) {
            for (method, operation) in item {
                guard let security = (operation as? [String: Any])?["security"] as? [Any], security.isEmpty
                else { continue }
                open.insert("\(method.uppercased()) \(path)")
                if method == "get" { open.insert("HEAD \(path)") }
            }
        }
        for file in ConsoleFiles.all { open.formUnion(["GET \(file.path)", "HEAD \(file.path)"]) }
        let declared = table.all.filter { $0.access.audience == .everybody }
        #expect(Set(declared.map { "\($0.method.rawValue) \($0.path)" }) == open)
        for (method, path, access) in table.all where access.audience != .everybody {
            let changes = method != .get && method != .head
            #expect(access.audience == .role(changes ? .operator : .observer), "\(method) \(path)")
        }
        let streams = table.all.filter { $0.access.stream != .none && $0.method == .get }
            .map { "\($0.path) \($0.access.stream)" }
        #expect(
            streams == [
                "/v1/events events", "/v1/journal/export export", "/v1/payments/{id} wait",
                "/v1/payments/{id}/events events",
            ])
        #expect(Set(table.all.filter { $0.access.rate == .probe }.map(\.path)) == ["/healthz", "/readyz"])
    }

    // MARK: All routes in all spellings

    /// A way to write a path: target and Host headers.
    struct Spelling: Sendable {
        enum Expected: Sendable { case served, refusedByHost, badRequest }
        var name: String
        var expected = Expected.served
        var hosts = ["localhost"]
        var target: @Sendable (String) -> String
    }

    private static func lastPart(_ path: String, _ change: (Substring) -> String) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return (parts.dropLast().map(String.init) + [parts.last.map(change) ?? ""]).joined(separator: "/")
    }
    private static func encoded(_ text: some StringProtocol) -> String {
        text.utf8.map { "%" + String($0, radix: 16) }.joined()
    }

    static let spellings: [Spelling] = [
        .init(name: "plain") { $0 },
        .init(name: "empty part in front") { "/" + $0 },
        .init(name: "empty parts in front") { "////" + $0 },
        .init(name: "empty part in the middle") { path in lastPart(path) { "/" + $0 } },
        .init(name: "slash at the end") { $0 + "/" },
        .init(name: "slashes at the end") { $0 + "///" },
        .init(name: "dot in front") { "/." + $0 },
        .init(name: "dot at the end") { $0 + "/." },
        .init(name: "two dots in front") { "/v1/.." + $0 },
        .init(name: "two dots at the end") { $0 + "/x/.." },
        .init(name: "a letter percent-encoded") { path in
            lastPart(path) { encoded($0.prefix(1)) + $0.dropFirst() }
        },
        .init(name: "all letters percent-encoded") { path in
            path == "/" ? path : path.split(separator: "/").map { "/" + encoded($0) }.joined()
        },
        .init(name: "last slash percent-encoded") { path in
            let last = path.lastIndex(of: "/") ?? path.startIndex
            return last == path.startIndex
                ? path : String(path[..<last]) + "%2F" + String(path[path.index(after: last)...])
        },
        .init(name: "encoded slash in front") { "/%2f" + $0 },
        .init(name: "upper case") { $0.uppercased() },
        .init(name: "query") { $0 + "?x=//v1/../status" },
        .init(name: "parameter of the path") { $0 + ";x=1" },
        .init(name: "encoded zero") { $0 + "%00" },
        .init(name: "absolute form") { "http://localhost" + $0 },
        .init(name: "absolute form, upper case") { "HTTP://LOCALHOST:80" + $0 },
        .init(name: "absolute form, empty part") { "http://127.0.0.1/" + $0 },
        .init(name: "absolute form beside a foreign Host", hosts: ["evil.example"]) {
            "http://localhost" + $0
        },
        .init(name: "foreign absolute form", expected: .refusedByHost) { "http://evil.example" + $0 },
        .init(name: "foreign absolute form, good user", expected: .refusedByHost) {
            "http://localhost@evil.example" + $0
        },
        .init(name: "another scheme", expected: .badRequest) { "ftp://localhost" + $0 },
        .init(name: "foreign Host", expected: .refusedByHost, hosts: ["evil.example"]) { $0 },
        .init(name: "two Hosts", expected: .badRequest, hosts: ["localhost", "evil.example"]) { $0 },
        .init(name: "the same Host twice", expected: .badRequest, hosts: ["localhost", "localhost"]) {
            "/" + $0
        },
        .init(
            name: "two Hosts and absolute form", expected: .badRequest, hosts: ["localhost", "evil.example"]
        ) {
            "http://localhost" + $0
        },
        .init(name: "no Host", expected: .badRequest, hosts: []) { $0 },
    ]

    enum Caller: String, CaseIterable {
        case nobody, wrong, observer, `operator`, session
        var role: Role? {
            switch self {
            case .nobody, .wrong: nil
            case .observer: .observer
            case .operator, .session: .operator
            }
        }
    }

    typealias Route = (method: HTTPRequest.Method, path: String, access: RouteAccess)

    /// What the router makes of a target, written anew: parts between slashes, empty ones passed over, nothing decoded.
    private static func access(_ method: HTTPRequest.Method, _ target: String, _ routes: [Route])
        -> RouteAccess?
    {
        var path = target.prefix { $0 != "?" }
        if let mark = path.firstRange(of: "://") {
            path = path[mark.upperBound...]
            path = path[(path.firstIndex(of: "/") ?? path.endIndex)...]
        }
        let parts = path.split(separator: "/")
        let fitting = routes.filter { route in
            guard route.method == method else { return false }
            let own = route.path.split(separator: "/")
            return own.count == parts.count
                && zip(own, parts).allSatisfy { $0.0.hasPrefix("{") || $0.0 == $0.1 }
        }
        return fitting.min { $0.path.count { $0 == "{" } < $1.path.count { $0 == "{" } }?.access
    }

    struct Walk: Sendable {
        var asked = 0
        var servedToNobody = 0
        var servedByRole = 0
        var failures: [String] = []
    }

    /// What a status says about one request: nil if it is as the route declares.
    private static func mistake(
        status: Int, declared: RouteAccess?, method: HTTPRequest.Method, caller: Caller,
        expected: Spelling.Expected,
        walk: inout Walk
    ) -> String? {
        func expect(_ statuses: Int...) -> String? {
            statuses.contains(status) ? nil : "expected \(statuses)"
        }
        switch (expected, caller) {
        case (.badRequest, _): return expect(400)
        case (.refusedByHost, _): return expect(403)
        case (.served, .wrong): return expect(401, 429)
        case (.served, _): break
        }
        let looks = method == .get || method == .head
        // A session is for looking.
        let role = caller == .session && !looks ? nil : caller.role
        let least: Role? =
            switch declared?.audience {
            case .everybody: nil
            case .role(let role): role
            case nil: looks ? .observer : .operator
            }
        switch (least, role) {
        case (_?, nil): return expect(401)
        case (.operator, .observer): return expect(403)
        default: break
        }
        if declared == nil { return expect(404, 405) }
        if role == nil { walk.servedToNobody += 1 } else { walk.servedByRole += 1 }
        return [401, 403, 405, 429].contains(status) ? "expected to be served" : nil
    }

    private static func walk(_ port: Int, _ routes: [Route], session: String) throws -> Walk {
        // Who guesses has an address of his own: it is locked out soon.
        let others = Asker(port: port, source: "127.0.0.1")
        let guesser = Asker(port: port, source: "127.0.0.2")
        var walk = Walk()
        for (method, pattern, _) in routes {
            let path = pattern.split(separator: "/").map { $0.hasPrefix("{") ? "/none" : "/\($0)" }.joined()
            for spelling in spellings {
                let target = spelling.target(path.isEmpty ? "/" : path)
                let declared = access(method, target, routes)
                for caller in Caller.allCases {
                    let header =
                        switch caller {
                        case .nobody: ""
                        case .wrong: "Authorization: Bearer \(operatorToken)x\r\n"
                        case .observer: "Authorization: Bearer \(observerToken)\r\n"
                        case .operator: "Authorization: Bearer \(operatorToken)\r\n"
                        // Signing out would end it.
                        case .session: "Cookie: \(method == .delete ? "tapbridge_session=none" : session)\r\n"
                        }
                    let status = try (caller == .wrong ? guesser : others).status(
                        method.rawValue, target, hosts: spelling.hosts, header)
                    walk.asked += 1
                    if let found = mistake(
                        status: status, declared: declared, method: method, caller: caller,
                        expected: spelling.expected, walk: &walk)
                    {
                        walk.failures.append(
                            "\(method) \(target) (\(spelling.name)) by \(caller): \(status), \(found)")
                    }
                }
            }
        }
        return walk
    }

    @Test("every route in every spelling gives everybody what it declares, and no more")
    func walk() async throws {
        try await TestDaemon.with(
            "terminals: [{id: TERM0001}]\nlimits: {requests-per-second: 0, event-streams: 100000, event-streams-per-client: 100000}\n"
                + Self.tokens
        ) { daemon in
            let routes = try daemon.table().all
            let signedIn = try await daemon.ask("POST", "/v1/session", ["token": Self.operatorToken])
            let cookie = String(try #require(signedIn.headers["set-cookie"]).prefix { $0 != ";" })
            let port = daemon.port
            let walk = try await onThread { try Self.walk(port, routes, session: cookie) }
            print(
                "access: \(routes.count) routes, \(Self.spellings.count) spellings, \(Caller.allCases.count) callers: \(walk.asked) requests, \(walk.servedToNobody) served to nobody in particular, \(walk.servedByRole) by role"
            )
            #expect(
                walk.failures.isEmpty,
                "\(walk.failures.count): \(walk.failures.prefix(40).joined(separator: "\n"))")
            #expect(routes.count >= 130)
            #expect(Self.spellings.count == 30)
            #expect(walk.asked == routes.count * Self.spellings.count * Caller.allCases.count)
            #expect(walk.servedToNobody > 300 && walk.servedByRole > 2000)
        }
    }

    // MARK: Sessions and guesses

    @Test("signing in gives a cookie that is no token; signing out ends it and its streams")
    func signOut() async throws {
        try await TestDaemon.with(Self.tokens) { daemon in
            let wrong = try await daemon.ask("POST", "/v1/session", ["token": "nonsense"])
            #expect(wrong.status == 401 && wrong.headers["set-cookie"] == nil)
            let right = try await daemon.ask("POST", "/v1/session", ["token": Self.operatorToken])
            let cookie = String(try #require(right.headers["set-cookie"]).prefix { $0 != ";" })
            #expect(!cookie.contains(Self.operatorToken))
            func status(_ method: String, _ path: String = "/v1/status") async throws -> Int {
                try await daemon.ask(method, path, headers: ["Cookie": cookie]).status
            }
            #expect(try await status("GET") == 200)
            #expect(try await status("POST", "/v1/configuration/reload") == 401)
            let stream = try RawConnection(port: daemon.port)
            stream.get("/v1/events", "Cookie: \(cookie)\r\n")
            try await stream.receive { $0.contains("retry: 1000") }
            let other = try RawConnection(port: daemon.port)
            other.get("/v1/events", "Authorization: Bearer \(Self.observerToken)\r\n")
            try await other.receive { $0.contains("retry: 1000") }
            let out = try await daemon.ask("DELETE", "/v1/session", headers: ["Cookie": cookie])
            #expect(out.status == 204 && out.headers["set-cookie"]?.contains("Max-Age=0") == true)
            #expect(try await status("GET") == 401)
            try await stream.receive()
            #expect(stream.isAtEnd)
            #expect(try await eventually { daemon.daemon.streams.total(.events) == 1 })
            // Nobody else notices, nor does who signs out twice.
            _ = try await daemon.ask("DELETE", "/v1/session", headers: ["Cookie": cookie])
            #expect(try await daemon.ask("DELETE", "/v1/session").status == 204)
            #expect(!other.isAtEnd)
        }
    }

    @Test("a token that leaves the configuration takes its sessions and streams along")
    func removedToken() async throws {
        try await TestDaemon.with(Self.tokens) { daemon in
            let signedIn = try await daemon.ask("POST", "/v1/session", ["token": Self.observerToken])
            let cookie = String(try #require(signedIn.headers["set-cookie"]).prefix { $0 != ";" })
            var streams: [RawConnection] = []
            for header in ["Cookie: \(cookie)", "Authorization: Bearer \(Self.observerToken)"] {
                let stream = try RawConnection(port: daemon.port)
                stream.get("/v1/events", header + "\r\n")
                try await stream.receive { $0.contains("retry: 1000") }
                streams.append(stream)
            }
            let kept = try RawConnection(port: daemon.port)
            kept.get("/v1/events", "Authorization: Bearer \(Self.operatorToken)\r\n")
            try await kept.receive { $0.contains("retry: 1000") }
            try daemon.rewrite(Self.tokens.split(separator: "\n").dropLast().joined(separator: "\n"))
            #expect(await daemon.daemon.reload().changed.contains("tokens"))
            for stream in streams {
                try await stream.receive()
                #expect(stream.isAtEnd)
            }
            #expect(daemon.daemon.sessions.count == 0)
            #expect(try await daemon.ask("GET", "/v1/status", headers: ["Cookie": cookie]).status == 401)
            #expect(!kept.isAtEnd)
            #expect(daemon.daemon.streams.total(.events) >= 1)
        }
    }

    @Test("guessing at the sign-in is guessing: a right token is refused meanwhile, of this address alone")
    func signInIsLimited() async throws {
        try await TestDaemon.with(Self.tokens) { daemon in
            func signIn(_ token: String, from source: String) async throws -> Int {
                let connection = try RawConnection(port: daemon.port, source: source)
                let body = #"{"token":"\#(token)"}"#
                connection.send(
                    "POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                try await connection.receive { $0.contains("\r\n\r\n") }
                return try #require(
                    connection.text.split(separator: " ").dropFirst().first.flatMap { Int($0) })
            }
            // The bucket fills by one a second: a slow machine gets some more guesses.
            var statuses: [Int] = []
            while statuses.last != 429, statuses.count < 2000 {
                statuses.append(try await signIn("guess\(statuses.count)", from: "127.0.0.3"))
            }
            #expect(statuses.dropLast().allSatisfy { $0 == 401 })
            #expect(statuses.last == 429 && statuses.count > 20)
            // Empty it again, then ask at once.
            var isRefused = false
            for _ in 0..<50 where !isRefused {
                _ = try await signIn("guess", from: "127.0.0.3")
                isRefused = try await signIn(Self.operatorToken, from: "127.0.0.3") == 429
            }
            #expect(isRefused)
            #expect(try await signIn(Self.operatorToken, from: "127.0.0.4") == 200)
        }
    }

    @Test(
        "a slash at the end is no way round the limit of event streams",
        arguments: ["/v1/events", "/v1/events/", "//v1/events", "/v1//events//"])
    func eventStreams(_ path: String) async throws {
        try await TestDaemon.with("limits: {event-streams-per-client: 2}") { daemon in
            var streams: [RawConnection] = []
            for _ in 0..<2 {
                let stream = try RawConnection(port: daemon.port)
                stream.get(path)
                try await stream.receive { $0.contains("retry: 1000") }
                streams.append(stream)
            }
            #expect(streams.allSatisfy { $0.text.contains("HTTP/1.1 200") })
            let third = try RawConnection(port: daemon.port)
            third.get(path)
            try await third.receive { $0.contains("\r\n\r\n") }
            #expect(third.text.hasPrefix("HTTP/1.1 429"))
            #expect(third.text.lowercased().contains("retry-after: "))
        }
    }
}

extension TestDaemon {
    /// The routes of a daemon with what they declare.
    func table() throws -> RouteTable {
        var table: RouteTable?
        _ = try API.router(hall: hall) {
            DaemonRoutes(daemon: daemon).add(to: $0)
            table = $0.table
        }
        return try #require(table)
    }
}
