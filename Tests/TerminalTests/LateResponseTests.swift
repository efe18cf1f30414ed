import Acquiring
import EMV
import Journal
import Synchronization
import Testing

@testable import Terminal

/// A host that says more than once what it thinks of a payment.
private final class ContraryHost: AcquirerBackend {
    let name = "contrary"
    let late = LateAnswers()
    let reversals = Mutex(0)
    private let answer: @Sendable (AuthorizationRequest) throws(AcquirerError) -> AuthorizationResponse
    private let reversal: @Sendable (ReversalRequest, ContraryHost) async -> Void

    init(
        _ answer: @escaping @Sendable (AuthorizationRequest) throws(AcquirerError) -> AuthorizationResponse,
        reversal: @escaping @Sendable (ReversalRequest, ContraryHost) async -> Void = { _, _ in }
    ) {
        self.answer = answer
        self.reversal = reversal
    }
    func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse { try answer(request) }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        reversals.withLock { $0 += 1 }
        await reversal(request, self)
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
    func answersOutOfTime() async -> AsyncStream<LateAnswer> { await late.stream() }
}

@Suite struct LateResponseTests {
    static let approval = AuthorizationResponse(responseCode: "00", authorizationCode: "AB12CD")

    /// What was said first, what comes afterwards, what is done, where the payment ends.
    @Test(arguments: [
        ("05", approval, LateResponse.Action.reversalDue(count: 1), TransactionState.reversalDue),
        ("00", approval, .noted, .approved),
        ("00", AuthorizationResponse(responseCode: "05"), .noted, .approved),
        ("05", AuthorizationResponse(responseCode: "05"), .noted, .declined),
        ("05", AuthorizationResponse(responseCode: "08"), .reversalDue(count: 1), .reversalDue),
        ("05", AuthorizationResponse(responseCode: "006"), .reversalDue(count: 1), .reversalDue),
        ("05", AuthorizationResponse(responseCode: "77"), .noted, .declined),
        (
            "05", AuthorizationResponse(responseCode: "77", authorizationCode: "AB12CD"),
            .reversalDue(count: 1), .reversalDue
        ),
        // Reversed before: not taken here.
        ("08", approval, .reversalDue(count: 1), .reversalDue),
        ("08", AuthorizationResponse(responseCode: "05"), .noted, .reversed),
    ]) func contraryResponses(
        _ first: String, _ second: AuthorizationResponse, _ action: LateResponse.Action,
        _ state: TransactionState
    ) async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let host = ContraryHost { _ in AuthorizationResponse(responseCode: first) }
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        let answer = LateAnswer(transactionID: result.transactionID, response: second)
        let (done, record) = try await LateResponse.record(answer, in: till.journal)
        #expect(done == action)
        #expect(record.state == state)
        // What came first is what the payment was decided on.
        #expect(record.responseCode == first)
        let last = try await till.journal.changes(of: result.transactionID).last
        #expect(last?.detail?.contains("response code \(second.responseCode)") == true)
        // It is delivered as any other.
        _ = try await till.session(backend: host).forwarder.flush()
        #expect(try await till.state(result) == (state == .reversalDue ? .reversed : state))
    }

    /// The same approval once more, as hosts that send twice do, changes nothing of a payment that was voided meanwhile;
    /// another one is reversed, and the payment stays a voided one.
    @Test func afterAVoid() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let host = ContraryHost { _ in Self.approval }
        let session = till.session(backend: host)
        let id = try await session.pay(PaymentRequest(amount: Amount(clamping: 1250))).transactionID
        let voided = try await PaymentDesk(journal: till.journal, forwarder: session.forwarder).void(id)
        #expect(voided.record.state == .reversed)
        let other = AuthorizationResponse(responseCode: "00", authorizationCode: "ZZ99ZZ")
        for (response, action) in [
            (Self.approval, LateResponse.Action.noted), (other, .reversalDue(count: 1)),
        ] {
            let (done, record) = try await LateResponse.record(
                LateAnswer(transactionID: id, response: response), in: till.journal)
            #expect(done == action)
            #expect(record.reversalReason == "cancelled")
        }
        _ = try await session.forwarder.flush()
        #expect(try await till.journal.show(id)?.state == .reversed)
        #expect(host.reversals.withLock { $0 } == 2)
    }

    /// A host that approves again and again what was reversed is not reversed for ever.
    @Test func bounded() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let host = ContraryHost(
            { _ in AuthorizationResponse(responseCode: "05") },
            reversal: { request, host in
                await host.late.add(LateAnswer(transactionID: request.transactionID, response: Self.approval))
            })
        let actions = AsyncStream.makeStream(of: LateResponse.Action.self)
        let forwarder = ForwarderTests.forwarder(
            till.journal, host,
            observer: {
                if case .lateAnswerRecorded(_, let action) = $0 { actions.continuation.yield(action) }
            })
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        #expect(try await till.state(result) == .declined)
        let listening = Task { await forwarder.listen() }
        await host.late.add(LateAnswer(transactionID: result.transactionID, response: Self.approval))
        var heard: [LateResponse.Action] = []
        for await action in actions.stream {
            heard.append(action)
            if action == .leftToAPerson { break }
        }
        listening.cancel()
        await listening.value
        #expect(heard.filter { $0 != .noted } == (1...5).map { .reversalDue(count: $0) } + [.leftToAPerson])
        #expect(host.reversals.withLock { $0 } == 5)
        #expect(try await till.state(result) == .reversed)
    }

    /// The approval comes while the payment waits for its reversal's acknowledgement.
    @Test func duringThePayment() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let recorded = AsyncStream.makeStream(of: LateResponse.Action.self)
        let host = ContraryHost(
            { _ throws(AcquirerError) in throw .timeout },
            reversal: { request, host in
                await host.late.add(LateAnswer(transactionID: request.transactionID, response: Self.approval))
                // The acknowledgement comes after the approval was written.
                for await _ in recorded.stream { break }
            })
        let session = till.session(backend: host)
        let listening = Task {
            await LateResponse.listen(to: host, journal: till.journal) { _, action, _ in
                recorded.continuation.yield(action)
            }
        }
        let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 1250)))
        listening.cancel()
        #expect(result.status == .failed)
        #expect(!result.reversalOutstanding)
        #expect(try await till.state(result) == .reversed)
        let details = try await till.journal.changes(of: result.transactionID).map { $0.detail ?? "" }
        #expect(details.contains("late answer, response code 00"))
        #expect(host.reversals.withLock { $0 } == 1)
    }

    /// The host declines and then approves, before the refusal is in the journal: noted only, it would stay booked. It waits for
    /// the payment's end, as long as the payment is under way or left behind.
    @Test(.timeLimit(.minutes(1)), arguments: [TransactionState.authorizing, .answered])
    func beforeThePaymentIsDecided(_ state: TransactionState) async throws {
        let journal = try Journal.inMemory()
        let id = try await RecoveryTests.left(journal, .authorizing).id
        let refusal = TransactionResult(responseCode: "05")
        if state == .answered { try await journal.answered(id, result: refusal) }
        let answer = LateAnswer(transactionID: id, response: Self.approval)
        await #expect(throws: JournalError.self) { try await LateResponse.record(answer, in: journal) }
        let host = ContraryHost { _ in Self.approval }
        await host.late.add(answer)
        let waits = AsyncStream.makeStream(of: Void.self)
        let actions = AsyncStream.makeStream(of: LateResponse.Action.self)
        let listening = Task {
            await LateResponse.listen(
                to: host, journal: journal,
                sleep: { _ in
                    waits.continuation.yield()
                    await Task.yield()
                }, failed: { Issue.record($0) }
            ) { _, action, _ in actions.continuation.yield(action) }
        }
        // More often than a journal that fails is tried at the end.
        var waited = waits.stream.makeAsyncIterator()
        for _ in 0..<20 { await waited.next() }
        #expect(try await journal.show(id)?.state == state)
        try await journal.complete(id, from: [state], to: .declined, result: refusal)
        var done = actions.stream.makeAsyncIterator()
        #expect(await done.next() == .reversalDue(count: 1))
        listening.cancel()
        await listening.value
        #expect(try await journal.show(id)?.state == .reversalDue)
    }

    /// Approved after the reversal was acknowledged, and before the journal has that: it is not what was reversed.
    @Test func betweenAcknowledgementAndItsWrite() async throws {
        let journal = try Journal.inMemory()
        let id = try await RecoveryTests.left(journal, .reversalDue).id
        let answer = LateAnswer(transactionID: id, response: Self.approval)
        let acknowledged = journal.underWay.claimAcknowledged(id)
        await #expect(throws: JournalError.self) { try await LateResponse.record(answer, in: journal) }
        try await journal.reversed(id)
        acknowledged.end()
        #expect(try await LateResponse.record(answer, in: journal).action == .reversalDue(count: 1))
    }

    /// A response that the journal does not take holds up none of other transactions; those of the same one keep their order.
    @Test(.timeLimit(.minutes(1))) func oneThatIsNotTakenHoldsUpNoOther() async throws {
        let store = try SQLiteJournal.inMemory()
        let plain = Journal(store: store)
        var ids: [String] = []
        for _ in 0..<2 {
            let id = try await RecoveryTests.left(plain, .authorizing).id
            try await plain.complete(
                id, from: [.authorizing], to: .declined, result: TransactionResult(responseCode: "05"))
            ids.append(id)
        }
        let (first, second) = (ids[0], ids[1])
        let isFailing = Mutex(true)
        let journal = Journal(
            store: WatchedStore(
                store: store, hook: { _, _ in },
                failure: { id in
                    id == first && isFailing.withLock { $0 } ? .locked(path: "j", processID: nil) : nil
                }))
        let host = ContraryHost { _ in Self.approval }
        for (id, code) in [(first, "00"), (first, "05"), (second, "00")] {
            await host.late.add(
                LateAnswer(
                    transactionID: id,
                    response: AuthorizationResponse(
                        responseCode: code, authorizationCode: code == "00" ? "AB12CD" : nil)))
        }
        let recorded = AsyncStream.makeStream(of: (String, String).self)
        let failures = Mutex(0)
        let listening = Task {
            await LateResponse.listen(
                to: host, journal: journal, sleep: { _ in await Task.yield() },
                failed: { _ in failures.withLock { $0 += 1 } }
            ) { answer, _, _ in
                recorded.continuation.yield((answer.transactionID, answer.response.responseCode))
                if answer.transactionID == second { isFailing.withLock { $0 = false } }
            }
        }
        var order: [String] = []
        for await (id, code) in recorded.stream {
            order.append("\(id == first ? "first" : "second") \(code)")
            if order.count == 3 { break }
        }
        listening.cancel()
        await listening.value
        #expect(order == ["second 00", "first 00", "first 05"])
        #expect(failures.withLock { $0 } > 0)
    }

    /// One that the journal does not take is tried again; one of another journal is nobody's business.
    @Test func ofAnotherJournal() async throws {
        let journal = try Journal.inMemory()
        let host = ContraryHost { _ in Self.approval }
        await host.late.add(LateAnswer(transactionID: "txn_other", response: Self.approval))
        await host.late.finish()
        await LateResponse.listen(to: host, journal: journal, failed: { Issue.record($0) }) { _, _, _ in
            Issue.record("recorded")
        }
    }
}
