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
    struct SignedIn: Encodable {
        var role: Role
    }

    func add(to routes: Routes) {
        let daemon = daemon
        routes.get("/healthz", .probe) { _, _ in try Response.json(Health(status: "alive")) }
        routes.get("/readyz", .probe) { _, _ in
            let reasons = await daemon.reasonsNotReady()
            guard reasons.isEmpty else {
                throw Problem(
                    .notReady, status: 503, title: "No payments are taken now",
                    detail: reasons.joined(separator: "; "), retryable: true, reasons: reasons)
            }
            return try Response.json(Health(status: "ready"))
        }
        routes.get("/metrics", .observer) { _, _ in
            Response.text(
                daemon.metrics.text(await daemon.gauges()), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        routes.post("/v1/session", .everybody) { request, context in
            var body = try await RequestObject.read(request, limit: 4096)
            guard let token = try body.text("token", 1...512) else { throw body.missing("token") }
            try body.finish()
            let values = daemon.settings.current
            if values.tokens.isEmpty {
                // Everybody is operator then, with or without a token.
                return try Response.json(SignedIn(role: .operator))
            }
            let holder = values.tokens.holder(of: token)
            if let refused = daemon.guesses.judge(
                context, isRight: holder != nil, detail: "the token is not one of the daemon's")
            {
                return refused
            }
            guard let holder else { return .unauthorized("the token is not one of the daemon's") }
            let cookie = SessionCookie(isTLS: values.isTLS)
            let identifier = daemon.sessions.begin(
                for: holder, values.limits, former: cookie.identifier(in: request))
            // Those of a session that made room.
            daemon.streams.keep(values, daemon.sessions)
            return try Response.json(
                SignedIn(role: holder.role), headers: [.setCookie: cookie.setting(identifier)])
        }
        routes.delete("/v1/session", .everybody) { request, _ in
            let values = daemon.settings.current
            let cookie = SessionCookie(isTLS: values.isTLS)
            if let identifier = cookie.identifier(in: request) {
                daemon.sessions.end(identifier)
                // Its event streams end with it.
                daemon.streams.keep(values, daemon.sessions)
            }
            return Response(status: .noContent, headers: [.setCookie: cookie.ending])
        }
        routes.post("/v1/configuration/reload", .operator) { _, _ in
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
