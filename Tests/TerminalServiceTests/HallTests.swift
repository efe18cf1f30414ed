import AcquirerHost
import AcquirerSimulator
import Cards
import EMV
import EMVCryptography
import Foundation
import ISO8583
import ISO8583Dialects
import ISO8583Backend
import Issuing
import Journal
import CardReaders
import Synchronization
import TestTools
import Testing

@testable import Terminal
@testable import TerminalService

@Suite struct HallTests {
    /// How the built-in cards pay, as their scenarios of the demonstration end.
    @Test(arguments: [
        ("visa-credit", 1250 as UInt64, "approved", true as Bool?), ("visa-debit", 990, "approved", false),
        ("mc-credit", 1250, "approved", true), ("mc-debit", 1100, "approved", false),
        ("mc-mag-stripe", 900, "approved", true), ("visa-poor", 2500, "declined", true),
        ("visa-expired", 990, "declined", false), ("visa-tampered", 990, "declined", false),
        ("visa-blocked", 990, "ended", nil), ("mc-declines", 990, "try-another-interface", nil),
    ])
    func cardsPay(_ card: String, _ amount: UInt64, _ status: String, _ online: Bool?) async throws {
        let house = try await House()
        let payment = try await house.pay(House.order(amount, cards: [card]))
        #expect(payment.result?.status == status)
        #expect(payment.result?.online == online)
        #expect(payment.state == .finished)
        // The card has left the field, and can be tapped elsewhere.
        #expect(try house.hall.shelf.card(card).terminal == nil)
        #expect(try house.stage.view.state == .idle)
        #expect(try house.stage.view.card == nil)
        let types = try house.types(of: payment.id)
        #expect(types.first == "payment")
        #expect(types.contains("tap"))
        #expect(types.contains("card"))
        #expect(types.contains("finished"))
    }

