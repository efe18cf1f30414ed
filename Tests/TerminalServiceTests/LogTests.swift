import EMV
import Foundation
import Logging
import Synchronization
import Testing

@testable import TerminalService

@Suite("Log")
struct LogTests {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func take(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private func output(_ format: DaemonConfiguration.LogFormat, _ level: Logger.Level = .info) -> (
        LogOutput, Lines
    ) {
        let lines = Lines()
        return (LogOutput(format: format, level: level, sink: { lines.take($0) }), lines)
    }

    @Test("JSON lines are JSON, whatever is logged")
    func json() throws {
        let (output, lines) = output(.json)
        var logger = output.logger("test")
        logger[metadataKey: "client"] = "a \"b\" \\ c"
        logger.info("one\ntwo \u{1B}[31m \u{0} ü 💳")
        logger.debug("below the level")
        let line = try #require(lines.all.first)
        #expect(lines.all.count == 1)
        #expect(line.hasSuffix("\n") && !line.dropLast().contains("\n"))
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["message"] == "one\ntwo \u{1B}[31m \u{0} ü 💳")
        #expect(object["client"] == "a \"b\" \\ c")
        #expect(object["level"] == "info")
        #expect(object["logger"] == "test")
        #expect(object["time"]?.hasSuffix("Z") == true)
    }

    @Test("a text line is one line and obeys no terminal's escapes")
    func text() throws {
        let (output, lines) = output(.text)
        output.logger("test").warning("one\ntwo \u{1B}[31m", metadata: ["detail": "a b\nc", "plain": "x"])
        let line = try #require(lines.all.first)
        #expect(line.contains(" WARNING one two  [31m  detail=\"a b c\"  plain=x\n"))
        #expect(!line.dropLast().unicodeScalars.contains { $0.value < 0x20 })
        // C1, DEL and what turns text round, in message and metadata, in both formats.
        let hostile = "a\u{9B}2J\u{85}\u{7F}\u{202E}\u{2028}b"
        for format in [DaemonConfiguration.LogFormat.text, .json] {
            let (output, lines) = self.output(format)
            output.logger("test").warning("\(hostile)", metadata: ["k\u{1B}": "\(hostile)"])
            let line = try #require(lines.all.first).dropLast()
            #expect(!line.unicodeScalars.contains(where: PlainText.isControl), "\(line.debugDescription)")
        }
    }

    @Test("a payment's id is on every line below it, also in tasks and other loggers")
    func paymentID() async throws {
        let (output, lines) = output(.text)
        let context = LogContext(terminal: "T1")
        await LogContext.$current.withValue(context) {
            output.logger("hall").info("before")
            context.set(payment: "P-1")
            await withTaskGroup(of: Void.self) { group in
                group.addTask { output.logger("backend").info("within") }
            }
        }
        output.logger("hall").info("outside")
        #expect(lines.all[0].hasSuffix("before  terminal=T1\n"))
        #expect(lines.all[1].hasSuffix("within  payment=P-1  terminal=T1\n"))
        #expect(lines.all[2].hasSuffix("outside\n"))
    }

    @Test("level and format change while the daemon runs")
    func change() {
        let (output, lines) = output(.text, .error)
        let logger = output.logger("test")
        logger.info("no")
        var log = DaemonConfiguration.Log()
        log.level = .debug
        log.format = .json
        output.set(log)
        logger.debug("yes")
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.hasPrefix("{") == true)
    }

    @Test(
        "what looks like a card number loses its middle, whoever wrote it",
        arguments: [
            ("PAN 4761739001010119 declined", "PAN 476173******0119 declined"),
            ("5413330089010434", "541333******0434"),
            ("378282246310005", "378282*****0005"),
            ("1700000000000", "1700000000000"),
            // Track 2 and a record as hexadecimal.
            ("57 4761739001010119D2512", "57 476173******0119D2512"),
            ("RRN 132511000042", "RRN 132511000042"),
            ("at 2026-11-21T11:22:33.444Z took 1234567", "at 2026-11-21T11:22:33.444Z took 1234567"),
            ("", ""),
        ])
    func masking(_ text: String, _ expected: String) {
        #expect(CardNumbers.masked(text) == expected)
    }

    /// Track 2 (57), PAN (5A) and record templates as they stand in a dump, at every offset of digits before them.
    @Test(
        "numbers within hexadecimal dumps are found",
        arguments: ["4761739001010119", "5413330089010434", "378282246310005"])
    func dumps(_ number: String) {
        for before in ["5713", "5A08", "7081905713", "0", "12", "9F02060000000012345F", "575757575757575757"]
        {
            for after in ["", "D2512", "F", "5F2403251231"] {
                let masked = CardNumbers.masked(before + number + after)
                #expect(!masked.contains(number), "\(masked)")
            }
        }
    }
}
