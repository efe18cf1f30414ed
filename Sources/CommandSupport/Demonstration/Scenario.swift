package import AcquirerSimulator
internal import CardReaders
package import Cards
internal import EMV
internal import EMVCryptography
package import Journal
internal import Kernels
package import SmartCard
import Synchronization
package import Terminal
package import Traces

/// A payment that the demonstration plays and that `apdu-traces` keeps: who taps what, what goes wrong, and
/// how it must end.
package struct Scenario: Sendable {
    /// File name of its trace.
    package var id: String
    package var title: String
    /// Card profiles that come into the field together; after a collision the first one stays.
    package var cards: [String]
    package var amount: UInt64
    package var type: TransactionType = .purchase
    /// Puts something between reader and card.
    package var wrap: @Sendable (EmulatedCard) -> any VirtualCard = { $0 }
    /// Verified before the tap, as Apple Pay asks; else when the phone asks for it.
    package var unlockedBefore = false
    /// What is entered where the online PIN is asked for.
    package var pin = TestPIN.pin
    /// Rules of what goes wrong at the host.
    package var troubles: [String] = []
    /// Another terminal profile than the built-in one, as text.
    package var profile: String?
    /// How long this terminal waits for its host, where not as in the profile.
    package var authorizationTime: Duration?
    package var expected: PaymentResult.Status
    /// Whether the host decides; nil where nobody does.
    package var online: Bool?
    /// Part of the demonstration, not only of the traces.
    package var isShown = true

    /// A terminal for Mastercard alone with one data object of its own.
    package static func mastercardTerminal(_ line: String) -> String {
        """
        extends: built-in
        combinations:
          - aid: "A0000000041010"
            kernel: 2
            limits: { transaction: 500.00, floor: 15.00, cvm-required: 50.00 }
            data:
              9F09: "0002"
              \(line)
              DF8118: 60
              DF8119: "08"
              DF811B: B0
              DF811F: "08"
              DF8120: F45084800C
              DF8121: "0000000000"
              DF8122: F45084800C

        """
    }

    /// A gate of the operator 8199829983998499: data exchange on, with what it writes.
    package static let dataStorageTerminal = """
        # A gate of a transit operator: it keeps its data on the card (Book C-2, integrated data storage).
        extends: built-in
        combinations:
          - aid: "A0000000041010"
            kernel: 2
            limits: { transaction: 500.00, floor: 15.00, cvm-required: 50.00 }
            data:
              9F09: "0002"
              DF8117: E0
              DF8118: 60
              DF8119: "08"
              DF811B: B0              # EMV mode only
              DF811F: "08"
              DF8120: F45084800C
              DF8121: "0000000000"
              DF8122: F45084800C
              DF810D: "01"            # data storage version of the terminal
              9F5C: ""                # the terminal gives them when the kernel asks:
              DF60: ""
              DF62: ""
              DF63: ""
              DF8108: "40"            # DS AC Type: TC
              DF8109: "1223344556677889" # DS Input (Term)
              DF810A: "E0"            # DS ODS Info For Reader: usable for TC, ARQC and AAC
        data-exchange:
          9F5C: "8199829983998499"    # DS Requested Operator ID
          DF60: "0000000000000000"    # DS Input (Card): a free slot asks for no proof
          DF62: "80"                  # DS ODS Info: a permanent slot
          DF63: "426572C46E20476174652037" # DS ODS Term: the operator's data

        """

    package static let all: [Scenario] = [
        Scenario(
            id: "visa-credit-online", title: "A credit card, authorized online", cards: ["visa-credit"],
            amount: 1250, expected: .approved, online: true),
        Scenario(
            id: "visa-debit-offline", title: "A debit card, approved offline: fast DDA and a TC",
            cards: ["visa-debit"], amount: 990, expected: .approved, online: false),
        Scenario(
            id: "apple-pay-visa", title: "Apple Pay: a device token, cardholder verified on the phone",
            cards: ["apple-pay-visa"], amount: 6400, unlockedBefore: true, expected: .approved, online: true),
        Scenario(
            id: "google-pay-visa", title: "Google Pay, locked: \"see phone\", unlocked, tapped again",
            cards: ["google-pay-visa"], amount: 6400, expected: .approved, online: true),
        Scenario(
            id: "alipay-wallet", title: "A wallet on a stored-value account in another currency",
            cards: ["alipay-wallet"], amount: 2000, expected: .approved, online: true),
        Scenario(
            id: "visa-debit-issuer-scripts",
            title: "A debit card above the floor limit: the issuer's answer goes back to the card",
            cards: ["visa-debit"], amount: 3000, expected: .approved, online: true),
        Scenario(
            id: "visa-debit-online-pin", title: "A debit card above the CVM limit: online PIN",
            cards: ["visa-debit"], amount: 8000, expected: .approved, online: true),
        Scenario(
            id: "mc-credit-online", title: "A Mastercard credit card: Kernel 2, CDA, relay resistance",
            cards: ["mc-credit"], amount: 1250, expected: .approved, online: true),
        Scenario(
            id: "mc-debit-offline", title: "A Mastercard debit card, approved offline: CDA and a TC",
            cards: ["mc-debit"], amount: 1100, expected: .approved, online: false),
        Scenario(
            id: "mc-debit-online-pin", title: "A Mastercard debit card above the CVM limit",
            cards: ["mc-debit"],
            amount: 8000, expected: .approved, online: true, isShown: false),
        Scenario(
            id: "mc-credit-torn",
            title: "A Mastercard pulled away during GENERATE AC: RECOVER AC at the second tap",
            cards: ["mc-credit"],
            amount: 1350, wrap: { TornCard(around: $0, .duringInstruction(0xAE)) }, expected: .approved,
            online: true),
        Scenario(
            id: "mc-data-storage",
            title: "A transit operator writes its data to a card under the card's signature",
            cards: ["mc-data-storage"], amount: 280, profile: dataStorageTerminal, expected: .approved,
            online: false),
        Scenario(
            id: "mc-declines", title: "A Mastercard that declines: insert the card", cards: ["mc-declines"],
            amount: 990, expected: .tryAnotherInterface, isShown: false),
        Scenario(
            id: "mc-refund", title: "A refund to a Mastercard", cards: ["mc-debit"], amount: 1250,
            type: .refund,
            expected: .approved, online: true, isShown: false),
        Scenario(
            id: "mc-no-oda", title: "A Mastercard without offline data authentication", cards: ["mc-no-oda"],
            amount: 700, expected: .approved, online: true, isShown: false),
        Scenario(
            id: "mc-mag-stripe", title: "A Mastercard of mag-stripe mode: CVC3 in the track",
            cards: ["mc-mag-stripe"],
            amount: 900, expected: .approved, online: true, isShown: false),
        Scenario(
            id: "apple-pay-mastercard", title: "Apple Pay with a Mastercard token",
            cards: ["apple-pay-mastercard"],
            amount: 6400, unlockedBefore: true, expected: .approved, online: true, isShown: false),
        Scenario(
            id: "google-pay-mastercard",
            title: "Google Pay with a Mastercard token, \"see phone\" above the CVM limit",
            cards: ["google-pay-mastercard"], amount: 6400, expected: .approved, online: true),
        Scenario(
            id: "visa-no-oda", title: "A card without offline data authentication", cards: ["visa-no-oda"],
            amount: 700, expected: .approved, online: true, isShown: false),
        Scenario(
            id: "visa-poor", title: "Not enough money: the host declines", cards: ["visa-poor"], amount: 2500,
            expected: .declined, online: true),
        Scenario(
            id: "visa-expired", title: "An expired card: declined offline", cards: ["visa-expired"],
            amount: 990, expected: .declined, online: false),
        Scenario(
            id: "visa-tampered", title: "A tampered certificate: fast DDA fails", cards: ["visa-tampered"],
            amount: 990, expected: .declined, online: false),
        Scenario(
            id: "visa-blocked", title: "A blocked application", cards: ["visa-blocked"], amount: 990,
            expected: .ended),
        Scenario(
            id: "amount-above-contactless-limit", title: "An amount above the contactless limit",
            cards: ["visa-credit"], amount: 60000, expected: .tryAnotherInterface, isShown: false),
        Scenario(
            id: "merchant-refuses-apple-pay", title: "A merchant that has switched Apple Pay off",
            cards: ["apple-pay-visa"], amount: 1500, unlockedBefore: true,
            profile: """
                # A chain that has switched Apple Pay off, by its token requestor.
                extends: built-in
                acceptance:
                  refuse:
                    - name: Apple Pay
                      token-requestors: ["40010030273"]
                      text: Apple Pay is not accepted here

                """, expected: .refusedByMerchant),
        Scenario(
            id: "card-torn", title: "A card pulled away too early, then tapped again",
            cards: ["visa-credit"], amount: 1800,
            wrap: { TornCard(around: $0, .duringInstruction(0xB2)) }, expected: .approved, online: true),
        Scenario(
            id: "two-cards", title: "Two cards at once", cards: ["visa-credit", "visa-debit"], amount: 2200,
            expected: .approved, online: true),
        Scenario(
            id: "host-silent", title: "The host does not answer: declined here, reversed there",
            cards: ["visa-credit"], amount: 4200, troubles: ["silence"],
            authorizationTime: .seconds(1), expected: .failed),
        Scenario(
            id: "host-unreachable", title: "The host cannot be reached", cards: ["visa-credit"], amount: 4300,
            troubles: ["unreachable"], expected: .declined, isShown: false),
        Scenario(
            id: "host-declines", title: "The host declines with 05", cards: ["visa-debit"], amount: 3100,
            troubles: ["decline 05"], expected: .declined, online: true, isShown: false),
        Scenario(
            id: "visa-debit-wrong-pin", title: "A wrong PIN: the issuer declines", cards: ["visa-debit"],
            amount: 7700, pin: "9999", expected: .declined, online: true, isShown: false),
        Scenario(
            id: "refund", title: "A refund", cards: ["visa-credit"], amount: 1250, type: .refund,
            expected: .approved, online: true, isShown: false),
        Scenario(
            id: "mc-declined", title: "A Mastercard that declines, where no card can be inserted",
            cards: ["mc-declines"], amount: 990,
            profile: mastercardTerminal("DF8117: C0               # no contact reader"), expected: .declined,
            online: false, isShown: false),
        Scenario(
            id: "mc-cda-fails", title: "A Mastercard whose signature is not over its answer",
            cards: ["mc-debit"],
            amount: 1100, wrap: { SpoiltCounter($0) }, expected: .ended, isShown: false),
        Scenario(
            id: "mc-select-next",
            title: "An amount above Kernel 2's own limit: Select Next, no candidate left",
            cards: ["mc-debit"], amount: 1250,
            profile: mastercardTerminal("DF8124: \"000000001000\"   # reader contactless transaction limit"),
            expected: .ended, isShown: false),
        Scenario(
            id: "visa-oda-online",
            title: "A terminal that authenticates the card before it asks the host: signed data format 95",
            cards: ["visa-debit"], amount: 2000,
            profile: """
                extends: built-in
                combinations:
                  - aid: "A0000000031010"
                    kernel: 3
                    limits: { transaction: 500.00, floor: 15.00, cvm-required: 50.00 }
                    ttq: "3700C000"   # with offline data authentication for online authorizations
                    data: { 9F09: "0105" }

                """, expected: .approved, online: true, isShown: false),
    ]
}

