import EMV
import Kernels
import CardReaders
import SmartCard
import Synchronization
import TestSupport
import Testing

@testable import Terminal

/// The loop between Entry Point and reader, with kernels that end as a test wants it.
@Suite struct DriverTests {
    /// Sends GET PROCESSING OPTIONS and ends with the next of the outcomes given.
    struct ScriptedKernel: Kernel {
        final class Script: Sendable {
            private let outcomes: Mutex<[Outcome]>
            init(_ outcomes: [Outcome]) { self.outcomes = Mutex(outcomes) }
            func next() -> Outcome {
                outcomes.withLock { $0.isEmpty ? Outcome(.endApplication) : $0.removeFirst() }
            }
        }
        let script: Script
        var outcome: Outcome?

        init(_ script: Script) { self.script = script }

        mutating func start() -> KernelAction {
            .transmit(CommandAPDU(cla: 0x80, ins: 0xA8, p1: 0, p2: 0, data: [0x83, 0x00]))
        }
        mutating func handle(_ event: KernelEvent) -> KernelAction {
            if let outcome { return .outcome(outcome) }
            var end = Outcome(.endApplication)
            if case .response(let response, _) = event, response.isSuccess { end = script.next() }
            outcome = end
            return .outcome(end)
        }
    }

    /// What a driver did.
    final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        func observe(_ event: TerminalEvent) {
            switch event {
            case .cardActivated: add("card")
            case .command(let command): add(command.bytes[1] == 0xA8 ? "options" : "select")
            case .outcome(let final): add("\(final.outcome.status)")
            case .fieldOff: add("field off")
            default: break
            }
        }
    }

    struct Bench {
        let field: EmulatedReader
        let log = Log()
        var driver: TransactionDriver
        var entryPoint: EntryPoint

        init(_ outcomes: [Outcome]) async throws {
            let till = try await ExampleKernelTests.till()
            let script = ScriptedKernel.Script(outcomes)
            var kernels = KernelRegistry()
            kernels.register(21) { _ in ScriptedKernel(script) }
            field = till.field
            driver = TransactionDriver(
                reader: till.field, observer: { [log] in log.observe($0) },
                show: { [log] in log.add("\($0.message)/\($0.status)") }, sleep: { _ in })
            entryPoint = EntryPoint(configuration: till.profile.configuration, kernels: kernels)
        }

        static var card: StubCard { ExampleKernelTests.closedLoopCard([0x77, 0x00]) }

        static func inputs() throws -> TransactionInputs {
            TransactionInputs(
                amount: Amount(clamping: 100), currency: try #require(NumericCode(978)),
                date: try #require(EMVDate(yymmdd: 261120)), hhmmss: 101_500, sequenceCounter: 1)
        }

        mutating func run(_ action: EntryPointAction) async -> Outcome? {
            guard case .outcome(let final) = await driver.run(&entryPoint, from: action) else { return nil }
            return final.outcome
        }
    }

    /// A restart at Start D goes straight into the kernel and one at Start C to the candidates, both with the card that lies there,
    /// though the run before is over (Book A, 8.1.1.9; 2EA.014.00, 2EA.016.00, 2ED.002.00).
    @Test(arguments: [
        (Start.d, ["options"]), (.c, ["select", "options"]), (.b, ["card", "select", "options"]),
    ])
    func cardStays(_ start: Start, _ expected: [String]) async throws {
        let online = Outcome(.onlineRequest, start: start, onlineResponse: .any)
        var bench = try await Bench([online, Outcome(.approved)])
        bench.field.present(Bench.card)
        #expect(await bench.run(bench.entryPoint.start(try Bench.inputs()))?.status == .onlineRequest)
        let before = bench.log.all.count
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8], authorisationResponseCode: [0x30, 0x30])
        // Also by a copy of the driver.
        let copy = bench.driver
        bench.driver = copy
        #expect(await bench.run(bench.entryPoint.restart(issuerUpdate: update))?.status == .approved)
        let done = bench.log.all.dropFirst(before).filter { !$0.contains("/") }
        #expect(done == expected + ["approved"])
    }

    /// Once the field is off there is no card to go on with.
    @Test func fieldOffLetsGo() async throws {
        let online = Outcome(.onlineRequest, start: .d, onlineResponse: .any)
        var bench = try await Bench([online, Outcome(.approved)])
        bench.field.present(Bench.card)
        #expect(await bench.run(bench.entryPoint.start(try Bench.inputs()))?.status == .onlineRequest)
        await bench.driver.fieldOff()
        #expect(await bench.run(bench.entryPoint.restart())?.status == .endApplication)
    }

    /// An End Application that names a start is followed, and its message shown (2EA.014.01, 2ED.019.01); not for ever.
    @Test func startsAreFollowed() async throws {
        var end = Outcome(.endApplication, start: .b)
        end.uiRequestOnOutcome = UserInterfaceRequest(.seePhone, .processingError)
        end.uiRequestOnRestart = UserInterfaceRequest(.presentCardAgain, .readyToRead)
        end.fieldOffRequest = 3
        var bench = try await Bench([end, Outcome(.approved)])
        bench.field.present(Bench.card)
        #expect(await bench.run(bench.entryPoint.start(try Bench.inputs()))?.status == .approved)
        #expect(
            bench.log.all == [
                "presentCard/readyToRead", "card", "select", "select", "options", "endApplication",
                "seePhone/processingError", "field off", "presentCardAgain/readyToRead", "card", "select",
                "select",
                "options", "approved",
            ])
        end.start = .d
        end.fieldOffRequest = nil
        var endless = try await Bench([Outcome](repeating: end, count: 100))
        endless.field.present(Bench.card)
        guard
            case .tooManyAttempts = await endless.driver.run(
                &endless.entryPoint, from: endless.entryPoint.start(try Bench.inputs()))
        else {
            Issue.record("it went on for ever")
            return
        }
    }

    /// Two cards that are both taken away again: the customer is told that the reader is ready (Book B, 3.2.1.5).
    @Test func collisionEnds() async throws {
        var bench = try await Bench([Outcome(.approved)])
        let (field, log) = (bench.field, bench.log)
        field.present(Bench.card)
        field.present(Bench.card)
        bench.driver.show = { request in
            log.add("\(request.message)/\(request.status)")
            guard request.message == .presentOneCardOnly else { return }
            if request.status == .contactlessCollision { field.remove() } else { field.present(Bench.card) }
        }
        #expect(await bench.run(bench.entryPoint.start(try Bench.inputs()))?.status == .approved)
        #expect(
            bench.log.all == [
                "presentCard/readyToRead", "presentOneCardOnly/contactlessCollision",
                "presentOneCardOnly/readyToRead", "card", "select", "select", "options", "approved",
            ])
    }
}
