import Acquiring
import EMV
import Foundation
import Journal
import Synchronization
import TestTools
import Testing

@testable import Terminal

/// A host whose answers to each message are told beforehand, and which notes the order in which they came.
final class OrderedHost: AcquirerBackend {
    let name: String
    let heard = Mutex<[String]>([])
    private let answer: @Sendable (_ message: String, _ count: Int) -> AcquirerError?

    /// - Parameters:
    ///   - name: what the journal knows it by: reversals go to the host of that name alone.
    ///   - answer: `kind id`, and the how manieth of them it is.
    init(
        name: String = "ordered",
        _ answer: @escaping @Sendable (String, Int) -> AcquirerError? = { _, _ in nil }
    ) {
        self.name = name
        self.answer = answer
    }

    private func take(_ message: String) throws(AcquirerError) {
        let count = heard.withLock { heard in
            heard.append(message)
            return heard.count { $0 == message }
        }
        if let error = answer(message, count) { throw error }
    }
    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        try take("authorize \(request.transactionID)")
        return AuthorizationResponse(responseCode: "00", authorizationCode: "A1")
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        try take("reverse \(request.transactionID)")
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
        try take("advise \(request.transactionID)")
    }
    func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        try take("adjust \(request.transactionID)")
    }
}

@Suite struct ForwarderTests {
    static let terminal = "TERM0001"

    /// A deferred authorization, an offline approval, a reversal and a final amount, in this order.
    static func owing(_ journal: Journal) async throws -> [String] {
        let till = try await Till(journal: journal)
        var ids: [String] = []
        for (card, cents) in [
            ("visa-credit", 1000), ("visa-debit", 990), ("visa-credit", 2000), ("visa-credit", 3000),
        ]
            as [(String, UInt64)]
        {
            till.field.remove()
            till.field.present(try TerminalTests.card(card))
            // Its own authorization gets an answer or none; after that the line is down.
            let isFirst = Mutex(true)
            let host = OrderedHost { message, _ in
                let isOwn = isFirst.withLock { first in
                    defer { first = false }
                    return first
                }
                return isOwn && cents == 3000 ? nil : isOwn && cents == 2000 ? .timeout : .unreachable("down")
            }
            let result = try await till.session(backend: host).pay(
                PaymentRequest(amount: Amount(clamping: cents), purpose: cents == 1000 ? .deferred : .sale))
            if cents == 3000 {
                try await journal.adjustmentDue(result.transactionID, .tip, amount: Amount(clamping: 3300))
            }
            ids.append(result.transactionID)
        }
        let states = try await journal.owed(terminal: terminal).map(\.state)
        #expect(states == [.deferred, .approvedOffline, .reversalDue, .adjustmentDue])
        return ids
    }

    static func forwarder(
        _ journal: Journal, _ host: any AcquirerBackend, patience: Int = 6,
        sleep: @escaping @Sendable (Duration) async -> Void = { _ in },
        observer: (@Sendable (Forwarder.Event) -> Void)? = nil
    ) -> Forwarder {
        var policy = Forwarder.Policy()
        policy.patience = patience
        policy.jitter = 0
        return Forwarder(
            terminalID: terminal, journal: journal, backend: host, policy: policy, sleep: sleep,
            observer: observer)
    }