extension Scenario {
    /// The file name of its own profile, beside its trace.
    package var profileFile: String? { profile == nil ? nil : id + ".profile.yaml" }

    package func terminalProfile() throws -> TerminalProfile {
        var result: TerminalProfile
        do {
            if let profile, let profileFile {
                result = try TerminalProfile(text: profile, source: profileFile)
            } else {
                result = try TerminalProfile.builtIn()
            }
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        if let authorizationTime { result.timing.authorization = authorizationTime }
        return result
    }
}

/// The emulated world of a run of scenarios: cards with counters that go on, one host, no state elsewhere.
package actor ScenarioWorld {
    private var cards: [String: EmulatedCard] = [:]
    package let host: SimulatedAcquirer

    package init() throws { host = try SimulatedHost.make(keepsBooks: false) }

    /// Plays one scenario.
    /// - Parameters:
    ///   - recorder: gets the trace, where given.
    ///   - environment: what the terminal takes from outside; its observer is told everything.
    package func play(
        _ scenario: Scenario, profile: TerminalProfile, journal: Journal, recorder trace: TraceRecorder?,
        environment given: TerminalEnvironment
    ) async throws -> PaymentResult {
        await host.setTroubles(try SimulatedHost.script(scenario.troubles))
        let field = EmulatedReader()
        for id in scenario.cards {
            let card = try cards[id] ?? CardStore.take(id, fresh: true)
            cards[id] = card
            if scenario.unlockedBefore { card.unlock() } else { card.lock() }
            card.ownerUnlocksWhenAsked = true
            field.present(scenario.wrap(card))
        }
        var environment = given
        environment.observer = { event in
            given.observer?(event)
            if case .readerError(.collision) = event { field.leaveFirst() }
        }
        let pin = PIN(scenario.pin)
        let session = try TerminalAssembly(
            profile: profile, reader: field, backend: host, journal: journal, environment: environment,
            pinEntry: .software(counter: MemoryKeyCounter()) { _ in pin }, trace: trace
        ).terminal()
        let request = PaymentRequest(amount: Amount(clamping: scenario.amount), type: scenario.type)
        return try await session.pay(request)
    }
}

/// Counts up from a start.
package final class Counter: Sendable {
    private let value: Atomic<UInt32>
    package init(_ start: UInt32) { value = Atomic(start) }
    package func next() -> UInt32 { value.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// A genuine card whose transaction counter is changed on the way to the reader, in the answer to GENERATE AC: the
/// signature no longer fits.
private final class SpoiltCounter: VirtualCard {
    private let card: any VirtualCard
    init(_ card: any VirtualCard) { self.card = card }
    var answerToReset: [UInt8] { card.answerToReset }
    var activation: ContactlessActivation { card.activation }
    func powerOn() { card.powerOn() }
    func powerOff() { card.powerOff() }
    func process(_ command: [UInt8]) -> [UInt8]? {
        guard var answer = card.process(command) else { return nil }
        // Template 77 with a length of two bytes, 9F2701 CID, 9F3602 counter.
        if command.count > 1, command[1] == 0xAE, answer.count > 12, answer[7] == 0x9F, answer[8] == 0x36 {
            answer[11] ^= 0x01
        }
        return answer
    }
}
