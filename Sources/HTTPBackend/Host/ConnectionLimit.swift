internal import NIOCore
internal import Synchronization

/// Closes connections above a number.
final class ConnectionLimit: Sendable {
    private let limit: Int
    private let open = Atomic(0)

    init(_ limit: Int) { self.limit = limit }

    func handler() -> any ChannelHandler & Sendable { Handler(self) }

    private final class Handler: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let limit: ConnectionLimit

        init(_ limit: ConnectionLimit) { self.limit = limit }

        func handlerAdded(context: ChannelHandlerContext) {
            if limit.open.wrappingAdd(1, ordering: .relaxed).newValue > limit.limit {
                context.close(promise: nil)
            }
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            limit.open.wrappingSubtract(1, ordering: .relaxed)
        }
    }
}
