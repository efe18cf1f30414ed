import EMV
import Foundation
import GRDB
import GRDBSQLite
import Synchronization
import Testing

@testable import Journal

/// Commits that fail: what is told then, and what the next opening finds.
@Suite struct DoubtTests {
    /// A copy of what lies on the disk, as a process that dies now leaves it.
    static func copy(_ folder: Folder, without suffix: String? = nil) throws -> Folder {
        let after = try Folder()
        for part in ["", "-wal", ".key", ".doubt"] where part != suffix {
            if let data = FileManager.default.contents(atPath: folder.path + part) {
                try data.write(to: URL(fileURLWithPath: after.path + part))
            }
        }
        return after
    }

    static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    static func open(_ folder: Folder, patience: Duration = .zero) async throws -> Journal {
        Journal(store: try await SQLiteJournal.open(at: folder.path, patience: patience))
    }

    /// The log's frames are written and synced, and then the shared memory cannot grow: SQLite says that the commit failed,
    /// the customer is told so, and the next opening finds the commit in the log. The reversal is due then, and who looks
    /// only at the log (the list of doubts taken away) would believe in the approval.
    @Test func aCommitThatComesBack() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Self.open(folder)
        // A reader holds the log: it grows, and with it the shared memory, page by page of 4062, then 4096 frames.
        let reader = try DatabasePool(path: folder.path)
        let snapshot = try reader.makeSnapshot()
        try await snapshot.read { _ = try Row.fetchOne($0, sql: "SELECT * FROM transactions") }
        var waiting: [String] = []
        for _ in 0..<60 { waiting.append(try await journal.make(.authorizing).id) }
        while (Self.size(folder.path + "-wal") - 32) / 4120 < 4062 - 60 {
            try await journal.note(waiting[0], "a remark that takes a few pages of the log")
        }
        disk.setFault { _, operation, _ in operation == .grow ? SQLITE_IOERR | (19 << 8) : SQLITE_OK }
        var told: String?
        for id in waiting {
            do {
                try await journal.complete(
                    id, from: [.authorizing], to: .approved, result: TransactionResult(responseCode: "00"))
            } catch {
                #expect(error == .diskFull(path: folder.path))
                told = id
                break
            }
        }
        let failed = try #require(told, "the shared memory did not have to grow")
        #expect(try await journal.show(failed)?.state == .authorizing)

        let unnoted = try Self.copy(folder, without: ".doubt")
        let believing = try await Journal.open(at: unnoted.path)
        #expect(try await believing.show(failed)?.state == .approved, "the commit did not come back")
        try await believing.close()

        let next = try Self.copy(folder)
        let after = try await Journal.open(at: next.path)
        let record = try #require(try await after.show(failed))
        #expect(record.state == .reversalDue)
        #expect(record.reversalReason == "restart")
        #expect(try await after.pendingReversals().map(\.id) == [failed])
        #expect(try await after.verify().problems == [])
        try await after.close()
        // Once is enough.
        let again = try await Journal.open(at: next.path)
        #expect(try await again.changes(of: failed).last?.state == .reversalDue)
        try await again.close()

