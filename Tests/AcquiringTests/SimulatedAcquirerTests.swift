import BERTLV
import EMV
import Testing

@testable import Acquiring
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import Issuing

@Suite struct SimulatorAnswers {
    @Test func approves() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        let response = try await acquirer.authorize(Payment.credit.request)
        #expect(response.isApproved)
        #expect(response.responseCode == "00")
        #expect(response.authorizationCode?.utf8.count == 6)
        #expect(response.issuerAuthenticationData?.count == 10)
        #expect(response.accountCharge == nil)
        #expect(response.message == "APPROVED")
        #expect(
            response.availableBalance
                == AccountBalance(amount: amount(498_500), currency: euro, currencyExponent: 2))
        let scripted = try await acquirer.authorize(Payment.debit.with { $0.id = "T2" }.request)
        #expect(scripted.issuerScripts.first == 0x72)
        #expect(scripted.issuerAuthenticationData?.count == 8)
    }

    @Test func chargesTheWallet() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        let response = try await acquirer.authorize(Payment.alipay.with { $0.amount = 1234 }.request)
        #expect(
            response.accountCharge
                == AccountCharge(
                    amount: amount(9625), currency: NumericCode(156)!, currencyExponent: 2, rate: "7.80"))
    }

    @Test func tellsWhyInTheReasonOnly() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        _ = try await acquirer.authorize(Payment.credit.request)
        let replay = try await acquirer.authorize(Payment.credit.with { $0.id = "T2" }.request)
        #expect(replay.responseCode == "63")
        #expect(replay.reason == "transaction counter 1 was used before")
        #expect(replay.message == "DECLINED")
        let events = await acquirer.events
        #expect(events.map(\.responseCode) == ["00", "63"])
    }

    @Test func networkKeepsTokensOffTheStripe() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        for mode in [PointOfServiceEntryMode.contactlessMagStripe, .manual] {
            var request = Payment.apple.request
            request.entryMode = mode
            request.chipData = []
            let response = try await acquirer.authorize(request)
            #expect(response.responseCode == "57")
            #expect(response.reason?.hasPrefix("network:") == true)
        }
    }

    @Test func partialApprovalIsAskedFor() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        var request = Payment.alipay.with { $0.amount = 50_000 }.request
        request.acceptsPartialApproval = true
        let response = try await acquirer.authorize(request)
        #expect(response.responseCode == "10" && response.isApproved)
        #expect(response.approvedAmount == amount(38_461))
    }

    @Test func offlineApprovalsReachTheBooks() async throws {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        let offline = Payment.debit.with { $0.type = .tc }
        try await acquirer.advise(offline.request, offline: .approved)
        try await acquirer.advise(offline.request, offline: .approved)
        try await acquirer.advise(
            offline.with {
                $0.id = "T2"
                $0.counter = 2
                $0.type = .aac
            }.request, offline: .declined)
        let totals = await acquirer.issuer.state.ledger.totals(terminalID: "TERM0001")
        #expect(totals[euro] == HostTotals(purchases: 1, purchaseAmount: 1500))
    }
}

