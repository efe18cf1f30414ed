import BERTLV
import EMV
import SmartCard
import Testing

@testable import Kernels

/// Start B (Book B, 3.2): messages, polling, collision.
@Suite struct ProtocolActivationTests {
    static let visa = [combination("A0000000031010", 3)]
    static let directory = [DirectoryEntry("A0000000031010", priority: 1)]

    /// "Present card", ready to read (2EC.004.00).
    @Test func presentCard() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        _ = try bench.pay()
        #expect(bench.displayed.map(\.message) == [.presentCard])
        #expect(bench.displayed.map(\.status) == [.readyToRead])
        #expect(bench.activations == 1)
    }

    /// A restart shows what the outcome asked for, or "present card" (2EC.002.00, 2EC.003.00).
    @Test func restartMessage() throws {
        for request in [UserInterfaceRequest(.seePhone, .readyToRead), nil] {
            let first = Outcome(.onlineRequest, start: .b, uiRequestOnRestart: request)
            var bench = Bench(Self.visa, outcomes: [first], card: card(Self.directory))
            #expect(try bench.pay().outcome.status == .onlineRequest)
            bench.displayed = []
            #expect(try bench.restart().outcome.status == .approved)
            #expect(bench.displayed.first?.message == request?.message ?? .presentCard)
        }
    }

    /// A new transaction forgets the restart of the one before (2EA.004.00).
    @Test func newTransactionForgetsTheRestart() throws {
        let first = Outcome(
            .onlineRequest, start: .b, uiRequestOnRestart: UserInterfaceRequest(.seePhone, .readyToRead))
        var bench = Bench(Self.visa, outcomes: [first], card: card(Self.directory))
        _ = try bench.pay()
        bench.displayed = []
        _ = try bench.pay()
        #expect(bench.displayed.map(\.message) == [.presentCard])
    }

    /// Said once, polled on (2EC.006.00, 2EC.007.00).
    @Test func collision() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        bench.obstacles = [.collision, .collision, .collision]
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.displayed.map(\.message) == [.presentCard, .presentOneCardOnly])
        #expect(bench.displayed.last?.status == .contactlessCollision)
        #expect(bench.activations == 4)
    }

    /// The end of a collision is announced: the same message, ready to read; and a card is waited for (Book B, 3.2.1.5).
    @Test func collisionEnds() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        bench.obstacles = [.collision, .collision, .collisionEnded, .collisionEnded, .collision]
        #expect(try bench.pay().outcome.status == .approved)
        #expect(
            bench.displayed.map(\.message) == [
                .presentCard, .presentOneCardOnly, .presentOneCardOnly, .presentOneCardOnly,
            ])
        #expect(
            bench.displayed.map(\.status) == [
                .readyToRead, .contactlessCollision, .readyToRead, .contactlessCollision,
            ])
    }

    @Test func failedActivationBeginsAgain() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        bench.obstacles = [.activationFailed]
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.activations == 2)
    }

    /// Cancelled while a card is waited for.
    @Test func stop() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        bench.obstacles = [.kernel(.stop)]
        #expect(try bench.pay().outcome.status == .endApplication)
        #expect(bench.commands.isEmpty)
    }
}

