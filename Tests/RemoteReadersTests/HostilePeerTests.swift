import CardReaders
import NIOCore
import NIOPosix
import NIOSSL
import RemoteReaders
import SmartCard
import Testing
import TestSupport
import TestTools

/// Peers that break the protocol: told why, cut off, and nobody else notices.
struct HostilePeerTests {
    static let attach = TerminalMessage.attach(reader: "Gate").encoded(id: 2)
    static let cases: [(String, [[UInt8]], RemoteFault.Code)] = [
        ("an oversized frame", [RawPeer.hello(), [0x00, 0x01, 0x02, 0x01, 0x06]], .malformed),
        ("a huge frame", [[0xFF, 0xFF, 0xFF, 0xFF]], .malformed),
        ("an undersized frame", [[0, 0, 0, 4, 1, 0, 0, 0]], .malformed),
        ("an unknown type", [RawPeer.hello(), [0, 0, 0, 5, 0x55, 0, 0, 0, 2]], .malformed),
        ("a server's message", [RawPeer.hello(), ServerMessage.done.encoded(id: 2)], .malformed),
        ("another protocol", [Array("GET / HTTP/1.1\r\n\r\n".utf8)], .malformed),
        ("a wrong magic", [RawPeer.hello().map { $0 == 0x52 ? 0x53 : $0 }], .malformed),
        ("no hello", [TerminalMessage.attach(reader: "Gate").encoded(id: 1)], .outOfTurn),
        ("two hellos", [RawPeer.hello(), RawPeer.hello(2)], .outOfTurn),
        ("a request number of 0", [RawPeer.hello(0)], .malformed),
        ("a replayed message", [RawPeer.hello(), attach, attach], .malformed),
        ("a replayed session", [RawPeer.hello(), attach, RawPeer.hello(), attach], .malformed),
        ("another version", [RawPeer.hello(versions: 2...9)], .unsupportedVersion),
        ("trailing bytes", [RawPeer.hello(), [0, 0, 0, 6, 0x08, 0, 0, 0, 2, 0]], .malformed),
        ("a field cut short", [RawPeer.hello(), [0, 0, 0, 7, 0x05, 0, 0, 0, 2, 0, 0]], .malformed),
        (
            "a flood of requests",
            [RawPeer.hello(), attach]
                + (3...9).map { TerminalMessage.activate(milliseconds: nil).encoded(id: $0) }, .outOfTurn
        ),
    ]

    @Test(arguments: cases)
    func isToldWhyAndCutOff(what: String, bytes: [[UInt8]], code: RemoteFault.Code) async throws {
        let gate = GateReader(closed: [.activate])
        let setup = try await Setup([gate, GateReader("Bystander")])
        let bystander = try setup.terminal("Bystander")
        let channel = try await bystander.activateCard(deadline: nil)
        let frames = try await RawPeer.say(bytes, port: setup.port)
        #expect(endings(frames) == [code], "\(what): \(frames)")
        #expect(endings(Array(frames.suffix(1))) == [code], "it is the last word")
        #expect(try await channel.transmit([1], timeout: nil).bytes == [1, 0x90, 0x00])
        // What it held is free.
        gate.open(.activate)
        let next = try setup.terminal("Gate")
        _ = try await next.activateCard(deadline: nil)
        await next.close()
        await bystander.close()
        await setup.server.stop()
    }