@Suite struct MessageFormat {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout AuthorizationRequest) -> Void
        init(_ field: String, _ change: @escaping @Sendable (inout AuthorizationRequest) -> Void) {
            testDescription = field
            self.change = change
        }
    }

    static let cases: [Case] = [
        Case("identifier") { $0.transactionID = "" },
        Case("field 2:") { $0.primaryAccountNumber = PrimaryAccountNumber(digits: "4761739001010118")! },
        Case("field 2:") { $0.primaryAccountNumber = PrimaryAccountNumber(digits: "47617390")! },
        Case("field 11:") { $0.stan = 0 },
        Case("field 11:") { $0.stan = 1_000_000 },
        Case("field 12:") { $0.hhmmss = 240000 },
        Case("field 12:") { $0.hhmmss = 126000 },
        Case("field 12:") { $0.hhmmss = -1 },
        Case("field 18:") { $0.merchantCategoryCode = "58A2" },
        Case("field 23:") { $0.panSequenceNumber = 100 },
        Case("field 32:") { $0.acquirerID = "123456789012" },
        Case("field 35:") { $0.track2 = Track2EquivalentData(bytes("4761739001010135D31122011143878089"))! },
        Case("field 37:") { $0.retrievalReference = "1" },
        Case("field 41:") { $0.terminalID = "TERM1" },
        Case("field 42:") { $0.merchantID = "" },
        Case("field 43:") { $0.merchantName = String(repeating: "x", count: 100) },
        Case("field 54:") { $0.amountOther = amount(1501) },
        Case("field 55: chip data are missing") { $0.chipData = [] },
        Case("field 55: longer") { $0.chipData = [UInt8](repeating: 0, count: 1000) },
        Case("field 55:") { $0.chipData.removeLast() },
        Case("field 55: 9F37 is there twice") { $0.chipData += bytes("9F370400000000") },
    ]

    @Test(arguments: cases) func rejects(_ c: Case) async {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        var request = Payment.credit.request
        c.change(&request)
        do {
            let response = try await acquirer.authorize(request)
            Issue.record("answered with \(response.responseCode)")
        } catch {
            guard case .rejected(let reason) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(reason.contains(c.testDescription), "\(reason)")
            #expect(!error.isOutcomeUnknown)
        }
        let events = await acquirer.events
        #expect(events.map(\.responseCode) == ["30"])
        #expect(await acquirer.issuer.state == IssuerSimulator.State())
    }

    @Test(
        arguments: [0x9F26, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C, 0x9F02, 0x5F2A, 0x82, 0x9F1A]
            as [UInt32])
    func mandatoryChipData(_ rawTag: UInt32) async {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        let tag = BERTLV.Tag(rawTag)
        #expect(
            await failure(acquirer, .credit.with { $0.remove = [tag] })
                == .rejected("field 55: \(tag) is missing"))
        let long = await failure(
            acquirer, .credit.with { $0.extra.set(tag, [UInt8](repeating: 0, count: 40)) })
        guard case .rejected = long else {
            Issue.record("\(String(describing: long))")
            return
        }
    }

    @Test func reversalsToo() async {
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        var request = Payment.credit.reversal
        request.stan = 0
        await #expect(throws: AcquirerError.rejected("field 11: 0 is no 1...999999")) {
            try await acquirer.reverse(request)
        }
    }

    /// Random bytes as chip data: an error or a decline, never an approval.
    @Test func anyChipData() async {
        var state: UInt64 = 5
        func random() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        let acquirer = SimulatedAcquirer(clock: ManualClock())
        let good = Payment.credit.request.chipData
        for index in 0..<1500 {
            var request = Payment.credit.with { $0.id = "R\(index)" }.request
            request.chipData = good
            if index.isMultiple(of: 3) {
                request.chipData = (0..<Int(random())).map { _ in random() }
            } else {
                for _ in 0..<3 {
                    request.chipData[(Int(random()) << 8 | Int(random())) % good.count] = random()
                }
            }
            if let response = try? await acquirer.authorize(request), request.chipData != good {
                // Changes of what no cryptogram covers and nobody compares may pass.
                #expect(!response.isApproved || request.chipData.count == good.count)
            }
        }
    }
}

@Suite struct Troubles {
    let clock = ManualClock()

    func acquirer(_ rules: String...) throws -> SimulatedAcquirer {
        SimulatedAcquirer(
            troubles: TroubleScript(rules: try rules.map { try TroubleRule($0) }), clock: clock)
    }

    func balance(_ acquirer: SimulatedAcquirer) async -> Int64? {
        await acquirer.issuer.balance("account-0119")
    }

    @Test func decline() async throws {
        let acquirer = try acquirer("nth 2: decline 91")
        #expect(try await acquirer.authorize(Payment.credit.request).responseCode == "00")
        let second = try await acquirer.authorize(
            Payment.credit.with {
                $0.id = "T2"
                $0.counter = 2
            }.request)
        #expect(second.responseCode == "91" && second.message == "ISSUER NOT AVAILABLE")
        #expect(second.issuerAuthenticationData == nil)
        let third = try await acquirer.authorize(
            Payment.credit.with {
                $0.id = "T3"
                $0.counter = 3
            }.request)
        #expect(third.responseCode == "00")
    }

