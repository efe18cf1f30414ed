import BERTLV
import EMV
import EMVCryptography
import Foundation
import Kernels
import SmartCard
import Testing

/// One rule of a kernel's book as a payment, or several, on a card made of a table (Tests/Scenarios/Kernels): what the rule
/// is, how many independent kernels follow it, and what must and must not be in the transcript.
struct Scenario: Decodable, Sendable {
    struct Limits: Decodable, Sendable {
        var program: String
        var statusCheck: Bool?
        var zeroAmount: Bool?
        var transactionLimit: UInt64?
        var floorLimit: UInt64?
        var cvmLimit: UInt64?
    }
    struct Combination: Decodable, Sendable {
        var aid: String
        var kernel: UInt32
        var types: [UInt8]?
        var statusCheck: Bool?
        var zeroAmount: Bool?
        var zeroAmountOffline: Bool?
        var extendedSelection: Bool?
        var transactionLimit: UInt64?
        var floorLimit: UInt64?
        var cvmLimit: UInt64?
        var terminalFloorLimit: UInt64?
        var ttq: String?
        var data: [String: String]?
        var dynamicLimits: [Limits]?
    }
    struct Key: Decodable, Sendable {
        var rid: String
        var index: String
        var modulus: String
        var exponent: String
        var expiry: Int?
    }
    struct Exchange: Decodable, Sendable {
        /// The command, or its begin where the scenario is lenient.
        var cmd: String
        /// The response; `L1` for none in time, `L1T` for a transmission error.
        var resp: String
    }
    /// What the terminal sends when the kernel tells (`dek`) or waits (`wait`), in order; no data while it waits: its time is
    /// over.
    struct Data: Decodable, Sendable {
        var on: String
        var data: String
    }
    /// A signal, `det` or `stop`, before the response to the first command that begins so.
    struct Signal: Decodable, Sendable {
        var command: String
        var signal: String
        var data: String?
    }
    struct Issuer: Decodable, Sendable {
        var iad: String?
        var scripts: String?
        var arc: String
    }
    /// The CLEAN signal after the payment.
    struct Clean: Decodable, Sendable {
        var date: Int
        var time: Int
        var lifetime: Int
    }
    struct Payment: Decodable, Sendable {
        var amount: UInt64?
        var other: UInt64?
        var type: UInt8?
        var date: Int?
        var time: Int?
        var apdus: [Exchange]
        var issuer: Issuer?
        var clean: Clean?
    }

    /// Book, section or state, and what it says.
    var rule: String
    /// How many independent public kernels do it so.
    var implementations: Int
    /// `+` and a regular expression that the transcript must have, `-` and one that it must not have.
    var expect: [String]
    var terminal: [String: String]
    var combinations: [Combination]
    var keys: [Key]?
    var exceptions: [String]?
    /// Unpredictable numbers, in the order in which they are drawn; the last one serves for all others.
    var un: [String]?
    var date: Int
    var time: Int?
    var amount: UInt64
    var other: UInt64?
    var type: UInt8?
    var currency: Int
    var exponent: UInt8?
    var sequence: UInt32?
    var apdus: [Exchange]?
    var runs: [Payment]?
    var det: [Data]?
    var signals: [Signal]?
    var issuer: Issuer?
    var clean: Clean?
    /// How often the card is presented in a payment.
    var taps: Int?
    /// Status word of every other command.
    var notFound: String?
    /// Commands with transaction data match by their header.
    var lenient: Bool?
    var microseconds: UInt32?

    /// The expectations that a transcript does not meet.
    func missed(in transcript: String) throws -> [String] {
        try expect.filter { expectation in
            let found = try transcript.contains(Regex(String(expectation.dropFirst())))
            return found != expectation.hasPrefix("+")
        }
    }
}

/// Carries a scenario out and writes down everything that can be seen from outside, an item a line: `>` and `<` commands and
/// responses, `@` messages, `~` data exchange, `=` what the outcome says, `!` and `+` the field and the card.
struct ScenarioRun {
    enum Problem: Error { case notHexadecimal(String), noSuchKey(String), noOutcome, badValue(String) }

