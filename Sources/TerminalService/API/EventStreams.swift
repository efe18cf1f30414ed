internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Server-sent events (HTML Living Standard, 9.2).
struct EventStreams {
    let hub: EventHub
    let most: Int

    /// - Parameters:
    ///   - payment: only its events, from its first one on; the stream ends after `finished`.
    func response(
        _ request: Request, _ context: APIContext, terminal: String? = nil, payment: LivePayment? = nil
    ) throws(Problem) -> Response {
        var after: UInt64?
        if let text = request.headers[.lastEventID] ?? Query(request)["lastEventId"] {
            guard let id = UInt64(text) else {
                throw .bad("Last-Event-ID is \"\(text.prefix(40))\": expected a number")
            }
            after = id
        }
        guard hub.listeners < most else {
            throw Problem(
                .tooManyStreams, status: 503, title: "Too many event streams",
                detail: "\(most) clients listen already",
                retryable: true)
        }
        let body = ResponseBody { [hub, after] writer in
            let past = payment.map { payment in { payment.events } }
            guard
                let (listener, missed, lost) = hub.listen(
                    terminal: terminal, payment: payment?.id, after: after, past: past)
            else { return try await writer.finish(nil) }
            defer { hub.leave(listener) }
            // A client that has not read for a minute has its connection ended.
            listener.whenStalled { context.channel.close(promise: nil) }
            var buffer = ByteBuffer(string: "retry: 1000\n\n")
            if lost > 0 { Self.write(lost: lost, &buffer) }
            var isOver = false
            for event in missed {
                Self.write(event, &buffer)
                if payment != nil, event.type == "finished" { isOver = true }
                if buffer.readableBytes > 64 << 10 {
                    try await writer.write(buffer)
                    buffer.clear()
                }
            }
            try await writer.write(buffer)
            // Events come up to the end of a payment that the client has heard of.
            if let payment, payment.finished.hasHappened, listener.isEmpty { isOver = true }
            while !isOver {
                let items = await listener.next()
                if items.isEmpty { break }
                buffer.clear()
                for item in items {
                    switch item {
                    case .event(let event):
                        Self.write(event, &buffer)
                        if payment != nil, event.type == "finished" { isOver = true }
                    case .lost(let count): Self.write(lost: UInt64(count), &buffer)
                    case .heartbeat: buffer.writeString(": \n\n")
                    }
                    if buffer.readableBytes > 64 << 10 {
                        try await writer.write(buffer)
                        buffer.clear()
                    }
                }
                if buffer.readableBytes > 0 { try await writer.write(buffer) }
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store",
                .init("X-Accel-Buffering")!: "no",
            ], body: body)
    }

    static func write(_ event: ServiceEvent, _ buffer: inout ByteBuffer) {
        buffer.writeString("id: \(event.id)\nevent: \(event.type)\ndata: ")
        buffer.writeData(event.data)
        buffer.writeString("\n\n")
    }
    static func write(lost count: UInt64, _ buffer: inout ByteBuffer) {
        buffer.writeString("event: lost\ndata: {\"type\":\"lost\",\"count\":\(count)}\n\n")
    }
}

extension HTTPField.Name {
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let idempotentReplayed = HTTPField.Name("Idempotent-Replayed")!
}
