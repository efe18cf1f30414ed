import Foundation
import NIOCore
import NIOPosix
import Readers
import Synchronization
import TestTools
import Testing

@testable import RemoteReaders

/// Peers that make us answer and do not take what we answer, in both directions: what they can make this machine keep
/// is bounded.
@Suite(.serialized) struct FloodTests {
    /// Sends one piece after the other until the other side takes no more.
    /// - Returns: how many were taken.
    static func flood(_ channel: any Channel, _ pieces: Int, _ piece: (Int) -> ByteBuffer) async -> Int {
        for number in 0..<pieces {
            do { try await channel.writeAndFlush(piece(number)) } catch { return number }
        }
        return pieces
    }

    static func repeated(_ frame: [UInt8], _ count: Int = 10_000) -> ByteBuffer {
        ByteBuffer(bytes: Array(repeating: frame, count: count).flatMap { $0 })
    }

    /// A server that greets, asks for signs of life without end, and reads none. All together are 54 megabytes, of which
    /// the sockets hold at most ten.
    @Test func aServerThatFloodsATerminal() async throws {
        let (accepted, continuation) = AsyncStream.makeStream(of: (any Channel).self)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { _ = continuation.yield(channel) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = RemoteReaderAddress(
            host: "127.0.0.1", port: UInt16(listener.localAddress?.port ?? 0), reader: nil)
        var options = RemoteReader.Options()
        options.connectLimit = .seconds(60)
        let terminal = RemoteReader(address: address, credentials: nil, options: options)
        let connecting = Task { await failure { try await terminal.connect() } }
        var channels = accepted.makeAsyncIterator()
        let channel = try #require(await channels.next())
        try await channel.writeAndFlush(
            ByteBuffer(
                bytes: ServerMessage.welcome(
                    version: 1, heartbeat: 500, name: "flood",
                    readers: [
                        OfferedReader(
                            name: "Gate", kind: .emulated, vendor: nil, serialNumber: nil, isBusy: false)
                    ]
                ).encoded(id: 1)))
        let pings = Self.repeated(Frame<ServerMessage>.ping(id: 7).encoded)
        let taken = await Self.flood(channel, 600) { _ in pings }
        #expect(taken < 600, "the terminal took it all")
        #expect(unavailable(await connecting.value) != nil)
        try? await channel.close()
        try await listener.close()
    }

    /// Requests that are answered at once, whose answers nobody takes: back-pressure, then silence ends it.
    @Test func aTerminalThatTakesNoAnswers() async throws {
        let setup = try await Setup([GateReader()], heartbeat: .milliseconds(500))
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: Int(setup.port)).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: RawPeer.hello()))
        let taken = await Self.flood(channel, 3000) { number in
            let first = UInt32(2 + number * 2000)
            return ByteBuffer(
                bytes: (first..<(first + 2000)).flatMap { TerminalMessage.fieldOff.encoded(id: $0) })
        }
        #expect(taken < 3000, "the server took it all")
        #expect(await setup.events.happened { events in events.contains { $0.isFarewell } })
        #expect(setup.server.connectionCount == 0)
        try? await channel.close()
        await setup.server.stop()
    }

    /// Pings by the thousand end the connection even where the pongs are taken.
    @Test func pingsByTheThousand() async throws {
        let setup = try await Setup([GateReader()], heartbeat: .seconds(30))
        let frames = try await RawPeer.say(
            [RawPeer.hello()] + Array(repeating: Frame<TerminalMessage>.ping(id: 1).encoded, count: 2000),
            port: setup.port)
        #expect(frames.count { if case .pong = $0 { true } else { false } } <= 100)
        #expect(endings(frames) == [.malformed])
        await setup.server.stop()
    }

    /// A server's greeting may be there before the terminal's own task goes on: the connection is good all the same.
    @Test func greetingsThatComeEarly() async throws {
        let setup = try await Setup([GateReader()])
        // Tasks that are kept from the processor make the loops run ahead of them.
        let isOver = Atomic(false)
        for _ in 0..<8 {
            Thread.detachNewThread { while !isOver.load(ordering: .relaxed) {} }
        }
        defer { isOver.store(true, ordering: .relaxed) }
        for _ in 0..<400 {
            let terminal = try setup.terminal()
            #expect(await failure { try await terminal.connect() } == nil)
            await terminal.close()
        }
        await setup.server.stop()
    }

    /// Terminals that give up at every moment of their connection: nothing is left of them at the server.
    @Test(arguments: [false, true]) func givenUpAtEveryMoment(tls: Bool) async throws {
        let setup = try await Setup([GateReader()], tls: tls)
        for round in 0..<200 {
            let terminal = try setup.terminal()
            let task = Task { await failure { try await terminal.connect() } }
            for _ in 0..<round { await Task.yield() }
            task.cancel()
            _ = await task.value
            await terminal.close()
        }
        let server = setup.server
        #expect(await setup.events.happened { _ in server.connectionCount == 0 })
        await setup.server.stop()
    }

    /// Servers that stop while connections come in.
    @Test(arguments: [false, true]) func serversUnderAStorm(tls: Bool) async throws {
        var random = SplitMix(seed: 0x57014)
        for round in 0..<100 {
            let setup = try await Setup([GateReader()], tls: tls)
            let wanted = Int.random(in: 1...60, using: &random)
            let left = try await ConnectStorm.run(
                port: Int(setup.port), first: tls ? [0x16, 0x03, 0x01] : Array(RawPeer.hello().prefix(round))
            ) { storm in
                await storm.connected(wanted)
                await setup.server.stop()
            }
            #expect(left == 0, "round \(round)")
            #expect(setup.server.connectionCount == 0)
        }
    }
}

extension ReaderServer.Event {
    var isFarewell: Bool { if case .disconnected = self { true } else { false } }
}
