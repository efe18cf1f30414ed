// guide: imports
import BERTLV
import EMV
import Kernels
import SmartCard
// guide: end
import TestSupport
import Testing

@testable import Terminal

// The example of docs/guide/7-kernel.md, which shows the lines between the marks.

// guide: kernel
/// A kernel for cards of a closed loop: it asks for the number, and the host decides.
struct ClosedLoopKernel: Kernel {
    enum State {
        case idle
        case waitingForProcessingOptions
        case finished(Outcome)
    }
    let activation: KernelActivation
    var state = State.idle

    init(_ activation: KernelActivation) { self.activation = activation }

    mutating func start() -> KernelAction {
        state = .waitingForProcessingOptions
        return .transmit(CommandAPDU(cla: 0x80, ins: 0xA8, p1: 0, p2: 0, data: [0x83, 0x00]))
    }

    mutating func handle(_ event: KernelEvent) -> KernelAction {
        switch (state, event) {
        case (.waitingForProcessingOptions, .response(let response, _)):
            guard response.isSuccess, let record = dataRecord(response) else {
                return finish(.endApplication)
            }
            return finish(.onlineRequest, record)
        case (.waitingForProcessingOptions, .communicationError):
            // The card left: try again from the activation of the card.
            return finish(.tryAgain)
        case (.finished(let outcome), _): return .outcome(outcome)
        default: return finish(.endApplication)
        }
    }

    /// Track 2 and transaction counter, both mandatory, from a template 77.
    private func dataRecord(_ response: ResponseAPDU) -> DataObjects? {
        var record = DataObjects()
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next(), template.tag == 0x77 else { return nil }
            var inside = reader.nested(template)
            while let element = try inside.next() { record.set(element.tag, response.bytes[element.value]) }
        } catch { return nil }
        guard record.contains(0x57), record.contains(0x9F36) else { return nil }
        record.set(0x84, activation.selectedApplication)
        return record
    }

    private mutating func finish(_ status: Outcome.Status, _ record: DataObjects? = nil) -> KernelAction {
        var outcome = Outcome(status, dataRecord: record)
        switch status {
        case .onlineRequest:
            outcome.cvm = .noCVM
            outcome.uiRequestOnOutcome = UserInterfaceRequest(.authorising, .cardReadSuccessfully)
        case .tryAgain:
            outcome.start = .b
            outcome.uiRequestOnRestart = UserInterfaceRequest(.presentCardAgain, .readyToRead)
        default: outcome.uiRequestOnOutcome = UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .notReady)
        }
        state = .finished(outcome)
        return .outcome(outcome)
    }
}
// guide: end

@Suite struct ExampleKernelTests {
    static func element(_ tag: BERTLV.Tag, _ value: [UInt8]...) -> [UInt8] {
        var writer = BERTLVWriter()
        writer.append(tag, value.flatMap { $0 })
        return writer.bytes
    }

    static let application: [UInt8] = [0xF0, 0, 0, 0, 0x01, 0, 0x01]

    /// - Parameter options: its answer to GET PROCESSING OPTIONS.
    static func closedLoopCard(_ options: [UInt8]) -> StubCard {
        let entry = element(
            0x61, element(0x4F, application), element(0x87, [1]), element(0x9F2A, [21]),
            element(0x50, Array("LOOP".utf8)))
        let directory = element(
            0x6F, element(0x84, Array("2PAY.SYS.DDF01".utf8)), element(0xA5, element(0xBF0C, entry)))
        let information = element(
            0x6F, element(0x84, application), element(0xA5, element(0x50, Array("LOOP".utf8))))
        return StubCard { command, _ in
            switch command.dropFirst().first {
            case 0xA4 where command == StubCard.selectPaymentSystemEnvironment: directory + [0x90, 0x00]
            case 0xA4: information + [0x90, 0x00]
            case 0xA8: options + [0x90, 0x00]
            default: [0x6D, 0x00]
            }
        }
    }

    static func till() async throws -> Till {
        var till = try await Till()
        // guide: profile
        let profile = """
            extends: built-in
            combinations:
              - aid: "F0000000010001"
                kernel: 21
                limits: { transaction: 100.00 }

            """
        // guide: end
        till.profile = try TerminalProfile(text: profile, source: "closed-loop.yaml")
        return till
    }

    @Test func numberGoesToTheHost() async throws {
        let till = try await Self.till()
        till.field.present(
            Self.closedLoopCard(
                Self.element(
                    0x77, Self.element(0x57, Hex.bytes("9999990000000015D31122010000000000000F") ?? []),
                    Self.element(0x9F36, [0, 7]))))
        let host = ScriptedHost()
        // guide: registration
        var kernels = KernelRegistry.all
        kernels.register(21) { ClosedLoopKernel($0) }
        let session = TerminalSession(
            profile: till.profile, reader: till.field, backend: host, journal: till.journal,
            environment: till.environment, kernels: kernels)
        // guide: end
        let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 250)))
        #expect(result.isApproved && result.online == true)
        #expect(result.outcome?.selected?.kernel == 21)
        #expect(result.instrument?.primaryAccountNumber?.masked == "999999******0015")
    }

    /// What the books prescribe for a card that gives nonsense holds for a kernel of one's own.
    @Test(arguments: ["", "77", "7700", "770157", "7703570100", "80020000", "6F00"])
    func nonsenseEndsTheApplication(_ options: String) async throws {
        let till = try await Self.till()
        till.field.present(Self.closedLoopCard(Hex.bytes(options) ?? []))
        var kernels = KernelRegistry.all
        kernels.register(21) { ClosedLoopKernel($0) }
        let session = TerminalSession(
            profile: till.profile, reader: till.field, backend: ScriptedHost(), journal: till.journal,
            environment: till.environment, kernels: kernels)
        let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 250)))
        #expect(result.status == .ended)
    }
}
