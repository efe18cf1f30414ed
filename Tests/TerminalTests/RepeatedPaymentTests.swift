import Acquiring
import EMV
import Journal
import Kernels
import Testing

@testable import Terminal

/// What a till is told that asks again with the key of a payment that was reversed.
@Suite struct RepeatedPaymentTests {
    @Test(
        arguments: [
            ("cancelled", "00", PaymentStatus.cancelled), ("cardDeclined", "00", .declined),
            ("approvalNotTaken", "08", .declined), ("timeout", nil, .failed),
            ("malformedResponse", nil, .failed),
            ("restart", nil, .failed), ("restart", "00", .failed),
            // Approved late: after a refusal, after the first reversal.
            ("lateResponse", "05", .declined), ("lateResponse", nil, .failed), (nil, nil, .failed),
        ] as [(String?, String?, PaymentStatus)])
    func reversed(_ reason: String?, _ code: String?, _ status: PaymentStatus) async throws {
        var record = try await RecoveryTests.left(try Journal.inMemory(), .reversalDue)
        record.reversalReason = reason
        record.responseCode = code
        for state in [TransactionState.reversalDue, .reversed] {
            record.state = state
            let result = PaymentResult(
                repeating: record,
                inputs: TransactionInputs(
                    amount: record.amount, amountOther: .zero, transactionType: 0, currency: record.currency,
                    currencyExponent: 2, date: try #require(EMVDate(year: 2026, month: 11, day: 20)),
                    hhmmss: 101_500, sequenceCounter: 1))
            #expect(result.status == status)
            #expect(result.isRepeated && result.reversalOutstanding == (state == .reversalDue))
        }
    }

    /// A payment that was voided did not fail.
    @Test func voided() async throws {
        let till = try await Till()
        let request = PaymentRequest(amount: Amount(clamping: 1250), idempotencyKey: "order-8")
        till.field.present(try card("visa-credit"))
        let session = till.session()
        let paid = try await session.pay(request)
        _ = try await PaymentDesk(journal: till.journal, forwarder: session.forwarder).void(
            paid.transactionID)
        let again = try await session.pay(request)
        #expect(again.isRepeated && again.status == .cancelled)
        #expect(again.reason == "the payment was taken back by a void")
    }
}

/// Batches of two currencies: what has its end is reported, whatever becomes of the next one.
@Suite struct SettlementReportTests {
    private struct Host: AcquirerBackend {
        let name = "two"
        func authorize(
            _ request: AuthorizationRequest
        ) async throws(AcquirerError) -> AuthorizationResponse { throw .timeout }
        func reverse(_ request: ReversalRequest) async throws(AcquirerError) {}
        func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
        func reconcile(
            _ request: ReconciliationRequest
        ) async throws(AcquirerError) -> ReconciliationAnswer {
            guard request.currency.value == 978 else { throw .timeout }
            return .balanced
        }
    }

    @Test func aLaterCurrencyFails() async throws {
        let journal = try Journal.inMemory()
        for currency in [978, 840] {
            let record = try await journal.begin(
                TransactionIntent(
                    terminalID: "TERM0001", merchantID: "M", amount: Amount(clamping: 1000),
                    currency: try #require(NumericCode(currency)), currencyExponent: 2, transactionType: 0))
            try await journal.requestWritten(record.id, nil, keeping: nil)
            try await journal.authorizing(record.id, backend: "two")
            try await journal.complete(
                record.id, from: [.authorizing], to: .approved, result: TransactionResult(responseCode: "00"))
        }
        let host = Host()
        let settlement = Settlement(
            terminalID: "TERM0001", acquirerID: "00000000001", journal: journal, backend: host,
            forwarder: RecoveryTests.forwarder(journal, host))
        let first = await Self.failure(settlement)
        guard case .afterReports(let reports, .host(let batch, .timeout))? = first else {
            Issue.record("\(String(describing: first))")
            return
        }
        #expect(reports.map(\.batch.currency.value) == [978] && reports.allSatisfy(\.isBalanced))
        #expect(batch == 2)
        // Without one that has its end, it is the error alone.
        let second = await Self.failure(settlement)
        guard case .host(batch: 2, .timeout)? = second else {
            Issue.record("\(String(describing: second))")
            return
        }
    }

    private static func failure(_ settlement: Settlement) async -> SettlementError? {
        do throws(SettlementError) {
            _ = try await settlement.run()
            return nil
        } catch {
            return error
        }
    }
}
