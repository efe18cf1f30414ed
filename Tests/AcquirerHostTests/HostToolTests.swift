import AcquirerHost
import Acquiring
import BERTLV
import EMV
import EMVCryptography
import Foundation
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import NIOCore
import NIOPosix
import Testing
import TestTools

/// What `tapbridge host` offers to those who write clients.
@Suite struct HostToolTests {
    /// A client without chip data and with a card that no issuer knows: refused, but for a rule that approves.
    @Test(arguments: ["generic-bcd", "generic-93-ascii", "moov-87"]) func approvals(dialect: String)
        async throws
    {
        var request = Payment(number: "4111111111111111", amount: 1200).request
        request.chipData = []
        request.entryMode = .manual
        request.track2 = nil
        request.panSequenceNumber = nil
        let interface = try HostInterface.named(dialect)
        let strict = try await TestHost(interface)
        let first = ISO8583Acquirer(
            interface: interface, endpoints: [strict.endpoint], settings: .quick(answer: .seconds(120)))
        #expect(await Ending.of(first, request) != .approved)
        await first.close()
        await strict.stop()

        let host = try await TestHost(interface, troubles: ["amount 1051: decline 51", "always: approve"])
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(120)))
        let response = try await acquirer.authorize(request)
        #expect(response.isApproved && response.authorizationCode == "000001")
        // Repeated: the same answer, booked once.
        #expect(try await acquirer.authorize(request).authorizationCode == "000001")
        request.amount = Amount(minorUnits: 1051)!
        request.stan = 2
        request.retrievalReference = "632500000002"
        #expect(
            await Ending.of(acquirer, request)
                == .declined(interface.dialect.version == .v1993 ? "116" : "51"))
        // What was approved is in the batch, what is taken back is not.
        let books = await host.simulator.books
        let totals = books.openTotals(terminalID: "TERM0001", currency: euro)
        #expect(totals == BatchTotals(debits: 1, debitAmount: 1200))
        try await acquirer.reverse(Payment(number: "4111111111111111", amount: 1200).reversal)
        #expect(
            await host.simulator.books.openTotals(terminalID: "TERM0001", currency: euro) == BatchTotals())
        await acquirer.close()
        await host.stop()
        #expect(host.log.contains { $0.trouble == "approve" && $0.responseCode == "00" })
    }

    /// What is refused says why, in field 44 and in the log.
    @Test(arguments: [
        (0x0320, [41, 11, 37, 4, 49, 3], "30", "field 60: the number of the batch is missing"),
        (0x0600, [41, 11], "12", "type 0600 is not taken"),
        (0x0200, [11, 41], "30", "fields 2 and 35 are missing"),
        (0x0800, [11], "30", "field 70 is missing"),
    ]) func refusals(type: Int, fields: [Int], code: String, says: String) async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface)
        let values: [Int: String] = [
            3: "000000", 4: "000000001000", 11: "000042", 37: "632500000042", 41: "TERM0001", 49: "978",
        ]
        var message = Message(MessageType(rawValue: UInt16(type)))
        for field in fields { message.set(field, values[field] ?? "") }
        let answer = try await Self.exchange(
            interface, host.endpoint.port, try interface.dialect.pack(message))
        let read = try interface.dialect.unpack(try #require(answer))
        #expect(read.type == message.type.response)
        #expect(read.text(39) == code)
        #expect(read.text(44) == says)
        #expect(read.text(11) == "000042")
        #expect(await host.logged { log in log.contains { $0.reason == says && $0.responseCode == code } })
        await host.stop()
    }

    /// A message that cannot be read is answered where its numbers can, and the log says what was done.
    @Test func unreadable() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface)
        // Field 11, then a field 41 that ends early.
        let cut = bytes("0800" + "0020000000800000" + "000042" + "5445")
        let answer = try #require(try await Self.exchange(interface, host.endpoint.port, cut))
        let read = try interface.dialect.unpack(answer)
        #expect(read.text(39) == "30" && read.text(11) == "000042")
        #expect(
            read.text(44)?.hasPrefix("FORMAT ERROR: offset 13: field 41") == true, "\(read.text(44) ?? "")")
        #expect(await host.logged { $0.contains { $0.reason?.contains("answered 30") == true } })
        // Nothing to answer to.
        _ = try await Self.exchange(interface, host.endpoint.port, bytes("FFFF"), waits: false)
        #expect(await host.logged { $0.contains { $0.reason?.contains("not answered") == true } })
        await host.stop()
    }

    /// One frame there and one back, over a socket of the test's own.
    static func exchange(
        _ interface: HostInterface, _ port: Int, _ content: [UInt8], waits: Bool = true
    ) async throws -> [UInt8]? {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: try interface.framing.frame(content)))
            guard waits else { return nil }
            var reader = FrameReader(interface.framing)
            for try await buffer in inbound {
                reader.append(buffer.readableBytesView)
                if let next = try reader.next() { return next }
            }
            return nil
        }
    }

    /// A connection on which nothing comes is closed; one that tests the line stays.
    @Test func silentConnections() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface, idleTimeout: .milliseconds(300))
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: host.endpoint.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let ended = try await channel.executeThenClose { inbound, _ in
            for try await _ in inbound {}
            return true
        }
        #expect(ended)
        #expect(
            await host.logged { log in
                log.contains { $0.kind == .disconnected && $0.reason?.contains("nothing came for") == true }
            })
        await host.stop()
    }

    @Test(arguments: [
        (1250 as UInt64, "978", "12.50 EUR"), (5, "978", "0.05 EUR"), (1000, "392", "1000 JPY"),
        (1500, "414", "1.500 KWD"),
        (7, "999", "7"),
    ]) func amountsInTheLog(units: UInt64, currency: String, shown: String) {
        var entry = HostLogEntry(.message, peer: "x")
        entry.amount = units
        entry.currency = currency
        #expect(entry.text.contains(shown), "\(entry.text)")
    }

    @Test(arguments: [
        ("127.0.0.1:1", true), ("localhost:1", true), ("[::1]:1", true), ("127.8.0.1:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false), ("192.168.1.1:1", false), ("127.example:1", false),
    ]) func loopback(text: String, isLoopback: Bool) throws {
        #expect(try #require(Endpoint(text)).isLoopback == isLoopback)
    }

    // MARK: Looking on

    static let line = HostTraffic.Line(peer: "127.0.0.1:40000", local: "127.0.0.1:8583")

    /// Every message in both directions, with all fields and the data objects of field 55, and no card number.
    @Test func observed() async throws {
        let interface = try HostInterface.named("generic-bcd", "2-byte tpdu")
        let seen = Observed<[HostTraffic]>([])
        let host = try await TestHost(interface) { traffic in seen.update { $0.append(traffic) } }
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(120)))
        #expect(await Ending.of(acquirer, Payment().request) == .approved)
        await acquirer.close()
        await host.stop()
        let traffic = seen.value
        #expect(traffic.map(\.isReceived) == [true, false, true, false])
        let types = try traffic.map { try interface.dialect.unpack($0.content, from: 5).type }
        #expect(types == [0x0800, 0x0810, 0x0200, 0x0210])
        let text = traffic[2].text(interface)
        for word in [
            "header 6000000000", "0200 financial request", "Primary account number", "476173******0119",
            "Card acceptor name and location", "9F26 Application Cryptogram",
            "95 Terminal Verification Results",
        ] {
            #expect(text.contains(word), "\(word) in \(text)")
        }
        #expect(!text.contains("4761739001010119"))
        #expect(traffic[3].text(interface).contains("91 Issuer Authentication Data"))
    }

    @Test func lines() {
        let traffic = HostTraffic(Self.line, isReceived: false, content: [0x08, 0x10])
        #expect(
            traffic.dumpLines(time: "2026-11-30T21:00:00.000Z")
                == "# 2026-11-30T21:00:00.000Z 127.0.0.1:8583 > 127.0.0.1:40000\n0810\n")
    }

    /// Judged by a reader of its own, checksums and all.
    @Test(.needs(.oracles)) func captures() throws {
        var capture = PacketCapture(Framing(.binary(2)))
        var file = PacketCapture.fileHeader
        let version6 = HostTraffic.Line(peer: "fe80::1%eth0:40000", local: "::1:8583")
        for (index, (line, isReceived, count)) in [
            (Self.line, true, 5), (Self.line, false, 4), (Self.line, true, 3), (version6, true, 1),
            (version6, false, 2),
            (Self.line, true, 65_100),
        ].enumerated() {
            file += capture.records(
                HostTraffic(
                    line, isReceived: isReceived, content: Array(repeating: UInt8(index + 1), count: count)),
                seconds: 1_764_536_400, microseconds: UInt32(index))
        }
        let lines = try PythonOracle("pcap_read.py").lines(input: Hex.string(file))
        let here = "127.0.0.1|40000 127.0.0.1|8583"
        let back = "127.0.0.1|8583 127.0.0.1|40000"
        #expect(
            lines.prefix(5) == [
                "1764536400 0 \(here) 1 1 00050101010101", "1764536400 1 \(back) 1 8 000402020202",
                "1764536400 2 \(here) 8 7 0003030303", "1764536400 3 fe80::1|40000 ::1|8583 1 1 000104",
                "1764536400 4 ::1|8583 fe80::1|40000 1 4 00020505",
            ])
        // Longer than a packet: two segments, one behind the other.
        #expect(lines.count == 7)
        #expect(lines[5].hasPrefix("1764536400 5 \(here) 13 7 FE4C0606"))
        #expect(lines[6].hasPrefix("1764536400 5 \(here) 65013 7 0606"))
    }
}

