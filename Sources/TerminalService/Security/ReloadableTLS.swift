internal import EMVCryptography
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import Networking
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// Certificate and key that new connections get: they may be replaced while the daemon runs, as certificates expire.
public final class ServerIdentity: Sendable {
    private let state: Mutex<(context: NIOSSLContext, digest: [UInt8])>

    /// - Throws: where the files cannot be used together.
    public init(_ tls: DaemonConfiguration.TLS) throws {
        state = Mutex((try tls.context(), try Self.digest(tls)))
    }

    /// - Returns: whether they are others than before.
    func replace(_ tls: DaemonConfiguration.TLS) throws -> Bool {
        let digest = try Self.digest(tls)
        guard digest != state.withLock({ $0.digest }) else { return false }
        let new = try tls.context()
        state.withLock { $0 = (new, digest) }
        return true
    }

    var current: NIOSSLContext { state.withLock { $0.context } }

    private static func digest(_ tls: DaemonConfiguration.TLS) throws -> [UInt8] {
        var hash = SHA256()
        for file in [tls.certificate, tls.key] {
            hash.update(Array(try Data(contentsOf: URL(fileURLWithPath: file))))
        }
        return hash.finalize()
    }
}

/// HTTP/1.1 over the identity's certificate of the moment.
struct ReloadableTLSChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value
    let base: Base
    let identity: ServerIdentity

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: identity.current))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Keeps what is set up until the channel is closed: a server that stops drops connections that it has accepted and
/// not begun to serve (`ConnectionServer`).
struct KeptChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value
    let base: Base

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        base.setup(channel: channel, logger: logger).map { value in
            keepUntilClosed(value, channel)
            return value
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

extension HTTPServerBuilder {
    /// HTTP/1.1 with the limits of `settings`, over TLS where there is an identity.
    static func guarded(
        _ keeper: ConnectionKeeper, _ settings: GuardSettings, identity: ServerIdentity?
    ) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            let plain = HTTP1Channel(
                responder: responder,
                configuration: .init(
                    additionalChannelHandlers: [ConnectionGuard(keeper, settings)],
                    // Heads: 32 KiB in all.
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 32 * 1024, maxHeaderFieldCount: 100)
                ))
            guard let identity else { return KeptChannel(base: plain) }
            return KeptChannel(base: ReloadableTLSChannel(base: plain, identity: identity))
        }
    }
}
