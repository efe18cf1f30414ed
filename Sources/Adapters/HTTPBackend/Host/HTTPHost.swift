public import Acquiring
internal import BERTLV
public import EMVCryptography
internal import Foundation
internal import Networking
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Serves an acquirer backend over HTTP: the other end of `HTTPBackend`. Behind it may be the simulated acquirer, or
/// any other backend, which makes it a gateway.
public final class HTTPHost: Sendable {
    public struct Configuration: Sendable {
        /// Address to listen on.
        public var address: String
        /// 0 takes any free port.
        public var port: Int
        /// Where messages are posted.
        public var path: String
        /// The terminals' keys by name.
        public var keys: [String: SecretKey]
        /// PEM files of certificate chain and key; plain HTTP where nil.
        public var certificate: (chain: String, key: String)?
        /// PEM file of the authorities that terminals' certificates must come from; none is asked for where nil.
        public var clientAuthority: String?
        /// Bodies above this many bytes are refused.
        public var longestBody: Int
        /// How long one request may take to come, and a connection to be idle.
        public var requestTime: Duration
        public var connections: Int
        /// How many answers are remembered for repeated keys.
        public var remembered: Int
        /// Seconds since 1970 in UTC.
        public var now: @Sendable () -> Int

        public init(
            address: String = "127.0.0.1", port: Int = 0, path: String = "/v1/messages",
            keys: [String: SecretKey], certificate: (chain: String, key: String)? = nil,
            clientAuthority: String? = nil, longestBody: Int = 262_144,
            requestTime: Duration = .seconds(30), connections: Int = 1000, remembered: Int = 100_000,
            now: (@Sendable () -> Int)? = nil
        ) {
            self.address = address
            self.port = port
            self.path = path
            self.keys = keys
            self.certificate = certificate
            self.clientAuthority = clientAuthority
            self.longestBody = longestBody
            self.requestTime = requestTime
            self.connections = connections
            self.remembered = remembered
            self.now = now ?? { Int(Date().timeIntervalSince1970) }
        }
    }

    /// One request and what became of it. No card data.
    public struct Event: Sendable, Equatable, CustomStringConvertible {
        /// The terminal's key; nil where the signature was not right.
        public var keyID: String?
        public var message: String?
        public var transactionID: String?
        /// Nil where the connection was closed without an answer.
        public var status: Int?
        public var responseCode: String?
        /// Answered from memory.
        public var isRepeated = false
        public var reason: String?

        public var description: String {
            [
                keyID ?? "-", message ?? "-", transactionID ?? "-", status.map { "\($0)" } ?? "no answer",
                responseCode, isRepeated ? "repeated" : nil, reason,
            ].compactMap { $0 }.joined(separator: " ")
        }
    }

    private typealias Server = ConnectionServer<HTTPServerRequestPart, HTTPServerResponsePart>

    let configuration: Configuration
    private let desk: HTTPDesk
    private let running: Task<Void, Never>
    /// The port that was taken.
    public let port: Int

