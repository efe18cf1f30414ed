import BERTLV
import Cards
import EMV
import KernelTesting
import Kernels
import SmartCard

extension FuzzTarget {
    /// The kernels behind the Entry Point, with genuine cards whose answers the input spoils, and with no card but the
    /// input.
    static let kernels: [FuzzTarget] = [
        FuzzTarget(
            "kernel-2", longestInput: 512, mutations: 1,
            seeds: { SpoiltCard.seeds(of: SpoiltCard.mastercards) }
        ) {
            try SpoiltCard.pay($0, SpoiltCard.mastercards)
        },
        FuzzTarget(
            "kernel-3", longestInput: 512, mutations: 1, seeds: { SpoiltCard.seeds(of: SpoiltCard.visaCards) }
        ) {
            try SpoiltCard.pay($0, SpoiltCard.visaCards)
        },
        FuzzTarget("entry-point", longestInput: 2048, mutations: 8, seeds: { RawCard.seeds }) {
            try RawCard.pay($0)
        },
    ]
}

/// What every final outcome must be, whatever the card did.
enum LegalOutcome {
    /// More actions than the longest AFL (30 entries of 255 records) can ask for.
    static let steps = 10_000

    static func check(_ final: FinalOutcome, _ inputs: TransactionInputs) throws {
        let outcome = final.outcome
        // Try Again and Select Next stay within the Entry Point, but where a restart follows.
        let ends: Set<Outcome.Status> = [
            .approved, .declined, .onlineRequest, .tryAnotherInterface, .endApplication,
        ]
        try hold(
            ends.contains(outcome.status) || outcome.start != nil,
            "the final outcome is \(outcome.status), and nothing follows")
        try hold(
            outcome.parameterSet.count == 8, "an outcome parameter set of \(outcome.parameterSet.count) bytes"
        )
        for request in [outcome.uiRequestOnOutcome, outcome.uiRequestOnRestart] {
            try hold((request?.encoded.count ?? 22) == 22, "a user interface request of another length")
        }
        guard outcome.status == .approved || outcome.status == .onlineRequest else { return }
        guard let record = outcome.dataRecord else {
            throw BrokenProperty(description: "\(outcome.status) without a data record")
        }
        try hold(final.selected != nil, "\(outcome.status) without an application")
        // The terminal books what it asked for, and the record must say the same.
        for (tag, value) in [
            (0x9F02, inputs.amount.bytes), (0x9C, [inputs.transactionType]), (0x9A, inputs.date.bytes),
            (0x5F2A, inputs.currency.bytes),
        ] as [(BERTLV.Tag, [UInt8])] {
            if let told = record[tag] {
                try hold(told.elementsEqual(value), "\(outcome.status) with another \(tag)")
            }
        }
        if outcome.status == .approved {
            let kind = record[0x9F27]?.first.map { CryptogramInformationData(rawValue: $0).type }
            try hold(kind == nil || kind == .tc, "approved with a cryptogram that is no TC")
            // Kernel 3 asks for no TC (Book C-3); in Kernel 2 the terminal action codes of the combination decide (Book C-2, S456).
            try hold(
                inputs.transactionType != 0x20 || final.selected?.kernel == 2, "a refund is approved offline")
        }
        let again = DataObjects(encoded: record.encoded())
        try hold(again == record, "the data record written and read again differs")
    }
}

/// A genuine emulated card whose answers are spoilt as the input says.
struct SpoiltCard {
    private static let profiles: [CardProfile] = (try? CardLibrary.profiles()) ?? []
    static let mastercards = profiles.filter { $0.applications.contains { $0.scheme == .mastercard } }
    static let visaCards = profiles.filter { $0.applications.contains { $0.scheme == .visa } }

    /// Each card with each reader, nothing spoilt.
    static func seeds(of cards: [CardProfile]) -> [[UInt8]] {
        cards.indices.flatMap { card in
            (0..<6).map { variant in [UInt8(card), UInt8(variant), UInt8(variant), UInt8(card % 8), 0] }
        }
    }

    private static let qualifiers: [UInt32] = [
        0x3700_C000, 0x3600_C000, 0x3F00_C000, 0x2600_4000, 0x2100_0000,
    ]
    private static let amounts: [UInt64] = [1000, 0, 1, 100, 1500, 1501, 5000, 50001]
    private static let types: [UInt8] = [0x00, 0x20, 0x01, 0x09]

    private var input: FuzzInput
    private var earlier: [[UInt8]] = []

