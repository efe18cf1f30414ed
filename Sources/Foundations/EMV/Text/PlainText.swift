/// Texts that came from a host, a card, a reader, a trace or a file of somebody else, made fit to be shown. The one place
/// that tells characters from commands to what shows them; terminal output, logs, receipts, CSV, JSON and the journal ask
/// here.
package enum PlainText {
    /// Stands for what was taken out.
    package static let replacement: Unicode.Scalar = "\u{FFFD}"

    /// Whether a scalar is obeyed or hidden rather than shown: control characters C0, DEL and C1 (ISO/IEC 6429: escape
    /// sequences begin with them), separators of lines and paragraphs, and what changes the direction of text or cannot be
    /// seen at all (Unicode's category Cf, but for the joiners that some scripts are written with, and the soft hyphen).
    package static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: return false
        case 0...0x1F, 0x7F...0x9F: return true
        case 0xAD, 0x200C, 0x200D: return false
        case 0xA0...0x2FF: return false
        default:
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: return true
            default: return false
            }
        }
    }

    /// Whether nothing needs a second look: printable ASCII alone.
    @inline(__always)
    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } }

    /// The text without what is obeyed rather than shown.
    /// - Parameters:
    ///   - kept: control characters that stay, such as the line breaks of a table.
    ///   - replacement: what stands for the others, one for one.
    package static func clean(
        _ text: String, keeping kept: Set<Unicode.Scalar> = [],
        replacement: Unicode.Scalar = PlainText.replacement
    ) -> String {
        guard !isPlain(text) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(isControl(scalar) && !kept.contains(scalar) ? replacement : scalar)
        }
        return String(result)
    }

    /// The same for output on a terminal: line breaks and tabs stay, and so do the program's own colours (`styles`), as ESC
    /// `[` and a list of numbers and `m` and nothing else, where it sets any.
    /// - Parameter styles: numbers of the colours and styles that the program itself sets.
    package static func forTerminal(_ text: String, styles: Set<String> = []) -> String {
        guard !isPlain(text) else { return text }
        let scalars = Array(text.unicodeScalars)
        var result = String.UnicodeScalarView()
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            if scalar == "\u{1B}", let end = endOfStyle(scalars, at: index, of: styles) {
                result.append(contentsOf: scalars[index..<end])
                index = end
                continue
            }
            result.append(isControl(scalar) && scalar != "\n" && scalar != "\t" ? replacement : scalar)
            index += 1
        }
        return String(result)
    }

    /// Where one of the program's own style sequences ends that begins at `start`.
    private static func endOfStyle(
        _ scalars: [Unicode.Scalar], at start: Int, of styles: Set<String>
    ) -> Int? {
        guard !styles.isEmpty, start + 1 < scalars.count, scalars[start + 1] == "[" else { return nil }
        var numbers = ""
        for index in (start + 2)..<min(scalars.count, start + 12) {
            if scalars[index] == "m" {
                let known = numbers.split(separator: ";", omittingEmptySubsequences: false)
                    .allSatisfy { styles.contains(String($0)) }
                return known ? index + 1 : nil
            }
            numbers.unicodeScalars.append(scalars[index])
        }
        return nil
    }

    /// JSON in which such characters stand as escapes, for readers who look at it on a terminal; its meaning is the same.
    /// - Parameter json: as an encoder made it, so that all of them stand within strings, but for its own line breaks.
    package static func escaped(json: String) -> String {
        guard !json.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || $0 == 0x0A }) else { return json }
        var result = ""
        for scalar in json.unicodeScalars {
            if isControl(scalar), scalar != "\n" {
                for unit in String(scalar).utf16 { result += escape(unit) }
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `\u001b`.
    static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
