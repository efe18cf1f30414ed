public import Hummingbird
public import Logging

/// Counts and logs each request as it was answered. The outermost of all, so that it sees the refused ones.
public struct RequestMeter: RouterMiddleware {
    public typealias Context = APIContext
    let metrics: ServiceMetrics
    let logger: Logger

    public init(_ metrics: ServiceMetrics, _ logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    public func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        let time = start.duration(to: .now)
        let status = Int(response.status.code)
        metrics.noteRequest(
            method: request.method.rawValue, route: context.endpointPath ?? "none", status: status, time)
        let level: Logger.Level = status >= 500 ? .error : status >= 400 ? .info : .debug
        logger.log(
            level: level, "\(request.method.rawValue.prefix(10)) \(request.uri.path.prefix(200))",
            metadata: [
                "status": "\(status)", "microseconds": "\(Int(time.seconds * 1e6))",
                "client": "\(context.remoteAddress ?? "unknown")", "request": "\(context.id)",
            ])
        return response
    }
}
