internal import HTTPTypes
public import Hummingbird
internal import NIOCore
internal import Synchronization

/// What the guards stand on: it may be replaced while the daemon runs, as when the configuration is read again.
public final class GuardSettings: Sendable {
    public struct Values: Sendable {
        public var tokens = AccessTokens([])
        public var limits = DaemonConfiguration.Limits()
        /// In small letters, without ports.
        public var hosts: Set<String> = []
        /// Listening on every address: then addresses are good as Host, as rebinding a name needs a name.
        public var takesAnyAddress = false
        public var isTLS = false

        public init() {}

        public init(_ configuration: DaemonConfiguration) {
            tokens = AccessTokens(configuration.tokens)
            limits = configuration.limits
            hosts = Set(configuration.listen.allowedHosts)
            hosts.insert(configuration.listen.address.lowercased())
            takesAnyAddress = configuration.listen.isWildcard
            isTLS = configuration.listen.tls != nil
        }
    }
    private let values: Mutex<Values>
    public init(_ values: Values = Values()) { self.values = Mutex(values) }
    public var current: Values { values.withLock { $0 } }
    public func replace(_ new: Values) { values.withLock { $0 = new } }
}

/// Why a request or connection was turned away: the label of a counter.
public enum Rejection: String, Sendable, CaseIterable {
    case host, origin, unauthorized, forbidden, rate, body, streams, connections
    case slowHeader = "slow_header"
    case slowBody = "slow_body"
    case slowReader = "slow_reader"
    case malformed
}

/// Refuses requests that a page of another site may have caused: a `Host` that is none of the daemon's (DNS rebinding), and
/// an `Origin` other than the daemon's own (cross-site requests).
public struct OriginGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let rejected: @Sendable (Rejection) -> Void

    public init(_ settings: GuardSettings, rejected: @escaping @Sendable (Rejection) -> Void = { _ in }) {
        self.settings = settings
        self.rejected = rejected
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let values = settings.current
        guard let authority = request.head.authority, let host = Authority(authority), host.isAllowed(values)
        else {
            rejected(.host)
            throw Problem(
                .originRefused, status: 403, title: "Refused by its Host",
                detail: "the request names a host that is none of the daemon's: see listen.allowed-hosts")
        }
        if let origin = request.headers[.origin] {
            let own = (values.isTLS ? "https://" : "http://") + authority.lowercased()
            // A proxy before the daemon may have taken the TLS off.
            let behindProxy = "https://" + authority.lowercased()
            guard
                origin.lowercased() == own
                    || (origin.lowercased() == behindProxy && values.hosts.contains(host.name))
            else {
                rejected(.origin)
                throw Problem(
                    .originRefused, status: 403, title: "Refused by its Origin",
                    detail: "the request comes from a page of another site")
            }
        }
        return try await next(request, context)
    }
}

/// The `Host` of a request: a name or an address, without its port.
struct Authority: Equatable {
    /// In small letters; without brackets.
    let name: String
    let isAddress: Bool

    init?(_ text: String) {
        let text = text.lowercased()
        guard !text.isEmpty, text.utf8.count <= 260 else { return nil }
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            name = String(text[text.index(after: text.startIndex)..<end])
            guard Self.isPort(text[text.index(after: end)...]),
                name.utf8.allSatisfy({
                    ($0 >= 0x30 && $0 <= 0x3A) || ($0 >= 0x61 && $0 <= 0x66) || $0 == 0x2E
                })
            else { return nil }
            isAddress = true
            return
        }
        let end = text.firstIndex(of: ":") ?? text.endIndex
        name = String(text[..<end])
        guard !name.isEmpty, Self.isPort(text[end...]),
            name.utf8.allSatisfy({
                ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x2D || $0 == 0x2E
                    || $0 == 0x5F
            })
        else { return nil }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        isAddress = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || (text.hasPrefix(":") && UInt16(text.dropFirst()) != nil)
    }

    func isAllowed(_ values: GuardSettings.Values) -> Bool {
        DaemonConfiguration.Listen.isLoopback(name) || values.hosts.contains(name)
            || (isAddress && values.takesAnyAddress)
    }
}

