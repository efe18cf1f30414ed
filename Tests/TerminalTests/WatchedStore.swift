import EMV
import EMVCryptography
import Foundation
import Journal

/// A journal's store with somebody who looks on at each write, and may kill the process or refuse.
struct WatchedStore: JournalStore {
    enum Moment: Sendable { case before, after }
    let store: any JournalStore
    /// - Parameter isVital: whether a full disk must not stand in its way.
    let hook: @Sendable (Moment, _ isVital: Bool) throws(JournalError) -> Void

    /// What one transaction's steps fail with, and reading what is kept of it; nil where they do not.
    var failure: @Sendable (_ id: String) -> JournalError? = { _ in nil }
    var keptFailure: (@Sendable (_ id: String) -> JournalError?)?

    private func watched<T>(
        isVital: Bool, _ body: () async throws(JournalError) -> T
    ) async throws(JournalError) -> T {
        try hook(.before, isVital)
        let result = try await body()
        try hook(.after, isVital)
        return result
    }

    var location: String { store.location }
    func begin(
        _ intent: TransactionIntent, at: Date
    ) async throws(JournalError) -> (record: TransactionRecord, isNew: Bool) {
        try await watched(isVital: false) { () async throws(JournalError) in
            try await store.begin(intent, at: at)
        }
    }
    func drawTraceNumber(terminal: String) async throws(JournalError) -> UInt32 {
        try await watched(isVital: false) { () async throws(JournalError) in
            try await store.drawTraceNumber(terminal: terminal)
        }
    }
    func apply(_ change: JournalChange) async throws(JournalError) -> TransactionRecord {
        if change.parked == nil, let error = failure(change.id) { throw error }
        return try await watched(isVital: change.isVital) { () async throws(JournalError) in
            try await store.apply(change)
        }
    }
    func closeBatch(
        terminal: String, currency: NumericCode, at: Date
    ) async throws(JournalError) -> BatchRecord? {
        try await watched(isVital: true) { () async throws(JournalError) in
            try await store.closeBatch(terminal: terminal, currency: currency, at: at)
        }
    }
    func changeBatch(
        terminal: String, batch: Int, _ change: BatchChange, at: Date
    ) async throws(JournalError) -> BatchRecord {
        try await watched(isVital: true) { () async throws(JournalError) in
            try await store.changeBatch(terminal: terminal, batch: batch, change, at: at)
        }
    }
    func keep(
        _ name: String, for terminal: String, _ bytes: SensitiveBytes?, at: Date
    ) async throws(JournalError) {
        try await watched(isVital: false) { () async throws(JournalError) in
            try await store.keep(name, for: terminal, bytes, at: at)
        }
    }
    func prune(before: Date, at: Date) async throws(JournalError) -> JournalPruning {
        try await watched(isVital: true) { () async throws(JournalError) in
            try await store.prune(before: before, at: at)
        }
    }

    func record(_ id: String) async throws(JournalError) -> TransactionRecord? { try await store.record(id) }
    func kept(_ id: String) async throws(JournalError) -> [UInt8]? {
        if let error = (keptFailure ?? failure)(id) { throw error }
        return try await store.kept(id)
    }
    func keptState(_ name: String, for terminal: String) async throws(JournalError) -> KeptState? {
        try await store.keptState(name, for: terminal)
    }
    func records(beginning: String, limit: Int) async throws(JournalError) -> [TransactionRecord] {
        try await store.records(beginning: beginning, limit: limit)
    }
    func changes(of id: String) async throws(JournalError) -> [StateChange] {
        try await store.changes(of: id)
    }
    func page(
        _ filter: JournalFilter, order: JournalOrder, after: String?, limit: Int?
    ) async throws(JournalError) -> [TransactionRecord] {
        try await store.page(filter, order: order, after: after, limit: limit)
    }
    func terminals(_ filter: JournalFilter) async throws(JournalError) -> [String] {
        try await store.terminals(filter)
    }
    func statistics(_ filter: JournalFilter) async throws(JournalError) -> JournalStatistics {
        try await store.statistics(filter)
    }
    func verify() async throws(JournalError) -> JournalVerification { try await store.verify() }
    func batches(terminal: String?, limit: Int?) async throws(JournalError) -> [BatchRecord] {
        try await store.batches(terminal: terminal, limit: limit)
    }
    func items(terminal: String, batch: Int) async throws(JournalError) -> [TransactionRecord] {
        try await store.items(terminal: terminal, batch: batch)
    }
    func checkWrites() async throws(JournalError) { try await store.checkWrites() }
    func healthChanges() -> AsyncStream<JournalHealth> { store.healthChanges() }
    func close() async throws(JournalError) { try await store.close() }
}
