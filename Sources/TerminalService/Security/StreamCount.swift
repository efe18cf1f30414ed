internal import Synchronization

/// Counts event streams, of all clients and of each.
public final class StreamCount: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    public init() {}

    public var total: Int { counts.withLock { $0.values.reduce(0, +) } }

    /// Takes a place; nil where the limits allow no more.
    public func enter(_ client: String, _ limits: DaemonConfiguration.Limits) -> Place? {
        let entered = counts.withLock { counts in
            guard counts.values.reduce(0, +) < limits.eventStreams,
                counts[client, default: 0] < limits.eventStreamsPerClient
            else { return false }
            counts[client, default: 0] += 1
            return true
        }
        return entered ? Place(self, client) : nil
    }

    private func leave(_ client: String) {
        counts.withLock { counts in
            let count = (counts[client] ?? 0) - 1
            counts[client] = count > 0 ? count : nil
        }
    }

    /// A stream's place: it is free again when this is gone.
    public final class Place: Sendable {
        private let count: StreamCount
        private let client: String
        init(_ count: StreamCount, _ client: String) {
            self.count = count
            self.client = client
        }
        deinit { count.leave(client) }
    }
}
