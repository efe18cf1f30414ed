import BERTLV
import EMV
import Foundation
import GRDB
import Synchronization
import Testing

@testable import Journal

@Suite struct StateTests {
    /// Every pair of states: what `predecessors` allows is taken, everything else is refused and changes nothing.
    @Test(arguments: TransactionState.allCases) func transitions(_ to: TransactionState) async throws {
        for from in TransactionState.allCases {
            let journal = try Journal.inMemory()
            let record = try await journal.make(from)
            #expect(record.state == from)
            // Amounts and batches come with the changes that are made for them.
            let allowed = to.predecessors.contains(from) && to != .adjustmentDue && to != .settled
            let before = try await journal.changes(of: record.id).count
            do {
                try await journal.complete(
                    record.id, from: [from], to: to, result: TransactionResult(reason: "test"))
                #expect(allowed, "\(from) to \(to)")
            } catch {
                #expect(!allowed, "\(from) to \(to): \(error)")
                #expect(try await journal.show(record.id)?.state == from)
                #expect(try await journal.changes(of: record.id).count == before)
            }
            #expect(try await journal.verify().isSound)
        }
    }

    /// Two who saw the same state: one of them changes it, the other is told.
    @Test func compareAndSet() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.authorizing)
        try await journal.complete(
            record.id, from: [.authorizing], to: .approved, result: TransactionResult(responseCode: "00"))
        await #expect(
            throws: JournalError.stateMoved(id: record.id, expected: [.authorizing], actual: .approved)
        ) { try await journal.reversalDue(record.id, reason: "timeout", from: [.authorizing]) }
        await #expect(throws: JournalError.unknownTransaction(id: "txn_none")) {
            try await journal.reversed("txn_none")
        }
    }

    @Test func unfinishedAreThoseThatARestartMustLookAfter() async throws {
        let journal = try Journal.inMemory()
        for state in TransactionState.allCases { _ = try await journal.make(state) }
        let found = try await journal.unfinished(terminal: "TERM0001").map(\.state)
        #expect(
            Set(found) == [
                .started, .cardRead, .requestWritten, .deferred, .authorizing, .answered, .reversalDue,
                .adjustmentDue, .approvedOffline,
            ])
        let owed = try await journal.owed(terminal: "TERM0001").map(\.state)
        #expect(Set(owed) == [.deferred, .reversalDue, .adjustmentDue, .approvedOffline])
        #expect(try await journal.unfinished(terminal: "TERM0002").isEmpty)
    }

    @Test func transmissionsAreCounted() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.reversalDue)
        #expect(try await journal.reversalAttempt(record.id) == 1)
        #expect(try await journal.reversalAttempt(record.id) == 2)
        let offline = try await journal.make(.approvedOffline)
        #expect(try await journal.forwardAttempt(offline.id) == 1)
        try await journal.parked(offline.id, reason: "refused for good")
        #expect(try await journal.unfinished(terminal: "TERM0001").map(\.id) == [record.id])
        try await journal.resumed(offline.id, reason: "host mended")
        #expect(try await journal.unfinished(terminal: "TERM0001").count == 2)
    }

    /// STAN: 1, 2, 3 for each terminal apart; RRN: twelve digits, never twice.
    @Test func numbers() async throws {
        let journal = try Journal.inMemory()
        var references: Set<String> = []
        for round in 1...50 {
            for terminal in ["TERM0001", "TERM0002"] {
                let record = try await journal.begin(try intent(terminal: terminal))
                #expect(record.stan == UInt32(round))
                #expect(record.retrievalReference.utf8.count == 12)
                #expect(references.insert(record.retrievalReference).inserted)
            }
        }
    }

    /// After 999 999 the next batch begins with 1.
    @Test func stanBeginsAgainInTheNextBatch() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        _ = try await journal.begin(try intent())
        try await journal.close()
        let database = try DatabaseQueue(path: folder.path)
        try await database.write { try $0.execute(sql: "UPDATE terminals SET stan = 999998") }
        try database.close()
        journal = try await Journal.open(at: folder.path)
        let last = try await journal.begin(try intent())
        let first = try await journal.begin(try intent())
        #expect(last.stan == 999_999 && first.stan == 1)
        #expect(first.batch == last.batch + 1)
    }

    @Test func listsFilterAndPage() async throws {
        let journal = try Journal.inMemory()
        for cents in 1...25 {
            _ = try await journal.make(cents.isMultiple(of: 5) ? .declined : .approved, cents: UInt64(cents))
        }
        #expect(try await journal.list(JournalFilter(states: [.declined])).count == 5)
        var seen: [String] = []
        var before: String?
        while true {
            let page = try await journal.list(limit: 7, before: before)
            seen += page.map(\.id)
            guard page.count == 7 else { break }
            before = page.last?.id
        }
        #expect(seen.count == 25 && Set(seen).count == 25)
        #expect(try await journal.list(JournalFilter(lastFour: "0119")).count == 25)
        #expect(try await journal.list(JournalFilter(lastFour: "9999")).isEmpty)
        #expect(try await journal.statistics().count == 25)
    }
}

