internal import BERTLV
public import EMV

/// Which card numbers are test numbers and may be kept in clear.
public struct TestNumbers: Sendable {
    /// Starts of test card numbers and test tokens, as digits.
    public var prefixes: [String]
    public init(_ prefixes: [String]) { self.prefixes = prefixes }

    /// The numbers of Tapbridge's own cards, and of the schemes' published test cards.
    public static let known = TestNumbers([
        "476173900101", "4895370000", "4895380000", "4895390000", "541333008902", "5413330089",
        "5204740000", "4761739001", "4111111111111111", "5555555555554444", "374245001751", "6011000990",
        "3528000000", "6250946000", "2223000048",
    ])

    public func contains(_ number: PrimaryAccountNumber) -> Bool {
        let digits = number.clearDigits
        return prefixes.contains { digits.hasPrefix($0) }
    }
}

extension Trace {
    /// The trace fit to be kept: where it holds a card number that is no test number, the number's middle
    /// digits, the tracks' discretionary data, names, and the card's certificate (from which the number
    /// could be recovered) are blanked in place, lengths unchanged, and the header says `masked: yes`.
    /// Signatures over blanked data verify no more.
    public func masked(keeping test: TestNumbers = .known) -> Trace {
        var live: [PrimaryAccountNumber] = []
        for case .response(let bytes, _) in entries.map(\.content) {
            Self.findNumbers(in: bytes, 0..<max(0, bytes.count - 2), 0) { number in
                if !test.contains(number), !live.contains(number) { live.append(number) }
            }
        }
        // Torn transactions of earlier cards hold their numbers.
        let memories = header.filter { field in
            guard field.key.hasPrefix("kernel-memory-"), let bytes = Hex.bytes(field.value) else {
                return false
            }
            var holdsLive = false
            Self.findNumbers(in: bytes, 0..<bytes.count, 0) { if !test.contains($0) { holdsLive = true } }
            return holdsLive
        }
        guard !live.isEmpty || !memories.isEmpty else { return self }
        var result = self
        result["masked"] = "yes"
        result.header.removeAll { memories.contains($0) }
        // Commands cannot hold more of a card than an issuer script brings; scripts are kept out whole.
        for index in result.entries.indices {
            switch result.entries[index].content {
            case .response(var bytes, let time):
                Self.blank(&bytes, 0..<max(0, bytes.count - 2), 0)
                for number in live { Self.blankPacked(number, in: &bytes) }
                result.entries[index].content = .response(bytes, microseconds: time)
            case .command(var bytes):
                for number in live { Self.blankPacked(number, in: &bytes) }
                result.entries[index].content = .command(bytes)
            case .terminalData(var bytes):
                for number in live { Self.blankPacked(number, in: &bytes) }
                result.entries[index].content = .terminalData(bytes)
            default: break
            }
        }
        return result
    }

    private static func findNumbers(
        in bytes: [UInt8], _ range: Range<Int>, _ depth: Int, _ found: (PrimaryAccountNumber) -> Void
    ) {
        guard depth < 32 else { return }
        var reader = BERTLVReader(bytes.span, in: range, padding: .zerosAndFF)
        while let element = try? reader.next() {
            if element.tag.isConstructed {
                findNumbers(in: bytes, element.value, depth + 1, found)
                continue
            }
            let value = bytes[element.value]
            switch element.tag {
            case 0x5A:
                if let number = PrimaryAccountNumber(compressedNumeric: value) { found(number) }
            case 0x57, 0x9F6B:
                // The digits before the separator, whatever comes behind it.
                let digits = Hex.string(value).prefix { $0.isNumber }
                if let number = PrimaryAccountNumber(digits: digits.prefix(19)) { found(number) }
            case 0x56, 0x9F1F:
                // Track 1: format code, PAN, separator.
                let text = String(decoding: value, as: UTF8.self)
                if let digits = text.dropFirst().split(separator: "^").first,
                    let number = PrimaryAccountNumber(digits: digits)
                {
                    found(number)
                }
            default: break
            }
        }
    }

    private static func blank(_ bytes: inout [UInt8], _ range: Range<Int>, _ depth: Int) {
        guard depth < 32 else { return }
        var places: [TLVElement] = []
        var reader = BERTLVReader(bytes.span, in: range, padding: .zerosAndFF)
        while let element = try? reader.next() { places.append(element) }
        for element in places {
            switch element.tag {
            case 0x57, 0x9F6B: blankTrack2(&bytes, element.value)
            case 0x5A: blankNibbles(&bytes, element.value, keepingLast: 4)
            case 0x5F20, 0x9F0B:
                for index in element.value { bytes[index] = UInt8(ascii: "X") }
            case 0x56:
                for index in element.value.dropFirst(7) where bytes[index] != UInt8(ascii: "^") {
                    bytes[index] = UInt8(ascii: "0")
                }
            case 0x9F1F:
                for index in element.value { bytes[index] = UInt8(ascii: "0") }
            // Certificates and signatures from which the number can be recovered; other account data.
            case 0x9F46, 0x9F2D, 0x93, 0x9F24, 0x9F20:
                for index in element.value { bytes[index] = 0 }
            default:
                if element.tag.isConstructed { blank(&bytes, element.value, depth + 1) }
            }
        }
    }

    private static func nibble(_ bytes: [UInt8], _ base: Int, _ position: Int) -> UInt8 {
        let byte = bytes[base + position / 2]
        return position.isMultiple(of: 2) ? byte >> 4 : byte & 0x0F
    }

    private static func clearNibble(_ bytes: inout [UInt8], _ base: Int, _ position: Int) {
        let index = base + position / 2
        bytes[index] &= position.isMultiple(of: 2) ? 0x0F : 0xF0
    }

    private static func blankTrack2(_ bytes: inout [UInt8], _ range: Range<Int>) {
        let count = range.count * 2
        let separator =
            (0..<count).first { nibble(bytes, range.lowerBound, $0) == 0x0D } ?? count
        for position in 0..<count {
            let isNumber = position >= (separator >= 13 ? 6 : 0) && position < separator - 4
            // After the separator: expiry and service code stay.
            let isDiscretionary = position > separator + 7
            let value = nibble(bytes, range.lowerBound, position)
            if isNumber || isDiscretionary, value <= 9 {
                clearNibble(&bytes, range.lowerBound, position)
            }
        }
    }

    private static func blankNibbles(
        _ bytes: inout [UInt8], _ range: Range<Int>, keepingLast kept: Int
    ) {
        let count = range.count * 2
        var digits = 0
        while digits < count, nibble(bytes, range.lowerBound, digits) <= 9 { digits += 1 }
        // First six and last four; of short numbers the last four only.
        let start = digits >= 13 ? 6 : 0
        for position in start..<max(start, digits - kept) {
            clearNibble(&bytes, range.lowerBound, position)
        }
    }

    /// Blanks the number wherever it still stands in packed form: the same digits as where it stands under its own tag.
    private static func blankPacked(_ number: PrimaryAccountNumber, in bytes: inout [UInt8]) {
        let pattern = Array(number.compressedNumeric.prefix(number.digitCount / 2))
        guard bytes.count >= pattern.count else { return }
        let hidden = (number.digitCount >= 13 ? 6 : 0)..<min(number.digitCount - 4, pattern.count * 2)
        for start in 0...(bytes.count - pattern.count)
        where bytes[start..<(start + pattern.count)].elementsEqual(pattern) {
            for position in hidden { clearNibble(&bytes, start, position) }
        }
    }
}
