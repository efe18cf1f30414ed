import Acquiring
import AcquirerSimulator
import Cards
import EMV
import EMVCryptography
import Foundation
import Issuing
import Journal
import CardReaders
import Synchronization
import Terminal
import Testing

@testable import HTTPBackend

/// A terminal whose acquirer is behind HTTP.
struct HTTPTill {
    let profile: TerminalProfile
    let field = EmulatedReader()
    let journal: Journal
    let session: TerminalSession

    init(_ backend: any AcquirerBackend, authorization: Duration = .seconds(10), pin: String = "1234") throws
    {
        var profile = try TerminalProfile.builtIn()
        profile.timing.authorization = authorization
        profile.timing.cardWait = .seconds(10)
        self.profile = profile
        journal = try Journal.inMemory()
        let entered = try #require(PIN(pin))
        let environment = TerminalEnvironment(
            sleep: { _ in }, pinPad: .software(keys: try .test()) { _ in entered })
        session = TerminalSession(
            profile: profile, reader: field, backend: backend, journal: journal, environment: environment)
    }

    func pay(_ cents: UInt64, _ id: String) async throws -> PaymentResult {
        let card = try EmulatedCard(profile: try CardLibrary.profile(id), state: nil)
        card.ownerUnlocksWhenAsked = true
        field.present(card)
        defer { field.remove() }
        return try await session.pay(PaymentRequest(amount: Amount(clamping: cents)))
    }
}

func troubles(_ rules: String...) throws -> TroubleScript {
    TroubleScript(rules: try rules.map { try TroubleRule($0) })
}

@Suite struct HTTPPaymentTests {
    /// Card, terminal and journal on one side; network, token service and issuer on the other.
    @Test(
        arguments: [
            ("visa-credit", 1250, PaymentResult.Status.approved, "00"),
            ("apple-pay-visa", 6400, .approved, "00"),
            ("visa-debit", 8000, .approved, "00"), ("alipay-wallet", 2000, .approved, "00"),
            ("mc-credit", 1250, .approved, "00"), ("visa-poor", 2500, .declined, "51"),
        ] as [(String, UInt64, PaymentResult.Status, String)])
    func payments(_ card: String, _ cents: UInt64, _ status: PaymentResult.Status, _ code: String)
        async throws
    {
        let acquirer = SimulatedAcquirer()
        try await withHost(acquirer) { host in
            let till = try HTTPTill(try backend(host.port))
            let result = try await till.pay(cents, card)
            #expect(result.status == status)
            #expect(result.response?.responseCode == code)
            #expect(await acquirer.events.map(\.responseCode) == [code])
            let record = try #require(try await till.journal.show(result.transactionID))
            #expect(record.state == (status == .approved ? .approved : .declined))
            if card == "alipay-wallet" {
                #expect(result.response?.accountCharge?.amount.minorUnits == 15600)
            }
        }
    }

    /// The answer is what the acquirer gives without HTTP in between.
    @Test func nothingIsLostOnTheWay() async throws {
        let acquirer = ScriptedAcquirer { _ in Sample.response }
        try await withHost(acquirer) { host in
            let got = try await backend(host.port).authorize(Sample.authorization())
            #expect(got == Sample.response)
        }
    }

    @Test func wrongPIN() async throws {
        let acquirer = SimulatedAcquirer()
        try await withHost(acquirer) { host in
            let till = try HTTPTill(try backend(host.port), pin: "9999")
            #expect(try await till.pay(8000, "visa-debit").response?.responseCode == "55")
        }
    }

    @Test func offlineApprovalIsForwarded() async throws {
        let acquirer = SimulatedAcquirer()
        try await withHost(acquirer) { host in
            let till = try HTTPTill(try backend(host.port))
            let result = try await till.pay(990, "visa-debit")
            #expect(result.isApproved && result.online == false)
            #expect(await acquirer.events.map(\.message) == [.advice])
            #expect(result.reason == nil)
        }
    }

