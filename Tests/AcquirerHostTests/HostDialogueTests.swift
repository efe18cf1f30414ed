import AcquirerHost
import Acquiring
import Cards
import EMV
import EMVCryptography
import ISO8583
import ISO8583Dialects
import Issuing
import Journal
import NIOCore
import NIOPosix
import Networking
import CardReaders
import Terminal
import TestTools
import Testing

@testable import ISO8583Backend

/// A host that answers each message with what the test makes of it.
actor ReplyingHost {
    nonisolated let port: Int
    private let task: Task<Void, any Error>
    nonisolated let heard = Observed<[Message]>([])

    /// - Parameter reply: messages that go out for one that came in, before they are framed.
    init(_ interface: HostInterface, _ reply: @escaping @Sendable (Message) -> [[UInt8]]) async throws {
        let server = try await ConnectionServer<ByteBuffer, ByteBuffer>.bind(
            ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton), host: "127.0.0.1", port: 0,
            limit: .max,
            initializer: { _ in })
        port = server.port ?? 0
        let heard = heard
        task = Task {
            try await server.run { connection in
                try? await connection.executeThenClose { inbound, outbound in
                    var reader = FrameReader(interface.framing)
                    for try await buffer in inbound {
                        reader.append(buffer.readableBytesView)
                        while let content = try reader.next() {
                            let message = try interface.dialect.unpack(
                                content, from: interface.framing.header.count)
                            heard.update { $0.append(message) }
                            for answer in reply(message) {
                                try await outbound.write(ByteBuffer(bytes: interface.framing.frame(answer)))
                            }
                        }
                    }
                }
            }
        }
    }
    func stop() async {
        task.cancel()
        _ = await task.result
    }

    /// An approval of anything.
    static func approval(
        _ interface: HostInterface, _ request: Message, _ change: (inout Message) -> Void = { _ in }
    ) -> [[UInt8]] {
        var answer = AnswerBuilder(interface).answer(to: request, code: "00")
        if request.type.rawValue >> 8 & 0x0F != 8 {
            answer.set(38, "123456")
            change(&answer)
        }
        return (try? interface.dialect.pack(answer)).map { [$0] } ?? []
    }
}

@Suite struct TraceNumberTests {
    /// Sign-on, payments and settlement of a terminal take their numbers from one counter (ISO 8583 field 11).
    @Test func oneCounter() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface)
        let journal = try Journal.inMemory()
        let profile = try TerminalProfile.builtIn()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(120)))
        acquirer.takeTraceNumbers { [journal] in
            try? await journal.drawTraceNumber(terminal: profile.terminalID)
        }
        for id in ["visa-credit", "mc-credit"] {
            let field = EmulatedReader()
            field.present(try EmulatedCard(profile: try CardLibrary.profile(id)))
            let session = TerminalSession(
                profile: profile, reader: field, backend: acquirer, journal: journal,
                environment: TerminalEnvironment(
                    pinPad: try .software(key: TestPIN.key()) { _ in PIN(TestPIN.pin) }))
            #expect(
                try await session.pay(PaymentRequest(amount: Amount(minorUnits: 1250)!, type: .purchase))
                    .response?
                    .isApproved == true)
        }
        await acquirer.close()
        await host.stop()
        let requests = host.log.filter { $0.kind == .message }
        #expect(requests.map(\.type) == ["0800", "0200", "0200"])
        // The first payment has drawn its number before its message makes the terminal sign on.
        #expect(requests.map(\.stan) == ["000002", "000001", "000003"])
        let verification = try await journal.verify()
        #expect(verification.problems == [])
    }

    /// The journal's counter, over its end.
    @Test func journalCounts() async throws {
        let journal = try Journal.inMemory()
        #expect(try await journal.drawTraceNumber(terminal: "TERM0001") == 1)
        #expect(try await journal.drawTraceNumber(terminal: "TERM0001") == 2)
        #expect(try await journal.drawTraceNumber(terminal: "TERM0002") == 1)
        await #expect(throws: JournalError.self) { try await journal.drawTraceNumber(terminal: "") }
    }

    /// Without a journal a link's own numbers come from the other end.
    @Test func ownNumbers() async {
        let numbers = TraceNumbers()
        #expect(await numbers.next() == 999_999)
        #expect(await numbers.next() == 999_998)
        numbers.take { 7 }
        #expect(await numbers.next() == 7)
        numbers.take { nil }
        #expect(await numbers.next() == 999_997)
        numbers.take { 1_000_000 }
        #expect(await numbers.next() == 999_996)
    }
}

