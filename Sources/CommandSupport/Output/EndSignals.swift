import Dispatch
internal import Foundation

/// Ctrl-C, and being asked to end (SIGINT, SIGTERM): from here on they are told instead of ending the program.
package struct EndSignals {
    private let sources: [any DispatchSourceSignal]

    package init(_ told: @escaping @Sendable () -> Void) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler(handler: told)
            source.resume()
            return source
        }
    }

    package func cancel() { for source in sources { source.cancel() } }

    /// Returns when the program is asked to end, or the task is cancelled.
    package static func wait() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let signals = EndSignals { continuation.finish() }
        for await _ in stream {}
        signals.cancel()
    }
}
