internal import HTTPTypes
public import Hummingbird

/// Limits what clients hold on to by the matched route's stream class, of all clients and of each: 429 with Retry-After.
public struct StreamGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let streams: StreamCount
    let sessions: Sessions
    let rejected: @Sendable (Rejection) -> Void

    public init(
        _ settings: GuardSettings, _ streams: StreamCount, _ sessions: Sessions,
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.settings = settings
        self.streams = streams
        self.sessions = sessions
        self.rejected = rejected
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let stream = context.access.stream
        // HEAD writes no stream.
        guard stream != .none, request.method == .get else { return try await next(request, context) }
        let limits = settings.current.limits
        let occupant = StreamCount.Occupant(
            token: context.token, session: context.session, channel: context.channel)
        guard let place = streams.enter(context.client, stream, limits, occupant: occupant) else {
            rejected(.streams)
            let detail =
                switch stream {
                case .events:
                    "at most \(limits.eventStreamsPerClient) event streams for a client and \(limits.eventStreams) for all: see limits.event-streams"
                case .export: "at most \(limits.exports) exports at a time: see limits.exports"
                case .none, .wait: "too many requests wait"
                }
            return .problem(
                Problem(
                    .tooManyStreams, status: 429, title: "Too many streams", detail: detail, retryable: true),
                headers: [.retryAfter: "5"])
        }
        // A token or session that went while this request came: from here on it is closed with the others.
        guard occupant.isAdmitted(settings.current, sessions) else {
            rejected(.unauthorized)
            return .unauthorized("the token or session is none any more")
        }
        var response = try await next(request, context)
        // What waited has its response whole now.
        guard stream != .wait else { return withExtendedLifetime(place) { response } }
        let body = response.body
        // The place is held as long as the body is written, or until it is dropped unwritten.
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            withExtendedLifetime(place) {}
        }
        return response
    }
}
