import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TerminalService

@Suite("Guards")
struct GuardTests {
    static let operatorToken = AccessToken.make()
    static let observerToken = AccessToken.make()

    final class Counts: Sendable {
        private let counts = Mutex<[Rejection: Int]>([:])
        func note(_ reason: Rejection) { counts.withLock { $0[reason, default: 0] += 1 } }
        subscript(_ reason: Rejection) -> Int { counts.withLock { $0[reason] ?? 0 } }
    }

    /// What the daemon does: all guards before a few routes.
    private static func application(
        withTokens: Bool = true, counts: Counts = Counts(), sessions: Sessions = Sessions(),
        _ change: (inout GuardSettings.Values) -> Void = { _ in }
    ) throws -> some ApplicationProtocol {
        let values = Self.values(withTokens: withTokens, change)
        let settings = GuardSettings(values)
        // Time stands still: buckets do not fill on a slow machine.
        let start = ContinuousClock.now
        let router = try API.assemble(
            outer: [SecurityHeaders(settings)],
            guards: [
                OriginGuard(settings, rejected: { counts.note($0) }),
                AuthenticationGuard(
                    settings, sessions, GuessLimit(now: { start }, rejected: { counts.note($0) })),
                RateGuard(settings, now: { start }, rejected: { counts.note($0) }),
                AuthorizationGuard(rejected: { counts.note($0) }),
                BodyGuard(settings, rejected: { counts.note($0) }),
                StreamGuard(settings, StreamCount(), sessions, rejected: { counts.note($0) }),
            ]
        ) { all in
            for (path, access) in [
                ("/", .everybody), ("/healthz", .probe), ("/metrics", .observer), ("/v1/status", .observer),
            ] as [(String, RouteAccess)] {
                all.get(path, access) { _, context in
                    .text("\(context.role?.rawValue ?? "nobody") \(context.client)")
                }
            }
            all.get("/authority", .everybody) { request, _ in .text(request.head.authority ?? "") }
            all.post("/v1/payments", .operator) { request, _ in
                let body = try await request.body.collect(upTo: 1 << 20)
                return .text("\(body.readableBytes)")
            }
            all.post("/v1/session", .everybody) { _, _ in .text("session") }
        }
        return Application(router: router)
    }

    private static func values(
        withTokens: Bool = true, _ change: (inout GuardSettings.Values) -> Void = { _ in }
    ) -> GuardSettings.Values {
        var values = GuardSettings.Values()
        if withTokens { values.tokens = AccessTokens([till, board]) }
        values.hosts = ["till.example"]
        change(&values)
        return values
    }
    static let till = AccessToken(
        name: "till", role: .operator, hash: AccessToken.hash(of: operatorToken))
    static let board = AccessToken(
        name: "board", role: .observer, hash: AccessToken.hash(of: observerToken))

    private static func status(
        _ app: some ApplicationProtocol, _ path: String, _ method: HTTPRequest.Method = .get,
        _ headers: [(HTTPField.Name, String)] = []
    ) async throws -> (Int, HTTPFields) {
        try await app.test(.live) { client in
            var fields = HTTPFields()
            for (name, value) in headers { fields[name] = value }
            return try await client.execute(uri: path, method: method, headers: fields) {
                (Int($0.status.code), $0.headers)
            }
        }
    }

