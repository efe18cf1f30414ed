public import EMVCryptography
internal import Foundation

/// Where an HTTP backend is and how the terminal proves itself to it. Descriptions show no key.
public struct HTTPBackendSettings: Sendable, Equatable {
    /// Where messages are posted, such as `https://acquirer.example/v1/messages`. Without a path `/v1/messages` is taken.
    public var url: String
    /// Names `key` to the host.
    public var keyID: String
    /// Signs requests and answers, 16...64 bytes.
    public var key: SecretKey
    /// PEM file of the authorities that the host's certificate may come from; the system's where nil.
    public var certificateAuthority: String?
    /// PEM files of a client certificate with its key; both or none.
    public var clientCertificate: String?
    public var clientKey: String?
    /// How often a message is sent at most, 1...20.
    public var tries: Int

    public init(
        url: String, keyID: String, key: SecretKey, certificateAuthority: String? = nil,
        clientCertificate: String? = nil, clientKey: String? = nil, tries: Int = 4
    ) {
        self.url = url
        self.keyID = keyID
        self.key = key
        self.certificateAuthority = certificateAuthority
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
        self.tries = tries
        if let components = URLComponents(string: url), components.path.isEmpty || components.path == "/",
            components.query == nil
        {
            var components = components
            components.path = "/v1/messages"
            self.url = components.string ?? url
        }
    }

    /// - Throws: `HTTPBackendSettingsError`, what is wrong.
    public func check() throws(HTTPBackendSettingsError) {
        guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased(),
            ["http", "https"].contains(scheme), let host = components.host, !host.isEmpty,
            components.user == nil, components.password == nil
        else {
            throw HTTPBackendSettingsError(
                "the URL must be http:// or https:// with a host, and without user and password")
        }
        guard HTTPSignature.isKeyName(keyID) else {
            throw HTTPBackendSettingsError("the key's name must have 1 to 64 letters, digits, ., _ or -")
        }
        guard HTTPSignature.keyCount.contains(key.count) else {
            throw HTTPBackendSettingsError("the key must have 16 to 64 bytes, found \(key.count)")
        }
        guard (clientCertificate == nil) == (clientKey == nil) else {
            throw HTTPBackendSettingsError("a client certificate needs its key, and a key its certificate")
        }
        guard (1...20).contains(tries) else {
            throw HTTPBackendSettingsError("tries must be 1...20, found \(tries)")
        }
    }

    /// Nobody can stand between: TLS, or this machine.
    var isLineTrusted: Bool {
        guard let components = URLComponents(string: url) else { return false }
        if components.scheme?.lowercased() == "https" { return true }
        switch components.host?.lowercased() {
        case "localhost", "127.0.0.1", "::1", "[::1]": return true
        default: return false
        }
    }
}

extension HTTPBackendSettings: CustomStringConvertible {
    public var description: String { "\(url), key \(keyID)" }
}

/// Why an HTTP backend cannot be set up.
public struct HTTPBackendSettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
