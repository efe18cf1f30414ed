internal import Acquiring
internal import Foundation
internal import ISO8583
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Networking

/// One connection to one of several hosts, kept up: sign-on, echo tests, reconnection. Requests of many terminals are
/// under way at once; answers find them by type, field 11 and field 41.
actor HostLink {
    struct Key: Hashable {
        /// Type of the answer.
        var type: UInt16
        var stan: UInt32
        var terminal: String
    }
    typealias Answer = Result<Message, AcquirerError>
    typealias LateAnswerHandler = @Sendable (Message) -> Void

    private struct Waiting {
        var continuation: CheckedContinuation<Answer, Never>
        var deadline: ContinuousClock.Instant
        /// Nil once it was handed to the connection: from then on its outcome is unknown until answered.
        var frame: [UInt8]?
        var late: LateAnswerHandler?
        var isManagement: Bool
        let number: Int
    }
    /// Requests that nobody waits for any more, for what the host still says to them: the oldest are forgotten.
    private struct Settled {
        private struct Entry {
            var late: LateAnswerHandler
            var since: ContinuousClock.Instant
            let number: Int
            /// Responses so far that nobody waited for.
            var heard = 0
        }
        private var entries: [Key: Entry] = [:]
        /// Keys of `entries` and of what was there, oldest first, from `oldest` on.
        private var order: [(key: Key, number: Int)] = []
        private var oldest = 0
        private static let limit = 10_000
        private static let lifetime = Duration.seconds(3600)
        /// More responses to one request than these are counted and not told: a host must not fill the journal.
        private static let greatestTold = 5

        mutating func add(
            _ key: Key, _ number: Int, _ late: @escaping LateAnswerHandler, now: ContinuousClock.Instant
        ) {
            entries[key] = Entry(late: late, since: now, number: number)
            order.append((key, number))
            forget(now)
        }

        /// - Returns: nil where nothing of this key is known, or too much was heard; the handler, else.
        mutating func handler(_ key: Key) -> LateAnswerHandler? {
            guard var entry = entries[key], entry.heard < Self.greatestTold else { return nil }
            entry.heard += 1
            entries[key] = entry
            return entry.late
        }

        /// Drops what is too old, or too much.
        mutating func forget(_ now: ContinuousClock.Instant) {
            while oldest < order.count {
                let (key, number) = order[oldest]
                let entry = entries[key]
                // The key was used anew.
                let isGone = entry?.number != number
                guard
                    isGone || order.count - oldest > Self.limit
                        || now - (entry?.since ?? now) > Self.lifetime
                else { break }
                oldest += 1
                if !isGone { entries[key] = nil }
            }
            guard oldest > 1024, oldest > order.count / 2 else { return }
            order.removeFirst(oldest)
            oldest = 0
        }
    }
    private enum State { case idle, down, up, closed }

    private let interface: HostInterface
    private let endpoints: [Endpoint]
    private let security: TransportSecurity?
    private let settings: LinkSettings
    private let clock = ContinuousClock()
    private let log: @Sendable (String) -> Void

    private var state = State.idle
    private var supervisor: Task<Void, Never>?
    private(set) var counters = LinkCounters()
    /// The host that is called or connected.
    private(set) var current = 0
    private var lastError = "not yet connected"
    private var inFlight: [Key: Waiting] = [:]
    /// Left, and not answered in time.
    private var expired = Settled()
    /// Answered: a host may say something else afterwards.
    private var answered = Settled()
    private var queue: [Key] = []
    /// Answers to the host's own requests. A host that does not take them gets no more.
    private var replies: [[UInt8]] = []
    static let replyLimit = 100
    var waitingReplies: Int { replies.count }
    private var writer: CheckedContinuation<Void, Never>?
    private var connecting: [Int: CheckedContinuation<Bool, Never>] = [:]
    private var nextNumber = 0
    private var managementStan: UInt32 = 0
    private var lastReceived: ContinuousClock.Instant
    private var timeoutsInARow = 0
    private var wantsEcho = false
    private var upSince: ContinuousClock.Instant?

    init(
        interface: HostInterface, endpoints: [Endpoint], security: TransportSecurity?, settings: LinkSettings,
        log: @escaping @Sendable (String) -> Void
    ) {
        self.interface = interface
        self.endpoints = endpoints
        self.security = security
        self.settings = settings
        self.log = log
        lastReceived = ContinuousClock().now
    }

    var isUp: Bool { state == .up }

    // MARK: Requests

    /// Sends a request and waits for its answer, at most the settings' time.
    /// - Parameter late: called with an answer that comes after that.
    /// - Throws: `.unreachable` where the request certainly did not leave, `.timeout`, `.connectionLost`, `.rejected`
    ///   where it cannot be written.
    func exchange(
        _ message: Message, late: LateAnswerHandler? = nil
    ) async throws(AcquirerError) -> Message {
        let deadline = clock.now + settings.answerTimeout
        start()
        if state != .up {
            guard await waitUntilUp(deadline) else { throw .unreachable(lastError) }
        }
        return try await send(message, deadline, late, isManagement: false)
    }

    /// Begins to connect, if that was not done.
    func start() {
        guard state == .idle, !endpoints.isEmpty else { return }
        state = .down
        supervisor = Task { await self.supervise() }
    }

    /// Ends the connection for ever. What is under way ends as `.connectionLost` or `.unreachable`.
    func close() async {
        let supervisor = supervisor
        state = .closed
        lastError = "closed"
        supervisor?.cancel()
        failAll("closed")
        releaseWaiters(false)
        await supervisor?.value
    }

    private func send(
        _ message: Message, _ deadline: ContinuousClock.Instant, _ late: LateAnswerHandler?,
        isManagement: Bool
    ) async throws(AcquirerError) -> Message {
        let key = Self.key(ofAnswerTo: message)
        guard inFlight[key] == nil else { throw .unreachable("the same message still waits for its answer") }
        guard inFlight.count < settings.mostInFlight || isManagement else {
            throw .unreachable("\(inFlight.count) requests wait for answers already")
        }
        let frame: [UInt8]
        do {
            frame = try interface.framed(message)
        } catch { throw .rejected("the message cannot be written: \(error)") }
        nextNumber += 1
        let number = nextNumber
        let answer: Answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                inFlight[key] = Waiting(
                    continuation: continuation, deadline: deadline, frame: frame, late: late,
                    isManagement: isManagement, number: number)
                queue.append(key)
                wakeWriter()
            }
        } onCancel: {
            Task { await self.cancel(key, number) }
        }
        return try answer.get()
    }

    private func cancel(_ key: Key, _ number: Int) {
        guard let waiting = inFlight[key], waiting.number == number else { return }
        end(
            key, waiting,
            .failure(waiting.frame == nil ? .connectionLost("cancelled") : .unreachable("cancelled")))
    }

    private static func key(ofAnswerTo message: Message) -> Key {
        key(message, type: message.type.response)
    }

    private static func key(_ message: Message, type: MessageType) -> Key {
        Key(
            type: type.rawValue, stan: message.text(11).flatMap { UInt32($0) } ?? 0,
            terminal: message.text(41) ?? "")
    }

    /// Ends the wait; a request that has left stays known for what comes late.
    private func end(_ key: Key, _ waiting: Waiting, _ answer: Answer) {
        inFlight[key] = nil
        if waiting.frame == nil, let late = waiting.late {
            switch answer {
            case .failure: expired.add(key, waiting.number, late, now: clock.now)
            // What was heard a moment ago is the time, as near as it matters.
            case .success: answered.add(key, waiting.number, late, now: lastReceived)
            }
        }
        waiting.continuation.resume(returning: answer)
    }

    private func failAll(_ reason: String) {
        for (key, waiting) in inFlight {
            end(key, waiting, .failure(waiting.frame == nil ? .connectionLost(reason) : .unreachable(reason)))
        }
        queue = []
        replies = []
    }

    // MARK: Waiting for the connection

    private func waitUntilUp(_ deadline: ContinuousClock.Instant) async -> Bool {
        guard state == .down else { return state == .up }
        nextNumber += 1
        let number = nextNumber
        let timer = Task {
            try? await self.clock.sleep(until: deadline)
            self.release(number)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                connecting[number] = continuation
                if Task.isCancelled { release(number) }
            }
        } onCancel: {
            Task { await self.release(number) }
        }
    }

    private func release(_ number: Int) {
        connecting.removeValue(forKey: number)?.resume(returning: state == .up)
    }

    private func releaseWaiters(_ isUp: Bool) {
        let waiting = connecting
        connecting = [:]
        for continuation in waiting.values { continuation.resume(returning: isUp) }
    }

    // MARK: Connections

    private func supervise() async {
        var failures = 0
        var pause = settings.firstPause
        while state != .closed {
            let endpoint = endpoints[current]
            var wasUp = false
            do {
                try await session(endpoint)
                lastError = "\(endpoint) closed the connection"
            } catch {
                lastError = "\(endpoint): \(Self.describe(error))"
            }
            if state == .closed { break }
            wasUp = state == .up
            state = .down
            failAll(lastError)
            if wasUp {
                counters.lostConnections += 1
                log("connection lost: \(lastError)")
                pause = settings.firstPause
                failures = 0
            } else {
                counters.failedConnections += 1
                log("no connection: \(lastError)")
            }
            if returnsToFirst {
                returnsToFirst = false
                current = 0
                continue
            }
            // A host that had been there is called again at once; one that is not there makes place for the next.
            if wasUp, !givesUp { continue }
            givesUp = false
            failures += 1
            if endpoints.count > 1 {
                current = (current + 1) % endpoints.count
                counters.failovers += 1
            }
            guard failures % endpoints.count == 0 else { continue }
            releaseWaiters(false)
            // Half to the whole of the pause, so that many terminals do not call in step.
            try? await clock.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, settings.longestPause)
        }
    }

    /// Set where the session ended so that the next host is taken, or the first again.
    private var givesUp = false
    private var returnsToFirst = false

    private func session(_ endpoint: Endpoint) async throws {
        let channel = try await Self.connect(endpoint, security, settings)
        counters.connections += 1
        lastReceived = clock.now
        timeoutsInARow = 0
        wantsEcho = false
        try await channel.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.read(inbound) }
                group.addTask { try await self.write(outbound) }
                group.addTask { try await self.keepUp() }
                group.addTask { try await self.sweepAgainAndAgain() }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private static func connect(
        _ endpoint: Endpoint, _ security: TransportSecurity?, _ settings: LinkSettings
    ) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        let context = try security?.clientContext()
        let name = security?.serverName ?? (endpoint.isAddress ? nil : endpoint.host)
        let timeout = TimeAmount(settings.connectTimeout)
        // One of each for every address that the name has and that is tried.
        let (channel, handshake) = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .connect(host: endpoint.host, port: endpoint.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handshake = channel.eventLoop.makePromise(of: Void.self)
                    let connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>
                    do {
                        if let context {
                            try channel.pipeline.syncOperations.addHandlers(
                                try NIOSSLClientHandler(context: context, serverHostname: name),
                                HandshakeWatch(handshake, timeout, name: name))
                        } else {
                            handshake.succeed()
                        }
                        connection = try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                    } catch {
                        handshake.fail(error)
                        throw error
                    }
                    keepUntilClosed(connection, channel)
                    return (connection, handshake.futureResult)
                }
            }
        do {
            try await handshake.get()
        } catch {
            try? await channel.executeThenClose { _, _ in }
            throw error
        }
        return channel
    }

    static func describe(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return describe(first.error) }
            return error.dnsAError == nil && error.dnsAAAAError == nil ? "\(error)" : "no such host"
        }
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        if let error = error as? ChannelError, case .connectTimeout = error { return "no connection in time" }
        if let error = error as? NIOSSLError, case .handshakeFailed(let inner) = error {
            return "TLS: the host's certificate or ours is not taken (\(inner))"
        }
        if error is NIOSSLExtraError { return "TLS: the certificate is not that of the host (\(error))" }
        return "\(error)"
    }

    // MARK: Sign-on and echo

    /// Signs on, then tests the line until the connection ends.
    private func keepUp() async throws {
        if settings.signsOn {
            let answer = try await manage(.signOn, settings.answerTimeout)
            let (code, meaning) = try AnswerReader(interface).management(answer)
            guard meaning == .approved else { throw LinkError(reason: "sign-on was refused with \(code)") }
        }
        try Task.checkCancellation()
        guard state != .closed else { throw CancellationError() }
        state = .up
        upSince = clock.now
        log("connected to \(endpoints[current])")
        releaseWaiters(true)
        let tick = min(.milliseconds(100), settings.echoInterval / 4)
        while true {
            try await clock.sleep(for: tick)
            if wantsEcho || clock.now - lastReceived >= settings.echoInterval {
                wantsEcho = false
                do {
                    _ = try await manage(.echo, settings.echoTimeout)
                } catch {
                    counters.failedEchoes += 1
                    givesUp = true
                    throw LinkError(reason: "the host does not answer an echo test")
                }
            }
            if current != 0, inFlight.isEmpty, let since = upSince,
                clock.now - since >= settings.returnInterval
            {
                upSince = clock.now
                if await firstIsBack() {
                    returnsToFirst = true
                    throw LinkError(reason: "back to \(endpoints[0])")
                }
            }
        }
    }

    private func firstIsBack() async -> Bool {
        do {
            let channel = try await Self.connect(endpoints[0], security, settings)
            try await channel.executeThenClose { _, _ in }
            return true
        } catch {
            return false
        }
    }

    private func manage(
        _ kind: MessageBuilder.NetworkManagement, _ timeout: Duration
    ) async throws -> Message {
        managementStan = managementStan % 999_999 + 1
        let message = MessageBuilder(interface).management(kind, stan: managementStan, now: Self.now())
        return try await send(message, clock.now + timeout, nil, isManagement: true)
    }

    /// MMDDhhmmss in UTC.
    private static func now() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let date = UInt64(parts.tm_mon + 1) * 100 + UInt64(parts.tm_mday)
        let time = UInt64(parts.tm_hour) * 10_000 + UInt64(parts.tm_min) * 100 + UInt64(parts.tm_sec)
        return MessageBuilder.digits(date, 4) + MessageBuilder.digits(time, 6)
    }

    private func sweepAgainAndAgain() async throws {
        let tick = min(.milliseconds(100), settings.answerTimeout / 4)
        while true {
            try await clock.sleep(for: tick)
            sweep()
        }
    }

    private func sweep() {
        let now = clock.now
        for (key, waiting) in inFlight where waiting.deadline <= now { expire(key) }
        expired.forget(now)
        answered.forget(now)
    }

    private func expire(_ key: Key) {
        guard let waiting = inFlight[key] else { return }
        guard waiting.frame == nil else {
            // Never handed to the connection, as where the host does not read. The queue passes over it.
            return end(key, waiting, .failure(.unreachable("the host takes no more messages")))
        }
        if !waiting.isManagement {
            counters.timeouts += 1
            timeoutsInARow += 1
            // The line itself may be dead.
            if timeoutsInARow % 3 == 1 { wantsEcho = true }
        }
        end(key, waiting, .failure(.timeout))
    }

    // MARK: Writing

    private func wakeWriter() {
        writer?.resume()
        writer = nil
    }

    private func write(_ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws {
        while true {
            let batch = try await nextBatch()
            // As one write: the connection may take it whole or not at all, and all of it has left for the journal.
            try await outbound.write(batch)
        }
    }

    private func nextBatch() async throws -> ByteBuffer {
        while queue.isEmpty && replies.isEmpty {
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    writer = continuation
                    if Task.isCancelled { wakeWriter() }
                }
            } onCancel: {
                Task { await self.wakeWriter() }
            }
        }
        var batch = ByteBuffer()
        for reply in replies { batch.writeBytes(reply) }
        replies = []
        // A limited batch: what a full connection does not take stays certainly unsent.
        var taken = 0
        for key in queue {
            guard batch.readableBytes < 65_536 else { break }
            taken += 1
            guard let frame = inFlight[key]?.frame else { continue }
            batch.writeBytes(frame)
            inFlight[key]?.frame = nil
            counters.sent += 1
        }
        queue.removeFirst(taken)
        return batch
    }

    // MARK: Reading

    private func read(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws {
        var reader = FrameReader(interface.framing, limit: settings.messageLimit)
        for try await buffer in inbound {
            reader.append(buffer.readableBytesView)
            do throws(FramingError) {
                while let content = try reader.next() { receive(content) }
            } catch {
                counters.unreadable += 1
                throw LinkError(reason: "what the host sends cannot be read: \(error)")
            }
        }
    }

    private func receive(_ content: [UInt8]) {
        lastReceived = clock.now
        let message: Message
        do throws(ISO8583Error) {
            message = try interface.dialect.unpack(content, from: interface.framing.header.count)
        } catch {
            counters.unreadable += 1
            log("a message of \(content.count) bytes cannot be read: \(error)")
            return answerUnreadable(content, "\(error)")
        }
        let hasRightMAC = interface.mac.map { $0.verifies(message, in: content, interface.dialect) } ?? true
        guard message.type.isResponse else {
            guard hasRightMAC else {
                counters.wrongMACs += 1
                return
            }
            // Our own request come back, as from an echo service: to answer it would be to sign on with ourselves.
            guard inFlight[Self.key(ofAnswerTo: message)] == nil else {
                counters.unsolicited += 1
                return
            }
            return serve(message)
        }
        let key = Self.key(message, type: message.type)
        timeoutsInARow = 0
        guard hasRightMAC else {
            counters.wrongMACs += 1
            log("\(message.type) with a wrong authentication code")
            if let waiting = inFlight[key], waiting.frame == nil {
                end(key, waiting, .failure(.malformedResponse("the message authentication code is wrong")))
            }
            return
        }
        if let waiting = inFlight[key], waiting.frame == nil {
            counters.answered += 1
            end(key, waiting, .success(message))
        } else if let late = expired.handler(key) {
            counters.lateAnswers += 1
            late(message)
        } else if let late = answered.handler(key) {
            counters.unsolicited += 1
            log("\(message.type) came after another")
            late(message)
        } else {
            counters.unsolicited += 1
            log("\(message.type) answers nothing that waits")
        }
    }

    /// An answer whose type and numbers can be read belongs to a request, which need not wait for its time-out.
    private func answerUnreadable(_ content: [UInt8], _ reason: String) {
        let (_, partial) = interface.dialect.explain(content, from: interface.framing.header.count)
        guard partial.type.isResponse, partial.contains(11), partial.contains(41) else { return }
        let key = Self.key(partial, type: partial.type)
        if let waiting = inFlight[key], waiting.frame == nil {
            end(key, waiting, .failure(.malformedResponse(reason)))
        }
    }

    /// The host's own requests: sign-on and echo tests are answered, others refused.
    private func serve(_ request: Message) {
        counters.unsolicited += 1
        let isManagement = request.type.rawValue >> 8 & 0x0F == 8
        let code = request.text(interface.dialect.version == .v1993 ? 24 : 70) ?? ""
        let isKnown = isManagement && ["001", "002", "301", "801", "802", "831"].contains(code)
        let answer = AnswerBuilder(interface).answer(to: request, code: isKnown ? "00" : "12")
        guard replies.count < Self.replyLimit, let frame = try? interface.framed(answer) else { return }
        replies.append(frame)
        wakeWriter()
    }
}

