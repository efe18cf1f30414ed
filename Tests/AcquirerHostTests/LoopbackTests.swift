import AcquirerHost
import Acquiring
import AcquirerSimulator
import EMV
import ISO8583
import Issuing
import NIOCore
import NIOPosix
import Networking
import Synchronization
import TestTools
import Testing

@testable import ISO8583Backend

/// Terminal and host in one process, over real sockets.
@Suite struct LoopbackTests {
    func withHost(
        _ interface: HostInterface, troubles: [String] = [], settings: LinkSettings = .quick(),
        log: LinkLog = LinkLog(), _ body: (TestHost, ISO8583Acquirer) async throws -> Void
    ) async throws {
        let host = try await TestHost(interface, troubles: troubles)
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: settings, log: log.note)
        do {
            try await body(host, acquirer)
        } catch {
            await acquirer.close()
            await host.stop()
            throw error
        }
        await acquirer.close()
        await host.stop()
    }

    @Test(arguments: [
        ("generic-bcd", "2-byte tpdu"), ("generic-ascii", "ascii-4"), ("generic-ebcdic", "4-byte"),
        ("generic-93-ascii", "2-byte +self"), ("generic-93-bcd", "bcd"), ("jpos-87a", "ascii-4 header 12"),
        ("jpos-87b", "2-byte"), ("jpos-93a", "2-byte"), ("jpos-93b", "4-byte tpdu"),
        ("pyiso8583-default", "2-byte"),
    ]) func wholeDay(dialect: String, framing: String) async throws {
        let interface = try HostInterface.named(dialect, framing)
        try await withHost(interface) { host, acquirer in
            let response = try await acquirer.authorize(Payment(stan: 1).request)
            #expect(response.isApproved)
            #expect(response.authorizationCode?.utf8.count == 6)
            #expect(response.issuerAuthenticationData?.count == 10)
            #expect(response.message == "APPROVED")
            #expect(response.availableBalance?.currency == euro)
            // Another card number, and the real reason stays with the host.
            #expect(
                await Ending.of(acquirer, Payment(number: "4761739001010143", stan: 2).request)
                    == .declined(interface.dialect.version == .v1993 ? "101" : "54"))
            // Cancelled, then taken back twice: once is booked.
            #expect(await Ending.of(acquirer, Payment(amount: 700, stan: 3).request) == .approved)
            var reversal = Payment(amount: 700, stan: 3).reversal
            try await acquirer.reverse(reversal)
            reversal.transmission = 2
            try await acquirer.reverse(reversal)
            // A reversal of what never came is acknowledged, too.
            try await acquirer.reverse(Payment(stan: 9).reversal)
            // Offline approval, tip, and the batch.
            try await acquirer.advise(Payment(amount: 400, stan: 4).request, offline: .approved)
            let first = Payment(stan: 1).request
            try await acquirer.adjust(
                AdjustmentRequest(
                    kind: .tip, transactionID: first.transactionID, terminalID: first.terminalID,
                    merchantID: first.merchantID, stan: 1, retrievalReference: first.retrievalReference,
                    authorizationCode: response.authorizationCode, approvedAmount: first.amount,
                    amount: Amount(minorUnits: 1700)!, currency: euro, revision: 1, original: first))
            guard interface.dialect[88] != nil else { return }
            func batch(_ total: UInt64) -> ReconciliationRequest {
                ReconciliationRequest(
                    terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "00000000001",
                    batch: 1,
                    stan: 50, currency: euro, totals: BatchTotals(debits: 2, debitAmount: total),
                    isAfterUpload: false, date: first.date, hhmmss: 230_000)
            }
            #expect(
                try await acquirer.reconcile(batch(2000))
                    == .outOfBalance(BatchTotals(debits: 2, debitAmount: 2100)))
            #expect(try await acquirer.reconcile(batch(2100)) == .balanced)
            let counters = await acquirer.counters
            #expect(counters.connections == 1 && counters.unreadable == 0 && counters.unsolicited == 0)
            #expect(host.log.allSatisfy { $0.card.map { $0.contains("******") } ?? true })
        }
    }

    /// Each trouble on the line, what the terminal makes of it, and whether the host has booked the payment.
    static let troubles: [(String, Ending, Bool)] = [
        ("always: decline 51 x1", .declined("51"), false), ("always: silence x1", .timeout, true),
        ("always: lost x1", .timeout, false), ("always: garbage x1", .malformed, true),
        ("always: late 300ms x1", .approved, true), ("always: late 6s x1", .timeout, true),
        ("always: overtaken 6s x1", .timeout, false), ("always: duplicate x1", .approved, true),
        ("always: unreachable x1", .lost, false), ("always: cut x1", .lost, true),
        ("always: cut before x1", .lost, false), ("always: wrong-arpc x1", .approved, true),
        ("always: wrong-mac x1", .malformed, true),
        ("card 4761739001010119: decline 05 x1", .declined("05"), false),
        ("amount 1500: decline 61 x1", .declined("61"), false),
        ("during 0s-3600s: decline 91 x1", .declined("91"), false),
    ]
    @Test(arguments: troubles) func trouble(rule: String, ending: Ending, isBooked: Bool) async throws {
        let interface = try HostInterface.named(
            "generic-bcd", "2-byte tpdu",
            mac: try MessageMAC(.retail, key: bytes("0123456789ABCDEFFEDCBA9876543210")))
        let log = LinkLog()
        try await withHost(interface, troubles: [rule], settings: .quick(answer: .seconds(2)), log: log) {
            host, acquirer in
            await acquirer.start()
            #expect(await log.told("connected to"))
            let id = "TERM0001/632500000001/000001"
            #expect(await Ending.of(acquirer, Payment().request) == ending)
            let record = await host.simulator.issuer.state.transactions[id]
            #expect((record?.answer?.code == .approved) == isBooked)
            // The connection recovers, and the terminal takes back what it does not know.
            #expect(await Ending.of(acquirer, Payment(stan: 2).request) == .approved)
            if ending == .timeout || ending == .lost || ending == .malformed {
                try await acquirer.reverse(Payment().reversal)
                let after = await host.simulator.issuer.state.transactions[id]
                #expect(after?.status != .approved)
            }
            let counters = await acquirer.counters
            switch rule.split(separator: " ")[1] {
            case "duplicate": #expect(counters.unsolicited == 1)
            case "garbage": #expect(counters.unreadable == 1)
            case "wrong-mac": #expect(counters.wrongMACs == 1)
            case "cut", "unreachable": #expect(counters.lostConnections == 1 && counters.connections == 2)
            default: break
            }
        }
    }

    @Test func lateAnswersAreTold() async throws {
        let interface = try HostInterface.named("generic-ascii")
        let log = LinkLog()
        try await withHost(
            interface, troubles: ["always: late 5s x1"], settings: .quick(answer: .seconds(2)), log: log
        ) { _, acquirer in
            await acquirer.start()
            #expect(await log.told("connected to"))
            #expect(await Ending.of(acquirer, Payment().request) == .timeout)
            let stream = await acquirer.answersOutOfTime()
            var found: LateAnswer?
            for await late in stream {
                found = late
                break
            }
            #expect(found?.transactionID == "TERM0001-1")
            #expect(found?.response.isApproved == true)
            #expect(await acquirer.counters.lateAnswers == 1)
        }
    }

    @Test func manyAtOnceFindTheirAnswers() async throws {
        let interface = try HostInterface.named("generic-bcd")
        // Answers overtake each other.
        try await withHost(
            interface, troubles: ["every 7: late 100ms", "amount 101: decline 51", "amount 102: decline 61"],
            settings: .quick(answer: .seconds(20))
        ) {
            host, acquirer in
            let endings = await withTaskGroup(of: (Int, Ending).self) { group in
                for terminal in 0..<201 {
                    group.addTask {
                        // The same trace number at each terminal; amounts tell whose answer came back.
                        var request = Payment(amount: 101 + UInt64(terminal % 3), stan: 1).request
                        request.terminalID = "T\(1_000_000 + terminal)"
                        return (terminal % 3, await Ending.of(acquirer, request))
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(endings.count == 201)
            for (kind, ending) in endings {
                // The issuer refuses the third kind: the counter of one card comes again and again.
                let expected: [Ending] =
                    switch kind {
                    case 0: [.declined("51"), .approved, .declined("63")]
                    case 1: [.declined("61"), .approved, .declined("63")]
                    default: [.approved, .declined("63")]
                    }
                #expect(expected.contains(ending))
            }
            #expect(endings.count { $0.1 == .declined("51") } > 50)
            #expect(endings.count { $0.1 == .declined("61") } > 50)
            #expect(await acquirer.counters.connections == 1)
            #expect(host.log.filter { $0.kind == .message && $0.type == "0200" }.count == 201)
        }
    }

    @Test func theSameMessageTwiceIsNotSent() async throws {
        let interface = try HostInterface.named("generic-bcd")
        try await withHost(interface, troubles: ["always: late 300ms"]) { _, acquirer in
            async let first = Ending.of(acquirer, Payment().request)
            async let second = Ending.of(acquirer, Payment().request)
            #expect(await Set([first, second].map { "\($0)" }) == ["approved", "unreachable"])
        }
    }

    // MARK: Other hosts

    @Test func anotherHostTakesOver() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let first = try await TestHost(interface)
        let second = try await TestHost(interface)
        var settings = LinkSettings.quick(answer: .seconds(5))
        settings.returnInterval = .milliseconds(300)
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [first.endpoint, second.endpoint], settings: settings,
            log: log.note)
        #expect(await Ending.of(acquirer, Payment(stan: 1).request) == .approved)
        await first.stop()
        #expect(await log.told("connection lost"))
        #expect(await Ending.of(acquirer, Payment(stan: 2).request) == .approved)
        #expect(second.log.contains { $0.stan == "000002" && $0.type == "0200" })
        // The first comes back, and is taken again once it is quiet.
        let again = try await TestHost(interface, port: first.endpoint.port)
        #expect(await again.logged { log in log.contains { $0.type == "0800" } })
        #expect(await Ending.of(acquirer, Payment(stan: 3).request) == .approved)
        #expect(again.log.contains { $0.stan == "000003" })
        await acquirer.close()
        await second.stop()
        await again.stop()
    }

    @Test func nobodyThere() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface)
        await host.stop()
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(), log: log.note)
        do throws(AcquirerError) {
            _ = try await acquirer.authorize(Payment().request)
            Issue.record("an answer from nobody")
        } catch {
            #expect("\(error)".contains("refused"))
            #expect(!error.isOutcomeUnknown)
        }
        // It is called again and again, until it is there.
        let again = try await TestHost(interface, port: host.endpoint.port)
        #expect(await log.told("connected to"))
        #expect(await Ending.of(acquirer, Payment().request) == .approved)
        await acquirer.close()
        #expect(await Ending.of(acquirer, Payment(stan: 2).request) == .unreachable)
        await again.stop()
    }

    /// A host that answers with what the test says, or not at all.
    actor RawHost {
        enum Manner: Sendable {
            case neverReads
            case sends([UInt8])
            /// Sends it without end and reads nothing.
            case floods([UInt8])
            case closes, echoes
        }
        nonisolated let port: Int
        private let task: Task<Void, any Error>

        init(_ manner: Manner) async throws {
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelOption(.socketOption(.so_rcvbuf), value: 4096)
                .childChannelOption(
                    .autoRead,
                    value: {
                        switch manner {
                        case .neverReads, .floods: false
                        default: true
                        }
                    }()
                )
            let server = try await ConnectionServer<ByteBuffer, ByteBuffer>.bind(
                bootstrap, host: "127.0.0.1", port: 0, limit: .max, initializer: { _ in })
            port = server.port ?? 0
            task = Task {
                try await server.run { connection in
                    try? await connection.executeThenClose { inbound, outbound in
                        switch manner {
                        case .neverReads: await Observed(false).waitForever { $0 }
                        case .closes: break
                        case .sends(let bytes):
                            try await outbound.write(ByteBuffer(bytes: bytes))
                            for try await _ in inbound {}
                        case .floods(let bytes):
                            // Until the terminal takes no more or hangs up.
                            while true { try await outbound.write(ByteBuffer(bytes: bytes)) }
                        case .echoes:
                            for try await buffer in inbound { try await outbound.write(buffer) }
                        }
                    }
                }
            }
        }
        func stop() async {
            task.cancel()
            _ = await task.result
        }
    }

    @Test(arguments: ["close", "text", "length", "echo"]) func hostsThatTalkNonsense(kind: String)
        async throws
    {
        let interface = try HostInterface.named("generic-bcd")
        let manner: RawHost.Manner =
            switch kind {
            case "close": .closes
            case "text": .sends(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            case "length": .sends([0xFF, 0xFF] + Array(repeating: 0, count: 100))
            default: .echoes
            }
        let host = try await RawHost(manner)
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
            settings: .quick(answer: .seconds(kind == "echo" ? 3 : 60)), log: log.note)
        // Nothing was signed on, so nothing left.
        #expect(await Ending.of(acquirer, Payment().request) == (kind == "close" ? .unreachable : .notReady))
        #expect(
            await log.told(
                kind == "echo" ? "our own 0800" : "not signed on"))
        await acquirer.close()
        await host.stop()
    }

    /// More than the sockets hold is waiting: what did not leave is told apart from what did.
    @Test func hostThatNeverReads() async throws {
        let host = try await RawHost(.neverReads)
        // Messages of 23 kB: a thousand of them no socket holds.
        let fields = (105...127).map { "      \($0): { positions: [\"=x 998\", \"purpose 1\"] }\n" }.joined()
        let file = try AcquirerFile(
            text: """
                hosts: ["127.0.0.1:\(host.port)"]
                connection: { answer-timeout: 10s, echo-timeout: 30s, sign-on: false }
                messages:
                  dialect: generic-bcd
                  additional-data:
                    other:

                """ + fields, source: "never-reads.yaml")
        let acquirer = file.backend()
        let endings = await withTaskGroup(of: Ending.self) { group in
            let request = Payment().request
            for terminal in 0..<1000 {
                var request = request
                request.terminalID = "T\(1_000_000 + terminal)"
                group.addTask { [request] in await Ending.of(acquirer, request) }
            }
            return await group.reduce(into: [String: Int]()) { $0["\($1)", default: 0] += 1 }
        }
        #expect(endings.keys.allSatisfy { ["timeout", "unreachable"].contains($0) })
        #expect(endings["timeout", default: 0] > 0)
        #expect(endings["unreachable", default: 0] > 0)
        await acquirer.close()
        await host.stop()
    }

    /// A host that asks without end whether we are there, and takes no answers: what waits for it is bounded, and a
    /// payment fails in its time.
    @Test func hostThatFloods() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let echo = try interface.framed(
            MessageBuilder(interface).management(.echo, stan: 1, now: "1120223015"))
        let host = try await RawHost(.floods(Array(repeating: echo, count: 200).flatMap { $0 }))
        var settings = LinkSettings.quick(answer: .seconds(2))
        settings.signsOn = false
        let link = HostLink(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)], security: nil,
            settings: settings, log: { _ in })
        await link.start()
        let request = MessageBuilder(interface).authorization(Payment().request)
        await #expect(throws: AcquirerError.self) { _ = try await link.exchange(request) }
        #expect(await link.counters.unsolicited > HostLink.replyLimit)
        #expect(await link.waitingReplies <= HostLink.replyLimit)
        await link.close()
        await host.stop()
    }

    @Test func theHostIsAskedWhetherItIsThere() async throws {
        let interface = try HostInterface.named("generic-bcd")
        var settings = LinkSettings.quick()
        settings.echoInterval = .milliseconds(100)
        try await withHost(interface, settings: settings) { host, acquirer in
            await acquirer.start()
            #expect(await host.logged { log in log.count { $0.type == "0800" } >= 4 })
            #expect(await acquirer.counters.failedEchoes == 0)
        }
        // One that signs on and then says nothing is given up.
        let silent = try await RawHost(.neverReads)
        settings.signsOn = false
        settings.echoTimeout = .milliseconds(100)
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: silent.port)],
            settings: settings, log: log.note)
        await acquirer.start()
        #expect(await log.told("does not answer an echo test", times: 2))
        #expect(await acquirer.counters.failedEchoes >= 2)
        #expect(await acquirer.counters.lostConnections >= 1)
        await acquirer.close()
        await silent.stop()
    }

    // MARK: Bad terminals

    /// Whatever a terminal sends, the host goes on serving others.
    @Test func terminalsThatTalkNonsense() async throws {
        let interface = try HostInterface.named("generic-bcd")
        try await withHost(interface) { host, acquirer in
            var random = SplitMix(seed: 0x10AD)
            let good = try interface.framing.frame(
                try interface.dialect.pack(MessageBuilder(interface).authorization(Payment(stan: 5).request)))
            for round in 0..<60 {
                var content = good
                switch round % 4 {
                case 0:
                    content = (0..<Int.random(in: 1...300, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                case 1: content[Int.random(in: 2..<content.count, using: &random)] ^= 0xFF
                case 2: content = Array(content.prefix(Int.random(in: 1..<content.count, using: &random)))
                default: content = [0, 4] + Array(content[2..<6])
                }
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: host.endpoint.port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                        }
                    }
                try? await channel.executeThenClose { _, outbound in
                    try await outbound.write(ByteBuffer(bytes: content))
                }
            }
            #expect(await Ending.of(acquirer, Payment(stan: 200).request) == .approved)
            #expect(await host.logged { log in log.count { $0.kind == .disconnected } >= 60 })
            #expect(await host.service.counters.unreadable > 0)
        }
    }

    @Test func wrongMACsAreRefused() async throws {
        let right = try MessageMAC(.aesCMAC, key: bytes("000102030405060708090A0B0C0D0E0F"))
        let wrong = try MessageMAC(.aesCMAC, key: bytes("000102030405060708090A0B0C0D0E0E"))
        let host = try await TestHost(try .named("generic-ascii", mac: right))
        var settings = LinkSettings.quick()
        settings.signsOn = false
        let acquirer = ISO8583Acquirer(
            interface: try .named("generic-ascii", mac: wrong), endpoints: [host.endpoint], settings: settings
        )
        // The host's refusal has a code that this terminal cannot check either.
        #expect(await Ending.of(acquirer, Payment().request) == .malformed)
        #expect(await host.service.counters.wrongMACs == 1)
        #expect(await host.simulator.issuer.state.transactions.isEmpty)
        await acquirer.close()
        await host.stop()
    }
}

