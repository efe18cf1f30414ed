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

    /// - Throws: `.damaged` for a key file that is none; `.writeFailed` where no key can be made.
    func sealed(_ bytes: [UInt8], of id: String) throws(JournalError) -> [UInt8] {
        let key = try key(making: true)
        do {
            return try AuthenticatedEncryption.seal(bytes, key: key, context: Array(id.utf8))
        } catch {
            throw .writeFailed(path: path ?? ":memory:", reason: "enciphering: \(error)")
        }
    }

    /// Nil where the bytes were altered, or are not of this key or transaction.
    /// - Throws: `.damaged` for a key that is missing or no key.
    func opened(_ sealed: [UInt8], of id: String) throws(JournalError) -> [UInt8]? {
        let key = try key(making: false)
        return (try? AuthenticatedEncryption.open(sealed, key: key, context: Array(id.utf8))) ?? nil
    }

    private func find(_ making: Bool) throws(JournalError) -> SecretKey {
        guard let path else { return try make() }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        if descriptor < 0 {
            guard errno == ENOENT else {
                throw .damaged(
                    path: path, reason: "the key cannot be read: \(String(cString: strerror(errno)))")
            }
            guard making else {
                throw .damaged(path: path, reason: "the key of what is kept to be forwarded is missing")
            }
            let key = try make()
            try write(key, to: path)
            return key
        }
        defer { close(descriptor) }
        // Whatever copied it: for its user alone.
        fchmod(descriptor, 0o600)
        var bytes = [UInt8](repeating: 0, count: AuthenticatedEncryption.keyCount + 1)
        let count = read(descriptor, &bytes, bytes.count)
        guard count == AuthenticatedEncryption.keyCount else {
            throw .damaged(path: path, reason: "it is not a key of \(AuthenticatedEncryption.keyCount) bytes")
        }
        return SecretKey(Array(bytes.prefix(count)))
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
        // Renamed when it is whole: a crash leaves a key or none. One writer holds the journal's lock.
        let fresh = path + ".new"
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failed("the key file cannot be made") }
        defer { close(descriptor) }
        let written = key.withClearBytes { bytes in
            bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        }
        guard written == key.count, fsync(descriptor) == 0, rename(fresh, path) == 0 else {
            let error = failed("the key cannot be written")
            unlink(fresh)
            throw error
        }
        let directory = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }
}
