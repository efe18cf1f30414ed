public import EMVCryptography
public import Foundation
internal import GRDB

extension SQLiteJournal {
    public func keep(
        _ name: String, for terminal: String, _ bytes: SensitiveBytes?, at: Date
    ) async throws(JournalError) {
        let time = Timestamp.text(at)
        let sealed = try bytes.map { (bytes) throws(JournalError) in
            try keyFile.sealed(bytes.clearBytes, context: Self.stateContext(name, terminal, time))
        }
        try await commit(isVital: bytes == nil) { database, _ in
            if let sealed {
                try database.cachedStatement(
                    sql: "INSERT OR REPLACE INTO kept_state (terminal, name, at, sealed) VALUES (?, ?, ?, ?)"
                ).execute(arguments: [terminal, name, time, Data(sealed)])
            } else {
                try database.cachedStatement(sql: "DELETE FROM kept_state WHERE terminal = ? AND name = ?")
                    .execute(arguments: [terminal, name])
            }
        }
    }

    public func keptState(
        _ name: String, for terminal: String
    ) async throws(JournalError) -> KeptState? {
        let found = try await read { database in
            try Self.rows(
                database, "SELECT at, sealed FROM kept_state WHERE terminal = ? AND name = ?",
                [terminal, name]
            ).first.map { row in
                let stored = StoredRow(row, of: "kept_state")
                return (try stored.date(0), try stored.bytes(1))
            }
        }
        guard let (at, sealed) = found else { return nil }
        let context = Self.stateContext(name, terminal, Timestamp.text(at))
        guard let bytes = try keyFile.opened(sealed, context: context) else {
            throw .damaged(
                path: location,
                reason: "what terminal \(terminal) kept as \(name) cannot be deciphered with the key in use")
        }
        return KeptState(bytes: SensitiveBytes(bytes), at: at)
    }

    /// Lengths first, so that no two places have one context. Never that of a transaction, which begins with `txn_`.
    static func stateContext(_ name: String, _ terminal: String, _ time: String) -> String {
        "state:\(terminal.utf8.count):\(terminal):\(name.utf8.count):\(name):\(time)"
    }
}
