internal import Foundation
internal import Hummingbird

struct StatusView: Encodable, Sendable {
    var version: String
    var startedAt: Date
    var uptimeSeconds: Int
    var state: String
    var terminals: Int
    var paymentsUnderWay: Int
    var payments: UInt64
    var eventClients: Int
    var role: Role
}

struct StatusRoutes: Sendable {
    let hall: TerminalHall

    func add(to routes: Routes) {
        let hall = hall
        let streams = EventStreams(hub: hall.hub, most: hall.options.mostEventClients)
        routes.get("/v1/status", .observer) { _, context in
            let figures = hall.figures
            return try Response.json(
                StatusView(
                    version: hall.options.version, startedAt: hall.startedAt,
                    uptimeSeconds: Int(Date().timeIntervalSince(hall.startedAt)),
                    state: figures.isStopping ? "stopping" : "running", terminals: figures.terminals,
                    paymentsUnderWay: figures.paymentsUnderWay, payments: figures.payments,
                    eventClients: figures.eventClients, role: context.role ?? .operator))
        }
        routes.get("/v1/readers", .observer) { request, _ in
            try .json(
                try Paging.page(hall.readers, Query(request), id: \.id) { (reader) throws(Problem) in reader }
            )
        }
        routes.stream("/v1/events", .eventStream) { request, context in
            let terminal = Query(request)["terminal"]
            if let terminal { _ = try hall.terminal(terminal) }
            return try streams.response(request, context, terminal: terminal)
        }
        routes.post("/v1/decode", .operator) { request, _ in
            var body = try await RequestObject.read(request, limit: 256 << 10)
            guard let hex = try body.text("hex", 0...(200 << 10)) else { throw body.missing("hex") }
            let kind = try body.choice("kind", DecodeKind.self)
            try body.finish()
            return try Response.json(DecodeKind.explain(hex, kind))
        }
    }
}
