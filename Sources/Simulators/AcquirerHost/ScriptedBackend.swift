public import Acquiring
internal import ISO8583Backend

/// A `HostService` for listeners that serve a backend, such as one over HTTP: the same books, script and log as the
/// ISO 8583 listener's. Troubles end as the backend's errors: after `.timeout` and `.connectionLost` the listener
/// answers nothing and closes, after `.malformedResponse` it answers something unreadable.
public struct ScriptedBackend: AcquirerBackend {
    public let name: String
    private let service: HostService
    /// Told in the log.
    private let peer: String

    public init(_ service: HostService, name: String = "simulator", peer: String) {
        self.service = service
        self.name = name
        self.peer = peer
    }

    public func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse {
        switch try await answer(.authorization(request)) {
        case .authorization(let response): return response
        case let other: throw .rejected(other.reason ?? "the host answered \(other.responseCode)")
        }
    }

    public func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        try await acknowledge(.reversal(request))
    }
    public func advise(
        _ request: AuthorizationRequest, offline: OfflineDecision
    ) async throws(AcquirerError) {
        try await acknowledge(.advice(request, offline))
    }
    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        try await acknowledge(.adjustment(request))
    }
    public func upload(_ item: BatchItem) async throws(AcquirerError) { try await acknowledge(.upload(item)) }

    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        switch try await answer(.reconciliation(request)) {
        case .reconciliation(let answer): return answer
        case let other: throw .rejected(other.reason ?? "the host answered \(other.responseCode)")
        }
    }

    private func acknowledge(_ request: TerminalRequest) async throws(AcquirerError) {
        let reply = try await answer(request)
        guard reply.responseCode == "00" else {
            throw .rejected(reply.reason ?? "the host answered \(reply.responseCode)")
        }
    }

    private func answer(_ request: TerminalRequest) async throws(AcquirerError) -> HostReply {
        let begin = ContinuousClock().now
        let trouble = await service.trouble(for: request)
        var entry = HostLogEntry(request, peer: peer)
        entry.trouble = trouble?.text

        func work(approving: Bool = false) async throws(AcquirerError) -> HostReply {
            let reply = await service.perform(request, approving: approving)
            do { try await service.commit() } catch {
                throw .connectionLost("the books are not kept: \(error)")
            }
            var done = entry
            done.responseCode = reply.responseCode
            done.reason = reply.reason
            done.microseconds = Int((ContinuousClock().now - begin) / .microseconds(1))
            await service.note(done)
            return reply
        }
        func unseen(_ reason: String) async {
            entry.reason = reason
            await service.note(entry)
        }
        func wait(_ delay: Duration) async throws(AcquirerError) {
            do { try await Task.sleep(for: delay) } catch { throw .connectionLost("cancelled while waiting") }
        }
        switch trouble {
        case nil, .table: return try await work()
        case .approve: return try await work(approving: true)
        case .decline(let code):
            entry.responseCode = code
            await service.note(entry)
            guard case .authorization = request else { return .acknowledgement(code, nil) }
            return .authorization(AuthorizationResponse(responseCode: code))
        case .silence:
            _ = try await work()
            throw .timeout
        case .lost:
            await unseen("lost on the way")
            throw .timeout
        case .garbage, .wrongMAC:
            _ = try await work()
            throw .malformedResponse("by the script of troubles")
        case .late(let delay):
            let reply = try await work()
            try await wait(delay)
            return reply
        case .overtaken(let delay):
            try await wait(delay)
            return try await work()
        case .duplicate:
            _ = try await work()
            return try await work()
        case .unreachable, .cut(seenByHost: false):
            await unseen("the line is cut")
            throw .connectionLost("by the script of troubles")
        case .cut(seenByHost: true):
            _ = try await work()
            throw .connectionLost("by the script of troubles")
        case .wrongResponseCryptogram, .wrongScript:
            guard case .authorization(var response) = try await work() else {
                return .acknowledgement("00", nil)
            }
            if trouble == .wrongScript {
                response.issuerScripts = response.issuerScripts.withLastByteChanged
            } else {
                response.issuerAuthenticationData = response.issuerAuthenticationData?.withLastByteChanged
            }
            return .authorization(response)
        }
    }
}

extension HostLogEntry {
    /// What is told of a request: nothing but masked numbers and amounts.
    init(_ request: TerminalRequest, peer: String) {
        self.init(.message, peer: peer)
        switch request {
        case .authorization(let request), .advice(let request, _):
            terminal = request.terminalID
            stan = "\(request.stan)"
        case .adjustment(let request):
            terminal = request.terminalID
            stan = "\(request.stan)"
        case .reversal(let request):
            terminal = request.terminalID
            stan = "\(request.stan)"
        case .reconciliation(let request):
            terminal = request.terminalID
            stan = "\(request.stan)"
        case .upload(let item):
            terminal = item.terminalID
            stan = "\(item.stan)"
        case .management: break
        }
        type =
            switch request {
            case .authorization: "authorization"
            case .advice: "advice"
            case .adjustment: "adjustment"
            case .reversal: "reversal"
            case .reconciliation: "reconciliation"
            case .upload: "upload"
            case .management: "management"
            }
        describe(request)
    }

    /// Card, amount and currency.
    mutating func describe(_ request: TerminalRequest) {
        switch request {
        case .authorization(let request), .advice(let request, _):
            card = request.primaryAccountNumber.masked
            amount = request.amount.minorUnits
            currency = request.currency.description
        case .adjustment(let request):
            amount = request.amount.minorUnits
            currency = request.currency.description
        case .reversal(let request):
            amount = request.amount.minorUnits
            currency = request.currency.description
        case .upload(let item):
            amount = item.amount.minorUnits
            currency = item.currency.description
        case .reconciliation, .management: break
        }
    }
}

extension [UInt8] {
    var withLastByteChanged: [UInt8] {
        var bytes = self
        if let last = bytes.indices.last { bytes[last] ^= 0x01 }
        return bytes
    }
}
