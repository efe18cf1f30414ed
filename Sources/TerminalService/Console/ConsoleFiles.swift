/// The console's files as the daemon serves them.
enum ConsoleFiles {
    struct File: Sendable {
        /// `/` or a path from it.
        var path: String
        var type: String
        var bytes: [UInt8]
    }
    static let all: [File] = []
}
