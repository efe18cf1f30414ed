internal import Hummingbird
internal import Synchronization

/// The routes by path, for 405 answers and for the test that compares them with the OpenAPI document.
final class RouteTable: Sendable {
    private let routes = Mutex<[(path: [Substring], methods: [String])]>([])

    func fill(_ descriptions: [Router<APIContext>.RouteDescription]) {
        var table: [String: [String]] = [:]
        for route in descriptions { table["\(route.path)", default: []].append(route.method.rawValue) }
        let filled = table.map { (path: $0.key.split(separator: "/"), methods: $0.value.sorted()) }
        routes.withLock { $0 = filled }
    }

    /// Methods that a resource has; empty where there is no such resource.
    func methods(for path: String) -> [String] {
        let parts = path.split(separator: "/")
        return routes.withLock { routes in
            routes.filter { route in
                route.path.count == parts.count
                    && zip(route.path, parts).allSatisfy {
                        $0.0.hasPrefix("{") || $0.0.hasPrefix(":") || $0.0 == $0.1
                    }
            }.flatMap(\.methods)
        }.sorted()
    }
}
