import NIOCore
import NIOPosix
import Networking
import CardReaders
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

    /// A server that greets and then asks for signs of life by the thousand: few are given, and the line ends.
    @Test func aServerThatFloodsATerminal() async throws {
        let welcome = ServerMessage.welcome(
            version: 1, heartbeat: 60_000, name: "flood",
            readers: [
                OfferedReader(name: "Gate", kind: .emulated, vendor: nil, serialNumber: nil, isBusy: false)
            ])
        let pings = Self.repeated(Frame<ServerMessage>.ping(id: 7).encoded, 5000)
        let server = try await ConnectionServer<ByteBuffer, ByteBuffer>.bind(
            ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton), host: "127.0.0.1", port: 0,
            limit: 1,
            initializer: { _ in })
        let pongs = Observed<Int?>(nil)
        let serving = Task {
            try await server.run { connection in
                var decoder = FrameDecoder<TerminalMessage>()
                var count = 0
                try? await connection.executeThenClose { inbound, outbound in
                    try await outbound.write(ByteBuffer(bytes: welcome.encoded(id: 1)))
                    try await outbound.write(pings)
                    for try await bytes in inbound {
                        decoder.append(bytes.readableBytesView)
                        while let frame = try decoder.next() { if case .pong = frame { count += 1 } }
                    }
                }
                pongs.update { [count] in $0 = count }
            }
        }
        let address = RemoteReaderAddress(host: "127.0.0.1", port: UInt16(server.port ?? 0), reader: nil)
        var options = RemoteReader.Options()
        options.connectLimit = .seconds(60)
        let terminal = RemoteReader(address: address, credentials: nil, options: options)
        let reason = unavailable(await failure { try await terminal.connect() })
        #expect(reason?.contains("ping at byte") == true, "\(reason ?? "")")
        #expect(await pongs.wait { $0 != nil })
        #expect((pongs.value ?? .max) <= Wire.pingLimit)
        serving.cancel()
        _ = await serving.result
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
        await eventually("it is cut off") { setup.events.farewells.count == 1 }
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
        // More at once than there are processors, so that tasks wait for one while the loops go on.
        let failures = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    var failures = 0
                    for _ in 0..<25 {
                        let listed = await failure {
                            _ = try await RemoteReaders.list(setup.address(), credentials: nil)
                        }
                        if listed != nil { failures += 1 }
                    }
                    return failures
                }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
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
        await eventually("nobody is left") { setup.server.connectionCount == 0 }
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
