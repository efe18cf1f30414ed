internal import EMVCryptography
internal import Foundation
internal import Synchronization

/// The SHA-256 chain over the rows of `state_changes`: each link covers the link before, the row's own
/// values and the digest of the transaction's row as the change left it.
final class ChangeChain: Sendable {
    /// Where the chain ends: kept in memory, as there is one writer.
    struct Head: Sendable {
        /// Of the last row; 0 before the first.
        var sequence: Int64
        var link: [UInt8]
    }
    private let stored: Mutex<Head>

    init(_ head: Head) { stored = Mutex(head) }

    var head: Head {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }

    /// What the first link follows: differs from journal to journal.
    static func genesis(journalID: String) -> [UInt8] { SHA256.hash(Array("tapbridge:\(journalID)".utf8)) }

    /// Each part with its length, so that no two histories spell the same bytes.
    static func link(
        after previous: [UInt8], sequence: Int64, id: String, state: String, at: String, detail: String?,
        row: [UInt8]
    ) -> [UInt8] {
        var bytes = previous
        bytes.reserveCapacity(256)
        bytes += "\(sequence)".utf8
        for part in [id, state, at, detail] {
            if let part {
                bytes += ";\(part.utf8.count):".utf8
                bytes += part.utf8
            } else {
                bytes += ";-".utf8
            }
        }
        bytes += ";".utf8
        bytes += row
        return SHA256.hash(bytes)
    }
}
