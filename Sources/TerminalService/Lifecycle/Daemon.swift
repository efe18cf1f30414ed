public import CardReaders
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Journal
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization
internal import Terminal
internal import UnixSignals

/// The daemon around the hall: configuration, guards, metrics, readers, and a life from the first signal to the last.
public final class Daemon: Sendable {
    /// What the program hands in.
    public struct Parts: Sendable {
        public var configuration: DaemonConfiguration
        /// Where the configuration is read again from.
        public var sources: ConfigurationSources
        public var hall: TerminalHall
        public var watch: PaymentWatch
        public var metrics: ServiceMetrics
        public var log: LogOutput
        /// Opens a reader that is not an emulated one.
        public var openReader: @Sendable (DaemonConfiguration.ReaderName) async throws -> any CardReader
        /// Called when the last payment is over: ends connections to hosts, keeps books.
        public var end: @Sendable () async throws -> Void
        public var environment: [String: String]
        /// Told where the daemon listens, when it takes payments.
        public var ready: @Sendable (_ url: String) -> Void

        public init(
            configuration: DaemonConfiguration, sources: ConfigurationSources, hall: TerminalHall,
            watch: PaymentWatch, metrics: ServiceMetrics, log: LogOutput,
            openReader: @escaping @Sendable (DaemonConfiguration.ReaderName) async throws -> any CardReader,
            end: @escaping @Sendable () async throws -> Void, environment: [String: String],
            ready: @escaping @Sendable (_ url: String) -> Void
        ) {
            self.configuration = configuration
            self.sources = sources
            self.hall = hall
            self.watch = watch
            self.metrics = metrics
            self.log = log
            self.openReader = openReader
            self.end = end
            self.environment = environment
            self.ready = ready
        }
    }

    let parts: Parts
    let settings: GuardSettings
    let keeper: ConnectionKeeper
    let streams = StreamCount()
    let sessions = Sessions()
    let guesses: GuessLimit
    let notifier: SystemNotifier
    let logger: Logger
    let terminals: ConfiguredTerminals
    let identity: ServerIdentity?
    private let state: Mutex<(configuration: DaemonConfiguration, isListening: Bool)>
    private let reloading = AsyncLock()
    private let running = Mutex<ServiceGroup?>(nil)
    var hall: TerminalHall { parts.hall }
    public var metrics: ServiceMetrics { parts.metrics }

    /// - Throws: where certificate and key cannot be used.
    public init(_ parts: Parts) throws {
        self.parts = parts
        let settings = GuardSettings(.init(parts.configuration))
        self.settings = settings
        keeper = ConnectionKeeper(
            limit: { settings.current.limits.connections },
            unreadLimit: { settings.current.limits.unread },
            rejected: { [metrics = parts.metrics] in metrics.noteRejection($0) })
        guesses = GuessLimit(rejected: { [metrics = parts.metrics] in metrics.noteRejection($0) })
        notifier = SystemNotifier(environment: parts.environment)
        logger = parts.log.logger("daemon")
        identity = try parts.configuration.listen.tls.map { try ServerIdentity($0) }
        state = Mutex((parts.configuration, false))
        terminals = ConfiguredTerminals(
            hall: parts.hall, watch: parts.watch, openReader: parts.openReader, logger: logger)
    }

    var configuration: DaemonConfiguration { state.withLock { $0.configuration } }

    /// All routes, with the guards before them.
    /// - Throws: `UndeclaredRoutes`.
    func router() throws -> Router<APIContext> {
        let rejected: @Sendable (Rejection) -> Void = { [metrics] in metrics.noteRejection($0) }
        return try API.router(
            hall: hall,
            outer: [RequestMeter(metrics, parts.log.logger("http")), SecurityHeaders(settings)],
            guards: [
                OriginGuard(settings, rejected: rejected),
                AuthenticationGuard(settings, sessions, guesses),
                RateGuard(settings, rejected: rejected), AuthorizationGuard(rejected: rejected),
                BodyGuard(settings, rejected: rejected),
                StreamGuard(settings, streams, sessions, rejected: rejected),
            ],
            more: { DaemonRoutes(daemon: self).add(to: $0) })
    }

    /// Serves until it is asked to end, and ends what is under way.
    /// - Parameter signals: whether SIGTERM, SIGINT and SIGHUP are heeded.
    public func run(signals: Bool = true) async throws {
        let configuration = configuration
        let router = try router()
        // Emulated terminals are there before the first client; readers may take their time.
        for failure in try await terminals.start(configuration.terminals) { logger.error("\(failure)") }

        let listen = configuration.listen
        let application = Application(
            router: router,
            server: .guarded(keeper, settings, identity: identity),
            configuration: .init(
                address: .hostname(listen.address, port: listen.port), serverName: nil, backlog: 1024),
            onServerRunning: { [self] channel in listening(on: channel.localAddress) },
            logger: parts.log.logger("server", atLeast: .notice))

        // They end in the opposite order: the watchdog last, as the manager counts until the process is gone.
        var services: [any Service] = [
            WatchdogService(notifier: notifier) { [self] in
                // What is being ended has its own bounds.
                if hall.figures.isStopping { return true }
                return await isAlive()
            },
            application, HallService(daemon: self), ReaderService(terminals: terminals),
            JournalService(journal: hall.options.journal, logger: logger),
        ]
        if signals { services.append(ReloadSignalService(daemon: self)) }
        var group = ServiceGroupConfiguration(
            services: services.map { .init(service: $0) },
            gracefulShutdownSignals: signals ? [.sigterm, .sigint] : [],
            logger: parts.log.logger("lifecycle", atLeast: .notice))
        // Payments have their own bound; this is for clients that hold on.
        group.maximumGracefulShutdownDuration = configuration.stopTimeout + .seconds(10)
        group.maximumCancellationDuration = .seconds(5)
        let running = ServiceGroup(configuration: group)
        self.running.withLock { $0 = running }
        try await running.run()
    }

