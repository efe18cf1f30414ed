/// A setting as documentation, JSON Schema, environment and flags know it. The reader (`DaemonConfiguration+File.swift`)
/// is told apart from it by tests.
public struct ConfigurationSetting: Sendable {
    public enum Kind: Sendable {
        case text, path, host
        case choice([String])
        case integer(ClosedRange<Int>)
        case duration
        case byteCount
        case hosts, tokens, terminals, files
    }
    /// Such as `listen.port`.
    public let key: String
    public let kind: Kind
    /// As the file writes it; nil where there is none.
    public let defaultValue: String?
    public let about: String

    init(_ key: String, _ kind: Kind, _ defaultValue: String?, _ about: String) {
        self.key = key
        self.kind = kind
        self.defaultValue = defaultValue
        self.about = about
    }

    /// The environment variable: `TAPBRIDGE_LISTEN_PORT`.
    public var variable: String {
        "TAPBRIDGE_" + key.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
    }

    public static let all: [ConfigurationSetting] = [
        .init(
            "listen.address", .host, "127.0.0.1",
            "Address to listen on; other than loopback it takes listen.tls and a token."),
        .init("listen.port", .integer(0...65535), "8473", "Port to listen on; 0 takes a free one."),
        .init(
            "listen.allowed-hosts", .hosts, "[]",
            "Names under which clients reach the daemon (header Host), besides loopback and the address."),
        .init("listen.tls.certificate", .path, nil, "Certificate chain (PEM)."),
        .init("listen.tls.key", .path, nil, "Its private key (PEM)."),
        .init(
            "tokens", .tokens, "[]",
            "Who may come: name, role (operator or observer) and SHA-256 of the token. Without tokens everybody on this machine is operator."
        ),
        .init(
            "terminals", .terminals, "[{count: 1}]",
            "Terminals that the daemon begins with: id, count, profile, reader."),
        .init(
            "files", .files, "{}",
            "Files that texts of clients may name, such as a profile's pin-pad key-file: name and path."),
        .init("profile-folder", .path, nil, "Folder of terminal profiles that clients may name."),
        .init("acquirer", .path, nil, "Acquirer file; without one the profile's, else the built-in host."),
        .init("journal", .path, nil, "Journal file; by default the one in the state directory."),
        .init("traces", .path, nil, "Folder of traces to replay, which the daemon only reads."),
        .init(
            "certificates", .path, nil,
            "Folder of this side's certificates for readers on other machines (`tapbridge certs`)."),
        .init(
            "log.format", .choice(["text", "json"]), "text", "Text for people, or JSON lines for programs."),
        .init(
            "log.level", .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
            "info", "What is logged: this level and those above."),
        .init("limits.body", .byteCount, "1 MiB", "Greatest request body."),
        .init(
            "limits.connections", .integer(1...100_000), "4096",
            "Connections at a time; beyond, the longest idle one is closed for the new one."),
        .init(
            "limits.requests-per-second", .integer(0...1_000_000), "1000",
            "Per client on average; 0 is without a limit."),
        .init(
            "limits.burst", .integer(1...10_000_000), "4000", "Requests that a quiet client may send at once."
        ),
        .init("limits.event-streams", .integer(1...100_000), "256", "Event streams at a time."),
        .init("limits.event-streams-per-client", .integer(1...100_000), "64", "Event streams of one client."),
        .init(
            "limits.exports", .integer(1...1000), "8",
            "Exports of the journal at a time; one client has half of them."),
        .init(
            "limits.unread", .byteCount, "64 MiB",
            "Responses that clients leave unread, of all connections; beyond, the one that leaves the most is closed."
        ),
        .init("limits.payments", .integer(1...1_000_000), "500", "Latest payments whose events are kept."),
        .init(
            "limits.header-timeout", .duration, "15 s",
            "For a request's head, and between two requests of a connection."),
        .init("limits.body-timeout", .duration, "30 s", "For a request's body."),
        .init("limits.write-timeout", .duration, "30 s", "How long a client may leave an answer unread."),
        .init(
            "limits.session-idle", .duration, "30 min",
            "A browser's session ends when it was not used for so long."),
        .init(
            "limits.session-lifetime", .duration, "12 h",
            "A browser's session ends after so long, used or not."),
        .init(
            "stop-timeout", .duration, "25 s",
            "How long payments under way may take when the daemon is asked to end."),
    ]

