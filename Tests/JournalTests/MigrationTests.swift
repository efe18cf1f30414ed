import EMV
import Foundation
import GRDB
import Testing

@testable import Journal

/// Journals as earlier versions of the program left them (`Tests/Journals`).
@Suite struct MigrationTests {
    /// A file with the rows of a dump, and its key beside it.
    static func restore(_ name: String, to folder: Folder) throws {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Journals/\(name)")
        var configuration = Configuration()
        // Rows are inserted table by table in the order of their names.
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: folder.path, configuration: configuration)
        let sql = try String(contentsOf: source.appendingPathExtension("sql"), encoding: .utf8)
        try queue.inDatabase { try $0.execute(sql: sql) }
        try queue.close()
        try FileManager.default.copyItem(
            atPath: source.appendingPathExtension("key").path, toPath: folder.path + ".key")
    }

    /// Schema 5 kept internal keys among those of clients. What took another's place is found by that one now, gives back
    /// what that one gave back, and the chain holds; a client's own key `again:` stays.
    @Test func internalKeysAreSeparated() async throws {
        let folder = try Folder()
        try Self.restore("schema5", to: folder)
        // Whoever may only read finds all as it was.
        let reading = try Journal.openReadOnly(at: folder.path)
        let before = try await reading.list(order: .oldestFirst)
        #expect(try await reading.verify().problems == [])
        try await reading.close()
        #expect(before.map(\.replaces) == Array(repeating: nil, count: 7))

        let journal = try await Journal.open(at: folder.path)
        #expect(try await journal.verify().problems == [])
        let after = try await journal.list(order: .oldestFirst)
        let ids = after.map(\.id)
        #expect(ids == before.map(\.id) && after.map(\.state) == before.map(\.state))
        // 0 sale, 1 a client's, 2 deferred, 3 in its place, 4 deferred refund, 5 in the place of 3, 6 in that of 4.
        #expect(after.map(\.replaces) == [nil, nil, nil, ids[2], nil, ids[3], ids[4]] as [String?])
        #expect(after.map(\.original) == [nil, nil, nil, nil, ids[0], nil, ids[0]] as [String?])
        #expect(
            after.map(\.idempotencyKey)
                == ["sale", "again:\(ids[0])", "deferred", nil, "refund", nil, nil] as [String?])

        // What was sent anew is not sent anew again; a client's key finds its payment.
        for (replaced, later) in [(2, 3), (3, 5), (4, 6)] {
            let (found, isNew) = try await journal.beginOnce(TransactionIntent(replacing: after[replaced]))
            #expect(found.id == ids[later] && !isNew)
        }
        var again = try intent(100)
        again.idempotencyKey = "again:\(ids[0])"
        #expect(try await journal.beginOnce(again).record.id == ids[1])

        // 10.00 were taken; 4.00 are on their way back, and 4.00 more until the first try is certainly reversed.
        func left() async throws -> Amount? {
            do {
                _ = try await journal.beginRefund(of: ids[0], 1000)
                return nil
            } catch JournalError.rejected(let rejection) {
                guard case .exceeds(let left) = rejection.reason else { return nil }
                return left
            }
        }
        #expect(try await left() == Amount(clamping: 200))
        try await journal.reversed(ids[4])
        #expect(try await left() == Amount(clamping: 600))
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }
}
