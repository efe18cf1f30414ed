public import HTTPTypes
public import Hummingbird

/// Where routes are registered, each with what it asks of its callers. A route that comes to the router in another
/// way keeps the daemon from starting.
public struct Routes {
    public typealias Handler = @Sendable (Request, APIContext) async throws -> Response

    let router: Router<APIContext>
    let table: RouteTable

    /// One method of one resource.
    public func on(
        _ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, use handler: @escaping Handler
    ) {
        let path = RouterPath(path)
        table.declare(method, path, access)
        router.on(path, method: method, use: handler)
    }

    /// GET, and HEAD with the same headers.
    public func get(_ path: String, _ access: RouteAccess, use handler: @escaping Handler) {
        on(.get, path, access, use: handler)
        on(.head, path, access) { request, context in
            let response = try await handler(request, context)
            var headers = response.headers
            if headers[.contentLength] == nil, let length = response.body.contentLength {
                headers[.contentLength] = String(length)
            }
            return Response(status: response.status, headers: headers)
        }
    }

    /// GET alone: what is written as it comes has no HEAD.
    public func stream(_ path: String, _ access: RouteAccess, use handler: @escaping Handler) {
        on(.get, path, access, use: handler)
    }

    public func post(_ path: String, _ access: RouteAccess, use handler: @escaping Handler) {
        on(.post, path, access, use: handler)
    }

    public func put(_ path: String, _ access: RouteAccess, use handler: @escaping Handler) {
        on(.put, path, access, use: handler)
    }

    public func delete(_ path: String, _ access: RouteAccess, use handler: @escaping Handler) {
        on(.delete, path, access, use: handler)
    }
}

/// Gives each request what its route declares. It runs after routing and before the guards.
struct RouteMiddleware: RouterMiddleware {
    typealias Context = APIContext
    let table: RouteTable

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let path = context.endpointPath {
            // One that was added behind the table's back is as none.
            guard let access = table.access(request.method, path) else { throw HTTPError(.notFound) }
            context.access = access
        } else {
            context.access = .unmatched(request.method)
        }
        return try await next(request, context)
    }
}
