import Acquiring
import AcquirerSimulator
import EMV
import Foundation
import Journal
import Synchronization
import Terminal
import Testing

@testable import TerminalService

/// Recovery belongs to the journal, not to the terminals that happen to be in the hall.
@Suite struct HallRecoveryTests {
    /// What the hall tells of reversals.
    struct Told {
        let observer: @Sendable (ObservedEvent) -> Void
        private let stream: AsyncStream<(id: String, delivered: Bool)>
        init() {
            let (stream, continuation) = AsyncStream.makeStream(of: (id: String, delivered: Bool).self)
            self.stream = stream
            observer = { event in
                if case .reversal(let request, let delivered) = event.event {
                    continuation.yield((request.transactionID, delivered))
                }
            }
        }
        /// Waits for one.
        func reversal(of id: String, delivered: Bool = true) async {
            for await told in stream where told == (id, delivered) { return }
        }
    }

    /// A host whose line carries no reversal until it is opened.
    final class Gate: AcquirerBackend {
        let base: SimulatedAcquirer
        let isOpen = Mutex(false)
        init(base: SimulatedAcquirer) { self.base = base }
        var name: String { base.name }
        func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
            try await base.authorize(request)
        }
        func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
            guard isOpen.withLock({ $0 }) else { throw .unreachable("no line") }
            try await base.reverse(request)
        }
        func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
            try await base.advise(request, offline: offline)
        }
    }

    static func left(
        _ journal: Journal, _ terminal: String, _ state: TransactionState = .authorizing
    ) async throws -> String {
        let id = try await journal.begin(
            TransactionIntent(
                terminalID: terminal, merchantID: "MERCHANT0000001", amount: Amount(clamping: 2000),
                currency: try #require(NumericCode(978)), currencyExponent: 2, transactionType: 0)
        ).id
        guard state != .started else { return id }
        try await journal.requestWritten(id, nil, keeping: nil)
        try await journal.authorizing(id, backend: "simulator")
        if state == .reversalDue { try await journal.reversalDue(id, reason: "timeout") }
        return id
    }

    /// A client added CLIENT01 and a process died with a payment at the host: the next run reverses it, without that terminal,
    /// and when it comes again it takes payments as if nothing had been.
    @Test(.timeLimit(.minutes(5))) func aTerminalThatIsNotThereAnyMore() async throws {
        let journal = try Journal.inMemory()
        let sent = try await Self.left(journal, "CLIENT01")
        let unsent = try await Self.left(journal, "CLIENT02", .started)
        let told = Told()
        let house = try await House(journal: journal, observer: told.observer)
        #expect(try await journal.show(unsent)?.state == .cancelled)
        await told.reversal(of: sent)
        let terminal = try house.hall.addTerminal(id: "CLIENT01")
        await terminal.recover()
        let paid = try await house.pay(House.order(1250, cards: ["visa-credit"], terminal: "CLIENT01"))
        #expect(paid.result?.status == "approved")
        #expect(try await journal.show(sent)?.state == .reversed)
    }

    /// What is left behind while the daemon runs is found by the terminal that is made, and by the hall's own round.
    @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func whileRunning(_ isMade: Bool) async throws {
        let told = Told()
        let house = try await House(observer: told.observer)
        let id = try await Self.left(house.journal, "CLIENT01")
        if isMade {
            try await house.hall.addTerminal(id: "CLIENT01").recover()
            #expect(try await house.journal.show(id)?.state != .authorizing)
        } else {
            // Somebody removes another terminal: the hall looks.
            try await house.hall.removeTerminal("TERM0001")
        }
        await told.reversal(of: id)
    }

    /// A terminal that owes something is not removed, and what it owes is said; by the configuration it is, and the delivery goes on.
    @Test(.timeLimit(.minutes(5))) func aTerminalThatOwesSomething() async throws {
        let told = Told()
        let gate = Gate(
            base: SimulatedAcquirer(
                troubles: TroubleScript(rules: [try TroubleRule("always: silence")]),
                answerTimeout: .milliseconds(50)))
        let house = try await House(terminals: 2, observer: told.observer) { $0.backend = gate }
        let paid = try await house.pay(House.order(1250, cards: ["visa-credit"], terminal: "TERM0002"))
        await told.reversal(of: paid.id, delivered: false)
        #expect(try await house.journal.show(paid.id)?.state == .reversalDue)
        await #expect {
            try await house.hall.removeTerminal("TERM0002")
        } throws: { error in
            let problem = error as? Problem
            return problem?.status == 409 && problem?.detail?.contains("1 reversal-due") == true
        }
        // It is still in use.
        #expect(throws: Never.self) { try house.hall.terminal("TERM0002") }
        gate.isOpen.withLock { $0 = true }
        try await house.hall.removeTerminal("TERM0002", leavingWhatItOwes: true)
        await told.reversal(of: paid.id)
        #expect(house.hall.terminal(named: "TERM0002") == nil)
    }

    /// What is owed for terminals that are not there is seen.
    @Test(.timeLimit(.minutes(5))) func theirBacklogIsSeen() async throws {
        let journal = try Journal.inMemory()
        let id = try await Self.left(journal, "CLIENT01", .reversalDue)
        try await journal.parked(id, reason: "the host refused it")
        let house = try await House(journal: journal)
        #expect(await house.hall.absentBacklog() == 1)
        #expect(try await journal.show(id)?.isParked == true)
        try house.hall.addTerminal(id: "CLIENT01")
        #expect(await house.hall.absentBacklog() == 0)
    }
}
