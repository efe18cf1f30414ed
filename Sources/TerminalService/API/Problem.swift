/// An error of the API as clients see it: `application/problem+json` (RFC 9457).
public struct Problem: Error, Sendable, Equatable, Encodable {
    /// What went wrong, for programs; it never changes once given.
    public enum Code: String, Sendable, Encodable, CaseIterable {
        case badRequest = "bad_request"
        case unknownField = "unknown_field"
        case unauthorized, forbidden
        case originRefused = "origin_refused"
        case notFound = "not_found"
        case methodNotAllowed = "method_not_allowed"
        case conflict
        case terminalBusy = "terminal_busy"
        case keyMissing = "idempotency_key_missing"
        case keyReused = "idempotency_key_reused"
        case tooLarge = "too_large"
        case tooManyRequests = "too_many_requests"
        case tooManyStreams = "too_many_streams"
        case unsupportedMediaType = "unsupported_media_type"
        case stopping
        case notReady = "not_ready"
        case journalFailed = "journal_failed"
        case `internal` = "internal_error"
    }
    /// A reference to the description of the code.
    public var type: String { "/problems#\(code.rawValue)" }
    public var title: String
    /// The HTTP status code.
    public var status: Int
    /// What was wrong in this request, where, and what to do.
    public var detail: String?
    public var code: Code
    /// Whether the same request may succeed later.
    public var retryable: Bool
    /// The transaction that does not allow what was asked, and where it stands in the journal.
    public struct Transaction: Sendable, Equatable, Encodable {
        public var id: String
        public var state: String
    }
    public var transaction: Transaction?
    /// Each reason by itself, where there may be several.
    public var reasons: [String]?

    public init(
        _ code: Code, status: Int, title: String, detail: String? = nil, retryable: Bool = false,
        reasons: [String]? = nil
    ) {
        self.reasons = reasons
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.retryable = retryable
    }

    enum CodingKeys: String, CodingKey {
        case type, title, status, detail, code, retryable, transaction, reasons
    }
    public func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(type, forKey: .type)
        try object.encode(title, forKey: .title)
        try object.encode(status, forKey: .status)
        try object.encodeIfPresent(detail, forKey: .detail)
        try object.encode(code, forKey: .code)
        try object.encode(retryable, forKey: .retryable)
        try object.encodeIfPresent(transaction, forKey: .transaction)
        try object.encodeIfPresent(reasons, forKey: .reasons)
    }
}
