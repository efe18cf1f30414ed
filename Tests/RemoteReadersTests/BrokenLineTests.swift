import CardReaders
import NIOCore
import NIOPosix
import RemoteReaders
import SmartCard
import Testing
import TestSupport

/// Lines that drop, in every state and at every byte: the reader is freed, the terminal is told and comes back.
struct BrokenLineTests {
    enum Stage: CaseIterable {
        case attached, activating, activated, transmitting, awaitingRemoval, off
    }
    enum Break: CaseIterable {
        case cut, stall, serverCloses
    }
    static let cases = Stage.allCases.flatMap { stage in
        Break.allCases.flatMap { kind in [false, true].map { (stage, kind, $0) } }
    }

    @Test(.serialized, arguments: cases)
    func inEveryState(stage: Stage, kind: Break, tls: Bool) async throws {
        let gate = GateReader()
        // A stalled line is noticed by its silence alone.
        let setup = try await Setup(
            [gate], tls: tls, heartbeat: kind == .stall ? .milliseconds(500) : .seconds(10))
        let line = FaultyLine(to: setup.port)
        let port = try await line.start()
        let terminal = try setup.terminal(port: port)
        try await terminal.connect()

        var pending: Task<ReaderError?, Never>?
        var channel: (any CardChannel)?
        switch stage {
        case .attached: break
        case .activating:
            gate.close(.activate)
            pending = Task { await failure { _ = try await terminal.activateCard(deadline: nil) } }
            await eventually("the reader waits") { gate.count("activate") == 1 }
        case .activated: channel = try await terminal.activateCard(deadline: nil)
        case .transmitting:
            let active = try await terminal.activateCard(deadline: nil)
            channel = active
            gate.close(.transmit)
            pending = Task { await failure { _ = try await active.transmit([1], timeout: nil) } }
            await eventually("the card works") { gate.count("transmit") == 1 }
        case .awaitingRemoval:
            _ = try await terminal.activateCard(deadline: nil)
            gate.close(.removal)
            pending = Task { await failure { _ = try await terminal.awaitRemoval(deadline: nil) } }
            await eventually("the removal is waited for") { gate.count("removal") == 1 }
        case .off:
            _ = try await terminal.activateCard(deadline: nil)
            await terminal.fieldOff()
        }
        let offs = gate.count("off")
        switch kind {
        case .cut: line.cut()
        case .stall: line.stall()
        case .serverCloses: setup.server.dropConnections("test")
        }
        // The server lets go: what ran was cancelled, the field is off, the reader is free.
        await eventually("the reader is freed") { setup.events.freed("Gate") >= 1 }
        #expect(gate.count("off") > offs)
        if pending != nil {
            #expect(gate.count("cancelled") == 1)
            // The field goes off after the reader has stopped.
            #expect((gate.log.firstIndex(of: "cancelled") ?? .max) < (gate.log.lastIndex(of: "off") ?? 0))
        }
        if kind == .stall { line.mend() }
        for each in [GateReader.Gate.activate, .transmit, .removal] { gate.open(each) }

        if stage == .activating {
            // No card was lost: the same call goes on over a new line.
            #expect(await pending?.value == nil)
        } else {
            if let pending { #expect(unavailable(await pending.value) != nil) }
            if let channel {
                #expect(
                    unavailable(await failure { _ = try await channel.transmit([1], timeout: nil) }) != nil)
            }
            // The next card comes over a new line by itself.
            let next = try await terminal.activateCard(deadline: nil)
            #expect(try await next.transmit([1, 2], timeout: nil).bytes == [2, 1, 0x90, 0x00])
        }
        await terminal.close()
        await line.stop()
        await setup.server.stop()
        #expect(setup.server.connectionCount == 0)
    }

