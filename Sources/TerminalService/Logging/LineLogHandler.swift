internal import EMV
internal import Foundation
public import Logging
internal import Synchronization

/// Writes log lines, as text for people or as JSON for programs, each with one write: lines of several threads do not mix.
public final class LogOutput: Sendable {
    private struct State {
        var format: DaemonConfiguration.LogFormat
        var level: Logger.Level
    }
    private let state: Mutex<State>
    private let sink: @Sendable (String) -> Void
    private let count: @Sendable (Logger.Level) -> Void

    /// - Parameters:
    ///   - sink: takes a line with its newline; standard error by default.
    ///   - count: told the level of each line.
    public init(
        format: DaemonConfiguration.LogFormat = .text, level: Logger.Level = .info,
        sink: (@Sendable (String) -> Void)? = nil,
        count: @escaping @Sendable (Logger.Level) -> Void = { _ in }
    ) {
        state = Mutex(State(format: format, level: level))
        self.count = count
        self.sink =
            sink
            ?? { line in
                var bytes = Array(line.utf8)[...]
                while !bytes.isEmpty {
                    let written = bytes.withUnsafeBytes {
                        Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count)
                    }
                    if written < 0 {
                        if errno == EINTR { continue }
                        return
                    }
                    bytes = bytes.dropFirst(written)
                }
            }
    }

    /// Format and level may change while the daemon runs.
    public func set(_ log: DaemonConfiguration.Log) {
        state.withLock {
            $0.format = log.format
            $0.level = log.level
        }
    }

    var level: Logger.Level { state.withLock { $0.level } }

    /// A logger that writes here.
    /// - Parameter floor: below it nothing of this logger is written, whatever the level: for libraries that tell much.
    public func logger(_ label: String, atLeast floor: Logger.Level = .trace) -> Logger {
        Logger(label: label, factory: { _ in LineLogHandler(label: label, output: self, floor: floor) })
    }

    func write(
        _ level: Logger.Level, _ label: String, _ message: String, _ metadata: [(String, String)], _ at: Date
    ) {
        count(level)
        let format = state.withLock { $0.format }
        sink(LogLine.text(format, level, label, message, metadata, at))
    }
}

/// One line of the log.
enum LogLine {
    static func text(
        _ format: DaemonConfiguration.LogFormat, _ level: Logger.Level, _ label: String, _ message: String,
        _ metadata: [(String, String)], _ at: Date
    ) -> String {
        let time = Date.ISO8601FormatStyle(includingFractionalSeconds: true).format(at)
        let message = CardNumbers.masked(message)
        switch format {
        case .json:
            var line =
                "{\"time\":\"\(time)\",\"level\":\"\(level.rawValue)\",\"logger\":\(JSONText.quoted(label)),\"message\":\(JSONText.quoted(message))"
            for (key, value) in metadata {
                line += ",\(JSONText.quoted(key)):\(JSONText.quoted(CardNumbers.masked(value)))"
            }
            return line + "}\n"
        case .text:
            let name = level.rawValue.uppercased()
            var line = "\(time) \(name)\(String(repeating: " ", count: max(0, 7 - name.count))) "
            line += flat(message)
            for (key, value) in metadata {
                let value = flat(CardNumbers.masked(value))
                let isPlain = !value.isEmpty && !value.contains { $0 == " " || $0 == "\"" || $0 == "=" }
                line += "  \(flat(key))=" + (isPlain ? value : JSONText.quoted(value))
            }
            return line + "\n"
        }
    }

    /// On one line, without what a terminal would obey.
    private static func flat(_ text: String) -> String { PlainText.clean(text, replacement: " ") }
}

/// The last fence before the log: what looks like a card number loses its middle digits, whoever wrote it. Types mask
/// themselves before it comes to this.
enum CardNumbers {
    /// Runs of 13 to 19 digits that begin as card numbers do and have a right check digit keep six and four digits; so do
    /// numbers of 15 and 16 digits within longer runs, as in hexadecimal dumps.
    static func masked(_ text: String) -> String {
        let bytes = Array(text.utf8)
        func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
        var masked: [UInt8]?
        func mask(_ range: Range<Int>) {
            var copy = masked ?? bytes
            for place in range.dropFirst(6).dropLast(4) { copy[place] = UInt8(ascii: "*") }
            masked = copy
        }
        var index = 0
        while index < bytes.count {
            var end = index
            while end < bytes.count, isDigit(bytes[end]) { end += 1 }
            let run = index..<end
            index = max(end, index + 1)
            guard run.count >= 13 else { continue }
            if run.count <= 19, beginsLikeCard(bytes[run.lowerBound]), hasCheckDigit(bytes[run]) {
                mask(run)
                continue
            }
            for start in run where beginsLikeCard(bytes[start]) {
                for count in [15, 16] where start + count <= run.upperBound && run.count > count {
                    // American Express has 15 digits.
                    guard count == 16 || bytes[start] == 0x33 else { continue }
                    if hasCheckDigit(bytes[start..<(start + count)]) { mask(start..<(start + count)) }
                }
            }
        }
        return masked.map { String(decoding: $0, as: UTF8.self) } ?? text
    }

    /// 2 to 6 (ISO/IEC 7812): counters and times, which begin with 1 or 0, stay legible.
    private static func beginsLikeCard(_ digit: UInt8) -> Bool { digit >= 0x32 && digit <= 0x36 }

    private static func hasCheckDigit(_ digits: ArraySlice<UInt8>) -> Bool {
        var sum = 0
        for (place, digit) in digits.reversed().enumerated() {
            let value = Int(digit) - 0x30
            let doubled = value * 2
            sum += place % 2 == 0 ? value : (doubled > 9 ? doubled - 9 : doubled)
        }
        return sum % 10 == 0
    }
}

/// swift-log's handler over a `LogOutput`.
public struct LineLogHandler: LogHandler {
    let label: String
    let output: LogOutput
    private let floor: Logger.Level
    private var ownLevel: Logger.Level?
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?

    public init(label: String, output: LogOutput, floor: Logger.Level = .trace) {
        self.label = label
        self.output = output
        self.floor = floor
    }

    public var logLevel: Logger.Level {
        get { max(ownLevel ?? output.level, floor) }
        set { ownLevel = newValue }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let payment = LogContext.current {
            for (key, value) in payment.metadata { all[key] = .string(value) }
        }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        // The payment first, so that the eye finds it.
        let order = ["payment", "terminal"]
        let fields = all.map { (Self.renamed($0.key), "\($0.value)") }.sorted {
            let (a, b) = (
                order.firstIndex(of: $0.0) ?? order.count, order.firstIndex(of: $1.0) ?? order.count
            )
            return a == b ? $0.0 < $1.0 : a < b
        }
        output.write(event.level, label, "\(event.message)", fields, Date())
    }

    private static func renamed(_ key: String) -> String { key == "hb.request.id" ? "request" : key }
}

/// What the work at hand belongs to: every line that is logged below it says so, in all layers.
public final class LogContext: Sendable {
    @TaskLocal public static var current: LogContext?

    private let values: Mutex<(payment: String?, terminal: String?)>

    public init(terminal: String? = nil, payment: String? = nil) { values = Mutex((payment, terminal)) }

    /// The journal gives a payment its id when it has begun.
    public func set(payment: String) { values.withLock { $0.payment = payment } }

    var metadata: [(String, String)] {
        let (payment, terminal) = values.withLock { $0 }
        return [("payment", payment), ("terminal", terminal)].compactMap { key, value in
            value.map { (key, $0) }
        }
    }
}
