public import AcquirerSimulator
public import Acquiring
internal import EMV
internal import EMVDictionary
internal import Foundation
public import ISO8583Backend

/// What the simulated host says to one request, whatever the line is.
public enum HostReply: Sendable {
    case authorization(AuthorizationResponse)
    /// Two characters as of ISO 8583:1987, and a text for people.
    case acknowledgement(String, String?)
    case reconciliation(ReconciliationAnswer)

    public var responseCode: String {
        switch self {
        case .authorization(let response): response.responseCode
        case .acknowledgement(let code, _): code
        case .reconciliation(let answer): answer == .balanced ? "00" : "95"
        }
    }
    var reason: String? {
        switch self {
        case .authorization(let response): response.reason
        case .acknowledgement(_, let text): text
        case .reconciliation(let answer): answer == .balanced ? nil : "\(answer)"
        }
    }
}

/// The simulated acquirer, network, token service and issuer behind servers of any kind: chooses troubles, does the
/// work, keeps the log. A listener (ISO 8583, HTTP) reads requests, calls `trouble` and `perform`, and acts the trouble
/// out on its own line.
public actor HostService {
    public let acquirer: SimulatedAcquirer
    private var troubles: TroubleMaker
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private let log: @Sendable (HostLogEntry) -> Void
    private let ledger: HostLedgerFile?
    public private(set) var counters = HostCounters()

    /// - Parameters:
    ///   - acquirer: without troubles of its own: they are acted out on the line.
    ///   - ledger: where the acquirer keeps its books; nil where they are gone with the process.
    ///   - log: called with every message and connection, in order.
    public init(
        acquirer: SimulatedAcquirer, troubles: TroubleScript = .none, ledger: HostLedgerFile? = nil,
        log: @escaping @Sendable (HostLogEntry) -> Void = { _ in }
    ) {
        self.acquirer = acquirer
        self.ledger = ledger
        self.troubles = TroubleMaker(troubles)
        self.log = log
        start = ContinuousClock().now
    }

    /// Begins another script of troubles.
    public func setTroubles(_ script: TroubleScript) { troubles = TroubleMaker(script) }

    /// What goes wrong with this request; nil where nothing does. Each request is asked for once.
    public func trouble(for request: TerminalRequest) -> Trouble? {
        let elapsed = start.duration(to: clock.now)
        let chosen: Trouble? =
            switch request {
            case .authorization(let request):
                troubles.next(
                    .authorization, amount: request.amount, card: request.primaryAccountNumber,
                    elapsed: elapsed)
            case .advice(let request, _):
                troubles.next(
                    .advice, amount: request.amount, card: request.primaryAccountNumber, elapsed: elapsed)
            case .adjustment(let request):
                troubles.next(.adjustment, amount: request.amount, card: nil, elapsed: elapsed)
            case .reversal(let request):
                troubles.next(.reversal, amount: request.amount, card: nil, elapsed: elapsed)
            case .reconciliation: troubles.next(.reconciliation, amount: .zero, card: nil, elapsed: elapsed)
            case .upload(let item): troubles.next(.upload, amount: item.amount, card: nil, elapsed: elapsed)
            case .management: nil
            }
        if chosen != nil { counters.troubles += 1 }
        return chosen
    }

    /// Does what is asked. Every request gets a reply: what the host cannot take is refused.
    /// - Parameter approving: whether an authorization is approved without asking an issuer.
    public nonisolated func perform(_ request: TerminalRequest, approving: Bool = false) async -> HostReply {
        if approving, case .authorization(let request) = request {
            return .authorization(await acquirer.approve(request))
        }
        do throws(AcquirerError) {
            switch request {
            case .authorization(let request): return .authorization(try await acquirer.authorize(request))
            case .advice(let request, let decision): try await acquirer.advise(request, offline: decision)
            case .adjustment(let request): try await acquirer.adjust(request)
            case .reversal(let request): try await acquirer.reverse(request)
            case .reconciliation(let request):
                return .reconciliation(try await acquirer.reconcile(request))
            case .upload(let item): try await acquirer.upload(item)
            case .management: break
            }
            return .acknowledgement("00", nil)
        } catch {
            // The simulator refuses authorizations for their format alone, other messages for what they ask.
            if case .rejected(let reason) = error {
                if case .authorization = request { return .acknowledgement("30", reason) }
                return .acknowledgement("12", reason)
            }
            return .acknowledgement("96", "\(error)")
        }
    }

    /// Returns when what was performed so far is on the disk: a listener lets no answer leave before.
    /// - Throws: where it never will be: nothing may be answered any more.
    public nonisolated func commit() async throws(HostLedgerError) { try await ledger?.commit() }

    /// Passes an entry to the log and counts it.
    public func note(_ entry: HostLogEntry) {
        counters.count(entry)
        log(entry)
    }
}

