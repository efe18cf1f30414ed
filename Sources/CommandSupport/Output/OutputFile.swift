internal import Foundation

/// A file for what a payment leaves behind, opened before the payment: what can go wrong with the path goes wrong while
/// nothing was taken yet. One that was made and never written to is taken away again.
package final class OutputFile {
    package let path: String
    private let descriptor: Int32
    private let isNew: Bool
    private var isWritten = false

    /// - Throws: `CommandFailure` where the file cannot be made or written.
    package init(_ path: String) throws {
        self.path = path
        var opened = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        isNew = opened >= 0
        if !isNew, errno == EEXIST { opened = open(path, O_WRONLY | O_CLOEXEC) }
        guard opened >= 0 else {
            throw CommandFailure(
                .badInput,
                "\(path) cannot be written: \(String(cString: strerror(errno))); nothing was done, choose another file"
            )
        }
        descriptor = opened
    }

    deinit {
        close(descriptor)
        if isNew, !isWritten { unlink(path) }
    }

    /// Replaces what was in the file.
    package func write(_ text: String) throws {
        isWritten = true
        // A pipe or a device has no length.
        if ftruncate(descriptor, 0) != 0, errno != EINVAL { throw failure() }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure()
            }
            bytes = bytes.dropFirst(count)
        }
    }

    private func failure() -> CommandFailure {
        CommandFailure(.badInput, "\(path) could not be written: \(String(cString: strerror(errno)))")
    }
}

/// What goes wrong when the money has moved: told beside the result, which it does not change, and neither does the exit
/// status.
package struct Afterwards {
    package private(set) var warnings: [String] = []

    package init() {}

    package mutating func attempt(_ body: () async throws -> Void) async {
        do { try await body() } catch { warnings.append("\(error)") }
    }

    /// On standard error.
    package func tell() {
        for warning in warnings {
            Console.printError("\(Console.error.styled("warning:", .bold, .yellow)) \(warning)")
        }
    }
}