@Suite struct PastedMessageTests {
    static let text = "0800" + "2220000000800000" + "000000" + "0000421130210000" + "TERM0001"

    /// What a line may stand for; the first that is a message of the dialect is meant.
    @Test(arguments: [
        ("digits of a message of text", text, "generic-ascii-hex", "text"),
        (
            "a message in BCD", "0800 2020000000800000 000000 000042 5445524D30303031", "generic-bcd",
            "hexadecimal digits"
        ),
        (
            "another tool's words", "[12:01] TX >> 0800 2020000000800000 000000 000042 5445524D30303031",
            "generic-bcd",
            "hexadecimal digits (the digits after \"[12:01] TX >>\")"
        ),
        ("words before a text", "received: " + text, "generic-ascii-hex", "text (after \"received:\")"),
    ]) func readings(name: String, line: String, dialect: String, reading: String) throws {
        let dialect =
            try dialect == "generic-ascii-hex"
            ? Dialect(
                text:
                    "name: hexadecimal\nextends: generic-ascii\nbitmap: hex\nfields:\n  7: { length: 10 }\n",
                source: "x")
            : try #require(try Dialect.builtIn(dialect))
        let readings = PastedMessage.readings(line)
        let whole = readings.filter { (try? dialect.unpack($0.bytes))?.text(41) == "TERM0001" }
        #expect(whole.map(\.reading) == [reading], "\(readings.map(\.reading))")
    }

