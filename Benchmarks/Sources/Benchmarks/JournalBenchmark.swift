import EMV
import Foundation
internal import GRDBSQLite
import Journal

extension Benchmarks {
    /// Payments written by so many terminals at once, each commit durable before the next, against a bare SQLite loop that
    /// writes rows of the same size with the same durability, one commit after the other.
    static func journal(_ rounds: Int) async throws -> [Row] {
        let directory = NSTemporaryDirectory() + "tapbridge-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let journal: Journal
        do { journal = try await Journal.open(at: directory + "/journal.sqlite") } catch {
            throw BenchmarkError("\(error)")
        }
        let bare = try BareLoop(directory + "/bare.sqlite")
        var together: [Double] = []
        var alone: [Double] = []
        var reference: [Double] = []
        for _ in 0..<max(3, rounds) {
            together.append(try await payments(journal, terminals: 64, each: 8))
            reference.append(try bare.payments(128))
            alone.append(try await payments(journal, terminals: 1, each: 64))
        }
        try? await journal.close()
        let (ours, single, theirs) = (median(together), median(alone), median(reference))
        return [
            Row(
                name: "journal",
                what: "one payment (4 commits) of 64 terminals, group commit / bare SQLite loop",
                value: ours, unit: "us", reference: theirs, ratio: ours / theirs, goal: "<= 1.2"),
            Row(
                name: "journal-alone",
                what: "one payment (4 commits) of a single terminal / bare SQLite loop",
                value: single, unit: "us", reference: theirs, ratio: single / theirs, goal: "-"),
        ]
    }

    /// - Returns: microseconds for each payment.
    private static func payments(_ journal: Journal, terminals: Int, each: Int) async throws -> Double {
        guard let currency = NumericCode(978) else { return .nan }
        let kept = [UInt8](repeating: 0x5A, count: 600)
        let time = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for terminal in 0..<terminals {
                    group.addTask {
                        for _ in 0..<each {
                            let record = try await journal.begin(
                                TransactionIntent(
                                    terminalID: "BENCH\(terminal)", merchantID: "MERCHANT0000001",
                                    amount: Amount(clamping: 1250), currency: currency, currencyExponent: 2,
                                    transactionType: 0))
                            try await journal.requestWritten(
                                record.id,
                                CardReading(
                                    maskedPAN: "476173******0119", applicationIdentifier: "A0000000031010",
                                    applicationLabel: "VISA CREDIT", kernel: 3), keeping: kept)
                            try await journal.authorizing(record.id, backend: "bench")
                            try await journal.complete(
                                record.id, from: [.authorizing], to: .approved,
                                result: TransactionResult(responseCode: "00", authorizationCode: "A12345"))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        return microseconds(time) / Double(terminals * each)
    }

    /// SQLite and nothing else: write-ahead log, synchronous FULL, one row changed and one added in each commit.
    private final class BareLoop {
        private var database: OpaquePointer?
        private var statements: [OpaquePointer?] = []
        private var next = 0

        init(_ path: String) throws {
            guard sqlite3_open(path, &database) == SQLITE_OK else { throw failure("opening") }
            try run("PRAGMA journal_mode = WAL")
            try run("PRAGMA synchronous = FULL")
            try run("CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT, row BLOB)")
            try run("CREATE TABLE c (sequence INTEGER PRIMARY KEY, id INTEGER, row BLOB)")
            for sql in [
                "INSERT INTO t VALUES (?1, 'started', zeroblob(300))",
                "UPDATE t SET state = 'sent', row = randomblob(300) WHERE id = ?1",
                "INSERT INTO c (id, row) VALUES (?1, randomblob(150))",
                "UPDATE t SET state = 'written', row = randomblob(900) WHERE id = ?1",
            ] {
                var statement: OpaquePointer?
                guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else {
                    throw failure("preparing")
                }
                statements.append(statement)
            }
        }

        deinit {
            for statement in statements { sqlite3_finalize(statement) }
            sqlite3_close(database)
        }

        private func failure(_ what: String) -> BenchmarkError {
            BenchmarkError("the bare SQLite loop: \(what): \(String(cString: sqlite3_errmsg(database)))")
        }

        private func run(_ sql: String) throws {
            guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
        }

        private func step(_ index: Int) throws {
            let statement = statements[index]
            sqlite3_bind_int64(statement, 1, Int64(next))
            guard sqlite3_step(statement) == SQLITE_DONE else { throw failure("writing") }
            sqlite3_reset(statement)
        }

        /// - Returns: microseconds for each payment of four commits.
        func payments(_ count: Int) throws -> Double {
            let time = try ContinuousClock().measure {
                for _ in 0..<count {
                    next += 1
                    for commit in 0..<4 {
                        try run("BEGIN IMMEDIATE")
                        try step(commit == 0 ? 0 : commit == 1 ? 3 : 1)
                        try step(2)
                        try run("COMMIT")
                    }
                }
            }
            return Benchmarks.microseconds(time) / Double(count)
        }
    }
}