/// Why a connection was given up.
struct LinkError: Error, CustomStringConvertible {
    let reason: String
    var description: String { reason }
}

/// Tells when TLS is ready, or why it is not.
private final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var promise: EventLoopPromise<Void>?
    private let timeout: TimeAmount
    /// Name that the certificate must have; nil where the address is checked.
    private let name: String?
    private var timer: Scheduled<Void>?

    init(_ promise: EventLoopPromise<Void>, _ timeout: TimeAmount, name: String?) {
        self.promise = promise
        self.timeout = timeout
        self.name = name
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let promise = promise
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: timeout) {
            promise?.fail(ChannelError.connectTimeout(TimeAmount.zero))
            channel.close(promise: nil)
        }
    }

    private func finish(_ error: (any Error)?) {
        timer?.cancel()
        if let error { promise?.fail(error) } else { promise?.succeed() }
        promise = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted = event {
            if isNamed(context) {
                finish(nil)
            } else {
                finish(LinkError(reason: "TLS: the host's certificate is not for \(name ?? "its address")"))
                context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// NIOSSL also takes a certificate for the address that was called; where a name is given, the name counts.
    private func isNamed(_ context: ChannelHandlerContext) -> Bool {
        guard let name else { return true }
        guard let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self),
            let names = handler.peerCertificate?._subjectAlternativeNames()
        else { return false }
        return names.contains { entry in
            entry.nameType == .dnsName
                && CertificateName.matches(String(decoding: Array(entry.contents), as: UTF8.self), name)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if promise != nil { finish(error) }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if promise != nil { finish(LinkError(reason: "TLS: the host closed the connection")) }
        context.fireChannelInactive()
    }

    /// Also of a channel that never became active, as of an address that is not the one taken.
    func handlerRemoved(context: ChannelHandlerContext) {
        if promise != nil { finish(LinkError(reason: "TLS: the connection was given up")) }
    }
}

/// RFC 6125, 6.4: letters of either case; a star stands for one whole label on the left.
enum CertificateName {
    static func matches(_ pattern: String, _ name: String) -> Bool {
        let pattern = pattern.lowercased()
        let name = name.lowercased()
        if pattern == name { return true }
        guard pattern.hasPrefix("*."), let dot = name.firstIndex(of: "."), dot != name.startIndex else {
            return false
        }
        let rest = pattern.dropFirst()
        return rest.dropFirst().contains(".") && name[dot...] == rest
    }
}
