internal import NIOCore
internal import Synchronization

/// Counts what clients hold on to (event streams, exports, waits), of all clients and of each, and ends streams
/// whose client may listen no longer.
public final class StreamCount: Sendable {
    private struct Key: Hashable {
        var stream: RouteAccess.StreamClass
        /// Nil counts all clients.
        var client: String?
    }
    private struct State {
        var counts: [Key: Int] = [:]
        var places: [UInt64: Occupant] = [:]
        var last: UInt64 = 0
    }
    /// Who holds a place.
    struct Occupant: Sendable {
        var token: AccessToken?
        var session: Session?
        var channel: (any Channel)?

        /// Whether what it showed is still good for anything.
        func isAdmitted(_ values: GuardSettings.Values, _ sessions: Sessions) -> Bool {
            guard let token else { return values.tokens.isEmpty }
            return values.tokens.contains(token) && session.map { sessions.contains($0) } ?? true
        }
    }
    private let state = Mutex(State())

    public init() {}

    func total(_ stream: RouteAccess.StreamClass) -> Int {
        state.withLock { $0.counts[Key(stream: stream)] ?? 0 }
    }

    /// Takes a place; nil if the limits allow no more.
    func enter(
        _ client: String, _ stream: RouteAccess.StreamClass, _ limits: DaemonConfiguration.Limits,
        occupant: Occupant = Occupant()
    ) -> Place? {
        let (all, each) = limits.streams(stream)
        let id: UInt64? = state.withLock { state in
            guard state.counts[Key(stream: stream), default: 0] < all,
                state.counts[Key(stream: stream, client: client), default: 0] < each
            else { return nil }
            state.counts[Key(stream: stream), default: 0] += 1
            state.counts[Key(stream: stream, client: client), default: 0] += 1
            state.last += 1
            state.places[state.last] = occupant
            return state.last
        }
        return id.map { Place(self, $0, client, stream, occupant) }
    }

    fileprivate func leave(_ place: UInt64, _ client: String, _ stream: RouteAccess.StreamClass) {
        state.withLock { state in
            state.places[place] = nil
            for key in [Key(stream: stream), Key(stream: stream, client: client)] {
                let count = (state.counts[key] ?? 0) - 1
                state.counts[key] = count > 0 ? count : nil
            }
        }
    }

    /// Closes the connections of those whose token or session is none any more.
    func keep(_ values: GuardSettings.Values, _ sessions: Sessions) {
        let channels = state.withLock { state in
            state.places.values.filter { !$0.isAdmitted(values, sessions) }.compactMap(\.channel)
        }
        for channel in channels { channel.close(promise: nil) }
    }

    /// A stream's place: it is free again when this is gone.
    final class Place: Sendable {
        private let count: StreamCount
        private let id: UInt64
        private let client: String
        private let stream: RouteAccess.StreamClass
        /// Closes the connection at the end of the session's life.
        private let end: Scheduled<Void>?

        fileprivate init(
            _ count: StreamCount, _ id: UInt64, _ client: String, _ stream: RouteAccess.StreamClass,
            _ occupant: Occupant
        ) {
            self.count = count
            self.id = id
            self.client = client
            self.stream = stream
            if let session = occupant.session, let channel = occupant.channel {
                let left = ContinuousClock.now.duration(to: session.end)
                end = channel.eventLoop.scheduleTask(in: TimeAmount(left)) { channel.close(promise: nil) }
            } else {
                end = nil
            }
        }
        deinit {
            end?.cancel()
            count.leave(id, client, stream)
        }
    }
}

extension DaemonConfiguration.Limits {
    /// How many of a kind there may be, of all clients and of one.
    fileprivate func streams(_ stream: RouteAccess.StreamClass) -> (all: Int, each: Int) {
        switch stream {
        case .none: (.max, .max)
        case .events: (eventStreams, eventStreamsPerClient)
        case .export: (exports, max(1, exports / 2))
        // A connection has one request under way; this is for those that were reset meanwhile.
        case .wait: (connections, connections)
        }
    }
}
