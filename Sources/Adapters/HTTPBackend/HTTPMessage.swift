public import Acquiring
public import EMV
internal import EMVCryptography
internal import Foundation

/// One message from terminal to host, as it travels in the body of a request. Its JSON is described by
/// `openapi.yaml`.
public enum HTTPMessage: Sendable {
    case authorization(AuthorizationRequest)
    case reversal(ReversalRequest)
    case advice(AuthorizationRequest, OfflineDecision)
    case adjustment(AdjustmentRequest)
    case reconciliation(ReconciliationRequest)
    case upload(BatchItem)

    /// What the member `message` says.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        case authorization, reversal, advice, adjustment, reconciliation, upload
    }

    public var kind: Kind {
        switch self {
        case .authorization: .authorization
        case .reversal: .reversal
        case .advice: .advice
        case .adjustment: .adjustment
        case .reconciliation: .reconciliation
        case .upload: .upload
        }
    }

    /// The transaction that the message is about; nil for a reconciliation.
    public var transactionID: String? {
        switch self {
        case .authorization(let request), .advice(let request, _): request.transactionID
        case .reversal(let request): request.transactionID
        case .adjustment(let request): request.transactionID
        case .reconciliation: nil
        case .upload(let item): item.transactionID
        }
    }

    /// What the message is about; nil for a reconciliation.
    var amount: Amount? {
        switch self {
        case .authorization(let request), .advice(let request, _): request.amount
        case .reversal(let request): request.amount
        case .adjustment(let request): request.amount
        case .reconciliation: nil
        case .upload(let item): item.amount
        }
    }

    /// Names the message for ever: repeated with the same key, it has no further effect. At most 128 characters of
    /// letters, digits and `._:-`; others in identifiers are replaced by their UTF-8 bytes in hexadecimal.
    public var idempotencyKey: String {
        let parts: [String] =
            switch self {
            case .authorization(let request): [request.terminalID, request.transactionID]
            case .reversal(let request): [request.terminalID, request.transactionID]
            case .advice(let request, _): [request.terminalID, request.transactionID]
            case .adjustment(let request):
                [request.terminalID, request.transactionID, "\(request.revision)"]
            case .reconciliation(let request):
                // A batch that does not agree is asked about again: each message has a key of its own.
                [request.terminalID, "\(request.batch)", "\(request.stan)"]
            case .upload(let item): [item.terminalID, "\(item.batch)", item.transactionID]
            }
        let key = ([kind.rawValue] + parts).map(Self.plain).joined(separator: ":")
        guard key.utf8.count > IdempotencyKey.longest else { return key }
        // Longer identifiers than the terminal's own: still one key for one message.
        let digest = SHA256.hash(Array(key.utf8).span).map { String(format: "%02x", $0) }.joined()
        return kind.rawValue + ":" + digest
    }

    private static func plain(_ text: String) -> String {
        if text.utf8.allSatisfy(IdempotencyKey.isPart) { return text }
        return "x" + text.utf8.map { String(format: "%02x", $0) }.joined()
    }

    /// - Throws: `HTTPMessageError` naming the member that is missing or wrong; values are not repeated.
    public init(json: [UInt8]) throws(HTTPMessageError) {
        let data = Data(json)
        let decoder = JSONDecoder()
        func read<W: Decodable>(_ type: W.Type) throws(HTTPMessageError) -> W {
            do { return try decoder.decode(type, from: data) } catch { throw HTTPMessageError(error) }
        }
        let head = try read(WireHead.self)
        guard head.version == WireHead.version else {
            throw HTTPMessageError(
                member: "version", reason: "expected \(WireHead.version), found \(head.version)")
        }
        switch head.message {
        case .authorization: self = .authorization(try read(WireTransaction.self).request())
        case .advice:
            let wire = try read(WireTransaction.self)
            guard let decision = wire.offlineDecision else {
                throw HTTPMessageError(member: "offlineDecision", reason: "missing")
            }
            self = .advice(try wire.request(), decision)
        case .reversal: self = .reversal(try read(WireReversal.self).request())
        case .adjustment: self = .adjustment(try read(WireAdjustment.self).request())
        case .reconciliation: self = .reconciliation(try read(WireReconciliation.self).request())
        case .upload: self = .upload(try read(WireBatchItem.self).item())
        }
    }

    /// The body of a request: JSON with sorted members. It holds card data in clear.
    public func json() throws(HTTPMessageError) -> [UInt8] {
        do {
            switch self {
            case .authorization(let request): return try encode(WireTransaction(request, .authorization))
            case .advice(var request, let decision):
                // An advice needs neither track nor PIN block.
                request.track2 = nil
                request.onlinePIN = nil
                var wire = WireTransaction(request, .advice)
                wire.offlineDecision = decision
                return try encode(wire)
            case .reversal(let request): return try encode(WireReversal(request))
            case .adjustment(let request): return try encode(WireAdjustment(request))
            case .reconciliation(let request): return try encode(WireReconciliation(request))
            case .upload(let item): return try encode(WireBatchItem(item))
            }
        } catch {
            throw HTTPMessageError(member: "", reason: "cannot be written as JSON")
        }
    }
}

