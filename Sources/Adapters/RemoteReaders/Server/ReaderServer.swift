public import CardReaders
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// Offers local readers to terminals on other machines (Protocol.md).
public final class ReaderServer: Sendable {
    public struct Options: Sendable {
        /// What the server calls itself.
        public var name = "Tapbridge"
        /// After so long without a word each side says something; three times as long without one ends a
        /// connection. From 50 milliseconds to one minute.
        public var heartbeat: Duration = .seconds(2)
        /// The longest that one command may take, whatever the terminal allows.
        public var commandLimit: Duration = .seconds(60)
        /// Connections at a time, those that have not introduced themselves aside.
        public var connectionLimit = 64
        /// Connections that have not introduced themselves yet: of more than these the oldest one is closed, so
        /// that somebody who only opens connections locks nobody out.
        public var strangerLimit = 32
        /// The DNS names of terminals' certificates that may come; nil is every terminal of the CA.
        public var allowedTerminals: Set<String>?
        public init() {}
    }

    /// A reader and the name under which it is offered.
    public struct Offer: Sendable {
        public var name: String
        public var reader: any CardReader
        /// - Parameter name: nil is the reader's own; at most 255 bytes.
        public init(_ reader: any CardReader, name: String? = nil) {
            self.name = name ?? reader.information.name
            self.reader = reader
        }
    }

    /// What happens, for people and logs. Terminals are called by their certificate's name, else by what they
    /// call themselves.
    public enum Event: Sendable, Equatable {
        case connected(terminal: String, address: String)
        case attached(reader: String, terminal: String)
        /// The field is off and the reader is free.
        case freed(reader: String, terminal: String)
        case disconnected(terminal: String, reason: String)
        /// Somebody who did not get as far as a terminal.
        case refused(address: String, reason: String)
    }

    private struct State {
        var slots: [ReaderSlot] = []
        /// What watching terminals are told at the start, by reader.
        var readers: [String: ReaderListing] = [:]
        var connections: [UInt64: ServerConnection] = [:]
        /// In the order of their coming.
        var strangers: [UInt64] = []
        var watchers: Set<UInt64> = []
        var nextID: UInt64 = 0
        var listener: (any Channel)?
        var isStopped = false
    }

    public let options: Options
    private let credentials: TLSCredentials?
    private let observer: (@Sendable (Event) -> Void)?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - credentials: of a server; nil serves loopback addresses only.
    ///   - observer: called on the network's thread: it must not block.
    public init(
        credentials: TLSCredentials?, options: Options = Options(),
        observer: (@Sendable (Event) -> Void)? = nil
    ) {
        self.credentials = credentials
        var options = options
        options.heartbeat = min(
            max(options.heartbeat, Wire.heartbeats.lowerBound), Wire.heartbeats.upperBound)
        self.options = options
        self.observer = observer
    }

    // MARK: - Readers

    /// Offers one reader more. The server uses it from now on and never closes it.
    /// - Throws: `.offer`.
    public func offer(_ offer: Offer) throws(RemoteReaderError) {
        guard !offer.name.isEmpty, offer.name.utf8.count <= Wire.nameLimit else {
            throw .offer(reader: offer.name, reason: "a name has 1 to \(Wire.nameLimit) bytes")
        }
        let problem: String? = state.withLock { state in
            if state.slots.contains(where: { $0.name == offer.name }) {
                return "another one has this name"
            }
            if state.slots.count >= Wire.readerLimit {
                return "a server offers at most \(Wire.readerLimit) readers"
            }
            state.slots.append(ReaderSlot(offer))
            return nil
        }
        if let problem { throw .offer(reader: offer.name, reason: problem) }
        report(.readerAdded(ReaderListing(name: offer.name)))
    }

    /// Offers a reader no more; the terminal that holds it is cut off.
    public func withdraw(_ name: String) {
        let slot: ReaderSlot? = state.withLock { state in
            guard let index = state.slots.firstIndex(where: { $0.name == name }) else { return nil }
            return state.slots.remove(at: index)
        }
        guard let slot else { return }
        slot.withdraw()
        report(.readerRemoved(name: name))
    }

    public var offers: [OfferedReader] {
        state.withLock { $0.slots }.map { slot in
            let information = slot.reader.information
            return OfferedReader(
                name: slot.name, kind: information.kind, vendor: information.vendor,
                serialNumber: information.serialNumber, isBusy: slot.isBusy)
        }
    }

    /// Tells watching terminals what happens at a reader. Events of readers that are not offered are kept from
    /// them.
    public func report(_ event: ReaderEvent) {
        let watchers: [ServerConnection] = state.withLock { state in
            func isOffered(_ name: String) -> Bool { state.slots.contains { $0.name == name } }
            switch event {
            case .readerAdded(let reader):
                guard isOffered(reader.name) else { return [] }
                let isKnown = state.readers.updateValue(reader, forKey: reader.name) != nil
                if isKnown { return [] }
            case .readerRemoved(let name): if state.readers.removeValue(forKey: name) == nil { return [] }
            case .cardInserted(let reader, let answerToReset):
                guard isOffered(reader) else { return [] }
                state.readers[reader, default: ReaderListing(name: reader)].answerToReset = answerToReset
            case .cardRemoved(let reader):
                guard isOffered(reader) else { return [] }
                state.readers[reader, default: ReaderListing(name: reader)].answerToReset = nil
            case .serviceLost, .serviceFound: break
            }
            return state.watchers.compactMap { state.connections[$0] }
        }
        for watcher in watchers { watcher.tell([event]) }
    }

