internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import Synchronization

/// The connections of the server: how many there are, and which one has been idle for longest.
///
/// Where a new one finds no room, the longest idle one is closed for it; where none is idle, the new one is. So a client that
/// opens thousands and says nothing keeps nobody out.
public final class ConnectionKeeper: Sendable {
    private struct Entry: Sendable {
        var channel: any Channel
        /// Nil while a request is under way.
        var idleSince: ContinuousClock.Instant?
    }
    private struct State: Sendable {
        var entries: [ObjectIdentifier: Entry] = [:]
    }
    private let state = Mutex(State())
    let limit: @Sendable () -> Int
    let rejected: @Sendable (Rejection) -> Void

    public init(
        limit: @escaping @Sendable () -> Int, rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.limit = limit
        self.rejected = rejected
    }

    public var count: Int { state.withLock { $0.entries.count } }

    /// - Returns: whether the connection may stay.
    func enter(_ channel: any Channel) -> Bool {
        let limit = limit()
        let (stays, evicted): (Bool, (any Channel)?) = state.withLock { state in
            var evicted: (any Channel)?
            if state.entries.count >= limit {
                let idle = state.entries.filter { $0.value.idleSince != nil }
                    .min { ($0.value.idleSince ?? .now) < ($1.value.idleSince ?? .now) }
                guard let idle else { return (false, nil) }
                evicted = idle.value.channel
                state.entries[idle.key] = nil
            }
            state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, idleSince: .now)
            return (true, evicted)
        }
        if !stays || evicted != nil { rejected(.connections) }
        evicted?.close(promise: nil)
        return stays
    }

    func leave(_ channel: any Channel) {
        state.withLock { $0.entries[ObjectIdentifier(channel)] = nil }
    }

    func note(_ channel: any Channel, isIdle: Bool) {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.idleSince = isIdle ? .now : nil }
    }
}

/// One connection's watch: keeps its place, and closes it where the client sends its body or reads its answer too slowly.
/// Heads are watched by the server's idle timeout.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let keeper: ConnectionKeeper
    private let settings: GuardSettings
    private var requestsUnderWay = 0
    private var bodyLength = 0
    private var isMalformed = false
    private var bodyTimer: Scheduled<Void>?
    private var headTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?

    init(_ keeper: ConnectionKeeper, _ settings: GuardSettings) {
        self.keeper = keeper
        self.settings = settings
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard keeper.enter(context.channel) else {
            context.close(promise: nil)
            return
        }
        waitForHead(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(context) }

    func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    private func end(_ context: ChannelHandlerContext) {
        for timer in [bodyTimer, headTimer, writeTimer] { timer?.cancel() }
        (bodyTimer, headTimer, writeTimer) = (nil, nil, nil)
        keeper.leave(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let limits = settings.current.limits
        switch unwrapInboundIn(data) {
        case .head:
            headTimer?.cancel()
            headTimer = nil
            bodyLength = 0
            requestsUnderWay += 1
            if requestsUnderWay == 1 { keeper.note(context.channel, isIdle: false) }
            bodyTimer?.cancel()
            bodyTimer = close(context, after: limits.bodyTimeout, .slowBody)
        case .body(let bytes):
            bodyLength += bytes.readableBytes
            // What no route reads is read to its end by the server: not without end.
            if bodyLength > limits.body * 2 {
                keeper.rejected(.body)
                context.close(promise: nil)
                return
            }
        case .end:
            bodyTimer?.cancel()
            bodyTimer = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            requestsUnderWay = max(0, requestsUnderWay - 1)
            if requestsUnderWay == 0 {
                keeper.note(context.channel, isIdle: true)
                waitForHead(context)
            }
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        writeTimer = nil
        if !context.channel.isWritable {
            writeTimer = close(context, after: settings.current.limits.writeTimeout, .slowReader)
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Once a connection; one that ends within a head has only ended.
        if !isMalformed, let error = error as? HTTPParserError, error != .invalidEOFState {
            isMalformed = true
            keeper.rejected(.malformed)
        }
        context.fireErrorCaught(error)
    }

    private func waitForHead(_ context: ChannelHandlerContext) {
        headTimer?.cancel()
        headTimer = close(context, after: settings.current.limits.headerTimeout, .slowHeader)
    }

    private func close(
        _ context: ChannelHandlerContext, after time: Duration, _ reason: Rejection
    ) -> Scheduled<Void> {
        let keeper = keeper
        let channel = context.channel
        return context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            keeper.rejected(reason)
            channel.close(promise: nil)
        }
    }
}