    let scenario: Scenario
    private(set) var transcript = ""
    private var entryPoint: EntryPoint
    private var numbers: [UInt32]
    private var exchanges: [Scenario.Data]
    private var signals: [Scenario.Signal]

    init(_ scenario: Scenario) throws {
        self.scenario = scenario
        let keys = try (scenario.keys ?? []).map { key in
            guard let index = try hex(key.index).first else { throw Problem.noSuchKey(key.rid) }
            return try CertificationAuthorityPublicKey(
                rid: hex(key.rid), index: index, modulus: hex(key.modulus), exponent: hex(key.exponent),
                expiry: key.expiry.flatMap { EMVDate(yymmdd: $0) })
        }
        var exceptions = ExceptionFile()
        for text in scenario.exceptions ?? [] {
            guard let number = PrimaryAccountNumber(digits: text) else { throw Problem.badValue(text) }
            exceptions.insert(number)
        }
        let terminal = TerminalConfiguration(
            data: try Self.objects(scenario.terminal), exceptionFile: exceptions,
            certificationAuthorityKeys: try .init(keys))
        entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: try scenario.combinations.map(Self.combination), terminal: terminal),
            kernels: .all)
        numbers = try (scenario.un ?? []).map { try hex($0).reduce(0) { $0 << 8 | UInt32($1) } }
        exchanges = scenario.det ?? []
        signals = scenario.signals ?? []
    }

    private static func combination(_ combination: Scenario.Combination) throws -> CombinationConfiguration {
        func amount(_ cents: UInt64?) -> Amount? { cents.map { Amount(clamping: $0) } }
        return CombinationConfiguration(
            applicationIdentifier: try hex(combination.aid),
            kernel: KernelIdentifier(rawValue: combination.kernel),
            transactionTypes: Set(combination.types ?? [0]),
            statusCheckSupported: combination.statusCheck ?? false,
            zeroAmountAllowed: combination.zeroAmount ?? true,
            zeroAmountAllowedForOfflineReader: combination.zeroAmountOffline ?? false,
            contactlessTransactionLimit: amount(combination.transactionLimit),
            contactlessFloorLimit: amount(combination.floorLimit),
            cvmRequiredLimit: amount(combination.cvmLimit),
            terminalFloorLimit: amount(combination.terminalFloorLimit),
            terminalTransactionQualifiers: try combination.ttq.flatMap {
                TerminalTransactionQualifiers(bytes: try hex($0))
            }, extendedSelectionSupported: combination.extendedSelection ?? false,
            kernelData: try objects(combination.data ?? [:]),
            dynamicLimits: try (combination.dynamicLimits ?? []).map {
                DynamicReaderLimits(
                    applicationProgramIdentifier: try hex($0.program),
                    statusCheckSupported: $0.statusCheck ?? false, zeroAmountAllowed: $0.zeroAmount ?? true,
                    contactlessTransactionLimit: amount($0.transactionLimit),
                    contactlessFloorLimit: amount($0.floorLimit), cvmRequiredLimit: amount($0.cvmLimit))
            })
    }

    private static func objects(_ values: [String: String]) throws -> DataObjects {
        var result = DataObjects()
        for (tag, value) in values.sorted(by: { $0.key < $1.key }) {
            guard let number = UInt32(tag, radix: 16) else { throw Problem.notHexadecimal(tag) }
            result.set(Tag(number), try hex(value))
        }
        return result
    }

    // MARK: - Payments

    /// Carries out all payments.
    mutating func carryOut() throws {
        let payments =
            scenario.runs
            ?? [
                Scenario.Payment(
                    apdus: scenario.apdus ?? [], issuer: scenario.issuer, clean: scenario.clean)
            ]
        for (index, payment) in payments.enumerated() {
            if payments.count > 1 { note("-- payment \(index + 1)") }
            try pay(payment, index)
        }
    }

    private mutating func pay(_ payment: Scenario.Payment, _ index: Int) throws {
        guard let currency = NumericCode(scenario.currency),
            let date = EMVDate(yymmdd: payment.date ?? scenario.date)
        else { throw Problem.badValue("\(scenario.currency)") }
        let inputs = TransactionInputs(
            amount: Amount(clamping: payment.amount ?? scenario.amount),
            amountOther: Amount(clamping: payment.other ?? scenario.other ?? 0),
            transactionType: payment.type ?? scenario.type ?? 0, currency: currency,
            currencyExponent: scenario.exponent ?? 2, date: date, hhmmss: payment.time ?? scenario.time ?? 0,
            sequenceCounter: (scenario.sequence ?? 1) + UInt32(index))
        var card = TableCard(
            pairs: payment.apdus, notFound: scenario.notFound ?? "6A82", isLenient: scenario.lenient ?? false)
        var action = entryPoint.start(inputs)
        var presented = 0
        var issuer = payment.issuer
        for _ in 0..<500 {
            switch action {
            case .activateCard:
                presented += 1
                if presented > scenario.taps ?? 2 {
                    note("! card shown \(presented - 1) times, no more")
                    action = entryPoint.handle(.kernel(.stop))
                } else {
                    note("+ card")
                    action = entryPoint.handle(.cardActivated)
                }
            case .fieldOff(let milliseconds):
                note("! field off \(milliseconds)")
                action = entryPoint.handle(.kernel(.done))
            case .kernel(.transmit(let command)): action = try transmit(command, &card)
            case .kernel(.display(let request)):
                note("@ \(Self.text(request))")
                action = entryPoint.handle(.kernel(.done))
            case .kernel(.drawUnpredictableNumber):
                let number = numbers.count > 1 ? numbers.removeFirst() : (numbers.first ?? 0xABAB_ABAB)
                action = entryPoint.handle(.kernel(.unpredictableNumber(number)))
            case .kernel(.sendDataExchange(let signal)):
                let needed = signal.dataNeeded.map { String($0.rawValue, radix: 16, uppercase: true) }
                note("~ DEK send=\(Hex.string(signal.dataToSend.encoded())) need=\(needed)")
                if let data = try answer(on: "dek") {
                    action = entryPoint.handle(.kernel(.dataExchange(data)))
                } else {
                    action = entryPoint.handle(.kernel(.done))
                }
            case .kernel(.waitForData(let milliseconds)):
                if let data = try answer(on: "wait"), !data.isEmpty {
                    note("~ wait \(milliseconds)")
                    action = entryPoint.handle(.kernel(.dataExchange(data)))
                } else {
                    note("~ wait \(milliseconds): time-out")
                    action = entryPoint.handle(.kernel(.timeout))
                }
            case .kernel(.outcome): throw Problem.noOutcome
            case .outcome(let final):
                note(final.outcome)
                guard let update = issuer, final.outcome.start != nil else {
                    try finish(payment)
                    return
                }
                issuer = nil
                note("-- issuer's answer")
                action = entryPoint.restart(
                    issuerUpdate: IssuerUpdate(
                        issuerAuthenticationData: try update.iad.map { try hex($0) },
                        issuerScripts: try hex(update.scripts ?? ""),
                        authorisationResponseCode: Array(update.arc.utf8)))
            }
        }
        throw Problem.noOutcome
    }

    /// A command, and a signal of the terminal before its response: one that the kernel takes in passing leaves the command as
    /// it is.
    private mutating func transmit(
        _ command: CommandAPDU, _ card: inout TableCard
    ) throws -> EntryPointAction {
        let text = Hex.string(command.bytes)
        note("> \(text)")
        if let index = signals.firstIndex(where: { text.hasPrefix($0.command) }) {
            let signal = signals.remove(at: index)
            note("~ \(signal.signal.uppercased()) \(signal.data ?? "")")
            let event: KernelEvent =
                signal.signal == "stop"
                ? .stop : .dataExchange(DataObjects(encoded: try hex(signal.data ?? "")))
            let action = entryPoint.handle(.kernel(event))
            guard case .kernel(.transmit(let same)) = action, same.bytes == command.bytes else {
                return action
            }
        }
        let response = card.response(to: text)
        note("< \(response)")
        switch response {
        case "L1": return entryPoint.handle(.kernel(.communicationError(.timeout)))
        case "L1T": return entryPoint.handle(.kernel(.communicationError(.transmission)))
        default:
            return entryPoint.handle(
                .kernel(
                    .response(
                        try ResponseAPDU(bytes: hex(response)), microseconds: scenario.microseconds ?? 5000)))
        }
    }

    private mutating func answer(on occasion: String) throws -> DataObjects? {
        guard exchanges.first?.on == occasion else { return nil }
        let data = exchanges.removeFirst().data
        note("~ DET \(data)")
        return DataObjects(encoded: try hex(data))
    }

    private mutating func finish(_ payment: Scenario.Payment) throws {
        for (kernel, data) in entryPoint.persistentData.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            note("= kept by kernel \(kernel): \(Hex.string(data.encoded()))")
            guard let clean = payment.clean else { continue }
            guard let date = EMVDate(yymmdd: clean.date) else { throw Problem.badValue("\(clean.date)") }
            let result = MChipMemory.clean(data, date: date, hhmmss: clean.time, lifetime: clean.lifetime)
            note(
                "= CLEAN left \(result.left.map { Hex.string($0.encoded()) }) kept \(Hex.string(result.memory.encoded()))"
            )
        }
    }

    // MARK: - Transcript

    private mutating func note(_ line: String) { transcript += line + "\n" }

    private mutating func note(_ outcome: Outcome) {
        func text(_ value: (some Any)?) -> String { value.map { "\($0)" } ?? "-" }
        func text(_ data: DataObjects?) -> String { data.map { Hex.string($0.encoded()) } ?? "-" }
        note(
            "= \(outcome.status) start=\(text(outcome.start)) cvm=\(outcome.cvm) online=\(outcome.onlineResponse) "
                + "receipt=\(outcome.receiptRequested) fieldOff=\(text(outcome.fieldOffRequest)) "
                + "alt=\(text(outcome.alternateInterfacePreference)) oda=\(text(outcome.dataAuthentication))")
        note(
            "= ui \(Self.text(outcome.uiRequestOnOutcome)) restart \(Self.text(outcome.uiRequestOnRestart))")
        note("= record \(text(outcome.dataRecord))")
        note("= discretionary \(text(outcome.discretionaryData))")
    }

    private static func text(_ request: UserInterfaceRequest?) -> String {
        guard let request else { return "-" }
        let value = request.value.map { " value=\(request.valueQualifier):\($0.minorUnits)" } ?? ""
        return "\(request.message)/\(request.status) hold=\(request.holdTime) "
            + "lang=\(request.languagePreference ?? "-")\(value)"
    }
}

