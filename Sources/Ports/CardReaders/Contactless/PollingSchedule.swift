/// What a reader sends while it waits for a card, in order, again and again.
///
/// Phones decide by what the field polls for which card or pass they show: they watch one or more rounds before they
/// answer. Enhanced contactless polling (ECP) frames tell them what the terminal is for. Apple does not publish
/// them; facts from kormax/apple-enhanced-contactless-polling.
public struct PollingSchedule: Sendable, Equatable {
    public enum Step: Sendable, Equatable {
        /// WUPA, and HLTA where a card answers (EMV Contactless Book D, 9.2).
        case typeA
        /// WUPB.
        case typeB
        /// SENSF_REQ for all systems at 212 kbit/s: FeliCa cards are seen, not used.
        case typeF
        /// ISO/IEC 15693 INVENTORY.
        case typeV
        /// A frame without an answer, checksum appended, in the modulation of the step before it.
        case frame([UInt8])
        /// Unmodulated field.
        case pause(milliseconds: UInt16)
    }
    public var steps: [Step]

    public init(steps: [Step]) { self.steps = steps }

    /// Type A and B and nothing else: what EMV asks for.
    public static let standard = PollingSchedule(steps: [.typeA, .typeB])

    /// A payment terminal: "payment only" after type A.
    public static let payment = PollingSchedule(
        steps: [
            .typeA, .pause(milliseconds: 5), .frame(EnhancedPolling.payment), .typeB, .pause(milliseconds: 5),
        ])

    /// A transit gate: the agency's frame after type A, with the card schemes it takes instead of its own pass.
    /// - Parameters:
    ///   - agency: terminal capabilities identifier (TCI), 3 bytes, beginning with 03.
    ///   - schemes: payment schemes accepted as open loop.
    public static func transit(agency: [UInt8], schemes: EnhancedPolling.Schemes = .all) -> PollingSchedule? {
        guard let frame = EnhancedPolling.transit(agency: agency, schemes: schemes) else { return nil }
        return PollingSchedule(
            steps: [.typeA, .pause(milliseconds: 5), .frame(frame), .typeB, .pause(milliseconds: 5)])
    }

    /// With FeliCa polled for in each round.
    public var withTypeF: PollingSchedule {
        PollingSchedule(steps: steps + [.typeF, .pause(milliseconds: 5)])
    }

    /// Reads `standard`, `payment`, `transit:TTTTTT` or `transit:TTTTTT:MMMMMMMMMM` (identifier and mask of
    /// schemes in hexadecimal), each with `+f` for FeliCa.
    /// - Returns: nil for anything else.
    public init?(words: String) {
        var words = words.lowercased()
        let polls = words.hasSuffix("+f")
        if polls { words.removeLast(2) }
        let parts = words.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let schedule: PollingSchedule?
        switch (parts[0], parts.count) {
        case ("standard", 1): schedule = .standard
        case ("payment", 1): schedule = .payment
        case ("transit", 2), ("transit", 3):
            guard let agency = Self.hexadecimal(parts[1]), agency.count == 3 else { return nil }
            var schemes = EnhancedPolling.Schemes.all
            if parts.count == 3 {
                guard let mask = Self.hexadecimal(parts[2]), mask.count == 5 else { return nil }
                schemes = EnhancedPolling.Schemes(rawValue: mask.reduce(0) { $0 << 8 | UInt64($1) })
            }
            schedule = .transit(agency: agency, schemes: schemes)
        default: schedule = nil
        }
        guard let schedule else { return nil }
        self = polls ? schedule.withTypeF : schedule
    }

    private static func hexadecimal(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard
                let byte = UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}

/// Frames of enhanced contactless polling, without checksum: header 6A, version, and what the version lays out.
public enum EnhancedPolling {
    /// Payment schemes that a transit gate takes: 5 bytes, most significant first.
    // Unconfirmed beyond the first byte: only bits seen in the field are named.
    public struct Schemes: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue & 0xFF_FFFF_FFFF }
        public static let amex = Schemes(rawValue: 0x01_0000_0000)
        public static let discover = Schemes(rawValue: 0x02_0000_0000)
        public static let maestro = Schemes(rawValue: 0x08_0000_0000)
        public static let mastercard = Schemes(rawValue: 0x10_0000_0000)
        public static let visa = Schemes(rawValue: 0x20_0000_0000)
        public static let electron = Schemes(rawValue: 0x40_0000_0000)
        public static let vpay = Schemes(rawValue: 0x80_0000_0000)
        public static let jcb = Schemes(rawValue: 0x00_0100_0000)
        public static let all: Schemes = [
            .amex, .discover, .maestro, .mastercard, .visa, .electron, .vpay, .jcb,
        ]
    }

    /// Version 1, payment only: a phone shows its payment card and no loyalty pass.
    public static let payment: [UInt8] = [0x6A, 0x01, 0x00, 0x00, 0x03]

    /// Version 2, transit (type 01, subtype 00): present the pass by itself, no authentication needed, eight bytes of
    /// data.
    /// - Returns: nil where the identifier is not 3 bytes that begin with 03.
    public static func transit(agency: [UInt8], schemes: Schemes) -> [UInt8]? {
        guard agency.count == 3, agency[0] == 0x03 else { return nil }
        let mask = (0..<5).map { UInt8(truncatingIfNeeded: schemes.rawValue >> (32 - 8 * UInt64($0))) }
        return [0x6A, 0x02, 0xC8, 0x01, 0x00] + agency + mask
    }
}