    @Test(
        "who may do what",
        arguments: [
            ("/", HTTPRequest.Method.get, nil, 200), ("/healthz", .get, nil, 200),
            ("/metrics", .get, nil, 401),
            ("/v1/status", .get, nil, 401), ("/v1/nothing", .get, nil, 401),
            ("/v1/payments", .post, nil, 401),
            ("/v1/session", .post, nil, 200),
            ("/v1/status", .get, "operator", 200), ("/v1/payments", .post, "operator", 200),
            ("/v1/status", .get, "observer", 200), ("/metrics", .get, "observer", 200),
            ("/v1/payments", .post, "observer", 403), ("/v1/status", .delete, "observer", 403),
            ("/v1/status", .get, "wrong", 401), ("/healthz", .get, "wrong", 401),
            ("/v1/status", .get, "Basic dGlsbDp0aWxs", 401), ("/v1/status", .get, "empty", 401),
        ] as [(String, HTTPRequest.Method, String?, Int)])
    func access(_ path: String, _ method: HTTPRequest.Method, _ who: String?, _ expected: Int) async throws {
        let header: String? =
            switch who {
            case "operator": "Bearer \(Self.operatorToken)"
            case "observer": "bearer \(Self.observerToken)"
            case "wrong": "Bearer \(Self.operatorToken)x"
            case "empty": "Bearer "
            default: who
            }
        let (status, headers) = try await Self.status(
            try Self.application(), path, method, header.map { [(.authorization, $0)] } ?? [])
        #expect(status == expected)
        if expected == 401 { #expect(headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true) }
        if expected != 200 { #expect(headers[.contentType] == "application/problem+json") }
        // On answers of any kind.
        #expect(headers[.contentSecurityPolicy]?.contains("frame-ancestors 'none'") == true)
        #expect(headers[.xContentTypeOptions] == "nosniff")
    }

    @Test("a session is as good as its token for looking, and for nothing else; a token is no session")
    func cookie() async throws {
        let sessions = Sessions()
        let app = try Self.application(sessions: sessions)
        let identifier = sessions.begin(for: Self.till, .init())
        let cookie = "other=1; tapbridge_session=\(identifier)"
        #expect(try await Self.status(app, "/v1/status", .get, [(.cookie, cookie)]).0 == 200)
        #expect(try await Self.status(app, "/v1/payments", .post, [(.cookie, cookie)]).0 == 401)
        for wrong in [
            "tapbridge_session=old", "tapbridge_session=\(Self.operatorToken)",
            "tapbridge_token=\(Self.operatorToken)", "__Host-tapbridge_session=\(identifier)",
        ] {
            #expect(try await Self.status(app, "/v1/status", .get, [(.cookie, wrong)]).0 == 401)
            #expect(try await Self.status(app, "/", .get, [(.cookie, wrong)]).0 == 200)
        }
        // Nor is a session a token.
        #expect(
            try await Self.status(app, "/v1/status", .get, [(.authorization, "Bearer \(identifier)")]).0
                == 401)
        sessions.end(identifier)
        #expect(try await Self.status(app, "/v1/status", .get, [(.cookie, cookie)]).0 == 401)
    }

    @Test("over TLS the session's cookie is the host's own")
    func cookieWithTLS() async throws {
        let sessions = Sessions()
        let app = try Self.application(sessions: sessions) { $0.isTLS = true }
        let cookie = SessionCookie(isTLS: true)
        let identifier = sessions.begin(for: Self.board, .init())
        #expect(
            cookie.setting(identifier)
                == "__Host-tapbridge_session=\(identifier); Path=/; HttpOnly; SameSite=Strict; Secure")
        #expect(
            cookie.ending == "__Host-tapbridge_session=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"
        )
        #expect(
            try await Self.status(
                app, "/v1/status", .get, [(.cookie, "__Host-tapbridge_session=\(identifier)")]
            ).0
                == 200)
        // Any other server of the machine can set this one.
        #expect(
            try await Self.status(app, "/v1/status", .get, [(.cookie, "tapbridge_session=\(identifier)")]).0
                == 401)
    }

    @Test("without tokens everybody is operator")
    func withoutTokens() async throws {
        let app = try Self.application(withTokens: false)
        #expect(try await Self.status(app, "/v1/payments", .post).0 == 200)
    }

    @Test(
        "hosts",
        arguments: [
            ("localhost", 200), ("LOCALHOST:8473", 200), ("127.0.0.1:8473", 200), ("127.1.2.3", 200),
            ("[::1]:8473", 200),
            ("till.example", 200), ("till.example:443", 200),
            ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403),
            ("192.168.1.7", 403), ("till.example.", 403), ("till.example:99999", 403), ("[::1", 403),
            ("a b", 403),
        ])
    func hosts(_ host: String, _ expected: Int) {
        var values = GuardSettings.Values()
        values.hosts = ["till.example"]
        #expect(Authority(host)?.isAllowed(values) ?? false == (expected == 200))
    }

    @Test(
        "origins",
        arguments: [
            ("http://localhost", 200), ("https://evil.example", 403), ("null", 403),
            ("http://localhost.evil.example", 403),
            ("http://localhost:1", 403), ("file://", 403),
        ])
    func origins(_ origin: String, _ expected: Int) async throws {
        let counts = Counts()
        let app = try Self.application(withTokens: false, counts: counts)
        let found = try await app.test(.live) { client in
            let own = try await client.execute(uri: "/authority", method: .get) { String(buffer: $0.body) }
            let sent = origin == "http://localhost" ? "http://" + own : origin
            return try await client.execute(uri: "/v1/status", method: .get, headers: [.origin: sent]) {
                Int($0.status.code)
            }
        }
        #expect(found == expected)
        #expect(counts[.origin] == (expected == 403 ? 1 : 0))
    }

    @Test("the bucket of a client who asks too often is empty, and others' are not")
    func rate() async throws {
        let counts = Counts()
        let app = try Self.application(counts: counts) {
            $0.limits.requestsPerSecond = 1
            $0.limits.burst = 3
        }
        try await app.test(.live) { client in
            func get(_ token: String, _ path: String = "/v1/status") async throws -> TestResponse {
                try await client.execute(
                    uri: path, method: .get, headers: [.authorization: "Bearer \(token)"])
            }
            for _ in 0..<3 { #expect(try await get(Self.operatorToken).status == .ok) }
            let refused = try await get(Self.operatorToken)
            #expect(refused.status == .tooManyRequests)
            #expect(refused.headers[.retryAfter].flatMap(Int.init) == 1)
            #expect(try await get(Self.observerToken).status == .ok)
            #expect(try await get(Self.operatorToken, "/healthz").status == .ok)
        }
        #expect(counts[.rate] == 1)
    }

    @Test(
        "who guesses learns nothing: after twenty wrong ones a right token is refused, too, and a right session",
        arguments: [false, true])
    func guesses(_ bySession: Bool) async throws {
        let counts = Counts()
        let sessions = Sessions()
        let app = try Self.application(counts: counts, sessions: sessions)
        let right = sessions.begin(for: Self.board, .init())
        try await app.test(.live) { client in
            func get(_ text: String, _ path: String = "/v1/status", asSession: Bool? = nil) async throws
                -> TestResponse
            {
                let headers: HTTPFields =
                    asSession ?? bySession
                    ? [.cookie: "tapbridge_session=\(text)"] : [.authorization: "Bearer \(text)"]
                return try await client.execute(uri: path, method: .get, headers: headers)
            }
            for number in 0..<20 {
                // Paths that are none are no way round.
                let path = ["/v1/status", "/v1/nothing", "//v1/status"][number % 3]
                #expect(try await get("guess\(number)", path).status == .unauthorized)
            }
            for (text, asSession) in [
                ("guess", bySession), (Self.operatorToken, false), (right, true),
            ] {
                let response = try await get(text, asSession: asSession)
                #expect(response.status == .tooManyRequests)
                #expect(response.headers[.retryAfter] == "1")
                #expect(response.headers[.contentType] == "application/problem+json")
            }
            // Who shows nothing has what everybody has.
            #expect(try await client.execute(uri: "/healthz", method: .get).status == .ok)
        }
        #expect(counts[.unauthorized] == 20)
        #expect(counts[.rate] == 3)
    }

    @Test("asking without a token is no guess")
    func noGuess() async throws {
        let app = try Self.application()
        try await app.test(.live) { client in
            for _ in 0..<40 {
                #expect(try await client.execute(uri: "/v1/status", method: .get).status == .unauthorized)
            }
            let right = try await client.execute(
                uri: "/v1/status", method: .get, headers: [.authorization: "Bearer \(Self.operatorToken)"])
            #expect(right.status == .ok)
        }
    }

    @Test("buckets fill with time, hold no more than the burst, and are not endless in number")
    func buckets() {
        let buckets = TokenBuckets(capacity: 10)
        let start = ContinuousClock.now
        #expect(buckets.wait("a", rate: 2, burst: 5, at: start) == nil)
        for _ in 0..<5 { #expect(buckets.take("a", rate: 2, burst: 5, at: start) == nil) }
        // Looking takes nothing.
        for _ in 0..<3 {
            #expect(buckets.wait("a", rate: 2, burst: 5, at: start).map { abs($0 - 0.5) < 0.001 } == true)
        }
        #expect(buckets.take("a", rate: 2, burst: 5, at: start).map { abs($0 - 0.5) < 0.001 } == true)
        #expect(buckets.take("a", rate: 2, burst: 5, at: start + .milliseconds(500)) == nil)
        #expect(buckets.take("a", rate: 2, burst: 5, at: start + .milliseconds(500)) != nil)
        for _ in 0..<5 { #expect(buckets.take("a", rate: 2, burst: 5, at: start + .seconds(3600)) == nil) }
        #expect(buckets.take("a", rate: 2, burst: 5, at: start + .seconds(3600)) != nil)
        for number in 0..<1000 {
            _ = buckets.take("\(number)", rate: 2, burst: 5, at: start + .seconds(3600))
        }
        #expect(buckets.count <= 10)
        // The empty one was not forgotten for new ones.
        #expect(buckets.take("a", rate: 2, burst: 5, at: start + .seconds(3600)) != nil)
    }

    @Test("a body that says to be too long is not read")
    func body() async throws {
        let app = try Self.application { $0.limits.body = 2048 }
        try await app.test(.live) { client in
            let headers: HTTPFields = [.authorization: "Bearer \(Self.operatorToken)"]
            for (count, expected) in [(2048, HTTPResponse.Status.ok), (2049, .contentTooLarge)] {
                let response = try await client.execute(
                    uri: "/v1/payments", method: .post, headers: headers,
                    body: ByteBuffer(repeating: 0x20, count: count))
                #expect(response.status == expected)
            }
        }
    }

    @Test("places of event streams are limited for all and for each, and free again")
    func streams() {
        var limits = DaemonConfiguration.Limits()
        limits.eventStreams = 3
        limits.eventStreamsPerClient = 2
        limits.exports = 2
        let count = StreamCount()
        var places = [count.enter("a", .events, limits), count.enter("a", .events, limits)]
        #expect(places.allSatisfy { $0 != nil })
        #expect(count.enter("a", .events, limits) == nil)
        places.append(count.enter("b", .events, limits))
        #expect(count.enter("c", .events, limits) == nil)
        #expect(count.total(.events) == 3)
        // Exports are counted for themselves; one client has half of them.
        places.append(count.enter("a", .export, limits))
        #expect(count.enter("a", .export, limits) == nil)
        places.append(count.enter("b", .export, limits))
        #expect(count.enter("c", .export, limits) == nil)
        places = []
        #expect(count.total(.events) == 0 && count.total(.export) == 0)
        #expect(count.enter("a", .events, limits) != nil)
    }

    @Test("a token is found by its hash, and nothing like it is")
    func tokens() {
        let tokens = AccessTokens([
            AccessToken(name: "a", role: .observer, hash: AccessToken.hash(of: "tapbridge_x"))
        ])
        #expect(tokens.holder(of: "tapbridge_x")?.name == "a")
        for wrong in ["", "tapbridge_", "tapbridge_X", "tapbridge_x ", "tapbridge_xx"] {
            #expect(tokens.holder(of: wrong) == nil)
        }
        #expect(Set((0..<100).map { _ in AccessToken.make() }).count == 100)
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        #expect(
            AccessToken(name: "", role: .observer, hash: AccessToken.hash(of: "abc")).hashText
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
