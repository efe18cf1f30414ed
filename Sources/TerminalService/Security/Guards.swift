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
    /// More responses unread than `limits.unread` allows.
    case unread
    /// Requests on end, without the responses having been read.
    case pipelined
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
        // The first one is the authority; one that is left over is a second (RFC 9112, 3.2).
        guard request.head.authority != nil, request.headers[values: .secondHost].isEmpty else {
            rejected(.host)
            throw Problem(
                .badRequest, status: 400, title: "The Host is not clear",
                detail: "a request has exactly one Host header")
        }
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
        guard context.access.rate != .probe else { return try await next(request, context) }
        if let wait = buckets.take(
            context.client, rate: Double(limits.requestsPerSecond), burst: Double(limits.burst), at: now())
        {
            rejected(.rate)
            return .tooManyRequests(
                "at most \(limits.requestsPerSecond) requests a second: see limits.requests-per-second",
                seconds: wait)
        }
        return try await next(request, context)
    }
}

/// A token bucket for each client, at most `capacity` of them: the fullest are forgotten first, as they lose nothing.
final class TokenBuckets: Sendable {
    private struct Bucket {
        var tokens: Double
        var at: ContinuousClock.Instant

        func filled(rate: Double, burst: Double, at now: ContinuousClock.Instant) -> Double {
            min(burst, tokens + rate * at.duration(to: now).seconds)
        }
    }
    private let buckets = Mutex<[String: Bucket]>([:])
    let capacity: Int

    init(capacity: Int = 10_000) { self.capacity = capacity }

    var count: Int { buckets.withLock { $0.count } }

    /// Takes a token. Nil is granted; else the seconds until there is one.
    func take(_ client: String, rate: Double, burst: Double, at now: ContinuousClock.Instant) -> Double? {
        buckets.withLock { buckets in
            func filled(_ bucket: Bucket) -> Double { bucket.filled(rate: rate, burst: burst, at: now) }
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

    /// Looks whether there is a token, without taking it. Nil is yes; else the seconds until there is one.
    func wait(_ client: String, rate: Double, burst: Double, at now: ContinuousClock.Instant) -> Double? {
        buckets.withLock { buckets in
            guard let bucket = buckets[client] else { return nil }
            let tokens = bucket.filled(rate: rate, burst: burst, at: now)
            return tokens >= 1 ? nil : (1 - tokens) / rate
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
        Self.add(to: &response.headers, isTLS: settings.current.isTLS)
        return response
    }

    static func add(to headers: inout HTTPFields, isTLS: Bool) {
        headers[.contentSecurityPolicy] = contentSecurityPolicy
        headers[.xContentTypeOptions] = "nosniff"
        headers[.xFrameOptions] = "DENY"
        headers[.referrerPolicy] = "no-referrer"
        headers[.crossOriginOpenerPolicy] = "same-origin"
        headers[.crossOriginResourcePolicy] = "same-origin"
        headers[.permissionsPolicy] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        if isTLS { headers[.strictTransportSecurity] = "max-age=31536000" }
        // What says nothing else belongs in nobody's cache: responses of the API hold payments.
        if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
    }
}

extension HTTPField.Name {
    /// The first one has become the authority.
    static let secondHost = HTTPField.Name("Host")!
    static let xFrameOptions = HTTPField.Name("X-Frame-Options")!
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    static let crossOriginOpenerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
    static let permissionsPolicy = HTTPField.Name("Permissions-Policy")!
}
