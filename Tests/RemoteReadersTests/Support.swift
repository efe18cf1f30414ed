import CardReaders
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import RemoteReaders
import SmartCard
import Synchronization
import Testing
import TestSupport
import TestTools

/// Certificates of two authorities, made once.
struct Certificates {
    static let shared: Certificates = {
        do { return try Certificates() } catch { fatalError("no certificates: \(error)") }
    }()

    let own: CertificateDirectory
    let stranger: CertificateDirectory

    private init() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/tapbridge-certs-\(UUID().uuidString)"
        own = CertificateDirectory(path: folder + "/own")
        stranger = CertificateDirectory(path: folder + "/stranger")
        for directory in [own, stranger] {
            try directory.makeAuthority()
            try directory.issue("server", role: .server, hosts: ["localhost", "127.0.0.1", "::1"])
            try directory.issue("terminal", role: .terminal)
        }
        try own.issue("till-2", role: .terminal)
        try own.issue("elsewhere", role: .server, hosts: ["elsewhere.example", "192.0.2.1"])
        let past = Date(timeIntervalSinceNow: -30 * 86400)
        // An authority that was there then.
        let old = CertificateDirectory(path: folder + "/old")
        try old.makeAuthority(now: past)
        try old.issue("terminal", role: .terminal, days: 10, now: past)
        try old.issue("server", role: .server, hosts: ["localhost", "127.0.0.1"], days: 10, now: past)
        try old.issue("good-server", role: .server, hosts: ["localhost", "127.0.0.1"])
        try old.issue("good-terminal", role: .terminal)
        self.old = old
        atexit {
            try? FileManager.default.removeItem(
                atPath: URL(fileURLWithPath: Certificates.shared.own.path).deletingLastPathComponent().path)
        }
    }
    let old: CertificateDirectory

    func server(_ identity: String = "server", of directory: CertificateDirectory? = nil) throws
        -> TLSCredentials
    {
        try TLSCredentials(directory: (directory ?? own).path, role: .server, identity: identity)
    }
    func terminal(
        _ identity: String = "terminal", of directory: CertificateDirectory? = nil
    ) throws -> TLSCredentials {
        try TLSCredentials(directory: (directory ?? own).path, role: .terminal, identity: identity)
    }
}

/// A reader whose operations stop where the test wants, and that tells what was asked of it.
final class GateReader: CardReader {
    enum Gate: Sendable, Hashable {
        case activate, transmit, removal
    }
    private struct State: Sendable {
        var gates: Set<Gate> = []
        var log: [String] = []
        var isStubborn = false
    }
    private let state = Observed(State())
    let information: ReaderInformation

    init(_ name: String = "Gate", closed gates: Set<Gate> = [], isStubborn: Bool = false) {
        information = ReaderInformation(kind: .emulated, name: name, vendor: "Test", serialNumber: "7")
        state.update {
            $0.gates = gates
            $0.isStubborn = isStubborn
        }
    }

    var log: [String] { state.value.log }
    func count(_ word: String) -> Int { log.count { $0 == word } }
    func open(_ gate: Gate) { state.update { _ = $0.gates.remove(gate) } }
    func close(_ gate: Gate) { state.update { _ = $0.gates.insert(gate) } }
    private func note(_ word: String) {
        state.update { $0.log.append(word) }
        changes.update { $0 += 1 }
    }

    private func pass(_ gate: Gate, _ deadline: ContinuousClock.Instant? = nil) async throws(ReaderError) {
        note("\(gate)")
        let isOpen: @Sendable (State) -> Bool = { !$0.gates.contains(gate) }
        if state.value.isStubborn {
            // Not ended by cancellation.
            _ = await Task.detached { [state] in await state.waitForever(until: isOpen) }.value
            return
        }
        let limit = deadline.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(3600)
        if await state.wait(within: max(limit, .zero), until: isOpen) { return }
        guard Task.isCancelled else { throw .noCard }
        note("cancelled")
        throw .cancelled
    }

    func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
        try await pass(.activate, deadline)
        return Channel(reader: self)
    }
    func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        do {
            try await pass(.removal, deadline)
            return true
        } catch .noCard {
            return false
        }
    }
    func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
        note(schedule == .payment ? "poll payment" : schedule == .standard ? "poll standard" : "poll")
        guard schedule.steps.count < 20 else {
            throw .readerUnavailable(reader: "Gate", reason: "cannot poll so")
        }
    }
    func fieldOff() async { note("off") }
    func close() async { note("close") }

    private struct Channel: CardChannel {
        let reader: GateReader
        let card = CardInformation(
            answerToReset: [0x3B, 0x80, 0x80, 0x01, 0x01],
            activation: ContactlessActivation(
                modulation: .typeA, identifier: [1, 2, 3, 4], atqa: [0x04, 0x00], sak: 0x20, ats: [0x78]))
        func transmit(_ command: [UInt8], timeout: Duration?) async throws(ReaderError) -> CardAnswer {
            try await reader.pass(.transmit)
            return CardAnswer(bytes: command.reversed() + [0x90, 0x00], microseconds: 4711)
        }
    }
}

/// Server events as they came.
final class Events: Sendable {
    private let all = Observed<[ReaderServer.Event]>([])
    var list: [ReaderServer.Event] { all.value }
    @Sendable func note(_ event: ReaderServer.Event) {
        all.update { $0.append(event) }
        changes.update { $0 += 1 }
    }
    var refusals: [String] { list.refusals }
    var farewells: [String] { list.farewells }
    func freed(_ reader: String) -> Int { list.freed(reader) }
}