    @Test func manyLines() {
        let found = PastedMessage.messages(
            in: "# a comment\n\n0800\r\n  \nnothing that is one\n00000000  08 00 |..|\n")
        #expect(found.map(\.line) == [3, 5, 6])
        #expect(found[0].readings.first?.bytes == [0x08, 0x00])
        #expect(found[2].readings.first?.bytes == [0x08, 0x00])
        let dump = PastedMessage.messages(
            in: """
                00000000  08 00 20 20 00 00 00 80  00 00 00 00 00 00 00 42  |..  ...........B|
                00000010  54 45 52 4d 30 30 30 31                           |TERM0001|
                """)
        #expect(dump.count == 1)
        #expect(
            dump.first?.readings.map { Hex.string($0.bytes) } == [
                "08002020000000800000000000000042" + "5445524D30303031"
            ])
        #expect(dump.first?.readings.first?.reading == "a hexadecimal dump")
    }

    /// A header without its length, as logs show it: of the usual framings one fits.
    @Test(arguments: [
        ("6000030000" + "0200", "none tpdu"), ("49534F303236303030303730" + "0200", "none header 12"),
        ("000C0000" + "495220303030303030303030", "2-byte gap 2"),
        ("30303044" + "60000300000800000000000000", "hex-4 tpdu"),
        ("0200313203", "none trailer 03"),
    ]) func framings(hex: String, framing: String) throws {
        let frame = bytes(hex)
        let fitting = PastedMessage.usualFramings.compactMap { $0 }.filter { framing in
            guard let content = try? framing.content(of: frame) else { return false }
            return framing.fitsHeader(content)
        }
        #expect(fitting.map(\.description).contains(framing), "\(fitting)")
    }
}

