import EMV
import Foundation
import GRDB
import TestTools
import Testing

@testable import Journal

/// What is kept enciphered until the host has acknowledged it.
@Suite struct KeepingTests {
    static let payload = Array("kept for the host: 4761739001010119".utf8)

    @Test func survivesARestartAndIsDeletedWhenSettledOrReversed() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        let offline = try await journal.make(.approvedOffline)
        try await journal.keepForForwarding(transactionID: offline.id, payload: [9])
        try await journal.keepForForwarding(transactionID: offline.id, payload: Self.payload)
        let reversal = try await journal.make(.reversalDue)
        try await journal.keepForForwarding(transactionID: reversal.id, payload: [7])
        try await journal.close()

        journal = try await Journal.open(at: folder.path)
        #expect(try await journal.pendingForwarding().map(\.id) == [offline.id])
        #expect(try await journal.pendingForwarding(terminal: "TERM0002").isEmpty)
        #expect(try await journal.pendingReversals().map(\.id) == [reversal.id])
        #expect(try await journal.kept(offline.id) == Self.payload)
        #expect(try await journal.kept(reversal.id) == [7])
        let sealed = try await Self.sealed(journal, offline.id)
        try await journal.forwarded(offline.id)
        try await journal.reversed(reversal.id)
        // The batch may have to be uploaded.
        #expect(try await journal.kept(offline.id) == Self.payload)
        let currency = try #require(NumericCode(978))
        let batch = try #require(try await journal.closeBatch(terminal: "TERM0001", currency: currency))
        #expect(try await journal.kept(offline.id) == Self.payload)
        try await journal.changeBatch(batch, .closed)
        #expect(try await journal.kept(offline.id) == nil)
        #expect(try await journal.kept(reversal.id) == nil)
        #expect(try await journal.pendingForwarding().isEmpty)
        #expect(try await journal.pendingReversals().isEmpty)
        #expect(try await journal.verify().problems == [])
        try await journal.close()
        // Not even the enciphered bytes are left.
        #expect(try folder.bytes().range(of: Data(sealed[12..<28])) == nil)
    }

    static func sealed(_ journal: Journal, _ id: String) async throws -> [UInt8] {
        let store = try #require(journal.store as? SQLiteJournal)
        return Array(
            try await store.reader.read {
                try #require(
                    try Data.fetchOne(
                        $0, sql: "SELECT sealed FROM kept WHERE transaction_id = ?", arguments: [id]))
            })
    }

    /// What an answer made needless goes with that answer.
    @Test func goesWithADecline() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.authorizing)
        try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
        try await journal.complete(
            record.id, from: [.authorizing], to: .declined, result: TransactionResult())
        #expect(try await journal.kept(record.id) == nil)
        await #expect(throws: JournalError.self) {
            try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
        }
        #expect(try await journal.kept(record.id) == nil)
    }

    @Test func staysFromAuthorizationToReversal() async throws {
        let journal = try Journal.inMemory()
        let record = try await journal.make(.authorizing)
        try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
        try await journal.reversalDue(record.id, reason: "timeout")
        #expect(try await journal.kept(record.id) == Self.payload)
        try await journal.parked(record.id, reason: "host refuses it")
        #expect(try await journal.pendingReversals().isEmpty)
        #expect(try await journal.pendingReversals(includingParked: true).map(\.id) == [record.id])
        #expect(try await journal.kept(record.id) == Self.payload)
    }

    /// Enciphered bytes that are altered, or another transaction's: found by `kept` and named by `verify`.
    @Test(arguments: [
        "CREATE TEMP TABLE old AS SELECT * FROM kept; UPDATE kept SET sealed = (SELECT sealed FROM old WHERE old.transaction_id <> kept.transaction_id)",
        "UPDATE kept SET sealed = x'00'", "UPDATE kept SET sealed = zeroblob(64)",
    ]) func alteredBytes(_ sql: String) async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        var ids: [String] = []
        for _ in 0..<2 {
            let record = try await journal.make(.approvedOffline)
            try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
            ids.append(record.id)
        }
        try await journal.close()
        let database = try DatabaseQueue(path: folder.path)
        try await database.write { try $0.execute(sql: sql) }
        try database.close()
        journal = try await Journal.open(at: folder.path)
        let problems = try await journal.verify().problems
        for id in ids {
            await #expect(throws: JournalError.self) { try await journal.kept(id) }
            #expect(problems.contains { $0.contains(id) })
        }
        try await journal.close()
    }

    /// The same bytes twice are not seen to be the same.
    @Test func noncesDiffer() async throws {
        let journal = try Journal.inMemory()
        var nonces: Set<[UInt8]> = []
        for _ in 0..<20 {
            let record = try await journal.make(.approvedOffline)
            try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
            nonces.insert(Array(try await Self.sealed(journal, record.id).prefix(12)))
        }
        #expect(nonces.count == 20)
    }

    /// Modes that a copy or a restore left too open are taken back.
    @Test func modesAreTakenBack() async throws {
        let folder = try Folder()
        var journal = try await Journal.open(at: folder.path)
        let record = try await journal.make(.approvedOffline)
        try await journal.keepForForwarding(transactionID: record.id, payload: Self.payload)
        try await journal.close()
        for suffix in ["", ".key"] { chmod(folder.path + suffix, 0o666) }
        journal = try await Journal.open(at: folder.path)
        #expect(try await journal.kept(record.id) == Self.payload)
        _ = try await journal.begin(try intent())
        for suffix in ["", ".key", "-wal"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + suffix)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "journal.sqlite\(suffix)")
        }
        try await journal.close()
    }
}

