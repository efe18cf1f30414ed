internal import Foundation

/// Holds the journal for one writing process: an advisory lock on a file beside it, with the process's
/// number in it. The kernel lets go of it however the process ends.
final class JournalLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws(JournalError) {
        let lockPath = path + ".lock"
        descriptor = Foundation.open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw .cannotOpen(path: path, reason: "\(lockPath): \(reason)")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = try? String(contentsOfFile: lockPath, encoding: .utf8)
            Foundation.close(descriptor)
            throw .locked(
                path: path,
                processID: holder.flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
        }
        ftruncate(descriptor, 0)
        let text = "\(getpid())\n"
        _ = text.withCString { write(descriptor, $0, strlen($0)) }
    }

    deinit { Foundation.close(descriptor) }
}
