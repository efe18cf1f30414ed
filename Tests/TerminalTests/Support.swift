import Acquiring
import AcquirerSimulator
import Cards
import EMV
import EMVCryptography
import Foundation
import Issuing
import Journal
import Kernels
import CardReaders
import SmartCard
import Synchronization
import Testing

@testable import Terminal

/// A terminal with everything it needs, fresh: reader, host, journal; no waiting.
struct Till {
    var profile: TerminalProfile
    let field = EmulatedReader()
    let host: SimulatedAcquirer
    let journal: Journal
    let log = EventLog()
    var environment: TerminalEnvironment

    init(troubles: [String] = [], journal: Journal? = nil) async throws {
        profile = try TerminalProfile.builtIn()
        profile.timing.authorization = .seconds(5)
        profile.timing.cardWait = .seconds(10)
        host = SimulatedAcquirer(
            troubles: TroubleScript(rules: try troubles.map { try TroubleRule($0) }),
            answerTimeout: .milliseconds(50))
        if let journal { self.journal = journal } else { self.journal = try Journal.inMemory() }
        let counter = Mutex<UInt32>(0x1000)
        let date = try #require(EMVDate(year: 2026, month: 11, day: 20))
        let log = log
        environment = TerminalEnvironment(
            now: { (date, 101_500) },
            unpredictableNumber: {
                counter.withLock {
                    $0 &+= 0x9E37_79B9
                    return $0
                }
            }, observer: { log.append($0) }, sleep: { _ in }, pinPad: try Self.pinPad(TestPIN.pin))
    }

    static func pinPad(_ digits: String?) throws -> PINPad {
        let pin = digits.flatMap { PIN($0) }
        return .software(key: try TestPIN.key()) { _ in pin }
    }

    static func approves(_ digits: String) async throws -> Bool {
        var till = try await Till()
        till.environment.pinPad = try pinPad(digits)
        till.field.present(try card("visa-debit"))
        return try await till.pay(8000).isApproved
    }

    func session(
        reader: (any CardReader)? = nil, backend: (any AcquirerBackend)? = nil
    ) -> TerminalSession {
        TerminalSession(
            profile: profile, reader: reader ?? field, backend: backend ?? host, journal: journal,
            environment: environment)
    }

    /// Takes a payment from what lies on the reader.
    func pay(_ cents: UInt64, type: TransactionType = .purchase) async throws -> PaymentResult {
        try await session().pay(PaymentRequest(amount: Amount(clamping: cents), type: type))
    }

    func state(_ result: PaymentResult) async throws -> TransactionState? {
        try await journal.show(result.transactionID)?.state
    }
}

/// What a session told its observer.
final class EventLog: Sendable {
    private let events = Mutex<[TerminalEvent]>([])
    func append(_ event: TerminalEvent) { events.withLock { $0.append(event) } }
    var all: [TerminalEvent] { events.withLock { $0 } }
    var messages: [UserInterfaceRequest.Message] {
        all.compactMap { if case .message(let message) = $0 { message.request.message } else { nil } }
    }
    var commands: Int { all.count { if case .command = $0 { true } else { false } } }
    var outcomes: [Outcome] {
        all.compactMap { if case .outcome(let final) = $0 { final.outcome } else { nil } }
    }
}

func card(_ id: String) throws -> EmulatedCard {
    let card = try EmulatedCard(profile: try CardLibrary.profile(id), state: nil)
    card.ownerUnlocksWhenAsked = true
    return card
}

/// A host that does what a test wants and counts what it is asked.
final class ScriptedHost: AcquirerBackend {
    let name: String
    let authorizations = Mutex<[AuthorizationRequest]>([])
    let reversals = Mutex<[ReversalRequest]>([])
    let advices = Mutex<[String]>([])
    private let answer: @Sendable (AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse
    private let reversal: @Sendable (ReversalRequest) async throws(AcquirerError) -> Void

    init(
        name: String = "scripted",
        answer:
            @escaping @Sendable (AuthorizationRequest) async throws(AcquirerError) ->
            AuthorizationResponse = { _ in
                AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
            },
        reversal: @escaping @Sendable (ReversalRequest) async throws(AcquirerError) -> Void = { _ in }
    ) {
        self.name = name
        self.answer = answer
        self.reversal = reversal
    }

    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        authorizations.withLock { $0.append(request) }
        return try await answer(request)
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        reversals.withLock { $0.append(request) }
        try await reversal(request)
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
        advices.withLock { $0.append(request.transactionID) }
    }
}
