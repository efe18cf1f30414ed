internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import Synchronization

/// The connections of the server: how many there are, and which one has been idle for longest.
///
/// Where a new one finds no room, the longest idle one is closed for it; where none is idle, the new one is. So a
/// client that opens thousands and says nothing keeps nobody out.
public final class ConnectionKeeper: Sendable {
    private struct Entry: Sendable {
        var channel: any Channel
        /// Nil while a request is under way.
        var idleSince: ContinuousClock.Instant?
        /// Bytes of a response that the client has left unread.
        var unread = 0
    }
    private struct State: Sendable {
        var entries: [ObjectIdentifier: Entry] = [:]
        /// Of all connections.
        var unread = 0

        mutating func remove(_ key: ObjectIdentifier) {
            unread -= entries.removeValue(forKey: key)?.unread ?? 0
        }
    }
    private let state = Mutex(State())
    let limit: @Sendable () -> Int
    let unreadLimit: @Sendable () -> Int
    let rejected: @Sendable (Rejection) -> Void

    public init(
        limit: @escaping @Sendable () -> Int, unreadLimit: @escaping @Sendable () -> Int = { .max },
        rejected: @escaping @Sendable (Rejection) -> Void = { _ in }
    ) {
        self.limit = limit
        self.unreadLimit = unreadLimit
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
                state.remove(idle.key)
            }
            state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, idleSince: .now)
            return (true, evicted)
        }
        if !stays || evicted != nil { rejected(.connections) }
        evicted?.close(promise: nil)
        return stays
    }

    func leave(_ channel: any Channel) {
        state.withLock { $0.remove(ObjectIdentifier(channel)) }
    }

    /// Bytes of responses that clients have left unread, of all connections.
    var unread: Int { state.withLock { $0.unread } }

    /// Notes how much of its response a client has left unread. Where all of them together leave too much the one
    /// that leaves the most is closed.
    func note(_ channel: any Channel, unread: Int) {
        let limit = unreadLimit()
        let closed: (any Channel)? = state.withLock { state in
            guard let before = state.entries[ObjectIdentifier(channel)]?.unread else { return nil }
            state.entries[ObjectIdentifier(channel)]?.unread = unread
            state.unread += unread - before
            guard state.unread > limit,
                let most = state.entries.max(by: { $0.value.unread < $1.value.unread })
            else { return nil }
            state.remove(most.key)
            return most.value.channel
        }
        guard let closed else { return }
        rejected(.unread)
        closed.close(promise: nil)
    }

    func note(_ channel: any Channel, isIdle: Bool) {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.idleSince = isIdle ? .now : nil }
    }
}