    @Test func eventsTellTheExchangeInOrder() async throws {
        let house = try await House()
        let payment = try await house.pay(House.order(1250, cards: ["mc-credit"]))
        let events = try #require(house.hall.livePayment(payment.id)).events
        #expect(zip(events, events.dropFirst()).allSatisfy { $0.id < $1.id })
        #expect(events.allSatisfy { $0.payment == payment.id })
        // Every command has its answer next to it.
        for (index, event) in events.enumerated() where event.type == "command" {
            #expect(events[(index + 1)...].first { $0.type != "kernel" }?.type == "response")
        }
        let outcome = try #require(events.last { $0.type == "outcome" }).object
        #expect(outcome["status"] as? String == "onlineRequest")
        #expect(outcome["kernel"] as? String == "2")
        let verdicts = try #require(outcome["verdicts"] as? [[String: Any]])
        #expect(
            verdicts.contains {
                $0["check"] as? String == "Offline data authentication" && $0["result"] as? String == "passed"
            })
        // A terminal cannot verify a cryptogram.
        #expect(
            verdicts.contains {
                $0["check"] as? String == "Application cryptogram"
                    && $0["result"] as? String == "not performed"
            })
        let states = try events.filter { $0.type == "kernel" }.map { try $0.object["state"] as? String }
        #expect(states.contains("waitingForProcessingOptions"))
        #expect(states.contains("waitingForCryptogram"))
        let select = try #require(events.first { $0.type == "command" }).object
        #expect(select["name"] as? String == "SELECT")
        #expect((select["tree"] as? [String: Any])?["name"] is String)
    }

    /// A byte of the card's certificate was changed.
    @Test func verdictOfATamperedCard() async throws {
        let house = try await House()
        let payment = try await house.pay(House.order(990, cards: ["visa-tampered"]))
        let events = try #require(house.hall.livePayment(payment.id)).events
        let outcome = try #require(events.last { $0.type == "outcome" }).object
        let verdicts = try #require(outcome["verdicts"] as? [[String: Any]])
        #expect(
            verdicts.contains {
                $0["check"] as? String == "Offline data authentication"
                    && $0["result"] as? String == "failed"
                    && ($0["detail"] as? String)?.hasPrefix("ICC public key certificate (9F46): ") == true
            })
        #expect(payment.result?.reason?.contains("ICC public key certificate (9F46)") == true)
    }

    /// The messages of an ISO 8583 host, as its line had them, in the payment's events: in order, explained, with nothing of
    /// the card number in clear.
    @Test func messagesOfAHostOverISO8583() async throws {
        guard let dialect = try Dialect.builtIn("generic-ascii") else { throw CancellationError() }
        let interface = HostInterface(dialect: dialect)
        let (addresses, continuation) = AsyncStream.makeStream(of: Endpoint.self)
        let listener = ISO8583Listener(
            service: HostService(acquirer: SimulatedAcquirer(issuer: try IssuerSimulator(world: .test))),
            interface: interface, endpoint: Endpoint(host: "127.0.0.1", port: 0))
        let server = Task { try await listener.run { continuation.yield($0) } }
        defer { server.cancel() }
        var found = addresses.makeAsyncIterator()
        let address = try #require(await found.next())
        let acquirer = ISO8583Acquirer(interface: interface, endpoints: [address])
        let house = try await House(change: { $0.backend = acquirer })
        let payment = try await house.pay(House.order(1250, cards: ["visa-credit"]))
        #expect(payment.result?.status == "approved")
        let events = try #require(house.hall.livePayment(payment.id)).events
        let messages = try events.filter { $0.type == "hostMessage" }.map { try $0.object }
        #expect(messages.map { $0["direction"] as? String } == ["sent", "received"])
        #expect(events.allSatisfy { $0.payment == payment.id })
        let types = events.map { $0.type }.filter { $0.hasPrefix("authorization") || $0 == "hostMessage" }
        #expect(types == ["authorizationSent", "hostMessage", "hostMessage", "authorizationAnswered"])
        // MTI in ASCII: a request and its response.
        let hex = messages.compactMap { $0["hex"] as? String }
        #expect(
            hex.map { $0.prefix(8) } == ["30323030", "30323130"]
                || hex.map { $0.prefix(8) } == ["30313030", "30313130"])
        let text = messages.compactMap { $0["text"] as? String }
        #expect(text.allSatisfy { $0.contains(payment.result?.retrievalReference ?? "?") })
        for shown in events.map({ String(decoding: $0.data, as: UTF8.self) })
        where shown.contains("hostMessage") {
            #expect(!shown.contains("4761739001010119"))
            // The number's digits in ASCII.
            #expect(!shown.contains("34373631373339303031303130313139"))
        }
        await acquirer.close()
    }

    /// After a restart, or many payments later, the receipt is made anew from the journal, as a copy.
    @Test func copyOfAReceipt() async throws {
        let house = try await House(change: { $0.paymentsKept = 1 })
        let first = try await house.pay(House.order(1250, cards: ["visa-credit"]))
        let own = try #require(house.hall.livePayment(first.id)?.receipt)
        _ = try await house.pay(House.order(990, cards: ["visa-debit"]))
        #expect(try await eventually { house.hall.livePayment(first.id) == nil })
        let copy = try #require(try await house.hall.receiptCopy(of: first.id))
        #expect(copy.lines.first?.value == "DUPLICATE")
        // Whatever is on it is on the first one, in the same order, but for the mark of a copy, and the time: the journal's is
        // that of the beginning, the card's may be a second later.
        let lines = own.split(separator: "\n").map(String.init)
        var rest = lines[...]
        for line in copy.text().split(separator: "\n").map(String.init)
        where !line.contains("DUPLICATE") && !line.hasPrefix("Date ") {
            let index = try #require(rest.firstIndex(of: line), "\(line) is not on \(own)")
            rest = rest[(index + 1)...]
        }
        for label in ["Terminal", "Date", "Purchase", "Card number", "AID", "TVR", "Authorization", "Result"]
        {
            #expect(copy.lines.contains { $0.label == label }, "\(label)")
        }
        await #expect(throws: Problem.self) { try await house.hall.receiptCopy(of: "txn_0") }
        // Another program that reads the same journal and knows no such terminal.
        let other = try await House(terminals: 0, journal: house.journal)
        #expect(try await other.hall.receiptCopy(of: first.id)?.title == "MERCHANT0000001")
    }

    @Test func cardsCollideAndTheFirstStays() async throws {
        let house = try await House()
        let payment = try await house.pay(House.order(2200, cards: ["visa-credit", "visa-debit"]))
        #expect(payment.result?.status == "approved")
        #expect(payment.result?.card == "476173******0119")
        let events = try #require(house.hall.livePayment(payment.id)).events
        let removed = try #require(events.first { $0.type == "removed" }).object
        #expect(removed["cards"] as? [String] == ["visa-debit"])
    }

    /// Torn in GENERATE AC, then tapped again: RECOVER AC.
    @Test func tornCardIsTappedAgain() async throws {
        let house = try await House()
        let begun = try await house.hall.pay(
            House.order(1350, cards: ["mc-credit"], removal: .duringCommand(0xAE))
        ).payment
        let live = try #require(house.hall.livePayment(begun.id))
        #expect(try await eventually { live.events.contains { $0.type == "removed" } })
        #expect(try house.hall.shelf.card("mc-credit").terminal == nil)
        try house.stage.tap([try house.hall.shelf.card("mc-credit")], nil)
        await live.finished.wait()
        #expect(live.view.result?.status == "approved")
        let names = try live.events.filter { $0.type == "command" }.map { try $0.object["name"] as? String }
        #expect(names.contains("RECOVER AC"))
    }

    @Test(arguments: [RemovalScript.afterCommands(2), .afterMilliseconds(0)])
    func cardLeavesByItself(_ removal: RemovalScript) async throws {
        let house = try await House()
        let begun = try await house.hall.pay(
            House.order(700, cards: ["visa-credit"], removal: removal, wait: .seconds(1))
        ).payment
        let live = try #require(house.hall.livePayment(begun.id))
        await live.finished.wait()
        #expect(live.events.contains { $0.type == "removed" })
        if case .afterCommands = removal { #expect(live.view.result?.status == "timed-out") }
    }

    @Test func lockedPhoneLeavesIsUnlockedAndTappedAgain() async throws {
        let house = try await House()
        let phone = try house.hall.shelf.card("google-pay-visa")
        let begun = try await house.hall.pay(House.order(6400, cards: ["google-pay-visa"])).payment
        let live = try #require(house.hall.livePayment(begun.id))
        #expect(try await eventually { live.events.contains { $0.type == "removed" } })
        #expect(phone.asksToUnlock)
        #expect(CardView(phone).locked == true)
        phone.unlock()
        try house.stage.tap([phone], nil)
        await live.finished.wait()
        #expect(live.view.result?.status == "approved")
        #expect(live.view.result?.cvm == "confirmationCodeVerified")
    }

    @Test func pinIsEntered() async throws {
        let house = try await House()
        for (digits, status) in [("1234", "approved"), ("9999", "declined"), (nil, "cancelled")] {
            let begun = try await house.hall.pay(House.order(8000, cards: ["visa-debit"])).payment
            let live = try #require(house.hall.livePayment(begun.id))
            #expect(try await eventually { live.phase == .enteringPIN })
            #expect(try house.stage.view.state == .enteringPIN)
            try house.stage.enterPIN(digits.map { PIN($0)! })
            await live.finished.wait()
            #expect(live.view.result?.status == status)
            // What was entered is told nowhere.
            for event in live.events {
                guard let digits else { continue }
                #expect(!String(decoding: event.data, as: UTF8.self).contains("\"\(digits)\""))
            }
            #expect(throws: Problem.self) { try house.stage.enterPIN(nil) }
        }
    }

    @Test func paymentIsCancelled() async throws {
        let house = try await House()
        let begun = try await house.hall.pay(House.order(500)).payment
        let live = try #require(house.hall.livePayment(begun.id))
        #expect(live.cancel())
        await live.finished.wait()
        #expect(live.view.result?.status == "cancelled")
        #expect(!live.cancel())
        #expect(try await house.journal.show(begun.id)?.state == .cancelled)
    }

    @Test func noCardComes() async throws {
        let house = try await House()
        let payment = try await house.pay(House.order(500, wait: .milliseconds(50)))
        #expect(payment.result?.status == "timed-out")
        #expect((payment.result?.timings?.waiting ?? 0) >= 50_000)
    }

    // MARK: Keys

    @Test func sameKeyIsTheSamePayment() async throws {
        let house = try await House(terminals: 2)
        let order = House.order(1250, cards: ["visa-credit"], key: "order-1")
        // Many at once, as impatient clients ask.
        let answers = try await withThrowingTaskGroup(of: (PaymentView, Bool).self) { group in
            for _ in 0..<20 { group.addTask { try await house.hall.pay(order) } }
            var answers: [(PaymentView, Bool)] = []
            for try await answer in group { answers.append(answer) }
            return answers
        }
        #expect(Set(answers.map(\.0.id)).count == 1)
        #expect(answers.filter { !$0.1 }.count == 1)
        #expect(try await house.journal.list().count == 1)

        for other in [
            House.order(1251, cards: ["visa-credit"], key: "order-1"),
            House.order(1250, cards: ["visa-credit"], terminal: "TERM0002", key: "order-1"),
            House.order(1250, key: "order-1"),
        ] {
            await #expect { try await house.hall.pay(other) } throws: { ($0 as? Problem)?.code == .keyReused }
        }
    }

    /// What an earlier run of the daemon took is found in the journal.
    @Test func keyIsKnownAfterARestart() async throws {
        let journal = try Journal.inMemory()
        let order = House.order(1250, cards: ["visa-credit"], key: "order-1")
        let first = try await House(journal: journal).pay(order)
        let second = try await House(journal: journal)
        let (replayed, isReplayed) = try await second.hall.pay(order)
        #expect(isReplayed)
        #expect(replayed.id == first.id)
        #expect(replayed.result?.status == "approved")
        #expect(try await journal.list().count == 1)
        await #expect { try await second.hall.pay(House.order(1, key: "order-1")) } throws: {
            ($0 as? Problem)?.code == .keyReused
        }
    }

    /// A payment that an earlier run left at the host's door is reversed when the daemon starts.
    @Test func startResolvesWhatWasLeft() async throws {
        let journal = try Journal.inMemory()
        let profile = try TerminalProfile.builtIn()
        let record = try await journal.begin(
            TransactionIntent(
                terminalID: profile.terminalID, merchantID: profile.merchant.id,
                amount: Amount(clamping: 500),
                amountOther: .zero, currency: profile.currency, currencyExponent: 2, transactionType: 0,
                purpose: .sale, idempotencyKey: nil, original: nil))
        _ = try await House(journal: journal)
        let state = try await journal.show(record.id)?.state
        #expect(state == .failed || state == .cancelled)
    }

    // MARK: Many

    @Test func oneTerminalTakesOnePayment() async throws {
        let house = try await House()
        let begun = try await house.hall.pay(House.order(500)).payment
        await #expect { try await house.hall.pay(House.order(500)) } throws: {
            ($0 as? Problem)?.code == .terminalBusy && ($0 as? Problem)?.status == 409
        }
        await #expect { try await house.hall.removeTerminal("TERM0001") } throws: {
            ($0 as? Problem)?.code == .terminalBusy
        }
        _ = house.hall.livePayment(begun.id)?.cancel()
        await house.hall.livePayment(begun.id)?.finished.wait()
        // Whoever hears of the end may begin the next one at once.
        #expect(try await house.pay(House.order(1250, cards: ["visa-credit"])).result?.status == "approved")
        try await house.hall.removeTerminal("TERM0001")
        #expect(house.hall.figures.terminals == 0)
        await #expect { try await house.hall.pay(House.order(500)) } throws: {
            ($0 as? Problem)?.code == .notFound
        }
    }

    @Test func cardLiesInOneField() async throws {
        let house = try await House(terminals: 2)
        let card = try house.hall.shelf.card("visa-credit")
        try house.stage.tap([card], nil)
        let other = try house.hall.terminal("TERM0002").stage
        #expect { try other.tap([card], nil) } throws: { ($0 as? Problem)?.status == 409 }
        #expect { try house.stage.tap([card], nil) } throws: { ($0 as? Problem)?.status == 409 }
        #expect(card.terminal == "TERM0001")
        #expect { try house.hall.shelf.remove("visa-credit") } throws: { ($0 as? Problem)?.status == 409 }
        try house.stage.remove()
        try other.tap([card], nil)
        #expect(card.terminal == "TERM0002")
    }

    /// A terminal whose reader hangs, one whose card never answers, and others that go on.
    @Test func oneTerminalHarmsNoOther() async throws {
        let house = try await House(terminals: 50)
        _ = try await house.hall.pay(House.order(100))  // waits for a card that never comes
        let silent = try house.hall.shelf.add(
            try CardProfile.silent(), id: "silent")
        _ = try await house.hall.pay(House.order(100, cards: [silent.id], terminal: "TERM0002"))
        let statuses = try await withThrowingTaskGroup(of: String?.self) { group in
            for number in 3...50 {
                let id = "TERM00" + (number < 10 ? "0" : "") + "\(number)"
                let card = try house.hall.shelf.add(try CardLibrary.profile("visa-credit"), id: nil)
                group.addTask {
                    try await house.pay(House.order(1000, cards: [card.id], terminal: id)).result?.status
                }
            }
            var statuses: [String?] = []
            for try await status in group { statuses.append(status) }
            return statuses
        }
        #expect(statuses.count == 48)
        // 48 copies of one card: the issuer sees its counter again and may decline, but each has its answer.
        #expect(statuses.allSatisfy { $0 == "approved" || $0 == "declined" })
        #expect(house.hall.figures.paymentsUnderWay >= 1)
        await house.hall.drain(patience: .milliseconds(100))
        #expect(house.hall.figures.paymentsUnderWay == 0)
    }

    @Test func drainEndsWhatWaitsAndFinishesWhatHasLeft() async throws {
        let house = try await House(terminals: 2, troubles: ["always: slow 1s"], answerTimeout: .seconds(5))
        let waiting = try await house.hall.pay(House.order(100)).payment
        let sent = try await house.hall.pay(House.order(1250, cards: ["visa-credit"], terminal: "TERM0002"))
            .payment
        let live = try #require(house.hall.livePayment(sent.id))
        #expect(try await eventually { live.phase == .authorizing || live.phase == .finished })
        await house.hall.drain()
        #expect(try await house.journal.show(waiting.id)?.state == .cancelled)
        #expect(try await house.journal.show(sent.id)?.state == .approved)
        await #expect { try await house.hall.pay(House.order(1)) } throws: {
            ($0 as? Problem)?.code == .stopping
        }
    }

    /// A host that never answers: the end comes in its time all the same, the payment stays in the journal as one whose outcome
    /// is unknown, and the next run reverses it.
    @Test(.timeLimit(.minutes(1))) func drainDoesNotWaitForASilentHost() async throws {
        let house = try await House(
            troubles: ["always: silence"], answerTimeout: .seconds(600),
            change: {
                $0.profile.timing.authorization = .seconds(600)
            })
        let sent = try await house.hall.pay(House.order(1250, cards: ["visa-credit"])).payment
        let live = try #require(house.hall.livePayment(sent.id))
        #expect(try await eventually { live.phase == .authorizing })
        let left = await house.hall.drain(patience: .milliseconds(100), grace: .milliseconds(200))
        #expect(left == 1)
        #expect(try await house.journal.show(sent.id)?.state == .authorizing)
        // Another process, which knows nothing of what this one is at work on.
        let next = try await House(journal: Journal(store: house.journal.store))
        #expect(try await reaches(.reversed, sent.id, next.journal))
    }

    /// What an earlier run owes to a host that never answers does not keep the hall from beginning, whatever the number of
    /// terminals: it is due in the journal, and payments are taken.
    @Test(.timeLimit(.minutes(1))) func startDoesNotWaitForASilentHost() async throws {
        let journal = try Journal.inMemory()
        var ids: [String] = []
        for number in 1...6 {
            let record = try await journal.begin(
                TransactionIntent(
                    terminalID: "TERM000\(number)", merchantID: "MERCHANT0000001",
                    amount: Amount(clamping: 1250),
                    currency: try #require(NumericCode(978)), currencyExponent: 2, transactionType: 0))
            try await journal.requestWritten(record.id, nil, keeping: nil)
            try await journal.authorizing(record.id, backend: "simulator")
            ids.append(record.id)
        }
        let house = try await House(
            terminals: 6, troubles: ["reversal always: silence"], journal: journal,
            answerTimeout: .seconds(600),
            change: { $0.profile.timing.authorization = .seconds(600) })
        for id in ids { #expect(try await journal.show(id)?.state == .reversalDue) }
        #expect(house.hall.terminals.allSatisfy { $0.stage.view.backlog.count == 1 })
        // A payment that needs no host is taken.
        let paid = try await house.pay(House.order(990, cards: ["visa-debit"]))
        #expect(paid.result?.status == "approved")
        await house.hall.drain(patience: .milliseconds(10), grace: .milliseconds(10))
    }

    /// Whether a transaction comes to a state.
    private func reaches(_ state: TransactionState, _ id: String, _ journal: Journal) async throws -> Bool {
        try await TestTools.eventually("\(id) is \(state)") { try await journal.show(id)?.state == state }
        return true
    }

    @Test func observerIsToldOfEveryPayment() async throws {
        let seen = Mutex<[(String, String?)]>([])
        let house = try await House(observer: { event in
            if case .finished = event.event { seen.withLock { $0.append((event.terminal, event.payment)) } }
        })
        let payment = try await house.pay(House.order(1250, cards: ["visa-credit"]))
        #expect(seen.withLock { $0.map(\.1) } == [payment.id])
    }

    @Test func latestPaymentsKeepTheirEvents() async throws {
        let house = try await House(change: { $0.paymentsKept = 3 })
        var ids: [String] = []
        for _ in 0..<6 { ids.append(try await house.pay(House.order(100, wait: .milliseconds(1))).id) }
        #expect(try await eventually { house.hall.livePayment(ids[0]) == nil })
        #expect(house.hall.livePayment(ids[5]) != nil)
        // The journal still knows the others.
        #expect(try await house.hall.payment(ids[0]).result?.status == "cancelled")
    }

    /// More under way than are kept: none is let go before its end.
    @Test func manyUnderWayStay() async throws {
        let house = try await House(terminals: 8, change: { $0.paymentsKept = 2 })
        var payments: [LivePayment] = []
        for terminal in house.hall.terminals {
            let begun = try await house.hall.pay(House.order(100, terminal: terminal.id)).payment
            payments.append(try #require(house.hall.livePayment(begun.id)))
        }
        for payment in payments {
            #expect(house.hall.livePayment(try #require(payment.id)) != nil)
            #expect(payment.cancel())
            await payment.finished.wait()
        }
        #expect(
            try await eventually {
                try payments.filter { house.hall.livePayment(try #require($0.id)) != nil }.count == 2
            })
    }

    @Test func terminalNamesAndLimits() async throws {
        let house = try await House(terminals: 3, change: { $0.mostTerminals = 4 })
        #expect(house.hall.terminals.map(\.id) == ["TERM0001", "TERM0002", "TERM0003"])
        for name in ["", "123456789", "till-01", "till 001", "../../etc", "tíll-001", "a/b/c/d/e"] {
            #expect(throws: Problem.self) { try house.hall.addTerminal(id: name) }
        }
        #expect(throws: Problem.self) { try house.hall.addTerminal(id: "TERM0001") }
        try house.hall.addTerminal(id: "till-001")
        #expect(try house.hall.terminal("till-001").stage.profile.terminalID == "till-001")
        #expect(throws: Problem.self) { try house.hall.addTerminal() }
    }

    /// A reader that fails is offline until a card comes again.
    @Test func attachedReader() async throws {
        let house = try await House(terminals: 0)
        let reader = EmulatedReader(name: "Desk")
        house.hall.addReader(Wrapped(base: reader), id: "desk")
        #expect(house.hall.readers.map(\.state) == [.ready])
        try house.hall.addTerminal(id: "till-001", reader: "desk")
        #expect(throws: Problem.self) { try house.hall.addTerminal(id: "till-002", reader: "desk") }
        #expect(throws: Problem.self) { try house.hall.addTerminal(id: "till-002", reader: "none") }
        // Nothing can be tapped by the API at a real reader.
        #expect(throws: Problem.self) {
            try house.hall.terminal("till-001").stage.tap([try house.hall.shelf.card("visa-credit")], nil)
        }
        let begun = try await house.hall.pay(House.order(1250, terminal: "till-001")).payment
        #expect(house.hall.readers.first?.state == .busy)
        reader.present(try EmulatedCard(profile: try CardLibrary.profile("visa-credit")))
        await house.hall.livePayment(begun.id)?.finished.wait()
        #expect(house.hall.livePayment(begun.id)?.view.result?.status == "approved")
        // Nothing of a card at a real reader stays as it was exchanged.
        let live = try #require(house.hall.livePayment(begun.id))
        #expect(live.recorder == nil)
        #expect(live.trace.contains("= result status=approved"))
        await reader.close()
        let broken = try await house.pay(House.order(100, terminal: "till-001"))
        #expect(broken.result?.status == "failed")
        #expect(house.hall.readers.first?.state == .offline)
    }

    /// A reader that is none of the emulated ones to the hall.
    struct Wrapped: CardReader {
        let base: EmulatedReader
        var information: ReaderInformation { ReaderInformation(kind: .pcsc, name: "Desk") }
        func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
            try await base.activateCard(deadline: deadline)
        }
        func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool { true }
        func fieldOff() async { await base.fieldOff() }
        func close() async { await base.close() }
    }

    // MARK: After the payment

    @Test func voidCompletionTipAndSettlement() async throws {
        let house = try await House()
        let sale = try await house.pay(House.order(1250, cards: ["visa-credit"]))
        let tipped = try await house.hall.atDesk(sale.id) { (desk, id) throws(DeskError) in
            try await desk.tip(id, Amount(clamping: 150))
        }
        #expect(tipped.payment.journalState == "adjusted")
        let held = try await house.pay(House.order(5000, cards: ["mc-credit"], purpose: .preAuthorization))
        #expect(held.result?.status == "approved")
        let taken = try await house.pay(House.order(700, cards: ["visa-credit"]))
        let voided = try await house.hall.atDesk(taken.id) { (desk, id) throws(DeskError) in
            try await desk.void(id)
        }
        #expect(voided.payment.journalState == "reversed")
        let batch = try await house.hall.batch("TERM0001")
        #expect(batch.held == 1)
        #expect(batch.parts.map(\.sums.salesAmount) == [1400])
        let reports = try await house.hall.settle(house.hall.terminal("TERM0001"))
        #expect(reports.items.map(\.balanced) == [true])
        #expect(reports.items.map(\.sums.net) == [1400])
        await #expect {
            try await house.hall.atDesk(sale.id) { (desk, id) throws(DeskError) in try await desk.void(id) }
        } throws: { ($0 as? Problem)?.status == 409 }
    }
}

extension CardProfile {
    /// A card that never answers GET PROCESSING OPTIONS.
    static func silent() throws -> CardProfile {
        var profile = try CardLibrary.profile("visa-credit")
        profile.faults.silent = [0xA8]
        return profile
    }
}
