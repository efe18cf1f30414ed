import BERTLV

/// A Primary Account Number (or a token that stands for one): 8...19 digits (EMV Book 3, 5A: up to 19).
/// Every description is masked: first six and last four digits.
public struct PrimaryAccountNumber: Hashable, Sendable {
    /// Packed digits, right-padded with F: at most 10 bytes.
    let packed: [UInt8]
    public let digitCount: Int

    /// From compressed numeric bytes, right-padded with F. Nil unless 8...19 decimal digits.
    @inlinable public init?(compressedNumeric bytes: some Collection<UInt8>) {
        self.init(compressedNumeric: Array(bytes).span)
    }

    /// From compressed numeric bytes, right-padded with F. Nil unless 8...19 decimal digits.
    public init?(compressedNumeric bytes: Span<UInt8>) {
        var count = 0
        var ended = false
        for index in bytes.indices {
            let byte = bytes[index]
            // Padding ends the number for good: no digit may follow it.
            if byte >> 4 == 0x0F {
                ended = true
            } else {
                guard !ended, byte >> 4 <= 9 else { return nil }
                count += 1
            }
            if byte & 0x0F == 0x0F {
                ended = true
            } else {
                guard !ended, byte & 0x0F <= 9 else { return nil }
                count += 1
            }
        }
        guard (8...19).contains(count) else { return nil }
        packed = Array(unsafeUninitializedCapacity: (count + 1) / 2) { output, initialized in
            for index in 0..<((count + 1) / 2) { output.initializeElement(at: index, to: bytes[index]) }
            initialized = (count + 1) / 2
        }
        digitCount = count
    }

    /// From digits; spaces are passed over.
    public init?(digits text: some StringProtocol) {
        var nibbles: [UInt8] = []
        for character in text.utf8 where character != UInt8(ascii: " ") {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) else { return nil }
            nibbles.append(character - UInt8(ascii: "0"))
        }
        if !nibbles.count.isMultiple(of: 2) { nibbles.append(0x0F) }
        self.init(
            compressedNumeric: stride(from: 0, to: nibbles.count, by: 2).map {
                nibbles[$0] << 4 | nibbles[$0 + 1]
            })
    }

    /// Compressed numeric bytes as in tag 5A.
    public var compressedNumeric: [UInt8] { packed }

    package func digit(_ index: Int) -> UInt8 {
        let byte = packed[index / 2]
        return index.isMultiple(of: 2) ? byte >> 4 : byte & 0x0F
    }

    /// All digits in clear: for what is sent to an acquirer or compared, never for people.
    public var clearDigits: String {
        String(decoding: (0..<digitCount).map { digit($0) + UInt8(ascii: "0") }, as: UTF8.self)
    }

    /// First six and last four digits, the rest as `*`: at most what PCI DSS lets be shown. Shorter
    /// numbers than thirteen digits show the last four only.
    public var masked: String {
        let head = digitCount >= 13 ? 6 : 0
        return String(
            decoding: (0..<digitCount).map { index in
                index < head || index >= digitCount - 4
                    ? digit(index) + UInt8(ascii: "0") : UInt8(ascii: "*")
            }, as: UTF8.self)
    }

    public var lastFour: String { String(clearDigits.suffix(4)) }

    /// Whether the last digit is the right check digit (ISO/IEC 7812-1, Annex B).
    public var hasValidCheckDigit: Bool {
        var sum = 0
        for index in 0..<digitCount {
            var value = Int(digit(digitCount - 1 - index))
            if !index.isMultiple(of: 2) {
                value *= 2
                if value > 9 { value -= 9 }
            }
            sum += value
        }
        return sum.isMultiple(of: 10)
    }
}

extension PrimaryAccountNumber: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { masked }
    public var debugDescription: String { masked }
    public var customMirror: Mirror { Mirror(self, children: ["masked": masked]) }
}

