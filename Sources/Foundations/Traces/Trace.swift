internal import BERTLV
internal import EMV

/// A recorded session between a terminal and a card: `apdu-traces/README.md` describes the text format.
public struct Trace: Sendable, Equatable {
    public static let version = 1

    /// Header fields in their order: lower-case keys, free text.
    public var header: [Field]
    public var entries: [Entry]

    public struct Field: Sendable, Equatable {
        public var key: String
        public var value: String
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// One line of the body.
    public struct Entry: Sendable, Equatable {
        public var content: Content
        /// Line number in the file that it was read from; 0 where it was recorded.
        public var line: Int
        public init(_ content: Content, line: Int = 0) {
            self.content = content
            self.line = line
        }
        /// Entries are equal when they say the same, wherever they stand.
        public static func == (lhs: Entry, rhs: Entry) -> Bool { lhs.content == rhs.content }
    }

    public enum Content: Sendable, Equatable {
        /// `+ ATR`: a card was activated.
        case activated(answerToReset: [UInt8])
        /// `> HEX`: a command as sent.
        case command([UInt8])
        /// `< HEX [N us]`: the whole answer.
        case response([UInt8], microseconds: UInt32?)
        /// `! WORD`: something other than an answer.
        case event(Event)
        /// `? HEX`: the terminal drew an unpredictable number.
        case unpredictableNumber(UInt32)
        /// What the terminal gave a kernel that exchanges data (C-2's DET signal): data objects as BER-TLV.
        case terminalData([UInt8])
        /// `@ WORD [KEY=VALUE ...]`: the host's answer or its failure.
        case host(String, [Field])
        /// `= WORD [KEY=VALUE ...]`: an outcome or result that a replay must reach again.
        case outcome(String, [Field])
        /// `# TEXT`.
        case comment(String)
        case blank
    }

    public enum Event: String, Sendable, CaseIterable {
        /// The card left, or its answer was lost on the way.
        case removed
        /// The card stayed silent.
        case timeout
        /// The answer was damaged.
        case transmission
        /// The answer broke the protocol.
        case protocolViolation = "protocol"
        case collision
        case activationFailed = "activation-failed"
        case noCard = "no-card"
        case fieldOff = "field-off"
        case cancelled
    }

    public init(header: [Field] = [], entries: [Entry] = []) {
        self.header = header
        self.entries = entries
    }

    /// A header field; setting nil removes it.
    public subscript(key: String) -> String? {
        get { header.first { $0.key == key }?.value }
        set {
            if let index = header.firstIndex(where: { $0.key == key }) {
                if let newValue { header[index].value = newValue } else { header.remove(at: index) }
            } else if let newValue {
                header.append(Field(key, newValue))
            }
        }
    }

    public mutating func append(_ content: Content) { entries.append(Entry(content)) }
}

/// What is wrong in a trace, and on which line.
public struct TraceError: Error, Sendable, Equatable, CustomStringConvertible {
    public var line: Int
    public var reason: String
    public init(line: Int, reason: String) {
        self.line = line
        self.reason = reason
    }
    public var description: String { "line \(line): \(reason)" }
}

// MARK: - Reading

extension Trace {
    static let signature = "tapbridge-trace"
    /// A trace longer than this is refused: no session comes near.
    public static let mostBytes = 16 << 20

    /// Reads the text of a trace.
    /// - Throws: `TraceError` with the line. A command without an answer at the end is an error as well: the
    ///   trace was cut.
    public init(parsing text: String) throws(TraceError) {
        guard text.utf8.count <= Self.mostBytes else {
            throw TraceError(line: 1, reason: "the trace is larger than \(Self.mostBytes) bytes")
        }
        self.init()
        var inHeader = true
        var awaitsAnswer: Int?
        var number = 0
        // A carriage return and a line feed are one Character.
        let isBreak: (Character) -> Bool = { $0 == "\n" || $0 == "\r\n" }
        for part in text.split(omittingEmptySubsequences: false, whereSeparator: isBreak) {
            // Read as it would be written: a control character of a text is none in a trace.
            let line = PlainText.clean(String(part), keeping: ["\t"])[...]
            number += 1
            if number == 1 {
                try Self.checkSignature(line)
                continue
            }
            if inHeader {
                if line.isEmpty {
                    inHeader = false
                } else {
                    header.append(try Self.field(line, number))
                }
                continue
            }
            let content = try Self.content(line, number)
            switch content {
            case .command:
                if let earlier = awaitsAnswer {
                    throw TraceError(
                        line: number, reason: "a command before the one of line \(earlier) was answered")
                }
                awaitsAnswer = number
            case .response:
                guard awaitsAnswer != nil else {
                    throw TraceError(line: number, reason: "an answer without a command")
                }
                awaitsAnswer = nil
            case .event: awaitsAnswer = nil
            default: break
            }
            entries.append(Entry(content, line: number))
        }
        // The last line break is not a line of its own.
        if entries.last?.content == .blank { entries.removeLast() }
        if inHeader {
            throw TraceError(
                line: number, reason: "the trace ends in its header: a blank line must follow the header")
        }
        if let line = awaitsAnswer {
            throw TraceError(line: line, reason: "the trace is cut: this command has no answer")
        }
    }

