public import EMV

/// What goes wrong between a terminal and its host, and when. Rules are tried in order; the first that fits
/// counts. The same seed and the same sequence of messages give the same troubles.
///
/// A rule as text is `[MESSAGE] WHEN: TROUBLE [xN]`, where `xN` makes it good for N times:
///
/// | WHEN | |
/// | --- | --- |
/// | `always` | every message |
/// | `nth 3` | the third message of its kind |
/// | `every 5` | each fifth |
/// | `amount 1234` | of this amount in minor units |
/// | `card 4761739001010119` | of this card or token |
/// | `2.5%` | by chance |
/// | `during 60s-90s` | from one to the other time after the host's start |
/// | `cents 9000` | amounts 90.00...90.99: the last two digits choose, and TROUBLE is `table` |
///
/// | TROUBLE | |
/// | --- | --- |
/// | `decline 51` | the host declines with this code and asks no issuer |
/// | `approve` | the host approves an authorization and asks no issuer: for clients without chip data or test cards |
/// | `silence` | authorized, but no answer comes |
/// | `lost` | never reaches the host, and no answer comes |
/// | `garbage` | authorized; the answer cannot be read |
/// | `slow 3s`, `late 45s` | authorized at once, answered after this time |
/// | `overtaken 45s` | reaches the host after this time, perhaps behind its own reversal |
/// | `duplicate` | reaches the host twice |
/// | `unreachable` | does not leave the terminal |
/// | `cut`, `cut before` | the line breaks after sending; the host has seen it, or has not |
/// | `wrong-arpc`, `wrong-script` | the last byte of issuer authentication data or scripts is changed |
/// | `wrong-mac` | the answer's message authentication code is wrong |
///
/// MESSAGE is `authorization` (which may be left out), `reversal`, `advice`, `adjustment` (completions and tips),
/// `reconciliation` or `upload`.
public struct TroubleScript: Sendable, Equatable {
    public var rules: [TroubleRule]
    public var seed: UInt64

    public init(rules: [TroubleRule] = [], seed: UInt64 = 1) {
        self.rules = rules
        self.seed = seed
    }

    /// Nothing goes wrong.
    public static let none = TroubleScript()

    /// For people at a till: amounts of 90.00...90.99 cause troubles by their last two digits. 70 silence,
    /// 71 lost, 72 garbage, 73 late (45 s), 74 unreachable, 76 cut, 77 duplicate, 79 wrong ARPC, 80 slow (3 s),
    /// 81 overtaken (45 s), 82 wrong script; the response codes 05, 12, 14, 41, 43, 51, 54, 55, 57, 61, 62, 63,
    /// 65, 75, 78, 91, 94 and 96 are declines with that code; all others are let through.
    public static let amountTable = TroubleScript(rules: [
        TroubleRule(when: .cents(base: 9000), trouble: .table)
    ])

    /// The trouble that the last two digits of an amount stand for in `amountTable`.
    public static func tableTrouble(_ amount: Amount) -> Trouble? {
        let digits = amount.minorUnits % 100
        switch digits {
        case 70: return .silence
        case 71: return .lost
        case 72: return .garbage
        case 73: return .late(.seconds(45))
        case 74: return .unreachable
        case 76: return .cut(seenByHost: true)
        case 77: return .duplicate
        case 79: return .wrongResponseCryptogram
        case 80: return .late(.seconds(3))
        case 81: return .overtaken(.seconds(45))
        case 82: return .wrongScript
        case 5, 12, 14, 41, 43, 51, 54, 55, 57, 61, 62, 63, 65, 75, 78, 91, 94, 96:
            return .decline(digits < 10 ? "0\(digits)" : "\(digits)")
        default: return nil
        }
    }
}

/// What goes wrong.
public enum Trouble: Sendable, Equatable {
    /// Declined by the acquirer with this code (two characters); no issuer is asked.
    case decline(String)
    /// Approved by the acquirer with code 00 and booked there; no issuer is asked, so that neither cryptogram nor funds are
    /// looked at. Authorizations alone: other messages are done as always.
    case approve
    /// The host does its work and no answer comes: `AcquirerError.timeout`.
    case silence
    /// The host never sees it, and no answer comes: `AcquirerError.timeout`.
    case lost
    /// The host does its work; the answer cannot be read: `AcquirerError.malformedResponse`.
    case garbage
    /// The host does its work; the answer comes after this time. Beyond the terminal's wait that is a time-out,
    /// and the answer goes to `SimulatedAcquirer.lateAnswers`.
    case late(Duration)
    /// The host sees it after this time only, as where a queue was stuck.
    case overtaken(Duration)
    /// The host sees it twice.
    case duplicate
    /// `AcquirerError.unreachable`.
    case unreachable
    /// `AcquirerError.connectionLost`, before or after the host has seen it.
    case cut(seenByHost: Bool)
    /// The last byte of the issuer authentication data is changed.
    case wrongResponseCryptogram
    /// The last byte of the issuer scripts (of their last MAC) is changed.
    case wrongScript
    /// The answer cannot be believed: its message authentication code is wrong.
    case wrongMAC
    /// What `TroubleScript.tableTrouble` says of the amount.
    case table
}