    /// Listens and serves until `stop`.
    /// - Throws: `HTTPHostError` for certificates that cannot be read or an address that cannot be taken.
    public static func start(
        _ backend: any AcquirerBackend, _ configuration: Configuration,
        observer: (@Sendable (Event) -> Void)? = nil
    ) async throws(HTTPHostError) -> HTTPHost {
        for (name, key) in configuration.keys {
            guard HTTPSignature.isKeyName(name), HTTPSignature.keyCount.contains(key.count) else {
                throw HTTPHostError(
                    "key \(name.printable): a name of letters, digits, ._- and 16 to 64 bytes")
            }
        }
        do {
            let tls = try tls(configuration)
            let bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                // What is read at once is decoded at once: so few requests of a pipeline wait in memory.
                .childChannelOption(.maxMessagesPerRead, value: 1)
                .childChannelOption(
                    .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 8192))
            let server = try await Server.bind(
                bootstrap, host: configuration.address, port: configuration.port,
                limit: configuration.connections
            ) { channel in
                let operations = channel.pipeline.syncOperations
                if let tls { try operations.addHandler(NIOSSLServerHandler(context: tls)) }
                try operations.configureHTTPServerPipeline(withErrorHandling: true)
            }
            return HTTPHost(backend, configuration, server, observer)
        } catch let error as HTTPHostError {
            throw error
        } catch {
            throw HTTPHostError(
                "cannot listen on \(configuration.address), port \(configuration.port): \(error)")
        }
    }

    private init(
        _ backend: any AcquirerBackend, _ configuration: Configuration, _ server: Server,
        _ observer: (@Sendable (Event) -> Void)?
    ) {
        self.configuration = configuration
        let desk = HTTPDesk(backend, configuration, observer)
        self.desk = desk
        port = server.port ?? configuration.port
        running = Task { try? await server.run { await Self.serve($0, desk, configuration) } }
    }

    /// Closes the port and all connections, and waits for that.
    public func stop() async {
        running.cancel()
        await running.value
    }

    private static func tls(_ configuration: Configuration) throws -> NIOSSLContext? {
        guard let files = configuration.certificate else { return nil }
        do {
            var tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(files.chain).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem)))
            tls.minimumTLSVersion = .tlsv12
            if let authority = configuration.clientAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
                tls.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: tls)
        } catch {
            throw HTTPHostError("the host's certificates cannot be used: \(error)")
        }
    }

    // MARK: One connection

    private static func serve(
        _ connection: Server.Connection, _ desk: HTTPDesk, _ configuration: Configuration
    ) async {
        try? await connection.executeThenClose { inbound, outbound in
            var parts = inbound.makeAsyncIterator()
            while try await exchange(connection.channel, &parts, outbound, desk, configuration) {}
        }
    }

    /// One request and its answer.
    /// - Returns: whether another may follow.
    private static func exchange(
        _ channel: any Channel,
        _ parts: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>, _ desk: HTTPDesk,
        _ configuration: Configuration
    ) async throws -> Bool {
        /// What trickles in, or is not taken from us, or none at all, ends the connection.
        func patience() -> Scheduled<Void> {
            channel.eventLoop.scheduleTask(in: .nanoseconds(configuration.requestTime.nanoseconds)) {
                channel.close(promise: nil)
            }
        }
        let reading = patience()
        defer { reading.cancel() }
        guard case .head(let head)? = try await parts.next() else { return false }
        let length = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
        if length > HTTPDesk.drained {
            try await write(desk.tooLong(head), outbound, closes: true)
            return false
        }
        if head.headers.first(name: "Expect")?.lowercased() == "100-continue" {
            try await outbound.write(.head(.init(version: head.version, status: .continue)))
        }
        var body: [UInt8] = []
        var count = 0
        reading: while true {
            switch try await parts.next() {
            case .body(let buffer):
                count += buffer.readableBytes
                // Read to its end, so that the sender gets the answer; but not for ever.
                guard count <= HTTPDesk.drained else { return false }
                if count <= configuration.longestBody { body += Array(buffer: buffer) }
            case .end: break reading
            case .head, nil: return false
            }
        }
        reading.cancel()
        let isTooLong = count > configuration.longestBody
        let reply = isTooLong ? desk.tooLong(head) : await desk.reply(to: head, body)
        guard let reply else { return false }
        let closes = isTooLong || !head.isKeepAlive
        let writing = patience()
        defer { writing.cancel() }
        try await write(reply, outbound, closes: closes)
        return !closes
    }

    private static func write(
        _ reply: HTTPDesk.Reply, _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>,
        closes: Bool
    ) async throws {
        var head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: reply.status), headers: reply.headers)
        head.headers.add(name: "Content-Length", value: "\(reply.body.count)")
        if closes { head.headers.add(name: "Connection", value: "close") }
        try await outbound.write(contentsOf: [
            .head(head), .body(.byteBuffer(ByteBuffer(bytes: reply.body))), .end(nil),
        ])
    }
}

/// Why a host cannot listen.
public struct HTTPHostError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

extension HTTPHost {
    /// The document that describes the protocol.
    public static var openAPI: String { String(decoding: PackageResources.openapi_yaml, as: UTF8.self) }
}
