internal import HTTPTypes

/// What a route asks of those who call it. Every route declares it where it is registered (`Routes`). The guards
/// run after routing and decide by it, never by the text of a request's path: one route has many spellings (RFC
/// 3986, 6.2).
public struct RouteAccess: Sendable, Equatable {
    /// Who may call it.
    public enum Audience: Sendable, Equatable {
        /// Anybody, without a token.
        case everybody
        /// Who has this role or one above it.
        case role(Role)
    }
    /// How its requests count towards the limits on requests.
    public enum RateClass: Sendable, CaseIterable {
        case request
        /// Asked by what watches the daemon: never kept out.
        case probe
    }
    /// What it holds while it responds.
    public enum StreamClass: Sendable, CaseIterable {
        /// Nothing: the response is whole and soon there.
        case none
        /// An event stream, open as long as the client listens.
        case events
        /// An export, written as fast as the client reads.
        case export
        /// A response that may wait for something to happen.
        case wait
    }
    public var audience: Audience
    public var rate: RateClass
    public var stream: StreamClass

    public init(_ audience: Audience, rate: RateClass, stream: StreamClass) {
        self.audience = audience
        self.rate = rate
        self.stream = stream
    }

    /// For everybody: the console's files, the API's document, signing in.
    public static let everybody = RouteAccess(.everybody, rate: .request, stream: .none)
    /// Health and readiness.
    public static let probe = RouteAccess(.everybody, rate: .probe, stream: .none)
    /// For observers and operators: changes nothing.
    public static let observer = RouteAccess(.role(.observer), rate: .request, stream: .none)
    /// For operators alone.
    public static let `operator` = RouteAccess(.role(.operator), rate: .request, stream: .none)
    /// Server-sent events, for observers and operators.
    public static let eventStream = RouteAccess(.role(.observer), rate: .request, stream: .events)
    /// The journal in one piece, for observers and operators.
    public static let export = RouteAccess(.role(.observer), rate: .request, stream: .export)
    /// What may wait for something to happen, for observers and operators.
    public static let waiting = RouteAccess(.role(.observer), rate: .request, stream: .wait)

    /// What a request without a route takes, so that nothing is told to strangers: of an observer's if it would
    /// change nothing, else an operator's.
    static func unmatched(_ method: HTTPRequest.Method) -> RouteAccess {
        method == .get || method == .head ? .observer : .operator
    }

    /// Whether one with this role may call it; nil is nobody that the daemon knows.
    func admits(_ role: Role?) -> Bool {
        switch audience {
        case .everybody: true
        case .role(let least): role.map { $0 >= least } ?? false
        }
    }
}

/// Routes that were registered without saying who may call them.
public struct UndeclaredRoutes: Error, Equatable, CustomStringConvertible {
    /// Such as `GET /v1/status`.
    public let routes: [String]
    public var description: String {
        "routes without declared access: \(routes.joined(separator: ", ")); register them through Routes"
    }
}
