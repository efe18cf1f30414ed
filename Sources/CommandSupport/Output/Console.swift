internal import EMV
internal import Foundation
import Synchronization

/// Output for people on standard output: coloured on a terminal, plain in a pipe (and where NO_COLOR is
/// set); errors and progress on standard error.
package struct Console: Sendable {
    package enum Style: String, Sendable, CaseIterable {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case blue = "34"
        case cyan = "36"
    }
    package let coloured: Bool

    package static let standard = Console(
        coloured: isatty(STDOUT_FILENO) == 1
            && ProcessInfo.processInfo.environment["NO_COLOR", default: ""].isEmpty
            && ProcessInfo.processInfo.environment["TERM"] != "dumb")
    package static let error = Console(
        coloured: isatty(STDERR_FILENO) == 1
            && ProcessInfo.processInfo.environment["NO_COLOR", default: ""].isEmpty
            && ProcessInfo.processInfo.environment["TERM"] != "dumb")

    package func styled(_ text: String, _ styles: Style...) -> String {
        guard coloured, !styles.isEmpty else { return text }
        return "\u{1B}[\(styles.map(\.rawValue).joined(separator: ";"))m\(text)\u{1B}[0m"
    }

    /// The numbers of the styles, 0 being the end of each.
    private static let styles = Set(Style.allCases.map(\.rawValue) + ["0"])

    /// Text as this output takes it: whoever wrote it, the terminal gets characters, and our own colours where there are
    /// any.
    package func shown(_ text: String) -> String {
        PlainText.forTerminal(text, styles: coloured ? Self.styles : [])
    }

    /// Whether the program goes on, and ends with the status of what it did, when nobody reads its output any more: what
    /// moves money is carried to its end. Other commands end quietly with a closed pipe, as other tools do.
    package static func outliveReader() { outlivesReader.store(true, ordering: .relaxed) }
    private static let outlivesReader = Atomic(false)
    /// Descriptors that take nothing any more.
    private static let closed = Mutex<Set<Int32>>([])

    /// Writes a line.
    package static func print(_ line: String = "") {
        write(standard.shown(line) + "\n", to: STDOUT_FILENO)
    }
    package static func printError(_ line: String) {
        write(error.shown(line) + "\n", to: STDERR_FILENO)
    }
    /// Writes what is known to be the program's own, or was cleaned before.
    package static func write(_ text: String, to descriptor: Int32) {
        guard !closed.withLock({ $0.contains(descriptor) }) else { return }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
                continue
            }
            let code = errno
            switch code {
            case EINTR: continue
            case EAGAIN:
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
                continue
            case EPIPE where !outlivesReader.load(ordering: .relaxed): exit(ExitStatus.success.rawValue)
            default: break
            }
            _ = closed.withLock { $0.insert(descriptor) }
            if code != EPIPE, descriptor == STDOUT_FILENO {
                printError("standard output cannot be written: \(String(cString: strerror(code)))")
            }
            return
        }
    }

    /// Pretty JSON with sorted keys on standard output.
    package static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        print(PlainText.escaped(json: String(decoding: try encoder.encode(value), as: UTF8.self)))
    }

    /// Rows in columns as wide as their widest cell; the first row is the heading.
    package func table(_ rows: [[String]]) -> String {
        guard let columns = rows.map(\.count).max() else { return "" }
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.enumerated().map { index, row in
            let line = row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined(separator: "  ")
            return index == 0 ? styled(line, .bold) : line
        }.joined(separator: "\n")
    }
}
