internal import Foundation
import UserDirectories

/// Where the program keeps what must outlive it.
package enum StateDirectory {
    /// See `UserDirectories.state`.
    package static var path: String { UserDirectories.current.state }

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
