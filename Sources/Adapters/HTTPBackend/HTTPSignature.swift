internal import BERTLV
public import EMV
public import EMVCryptography

/// Signature of requests and answers: HMAC-SHA-256 under a key that terminal and host share. What is signed is, in
/// UTF-8 and without a line break at the end,
///
///     request LF timestamp LF idempotency key LF body
///     answer LF timestamp LF status LF idempotency key LF body
///
/// so an answer cannot be taken for that of another message.
public enum HTTPSignature {
    /// Names the key: 1...64 letters, digits and `._-`.
    public static let keyHeader = "Tapbridge-Key"
    /// Seconds since 1970-01-01 in UTC.
    public static let timestampHeader = "Tapbridge-Timestamp"
    /// `v1=` and 64 hexadecimal digits.
    public static let signatureHeader = "Tapbridge-Signature"
    public static let idempotencyHeader = "Idempotency-Key"
    /// How far a request's timestamp may be from the host's clock, in seconds.
    public static let tolerance = 300

    /// Bytes of a key.
    public static let keyCount = 16...64

    public static func ofRequest(
        _ body: [UInt8], timestamp: Int, idempotencyKey: String, key: SecretKey
    ) throws(CryptographyError) -> String {
        try sign("request\n\(timestamp)\n\(idempotencyKey)\n", body, key)
    }

    public static func ofAnswer(
        _ body: [UInt8], status: Int, timestamp: Int, idempotencyKey: String, key: SecretKey
    ) throws(CryptographyError) -> String {
        try sign("answer\n\(timestamp)\n\(status)\n\(idempotencyKey)\n", body, key)
    }

    /// In a time that does not tell where they differ.
    public static func isEqual(_ left: String, _ right: String) -> Bool {
        MessageAuthentication.isEqual(Array(left.lowercased().utf8), Array(right.lowercased().utf8))
    }

    private static func sign(
        _ head: String, _ body: [UInt8], _ key: SecretKey
    ) throws(CryptographyError) -> String {
        let mac = try MessageAuthentication.hmacSHA256((Array(head.utf8) + body).span, key: key)
        return "v1=" + Hex.string(mac).lowercased()
    }

    static func isKeyName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(IdempotencyKey.isPart)
    }
}
