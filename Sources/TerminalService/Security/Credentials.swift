internal import HTTPTypes
public import Hummingbird

/// How a request says whose it is.
enum Credentials: Equatable {
    case none
    /// `Authorization: Bearer`; nil is another scheme, or several.
    case token(String?)
    /// The identifier of a session.
    case session(String)

    /// Of the header; if there is none, of the cookie, for requests that change nothing.
    init(_ request: Request, isTLS: Bool) {
        let headers = request.headers[values: .authorization]
        if let header = headers.first {
            let parts = header.split(separator: " ", maxSplits: 1)
            let isBearer = headers.count == 1 && parts.count == 2 && parts[0].lowercased() == "bearer"
            self = .token(isBearer ? String(parts[1]) : nil)
            return
        }
        guard request.method == .get || request.method == .head,
            let identifier = SessionCookie(isTLS: isTLS).identifier(in: request)
        else {
            self = .none
            return
        }
        self = .session(identifier)
    }
}

/// The cookie of a session: for event streams of browsers, which send no `Authorization`.
struct SessionCookie {
    let isTLS: Bool

    /// With TLS browsers take it over TLS from this host alone, for this host alone (RFC 6265bis, 4.1.3.2).
    var name: String { isTLS ? "__Host-tapbridge_session" : "tapbridge_session" }

    private var attributes: String {
        "; Path=/; HttpOnly; SameSite=Strict" + (isTLS ? "; Secure" : "")
    }

    /// Without an age: it goes with the browser, if the daemon has not ended the session before.
    func setting(_ identifier: String) -> String { "\(name)=\(identifier)" + attributes }

    var ending: String { "\(name)=" + attributes + "; Max-Age=0" }

    func identifier(in request: Request) -> String? {
        for field in request.headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                if pair.hasPrefix(name + "=") { return String(pair.dropFirst(name.utf8.count + 1)) }
            }
        }
        return nil
    }
}

/// Limits guesses at tokens and sessions: of one address twenty wrong ones at once, then one a second. As long as
/// an address has none left nothing that it shows is taken, a right token neither: whoever guesses learns nothing
/// from the responses.
public final class GuessLimit: Sendable {
    static let rate = 1.0
    static let burst = 20.0
    private let buckets = TokenBuckets()
    private let now: @Sendable () -> ContinuousClock.Instant
    private let rejected: @Sendable (Rejection) -> Void

    public init(
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.now = now
        self.rejected = rejected
    }

    /// - Parameter isRight: whether the address showed what the daemon takes.
    /// - Returns: nil if it is taken; else the response that refuses it.
    func judge(_ context: APIContext, isRight: Bool, detail: String) -> Response? {
        let peer = context.remoteAddress ?? "unknown"
        let wait =
            isRight
            ? buckets.wait(peer, rate: Self.rate, burst: Self.burst, at: now())
            : buckets.take(peer, rate: Self.rate, burst: Self.burst, at: now())
        if let wait {
            rejected(.rate)
            return .tooManyRequests(
                "too many wrong tokens or sessions came from this address: none is taken for a while",
                seconds: wait)
        }
        guard !isRight else { return nil }
        rejected(.unauthorized)
        return .unauthorized(detail)
    }
}

/// Knows clients by their tokens and sessions. Without configured tokens everybody is operator: the daemon then
/// listens on loopback alone.
public struct AuthenticationGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let sessions: Sessions
    let guesses: GuessLimit

    public init(_ settings: GuardSettings, _ sessions: Sessions, _ guesses: GuessLimit) {
        self.settings = settings
        self.sessions = sessions
        self.guesses = guesses
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
        switch Credentials(request, isTLS: values.isTLS) {
        case .none: break
        case .token(let text):
            context.token = text.flatMap { values.tokens.holder(of: $0) }
            if let refused = guesses.judge(
                context, isRight: context.token != nil, detail: "the token is not one of the daemon's")
            {
                return refused
            }
        // A cookie of former times keeps nobody from what everybody gets, such as the page that asks for a token.
        case .session where context.access.audience == .everybody: break
        case .session(let identifier):
            context.session = sessions.session(identifier, values)
            context.token = context.session?.token
            if let refused = guesses.judge(
                context, isRight: context.session != nil, detail: "the session is over: sign in again")
            {
                return refused
            }
        }
        if let token = context.token {
            context.role = token.role
            context.client = token.name
        }
        return try await next(request, context)
    }
}

/// Lets those pass whom the matched route admits.
public struct AuthorizationGuard: RouterMiddleware {
    public typealias Context = APIContext
    let rejected: @Sendable (Rejection) -> Void

    public init(rejected: @escaping @Sendable (Rejection) -> Void = { _ in }) { self.rejected = rejected }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        if context.access.admits(context.role) { return try await next(request, context) }
        guard context.role != nil else {
            rejected(.unauthorized)
            return .unauthorized("the daemon wants a token: Authorization: Bearer TOKEN")
        }
        rejected(.forbidden)
        throw Problem(
            .forbidden, status: 403, title: "Forbidden",
            detail: "an observer may look and not change anything: this takes an operator's token")
    }
}

extension Response {
    static func unauthorized(_ detail: String) -> Response {
        .problem(
            Problem(.unauthorized, status: 401, title: "Unauthorized", detail: detail),
            headers: [.wwwAuthenticate: "Bearer realm=\"tapbridge\""])
    }

    /// 429 with Retry-After.
    static func tooManyRequests(_ detail: String, seconds: Double) -> Response {
        .problem(
            Problem(
                .tooManyRequests, status: 429, title: "Too many requests", detail: detail, retryable: true),
            headers: [.retryAfter: "\(max(1, Int(seconds.rounded(.up))))"])
    }
}
