internal import CardReaders
internal import Foundation
internal import Hummingbird
internal import NIOCore
internal import ProfileFile
internal import Terminal
internal import Traces

enum ReplayMode: String, CaseIterable {
    case strict, lenient
    var value: ReplayReader.Mode { self == .strict ? .strict : .lenient }
}

struct TraceRoutes: Sendable {
    let hall: TerminalHall

    func add(to routes: Routes) {
        let hall = hall
        routes.get("/v1/traces", .observer) { request, _ in
            try .json(
                try Paging.page(hall.traces.items, Query(request), id: \.name) { (item) throws(Problem) in
                    item
                })
        }
        routes.get("/v1/traces/{name}", .observer) { _, context in
            .text(try hall.traces.text(context.parameters.require("name")))
        }
        routes.put("/v1/traces/{name}", .operator) { request, context in
            let name = try context.parameters.require("name")
            try TraceShelf.check(name)
            let buffer = try await request.body.collect(upTo: TraceShelf.mostBytes)
            guard let text = String(validating: buffer.readableBytesView, as: UTF8.self) else {
                throw Problem.bad("the trace is no UTF-8 text")
            }
            let isNew = try hall.traces.put(name, text)
            let item = hall.traces.items.first { $0.name == name }
            return try Response.json(
                item, status: isNew ? .created : .ok, headers: isNew ? [.location: "/v1/traces/\(name)"] : [:]
            )
        }
        routes.delete("/v1/traces/{name}", .operator) { _, context in
            try hall.traces.delete(context.parameters.require("name"))
            return Response(status: .noContent)
        }
        routes.post("/v1/traces/{name}/replay", .operator) { request, context in
            let name = try context.parameters.require("name")
            let text = try hall.traces.text(name)
            var body = try await RequestObject.read(request, optional: true)
            let mode = try body.choice("mode", ReplayMode.self) ?? .strict
            let terminal = try body.text("terminal", 1...64)
            try body.finish()
            let profile = try terminal.map { (id) throws(Problem) in try hall.terminal(id).stage.profile }
            return try await hall.replay(name, text, mode: mode.value, profile: profile)
        }
    }
}

extension TerminalHall {
    /// Runs the whole terminal on a trace and gives its events, for stepping.
    func replay(
        _ name: String, _ text: String, mode: ReplayReader.Mode, profile given: TerminalProfile?
    ) async throws -> Response {
        let trace: Trace
        let request: PaymentRequest
        do throws(TraceError) {
            trace = try Trace(parsing: text)
            request = try Replay.request(of: trace)
        } catch {
            throw Problem(.badRequest, status: 400, title: "The trace cannot be replayed", detail: "\(error)")
        }
        var profile = given ?? options.profile
        if given == nil {
            do throws(ProfileFileError) {
                profile = try traces.profile(name) ?? profile
            } catch {
                throw Problem.profile(error)
            }
        }
        let reader = EmulatedReader(name: "Replay of \(name)")
        let stage = Stage(
            id: profile.terminalID, profile: profile, readerName: "replay", reader: reader,
            hub: EventHub(ringCapacity: 1, listenerCapacity: 1), observer: nil)
        let payment = LivePayment(
            PaymentOrder(
                terminal: profile.terminalID, amount: request.amount, amountOther: request.amountOther,
                type: request.type, purpose: request.purpose, acceptsPartialApproval: false, key: ""),
            currency: stage.currency, clock: .card)
        try stage.begin(payment)
        let report: Replay.Report
        do throws(TraceError) {
            report = try await Replay.run(
                trace, profile: profile, mode: mode, observer: { stage.observe($0) })
        } catch {
            throw Problem(.badRequest, status: 400, title: "The trace cannot be replayed", detail: "\(error)")
        }
        stage.end(payment, report.result)
        // The events are JSON already.
        var body = ByteBuffer(string: "{\"difference\":")
        body.writeData(try JSON.encode(report.difference))
        if let result = report.result {
            body.writeString(",\"result\":")
            body.writeData(try JSON.encode(ResultView(result, timings: nil)))
        }
        body.writeString(",\"events\":[")
        for (index, event) in payment.events.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeData(event.data)
        }
        body.writeString("]}")
        return Response(
            status: .ok,
            headers: [.contentType: "application/json; charset=utf-8", .cacheControl: "no-store"],
            body: .init(byteBuffer: body))
    }
}
