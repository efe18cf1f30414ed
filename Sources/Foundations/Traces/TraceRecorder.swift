internal import Synchronization

/// Gathers the lines of a trace while a session runs. Readers and terminal write to it from wherever they
/// run; a session does one thing at a time, so the order is that of the session.
public final class TraceRecorder: Sendable {
    private let trace: Mutex<Trace>

    public init(header: [Trace.Field] = []) { trace = Mutex(Trace(header: header)) }

    public func append(_ content: Trace.Content) { trace.withLock { $0.append(content) } }
    public func set(_ key: String, _ value: String?) { trace.withLock { $0[key] = value } }

    /// What was recorded so far, as it happened: it may hold data of a live card. `masked()` before keeping.
    public var recorded: Trace { trace.withLock { $0 } }
}