    /// The host authorizes and stays silent: the terminal's books and the host's agree afterwards.
    @Test(arguments: ["silence", "lost", "garbage", "cut", "cut before"])
    func timeOutThenReversal(_ trouble: String) async throws {
        let acquirer = SimulatedAcquirer(
            troubles: try troubles("always: \(trouble)"), answerTimeout: .milliseconds(20))
        let before = await acquirer.issuer.balance("account-0119")
        try await withHost(acquirer) { host in
            let till = try HTTPTill(try backend(host.port))
            let result = try await till.pay(1250, "visa-credit")
            #expect(result.status == .failed)
            #expect(!result.reversalOutstanding)
            #expect(try await till.journal.show(result.transactionID)?.state == .reversed)
            #expect(await acquirer.issuer.balance("account-0119") == before)
            #expect(await acquirer.events.last?.message == .reversal)
            // With garbage nothing is gained by repeating; else all tries are used.
            let count = await acquirer.events.count { $0.message == .authorization }
            #expect(count == (trouble == "garbage" ? 1 : trouble == "cut before" ? 0 : 4))
        }
    }

    /// The terminal's patience ends before the host's answer.
    @Test func terminalStopsWaiting() async throws {
        let acquirer = SimulatedAcquirer(
            troubles: try troubles("always: late 6s"), answerTimeout: .seconds(10))
        let before = await acquirer.issuer.balance("account-0119")
        try await withHost(acquirer) { host in
            // The reversal has the same patience.
            let till = try HTTPTill(try backend(host.port), authorization: .seconds(2))
            let result = try await till.pay(1250, "visa-credit")
            #expect(result.status == .failed)
            #expect(try await till.journal.show(result.transactionID)?.state == .reversed)
            #expect(await acquirer.issuer.balance("account-0119") == before)
        }
    }

    @Test func hostThatIsNotThere() async throws {
        var port = 0
        try await withHost(ScriptedAcquirer()) { port = $0.port }
        let till = try HTTPTill(try backend(port))
        let result = try await till.pay(1250, "visa-credit")
        // Nothing left: declined, nothing to reverse.
        #expect(result.status == .declined)
        #expect(!result.reversalOutstanding)
    }

    /// Nothing is authorized, and the terminal knows it.
    @Test func wrongKey() async throws {
        let acquirer = SimulatedAcquirer()
        let other = SecretKey([UInt8](repeating: 9, count: 32))
        try await withHost(acquirer) { host in
            for backend in [try backend(host.port, key: other), try backend(host.port, keyID: "till-2")] {
                let till = try HTTPTill(backend)
                let result = try await till.pay(1250, "visa-credit")
                #expect(result.status == .declined)
                #expect(result.reason?.contains("HTTP 401") == true, "\(result.reason ?? "")")
                #expect(!result.reversalOutstanding)
            }
            #expect(await acquirer.events.isEmpty)
        }
    }

    @Test func scripts() async throws {
        let acquirer = SimulatedAcquirer()
        try await withHost(acquirer) { host in
            let till = try HTTPTill(try backend(host.port))
            let result = try await till.pay(3000, "visa-debit")
            #expect(result.isApproved)
            #expect(result.response?.issuerAuthenticationData?.isEmpty == false)
        }
    }

    @Test func batchesAndTips() async throws {
        let acquirer = SimulatedAcquirer()
        try await withHost(acquirer) { host in
            let backend = try backend(host.port)
            let till = try HTTPTill(backend)
            let result = try await till.pay(1250, "visa-credit")
            let record = try #require(try await till.journal.show(result.transactionID))
            let tip = AdjustmentRequest(
                kind: .tip, transactionID: record.id, terminalID: record.terminalID,
                merchantID: "MERCHANT0000001",
                stan: record.stan, retrievalReference: record.retrievalReference, authorizationCode: nil,
                approvedAmount: record.amount, amount: Amount(clamping: 1400), currency: record.currency,
                revision: 1)
            try await backend.adjust(tip)
            var batch = Sample.reconciliation()
            batch.totals = BatchTotals(debits: 1, debitAmount: 1250)
            #expect(
                try await backend.reconcile(batch)
                    == .outOfBalance(BatchTotals(debits: 1, debitAmount: 1400)))
            batch.stan += 1
            batch.totals.debitAmount = 1400
            #expect(try await backend.reconcile(batch) == .balanced)
        }
    }
}