extension [ReaderServer.Event] {
    var refusals: [String] {
        compactMap { if case .refused(_, let reason) = $0 { reason } else { nil } }
    }
    var farewells: [String] {
        compactMap { if case .disconnected(_, let reason) = $0 { reason } else { nil } }
    }
    func freed(_ reader: String) -> Int {
        count { if case .freed(reader, _) = $0 { true } else { false } }
    }
}

/// A server over loopback and what terminals need to reach it.
struct Setup {
    let server: ReaderServer
    let port: UInt16
    let events: Events
    let isEncrypted: Bool

    init(
        _ readers: [any CardReader], tls: Bool = false, heartbeat: Duration = .seconds(2),
        _ change: (inout ReaderServer.Options) -> Void = { _ in }
    ) async throws {
        var options = ReaderServer.Options()
        options.heartbeat = heartbeat
        change(&options)
        let events = Events()
        server = ReaderServer(
            credentials: tls ? try Certificates.shared.server() : nil, options: options, observer: events.note
        )
        self.events = events
        isEncrypted = tls
        for reader in readers { try server.offer(.init(reader)) }
        port = try await server.start(port: 0)
    }

    func address(_ reader: String? = nil, port: UInt16? = nil) -> RemoteReaderAddress {
        RemoteReaderAddress(host: "127.0.0.1", port: port ?? self.port, reader: reader)
    }

    func terminal(
        _ reader: String? = nil, port: UInt16? = nil,
        _ change: (inout RemoteReader.Options) -> Void = { _ in }
    ) throws -> RemoteReader {
        var options = RemoteReader.Options()
        options.terminal = "till"
        options.retryAfter = .milliseconds(5)
        options.connectLimit = .seconds(60)
        options.patience = .seconds(60)
        change(&options)
        return RemoteReader(
            address: address(reader, port: port),
            credentials: isEncrypted ? try Certificates.shared.terminal() : nil, options: options)
    }
}

/// Counts what readers and servers tell.
private let changes = Observed(0)

/// Waits for something that a reader or a server tells, or that is so when one of them tells something. A server tells
/// of a connection's end after it has forgotten the connection.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ isSo: @escaping @Sendable () -> Bool
) async {
    if await changes.wait(until: { _ in isSo() }) { return }
    Issue.record(what, sourceLocation: sourceLocation)
}

func failure(_ body: () async throws -> Void) async -> ReaderError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? ReaderError
    }
}

func unavailable(_ error: ReaderError?) -> String? {
    if case .readerUnavailable(_, let reason) = error { reason } else { nil }
}

/// A peer that sends whatever bytes it likes.
final class RawPeer: Sendable {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
    private init(_ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) { self.channel = channel }

    /// - Parameter tls: nil is plain TCP.
    /// - Parameter reads: whether what comes is taken at once; else nothing is read until it is asked for.
    static func run<Value: Sendable>(
        port: UInt16, tls: TLSConfiguration? = nil, reads: Bool = true,
        _ body:
            @escaping @Sendable (
                inout NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
                NIOAsyncChannelOutboundWriter<ByteBuffer>
            ) async throws -> Value
    ) async throws -> Value {
        let context = try tls.map { try NIOSSLContext(configuration: $0) }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .connect(host: "127.0.0.1", port: Int(port)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: nil))
                    }
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var iterator = inbound.makeAsyncIterator()
            return try await body(&iterator, outbound)
        }
    }

    /// Sends bytes, then gathers all frames until the server closes.
    static func say(_ bytes: [[UInt8]], port: UInt16) async throws -> [Frame<ServerMessage>] {
        try await run(port: port) { inbound, outbound in
            for part in bytes { try? await outbound.write(ByteBuffer(bytes: part)) }
            return try await frames(&inbound)
        }
    }

    static func frames(
        _ inbound: inout NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    ) async throws -> [Frame<ServerMessage>] {
        var decoder = FrameDecoder<ServerMessage>()
        var frames: [Frame<ServerMessage>] = []
        // A reset line is a closed one.
        while let bytes = try? await inbound.next() {
            decoder.append(bytes.readableBytesView)
            while let frame = try decoder.next() { frames.append(frame) }
        }
        return frames
    }

    static func next(
        _ inbound: inout NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
        _ decoder: inout FrameDecoder<ServerMessage>
    ) async throws -> Frame<ServerMessage>? {
        while true {
            if let frame = try decoder.next() {
                if case .ping = frame { continue }
                return frame
            }
            guard let bytes = try await inbound.next() else { return nil }
            decoder.append(bytes.readableBytesView)
        }
    }

    static func hello(
        _ id: UInt32 = 1, versions: ClosedRange<UInt8> = 1...1, token: UInt8 = 7, name: String = "raw"
    ) -> [UInt8] {
        TerminalMessage.hello(versions: versions, token: Array(repeating: token, count: 16), name: name)
            .encoded(id: id)
    }
}

/// The codes of faults that concern the connection.
func endings(_ frames: [Frame<ServerMessage>]) -> [RemoteFault.Code] {
    frames.compactMap { if case .message(0, .fault(let fault)) = $0 { fault.code } else { nil } }
}