    // MARK: - Listening

    /// Starts to listen.
    /// - Parameters:
    ///   - host: a name or numeric address of this machine.
    ///   - port: 0 takes a free one.
    /// - Returns: the port.
    /// - Throws: `.unauthenticated` without credentials where `host` is not loopback; `.cannotListen`.
    @discardableResult
    public func start(
        host: String = "127.0.0.1", port: UInt16 = Wire.defaultPort
    ) async throws(RemoteReaderError) -> UInt16 {
        let address: SocketAddress
        do {
            // Looked up first: nothing is bound, not even for a moment, where nothing may be.
            address = try await NIOThreadPool.singleton.runIfActive {
                try SocketAddress.makeAddressResolvingHost(host, port: Int(port))
            }
        } catch {
            throw .cannotListen(address: "\(host):\(port)", reason: "there is no such host name or address")
        }
        guard credentials != nil || address.isLoopback else { throw .unauthenticated(host: host) }
        let listener: any Channel
        do {
            listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // A few of the longest messages: what a peer can make this machine keep for it.
                .childChannelOption(.socketOption(.so_sndbuf), value: 4 * Wire.frameLimit)
                .childChannelOption(.socketOption(.so_rcvbuf), value: 4 * Wire.frameLimit)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
                }
                .bind(to: address).get()
        } catch {
            throw .cannotListen(address: "\(host):\(port)", reason: Self.words(error))
        }
        let isStopped = state.withLock {
            if !$0.isStopped { $0.listener = listener }
            return $0.isStopped
        }
        if isStopped { try? await listener.close() }
        return UInt16(clamping: listener.localAddress?.port ?? 0)
    }

    /// Closes all connections, frees the readers (which stay open) and listens no more.
    public func stop() async {
        let (listener, connections) = state.withLock { state in
            state.isStopped = true
            defer { state.listener = nil }
            return (state.listener, Array(state.connections.values))
        }
        try? await listener?.close()
        for connection in connections { connection.close("the server stops") }
        // Readers that do not let go in time are left to themselves.
        let deadline = ContinuousClock.now + .seconds(5)
        while !state.withLock({ $0.connections.isEmpty }), ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Closes all connections and goes on listening.
    public func dropConnections(_ reason: String) {
        for connection in state.withLock({ Array($0.connections.values) }) { connection.close(reason) }
    }

    /// Connections that are open or still letting go of a reader.
    public var connectionCount: Int { state.withLock { $0.connections.count } }

    private func accept(_ channel: any Channel) throws {
        let remote = channel.remoteAddress
        let address = remote?.ipAddress.map { "\($0):\(remote?.port ?? 0)" } ?? "unknown"
        let connection: ServerConnection? = state.withLock { state in
            guard !state.isStopped else { return nil }
            guard state.connections.count - state.strangers.count < options.connectionLimit else {
                return nil
            }
            state.nextID += 1
            let connection = ServerConnection(
                id: state.nextID, server: self, loop: channel.eventLoop, address: address,
                isEncrypted: credentials != nil)
            state.connections[state.nextID] = connection
            state.strangers.append(state.nextID)
            return connection
        }
        guard let connection else {
            observer?(.refused(address: address, reason: "too many connections"))
            throw ChannelError.operationUnsupported
        }
        do {
            if let credentials {
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLServerHandler(context: credentials.context))
            } else if remote?.isLoopback != true {
                throw RemoteReaderError.unauthenticated(host: address)
            }
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            removed(connection.id)
            throw error
        }
        let oldest: ServerConnection? = state.withLock { state in
            guard state.strangers.count > options.strangerLimit else { return nil }
            return state.connections[state.strangers.removeFirst()]
        }
        oldest?.close("too many connections that say nothing")
    }

    // MARK: - For connections

    func emit(_ event: Event) { observer?(event) }

    func slot(_ name: String) -> ReaderSlot? {
        state.withLock { state in state.slots.first { $0.name == name } }
    }

    func introduced(_ id: UInt64) { state.withLock { $0.strangers.removeAll { $0 == id } } }

    /// From now on `report` reaches the connection.
    func watch(_ connection: ServerConnection) -> [ReaderEvent] {
        state.withLock { state in
            state.watchers.insert(connection.id)
            return state.slots.map { slot in
                var reader = state.readers[slot.name] ?? ReaderListing(name: slot.name)
                reader.isExclusivelyUsed = reader.isExclusivelyUsed || slot.isBusy
                return .readerAdded(reader)
            }
        }
    }

    func removed(_ id: UInt64) {
        state.withLock {
            $0.connections[id] = nil
            $0.strangers.removeAll { $0 == id }
            $0.watchers.remove(id)
        }
    }

    private static func words(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        return "\(error)"
    }
}
