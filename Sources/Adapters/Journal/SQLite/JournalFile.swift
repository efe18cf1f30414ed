internal import Foundation

/// The journal's file before SQLite is asked to touch it.
enum JournalFile {
    enum Kind { case empty, journal }

    /// Makes the directories that are missing, for this user alone, and syncs each one's entry.
    static func makeDirectory(of path: String) throws(JournalError) {
        var missing: [URL] = []
        var directory = URL(fileURLWithPath: path).deletingLastPathComponent()
        while !FileManager.default.fileExists(atPath: directory.path), directory.path != "/" {
            missing.append(directory)
            directory.deleteLastPathComponent()
        }
        for directory in missing.reversed() {
            guard mkdir(directory.path, 0o700) == 0 || errno == EEXIST else {
                throw .cannotOpen(
                    path: path,
                    reason: "\(directory.path) cannot be made: \(String(cString: strerror(errno)))")
            }
            let parent = open(directory.deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if parent >= 0 {
                fsync(parent)
                close(parent)
            }
        }
    }

    /// Whose file it is, by its first hundred bytes (SQLite file format, 1.3).
    static func checkHeader(_ path: String) throws(JournalError) -> Kind {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return .empty }
            throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: 100)
        let count = pread(descriptor, &head, head.count, 0)
        guard count >= 0 else {
            throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        if count == 0 { return .empty }
        guard head.starts(with: "SQLite format 3\0".utf8.prefix(count)) else {
            throw .notAJournal(path: path, reason: "it is not a SQLite database")
        }
        guard count == 100 else {
            throw .damaged(path: path, reason: "it ends after \(count) bytes, within its header")
        }
        let application = head[68..<72].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard application == UInt32(bitPattern: Schema.applicationID) else {
            throw .notAJournal(path: path, reason: "it is another program's database")
        }
        return .journal
    }

    /// Makes an empty file that only this user can read; SQLite's other files take its mode.
    static func createPrivately(_ path: String) throws(JournalError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        close(descriptor)
    }

    /// Takes the file from everybody but its user, whatever copied or restored it: it holds payments.
    static func makePrivate(_ path: String) { chmod(path, 0o600) }

    /// Whether there is no write-ahead log with anything in it.
    static func isAtRest(_ path: String) -> Bool {
        var status = stat()
        return stat(path + "-wal", &status) != 0 || status.st_size == 0
    }
}
