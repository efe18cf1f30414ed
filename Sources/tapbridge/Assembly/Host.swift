import AcquirerFiles
import AcquirerSimulator
import Acquiring
import CommandSupport
import ISO8583Backend
import Journal
import Terminal

/// The host of a run: that of an acquirer file, else the built-in one with its ledger.
struct Host {
    let backend: any AcquirerBackend
    /// The built-in host; nil where an acquirer file names another.
    let simulator: SimulatedAcquirer?
    private let connection: AcquirerConnection?
    private let keepsBooks: Bool

    /// - Parameters:
    ///   - file: an acquirer file; nil takes the profile's, if it has one.
    ///   - troubles: rules of what goes wrong at the built-in host.
    ///   - keepsBooks: whether the built-in host begins with the ledger of the state directory, and `close` keeps it there.
    ///   - log: gets what happens to the connections, a line each.
    /// - Throws: `CommandFailure` where the file cannot be used, or `troubles` are for another host than the built-in one.
    static func open(
        file: String?, profile: TerminalProfile, troubles: [String] = [], keepsBooks: Bool,
        log: @escaping @Sendable (String) -> Void
    ) throws -> Host {
        guard let file = file ?? profile.acquirerFile else {
            let simulator = try SimulatedHost.make(
                troubles: troubles, keepsBooks: keepsBooks, answerTimeout: profile.timing.authorization)
            return Host(simulator, keepsBooks: keepsBooks)
        }
        guard troubles.isEmpty else {
            throw CommandFailure(
                .usage, "--trouble is for the built-in host: give it to `tapbridge host` instead")
        }
        do {
            for problem in try problems(file: file, profile: profile) { log("\(problem)") }
            return Host(
                try AcquirerConnection(
                    file: file, responseTimeout: profile.timing.authorization, log: log))
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    /// What of a profile's texts the host of an acquirer file cannot be told.
    static func problems(
        file: String, profile: TerminalProfile
    ) throws(AcquirerFileError) -> [TextProblem] {
        try AcquirerConnection.interface(file: file)?.problems(profile) ?? []
    }

    /// The host's own messages take their numbers from the terminal's counter.
    func takeTraceNumbers(from journal: Journal, terminalID: String) {
        (backend as? any TraceNumberedBackend)?.takeTraceNumbers {
            try? await journal.drawTraceNumber(terminal: terminalID)
        }
    }

    init(_ simulator: SimulatedAcquirer, keepsBooks: Bool) {
        backend = simulator
        self.simulator = simulator
        connection = nil
        self.keepsBooks = keepsBooks
    }

    private init(_ connection: AcquirerConnection) {
        backend = connection.backend
        simulator = nil
        self.connection = connection
        keepsBooks = false
    }

    /// Ends the connections, or keeps the built-in host's ledger.
    /// - Throws: `CommandFailure` where the ledger cannot be kept.
    func close() async throws {
        await connection?.close()
        if keepsBooks, let simulator { try await SimulatedHost.keepBooks(of: simulator) }
    }
}

extension HostInterface {
    /// What of a profile's texts this host's messages cannot say.
    func problems(_ profile: TerminalProfile) -> [TextProblem] {
        problems(
            terminalID: profile.terminalID, merchantID: profile.merchant.id,
            merchant: CardAcceptor(
                name: profile.merchant.name, city: profile.merchant.location,
                country: Int(profile.country.value)))
    }
}
