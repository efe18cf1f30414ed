internal import CardReaders
internal import Certificates
internal import NIOCore
internal import NIOSSL

/// One terminal's connection. Requests are done one after the other; whatever ends the connection, the reader is
/// let go of.
// Everything but the constants is only touched on the channel's event loop.
final class ServerConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private enum Phase {
        /// TLS and `hello` are still to come.
        case greeting
        case open
        case ended
    }
    private struct Waiting {
        var id: UInt32
        var request: TerminalMessage
        var isCancelled = false
    }
    private struct Running {
        var id: UInt32
        var task: Task<Void, Never>?
        var limit: Scheduled<Void>?
        /// The time limit came first: what the reader still says is nobody's concern.
        var isAnswered = false
    }
    private enum Answer: Sendable {
        case message(ServerMessage)
        case activated(any CardChannel)
        case attached
        case detached
        case notAttached(RemoteFault)
    }

    /// Requests that may wait for their answers (Protocol.md).
    static let requestLimit = 4
    /// How long an attach waits for an earlier line of the same terminal to let go.
    static let takeOverPatience: Duration = .seconds(5)
    /// What the reader gets beyond a command's time limit to report it itself.
    static let grace: Duration = .milliseconds(500)

    let id: UInt64
    private let server: ReaderServer
    private let loop: any EventLoop
    private let address: String
    private let isEncrypted: Bool

    private var context: ChannelHandlerContext?
    private var phase = Phase.greeting
    private var decoder = FrameDecoder<TerminalMessage>()
    private var sequence = RequestSequence()
    private var identity: TerminalIdentity?
    private var greetingLimit: Scheduled<Void>?
    private var heartbeat: RepeatedTask?
    private var lastHeard = NIODeadline.now()
    private var lastSaid = NIODeadline.now()
    private var pings = PingCount()
    /// What is said meanwhile goes out together.
    private var isReading = false
    private var waiting: [Waiting] = []
    private var running: Running?
    private var slot: ReaderSlot?
    private var activation: UInt32 = 0
    private var card: (any CardChannel)?
    private var watchID: UInt32?
    /// The terminal has set what the reader polls with: the next one finds it as it was.
    private var polls = false

    init(id: UInt64, server: ReaderServer, loop: any EventLoop, address: String, isEncrypted: Bool) {
        self.id = id
        self.server = server
        self.loop = loop
        self.address = address
        self.isEncrypted = isEncrypted
    }

    // MARK: - From any thread

    func close(_ reason: String) {
        loop.execute { self.end(reason, RemoteFault(code: .closing, reason: reason)) }
    }

    func tell(_ events: [ReaderEvent]) { loop.execute { self.send(events) } }

    // MARK: - The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin() }
    }

    func channelActive(context: ChannelHandlerContext) { begin() }

    private func begin() {
        guard phase == .greeting, greetingLimit == nil else { return }
        greetingLimit = loop.scheduleTask(in: TimeAmount(server.options.heartbeat * 3)) {
            self.end(
                "no hello in time", RemoteFault(code: .closing, reason: "the connection said nothing in time")
            )
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .ended else { return }
        isReading = true
        decoder.append(unwrapInboundIn(data).readableBytesView)
        do {
            while phase != .ended, let frame = try decoder.next() { try handle(frame) }
        } catch {
            end("malformed: \(error)", RemoteFault(code: .malformed, reason: "\(error)"))
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        // Who does not take its answers is not listened to: nothing piles up here, and its silence ends it.
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("the line closed")
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end("the line closed")
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case NIOSSLError.uncleanShutdown = error { return end("the line dropped") }
        end("\(error)")
    }

    private func write(_ bytes: [UInt8]) {
        guard let context, context.channel.isActive else { return }
        lastSaid = .now()
        context.write(NIOAny(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
        if !isReading { context.flush() }
    }

    private func answer(_ id: UInt32, _ message: ServerMessage) { write(message.encoded(id: id)) }

    private func beat() {
        let limit = TimeAmount(server.options.heartbeat)
        let now = NIODeadline.now()
        pings.reset()
        if now - lastHeard > limit * 3 {
            return end(
                "silence", RemoteFault(code: .closing, reason: "nothing was heard for three heartbeats"))
        }
        if now - lastSaid >= limit { write(Frame<ServerMessage>.ping(id: 0).encoded) }
    }

    /// Ends the connection; comes to effect once. The reader is free when what runs has stopped and the field
    /// is off.
    private func end(_ reason: String, _ fault: RemoteFault? = nil) {
        guard phase != .ended else { return }
        let wasOpen = phase == .open
        if let fault { write(ServerMessage.fault(fault).encoded(id: 0)) }
        phase = .ended
        greetingLimit?.cancel()
        heartbeat?.cancel()
        running?.limit?.cancel()
        waiting = []
        card = nil
        context?.flush()
        context?.close(promise: nil)
        let slot = self.slot
        let task = running?.task
        slot?.leave(id)
        task?.cancel()
        let terminal = identity?.name
        Task { [id, server, address, polls] in
            await task?.value
            if let slot, slot.isHeld(by: id) {
                await slot.reader.fieldOff()
                if polls { try? await slot.reader.usePolling(.standard) }
                slot.free(id)
                server.emit(.freed(reader: slot.name, terminal: terminal ?? address))
            }
            server.removed(id)
            server.emit(
                wasOpen
                    ? .disconnected(terminal: terminal ?? address, reason: reason)
                    : .refused(address: address, reason: reason))
        }
    }

    // MARK: - Messages

    private func handle(_ frame: Frame<TerminalMessage>) throws(WireError) {
        lastHeard = .now()
        switch frame {
        case .ping(let id):
            try pings.note()
            write(Frame<ServerMessage>.pong(id: id).encoded)
        case .pong: break
        case .message(let id, let message):
            try sequence.accept(id)
            switch (phase, message) {
            case (.greeting, .hello(let versions, let token, let name)):
                greet(id, versions: versions, token: token, name: name)
            case (.greeting, _): outOfTurn("the first message is hello")
            case (_, .hello): outOfTurn("hello comes once")
            case (_, .cancel(let request)): cancel(request)
            default:
                guard waiting.count + (running == nil ? 0 : 1) < Self.requestLimit else {
                    return outOfTurn("more than \(Self.requestLimit) requests wait for their answers")
                }
                waiting.append(Waiting(id: id, request: message))
                next()
            }
        }
    }

    private func outOfTurn(_ reason: String) {
        end("out of turn: \(reason)", RemoteFault(code: .outOfTurn, reason: reason))
    }

    private func greet(_ id: UInt32, versions: ClosedRange<UInt8>, token: [UInt8], name: String) {
        var certificate: [UInt8]?
        var certifiedNames: [String] = []
        if isEncrypted {
            guard
                let handler = try? context?.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self),
                let peer = handler.peerCertificate, let bytes = try? peer.toDERBytes()
            else { return end("no certificate") }
            certificate = bytes
            certifiedNames = Self.names(bytes)
        }
        let shown = certifiedNames.first ?? (name.isEmpty ? address : name)
        identity = TerminalIdentity(token: token, certificate: certificate, name: shown)
        guard versions.overlaps(Wire.versions) else {
            return end(
                "no common version",
                RemoteFault(
                    code: .unsupportedVersion,
                    reason:
                        "this server speaks \(Wire.versions.lowerBound) to \(Wire.versions.upperBound), the terminal \(versions.lowerBound) to \(versions.upperBound)"
                ))
        }
        if isEncrypted, let allowed = server.options.allowedTerminals,
            !certifiedNames.contains(where: allowed.contains)
        {
            return end("not on the list: \(shown)", RemoteFault(code: .notAllowed, reason: shown))
        }
        phase = .open
        greetingLimit?.cancel()
        server.introduced(self.id)
        let half = TimeAmount(server.options.heartbeat / 2)
        heartbeat = loop.scheduleRepeatedTask(initialDelay: half, delay: half) { _ in self.beat() }
        server.emit(.connected(terminal: shown, address: address))
        let milliseconds = UInt32(
            clamping: TimeAmount(server.options.heartbeat).nanoseconds / 1_000_000)
        answer(
            id,
            .welcome(
                version: min(versions.upperBound, Wire.versions.upperBound), heartbeat: milliseconds,
                name: server.options.name, readers: server.offers))
    }

    /// The DNS names of a certificate.
    private static func names(_ der: [UInt8]) -> [String] {
        (try? Certificate(der: der))?.dnsNames ?? []
    }

    private func send(_ events: [ReaderEvent]) {
        guard phase == .open, let watchID, let context else { return }
        guard context.channel.isWritable else {
            return end("too slow for its events", RemoteFault(code: .closing, reason: "events are not taken"))
        }
        for event in events { answer(watchID, .event(event)) }
    }

    private func cancel(_ request: UInt32) {
        if running?.id == request {
            running?.task?.cancel()
        } else if let index = waiting.firstIndex(where: { $0.id == request }) {
            // Answers keep the order of the requests.
            waiting[index].isCancelled = true
        }
    }

    // MARK: - Requests

    private func next() {
        while running == nil, phase == .open, !waiting.isEmpty {
            let request = waiting.removeFirst()
            if request.isCancelled {
                answer(request.id, .fault(RemoteFault(code: .cancelled)))
            } else {
                begin(request.id, request.request)
            }
        }
    }

    private func begin(_ id: UInt32, _ request: TerminalMessage) {
        switch request {
        case .hello, .cancel: break  // Taken care of before they wait.
        case .watch:
            guard watchID == nil else {
                return answer(id, .fault(RemoteFault(code: .outOfTurn, reason: "it watches already")))
            }
            watchID = id
            answer(id, .done)
            send(server.watch(self))
        case .attach(let name): attach(id, name)
        case .detach, .activate, .transmit, .awaitRemoval, .fieldOff, .poll:
            guard let slot else { return answer(id, .fault(RemoteFault(code: .notAttached))) }
            use(slot, id, request)
        }
    }

    private func attach(_ id: UInt32, _ name: String) {
        guard slot == nil, let identity else {
            return answer(id, .fault(RemoteFault(code: .outOfTurn, reason: "a reader is taken already")))
        }
        guard let slot = server.slot(name) else {
            return answer(id, .fault(RemoteFault(code: .unknownReader, reason: name)))
        }
        // Known from the beginning: a line that drops while it waits frees what it may have got.
        self.slot = slot
        run(id) { [self, connection = self.id] in
            let fault = await slot.take(
                for: connection, identity, patience: Self.takeOverPatience,
                close: { self.close("the terminal has opened a new line") })
            if let fault { return .notAttached(fault) }
            server.emit(.attached(reader: name, terminal: identity.name))
            return .attached
        }
    }

    private func use(_ slot: ReaderSlot, _ id: UInt32, _ request: TerminalMessage) {
        let reader = slot.reader
        func deadline(_ milliseconds: UInt32?) -> ContinuousClock.Instant? {
            milliseconds.map { .now + .milliseconds(Int64($0)) }
        }
        switch request {
        case .hello, .cancel, .watch, .attach: break
        case .detach:
            run(id) { [connection = self.id, server, identity, polls] in
                await reader.fieldOff()
                if polls { try? await reader.usePolling(.standard) }
                slot.free(connection)
                server.emit(.freed(reader: slot.name, terminal: identity?.name ?? ""))
                return .detached
            }
        case .activate(let milliseconds):
            card = nil
            let deadline = deadline(milliseconds)
            run(id) {
                do throws(ReaderError) {
                    return .activated(try await reader.activateCard(deadline: deadline))
                } catch {
                    return .message(.fault(RemoteFault(error)))
                }
            }
        case .transmit(let activation, let milliseconds, let command):
            guard activation == self.activation, let card else {
                return answer(id, .fault(RemoteFault(code: .cardRemoved)))
            }
            let asked = milliseconds.map { Duration.milliseconds(Int64($0)) }
            let limit = min(asked ?? server.options.commandLimit, server.options.commandLimit)
            run(id, limit: limit + Self.grace) {
                do throws(ReaderError) {
                    let answer = try await card.transmit(command, timeout: asked.map { min($0, limit) })
                    guard answer.bytes.count <= Wire.responseLimit else {
                        return .message(
                            .fault(
                                RemoteFault(
                                    code: .protocolViolation,
                                    reason: "a response of \(answer.bytes.count) bytes")))
                    }
                    return .message(.answer(microseconds: answer.microseconds, response: answer.bytes))
                } catch {
                    return .message(.fault(RemoteFault(error)))
                }
            }
        case .awaitRemoval(let milliseconds):
            let deadline = deadline(milliseconds)
            run(id) {
                do throws(ReaderError) {
                    return .message(.removal(try await reader.awaitRemoval(deadline: deadline)))
                } catch {
                    return .message(.fault(RemoteFault(error)))
                }
            }
        case .poll(let schedule):
            polls = true
            run(id) {
                do throws(ReaderError) {
                    try await reader.usePolling(schedule)
                    return .message(.done)
                } catch {
                    return .message(.fault(RemoteFault(error)))
                }
            }
        case .fieldOff:
            card = nil
            run(id) {
                await reader.fieldOff()
                return .message(.done)
            }
        }
    }

    private func run(
        _ id: UInt32, limit: Duration? = nil, _ work: @escaping @Sendable () async -> Answer
    ) {
        running = Running(id: id)
        running?.limit = limit.map { limit in
            loop.scheduleTask(in: TimeAmount(limit)) { self.tookTooLong(id) }
        }
        running?.task = Task {
            let answer = await work()
            self.loop.execute { self.finished(id, answer) }
        }
    }

    /// The reader keeps neither the time limit nor us: the terminal has its answer, later requests wait for the
    /// reader.
    private func tookTooLong(_ id: UInt32) {
        guard phase == .open, running?.id == id else { return }
        running?.isAnswered = true
        running?.task?.cancel()
        card = nil
        answer(id, .fault(RemoteFault(code: .cardTimeout)))
    }

    private func finished(_ id: UInt32, _ answer: Answer) {
        guard phase == .open, let running, running.id == id else { return }
        self.running = nil
        running.limit?.cancel()
        switch answer {
        case .message(let message): if !running.isAnswered { self.answer(id, message) }
        case .activated(let channel):
            activation &+= 1
            card = channel
            self.answer(id, .activated(activation: activation, card: channel.card))
        case .attached: self.answer(id, .done)
        case .detached:
            slot = nil
            card = nil
            polls = false
            self.answer(id, .done)
        case .notAttached(let fault):
            slot = nil
            self.answer(id, .fault(fault))
        }
        next()
    }
}
