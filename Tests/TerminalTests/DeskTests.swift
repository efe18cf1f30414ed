import Acquiring
import Cards
import EMV
import Foundation
import Journal
import CardReaders
import Synchronization
import Testing

@testable import Terminal

/// What is done to payments after they were taken, and how a batch is closed.
@Suite struct DeskTests {
    /// Cards go on counting from one payment to the next: the host refuses a counter that was used.
    final class Shelf {
        private var cards: [String: EmulatedCard] = [:]
        func take(_ id: String) throws -> EmulatedCard {
            if let known = cards[id] { return known }
            let fresh = try card(id)
            cards[id] = fresh
            return fresh
        }
    }
    let shelf = Shelf()

    static func policy() -> Forwarder.Policy {
        var policy = Forwarder.Policy()
        policy.answerTimeout = .seconds(2)
        return policy
    }

    static func desk(_ till: Till) -> (desk: PaymentDesk, forwarder: Forwarder, settlement: Settlement) {
        let forwarder = Forwarder(
            terminalID: till.profile.terminalID, journal: till.journal, backend: till.host,
            policy: policy(), sleep: { _ in })
        return (
            PaymentDesk(journal: till.journal, forwarder: forwarder), forwarder,
            Settlement(
                terminalID: till.profile.terminalID, acquirerID: till.profile.merchant.acquirerID,
                journal: till.journal, backend: till.host, forwarder: forwarder, now: till.environment.now)
        )
    }

    func pay(
        _ till: Till, _ cents: UInt64, card id: String = "visa-credit",
        _ change: (inout PaymentRequest) -> Void = { _ in }
    ) async throws -> PaymentResult {
        till.field.remove()
        till.field.present(try shelf.take(id))
        var request = PaymentRequest(amount: Amount(clamping: cents))
        change(&request)
        return try await till.session().pay(request)
    }

    @Test func voidGivesTheMoneyBackOnce() async throws {
        let till = try await Till()
        let before = await till.host.issuer.available("account-0119")
        let paid = try await pay(till, 4200)
        #expect(await till.host.issuer.available("account-0119") == before.map { $0 - 4200 })
        let (desk, _, settlement) = Self.desk(till)
        #expect(try await desk.void(paid.transactionID).record.state == .reversed)
        #expect(try await desk.void(paid.transactionID).record.state == .reversed)
        #expect(await till.host.issuer.available("account-0119") == before)
        #expect(try await till.journal.kept(paid.transactionID) == nil)
        #expect(try await settlement.run().isEmpty)
    }