/// Start C (Book B, 3.3).
@Suite struct CombinationSelectionTests {
    /// The PPSE by its name, Le 00 (2ED.003.00).
    @Test func directoryIsSelected() throws {
        var bench = Bench([combination("A0000000031010", 3)], card: card([DirectoryEntry("A0000000031010")]))
        _ = try bench.pay()
        #expect(
            bench.commands == ["00A404000E325041592E5359532E444446303100", "00A4040007A000000003101000"])
    }

    /// Nothing to choose from: End Application, "insert, swipe or try another card" (2ED.004.00, 005.00, 008.00,
    /// 016.00).
    @Test(
        arguments: [
            [0x6A, 0x82], [0x90, 0x00], [0x6F, 0x00, 0x90, 0x00], [0x6F, 0x05, 0x84, 0x90, 0x00],
            [0x6F, 0x02, 0xA5, 0x00, 0x90, 0x00], [0x6F, 0x05, 0xA5, 0x03, 0xBF, 0x0C, 0x00, 0x90, 0x00],
            [0x77, 0x00, 0x90, 0x00], [0xFF, 0xFF, 0x90, 0x00],
        ] as [[UInt8]]) func emptyDirectory(_ answer: [UInt8]) throws
    {
        var bench = Bench([combination("A0000000031010", 3)]) { _ in answer }
        let final = try bench.pay()
        #expect(final.outcome.status == .endApplication)
        #expect(final.outcome.uiRequestOnOutcome?.message == .insertSwipeOrTryAnotherCard)
        #expect(final.selected == nil && bench.log.all.isEmpty && bench.commands.count == 1)
    }

    @Test func applicationUnknownToTheTerminal() throws {
        var bench = Bench([combination("A0000000031010", 3)], card: card([DirectoryEntry("A0000000041010")]))
        #expect(try bench.pay().outcome.status == .endApplication)
        #expect(bench.selected.isEmpty)
    }

    /// No answer to the directory's SELECT: back to polling.
    @Test func silenceBeginsAgain() throws {
        var count = 0
        let good = card([DirectoryEntry("A0000000031010")])
        var bench = Bench([combination("A0000000031010", 3)]) { command in
            count += 1
            return count == 1 ? nil : good(command)
        }
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.activations == 2)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var entry: DirectoryEntry
        var terminal: [(String, KernelIdentifier)]
        /// Nil: not taken.
        var kernel: KernelIdentifier?
        var testDescription: String { name }
    }

    static let kernelCases: [Case] = [
        Case(
            name: "default for Visa (2ED.009.00)", entry: .init("A0000000031010"),
            terminal: [("A0000000031010", 3)], kernel: 3),
        Case(
            name: "Visa, another kernel (2ED.009.01)", entry: .init("A0000000031010"),
            terminal: [("A0000000031010", 0x3D)], kernel: nil),
        Case(
            name: "default for Mastercard (2ED.009.02)", entry: .init("A0000000041010"),
            terminal: [("A0000000041010", 2)], kernel: 2),
        Case(
            name: "default for JCB (2ED.009.04)", entry: .init("A0000000651010"),
            terminal: [("A0000000651010", 5)], kernel: 5),
        Case(
            name: "default for American Express (2ED.009.06)", entry: .init("A000000025010701"),
            terminal: [("A00000002501", 4)], kernel: 4),
        Case(
            name: "default for Discover", entry: .init("A0000001523010"), terminal: [("A0000001523010", 6)],
            kernel: 6),
        Case(
            name: "default for ZIP", entry: .init("A0000003241010"), terminal: [("A0000003241010", 6)],
            kernel: 6),
        Case(
            name: "default for UnionPay", entry: .init("A000000333010101"),
            terminal: [("A000000333010101", 7)], kernel: 7),
        Case(
            name: "unknown RID, any kernel (2ED.011.00)", entry: .init("B0000000010101"),
            terminal: [("B0000000010101", 0x3B)], kernel: 0x3B),
        Case(
            name: "null length (2ED.009.10)", entry: .init("A0000000031010", kernel: ""),
            terminal: [("A0000000031010", 3)], kernel: 3),
        Case(
            name: "null value takes any (2ED.012.00)", entry: .init("A0000000031010", kernel: "00"),
            terminal: [("A0000000031010", 0x3D)], kernel: 0x3D),
        Case(
            name: "null value in three bytes", entry: .init("A0000000031010", kernel: "000000"),
            terminal: [("A0000000031010", 0x3D)], kernel: 0x3D),
        Case(
            name: "international, one byte (2ED.012.10)", entry: .init("A0000000010001", kernel: "3F"),
            terminal: [("A0000000010001", 0x3F)], kernel: 0x3F),
        Case(
            name: "international: further bytes do not count",
            entry: .init("A0000000010001", kernel: "3F1234"), terminal: [("A0000000010001", 0x3F)],
            kernel: 0x3F),
        Case(
            name: "international, not the terminal's", entry: .init("A0000000010001", kernel: "3E"),
            terminal: [("A0000000010001", 0x3F)], kernel: nil),
        Case(
            name: "domestic 810978 (2ED.012.10)", entry: .init("B0000000010101", kernel: "810978"),
            terminal: [("B0000000010101", 0x810978)], kernel: 0x810978),
        Case(
            name: "domestic BF0840", entry: .init("A0000000040004", kernel: "BF0840"),
            terminal: [("A0000000040004", 0xBF0840)], kernel: 0xBF0840),
        Case(
            name: "proprietary C11111", entry: .init("B0000000010101", kernel: "C11111"),
            terminal: [("B0000000010101", 0xC11111)], kernel: 0xC11111),
        Case(
            name: "proprietary FF2222", entry: .init("A0000000030003", kernel: "FF2222"),
            terminal: [("A0000000030003", 0xFF2222)], kernel: 0xFF2222),
        Case(
            name: "domestic, too short (2ED.010.00)", entry: .init("B0000000010101", kernel: "8109"),
            terminal: [("B0000000010101", 0x810978)], kernel: nil),
        Case(
            name: "domestic of another country", entry: .init("B0000000010101", kernel: "810840"),
            terminal: [("B0000000010101", 0x810978)], kernel: nil),
        Case(
            name: "domestic: byte 4 and on do not count",
            entry: .init("B0000000010101", kernel: "8109780102"), terminal: [("B0000000010101", 0x810978)],
            kernel: 0x810978),
        Case(
            name: "partial name", entry: .init("A000000003101001"), terminal: [("A0000000031010", 3)],
            kernel: 3),
        Case(
            name: "the card's name shorter than the terminal's", entry: .init("A0000000031010"),
            terminal: [("A000000003101001", 3)], kernel: nil),
        Case(
            name: "two kernels for one name: the requested one", entry: .init("A0000000031010", kernel: "3D"),
            terminal: [("A0000000031010", 3), ("A0000000031010", 0x3D)], kernel: 0x3D),
        Case(
            name: "name of 4 bytes (2ED.007.00)", entry: .init("A0000000"), terminal: [("A0000000", 3)],
            kernel: nil),
        Case(
            name: "name of 17 bytes", entry: .init("A000000003101001020304050607080910"),
            terminal: [("A0000000031010", 3)], kernel: nil),
        Case(
            name: "no name (2ED.007.01)", entry: .init("", raw: "5004544553548701019F2A0103"),
            terminal: [("A0000000031010", 3)], kernel: nil),
        Case(
            name: "broken entry", entry: .init("", raw: "4F07A0000000031010500954"),
            terminal: [("A0000000031010", 3)], kernel: nil),
    ]

    /// 9F2A in its forms, partial names, entries that are passed over; a good entry beside is still found.
    @Test(arguments: kernelCases) func requestedKernel(_ c: Case) throws {
        let combinations = c.terminal.map { combination($0.0, $0.1) } + [combination("A0000000999999", 0x20)]
        for withNeighbour in [false, true] {
            let neighbour = DirectoryEntry("A0000000999999", kernel: "20")
            var bench = Bench(combinations, card: card([c.entry] + (withNeighbour ? [neighbour] : [])))
            let final = try bench.pay()
            if let kernel = c.kernel {
                #expect(bench.log.all.map(\.0) == [kernel])
                #expect(final.outcome.status == .approved)
                #expect(final.selected.map { Hex.string($0.applicationIdentifier) } == c.entry.aid)
                #expect(bench.selected == [c.entry.aid])
            } else if withNeighbour {
                #expect(bench.log.all.map(\.0) == [0x20])
            } else {
                #expect(final.outcome.status == .endApplication)
            }
        }
    }

    /// By priority, then by place; no priority and 0 come last (2ED.013.00, 014.00, 015.00).
    @Test(
        arguments: [
            ([3, 1, 2], [1, 2, 0]), ([1, 1, 1], [0, 1, 2]), ([0, 2, 1], [2, 1, 0]),
            ([nil, 15, 1], [2, 1, 0]),
            ([nil, 0, nil], [0, 1, 2]), ([0xF2, 0x01, 0x83], [1, 0, 2]),
        ] as [([UInt8?], [Int])]) func order(_ priorities: [UInt8?], _ expected: [Int]) throws
    {
        let names = ["A0000000010001", "A0000000020002", "A0000000030003"]
        let combinations = names.map { combination($0, 0x3F) }
        let entries = zip(names, priorities).map { DirectoryEntry($0, priority: $1, kernel: "3F") }
        let next = Outcome(.selectNext)
        var bench = Bench(combinations, outcomes: [next, next, next], card: card(entries))
        let final = try bench.pay()
        #expect(bench.selected == expected.map { names[$0] })
        #expect(final.outcome.status == .endApplication)
    }

    /// Extended selection is appended where both know it and there is room (2ED.017.00, 018.00).
    @Test func extendedSelection() throws {
        func selected(_ aid: String, _ extended: String, supported: Bool) throws -> [String] {
            var bench = Bench(
                [combination("A0000000031010", 3, extended: supported)],
                card: card([DirectoryEntry(aid, extended: extended)]))
            _ = try bench.pay()
            return bench.selected
        }
        #expect(try selected("A0000000031010", "0102", supported: true) == ["A00000000310100102"])
        #expect(try selected("A0000000031010", "0102", supported: false) == ["A0000000031010"])
        #expect(
            try selected("A0000000031010", "010203040506070809", supported: true) == [
                "A0000000031010010203040506070809"
            ])
        #expect(try selected("A0000000031010", "01020304050607080910", supported: true) == ["A0000000031010"])
    }

    /// A refused application: the next candidate, the last one gone ends (2ED.019.00).
    @Test func refusedApplication() throws {
        let names = ["A0000000010001", "A0000000020002"]
        let entries = names.enumerated().map { DirectoryEntry($1, priority: UInt8($0 + 1), kernel: "3F") }
        var bench = Bench(names.map { combination($0, 0x3F) }, card: card(entries, refusing: [names[0]]))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.selected == names)
        var none = Bench(names.map { combination($0, 0x3F) }, card: card(entries, refusing: names))
        #expect(try none.pay().outcome.status == .endApplication)
    }

    /// No answer to the final SELECT: back to polling (2ED.022.00).
    @Test func communicationErrorBeginsAgain() throws {
        var silences = 1
        let good = card([DirectoryEntry("A0000000031010")])
        var bench = Bench([combination("A0000000031010", 3)]) { command in
            if Hex.string(command).contains("A0000000031010"), silences > 0 {
                silences -= 1
                return nil
            }
            return good(command)
        }
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.activations == 2)
        #expect(bench.commands.count == 4)
    }

    /// A Visa card without a wish for the TTQ goes to Kernel 1, or to the next one (2ED.020.00, 021.00).
    @Test func visaWithoutQualifiers() throws {
        let visa = [combination("A0000000031010", 3)]
        let old = "6F0F8407A0000000031010A504500254 45".replacing(" ", with: "")
        var without = Bench(visa, kernels: [3], card: card([DirectoryEntry("A0000000031010")], fci: old))
        #expect(try without.pay().outcome.status == .endApplication)
        var with = Bench(visa, kernels: [1, 3], card: card([DirectoryEntry("A0000000031010")], fci: old))
        #expect(try with.pay().outcome.status == .approved)
        #expect(with.log.all.map(\.0) == [1])
    }

    /// A hundred entries, and entries deep inside others: no trap, bounded work.
    @Test func absurdDirectories() throws {
        let many = (0..<60).map { _ in DirectoryEntry("A0000000031010", priority: 1) }
        let next = [Outcome](repeating: Outcome(.selectNext), count: 100)
        var bench = Bench([combination("A0000000031010", 3)], outcomes: next, card: card(many))
        #expect(try bench.pay().outcome.status == .endApplication)
        #expect(bench.selected.count == 60)
    }
}