    @Test func inTheOrderOfTheTransactions() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        let host = OrderedHost()
        let done = try await Self.forwarder(journal, host).flush()
        #expect(
            host.heard.withLock { $0 } == [
                "authorize \(ids[0])", "advise \(ids[1])", "reverse \(ids[2])", "adjust \(ids[3])",
            ])
        #expect(
            done.map(\.result) == [
                .delivered(.approved), .delivered(.forwarded), .delivered(.reversed), .delivered(.adjusted),
            ])
        #expect(try await journal.owed().isEmpty)
        #expect(try await journal.verify().problems == [])
    }

    /// Woken, it looks once more and then waits again: an idle terminal reads no journal.
    @Test(.timeLimit(.minutes(1))) func idleBetweenBells() async throws {
        let naps = Recorded<Duration>()
        let cutShort = Recorded<Void>()
        let forwarder = Self.forwarder(
            try Journal.inMemory(), OrderedHost(),
            sleep: {
                naps.append($0)
                await untilCancelled()
                cutShort.append(())
            })
        let running = Task { await forwarder.run() }
        try await naps.wait(forCount: 1, "the forwarder waits")
        for bell in 1...3 {
            await forwarder.wake()
            try await naps.wait(forCount: bell + 1, "the forwarder waits again")
            try await cutShort.wait(forCount: bell, "the wait before is cut short")
            // Whatever a nap that was cut short does, it has done it by then.
            for _ in 0..<200 { await Task.yield() }
            #expect(naps.count == bell + 1)
        }
        running.cancel()
        await running.value
        #expect(naps.count == 4)
    }

    /// While the line is down nothing overtakes, and nothing is sent in vain.
    @Test func theLineIsDown() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        let down = OrderedHost { _, _ in .unreachable("down") }
        for _ in 0..<10 { _ = try await Self.forwarder(journal, down).flush() }
        #expect(Set(down.heard.withLock { $0 }) == ["authorize \(ids[0])"])
        #expect(try await journal.owed().map(\.id) == ids)
    }

    /// One that the host refuses, and one to which it only ever answers with noise: parked, and the others go on.
    @Test func poisonIsParked() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        let host = OrderedHost { message, _ in
            message.hasPrefix("advise")
                ? .rejected("format") : message.hasPrefix("reverse") ? .malformedResponse("noise") : nil
        }
        let forwarder = Self.forwarder(journal, host, patience: 3)
        for _ in 0..<5 { _ = try await forwarder.flush() }
        let owed = try await journal.owed(includingParked: true)
        #expect(owed.map(\.id) == [ids[1], ids[2]])
        #expect(owed.map(\.isParked) == [true, true])
        #expect(host.heard.withLock { $0.count { $0 == "advise \(ids[1])" } } == 1)
        #expect(owed.last?.reversalAttempts == 3)
        // Taken up again by a person.
        try await journal.resumed(ids[2], reason: "mended")
        _ = try await Self.forwarder(journal, OrderedHost()).flush()
        #expect(try await journal.show(ids[2])?.state == .reversed)
    }

    /// A message that is never answered holds up the others only for so long.
    @Test func silenceToOneDoesNotHoldUpTheOthers() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        let host = OrderedHost { message, _ in message.hasPrefix("advise") ? .timeout : nil }
        let forwarder = Self.forwarder(journal, host, patience: 4)
        _ = try await forwarder.flush()
        #expect(try await journal.owed().map(\.id) == Array(ids[1...]))
        for _ in 0..<3 { _ = try await forwarder.flush() }
        #expect(try await journal.owed().map(\.id) == [ids[1]])
    }

    /// A message that the host never processes, though it is there (91, 96), is tried again and holds up nobody meanwhile.
    @Test func oneThatIsNeverProcessedHoldsUpNoOther() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        let host = OrderedHost { message, _ in message.hasPrefix("advise") ? .notProcessed("96") : nil }
        let forwarder = Self.forwarder(journal, host, patience: 4)
        _ = try await forwarder.flush()
        #expect(try await journal.owed().map(\.id) == [ids[1]])
        for _ in 0..<9 { _ = try await forwarder.flush() }
        let record = try #require(try await journal.show(ids[1]))
        #expect(record.state == .approvedOffline && !record.isParked && record.forwardAttempts == 10)
    }

    /// A deferred authorization that was not answered is reversed and sent anew, under other numbers, once.
    @Test func deferredIsSentAnew() async throws {
        let journal = try Journal.inMemory()
        let till = try await Till(journal: journal)
        till.field.present(try card("visa-credit"))
        let host = OrderedHost()
        let first = try await till.session(backend: host).pay(
            PaymentRequest(amount: Amount(clamping: 275), purpose: .deferred))
        #expect(first.isApproved && first.isDeferred)
        #expect(host.heard.withLock { $0.isEmpty })
        // The first is not answered; the second, with its own identifier, is not answered either; the third is.
        let forwarder = Self.forwarder(journal, OrderedHost())
        let silent = Self.forwarder(
            journal, OrderedHost { message, _ in message.hasPrefix("authorize") ? .timeout : nil })
        _ = try await silent.flush()
        _ = try await silent.flush()
        _ = try await forwarder.flush()
        let records = try await journal.list(JournalFilter(), order: .oldestFirst)
        #expect(records.map(\.state) == [.reversed, .reversed, .approved])
        #expect(records.map(\.replaces) == [nil, records[0].id, records[1].id])
        #expect(records.allSatisfy { $0.original == nil && $0.idempotencyKey == nil })
        #expect(Set(records.map(\.stan)).count == 3)
        #expect(records.allSatisfy { $0.maskedPAN == "476173******0119" })
    }

    /// No key that a client chooses stands in the way of what is sent anew.
    @Test func clientsKeysAreApart() async throws {
        let journal = try Journal.inMemory()
        let till = try await Till(journal: journal)
        till.field.present(try card("visa-credit"))
        let host = OrderedHost()
        let deferred = try await till.session(backend: host).pay(
            PaymentRequest(amount: Amount(clamping: 275), purpose: .deferred))
        till.field.remove()
        till.field.present(try card("visa-credit"))
        let other = try await till.session(backend: host).pay(
            PaymentRequest(
                amount: Amount(clamping: 100), idempotencyKey: "again:\(deferred.transactionID)"))
        #expect(other.isApproved && !other.isRepeated)
        let silent = Self.forwarder(
            journal, OrderedHost { message, _ in message.hasPrefix("authorize") ? .timeout : nil })
        _ = try await silent.flush()
        _ = try await Self.forwarder(journal, host).flush()
        let records = try await journal.list(JournalFilter(), order: .oldestFirst)
        #expect(records.map(\.state) == [.reversed, .approved, .approved])
        #expect(records.map(\.replaces) == [nil, nil, deferred.transactionID])
        // The same in the middle of a crash: recovery resolves it, and can be repeated.
        #expect(try await Self.forwarder(journal, host).recover().isEmpty)
    }

    /// What the journal does not take of one transaction holds up no other, and is seen.
    @Test(arguments: [
        JournalError.damaged(path: "j", reason: "key"), .invalidValue("that"), .unknownTransaction(id: "x"),
        .diskFull(path: "j"),
    ]) func oneThatFailsHoldsUpNoOther(_ error: JournalError) async throws {
        for index in 0..<4 {
            let journal = try Journal.inMemory()
            let ids = try await Self.owing(journal)
            let failing = Journal(
                store: WatchedStore(
                    store: journal.store, hook: { _, _ in }, failure: { $0 == ids[index] ? error : nil }))
            let results = try await Self.forwarder(failing, OrderedHost()).flush()
            #expect(results.map(\.record.id) == ids)
            let isTransient = if case .diskFull = error { true } else { false }
            var expected: [Forwarder.Delivery.Result] = [
                .delivered(.approved), .delivered(.forwarded), .delivered(.reversed), .delivered(.adjusted),
            ]
            expected[index] = isTransient ? .failed(error) : .parked("\(error)")
            #expect(results.map(\.result) == expected)
            #expect(try await journal.show(ids[index])?.isParked == !isTransient)
            // Taken up again, it is delivered.
            if !isTransient { try await journal.resumed(ids[index], reason: "mended") }
            _ = try await Self.forwarder(journal, OrderedHost()).flush()
            #expect(try await journal.owed(includingParked: true).isEmpty)
        }
    }

    /// A deferred payment that was under way at the crash, and of which what was kept is lost, is reversed by its numbers.
    @Test func aLostRequestIsReversed() async throws {
        let journal = try Journal.inMemory()
        let ids = try await Self.owing(journal)
        try await journal.authorizing(ids[0], backend: "ordered")
        let lost = Journal(
            store: WatchedStore(
                store: journal.store, hook: { _, _ in },
                keptFailure: { $0 == ids[0] ? .damaged(path: "j", reason: "the key is another one") : nil }))
        let host = OrderedHost()
        _ = try await Self.forwarder(lost, host).recover()
        #expect(try await journal.show(ids[0])?.state == .reversed)
        #expect(host.heard.withLock { $0 }.contains("reverse \(ids[0])"))
        #expect(try await journal.owed().isEmpty)
    }

    /// A late approval is noted and revives nothing; what was reversed before it came is reversed again. (Where it comes while
    /// the reversal is under way, that one is enough: which of both it is depends on the machine here; `LateResponseTests`
    /// has each by itself.)
    @Test(.timeLimit(.minutes(3))) func lateAnswers() async throws {
        let till = try await Till(troubles: ["nth 1: late 2s"])
        till.field.present(try card("visa-credit"))
        let heard = AsyncStream.makeStream(of: (LateAnswer, LateResponse.Action).self)
        let forwarder = Self.forwarder(
            till.journal, till.host,
            // Between its passes it waits; a response that comes before the payment is decided is looked at again.
            sleep: { if $0 == .seconds(60) { await untilCancelled() } else { await Task.yield() } },
            observer: {
                if case .lateAnswerRecorded(let answer, let action) = $0 {
                    heard.continuation.yield((answer, action))
                }
            })
        let running = Task { await forwarder.run() }
        while await !forwarder.isRunning { await Task.yield() }
        let result = try await till.pay(2000)
        #expect(!result.isApproved)
        var answers = heard.stream.makeAsyncIterator()
        let (late, action) = try #require(await answers.next())
        #expect(late.transactionID == result.transactionID && late.response.isApproved)
        #expect(
            try await till.journal.changes(of: result.transactionID).contains {
                $0.detail?.hasPrefix("late answer") == true
            })
        let isReversedAgain = action == .reversalDue(count: 1)
        #expect(isReversedAgain || action == .noted)
        try await eventually("it is reversed") {
            let record = try await till.journal.show(result.transactionID)
            return record?.state == .reversed
                && (!isReversedAgain
                    || record?.reversalAttempts == 2 && record?.reversalReason == "lateResponse")
        }
        running.cancel()
        await forwarder.wake()
        await running.value
        #expect(try await till.state(result) == .reversed)
    }

    /// Doubled from two seconds to ten minutes, and back after a pass that went well.
    @Test func backOff() async throws {
        let policy = Forwarder.Policy()
        let plain = (1...12).map { policy.delay(after: $0, chance: 0.5) }
        #expect(Array(plain.prefix(4)) == [.seconds(2), .seconds(4), .seconds(8), .seconds(16)])
        #expect(plain.last == .seconds(600))
        #expect(policy.delay(after: 1, chance: 0) == .milliseconds(1600))
        #expect(policy.delay(after: 1, chance: 1) == .milliseconds(2400))
        #expect(policy.delay(after: .max, chance: 0.5) == .seconds(600))

        let journal = try Journal.inMemory()
        _ = try await Self.owing(journal)
        let waits = Mutex<[Duration]>([])
        let passes = Mutex(0)
        let host = OrderedHost { _, _ in
            passes.withLock {
                $0 += 1
                return $0 <= 4
            } ? .unreachable("down") : nil
        }
        let forwarder = Self.forwarder(journal, host, sleep: { _ in }) { event in
            if case .waiting(let delay, _) = event { waits.withLock { $0.append(delay) } }
        }
        let running = Task { await forwarder.run() }
        try await eventually("nothing is due any more") { try await journal.owed().isEmpty }
        running.cancel()
        await forwarder.wake()
        await running.value
        #expect(waits.withLock { $0 } == [.seconds(2), .seconds(4), .seconds(8), .seconds(16)])
    }

    /// Approved by the host, and killed before anybody was told: taken back.
    @Test(arguments: ["00", "05"]) func recoversAnAnsweredPayment(_ code: String) async throws {
        let journal = try Journal.inMemory()
        let euro = try #require(NumericCode(978))
        let record = try await journal.begin(
            TransactionIntent(
                terminalID: Self.terminal, merchantID: "M", amount: Amount(clamping: 100), currency: euro,
                currencyExponent: 2, transactionType: 0))
        try await journal.requestWritten(record.id, nil, keeping: nil)
        try await journal.authorizing(record.id, backend: "ordered")
        try await journal.answered(record.id, result: TransactionResult(responseCode: code))
        let host = OrderedHost()
        let done = try await Self.forwarder(journal, host).recover()
        #expect(done.map(\.resolved) == [true])
        #expect(try await journal.show(record.id)?.state == (code == "00" ? .reversed : .declined))
        #expect(host.heard.withLock { $0.count } == (code == "00" ? 1 : 0))
    }
}
