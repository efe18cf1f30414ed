import EMVCryptography
import Acquiring
import AcquirerSimulator
import EMV
import Foundation
import Issuing
import Journal
import CardReaders
import Synchronization
import TestTools
import Testing

@testable import Terminal
@testable import TerminalService

/// A hall with everything it needs, fresh.
struct House {
    let hall: TerminalHall
    let journal: Journal
    let host: SimulatedAcquirer

    init(
        terminals: Int = 1, troubles: [String] = [], cardWait: Duration = .seconds(20),
        journal: Journal? = nil,
        answerTimeout: Duration = .milliseconds(50),
        observer: (@Sendable (ObservedEvent) -> Void)? = nil,
        change: (inout TerminalHall.Options) -> Void = { _ in }
    ) async throws {
        var profile = try TerminalProfile.builtIn()
        profile.timing.authorization = .seconds(5)
        profile.timing.cardWait = cardWait
        let journal = try journal ?? Journal.inMemory()
        self.journal = journal
        host = SimulatedAcquirer(
            issuer: try IssuerSimulator(world: .test, pinVerifier: TestPIN.verifier),
            troubles: TroubleScript(rules: try troubles.map { try TroubleRule($0) }),
            answerTimeout: answerTimeout)
        var options = TerminalHall.Options(
            profile: profile, journal: journal, backend: host, observer: observer)
        options.traceDirectory =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("apdu-traces").path
        change(&options)
        hall = TerminalHall(options)
        for _ in 0..<terminals { try hall.addTerminal() }
        try await hall.start()
    }

    var stage: Stage { get throws { try hall.terminal("TERM0001").stage } }

    static func order(
        _ amount: UInt64, cards: [String]? = nil, removal: RemovalScript? = nil,
        terminal: String = "TERM0001",
        type: TransactionType = .purchase, purpose: AuthorizationPurpose = .sale, original: String? = nil,
        key: String = UUID().uuidString, wait: Duration? = nil
    ) -> PaymentOrder {
        PaymentOrder(
            terminal: terminal, amount: Amount(clamping: amount), amountOther: .zero, type: type,
            purpose: purpose,
            original: original, acceptsPartialApproval: false, cardWait: wait,
            tap: cards.map { TapOrder(cards: $0, removal: removal) }, key: key)
    }

    /// Takes a payment to its end.
    func pay(_ order: PaymentOrder) async throws -> PaymentView {
        let begun = try await hall.pay(order).payment
        await hall.livePayment(begun.id)?.finished.wait()
        return try await hall.payment(begun.id)
    }

    func types(of payment: String) throws -> [String] {
        try #require(hall.livePayment(payment)).events.map(\.type)
    }
}

/// Waits until something holds, which the expectation around it names.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    try await TestTools.eventually("this holds", condition)
    return true
}

extension ServiceEvent {
    var object: [String: Any] {
        get throws { try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any]) }
    }
}

/// Runs what blocks on a thread of its own.
func onThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
}