    static func pay(_ bytes: [UInt8], _ cards: [CardProfile]) throws {
        var input = FuzzInput(bytes)
        guard let profile = input.pick(cards) else { throw BrokenProperty(description: "no card profiles") }
        let variant = input.byte()
        let order = input.byte()
        let flags = input.byte()
        let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: UInt64(input.byte())))
        if flags & 0x01 == 0 { card.unlock() }
        card.ownerUnlocksWhenAsked = flags & 0x02 != 0
        var reader = TestReader(
            qualifiers: qualifiers[Int(variant) % qualifiers.count],
            floorLimit: variant & 0x80 == 0 ? 1500 : 0)
        if flags & 0x04 != 0 { reader.kernelData = exchangeConfiguration }
        if flags & 0x08 != 0 { reader.kernelData.set(0xDF811D, [0x02]) }
        let inputs = try reader.inputs(
            amounts[Int(order & 0x1F) % amounts.count], type: types[Int(order >> 5) % types.count])

        var spoilt = SpoiltCard(input: input)
        var truth = Genuine()
        var session = Session(reader) { command in
            let answer = card.process(command)
            truth.add(answer)
            return spoilt.answer(answer)
        }
        session.taps = 1 + Int(flags >> 6)
        session.powerOn = { card.powerOn() }
        session.silence = flags & 0x10 == 0 ? .timeout : .transmission
        session.microseconds = { spoilt.microseconds() }
        session.exchangeData = { spoilt.terminalData($0.dataNeeded) }
        session.waitForData = { spoilt.terminalData([]) }
        guard let final = session.run(session.entryPoint.start(inputs), steps: LegalOutcome.steps) else {
            throw BrokenProperty(description: "no outcome")
        }
        try LegalOutcome.check(final, inputs)
        if final.outcome.status == .approved {
            let objection = truth.objection(
                to: final.outcome, delivered: session.exchanges.compactMap(\.answer))
            try hold(objection == nil, objection ?? "")
        }
        // The issuer's answer goes back to the card.
        guard final.outcome.start != nil else { return }
        session.taps = 1
        let update = IssuerUpdate(
            issuerAuthenticationData: [1, 2, 3, 4, 0, 0x82, 0, 0],
            issuerScripts: spoilt.answer([0x72, 0x07, 0x86, 0x05, 0x04, 0x1E, 0, 0, 0, 0x90, 0x00])?.dropLast(
                2) ?? [],
            authorisationResponseCode: Array("00".utf8))
        guard session.run(session.entryPoint.restart(issuerUpdate: update), steps: LegalOutcome.steps) != nil
        else {
            throw BrokenProperty(description: "no outcome after the restart")
        }
    }

    /// Data exchange and data storage of all kinds (Book C-2).
    private static let exchangeConfiguration: DataObjects = [
        0x9F5C: [], 0xDF810D: [1], 0xDF8110: [], 0xDF8112: [0x9F, 0x75, 0x5F, 0x24], 0xFF8102: [],
        0xFF8103: [],
        0xDF60: [], 0xDF62: [], 0xDF63: [], 0xDF8108: [0x40], 0xDF8109: [], 0xDF810A: [0xE0],
    ]

    // MARK: What the input says

    private mutating func microseconds() -> UInt32 {
        switch input.byte() {
        case 0xFF: input.number32()
        case 0xFE: UInt32(input.number16())
        default: 100
        }
    }

    private mutating func terminalData(_ needed: [BERTLV.Tag]) -> KernelEvent {
        switch input.byte() {
        case 0: return needed.isEmpty ? .timeout : .done
        case 1: return .stop
        case 2: return .done
        default:
            var data = DataObjects()
            for tag in needed { data.set(tag, input.bytes(Int(input.byte() & 0x3F))) }
            for _ in 0..<input.number(below: 4) {
                if let tag = input.pick(Self.tags) { data.set(tag, input.bytes(Int(input.byte() & 0x3F))) }
            }
            return .dataExchange(data)
        }
    }

    /// Tags that one of the kernels or the Entry Point looks at.
    private static let tags: [BERTLV.Tag] = [
        0x4F, 0x50, 0x56, 0x57, 0x5A, 0x5F24, 0x5F25, 0x5F28, 0x5F2D, 0x5F34, 0x61, 0x6F, 0x70, 0x77, 0x80,
        0x82, 0x84,
        0x87, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x92, 0x94, 0x95, 0x9F07, 0x9F08, 0x9F0D, 0x9F0E, 0x9F0F, 0x9F10,
        0x9F11,
        0x9F12, 0x9F26, 0x9F27, 0x9F29, 0x9F2A, 0x9F32, 0x9F36, 0x9F37, 0x9F38, 0x9F42, 0x9F46, 0x9F47,
        0x9F48, 0x9F49,
        0x9F4A, 0x9F4B, 0x9F4C, 0x9F4D, 0x9F50, 0x9F51, 0x9F54, 0x9F5A, 0x9F5C, 0x9F5D, 0x9F5E, 0x9F5F,
        0x9F60, 0x9F61,
        0x9F62, 0x9F63, 0x9F64, 0x9F65, 0x9F66, 0x9F67, 0x9F69, 0x9F6B, 0x9F6C, 0x9F6D, 0x9F6E, 0x9F6F,
        0x9F70, 0x9F75,
        0x9F7C, 0x9F7D, 0x9F7F, 0xA5, 0xBF0C, 0xDF4B, 0xDF60, 0xDF61, 0xDF62, 0xDF63, 0xDF8101, 0xDF8104,
        0xDF8115,
        0xDF8302, 0xDF8303, 0xDF8304, 0xDF8305, 0xFF8102, 0xFF8103,
    ]

    /// The answer that arrives for the card's own one; nil is silence. The first byte of the input that is left says
    /// how it is spoilt; below 80, and when the input is used up, not at all.
    mutating func answer(_ genuine: [UInt8]?) -> [UInt8]? {
        let way = input.byte()
        guard way >= 0x80 else {
            if let genuine { earlier.append(genuine) }
            return genuine
        }
        if let genuine { earlier.append(genuine) }
        var bytes = genuine ?? [0x6F, 0x00]
        switch way & 0x0F {
        case 0: return nil
        case 1: bytes.replaceSubrange(max(0, bytes.count - 2)..., with: input.bytes(2))
        case 2: bytes = Array(bytes.prefix(Int(input.byte())))
        case 3:
            let place = input.number(below: bytes.count)
            if bytes.indices.contains(place) { bytes[place] ^= input.byte() }
        case 4: bytes.insert(input.byte(), at: min(bytes.count, Int(input.byte())))
        case 5: bytes.insert(contentsOf: input.bytes(Int(input.byte() & 0x1F)), at: max(0, bytes.count - 2))
        case 6: return input.pick(earlier) ?? bytes
        case 7: return input.chunk()
        case 8: return [0x90, 0x00]
        default:
            guard bytes.count > 2, var nodes = try? TLVNode.parse(Array(bytes.dropLast(2))) else {
                return bytes
            }
            for _ in 0...Int(way >> 4 & 0x03) { change(&nodes) }
            var writer = BERTLVWriter()
            for node in nodes { node.write(to: &writer) }
            bytes = writer.bytes + bytes.suffix(2)
        }
        return bytes
    }

    /// Changes data objects and leaves their encoding well-formed, so that the change gets past the parser.
    private mutating func change(_ nodes: inout [TLVNode]) {
        let way = input.byte()
        let index = input.number(below: max(1, nodes.count))
        guard nodes.indices.contains(index) else { return }
        if way & 0x80 == 0, case .constructed(var children) = nodes[index].content, !children.isEmpty {
            change(&children)
            nodes[index].content = .constructed(children)
            return
        }
        switch way & 0x07 {
        case 0: nodes.remove(at: index)
        case 1: nodes.insert(nodes[index], at: input.number(below: nodes.count + 1))
        case 2: nodes.swapAt(index, input.number(below: nodes.count))
        case 3: nodes[index].tag = input.pick(Self.tags) ?? 0x57
        case 4: nodes[index].content = .primitive([])
        case 5:
            nodes.append(
                TLVNode(
                    tag: input.pick(Self.tags) ?? 0x57,
                    content: .primitive(input.bytes(Int(input.byte() & 0x3F)))))
        case 6: nodes[index].content = .primitive(input.bytes(Int(input.byte() & 0x3F)))
        default:
            guard case .primitive(var value) = nodes[index].content, !value.isEmpty else { return }
            value[input.number(below: value.count)] ^= input.byte()
            nodes[index].content = .primitive(value)
        }
    }
}

/// A card that answers every command with the next chunk of the input.
enum RawCard {
    static let seeds: [[UInt8]] = {
        TraceFiles.sessions.map { [0, 0, 1] + chunks($0.responses) }
    }()

    static func pay(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let reader = TestReader(qualifiers: input.byte() & 1 == 0 ? 0x3700_C000 : 0x2600_4000)
        let inputs = try reader.inputs(input.byte() & 1 == 0 ? 1000 : 6000)
        let taps = 1 + input.number(below: 3)
        var session = Session(reader) { _ in input.isEmpty ? nil : input.chunk() }
        session.taps = taps
        guard let final = session.run(session.entryPoint.start(inputs), steps: LegalOutcome.steps) else {
            throw BrokenProperty(description: "no outcome")
        }
        try LegalOutcome.check(final, inputs)
    }
}
