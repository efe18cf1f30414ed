import EMV
import Foundation
import GRDB
import Testing

@testable import Journal

/// What must not become slower, or larger, with the number of payments.
@Suite struct GrowthTests {
    /// What each payment looks up is found by an index, never by reading all transactions.
    @Test(arguments: [
        ("idempotency_key = 'k'", "transactions_by_key_alone"),
        ("terminal = 'TERM0001' AND idempotency_key = 'k'", "transactions_by_key"),
        ("terminal = 'TERM0001' AND state IN ('reversal-due','deferred')", "transactions_by_state"),
        ("original = 'txn_1'", "transactions_by_original"),
        ("replaces = 'txn_1'", "transactions_by_replaced"),
    ])
    func lookUpsHaveAnIndex(_ condition: String, _ index: String) async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        for _ in 0..<50 { _ = try await journal.make(.approved) }
        let plan = try await DatabaseQueue(path: folder.path).read { database in
            try Row.fetchAll(
                database,
                sql:
                    "EXPLAIN QUERY PLAN SELECT * FROM transactions WHERE \(condition) ORDER BY id DESC LIMIT 1"
            ).map { $0["detail"] as String? ?? "" }.joined(separator: "; ")
        }
        #expect(plan.contains("USING INDEX \(index) "), "\(plan)")
        #expect(!plan.contains("SCAN transactions"), "\(plan)")
        try await journal.close()
    }

    /// What is left of a transaction is read in the write that asks: by indexes alone, however many there are.
    @Test func whatIsLeftHasItsIndexes() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        for _ in 0..<50 { _ = try await journal.make(.approved) }
        let plan = try await DatabaseQueue(path: folder.path).read { database in
            try Row.fetchAll(
                database, sql: "EXPLAIN QUERY PLAN " + SQLiteJournal.remainderQuery, arguments: ["txn_1"]
            ).map { $0["detail"] as String? ?? "" }.sorted()
        }
        let looks = plan.filter { $0.hasPrefix("SEARCH") }
        #expect(looks.count == 3 && !plan.contains { $0.contains("SCAN") }, "\(plan)")
        for index in [
            "sqlite_autoindex_transactions_1 (id=?)", "transactions_by_original (original=?)",
            "transactions_by_replaced (replaces=?)",
        ] {
            #expect(looks.contains { $0.contains(index) }, "\(plan)")
        }
        try await journal.close()
    }

    /// The write-ahead log comes into the file while payments are taken, before the writer would have to do it, and
    /// everything is there.
    @Test(.timeLimit(.minutes(5))) func checkpointsBesideTheWriter() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        func size(_ suffix: String) throws -> Int {
            try FileManager.default.attributesOfItem(atPath: folder.path + suffix)[.size] as? Int ?? 0
        }
        let before = try size("")
        var count = 0
        // Each is some commits of one page or more; the writer's own checkpoint comes after 8000 pages.
        while try size("") < before + 100_000, count < 800 {
            _ = try await journal.make(.approved)
            count += 1
        }
        #expect(try size("") >= before + 100_000)
        #expect(try size("-wal") < 8000 * 4096)
        #expect(try await journal.list(order: .oldestFirst).count == count)
        #expect(try await journal.verify().isSound)
        try await journal.close()
    }
}
