internal import HTTPTypes
public import Hummingbird

/// Limits event streams, of all clients and of each: 429 with Retry-After.
public struct StreamGuard: RouterMiddleware {
    public typealias Context = APIContext
    let settings: GuardSettings
    let streams: StreamCount
    let rejected: @Sendable (Rejection) -> Void

    public init(
        _ settings: GuardSettings, _ streams: StreamCount,
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.settings = settings
        self.streams = streams
        self.rejected = rejected
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        guard request.method == .get, request.uri.path.hasSuffix("/events") else {
            return try await next(request, context)
        }
        let limits = settings.current.limits
        guard let place = streams.enter(context.client, limits) else {
            rejected(.streams)
            return .problem(
                Problem(
                    .tooManyStreams, status: 429, title: "Too many event streams",
                    detail:
                        "at most \(limits.eventStreamsPerClient) for a client and \(limits.eventStreams) for all: see limits.event-streams",
                    retryable: true), headers: [.retryAfter: "5"])
        }
        var response = try await next(request, context)
        let body = response.body
        // The place is held as long as the body is written, or until it is dropped unwritten.
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            withExtendedLifetime(place) {}
        }
        return response
    }
}
