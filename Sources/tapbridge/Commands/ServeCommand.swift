import CommandSupport
import Acquiring
import ArgumentParser
import CardReaders
import Foundation
import Journal
import Logging
import ProfileFile
import RemoteReaders
import Terminal
import TerminalService

struct ServeCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve terminals over HTTP: the daemon, with its API and console.",
        discussion: """
            Settings come from a file, the environment (TAPBRIDGE_LISTEN_PORT=...) and flags: a flag beats the \
            environment, which beats the file. `tapbridge config show` prints the annotated file. Beyond \
            loopback the daemon takes a certificate and at least one token.

            SIGTERM and Ctrl-C end what is under way and then the daemon; SIGHUP reads the configuration again. \
            The built-in host and the emulated cards begin anew with each run.

            Examples:
              tapbridge serve
              tapbridge serve --port 0 --terminals 100 --log-format json
              tapbridge serve --config tapbridge.yaml --set limits.burst=10000
            """)

    @OptionGroup var settings: ConfigurationOptions
    @Option(help: "Address to listen on.") var address: String?
    @Option(help: "Port to listen on; 0 takes a free one.") var port: Int?
    @Option(help: ArgumentHelp("How many emulated terminals to begin with.", valueName: "number"))
    var terminals: Int?
    @Option(
        help: ArgumentHelp(
            "Begin with a terminal at this reader: pcsc, pcsc:NAME, nfc:..., remote:...", valueName: "reader")
    )
    var reader: String?
    @Option(
        help: ArgumentHelp("Terminal profile (YAML) of these terminals.", valueName: "file"),
        completion: .file())
    var profile: String?
    @Option(help: ArgumentHelp("Acquirer file (YAML).", valueName: "file"), completion: .file())
    var acquirer: String?
    @Option(help: ArgumentHelp("Journal file.", valueName: "file")) var journal: String?
    @Option(help: ArgumentHelp("Folder with traces to replay.", valueName: "folder")) var traces: String?
    @Option(help: "text or json.") var logFormat: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel: String?

    /// The options as settings. Paths of options are the caller's, not relative to the file.
    private func sources() -> ConfigurationSources {
        func text(_ text: String?) -> ProfileFile.Value? { text.map { .string($0) } }
        func path(_ path: String?) -> ProfileFile.Value? {
            text(path.map { $0.hasPrefix("/") ? $0 : FileManager.default.currentDirectoryPath + "/" + $0 })
        }
        var groups: ProfileFile.Value?
        if terminals == 0, reader == nil {
            groups = .list([])
        } else if terminals != nil || reader != nil || profile != nil {
            var group: [String: ProfileFile.Value] = ["count": .integer(terminals ?? 1)]
            group["reader"] = text(reader)
            group["profile"] = path(profile)
            groups = .list([.mapping(group)])
        }
        let options: [(setting: String, option: String, value: ProfileFile.Value?)] = [
            ("listen.address", "--address", text(address)),
            ("listen.port", "--port", port.map { .integer($0) }),
            ("terminals", "--terminals", groups), ("acquirer", "--acquirer", path(acquirer)),
            ("journal", "--journal", path(journal)), ("traces", "--traces", path(traces)),
            ("log.format", "--log-format", text(logFormat)), ("log.level", "--log-level", text(logLevel)),
        ]
        return settings.sources(
            options.compactMap { option in
                option.value.map { .init(option.setting, option: option.option, .value($0)) }
            })
    }

    func run() async throws {
        let sources = sources()
        let configuration: DaemonConfiguration
        do throws(ConfigurationMistakes) {
            configuration = try DaemonConfiguration(sources)
        } catch {
            throw CommandFailure(
                .badInput, error.mistakes.count == 1 ? "\(error)" : "the configuration has mistakes\n\(error)"
            )
        }
        ProcessFigures.raiseDescriptorLimit()
        let metrics = ServiceMetrics()
        let log = LogOutput(
            format: configuration.log.format, level: configuration.log.level,
            count: { metrics.noteLog($0.rawValue) })
        // Libraries' loggers go the same way.
        LoggingSystem.bootstrap { LineLogHandler(label: $0, output: log) }

        // The host, and how long it may take, are those of the first group's profile.
        let profile = try TerminalProfile.load(configuration.terminals.first?.profile)
        let journal = try await Journal.opened(at: configuration.journal)
        let hostLog = log.logger("host")
        let host = try Host.open(file: configuration.acquirer, profile: profile, keepsBooks: false) {
            hostLog.notice("\($0)")
        }
        let watch = PaymentWatch(metrics, log, backend: host.backend.name)
        let hall = TerminalHall(
            .init(
                profile: try TerminalProfile.load(nil), journal: journal, backend: host.backend,
                profiles: try Self.profiles(configuration.profileFolder), files: configuration.files,
                pinKeyCounter: try SimulatedHost.pinKeyCounter(profile),
                version: Tapbridge.configuration.version,
                observer: { watch.observe($0) }, paymentsKept: configuration.limits.payments,
                mostEventClients: Int.max,
                traceDirectory: configuration.traces))
        let certificates = configuration.certificates
        let daemon: Daemon
        do {
            daemon = try Daemon(
                .init(
                    configuration: configuration, sources: sources, hall: hall, watch: watch,
                    metrics: metrics, log: log,
                    openReader: { try await Self.open($0, certificates: certificates) },
                    end: {
                        try await host.close()
                        try await journal.close()
                    },
                    environment: ProcessInfo.processInfo.environment,
                    ready: { Console.print("listening on \($0)") }))
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        do {
            try await daemon.run()
        } catch let error as JournalError {
            throw CommandFailure(.journal, "\(error)")
        } catch let error as any (Error & CustomStringConvertible) {
            throw CommandFailure(.reader, "the daemon ended: \(error)")
        }
    }

    private static func open(
        _ name: DaemonConfiguration.ReaderName, certificates: String?
    ) async throws -> any CardReader {
        switch name {
        case .emulated: return EmulatedReader()
        case .pcsc(let name): return try await PCSC.reader(matching: name)
        case .libnfc(let name): return try await PCSC.reader(matching: name)
        case .remote(let name):
            return try await ReaderChoice.open(name, RemoteAccess(directory: certificates))
        }
    }

    private static func profiles(_ folder: String?) throws -> [String: TerminalProfile] {
        var profiles = ["built-in": try TerminalProfile.load(nil)]
        guard let folder else { return profiles }
        for file in try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        where file.hasSuffix(".yaml") {
            profiles[String(file.dropLast(5))] = try TerminalProfile.load(folder + "/" + file)
        }
        return profiles
    }
}
