public import Logging

/// What the daemon is and may do. Read from a YAML file, the environment and the command line, each before the next:
/// a flag beats the environment, which beats the file. `tapbridge.yaml` beside this file is the annotated default.
public struct DaemonConfiguration: Sendable, Equatable {
    /// Where the API is offered.
    public struct Listen: Sendable, Equatable {
        public var address = "127.0.0.1"
        /// 0 takes a free one.
        public var port = 8473
        /// Names under which clients may reach the daemon (header Host) besides loopback and `address`.
        public var allowedHosts: [String] = []
        public var tls: TLS?

        public init() {}

        /// Nobody but this machine can connect.
        public var isLoopbackOnly: Bool { Self.isLoopback(address) }
        public var isWildcard: Bool { address == "0.0.0.0" || address == "::" }

        static func isLoopback(_ host: String) -> Bool {
            if host == "localhost" || host == "::1" { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        }
    }

    /// PEM files.
    public struct TLS: Sendable, Equatable {
        public var certificate: String
        public var key: String
        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// Terminals that the daemon begins with.
    public struct TerminalGroup: Sendable, Equatable {
        /// The terminal's name, which is its Terminal Identification (9F1C) as well: 8 characters. With a count above one its
        /// beginning, filled up with a number. Nil takes the profile's.
        public var id: String?
        public var count = 1
        /// Path of a terminal profile; nil is the built-in one.
        public var profile: String?
        public var reader = ReaderName.emulated

        public init(
            id: String? = nil, count: Int = 1, profile: String? = nil, reader: ReaderName = .emulated
        ) {
            self.id = id
            self.count = count
            self.profile = profile
            self.reader = reader
        }

        /// The names of the group's terminals; nil where the profile names them.
        public var names: [String?] {
            guard let id, count > 1 else { return Array(repeating: id, count: count) }
            return (1...count).map { number in
                let text = String(number)
                return id + String(repeating: "0", count: max(0, 8 - id.utf8.count - text.utf8.count)) + text
            }
        }
    }

    /// A reader as the configuration names it.
    public enum ReaderName: Sendable, Hashable, CustomStringConvertible {
        case emulated
        /// A part of a PC/SC reader's name; nil is the first contactless one.
        case pcsc(String?)
        /// `nfc:` or `nfc-native:` with a connection string of libnfc.
        case libnfc(String)
        /// `remote:host:port/name`.
        case remote(String)

        public var description: String {
            switch self {
            case .emulated: "emulated"
            case .pcsc(let name): name.map { "pcsc:\($0)" } ?? "pcsc"
            case .libnfc(let name), .remote(let name): name
            }
        }
    }

    public enum LogFormat: String, Sendable, CaseIterable { case text, json }

    public struct Log: Sendable, Equatable {
        public var format = LogFormat.text
        public var level = Logger.Level.info
        public init() {}
    }

    /// What one client may take, and all of them together.
    public struct Limits: Sendable, Equatable {
        /// Greatest request body in bytes.
        public var body = 1 << 20
        public var connections = 4096
        /// Requests per second and client on average; 0 is without a limit.
        public var requestsPerSecond = 1000
        /// Requests that a client may have saved up.
        public var burst = 4000
        /// Event streams of all clients, and of one.
        public var eventStreams = 256
        public var eventStreamsPerClient = 64
        /// Exports of the journal of all clients; one has half of them.
        public var exports = 8
        /// Bytes of responses that clients leave unread, of all connections.
        public var unread = 64 << 20
        /// Latest payments whose events, exchange and receipt are kept; counts from the next start on.
        public var payments = 500
        /// For the request's head, and between two requests of a connection.
        public var headerTimeout: Duration = .seconds(15)
        /// For the request's body.
        public var bodyTimeout: Duration = .seconds(30)
        /// How long a client may leave what was sent to it unread.
        public var writeTimeout: Duration = .seconds(30)
        /// A browser's session ends when it was not used for so long, and at the end of its life.
        public var sessionIdle: Duration = .seconds(30 * 60)
        public var sessionLifetime: Duration = .seconds(12 * 3600)
        public init() {}
    }

    public var listen = Listen()
    public var tokens: [AccessToken] = []
    public var terminals = [TerminalGroup()]
    /// Files that texts of clients may name, such as a profile's PIN key file, by name.
    public var files: [String: String] = [:]
    /// Folder of terminal profiles that clients may name (`NAME.yaml`); nil offers the built-in one alone.
    public var profileFolder: String?
    /// Path of an acquirer file; nil is that of the terminal's profile, else the built-in host.
    public var acquirer: String?
    /// Path of the journal; nil is the one in the user's state directory.
    public var journal: String?
    /// Folder of traces to replay, which the daemon only reads.
    public var traces: String?
    /// Folder of this side's certificates for readers on other machines.
    public var certificates: String?
    public var log = Log()
    public var limits = Limits()
    /// How long payments under way may take when the daemon is asked to end.
    public var stopTimeout: Duration = .seconds(25)

    public init() {}
}
