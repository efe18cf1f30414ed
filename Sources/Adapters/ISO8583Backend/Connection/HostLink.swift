internal import Acquiring
internal import EMV
internal import Foundation
internal import ISO8583
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Networking

/// One connection to one of several hosts, kept up: sign-on, echo tests, reconnection. Requests of many terminals are
/// under way at once; answers find them by type and the fields that the interface names, by default 11 and 41.
actor HostLink {
    /// What a response is found by.
    struct Key: Hashable {
        /// Type of the answer.
        var type: UInt16
        /// Values of the interface's `matching` fields, in their order; nil where the message has none.
        var values: [String?]

        init(_ message: Message, type: MessageType, _ fields: [Int]) {
            self.type = type.rawValue
            values = fields.map { field in
                let text = message.text(field)?.trimmed
                // Numbers with and without their zeros.
                return field == 11 ? text.flatMap { UInt32($0) }.map { String($0) } ?? text : text
            }
        }

        /// Whether a response may belong to the request of `other` where one of them is without some of the fields: what both
        /// have is the same, and there is something that both have.
        func mayAnswer(_ other: Key) -> Bool {
            guard type == other.type else { return false }
            let pairs = zip(values, other.values)
            return pairs.contains { $0.0 != nil && $0.0 == $0.1 }
                && pairs.allSatisfy { $0.0 == nil || $0.1 == nil || $0.0 == $0.1 }
        }
        var isWhole: Bool { values.allSatisfy { $0 != nil } }
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
        /// How many messages had come that belong to nothing, when this one was sent.
        var strays: Int
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

        /// The one key that a response without some of the matching fields can belong to.
        func onlyKey(for partial: Key) -> Key? {
            let found = entries.keys.filter { partial.mayAnswer($0) }
            return found.count == 1 ? found.first : nil
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
    /// Why there is no line that takes requests.
    private(set) var lastError = HostLink.notYetConnected
    private static let notYetConnected = AcquirerError.unreachable("not yet connected")
    /// The last message on this connection that belongs to nothing or cannot be read, and how many there were.
    private var stray = (text: "", count: 0)
    private var strayLog = LogLimit()
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
    private let traceNumbers: TraceNumbers
    private var lastReceived: ContinuousClock.Instant
    private var timeoutsInARow = 0
    private var wantsEcho = false
    private var upSince: ContinuousClock.Instant?

    init(
        interface: HostInterface, endpoints: [Endpoint], security: TransportSecurity?, settings: LinkSettings,
        traceNumbers: TraceNumbers = TraceNumbers(), log: @escaping @Sendable (String) -> Void
    ) {
        self.interface = interface
        self.endpoints = endpoints
        self.security = security
        self.settings = settings
        self.traceNumbers = traceNumbers
        self.log = log
        lastReceived = ContinuousClock().now
    }

    var isUp: Bool { state == .up }

    // MARK: Requests

    /// Sends a request and waits for its answer, at most the settings' time.
    /// - Parameter late: called with an answer that comes after that.
    /// - Throws: `.unreachable` and `.notReady` where the request certainly did not leave; `.timeout`; `.malformedResponse`
    ///   where something else came until then; `.connectionLost`; `.rejected` where it cannot be written.
    func exchange(
        _ message: Message, late: LateAnswerHandler? = nil
    ) async throws(AcquirerError) -> Message {
        let deadline = clock.now + settings.answerTimeout
        start()
        if state != .up {
            guard await waitUntilUp(deadline) else { throw lastError }
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
        lastError = .unreachable("closed")
        supervisor?.cancel()
        failAll("closed")
        releaseWaiters(false)
        await supervisor?.value
    }

    private func send(
        _ message: Message, _ deadline: ContinuousClock.Instant, _ late: LateAnswerHandler?,
        isManagement: Bool
    ) async throws(AcquirerError) -> Message {
        let key = key(ofAnswerTo: message)
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
                    isManagement: isManagement, number: number, strays: stray.count)
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

    private func key(ofAnswerTo message: Message) -> Key {
        Key(message, type: message.type.response, interface.matching)
    }

    /// The key of what a response belongs to: of what waits, of what has waited, or its own where there is none.
    private func key(_ message: Message) -> Key {
        let key = Key(message, type: message.type, interface.matching)
        guard inFlight[key] == nil else { return key }
        let waiting = inFlight.filter { $0.value.frame == nil && key.mayAnswer($0.key) }
        if waiting.count == 1, let only = waiting.first { return only.key }
        // What is whole is known by itself: nothing is searched for it.
        guard waiting.isEmpty, !key.isWhole else { return key }
        return expired.onlyKey(for: key) ?? answered.onlyKey(for: key) ?? key
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
            isConnected = false
            hasHeard = false
            stray = ("", 0)
            var reason: String
            // A line that ends before anything was heard, such as for a certificate that is not taken, is none.
            var isRefusal = false
            do {
                try await session(endpoint)
                reason = "\(endpoint) closed the connection"
            } catch {
                reason = "\(endpoint): \(Self.describe(error))"
                isRefusal = error is LinkError
            }
            if state == .closed { break }
            wasUp = state == .up
            state = .down
            if stray.count > 0, !wasUp, !reason.contains(stray.text) {
                reason += "; before, \(stray.text) came"
            }
            lastError = isConnected && (hasHeard || isRefusal) ? .notReady(reason) : .unreachable(reason)
            failAll(reason)
            if wasUp {
                counters.lostConnections += 1
                log("connection lost: \(reason)")
                pause = settings.firstPause
                failures = 0
            } else {
                counters.failedConnections += 1
                log(isConnected ? "not signed on: \(reason)" : "no connection: \(reason)")
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
    /// Whether there was a line in this session, whatever came of it.
    private var isConnected = false
    /// Whether anything came on it.
    private var hasHeard = false
    private var returnsToFirst = false

    private func session(_ endpoint: Endpoint) async throws {
        let channel = try await Self.connect(endpoint, security, settings)
        counters.connections += 1
        isConnected = true
        // What has failed before stays the cause until something else does.
        if settings.signsOn, lastError == Self.notYetConnected {
            lastError = .notReady("\(endpoint) has not yet answered the sign-on")
        }
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
            let code: String, meaning: ResponseMeaning
            do {
                let answer = try await manage(.signOn, settings.answerTimeout)
                (code, meaning) = try AnswerReader(interface).management(answer)
            } catch let error as AcquirerError {
                throw LinkError(reason: "sign-on failed: \(error)")
            }
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
        let message = MessageBuilder(interface).management(
            kind, stan: await traceNumbers.next(), now: Self.now())
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
        // Something came, and not the response: that is the cause, rather than silence.
        let hasStray = stray.count > waiting.strays
        end(
            key, waiting,
            .failure(hasStray ? .malformedResponse("no response in time, but \(stray.text)") : .timeout))
    }

    /// Notes a message that cannot be read or belongs to nothing, for the cause of what fails meanwhile.
    private func note(stray text: String) {
        stray = (text, stray.count + 1)
        if state == .down {
            lastError = .notReady("\(endpoints[current]): \(text) came in answer to the sign-on")
        }
        limitedLog(text)
    }

    private func limitedLog(_ text: String) {
        switch strayLog.line(at: clock.now) {
        case .line: log(text)
        case .lineAfter(let skipped): log("\(text) (and \(skipped) more such messages before it)")
        case .nothing: break
        }
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
            hasHeard = true
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
            let text = "a message of \(content.count) bytes that cannot be read (\(error))"
            guard let owner = ownerOfUnreadable(content), let waiting = inFlight[owner] else {
                return note(stray: text)
            }
            limitedLog(text)
            return end(owner, waiting, .failure(.malformedResponse(text)))
        }
        let hasRightMAC = interface.mac.map { $0.verifies(message, in: content, interface.dialect) } ?? true
        guard message.type.isResponse else {
            guard hasRightMAC else {
                counters.wrongMACs += 1
                return
            }
            // Our own request come back, as from an echo service: to answer it would be to sign on with ourselves.
            guard inFlight[key(ofAnswerTo: message)] == nil else {
                counters.unsolicited += 1
                return note(stray: "our own \(message.type)")
            }
            return serve(message)
        }
        let key = key(message)
        timeoutsInARow = 0
        guard hasRightMAC else {
            counters.wrongMACs += 1
            note(stray: "a \(message.type) with a wrong authentication code")
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
            note(stray: "another \(message.type) to what was answered before")
            late(message)
        } else {
            counters.unsolicited += 1
            let fields = interface.matching.map { "field \($0) \(message.text($0)?.trimmed ?? "missing")" }
            note(
                stray:
                    "a \(message.type) that answers nothing that waits (\(fields.joined(separator: ", ")))")
        }
    }

    /// An answer whose type and numbers can be read belongs to a request, which need not wait for its time-out. Where there
    /// is one request alone that it can belong to, it is that one's.
    private func ownerOfUnreadable(_ content: [UInt8]) -> Key? {
        let (_, partial) = interface.dialect.explain(content, from: interface.framing.header.count)
        if partial.type.isResponse, partial.contains(11) {
            let key = key(partial)
            if let waiting = inFlight[key], waiting.frame == nil { return key }
        }
        let sent = inFlight.filter { $0.value.frame == nil }
        return sent.count == 1 ? sent.first?.key : nil
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

/// Lets through so many lines of one kind in a minute, so that a host cannot fill a log.
struct LogLimit {
    enum Verdict: Equatable {
        case line
        /// After so many that were left out.
        case lineAfter(Int)
        case nothing
    }
    private static let most = 10
    private static let window = Duration.seconds(60)
    private var begin: ContinuousClock.Instant?
    private var count = 0

    mutating func line(at now: ContinuousClock.Instant) -> Verdict {
        if let begin, now - begin < Self.window {
            count += 1
            return count <= Self.most ? .line : .nothing
        }
        let skipped = count - Self.most
        begin = now
        count = 1
        return skipped > 0 ? .lineAfter(skipped) : .line
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
