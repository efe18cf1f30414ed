import BERTLV
import Cards
import EMV
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

@Suite struct HostileCardTests {
    /// One genuine transaction, and then the same answers again with each byte in turn changed, left out, doubled,
    /// and with everything cut off there. The answer to a command that the genuine card never got is replayed
    /// by its instruction, which no genuine card would do.
    @Test(arguments: [
        ("visa-debit", Outcome.Status.approved), ("apple-pay-visa", .onlineRequest),
        ("mc-debit", .approved), ("apple-pay-mastercard", .onlineRequest),
    ])
    func eachByteOfEachAnswer(_ id: String, _ expected: Outcome.Status) throws {
        let emulated = try EmulatedCard(
            profile: try CardLibrary.profile(id), random: SeededGenerator(seed: 1))
        emulated.unlock()
        let reader = TestReader()
        var genuine = Session(reader, emulated)
        let inputs = try reader.inputs(1000)
        let first = genuine.run(genuine.entryPoint.start(inputs))
        #expect(first?.outcome.status == expected)
        let indication = first?.outcome.discretionaryData?[0xDF8115].map { Array($0.prefix(3)) }
        #expect(indication ?? [0, 0, 0] == [0, 0, 0])
        var truth = Genuine()
        for exchange in genuine.exchanges { truth.add(exchange.answer) }
        let recorded = genuine.exchanges.compactMap { exchange in
            exchange.answer.map { (command: exchange.command, answer: $0) }
        }
        try #require(recorded.count > 5)

        var statuses: [Outcome.Status: Int] = [:]
        var forged = 0
        for (place, target) in recorded.enumerated() {
            for index in target.answer.indices {
                for way in 0..<7 {
                    var bytes = target.answer
                    switch way {
                    case 0: bytes[index] ^= 0x01
                    case 1: bytes[index] ^= 0x80
                    case 2: bytes[index] = ~bytes[index]
                    case 3: bytes.remove(at: index)
                    case 4: bytes.insert(bytes[index], at: index)
                    case 5: bytes.removeSubrange(index...)
                    default: bytes = Array(bytes[..<index]) + [0x90, 0x00]
                    }
                    var delivered: [[UInt8]] = []
                    var session = Session(reader) { command in
                        let match =
                            recorded.firstIndex { $0.command == command }
                            ?? recorded.firstIndex {
                                $0.command[1] == command[1] && ![0xA4, 0xB2].contains(command[1])
                            }
                        guard let match else { return [0x6A, 0x82] }
                        let answer = match == place ? bytes : recorded[match].answer
                        delivered.append(answer)
                        return answer
                    }
                    guard let final = session.run(session.entryPoint.start(inputs)) else {
                        Issue.record("no outcome: answer \(place), byte \(index), way \(way)")
                        continue
                    }
                    #expect(session.exchanges.count < 400)
                    statuses[final.outcome.status, default: 0] += 1
                    guard final.outcome.status == .approved else { continue }
                    if let objection = truth.objection(to: final.outcome, delivered: delivered) {
                        forged += 1
                        if forged < 20 {
                            Issue.record("\(objection): answer \(place), byte \(index), way \(way)")
                        }
                    }
                }
            }
        }
        #expect(forged == 0)
        // The spoiling reached every part of the kernel.
        #expect(statuses[.endApplication, default: 0] > 100)
        // A failed CDA ends the application; a failed fast DDA goes online, as both Visa cards ask for.
        #expect(statuses[id == "mc-debit" ? .endApplication : .onlineRequest, default: 0] > 100)
        if expected == .approved { #expect(statuses[.approved, default: 0] > 100) }
    }

    /// Changes answers by their structure, so that the change gets past the parser: data objects left out, doubled,
    /// moved, renamed, emptied, stretched; another answer of the same card.
    final class Mixer {
        var random: SeededGenerator
        var earlier: [[UInt8]] = []
        private let chance: Double
        init(seed: UInt64, chance: Double) {
            random = SeededGenerator(seed: seed)
            self.chance = chance
        }

        /// Tags that one of the kernels or the Entry Point looks at.
        static let tags: [Tag] = [
            0x4F, 0x50, 0x56, 0x57, 0x5A, 0x5F24, 0x5F28, 0x5F2D, 0x5F34, 0x61, 0x6F, 0x70, 0x77, 0x80, 0x82,
            0x84,
            0x87, 0x8C, 0x8E, 0x8F, 0x90, 0x92, 0x94, 0x95, 0x9F07, 0x9F0D, 0x9F10, 0x9F26, 0x9F27, 0x9F29,
            0x9F2A,
            0x9F32, 0x9F36, 0x9F37, 0x9F38, 0x9F46, 0x9F47, 0x9F48, 0x9F4A, 0x9F4B, 0x9F5A, 0x9F5D, 0x9F60,
            0x9F61,
            0x9F62, 0x9F63, 0x9F64, 0x9F65, 0x9F66, 0x9F67, 0x9F69, 0x9F6B, 0x9F6C, 0xA5, 0xBF0C, 0xDF4B,
            0xDF8115,
        ]

        func answer(_ genuine: [UInt8]?) -> [UInt8]? {
            if let genuine { earlier.append(genuine) }
            guard let genuine, Double.random(in: 0..<1, using: &random) < chance else { return genuine }
            if UInt8.random(in: 0..<5, using: &random) == 0 { return earlier.randomElement(using: &random) }
            guard genuine.count > 2, var nodes = try? TLVNode.parse(Array(genuine.dropLast(2))),
                !nodes.isEmpty
            else { return genuine }
            for _ in 0..<Int.random(in: 1...3, using: &random) { change(&nodes) }
            var writer = BERTLVWriter()
            for node in nodes { node.write(to: &writer) }
            return writer.bytes + genuine.suffix(2)
        }

        private func change(_ nodes: inout [TLVNode]) {
            guard !nodes.isEmpty else { return }
            let index = Int.random(in: 0..<nodes.count, using: &random)
            // Mostly somewhere inside.
            if case .constructed(var children) = nodes[index].content, !children.isEmpty,
                UInt8.random(in: 0..<8, using: &random) != 0
            {
                change(&children)
                nodes[index].content = .constructed(children)
                return
            }
            switch UInt8.random(in: 0..<8, using: &random) {
            case 0: nodes.remove(at: index)
            case 1: nodes.insert(nodes[index], at: Int.random(in: 0...nodes.count, using: &random))
            case 2: nodes.swapAt(index, Int.random(in: 0..<nodes.count, using: &random))
            case 3: nodes[index].tag = Self.tags.randomElement(using: &random) ?? 0x57
            case 4: nodes[index].content = .primitive([])
            case 5:
                nodes.append(
                    TLVNode(
                        tag: Self.tags.randomElement(using: &random) ?? 0x57,
                        content: .primitive(noise(1...12))))
            case 6: nodes[index].content = .primitive(noise(1...40))
            default:
                guard case .primitive(var value) = nodes[index].content, !value.isEmpty else { return }
                let place = Int.random(in: 0..<value.count, using: &random)
                value[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                nodes[index].content = .primitive(value)
            }
        }

        private func noise(_ counts: ClosedRange<Int>) -> [UInt8] {
            (0..<Int.random(in: counts, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
            }
        }
    }

    /// Thousands of transactions with cards that spoil, mix up, leave; every profile, amounts on both sides of each
    /// limit, readers of every kind, second presentments.
    @Test(arguments: CardLibrary.identifiers) func spoiltAnswers(_ id: String) throws {
        let profile = try CardLibrary.profile(id)
        let readers: [UInt32] = [0x3700_C000, 0x3600_C000, 0x3F00_C000, 0x2600_4000, 0x2100_0000]
        let amounts: [UInt64] = [1000, 0, 1, 100, 1500, 1501, 5000, 50001]
        var approvals = 0
        for seed in 0..<800 as Range<UInt64> {
            let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: seed))
            if seed % 3 != 0 { card.unlock() }
            var truth = Genuine()
            let spy = CardSpy(card) { truth.add($0) }
            let mixer = Mixer(seed: seed, chance: [0.05, 0.2, 0.5, 0.9][Int(seed / 2 % 4)])
            // Even seeds spoil bytes, odd ones the structure.
            let spoils = seed.isMultiple(of: 2)
            let hostile = HostileCard(
                around: spy, seed: seed, chance: spoils ? [0.02, 0.1, 0.3, 0.7][Int(seed / 2 % 4)] : 0)
            let reader = TestReader(qualifiers: readers[Int(seed / 4 % 5)])
            var session = Session(reader) { command in
                let answer = hostile.process(command)
                return spoils ? answer : mixer.answer(answer)
            }
            session.powerOn = { hostile.powerOn() }
            session.unpredictableNumber = UInt32(truncatingIfNeeded: mixer.random.next())
            let inputs = try reader.inputs(amounts[Int(seed / 20 % 8)], type: seed % 7 == 0 ? 0x20 : 0x00)
            guard let final = session.run(session.entryPoint.start(inputs)) else {
                Issue.record("no outcome: seed \(seed)")
                continue
            }
            #expect(session.exchanges.count < 500, "seed \(seed)")
            if final.outcome.status == .approved {
                approvals += 1
                let objection = truth.objection(
                    to: final.outcome, delivered: session.exchanges.compactMap(\.answer))
                #expect(objection == nil, "seed \(seed)")
            }
            guard final.outcome.start != nil else { continue }
            session.taps = 2
            let update = IssuerUpdate(
                issuerAuthenticationData: [1, 2, 3, 4, 0, 0x82, 0, 0],
                issuerScripts: mixer.answer([0x72, 0x07, 0x86, 0x05, 0x04, 0x1E, 0, 0, 0]) ?? [],
                authorisationResponseCode: Array("00".utf8))
            #expect(session.run(session.entryPoint.restart(issuerUpdate: update)) != nil, "seed \(seed)")
        }
        // A test that never sees an approval would not notice a false one.
        if id == "visa-debit" || id == "mc-debit" { #expect(approvals > 5, "\(approvals)") }
        if ["visa-tampered", "visa-no-oda", "mc-no-oda"].contains(id) { #expect(approvals == 0) }
    }

    /// An AFL that names all there is, and records without end: the reading ends.
    @Test func longestFileLocator() throws {
        var answer = BERTLVWriter()
        let locator: [UInt8] = (1...30).flatMap { (file: UInt8) -> [UInt8] in [file << 3, 1, 255, 0] }
        answer.template(0x77) { inside in
            inside.append(0x82, [0x20, 0x00])
            inside.append(0x94, locator)
        }
        let directory = card([DirectoryEntry("A0000000031010")])
        let options: [UInt8] = answer.bytes + [0x90, 0x00]
        var session = Session(TestReader()) { (command: [UInt8]) -> [UInt8]? in
            switch command[1] {
            case 0xA8: return options
            case 0xB2: return [0x70, 0x00, 0x90, 0x00]
            default: return directory(command)
            }
        }
        session.taps = 1
        let final = session.run(session.entryPoint.start(try TestReader().inputs(1000)), steps: 10_000)
        #expect(final?.outcome.status == .endApplication)
        #expect(session.exchanges.count == 3 + 30 * 255)
    }
}
