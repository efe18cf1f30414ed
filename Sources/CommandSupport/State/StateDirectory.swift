internal import Foundation

/// Where the program keeps what must outlive it.
package enum StateDirectory {
    /// `$XDG_STATE_HOME/tapbridge`, else `~/.local/state/tapbridge`.
    package static var path: String {
        let environment = ProcessInfo.processInfo.environment
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/tapbridge" }
        return NSHomeDirectory() + "/.local/state/tapbridge"
    }

    package static func make(_ subdirectory: String = "") throws -> String {
        let directory = subdirectory.isEmpty ? path : path + "/" + subdirectory
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw CommandFailure(.journal, "cannot make \(directory): \(error.localizedDescription)")
        }
        return directory
    }
}
