import BERTLV
import Cards
import EMV
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

/// What the Entry Point does between a kernel's outcome and the next one (Book B, 3.5), beyond single outcomes.
@Suite struct InterludeTests {
    static let names = ["A0000000010001", "A0000000020002", "A0000000030003"]
    static let combinations = names.map { combination($0, 0x3F) }
    static let entries = names.enumerated().map {
        DirectoryEntry($1, priority: UInt8($0 + 1), kernel: "3F")
    }
    static let message = UserInterfaceRequest(.processingError, .processingError)

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var outcome: Outcome
        var displayed: [UserInterfaceRequest.Message]
        var fieldOffs: [UInt32] = []
        var activations: Int
        var selected: [String]
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "Try Again, nothing else", outcome: Outcome(.tryAgain),
            displayed: [.presentCard, .presentCard],
            activations: 2, selected: [names[0], names[0]]),
        Case(
            name: "Try Again, message", outcome: Outcome(.tryAgain, uiRequestOnOutcome: message),
            displayed: [.presentCard, .processingError, .presentCard], activations: 2,
            selected: [names[0], names[0]]),
        Case(
            name: "Try Again, field off", outcome: Outcome(.tryAgain, fieldOffRequest: 10),
            displayed: [.presentCard, .presentCard], fieldOffs: [1000], activations: 2,
            selected: [names[0], names[0]]),
        Case(
            name: "Try Again, field off for no time", outcome: Outcome(.tryAgain, fieldOffRequest: 0),
            displayed: [.presentCard, .presentCard], fieldOffs: [0], activations: 2,
            selected: [names[0], names[0]]),
        Case(
            name: "Try Again, all of it",
            outcome: Outcome(
                .tryAgain, uiRequestOnOutcome: message,
                uiRequestOnRestart: UserInterfaceRequest(.presentCardAgain, .readyToRead),
                fieldOffRequest: 255),
            displayed: [.presentCard, .processingError, .presentCardAgain], fieldOffs: [25_500],
            activations: 2, selected: [names[0], names[0]]),
        Case(
            name: "Select Next, nothing else", outcome: Outcome(.selectNext), displayed: [.presentCard],
            activations: 1, selected: [names[0], names[1]]),
        Case(
            name: "Select Next, message", outcome: Outcome(.selectNext, uiRequestOnOutcome: message),
            displayed: [.presentCard, .processingError], activations: 1, selected: [names[0], names[1]]),
    ]

    @Test(arguments: cases) func interlude(_ c: Case) throws {
        var bench = Bench(Self.combinations, outcomes: [c.outcome], card: card(Self.entries))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.displayed.map(\.message) == c.displayed)
        #expect(bench.fieldOffs == c.fieldOffs)
        #expect(bench.activations == c.activations)
        #expect(bench.selected == c.selected)
    }

    /// Start B keeps what Start A found: indicators and TTQ are the same at each activation, the amount above the
    /// limits of before stays above them.
    @Test func tryAgainKeepsPreProcessing() throws {
        var visa = combination("A0000000031010", 3)
        visa.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3600_4000)
        visa.cvmRequiredLimit = Amount(minorUnits: 1000)
        visa.contactlessFloorLimit = Amount(minorUnits: 1000)
        var bench = Bench(
            [visa], outcomes: [Outcome(.tryAgain), Outcome(.tryAgain)],
            card: card([DirectoryEntry("A0000000031010")]))
        #expect(try bench.pay(5000).outcome.status == .approved)
        let found = bench.log.all.map { $0.1.indicators }
        #expect(found.count == 3)
        #expect(found.allSatisfy { $0 == found[0] && $0.cvmRequiredLimitExceeded })
        #expect(found[2].terminalTransactionQualifiers?.rawValue == 0x36C0_4000)
    }

    /// What a kernel puts by at Try Again comes back to it, and not into the next transaction.
    @Test func restartDataAfterTryAgain() throws {
        var bench = Bench(
            Self.combinations, outcomes: [Outcome(.tryAgain, restartData: [0x9F99: [1]])],
            card: card(Self.entries))
        _ = try bench.pay()
        _ = try bench.pay()
        #expect(bench.log.all.map { $0.1.restartData } == [nil, [0x9F99: [1]], nil])
    }

    /// Start D after Select Next goes into the kernel of the second combination.
    @Test func startDAfterSelectNext() throws {
        let online = Outcome(.requestOnlinePIN, start: .d)
        var bench = Bench(
            Self.combinations, outcomes: [Outcome(.selectNext), online], card: card(Self.entries))
        let waiting = try bench.pay()
        #expect(waiting.outcome.status == .requestOnlinePIN && waiting.candidatesLeft == 1)
        bench.commands = []
        let final = try bench.restart()
        #expect(final.outcome.status == .approved && bench.commands.isEmpty)
        let activated = bench.log.all.map { Hex.string($0.1.selectedApplication) }
        #expect(activated == [Self.names[0], Self.names[1], Self.names[1]])
        #expect(final.selected.map { Hex.string($0.applicationIdentifier) } == Self.names[1])
    }

    /// Select Next until none is left: End Application with the Entry Point's own message.
    @Test func noneLeft() throws {
        let next = Outcome(.selectNext)
        var bench = Bench(Self.combinations, outcomes: [next, next, next], card: card(Self.entries))
        let final = try bench.pay()
        #expect(final.outcome.status == .endApplication && final.candidatesLeft == 0)
        #expect(final.outcome.uiRequestOnOutcome?.message == .insertSwipeOrTryAnotherCard)
        #expect(bench.selected == Self.names)
    }

    /// What kernels told before the Entry Point went on is told with the final outcome (Book A, 6.2).
    @Test func earlierOutcomes() throws {
        let torn = Outcome(
            .tryAgain, start: .b, dataRecord: [0x5A: [1]], discretionaryData: [0xDF8115: [1], 0xFF8101: [2]])
        let next = Outcome(.selectNext, discretionaryData: [0xDF8115: [3]])
        var bench = Bench(Self.combinations, outcomes: [torn, next], card: card(Self.entries))
        let final = try bench.pay()
        #expect(final.outcome.status == .approved && final.earlier == [torn, next])
        bench.obstacles = []
        // The terminal ends it while the card is waited for: the Error Indication stays, the Data Record is not authorized.
        var stopped = Bench(Self.combinations, outcomes: [torn], card: card(Self.entries))
        stopped.obstacles = [.cardActivated, .kernel(.stop)]
        let end = try stopped.pay()
        #expect(end.outcome.status == .endApplication && end.outcome.dataRecord == nil)
        #expect(end.outcome.discretionaryData == torn.discretionaryData && end.earlier == [torn])
    }

    /// After Try Again the whole list is there again, with those that Select Next had taken away.
    @Test func tryAgainAfterSelectNext() throws {
        var bench = Bench(
            Self.combinations, outcomes: [Outcome(.selectNext), Outcome(.tryAgain)], card: card(Self.entries))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.selected == [Self.names[0], Self.names[1], Self.names[0]])
    }

    /// A combination whose kernel this terminal has not is passed over.
    @Test func missingKernel() throws {
        let entries = [
            DirectoryEntry("A0000000010001", priority: 1, kernel: "3E"),
            DirectoryEntry("A0000000020002", priority: 2, kernel: "3F"),
        ]
        var bench = Bench(
            [combination("A0000000010001", 0x3E), combination("A0000000020002", 0x3F)], kernels: [0x3F],
            card: card(entries))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.log.all.map(\.0) == [0x3F])
    }

    /// A combination that pre-processing ruled out is no candidate, however high the card ranks it.
    @Test func combinationNotAllowed() throws {
        var first = combination("A0000000010001", 0x3F)
        first.contactlessTransactionLimit = Amount(minorUnits: 100)
        var bench = Bench([first, combination("A0000000020002", 0x3F)], card: card(Self.entries))
        #expect(try bench.pay(200).outcome.status == .approved)
        #expect(bench.selected == ["A0000000020002"])
    }

    /// One name, any kernel: the terminal's order; the second is there for Select Next (2ED.014.00).
    @Test func sameNameTwice() throws {
        var bench = Bench(
            [combination("A0000000031010", 0x3D), combination("A0000000031010", 3)],
            outcomes: [Outcome(.selectNext)], card: card([DirectoryEntry("A0000000031010", kernel: "00")]))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.log.all.map(\.0) == [0x3D, 3])
    }

    /// The directory beside data objects that the reader does not know (2ED.003.01), and with a warning for a
    /// status word, which is not success.
    @Test func directoryWithMore() throws {
        let entry = DirectoryEntry("A0000000031010", kernel: "03").encoded
        func answer(_ status: [UInt8], _ around: [UInt8] = []) -> [UInt8] {
            var writer = BERTLVWriter()
            writer.template(0x6F) { fci in
                fci.append(0x84, Array("2PAY.SYS.DDF01".utf8))
                fci.append(encoded: around)
                fci.template(0xA5) { proprietary in
                    proprietary.append(0x88, [0x01])
                    proprietary.append(encoded: around)
                    proprietary.template(0xBF0C) { inside in
                        inside.append(0x9F08, [0x00, 0x02])
                        inside.append(encoded: around + entry + around)
                    }
                }
            }
            return writer.bytes + status
        }
        let plain = card([])
        for (directory, approved) in [
            (answer([0x90, 0x00]), true), (answer([0x90, 0x00], [0xDF, 0x01, 0x02, 0xAA, 0xBB]), true),
            (answer([0x62, 0x83]), false), (answer([0x63, 0x10]), false), (answer([0x61, 0x10]), false),
        ] {
            var bench = Bench([combination("A0000000031010", 3)]) { command in
                Hex.string(command).contains("325041592E") ? directory : plain(command)
            }
            #expect(try bench.pay().outcome.status == (approved ? .approved : .endApplication))
        }
    }

    /// "Present one card only" is said again for a second collision after a card in between.
    @Test func collisionAfterACard() throws {
        var bench = Bench(Self.combinations, outcomes: [Outcome(.tryAgain)], card: card(Self.entries))
        bench.obstacles = [.collision, .cardActivated, .collision, .collision]
        #expect(try bench.pay().outcome.status == .approved)
        #expect(
            bench.displayed.map(\.message) == [
                .presentCard, .presentOneCardOnly, .presentCard, .presentOneCardOnly,
            ])
        #expect(bench.activations == 5)
    }

    /// The card is silent at one command, whichever: asked for again and again where the line failed, the end where
    /// the reader itself did.
    @Test(arguments: ["visa-debit", "mc-debit"], [CommunicationError.timeout, .readerFailure])
    func silenceAtEachCommand(_ id: String, _ error: CommunicationError) throws {
        let reader = TestReader()
        let profile = try CardLibrary.profile(id)
        let whole = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 1))
        var good = Session(reader, whole)
        #expect(good.run(good.entryPoint.start(try reader.inputs(1000)))?.outcome.status == .approved)
        for silent in good.exchanges.indices {
            let emulated = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 1))
            var count = 0
            var session = Session(reader) { command in
                count += 1
                return count > silent ? nil : emulated.process(command)
            }
            session.powerOn = { emulated.powerOn() }
            session.silence = error
            let final = try #require(session.run(session.entryPoint.start(try reader.inputs(1000))))
            #expect(final.outcome.status == .endApplication, "command \(silent)")
            // Three presentments and then the stop, or one alone.
            #expect(session.taps == (error == .readerFailure ? 2 : 0), "command \(silent)")
        }
    }

    /// Extended selection stays with the combination: at the second presentment (2ED.001.01) and for the next candidate
    /// (2ED.002.01).
    @Test func extendedSelectionAfterARestart() throws {
        let names = ["A0000000040004", "A0000000050005"]
        let entries = [
            DirectoryEntry(names[0], priority: 1, kernel: "24", extended: "04"),
            DirectoryEntry(names[1], priority: 2, kernel: "24", extended: "0506"),
        ]
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8], authorisationResponseCode: [0x30, 0x30])
        var bench = Bench(
            names.map { combination($0, 0x24, extended: true) },
            outcomes: [Outcome(.selectNext), Outcome(.onlineRequest, start: .b)], card: card(entries))
        #expect(try bench.pay().outcome.status == .onlineRequest)
        #expect(bench.selected == ["A000000004000404", "A00000000500050506"])
        bench.commands = []
        #expect(try bench.restart(update).outcome.status == .approved)
        #expect(bench.selected == ["A00000000500050506"] && bench.commands.count == 1)
    }

    /// The line fails at the second presentment: the card is asked for again, and gets the same answer (3.3.3.7).
    @Test func silenceAtTheSecondPresentment() throws {
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8], authorisationResponseCode: [0x30, 0x30])
        let good = card(Self.entries)
        var silences = 0
        var bench = Bench(Self.combinations, outcomes: [Outcome(.onlineRequest, start: .b)]) { command in
            silences -= 1
            return silences == 0 ? nil : good(command)
        }
        _ = try bench.pay()
        bench.commands = []
        silences = 1
        #expect(try bench.restart(update).outcome.status == .approved)
        #expect(bench.selected == [Self.names[0], Self.names[0]] && bench.commands.count == 2)
        #expect(bench.log.all.last?.1.issuerUpdate == update)
    }

    /// A stop at any point ends the transaction, whatever state it is in, with one more event.
    @Test func stopAnywhere() throws {
        for length in 0..<12 {
            var entryPoint = EntryPoint(
                configuration: EntryPointConfiguration(
                    combinations: [combination("A0000000031010", 3)],
                    terminal: TerminalConfiguration(data: [:])),
                kernels: .all)
            let answers = card([DirectoryEntry("A0000000031010")])
            var action = entryPoint.start(try inputs(1000))
            for _ in 0..<length {
                switch action {
                case .activateCard: action = entryPoint.handle(.cardActivated)
                case .kernel(.transmit(let command)):
                    let answer = try #require(answers(command.bytes))
                    action = entryPoint.handle(
                        .kernel(.response(try ResponseAPDU(bytes: answer), microseconds: 1)))
                case .kernel(.drawUnpredictableNumber):
                    action = entryPoint.handle(.kernel(.unpredictableNumber(1)))
                case .outcome: break
                default: action = entryPoint.handle(.kernel(.done))
                }
            }
            guard case .outcome(let final) = entryPoint.handle(.kernel(.stop)) else {
                Issue.record("no outcome after a stop at step \(length)")
                continue
            }
            #expect(final.outcome.status == .endApplication)
        }
    }
}

