import ArgumentParser
import Foundation
import Hummingbird
import Journal
import Logging
import Terminal
import TerminalService

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve terminals over HTTP, on this machine alone.")

    @Option(help: ArgumentHelp("Port on 127.0.0.1; 0 takes a free one.", valueName: "port"))
    var port = 8080

    @Option(help: ArgumentHelp("How many emulated terminals to begin with.", valueName: "number"))
    var terminals = 1

    @Option(help: ArgumentHelp("Folder with traces to replay.", valueName: "folder"))
    var traces: String?

    @OptionGroup var terminal: TerminalOptions

    func run() async throws {
        let profile = try terminal.loadProfile()
        let journal = try await terminal.openJournal()
        let host = try terminal.host(profile, quiet: true)
        let simulator = try SimulatedHost.make(answerTimeout: profile.timing.authorization)
        let hall = TerminalHall(
            .init(
                profile: profile, journal: journal, backend: host?.backend ?? simulator,
                traceDirectory: traces))
        for _ in 0..<max(0, terminals) { try hall.addTerminal() }
        try await hall.start()
        let application = Application(
            router: try API.router(hall: hall),
            configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: nil),
            onServerRunning: { channel in
                Console.print("listening on http://127.0.0.1:\(channel.localAddress?.port ?? 0)")
            })
        try await application.runService()
        await hall.drain()
        if let host { await host.close() } else { try await SimulatedHost.keepBooks(of: simulator) }
    }
}
