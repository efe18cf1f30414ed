internal import HTTPTypes
internal import Hummingbird
internal import Synchronization

/// The routes by path with what they declare: for the guards, for 405 responses, and for the tests that walk them all.
final class RouteTable: Sendable {
    private struct Resource {
        let parts: [Substring]
        var methods: [HTTPRequest.Method: RouteAccess] = [:]
    }
    private let resources = Mutex<[String: Resource]>([:])

    func declare(_ method: HTTPRequest.Method, _ path: RouterPath, _ access: RouteAccess) {
        let text = path.description
        resources.withLock {
            $0[text, default: Resource(parts: text.split(separator: "/"))].methods[method] = access
        }
    }

    /// What a route declares.
    /// - Parameter path: as the router describes it: `/v1/terminals/{id}`.
    func access(_ method: HTTPRequest.Method, _ path: String) -> RouteAccess? {
        resources.withLock { $0[path]?.methods[method] }
    }

    var all: [(method: HTTPRequest.Method, path: String, access: RouteAccess)] {
        resources.withLock { resources in
            resources.flatMap { path, resource in
                resource.methods.map { (method: $0.key, path: path, access: $0.value) }
            }
        }.sorted { ($0.path, $0.method.rawValue) < ($1.path, $1.method.rawValue) }
    }

    /// - Throws: where the router has a route that declares nothing.
    func check(_ routes: [Router<APIContext>.RouteDescription]) throws(UndeclaredRoutes) {
        let undeclared = routes.filter { access($0.method, $0.path.description) == nil }
        guard undeclared.isEmpty else {
            throw UndeclaredRoutes(routes: undeclared.map { "\($0.method.rawValue) \($0.path)" }.sorted())
        }
    }

    /// Methods that a resource has; empty if there is no such resource.
    func methods(for path: String) -> [String] {
        let parts = path.split(separator: "/")
        return resources.withLock { resources in
            let fitting = resources.values.filter { resource in
                resource.parts.count == parts.count
                    && zip(resource.parts, parts).allSatisfy { $0.0.hasPrefix("{") || $0.0 == $0.1 }
            }
            // `/v1/journal/export` is none of `/v1/journal/{id}`.
            let captures = { (resource: Resource) in resource.parts.count { $0.hasPrefix("{") } }
            let fewest = fitting.map(captures).min()
            return fitting.filter { captures($0) == fewest }.flatMap { $0.methods.keys.map(\.rawValue) }
        }.sorted()
    }
}
