public import NIOCore
public import NIOPosix
internal import Synchronization

/// Accepts connections on one address and serves each in a task of its own. Every connection that was accepted is
/// served or closed.
///
/// NIO ends the process where the last reference to a `NIOAsyncChannel` goes that was neither executed nor closed
/// (`NIOAsyncWriter`: "Deinited NIOAsyncWriter without calling finish()"). A server that stops drops references in three
/// places: what waits in the server channel's sequence when its iterator goes, what is yielded after that, and what a
/// child channel's initializer makes while the server channel closes. So a connection is kept from its initializer until
/// its channel is closed (`keepUntilClosed`), and what nobody serves is closed when the server stops.
public struct ConnectionServer<Inbound: Sendable, Outbound: Sendable>: Sendable {
    public typealias Connection = NIOAsyncChannel<Inbound, Outbound>

    private let server: NIOAsyncChannel<Connection, Never>
    private let accepted: AcceptedChannels

    /// The port that was taken.
    public var port: Int? { server.channel.localAddress?.port }

    /// Listens; `run` must follow.
    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - limit: connections at once; more are closed as they come.
    ///   - initializer: adds a connection's handlers, on its event loop.
    public static func bind(
        _ bootstrap: ServerBootstrap, host: String, port: Int, limit: Int,
        initializer: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> Self {
        let accepted = AcceptedChannels(limit: limit)
        let server = try await bootstrap.bind(host: host, port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                do {
                    try accepted.enter(channel)
                    try initializer(channel)
                    let connection = try Connection(wrappingChannelSynchronously: channel)
                    keepUntilClosed(connection, channel)
                    return connection
                } catch {
                    // NIO leaves a channel whose asynchronous initializer fails to the initializer.
                    channel.close(promise: nil)
                    throw error
                }
            }
        }
        return Self(server: server, accepted: accepted)
    }

    /// Serves until the task is cancelled, then closes the port and all connections and waits for that.
    /// - Parameter serve: gets each connection once; it is closed when this returns. Its task is cancelled when the
    ///   server stops.
    /// - Throws: `CancellationError` when the task was cancelled, else why no more connections can be accepted.
    public func run(_ serve: @escaping @Sendable (Connection) async -> Void) async throws {
        let ending: Result<Void, any Error> = await withDiscardingTaskGroup { group in
            let ending: Result<Void, any Error>
            do {
                try await server.executeThenClose { connections in
                    for try await connection in connections {
                        accepted.take(connection.channel)
                        group.addTask {
                            await serve(connection)
                            try? await connection.channel.close()
                        }
                    }
                    try Task.checkCancellation()
                }
                ending = .success(())
            } catch {
                ending = .failure(error)
            }
            // The port is closed by now: nobody comes in while those that are served come to their end.
            accepted.stop()
            group.cancelAll()
            return ending
        }
        await accepted.allClosed()
        try ending.get()
    }
}

/// Keeps a reference until the channel is closed: its asynchronous channel is then finished, whether or not anybody has
/// executed it.
public func keepUntilClosed(_ connection: some Sendable, _ channel: any Channel) {
    channel.closeFuture.whenComplete { _ in withExtendedLifetime(connection) {} }
}

/// The channels of a server that are open, and which of them somebody serves.
private final class AcceptedChannels: Sendable {
    struct Refused: Error {}

    private struct State {
        var open: [ObjectIdentifier: (channel: any Channel, isServed: Bool)] = [:]
        var isStopped = false
    }
    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// - Throws: where there are too many, or the server has stopped.
    func enter(_ channel: any Channel) throws(Refused) {
        let isAllowed = state.withLock { state in
            guard !state.isStopped, state.open.count < limit else { return false }
            state.open[ObjectIdentifier(channel)] = (channel, false)
            return true
        }
        guard isAllowed else { throw Refused() }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.open[ObjectIdentifier(channel)] = nil }
        }
    }

    func take(_ channel: any Channel) {
        state.withLock { $0.open[ObjectIdentifier(channel)]?.isServed = true }
    }

    /// Closes those that nobody serves, now and from now on.
    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            return state.open.values.filter { !$0.isServed }.map(\.channel)
        }
        for channel in waiting { channel.close(promise: nil) }
    }

    func allClosed() async {
        for channel in state.withLock({ $0.open.values.map(\.channel) }) {
            try? await channel.closeFuture.get()
        }
    }
}
