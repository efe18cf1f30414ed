internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1

extension Response {
    static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        headers[.contentType] = "application/json; charset=utf-8"
        headers[.cacheControl] = "no-store"
        return Response(
            status: status, headers: headers,
            body: .init(byteBuffer: ByteBuffer(data: try JSON.encode(value))))
    }
    static func text(
        _ text: String, type: String = "text/plain; charset=utf-8", headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = type
        if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(string: text)))
    }
    static func problem(_ problem: Problem, headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        return Response(
            status: .init(code: problem.status), headers: headers, body: .init(byteBuffer: problem.body))
    }
}

extension Problem {
    /// What cannot be read as a request: a chunk's size, a transfer coding, a trailer that is too large.
    static let malformed = Problem(
        .badRequest, status: 400, title: "The request is malformed",
        detail: "it cannot be read as HTTP/1.1: the connection is closed")

    /// As it is sent.
    var body: ByteBuffer { ByteBuffer(data: (try? JSON.encode(self)) ?? Data("{}".utf8)) }
}

/// Turns whatever is thrown into a problem (RFC 9457).
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = APIContext
    let routes: RouteTable

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as Problem {
            return .problem(problem)
        } catch is HTTPParserError {
            // The body could not be read to its end; the connection's guard has counted it.
            return .problem(.malformed, headers: [.connection: "close"])
        } catch is NIOTooManyBytesError {
            return .problem(
                Problem(
                    .tooLarge, status: 413, title: "The body is too large", detail: "send less in one request"
                ))
        } catch let error as any HTTPResponseError where error.status == .notFound {
            let allowed = routes.methods(for: request.uri.path)
            guard !allowed.isEmpty else {
                return .problem(.notFound("resource \(request.uri.path.prefix(120))"))
            }
            return .problem(
                Problem(
                    .methodNotAllowed, status: 405, title: "The method is not allowed",
                    detail:
                        "\(request.method.rawValue.prefix(20)) is not for this resource: use \(allowed.joined(separator: ", "))"
                ),
                headers: [.allow: allowed.joined(separator: ", ")])
        } catch let error as any HTTPResponseError {
            let status = error.status.code
            if status == 413 {
                return .problem(Problem(.tooLarge, status: 413, title: "The body is too large"))
            }
            guard (400..<500).contains(status) else { return failure(error, context) }
            return .problem(
                Problem(
                    .badRequest, status: status, title: error.status.reasonPhrase,
                    detail: (error as? HTTPError)?.body))
        } catch {
            return failure(error, context)
        }
    }

    private func failure(_ error: any Error, _ context: APIContext) -> Response {
        // Who has gone reads no response, and its going is no failure of the daemon's.
        guard context.channel.isActive else { return .problem(.malformed) }
        context.logger.error("request failed", metadata: ["error": "\(error)"])
        return .problem(
            Problem(
                .internal, status: 500, title: "The daemon failed", detail: "the log has the reason",
                retryable: true))
    }
}