    private static func checkSignature(_ line: Substring) throws(TraceError) {
        let words = line.split(separator: " ")
        guard words.count == 2, words[0] == signature, let version = Int(words[1]) else {
            throw TraceError(
                line: 1, reason: "not a trace: the first line must be \"\(signature) \(self.version)\"")
        }
        guard version == self.version else {
            throw TraceError(
                line: 1, reason: "version \(version) of the format; this program reads \(self.version)")
        }
    }

    private static func field(_ line: Substring, _ number: Int) throws(TraceError) -> Field {
        if line.first == "#" { return Field("#", String(line.dropFirst().drop { $0 == " " })) }
        guard let colon = line.firstIndex(of: ":") else {
            throw TraceError(line: number, reason: "expected \"key: value\" in the header")
        }
        let key = line[..<colon]
        guard !key.isEmpty, key.allSatisfy({ $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "-") })
        else {
            throw TraceError(
                line: number, reason: "a header key has lower-case letters, digits and hyphens: \"\(key)\"")
        }
        return Field(String(key), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }

    private static func content(_ line: Substring, _ number: Int) throws(TraceError) -> Content {
        guard let mark = line.first else { return .blank }
        let rest = line.dropFirst().drop { $0 == " " }
        switch mark {
        case "#": return .comment(String(rest))
        case "+": return .activated(answerToReset: try bytes(rest, number))
        case ">":
            let command = try bytes(rest, number)
            guard !command.isEmpty else { throw TraceError(line: number, reason: "an empty command") }
            return .command(command)
        case "<":
            let words = rest.split(separator: " ")
            var hex = words[...]
            var time: UInt32?
            if words.count >= 2, words.last == "us" {
                guard let value = UInt32(words[words.count - 2]) else {
                    throw TraceError(line: number, reason: "expected microseconds before \"us\"")
                }
                time = value
                hex = words.dropLast(2)
            }
            return .response(try bytes(hex.joined()[...], number), microseconds: time)
        case "!":
            guard let event = Event(rawValue: String(rest)) else {
                let known = Event.allCases.map(\.rawValue).joined(separator: ", ")
                throw TraceError(line: number, reason: "unknown event \"\(rest)\"; known: \(known)")
            }
            return .event(event)
        case "?":
            // The number parser would also take a sign.
            guard rest.utf8.count == 8, let bytes = Hex.bytes(rest), bytes.count == 4 else {
                throw TraceError(line: number, reason: "an unpredictable number is 8 hexadecimal digits")
            }
            return .unpredictableNumber(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case "~": return .terminalData(try bytes(rest, number))
        case "@", "=":
            var words = rest.split(separator: " ")
            guard !words.isEmpty else {
                throw TraceError(line: number, reason: "expected a word after \(mark)")
            }
            let word = String(words.removeFirst())
            var fields: [Field] = []
            for part in words {
                guard let equals = part.firstIndex(of: "=") else {
                    throw TraceError(line: number, reason: "expected key=value, found \"\(part)\"")
                }
                fields.append(
                    Field(String(part[..<equals]), String(part[part.index(after: equals)...])))
            }
            return mark == "@" ? .host(word, fields) : .outcome(word, fields)
        default:
            throw TraceError(
                line: number, reason: "a line begins with one of + > < ! ? ~ @ = #, not with \"\(mark)\"")
        }
    }

    private static func bytes(_ text: Substring, _ number: Int) throws(TraceError) -> [UInt8] {
        guard let bytes = Hex.bytes(text) else {
            throw TraceError(line: number, reason: "expected pairs of hexadecimal digits")
        }
        return bytes
    }
}

// MARK: - Writing

extension Trace: CustomStringConvertible {
    /// The text of the trace; reading it again gives an equal trace.
    public var description: String {
        var text = "\(Self.signature) \(Self.version)\n"
        for field in header {
            // Names of readers and words of hosts begin no lines of their own.
            let value = PlainText.clean(field.value, keeping: ["\t"])
            text += field.key == "#" ? "# \(value)\n" : "\(field.key): \(value)\n"
        }
        text += "\n"
        for entry in entries { text += Self.line(entry.content) + "\n" }
        return text
    }

    public static func line(_ content: Content) -> String {
        func words(_ mark: String, _ word: String, _ fields: [Field]) -> String {
            PlainText.clean(
                ([mark, word] + fields.map { "\($0.key)=\($0.value)" }).joined(separator: " "),
                keeping: ["\t"])
        }
        switch content {
        case .activated(let atr): return "+ \(Hex.string(atr))"
        case .command(let bytes): return "> \(Hex.string(bytes))"
        case .response(let bytes, let time):
            return "< \(Hex.string(bytes))" + (time.map { " \($0) us" } ?? "")
        case .event(let event): return "! \(event.rawValue)"
        case .unpredictableNumber(let number):
            let digits = String(number, radix: 16, uppercase: true)
            return "? " + String(repeating: "0", count: 8 - digits.count) + digits
        case .terminalData(let bytes): return "~ \(Hex.string(bytes))"
        case .host(let word, let fields): return words("@", word, fields)
        case .outcome(let word, let fields): return words("=", word, fields)
        case .comment(let text): return "# \(PlainText.clean(text, keeping: ["\t"]))"
        case .blank: return ""
        }
    }
}
