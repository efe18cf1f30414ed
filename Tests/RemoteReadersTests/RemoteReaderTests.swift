import CardReaders
import RemoteReaders
import SmartCard
import Testing
import TestSupport

/// The ordinary way: two sides over loopback.
struct RemoteReaderTests {
    @Test(arguments: [false, true])
    func exchangesAPDUs(tls: Bool) async throws {
        let gate = GateReader()
        let setup = try await Setup([gate], tls: tls)
        let terminal = try setup.terminal("gate")
        #expect(terminal.information.kind == .remote)
        let channel = try await terminal.activateCard(deadline: nil)
        #expect(terminal.information.vendor == "Test")
        #expect(terminal.information.serialNumber == "7")
        #expect(channel.card.answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
        #expect(channel.card.activation?.identifier == [1, 2, 3, 4])
        let answer = try await channel.transmit([1, 2, 3], timeout: .seconds(5))
        #expect(answer == CardAnswer(bytes: [3, 2, 1, 0x90, 0x00], microseconds: 4711))
        #expect(try await terminal.awaitRemoval(deadline: .now + .seconds(5)))
        await terminal.fieldOff()
        await terminal.close()
        await eventually("the reader is freed") { setup.events.freed("Gate") == 1 }
        #expect(gate.log == ["activate", "transmit", "removal", "off", "off"])
        #expect(await failure { _ = try await terminal.activateCard(deadline: nil) } != nil)
        await setup.server.stop()
        // A server never closes what it offers.
        #expect(gate.count("close") == 0)
    }

    @Test(arguments: [0, 1, 255, 256, 32767, 65536])
    func carriesLongAPDUs(count: Int) async throws {
        let field = EmulatedReader()
        field.present(StubCard { _, _ in [UInt8](repeating: 0xA5, count: count) + [0x90, 0x00] })
        let setup = try await Setup([field], tls: true)
        let terminal = try setup.terminal()
        let channel = try await terminal.activateCard(deadline: nil)
        let command = [UInt8](repeating: 0x5A, count: max(4, count))
        if count == 65536 {
            let long = [UInt8](repeating: 0x5A, count: 66036)
            #expect(await failure { _ = try await channel.transmit(long, timeout: nil) } != nil)
        }
        let answer = try await channel.transmit(Array(command.prefix(65544)), timeout: nil)
        #expect(answer.bytes.count == count + 2)
        await terminal.close()
        await setup.server.stop()
    }