    /// Repeated as 0421 until the host acknowledges, in the same journal entry.
    @Test func voidIsRepeatedUntilAcknowledged() async throws {
        let till = try await Till(troubles: ["reversal nth 1: silence", "reversal nth 2: unreachable"])
        let paid = try await pay(till, 4200)
        let (desk, forwarder, _) = Self.desk(till)
        #expect(try await desk.void(paid.transactionID).record.state == .reversalDue)
        #expect(
            try await forwarder.flush().map(\.result) == [.postponed(.unreachable("no route to the host"))])
        #expect(try await desk.void(paid.transactionID).record.state == .reversed)
        #expect(try await till.journal.show(paid.transactionID)?.reversalAttempts == 3)
    }

    @Test func completionTakesAPartAndLetsTheRestGo() async throws {
        let till = try await Till()
        let before = await till.host.issuer.available("account-0119")
        let held = try await pay(till, 10000) { $0.purpose = .preAuthorization }
        #expect(held.isApproved)
        let (desk, _, settlement) = Self.desk(till)
        // Held only: nothing to settle.
        #expect(try await settlement.run().isEmpty)
        await #expect(throws: DeskError.self) {
            try await desk.complete(held.transactionID, Amount(clamping: 10001))
        }
        let done = try await desk.complete(held.transactionID, Amount(clamping: 6543)).record
        #expect(done.state == .adjusted && done.amountTaken == Amount(clamping: 6543))
        #expect(await till.host.issuer.available("account-0119") == before.map { $0 - 6543 })
        // The same again changes nothing; another amount is refused.
        #expect(try await desk.complete(held.transactionID, Amount(clamping: 6543)).record.revision == 1)
        await #expect(throws: DeskError.self) {
            try await desk.complete(held.transactionID, Amount(clamping: 6000))
        }
        let reports = try await settlement.run()
        #expect(reports.map(\.isBalanced) == [true])
        #expect(reports.first?.batch.sums == BatchTotals(debits: 1, debitAmount: 6543))
    }

    @Test func tipsReplaceEachOther() async throws {
        let till = try await Till(troubles: ["adjustment nth 1: unreachable"])
        let before = await till.host.issuer.available("account-0119")
        let paid = try await pay(till, 2000)
        let (desk, _, _) = Self.desk(till)
        #expect(try await desk.tip(paid.transactionID, Amount(clamping: 200)).record.state == .adjustmentDue)
        let second = try await desk.tip(paid.transactionID, Amount(clamping: 300)).record
        #expect(second.state == .adjusted && second.revision == 2)
        #expect(second.amountTaken == Amount(clamping: 2300))
        #expect(await till.host.issuer.available("account-0119") == before.map { $0 - 2300 })
    }

    /// The batch is balanced at once where both have the same; what was kept of its cards is gone then.
    @Test func settlementBalances() async throws {
        let till = try await Till()
        let sale = try await pay(till, 2000)
        let offline = try await pay(till, 990, card: "visa-debit")
        _ = try await pay(till, 4200) { $0.purpose = .preAuthorization }
        let (_, _, settlement) = Self.desk(till)
        let report = try #require(try await settlement.run().first)
        #expect(report.isBalanced && report.batch.sums == BatchTotals(debits: 2, debitAmount: 2990))
        #expect(report.held.count == 1 && report.batch.attempts == 1 && report.net == 2990)
        #expect(report.text().contains("BALANCED, CLOSED"))
        for result in [sale, offline] {
            #expect(try await till.state(result) == .settled)
            #expect(try await till.journal.kept(result.transactionID) == nil)
        }
        let books = await till.host.books
        #expect(
            books.closedBatch(terminalID: till.profile.terminalID, batch: 1)?.transactions
                == [sale.transactionID, offline.transactionID].sorted())
        #expect(try await settlement.run().isEmpty)
        await #expect(throws: DeskError.self) { try await Self.desk(till).desk.void(sale.transactionID) }
    }

    /// The answer is lost: settling again is the same settlement.
    @Test(arguments: [
        "reconciliation nth 1: silence", "reconciliation nth 1: lost", "reconciliation nth 1: garbage",
    ])
    func settlementIsTakenUpAgain(_ trouble: String) async throws {
        let till = try await Till(troubles: [trouble])
        _ = try await pay(till, 2000)
        let (_, _, settlement) = Self.desk(till)
        await #expect(throws: SettlementError.self) { try await settlement.run() }
        #expect(try await till.journal.batches().map(\.state) == [.closing])
        let report = try #require(try await settlement.run().first)
        #expect(report.isBalanced && report.batch.batch == 1 && report.batch.attempts == 2)
    }

    /// A payment the host does not have: out of balance, uploaded, taken.
    @Test func uploadMendsTheHostsBooks() async throws {
        let till = try await Till(troubles: ["upload nth 2: unreachable"])
        for cents in [2000, 3000, 4000] as [UInt64] { _ = try await pay(till, cents) }
        // One that went to another host.
        let other = ScriptedHost()
        till.field.remove()
        till.field.present(try card("visa-credit"))
        _ = try await till.session(backend: other).pay(PaymentRequest(amount: Amount(clamping: 5000)))
        let (_, _, settlement) = Self.desk(till)
        await #expect(throws: SettlementError.self) { try await settlement.run() }
        let batch = try #require(try await till.journal.batches().first)
        #expect(batch.state == .uploading && batch.uploaded == 1)
        #expect(batch.hostSums == BatchTotals(debits: 3, debitAmount: 9000))
        let report = try #require(try await settlement.run().first)
        #expect(report.isBalanced && report.batch.sums == BatchTotals(debits: 4, debitAmount: 14000))
    }

    /// A host without the message: told so, and the batch waits.
    @Test func aHostWithoutReconciliation() async throws {
        let till = try await Till()
        let host = ScriptedHost()
        till.field.present(try card("visa-credit"))
        let session = till.session(backend: host)
        _ = try await session.pay(PaymentRequest(amount: Amount(clamping: 5000)))
        do {
            _ = try await session.settle()
            Issue.record("settled without the host")
        } catch {
            #expect("\(error)".contains("batch 1 is not settled yet"))
        }
        #expect(try await till.journal.batches().map(\.state) == [.closing])
    }

    @Test func refundsOfAPayment() async throws {
        let till = try await Till()
        let host = ScriptedHost()
        func give(_ cents: UInt64, _ id: String, card name: String = "visa-credit") async throws
            -> PaymentResult
        {
            till.field.remove()
            till.field.present(try card(name))
            return try await till.session(backend: host).pay(
                PaymentRequest(amount: Amount(clamping: cents), type: .refund, original: id))
        }
        till.field.present(try card("visa-credit"))
        let paid = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 5000)))
        #expect(try await give(1000, paid.transactionID, card: "visa-debit").status == .refusedByMerchant)
        let first = try await give(3000, paid.transactionID)
        #expect(first.isApproved)
        await #expect(throws: TerminalError.self) { try await give(2001, paid.transactionID) }
        #expect(try await give(2000, paid.transactionID).isApproved)
        await #expect(throws: TerminalError.self) { try await give(1, paid.transactionID) }
        await #expect(throws: TerminalError.self) { try await give(1, first.transactionID) }
        await #expect(throws: TerminalError.self) { try await give(1, "txn_none") }
    }

    /// Where a transaction stands that does not allow what is asked of it.
    private static func refusal(_ body: () async throws -> Void) async throws -> TransactionState? {
        do {
            try await body()
            return nil
        } catch DeskError.notPossible(_, let state, let reason) {
            #expect(!reason.isEmpty)
            return state
        } catch TerminalError.rejected(let rejection) {
            return rejection.state
        }
    }

    /// What was given back by a refund is not given back again in another way.
    @Test func nothingIsGivenBackTwice() async throws {
        let till = try await Till()
        let before = await till.host.issuer.available("account-0119")
        let (desk, _, _) = Self.desk(till)
        let paid = try await pay(till, 2000)
        _ = try await desk.tip(paid.transactionID, Amount(clamping: 200))
        let given = try await pay(till, 2200) {
            $0.type = .refund
            $0.original = paid.transactionID
        }
        #expect(given.isApproved)
        #expect(try await Self.refusal { _ = try await desk.void(paid.transactionID) } == .adjusted)
        #expect(try await Self.refusal { _ = try await desk.tip(paid.transactionID, .zero) } == .adjusted)
        #expect(
            try await Self.refusal {
                _ = try await pay(till, 1) {
                    $0.type = .refund
                    $0.original = paid.transactionID
                }
            } == .adjusted)
        #expect(await till.host.issuer.available("account-0119") == before)
        // The refund is taken back, and then the sale.
        #expect(try await !desk.void(given.transactionID).isRepeated)
        #expect(try await desk.void(paid.transactionID).record.state == .reversed)
        #expect(await till.host.issuer.available("account-0119") == before)
        #expect(try await desk.void(paid.transactionID).isRepeated)
    }

    /// What is only held was not taken.
    @Test func aHoldIsNotRefunded() async throws {
        let till = try await Till()
        let (desk, _, _) = Self.desk(till)
        let held = try await pay(till, 3000) { $0.purpose = .preAuthorization }
        func give(_ cents: UInt64) async throws -> TransactionState? {
            try await Self.refusal {
                _ = try await pay(till, cents) {
                    $0.type = .refund
                    $0.original = held.transactionID
                }
            }
        }
        #expect(try await give(3000) == .approved)
        _ = try await desk.complete(held.transactionID, Amount(clamping: 1000))
        #expect(try await give(1001) == .adjusted)
        #expect(try await give(1000) == nil)
        #expect(try await desk.complete(held.transactionID, Amount(clamping: 1000)).isRepeated)
        #expect(
            try await Self.refusal { _ = try await desk.complete(held.transactionID, Amount(clamping: 900)) }
                == .adjusted)
    }

    /// A payment that was sent anew is voided under its new identifier: the old one names it.
    @Test func aPaymentSentAnew() async throws {
        let till = try await Till()
        let paid = try await pay(till, 2000) { $0.purpose = .deferred }
        let host = OrderedHost(name: till.host.name) { message, _ in
            message.hasPrefix("authorize") ? .timeout : nil
        }
        _ = try await Forwarder(
            terminalID: till.profile.terminalID, journal: till.journal, backend: host, policy: Self.policy()
        ).flush()
        let (desk, forwarder, _) = Self.desk(till)
        _ = try await forwarder.flush()
        let later = try #require(try await till.journal.list().first)
        #expect(later.replaces == paid.transactionID && later.state == .approved)
        do {
            _ = try await desk.void(paid.transactionID)
            Issue.record("the first one was voided")
        } catch DeskError.notPossible(_, let state, let reason) {
            #expect(state == .reversed && reason.contains(later.id))
        }
        #expect(try await desk.void(later.id).record.state == .reversed)
    }

    /// The same refund at two terminals at the same moment: one is paid.
    @Test func refundsAtTheSameMoment() async throws {
        let till = try await Till()
        let host = ScriptedHost()
        for _ in 0..<25 {
            till.field.remove()
            till.field.present(try card("visa-credit"))
            let paid = try await till.session(backend: host).pay(
                PaymentRequest(amount: Amount(clamping: 5000)))
            let ends = try await withThrowingTaskGroup(of: TransactionState?.self) { group in
                for name in ["TERM0004", "TERM0005"] {
                    var other = till
                    other.profile = till.profile.renamed(name)
                    let field = EmulatedReader()
                    field.present(try card("visa-credit"))
                    let session = other.session(reader: field, backend: host)
                    group.addTask {
                        try await Self.refusal {
                            let result = try await session.pay(
                                PaymentRequest(
                                    amount: Amount(clamping: 5000), type: .refund,
                                    original: paid.transactionID))
                            #expect(result.isApproved)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(ends.count { $0 == nil } == 1 && ends.contains(.approved))
        }
        #expect(host.authorizations.withLock { $0.count { $0.transactionType == 0x20 } } == 25)
    }

    @Test func partialApproval() async throws {
        let till = try await Till()
        let host = ScriptedHost(answer: { _ in
            AuthorizationResponse(
                responseCode: "10", authorizationCode: "A12345", approvedAmount: Amount(clamping: 1500))
        })
        for takes in [true, false] {
            till.field.remove()
            till.field.present(try card("visa-credit"))
            let result = try await till.session(backend: host).pay(
                PaymentRequest(amount: Amount(clamping: 5000), acceptsPartialApproval: takes))
            #expect(result.isApproved == takes)
            let record = try #require(try await till.journal.show(result.transactionID))
            #expect(record.state == (takes ? .approved : .reversed))
            #expect(record.amountTaken == Amount(clamping: 1500))
        }
        #expect(host.authorizations.withLock { $0.map(\.acceptsPartialApproval) } == [true, false])
        #expect(host.reversals.withLock { $0.count } == 1)
    }

    /// One key, one payment, whatever the terminal is asked.
    @Test func theSameKeyIsTheSamePayment() async throws {
        let till = try await Till()
        let before = await till.host.issuer.available("account-0119")
        let first = try await pay(till, 2000) { $0.idempotencyKey = "order-7" }
        let again = try await pay(till, 2000) { $0.idempotencyKey = "order-7" }
        #expect(first.isApproved && again.isApproved && again.isRepeated && !first.isRepeated)
        #expect(again.transactionID == first.transactionID)
        #expect(again.response?.authorizationCode == first.response?.authorizationCode)
        #expect(await till.host.issuer.available("account-0119") == before.map { $0 - 2000 })
        await #expect(throws: TerminalError.self) {
            try await pay(till, 2001) { $0.idempotencyKey = "order-7" }
        }
    }
}
