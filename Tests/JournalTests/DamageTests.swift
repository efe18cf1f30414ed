import EMV
import Foundation
import GRDB
import TestTools
import Testing

@testable import Journal

/// Files that are none, damaged, altered, locked, or on a disk that is full.
@Suite struct DamageTests {
    static func filled(_ folder: Folder, count: Int = 8) async throws {
        let journal = try await Journal.open(at: folder.path)
        for _ in 0..<count { _ = try await journal.make(.approved) }
        try await journal.close()
    }

    @Test(arguments: [
        Data(repeating: 0x42, count: 8192), Data("SQLite format 3\0".utf8), Data("hello".utf8),
        Data(repeating: 0, count: 4096),
    ]) func strangers(_ content: Data) async throws {
        let folder = try Folder()
        try content.write(to: URL(fileURLWithPath: folder.path))
        await #expect(throws: JournalError.self) { try await Journal.open(at: folder.path) }
        #expect(throws: JournalError.self) { try Journal.openReadOnly(at: folder.path) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path)) == content)
    }

    @Test func anotherProgramsDatabase() async throws {
        let folder = try Folder()
        let database = try DatabaseQueue(path: folder.path)
        try await database.write { try $0.execute(sql: "CREATE TABLE mine (a); INSERT INTO mine VALUES (1)") }
        try database.close()
        let before = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        do {
            _ = try await Journal.open(at: folder.path)
            Issue.record("a foreign database was opened")
        } catch JournalError.notAJournal {}
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path)) == before)
    }

    @Test func newerSchema() async throws {
        let folder = try Folder()
        try await Self.filled(folder, count: 1)
        let database = try DatabaseQueue(path: folder.path)
        try await database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 99") }
        try database.close()
        do {
            _ = try await Journal.open(at: folder.path)
            Issue.record("a newer journal was opened")
        } catch JournalError.newerSchema(_, let found, _) { #expect(found == 99) }
    }

    /// A journal of the first schema gets what was added since, and keeps all it had.
    @Test func olderSchemaIsBroughtUp() async throws {
        let folder = try Folder()
        try await Self.filled(folder, count: 3)
        let database = try DatabaseQueue(path: folder.path)
        try await database.writeWithoutTransaction {
            try $0.execute(
                sql:
                    """
                    DROP TABLE kept; DROP TABLE kept_state; DROP TABLE batch_items; DROP TABLE batches;
                    DROP TABLE anchor; DROP INDEX transactions_by_key; DROP INDEX transactions_by_original;
                    DROP INDEX transactions_by_key_alone; DROP INDEX transactions_by_replaced;
                    ALTER TABLE transactions DROP COLUMN purpose;
                    ALTER TABLE transactions DROP COLUMN final_amount;
                    ALTER TABLE transactions DROP COLUMN adjustment;
                    ALTER TABLE transactions DROP COLUMN revision;
                    ALTER TABLE transactions DROP COLUMN adjustment_attempts;
                    ALTER TABLE transactions DROP COLUMN idempotency_key;
                    ALTER TABLE transactions DROP COLUMN fingerprint;
                    ALTER TABLE transactions DROP COLUMN original;
                    ALTER TABLE transactions DROP COLUMN settled_batch;
                    ALTER TABLE transactions DROP COLUMN replaces;
                    PRAGMA user_version = 1
                    """)
        }
        try database.close()
        // Whoever may only read reads it as it is.
        let reading = try Journal.openReadOnly(at: folder.path)
        #expect(try await reading.list().map(\.amount) == Array(repeating: Amount(clamping: 1250), count: 3))
        try await reading.close()
        let journal = try await Journal.open(at: folder.path)
        #expect(try await journal.list().count == 3)
        let record = try await journal.begin(try intent())
        try await journal.storeOffline(record.id, keeping: [1])
        #expect(try await journal.kept(record.id) == [1])
        #expect(try await journal.verify().isSound)
    }

    @Test func lockedByAnotherWriter() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        do {
            _ = try await Journal.open(at: folder.path)
            Issue.record("two writers")
        } catch JournalError.locked(_, let process) { #expect(process == getpid()) }
        // Reading beside the writer is allowed.
        _ = try await journal.make(.approved)
        #expect(try await Journal.openReadOnly(at: folder.path).list().count == 1)
        try await journal.close()
        let next = try await Journal.open(at: folder.path)
        try await next.close()
    }

    @Test func readOnlyTakesNoWrites() async throws {
        let folder = try Folder()
        try await Self.filled(folder, count: 1)
        let journal = try Journal.openReadOnly(at: folder.path)
        await #expect(throws: JournalError.self) { try await journal.begin(try intent()) }
        #expect(try await journal.list().count == 1)
    }

    @Test func closedTakesNothing() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        try await journal.close()
        await #expect(throws: JournalError.self) { try await journal.begin(try intent()) }
        await #expect(throws: JournalError.self) { try await journal.list() }
    }

    @Test func missingFileAndDirectory() throws {
        #expect(throws: JournalError.self) { try Journal.openReadOnly(at: "/no/such/journal.sqlite") }
    }

    /// A directory that cannot be made, because a file is in its place.
    @Test func noDirectory() async throws {
        let folder = try Folder()
        let file = folder.url.appendingPathComponent("file").path
        try Data().write(to: URL(fileURLWithPath: file))
        await #expect(throws: JournalError.self) { try await Journal.open(at: file + "/journal.sqlite") }
    }

    /// The file taken away under a running terminal: the next write says so, and nothing is acknowledged.
    @Test func removedWhileOpen() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        _ = try await journal.make(.approved)
        try FileManager.default.removeItem(atPath: folder.path)
        await #expect(throws: JournalError.self) { try await journal.begin(try intent()) }
    }

    /// Any edit behind the journal's back is found, and the row is named.
    @Test(arguments: [
        ("UPDATE transactions SET amount = amount + 1 WHERE stan = 3", "transaction txn_"),
        ("UPDATE transactions SET state = 'declined' WHERE stan = 3", "transaction txn_"),
        ("UPDATE transactions SET response_code = '05' WHERE stan = 3", "transaction txn_"),
        ("UPDATE state_changes SET detail = 'other' WHERE sequence = 7", "change 7:"),
        ("UPDATE state_changes SET at = '2020-01-01T00:00:00.000Z' WHERE sequence = 7", "change 7:"),
        ("UPDATE state_changes SET state = 'failed' WHERE sequence = 7", "change 7:"),
        ("UPDATE state_changes SET row_digest = zeroblob(32) WHERE sequence = 7", "change 7:"),
        ("DELETE FROM state_changes WHERE sequence = 7", "change 8:"),
        (
            "DELETE FROM state_changes WHERE sequence = (SELECT max(sequence) FROM state_changes)",
            "transaction txn_"
        ),
        ("UPDATE terminals SET stan = 1", "terminal 'TERM0001'"), ("UPDATE days SET issued = 1", "day '2"),
    ]) func editsAreFound(_ sql: String, _ row: String) async throws {
        let folder = try Folder()
        try await Self.filled(folder)
        var third = ""
        let database = try DatabaseQueue(path: folder.path)
        third = try await database.write {
            try $0.execute(sql: sql)
            return try String.fetchOne($0, sql: "SELECT id FROM transactions WHERE stan = 3") ?? ""
        }
        try database.close()
        let journal = try Journal.openReadOnly(at: folder.path)
        let verification = try await journal.verify()
        #expect(verification.problems.contains { $0.hasPrefix(row) }, "\(verification.problems)")
        if sql.contains("stan = 3") {
            #expect(verification.problems.contains { $0.hasPrefix("transaction \(third) ") })
        }
        // A broken chain takes no more payments.
        guard row.hasPrefix("change") else { return }
        do {
            _ = try await Journal.open(at: folder.path)
            Issue.record("opened for writing")
        } catch {
            guard case JournalError.damaged(_, let reason) = error else { throw error }
            #expect(reason.contains(row))
        }
    }

    /// The log holds payments that are not yet in the file: without the file it is not thrown away.
    @Test(arguments: [true, false]) func theFileGoneFromItsLog(_ isEmptied: Bool) async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        _ = try await journal.make(.approved)
        let copy = try Folder()
        try FileManager.default.copyItem(atPath: folder.path + "-wal", toPath: copy.path + "-wal")
        if isEmptied { try Data().write(to: URL(fileURLWithPath: copy.path)) }
        let log = try Data(contentsOf: URL(fileURLWithPath: copy.path + "-wal"))
        do {
            _ = try await Journal.open(at: copy.path)
            Issue.record("opened")
        } catch {
            guard case JournalError.damaged = error else { throw error }
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: copy.path + "-wal")) == log)
        // With the file again, all is there.
        try? FileManager.default.removeItem(atPath: copy.path)
        try FileManager.default.copyItem(atPath: folder.path, toPath: copy.path)
        let again = try await Journal.open(at: copy.path)
        #expect(try await again.list().count == 1)
        try await again.close()
        try await journal.close()
    }

    /// Every error says something, and what to do where something can be done.
    @Test func errorsInWords() {
        let path = "/j.sqlite"
        for (error, words) in [
            (JournalError.locked(path: path, processID: 7), ["by process 7", "stop it"]),
            (.cannotOpen(path: path, reason: "Permission denied"), ["Permission denied", "choose another"]),
            (.notAJournal(path: path, reason: "text"), ["nothing was changed", "choose another"]),
            (.damaged(path: path, reason: "page 3"), ["page 3", "restore a copy"]),
            (.newerSchema(path: path, found: 9, supported: 2), ["9", "2", "newer program"]),
            (.diskFull(path: path), ["full", "free space"]),
            (.stopped(path: path, reason: "a disk error"), ["a disk error", "opened anew"]),
            (.writeFailed(path: path, reason: "x"), ["nothing of it was kept", "try again"]),
        ] as [(JournalError, [String])] {
            for word in [path] + words { #expect(error.description.contains(word), "\(error)") }
        }
    }

    /// Bits flipped anywhere: an error in words, or a finding, or no difference at all; never a trap, and what is
    /// read without complaint is what was written.
    @Test(arguments: 0..<4) func flippedBits(_ seed: UInt64) async throws {
        let folder = try Folder()
        try await Self.filled(folder, count: 4)
        let good = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        let original = try Journal.openReadOnly(at: folder.path)
        let records = try await original.list()
        var random = SplitMix(seed: seed)
        for _ in 0..<50 {
            var bad = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bad[Int.random(in: 0..<bad.count, using: &random)] ^= UInt8.random(
                    in: 1...255, using: &random)
            }
            let copy = try Folder()
            try bad.write(to: URL(fileURLWithPath: copy.path))
            do {
                let journal = try await Journal.open(at: copy.path)
                let verification = try await journal.verify()
                if verification.isSound { #expect(try await journal.list() == records) }
                try await journal.close()
            } catch {
                // Said in words.
                #expect(!error.description.isEmpty)
            }
        }
    }

    @Test func truncatedFile() async throws {
        let folder = try Folder()
        try await Self.filled(folder, count: 4)
        let good = try Data(contentsOf: URL(fileURLWithPath: folder.path))
        for count in [1, 50, 99, 100, 4095, 4096, good.count / 2, good.count - 4097] {
            let copy = try Folder()
            try good.prefix(count).write(to: URL(fileURLWithPath: copy.path))
            await #expect(throws: JournalError.self, "\(count) bytes") {
                let journal = try await Journal.open(at: copy.path)
                guard try await journal.verify().isSound else {
                    throw JournalError.damaged(path: copy.path, reason: "found by verify")
                }
            }
        }
    }
}