/// What a failed payment says is what happened.
@Suite struct CauseTests {
    private func failure(
        _ interface: HostInterface, _ reply: @escaping @Sendable (Message) -> [[UInt8]]
    ) async throws -> AcquirerError? {
        let host = try await ReplyingHost(interface, reply)
        var settings = LinkSettings.quick(answer: .seconds(20))
        settings.signsOn = false
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
            settings: settings,
            log: log.note)
        await acquirer.start()
        #expect(await log.told("connected to"))
        var failure: AcquirerError?
        do throws(AcquirerError) { _ = try await acquirer.authorize(Payment().request) } catch {
            failure = error
        }
        await acquirer.close()
        await host.stop()
        return failure
    }

    /// What a payment is told that cannot leave, as the sign-on came to nothing.
    @Test(arguments: [
        ("garbage", "cannot be read", "not signed on"),
        ("another number", "field 11 000999", "field 11 000999"),
        ("refused", "sign-on was refused with 91", "not signed on"),
    ]) func signOn(kind: String, says: String, logged: String) async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await ReplyingHost(interface) { message in
            var answer = AnswerBuilder(interface).answer(to: message, code: kind == "refused" ? "91" : "00")
            switch kind {
            case "garbage": return [[0x08, 0x10, 0x82, 0x20]]
            case "another number": answer.set(11, "000999")
            default: break
            }
            return (try? interface.dialect.pack(answer)).map { [$0] } ?? []
        }
        let log = LinkLog()
        let link = HostLink(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)], security: nil,
            settings: .quick(answer: .seconds(120)), log: log.note)
        await link.start()
        #expect(await log.told(logged))
        let error = await link.lastError
        let text = "\(error)"
        #expect(!text.contains("cannot be reached") && text.contains("sign-on"), "\(text)")
        #expect(text.contains(says), "\(text)")
        #expect(!error.isOutcomeUnknown)
        await link.close()
        await host.stop()
    }

    /// After the request has left, its outcome is unknown; that something else came is told.
    @Test(arguments: [("garbage", "bytes"), ("another number", "field 11 000999"), ("nothing", "in time")])
    func response(kind: String, says: String) async throws {
        let interface = try HostInterface.named("generic-bcd")
        let error = try await failure(interface) { message in
            switch kind {
            case "garbage": return [[0x02, 0x10, 0x72]]
            case "another number":
                return ReplyingHost.approval(interface, message) { $0.set(11, "000999") }
            default: return []
            }
        }
        let text = try #require(error.map { "\($0)" })
        #expect(text.contains(says), "\(text)")
        #expect(error?.isOutcomeUnknown == true)
        #expect((error == .timeout) == (kind == "nothing"))
    }

    @Test func logsOfAFlood() {
        var limit = LogLimit()
        let start = ContinuousClock().now
        let first = (0..<50).map { limit.line(at: start + .milliseconds($0)) }
        #expect(first.count { $0 == .line } == 10)
        #expect(first.count { $0 == .nothing } == 40)
        #expect(limit.line(at: start + .seconds(61)) == .lineAfter(40))
        #expect(limit.line(at: start + .seconds(62)) == .line)
        #expect(limit.line(at: start + .seconds(200)) == .line)
    }
}