/// One rule of a `TroubleScript`.
public struct TroubleRule: Sendable, Equatable {
    public enum Message: String, Sendable, CaseIterable {
        case authorization, reversal, advice, adjustment, reconciliation, upload
    }
    public enum When: Sendable, Equatable {
        case always
        /// Counted from 1 among messages of the kind.
        case nth(Int)
        case every(Int)
        case amount(Amount)
        case card(PrimaryAccountNumber)
        /// In hundredths of a per cent: 1...10 000.
        case chance(Int)
        /// Since the host's start.
        case during(Range<Duration>)
        /// Amounts from `base` to `base + 99` minor units.
        case cents(base: UInt64)
    }
    public var message: Message
    public var when: When
    public var trouble: Trouble
    /// How many times it may strike; nil is without limit.
    public var times: Int?

    public init(message: Message = .authorization, when: When, trouble: Trouble, times: Int? = nil) {
        self.message = message
        self.when = when
        self.trouble = trouble
        self.times = times
    }
}

/// A rule that cannot be read, and what was expected.
public struct TroubleRuleError: Error, Equatable, Sendable, CustomStringConvertible {
    public let text: String
    public let reason: String
    public var description: String { "trouble \"\(text)\": \(reason)" }
}

extension TroubleRule {
    /// Reads a rule; the format is told at `TroubleScript`.
    public init(_ text: String) throws(TroubleRuleError) {
        func fail(_ reason: String) -> TroubleRuleError {
            // A card number is not repeated.
            let shown = text.contains("card") ? "card ..." : String(text.prefix(60))
            return TroubleRuleError(text: shown, reason: reason)
        }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2 else { throw fail("expected WHEN: TROUBLE, such as \"nth 3: silence\"") }
        var when = halves[0].split(separator: " ").map { String($0) }
        var what = halves[1].split(separator: " ").map { String($0) }

        var message = Message.authorization
        if let first = when.first, let named = Message(rawValue: first) {
            message = named
            when.removeFirst()
        }
        var times: Int?
        if let last = what.last, last.hasPrefix("x"), let number = Int(last.dropFirst()) {
            guard (1...1_000_000).contains(number) else {
                throw fail("expected x1...x1000000, found \(last)")
            }
            times = number
            what.removeLast()
        }
        guard let condition = When(when) else {
            throw fail(
                "expected always, nth N, every N, amount N, card NUMBER, N%, during Ns-Ns or cents N before the colon"
            )
        }
        guard let trouble = Trouble(what) else {
            throw fail(
                "expected decline CC, approve, silence, lost, garbage, slow Ns, late Ns, overtaken Ns, duplicate, "
                    + "unreachable, cut, cut before, wrong-arpc, wrong-script, wrong-mac or table after the colon"
            )
        }
        if case .cents = condition, trouble != .table { throw fail("cents goes with table") }
        self.init(message: message, when: condition, trouble: trouble, times: times)
    }
}

extension TroubleRule.When {
    fileprivate init?(_ words: [String]) {
        switch (words.first, words.count) {
        case ("always", 1): self = .always
        case ("nth", 2), ("every", 2):
            guard let number = Int(words[1]), number >= 1 else { return nil }
            self = words[0] == "nth" ? .nth(number) : .every(number)
        case ("amount", 2):
            guard let units = UInt64(words[1]), let amount = Amount(minorUnits: units) else { return nil }
            self = .amount(amount)
        case ("cents", 2):
            guard let units = UInt64(words[1]), units <= Amount.greatest - 99 else { return nil }
            self = .cents(base: units)
        case ("card", 2):
            guard let number = PrimaryAccountNumber(digits: words[1]) else { return nil }
            self = .card(number)
        case ("during", 2):
            let times = words[1].split(separator: "-", omittingEmptySubsequences: false).map {
                Trouble.duration(String($0))
            }
            guard times.count == 2, let from = times[0], let to = times[1], from < to else { return nil }
            self = .during(from..<to)
        case (let word?, 1) where word.hasSuffix("%"):
            guard let hundredths = Self.hundredths(word.dropLast()), (1...10_000).contains(hundredths) else {
                return nil
            }
            self = .chance(hundredths)
        default: return nil
        }
    }