    /// A card on another machine that always promises one byte more.
    @Test func oneByteMoreForEver() async throws {
        let field = EmulatedReader()
        let card = StubCard { _, _ in [0x5A, 0x61, 0xFF] }
        field.present(card)
        let setup = try await Setup([field], tls: true)
        let terminal = try setup.terminal()
        let channel = try await terminal.activateCard(deadline: nil)
        var budget = CommandBudget(100)
        let command = CommandAPDU(cla: 0, ins: 0xB2, p1: 1, p2: 0x0C, expectedLength: 256)
        await #expect(throws: ReaderError.self) {
            try await channel.exchange(command, timeout: .seconds(30), budget: &budget)
        }
        #expect(budget.left == 0 && card.commands.count == 100)
        await terminal.close()
        await setup.server.stop()
    }

    @Test func readersErrorsArriveAsTheyAre() async throws {
        let field = EmulatedReader()
        let setup = try await Setup([field], tls: true)
        let terminal = try setup.terminal()
        #expect(
            await failure { _ = try await terminal.activateCard(deadline: .now + .milliseconds(20)) }
                == .noCard)
        field.present(StubCard())
        field.present(StubCard())
        #expect(await failure { _ = try await terminal.activateCard(deadline: nil) } == .collision)
        field.remove()
        field.present(StubCard { _, number in number == 0 ? nil : [0x90, 0x00] })
        let channel = try await terminal.activateCard(deadline: nil)
        #expect(await failure { _ = try await channel.transmit([0, 1, 2, 3], timeout: nil) } == .cardTimeout)
        #expect(try await channel.transmit([0, 1, 2, 3], timeout: nil).bytes == [0x90, 0x00])
        #expect(try await terminal.awaitRemoval(deadline: .now + .milliseconds(20)) == false)
        field.remove()
        #expect(await failure { _ = try await channel.transmit([0, 1, 2, 3], timeout: nil) } == .cardRemoved)
        #expect(try await terminal.awaitRemoval(deadline: nil))
        // A channel of an earlier activation is dead.
        field.present(StubCard())
        _ = try await terminal.activateCard(deadline: nil)
        #expect(await failure { _ = try await channel.transmit([0, 1, 2, 3], timeout: nil) } == .cardRemoved)
        await terminal.close()
        await setup.server.stop()
    }

    @Test func namesAreFoundLikeLocalOnes() async throws {
        let setup = try await Setup([GateReader("ACS ACR1252 [PICC]"), GateReader("Omnikey 5022")])
        let first = try setup.terminal("acr1252")
        try await first.connect()
        let several = await failure { try await setup.terminal().connect() }
        #expect(unavailable(several)?.contains("Omnikey 5022") == true)
        let none = await failure { try await setup.terminal("Identiv").connect() }
        #expect(unavailable(none)?.contains("no such reader") == true)
        let offered = try await RemoteReaders.list(setup.address(), credentials: nil)
        #expect(offered.map(\.name) == ["ACS ACR1252 [PICC]", "Omnikey 5022"])
        #expect(offered.map(\.isBusy) == [true, false])
        await first.close()
        await setup.server.stop()
    }

    @Test func oneTerminalAtATime() async throws {
        let gate = GateReader()
        let setup = try await Setup([gate, GateReader("Other")], tls: true)
        let first = try setup.terminal("Gate")
        let second = try setup.terminal("Gate")
        let channel = try await first.activateCard(deadline: nil)
        let busy = await failure { _ = try await second.activateCard(deadline: nil) }
        #expect(unavailable(busy)?.contains("another terminal uses the reader") == true)
        // Nobody else is disturbed.
        #expect(try await channel.transmit([1], timeout: nil).bytes == [1, 0x90, 0x00])
        let third = try setup.terminal("Other")
        _ = try await third.activateCard(deadline: nil)
        await first.close()
        _ = try await second.activateCard(deadline: nil)
        await second.close()
        await third.close()
        await setup.server.stop()
    }

    @Test func cancellationReachesTheReader() async throws {
        let gate = GateReader(closed: [.activate])
        let setup = try await Setup([gate])
        let terminal = try setup.terminal()
        let task = Task { await failure { _ = try await terminal.activateCard(deadline: nil) } }
        await eventually("the reader waits") { gate.count("activate") == 1 }
        task.cancel()
        #expect(await task.value == .cancelled)
        await eventually("the reader stops waiting") { gate.count("cancelled") == 1 }
        // The line stands.
        gate.open(.activate)
        let channel = try await terminal.activateCard(deadline: nil)
        gate.close(.transmit)
        let command = Task { await failure { _ = try await channel.transmit([1], timeout: nil) } }
        await eventually("the card works") { gate.count("transmit") == 1 }
        command.cancel()
        #expect(await command.value == .cancelled)
        gate.open(.transmit)
        _ = try await terminal.activateCard(deadline: nil)
        #expect(setup.events.farewells.isEmpty)
        await terminal.close()
        await setup.server.stop()
    }

    @Test func aCommandHasItsTimeLimit() async throws {
        let gate = GateReader(closed: [.transmit])
        let setup = try await Setup([gate])
        let terminal = try setup.terminal()
        let channel = try await terminal.activateCard(deadline: nil)
        #expect(
            await failure { _ = try await channel.transmit([1], timeout: .milliseconds(30)) } == .cardTimeout)
        await eventually("the reader was told") { gate.count("cancelled") == 1 }
        gate.open(.transmit)
        // The card's state is not known: this activation is over, the next one is not.
        #expect(await failure { _ = try await channel.transmit([1], timeout: nil) } == .cardRemoved)
        let next = try await terminal.activateCard(deadline: nil)
        #expect(try await next.transmit([1], timeout: .seconds(10)).bytes == [1, 0x90, 0x00])
        await terminal.close()
        await setup.server.stop()
    }

    @Test func theServersOwnTimeLimitHolds() async throws {
        let gate = GateReader(closed: [.transmit])
        let setup = try await Setup([gate]) { $0.commandLimit = .milliseconds(30) }
        let terminal = try setup.terminal()
        let channel = try await terminal.activateCard(deadline: nil)
        #expect(await failure { _ = try await channel.transmit([1], timeout: nil) } == .cardTimeout)
        await terminal.close()
        await setup.server.stop()
    }

    /// A driver that never comes back blocks its reader and nothing else.
    @Test func aReaderThatHangsIsToldOf() async throws {
        let stubborn = GateReader("Stubborn", closed: [.transmit], isStubborn: true)
        let setup = try await Setup([stubborn, GateReader("Other")])
        let first = try setup.terminal("Stubborn")
        let channel = try await first.activateCard(deadline: nil)
        #expect(
            await failure { _ = try await channel.transmit([1], timeout: .milliseconds(20)) } == .cardTimeout)
        let other = try setup.terminal("Other")
        _ = try await other.activateCard(deadline: nil)
        await other.close()
        async let closing: Void = first.close()
        stubborn.open(.transmit)
        await closing
        await eventually("freed when it comes back") { setup.events.freed("Stubborn") == 1 }
        await setup.server.stop()
    }

    @Test func eventsOfReadersAreTold() async throws {
        let setup = try await Setup([GateReader("One")], tls: true)
        let credentials = try Certificates.shared.terminal()
        let stream = RemoteReaders.events(setup.address(), credentials: credentials)
        var iterator = stream.makeAsyncIterator()
        #expect(await iterator.next() == .readerAdded(ReaderListing(name: "One")))
        try setup.server.offer(.init(GateReader("Two")))
        #expect(await iterator.next() == .readerAdded(ReaderListing(name: "Two")))
        setup.server.report(.cardInserted(reader: "Two", answerToReset: [0x3B, 0x00]))
        // Of a reader that is not offered nothing is told.
        setup.server.report(.cardInserted(reader: "Hidden", answerToReset: [0x3B, 0x00]))
        #expect(await iterator.next() == .cardInserted(reader: "Two", answerToReset: [0x3B, 0x00]))
        setup.server.report(.cardRemoved(reader: "Two"))
        #expect(await iterator.next() == .cardRemoved(reader: "Two"))
        setup.server.withdraw("Two")
        #expect(await iterator.next() == .readerRemoved(name: "Two"))
        await setup.server.stop()
        guard case .serviceLost = await iterator.next() else {
            Issue.record("the loss is told")
            return
        }
    }

    @Test func aWithdrawnReaderCutsItsTerminalOff() async throws {
        let gate = GateReader(closed: [.transmit])
        let setup = try await Setup([gate, GateReader("Other")])
        let terminal = try setup.terminal("Gate") { $0.patience = .milliseconds(50) }
        let channel = try await terminal.activateCard(deadline: nil)
        let command = Task { await failure { _ = try await channel.transmit([1], timeout: nil) } }
        await eventually("the card works") { gate.count("transmit") == 1 }
        setup.server.withdraw("Gate")
        #expect(unavailable(await command.value) != nil)
        await eventually("the field is off") { gate.log.last == "off" }
        let gone = await failure { _ = try await terminal.activateCard(deadline: nil) }
        #expect(unavailable(gone)?.contains("no such reader") == true)
        await setup.server.stop()
    }

    @Test func offersAreChecked() async throws {
        let server = ReaderServer(credentials: nil)
        try server.offer(.init(GateReader("A")))
        #expect(throws: RemoteReaderError.self) { try server.offer(.init(GateReader("A"))) }
        #expect(throws: RemoteReaderError.self) { try server.offer(.init(GateReader(""))) }
        #expect(throws: RemoteReaderError.self) {
            try server.offer(.init(GateReader(String(repeating: "x", count: 256))))
        }
    }
}

