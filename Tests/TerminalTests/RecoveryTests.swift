import Acquiring
import EMV
import Foundation
import Journal
import CardReaders
import Synchronization
import Testing

@testable import Terminal

/// What was left behind is resolved by what the journal has, whoever is asked.
@Suite struct RecoveryTests {
    static func left(
        _ journal: Journal, _ state: TransactionState = .authorizing, terminal: String = "TERM0001",
        backend: String = "scripted"
    ) async throws -> TransactionRecord {
        let record = try await journal.begin(
            TransactionIntent(
                terminalID: terminal, merchantID: "MERCHANT0000001", amount: Amount(clamping: 1000),
                currency: try #require(NumericCode(978)), currencyExponent: 2, transactionType: 0))
        guard state != .started else { return record }
        try await journal.requestWritten(record.id, nil, keeping: nil)
        guard state != .requestWritten else { return record }
        try await journal.authorizing(record.id, backend: backend)
        if state == .reversalDue { try await journal.reversalDue(record.id, reason: "timeout") }
        return record
    }

    static func forwarder(
        _ journal: Journal, _ host: any AcquirerBackend, terminal: String = "TERM0001",
        observer: (@Sendable (Forwarder.Event) -> Void)? = nil
    ) -> Forwarder {
        Forwarder(
            terminalID: terminal, journal: journal, backend: host, sleep: { _ in await Task.yield() },
            observer: observer)
    }

    /// What this process is at work on is left alone, and what it is not at work on is not: by what it knows, not by the time.
    @Test(arguments: [TransactionState.started, .requestWritten, .authorizing])
    func underWayIsLeftAlone(_ state: TransactionState) async throws {
        let journal = try Journal.inMemory()
        let record = try await Self.left(journal, state)
        let host = ScriptedHost()
        let forwarder = Self.forwarder(journal, host)
        let claim = journal.underWay.claim(record.id)
        _ = try await forwarder.flush()
        #expect(try await journal.show(record.id)?.state == state)
        // The journal may have a payment before its session knows which.
        let beginning = journal.underWay.claimBeginning(at: "TERM0001")
        claim.end()
        _ = try await forwarder.flush()
        #expect(try await journal.show(record.id)?.state == state)
        beginning.isFor("txn_other")
        _ = try await forwarder.flush()
        #expect(try await journal.show(record.id)?.state == (state == .authorizing ? .reversed : .cancelled))
        #expect(host.reversals.withLock { $0.count } == (state == .authorizing ? 1 : 0))
        withExtendedLifetime(beginning) {}
    }

    /// The host approves and the journal takes nothing for a while: told as it is, and reversed while the program runs.
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [JournalError.locked(path: "test", processID: nil), .diskFull(path: "test")])
    func journalFailsWhileTheHostApproves(_ error: JournalError) async throws {
        let isFailing = Mutex(false)
        let store = WatchedStore(store: try SQLiteJournal.inMemory()) { moment, _ throws(JournalError) in
            if moment == .before, isFailing.withLock({ $0 }) { throw error }
        }
        var till = try await Till(journal: Journal(store: store))
        let (reversals, continuation) = AsyncStream.makeStream(of: ReversalRequest.self)
        let host = ScriptedHost(
            answer: { _ throws(AcquirerError) in
                isFailing.withLock { $0 = true }
                return AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
            }, reversal: { request throws(AcquirerError) in continuation.yield(request) })
        // Each pass that fails waits for the next: the journal takes writes again after the third.
        let passes = Mutex(0)
        till.environment.sleep = { _ in
            if isFailing.withLock({ $0 }) {
                let count = passes.withLock {
                    $0 += 1
                    return $0
                }
                if count == 3 { isFailing.withLock { $0 = false } }
            }
            await Task.yield()
        }
        let session = till.session(backend: host)
        let beside = Task { await session.forwarder.run() }
        till.field.present(try card("visa-credit"))
        let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 1250)))
        #expect(result.status == .failed)
        #expect(result.reversalOutstanding)
        #expect(result.reason?.contains("the journal did not take the result") == true)
        var requests = reversals.makeAsyncIterator()
        #expect(await requests.next()?.transactionID == result.transactionID)
        beside.cancel()
        await beside.value
        #expect(try await till.state(result) == .reversed)
        #expect(till.log.messages.last == .notAuthorised)
    }

    /// A reversal goes to the host that had the authorization. Where the program has another one it is set aside with the
    /// reason, and taken up again when that host is back.
    @Test func anotherHost() async throws {
        let journal = try Journal.inMemory()
        let record = try await Self.left(journal, backend: "bank")
        let other = ScriptedHost()
        let told = Mutex<[String]>([])
        let done = try await Self.forwarder(journal, other) { event in
            if case .delivery(let delivery) = event, case .parked(let reason) = delivery.result {
                told.withLock { $0.append(reason) }
            }
        }.recover()
        #expect(done.map(\.resolved) == [false])
        #expect(done.first?.action.contains("\"bank\"") == true)
        #expect(told.withLock { $0.first?.contains("\"bank\"") } == true)
        #expect(other.reversals.withLock { $0.isEmpty })
        #expect(try await journal.show(record.id)?.state == .reversalDue)
        #expect(try await journal.show(record.id)?.isParked == true)

        let bank = ScriptedHost(name: "bank")
        #expect(try await Self.forwarder(journal, bank).recover().map(\.resolved) == [true])
        #expect(bank.reversals.withLock { $0.map(\.stan) } == [record.stan])
        #expect(try await journal.show(record.id)?.state == .reversed)
    }

    /// What a person set aside, or the host refused, is not taken up by that.
    @Test func parkedForAnotherReasonStays() async throws {
        let journal = try Journal.inMemory()
        let record = try await Self.left(journal, .reversalDue)
        try await journal.parked(record.id, reason: "the host refused it")
        #expect(try await Self.forwarder(journal, ScriptedHost()).recover().isEmpty)
        #expect(try await journal.show(record.id)?.isParked == true)
    }

    /// The command line looks after all terminals of the journal: its own first, the others as far as the host is reached.
    @Test(arguments: [true, false]) func allTerminals(_ isReached: Bool) async throws {
        let journal = try Journal.inMemory()
        var records: [TransactionRecord] = []
        for terminal in ["TERM0003", "TERM0001", "CLIENT01"] {
            records.append(try await Self.left(journal, terminal: terminal))
        }
        let host = ScriptedHost(reversal: { _ throws(AcquirerError) in
            if !isReached { throw .unreachable("no line") }
        })
        let done = try await Self.forwarder(journal, host).recoverAll()
        #expect(done.map(\.record.terminalID) == ["TERM0001", "CLIENT01", "TERM0003"])
        #expect(done.map(\.resolved) == [isReached, isReached, isReached])
        for record in records {
            #expect(
                try await journal.show(record.id)?.state == (isReached ? .reversed : .reversalDue),
                "\(record.terminalID)")
        }
        #expect(host.reversals.withLock { $0.count } == (isReached ? 3 : 1))
    }
}