/// Free texts on their way into the journal.
@Suite struct StoredTextTests {
    /// Test numbers of the schemes; what surrounds them is left alone.
    @Test(arguments: [
        ("host says 4761739001010119 is fine", "host says 476173******0119 is fine"),
        ("4761 7390 0101 0119", "4761 73** **** 0119"),
        ("4761-7390-0101-0119.", "4761-73**-****-0119."),
        ("5413330089020011;378282246310005", "541333******0011;378282*****0005"),
        // Within a longer run (TLV spelled out, an expiry date behind it) every number that it may be is masked.
        ("5A084761739001010119", "5A0847617*******0119"),
        // Track 2 with both separators, and as bytes apart; track 1.
        ("57134761739001010119D31122011143878089F ok", "571347**********0119D****************** ok"),
        (";4761739001010119=31122011143878089?", ";476173******0119=*****************?"),
        ("47 61 73 90 01 01 01 19 D3 11 22 0F", "47 61 73 ** ** ** 01 19 D* ** ** **"),
        ("B4761739001010119^DOE/JANE X^3112201114?", "B476173******0119^*********************?"),
        // No card numbers: a wrong check digit, too short, application identifiers, times, references.
        ("4761739001010118", "4761739001010118"), ("123456789012", "123456789012"),
        ("no kernel for A0000000031010", "no kernel for A0000000031010"),
        ("2026-11-21T04:16:28.123Z", "2026-11-21T04:16:28.123Z"), ("632522000123", "632522000123"), ("", ""),
        // What a terminal would obey.
        (
            "a\u{1B}[2Jb\u{9B}c\u{202E}d\r\ne\u{7F}",
            "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\u{FFFD}\u{FFFD}e\u{FFFD}"
        ),
    ]) func cardNumbersAndTracks(_ text: String, _ expected: String) {
        #expect(StoredText.cleaned(text) == expected)
    }

    /// Whatever is around it, the middle digits of a card number do not come through.
    @Test(arguments: 0..<8) func anywhere(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        let number = "4761739001010119"
        let pieces = ["7", "0", "42", "9F", " ", "-", "=", "D", "^", "x", "\0", "é", "\u{1F4B3}"]
        for _ in 0..<500 {
            let around = (0..<2).map { _ in
                (0..<Int.random(in: 0...8, using: &random)).map { _ in
                    pieces.randomElement(using: &random) ?? ""
                }
                .joined()
            }
            let cleaned = StoredText.cleaned(around[0] + number + around[1])
            let digits = cleaned.filter(\.isNumber)
            #expect(!digits.contains(number), "\(around)")
            #expect(!cleaned.contains("\0"))
        }
    }
}

@Suite struct ExportFormatTests {
    /// OWASP's characters that begin a formula get an apostrophe; RFC 4180 quotes are doubled.
    @Test(arguments: [
        ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"),
        ("\ta", "'\ta"), ("\ra", "\"'\ra\""), ("\na", "\"'\na\""), ("\u{FF1D}1", "'\u{FF1D}1"),
        ("a,b", "\"a,b\""),
        ("a\r\nb", "\"a\r\nb\""), ("say \"so\"", "\"say \"\"so\"\"\""), ("plain", "plain"), ("", ""),
        ("Käse", "Käse"), ("a\u{1B}[2Jb", "a\u{FFFD}[2Jb"),
        ("\u{9B}1mx\u{202E},", "\"\u{FFFD}1mx\u{FFFD},\""),
        ("\u{7F}=1", "\u{FFFD}=1"),
    ]) func cells(_ value: String, _ expected: String) {
        #expect(JournalExport.quoted(value) == expected)
    }

    /// Any text goes through JSON unchanged, as Foundation reads it.
    @Test(arguments: [
        "\"\\/\u{8}\u{C}\n\r\t", "\u{1}\u{1F}\u{7F}\u{2028}", "\u{9B}2J\u{202E}\u{E0041}", "é\u{1F4B3}",
        "</script>",
    ])
    func jsonText(_ value: String) throws {
        let data = Data("[\(JSONText.quoted(value))]".utf8)
        #expect(try JSONSerialization.jsonObject(with: data) as? [String] == [value])
    }
}