/// Knows clients by their tokens and what they may do. Without configured tokens everybody is operator: the daemon then
/// listens on loopback alone.
public struct AccessGuard: RouterMiddleware {
    public typealias Context = APIContext
    /// The cookie that carries the token where no header can be sent (EventSource).
    public static let cookie = "tapbridge_token"
    let settings: GuardSettings
    let rejected: @Sendable (Rejection) -> Void
    /// Slows down who guesses.
    private let guesses = TokenBuckets()
    private let now: @Sendable () -> ContinuousClock.Instant

    public init(
        _ settings: GuardSettings, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.settings = settings
        self.now = now
        self.rejected = rejected
    }

    /// 401; 429 for an address from which too many wrong tokens came: twenty at once, then one a second.
    private func refuse(_ context: APIContext, _ detail: String) -> Response {
        rejected(.unauthorized)
        guard let wait = guesses.take(context.remoteAddress ?? "unknown", rate: 1, burst: 20, at: now())
        else {
            return Self.unauthorized(detail)
        }
        rejected(.rate)
        return .problem(
            Problem(
                .tooManyRequests, status: 429, title: "Too many requests",
                detail: "too many without a token of the daemon's", retryable: true),
            headers: [.retryAfter: "\(max(1, Int(wait.rounded(.up))))"])
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.client = context.remoteAddress ?? "unknown"
        let values = settings.current
        if values.tokens.isEmpty {
            context.role = .operator
            return try await next(request, context)
        }
        if let token = Self.token(of: request) {
            guard let holder = values.tokens.holder(of: token) else {
                if request.headers[.authorization] == nil {
                    // A cookie of former times must not keep anybody from asking for a new one.
                    return try await open(request, context, next)
                }
                return refuse(context, "the token is not one of the daemon's")
            }
            context.role = holder.role
            context.client = holder.name
        }
        return try await open(request, context, next)
    }

    private func open(
        _ request: Request, _ context: APIContext, _ next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let path = request.uri.path
        let needsToken =
            (path == "/v1" || path.hasPrefix("/v1/") || path == "/metrics")
            && !(path == "/v1/session" && (request.method == .post || request.method == .delete))
        guard needsToken else { return try await next(request, context) }
        guard let role = context.role else {
            return refuse(context, "the daemon wants a token: Authorization: Bearer TOKEN")
        }
        if role == .observer, request.method != .get, request.method != .head {
            rejected(.forbidden)
            throw Problem(
                .forbidden, status: 403, title: "Forbidden",
                detail: "an observer may look and not change anything: this takes an operator's token")
        }
        return try await next(request, context)
    }

    /// Of the header; of the cookie for requests that change nothing.
    static func token(of request: Request) -> String? {
        if let header = request.headers[.authorization] {
            let parts = header.split(separator: " ", maxSplits: 1)
            // Another scheme is a token that nobody has.
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { return "" }
            return String(parts[1])
        }
        guard request.method == .get || request.method == .head else { return nil }
        for field in request.headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                if pair.hasPrefix(cookie + "=") { return String(pair.dropFirst(cookie.count + 1)) }
            }
        }
        return nil
    }

    static func unauthorized(_ detail: String) -> Response {
        var response = Response.problem(
            Problem(.unauthorized, status: 401, title: "Unauthorized", detail: detail))
        response.headers[.wwwAuthenticate] = "Bearer realm=\"tapbridge\""
        return response
    }

    /// The cookie for a token that was proved; nil where it is not one of the daemon's.
    public static func sessionCookie(for token: String, _ settings: GuardSettings) -> (
        cookie: String, role: Role
    )? {
        let values = settings.current
        guard let holder = values.tokens.holder(of: token) else { return nil }
        return (
            "\(cookie)=\(token); Path=/; HttpOnly; SameSite=Strict" + (values.isTLS ? "; Secure" : ""),
            holder.role
        )
    }

    /// Takes the cookie back.
    public static var endedCookie: String { "\(cookie)=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0" }
}

