internal import BERTLV
internal import EMVCryptography
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The console page and its parts.
enum ConsoleRoutes {
    static let policy =
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    static func add(to routes: Routes, files: [ConsoleFiles.File] = ConsoleFiles.all) {
        for file in files {
            let digest = Hex.string(SHA256.hash(file.bytes.span).prefix(12))
            let tag = "\"\(digest)\""
            let headers: HTTPFields = [
                .contentType: file.type, .eTag: tag, .cacheControl: "no-cache",
                .contentSecurityPolicy: policy,
                .init("Referrer-Policy")!: "no-referrer", .xContentTypeOptions: "nosniff",
            ]
            routes.get(file.path, .everybody) { request, _ in
                if request.headers[.ifNoneMatch]?.split(separator: ",").contains(where: {
                    let candidate = $0.drop { $0 == " " }
                    return candidate == tag || candidate == "W/\(tag)" || candidate == "*"
                }) == true {
                    return Response(status: .notModified, headers: headers)
                }
                return Response(
                    status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
            }
        }
    }
}
