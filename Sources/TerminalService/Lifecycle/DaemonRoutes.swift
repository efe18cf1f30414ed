internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Journal

/// What operators ask the daemon itself: whether it lives and takes payments, its figures, its configuration; and sessions for
/// the console.
struct DaemonRoutes: Sendable {
    let daemon: Daemon

    struct Health: Encodable {
        var status: String
    }
    struct Session: Encodable {
        var role: Role
    }

    func add(to router: Router<APIContext>) {
        let daemon = daemon
        router.getAndHead("/healthz") { _, _ in try Response.json(Health(status: "alive")) }
        router.getAndHead("/readyz") { _, _ in
            let reasons = await daemon.reasonsNotReady()
            guard reasons.isEmpty else {
                throw Problem(
                    .notReady, status: 503, title: "No payments are taken now",
                    detail: reasons.joined(separator: "; "), retryable: true, reasons: reasons)
            }
            return try Response.json(Health(status: "ready"))
        }
        router.getAndHead("/metrics") { _, _ in
            Response.text(
                daemon.metrics.text(await daemon.gauges()), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.post("/v1/session") { request, _ in
            var body = try await RequestObject.read(request, limit: 4096)
            guard let token = try body.text("token", 1...512) else { throw body.missing("token") }
            try body.finish()
            if daemon.settings.current.tokens.isEmpty {
                // Everybody is operator then, with or without a token.
                return try Response.json(Session(role: .operator))
            }
            guard let (cookie, role) = AccessGuard.sessionCookie(for: token, daemon.settings) else {
                daemon.metrics.noteRejection(.unauthorized)
                return AccessGuard.unauthorized("the token is not one of the daemon's")
            }
            return try Response.json(Session(role: role), headers: [.setCookie: cookie])
        }
        router.delete("/v1/session") { _, _ in
            Response(status: .noContent, headers: [.setCookie: AccessGuard.endedCookie])
        }
        router.post("/v1/configuration/reload") { _, _ in
            let report = await daemon.reload()
            guard report.isRead else {
                throw Problem(
                    .conflict, status: 409, title: "The configuration has mistakes",
                    detail: report.refused.joined(separator: "\n"))
            }
            return try Response.json(report)
        }
    }
}