/// What is acknowledged is on the disk; a crash loses nothing.
@Suite struct DurabilityTests {
    /// GRDB lowers synchronous after its own set-up: the writing connection must be at FULL all the same.
    @Test func writesAreSynced() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        let store = try #require(journal.store as? SQLiteJournal)
        let pool = try #require(store.reader as? DatabasePool)
        let (synchronous, mode) = try await pool.writeWithoutTransaction { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA synchronous"),
                try String.fetchOne(database, sql: "PRAGMA journal_mode")
            )
        }
        #expect(synchronous == 2)
        #expect(mode == "wal")
    }

    /// A copy of the files at any moment is what a crash leaves: it opens, is sound, and has every acknowledged
    /// change.
    @Test func copiesTakenMeanwhileAreWhole() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        for round in 0..<20 {
            let record = try await journal.make(round.isMultiple(of: 2) ? .authorizing : .approved)
            let copy = try Folder()
            for suffix in ["", "-wal", ".key"]
            where FileManager.default.fileExists(atPath: folder.path + suffix) {
                try FileManager.default.copyItem(atPath: folder.path + suffix, toPath: copy.path + suffix)
            }
            let opened = try await Journal.open(at: copy.path)
            #expect(try await opened.show(record.id)?.state == record.state)
            #expect(try await opened.verify().isSound)
            try await opened.close()
        }
    }

    /// The log cut at any place: older changes stay, nothing half-written is seen.
    @Test func aTornLogLosesOnlyItsEnd() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        for _ in 0..<5 { _ = try await journal.make(.approved) }
        let log = try Data(contentsOf: URL(fileURLWithPath: folder.path + "-wal"))
        #expect(!log.isEmpty)
        for cut in stride(from: 0, through: log.count, by: max(1, log.count / 23)) {
            let copy = try Folder()
            for suffix in ["", ".key"] {
                try FileManager.default.copyItem(atPath: folder.path + suffix, toPath: copy.path + suffix)
            }
            try log.prefix(cut).write(to: URL(fileURLWithPath: copy.path + "-wal"))
            let opened = try await Journal.open(at: copy.path)
            #expect(try await opened.verify().isSound, "cut at \(cut)")
            for record in try await opened.list() {
                #expect(try await opened.changes(of: record.id).last?.state == record.state)
            }
            try await opened.close()
        }
    }

    /// Writers that come together share commits, and each gets its own answer.
    @Test func manyTerminalsAtOnce() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for terminal in 0..<20 {
                group.addTask {
                    for _ in 0..<10 {
                        let record = try await journal.begin(try intent(terminal: "TERM\(terminal)"))
                        try await journal.cardRead(record.id, reading())
                        try await journal.authorizing(record.id, backend: "test")
                        try await journal.complete(
                            record.id, from: [.authorizing], to: .approved,
                            result: TransactionResult(responseCode: "00"))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await journal.list().count == 200)
        let verification = try await journal.verify()
        #expect(verification.isSound && verification.changes == 800)
        for terminal in 0..<20 {
            let stans = try await journal.list(JournalFilter(terminalID: "TERM\(terminal)")).map(\.stan)
            #expect(Set(stans) == Set(1...10))
        }
    }

    /// A cancelled task does not end its write.
    @Test func cancellationDoesNotUndo() async throws {
        let journal = try Journal.inMemory()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await journal.begin(try intent())
        }
        let record = try await task.value
        #expect(try await journal.show(record.id)?.state == .started)
    }
}

