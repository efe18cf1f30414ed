public import EMVCryptography
public import Foundation

/// Something that a terminal keeps between its runs, such as a kernel's log of torn transactions. Enciphered where
/// it is stored, and no part of any transaction.
public struct KeptState: Sendable, Equatable {
    public var bytes: SensitiveBytes
    /// When it was kept.
    public var at: Date
    public init(bytes: SensitiveBytes, at: Date) {
        self.bytes = bytes
        self.at = at
    }
}

extension Journal {
    /// Longest kept state, in bytes.
    public static let greatestState = 1 << 20

    /// Keeps, enciphered, what a terminal wants to find again after a restart, in place of what it kept before
    /// under this name. Returns when that is durable.
    /// - Parameters:
    ///   - name: 1 to 64 bytes, without NUL.
    ///   - bytes: at most `greatestState`; nil forgets.
    /// - Throws: `.invalidValue`; `.diskFull` (forgetting works on a full disk, too).
    public func keep(
        _ name: String, for terminal: String, _ bytes: SensitiveBytes?
    ) async throws(JournalError) {
        try Self.checkName(terminal, "terminal identifier")
        try Self.checkName(name, "name of a kept state")
        guard bytes?.count ?? 0 <= Self.greatestState else {
            throw .invalidValue(
                "a kept state of \(bytes?.count ?? 0) bytes (at most \(Self.greatestState))")
        }
        try await store.keep(name, for: terminal, bytes, at: Timestamp.rounded(now()))
    }

    /// What `keep` kept last; nil where nothing is kept under this name.
    /// - Throws: `.damaged` where the key or the enciphered bytes are not what they were.
    public func kept(_ name: String, for terminal: String) async throws(JournalError) -> KeptState? {
        try await store.keptState(name, for: terminal)
    }

    static func checkName(_ value: String, _ what: String) throws(JournalError) {
        guard (1...64).contains(value.utf8.count), !value.unicodeScalars.contains("\0") else {
            throw .invalidValue("a \(what) of \(value.utf8.count) bytes (1 to 64, without NUL)")
        }
    }
}