        // In the living process the next commit takes the place of the failed one, and nothing is left in doubt.
        disk.setFault(nil)
        try await journal.complete(
            failed, from: [.authorizing], to: .approved, result: TransactionResult(responseCode: "00"))
        let last = try Self.copy(folder)
        let living = try await Journal.open(at: last.path)
        #expect(try await living.show(failed)?.state == .approved)
        try await living.close()
        try await journal.close()
    }

    /// No sync succeeds any more: nothing is acknowledged, the journal says that it has stopped, and whatever part of the log
    /// is there at the next opening, no payment that was told to have failed is approved.
    @Test(arguments: [TransactionState.approved, .approvedOffline, .deferred])
    func noSyncSucceeds(_ state: TransactionState) async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Self.open(folder)
        var health = journal.healthChanges().makeAsyncIterator()
        let id = try await journal.make(state == .approved ? .authorizing : .cardRead).id
        disk.setFault { _, operation, _ in operation == .sync ? SQLITE_IOERR | (4 << 8) : SQLITE_OK }
        func change() async throws(JournalError) {
            switch state {
            case .approved:
                try await journal.complete(
                    id, from: [.authorizing], to: .approved, result: TransactionResult())
            case .approvedOffline: try await journal.storeOffline(id, keeping: [1])
            default: try await journal.deferred(id, reason: "transit", keeping: [1])
            }
        }
        do throws(JournalError) {
            try await change()
            Issue.record("acknowledged after a failed sync")
        } catch {
            guard case .stopped = error else { throw error }
        }
        guard case .failing = await health.next(), case .stopped = await health.next() else {
            Issue.record("nobody was told")
            return
        }
        #expect(await health.next() == nil)
        await #expect(throws: JournalError.self) { _ = try await journal.begin(try intent()) }
        await #expect(throws: JournalError.self) { try await journal.checkWrites() }

        let unnoted = try Self.copy(folder, without: ".doubt")
        let believing = try await Journal.open(at: unnoted.path)
        #expect(try await believing.show(id)?.state == state, "the commit did not come back")
        try await believing.close()
        let noted = try Self.copy(folder)
        let after = try await Journal.open(at: noted.path)
        #expect(try await after.show(id)?.state == (state == .deferred ? .cancelled : .reversalDue))
        #expect(try await after.verify().problems == [])
        try await after.close()
        try? await journal.close()
    }

    /// One sync fails: nothing is tried again on that connection, the file is opened anew, and what must not be lost is
    /// written there, once. New work of that commit is refused.
    @Test func oneSyncFails() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Self.open(folder)
        let store = try #require(journal.store as? SQLiteJournal)
        let before = try #require(store.reader as? DatabasePool)
        let record = try await journal.make(.authorizing)
        for (round, isVital) in [true, false, true].enumerated() {
            let failures = Mutex(1)
            disk.setFault { path, operation, _ in
                guard operation == .sync, path.hasSuffix("-wal") else { return SQLITE_OK }
                return failures.withLock { left in
                    defer { left = 0 }
                    return left > 0 ? SQLITE_IOERR | (4 << 8) : SQLITE_OK
                }
            }
            if isVital {
                try await journal.note(record.id, "round \(round)")
            } else {
                await #expect {
                    _ = try await journal.begin(try intent())
                } throws: { if case .writeFailed = $0 as? JournalError { true } else { false } }
            }
            #expect(failures.withLock { $0 } == 0)
            // A second error before anything succeeded would be the end.
            if !isVital { try await journal.note(record.id, "between") }
        }
        #expect(store.reader as? DatabasePool !== before)
        try await journal.checkWrites()
        let details = try await journal.changes(of: record.id).compactMap(\.detail)
        #expect(details.filter { $0.hasPrefix("round") } == ["round 0", "round 2"])
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().problems == [])
        try await journal.close()
        let again = try await Journal.open(at: folder.path)
        #expect(try await again.list().count == 2)
        try await again.close()
    }

    /// The disk is full, its reserve spent: new payments are refused at once, what must not be lost waits and is written in
    /// its order as soon as there is room.
    @Test(.timeLimit(.minutes(1))) func whatMustNotBeLostWaits() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Self.open(folder, patience: .seconds(60))
        var health = journal.healthChanges().makeAsyncIterator()
        let ids = [try await journal.make(.authorizing).id, try await journal.make(.authorizing).id]
        disk.setFault { _, operation, _ in operation == .write ? SQLITE_FULL : SQLITE_OK }
        async let first: TransactionRecord = journal.complete(
            ids[0], from: [.authorizing], to: .approved, result: TransactionResult(responseCode: "00"))
        async let second: TransactionRecord = journal.reversalDue(ids[1], reason: "timeout")
        #expect(await health.next() == .failing(.diskFull(path: folder.path)))
        await #expect(throws: JournalError.diskFull(path: folder.path)) {
            try await journal.begin(try intent())
        }
        await #expect(throws: JournalError.diskFull(path: folder.path)) { try await journal.checkWrites() }
        disk.setFault(nil)
        #expect(try await first.state == .approved)
        #expect(try await second.state == .reversalDue)
        #expect(await health.next() == .takesWrites)
        try await journal.checkWrites()
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }

    /// Whoever closes the journal does not leave those waiting that could not be written.
    @Test(.timeLimit(.minutes(1))) func closedWhileItWaits() async throws {
        let folder = try Folder()
        let disk = FaultyDisk(below: folder.directory)
        let journal = try await Self.open(folder, patience: .seconds(600))
        var health = journal.healthChanges().makeAsyncIterator()
        let id = try await journal.make(.authorizing).id
        disk.setFault { _, operation, _ in operation == .write ? SQLITE_FULL : SQLITE_OK }
        async let waiting: TransactionRecord = journal.reversalDue(id, reason: "timeout")
        _ = await health.next()
        try? await journal.close()
        do {
            _ = try await waiting
            Issue.record("acknowledged on a full disk")
        } catch {
            guard case .stopped = error as? JournalError else { throw error }
        }
    }

    /// Runs that end without closing, one after the other: the log does not grow from one to the next.
    @Test func uncleanEnds() async throws {
        var folder = try Folder()
        var largest = 0
        for round in 0..<12 {
            let journal = try await Journal.open(at: folder.path)
            if round > 0 { #expect(Self.size(folder.path + "-wal") == 0, "round \(round)") }
            for _ in 0..<8 { _ = try await journal.make(.approved) }
            largest = max(largest, Self.size(folder.path + "-wal"))
            let next = try Self.copy(folder)
            try await journal.close()
            folder = next
        }
        #expect(largest < 2 << 20)
        let journal = try await Journal.open(at: folder.path)
        #expect(try await journal.list().count == 12 * 8)
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }

    @Test func whetherItTakesWrites() async throws {
        let memory = try Journal.inMemory()
        try await memory.checkWrites()
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        try await journal.checkWrites()
        // What it writes to find out changes nothing.
        #expect(try await journal.list().isEmpty)
        #expect(try await journal.verify().changes == 0)
        let readOnly = try Journal.openReadOnly(at: folder.path)
        await #expect(throws: JournalError.self) { try await readOnly.checkWrites() }
        try await journal.close()
        await #expect(throws: JournalError.self) { try await journal.checkWrites() }
    }

    // MARK: The file

    static func entry(_ number: Int) -> DoubtFile.Entry {
        DoubtFile.Entry(
            id: "txn_\(number)", state: DoubtFile.states[number % 3], sequence: Int64(number) << 20,
            link: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32))
    }

    @Test func entriesAreFoundAgain() throws {
        let folder = try Folder()
        let path = folder.path + ".doubt"
        let file = try DoubtFile(path: path)
        let size = Self.size(path)
        #expect(file.entries.isEmpty && file.isReady)
        #expect(file.add([Self.entry(1), Self.entry(2)]))
        #expect(file.add([Self.entry(2), Self.entry(3)]))
        #expect(try DoubtFile(path: path).entries == [1, 2, 3].map(Self.entry))
        #expect(Self.size(path) == size)
        file.clear()
        #expect(try DoubtFile(path: path).entries.isEmpty)
        #expect(Self.size(path) == size)
        // As many as it has room for, and no more.
        #expect(file.add((0..<DoubtFile.slots).map(Self.entry)))
        #expect(!file.add([Self.entry(DoubtFile.slots)]))
        #expect(try DoubtFile(path: path).entries.count == DoubtFile.slots)
    }

    /// Cut and altered anywhere: an entry is there as it was written, or not at all.
    @Test func damagedEntries() throws {
        let folder = try Folder()
        let path = folder.path + ".doubt"
        let file = try DoubtFile(path: path)
        #expect(file.add([Self.entry(1), Self.entry(2)]))
        let whole = try Data(contentsOf: URL(fileURLWithPath: path)).prefix(256)
        for offset in stride(from: 4, to: 256, by: 5) where offset % 128 >= 4 {
            var bytes = whole
            bytes[offset] ^= 0x40
            try bytes.write(to: URL(fileURLWithPath: path))
            let left = try DoubtFile(path: path).entries
            #expect(left == [offset < 128 ? Self.entry(2) : Self.entry(1)], "\(offset)")
            try whole.prefix(offset).write(to: URL(fileURLWithPath: path))
            #expect(try DoubtFile(path: path).entries.count == offset / 128)
        }
        try Data("something else, of another program".utf8 + [UInt8](repeating: 1, count: 200)).write(
            to: URL(fileURLWithPath: path))
        #expect(throws: JournalError.self) { try DoubtFile(path: path) }
    }
}
