import EMV
import Foundation
import GRDB
import GRDBSQLite
import Synchronization
import TestTools
import Testing

@testable import Journal

/// What reaches the disk and when: on a disk that counts syncs, loses power and fails.
@Suite struct PowerLossTests {
    /// No write is acknowledged before the log was synced after it.
    @Test func everyAcknowledgedWriteWasSynced() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Journal.open(at: folder.path)
        let log = folder.path + "-wal"
        var before = disk.syncs(log)
        func expectSync(_ what: String) {
            let now = disk.syncs(log)
            #expect(now > before, "\(what) was acknowledged without a sync")
            before = now
        }
        let record = try await journal.begin(try intent())
        expectSync("begin")
        try await journal.cardRead(record.id, reading())
        expectSync("cardRead")
        try await journal.authorizing(record.id, backend: "test", request: [1])
        expectSync("authorizing")
        try await journal.reversalDue(record.id, reason: "timeout")
        expectSync("reversalDue")
        _ = try await journal.reversalAttempt(record.id)
        expectSync("reversalAttempt")
        try await journal.reversed(record.id)
        expectSync("reversed")
        try await journal.close()
    }

    /// Terminals that write while the disk is busy share one commit and one sync.
    @Test func manyTerminalsShareOneSync() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Journal.open(at: folder.path)
        let store = try #require(journal.store as? SQLiteJournal)
        let queue = try #require(store.writer)
        let pool = try #require(store.reader as? DatabasePool)
        let log = folder.path + "-wal"
        for count in [1, 2, 64, 300] {
            let syncs = disk.syncs(log)
            let commits = try Self.commits(log)
            // The writer is kept busy until all terminals wait for it.
            let gate = DispatchSemaphore(value: 0)
            pool.asyncWriteWithoutTransaction { _ in gate.wait() }
            let records = try await withThrowingTaskGroup(of: TransactionRecord.self) { group in
                for terminal in 0..<count {
                    group.addTask { try await journal.begin(try intent(terminal: "T\(count)-\(terminal)")) }
                }
                while queue.waiting < count { await Task.yield() }
                gate.signal()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(records.map(\.id)).count == count)
            #expect(try Self.commits(log) - commits == 1, "commits of \(count) terminals")
            #expect(disk.syncs(log) - syncs == 1, "syncs of \(count) terminals")
        }
        #expect(try await journal.verify().isSound)
        try await journal.close()
    }

    /// Commit frames in a write-ahead log (SQLite file format, 4.1): those that tell the size of the database.
    static func commits(_ path: String) throws -> Int {
        let log = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        guard log.count >= 32 else { return 0 }
        func number(_ offset: Int) -> Int { log[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) } }
        let frame = 24 + number(8)
        return stride(from: 32, through: log.count - frame, by: frame)
            .count { number($0 + 4) != 0 && log[($0 + 8)..<($0 + 16)] == log[16..<24] }
    }

    /// Power lost at each single write, sync and truncation of a whole run, with whatever part of the unsynced
    /// sectors surviving: what was acknowledged is there, and the journal is sound and goes on.
    @Test(arguments: 0..<4) func powerLossAnywhere(_ seed: UInt64) async throws {
        var random = SplitMix(seed: seed)
        var point = 0
        while true {
            point += Int.random(in: 1...4, using: &random)
            let folder = try Folder()
            let disk = FaultyDisk(below: folder.directory)
            // The journal was made before: losing the power while it is made loses no payment.
            try await Journal.open(at: folder.path).close()
            let start = disk.operations
            let last = start + point
            disk.setFault { _, _, count in count >= last ? SQLITE_IOERR : SQLITE_OK }
            let (acknowledged, isDone) = await Self.run(folder)
            let after = try Folder()
            let odds = Int.random(in: 0...4, using: &random)
            for suffix in ["", "-wal"] {
                let image = disk.afterPowerLoss(folder.path + suffix) {
                    Int.random(in: 0..<4, using: &random) < odds
                }
                if let image { try Data(image).write(to: URL(fileURLWithPath: after.path + suffix)) }
            }
            // The key does not pass through SQLite; it is synced before anything is enciphered with it.
            if let key = FileManager.default.contents(atPath: folder.path + ".key") {
                try key.write(to: URL(fileURLWithPath: after.path + ".key"))
            }
            let journal = try await Journal.open(at: after.path)
            for (id, state) in acknowledged {
                // The next state may have become durable without having been acknowledged.
                let found = try #require(
                    try await journal.show(id)?.state, "\(id) is lost, power lost at \(point)")
                #expect(
                    found == state || found.predecessors.contains(state),
                    "\(state) became \(found), power lost at \(point)")
            }
            #expect(try await journal.verify().problems == [], "power lost at \(point)")
            _ = try await journal.make(.approved)
            try await journal.close()
            if isDone { break }
        }
        #expect(point > 20, "the faults hit nothing")
    }

    /// Payments until the disk fails.
    /// - Returns: the last acknowledged state of each, and whether all went well.
    private static func run(_ folder: Folder) async -> (
        acknowledged: [String: TransactionState], isDone: Bool
    ) {
        var acknowledged: [String: TransactionState] = [:]
        do {
            let journal = try await Journal.open(at: folder.path)
            for round in 0..<4 {
                let record = try await journal.begin(try intent())
                acknowledged[record.id] = .started
                try await journal.cardRead(record.id, reading())
                acknowledged[record.id] = .cardRead
                if round == 2 {
                    try await journal.storeOffline(record.id, keeping: [1, 2, 3])
                    acknowledged[record.id] = .approvedOffline
                    try await journal.forwarded(record.id)
                    acknowledged[record.id] = .forwarded
                    continue
                }
                try await journal.authorizing(record.id, backend: "test")
                acknowledged[record.id] = .authorizing
                if round == 1 {
                    try await journal.reversalDue(record.id, reason: "timeout")
                    acknowledged[record.id] = .reversalDue
                } else {
                    try await journal.complete(
                        record.id, from: [.authorizing], to: .approved, result: TransactionResult())
                    acknowledged[record.id] = .approved
                }
            }
            try await journal.close()
            return (acknowledged, true)
        } catch {
            return (acknowledged, false)
        }
    }

    /// Where no sync of the log succeeds, on the connection or on a new one, nothing more is acknowledged until the journal
    /// is opened again, and what was acknowledged before is there. (One that fails once: `DoubtTests.oneSyncFails`.)
    @Test func aFailedSyncStopsTheJournal() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Journal.open(at: folder.path)
        let record = try await journal.make(.authorizing)
        disk.setFault { path, operation, _ in
            // SQLITE_IOERR_FSYNC
            operation == .sync && path.hasSuffix("-wal") ? SQLITE_IOERR | (4 << 8) : SQLITE_OK
        }
        for _ in 0..<3 {
            do {
                _ = try await journal.begin(try intent())
                Issue.record("acknowledged after a failed sync")
            } catch {
                guard case JournalError.stopped = error else { throw error }
            }
        }
        try? await journal.close()
        disk.setFault(nil)
        let again = try await Journal.open(at: folder.path)
        #expect(try await again.show(record.id)?.state == .authorizing)
        #expect(try await again.verify().isSound)
        try await again.close()
    }

    /// A full disk: new payments are refused, reversals written from the reserved room; with room again all goes on.
    @Test func aFullDiskTakesReversals() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Journal.open(at: folder.path)
        let waiting = try await journal.make(.authorizing)
        let offline = try await journal.make(.cardRead)
        let reserve = folder.path + ".reserve"
        disk.setFault { _, operation, _ in
            var status = stat()
            let isHeld = stat(reserve, &status) == 0 && status.st_size > 0
            return operation == .write && isHeld ? SQLITE_FULL : SQLITE_OK
        }
        do {
            _ = try await journal.begin(try intent())
            Issue.record("a payment began on a full disk")
        } catch { #expect(error as? JournalError == .diskFull(path: folder.path)) }
        try await journal.reversalDue(waiting.id, reason: "timeout")
        #expect(try await journal.reversalAttempt(waiting.id) == 1)
        try await journal.reversed(waiting.id)
        try await journal.storeOffline(offline.id, keeping: [1, 2, 3])
        #expect(try await journal.kept(offline.id) == [1, 2, 3])
        disk.setFault(nil)
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().isSound)
        try await journal.close()
    }
}