/// What a host has seen.
public struct HostCounters: Sendable, Equatable, Codable {
    public var connections = 0
    public var requests = 0
    public var approved = 0
    public var refused = 0
    public var troubles = 0
    /// Messages that could not be read or were no requests.
    public var unreadable = 0
    public var wrongMACs = 0

    mutating func count(_ entry: HostLogEntry) {
        switch entry.kind {
        case .connected: connections += 1
        case .unreadable: unreadable += 1
        case .wrongMAC: wrongMACs += 1
        case .message:
            requests += 1
            if entry.isApproved { approved += 1 } else { refused += 1 }
        case .disconnected, .listening: break
        }
    }
}

/// One line of the host's log. Card numbers are masked.
public struct HostLogEntry: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable {
        case listening, connected, disconnected, message, unreadable
        case wrongMAC = "wrong-mac"
    }
    public var kind: Kind
    /// Where it came from.
    public var peer: String
    /// Message type, such as 0200.
    public var type: String?
    public var terminal: String?
    public var stan: String?
    public var card: String?
    /// Minor units.
    public var amount: UInt64?
    public var currency: String?
    /// Nil where the host did not see it or nothing was answered.
    public var responseCode: String?
    public var reason: String?
    /// As a rule has it.
    public var trouble: String?
    public var microseconds: Int?

    public init(_ kind: Kind, peer: String, reason: String? = nil) {
        self.kind = kind
        self.peer = peer
        self.reason = reason
    }

    /// Whether the host did what it was asked for: its own codes are those of 1987, whatever goes out.
    public var isApproved: Bool { responseCode.map { ResponseCodeTable.meaning(of: $0).isApproval } ?? false }

    /// A line for people.
    public var text: String {
        func right(_ text: String, _ count: Int) -> String {
            String(repeating: " ", count: max(0, count - text.count)) + text
        }
        func money(_ units: UInt64) -> String {
            guard let code = currency.flatMap({ Int($0) }), let numeric = NumericCode(code) else {
                return String(units)
            }
            let places = Int(CodeTable.minorUnits(of: numeric))
            var digits = String(units)
            digits = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
            let number = places == 0 ? digits : "\(digits.dropLast(places)).\(digits.suffix(places))"
            return "\(number) \(CodeTable.currency(code)?.alpha ?? "currency \(numeric)")"
        }
        guard kind == .message else {
            return "\(kind.rawValue) \(peer)" + (reason.map { ": \($0)" } ?? "")
        }
        var line = "\(type ?? "----") \(terminal ?? "-") \(stan ?? "-")"
        if let card { line += " \(card)" }
        if let amount { line += " \(right(money(amount), 10))" }
        line += " -> \(responseCode ?? "no answer")"
        if let reason { line += " \(reason)" }
        if let trouble { line += " [\(trouble)]" }
        if let microseconds { line += " \(microseconds) us" }
        return line
    }
}

extension Trouble {
    /// As a rule has it.
    public var text: String {
        func time(_ duration: Duration) -> String {
            let (seconds, attoseconds) = duration.components
            return attoseconds == 0
                ? "\(seconds)s" : "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
        }
        return switch self {
        case .decline(let code): "decline \(code)"
        case .approve: "approve"
        case .silence: "silence"
        case .lost: "lost"
        case .garbage: "garbage"
        case .late(let delay): "late \(time(delay))"
        case .overtaken(let delay): "overtaken \(time(delay))"
        case .duplicate: "duplicate"
        case .unreachable: "unreachable"
        case .cut(let seen): seen ? "cut" : "cut before"
        case .wrongResponseCryptogram: "wrong-arpc"
        case .wrongScript: "wrong-script"
        case .wrongMAC: "wrong-mac"
        case .table: "table"
        }
    }
}
