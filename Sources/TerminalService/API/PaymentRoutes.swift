internal import Acquiring
internal import EMV
internal import HTTPTypes
internal import Hummingbird
internal import Journal
internal import Terminal
internal import Traces

struct PaymentRoutes: Sendable {
    let hall: TerminalHall

    /// The purposes of a payment by the API's words.
    enum Purpose: String, CaseIterable {
        case sale, preAuthorization, deferred
        var value: AuthorizationPurpose {
            switch self {
            case .sale: .sale
            case .preAuthorization: .preAuthorization
            case .deferred: .deferred
            }
        }
    }

    static func order(_ request: Request) async throws -> PaymentOrder {
        guard let key = request.headers[.idempotencyKey] else {
            throw Problem(
                .keyMissing, status: 400, title: "The idempotency key is missing",
                detail:
                    "name this payment in the header Idempotency-Key, so that asking again does not pay twice"
            )
        }
        guard (1...64).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem.bad("Idempotency-Key has 1 to 64 printable characters without spaces")
        }
        var body = try await RequestObject.read(request)
        guard let terminal = try body.text("terminal", 1...64) else { throw body.missing("terminal") }
        guard let amount = try body.amount("amount") else { throw body.missing("amount") }
        let order = PaymentOrder(
            terminal: terminal, amount: amount, amountOther: try body.amount("amountOther") ?? .zero,
            type: try body.choice("type", TransactionType.self) ?? .purchase,
            purpose: try body.choice("purpose", Purpose.self)?.value ?? .sale,
            original: try body.text("original", 1...64),
            acceptsPartialApproval: try body.bool("acceptsPartialApproval") ?? false,
            cardWait: try body.integer("deadlineSeconds", in: 1...600).map { .seconds($0) },
            tap: try tap(&body), key: key)
        try body.finish()
        return order
    }
    private static func tap(_ body: inout RequestObject) throws(Problem) -> TapOrder? {
        guard var tap = try body.object("tap") else { return nil }
        let order = try tap.tap()
        try tap.finish()
        return order
    }

    /// A payment after a void, completion or tip, and whether it was like that before.
    private static func changed(_ answer: (payment: PaymentView, isRepeated: Bool)) throws -> Response {
        try Response.json(answer.payment, headers: answer.isRepeated ? [.idempotentReplayed: "true"] : [:])
    }

    func add(to routes: Routes) {
        let hall = hall
        let streams = EventStreams(hub: hall.hub, most: hall.options.mostEventClients)
        routes.post("/v1/payments", .operator) { request, _ in
            let order = try await Self.order(request)
            let (payment, isReplayed) = try await hall.pay(order)
            var headers: HTTPFields = [.location: "/v1/payments/\(payment.id)"]
            if isReplayed { headers[.idempotentReplayed] = "true" }
            return try Response.json(payment, status: .created, headers: headers)
        }
        routes.get("/v1/payments", .observer) { request, _ in
            let query = Query(request)
            let limit = try Paging.limit(query)
            var filter = JournalFilter(terminalID: query["terminal"])
            if let word = query["state"] {
                guard let phase = PaymentPhase(rawValue: word) else {
                    throw Problem.bad(
                        "state is \"\(word.prefix(40))\": expected one of \(PaymentPhase.allCases.map(\.rawValue).joined(separator: ", "))"
                    )
                }
                guard phase == .finished else {
                    // Under way are those that this run knows.
                    let all = hall.paymentsUnderWay.filter {
                        $0.state == phase && (filter.terminalID == nil || $0.terminal == filter.terminalID)
                    }
                    return try Response.json(
                        try Paging.page(all, query, id: \.id) { (view) throws(Problem) in view })
                }
                filter.states = TransactionState.allCases.filter {
                    ![.started, .cardRead, .requestWritten, .authorizing, .answered].contains($0)
                }
            }
            let page = try await hall.journalPage(filter, limit: limit, cursor: query["cursor"])
            return try Response.json(
                Page(items: page.items.map { hall.view($0, hall.livePayment($0.id)) }, next: page.next))
        }
        routes.get("/v1/payments/{id}", .waiting) { request, context in
            let id = try context.parameters.require("id")
            if let wait = try Query(request).integer("wait", in: 0...60), let live = hall.livePayment(id) {
                await live.finished.wait(atMost: .seconds(wait))
            }
            return try Response.json(try await hall.payment(id))
        }
        routes.post("/v1/payments/{id}/cancel", .operator) { _, context in
            let id = try context.parameters.require("id")
            let view = try await hall.payment(id)
            guard let live = hall.livePayment(id), live.cancel() else {
                throw Problem.conflict("payment \(id) has ended")
            }
            return try Response.json(view, status: .accepted)
        }
        routes.post("/v1/payments/{id}/void", .operator) { request, context in
            let body = try await RequestObject.read(request, optional: true)
            try body.finish()
            return try Self.changed(
                try await hall.atDesk(context.parameters.require("id")) { (desk, id) throws(DeskError) in
                    try await desk.void(id)
                })
        }
        for (word, isTip) in [("complete", false), ("tip", true)] {
            routes.post("/v1/payments/{id}/\(word)", .operator) { request, context in
                var body = try await RequestObject.read(request)
                guard let amount = try body.amount("amount") else { throw body.missing("amount") }
                try body.finish()
                return try Self.changed(
                    try await hall.atDesk(context.parameters.require("id")) { (desk, id) throws(DeskError) in
                        isTip ? try await desk.tip(id, amount) : try await desk.complete(id, amount)
                    })
            }
        }
        routes.stream("/v1/payments/{id}/events", .eventStream) { request, context in
            let id = try context.parameters.require("id")
            guard let live = try await hall.begunPayment(id) else {
                throw Problem.notFound("record of the events of payment \(id) any more")
            }
            return try streams.response(request, context, payment: live)
        }
        routes.get("/v1/payments/{id}/receipt", .observer) { _, context in
            let id = try context.parameters.require("id")
            if let text = hall.livePayment(id)?.receipt { return .text(text) }
            guard let copy = try await hall.receiptCopy(of: id) else {
                throw Problem.conflict("payment \(id) is still under way")
            }
            return .text(copy.text())
        }
        routes.get("/v1/payments/{id}/trace", .observer) { _, context in
            let id = try context.parameters.require("id")
            guard let live = try await hall.begunPayment(id) else {
                throw Problem.notFound("trace of payment \(id) any more")
            }
            return .text(live.trace)
        }
    }
}