    /// Asks the daemon to end, as SIGTERM does; `run` returns when it has.
    public func stop() async { await running.withLock({ $0 })?.triggerGracefulShutdown() }

    private func listening(on address: SocketAddress?) {
        let listen = configuration.listen
        let port = address?.port ?? listen.port
        let host = listen.address.contains(":") ? "[\(listen.address)]" : listen.address
        let url = "\(listen.tls == nil ? "http" : "https")://\(host):\(port)"
        state.withLock { $0.isListening = true }
        logger.notice(
            "listening on \(url)",
            metadata: [
                "terminals": "\(hall.figures.terminals)",
                "tokens": "\(configuration.tokens.count)",
            ])
        notifier.tell(.ready, .status("listening on \(url)"))
        parts.ready(url)
        ResidentMemory.giveBack()
    }

    // MARK: - How it is

    /// Why the daemon should get no payments now; empty where it should.
    func reasonsNotReady() async -> [String] {
        let journal = hall.options.journal
        var reasons: [String] = []
        let figures = hall.figures
        if figures.isStopping { reasons.append("stopping") }
        if !state.withLock({ $0.isListening }) { reasons.append("starting") }
        switch await journalAnswers({ () async throws(JournalError) in try await journal.checkWrites() }) {
        case .some(nil): break
        case .some(let error?): reasons.append("\(error)")
        case nil: reasons.append("journal \(journal.path) takes no writes: no answer within 2 s")
        }
        reasons += terminals.missing.map { "reader \($0.key): \($0.value)" }.sorted()
        return reasons
    }