    /// Requests out of place that hurt nobody: an error, and the line goes on.
    @Test func harmlessMistakesAreAnswered() async throws {
        let setup = try await Setup([GateReader()])
        let requests: [(TerminalMessage, RemoteFault.Code?)] = [
            (.activate(milliseconds: 1), .notAttached),
            (.transmit(activation: 1, milliseconds: nil, command: [1]), .notAttached),
            (.fieldOff, .notAttached),
            (.detach, .notAttached),
            (.attach(reader: "None"), .unknownReader),
            (.attach(reader: "Gate"), nil),
            (.attach(reader: "Gate"), .outOfTurn),
            (.transmit(activation: 0, milliseconds: nil, command: [1]), .cardRemoved),
            (.transmit(activation: 1, milliseconds: nil, command: [1]), .cardRemoved),
            (.watch, nil),
            (.watch, .outOfTurn),
            (.detach, nil),
            (.activate(milliseconds: 1), .notAttached),
        ]
        try await RawPeer.run(port: setup.port) { inbound, outbound in
            var decoder = FrameDecoder<ServerMessage>()
            try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
            _ = try await RawPeer.next(&inbound, &decoder)
            for (index, (request, code)) in requests.enumerated() {
                let id = UInt32(index + 2)
                try await outbound.write(ByteBuffer(bytes: request.encoded(id: id)))
                // A cancellation of nothing is nothing.
                var frame = try await RawPeer.next(&inbound, &decoder)
                while case .message(_, .event) = frame { frame = try await RawPeer.next(&inbound, &decoder) }
                guard case .message(id, let message) = frame else {
                    Issue.record("\(request): \(String(describing: frame))")
                    return
                }
                if let code {
                    guard case .fault(let fault) = message else {
                        Issue.record("\(request): \(message)")
                        continue
                    }
                    #expect(fault.code == code, "\(request)")
                } else {
                    #expect(message == .done, "\(request)")
                }
            }
        }
        await setup.server.stop()
    }

    @Test func pingsAreAnsweredAndAnswersKeepTheirOrder() async throws {
        let gate = GateReader(closed: [.activate])
        let setup = try await Setup([gate])
        try await RawPeer.run(port: setup.port) { inbound, outbound in
            var decoder = FrameDecoder<ServerMessage>()
            func send(_ bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }
            try await send(RawPeer.hello())
            _ = try await RawPeer.next(&inbound, &decoder)
            try await send(HostilePeerTests.attach)
            #expect(try await RawPeer.next(&inbound, &decoder) == .message(id: 2, .done))
            try await send(TerminalMessage.activate(milliseconds: nil).encoded(id: 3))
            try await send(TerminalMessage.fieldOff.encoded(id: 4))
            try await send(TerminalMessage.cancel(request: 4).encoded(id: 5))
            try await send(TerminalMessage.cancel(request: 99).encoded(id: 6))
            try await send(Frame<TerminalMessage>.ping(id: 77).encoded)
            #expect(try await RawPeer.next(&inbound, &decoder) == .pong(id: 77))
            try await send(TerminalMessage.cancel(request: 3).encoded(id: 7))
            let answers = [
                try await RawPeer.next(&inbound, &decoder), try await RawPeer.next(&inbound, &decoder),
            ]
            #expect(
                answers == [
                    .message(id: 3, .fault(RemoteFault(code: .cancelled))),
                    .message(id: 4, .fault(RemoteFault(code: .cancelled))),
                ])
        }
        await setup.server.stop()
    }

    enum Loris: CaseIterable {
        case silentBeforeHello, dripsHello, silentAfterHello, dripsRequest, halfMessage
    }
    @Test(.serialized, arguments: Loris.allCases)
    func slowPeersAreCutOff(kind: Loris) async throws {
        let setup = try await Setup([GateReader()], heartbeat: .milliseconds(100))
        let frames = try await RawPeer.run(port: setup.port) { inbound, outbound in
            let dripped: [UInt8]
            switch kind {
            case .silentBeforeHello: dripped = []
            case .dripsHello: dripped = RawPeer.hello(name: String(repeating: "x", count: 200))
            case .silentAfterHello:
                try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
                dripped = []
            case .dripsRequest:
                try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
                dripped = TerminalMessage.attach(reader: String(repeating: "x", count: 200)).encoded(id: 2)
            case .halfMessage:
                try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
                try await outbound.write(ByteBuffer(bytes: HostilePeerTests.attach.dropLast()))
                dripped = []
            }
            let drip = Task {
                for byte in dripped {
                    try await outbound.write(ByteBuffer(bytes: [byte]))
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            defer { drip.cancel() }
            return try await RawPeer.frames(&inbound)
        }
        #expect(endings(frames) == [.closing])
        await eventually("the connection is gone") { setup.server.connectionCount == 0 }
        await setup.server.stop()
    }

    /// Who never reads is not listened to, so nothing piles up; its silence ends it.
    @Test func aPeerThatNeverReadsIsCutOff() async throws {
        let setup = try await Setup([GateReader()], heartbeat: .milliseconds(200))
        let flood = Frame<TerminalMessage>.ping(id: 1).encoded
        let chunk = ByteBuffer(bytes: Array(repeating: flood, count: 10_000).flatMap { $0 })
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: Int(setup.port)).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: RawPeer.hello()))
        var taken = 0
        // Each write ends when the other side has taken enough. All together are 180 megabytes.
        do {
            while taken < 2000 {
                try await channel.writeAndFlush(chunk)
                taken += 1
            }
        } catch {}
        #expect(taken < 2000, "the server took it all")
        await eventually("it is cut off") { setup.server.connectionCount == 0 }
        #expect(setup.events.farewells.count == 1)
        try? await channel.close()
        await setup.server.stop()
    }

    /// Connections that say nothing push each other out, not a terminal.
    @Test func idleConnectionsLockNobodyOut() async throws {
        let setup = try await Setup([GateReader()], heartbeat: .seconds(30)) { $0.strangerLimit = 3 }
        var idle: [any Channel] = []
        for _ in 0..<10 {
            idle.append(
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: Int(setup.port)).get())
        }
        let terminal = try setup.terminal()
        let channel = try await terminal.activateCard(deadline: nil)
        #expect(try await channel.transmit([1], timeout: nil).bytes == [1, 0x90, 0x00])
        await eventually("the oldest ones are closed") { setup.events.refusals.count >= 7 }
        for each in idle { try? await each.close() }
        await terminal.close()
        await setup.server.stop()
    }

    @Test func tooManyTerminalsAreRefused() async throws {
        let setup = try await Setup([GateReader("A"), GateReader("B")]) { $0.connectionLimit = 1 }
        let first = try setup.terminal("A")
        try await first.connect()
        #expect(unavailable(await failure { try await setup.terminal("B").connect() }) != nil)
        #expect(setup.events.refusals == ["too many connections"])
        await first.close()
        await setup.server.stop()
    }

    /// A hostile server: the terminal is told and does not hang.
    @Test(arguments: [
        ("garbage", [UInt8](repeating: 0xEE, count: 64)),
        ("an answer to nothing", ServerMessage.done.encoded(id: 40)),
        (
            "no heartbeat",
            ServerMessage.welcome(version: 1, heartbeat: 0, name: "", readers: []).encoded(id: 1)
        ),
        (
            "another version",
            ServerMessage.welcome(version: 9, heartbeat: 2000, name: "", readers: []).encoded(id: 1)
        ),
        ("an event nobody asked for", ServerMessage.event(.serviceFound).encoded(id: 1)),
        ("a goodbye", ServerMessage.fault(RemoteFault(code: .notAllowed)).encoded(id: 0)),
    ])
    func aServerThatBreaksTheProtocol(what: String, bytes: [UInt8]) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = RemoteReaderAddress(host: "127.0.0.1", port: UInt16(listener.localAddress!.port!))
        var options = RemoteReader.Options()
        options.connectLimit = .seconds(5)
        let terminal = RemoteReader(address: address, credentials: nil, options: options)
        let error = await failure { _ = try await terminal.activateCard(deadline: nil) }
        #expect(unavailable(error) != nil, "\(what)")
        try await listener.close()
    }
}

