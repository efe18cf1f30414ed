internal import CardReaders
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// A terminal's side of a connection: requests out, answers to who waits for them.
// Everything but the constants and `failure` is only touched on the channel's event loop.
final class TerminalConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    struct Welcome: Sendable {
        var server: String
        var readers: [OfferedReader]
    }
    struct Greeting: Sendable {
        var token: [UInt8]
        var name: String
        var limit: Duration
    }

    private typealias Continuation = CheckedContinuation<Result<ServerMessage, LineFailure>, Never>
    private struct Waiting {
        var continuation: Continuation
        var limit: Scheduled<Void>?
    }
    /// A request on its way from a task to the loop.
    // Only touched on the loop.
    private final class Ticket: @unchecked Sendable {
        var id: UInt32?
        var isCancelled = false
    }

    private let address: RemoteReaderAddress
    private let isEncrypted: Bool
    private let greeting: Greeting
    private let loop: any EventLoop
    /// Gets the events of a `watch`; called on the loop.
    private let onEvent: (@Sendable (ReaderEvent) -> Void)?
    private let failure = Mutex<LineFailure?>(nil)

    private var context: ChannelHandlerContext?
    private var decoder = FrameDecoder<ServerMessage>()
    private var lastID: UInt32 = 0
    private var waiting: [UInt32: Waiting] = [:]
    /// Requests that nobody waits for any more, whose answers are still to come.
    private var abandoned: Set<UInt32> = []
    private var watchID: UInt32?
    /// Who waits for the line's end.
    private var enders: [(Ticket, Continuation)] = []
    /// Nil once it was fulfilled.
    private var welcome: EventLoopPromise<Welcome>?
    private let welcomed: EventLoopFuture<Welcome>
    private var greetingLimit: Scheduled<Void>?
    private var heartbeat: RepeatedTask?
    private var interval: TimeAmount = .seconds(2)
    private var lastHeard = NIODeadline.now()
    private var lastSaid = NIODeadline.now()
    private var pings = PingCount()
    /// What is said meanwhile goes out together.
    private var isReading = false

    private init(
        address: RemoteReaderAddress, isEncrypted: Bool, greeting: Greeting, loop: any EventLoop,
        welcome: EventLoopPromise<Welcome>, onEvent: (@Sendable (ReaderEvent) -> Void)?
    ) {
        self.address = address
        self.isEncrypted = isEncrypted
        self.greeting = greeting
        self.loop = loop
        self.welcome = welcome
        welcomed = welcome.futureResult
        self.onEvent = onEvent
    }

    // MARK: - From any thread

    /// Connects and introduces the terminal.
    static func open(
        _ address: RemoteReaderAddress, credentials: TLSCredentials?, greeting: Greeting,
        onEvent: (@Sendable (ReaderEvent) -> Void)? = nil
    ) async throws(LineFailure) -> (TerminalConnection, Welcome) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let opened = loop.makePromise(of: (TerminalConnection, Welcome).self)
        Task {
            // It has one loop only: the channel and all promises are on it.
            let bootstrap = ClientBootstrap(group: loop)
                .connectTimeout(TimeAmount(greeting.limit))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            do {
                let connection = try await bootstrap.connect(host: address.host, port: Int(address.port)) {
                    channel in
                    channel.eventLoop.makeCompletedFuture {
                        let operations = channel.pipeline.syncOperations
                        if let credentials {
                            try operations.addHandler(
                                NIOSSLClientHandler(
                                    context: credentials.context,
                                    // A numeric address is compared with the certificate's addresses instead.
                                    serverHostname: address.isNumeric ? nil : address.host))
                        }
                        // One for each address that the name has and that is tried.
                        let connection = TerminalConnection(
                            address: address, isEncrypted: credentials != nil, greeting: greeting, loop: loop,
                            welcome: loop.makePromise(), onEvent: onEvent)
                        try operations.addHandler(connection)
                        return connection
                    }
                }
                // Nobody waits any more: the connection is let go of.
                opened.futureResult.whenFailure { _ in connection.end(.cancelled) }
                // The server may have greeted, or hung up, by now.
                connection.welcomed.map { (connection, $0) }.cascade(to: opened)
            } catch {
                opened.fail(Self.words(error, address))
            }
        }
        do {
            return try await withTaskCancellationHandler {
                try await opened.futureResult.get()
            } onCancel: {
                opened.fail(LineFailure.cancelled)
            }
        } catch {
            throw error as? LineFailure ?? .lost("\(error)")
        }
    }

    /// Why the line is of no use any more; nil while it stands.
    var ended: LineFailure? { failure.withLock { $0 } }

    func close() { loop.execute { self.end(.lost("it was closed")) } }

    /// Sends a request and waits for its answer.
    /// - Parameter limit: nil waits as long as the line stands.
    func request(_ message: TerminalMessage, limit: Duration?) async -> Result<ServerMessage, LineFailure> {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.execute { self.send(message, ticket, limit, continuation) }
            }
        } onCancel: {
            loop.execute { self.abandon(ticket) }
        }
    }

    /// Waits until the line ends or the task is cancelled.
    func untilEnd() async -> LineFailure {
        let ticket = Ticket()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Continuation) in
                loop.execute {
                    if ticket.isCancelled { return continuation.resume(returning: .failure(.cancelled)) }
                    if let ended = self.ended { return continuation.resume(returning: .failure(ended)) }
                    self.enders.append((ticket, continuation))
                }
            }
        } onCancel: {
            loop.execute {
                ticket.isCancelled = true
                guard let index = self.enders.firstIndex(where: { $0.0 === ticket }) else { return }
                self.enders.remove(at: index).1.resume(returning: .failure(.cancelled))
            }
        }
        if case .failure(let failure) = result { return failure }
        return .cancelled
    }

    // MARK: - Requests on the loop

    private func send(
        _ message: TerminalMessage, _ ticket: Ticket, _ limit: Duration?, _ continuation: Continuation
    ) {
        if ticket.isCancelled { return continuation.resume(returning: .failure(.cancelled)) }
        if let ended { return continuation.resume(returning: .failure(ended)) }
        guard lastID < .max else {
            end(.lost("the connection has no request numbers left"))
            return continuation.resume(
                returning: .failure(.lost("the connection has no request numbers left")))
        }
        lastID += 1
        let id = lastID
        ticket.id = id
        if message == .watch { watchID = id }
        waiting[id] = Waiting(
            continuation: continuation,
            limit: limit.map { limit in
                loop.scheduleTask(in: TimeAmount(limit)) { self.giveUp(id, .timedOut) }
            })
        write(message.encoded(id: id))
    }

    private func abandon(_ ticket: Ticket) {
        guard let id = ticket.id else {
            ticket.isCancelled = true
            return
        }
        giveUp(id, .cancelled)
    }

    private func giveUp(_ id: UInt32, _ reason: LineFailure) {
        guard let request = waiting.removeValue(forKey: id) else { return }
        request.limit?.cancel()
        abandoned.insert(id)
        if lastID < .max {
            lastID += 1
            write(TerminalMessage.cancel(request: id).encoded(id: lastID))
        }
        request.continuation.resume(returning: .failure(reason))
        if abandoned.count > Wire.abandonedLimit {
            end(.lost("\(address.server) answers no requests"))
        }
    }

    // MARK: - The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        guard greetingLimit == nil, ended == nil else { return }
        guard isEncrypted || context.channel.remoteAddress?.isLoopback == true else {
            return end(.hopeless("\(RemoteReaderError.unauthenticated(host: address.host))"))
        }
        greetingLimit = loop.scheduleTask(in: TimeAmount(greeting.limit)) {
            self.end(.lost("\(self.address.server) gives no answer"))
        }
        lastID = 1
        write(
            TerminalMessage.hello(versions: Wire.versions, token: greeting.token, name: greeting.name)
                .encoded(id: 1))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard ended == nil else { return }
        isReading = true
        decoder.append(unwrapInboundIn(data).readableBytesView)
        do {
            while ended == nil, let frame = try decoder.next() { try handle(frame) }
        } catch {
            end(.hopeless("\(address.server) does not speak the protocol: \(error)"))
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        // A server that does not take what it asked for is not listened to: nothing piles up here, and its silence
        // ends it.
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.lost("the line to \(address.server) dropped"))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(.lost("the line to \(address.server) dropped"))
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { end(Self.words(error, address)) }

    private func write(_ bytes: [UInt8]) {
        guard let context, context.channel.isActive else { return }
        lastSaid = .now()
        context.write(NIOAny(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
        if !isReading { context.flush() }
    }

    private func handle(_ frame: Frame<ServerMessage>) throws(WireError) {
        lastHeard = .now()
        switch frame {
        case .ping(let id):
            try pings.note()
            write(Frame<TerminalMessage>.pong(id: id).encoded)
        case .pong: break
        case .message(0, .fault(let fault)): end(.refused(fault))
        case .message(let id, .welcome(let version, let milliseconds, let name, let readers)):
            greeted(id, version, milliseconds, name, readers)
        case .message(let id, .event(let event)) where id == watchID: onEvent?(event)
        case .message(let id, let message):
            if abandoned.remove(id) != nil { return }
            guard let request = waiting.removeValue(forKey: id) else {
                return end(.hopeless("\(address.server) answers what nobody asked (\(id))"))
            }
            request.limit?.cancel()
            request.continuation.resume(returning: .success(message))
        }
    }

    private func greeted(
        _ id: UInt32, _ version: UInt8, _ milliseconds: UInt32, _ name: String, _ readers: [OfferedReader]
    ) {
        let interval = Duration.milliseconds(Int64(milliseconds))
        guard id == 1, let welcome, Wire.versions.contains(version), Wire.heartbeats.contains(interval) else {
            return end(.hopeless("\(address.server) greets with what this program does not understand"))
        }
        self.welcome = nil
        greetingLimit?.cancel()
        self.interval = TimeAmount(interval)
        let half = TimeAmount(interval / 2)
        heartbeat = loop.scheduleRepeatedTask(initialDelay: half, delay: half) { _ in self.beat() }
        welcome.succeed(Welcome(server: name, readers: readers))
    }

    private func beat() {
        let now = NIODeadline.now()
        pings.reset()
        if now - lastHeard > interval * 3 {
            return end(.lost("nothing was heard from \(address.server) for three heartbeats"))
        }
        if now - lastSaid >= interval { write(Frame<TerminalMessage>.ping(id: 0).encoded) }
    }

    /// Ends the connection; comes to effect once.
    private func end(_ reason: LineFailure) {
        let isFirst = failure.withLock { failure in
            defer { failure = failure ?? reason }
            return failure == nil
        }
        guard isFirst else { return }
        greetingLimit?.cancel()
        heartbeat?.cancel()
        context?.flush()
        context?.close(promise: nil)
        welcome?.fail(reason)
        welcome = nil
        let all = waiting.values
        waiting = [:]
        abandoned = []
        for ender in enders { ender.1.resume(returning: .failure(reason)) }
        enders = []
        for request in all {
            request.limit?.cancel()
            request.continuation.resume(returning: .failure(reason))
        }
    }

    /// What a network or TLS error means for people.
    private static func words(_ error: any Error, _ address: RemoteReaderAddress) -> LineFailure {
        if let failure = error as? LineFailure { return failure }
        let text = "\(error)"
        if text.contains("failedToValidateHostname") || text.contains("Couldn't find") {
            return .hopeless("the certificate of \(address.server) is not issued to \(address.host)")
        }
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return .hopeless(
                "the certificate of \(address.server) is not of the CA, not valid now or not made for servers"
            )
        }
        let refusals = [
            "CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED",
            "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_REVOKED", "ACCESS_DENIED",
            "HANDSHAKE_FAILURE", "DECRYPT_ERROR",
        ]
        if refusals.contains(where: { text.contains("ALERT_" + $0) }) {
            return .hopeless("\(address.server) does not accept this terminal's certificate")
        }
        if text.contains("WRONG_VERSION_NUMBER") {
            return .hopeless("\(address.server) does not speak TLS")
        }
        switch error {
        case NIOSSLError.uncleanShutdown: return .lost("the line to \(address.server) dropped")
        case let error as IOError:
            return .lost("\(address.server): \(String(cString: strerror(error.errnoCode)))")
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first else {
                return .lost("there is no host \(address.host)")
            }
            return words(first.error, address)
        case ChannelError.connectTimeout: return .lost("\(address.server) does not answer")
        default: return .lost("\(address.server): \(text)")
        }
    }
}