/// Track 2 Equivalent Data, tag 57: PAN, D, expiry YYMM, service code, discretionary data, F padding
/// (ISO/IEC 7813). Descriptions are masked.
public struct Track2EquivalentData: Hashable, Sendable {
    public let primaryAccountNumber: PrimaryAccountNumber
    /// YYMM.
    public let expiry: Int
    /// Three digits; nil where the track ends before it.
    public let serviceCode: Int?
    /// The value as read, up to 19 bytes: for the acquirer only.
    public let clearBytes: [UInt8]

    /// Nil where there is no separator, no valid PAN, no expiry of four digits or a stray nibble.
    @inlinable public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count <= 19 else { return nil }
        self.init(clear: Array(bytes))
    }

    /// Whether track 2 is well-formed and has this card number; nothing is copied.
    public static func isTrack(_ bytes: Span<UInt8>, of number: PrimaryAccountNumber) -> Bool {
        func nibble(_ bytes: Span<UInt8>, _ index: Int) -> UInt8 {
            index.isMultiple(of: 2) ? bytes[index / 2] >> 4 : bytes[index / 2] & 0x0F
        }
        let count = number.digitCount
        guard bytes.count <= 19 else { return false }
        var end = bytes.count * 2
        while end > 0, nibble(bytes, end - 1) == 0x0F { end -= 1 }
        // Separator and expiry follow the number.
        guard end - count >= 5, nibble(bytes, count) == 0x0D else { return false }
        let digits = number.packed.span
        for index in 0..<count where nibble(bytes, index) != nibble(digits, index) { return false }
        for index in (count + 1)..<end where nibble(bytes, index) > 9 { return false }
        return true
    }

    /// - Parameter all: at most 19 bytes.
    @usableFromInline init?(clear all: [UInt8]) {
        func nibble(_ index: Int) -> UInt8 {
            index.isMultiple(of: 2) ? all[index / 2] >> 4 : all[index / 2] & 0x0F
        }
        var end = all.count * 2
        while end > 0, nibble(end - 1) == 0x0F { end -= 1 }
        var separator = 0
        while separator < end, nibble(separator) <= 9 { separator += 1 }
        guard separator < end, nibble(separator) == 0x0D, end - separator >= 5 else { return nil }
        for index in (separator + 1)..<end where nibble(index) > 9 { return nil }
        // The number alone, its odd digit padded with F.
        var packed = Array(all[..<((separator + 1) / 2)])
        if !separator.isMultiple(of: 2) { packed[packed.count - 1] |= 0x0F }
        guard let number = PrimaryAccountNumber(compressedNumeric: packed) else { return nil }
        primaryAccountNumber = number
        func digits(_ range: Range<Int>) -> Int { range.reduce(0) { $0 * 10 + Int(nibble($1)) } }
        expiry = digits((separator + 1)..<(separator + 5))
        let rest = separator + 5
        serviceCode = end - rest >= 3 ? digits(rest..<(rest + 3)) : nil
        discretionaryRange = min(end, rest + 3)..<end
        clearBytes = all
    }

    /// Nibbles after the service code.
    private let discretionaryRange: Range<Int>

    /// Digits after the service code.
    public var clearDiscretionaryData: String {
        String(
            decoding: discretionaryRange.map {
                ($0.isMultiple(of: 2) ? clearBytes[$0 / 2] >> 4 : clearBytes[$0 / 2] & 0x0F)
                    + UInt8(ascii: "0")
            }, as: UTF8.self)
    }

    /// `PAN=YYMM...` in characters, as ISO 8583 field 35 has it in ASCII dialects (with `=` or `D`).
    public func clearText(separator: Character = "=") -> String {
        var text = Hex.string(clearBytes)
        while text.last == "F" { text.removeLast() }
        return text.replacing("D", with: String(separator))
    }
}

extension Track2EquivalentData: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(primaryAccountNumber.masked)=****" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["masked": description]) }
}