/// Nothing that may not be kept is kept, in no file of the journal.
/// Approvals that come too late.
@Suite struct LateApprovalTests {
    /// From declined and reversed alone; counted over restarts, and bounded.
    @Test func countedAndBounded() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        let ids = [try await journal.make(.declined).id, try await journal.make(.reversed).id]
        for id in ids {
            for round in 1...Journal.greatestLateApprovals {
                try await journal.close()
                journal = try await Journal.open(at: folder.path)
                let count = try await journal.lateApproval(
                    id, "late answer, response code 00", authorizationCode: "A\(round)",
                    reason: "lateResponse")
                #expect(count == round)
                let record = try #require(try await journal.show(id))
                #expect(record.state == .reversalDue)
                #expect(record.authorizationCode == "A\(round)")
                #expect(record.reversalReason == "lateResponse")
                #expect(try await journal.pendingReversals().map(\.id) == [id])
                // Another while it is due waits for nothing new.
                await #expect(throws: JournalError.self) {
                    try await journal.lateApproval(
                        id, "again", authorizationCode: nil, reason: "lateResponse")
                }
                #expect(try await journal.reversalAttempt(id) >= round)
                try await journal.reversed(id)
            }
            let count = try await journal.lateApproval(
                id, "late answer, response code 00", authorizationCode: "A9", reason: "lateResponse")
            #expect(count == nil)
            #expect(try await journal.show(id)?.state == .reversed)
            #expect(try await journal.changes(of: id).last?.detail?.contains("a person must look") == true)
        }
        #expect(try await journal.verify().isSound)
        try await journal.close()
    }

    @Test(arguments: TransactionState.allCases.filter { ![.declined, .reversed].contains($0) })
    func nothingElseIsReversedByIt(_ state: TransactionState) async throws {
        let journal = try Journal.inMemory()
        let id = try await journal.make(state).id
        await #expect(throws: JournalError.self) {
            try await journal.lateApproval(id, "late", authorizationCode: "A1", reason: "lateResponse")
        }
        #expect(try await journal.show(id)?.state == state)
    }
}

@Suite struct MaskingTests {
    static let number = "4761739001010119"
    /// The discretionary data of its track 2.
    static let track = Data("31122011143878089".utf8)
    /// ISO 9564 format 0: PIN 1234.
    static let pinBlock = Data([0x04, 0x12, 0x23, 0xC6, 0xFF, 0xEF, 0xEF, 0xEE])

