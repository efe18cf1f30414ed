import EMV
import Foundation
import GRDB
import Testing

@testable import Journal

private let euro = NumericCode(978)!

/// Final amounts, batches and their settlement.
@Suite struct BatchTests {
    /// In a batch: what the host owes or is owed. Not in it: declined, reversed, not yet forwarded, only held.
    @Test func membersAndSums() async throws {
        let journal = try Journal.inMemory()
        for state in TransactionState.allCases where state != .settled {
            _ = try await journal.make(state, cents: 1000)
        }
        _ = try await journal.make(.approved, cents: 300, type: 0x20)
        let held = try await journal.make(.approved, cents: 5000, purpose: .preAuthorization)
        let completed = try await journal.make(.approved, cents: 5000, purpose: .preAuthorization)
        try await journal.adjustmentDue(completed.id, .completion, amount: Amount(clamping: 4200))
        try await journal.adjusted(completed.id, revision: 1)
        _ = try await journal.make(.approved, cents: 1, terminal: "TERM0002")

        let batch = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: euro))
        #expect(batch.batch == 1 && batch.state == .closing && batch.attempts == 0)
        // Approved 10.00, forwarded 10.00, adjusted 11.00, completed 42.00; a refund of 3.00.
        #expect(
            batch.sums == BatchTotals(debits: 4, debitAmount: 7300, credits: 1, creditAmount: 300))
        #expect(try await journal.items(of: batch).count == 5)
        #expect(try await journal.verify().problems == [])
        // Asked again, the same one: what came meanwhile waits for the next.
        let later = try await journal.make(.approved, cents: 7)
        #expect(try await journal.closeBatch(terminal: "TERM0001", currency: euro) == batch)

        let closed = try await journal.changeBatch(batch, .closed)
        #expect(closed.state == .closed)
        for item in try await journal.items(of: batch) {
            #expect(item.state == .settled && item.settledBatch == 1)
            #expect(try await journal.kept(item.id) == nil)
        }
        #expect(try await journal.show(held.id)?.state == .approved)
        #expect(try await journal.verify().problems == [])
        // Closed for good.
        #expect(try await journal.changeBatch(batch, .outOfBalance(host: nil)) == closed)
        let next = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: euro))
        #expect(next.batch == 2 && next.stan != batch.stan)
        #expect(try await journal.items(of: next).map(\.id) == [later.id])
        #expect(try await journal.batches(terminal: "TERM0001").map(\.batch) == [2, 1])
    }

    @Test func nothingToSettle() async throws {
        let journal = try Journal.inMemory()
        _ = try await journal.make(.declined)
        #expect(try await journal.closeBatch(terminal: "TERM0001", currency: euro) == nil)
        #expect(try await journal.unsettledCurrencies(terminal: "TERM0001") == [])
    }

    /// A transaction in a batch is neither taken back nor changed.
    @Test func fixedInItsBatch() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.approved)
        let batch = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: euro))
        await #expect(throws: JournalError.inBatch(id: record.id, batch: 1)) {
            try await journal.reversalDue(record.id, reason: "void", from: [.approved])
        }
        await #expect(throws: JournalError.inBatch(id: record.id, batch: 1)) {
            try await journal.adjustmentDue(record.id, .tip, amount: Amount(clamping: 1400))
        }
        try await journal.changeBatch(batch, .closed)
        await #expect(throws: JournalError.self) {
            try await journal.reversalDue(record.id, reason: "void", from: [.approved])
        }
    }

    @Test func stepsAreKept() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        for _ in 0..<3 { _ = try await journal.make(.approved) }
        let batch = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: euro))
        try await journal.changeBatch(batch, .attempt)
        let host = BatchTotals(debits: 2, debitAmount: 2500)
        try await journal.changeBatch(batch, .uploading(0, host: host))
        try await journal.changeBatch(batch, .uploading(2, host: nil))
        try await journal.close()
        journal = try await Journal.open(at: folder.path)
        let found = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: euro))
        #expect(found.state == .uploading && found.uploaded == 2 && found.attempts == 1)
        #expect(found.hostSums == host)
        #expect(try await journal.unsettledCurrencies(terminal: "TERM0001") == [euro])
        try await journal.close()
    }

    @Test(arguments: [
        "UPDATE batches SET debit_amount = 1", "DELETE FROM batch_items",
        "UPDATE batches SET state = 'closing'",
        "INSERT INTO batch_items SELECT id, terminal, 1 FROM transactions WHERE state = 'declined'",
    ]) func alteredBatches(_ sql: String) async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        _ = try await journal.make(.settled)
        _ = try await journal.make(.declined)
        _ = try await journal.make(.approved)
        _ = try await journal.closeBatch(terminal: "TERM0001", currency: euro)
        try await journal.close()
        try await DatabaseQueue(path: folder.path).write { try $0.execute(sql: sql) }
        journal = try await Journal.open(at: folder.path)
        let problems = try await journal.verify().problems
        #expect(problems.contains { $0.hasPrefix("batch") }, "\(problems)")
        try await journal.close()
    }

    /// A newer final amount stays due when an older one is acknowledged.
    @Test func revisions() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.approved, cents: 1000)
        let first = try await journal.adjustmentDue(record.id, .tip, amount: Amount(clamping: 1100))
        #expect(first.revision == 1 && first.finalAmount == Amount(clamping: 1100))
        #expect(try await journal.adjustmentAttempt(record.id).adjustmentAttempts == 1)
        #expect(try await journal.adjustmentAttempt(record.id).adjustmentAttempts == 2)
        let second = try await journal.adjustmentDue(record.id, .tip, amount: Amount(clamping: 1200))
        #expect(second.revision == 2 && second.adjustmentAttempts == 0)
        try await journal.adjusted(record.id, revision: 1)
        #expect(try await journal.show(record.id)?.state == .adjustmentDue)
        try await journal.adjusted(record.id, revision: 2)
        let done = try #require(try await journal.show(record.id))
        #expect(done.state == .adjusted && done.amountTaken == Amount(clamping: 1200))
        #expect(try await journal.verify().problems == [])
    }
}

