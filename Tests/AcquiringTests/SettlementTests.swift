import EMV
import Issuing
import Testing

@testable import Acquiring
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator

/// Completions, tips, batches and uploads at the simulated host.
@Suite struct SettlementTests {
    static func adjustment(
        _ payment: Payment, to minorUnits: UInt64, revision: Int = 1,
        kind: AdjustmentRequest.Kind = .completion, transmission: Int = 1
    ) -> AdjustmentRequest {
        let request = payment.request
        return AdjustmentRequest(
            kind: kind, transactionID: request.transactionID, terminalID: request.terminalID,
            merchantID: request.merchantID, stan: request.stan,
            retrievalReference: request.retrievalReference, authorizationCode: nil,
            approvedAmount: request.amount, amount: amount(minorUnits), currency: euro, revision: revision,
            transmission: transmission)
    }

    static func reconciliation(
        _ totals: BatchTotals, batch: Int = 1, afterUpload: Bool = false
    ) -> ReconciliationRequest {
        ReconciliationRequest(
            terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "00000000001", batch: batch,
            stan: 9, currency: euro, totals: totals, isAfterUpload: afterUpload,
            date: EMVDate(yymmdd: 261120)!, hhmmss: 230000)
    }

    static func item(_ payment: Payment, batch: Int = 1) -> BatchItem {
        BatchItem(
            terminalID: "TERM0001", batch: batch, index: 1, count: 1, transactionID: payment.id, stan: 1,
            retrievalReference: "632522000123", authorizationCode: nil, amount: amount(payment.amount),
            currency: euro, transactionType: 0, isOffline: false)
    }

    /// 50.00 held, 32.10 taken: the account has lost 32.10 and the batch holds it; a hold is in no batch.
    @Test func completion() async throws {
        let host = SimulatedAcquirer()
        let payment = Payment.debit.with { $0.amount = 5000 }
        var request = payment.request
        request.purpose = .preAuthorization
        #expect(try await host.authorize(request).isApproved)
        #expect(await host.issuer.balance("account-0135") == 120_000 - 5000)
        #expect(await host.books.openTotals(terminalID: "TERM0001", currency: euro) == BatchTotals())
        for transmission in 1...3 {
            try await host.adjust(Self.adjustment(payment, to: 3210, transmission: transmission))
        }
        #expect(await host.issuer.balance("account-0135") == 120_000 - 3210)
        let totals = BatchTotals(debits: 1, debitAmount: 3210)
        #expect(await host.books.openTotals(terminalID: "TERM0001", currency: euro) == totals)
        let bank = await host.issuer.state.ledger.totals(terminalID: "TERM0001")[euro]
        #expect(bank == HostTotals(purchases: 1, purchaseAmount: 3210))
    }

