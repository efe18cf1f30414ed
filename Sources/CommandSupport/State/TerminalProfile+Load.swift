internal import ProfileFile
package import Terminal

extension TerminalProfile {
    /// The profile of a file, or the built-in one.
    package static func load(_ path: String?) throws -> TerminalProfile {
        do {
            return try path.map { (path) throws(ProfileFileError) in try TerminalProfile(path: path) }
                ?? TerminalProfile.builtIn()
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }
}