    /// JSON Schema (2020-12) of the configuration file.
    public static func schema() -> String {
        var root = Branch()
        for setting in all {
            root.insert(setting, setting.key.split(separator: ".").map(String.init)[...])
        }
        var text = "{\n"
        text += "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
        text += "  \"title\": \"Configuration of tapbridge serve\",\n"
        text += root.body(indent: "  ")
        return text + "\n}\n"
    }

    private struct Branch {
        var order: [String] = []
        var branches: [String: Branch] = [:]
        var settings: [String: ConfigurationSetting] = [:]

        mutating func insert(_ setting: ConfigurationSetting, _ path: ArraySlice<String>) {
            guard let name = path.first else { return }
            if !order.contains(name) { order.append(name) }
            if path.count == 1 {
                settings[name] = setting
            } else {
                branches[name, default: Branch()].insert(setting, path.dropFirst())
            }
        }

        func body(indent: String) -> String {
            let properties = order.map { name in
                let inner = indent + "    "
                if let branch = branches[name] {
                    return "\(indent)  \"\(name)\": {\n" + branch.body(indent: inner) + "\n\(indent)  }"
                }
                guard let setting = settings[name] else { return "" }
                return "\(indent)  \"\(name)\": {\n\(inner)\"description\": \(quoted(setting.about)),\n"
                    + setting.fields.map { inner + $0 }.joined(separator: ",\n") + "\n\(indent)  }"
            }
            // A key without a value is as none.
            return "\(indent)\"type\": [\"object\", \"null\"],\n\(indent)\"additionalProperties\": false,\n"
                + "\(indent)\"properties\": {\n" + properties.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private var fields: [String] {
        var fields: [String]
        let name = #""type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}$""#
        switch kind {
        case .text, .path, .host: fields = [#""type": ["string", "null"]"#]
        case .choice(let names):
            fields = ["\"enum\": [\(names.map { "\"\($0)\"" }.joined(separator: ", ")), null]"]
        case .integer(let range):
            fields = [
                #""type": ["integer", "null"]"#, "\"minimum\": \(range.lowerBound)",
                "\"maximum\": \(range.upperBound)",
            ]
        case .duration:
            fields = [#""type": ["string", "integer", "null"]"#, #""pattern": "^[0-9]+ *(ms|s|min|h)?$""#]
        case .byteCount:
            fields = [#""type": ["string", "integer", "null"]"#, #""pattern": "^[0-9]+ *(B|KiB|MiB)?$""#]
        case .hosts: fields = [#""type": ["array", "null"]"#, #""items": {"type": "string"}"#]
        case .tokens:
            fields = [
                #""type": ["array", "null"]"#,
                #""items": {"type": "object", "additionalProperties": false, "required": ["name", "role", "sha256"], "properties": {"name": {"#
                    + name
                    + #"}, "role": {"enum": ["operator", "observer"]}, "sha256": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}}}"#,
            ]
        case .files:
            fields = [
                #""type": ["object", "null"]"#,
                #""propertyNames": {"pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}$"}"#,
                #""additionalProperties": {"type": "string"}"#,
            ]
        case .terminals:
            fields = [
                #""type": ["array", "null"]"#,
                #""items": {"type": "object", "additionalProperties": false, "properties": {"id": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,7}$"}, "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 100000}, "profile": {"type": ["string", "null"]}, "reader": {"type": ["string", "null"], "pattern": "^(emulated|pcsc(:.+)?|nfc:.*|nfc-native:.*|remote:.+)$"}}}"#,
            ]
        }
        if let defaultValue {
            switch kind {
            case .integer: fields.append("\"default\": \(defaultValue)")
            case .hosts, .tokens: fields.append("\"default\": []")
            case .files: fields.append("\"default\": {}")
            case .terminals: fields.append("\"default\": [{\"count\": 1}]")
            default: fields.append("\"default\": \"\(defaultValue)\"")
            }
        }
        return fields
    }
}
