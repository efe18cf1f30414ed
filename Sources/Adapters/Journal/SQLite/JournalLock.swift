internal import Foundation
internal import Synchronization

/// Holds the journal for one writing process: an advisory lock on a file beside it, with the process's
/// number in it. The kernel lets go of it however the process ends.
final class JournalLock: Sendable {
    private let descriptor: Mutex<Int32?>

    init(path: String) throws(JournalError) {
        let lockPath = path + ".lock"
        let opened = Foundation.open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard opened >= 0 else {
            throw .cannotOpen(path: path, reason: "\(lockPath): \(String(cString: strerror(errno)))")
        }
        var outcome = flock(opened, LOCK_EX | LOCK_NB)
        while outcome != 0, errno == EINTR { outcome = flock(opened, LOCK_EX | LOCK_NB) }
        guard outcome == 0 else {
            let code = errno
            var buffer = [UInt8](repeating: 0, count: 16)
            let count = max(0, pread(opened, &buffer, buffer.count, 0))
            Foundation.close(opened)
            guard code == EWOULDBLOCK else {
                throw .cannotOpen(path: path, reason: "\(lockPath): \(String(cString: strerror(code)))")
            }
            let digits = buffer.prefix(count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            throw .locked(path: path, processID: Int32(String(decoding: digits, as: UTF8.self)))
        }
        // On a full disk the number may be missing; the lock holds without it.
        ftruncate(opened, 0)
        let text = Array("\(getpid())\n".utf8)
        _ = pwrite(opened, text, text.count, 0)
        descriptor = Mutex(opened)
    }

    func release() {
        descriptor.withLock {
            if let open = $0 {
                // A child that another thread starts at this moment shares the lock until it has become its program: closing
                // alone would leave the journal locked for so long.
                flock(open, LOCK_UN)
                Foundation.close(open)
            }
            $0 = nil
        }
    }

    deinit { release() }
}