/// Events in any order, straight into the kernels: an outcome or a further action, never a trap; a finished kernel
/// stays finished.
@Suite struct KernelEventTests {
    @Test(arguments: [2, 3] as [KernelIdentifier]) func eventsOutOfPlace(_ identifier: KernelIdentifier)
        throws
    {
        let responses = try [
            "9000", "6985", "6986", "6A82", "70009000", "77009000", "80009000", "770A8202390094049000",
            "7712820239809404100101009F36020001 9F270180 9000", "770E8202200094041001010057029F36 9000",
            "70055A03476173 9000",
            "800A00000000000100020003 9000", "FFFF", "7781", "70FF9000",
        ].map { try ResponseAPDU(bytes: try bytes($0)) }
        let fcis = try [
            "6F0F8407A0000000031010A5049F3801 9000", "6F138407A0000000031010A5089F38059F66049F02 9000",
            "9000",
            "6F168407A0000000031010A50B9F38089F66049F02069A03 9000", "6F098407A0000000041010 9000",
        ].map { try ResponseAPDU(bytes: try bytes($0)) }
        var state: UInt64 = 5
        func draw(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(count))
        }
        var outcomes: Set<Outcome.Status> = []
        for _ in 0..<4000 {
            let updates: [IssuerUpdate?] = [
                nil, nil,
                IssuerUpdate(
                    issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8],
                    issuerScripts: [0x71, 0x07, 0x86, 0x05, 0x04, 0x1E, 0, 0, 0],
                    authorisationResponseCode: [0x30, 0x30]),
            ]
            var kernel = try #require(
                KernelRegistry.all.make(
                    identifier,
                    KernelActivation(
                        combination: combination("A0000000031010", identifier),
                        indicators: PreProcessingIndicators(),
                        selectedApplication: [0xA0, 0, 0, 0, 0x03, 0x10, 0x10],
                        selectResponse: fcis[draw(fcis.count)], transaction: try inputs(1000),
                        unpredictableNumber: 1, terminal: TerminalConfiguration(data: [:]),
                        issuerUpdate: updates[draw(updates.count)])))
            var finished: Outcome?
            if case .outcome(let outcome) = kernel.start() { finished = outcome }
            for _ in 0..<14 {
                let event: KernelEvent =
                    switch draw(12) {
                    case 0: .done
                    case 1: .communicationError(.timeout)
                    case 2: .unpredictableNumber(7)
                    case 3: .timeout
                    case 4: .dataExchange([0x9F26: [1]])
                    case 5: draw(4) == 0 ? .stop : .done
                    default:
                        .response(
                            responses[draw(responses.count)], microseconds: UInt32(draw(4) * 1_000_000_000))
                    }
                guard case .outcome(let outcome) = kernel.handle(event) else {
                    #expect(finished == nil)
                    continue
                }
                if let finished { #expect(outcome == finished) }
                finished = outcome
                outcomes.insert(outcome.status)
            }
        }
        #expect(outcomes.contains(.endApplication) && outcomes.contains(.tryAgain))
        #expect(!outcomes.contains(.onlineRequest))
    }
}