@Suite struct MatchingTests {
    private func ending(
        _ interface: HostInterface, waits: Duration = .seconds(120),
        _ change: @escaping @Sendable (inout Message) -> Void
    ) async throws -> (Ending, [Message]) {
        let host = try await ReplyingHost(interface) { ReplyingHost.approval(interface, $0, change) }
        var settings = LinkSettings.quick(answer: waits)
        settings.signsOn = false
        let log = LinkLog()
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
            settings: settings,
            log: log.note)
        await acquirer.start()
        #expect(await log.told("connected to"))
        let ending = await Ending.of(acquirer, Payment().request)
        await acquirer.close()
        await host.stop()
        return (ending, host.heard.value)
    }

    /// A response without field 41, or without 11, belongs to the only request that it can belong to.
    @Test(arguments: [
        ([41], Ending.approved), ([11], .approved), ([37], .approved), ([11, 41], .malformed),
    ]) func fieldsThatAreMissing(removed: [Int], expected: Ending) async throws {
        let interface = try HostInterface.named("generic-bcd")
        let (ending, _) = try await ending(interface, waits: .seconds(expected == .malformed ? 20 : 120)) {
            for field in removed { $0.remove(field) }
        }
        #expect(ending == expected)
    }

    /// A sign-on that names no terminal, and a host that adds one to its answer.
    @Test func fieldsThatAreAdded() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await ReplyingHost(interface) { message in
            var answer = AnswerBuilder(interface).answer(to: message, code: "00")
            answer.set(41, "HOST0001")
            return (try? interface.dialect.pack(answer)).map { [$0] } ?? []
        }
        let log = LinkLog()
        let link = HostLink(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)], security: nil,
            settings: .quick(answer: .seconds(60)), log: log.note)
        await link.start()
        #expect(await log.told("connected to"))
        await link.close()
        await host.stop()
    }

    @Test func byOtherFields() async throws {
        var interface = try HostInterface.named("generic-bcd")
        interface.matching = [11]
        let (other, _) = try await ending(interface) { $0.set(41, "HOST0001") }
        #expect(other == .approved)
        interface.matching = [37]
        let (byReference, _) = try await ending(interface) { $0.set(11, "999999") }
        #expect(byReference == .approved)
        interface.matching = [11, 41]
        let (strict, _) = try await ending(interface, waits: .seconds(20)) { $0.set(41, "HOST0001") }
        #expect(strict == .malformed)
    }

    /// With two requests under way, a response without field 41 belongs to the one with its number, and to none where both
    /// have it.
    @Test func twoUnderWay() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await ReplyingHost(interface) { message in
            // Both are answered when the second has come.
            guard message.text(41) == "TERM0002" else { return [] }
            return ["000001", "000002"].flatMap { stan in
                ReplyingHost.approval(interface, message) {
                    $0.set(11, stan)
                    $0.set(37, "63250000" + stan.suffix(4))
                    $0.set(38, stan)
                    $0.remove(41)
                }
            }
        }
        var settings = LinkSettings.quick(answer: .seconds(120))
        settings.signsOn = false
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
            settings: settings)
        async let first = acquirer.authorize(Payment(terminal: "TERM0001", stan: 1).request)
        #expect(await host.heard.wait { !$0.isEmpty })
        let second = try await acquirer.authorize(Payment(terminal: "TERM0002", stan: 2).request)
        #expect(second.authorizationCode == "000002")
        #expect(try await first.authorizationCode == "000001")
        await acquirer.close()
        await host.stop()
    }

    /// A host that gives the retrieval reference: none is sent, any is taken; our own host plays it.
    @Test func referenceOfTheHost() async throws {
        var interface = try HostInterface.named("generic-bcd")
        let (refused, _) = try await ending(interface) { $0.set(37, "HOST00000042") }
        #expect(refused == .malformed)
        interface.retrievalReference = .host
        let (taken, heard) = try await ending(interface) { $0.set(37, "HOST00000042") }
        #expect(taken == .approved)
        #expect(heard.last?.contains(37) == false)

        let host = try await TestHost(interface)
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(120)))
        #expect(await Ending.of(acquirer, Payment(amount: 700, stan: 3).request) == .approved)
        try await acquirer.reverse(Payment(amount: 700, stan: 3).reversal)
        let records = await host.simulator.issuer.state.transactions
        #expect(records.count == 1 && records["TERM0001/RM0001000003/000003"] != nil, "\(records.keys)")
        await acquirer.close()
        await host.stop()
    }
}