    /// `2.5` as 250.
    private static func hundredths(_ text: Substring) -> Int? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = Int(parts[0]), (0...100).contains(whole) else {
            return nil
        }
        guard parts.count == 2 else { return whole * 100 }
        guard (1...2).contains(parts[1].utf8.count), let part = Int(parts[1]), part >= 0 else { return nil }
        return whole * 100 + (parts[1].utf8.count == 1 ? part * 10 : part)
    }
}

extension Trouble {
    fileprivate init?(_ words: [String]) {
        switch (words.first, words.count) {
        case ("decline", 2):
            guard words[1].utf8.count == 2, !ResponseCodeTable.meaning(of: words[1]).isApproval else {
                return nil
            }
            self = .decline(words[1])
        case ("approve", 1): self = .approve
        case ("silence", 1): self = .silence
        case ("lost", 1): self = .lost
        case ("garbage", 1): self = .garbage
        case ("duplicate", 1): self = .duplicate
        case ("unreachable", 1): self = .unreachable
        case ("cut", 1): self = .cut(seenByHost: true)
        case ("cut", 2) where words[1] == "before": self = .cut(seenByHost: false)
        case ("wrong-arpc", 1): self = .wrongResponseCryptogram
        case ("wrong-script", 1): self = .wrongScript
        case ("wrong-mac", 1): self = .wrongMAC
        case ("table", 1): self = .table
        case ("slow", 2), ("late", 2), ("overtaken", 2):
            guard let time = Self.duration(words[1]) else { return nil }
            self = words[0] == "overtaken" ? .overtaken(time) : .late(time)
        default: return nil
        }
    }

    /// `45s` or `200ms`, up to a day.
    fileprivate static func duration(_ text: String) -> Duration? {
        if text.hasSuffix("ms"), let number = Int(text.dropLast(2)), (0...86_400_000).contains(number) {
            return .milliseconds(number)
        }
        if text.hasSuffix("s"), let number = Int(text.dropLast()), (0...86_400).contains(number) {
            return .seconds(number)
        }
        return nil
    }
}

/// Chooses troubles message by message.
public struct TroubleMaker: Sendable {
    public let script: TroubleScript
    private var counts: [TroubleRule.Message: Int] = [:]
    private var strikes: [Int]
    private var random: UInt64

    public init(_ script: TroubleScript) {
        self.script = script
        strikes = script.rules.map { _ in 0 }
        random = script.seed
    }

    /// The trouble of the next message; nil where all goes well.
    /// - Parameter elapsed: time since the host's start.
    public mutating func next(
        _ message: TroubleRule.Message, amount: Amount, card: PrimaryAccountNumber?, elapsed: Duration = .zero
    ) -> Trouble? {
        let count = (counts[message] ?? 0) + 1
        counts[message] = count
        var chosen: Trouble?
        for (index, rule) in script.rules.enumerated() where rule.message == message {
            // Chance is drawn whatever came before, so that rules do not shift each other's luck.
            let draw: UInt64? = if case .chance = rule.when { next() } else { nil }
            guard chosen == nil, rule.times.map({ strikes[index] < $0 }) ?? true else { continue }
            let fits =
                switch rule.when {
                case .always: true
                case .nth(let number): count == number
                case .every(let number): number > 0 && count.isMultiple(of: number)
                case .amount(let wanted): amount == wanted
                case .card(let wanted): card == wanted
                case .chance(let hundredths): (draw ?? 0) % 10_000 < UInt64(clamping: hundredths)
                case .during(let times): times.contains(elapsed)
                case .cents(let base):
                    amount.minorUnits >= base && amount.minorUnits - base <= 99
                }
            guard fits else { continue }
            let trouble = rule.trouble == .table ? TroubleScript.tableTrouble(amount) : rule.trouble
            guard let trouble else { continue }
            strikes[index] += 1
            chosen = trouble
        }
        return chosen
    }

    /// SplitMix64.
    private mutating func next() -> UInt64 {
        random &+= 0x9E37_79B9_7F4A_7C15
        var value = random
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
