internal import Synchronization

/// Numbers of field 11 in a link's own messages (sign-on, echo test).
///
/// They come from the terminal's counter where there is one. Else they are counted down from 999999, as terminals count up
/// from 1.
final class TraceNumbers: Sendable {
    private struct State {
        var source: (@Sendable () async -> UInt32?)?
        var own: UInt32 = 1_000_000
    }
    private let state = Mutex(State())

    func take(from source: @escaping @Sendable () async -> UInt32?) { state.withLock { $0.source = source } }

    /// 1...999 999.
    func next() async -> UInt32 {
        if let source = state.withLock({ $0.source }), let number = await source(),
            (1...999_999).contains(number)
        {
            return number
        }
        return state.withLock { state in
            state.own = state.own > 1 ? state.own - 1 : 999_999
            return state.own
        }
    }
}
