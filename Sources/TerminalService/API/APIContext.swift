public import Hummingbird
internal import NIOCore

/// What a client may do.
public enum Role: String, Sendable, Codable, CaseIterable, Comparable {
    /// Looks: GET alone.
    case observer
    /// Everything.
    case `operator`

    public static func < (a: Role, b: Role) -> Bool { a == .observer && b == .operator }
}

/// What is known of one request. Routing sets access; guards set role and client.
public struct APIContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// What the matched route asks of its callers; until that is known, what takes the most.
    public var access = RouteAccess.operator
    /// What the client may do; nil before a guard has looked: everything, as the daemon then serves loopback only.
    public var role: Role?
    /// The token that the client showed, itself or by a session.
    public var token: AccessToken?
    /// The session whose cookie the client showed.
    public var session: Session?
    /// The name of the client's token, else its address.
    public var client: String
    /// The client's address without its port; nil where the channel has none.
    public let remoteAddress: String?
    /// The connection, to end it where a client does not read.
    let channel: any Channel

    public init(source: Source) {
        coreContext = .init(source: source)
        channel = source.channel
        remoteAddress =
            source.channel.remoteAddress?.ipAddress ?? source.channel.remoteAddress.map { _ in "local" }
        client = remoteAddress ?? "unknown"
    }
}
