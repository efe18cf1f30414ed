internal import Foundation

/// Where a user's files are, by the XDG Base Directory Specification: the environment before the user database.
public struct UserDirectories: Sendable, Equatable {
    /// The user's home directory: `$HOME`, else what the user database says.
    public let home: String
    /// What must outlive a run: `$TAPBRIDGE_STATE`, else `$XDG_STATE_HOME/tapbridge`, else `~/.local/state/tapbridge`.
    public let state: String
    /// Configuration files: `$XDG_CONFIG_HOME/tapbridge`, else `~/.config/tapbridge`.
    public let configuration: String

    /// Those of this process.
    public static var current: UserDirectories {
        UserDirectories(environment: ProcessInfo.processInfo.environment)
    }

    public init(environment: [String: String]) {
        self.init(environment: environment, database: NSHomeDirectory())
    }

    /// - Parameter database: the home directory of the user database.
    init(environment: [String: String], database: String) {
        // Relative and empty paths are ignored, as the specification says.
        func absolute(_ name: String) -> String? {
            environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        home = absolute("HOME") ?? database
        state =
            absolute("TAPBRIDGE_STATE") ?? absolute("XDG_STATE_HOME").map { $0 + "/tapbridge" }
            ?? home + "/.local/state/tapbridge"
        configuration = (absolute("XDG_CONFIG_HOME") ?? home + "/.config") + "/tapbridge"
    }
}