/// Start D and outcome processing (Book B, 3.4 and 3.5).
@Suite struct OutcomeTests {
    static let visa = [combination("A0000000031010", 3)]
    static let directory = [DirectoryEntry("A0000000031010", priority: 1)]

    @Test func activationCarriesEverything() throws {
        var bench = Bench(Self.visa, card: card(Self.directory))
        _ = try bench.pay(1250)
        let (kernel, activation) = try #require(bench.log.all.first)
        #expect(kernel == 3)
        #expect(activation.transaction.amount.minorUnits == 1250)
        #expect(activation.unpredictableNumber == 0x1234_5678)
        #expect(Hex.string(activation.selectedApplication) == "A0000000031010")
        #expect(activation.selectResponse.isSuccess)
        #expect(activation.issuerUpdate == nil && activation.restartData == nil)
    }

    /// Every final outcome goes to the terminal as the kernel gave it, with all parameters.
    @Test(arguments: [
        Outcome.Status.approved, .declined, .onlineRequest, .requestOnlinePIN, .tryAnotherInterface,
        .endApplication,
    ]) func finalOutcomes(_ status: Outcome.Status) throws {
        let outcome = Outcome(
            status, start: .b, onlineResponse: .any, cvm: .signature,
            uiRequestOnOutcome: UserInterfaceRequest(.approved, .cardReadSuccessfully, holdTime: 10),
            uiRequestOnRestart: UserInterfaceRequest(.presentCardAgain, .readyToRead),
            dataRecord: [0x9F26: [1, 2]], discretionaryData: [0xDF8115: [3]], restartData: [0x9F99: [4]],
            alternateInterfacePreference: .contactChip, receiptRequested: true, fieldOffRequest: 13,
            removalTimeout: 100)
        var bench = Bench(Self.visa, outcomes: [outcome], card: card(Self.directory))
        let final = try bench.pay()
        #expect(final.outcome == outcome)
        #expect(final.selected?.kernel == 3)
        #expect(final.selected?.applicationLabel == "TEST")
        #expect(bench.fieldOffs.isEmpty)
        // Whatever comes after it changes nothing.
        #expect(try bench.run(bench.entryPoint.handle(.kernel(.done))) == final)
        #expect(try bench.run(bench.entryPoint.handle(.cardActivated)) == final)
        #expect(try bench.run(bench.entryPoint.handle(.kernel(.stop))) == final)
    }