@Suite struct SettlementDialectTests {
    static let batch = ReconciliationRequest(
        terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "00000000001", batch: 1, stan: 50,
        currency: euro, totals: BatchTotals(debits: 2, debitAmount: 21900, credits: 1, creditAmount: 500),
        isAfterUpload: false, date: EMVDate(yymmdd: 261120)!, hhmmss: 230_000)

    /// Without fields for totals nothing is sent, and nothing is called settled.
    @Test(arguments: ["moov-87", "moov-87ascii"]) func cannotSettle(name: String) async throws {
        let interface = try HostInterface.named(name)
        #expect(interface.missingTotals == [74, 76, 86, 88])
        let host = try await ReplyingHost(interface) { ReplyingHost.approval(interface, $0) }
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
            settings: .quick(answer: .seconds(120)))
        await #expect {
            try await acquirer.reconcile(Self.batch)
        } throws: { error in
            guard case .rejected(let reason)? = error as? AcquirerError else { return false }
            return reason.contains("cannot settle") && reason.contains("74, 76, 86, 88")
        }
        #expect(await Ending.of(acquirer, Payment().request) == .approved)
        #expect(host.heard.value.allSatisfy { $0.type != 0x0500 })
        await acquirer.close()
        await host.stop()
    }

    /// Elavon's published definition of field 97: 86 and 87 less 88 and 89, D where that is below zero.
    @Test(arguments: [
        (HostInterface.NetAmountSign.creditsMinusDebits, 21900, 500, "D0000000000021400"),
        (.creditsMinusDebits, 500, 21900, "C0000000000021400"),
        (.creditsMinusDebits, 5, 5, "C0000000000000000"),
        (.debitsMinusCredits, 21900, 500, "C0000000000021400"),
        (.debitsMinusCredits, 500, 21900, "D0000000000021400"),
    ]) func netAmount(sign: HostInterface.NetAmountSign, debits: UInt64, credits: UInt64, value: String)
        throws
    {
        var interface = try HostInterface.named("jpos-93a")
        interface.netAmountSign = sign
        var batch = Self.batch
        batch.totals.debitAmount = debits
        batch.totals.creditAmount = credits
        let message = MessageBuilder(interface).reconciliation(batch)
        #expect(message.text(97) == value)
        #expect(message.text(66) == nil)
        #expect(message.text(28) == "261120" && message.text(29) == "001")
        let answer = AnswerBuilder(interface).reconciliation(to: message, .balanced)
        #expect(answer.text(39) == "500" && answer[66] == nil)
    }

    static let file = """
        hosts: ["127.0.0.1:8583"]
        messages:
          dialect: generic-bcd
          framing: hex-4 tpdu
          match: [11]
          retrieval-reference: host
          net-amount-sign: debits-minus-credits
        """

    @Test func keys() throws {
        let interface = try AcquirerFile(text: Self.file, source: "acme.yaml").interface
        #expect(interface.matching == [11])
        #expect(interface.retrievalReference == .host && interface.netAmountSign == .debitsMinusCredits)
        #expect(interface.framing == Framing(.hex(4), header: .tpdu))
    }

    @Test(arguments: [
        ("match: [11]", "match: [41]", "field 11"), ("match: [11]", "match: [37]", "field 11"),
        ("match: [11]", "match: [11, 11]", "twice"), ("match: [11]", "match: [11, 65]", "no field 65"),
        ("match: [11]", "match: []", "field 11"),
        ("framing: hex-4 tpdu", "framing: none tpdu", "tells messages on a connection apart"),
        ("reference: host", "reference: nobody", "terminal, host"),
    ]) func errors(old: String, new: String, says: String) throws {
        #expect {
            try AcquirerFile(text: Self.file.replacing(old, with: new), source: "acme.yaml")
        } throws: { "\($0)".contains(says) }
    }
}

