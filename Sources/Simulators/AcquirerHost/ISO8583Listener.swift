internal import Acquiring
internal import EMV
internal import Foundation
internal import ISO8583
public import ISO8583Backend
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Networking
internal import Synchronization

/// Serves a `HostService` over ISO 8583, TCP or TLS, to any number of terminals.
public struct ISO8583Listener: Sendable {
    public let service: HostService
    public let interface: HostInterface
    public let endpoint: Endpoint
    public let security: TransportSecurity?
    /// Connections at once; more are closed.
    public var connectionLimit = 1024
    public var messageLimit = 16_384
    /// A connection on which nothing has come for so long is closed; terminals that test the line keep theirs.
    public var idleTimeout: Duration = .seconds(600)
    /// Gets every message as it is on the line, in both directions. For tests of hosts and terminals: nothing is masked.
    public var observer: (@Sendable (HostTraffic) -> Void)?
    private let reader: RequestReader
    private let builder: AnswerBuilder

    public init(
        service: HostService, interface: HostInterface, endpoint: Endpoint, security: TransportSecurity? = nil
    ) {
        self.service = service
        self.interface = interface
        self.endpoint = endpoint
        self.security = security
        reader = RequestReader(interface)
        builder = AnswerBuilder(interface)
    }

    /// Listens until the task is cancelled.
    /// - Parameter listening: called with the address once terminals can connect.
    /// - Throws: where the address cannot be had, or certificates cannot be read.
    public func run(listening: @escaping @Sendable (Endpoint) -> Void = { _ in }) async throws {
        let context = try security?.serverContext()
        let idleTimeout = TimeAmount(idleTimeout)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        let server = try await ConnectionServer<ByteBuffer, ByteBuffer>.bind(
            bootstrap, host: endpoint.host, port: endpoint.port, limit: connectionLimit
        ) { channel in
            if let context {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
            }
            try channel.pipeline.syncOperations.addHandlers(
                IdleStateHandler(readTimeout: idleTimeout), CloseWhenIdle(idleTimeout))
        }
        let address = Endpoint(host: endpoint.host, port: server.port ?? endpoint.port)
        listening(address)
        await service.note(
            HostLogEntry(
                .listening, peer: "\(address)", reason: "\(interface.dialect.name), \(interface.framing)"))
        try await server.run { await serve($0) }
    }

