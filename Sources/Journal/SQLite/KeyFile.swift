internal import EMV
internal import Foundation
internal import Synchronization

/// The key of what the journal keeps enciphered: 32 bytes in a file that only this user can read, made when it is
/// first needed. Without a path it lives as long as the process.
final class KeyFile: Sendable {
    private let path: String?
    private let loaded = Mutex<SecretKey?>(nil)

    init(path: String?) { self.path = path }

    /// - Parameter making: whether a missing key is made.
    /// - Throws: `.damaged` for a key that is missing or no key; `.writeFailed` where none can be made.
    func key(making: Bool) throws(JournalError) -> SecretKey {
        let result: Result<SecretKey, JournalError> = loaded.withLock { loaded in
            if let loaded { return .success(loaded) }
            do throws(JournalError) {
                let key = try find(making)
                loaded = key
                return .success(key)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func find(_ making: Bool) throws(JournalError) -> SecretKey {
        guard let path else { return try make() }
        if let stored = FileManager.default.contents(atPath: path) {
            guard stored.count == AuthenticatedEncryption.keyCount else {
                throw .damaged(path: path, reason: "a key has 32 bytes, this file \(stored.count)")
            }
            return SecretKey(Array(stored))
        }
        guard making else { throw .damaged(path: path, reason: "the key is missing") }
        let key = try make()
        try write(key, to: path)
        return key
    }

    private func make() throws(JournalError) -> SecretKey {
        do { return try AuthenticatedEncryption.makeKey() } catch {
            throw .writeFailed(path: path ?? ":memory:", reason: "no key could be made: \(error)")
        }
    }

    /// Durable before anything is enciphered with it.
    private func write(_ key: SecretKey, to path: String) throws(JournalError) {
        func failed(_ what: String) -> JournalError {
            .writeFailed(path: path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failed("the key file cannot be made") }
        defer { close(descriptor) }
        let written = key.withClearBytes { bytes in
            bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        }
        guard written == key.count, fsync(descriptor) == 0 else {
            let error = failed("the key cannot be written")
            unlink(path)
            throw error
        }
        let directory = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }
}
