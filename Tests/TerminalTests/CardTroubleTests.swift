import Acquiring
import Cards
import EMV
import Foundation
import Journal
import Kernels
import CardReaders
import SmartCard
import Synchronization
import TestTools
import Testing

@testable import Terminal

/// A card that from some command on promises one byte more, for ever.
final class EndlessCard: VirtualCard {
    private let good: any VirtualCard
    private let first: Int
    private(set) var commands = 0

    init(_ good: any VirtualCard, from first: Int) {
        self.good = good
        self.first = first
    }
    var answerToReset: [UInt8] { good.answerToReset }
    var activation: ContactlessActivation { good.activation }
    func powerOn() { good.powerOn() }
    func powerOff() { good.powerOff() }
    func process(_ command: [UInt8]) -> [UInt8]? {
        commands += 1
        return commands <= first ? good.process(command) : [0x5A, 0x61, 0xFF]
    }
}

/// Cards pulled away, two at once, none at all, hostile ones; cancellation; readers that fail.
@Suite struct CardTroubleTests {
    static let cards = [
        "visa-credit", "visa-debit", "visa-no-oda", "apple-pay-visa", "google-pay-visa", "alipay-wallet",
        "mc-credit",
        "mc-debit", "mc-no-oda", "mc-mag-stripe", "mc-data-storage", "apple-pay-mastercard",
        "google-pay-mastercard",
    ]

    /// A card pulled at any command and tapped again ends as if nothing had been, and is charged once.
    @Test(arguments: cards, [true, false]) func tornAtEachCommand(_ id: String, _ reachesCard: Bool)
        async throws
    {
        let plain = try await Till()
        plain.field.present(try card(id))
        let undisturbed = try await plain.pay(1200)
        let commands = plain.log.commands
        for count in 0..<commands {
            let till = try await Till()
            let torn = TornCard(around: try card(id), .afterCommands(count), reachesCard: reachesCard)
            till.field.present(torn)
            let result = try await till.pay(1200)
            #expect(result.status == undisturbed.status, "after \(count) commands")
            #expect(result.online == undisturbed.online, "after \(count) commands")
            #expect(try await till.state(result) == plain.state(undisturbed))
            #expect(till.log.messages.contains(.presentCardAgain) || till.log.messages.contains(.presentCard))
            let spent = await till.host.issuer.state.ledger.entries.count
            #expect(await plain.host.issuer.state.ledger.entries.count == spent)
        }
    }

    /// A card that never holds still ends the payment after a bounded number of attempts.
    @Test func alwaysTorn() async throws {
        let till = try await Till()
        till.field.present(TornCard(around: try card("visa-credit"), .afterCommands(1), times: 1000))
        let result = try await till.pay(1200)
        #expect(result.status == .ended)
        #expect(try await till.state(result) == .failed)
        #expect(await till.host.events.isEmpty)
    }

