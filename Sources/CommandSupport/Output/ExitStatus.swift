package import ArgumentParser
internal import Journal

/// What the program's exit status says. Documented in the help of `tapbridge` and in the README.
package enum ExitStatus: Int32 {
    case success = 0
    /// A payment was declined, refused, cancelled or not completed.
    case notApproved = 1
    /// A replay differs from its trace, or a check failed.
    case different = 2
    /// No reader, or the reader failed.
    case reader = 3
    /// The journal cannot be used.
    case journal = 4
    /// The host's decision is unknown; a reversal is due.
    case outcomeUnknown = 5
    /// Wrong usage (as ArgumentParser reports it).
    case usage = 64
    /// Input that cannot be read: hex, trace, profile.
    case badInput = 65
    case interrupted = 130

    package static let table: [(ExitStatus, String)] = [
        (.success, "success; for payments: approved"),
        (.notApproved, "the payment was declined, refused, cancelled or not completed"),
        (.different, "a replay differs from its trace, or a check failed"),
        (.reader, "no such reader, or the reader failed"),
        (.journal, "the journal cannot be used"),
        (.outcomeUnknown, "the host's decision is unknown; a reversal is due"),
        (.usage, "wrong usage"),
        (.badInput, "input that cannot be read (hex, trace, profile)"),
        (.interrupted, "interrupted"),
    ]
}

/// A command that takes or gives money, or delivers what is owed: it is carried to its end though nobody reads its output.
package protocol MoneyCommand: AsyncParsableCommand {}

/// An error for people with the exit status it gives.
package struct CommandFailure: Error, CustomStringConvertible {
    package let status: ExitStatus
    package let description: String
    package init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }
}

extension CommandFailure {
    /// Runs a reading and maps its errors.
    package static func reading<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as JournalError {
            throw CommandFailure(.journal, "\(error)")
        }
    }
}

/// Ends the program with a status and no further words.
package struct ExitWithStatus: Error {
    package let status: ExitStatus
    package init(status: ExitStatus) { self.status = status }
}

/// `--json`, for commands that have it.
package struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON for programs.")
    package var json = false

    package init() {}
}
