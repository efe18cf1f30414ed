import ArgumentParser
import CommandSupport
import Journal
import Terminal

/// Options of every command that runs a terminal.
struct TerminalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Terminal profile (YAML); the built-in one by default.", valueName: "file"))
    var profile: String?

    @Option(help: ArgumentHelp("Journal file; in the user's state directory by default.", valueName: "file"))
    var journal: String?

    @Option(
        help: ArgumentHelp(
            "Acquirer file (YAML): authorize with its host over ISO 8583 or HTTP. By default that of the profile, else the built-in host.",
            valueName: "file"), completion: .file())
    var acquirer: String?

    func loadProfile() throws -> TerminalProfile { try .load(profile) }
    func openJournal() async throws -> Journal { try await .opened(at: journal) }
}

extension Journal {
    /// - Parameter path: nil is the journal of the state directory.
    static func opened(at path: String?) async throws -> Journal {
        do {
            return try await Journal.open(at: path ?? Journal.defaultPath)
        } catch {
            throw CommandFailure(.journal, "\(error)")
        }
    }
}
