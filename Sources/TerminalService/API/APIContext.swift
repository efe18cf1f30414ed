public import Hummingbird
public import NIOCore

/// What a client may do.
public enum Role: String, Sendable, Codable, CaseIterable, Comparable {
    /// Looks: GET alone.
    case observer
    /// Everything.
    case `operator`

    public static func < (a: Role, b: Role) -> Bool { a == .observer && b == .operator }
}

/// What is known of one request. Guards set role and client.
public struct APIContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// What the client may do; nil before a guard has looked: everything, as the daemon then serves loopback only.
    public var role: Role?
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
