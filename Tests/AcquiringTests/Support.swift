import BERTLV
import EMV
import EMVCryptography
import Synchronization
import Testing

@testable import Acquiring
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import Issuing

func bytes(_ hex: String) -> [UInt8] { Hex.bytes(hex)! }
func amount(_ minorUnits: UInt64) -> Amount { Amount(minorUnits: minorUnits)! }
let euro = NumericCode(978)!

/// A clock that goes on only when a test says so.
final class ManualClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.offset < rhs.offset }
    }
    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }
    private struct State {
        var now = Instant(offset: .zero)
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
        var next = 0
    }
    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var minimumResolution: Duration { .nanoseconds(1) }
    var sleepers: Int { state.withLock { $0.sleepers.count } }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.contains(id) { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.cancelled.insert(id)
                return state.sleepers.removeValue(forKey: id)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Lets time pass once `count` tasks sleep.
    func advance(by duration: Duration, sleepers count: Int = 1) async {
        while sleepers < count { await Task.yield() }
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let now = state.now
            let due = state.sleepers.filter { $0.value.deadline <= now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in due { sleeper.continuation.resume() }
    }
}

/// What a terminal sends after a tap of the test world's cards.
struct Payment {
    var number = "4761739001010119"
    var sequence: UInt8 = 1
    var expiry = 311231
    var version = CryptogramVersion.visaCVN10
    var type = CryptogramInformationData.CryptogramType.arqc
    var amount: UInt64 = 1500
    var counter: UInt16 = 1
    var id = "T1"
    var remove: [BERTLV.Tag] = []
    var extra: DataObjects = [:]

    static let credit = Payment()
    static let debit = Payment(number: "4761739001010135", version: .visaCVN18)
    static let apple = Payment(
        number: "4895370000000015", sequence: 0, expiry: 290831, version: .visaCVN18)
    static let alipay = Payment(
        number: "4895390000000013", sequence: 0, expiry: 281031, version: .visaCVN18)

    func with(_ change: (inout Payment) -> Void) -> Payment {
        var copy = self
        change(&copy)
        return copy
    }

    var request: AuthorizationRequest {
        let pan = PrimaryAccountNumber(digits: number)!
        let iad: [UInt8] = [0x06, 1, version.number, 0x03, 0x80 | type.rawValue << 4, 0, 0]
        var data: DataObjects = [
            0x82: bytes("2000"), 0x95: bytes("0000000000"), 0x9A: bytes("261120"), 0x9C: [0],
            0x9F02: BCD.bytes(amount, count: 6), 0x9F03: bytes("000000000000"), 0x9F10: iad,
            0x9F1A: bytes("0276"), 0x9F27: [type.rawValue << 6], 0x9F37: bytes("1A2B3C4D"),
            0x5F2A: bytes("0978"), 0x5F34: [sequence],
        ]
        data.set(0x9F36, number: UInt64(counter), count: 2)
        var input = CryptogramInput()
        // swift-format-ignore: ReplaceForEachWithForLoop
        for tag in data.tags {
            guard let value = data.span(tag) else { continue }
            _ = input.set(tag: tag, value)
        }
        let master = try! TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210")).iccMasterKey(
            pan: pan.compressedNumeric, panSequenceNumber: sequence)
        data.set(
            0x9F26,
            version.applicationCryptogram(
                masterKey: master, input: input, issuerApplicationData: iad.span
            ).bytes)
        data.merge(extra)
        for tag in remove { data.remove(tag) }
        return AuthorizationRequest(
            transactionID: id, terminalID: "TERM0001", merchantID: "MERCHANT0000001",
            merchantName: "Tapbridge Demo Store", merchantCategoryCode: "5812", stan: 1,
            retrievalReference: "632522000123", amount: Amount(minorUnits: amount)!, currency: euro,
            country: NumericCode(276)!, transactionType: 0, date: EMVDate(yymmdd: 261120)!, hhmmss: 223015,
            entryMode: .contactlessChip, primaryAccountNumber: pan, panSequenceNumber: sequence,
            expiry: EMVDate(yymmdd: expiry), chipData: data.encoded())
    }

    var reversal: ReversalRequest {
        ReversalRequest(
            transactionID: id, terminalID: "TERM0001", stan: 1, retrievalReference: "632522000123",
            amount: Amount(minorUnits: amount)!, currency: euro, reason: .timeout)
    }
}

func script(_ rules: String...) throws -> TroubleScript {
    TroubleScript(rules: try rules.map { try TroubleRule($0) })
}

/// The error of an authorization; nil where an answer came.
func failure(_ acquirer: SimulatedAcquirer, _ payment: Payment) async -> AcquirerError? {
    do throws(AcquirerError) {
        _ = try await acquirer.authorize(payment.request)
        return nil
    } catch { return error }
}