@Suite struct MessageDescriptionTests {
    static let json = """
        {"type": "0200", "fields": {"2": "4761739001010119", "3": "000000", "4": "1500", "11": "42",
         "43": "Café", "52": "0123456789ABCDEF", "55": "9F27 01 80"}}
        """

    @Test(arguments: ["generic-bcd", "jpos-87a", "generic-ebcdic", "moov-87ascii"]) func packs(name: String)
        throws
    {
        let dialect = try #require(try Dialect.builtIn(name))
        let described = try JSONDecoder().decode(MessageDescription.self, from: Data(Self.json.utf8))
        let read = try dialect.unpack(try dialect.pack(try described.message(in: dialect)))
        #expect(read.type == 0x0200 && read.fields == [2, 3, 4, 11, 43, 52, 55])
        // Filled up by packing.
        #expect(read.text(4) == "000000001500" && read.text(11) == "000042")
        #expect(read[43]?.prefix(4).last == (dialect.characters == .latin1 ? 0xE9 : 0x65))
        if name == "jpos-87a" {
            // Field 55 is of characters there.
            #expect(read.text(55) == "9F27 01 80")
        } else {
            #expect(read[55].map { Array($0) } == [0x9F, 0x27, 1, 0x80])
        }
        // What is described is described alike.
        let again = try MessageDescription(read, in: dialect).message(in: dialect)
        #expect(again == read)
    }

    /// What `iso decode --json` prints, where nothing is masked.
    @Test func readsExplanations() throws {
        let dialect = try #require(try Dialect.builtIn("generic-bcd"))
        var message = Message(0x0800)
        message.set(11, "000042")
        message.set(70, "301")
        let (explanation, _) = dialect.explain(try dialect.pack(message))
        struct Row: Encodable { var message: MessageExplanation }
        let json = try JSONEncoder().encode(Row(message: explanation))
        let described = try JSONDecoder().decode(MessageDescription.self, from: json)
        #expect(try described.message(in: dialect) == message)
    }

    @Test(arguments: [
        ("\"0200\"", "\"02\"", "type \"02\""), ("\"2\":", "\"129\":", "no field number"),
        ("\"2\":", "\"two\":", "no field number"),
        ("\"2\":", "\"65\":", "field 65: dialect generic-bcd does not have it"),
        ("4761739001010119", "476173******0119", "field 2: its value is masked"),
        ("0123456789ABCDEF", "0123456789ABCDE", "field 52: its bytes"),
        ("Café", "Кафе", "field 43: 4 characters cannot be written"),
    ]) func errors(old: String, new: String, says: String) throws {
        let text = Self.json.replacing(old, with: new, maxReplacements: 1)
        let described = try JSONDecoder().decode(MessageDescription.self, from: Data(text.utf8))
        let dialect = try #require(try Dialect.builtIn("generic-bcd"))
        #expect {
            try described.message(in: dialect)
        } throws: { "\($0)".contains(says) }
    }
}
