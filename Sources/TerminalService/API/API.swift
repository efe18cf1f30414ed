internal import HTTPTypes
public import Hummingbird

/// The daemon's API over HTTP: routes, errors, event streams.
public enum API {
    public typealias Middleware = any MiddlewareProtocol<Request, Response, APIContext>

    /// All routes of the hall.
    /// - Parameters:
    ///   - outer: see each response as it leaves, problems included: metrics, logs, headers.
    ///   - guards: may throw a `Problem`: tokens, origins, limits.
    ///   - more: adds further routes.
    /// - Throws: `UndeclaredRoutes`, and what `more` throws.
    public static func router(
        hall: TerminalHall, outer: [Middleware] = [], guards: [Middleware] = [],
        more: (Routes) throws -> Void = { _ in }
    ) throws -> Router<APIContext> {
        try assemble(outer: outer, guards: guards) { routes in
            StatusRoutes(hall: hall).add(to: routes)
            TerminalRoutes(hall: hall).add(to: routes)
            CardRoutes(hall: hall).add(to: routes)
            PaymentRoutes(hall: hall).add(to: routes)
            JournalRoutes(hall: hall).add(to: routes)
            TraceRoutes(hall: hall).add(to: routes)
            ConsoleRoutes.add(to: routes)
            OpenAPIDocument.add(to: routes)
            try more(routes)
        }
    }

    /// A router with guards before its routes, each of which has declared what it asks.
    static func assemble(
        outer: [Middleware], guards: [Middleware], _ register: (Routes) throws -> Void
    ) throws -> Router<APIContext> {
        let router = Router(context: APIContext.self)
        let table = RouteTable()
        for middleware in outer { router.add(middleware: middleware) }
        router.add(middleware: ProblemMiddleware(routes: table))
        router.add(middleware: RouteMiddleware(table: table))
        for middleware in guards { router.add(middleware: middleware) }
        try register(Routes(router: router, table: table))
        try table.check(router.routes)
        return router
    }
}