/// Who may come, and whom a terminal believes.
struct AuthenticationTests {
    static var certificates: Certificates { .shared }

    /// A TLS client with a free hand; trusts nobody in particular.
    static func client(_ change: (inout TLSConfiguration) -> Void) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        change(&configuration)
        return configuration
    }

    /// What comes back on a line that greets properly.
    static func greet(_ configuration: TLSConfiguration, port: UInt16) async -> [Frame<ServerMessage>] {
        (try? await RawPeer.run(port: port, tls: configuration) { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
            var decoder = FrameDecoder<ServerMessage>()
            return (try await RawPeer.next(&inbound, &decoder)).map { [$0] } ?? []
        }) ?? []
    }

    static func identity(_ directory: CertificateDirectory, _ name: String) throws -> (
        [NIOSSLCertificateSource], NIOSSLPrivateKeySource
    ) {
        (
            try NIOSSLCertificate.fromPEMFile("\(directory.path)/\(name).pem").map { .certificate($0) },
            .privateKey(try NIOSSLPrivateKey(file: "\(directory.path)/\(name).key", format: .pem))
        )
    }

    @Test func onlyCertifiedTerminalsComeIn() async throws {
        let gate = GateReader()
        let setup = try await Setup([gate], tls: true)
        let certificates = Self.certificates
        // The same client with a good certificate gets in: what follows fails for its certificate alone.
        let good = try Self.identity(certificates.own, "terminal")
        let welcome = await Self.greet(
            Self.client {
                $0.certificateChain = good.0
                $0.privateKey = good.1
            }, port: setup.port)
        guard case .message(1, .welcome) = welcome.first else {
            Issue.record("\(welcome)")
            return
        }
        let strange = try Self.identity(certificates.stranger, "terminal")
        let server = try Self.identity(certificates.own, "server")
        let bad: [(String, TLSConfiguration)] = [
            ("none", Self.client { _ in }),
            (
                "another CA's",
                Self.client {
                    $0.certificateChain = strange.0
                    $0.privateKey = strange.1
                }
            ),
            (
                "a server's",
                Self.client {
                    $0.certificateChain = server.0
                    $0.privateKey = server.1
                }
            ),
            (
                "TLS 1.2",
                Self.client {
                    $0.certificateChain = good.0
                    $0.privateKey = good.1
                    $0.maximumTLSVersion = .tlsv12
                }
            ),
        ]
        for (index, (what, configuration)) in bad.enumerated() {
            #expect(await Self.greet(configuration, port: setup.port).isEmpty, "\(what)")
            await eventually("\(what) is refused") { setup.events.refusals.count == index + 1 }
        }
        // Without TLS nobody is understood.
        let plain = try await RawPeer.run(port: setup.port) { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: RawPeer.hello()))
            var bytes: [UInt8] = []
            while let buffer = try? await inbound.next() { bytes += Array(buffer.readableBytesView) }
            return bytes
        }
        #expect(plain.count < 16)
        #expect(gate.log.isEmpty)
        await setup.server.stop()
    }

    @Test func expiredCertificatesAreRefused() async throws {
        let certificates = Self.certificates
        let server = ReaderServer(credentials: try certificates.server("good-server", of: certificates.old))
        try server.offer(.init(GateReader()))
        let port = try await server.start(port: 0)
        let address = RemoteReaderAddress(host: "localhost", port: port)
        let good = RemoteReader(
            address: address, credentials: try certificates.terminal("good-terminal", of: certificates.old))
        try await good.connect()
        await good.close()
        let expired = RemoteReader(
            address: address, credentials: try certificates.terminal("terminal", of: certificates.old))
        #expect(unavailable(await failure { try await expired.connect() }) != nil)
        await server.stop()

        let old = ReaderServer(credentials: try certificates.server("server", of: certificates.old))
        try old.offer(.init(GateReader()))
        let oldPort = try await old.start(port: 0)
        let terminal = RemoteReader(
            address: .init(host: "localhost", port: oldPort),
            credentials: try certificates.terminal("good-terminal", of: certificates.old))
        let error = await failure { _ = try await terminal.activateCard(deadline: nil) }
        #expect(unavailable(error)?.contains("not valid now") == true)
        await old.stop()
    }

    @Test func terminalsBelieveTheirCAAndTheHostOnly() async throws {
        let certificates = Self.certificates
        func reason(
            _ server: TLSCredentials?, _ terminal: TLSCredentials?, host: String = "127.0.0.1"
        ) async throws -> String {
            let offering = ReaderServer(credentials: server)
            try offering.offer(.init(GateReader()))
            let port = try await offering.start(port: 0)
            let reader = RemoteReader(address: .init(host: host, port: port), credentials: terminal)
            let error = await failure { _ = try await reader.activateCard(deadline: nil) }
            await reader.close()
            await offering.stop()
            return error.map { unavailable($0) ?? "\($0)" } ?? "none"
        }
        for host in ["127.0.0.1", "localhost"] {
            #expect(try await reason(certificates.server(), certificates.terminal(), host: host) == "none")
            #expect(
                try await reason(certificates.server("elsewhere"), certificates.terminal(), host: host)
                    .contains("not issued to \(host)"))
        }
        #expect(
            try await reason(certificates.server(of: certificates.stranger), certificates.terminal())
                .contains("not of the CA"))
        // A terminal's certificate makes no server.
        let posing = try TLSCredentials(
            authority: certificates.own.path + "/ca.pem",
            certificate: certificates.own.path + "/terminal.pem",
            key: certificates.own.path + "/terminal.key", role: .server)
        #expect(try await reason(posing, certificates.terminal()).contains("not made for servers"))
        // Its own CA is believed by the terminal, but the server believes another one.
        let mixed = try TLSCredentials(
            authority: certificates.own.path + "/ca.pem",
            certificate: certificates.stranger.path + "/terminal.pem",
            key: certificates.stranger.path + "/terminal.key", role: .terminal)
        #expect(try await reason(certificates.server(), mixed) != "none")
        #expect(try await reason(certificates.server(), nil).contains("does not speak the protocol"))
        #expect(try await reason(nil, certificates.terminal()).contains("does not speak TLS"))
        #expect(try await reason(nil, nil) == "none")
    }

    @Test func aListOfTerminalsIsKept() async throws {
        let gate = GateReader()
        let setup = try await Setup([gate], tls: true) { $0.allowedTerminals = ["till-2"] }
        let stranger = try setup.terminal()
        let error = await failure { _ = try await stranger.activateCard(deadline: nil) }
        #expect(unavailable(error)?.contains("not allowed") == true)
        #expect(gate.log.isEmpty)
        let listed = RemoteReader(
            address: setup.address(), credentials: try Self.certificates.terminal("till-2"))
        _ = try await listed.activateCard(deadline: nil)
        #expect(setup.events.list.contains(.attached(reader: "Gate", terminal: "till-2")))
        await listed.close()
        await setup.server.stop()
    }

    /// The token alone takes no reader over: the certificate must be the same.
    @Test func aStolenTokenIsNotEnough() async throws {
        let setup = try await Setup([GateReader()], tls: true)
        func configuration(_ name: String) throws -> TLSConfiguration {
            let (chain, key) = try Self.identity(Self.certificates.own, name)
            return Self.client {
                $0.certificateChain = chain
                $0.privateKey = key
            }
        }
        let attach = TerminalMessage.attach(reader: "Gate").encoded(id: 2)
        let (own, other) = (try configuration("terminal"), try configuration("till-2"))
        @Sendable func take(_ tls: TLSConfiguration) async throws -> Frame<ServerMessage>? {
            try await RawPeer.run(port: setup.port, tls: tls) { inbound, outbound in
                var decoder = FrameDecoder<ServerMessage>()
                try await outbound.write(ByteBuffer(bytes: RawPeer.hello() + attach))
                _ = try await RawPeer.next(&inbound, &decoder)
                return try await RawPeer.next(&inbound, &decoder)
            }
        }
        try await RawPeer.run(port: setup.port, tls: own) { inbound, outbound in
            var decoder = FrameDecoder<ServerMessage>()
            try await outbound.write(ByteBuffer(bytes: RawPeer.hello() + attach))
            _ = try await RawPeer.next(&inbound, &decoder)
            #expect(try await RawPeer.next(&inbound, &decoder) == .message(id: 2, .done))
            guard case .message(2, .fault(let fault)) = try await take(other) else {
                Issue.record("a stranger took the reader over")
                return
            }
            #expect(fault.code == .busy)
            #expect(try await take(own) == .message(id: 2, .done))
            guard case .message(0, .fault(let farewell)) = try await RawPeer.next(&inbound, &decoder) else {
                Issue.record("the older line was not closed")
                return
            }
            #expect(farewell.code == .closing)
        }
        await setup.server.stop()
    }

    @Test(arguments: ["0.0.0.0", "::"])
    func nothingBeyondLoopbackWithoutCertificates(host: String) async throws {
        let server = ReaderServer(credentials: nil)
        await #expect(throws: RemoteReaderError.unauthenticated(host: host)) {
            try await server.start(host: host, port: 0)
        }
    }

    static let ownAddress = (try? System.enumerateDevices())?.compactMap { $0.address?.ipAddress }
        .first { !$0.hasPrefix("127.") && !$0.contains(":") }

    @Test(.needs(Requirement("the machine has no IPv4 address but loopback", isMet: ownAddress != nil)))
    func noTerminalGoesBeyondLoopbackWithoutCertificates() async throws {
        let own = try #require(Self.ownAddress)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: own, port: 0).get()
        let reader = RemoteReader(
            address: .init(host: own, port: UInt16(listener.localAddress!.port!)), credentials: nil)
        let error = await failure { _ = try await reader.activateCard(deadline: nil) }
        #expect(unavailable(error)?.contains("certificates only") == true)
        try await listener.close()
    }
}
