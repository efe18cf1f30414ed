import Glibc
import Synchronization

/// Prints the input under test when the process traps: a trap leaves no other trace of it.
enum LastInput {
    private static let capacity = 1 << 20
    // Written by the one test that runs, read by a signal handler, which can take no lock.
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    private static let count = Atomic<Int>(0)
    nonisolated(unsafe) private static var earlier: [Int32: sigaction] = [:]

    private static let isReady: Bool = {
        for signal in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGBUS, SIGFPE] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { LastInput.report($0) }
            var old = sigaction()
            sigaction(signal, &action, &old)
            earlier[signal] = old
        }
        return true
    }()

    static func note(_ line: String) {
        guard isReady else { return }
        var line = "\nfuzz input: " + line + "\n"
        line.withUTF8 { bytes in
            count.store(0, ordering: .releasing)
            let size = min(bytes.count, capacity)
            if let base = bytes.baseAddress { text.update(from: base, count: size) }
            count.store(size, ordering: .releasing)
        }
    }

    /// Writes the line and gives the signal back to who had it before: the instruction traps again.
    private static func report(_ signal: Int32) {
        write(STDERR_FILENO, text, count.load(ordering: .acquiring))
        if var old = earlier[signal] { sigaction(signal, &old, nil) }
        // An abort does not come again by itself.
        if signal == SIGABRT { raise(signal) }
    }
}