/// A card that is a table of commands and responses. Of several entries for a command each serves once, the last one for all
/// others.
private struct TableCard {
    let pairs: [Scenario.Exchange]
    let notFound: String
    /// Commands match by their header, but for SELECT.
    let isLenient: Bool
    private var used: Set<Int> = []

    init(pairs: [Scenario.Exchange], notFound: String, isLenient: Bool) {
        self.pairs = pairs
        self.notFound = notFound
        self.isLenient = isLenient
    }

    mutating func response(to command: String) -> String {
        take { $0.cmd == command }
            ?? (isLenient
                ? take { pair in
                    if command.hasPrefix("00A4") { return false }
                    // Reference Control Parameter: whichever cryptogram is asked for.
                    return command.hasPrefix("80AE")
                        ? pair.cmd.hasPrefix("80AE") : pair.cmd.hasPrefix(command.prefix(8))
                } : nil) ?? notFound
    }

    private mutating func take(_ fits: (Scenario.Exchange) -> Bool) -> String? {
        guard
            let index = pairs.indices.first(where: { !used.contains($0) && fits(pairs[$0]) })
                ?? pairs.indices.last(where: { fits(pairs[$0]) })
        else { return nil }
        used.insert(index)
        return pairs[index].resp
    }
}

private func hex(_ text: String) throws -> [UInt8] {
    guard let bytes = Hex.bytes(text) else { throw ScenarioRun.Problem.notHexadecimal(text) }
    return bytes
}