struct RemoteReaderAddressTests {
    @Test(
        arguments: [
            ("remote:readers.example", "readers.example", 7316, nil),
            ("remote:readers.example:80", "readers.example", 80, nil),
            ("remote:readers.example/ACS 00", "readers.example", 7316, "ACS 00"),
            ("remote:10.0.0.1:7316/a/b", "10.0.0.1", 7316, "a/b"),
            ("remote:[::1]", "::1", 7316, nil),
            ("remote:[::1]:99/x", "::1", 99, "x"),
            ("readers.example:1/", "readers.example", 1, nil),
        ] as [(String, String, UInt16, String?)])
    func isRead(text: String, host: String, port: UInt16, reader: String?) throws {
        let address = try RemoteReaderAddress(text)
        #expect(address == RemoteReaderAddress(host: host, port: port, reader: reader))
        #expect(try RemoteReaderAddress(address.description) == address)
    }

    @Test(arguments: [
        "remote:", "remote:/x", "remote::80", "remote:host:", "remote:host:0", "remote:host:65536",
        "remote:host:x", "remote:::1", "remote:[::1", "remote:[::1]x", "remote:[]:1",
    ])
    func isRefused(text: String) {
        #expect(throws: RemoteReaderError.self) { try RemoteReaderAddress(text) }
    }
}