    /// Try Again: message, field off, Start B with what the outcome wants shown (3.5.1.1).
    @Test func tryAgain() throws {
        let again = Outcome(
            .tryAgain, uiRequestOnOutcome: UserInterfaceRequest(.seePhone, .processingError),
            uiRequestOnRestart: UserInterfaceRequest(.presentCardAgain, .readyToRead), fieldOffRequest: 13)
        var bench = Bench(Self.visa, outcomes: [again], card: card(Self.directory))
        #expect(try bench.pay().outcome.status == .approved)
        #expect(bench.displayed.map(\.message) == [.presentCard, .seePhone, .presentCardAgain])
        #expect(bench.fieldOffs == [1300])
        #expect(bench.activations == 2)
        // The directory is read again.
        #expect(bench.commands.count == 4)
    }

    /// Select Next: the next candidate of the same list, without the field going off (3.5.1.2).
    @Test func selectNext() throws {
        let names = ["A0000000010001", "A0000000020002"]
        let entries = names.enumerated().map { DirectoryEntry($1, priority: UInt8($0 + 1), kernel: "3F") }
        var bench = Bench(
            names.map { combination($0, 0x3F) }, outcomes: [Outcome(.selectNext)], card: card(entries))
        let final = try bench.pay()
        #expect(final.outcome.status == .approved && final.candidatesLeft == 0)
        #expect(bench.selected == names && bench.activations == 1 && bench.commands.count == 3)
    }

