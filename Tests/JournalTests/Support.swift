import EMV
import Foundation
import Synchronization
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
    func make(
        _ state: TransactionState, cents: UInt64 = 1250, terminal: String = "TERM0001", type: UInt8 = 0,
        purpose: TransactionPurpose = .sale
    ) async throws -> TransactionRecord {
        var wanted = try intent(cents, terminal: terminal)
        wanted.transactionType = type
        wanted.purpose = purpose
        let id = try await begin(wanted).id
        func advance(_ states: TransactionState...) async throws {
            for state in states {
                switch state {
                case .cardRead: try await cardRead(id, reading())
                case .requestWritten: try await requestWritten(id, reading(), keeping: [1, 2, 3])
                case .deferred: try await deferred(id, reason: "transit")
                case .authorizing: try await authorizing(id, backend: "test")
                case .answered: try await answered(id, result: TransactionResult(responseCode: "00"))
                case .approved, .declined, .declinedOffline, .cancelled, .failed:
                    try await complete(
                        id, from: state.predecessors, to: state,
                        result: TransactionResult(responseCode: state == .approved ? "00" : nil))
                case .adjustmentDue:
                    try await adjustmentDue(id, .tip, amount: Amount(clamping: cents + 100))
                case .adjusted: try await adjusted(id, revision: 1)
                case .reversalDue: try await reversalDue(id, reason: "timeout")
                case .reversed: try await reversed(id)
                case .approvedOffline: try await storeOffline(id)
                case .forwarded: try await forwarded(id)
                case .settled:
                    let currency = try #require(NumericCode(978))
                    let batch = try #require(try await closeBatch(terminal: terminal, currency: currency))
                    try await changeBatch(batch, .closed)
                case .started: break
                }
            }
        }
        switch state {
        case .started: break
        case .cancelled: try await advance(.cancelled)
        case .cardRead: try await advance(.cardRead)
        case .requestWritten: try await advance(.requestWritten)
        case .deferred: try await advance(.requestWritten, .deferred)
        case .authorizing: try await advance(.requestWritten, .authorizing)
        case .answered: try await advance(.requestWritten, .authorizing, .answered)
        case .approved, .declined, .reversalDue: try await advance(.requestWritten, .authorizing, state)
        case .reversed: try await advance(.requestWritten, .authorizing, .reversalDue, .reversed)
        case .declinedOffline, .failed, .approvedOffline: try await advance(.cardRead, state)
        case .forwarded: try await advance(.cardRead, .approvedOffline, .forwarded)
        case .adjustmentDue: try await advance(.requestWritten, .authorizing, .approved, .adjustmentDue)
        case .adjusted:
            try await advance(.requestWritten, .authorizing, .approved, .adjustmentDue, .adjusted)
        case .settled: try await advance(.requestWritten, .authorizing, .approved, .settled)
        }
        return try #require(try await show(id))
    }
}

/// A value behind a lock.
final class Mutexed<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    var value: Value {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
    func change(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
}
