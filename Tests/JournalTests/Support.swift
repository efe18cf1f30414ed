import EMV
import Foundation
import Testing

@testable import Journal

/// A directory that is gone after the test.
final class Folder {
    let url: URL
    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("journal-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(at: url) }
    /// Without symbolic links, as the journal names it.
    var directory: String { url.resolvingSymlinksInPath().path }
    var path: String { directory + "/journal.sqlite" }

    /// All bytes that lie beside the journal, its log included.
    func bytes() throws -> Data {
        var all = Data()
        for name in try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() {
            all.append(try Data(contentsOf: url.appendingPathComponent(name)))
        }
        return all
    }
}

/// Numbers that are the same in each run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func intent(_ cents: UInt64 = 1250, terminal: String = "TERM0001") throws -> TransactionIntent {
    TransactionIntent(
        terminalID: terminal, merchantID: "MERCHANT0000001", amount: Amount(clamping: cents),
        currency: try #require(NumericCode(978)), currencyExponent: 2, transactionType: 0)
}

func reading() -> CardReading {
    CardReading(
        maskedPAN: "476173******0119", panSequenceNumber: 1, applicationIdentifier: "A0000000031010",
        applicationLabel: "VISA CREDIT", kernel: 3, outcome: "onlineRequest", cvm: "noCVM")
}

extension Journal {
    /// A transaction brought to a state by the way that a terminal goes.
    func make(_ state: TransactionState, cents: UInt64 = 1250) async throws -> TransactionRecord {
        let record = try await begin(try intent(cents))
        if state == .started { return record }
        if state != .cancelled { try await cardRead(record.id, reading()) }
        switch state {
        case .authorizing, .approved, .declined, .reversalDue, .reversed:
            try await authorizing(record.id, backend: "test")
        default: break
        }
        switch state {
        case .approved, .declined, .declinedOffline, .cancelled, .failed:
            try await complete(
                record.id, from: state.predecessors, to: state,
                result: TransactionResult(responseCode: state == .approved ? "00" : nil))
        case .reversalDue, .reversed:
            try await reversalDue(record.id, reason: "timeout")
            if state == .reversed { try await reversed(record.id) }
        case .approvedOffline, .forwarded:
            try await storeOffline(record.id)
            if state == .forwarded { try await forwarded(record.id) }
        default: break
        }
        return try #require(try await show(record.id))
    }
}
