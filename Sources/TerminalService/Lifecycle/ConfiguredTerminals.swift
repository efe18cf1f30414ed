internal import CardReaders
internal import Journal
internal import Logging
internal import ProfileFile
internal import Synchronization
internal import Terminal

/// The terminals that the configuration names, as they stand in the hall. Those that clients added are left alone.
final class ConfiguredTerminals: Sendable {
    /// What makes a configured terminal what it is: with any of it changed it is another one.
    private struct Key: Hashable {
        var id: String?
        /// Digest of the profile's text.
        var profile: String
        var reader: DaemonConfiguration.ReaderName
        /// Among those that are otherwise the same.
        var number: Int
    }
    private struct Wanted {
        var key: Key
        var profile: TerminalProfile
    }
    private struct State {
        /// The id in the hall by what it was made from.
        var present: [Key: String] = [:]
        var wanted: [Wanted] = []
        var missing: [DaemonConfiguration.ReaderName: String] = [:]
        var hasStarted = false
    }
    private let state = Mutex(State())
    private let hall: TerminalHall
    private let watch: PaymentWatch
    private let openReader: @Sendable (DaemonConfiguration.ReaderName) async throws -> any CardReader
    private let logger: Logger

    init(
        hall: TerminalHall, watch: PaymentWatch,
        openReader: @escaping @Sendable (DaemonConfiguration.ReaderName) async throws -> any CardReader,
        logger: Logger
    ) {
        self.hall = hall
        self.watch = watch
        self.openReader = openReader
        self.logger = logger
    }

    var names: [String] { state.withLock { $0.present.values.sorted() } }
    /// Readers that could not be opened yet, and why.
    var missing: [DaemonConfiguration.ReaderName: String] { state.withLock { $0.missing } }

    /// Makes the first terminals and resolves what an earlier run left unfinished.
    /// - Returns: what could not be done, and why.
    func start(_ groups: [DaemonConfiguration.TerminalGroup]) async throws(JournalError) -> [String] {
        let failures = await apply(groups)
        try await hall.start()
        state.withLock { $0.hasStarted = true }
        return failures
    }

    /// Makes the terminals that are new and takes away those that are not named any more.
    /// - Returns: what could not be done, and why.
    func apply(_ groups: [DaemonConfiguration.TerminalGroup]) async -> [String] {
        var failures: [String] = []
        var profiles: [String?: TerminalProfile] = [nil: hall.options.profile]
        var wanted: [Wanted] = []
        var numbers: [Key: Int] = [:]
        for group in groups {
            let profile: TerminalProfile
            if let known = profiles[group.profile] {
                profile = known
            } else if let path = group.profile {
                do throws(ProfileFileError) {
                    profile = try TerminalProfile(path: path)
                    profiles[path] = profile
                } catch {
                    failures.append("terminals: \(error)")
                    continue
                }
            } else {
                continue
            }
            for name in group.names {
                var key = Key(id: name, profile: profile.digest, reader: group.reader, number: 0)
                let number = numbers[key, default: 0]
                numbers[key] = number + 1
                key.number = number
                wanted.append(Wanted(key: key, profile: profile))
            }
        }
        let wantedKeys = Set(wanted.map(\.key))
        let gone = state.withLock { state in
            state.wanted = wanted
            return state.present.filter { !wantedKeys.contains($0.key) }
        }
        for (key, id) in gone {
            do throws(Problem) {
                try await hall.removeTerminal(id, leavingWhatItOwes: true)
            } catch  where error.code == .notFound {
                // A client took it away before.
            } catch {
                failures.append("terminal \(id): takes a payment now, stays as it is until the next reload")
                continue
            }
            state.withLock { $0.present[key] = nil }
            watch.forget(terminal: id)
            if key.reader != .emulated { await hall.removeReader(key.reader.description) }
        }
        let readers = Set(wanted.map(\.key.reader))
        state.withLock { state in state.missing = state.missing.filter { readers.contains($0.key) } }
        for item in wanted where state.withLock({ $0.present[item.key] == nil }) {
            if let failure = await add(item) { failures.append(failure) }
        }
        return failures
    }

    /// Tries readers again that were not there.
    func attachMissing() async {
        let items = state.withLock { state in
            state.wanted.filter { state.present[$0.key] == nil && state.missing[$0.key.reader] != nil }
        }
        for item in items where await add(item) == nil {
            logger.notice(
                "reader \(item.key.reader) is there", metadata: ["terminal": "\(item.key.id ?? "")"])
        }
    }

    /// - Returns: why it is not there.
    private func add(_ item: Wanted) async -> String? {
        var readerID: String?
        if item.key.reader != .emulated {
            do {
                let reader = try await openReader(item.key.reader)
                let id = item.key.reader.description
                hall.addReader(reader, id: id)
                readerID = id
                state.withLock { $0.missing[item.key.reader] = nil }
            } catch {
                let isNew = state.withLock {
                    $0.missing.updateValue("\(error)", forKey: item.key.reader) == nil
                }
                // The daemon goes on without it, and looks again.
                if isNew {
                    logger.warning(
                        "reader \(item.key.reader) is not there yet", metadata: ["error": "\(error)"])
                }
                return nil
            }
        }
        do throws(Problem) {
            let terminal = try hall.addTerminal(id: item.key.id, profile: item.profile, reader: readerID)
            state.withLock { $0.present[item.key] = terminal.id }
            if readerID != nil { watch.note(terminal: terminal.id, readerKind: item.key.reader.kind) }
            // What was left unfinished there comes first; those of the beginning are looked after by `start`.
            if state.withLock({ $0.hasStarted }) { await terminal.recover() }
            return nil
        } catch {
            return "terminal \(item.key.id ?? "of \(item.profile.source)"): \(error.detail ?? error.title)"
        }
    }
}

extension DaemonConfiguration.ReaderName {
    /// As metrics name it.
    var kind: String {
        switch self {
        case .emulated: "emulated"
        case .pcsc: "pcsc"
        case .libnfc: "libnfc"
        case .remote: "remote"
        }
    }
}
