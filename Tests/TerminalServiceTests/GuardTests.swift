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
        withTokens: Bool = true, counts: Counts = Counts(),
        _ change: (inout GuardSettings.Values) -> Void = { _ in }
    ) -> some ApplicationProtocol {
        var values = GuardSettings.Values()
        if withTokens {
            values.tokens = AccessTokens([
                AccessToken(name: "till", role: .operator, hash: AccessToken.hash(of: operatorToken)),
                AccessToken(name: "board", role: .observer, hash: AccessToken.hash(of: observerToken)),
            ])
        }
        values.hosts = ["till.example"]
        change(&values)
        let settings = GuardSettings(values)
        // Time stands still: buckets do not fill on a slow machine.
        let start = ContinuousClock.now
        let router = Router(context: APIContext.self)
        router.middlewares.add(SecurityHeaders(settings))
        router.middlewares.add(OriginGuard(settings, rejected: { counts.note($0) }))
        router.middlewares.add(AccessGuard(settings, now: { start }, rejected: { counts.note($0) }))
        router.middlewares.add(RateGuard(settings, now: { start }, rejected: { counts.note($0) }))
        router.middlewares.add(BodyGuard(settings, rejected: { counts.note($0) }))
        for path in ["/", "/healthz", "/metrics", "/v1/status"] as [RouterPath] {
            router.get(path) { _, context in "\(context.role?.rawValue ?? "nobody") \(context.client)" }
        }
        router.get("/authority") { request, _ in request.head.authority ?? "" }
        router.post("/v1/payments") { request, _ in
            let body = try await request.body.collect(upTo: 1 << 20)
            return "\(body.readableBytes)"
        }
        router.post("/v1/session") { _, _ in "session" }
        return Application(router: router)
    }

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
            Self.application(), path, method, header.map { [(.authorization, $0)] } ?? [])
        #expect(status == expected)
        if expected == 401 { #expect(headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true) }
        if expected != 200 { #expect(headers[.contentType] == "application/problem+json") }
        // On answers of any kind.
        #expect(headers[.contentSecurityPolicy]?.contains("frame-ancestors 'none'") == true)
        #expect(headers[.xContentTypeOptions] == "nosniff")
    }

    @Test("a cookie is as good as the header for looking, and for nothing else")
    func cookie() async throws {
        let app = Self.application()
        let cookie = "other=1; tapbridge_token=\(Self.operatorToken)"
        #expect(try await Self.status(app, "/v1/status", .get, [(.cookie, cookie)]).0 == 200)
        #expect(try await Self.status(app, "/v1/payments", .post, [(.cookie, cookie)]).0 == 401)
        #expect(try await Self.status(app, "/v1/status", .get, [(.cookie, "tapbridge_token=old")]).0 == 401)
        #expect(try await Self.status(app, "/", .get, [(.cookie, "tapbridge_token=old")]).0 == 200)
    }

    @Test("without tokens everybody is operator")
    func withoutTokens() async throws {
        let app = Self.application(withTokens: false)
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
        let app = Self.application(withTokens: false, counts: counts)
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
        let app = Self.application(counts: counts) {
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

    @Test("who guesses tokens is slowed down; who has one is not")
    func guesses() async throws {
        let app = Self.application()
        try await app.test(.live) { client in
            func get(_ token: String) async throws -> HTTPResponse.Status {
                try await client.execute(
                    uri: "/v1/status", method: .get, headers: [.authorization: "Bearer \(token)"]
                ) { $0.status }
            }
            for number in 0..<20 {
                let status = try await get("guess\(number)")
                #expect(status == .unauthorized)
            }
            let status = try await (get("guess"), get(Self.operatorToken))
            #expect(status == (.tooManyRequests, .ok))
        }
    }

    @Test("buckets fill with time, hold no more than the burst, and are not endless in number")
    func buckets() {
        let buckets = TokenBuckets(capacity: 10)
        let start = ContinuousClock.now
        for _ in 0..<5 { #expect(buckets.take("a", rate: 2, burst: 5, at: start) == nil) }
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
        let app = Self.application { $0.limits.body = 2048 }
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
        let count = StreamCount()
        var places = [count.enter("a", limits), count.enter("a", limits)]
        #expect(places.allSatisfy { $0 != nil })
        #expect(count.enter("a", limits) == nil)
        places.append(count.enter("b", limits))
        #expect(count.enter("c", limits) == nil)
        #expect(count.total == 3)
        places = []
        #expect(count.total == 0)
        #expect(count.enter("a", limits) != nil)
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
