import Acquiring
import Cards
import EMV
import Foundation
import Issuing
import Journal
import Kernels
import CardReaders
import SmartCard
import Synchronization
import TestTools
import Testing

@testable import Terminal

/// Whole payments: what each card, amount and host must lead to, and what the journal says afterwards.
@Suite struct PaymentTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var card: String
        var cents: UInt64
        var status: PaymentResult.Status
        var online: Bool?
        var state: TransactionState
        var cvm: Outcome.CVM = .notApplicable
        var code: String?
        var testDescription: String { "\(card) \(cents)" }
    }

    static let cases: [Case] = [
        Case(
            card: "visa-credit", cents: 1250, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        // At the floor limit of 15.00 still offline, a cent above online.
        Case(
            card: "visa-debit", cents: 1500, status: .approved, online: false, state: .forwarded, cvm: .noCVM),
        Case(
            card: "visa-debit", cents: 1501, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        // At the CVM limit of 50.00 the cardholder is verified, a cent below not.
        Case(
            card: "visa-debit", cents: 4999, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(
            card: "visa-no-oda", cents: 500, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(
            card: "visa-poor", cents: 500, status: .declined, online: true, state: .declined, cvm: .noCVM,
            code: "51"),
        Case(card: "visa-expired", cents: 990, status: .declined, online: false, state: .declinedOffline),
        Case(card: "visa-tampered", cents: 990, status: .declined, online: false, state: .declinedOffline),
        Case(card: "visa-blocked", cents: 990, status: .ended, online: nil, state: .failed),
        Case(
            card: "apple-pay-visa", cents: 6400, status: .approved, online: true, state: .approved,
            cvm: .confirmationCodeVerified, code: "00"),
        Case(
            card: "google-pay-visa", cents: 6400, status: .approved, online: true, state: .approved,
            cvm: .confirmationCodeVerified, code: "00"),
        Case(
            card: "alipay-wallet", cents: 2000, status: .approved, online: true, state: .approved,
            cvm: .confirmationCodeVerified, code: "00"),
        Case(card: "visa-credit", cents: 50000, status: .tryAnotherInterface, online: nil, state: .failed),
        // Kernel 2: CVN 16, 17, 20 and 21; CDA; the same limits.
        Case(
            card: "mc-credit", cents: 1250, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(card: "mc-debit", cents: 1500, status: .approved, online: false, state: .forwarded, cvm: .noCVM),
        Case(
            card: "mc-debit", cents: 1501, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(
            card: "mc-debit", cents: 5000, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(
            card: "mc-debit", cents: 5001, status: .approved, online: true, state: .approved, cvm: .onlinePIN,
            code: "00"),
        Case(
            card: "mc-no-oda", cents: 500, status: .approved, online: true, state: .approved, cvm: .noCVM,
            code: "00"),
        Case(
            card: "mc-mag-stripe", cents: 1250, status: .approved, online: true, state: .approved,
            cvm: .noCVM,
            code: "00"),
        Case(
            card: "mc-mag-stripe", cents: 6400, status: .approved, online: true, state: .approved,
            cvm: .signature,
            code: "00"),
        Case(
            card: "apple-pay-mastercard", cents: 6400, status: .approved, online: true, state: .approved,
            cvm: .confirmationCodeVerified, code: "00"),
        Case(
            card: "google-pay-mastercard", cents: 6400, status: .approved, online: true, state: .approved,
            cvm: .confirmationCodeVerified, code: "00"),
        Case(
            card: "google-pay-mastercard", cents: 640, status: .approved, online: true, state: .approved,
            cvm: .noCVM,
            code: "00"),
    ]

    @Test(arguments: cases) func payment(_ expected: Case) async throws {
        let till = try await Till()
        till.field.present(try card(expected.card))
        let result = try await till.pay(expected.cents)
        #expect(result.status == expected.status)
        #expect(result.online == expected.online)
        #expect(result.cvm == expected.cvm)
        #expect(result.response?.responseCode == expected.code)
        let state = try await till.state(result)
        #expect(state == expected.state)
        #expect(try await till.journal.verify().isSound)
        #expect(try await till.journal.unfinished(terminal: till.profile.terminalID).isEmpty)
    }

    /// 20.00 EUR at 7.80 are 156.00 CNY of the stored-value account.
    @Test func storedValueAccountIsChargedInItsCurrency() async throws {
        let till = try await Till()
        till.field.present(try card("alipay-wallet"))
        let result = try await till.pay(2000)
        let charge = try #require(result.response?.accountCharge)
        #expect(charge.amount.minorUnits == 15600)
        #expect(charge.currency.value == 156)
        #expect(await till.host.issuer.balance("alipay:2088000000000001") == 300_000 - 15_600)
    }

    @Test func refundIsCreditedOnTheDataRead() async throws {
        let till = try await Till()
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(1250, type: .refund)
        #expect(result.status == .approved)
        #expect(result.online == true)
        #expect(await till.host.issuer.balance("account-0135") == 120_000 + 1250)
    }

    /// The issuer's scripts and authentication data reach the card on its second presentment.
    @Test func issuerUpdateReachesTheCard() async throws {
        let till = try await Till()
        let debit = try card("visa-debit")
        till.field.present(debit)
        let result = try await till.pay(3000)
        #expect(result.isApproved)
        #expect(till.log.outcomes.map(\.status) == [.onlineRequest, .approved])
        let instructions = till.log.all.compactMap { event -> UInt8? in
            if case .command(let command) = event { command.ins } else { nil }
        }
        #expect(instructions.contains(0x82))
        #expect(instructions.count { $0 == 0xDA } == 2)
        // The card took them: the next offline payment is within limits that the script has set.
        #expect(till.log.messages.contains(.presentCardAgain))
    }

    @Test func receiptShowsNoMoreThanFourDigits() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let result = try await till.pay(1250)
        let text = try #require(result.receipt).text()
        #expect(text.contains("**** **** **** 0119"))
        #expect(!text.contains("4761739001010119"))
        #expect(!"\(result)".contains("4761739001010119"))
        #expect(text.contains("12.50 EUR"))
        #expect(text.contains("APPROVED"))
    }

    @Test func amountsOfOtherCurrencies() {
        #expect(Money.parse("12.50", exponent: 2)?.minorUnits == 1250)
        #expect(Money.parse("12", exponent: 2)?.minorUnits == 1200)
        #expect(Money.parse("1200", exponent: 0)?.minorUnits == 1200)
        for bad in ["", ".", "1.", ".5", "-1", "1,50", "1.505", "1e3", "١", "9999999999999"] {
            #expect(Money.parse(bad, exponent: 2) == nil, "\(bad)")
        }
    }
}

/// Online PIN: asked for by the card above the CVM limit, verified by the issuer, never seen in clear.
@Suite struct OnlinePINTests {
    @Test func rightPINIsApproved() async throws {
        let till = try await Till()
        till.field.present(try card("visa-debit"))
        let host = ScriptedHost()
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 8000)))
        #expect(result.cvm == .onlinePIN)
        #expect(till.log.messages.contains(.enterPIN))
        let request = try #require(host.authorizations.withLock { $0.first })
        // psec: PIN 1234 of 4761739001010135 in format 0 under the test key.
        #expect(request.onlinePIN?.block == [0x69, 0xF4, 0xB1, 0x72, 0x9E, 0xAD, 0x64, 0x55])
        #expect(try await Till.approves("1234"))
    }

    /// A card that stays is not charged again: it is asked to be taken away, and only then the next one is read.
    @Test func aCardThatStays() async throws {
        let till = try await Till()
        let session = till.session()
        func pay(wait: Duration = .seconds(20)) async throws -> PaymentResult {
            try await session.pay(PaymentRequest(amount: Amount(clamping: 500), cardWait: wait))
        }
        till.field.present(try card("visa-debit"))
        #expect(try await pay().isApproved)
        // Nobody takes it away.
        let stayed = try await pay(wait: .milliseconds(1))
        #expect(stayed.status == .timedOut && stayed.reason?.contains("not taken away") == true)
        #expect(try await till.state(stayed) == .cancelled)
        #expect(till.log.messages.last == .clearDisplay && till.log.messages.contains(.removeCard))
        // A payment that is cancelled meanwhile ends.
        let asked = AsyncStream.makeStream(of: Void.self)
        var watching = till
        watching.environment.observer = {
            if case .message(let message) = $0, message.request.message == .removeCard {
                asked.continuation.yield()
            }
        }
        let second = watching.session()
        #expect(try await second.pay(PaymentRequest(amount: Amount(clamping: 500))).isApproved)
        var asks = asked.stream.makeAsyncIterator()
        let cancelled = Task { try await second.pay(PaymentRequest(amount: Amount(clamping: 500))) }
        await asks.next()
        cancelled.cancel()
        #expect(try await cancelled.value.status == .cancelled)
        // Taken away, another is read.
        let next = Task { try await second.pay(PaymentRequest(amount: Amount(clamping: 500))) }
        await asks.next()
        till.field.remove()
        till.field.present(try card("visa-credit"))
        let paid = try await next.value
        #expect(paid.isApproved && paid.instrument?.primaryAccountNumber?.masked == "476173******0119")
        // A card that comes after the end of a payment may lie there when the next one begins.
        till.field.remove()
        till.field.present(try card("visa-debit"))
        #expect(try await second.pay(PaymentRequest(amount: Amount(clamping: 500))).isApproved)
        // One that is left and is taken away before the next payment is asked for by nobody.
        till.field.remove()
        till.field.present(try card("visa-debit"))
        #expect(try await second.pay(PaymentRequest(amount: Amount(clamping: 500))).isApproved)
    }

    /// 55, 55, then 75 for ever, the right PIN included.
    @Test func wrongPINs() async throws {
        let till = try await Till()
        let debit = try card("visa-debit")
        till.field.present(debit)
        var codes: [String?] = []
        for digits in ["9999", "0000", "123456", "1234"] {
            var environment = till.environment
            environment.pinPad = try Till.pinPad(digits)
            let session = TerminalSession(
                profile: till.profile, reader: till.field, backend: till.host, journal: till.journal,
                environment: environment)
            let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 8000)))
            #expect(result.status == .declined)
            codes.append(result.response?.responseCode)
        }
        #expect(codes == ["55", "55", "75", "75"])
    }

    @Test func entryGivenUp() async throws {
        var till = try await Till()
        till.environment.pinPad = try Till.pinPad(nil)
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(8000)
        #expect(result.status == .cancelled)
        #expect(try await till.state(result) == .cancelled)
        #expect(await till.host.events.isEmpty)
    }

    /// Without a pad the card is not told of online PIN, and finds no method: another interface.
    @Test func noPINPad() async throws {
        var till = try await Till()
        till.environment.pinPad = nil
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(8000)
        #expect(result.status == .tryAnotherInterface)
    }

    @Test func hostRefusesAMissingBlock() async throws {
        let till = try await Till()
        till.field.present(try card("visa-debit"))
        let host = till.host
        let stripping = ScriptedHost(answer: { request throws(AcquirerError) in
            var request = request
            request.onlinePIN = nil
            return try await host.authorize(request)
        })
        let result = try await till.session(backend: stripping).pay(
            PaymentRequest(amount: Amount(clamping: 8000)))
        #expect(result.response?.responseCode == "55")
    }
}