    /// Nil: no answer in time; else the error, if there was one.
    private func journalAnswers(
        _ question: @escaping @Sendable () async throws(JournalError) -> Void
    ) async -> JournalError?? {
        await withTaskGroup(of: JournalError??.self) { group in
            group.addTask {
                do throws(JournalError) {
                    try await question()
                    return .some(nil)
                } catch { return .some(error) }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// Whether terminals and journal answer at all: what a restart could mend.
    func isAlive() async -> Bool {
        _ = hall.figures
        let journal = hall.options.journal
        return await journalAnswers { () async throws(JournalError) in _ = try await journal.list(limit: 1) }
            != nil
    }

    func gauges() async -> ServiceMetrics.Gauges {
        var gauges = ServiceMetrics.Gauges()
        for reader in hall.readers {
            gauges.readers[.init(kind: reader.kind, state: reader.state.rawValue), default: 0] += 1
        }
        if !terminals.missing.isEmpty {
            for name in terminals.missing.keys {
                gauges.readers[.init(kind: name.kind, state: "offline"), default: 0] += 1
            }
        }
        for terminal in hall.terminals {
            let view = terminal.stage.view
            gauges.terminals[view.state.rawValue, default: 0] += 1
            gauges.backlog += view.backlog.count
        }
        gauges.backlog += await hall.absentBacklog()
        let figures = hall.figures
        gauges.paymentsUnderWay = figures.paymentsUnderWay
        gauges.eventClients = figures.eventClients
        gauges.isStopping = figures.isStopping
        gauges.connections = keeper.count
        let path = hall.options.journal.path
        for name in [path, path + "-wal", path + "-shm"] {
            let attributes = try? FileManager.default.attributesOfItem(atPath: name)
            gauges.journalBytes += (attributes?[.size] as? NSNumber)?.intValue ?? 0
        }
        return gauges
    }

    // MARK: - Reading the configuration again

    /// What reading the configuration again changed, and what it did not.
    public struct ReloadReport: Sendable, Encodable, Equatable {
        /// Settings that are as the configuration says now.
        public var changed: [String] = []
        /// What stays as it was, and why.
        public var refused: [String] = []
        /// Whether the configuration could be read: with a mistake anywhere nothing changes.
        public var isRead = true
        enum CodingKeys: CodingKey { case changed, refused }
    }

    /// Reads the configuration again. No payment notices: terminals that take one stay until they are idle.
    public func reload() async -> ReloadReport {
        await reloading.withLock { [self] in
            notifier.tell(SystemNotifier.reloadingNow())
            defer { notifier.tell(.ready) }
            let report = await reloadLocked()
            metrics.noteReload(succeeded: report.isRead)
            logger.log(
                level: report.isRead ? .notice : .error,
                report.isRead ? "configuration read again" : "configuration not read again: it has mistakes",
                metadata: [
                    "changed": "\(report.changed.joined(separator: ", "))",
                    "refused": "\(report.refused.joined(separator: "; "))",
                ])
            return report
        }
    }

    private func reloadLocked() async -> ReloadReport {
        var report = ReloadReport()
        let old = configuration
        let new: DaemonConfiguration
        do throws(ConfigurationMistakes) {
            new = try DaemonConfiguration(parts.sources)
        } catch {
            report.isRead = false
            report.refused = error.mistakes.map(\.description)
            return report
        }
        var result = new
        func needsRestart<T: Equatable>(_ setting: String, _ path: WritableKeyPath<DaemonConfiguration, T>) {
            guard old[keyPath: path] != new[keyPath: path] else { return }
            report.refused.append("\(setting): takes a restart")
            result[keyPath: path] = old[keyPath: path]
        }
        needsRestart("listen.address", \.listen.address)
        needsRestart("listen.port", \.listen.port)
        needsRestart("acquirer", \.acquirer)
        needsRestart("journal", \.journal)
        needsRestart("traces", \.traces)
        needsRestart("certificates", \.certificates)
        needsRestart("files", \.files)
        needsRestart("profile-folder", \.profileFolder)
        needsRestart("stop-timeout", \.stopTimeout)

        switch (identity, new.listen.tls) {
        case (let identity?, let tls?):
            do {
                // Also where the paths are the same: the files may hold new ones.
                if try identity.replace(tls) { report.changed.append("listen.tls") }
            } catch {
                report.refused.append("listen.tls: \(error)")
                result.listen.tls = old.listen.tls
            }
        case (nil, nil): break
        default:
            report.refused.append("listen.tls: takes a restart")
            result.listen.tls = old.listen.tls
        }
        for (setting, isSame) in [
            ("listen.allowed-hosts", old.listen.allowedHosts == new.listen.allowedHosts),
            ("tokens", old.tokens == new.tokens), ("log", old.log == new.log),
            ("limits", old.limits == new.limits),
        ] where !isSame { report.changed.append(setting) }
        let values = GuardSettings.Values(result)
        settings.replace(values)
        // What tokens that are gone have opened goes with them.
        sessions.keep(values.tokens)
        streams.keep(values, sessions)
        parts.log.set(new.log)

        // Also where the list is the same: the profiles that it names may have changed.
        let before = terminals.names
        let failures = await terminals.apply(new.terminals)
        report.refused += failures
        if terminals.names != before { report.changed.append("terminals") }
        let kept = result
        state.withLock { $0.configuration = kept }
        return report
    }

    /// The hall's part of the life: ends what is under way before the server goes.
    private struct HallService: Service {
        let daemon: Daemon
        func run() async throws {
            try await gracefulShutdown()
            let figures = daemon.hall.figures
            daemon.notifier.tell(.stopping, .status("ending \(figures.paymentsUnderWay) payments"))
            daemon.logger.notice("stopping", metadata: ["paymentsUnderWay": "\(figures.paymentsUnderWay)"])
            let unfinished = await daemon.hall.drain(patience: daemon.configuration.stopTimeout)
            try await daemon.parts.end()
            if unfinished == 0 {
                daemon.logger.notice("all payments are over")
            } else {
                daemon.logger.warning(
                    "payments without an answer of the host are left to the next start, which reverses them",
                    metadata: ["payments": "\(unfinished)"])
            }
        }
    }

    /// Ends the daemon when its journal has stopped for good: the next start resolves what could not be written.
    private struct JournalService: Service {
        let journal: Journal
        let logger: Logger
        func run() async throws {
            for await health in journal.healthChanges().cancelOnGracefulShutdown() {
                switch health {
                case .takesWrites: logger.notice("the journal takes writes again")
                case .failing(let error):
                    logger.error("the journal takes no writes", metadata: ["error": "\(error)"])
                case .stopped(let error):
                    logger.critical("the journal has stopped", metadata: ["error": "\(error)"])
                    throw error
                }
            }
            try await gracefulShutdown()
        }
    }

    private struct ReloadSignalService: Service {
        let daemon: Daemon
        func run() async throws {
            let signals = await UnixSignalsSequence(trapping: .sighup)
            for await _ in signals.cancelOnGracefulShutdown() { _ = await daemon.reload() }
        }
    }

    /// Waits for readers that are not there yet.
    private struct ReaderService: Service {
        let terminals: ConfiguredTerminals
        func run() async throws {
            await cancelWhenGracefulShutdown {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(5))
                    await terminals.attachMissing()
                }
            }
        }
    }
}

/// One at a time, in the order of coming.
actor AsyncLock {
    private var tail: Task<Void, Never>?

    func withLock<T: Sendable>(_ body: @escaping @Sendable () async -> T) async -> T {
        let before = tail
        let task = Task {
            await before?.value
            return await body()
        }
        tail = Task { _ = await task.value }
        return await task.value
    }
}
