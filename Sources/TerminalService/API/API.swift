internal import HTTPTypes
public import Hummingbird

/// The daemon's API over HTTP: routes, errors, event streams.
public enum API {
    public typealias Middleware = any MiddlewareProtocol<Request, Response, APIContext>

    /// All routes of the hall.
    /// - Parameters:
    ///   - outer: see each answer as it leaves, problems included: metrics, logs, headers.
    ///   - guards: may throw a `Problem`: tokens, origins, limits.
    ///   - more: adds further routes; it is called before the routes are counted.
    public static func router(
        hall: TerminalHall, outer: [Middleware] = [], guards: [Middleware] = [],
        more: (Router<APIContext>) throws -> Void = { _ in }
    ) rethrows -> Router<APIContext> {
        let router = Router(context: APIContext.self)
        let table = RouteTable()
        for middleware in outer { router.add(middleware: middleware) }
        router.add(middleware: ProblemMiddleware(routes: table))
        for middleware in guards { router.add(middleware: middleware) }
        StatusRoutes(hall: hall).add(to: router)
        TerminalRoutes(hall: hall).add(to: router)
        CardRoutes(hall: hall).add(to: router)
        PaymentRoutes(hall: hall).add(to: router)
        JournalRoutes(hall: hall).add(to: router)
        TraceRoutes(hall: hall).add(to: router)
        ConsoleRoutes.add(to: router)
        OpenAPIDocument.add(to: router)
        try more(router)
        table.fill(router.routes)
        return router
    }
}
