internal import NIOCore

/// Where a remote reader is: `remote:host:port/name`, `remote:host/name`, `remote:[::1]:7316/name`. Without a name
/// it is the only reader that the server offers.
public struct RemoteReaderAddress: Sendable, Hashable, CustomStringConvertible {
    /// A host name or a numeric address, without brackets.
    public var host: String
    public var port: UInt16
    /// The reader's name, or a part of it that fits one offered reader only, in any case.
    public var reader: String?

    public static let prefix = "remote:"

    public init(host: String, port: UInt16 = Wire.defaultPort, reader: String? = nil) {
        self.host = host
        self.port = port
        self.reader = reader
    }

    /// - Parameter text: with or without `remote:`.
    /// - Throws: `.address` with what is wrong.
    public init(_ text: String) throws(RemoteReaderError) {
        var rest = text.hasPrefix(Self.prefix) ? text.dropFirst(Self.prefix.count) : text[...]
        var reader: String?
        if let slash = rest.firstIndex(of: "/") {
            let name = rest[rest.index(after: slash)...]
            if !name.isEmpty { reader = String(name) }
            rest = rest[..<slash]
        }
        let host: Substring
        var digits: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else {
                throw .address(text, reason: "the bracket is not closed")
            }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else {
                throw .address(text, reason: "after the bracket comes a colon and the port")
            }
            if !tail.isEmpty { digits = tail.dropFirst() }
        } else {
            let parts = rest.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count <= 2 else {
                throw .address(
                    text, reason: "write a numeric IPv6 address in brackets, as in remote:[::1]:7316")
            }
            host = parts.first ?? ""
            if parts.count == 2 { digits = parts[1] }
        }
        guard !host.isEmpty else { throw .address(text, reason: "the host is missing") }
        var port = Wire.defaultPort
        if let digits {
            guard let number = UInt16(digits), number > 0 else {
                throw .address(text, reason: "the port is a number from 1 to 65535")
            }
            port = number
        }
        self.init(host: String(host), port: port, reader: reader)
    }

    /// Whether a reader's name means a remote one.
    public static func isRemote(_ name: String) -> Bool { name.hasPrefix(prefix) }

    /// Host and port.
    public var server: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
    public var description: String { Self.prefix + server + (reader.map { "/\($0)" } ?? "") }

    /// Whether the host is a numeric address: then the certificate must name the address.
    var isNumeric: Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }
}

extension SocketAddress {
    /// Whether nobody outside this machine can be at the other end.
    var isLoopback: Bool {
        guard let text = ipAddress else { return false }
        return text.hasPrefix("127.") || text == "::1" || text.hasPrefix("::ffff:127.")
    }
}

/// Why remote readers cannot be offered or used as asked.
public enum RemoteReaderError: Error, Sendable, Equatable, CustomStringConvertible {
    case address(String, reason: String)
    /// A certificate, a key or their files.
    case credentials(file: String, reason: String)
    /// Beyond loopback there is nothing without certificates.
    case unauthenticated(host: String)
    case cannotListen(address: String, reason: String)
    /// A name that is taken, empty or too long, or too many readers.
    case offer(reader: String, reason: String)

    public var description: String {
        switch self {
        case .address(let text, let reason): "\"\(text)\" is no reader on another machine: \(reason)"
        case .credentials(let file, let reason): "\(file): \(reason)"
        case .unauthenticated(let host):
            "\(host) is not a loopback address: readers are offered and used there with certificates only (tapbridge certs makes them)"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .offer(let reader, let reason): "reader \"\(reader)\" cannot be offered: \(reason)"
        }
    }
}
