import BERTLV
import Cards
import EMV
import SmartCard
import Testing

@Suite struct FaultTests {
    static let select = Hex.bytes("00A4040007A000000003101000")!

    @Test func faultsOfAProfile() throws {
        let card = try makeCard("visa-credit") {
            $0.faults = CardFaults(
                statusWords: [0xCA: 0x6581], silent: [0x84], omitted: [0x57, 0x5F24],
                duplicated: [0x9F36, 0x5A])
        }
        let terminal = TestTerminal(card)
        let answer = try terminal.tap()
        #expect(answer.objects[0x57] == nil)
        #expect(Hex.string(answer.data).ranges(of: "9F36020001").count == 2)
        let record = try terminal.send("00B2011400")
        #expect(record.objects[0x5F24] == nil)
        #expect(Hex.string(record.data).ranges(of: "5A084761739001010119").count == 2)
        #expect(try terminal.send("80CA9F3600").bytes == [0x65, 0x81])
        #expect(card.process([0x00, 0x84, 0x00, 0x00, 0x00]) == nil)
    }

    @Test func tornCard() throws {
        let inner = try makeCard("visa-credit")
        let torn = TornCard(around: inner, .duringInstruction(0xA8))
        let terminal = TestTerminal(torn)
        torn.powerOn()
        #expect(try terminal.select().status == .success)
        #expect(torn.process([0x80, 0xA8, 0, 0, 0x23, 0x83, 0x21] + TestTerminal.pdolData() + [0]) == nil)
        #expect(torn.isTorn)
        #expect(torn.process(Self.select) == nil)
        // The card had made its cryptogram: the next tap is its second.
        #expect(try terminal.tap().objects[0x9F36] == [0, 2])

        let unreached = TornCard(
            around: try makeCard("visa-credit"), .afterCommands(1), times: 2, reachesCard: false)
        let again = TestTerminal(unreached)
        for _ in 0..<2 {
            unreached.powerOn()
            #expect(try again.select().status == .success)
            #expect(unreached.process(Self.select) == nil)
        }
        #expect(try again.tap().objects[0x9F36] == [0, 1])
    }

    @Test func slowCard() throws {
        var waited: [Duration] = []
        let slow = SlowCard(around: try makeCard("visa-credit"), delay: .milliseconds(300), instruction: 0xA8)
        {
            waited.append($0)
        }
        #expect(try TestTerminal(slow).tap().status == .success)
        #expect(waited == [.milliseconds(300)])
    }

    @Test func hostileCardIsReproducibleAndUsesEveryAttack() throws {
        func run(_ seed: UInt64) throws -> ([HostileCard.Attack?], [[UInt8]?]) {
            let hostile = HostileCard(around: try makeCard("visa-credit"), seed: seed, chance: 0.9)
            var answers: [[UInt8]?] = []
            for _ in 0..<1500 { answers.append(hostile.process(Self.select)) }
            return (hostile.history, answers)
        }
        let first = try run(1)
        let second = try run(1)
        #expect(first.0 == second.0 && first.1 == second.1)
        #expect(try run(2).1 != first.1)
        for attack in HostileCard.Attack.allCases { #expect(first.0.contains(attack), "\(attack)") }
        #expect(first.1.contains { $0?.count == 65538 })
        #expect(first.1.contains { $0 == nil } && first.1.contains { ($0?.count ?? 9) < 2 })
        // Without attacks it is the card itself.
        let harmless = HostileCard(around: try makeCard("visa-credit"), seed: 1, attacks: [])
        #expect(try TestTerminal(harmless).tap().status == .success)
    }
}

@Suite struct FuzzTests {
    static let instructions: [UInt8] = [
        0x16, 0x18, 0x1E, 0x24, 0x82, 0x84, 0xA4, 0xA8, 0xB2, 0xCA, 0xDA, 0xDC, 0x88, 0xAE, 0xC0, 0x2A, 0xEA,
    ]

    /// Whatever arrives, the card answers with at least a status word and stays a card.
    @Test(arguments: CardLibrary.identifiers) func randomCommandsNeverTrap(_ id: String) throws {
        var random = SeededGenerator(seed: id.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
        let profile = try CardLibrary.profile(id)
        let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 3))
        func bytes(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        for round in 0..<4000 {
            let command: [UInt8]
            switch Int.random(in: 0..<10, using: &random) {
            case 0: command = bytes(.random(in: 0...300, using: &random))
            case 1: command = FaultTests.select
            case 2:
                command = [0x80, 0xA8, 0, 0, 0x23, 0x83, 0x21] + bytes(33) + [0]
            case 3:
                // A good GPO with a few bytes changed.
                var good = [0x80, 0xA8, 0, 0, 0x23, 0x83, 0x21] + TestTerminal.pdolData() + [0]
                good[.random(in: 4..<good.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                command = good
            case 4: command = [0x00, 0xB2, bytes(1)[0] % 6, bytes(1)[0], bytes(1)[0]]
            case 5: command = [0x80, 0xCA, 0x9F, bytes(1)[0], 0x00]
            default:
                let data = bytes(.random(in: 0...40, using: &random))
                command =
                    [
                        [0x00, 0x80, 0x84, 0x04].randomElement(using: &random)!,
                        Self.instructions.randomElement(using: &random)!, bytes(1)[0], bytes(1)[0],
                        UInt8(data.count),
                    ] + data + (Bool.random(using: &random) ? [0x00] : [])
            }
            let answer = card.process(command)
            #expect((answer?.count ?? 0) >= 2, "round \(round): \(Hex.string(command))")
            if round.isMultiple(of: 50) { card.unlock() }
            if round.isMultiple(of: 333) { card.powerOn() }
        }
        // No chance command carried a good MAC, so the card still works as before.
        guard visaCards.contains(id) else { return }
        card.unlock()
        let expected: StatusWord = id == "visa-blocked" ? .conditionsNotSatisfied : .success
        #expect(try TestTerminal(card).tap().status == expected)
    }

    @Test func damagedStatesNeverTrap() throws {
        let profile = try CardLibrary.profile("visa-debit")
        for (tag, value) in [
            ("9F54", "zz"), ("9F54", "FFFFFFFFFFFF"), ("9F58", ""), ("9F6C", "28"), ("", ""),
        ] {
            var state = CardState(fresh: profile)
            state.applications["A0000000031010"]?.changedData = [tag: value]
            state.applications["A0000000031010"]?.changedRecords = ["2.1": "not hex"]
            state.applications["A0000000031010"]?.log = ["zz"]
            state.applications["A0000000031010"]?.cumulativeOffline = .max
            state.applications["A0000000031010"]?.consecutiveOffline = 255
            state.applications["A0000000031010"]?.scriptCommands = 255
            state.applications["A0000000031010"]?.lastCryptogram = "short"
            state.applications["A0000000031010"]?.awaitsIssuer = true
            let card = try EmulatedCard(profile: profile, state: state, random: SeededGenerator(seed: 1))
            let terminal = TestTerminal(card)
            #expect(try terminal.tap().status == .success)
            #expect(try terminal.send("00B2015C00").status == .success)
            #expect(try terminal.send("00B2025C00").status == .recordNotFound)
        }
    }
}
