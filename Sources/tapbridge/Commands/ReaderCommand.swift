import CommandSupport
import ArgumentParser
import CardReaders
import Cards
import Foundation
import PCSCReaders
import RemoteReaders
import TerminalService

struct ReaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reader",
        abstract: "Readers over the network.",
        subcommands: [ReaderShareCommand.self, ReaderListCommand.self])
}

struct ReaderShareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "share",
        abstract: "Offer readers of this machine to terminals on other machines.",
        discussion: """
            Over TLS 1.3 with certificates on both sides (`tapbridge certs`); without certificates over loopback \
            addresses only. One terminal at a time has a reader; when its line drops, the field is switched off \
            and the reader is free. Without names all contactless PC/SC readers are offered, also those that are \
            plugged in later. Ctrl-C ends it. As a service: tapbridge-readers.service, which tells systemd when it \
            is ready and that it lives.

            Examples:
              tapbridge reader share --host 0.0.0.0
              tapbridge reader share ACR1252 --allow till-1 --allow till-2 --host 192.168.1.20
              tapbridge reader share --card visa-debit
              tapbridge pay 12.50 --reader remote:readers.example/ACR1252
            """)

    @Argument(help: ArgumentHelp("Readers by a part of their names.", valueName: "name"))
    var names: [String] = []
    @Option(
        help: ArgumentHelp(
            "Also (or only) a reader in software with this emulated card, several times.", valueName: "id"))
    var card: [String] = []
    @Option(help: "Host name or address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes a free one.") var port = Wire.defaultPort
    @Option(
        help: ArgumentHelp(
            "Name of a terminal's certificate that may come, several times; every one of the CA by default.",
            valueName: "terminal"))
    var allow: [String] = []
    @Flag(help: "Use the emulated cards as they left personalisation, and keep nothing.") var freshCard =
        false
    @OptionGroup var remote: RemoteOptions

    func run() async throws {
        let credentials = try remote.access.credentials(.server)
        guard allow.isEmpty || credentials != nil else {
            throw CommandFailure(.usage, "--allow names certificates: it needs --certs")
        }
        var options = ReaderServer.Options()
        options.name = ProcessInfo.processInfo.hostName
        if !allow.isEmpty { options.allowedTerminals = Set(allow) }
        let server = ReaderServer(credentials: credentials, options: options) { Self.print($0) }

        var tapping: [(id: String, reader: TappingReader)] = []
        for id in card {
            let emulated = try CardStore.take(id, fresh: freshCard)
            emulated.ownerUnlocksWhenAsked = true
            let reader = TappingReader(emulated, name: "Emulated \(emulated.profile.id)")
            tapping.append((emulated.profile.id, reader))
            try offer(reader, on: server)
        }
        for name in names {
            guard !RemoteReaderAddress.isRemote(name) else {
                throw CommandFailure(.usage, "\(name) is on another machine already: share it there")
            }
            try offer(try await ReaderChoice.local(name), on: server)
        }
        let listening: UInt16
        do {
            listening = try await server.start(host: host, port: port)
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
        let shown = RemoteReaderAddress(host: host, port: listening).server
        Console.print(
            "listening on \(shown), "
                + (credentials == nil
                    ? "without TLS: this machine only" : "TLS with certificates on both sides"))

        let notifier = SystemNotifier(environment: ProcessInfo.processInfo.environment)
        notifier.tell(.ready, .status("listening on \(shown)"))
        let watchdog = Task { await Self.prove(server, to: notifier) }
        let offersAll = names.isEmpty && card.isEmpty
        let watching = Task { await Self.follow(server, offersAll: offersAll) }
        await EndSignals.wait()
        notifier.tell(.stopping)
        watchdog.cancel()
        watching.cancel()
        await server.stop()
        for (id, reader) in tapping where !freshCard {
            if let state = reader.takeOut() { try CardStore.keep(state, of: id) }
        }
    }

    /// Tells the service manager again and again that the server lives, and for whom.
    private static func prove(_ server: ReaderServer, to notifier: SystemNotifier) async {
        let interval = notifier.watchdogInterval ?? .seconds(60)
        while !Task.isCancelled {
            let offers = server.offers
            notifier.tell(
                .watchdog,
                .status(
                    "\(offers.count) readers offered, \(offers.filter(\.isBusy).count) in use, \(server.connectionCount) connections"
                ))
            // Twice in each interval, as sd_watchdog_enabled(3) advises.
            try? await Task.sleep(for: interval / 2)
        }
    }

    private func offer(_ reader: any CardReader, on server: ReaderServer) throws {
        do {
            try server.offer(.init(reader))
        } catch {
            throw CommandFailure(.usage, "\(error)")
        }
        Console.print("offering \(reader.information.name)")
    }

    /// Tells watching terminals what happens at the PC/SC readers, and offers those that come.
    private static func follow(_ server: ReaderServer, offersAll: Bool) async {
        for await event in PCSCContext.events() {
            switch event {
            case .readerAdded(let state):
                if offersAll, state.interface == .contactless || state.interface == .unknown {
                    do {
                        try server.offer(.init(PCSCReader(name: state.name)))
                        Console.print("offering \(state.name)")
                    } catch {
                        Console.printError("\(error)")
                    }
                }
                if let answerToReset = state.answerToReset {
                    server.report(.cardInserted(reader: state.name, answerToReset: answerToReset))
                }
            case .readerRemoved(let name):
                if offersAll {
                    server.withdraw(name)
                    Console.print("\(name) is gone")
                }
            case .serviceLost(let reason) where offersAll: Console.printError("PC/SC: \(reason)")
            case .cardInserted, .cardRemoved, .serviceLost, .serviceFound: server.report(event)
            }
        }
    }

    private static func print(_ event: ReaderServer.Event) {
        switch event {
        case .connected(let terminal, let address): Console.print("\(terminal) connected from \(address)")
        case .attached(let reader, let terminal): Console.print("\(terminal) has \(reader)")
        case .freed(let reader, let terminal): Console.print("\(terminal) let go of \(reader)")
        case .disconnected(let terminal, let reason): Console.print("\(terminal) is gone: \(reason)")
        case .refused(let address, let reason): Console.print("refused \(address): \(reason)")
        }
    }
}

struct ReaderListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the readers that another machine offers.",
        discussion: """
            Examples:
              tapbridge reader list readers.example
              tapbridge reader list readers.example --watch
            """)

    @Argument(help: "host, host:port or [address]:port") var server: String
    @Flag(help: "Go on telling what happens there, until Ctrl-C.") var watch = false
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let address = try RemoteAccess.address(server)
        let credentials = try remote.access.credentials(.terminal)
        if watch {
            return try await ReadersCommand.tell(
                RemoteReaders.events(address, credentials: credentials), json: output.json)
        }
        let readers: [OfferedReader]
        do {
            readers = try await RemoteReaders.list(address, credentials: credentials)
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
        if output.json { return try Console.printJSON(readers) }
        guard !readers.isEmpty else { return Console.print("\(address.server) offers no reader") }
        Console.print(
            Console.standard.table(
                [["READER", "KIND", "STATE", "USE IT AS"]]
                    + readers.map {
                        [
                            $0.name, $0.kind.rawValue, $0.isBusy ? "in use" : "free",
                            RemoteReaderAddress(host: address.host, port: address.port, reader: $0.name)
                                .description,
                        ]
                    }))
    }
}