    @Test(arguments: [("silence", -1500), ("lost", 0)] as [(String, Int64)])
    func noAnswer(_ trouble: String, _ balance: Int64) async throws {
        let acquirer = try acquirer("always: \(trouble)")
        async let error = failure(acquirer, .credit)
        await clock.advance(by: .seconds(29))
        #expect(clock.sleepers == 1)
        await clock.advance(by: .seconds(1))
        #expect(await error == .timeout)
        #expect(await self.balance(acquirer) == balance)
        try await acquirer.reverse(Payment.credit.reversal)
        #expect(await self.balance(acquirer) == 0)
    }

    @Test func garbage() async throws {
        let acquirer = try acquirer("always: garbage")
        let error = await failure(acquirer, .credit)
        guard case .malformedResponse = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.isOutcomeUnknown == true)
        #expect(await balance(acquirer) == -1500)
    }

    @Test func slow() async throws {
        let acquirer = try acquirer("always: slow 3s")
        async let response = acquirer.authorize(Payment.credit.request)
        await clock.advance(by: .seconds(3))
        #expect(try await response.isApproved)
    }

    @Test func lateAnswer() async throws {
        let acquirer = try acquirer("always: late 45s")
        async let error = failure(acquirer, .credit)
        await clock.advance(by: .seconds(30), sleepers: 2)
        #expect(await error == .timeout)
        #expect(await acquirer.lateAnswers.isEmpty)
        try await acquirer.reverse(Payment.credit.reversal)
        await clock.advance(by: .seconds(15))
        while await acquirer.lateAnswers.isEmpty { await Task.yield() }
        let late = await acquirer.lateAnswers
        #expect(late.map(\.transactionID) == ["T1"])
        #expect(late[0].response.isApproved)
        // The late approval changes nothing.
        #expect(await balance(acquirer) == 0)
    }

    @Test func overtakenByItsReversal() async throws {
        let acquirer = try acquirer("always: overtaken 45s")
        async let error = failure(acquirer, .credit)
        await clock.advance(by: .seconds(30), sleepers: 2)
        #expect(await error == .timeout)
        try await acquirer.reverse(Payment.credit.reversal)
        await clock.advance(by: .seconds(15))
        while await acquirer.lateAnswers.isEmpty { await Task.yield() }
        #expect(await acquirer.lateAnswers[0].response.responseCode == "12")
        #expect(await balance(acquirer) == 0)
    }

    @Test func duplicate() async throws {
        let acquirer = try acquirer("always: duplicate")
        #expect(try await acquirer.authorize(Payment.credit.request).isApproved)
        #expect(await balance(acquirer) == -1500)
        #expect(await acquirer.events.count == 2)
    }

    @Test func unreachable() async throws {
        let acquirer = try acquirer("always: unreachable x1")
        let error = await failure(acquirer, .credit)
        #expect(error?.isOutcomeUnknown == false)
        guard case .unreachable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(await acquirer.issuer.state == IssuerSimulator.State())
        // Once only.
        #expect(await failure(acquirer, .credit) == nil)
    }

    @Test(arguments: [("cut", -1500), ("cut before", 0)] as [(String, Int64)])
    func cut(_ trouble: String, _ expected: Int64) async throws {
        let acquirer = try acquirer("always: \(trouble)")
        let error = await failure(acquirer, .credit)
        guard case .connectionLost = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(await balance(acquirer) == expected)
    }

    @Test func wrongAnswersToTheCard() async throws {
        let right = try await SimulatedAcquirer(clock: clock).authorize(Payment.debit.request)
        let arpc = try await acquirer("always: wrong-arpc").authorize(Payment.debit.request)
        #expect(arpc.isApproved)
        #expect(arpc.issuerAuthenticationData != right.issuerAuthenticationData)
        #expect(arpc.issuerAuthenticationData?.dropLast() == right.issuerAuthenticationData?.dropLast())
        let script = try await acquirer("always: wrong-script").authorize(Payment.debit.request)
        #expect(script.issuerScripts != right.issuerScripts)
        #expect(script.issuerScripts.count == right.issuerScripts.count)
    }

    @Test func reversalsAndAdvicesSuffer() async throws {
        let acquirer = try acquirer(
            "reversal nth 1: unreachable", "reversal nth 2: garbage", "advice nth 1: cut before",
            "advice nth 2: cut", "advice nth 4: decline 30", "reversal nth 4: duplicate")
        _ = try await acquirer.authorize(Payment.credit.request)
        await #expect(throws: AcquirerError.unreachable("no route to the host")) {
            try await acquirer.reverse(Payment.credit.reversal)
        }
        #expect(await balance(acquirer) == -1500)
        await #expect(throws: AcquirerError.malformedResponse("the answer ends within its bitmap")) {
            try await acquirer.reverse(Payment.credit.reversal)
        }
        // The host had done it: repeats are acknowledged and change nothing.
        #expect(await balance(acquirer) == 0)
        try await acquirer.reverse(Payment.credit.reversal)
        try await acquirer.reverse(Payment.credit.reversal)
        #expect(await balance(acquirer) == 0)

        let offline = Payment.debit.with {
            $0.type = .tc
            $0.id = "O1"
        }.request
        for expected in [Int64(120_000), 118_500] {
            do {
                try await acquirer.advise(offline, offline: .approved)
                Issue.record("acknowledged")
            } catch {
                #expect(error.isOutcomeUnknown)
            }
            #expect(await acquirer.issuer.balance("account-0135") == expected)
        }
        try await acquirer.advise(offline, offline: .approved)
        #expect(await acquirer.issuer.balance("account-0135") == 118_500)
        await #expect(throws: AcquirerError.rejected("response code 30")) {
            try await acquirer.advise(offline, offline: .approved)
        }
    }

    @Test func cancelledWhileWaiting() async throws {
        let acquirer = try acquirer("always: silence")
        let task = Task { await failure(acquirer, .credit) }
        while clock.sleepers < 1 { await Task.yield() }
        task.cancel()
        let error = await task.value
        #expect(error == .connectionLost("cancelled while waiting"))
        #expect(error?.isOutcomeUnknown == true)
    }

    @Test func oneWaitsWhileAnotherPays() async throws {
        let acquirer = try acquirer("nth 1: silence")
        async let error = failure(acquirer, .credit)
        while clock.sleepers < 1 { await Task.yield() }
        #expect(try await acquirer.authorize(Payment.debit.with { $0.id = "T2" }.request).isApproved)
        await clock.advance(by: .seconds(30))
        #expect(await error == .timeout)
    }
}