    /// A second presentment with the issuer's answer selects the same combination at once (2ED.001.00); without
    /// anything for the card the directory is read again (2ED.001.01).
    @Test func restartAtB() throws {
        let online = Outcome(.onlineRequest, start: .b, onlineResponse: .emvData, restartData: [0x9F99: [7]])
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8], authorisationResponseCode: [0x30, 0x30])
        for given in [update, nil] {
            var bench = Bench(Self.visa, outcomes: [online], card: card(Self.directory))
            _ = try bench.pay()
            bench.commands = []
            #expect(try bench.restart(given).outcome.status == .approved)
            #expect(bench.commands.count == (given == nil ? 2 : 1))
            #expect(bench.log.all.last?.1.issuerUpdate == given)
            #expect(bench.log.all.last?.1.restartData == [0x9F99: [7]])
        }
    }

    /// With the issuer's answer a refused final SELECT ends it: there is no other candidate to go to (2ED.019.01).
    @Test func refusedAtTheSecondPresentment() throws {
        var refuses = false
        let good = card(Self.directory)
        var bench = Bench(Self.visa, outcomes: [Outcome(.onlineRequest, start: .b)]) { command in
            refuses ? [0x6A, 0x82] : good(command)
        }
        _ = try bench.pay()
        refuses = true
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3], authorisationResponseCode: [0x30, 0x30])
        #expect(try bench.restart(update).outcome.status == .endApplication)
    }

    /// Start C goes on with the candidates (2ED.002.00), Start D straight into the kernel, Start A from the beginning.
    @Test func otherRestarts() throws {
        let names = ["A0000000010001", "A0000000020002"]
        let entries = names.enumerated().map { DirectoryEntry($1, priority: UInt8($0 + 1), kernel: "3F") }
        for (start, commands, activations) in [(Start.c, 1, 1), (.d, 0, 1), (.a, 2, 2)] {
            var bench = Bench(
                names.map { combination($0, 0x3F) }, outcomes: [Outcome(.onlineRequest, start: start)],
                card: card(entries))
            _ = try bench.pay()
            bench.commands = []
            #expect(try bench.restart().outcome.status == .approved)
            #expect(bench.commands.count == commands, "start \(start.rawValue)")
            #expect(bench.activations == activations, "start \(start.rawValue)")
        }
    }

    /// Every restart tells its kernel where it begins, with the issuer's answer and what the kernel put by (2EA.014.00,
    /// 2EA.016.00, 2EC.002.00, 2EC.003.00); its UI Request on Restart is shown.
    @Test(arguments: Start.allCases) func restartReachesTheKernel(_ start: Start) throws {
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 5, 6, 7, 8], authorisationResponseCode: [0x39, 0x31])
        let online = Outcome(
            .onlineRequest, start: start, onlineResponse: .emvData,
            uiRequestOnRestart: UserInterfaceRequest(.seePhone, .readyToRead), restartData: [0x9F99: [7]])
        let names = ["A0000000010001", "A0000000020002"]
        let entries = names.enumerated().map { DirectoryEntry($1, priority: UInt8($0 + 1), kernel: "3F") }
        var bench = Bench(names.map { combination($0, 0x3F) }, outcomes: [online], card: card(entries))
        _ = try bench.pay()
        let first = try #require(bench.log.all.first?.1)
        #expect(first.start == .a && !first.isRestart && first.issuerUpdate == nil)
        bench.displayed = []
        bench.commands = []
        #expect(try bench.restart(update).outcome.status == .approved)
        let second = try #require(bench.log.all.last?.1)
        #expect(second.start == start && second.isRestart)
        #expect(second.issuerUpdate == update && second.restartData == [0x9F99: [7]])
        #expect(bench.displayed.map(\.message) == [.seePhone])
        let commands: [Start: Int] = [.a: 2, .b: 1, .c: 1, .d: 0]
        #expect(bench.commands.count == commands[start])
        // A new transaction has nothing of it.
        _ = try bench.pay()
        let third = try #require(bench.log.all.last?.1)
        #expect(
            third.start == .a && !third.isRestart && third.issuerUpdate == nil && third.restartData == nil)
    }

    /// The final outcome and the kernel get the name that was selected, with its Extended Selection (2ED.002.01; Book B,
    /// 3.5.1.5).
    @Test func extendedSelectionInTheOutcome() throws {
        var bench = Bench(
            [combination("A0000000031010", 3, extended: true)],
            card: card([DirectoryEntry("A0000000031010", extended: "0102")]))
        let final = try bench.pay()
        #expect(final.selected.map { Hex.string($0.applicationIdentifier) } == "A00000000310100102")
        #expect(
            bench.log.all.first.map { Hex.string($0.1.selectedApplication) } == "A00000000310100102")
    }

    /// Why no kernel came to work.
    @Test func reasons() throws {
        func end(_ card: @escaping ([UInt8]) -> [UInt8]?, _ kernels: [KernelIdentifier]? = nil) throws
            -> [EndReason]
        {
            var bench = Bench([combination("A0000000031010", 3)], kernels: kernels, card: card)
            let final = try bench.pay()
            #expect(final.outcome.status == .endApplication)
            return final.outcome.reasons
        }
        let name: [UInt8] = [0xA0, 0, 0, 0, 0x03, 0x10, 0x10]
        #expect(try end { _ in [0x6A, 0x82] } == [.directoryRefused(status: 0x6A82)])
        #expect(
            try end(card([DirectoryEntry("A0000000041010")])) == [
                .noApplicationInCommon(card: [[0xA0, 0, 0, 0, 0x04, 0x10, 0x10]], terminal: [name])
            ])
        let entries = [DirectoryEntry("A0000000031010")]
        #expect(
            try end(card(entries, refusing: ["A0000000031010"])) == [
                .applicationRefused(name: name, status: 0x6A82)
            ])
        let blocked = card(entries)
        #expect(
            try end { $0.starts(with: [0x00, 0xA4]) && $0.count == 13 ? [0x62, 0x83] : blocked($0) } == [
                .applicationBlocked(name: name)
            ])
        #expect(
            try end(card(entries, fci: "6F0E8407A0000000031010A503500141")) == [
                .notSupported("the card's PDOL does not ask for 9F66, and the terminal has no Kernel 1")
            ])
        #expect(try end(card(entries), []) == [.notSupported("the terminal has no Kernel 3")])
        var bench = Bench([combination("A0000000031010", 3)], card: card(entries))
        let final = try bench.pay(200, type: 0x50)
        #expect(final.outcome.status == .tryAnotherInterface)
        #expect(final.outcome.reasons == [.noCombinationAllowed])
        // Every reason has words.
        #expect(
            "\(EndReason.noApplicationInCommon(card: [], terminal: [name]))"
                == "no application in common: the card has none, the profile has A0000000031010")
    }

    /// Without a restart point the final outcome is given again.
    @Test func noRestart() throws {
        var bench = Bench(Self.visa, outcomes: [Outcome(.declined)], card: card(Self.directory))
        let final = try bench.pay()
        #expect(try bench.restart() == final)
        var idle = Bench(Self.visa, card: card(Self.directory))
        #expect(try idle.restart().outcome.status == .endApplication)
    }

    /// Events out of place end the transaction; they never hang or trap.
    @Test func eventsOutOfPlace() throws {
        let response = try ResponseAPDU(bytes: [0x90, 0x00])
        let events: [EntryPointEvent] = [
            .cardActivated, .collision, .collisionEnded, .activationFailed, .kernel(.done),
            .kernel(.response(response, microseconds: 0)),
            .kernel(.communicationError(.timeout)), .kernel(.unpredictableNumber(1)), .kernel(.timeout),
            .kernel(.dataExchange([:])), .kernel(.stop),
        ]
        var state: UInt64 = 11
        for _ in 0..<3000 {
            var bench = Bench(Self.visa, card: card(Self.directory))
            _ = bench.entryPoint.start(try inputs(200))
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                _ = bench.entryPoint.handle(events[Int((state >> 33) % UInt64(events.count))])
            }
        }
    }
}
