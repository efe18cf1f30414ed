internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A TCP line over loopback that breaks on request, for tests and endurance runs: it carries bytes between
/// terminals and a server without looking at them.
public final class FaultyLine: Sendable {
    public enum Direction: Sendable, CaseIterable {
        case toServer, toTerminal
    }
    public enum Trouble: Sendable, Equatable {
        /// Closes both sides after so many more bytes in a direction, in the middle of a message where it happens so.
        case cut(Direction, after: Int)
        /// Keeps both sides open and carries nothing any more, as a pulled cable does.
        case stall(Direction, after: Int)
    }

    private struct State {
        var trouble: Trouble?
        var carried = [Direction.toServer: 0, Direction.toTerminal: 0]
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isStalled = false
        var listener: (any Channel)?
        var lines = 0
    }
    private let port: UInt16
    private let state = Mutex(State())

    /// - Parameter port: of the server, on 127.0.0.1.
    public init(to port: UInt16) { self.port = port }

    /// - Returns: the port of 127.0.0.1 to which terminals connect.
    public func start() async throws -> UInt16 {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let target = port
        let listener = try await ServerBootstrap(group: loop)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // Nothing is read from the terminal before the line to the server stands.
            .childChannelInitializer { near in
                ClientBootstrap(group: loop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .channelInitializer { far in
                        far.eventLoop.makeCompletedFuture {
                            try far.pipeline.syncOperations.addHandler(
                                Carrier(self, .toTerminal, other: near))
                        }
                    }
                    .connect(host: "127.0.0.1", port: Int(target))
                    .flatMapThrowing { far in
                        try near.pipeline.syncOperations.addHandler(Carrier(self, .toServer, other: far))
                        self.state.withLock {
                            $0.channels[ObjectIdentifier(near)] = near
                            $0.channels[ObjectIdentifier(far)] = far
                            $0.lines += 1
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        state.withLock { $0.listener = listener }
        return UInt16(clamping: listener.localAddress?.port ?? 0)
    }

    /// What goes wrong next; counts from now. Comes to effect once.
    public func plan(_ trouble: Trouble?) { state.withLock { $0.trouble = trouble } }

    /// Cuts all lines now.
    public func cut() {
        let channels = state.withLock { state in
            defer { state.channels = [:] }
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Carries nothing any more, until `mend`.
    public func stall() { state.withLock { $0.isStalled = true } }
    /// Carries again; what came meanwhile is lost, and so is any line that was open.
    public func mend() {
        state.withLock { $0.isStalled = false }
        cut()
    }

    /// Bytes carried so far.
    public func carried(_ direction: Direction) -> Int { state.withLock { $0.carried[direction] ?? 0 } }
    /// Lines opened so far.
    public var lines: Int { state.withLock { $0.lines } }

    public func stop() async {
        try? await state.withLock { $0.listener }?.close()
        cut()
    }

    /// How many of the bytes still pass, and whether the line ends then.
    private func pass(_ count: Int, _ direction: Direction) -> (count: Int, cuts: Bool) {
        state.withLock { state in
            if state.isStalled { return (0, false) }
            var result = (count: count, cuts: false)
            switch state.trouble {
            case .cut(direction, let after):
                if count > after {
                    result = (after, true)
                    state.trouble = nil
                } else {
                    state.trouble = .cut(direction, after: after - count)
                }
            case .stall(direction, let after):
                if count > after {
                    result = (after, false)
                    state.trouble = nil
                    state.isStalled = true
                } else {
                    state.trouble = .stall(direction, after: after - count)
                }
            default: break
            }
            state.carried[direction, default: 0] += result.count
            return result
        }
    }

    private final class Carrier: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let line: FaultyLine
        private let direction: Direction
        private let other: any Channel

        init(_ line: FaultyLine, _ direction: Direction, other: any Channel) {
            self.line = line
            self.direction = direction
            self.other = other
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            let (count, cuts) = line.pass(bytes.readableBytes, direction)
            if let slice = bytes.readSlice(length: count), count > 0 {
                other.writeAndFlush(slice, promise: nil)
            }
            if cuts { line.cut() }
        }
        func channelWritabilityChanged(context: ChannelHandlerContext) {
            // Who takes nothing more gets nothing more read for it. Both channels are on one loop.
            try? other.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
            context.fireChannelWritabilityChanged()
        }
        func channelInactive(context: ChannelHandlerContext) {
            line.state.withLock { $0.channels[ObjectIdentifier(context.channel)] = nil }
            other.close(promise: nil)
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