/// Names and amounts, no card data.
extension HTTPMessage: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(kind.rawValue) \(transactionID ?? "")" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["kind": kind.rawValue]) }
}

/// The host's answer, as it travels in the body of a response.
public struct HTTPAnswer: Sendable, Equatable {
    public var kind: HTTPMessage.Kind
    /// As in the request; nil for a reconciliation.
    public var transactionID: String?
    /// Of anything but an authorization only its response code counts: 00 is an acknowledgement, of a
    /// reconciliation 95 is "out of balance".
    public var response: AuthorizationResponse
    /// What the host has, where a batch is out of balance.
    public var totals: BatchTotals?

    public init(
        kind: HTTPMessage.Kind, transactionID: String?, response: AuthorizationResponse,
        totals: BatchTotals? = nil
    ) {
        self.kind = kind
        self.transactionID = transactionID
        self.response = response
        self.totals = totals
    }

    /// - Throws: `HTTPMessageError` naming the member that is missing or wrong.
    public init(json: [UInt8]) throws(HTTPMessageError) {
        let wire: WireAnswer
        do { wire = try JSONDecoder().decode(WireAnswer.self, from: Data(json)) } catch {
            throw HTTPMessageError(error)
        }
        self = try wire.answer()
    }

    public func json() throws(HTTPMessageError) -> [UInt8] {
        do { return try encode(WireAnswer(self)) } catch {
            throw HTTPMessageError(member: "", reason: "cannot be written as JSON")
        }
    }
}

/// A body that is not what `openapi.yaml` describes. Values are not repeated, as they may be card data.
public struct HTTPMessageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Path of the member, such as `card.number`; empty for the body as a whole.
    public let member: String
    public let reason: String

    public init(member: String, reason: String) {
        self.member = member
        self.reason = reason
    }

    init(_ error: any Error) {
        func path(_ keys: [any CodingKey]) -> String { keys.map(\.stringValue).joined(separator: ".") }
        switch error {
        case let error as HTTPMessageError: self = error
        case DecodingError.keyNotFound(let key, let context):
            self.init(member: path(context.codingPath + [key]), reason: "missing")
        case DecodingError.typeMismatch(let type, let context):
            self.init(member: path(context.codingPath), reason: "expected \(Self.name(type))")
        case DecodingError.valueNotFound(let type, let context):
            self.init(member: path(context.codingPath), reason: "expected \(Self.name(type)), found null")
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            self.init(member: path(context.codingPath), reason: "out of range or not one of the values")
        default: self.init(member: "", reason: "not JSON, or a number in it is out of range")
        }
    }

    private static func name(_ type: Any.Type) -> String {
        if type is any BinaryInteger.Type { return "an integer" }
        switch type {
        case is String.Type: return "a text"
        case is Bool.Type: return "true or false"
        default: return "an object"
        }
    }

    public var description: String { member.isEmpty ? "the body is \(reason)" : "\(member): \(reason)" }
}

/// Rules of the `Idempotency-Key` header.
enum IdempotencyKey {
    static let longest = 128

    /// Letters, digits, `.`, `_` and `-`: what the parts between colons consist of.
    static func isPart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    static func isValid(_ key: String) -> Bool {
        (1...longest).contains(key.utf8.count)
            && key.utf8.allSatisfy { isPart($0) || $0 == UInt8(ascii: ":") }
    }
}

private func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
}