/// One connection's watch: keeps its place, takes one request at a time, answers what is no HTTP, and closes the
/// connection where the client sends its body or reads its response too slowly. A head has a time of its own.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let keeper: ConnectionKeeper
    private let settings: GuardSettings
    private let gate: RequestGate
    /// Heads without the end of their response.
    private var requestsUnderWay = 0
    /// Ends of responses that are not written to the network yet.
    private var unwritten = 0
    private var bodyLength = 0
    /// A head was there, its request's end was not.
    private var isReceiving = false
    private var isLast = false
    private var isMalformed = false
    private var bodyTimer: Scheduled<Void>?
    private var headTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?

    init(_ keeper: ConnectionKeeper, _ settings: GuardSettings) {
        self.keeper = keeper
        self.settings = settings
        gate = RequestGate { [keeper] context in
            keeper.rejected(.pipelined)
            context.close(promise: nil)
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard keeper.enter(context.channel) else {
            context.close(promise: nil)
            return
        }
        do {
            let pipeline = context.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(gate, position: .before(decoder))
            try pipeline.addHandler(RequestTarget(), position: .after(decoder))
            // What one read brings is held until it is this request's turn.
            let options = context.channel.syncOptions
            try options?.setOption(.maxMessagesPerRead, value: 1)
            try options?.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 16 << 10))
            // Beyond the high mark what a client leaves unread is counted.
            try options?.setOption(.writeBufferWaterMark, value: .init(low: 8 << 10, high: 16 << 10))
        } catch {
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

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isMalformed else { return }
        let limits = settings.current.limits
        switch unwrapInboundIn(data) {
        case .head(let head):
            headTimer?.cancel()
            headTimer = nil
            bodyLength = 0
            requestsUnderWay += 1
            isReceiving = true
            gate.began(bodyLength: head.headerFields[.contentLength].flatMap { Int($0) } ?? 0)
            // The server reads no request after this one.
            isLast = head.headerFields[.connection] == "close"
            // The gate gives the decoder one request; whatever may come by it does not.
            guard requestsUnderWay == 1 else {
                keeper.rejected(.pipelined)
                context.close(promise: nil)
                return
            }
            keeper.note(context.channel, isIdle: false)
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
            isReceiving = false
            gate.received()
            if isLast { gate.shut() }
        }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let parserError = error as? HTTPParserError else {
            context.fireErrorCaught(error)
            return
        }
        guard !isMalformed else { return }
        isMalformed = true
        gate.shut()
        bodyTimer?.cancel()
        bodyTimer = nil
        // One that ends within a head has only ended.
        if parserError != .invalidEOFState { keeper.rejected(.malformed) }
        if requestsUnderWay > 0 {
            // Who reads the body learns of it, and responds (`ProblemMiddleware`).
            context.fireErrorCaught(error)
        } else if isReceiving {
            // It has its response; only its body is wrong.
            if unwritten == 0 { endOutput(context) }
        } else {
            refuse(context)
        }
    }

    /// The response to what is no request.
    private func refuse(_ context: ChannelHandlerContext) {
        var response = Response.problem(.malformed, headers: [.connection: "close"])
        SecurityHeaders.add(to: &response.headers, isTLS: settings.current.isTLS)
        requestsUnderWay += 1
        write(context: context, data: wrapOutboundOut(.head(response.head)), promise: nil)
        write(context: context, data: wrapOutboundOut(.body(Problem.malformed.body)), promise: nil)
        write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
        flush(context: context)
    }

    // MARK: Responses

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // After the response to a request that is no HTTP nothing more is sent.
        if isMalformed, requestsUnderWay == 0 {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        guard case .end = unwrapOutboundIn(data) else {
            context.write(data, promise: promise)
            return
        }
        requestsUnderWay = max(0, requestsUnderWay - 1)
        unwritten += 1
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in self.wasWritten(context) }
        if let promise { written.futureResult.cascade(to: promise) }
        context.write(data, promise: written)
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        if unwritten > 0, writeTimer == nil { waitForReader(context) }
    }

    /// The end of a response has left for the network.
    private func wasWritten(_ context: ChannelHandlerContext) {
        unwritten -= 1
        if unwritten == 0, context.channel.isWritable {
            writeTimer?.cancel()
            writeTimer = nil
        }
        guard context.channel.isActive else { return }
        if requestsUnderWay == 0, unwritten == 0 {
            keeper.note(context.channel, isIdle: true)
            if isMalformed { endOutput(context) } else { waitForHead(context) }
        }
        gate.answered()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        let unread =
            isWritable ? 0 : (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        keeper.note(context.channel, unread: unread)
        writeTimer?.cancel()
        writeTimer = nil
        if !isWritable || unwritten > 0 { waitForReader(context) }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Times

    private func waitForHead(_ context: ChannelHandlerContext) {
        headTimer?.cancel()
        headTimer = close(context, after: settings.current.limits.headerTimeout, .slowHeader)
    }

    private func waitForReader(_ context: ChannelHandlerContext) {
        writeTimer = close(context, after: settings.current.limits.writeTimeout, .slowReader)
    }

    /// Nothing more is sent; the client has the time of a head to read the rest and to close its side.
    private func endOutput(_ context: ChannelHandlerContext) {
        waitForHead(context)
        context.close(mode: .output, promise: nil)
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
