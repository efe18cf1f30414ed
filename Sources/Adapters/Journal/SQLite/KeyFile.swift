internal import EMVCryptography
internal import Foundation
internal import Synchronization

/// The key of what the journal keeps enciphered: 32 bytes, or 64 hexadecimal digits, in a file that only this user
/// can read, made when it is first needed. Without a path it lives as long as the process.
final class KeyFile: Sendable {
    private let path: String?
    /// Handed in from outside: never made here.
    private let isProvided: Bool
    private let loaded = Mutex<SecretKey?>(nil)

    init(path: String?, isProvided: Bool = false) {
        self.path = path
        self.isProvided = isProvided
    }

    /// The name of the service manager's credential with the key.
    static let credentialName = "tapbridge-journal-key"

    /// The key of a journal: the given file, else the service manager's credential (systemd.exec(5),
    /// `LoadCredential=`), else a file beside the journal.
    static func find(_ given: String?, journal path: String) -> KeyFile {
        if let given { return KeyFile(path: given, isProvided: true) }
        if let directory = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"] {
            let credential = directory + "/" + credentialName
            if FileManager.default.fileExists(atPath: credential) {
                return KeyFile(path: credential, isProvided: true)
            }
        }
        return KeyFile(path: path + ".key")
    }

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
    func sealed(_ bytes: [UInt8], context: String) throws(JournalError) -> [UInt8] {
        let key = try key(making: true)
        do {
            return try AuthenticatedEncryption.seal(bytes, key: key, context: Array(context.utf8))
        } catch {
            throw .writeFailed(path: path ?? ":memory:", reason: "enciphering: \(error)")
        }
    }

    /// Nil where the bytes were altered, or are not of this key or context.
    /// - Throws: `.damaged` for a key that is missing or no key.
    func opened(_ sealed: [UInt8], context: String) throws(JournalError) -> [UInt8]? {
        let key = try key(making: false)
        return (try? AuthenticatedEncryption.open(sealed, key: key, context: Array(context.utf8))) ?? nil
    }

    private func find(_ making: Bool) throws(JournalError) -> SecretKey {
        guard let path else { return try make() }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        if descriptor < 0 {
            guard errno == ENOENT else {
                throw .damaged(
                    path: path, reason: "the key cannot be read: \(String(cString: strerror(errno)))")
            }
            guard making, !isProvided else {
                throw .damaged(path: path, reason: "the key of what is kept to be forwarded is missing")
            }
            let key = try make()
            try write(key, to: path)
            return key
        }
        defer { close(descriptor) }
        // Whatever copied it: for its user alone. A provided one is its provider's.
        if !isProvided { fchmod(descriptor, 0o600) }
        var bytes = [UInt8](repeating: 0, count: 2 * AuthenticatedEncryption.keyCount + 3)
        defer { for index in bytes.indices { bytes[index] = 0 } }
        let count = read(descriptor, &bytes, bytes.count)
        if count == AuthenticatedEncryption.keyCount { return SecretKey(Array(bytes.prefix(count))) }
        let digits = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
            .trimmingCharacters(in: .newlines)
        guard digits.utf8.count == 2 * AuthenticatedEncryption.keyCount, let key = SecretKey(hex: digits)
        else {
            throw .damaged(
                path: path,
                reason:
                    "it is not a key of \(AuthenticatedEncryption.keyCount) bytes or as many hexadecimal digits twice"
            )
        }
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