@Suite struct TroubleScripts {
    /// A maker whose calls may stand inside `#expect`.
    final class Maker {
        var maker: TroubleMaker
        init(_ script: TroubleScript) { maker = TroubleMaker(script) }
        func next(_ message: TroubleRule.Message, amount: Amount, card: PrimaryAccountNumber?) -> Trouble? {
            maker.next(message, amount: amount, card: card)
        }
    }

    @Test(arguments: [
        ("always: silence", TroubleRule(when: .always, trouble: .silence)),
        ("always: approve", TroubleRule(when: .always, trouble: .approve)),
        ("nth 3: lost", TroubleRule(when: .nth(3), trouble: .lost)),
        ("every 5: garbage x2", TroubleRule(when: .every(5), trouble: .garbage, times: 2)),
        ("amount 1234: decline 51", TroubleRule(when: .amount(amount(1234)), trouble: .decline("51"))),
        (
            "card 4761739001010119: late 45s",
            TroubleRule(
                when: .card(PrimaryAccountNumber(digits: "4761739001010119")!), trouble: .late(.seconds(45)))
        ),
        ("2.5%: slow 200ms", TroubleRule(when: .chance(250), trouble: .late(.milliseconds(200)))),
        ("0.05%: cut", TroubleRule(when: .chance(5), trouble: .cut(seenByHost: true))),
        ("100%: cut before", TroubleRule(when: .chance(10_000), trouble: .cut(seenByHost: false))),
        ("cents 9000: table", TroubleRule(when: .cents(base: 9000), trouble: .table)),
        (
            "reversal nth 1: unreachable",
            TroubleRule(message: .reversal, when: .nth(1), trouble: .unreachable)
        ),
        (
            "advice always: overtaken 1s x9",
            TroubleRule(message: .advice, when: .always, trouble: .overtaken(.seconds(1)), times: 9)
        ),
        ("authorization always: wrong-arpc", TroubleRule(when: .always, trouble: .wrongResponseCryptogram)),
        ("always: wrong-script", TroubleRule(when: .always, trouble: .wrongScript)),
        ("always: duplicate", TroubleRule(when: .always, trouble: .duplicate)),
    ]) func reads(_ text: String, _ rule: TroubleRule) throws {
        #expect(try TroubleRule(text) == rule)
    }

