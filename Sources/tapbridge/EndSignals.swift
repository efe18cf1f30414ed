import Dispatch
import Foundation

/// Ctrl-C, and being asked to end (SIGINT, SIGTERM): from here on they are told instead of ending the program.
struct EndSignals {
    private let sources: [any DispatchSourceSignal]

    init(_ told: @escaping @Sendable () -> Void) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler(handler: told)
            source.resume()
            return source
        }
    }

    func cancel() { for source in sources { source.cancel() } }

    /// Returns when the program is asked to end, or the task is cancelled.
    static func wait() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let signals = EndSignals { continuation.finish() }
        for await _ in stream {}
        signals.cancel()
    }
}