/// One key, one payment.
@Suite struct IdempotencyTests {
    static func keyed(_ cents: UInt64, key: String = "order-1", terminal: String = "TERM0001") throws
        -> TransactionIntent
    {
        var wanted = try intent(cents, terminal: terminal)
        wanted.idempotencyKey = key
        return wanted
    }

    @Test func theSameKeyFindsTheSameTransaction() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        let (first, isNew) = try await journal.beginOnce(try Self.keyed(100))
        #expect(isNew && first.idempotencyKey == "order-1")
        try await journal.complete(
            first.id, from: [.started], to: .cancelled, result: TransactionResult())
        try await journal.close()
        journal = try await Journal.open(at: folder.path)
        let (again, isNewAgain) = try await journal.beginOnce(try Self.keyed(100))
        #expect(!isNewAgain && again.id == first.id && again.state == .cancelled)
        await #expect(throws: JournalError.keyReused(key: "order-1", id: first.id)) {
            try await journal.beginOnce(try Self.keyed(101))
        }
        // Another terminal's key is another key.
        #expect(try await journal.beginOnce(try Self.keyed(100, terminal: "TERM0002")).isNew)
        #expect(try await journal.list(JournalFilter(idempotencyKey: "order-1")).count == 2)
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }

    /// Many at once with one key: one transaction.
    @Test func atOnce() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        let found = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let (record, isNew) = try await journal.beginOnce(try Self.keyed(100))
                    return (record.id, isNew)
                }
            }
            return try await group.reduce(into: [(String, Bool)]()) { $0.append($1) }
        }
        #expect(Set(found.map(\.0)).count == 1)
        #expect(found.count { $0.1 } == 1)
        #expect(try await journal.list().count == 1)
        try await journal.close()
    }
}

/// Old transactions go, and the chain still vouches for the rest.
@Suite struct RetentionTests {
    /// A clock that is turned by hand.
    final class Turned: Sendable {
        private let stored = Mutexed(Date(timeIntervalSince1970: 1_790_000_000))
        var date: Date { stored.value }
        func advance(days: Double) { stored.value += days * 86_400 }
    }

    @Test func oldAndFinalGoAndTheRestStays() async throws {
        let folder = try Folder()
        let clock = Turned()
        var journal = try await Journal.open(at: folder.path, now: { clock.date })
        for _ in 0..<5 { _ = try await journal.make(.settled) }
        for state in TransactionState.final where state != .settled { _ = try await journal.make(state) }
        clock.advance(days: 40)
        let young = try await journal.make(.settled)
        let total = try await journal.verify().changes
        let done = try await journal.prune(before: clock.date.addingTimeInterval(-30 * 86_400))
        #expect(done.transactions == 10 && done.stoppedAt == nil)
        #expect(try await journal.list().map(\.id) == [young.id])
        let verification = try await journal.verify()
        #expect(verification.problems == [])
        #expect(verification.changes + done.changes == total)
        try await journal.close()

        journal = try await Journal.open(at: folder.path, now: { clock.date })
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().problems == [])
        // All that may go: what was approved stays.
        clock.advance(days: 40)
        let rest = try await journal.prune(before: clock.date)
        #expect(rest.transactions == 1)
        #expect(try await journal.list().map(\.state) == [.approved])
        #expect(try await journal.verify().problems == [])
        // Batch numbers go on.
        let currency = try #require(NumericCode(978))
        #expect(try await journal.closeBatch(terminal: "TERM0001", currency: currency)?.batch == 7)
        try await journal.close()
    }

    /// An open transaction holds back what began after it, and what is beside it.
    @Test func anOpenTransactionStops() async throws {
        let journal = try Journal.inMemory()
        _ = try await journal.make(.declined)
        let open = try await journal.make(.reversalDue)
        _ = try await journal.make(.declined)
        let done = try await journal.prune(before: Date().addingTimeInterval(60))
        #expect(done.transactions == 1 && done.stoppedAt == open.id)
        #expect(try await journal.list().count == 2)
        #expect(try await journal.verify().problems == [])
    }

    @Test(arguments: [
        "UPDATE anchor SET transactions = 1", "UPDATE anchor SET chain = zeroblob(32)",
        "UPDATE anchor SET sequence = sequence + 1",
        "DELETE FROM anchor",
    ]) func anAlteredCutIsFound(_ sql: String) async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        for _ in 0..<3 { _ = try await journal.make(.declined) }
        _ = try await journal.prune(before: Date().addingTimeInterval(60))
        _ = try await journal.make(.approved)
        try await journal.close()
        try await DatabaseQueue(path: folder.path).write { try $0.execute(sql: sql) }
        do {
            journal = try await Journal.open(at: folder.path)
            #expect(try await journal.verify().problems.isEmpty == false)
            try await journal.close()
        } catch {
            guard case JournalError.damaged = error else { throw error }
        }
    }

    /// More than one commit takes.
    @Test func many() async throws {
        let journal = try Journal.inMemory()
        for _ in 0..<1200 {
            let record = try await journal.begin(try intent())
            try await journal.complete(
                record.id, from: [.started], to: .cancelled, result: TransactionResult())
        }
        #expect(try await journal.prune(before: Date().addingTimeInterval(60)).transactions == 1200)
        #expect(try await journal.list().isEmpty)
        #expect(try await journal.verify().problems == [])
        _ = try await journal.make(.approved)
        #expect(try await journal.verify().problems == [])
    }
}