    /// A tip counts once; an older one that comes late changes nothing; a reversal takes all of it back.
    @Test func tipsInTheirOrder() async throws {
        let host = SimulatedAcquirer()
        let payment = Payment.debit.with { $0.amount = 5000 }
        _ = try await host.authorize(payment.request)
        try await host.adjust(Self.adjustment(payment, to: 5800, revision: 2, kind: .tip))
        try await host.adjust(Self.adjustment(payment, to: 5500, revision: 1, kind: .tip))
        #expect(await host.issuer.balance("account-0135") == 120_000 - 5800)
        try await host.reverse(payment.reversal)
        #expect(await host.issuer.balance("account-0135") == 120_000)
        #expect(await host.books.openTotals(terminalID: "TERM0001", currency: euro) == BatchTotals())
        await #expect(throws: AcquirerError.self) {
            try await host.adjust(Self.adjustment(payment, to: 5900, revision: 3, kind: .tip))
        }
        let sums = await host.issuer.state.ledger.sums.values.reduce(0, +)
        #expect(sums == 0)
    }

    /// An account in another currency: 20.00 EUR are 156.00 CNY, 25.00 EUR are 195.00.
    @Test func tipOnAnAccountInAnotherCurrency() async throws {
        let host = SimulatedAcquirer()
        let payment = Payment.alipay.with { $0.amount = 2000 }
        _ = try await host.authorize(payment.request)
        try await host.adjust(Self.adjustment(payment, to: 2500, kind: .tip))
        #expect(await host.issuer.balance("alipay:2088000000000001") == 300_000 - 19_500)
        try await host.adjust(Self.adjustment(payment, to: 1000, revision: 2, kind: .tip))
        #expect(await host.issuer.balance("alipay:2088000000000001") == 300_000 - 7_800)
    }

    @Test(arguments: ["unknown", "declined", "other terminal"]) func adjustmentsThatAreRefused(
        _ why: String
    ) async throws {
        let host = SimulatedAcquirer(
            troubles: why == "declined" ? try script("always: decline 05") : .none)
        let payment = Payment.credit
        if why != "unknown" { _ = try await host.authorize(payment.request) }
        var request = Self.adjustment(payment, to: 100)
        if why == "other terminal" { request.terminalID = "TERM0002" }
        await #expect(throws: AcquirerError.self) { try await host.adjust(request) }
    }

    /// The same totals close the batch, once; asked again the answer stays; what comes later is of the next batch.
    @Test func balancedBatch() async throws {
        let host = SimulatedAcquirer()
        _ = try await host.authorize(Payment.credit.request)
        let totals = BatchTotals(debits: 1, debitAmount: 1500)
        for _ in 0..<3 {
            #expect(try await host.reconcile(Self.reconciliation(totals)) == .balanced)
        }
        #expect(
            try await host.reconcile(Self.reconciliation(BatchTotals(debits: 2, debitAmount: 1)))
                == .outOfBalance(totals))
        #expect(await host.books.closedBatch(terminalID: "TERM0001", batch: 1)?.transactions == ["T1"])
        let next = Payment.credit.with {
            $0.id = "T2"
            $0.counter = 2
        }
        _ = try await host.authorize(next.request)
        #expect(try await host.reconcile(Self.reconciliation(totals, batch: 2)) == .balanced)
    }

    /// The host has one more than the terminal: uploaded, the terminal's view counts, the rest stays open.
    @Test func uploadAfterDisagreement() async throws {
        let host = SimulatedAcquirer()
        _ = try await host.authorize(Payment.credit.request)
        let stray = Payment.credit.with {
            $0.id = "T2"
            $0.counter = 2
        }
        _ = try await host.authorize(stray.request)
        let totals = BatchTotals(debits: 1, debitAmount: 1500)
        #expect(
            try await host.reconcile(Self.reconciliation(totals))
                == .outOfBalance(BatchTotals(debits: 2, debitAmount: 3000)))
        #expect(
            try await host.reconcile(Self.reconciliation(totals, afterUpload: true))
                == .outOfBalance(BatchTotals()))
        for _ in 0..<2 { try await host.upload(Self.item(Payment.credit)) }
        #expect(try await host.reconcile(Self.reconciliation(totals, afterUpload: true)) == .balanced)
        #expect(await host.books.openTotals(terminalID: "TERM0001", currency: euro) == totals)
    }

    /// Backends without these messages refuse them in words.
    @Test func backendWithoutSettlement() async throws {
        struct Plain: AcquirerBackend {
            let name = "plain"
            func authorize(_: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
                AuthorizationResponse(responseCode: "00")
            }
            func reverse(_: ReversalRequest) async throws(AcquirerError) {}
            func advise(_: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
        }
        let plain = Plain()
        await #expect(throws: AcquirerError.rejected("plain takes no reconciliation")) {
            _ = try await plain.reconcile(Self.reconciliation(BatchTotals()))
        }
        await #expect(throws: AcquirerError.self) {
            try await plain.adjust(Self.adjustment(.credit, to: 1))
        }
        await #expect(throws: AcquirerError.self) { try await plain.upload(Self.item(.credit)) }
        for await _ in await plain.answersOutOfTime() { Issue.record("a late answer from nowhere") }
    }

    /// An answer after the wait goes to whoever listens.
    @Test func lateAnswersAreHeard() async throws {
        let clock = ManualClock()
        let host = SimulatedAcquirer(
            troubles: try script("nth 1: late 45s"), answerTimeout: .seconds(30), clock: clock)
        let stream = await host.answersOutOfTime()
        async let error = failure(host, .credit)
        await clock.advance(by: .seconds(30), sleepers: 2)
        #expect(await error == .timeout)
        await clock.advance(by: .seconds(15))
        var iterator = stream.makeAsyncIterator()
        let late = try #require(await iterator.next())
        #expect(late.transactionID == "T1" && late.response.isApproved)
    }
}