    @Test func noCardNumberReachesTheDisk() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        let record = try await journal.begin(try intent())
        var card = reading()
        card.maskedPAN = Self.number
        card.applicationLabel = "CARD \(Self.number)"
        try await journal.cardRead(record.id, card)
        try await journal.authorizing(
            record.id, backend: "test \(Self.number)", request: Array(Self.number.utf8) + Self.pinBlock)
        try await journal.complete(
            record.id, from: [.authorizing], to: .approved,
            result: TransactionResult(responseCode: "00", reason: "host says \(Self.number) is fine"))
        try await journal.note(record.id, "late answer for \(Self.number)")
        try await journal.note(record.id, "track \(Self.number)D31122011143878089")
        let offline = try await journal.begin(try intent())
        try await journal.storeOffline(offline.id, keeping: Array("PAN \(Self.number)".utf8) + Self.pinBlock)
        try Self.searchFiles(folder)
        #expect(try await journal.kept(offline.id) == Array("PAN \(Self.number)".utf8) + Self.pinBlock)
        try await journal.forwarded(offline.id)
        #expect(try await journal.kept(offline.id) != nil)
        let currency = try #require(NumericCode(978))
        let batch = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: currency))
        try await journal.changeBatch(batch, .closed)
        #expect(try await journal.kept(offline.id) == nil)
        try Self.searchFiles(folder)
        let shown = try #require(try await journal.show(record.id))
        #expect(shown.maskedPAN == "476173******0119")
        #expect(shown.reason == "host says 476173******0119 is fine")
    }

    static func searchFiles(_ folder: Folder) throws {
        let bytes = try folder.bytes()
        // As text, packed, at an odd nibble, and its digits spelled as hexadecimal ASCII.
        let packed = Data([0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19])
        let shifted = Data([0x76, 0x17, 0x39, 0x00, 0x10, 0x10, 0x11])
        let spelled = Data(number.utf8.map { "3" + String($0 & 15) }.joined().utf8)
        for form in [
            Data(number.utf8), packed, shifted, spelled, track, pinBlock, Data(Hex.string(pinBlock).utf8),
        ] {
            #expect(bytes.range(of: form) == nil, "\(Hex.string(form))")
        }
    }

    @Test func filesAreForTheirUserAlone() async throws {
        let folder = try Folder()
        let path = folder.url.appendingPathComponent("new/journal.sqlite").path
        let journal = try await Journal.open(at: path)
        let record = try await journal.begin(try intent())
        try await journal.storeOffline(record.id, keeping: [1, 2, 3])
        func mode(_ path: String) throws -> Int {
            try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
        }
        #expect(try mode(path) == 0o600)
        #expect(try mode(path + ".key") == 0o600)
        #expect(try mode(folder.url.appendingPathComponent("new").path) == 0o700)
    }

    @Test func keptNeedsItsKey() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        let record = try await journal.begin(try intent())
        try await journal.storeOffline(record.id, keeping: [1, 2, 3])
        try await journal.close()
        journal = try await Journal.open(at: folder.path)
        #expect(try await journal.kept(record.id) == [1, 2, 3])
        try await journal.close()
        try Data(repeating: 7, count: 32).write(to: URL(fileURLWithPath: folder.path + ".key"))
        journal = try await Journal.open(at: folder.path)
        await #expect(throws: JournalError.self) { try await journal.kept(record.id) }
        try await journal.close()
        try FileManager.default.removeItem(atPath: folder.path + ".key")
        journal = try await Journal.open(at: folder.path)
        await #expect(throws: JournalError.self) { try await journal.kept(record.id) }
    }
}

@Suite struct ExportTests {
    /// RFC 4180, and no cell that a spreadsheet would take for a formula.
    @Test func csv() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.authorizing)
        try await journal.complete(
            record.id, from: [.authorizing], to: .declined,
            result: TransactionResult(responseCode: "05", reason: "=1+1, \"no\"\nline"))
        var data = Data()
        #expect(try await journal.export(as: .csv, to: { data.append($0) }) == 1)
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.hasPrefix("id,terminal,merchant,"))
        // A line end is a control character, of which the journal takes none.
        #expect(text.contains("\"'=1+1, \"\"no\"\"\u{FFFD}line\""))
        #expect(text.hasSuffix("\r\n"))
    }

    @Test func json() async throws {
        let journal = try Journal.inMemory()
        for _ in 0..<3 { _ = try await journal.make(.approved) }
        var data = Data()
        try await journal.export(as: .json, to: { data.append($0) })
        let rows = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        #expect(rows.count == 3)
        #expect(rows.allSatisfy { $0["state"] as? String == "approved" && $0["amount"] as? Int == 1250 })
        var empty = Data()
        try await Journal.inMemory().export(as: .json, to: { empty.append($0) })
        #expect(try JSONSerialization.jsonObject(with: empty) as? [Int] == [])
    }

    @Test func aFailingSinkIsTold() async throws {
        struct Full: Error {}
        let journal = try Journal.inMemory()
        await #expect(throws: JournalError.self) {
            try await journal.export(as: .csv, to: { _ in throw Full() })
        }
    }
}