    @Test(arguments: [
        "", ":", "always", "always:", ": silence", "nth 0: silence", "nth: silence", "nth x: silence",
        "amount -1: silence", "amount 1000000000000: silence", "card 1: silence", "0%: silence",
        "101%: silence", "1.234%: silence", "-1%: silence", "always: decline", "always: decline 00",
        "always: decline 511", "always: late", "always: late -1s", "always: late 5", "always: silence x0",
        "cents 9000: silence", "sometimes: silence", "always: a: b", "refund always: silence",
    ]) func refuses(_ text: String) {
        #expect(throws: TroubleRuleError.self) { try TroubleRule(text) }
    }

    @Test func errorsRepeatNoCardNumber() {
        do {
            _ = try TroubleRule("card 47617390010101190000: silence")
            Issue.record("read")
        } catch { #expect(!error.description.contains("4761739")) }
    }

    /// The documented table, written out once more.
    @Test func amountTable() {
        var maker = TroubleMaker(.amountTable)
        var found: [UInt64: Trouble] = [:]
        for units in UInt64(8900)...9200 {
            found[units] = maker.next(.authorization, amount: amount(units), card: nil)
        }
        let declines: [UInt64] = [5, 12, 14, 41, 43, 51, 54, 55, 57, 61, 62, 63, 65, 75, 78, 91, 94, 96]
        var expected: [UInt64: Trouble] = [
            9070: .silence, 9071: .lost, 9072: .garbage, 9073: .late(.seconds(45)), 9074: .unreachable,
            9076: .cut(seenByHost: true), 9077: .duplicate, 9079: .wrongResponseCryptogram,
            9080: .late(.seconds(3)), 9081: .overtaken(.seconds(45)), 9082: .wrongScript,
        ]
        for code in declines { expected[9000 + code] = .decline(code == 5 ? "05" : "\(code)") }
        #expect(found == expected)
    }

    @Test func chanceIsSeeded() throws {
        func run(_ seed: UInt64) throws -> [Bool] {
            var maker = TroubleMaker(
                TroubleScript(rules: [try TroubleRule("10%: silence")], seed: seed))
            return (0..<2000).map { _ in
                maker.next(.authorization, amount: .zero, card: nil) != nil
            }
        }
        let first = try run(1)
        #expect(try run(1) == first)
        #expect(try run(2) != first)
        #expect((140...260).contains(first.count { $0 }))
    }

    @Test func cardRuleAndOrder() throws {
        let maker = Maker(
            try script("card 4761739001010119: garbage x1", "every 2: silence", "amount 7: lost"))
        let card = PrimaryAccountNumber(digits: "4761739001010119")
        #expect(maker.next(.authorization, amount: amount(7), card: card) == .garbage)
        #expect(maker.next(.authorization, amount: amount(7), card: card) == .silence)
        #expect(maker.next(.authorization, amount: amount(7), card: card) == .lost)
        #expect(maker.next(.reversal, amount: amount(7), card: nil) == nil)
        #expect(maker.next(.authorization, amount: amount(8), card: nil) == .silence)
    }
}
