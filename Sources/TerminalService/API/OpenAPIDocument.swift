internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Yams

/// The document that describes the API (OpenAPI 3.1), as it was written and as JSON.
enum OpenAPIDocument {
    static var yaml: String { String(decoding: PackageResources.openapi_yaml, as: UTF8.self) }

    /// The same as JSON; made when it is first asked for.
    static let json: Data? = {
        guard let tree = try? Yams.load(yaml: yaml) else { return nil }
        return try? JSONSerialization.data(
            withJSONObject: tree, options: [.sortedKeys, .withoutEscapingSlashes])
    }()

    static func add(to routes: Routes) {
        routes.get("/openapi.yaml", .everybody) { _, _ in
            .text(yaml, type: "application/yaml; charset=utf-8", headers: [.cacheControl: "no-cache"])
        }
        routes.get("/openapi.json", .everybody) { _, _ in
            guard let json else {
                throw Problem(.internal, status: 500, title: "The document cannot be read")
            }
            return Response(
                status: .ok,
                headers: [.contentType: "application/json; charset=utf-8", .cacheControl: "no-cache"],
                body: .init(byteBuffer: ByteBuffer(data: json)))
        }
    }
}
