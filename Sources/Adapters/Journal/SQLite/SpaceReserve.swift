internal import Foundation
internal import Synchronization

/// Room on the disk, kept in a file beside the journal and given back when the disk is full, so that what
/// is owed to the host can still be written. Until it is there again no new transaction begins.
final class SpaceReserve: Sendable {
    private let path: String
    private let size: Int
    private let isHeld: Mutex<Bool>

    /// - Parameter size: bytes; 0 for none.
    init(path: String, size: Int) {
        self.path = path
        self.size = size
        isHeld = Mutex(false)
        _ = hold()
    }

    /// Allocates the room where it is not held.
    /// - Returns: whether it is held now.
    func hold() -> Bool {
        guard size > 0 else { return true }
        return isHeld.withLock { isHeld in
            if isHeld { return true }
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { return false }
            defer { close(descriptor) }
            guard posix_fallocate(descriptor, 0, off_t(size)) == 0 else {
                ftruncate(descriptor, 0)
                return false
            }
            isHeld = true
            return true
        }
    }

    /// Gives the room back to the file system.
    /// - Returns: whether there was any.
    func release() -> Bool {
        guard size > 0 else { return false }
        return isHeld.withLock { isHeld in
            guard isHeld, truncate(path, 0) == 0 else { return false }
            isHeld = false
            return true
        }
    }
}
