internal import ProfileFile

/// Where a host listens.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    public var port: Int
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `host.example:8583`, `127.0.0.1:8583`, `[::1]:8583`. Port 0 lets a listener choose.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.contains(" ") else { return nil }
        self.init(host: host, port: port)
    }

    public var description: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    init(_ place: ProfileFile) throws(ProfileFileError) {
        guard let endpoint = Endpoint(try place.string()), endpoint.port > 0 else {
            throw place.error("expected a host and a port such as host.example:8583")
        }
        self = endpoint
    }

    /// Whether only this machine can connect there.
    public var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.") && isAddress
    }

    /// Numbers and dots or colons: no name to check in a certificate but the address itself.
    var isAddress: Bool {
        host.contains(":") || host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    }
}