    /// Cuts a whole session after each number of bytes in each direction.
    @Test(arguments: FaultyLine.Direction.allCases, [false, true])
    func atEveryByte(direction: FaultyLine.Direction, tls: Bool) async throws {
        let gate = GateReader()
        let setup = try await Setup([gate], tls: tls)
        let line = FaultyLine(to: setup.port)
        let port = try await line.start()
        /// Whether the session came to its end.
        func session() async throws -> Bool {
            let terminal = try setup.terminal(port: port)
            let error = await failure {
                let channel = try await terminal.activateCard(deadline: .now + .seconds(60))
                _ = try await channel.transmit([1, 2, 3, 4], timeout: nil)
                _ = try await terminal.awaitRemoval(deadline: nil)
                await terminal.fieldOff()
            }
            await terminal.close()
            if let error { #expect(unavailable(error) != nil, "\(error)") }
            return error == nil
        }
        let before = line.carried(direction)
        #expect(try await session())
        let whole = line.carried(direction) - before
        var ended = 0
        // TLS records are opaque: the handshake's thousands of bytes are sampled.
        for count in stride(from: 0, through: whole, by: tls ? 61 : 1) {
            line.plan(.cut(direction, after: count))
            if try await session() { ended += 1 }
            line.plan(nil)
        }
        #expect(ended > 0)
        // Nothing is left over: a whole session works, and everything was freed.
        #expect(try await session())
        await eventually("no connection is left") { setup.server.connectionCount == 0 }
        #expect(gate.count("close") == 0)
        await line.stop()
        await setup.server.stop()
    }

    @Test func aServerThatIsNotThereIsTriedAgain() async throws {
        let gate = GateReader()
        let first = try await Setup([gate])
        let terminal = try first.terminal { $0.patience = .seconds(60) }
        try await terminal.connect()
        await first.server.stop()
        // In its place something that hangs up at once, until the terminal has been there.
        let (visits, continuation) = AsyncStream.makeStream(of: Void.self)
        let other = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    channel.close(promise: nil)
                    continuation.yield()
                }
            }
            .bind(host: "127.0.0.1", port: Int(first.port)).get()
        async let channel = terminal.activateCard(deadline: .now + .seconds(60))
        var visit = visits.makeAsyncIterator()
        _ = await visit.next()
        try await other.close()
        let second = ReaderServer(credentials: nil)
        try second.offer(.init(gate))
        try await second.start(port: first.port)
        #expect(try await channel.transmit([9], timeout: nil).bytes == [9, 0x90, 0x00])
        await terminal.close()
        await second.stop()
    }

    @Test func aServerThatStaysAwayIsAnError() async throws {
        let setup = try await Setup([GateReader()])
        await setup.server.stop()
        let terminal = try setup.terminal { $0.patience = .milliseconds(30) }
        let error = await failure { _ = try await terminal.activateCard(deadline: nil) }
        #expect(unavailable(error)?.contains("refused") == true)
        let listed = await failure {
            _ = try await RemoteReaders.list(setup.address(), credentials: nil)
        }
        #expect(unavailable(listed) != nil)
    }

    /// A dropped line that the server has not noticed yet locks nobody out but others.
    @Test(arguments: [false, true])
    func theSameTerminalTakesItsReaderOver(tls: Bool) async throws {
        let gate = GateReader()
        let setup = try await Setup([gate], tls: tls, heartbeat: .seconds(30))
        let line = FaultyLine(to: setup.port)
        let port = try await line.start()
        let terminal = try setup.terminal(port: port) { $0.slack = .milliseconds(200) }
        _ = try await terminal.activateCard(deadline: nil)
        gate.close(.activate)
        line.stall()
        // The request is lost on the line; the terminal gives up on it and its line.
        let lost = await failure {
            _ = try await terminal.activateCard(deadline: .now + .milliseconds(50))
        }
        #expect(unavailable(lost) != nil)
        #expect(setup.events.freed("Gate") == 0)
        gate.open(.activate)
        let stranger = try setup.terminal()
        #expect(unavailable(await failure { try await stranger.connect() }) != nil)
        await line.stop()
        await eventually("freed") { setup.events.freed("Gate") == 1 }
        await terminal.close()
        await setup.server.stop()
    }

    /// A polling schedule outlives the line and ends with the terminal.
    @Test func pollingIsToldAgain() async throws {
        let gate = GateReader()
        let setup = try await Setup([gate])
        let line = FaultyLine(to: setup.port)
        let terminal = try setup.terminal(port: try await line.start())
        try await terminal.usePolling(.standard)
        #expect(gate.log.isEmpty)
        try await terminal.usePolling(.payment)
        let many = PollingSchedule(steps: Array(repeating: .typeA, count: 30))
        #expect(
            await failure { try await terminal.usePolling(many) }
                == .readerUnavailable(
                    reader: "remote:127.0.0.1:\(terminal.address.port)", reason: "cannot poll so"))
        line.cut()
        await eventually("the reader polls as before") { gate.log.last == "poll standard" }
        _ = try await terminal.activateCard(deadline: nil)
        #expect(gate.log == ["poll payment", "poll", "off", "poll standard", "poll payment", "activate"])
        await terminal.close()
        await line.stop()
        await setup.server.stop()
    }

    @Test func dyingReaderObjectsFreeTheirReader() async throws {
        let setup = try await Setup([GateReader()])
        do {
            let terminal = try setup.terminal()
            try await terminal.connect()
        }
        await eventually("freed") { setup.events.freed("Gate") == 1 }
        await setup.server.stop()
    }
}