@Suite struct MerchantPolicyTests {
    static let rules: [(String, AcceptancePolicy.Rule)] = [
        ("apple-pay-visa", .init(name: "requestor", tokenRequestors: ["40010030273"], text: "no Apple Pay")),
        ("google-pay-visa", .init(name: "phones", formFactors: [.phone], text: "no phones")),
        ("visa-credit", .init(name: "Visa", applicationIdentifiers: [[0xA0, 0, 0, 0, 3]], text: "no Visa")),
        ("alipay-wallet", .init(name: "tokens", tokenized: true, text: "no tokens")),
    ]

    @Test(arguments: rules) func refusesAndAuthorizesNothing(
        _ id: String, _ rule: AcceptancePolicy.Rule
    ) async throws {
        var till = try await Till()
        till.profile.acceptance.refuse = [rule]
        till.field.present(try card(id))
        let host = ScriptedHost()
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 2000)))
        #expect(result.status == .refusedByMerchant)
        #expect(result.reason == rule.text)
        #expect(host.authorizations.withLock { $0.isEmpty } && host.advices.withLock { $0.isEmpty })
        #expect(try await till.state(result) == .cancelled)
        #expect(till.log.messages.last == .insertSwipeOrTryAnotherCard)
    }

    @Test func othersAreTaken() async throws {
        var till = try await Till()
        till.profile.acceptance.refuse = [
            .init(name: "Apple Pay", tokenRequestors: ["40010030273"], text: "no Apple Pay"),
            .init(name: "Mastercard", applicationIdentifiers: [[0xA0, 0, 0, 0, 4]], text: "no Mastercard"),
            .init(name: "other", formFactors: [.phone], tokenized: false, text: "never both"),
        ]
        for id in ["visa-credit", "google-pay-visa", "alipay-wallet"] {
            till.field.remove()
            till.field.present(try card(id))
            #expect(try await till.pay(2000).isApproved, "\(id)")
        }
    }
}