    /// A card that always promises one byte more, to every command or from some command on: GET RESPONSE counts as commands
    /// do, so that the payment ends.
    @Test(arguments: [0, 1, 2, 3]) func alwaysOneByteMore(_ first: Int) async throws {
        let till = try await Till()
        let endless = EndlessCard(try card("visa-credit"), from: first)
        till.field.present(endless)
        let result = try await till.pay(1200)
        #expect(!result.isApproved)
        #expect(await till.host.events.isEmpty)
        #expect(
            (first + 2...till.environment.limits.commands).contains(endless.commands), "\(endless.commands)")
    }

    @Test func twoCardsAtOnce() async throws {
        var till = try await Till()
        till.field.present(try card("visa-credit"))
        till.field.present(try card("visa-debit"))
        let field = till.field
        let observer = till.environment.observer
        till.environment.observer = { event in
            observer?(event)
            if case .readerError(.collision) = event { field.leaveFirst() }
        }
        let result = try await till.pay(1200)
        #expect(result.isApproved)
        #expect(result.instrument?.primaryAccountNumber?.lastFour == "0119")
        #expect(till.log.messages.contains(.presentOneCardOnly))
    }

    @Test(.timeLimit(.minutes(1))) func nobodyComes() async throws {
        var till = try await Till()
        till.profile.timing.cardWait = .milliseconds(50)
        let result = try await till.pay(1200)
        #expect(result.status == .timedOut)
        #expect(try await till.state(result) == .cancelled)
    }

    @Test(.timeLimit(.minutes(1))) func cancelledWhileWaiting() async throws {
        let till = try await Till()
        let task = Task { try await till.pay(1200) }
        while till.log.messages.isEmpty { await Task.yield() }
        task.cancel()
        let result = try await task.value
        #expect(result.status == .cancelled)
        #expect(try await till.state(result) == .cancelled)
        #expect(await till.host.events.isEmpty)
    }

    /// Cancelled in the middle of the card: nothing is authorized. Cancelled once the host was asked: the
    /// payment is carried to its end.
    @Test(.timeLimit(.minutes(1)), arguments: 1...6) func cancelledAtEachCommand(_ count: Int) async throws {
        var till = try await Till()
        till.field.present(try card("visa-credit"))
        let box = Mutex<Task<PaymentResult, any Error>?>(nil)
        let isKnown = Recorded<Void>()
        let observer = till.environment.observer
        let seen = Mutex(0)
        till.environment.observer = { event in
            observer?(event)
            if case .response = event,
                seen.withLock({
                    $0 += 1
                    return $0
                }) == count
            {
                box.withLock { $0?.cancel() }
            }
        }
        let ready = till
        let task = Task {
            try await isKnown.wait(forCount: 1, "the task is known")
            return try await ready.pay(1200)
        }
        box.withLock { $0 = task }
        isKnown.append(())
        let result = try await task.value
        let commands = 5
        if count < commands {
            #expect(result.status == .cancelled)
            #expect(await till.host.events.isEmpty)
            #expect(try await till.state(result) == .cancelled)
        } else {
            let state = try await till.state(result)
            #expect(
                result.status == .cancelled && state == .cancelled || result.isApproved && state == .approved)
        }
    }

    @Test(.timeLimit(.minutes(1))) func cancelledAtTheHost() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        let asked = Recorded<Void>()
        let cancelled = Recorded<Void>()
        let host = ScriptedHost(answer: { _ in
            asked.append(())
            // The host goes on whatever its client does.
            _ = await Task { try? await cancelled.wait(forCount: 1, "the payment is cancelled") }.value
            return AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
        })
        let task = Task {
            try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 1200)))
        }
        try await asked.wait(forCount: 1, "the host is asked")
        task.cancel()
        cancelled.append(())
        let result = try await task.value
        #expect(result.isApproved)
        #expect(try await till.state(result) == .approved)
    }

    @Test(.timeLimit(.minutes(1))) func oneAtATime() async throws {
        let till = try await Till()
        let session = till.session()
        let task = Task { try await session.pay(PaymentRequest(amount: Amount(clamping: 1200))) }
        while till.log.messages.isEmpty { await Task.yield() }
        await #expect(throws: TerminalError.self) {
            try await session.pay(PaymentRequest(amount: Amount(clamping: 1300)))
        }
        task.cancel()
        _ = try await task.value
    }

    @Test func cashbackAboveTheAmountIsRefused() async throws {
        let till = try await Till()
        await #expect(throws: TerminalError.self) {
            try await till.session().pay(
                PaymentRequest(
                    amount: Amount(clamping: 1000), amountOther: Amount(clamping: 1001), type: .cashback))
        }
        #expect(try await till.journal.list(JournalFilter(), limit: 10).isEmpty)
    }

    /// A reader that goes away fails the payment; nothing is authorized.
    @Test func readerGoesAway() async throws {
        struct GoneReader: CardReader {
            let information = ReaderInformation(kind: .emulated, name: "gone")
            func activateCard(
                deadline: ContinuousClock.Instant?
            ) async throws(ReaderError) -> any CardChannel {
                throw .readerUnavailable(reader: "gone", reason: "unplugged")
            }
            func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool { true }
            func fieldOff() async {}
            func close() async {}
        }
        let till = try await Till()
        let result = try await till.session(reader: GoneReader()).pay(
            PaymentRequest(amount: Amount(clamping: 1200)))
        #expect(result.status == .failed)
        #expect(result.reason?.contains("unplugged") == true)
        #expect(try await till.state(result) == .failed)
    }

    /// Cards that change, cut, stretch or withhold any answer: every payment ends, the journal agrees with
    /// what the customer was told, and money moves only where the payment was approved.
    @Test(.timeLimit(.minutes(5)), arguments: cards + ["visa-expired", "visa-tampered", "visa-blocked"])
    func hostileCards(_ id: String) async throws {
        for seed in 0..<60 {
            let till = try await Till()
            till.field.present(HostileCard(around: try card(id), seed: UInt64(seed), chance: 0.25))
            let result = try await till.pay(1200)
            let state = try await till.state(result)
            let entries = await till.host.issuer.state.ledger.entries.count
            switch result.status {
            case .approved:
                #expect(result.online == true ? state == .approved : state == .forwarded, "seed \(seed)")
                #expect(entries == 1, "seed \(seed)")
            case .declined:
                #expect(state == .declined || state == .declinedOffline || state == .reversed, "seed \(seed)")
            default:
                #expect(state == .failed || state == .cancelled || state == .reversed, "seed \(seed)")
            }
            #expect(try await till.journal.verify().isSound)
            #expect(try await till.journal.unfinished(terminal: till.profile.terminalID).isEmpty)
        }
    }
}
