import BERTLV

/// The meaning of each bit of a data object, from `BitFieldTable`.
struct BitField: Sendable {
    enum Rule: Sendable {
        case bit(byte: Int, mask: UInt8, text: String)
        case value(byte: Int, mask: UInt8, value: UInt8, text: String)
        case number(byte: Int, mask: UInt8, text: String)
        case free(byte: Int, mask: UInt8, text: String)
    }
    var count: Int
    var rules: [Rule] = []

    static let all: [String: BitField] = parse(BitFieldTable.text)

    static func parse(_ text: String) -> [String: BitField] {
        var fields: [String: BitField] = [:]
        var name = ""
        for line in text.split(separator: "\n") {
            if line.first == "@" {
                let parts = line.dropFirst().split(separator: " ")
                guard parts.count == 2, let count = Int(parts[1]) else { continue }
                name = String(parts[0])
                fields[name] = BitField(count: count)
            } else if let rule = Rule(line: line) {
                fields[name]?.rules.append(rule)
            }
        }
        return fields
    }

    /// The field of `name` as `context` codes it, else the common one.
    static func named(_ name: String, _ context: DictionaryContext) -> BitField? {
        all[name + "." + context.rawValue] ?? all[name]
    }

    /// Explains the bytes; bits beyond the bytes present are passed over, set bits without meaning shown.
    func lines(_ bytes: some Collection<UInt8>, showUnset: Bool, indent: Int = 0) -> [ExplanationLine] {
        let bytes = Array(bytes)
        var lines: [ExplanationLine] = []
        var explained = [UInt8](repeating: 0, count: bytes.count)
        var matched: Set<Int> = []
        for rule in rules {
            switch rule {
            case .bit(let byte, let mask, let text):
                guard byte < bytes.count else { continue }
                explained[byte] |= mask
                let isSet = bytes[byte] & mask != 0
                if isSet || showUnset {
                    lines.append(
                        ExplanationLine(
                            "byte \(byte + 1) bit \(mask.trailingZeroBitCount + 1): \(text)", indent: indent,
                            isSet: isSet))
                }
            case .value(let byte, let mask, let value, let text):
                guard byte < bytes.count else { continue }
                explained[byte] |= mask
                if bytes[byte] & mask == value {
                    matched.insert(byte << 8 | Int(mask))
                    lines.append(
                        ExplanationLine(
                            "\(Self.place(byte, mask)) = \(Self.digits(value, mask)): \(text)", indent: indent
                        ))
                }
            case .number(let byte, let mask, let text):
                guard byte < bytes.count else { continue }
                explained[byte] |= mask
                guard matched.insert(byte << 8 | Int(mask)).inserted else { continue }
                let number = (bytes[byte] & mask) >> UInt8(mask.trailingZeroBitCount)
                lines.append(
                    ExplanationLine("\(Self.place(byte, mask)): \(text) \(number)", indent: indent))
            case .free(let byte, let mask, let text):
                guard byte < bytes.count else { continue }
                explained[byte] |= mask
                if bytes[byte] & mask != 0 {
                    lines.append(
                        ExplanationLine(
                            "\(Self.place(byte, mask)) = \(Self.digits(bytes[byte] & mask, mask)): \(text)",
                            indent: indent))
                }
            }
        }
        // Groups of values of which none matched, and set bits that mean nothing.
        for rule in rules {
            if case .value(let byte, let mask, _, _) = rule, byte < bytes.count,
                matched.insert(byte << 8 | Int(mask)).inserted
            {
                lines.append(
                    ExplanationLine(
                        "\(Self.place(byte, mask)) = \(Self.digits(bytes[byte] & mask, mask)): RFU",
                        indent: indent))
            }
        }
        for (byte, value) in bytes.enumerated() where byte < count {
            let rest = value & ~explained[byte]
            for bit in (0..<8).reversed() where rest & (1 << UInt8(bit)) != 0 {
                lines.append(
                    ExplanationLine("byte \(byte + 1) bit \(bit + 1): RFU", indent: indent, isSet: true))
            }
        }
        if bytes.count < count {
            lines.append(ExplanationLine("\(bytes.count) bytes where \(count) are expected", indent: indent))
        } else if bytes.count > count {
            lines.append(
                ExplanationLine("beyond byte \(count): \(Hex.string(bytes[count...]))", indent: indent))
        }
        return lines
    }

    static func place(_ byte: Int, _ mask: UInt8) -> String {
        if mask == 0xFF { return "byte \(byte + 1)" }
        let low = mask.trailingZeroBitCount + 1
        let high = 8 - mask.leadingZeroBitCount
        return low == high ? "byte \(byte + 1) bit \(low)" : "byte \(byte + 1) bits \(high)-\(low)"
    }

    static func digits(_ value: UInt8, _ mask: UInt8) -> String {
        if mask == 0xFF { return Hex.string([value]) }
        let shifted = value >> UInt8(mask.trailingZeroBitCount)
        let width = 8 - mask.leadingZeroBitCount - mask.trailingZeroBitCount
        let text = String(shifted, radix: 2)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

extension BitField.Rule {
    init?(line: Substring) {
        guard let bar = line.firstIndex(of: "|") else { return nil }
        let place = line[..<bar]
        let text = String(line[line.index(after: bar)...])
        guard let mark = place.firstIndex(where: { $0 == "." || $0 == "&" }),
            let byte = Int(place[..<mark]), byte >= 1
        else { return nil }
        let rest = place[place.index(after: mark)...]
        if place[mark] == "." {
            guard let bit = Int(rest), (1...8).contains(bit) else { return nil }
            self = .bit(byte: byte - 1, mask: 1 << UInt8(bit - 1), text: text)
        } else if rest.hasSuffix("#") || rest.hasSuffix("-") {
            guard let mask = UInt8(rest.dropLast(), radix: 16), mask != 0 else { return nil }
            self =
                rest.hasSuffix("#")
                ? .number(byte: byte - 1, mask: mask, text: text)
                : .free(byte: byte - 1, mask: mask, text: text)
        } else {
            let parts = rest.split(separator: "=")
            guard parts.count == 2, let mask = UInt8(parts[0], radix: 16), mask != 0,
                let value = UInt8(parts[1], radix: 16)
            else { return nil }
            self = .value(byte: byte - 1, mask: mask, value: value, text: text)
        }
    }
}