@Suite struct CardAcceptorTests {
    static func value(_ acceptor: CardAcceptor, _ dialect: String) throws -> String {
        let bytes = acceptor.value(in: try #require(try Dialect.builtIn(dialect)))
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        return text
    }

    /// Name at 1, city at 26, country at 39 (ISO 8583:1987, field 43).
    @Test(arguments: [
        ("Tapbridge Demo Store", "Berlin", "Tapbridge Demo Store     Berlin       DE"),
        ("Café Zürich", "Zürich", "Cafe Zurich              Zurich       DE"),
        (
            "A shop whose name is longer than its place", "Llanfairpwllgwyngyll",
            "A shop whose name is longLlanfairpwllgDE"
        ),
        (String(repeating: "ü", count: 40), "", String(repeating: "u", count: 25) + "             DE"),
        (String(repeating: "ß", count: 20), "Köln", String(repeating: "s", count: 25) + "Koln         DE"),
    ]) func placesOf1987(name: String, city: String, value: String) throws {
        let acceptor = CardAcceptor(name: name, city: city, country: 276)
        for dialect in ["generic-ascii", "generic-bcd", "pyiso8583-default", "moov-87ascii"] {
            #expect(try Self.value(acceptor, dialect) == value)
        }
        // What comes has exactly the field's length, so that nothing is refused.
        var request = Payment().request
        request.merchantName = name
        request.merchantLocation = city
        for dialect in Dialect.builtInNames {
            let interface = try HostInterface.named(dialect)
            let message = MessageBuilder(interface).authorization(request)
            #expect(throws: Never.self) { try interface.dialect.pack(message) }
            let read = try RequestReader(interface).read(message, year: 2026)
            guard case .authorization(let back) = read else { return }
            #expect(back.merchantName.unicodeScalars.count <= 48)
            if name == "Tapbridge Demo Store" {
                #expect(back.merchantName == name && back.merchantLocation == city)
            }
        }
    }

    @Test func marksOfLatin1() throws {
        let acceptor = CardAcceptor(name: "Café Zürich", city: "Zürich", country: 756)
        #expect(try Self.value(acceptor, "jpos-87b") == "Café Zürich              Zürich       CH")
        #expect(try Self.value(acceptor, "generic-ebcdic") == "Café Zürich              Zürich       CH")
    }

    /// Name, street and city each with a backslash behind, then postal code 10, region 3, country 3.
    @Test func placesOf1993() throws {
        let acceptor = CardAcceptor(name: "Café \\ Bar", city: "Berlin", country: 276)
        #expect(try Self.value(acceptor, "generic-93-ascii") == "Cafe / Bar\\\\Berlin\\" + "             DEU")
    }

    @Test func problems() throws {
        let ascii = try #require(try Dialect.builtIn("generic-bcd"))
        #expect(CardAcceptor(name: "Café Zürich", city: "Berlin", country: 276).problems(in: ascii).isEmpty)
        let cyrillic = CardAcceptor(name: "Кофе", city: "Berlin", country: 276).problems(in: ascii)
        #expect(cyrillic.count == 1 && cyrillic.first?.isRefused == true)
        #expect(
            cyrillic.first?.description.contains(
                "merchant.name: \"К\", \"о\", \"ф\", \"е\" cannot be written") == true)
        let long = CardAcceptor(
            name: String(repeating: "ü", count: 40), city: "Llanfairpwllgwyngyll", country: 276)
        #expect(
            long.problems(in: ascii).map(\.description) == [
                "merchant.name: 40 bytes, of which field 43 of dialect generic-bcd takes 25: \"uuuuuuuuuuuuuuuuuuuuuuuuu\"",
                "merchant.location: 20 bytes, of which field 43 of dialect generic-bcd takes 13: \"Llanfairpwllg\"",
            ])
        let interface = HostInterface(dialect: ascii)
        let ids = interface.problems(
            terminalID: "TÄRM0001", merchantID: "M", merchant: CardAcceptor(name: "A"))
        #expect(
            ids.map(\.description) == ["terminal.id: only letters and digits of ASCII may stand in field 41"])
    }
}
