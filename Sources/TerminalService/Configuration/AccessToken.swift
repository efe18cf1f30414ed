internal import BERTLV
internal import EMVCryptography
internal import Foundation

/// A bearer token as the daemon knows it: its hash. A token has 256 random bits, so a plain hash of it tells nothing.
public struct AccessToken: Sendable, Equatable, CustomStringConvertible {
    /// For logs and metrics.
    public var name: String
    public var role: Role
    /// SHA-256 of the token's text: 32 bytes.
    public var hash: [UInt8]

    public init(name: String, role: Role, hash: [UInt8]) {
        self.name = name
        self.role = role
        self.hash = hash
    }

    public var description: String { "\(name) (\(role.rawValue))" }
    public var hashText: String { Hex.string(hash).lowercased() }

    /// A new token's text; it is shown once and kept nowhere.
    public static func make() -> String { "tapbridge_" + randomText() }

    /// 256 bits of the system's generator, in characters that headers and cookies take (RFC 4648, 5).
    static func randomText() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let text = Data(bytes).base64EncodedString()
        return text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    public static func hash(of token: String) -> [UInt8] { SHA256.hash(Array(token.utf8).span) }
}

/// The tokens that a daemon takes.
public struct AccessTokens: Sendable, Equatable {
    let tokens: [AccessToken]

    public init(_ tokens: [AccessToken]) { self.tokens = tokens }

    public var isEmpty: Bool { tokens.isEmpty }

    /// Whether this token is still one, with the same name and role.
    public func contains(_ token: AccessToken) -> Bool { tokens.contains(token) }

    /// Whose token this is. Looks at every byte of every hash, so that time tells nothing of how near a guess was.
    public func holder(of token: String) -> AccessToken? {
        let hash = AccessToken.hash(of: token)
        var found: AccessToken?
        for known in tokens {
            var difference: UInt8 = known.hash.count == hash.count ? 0 : 1
            for (a, b) in zip(known.hash, hash) { difference |= a ^ b }
            if difference == 0 { found = known }
        }
        return found
    }
}
