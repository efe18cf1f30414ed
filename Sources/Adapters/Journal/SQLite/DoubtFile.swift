internal import EMVCryptography
internal import Foundation
internal import Synchronization

/// Which payments were told that they failed though the commit of their success may be in the log.
///
/// A commit whose error came after its last frame was written (a failed sync, no room for the shared memory of the log)
/// may be found again by SQLite at the next opening: what was told must decide then. So the transaction, and the link that
/// the commit gave the chain of changes, are written to this file, in place and synced, before the failure is told. At the
/// next opening the link says whether that very commit is there; whatever was committed afterwards has another one.
///
/// The file lies beside the journal, has its full size from the beginning, and is not touched while commits succeed.
final class DoubtFile: Sendable {
    struct Entry: Sendable, Equatable {
        let id: String
        /// What the commit made of the transaction: one of `DoubtFile.states`.
        let state: TransactionState
        /// The number of the change, and its link in the chain.
        let sequence: Int64
        let link: [UInt8]
    }

    /// Changes that tell somebody of a success. Whatever else comes back is resolved by every start anyhow, or is what the
    /// host acknowledged.
    static let states: [TransactionState] = [.approved, .approvedOffline, .deferred]
    static let slots = 2048
    /// A slot lies within one sector: it is written as a whole or not at all.
    private static let slotSize = 128
    private static let magic = Array("TBD1".utf8)

    private struct State {
        var descriptor: Int32?
        /// What the file says.
        var entries: [Entry] = []
        /// Slots from the beginning of the file that are not empty.
        var used = 0
        var isClosed = false
    }
    let path: String
    private let state = Mutex(State())

    /// Reads what an earlier run wrote, and makes the file where there is none, if there is room.
    /// - Throws: `.cannotOpen` where it is something else.
    init(path: String) throws(JournalError) {
        self.path = path
        let data = Array(FileManager.default.contents(atPath: path) ?? Data())
        let entries = try Self.entries(data, path)
        state.withLock { state in
            state.entries = entries
            state.used = min(data.count / Self.slotSize, Self.slots)
        }
        _ = isReady
    }

    deinit { close() }

    /// Whether a doubt can be written: the file is open and has its full size. Makes it so where there is room.
    var isReady: Bool {
        state.withLock { state in
            if state.descriptor != nil { return true }
            guard !state.isClosed else { return false }
            let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard opened >= 0 else { return false }
            guard Self.fill(opened, path) else {
                Foundation.close(opened)
                return false
            }
            state.descriptor = opened
            return true
        }
    }

    /// Writes zeros up to the full size, so that no block is missing later, and syncs file and name.
    private static func fill(_ descriptor: Int32, _ path: String) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        let length = min(Int(status.st_size), slots * slotSize)
        let zeros = [UInt8](repeating: 0, count: slots * slotSize - length)
        if zeros.isEmpty { return true }
        guard pwrite(descriptor, zeros, zeros.count, off_t(length)) == zeros.count, fsync(descriptor) == 0
        else { return false }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return false }
        defer { Foundation.close(directory) }
        return fsync(directory) == 0
    }

    var entries: [Entry] { state.withLock { $0.entries } }

    /// Adds entries, durably.
    /// - Returns: false where the disk does not take them. What is not known to be synced is then as likely to be there at the
    ///   next opening as the commit that it is about.
    func add(_ entries: [Entry]) -> Bool {
        state.withLock { state in
            var new: [Entry] = []
            for entry in entries where !state.entries.contains(entry) && !new.contains(entry) {
                new.append(entry)
            }
            if new.isEmpty { return true }
            guard let descriptor = state.descriptor, state.used + new.count <= Self.slots else {
                return false
            }
            let bytes = new.flatMap(Self.bytes)
            guard pwrite(descriptor, bytes, bytes.count, off_t(state.used * Self.slotSize)) == bytes.count
            else { return false }
            state.entries += new
            state.used += new.count
            return fdatasync(descriptor) == 0
        }
    }

    /// Empties the file, where there is anything in it. An entry that stays because of an error does no harm: its link is
    /// in no journal.
    func clear() {
        state.withLock { state in
            guard state.used > 0, let descriptor = state.descriptor else { return }
            let zeros = [UInt8](repeating: 0, count: state.used * Self.slotSize)
            guard pwrite(descriptor, zeros, zeros.count, 0) == zeros.count, fdatasync(descriptor) == 0 else {
                return
            }
            state.entries = []
            state.used = 0
        }
    }

    func close() {
        state.withLock { state in
            if let descriptor = state.descriptor { Foundation.close(descriptor) }
            state.descriptor = nil
            state.isClosed = true
        }
    }

    // MARK: - Slots

    /// Magic, state, length of the identifier, sequence, link, identifier, SHA-256 of all that (its first half).
    private static func bytes(_ entry: Entry) -> [UInt8] {
        var bytes = magic
        bytes.append(UInt8(clamping: (states.firstIndex(of: entry.state) ?? 0) + 1))
        bytes.append(UInt8(clamping: entry.id.utf8.count))
        bytes += [0, 0]
        bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: entry.sequence >> ($0 * 8)) }
        bytes += entry.link.prefix(32)
        bytes += entry.id.utf8.prefix(64)
        bytes += [UInt8](repeating: 0, count: 112 - bytes.count)
        return bytes + SHA256.hash(bytes).prefix(16)
    }

    /// A slot that was not written as a whole was told to nobody, and is passed over.
    private static func entries(_ data: [UInt8], _ path: String) throws(JournalError) -> [Entry] {
        var entries: [Entry] = []
        for start in stride(
            from: 0, to: min(data.count, slots * slotSize) / slotSize * slotSize, by: slotSize)
        {
            let slot = data[start..<(start + slotSize)]
            if slot.allSatisfy({ $0 == 0 }) { continue }
            guard slot.starts(with: magic) else {
                throw .cannotOpen(
                    path: path,
                    reason: "it is no list of doubtful commits: move it away after a look at what it is")
            }
            let bytes = Array(slot)
            let code = Int(bytes[4])
            let length = Int(bytes[5])
            guard SHA256.hash(Array(bytes[..<112])).prefix(16).elementsEqual(bytes[112...]),
                (1...states.count).contains(code), length <= 64
            else { continue }
            entries.append(
                Entry(
                    id: String(decoding: bytes[48..<(48 + length)], as: UTF8.self), state: states[code - 1],
                    sequence: bytes[8..<16].reduce(0) { $0 << 8 | Int64($1) }, link: Array(bytes[16..<48])))
        }
        return entries
    }
}
