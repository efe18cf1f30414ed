import CommandSupport
import EMV
import EMVDictionary
import ISO8583
import ISO8583Backend

/// Which dialect and framing a message is written in, of those that come into question, where nobody says so.
///
/// Bytes of one dialect are often bytes of another, with other values: all are tried, and the reading is taken that is the
/// likeliest. Where several are left, all are named.
struct MessageDetection {
    struct Reading {
        var bytes: [UInt8]
        /// How the text was read.
        var source: String
        var dialect: String
        var framing: Framing?
        var explanation: MessageExplanation
        var message: Message
        var rank: Rank

        var framingName: String { framing?.description ?? "none" }
    }

    /// Another dialect or framing that reads the whole message.
    struct Other: Encodable, Equatable {
        var dialect: String
        var framing: String
        /// How the text was read, where that is otherwise.
        var reading: String?
        /// Fields that it has other values in, or alone; empty where all are the same.
        var differingFields: [Int]
    }

    /// How likely a reading is; the first difference decides.
    struct Rank: Comparable {
        /// The message type is one of ISO 8583.
        var hasKnownType: Bool
        /// To the last byte, with lengths, fillers and characters as the dialect has them.
        var isWhole: Bool
        /// The type's first digit is the dialect's version.
        var isOfVersion: Bool
        /// Fields whose values are not what the field is for.
        var implausible: Int
        /// How many fields could be read.
        var fields: Int

        static func < (a: Rank, b: Rank) -> Bool {
            func number(_ value: Bool) -> Int { value ? 1 : 0 }
            return (
                number(a.hasKnownType), number(a.isWhole), number(a.isOfVersion), -a.implausible, a.fields
            ) < (number(b.hasKnownType), number(b.isWhole), number(b.isOfVersion), -b.implausible, b.fields)
        }
    }

    let best: Reading
    let others: [Other]

    /// - Parameters:
    ///   - candidates: what the text may stand for; at least one.
    ///   - dialects: the first of several equally likely ones is taken.
    ///   - framings: likewise; nil is a bare message.
    init(_ candidates: [PastedMessage], dialects: [Dialect], framings: [Framing?]) {
        var readings: [Reading] = []
        for (candidate, framing) in candidates.flatMap({ one in framings.map { (one, $0) } }) {
            let bytes = candidate.bytes
            var content = bytes
            var error: FramingError?
            if let framing {
                do throws(FramingError) {
                    content = try framing.content(of: bytes)
                } catch let failure {
                    error = failure
                }
            }
            if framings.count > 1, error != nil || framing?.fitsHeader(content) == false { continue }
            for dialect in dialects {
                var (explanation, message) = dialect.explain(
                    error == nil ? content : [], from: framing?.header.count ?? 0)
                if let error { explanation.error = "framing \"\(framing?.description ?? "")\": \(error)" }
                readings.append(
                    Reading(
                        bytes: bytes, source: candidate.reading, dialect: dialect.name, framing: framing,
                        explanation: explanation, message: message,
                        rank: Self.rank(explanation, of: message, in: dialect, isAlone: dialects.count == 1)))
            }
        }
        var chosen = 0
        for index in readings.indices where readings[index].rank > readings[chosen].rank { chosen = index }
        guard readings.indices.contains(chosen) else {
            best = Reading(
                bytes: candidates.first?.bytes ?? [], source: candidates.first?.reading ?? "?", dialect: "?",
                framing: nil,
                explanation: MessageExplanation(
                    dialect: "?", header: "", error: "no usual framing fits these bytes"),
                message: Message(0),
                rank: Rank(
                    hasKnownType: false, isWhole: false, isOfVersion: false, implausible: 0, fields: 0))
            others = []
            return
        }
        let best = readings.remove(at: chosen)
        self.best = best
        guard best.rank.isWhole else {
            others = []
            return
        }
        others = readings.filter { $0.rank.isWhole && $0.rank.hasKnownType }.map { other in
            let fields = Set(best.message.fields).union(other.message.fields)
            return Other(
                dialect: other.dialect, framing: other.framingName,
                reading: other.bytes == best.bytes ? nil : other.source,
                differingFields: fields.filter { best.message[$0] != other.message[$0] }.sorted())
        }
    }

    /// The others for people, at most two lines.
    static func lines(_ others: [Other], than framing: String) -> [String] {
        func name(_ other: Other) -> String {
            other.dialect + (other.framing == framing ? "" : " with framing \(other.framing)")
                + (other.reading.map { " from \($0)" } ?? "")
        }
        let same = others.filter(\.differingFields.isEmpty).map(name)
        let different = others.filter { !$0.differingFields.isEmpty }.map { other in
            "\(name(other)) (field\(other.differingFields.count == 1 ? "" : "s") \(other.differingFields.map(String.init).joined(separator: ", ")))"
        }
        return [
            same.isEmpty ? nil : "the same values are read by " + same.joined(separator: ", "),
            different.isEmpty ? nil : "other values are read by " + different.joined(separator: ", "),
        ].compactMap(\.self)
    }

    /// - Parameter isAlone: the dialect was asked for: its messages may have types of its own.
    static func rank(
        _ explanation: MessageExplanation, of message: Message, in dialect: Dialect, isAlone: Bool
    ) -> Rank {
        Rank(
            hasKnownType: isAlone || explanation.typeMeaning != nil, isWhole: explanation.error == nil,
            isOfVersion: message.type.isVersion1993 == (dialect.version == .v1993),
            implausible: message.fields.count { !isPlausible($0, of: message, in: dialect) },
            fields: explanation.fields.count)
    }

    /// Whether a value is one that the field is for: characters of its format, times that there are, known currencies and
    /// countries, a card number with a right check digit.
    static func isPlausible(_ number: Int, of message: Message, in dialect: Dialect) -> Bool {
        guard let value = message[number], let field = dialect[number] else { return true }
        switch field.format {
        case .b: return true
        case .a, .an, .ans:
            guard value.allSatisfy({ (0x20...0x7E).contains($0) }) else { return false }
        case .n, .z, .xn: break
        }
        let text = String(decoding: value, as: UTF8.self)
        func two(_ offset: Int) -> Int { Int(text.dropFirst(offset).prefix(2)) ?? -1 }
        func isDate(_ offset: Int) -> Bool {
            (1...12).contains(two(offset)) && (1...31).contains(two(offset + 2))
        }
        func isTime(_ offset: Int) -> Bool {
            (0...23).contains(two(offset)) && (0...59).contains(two(offset + 2))
                && (0...59).contains(two(offset + 4))
        }
        switch (number, dialect.version) {
        case (2, _): return PrimaryAccountNumber(digits: text)?.hasValidCheckDigit == true
        case (7, _): return isDate(0) && isTime(4)
        case (12, .v1987): return isTime(0)
        case (12, .v1993): return isDate(2) && isTime(6)
        case (13, .v1987), (15, .v1987), (16, .v1987), (17, .v1987): return isDate(0)
        case (14, _): return (1...12).contains(two(2))
        case (19, _), (20, _), (21, _): return Int(text).map { CodeTable.country($0) != nil } == true
        case (35, _):
            // The number of field 2, where both are there, else one with a right check digit.
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            if let number = message.text(2) { return number == digits }
            return PrimaryAccountNumber(digits: String(digits))?.hasValidCheckDigit == true
        case (49, _), (50, _), (51, _):
            return (Int(text).map { CodeTable.currency($0) } ?? CodeTable.currency(text)) != nil
        default: return true
        }
    }
}