/// The journal is written before anything leaves, and unknown outcomes are reversed.
@Suite struct HostTroubleTests {
    @Test func journalSaysAuthorizingBeforeTheHostIsAsked() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let journal = till.journal
        let seen = Mutex<TransactionState?>(nil)
        let host = ScriptedHost(answer: { request in
            let record = try? await journal.show(request.transactionID)
            seen.withLock { $0 = record?.state }
            return AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
        })
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        #expect(result.isApproved)
        #expect(seen.withLock { $0 } == .authorizing)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var troubles: [String]
        var status: PaymentResult.Status
        var state: TransactionState
        var testDescription: String { troubles.joined(separator: ", ") }
    }
    static let cases = [
        Case(troubles: ["always: silence"], status: .failed, state: .reversed),
        Case(troubles: ["always: lost"], status: .failed, state: .reversed),
        Case(troubles: ["always: garbage"], status: .failed, state: .reversed),
        Case(troubles: ["always: cut"], status: .failed, state: .reversed),
        Case(troubles: ["always: cut before"], status: .failed, state: .reversed),
        Case(troubles: ["always: late 45s"], status: .failed, state: .reversed),
        Case(troubles: ["always: overtaken 45s"], status: .failed, state: .reversed),
        Case(troubles: ["always: unreachable"], status: .declined, state: .declined),
        Case(troubles: ["always: decline 05"], status: .declined, state: .declined),
        Case(troubles: ["always: slow 10ms"], status: .approved, state: .approved),
        Case(troubles: ["always: duplicate"], status: .approved, state: .approved),
        Case(
            troubles: ["always: silence", "reversal always: unreachable"], status: .failed,
            state: .reversalDue),
        Case(troubles: ["always: silence", "reversal always: lost"], status: .failed, state: .reversalDue),
        Case(troubles: ["always: silence", "reversal always: duplicate"], status: .failed, state: .reversed),
    ]

    @Test(arguments: cases) func trouble(_ expected: Case) async throws {
        let till = try await Till(troubles: expected.troubles)
        till.field.present(try card("visa-credit"))
        let before = await till.host.issuer.available("account-0119")
        let result = try await till.pay(4200)
        #expect(result.status == expected.status)
        #expect(try await till.state(result) == expected.state)
        #expect(result.reversalOutstanding == (expected.state == .reversalDue))
        // Money moved just where the customer was told so; what is still to be reversed is the exception.
        let after = await till.host.issuer.available("account-0119")
        switch expected.state {
        case .approved: #expect(after == before.map { $0 - 4200 })
        case .reversalDue: break
        default: #expect(after == before)
        }
        #expect(till.log.messages.last == (expected.status == .approved ? .approved : .notAuthorised))
    }

    /// A reversal that could not be delivered is delivered by the next run, once.
    @Test func outstandingReversalIsDeliveredByRecover() async throws {
        let till = try await Till(troubles: ["always: silence", "reversal nth 1: unreachable"])
        till.field.present(try card("visa-credit"))
        let before = await till.host.issuer.available("account-0119")
        let result = try await till.pay(4200)
        #expect(result.reversalOutstanding)
        let next = till.session()
        let done = try await next.recover()
        #expect(done.map(\.resolved) == [true])
        #expect(try await till.state(result) == .reversed)
        #expect(await till.host.issuer.available("account-0119") == before)
        #expect(try await next.recover().isEmpty)
    }

    /// A killed process leaves its transactions in any unfinished state: none stays so, none is doubled.
    @Test(arguments: [TransactionState.started, .cardRead, .authorizing]) func recoversAfterACrash(
        _ state: TransactionState
    ) async throws {
        let till = try await Till()
        let record = try await till.journal.begin(
            TransactionIntent(
                terminalID: till.profile.terminalID, merchantID: till.profile.merchant.id,
                amount: Amount(clamping: 1000), currency: till.profile.currency, currencyExponent: 2,
                transactionType: 0))
        if state != .started {
            try await till.journal.cardRead(record.id, CardReading(maskedPAN: "476173******0119"))
        }
        if state == .authorizing { try await till.journal.authorizing(record.id, backend: "scripted") }
        let host = ScriptedHost()
        let done = try await till.session(backend: host).recover()
        #expect(done.count == 1 && done[0].resolved)
        let after = try await till.journal.show(record.id)?.state
        #expect(after == (state == .authorizing ? .reversed : .cancelled))
        #expect(host.reversals.withLock { $0.map(\.stan) } == (state == .authorizing ? [record.stan] : []))
    }

    /// What was approved offline is forwarded by the next run, with the data of the card, once.
    @Test func offlineApprovalIsForwardedByTheNextRun() async throws {
        let till = try await Till(troubles: ["advice nth 1: unreachable"])
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(990)
        #expect(result.isApproved)
        #expect(try await till.state(result) == .approvedOffline)
        #expect(try await till.journal.kept(result.transactionID) != nil)
        #expect(await till.host.issuer.balance("account-0135") == 120_000)
        let next = till.session()
        #expect(try await next.recover().map(\.resolved) == [true])
        #expect(try await till.state(result) == .forwarded)
        #expect(await till.host.issuer.balance("account-0135") == 120_000 - 990)
        // Kept until it is settled.
        #expect(try await till.journal.kept(result.transactionID) != nil)
        #expect(try await next.recover().isEmpty)
    }

    /// The reversal names the original by the numbers under which it was sent.
    @Test func reversalNamesTheOriginal() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let host = ScriptedHost(answer: { _ throws(AcquirerError) in throw .timeout })
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        let request = try #require(host.authorizations.withLock { $0.first })
        let reversal = try #require(host.reversals.withLock { $0.first })
        #expect(reversal.transactionID == request.transactionID)
        #expect(reversal.stan == request.stan && reversal.stan == result.stan)
        #expect(reversal.retrievalReference == request.retrievalReference)
        #expect(reversal.amount.minorUnits == 1250)
        #expect(reversal.reason == .timeout)
        #expect(reversal.transmission == 1)
    }

    /// A host that answers never at all is given up after the profile's time.
    @Test(.timeLimit(.minutes(1))) func deadHostIsGivenUp() async throws {
        var till = try await Till()
        till.profile.timing.authorization = .milliseconds(100)
        till.field.present(try card("visa-credit"))
        let host = ScriptedHost(answer: { _ throws(AcquirerError) in
            await untilCancelled()
            throw .connectionLost("cancelled")
        })
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        #expect(result.status == .failed)
        #expect(try await till.state(result) == .reversed)
    }

    /// Chip data go to the host unaltered, and without card number, tracks and names.
    @Test func requestCarriesTheChipDataWithoutTheNumber() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let host = ScriptedHost()
        _ = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1250)))
        let request = try #require(host.authorizations.withLock { $0.first })
        #expect(request.primaryAccountNumber.clearDigits == "4761739001010119")
        let number: [UInt8] = [0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19]
        #expect(!request.chipData.contains(number))
        for tag: [UInt8] in [
            [0x9F, 0x26], [0x9F, 0x10], [0x9F, 0x36], [0x9F, 0x37], [0x9F, 0x02], [0x95], [0x82],
        ] {
            #expect(request.chipData.contains(tag))
        }
        #expect(!"\(request)".contains("4761739001010119"))
    }
}
