import CommandSupport
import EMVCryptography
import Foundation
import Synchronization

/// Reads a PIN from standard input: from a person without echo, else one line.
enum PINPrompt {
    /// How long a cardholder may take.
    static let patience: Duration = .seconds(60)

    /// Nil where nothing or no PIN is entered, in time, or the task is cancelled. What was typed is wiped.
    static func ask() async -> PIN? {
        let isCancelled = Cancellation()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Reading blocks, so it has a thread of its own.
                Thread.detachNewThread { continuation.resume(returning: read(until: isCancelled)) }
            }
        } onCancel: {
            isCancelled.flag.store(true, ordering: .relaxed)
        }
    }

    private final class Cancellation: Sendable { let flag = Atomic(false) }

    private static func read(until cancellation: Cancellation) -> PIN? {
        var settings = termios()
        let isPerson = tcgetattr(STDIN_FILENO, &settings) == 0
        if isPerson {
            Console.write("        PIN (of a test card only): ", to: STDERR_FILENO)
            var quiet = settings
            quiet.c_lflag &= ~tcflag_t(ECHO)
            _ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet)
        }
        defer {
            if isPerson {
                _ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
                Console.write("\n", to: STDERR_FILENO)
            }
        }
        var typed = [UInt8](repeating: 0, count: 32)
        defer { explicit_bzero(&typed, typed.count) }
        var count = 0
        let deadline = ContinuousClock.now + patience
        while !cancellation.flag.load(ordering: .relaxed), ContinuousClock.now < deadline {
            var event = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let ready = poll(&event, 1, 100)
            guard ready > 0 else {
                if ready < 0, errno != EINTR { return nil }
                continue
            }
            let got = typed.withUnsafeMutableBytes { bytes in
                Foundation.read(STDIN_FILENO, bytes.baseAddress.map { $0 + count }, 1)
            }
            guard got == 1 else { return nil }
            if typed[count] == 0x0A {
                if count > 0, typed[count - 1] == 0x0D { count -= 1 }
                return PIN(typed: typed.span.extracting(0..<count))
            }
            count += 1
            guard count < typed.count else { return nil }
        }
        return nil
    }
}
