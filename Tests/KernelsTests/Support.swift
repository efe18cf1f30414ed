import BERTLV
import EMV
import SmartCard
import Synchronization
import Testing

@testable import Kernels

typealias Tag = BERTLV.Tag

func bytes(_ hex: String) throws -> [UInt8] { try #require(Hex.bytes(hex)) }

let purchaseDate = EMVDate(yymmdd: 261120)

func inputs(_ cents: UInt64, type: UInt8 = 0, other: UInt64 = 0) throws -> TransactionInputs {
    TransactionInputs(
        amount: Amount(clamping: cents), amountOther: Amount(clamping: other), transactionType: type,
        currency: try #require(NumericCode(978)), date: try #require(purchaseDate), hhmmss: 101_500,
        sequenceCounter: 1)
}

/// A kernel that gives outcomes handed to it, one at each activation, and shows what it was activated with.
struct ScriptedKernel: Kernel {
    final class Log: Sendable {
        private let activations = Mutex<[(KernelIdentifier, KernelActivation)]>([])
        private let outcomes: Mutex<[Outcome]>
        init(_ outcomes: [Outcome]) { self.outcomes = Mutex(outcomes) }
        var all: [(KernelIdentifier, KernelActivation)] { activations.withLock { $0 } }
        func begin(_ identifier: KernelIdentifier, _ activation: KernelActivation) -> Outcome {
            activations.withLock { $0.append((identifier, activation)) }
            return outcomes.withLock { $0.isEmpty ? Outcome(.approved) : $0.removeFirst() }
        }
    }
    let outcome: Outcome
    mutating func start() -> KernelAction { .outcome(outcome) }
    mutating func handle(_ event: KernelEvent) -> KernelAction { .outcome(outcome) }
}

/// An Entry Point with scripted kernels and a card made of a table.
struct Bench {
    var entryPoint: EntryPoint
    let log: ScriptedKernel.Log
    var commands: [String] = []
    var displayed: [UserInterfaceRequest] = []
    var fieldOffs: [UInt32] = []
    var activations = 0
    /// Events for activations before the card is found.
    var obstacles: [EntryPointEvent] = []
    /// How long each answer takes.
    var microseconds: UInt32 = 1
    let card: ([UInt8]) -> [UInt8]?

    init(
        _ combinations: [CombinationConfiguration], outcomes: [Outcome] = [],
        kernels identifiers: [KernelIdentifier]? = nil, card: @escaping ([UInt8]) -> [UInt8]?
    ) {
        let log = ScriptedKernel.Log(outcomes)
        self.log = log
        var registry = KernelRegistry()
        for identifier in identifiers ?? combinations.map(\.kernel) {
            registry.register(identifier) { activation in
                ScriptedKernel(outcome: log.begin(identifier, activation))
            }
        }
        entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: combinations, terminal: TerminalConfiguration(data: [:])), kernels: registry)
        self.card = card
    }

    /// Runs to the next final outcome.
    mutating func run(_ first: EntryPointAction) throws -> FinalOutcome {
        var action = first
        for _ in 0..<500 {
            switch action {
            case .activateCard:
                activations += 1
                action = entryPoint.handle(obstacles.isEmpty ? .cardActivated : obstacles.removeFirst())
            case .fieldOff(let milliseconds):
                fieldOffs.append(milliseconds)
                action = entryPoint.handle(.kernel(.done))
            case .kernel(.transmit(let command)):
                commands.append(Hex.string(command.bytes))
                if let answer = card(command.bytes) {
                    action = entryPoint.handle(
                        .kernel(.response(try ResponseAPDU(bytes: answer), microseconds: microseconds)))
                } else {
                    action = entryPoint.handle(.kernel(.communicationError(.timeout)))
                }
            case .kernel(.display(let request)):
                displayed.append(request)
                action = entryPoint.handle(.kernel(.done))
            case .kernel(.drawUnpredictableNumber):
                action = entryPoint.handle(.kernel(.unpredictableNumber(0x1234_5678)))
            case .kernel: action = entryPoint.handle(.kernel(.timeout))
            case .outcome(let final): return final
            }
        }
        Issue.record("no outcome")
        return FinalOutcome(Outcome(.endApplication))
    }

    mutating func pay(_ cents: UInt64 = 200, type: UInt8 = 0) throws -> FinalOutcome {
        try run(entryPoint.start(try inputs(cents, type: type)))
    }
    mutating func restart(_ update: IssuerUpdate? = nil) throws -> FinalOutcome {
        try run(entryPoint.restart(issuerUpdate: update))
    }

    /// AIDs of the final SELECTs.
    var selected: [String] {
        commands.compactMap {
            $0.hasPrefix("00A40400") && !$0.contains("325041592E")
                ? String($0.dropFirst(10).dropLast(2)) : nil
        }
    }
}

/// A directory entry of a PPSE.
struct DirectoryEntry {
    var aid: String
    var priority: UInt8?
    var kernel: String?
    var extended: String?
    /// Instead of all others: the inside of the template as it stands.
    var raw: String?

    init(
        _ aid: String, priority: UInt8? = nil, kernel: String? = nil, extended: String? = nil,
        raw: String? = nil
    ) {
        self.aid = aid
        self.priority = priority
        self.kernel = kernel
        self.extended = extended
        self.raw = raw
    }

    var encoded: [UInt8] {
        var writer = BERTLVWriter()
        writer.template(0x61) { entry in
            if let raw {
                entry.append(encoded: Hex.bytes(raw) ?? [])
                return
            }
            entry.append(0x4F, Hex.bytes(aid) ?? [])
            entry.append(0x50, Array("TEST".utf8))
            if let priority { entry.append(0x87, [priority]) }
            if let kernel { entry.append(0x9F2A, Hex.bytes(kernel) ?? []) }
            if let extended { entry.append(0x9F29, Hex.bytes(extended) ?? []) }
        }
        return writer.bytes
    }
}

/// A card with a directory; every application answers SELECT with `fci`, those of `refusing` with 6A82.
func card(
    _ entries: [DirectoryEntry], refusing: [String] = [], silent: [String] = [],
    fci: String = "6F1A8407A0000000031010A50F500454455354 9F380 69F66049F3704".replacing(" ", with: "")
) -> ([UInt8]) -> [UInt8]? {
    var directory = BERTLVWriter()
    directory.template(0x6F) { fci in
        fci.append(0x84, Array("2PAY.SYS.DDF01".utf8))
        fci.template(0xA5) { proprietary in
            proprietary.template(0xBF0C) { inside in
                for entry in entries { inside.append(encoded: entry.encoded) }
            }
        }
    }
    let answer = directory.bytes + [0x90, 0x00]
    return { command in
        let text = Hex.string(command)
        if text.contains("325041592E5359532E4444463031") { return answer }
        if refusing.contains(where: { text.contains($0) }) { return [0x6A, 0x82] }
        if silent.contains(where: { text.contains($0) }) { return nil }
        return (Hex.bytes(fci) ?? []) + [0x90, 0x00]
    }
}

func combination(
    _ aid: String, _ kernel: KernelIdentifier, extended: Bool = false
) -> CombinationConfiguration {
    CombinationConfiguration(
        applicationIdentifier: Hex.bytes(aid) ?? [], kernel: kernel,
        transactionTypes: [0x00, 0x01, 0x09, 0x17, 0x20],
        extendedSelectionSupported: extended)
}