/// Certificates and names on both sides.
@Suite struct TLSTests {
    @Test func certificatesAreChecked() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        func path(_ name: String) -> String { certificates.path(name) }
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(
            interface,
            security: TransportSecurity(
                trust: path("ca.pem"), certificate: path("host.pem"), key: path("host-key.pem")))
        func ending(_ security: TransportSecurity?) async -> (Ending, String) {
            let acquirer = ISO8583Acquirer(
                interface: interface, endpoints: [host.endpoint], security: security,
                settings: .quick(answer: .seconds(5)))
            defer { Task { await acquirer.close() } }
            do throws(AcquirerError) {
                let response = try await acquirer.authorize(Payment().request)
                return (response.isApproved ? .approved : .declined(response.responseCode), "")
            } catch {
                return (Ending.of(error), "\(error)")
            }
        }
        var good = TransportSecurity(
            trust: path("ca.pem"), certificate: path("terminal.pem"), key: path("terminal-key.pem"))
        // By address, and by name.
        #expect(await ending(good).0 == .approved)
        good.serverName = "host.test"
        #expect(await ending(good).0 == .approved)
        var wrongName = good
        wrongName.serverName = "other.test"
        let name = await ending(wrongName)
        #expect(name.0 == .unreachable)
        #expect(name.1.contains("not for other.test") || name.1.contains("certificate"))
        var wrongAuthority = good
        wrongAuthority.trust = path("other-ca.pem")
        let authority = await ending(wrongAuthority)
        #expect(authority.0 == .unreachable)
        #expect(authority.1.contains("certificate"))
        var stranger = good
        stranger.certificate = path("stranger.pem")
        stranger.key = path("stranger-key.pem")
        #expect(await ending(stranger).0 == .unreachable)
        var nobody = good
        nobody.certificate = nil
        nobody.key = nil
        #expect(await ending(nobody).0 == .unreachable)
        // A host that speaks TLS says something, which is no message.
        #expect([.unreachable, .notReady].contains(await ending(nil).0))
        // All that did not reach the books.
        #expect(await host.simulator.issuer.state.transactions.count == 1)
        #expect(await ending(good).0 != .unreachable)
        await host.stop()
    }

    @Test func filesThatDoNotFit() throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let mixed = TransportSecurity(
            certificate: certificates.path("host.pem"), key: certificates.path("terminal-key.pem"))
        #expect(throws: TransportSecurityError.self) { try mixed.serverContext() }
        #expect(throws: TransportSecurityError.self) { try TransportSecurity().serverContext() }
        let swapped = TransportSecurity(
            certificate: certificates.path("host-key.pem"), key: certificates.path("host-key.pem"))
        #expect(throws: TransportSecurityError.self) { try swapped.clientContext() }
    }
}