/// Slows clients down that ask too often (a token bucket each): 429 with Retry-After.
public struct RateGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let buckets = TokenBuckets()
    let now: @Sendable () -> ContinuousClock.Instant
    let rejected: @Sendable (Rejection) -> Void

    public init(
        _ settings: GuardSettings, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.settings = settings
        self.now = now
        self.rejected = rejected
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let limits = settings.current.limits
        guard limits.requestsPerSecond > 0 else { return try await next(request, context) }
        // What watches the daemon is never kept out.
        let path = request.uri.path
        guard path != "/healthz", path != "/readyz" else { return try await next(request, context) }
        let client = context.client.isEmpty ? context.remoteAddress ?? "unknown" : context.client
        if let wait = buckets.take(
            client, rate: Double(limits.requestsPerSecond), burst: Double(limits.burst), at: now())
        {
            rejected(.rate)
            var response = Response.problem(
                Problem(
                    .tooManyRequests, status: 429, title: "Too many requests",
                    detail:
                        "at most \(limits.requestsPerSecond) requests a second: see limits.requests-per-second",
                    retryable: true
                ))
            response.headers[.retryAfter] = "\(max(1, Int(wait.rounded(.up))))"
            return response
        }
        return try await next(request, context)
    }
}

/// A token bucket for each client, at most `capacity` of them: the fullest are forgotten first, as they lose nothing.
final class TokenBuckets: Sendable {
    private struct Bucket {
        var tokens: Double
        var at: ContinuousClock.Instant
    }
    private let buckets = Mutex<[String: Bucket]>([:])
    let capacity: Int

    init(capacity: Int = 10_000) { self.capacity = capacity }

    var count: Int { buckets.withLock { $0.count } }

    /// Takes a token. Nil is granted; else the seconds until there is one.
    func take(_ client: String, rate: Double, burst: Double, at now: ContinuousClock.Instant) -> Double? {
        buckets.withLock { buckets in
            func filled(_ bucket: Bucket) -> Double {
                min(burst, bucket.tokens + rate * bucket.at.duration(to: now).seconds)
            }
            var bucket = buckets[client] ?? Bucket(tokens: burst, at: now)
            bucket.tokens = filled(bucket)
            bucket.at = now
            let granted = bucket.tokens >= 1
            if granted { bucket.tokens -= 1 }
            if buckets[client] == nil, buckets.count >= capacity {
                buckets = buckets.filter { filled($0.value) < burst }
                if buckets.count >= capacity,
                    let fullest = buckets.max(by: { filled($0.value) < filled($1.value) })
                {
                    buckets[fullest.key] = nil
                }
            }
            buckets[client] = bucket
            return granted ? nil : (1 - bucket.tokens) / rate
        }
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// Refuses bodies that say to be too long before they are read, and ends those that become so.
public struct BodyGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let rejected: @Sendable (Rejection) -> Void

    public init(_ settings: GuardSettings, rejected: @escaping @Sendable (Rejection) -> Void = { _ in }) {
        self.settings = settings
        self.rejected = rejected
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let limit = settings.current.limits.body
        if let text = request.headers[.contentLength], let length = Int(text), length > limit {
            rejected(.body)
            throw Self.tooLarge(limit)
        }
        return try await next(request, context)
    }

    static func tooLarge(_ limit: Int) -> Problem {
        Problem(
            .tooLarge, status: 413, title: "Too large",
            detail: "a body has at most \(limit) bytes: see limits.body")
    }
}

/// Headers that keep browsers from doing what the page does not need.
public struct SecurityHeaders: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    public init(_ settings: GuardSettings) { self.settings = settings }

    public static var contentSecurityPolicy: String {
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; media-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch let problem as Problem {
            response = .problem(problem)
        }
        response.headers[.contentSecurityPolicy] = Self.contentSecurityPolicy
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.xFrameOptions] = "DENY"
        response.headers[.referrerPolicy] = "no-referrer"
        response.headers[.crossOriginOpenerPolicy] = "same-origin"
        response.headers[.crossOriginResourcePolicy] = "same-origin"
        response.headers[.permissionsPolicy] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        if settings.current.isTLS { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        // Answers of the API hold payments: they belong in nobody's cache.
        if response.headers[.cacheControl] == nil, request.uri.path.hasPrefix("/v1") {
            response.headers[.cacheControl] = "no-store"
        }
        return response
    }
}

extension HTTPField.Name {
    static let xFrameOptions = HTTPField.Name("X-Frame-Options")!
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    static let crossOriginOpenerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
    static let permissionsPolicy = HTTPField.Name("Permissions-Policy")!
}
