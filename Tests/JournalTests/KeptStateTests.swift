import EMVCryptography
import Foundation
import GRDB
import Testing

@testable import Journal

/// What terminals keep between their runs.
@Suite struct KeptStateTests {
    @Test func outlivesARestartAndIsReplaced() async throws {
        let folder = try Folder()
        let time = Date(timeIntervalSince1970: 1_800_000_000)
        let secret = Array("4761739001010119 torn".utf8)
        do {
            let journal = try await Journal.open(at: folder.path, now: { time })
            try await journal.keep("torn", for: "TERM0001", SensitiveBytes([9, 9]))
            try await journal.keep("torn", for: "TERM0001", SensitiveBytes(secret))
            try await journal.keep("torn", for: "TERM0002", SensitiveBytes([]))
            #expect(try await journal.kept("other", for: "TERM0001") == nil)
            // Nowhere in clear, not in the log either.
            #expect(try folder.bytes().range(of: Data(secret)) == nil)
            try await journal.close()
        }
        let journal = try await Journal.open(at: folder.path)
        let kept = try #require(try await journal.kept("torn", for: "TERM0001"))
        #expect(kept == KeptState(bytes: SensitiveBytes(secret), at: time))
        #expect("\(kept.bytes)" == "SensitiveBytes(21 bytes)")
        #expect(try await journal.kept("torn", for: "TERM0002")?.bytes.count == 0)
        #expect(try await journal.verify().problems == [])
        try await journal.keep("torn", for: "TERM0001", nil)
        #expect(try await journal.kept("torn", for: "TERM0001") == nil)
        try await journal.close()
    }

    /// Enciphered bytes are bound to terminal, name and date: not to be moved from one to another.
    @Test(arguments: [
        "UPDATE kept_state SET name = 'b'", "UPDATE kept_state SET terminal = 'T2'",
        "UPDATE kept_state SET at = '2020-01-01T00:00:00.000Z'",
        "UPDATE kept_state SET sealed = zeroblob(40)",
    ]) func boundToItsPlace(_ sql: String) async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        try await journal.keep("a", for: "T1", SensitiveBytes([1, 2, 3]))
        try await journal.close()
        try await DatabaseQueue(path: folder.path).write { try $0.execute(sql: sql) }
        let again = try await Journal.open(at: folder.path)
        #expect(try await again.verify().problems.count == 1)
        let name = sql.contains("name") ? "b" : "a"
        let terminal = sql.contains("terminal") ? "T2" : "T1"
        do {
            _ = try await again.kept(name, for: terminal)
            Issue.record("an altered state was taken")
        } catch {
            guard case .damaged = error else { throw error }
        }
        try await again.close()
    }

    @Test func refusesWhatItDoesNotTake() async throws {
        let journal = try Journal.inMemory()
        for (name, terminal, count) in [("", "T", 1), ("n", "", 1), ("n\0", "T", 1), ("n", "T", 1 << 20 + 1)]
        {
            do {
                try await journal.keep(
                    name, for: terminal, SensitiveBytes([UInt8](repeating: 0, count: count)))
                Issue.record("taken: \(name.debugDescription) \(count)")
            } catch { if case .invalidValue = error {} else { throw error } }
        }
    }

    enum ProvidedKey: CaseIterable, Sendable { case raw, digits, short, missing }

    /// A key that is handed in is used as it is and never made.
    @Test(arguments: ProvidedKey.allCases) func providedKey(_ kind: ProvidedKey) async throws {
        let folder = try Folder()
        let keyPath = folder.directory + "/given"
        switch kind {
        case .raw: try Data((0..<32).map { UInt8($0) }).write(to: URL(fileURLWithPath: keyPath))
        case .digits:
            try Data((String(repeating: "0a", count: 32) + "\n").utf8).write(
                to: URL(fileURLWithPath: keyPath))
        case .short: try Data([1, 2, 3]).write(to: URL(fileURLWithPath: keyPath))
        case .missing: break
        }
        let journal = try await Journal.open(at: folder.path, keyFile: keyPath)
        do {
            try await journal.keep("a", for: "T", SensitiveBytes([7]))
            #expect(kind == .raw || kind == .digits)
            #expect(try await journal.kept("a", for: "T")?.bytes == SensitiveBytes([7]))
        } catch {
            #expect(kind == .short || kind == .missing, "\(error)")
            guard case .damaged(keyPath, _) = error else { throw error }
        }
        try await journal.close()
        #expect(!FileManager.default.fileExists(atPath: folder.path + ".key"))
        #expect(FileManager.default.fileExists(atPath: keyPath) == (kind != .missing))
    }
}