    private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
        let peer =
            connection.channel.remoteAddress.map { address in
                "\(address.ipAddress ?? "?"):\(address.port ?? 0)"
            } ?? "?"
        let line = HostTraffic.Line(
            peer: peer,
            local: connection.channel.localAddress.map { "\($0.ipAddress ?? "?"):\($0.port ?? 0)" } ?? "?")
        await service.note(HostLogEntry(.connected, peer: peer))
        var reason: String?
        do {
            try await connection.executeThenClose { inbound, outbound in
                try await withThrowingDiscardingTaskGroup { group in
                    var frames = FrameReader(interface.framing, limit: messageLimit)
                    let delayed = DelayedAnswers()
                    for try await buffer in inbound {
                        frames.append(buffer.readableBytesView)
                        var output = ByteBuffer()
                        while let content = try frames.next() {
                            observer?(HostTraffic(line, isReceived: true, content: content))
                            switch await handle(content, peer) {
                            case .answer(let bytes): output.writeBytes(bytes)
                            case .cut:
                                // What was answered before goes out; then the line ends.
                                if output.readableBytes > 0 { try await send(output, outbound, on: line) }
                                throw Cut()
                            case .later(let delay, let work):
                                // Neither a script with long delays nor a terminal that takes no answers fills
                                // the memory: as if they were lost.
                                guard delayed.enter() else { continue }
                                group.addTask {
                                    defer { delayed.leave() }
                                    try await Task.sleep(for: delay)
                                    let bytes = await work()
                                    if !bytes.isEmpty {
                                        try? await send(ByteBuffer(bytes: bytes), outbound, on: line)
                                    }
                                }
                            }
                        }
                        if output.readableBytes > 0 { try await send(output, outbound, on: line) }
                    }
                    // The terminal has gone: nobody waits for delayed answers, but what they were to do is done.
                }
            }
        } catch is Cut {
            reason = "cut by the script of troubles"
        } catch is CancellationError {
            reason = nil
        } catch {
            reason = "\(error)"
        }
        await service.note(HostLogEntry(.disconnected, peer: peer, reason: reason))
    }

    private struct Cut: Error {}

    /// Answers leave when what they tell is on the disk.
    private func send(
        _ answers: ByteBuffer, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>,
        on line: HostTraffic.Line
    ) async throws {
        try await service.commit()
        if let observer {
            var frames = FrameReader(interface.framing, limit: max(1, answers.readableBytes))
            frames.append(answers.readableBytesView)
            while let content = try? frames.next() {
                observer(HostTraffic(line, isReceived: false, content: content))
            }
        }
        try await outbound.write(answers)
    }

    private enum Action: Sendable {
        /// Framed answers, perhaps none.
        case answer([UInt8])
        case later(Duration, @Sendable () async -> [UInt8])
        case cut
    }

    private func handle(_ content: [UInt8], _ peer: String) async -> Action {
        let begin = ContinuousClock().now
        let message: Message
        do throws(ISO8583Error) {
            message = try interface.dialect.unpack(content, from: interface.framing.header.count)
        } catch {
            let answer = refusal(of: content, "\(error)")
            await service.note(
                HostLogEntry(
                    .unreadable, peer: peer,
                    reason: "\(error)"
                        + (answer.isEmpty
                            ? "; not answered, as its type and field 11 cannot be read" : "; answered 30")))
            return .answer(answer)
        }
        guard !message.type.isResponse else {
            await service.note(
                HostLogEntry(.unreadable, peer: peer, reason: "type \(message.type) is no request"))
            return .answer([])
        }
        var entry = HostLogEntry(.message, peer: peer)
        entry.type = message.type.description
        entry.terminal = message.text(41)?.trimmingCharacters(in: .whitespaces)
        entry.stan = message.text(11)
        if let mac = interface.mac, !mac.verifies(message, in: content, interface.dialect) {
            var wrong = HostLogEntry(.wrongMAC, peer: peer)
            wrong.type = entry.type
            await service.note(wrong)
            return .answer(frame(builder.answer(to: message, code: "63", text: "WRONG MAC")))
        }
        let request: TerminalRequest
        do throws(RequestError) {
            request = try reader.read(message, year: Self.year())
        } catch {
            entry.responseCode = error.code
            entry.reason = error.reason
            await service.note(entry)
            return .answer(frame(builder.answer(to: message, code: error.code, text: error.reason)))
        }
        entry.describe(request)
        let trouble = await service.trouble(for: request)
        entry.trouble = trouble?.text

        let described = entry
        /// Does the work and logs it; gives the framed answer, changed or not.
        @Sendable func work(
            approving: Bool = false, _ change: @Sendable (inout HostReply) -> Void = { _ in }
        ) async -> [UInt8] {
            var reply = await service.perform(request, approving: approving)
            change(&reply)
            var entry = described
            entry.responseCode = reply.responseCode
            entry.reason = reply.reason
            entry.microseconds = Int((ContinuousClock().now - begin) / .microseconds(1))
            await service.note(entry)
            return frame(answer(to: message, reply))
        }
        func unseen(_ reason: String) async {
            entry.reason = reason
            await service.note(entry)
        }
        switch trouble {
        case nil, .table: return .answer(await work())
        case .approve: return .answer(await work(approving: true))
        case .decline(let code):
            entry.responseCode = code
            await service.note(entry)
            return .answer(frame(builder.answer(to: message, code: code)))
        case .silence:
            _ = await work()
            return .answer([])
        case .lost:
            await unseen("lost on the way")
            return .answer([])
        case .garbage:
            // Ends within its bitmap, behind a right length.
            let answer = await work()
            let head = interface.framing.prefixCount + interface.framing.header.count + 5
            let cut = Array(answer.dropFirst(interface.framing.prefixCount).prefix(head))
            return .answer((try? interface.framing.frame(cut)) ?? [])
        case .late(let delay):
            let answer = await work()
            return .later(delay) { answer }
        case .overtaken(let delay): return .later(delay) { await work() }
        case .duplicate: return .answer(await work() + (await work()))
        case .unreachable:
            await unseen("not taken")
            return .cut
        case .cut(let seenByHost):
            if seenByHost { _ = await work() } else { await unseen("the line is cut") }
            return .cut
        case .wrongResponseCryptogram:
            return .answer(
                await work { reply in
                    guard case .authorization(var response) = reply else { return }
                    response.issuerAuthenticationData = response.issuerAuthenticationData?.withLastByteChanged
                    reply = .authorization(response)
                })
        case .wrongScript:
            return .answer(
                await work { reply in
                    guard case .authorization(var response) = reply else { return }
                    response.issuerScripts = response.issuerScripts.withLastByteChanged
                    reply = .authorization(response)
                })
        case .wrongMAC:
            // The code is the message's last field.
            let answer = await work()
            guard interface.mac != nil else { return .answer(answer) }
            let trailer = interface.framing.trailer
            return .answer(Array(answer.dropLast(trailer.count)).withLastByteChanged + trailer)
        }
    }

    private func answer(to message: Message, _ reply: HostReply) -> Message {
        switch reply {
        case .authorization(let response): builder.authorization(to: message, response)
        case .acknowledgement(let code, let text): builder.answer(to: message, code: code, text: text)
        case .reconciliation(let answer): builder.reconciliation(to: message, answer)
        }
    }

    /// Format error to a message of which type and trace number can be read; nothing otherwise.
    private func refusal(of content: [UInt8], _ reason: String) -> [UInt8] {
        let (_, partial) = interface.dialect.explain(content, from: interface.framing.header.count)
        guard partial.type.rawValue != 0, !partial.type.isResponse, partial.contains(11) else { return [] }
        return frame(builder.answer(to: partial, code: "30", text: "FORMAT ERROR: \(reason)"))
    }

    private func frame(_ message: Message) -> [UInt8] {
        do {
            return try interface.framed(message)
        } catch {
            // A dialect without room for a field of the answer: the code alone tells what counts.
            var bare = Message(message.type)
            bare.header = message.header
            for field in [3, 4, 7, 11, 12, 13, 37, 38, 39, 41, 49] { bare[field] = message[field] }
            guard let bytes = try? interface.dialect.pack(bare) else { return [] }
            return (try? interface.framing.frame(bytes)) ?? []
        }
    }

    private static func year() -> Int {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return Int(parts.tm_year) + 1900
    }
}

/// Ends a connection on which nothing comes any more.
private final class CloseWhenIdle: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private struct Silence: Error, CustomStringConvertible {
        let description: String
    }
    private let timeout: TimeAmount

    init(_ timeout: TimeAmount) { self.timeout = timeout }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        context.fireErrorCaught(
            Silence(description: "nothing came for \(timeout.nanoseconds / 1_000_000_000) s"))
        context.close(promise: nil)
    }
}

/// Counts the answers of one connection that are delayed at the same time.
private final class DelayedAnswers: Sendable {
    private static let limit = 1000
    private let count = Mutex(0)

    /// - Returns: whether there is room for one more.
    func enter() -> Bool {
        count.withLock { count in
            guard count < Self.limit else { return false }
            count += 1
            return true
        }
    }
    func leave() { count.withLock { $0 -= 1 } }
}