/// A disk of a few megabytes that fills up. Needs the right to mount.
@Suite(
    .serialized, .needs(Requirement("root and the right to mount are missing", isMet: SmallDisk.isAvailable)))
struct FullDiskTests {
    /// No new payment begins, but what is owed to the host is still written; with room again all goes on.
    @Test func whatIsOwedIsStillWritten() async throws {
        let disk = try SmallDisk(megabytes: 12)
        defer { disk.remove() }
        let journal = try await Journal.open(at: disk.path + "/journal.sqlite")
        let waiting = try await journal.make(.authorizing)
        let filler = disk.path + "/filler"
        try disk.fill(filler)
        var refused: JournalError?
        for _ in 0..<2000 {
            do { _ = try await journal.begin(try intent()) } catch {
                refused = error as? JournalError
                break
            }
        }
        guard case .diskFull = refused else {
            Issue.record("expected a full disk, found \(String(describing: refused))")
            return
        }
        try await journal.reversalDue(waiting.id, reason: "timeout")
        #expect(try await journal.reversalAttempt(waiting.id) == 1)
        try await journal.reversed(waiting.id)
        #expect(try await journal.show(waiting.id)?.state == .reversed)
        #expect(try await journal.verify().isSound)
        try FileManager.default.removeItem(atPath: filler)
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().isSound)
        try await journal.close()
    }

    /// Started on a full disk: what is owed is found and sent; new payments wait for room.
    @Test func aRestartOnAFullDisk() async throws {
        let disk = try SmallDisk(megabytes: 12)
        defer { disk.remove() }
        let path = disk.path + "/journal.sqlite"
        var journal = try await Journal.open(at: path)
        let waiting = try await journal.make(.authorizing)
        try await journal.close()
        try disk.fill(disk.path + "/filler")
        journal = try await Journal.open(at: path)
        #expect(try await journal.unfinished(terminal: "TERM0001").map(\.id) == [waiting.id])
        try await journal.reversalDue(waiting.id, reason: "restart")
        try await journal.reversed(waiting.id)
        await #expect(throws: JournalError.diskFull(path: journal.path)) {
            try await journal.begin(try intent())
        }
        try await journal.close()
    }

    /// No journal can be made: said so.
    @Test func aNewJournalOnAFullDisk() async throws {
        let disk = try SmallDisk(megabytes: 1)
        defer { disk.remove() }
        let path = disk.path + "/journal.sqlite"
        try disk.fill(disk.path + "/filler")
        await #expect(throws: JournalError.self) { try await Journal.open(at: path) }
        try FileManager.default.removeItem(atPath: disk.path + "/filler")
        let journal = try await Journal.open(at: path)
        try await journal.close()
    }

    @Test func readOnlyDisk() async throws {
        let disk = try SmallDisk(megabytes: 12)
        defer { disk.remove() }
        let path = disk.path + "/journal.sqlite"
        let journal = try await Journal.open(at: path)
        _ = try await journal.make(.approved)
        try await journal.close()
        try disk.remount("ro")
        await #expect(throws: JournalError.self) { try await Journal.open(at: path) }
        #expect(try await Journal.openReadOnly(at: path).list().count == 1)
    }
}

/// A tmpfs of its own.
struct SmallDisk {
    let path: String

    static let isAvailable: Bool = {
        guard getuid() == 0, let disk = try? SmallDisk(megabytes: 1) else { return false }
        disk.remove()
        return true
    }()

    struct Failure: Error {}

    init(megabytes: Int) throws {
        path = NSTemporaryDirectory() + "/small-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard Self.run(["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]) else {
            try? FileManager.default.removeItem(atPath: path)
            throw Failure()
        }
    }

    func fill(_ file: String) throws {
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        let handle = try #require(FileHandle(forWritingAtPath: file))
        for size in [1 << 16, 1 << 12, 1] {
            while (try? handle.write(contentsOf: Data(repeating: 1, count: size))) != nil {}
        }
    }

    func remount(_ mode: String) throws {
        guard Self.run(["mount", "-o", "remount,\(mode)", path]) else { throw Failure() }
    }

    func remove() {
        _ = Self.run(["umount", "-l", path])
        try? FileManager.default.removeItem(atPath: path)
    }

    private static func run(_ arguments: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