/// The same script for listeners that serve a backend.
@Suite struct ScriptedBackendTests {
    @Test(arguments: [
        ("always: decline 51 x1", Ending.declined("51"), false), ("always: silence x1", .timeout, true),
        ("always: lost x1", .timeout, false), ("always: garbage x1", .malformed, true),
        ("always: late 10ms x1", .approved, true), ("always: overtaken 10ms x1", .approved, true),
        ("always: duplicate x1", .approved, true), ("always: unreachable x1", .lost, false),
        ("always: cut x1", .lost, true), ("always: cut before x1", .lost, false),
        ("always: wrong-arpc x1", .approved, true), ("always: wrong-mac x1", .malformed, true),
    ]) func troubles(rule: String, ending: Ending, isBooked: Bool) async throws {
        let simulator = SimulatedAcquirer()
        let service = HostService(
            acquirer: simulator, troubles: TroubleScript(rules: [try TroubleRule(rule)]))
        let backend = ScriptedBackend(service, peer: "test")
        #expect(await Ending.of(backend, Payment().request) == ending)
        let record = await simulator.issuer.state.transactions["TERM0001-1"]
        #expect((record?.answer?.code == .approved) == isBooked)
        try await backend.reverse(Payment().reversal)
        #expect(await Ending.of(backend, Payment(stan: 2).request) == .approved)
        #expect(await service.counters.troubles == 1)
    }
}
