public import Acquiring
internal import AsyncHTTPClient
internal import EMV
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// An acquirer behind JSON over HTTP, as `openapi.yaml` describes it. Every message is signed and carries an
/// idempotency key, so that it can be repeated: where a try fails, the same body is sent again with growing pauses
/// until the time for an answer is over.
///
/// An answer that is not signed by the host's key is not trusted: after an authorization that means that its outcome is
/// unknown. So it does after a refusal of anybody but the host (`RefusalMeaning`). A refusal without signature counts
/// only of a first try, where nobody can stand between, over TLS or on this machine, and where it names the message.
public final class HTTPBackend: AcquirerBackend {
    public struct Configuration: Sendable {
        public var settings: HTTPBackendSettings
        /// How long one message may take with all its tries.
        public var answerTimeout: Duration
        /// Pause before the second try; doubled before each further one, up to `longestPause`, and drawn between half
        /// and whole of that.
        public var firstPause: Duration
        public var longestPause: Duration
        /// Bodies of answers above this many bytes are refused.
        public var longestAnswer: Int
        /// How long the answer to an authorization is still listened for when its time is over: it comes as one out of
        /// time. Nothing is sent again meanwhile.
        public var latePatience: Duration
        /// Seconds since 1970 in UTC.
        public var now: @Sendable () -> Int

        public init(
            settings: HTTPBackendSettings, answerTimeout: Duration = .seconds(20),
            firstPause: Duration = .milliseconds(250), longestPause: Duration = .seconds(4),
            longestAnswer: Int = 262_144, latePatience: Duration = .seconds(60),
            now: (@Sendable () -> Int)? = nil
        ) {
            self.settings = settings
            self.answerTimeout = answerTimeout
            self.firstPause = firstPause
            self.longestPause = longestPause
            self.longestAnswer = longestAnswer
            self.latePatience = latePatience
            self.now = now ?? { Int(Date().timeIntervalSince1970) }
        }
    }

    public let name = "http"
    let configuration: Configuration
    private let client: HTTPClient
    private let isLineTrusted: Bool
    private let late = LateAnswers()
    private static let mostLateCalls = 32
    private let lateRoom = PatientCall<Result<Received, any Error>>.Room(mostLateCalls)

    /// - Throws: `HTTPBackendSettingsError` for settings or certificate files that cannot be used.
    public init(_ configuration: Configuration) throws(HTTPBackendSettingsError) {
        let settings = configuration.settings
        try settings.check()
        var client = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            // Less than the whole: a connection that never comes about is known not to have sent anything.
            timeout: .init(connect: .nanoseconds((configuration.answerTimeout / 2).nanoseconds)),
            decompression: .disabled)
        client.httpVersion = .http1Only
        // Tries are ours to repeat, as we know what may have reached the host.
        client.connectionPool.retryConnectionEstablishment = false
        // Many terminals, and answers that are late, must not wait for each other's connections.
        client.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64 + Self.mostLateCalls
        client.tlsConfiguration = try Self.tls(settings)
        self.client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: client)
        self.configuration = configuration
        isLineTrusted = settings.isLineTrusted
    }

    deinit {
        client.shutdown { _ in }
    }

    /// Ends the connections; messages under way fail.
    public func close() async {
        try? await client.shutdown()
        await late.finish()
    }

    private static func tls(
        _ settings: HTTPBackendSettings
    ) throws(HTTPBackendSettingsError) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        do {
            if let path = settings.certificateAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
            }
            if let path = settings.clientCertificate, let key = settings.clientKey {
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            }
        } catch {
            throw HTTPBackendSettingsError("the certificates of the HTTP backend cannot be read: \(error)")
        }
        return tls
    }

    // MARK: AcquirerBackend

    public func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse {
        let response = try await exchange(.authorization(request)).response
        if response.meaning == .approvedInPart, response.approvedAmount == nil {
            throw .malformedResponse("a partial approval without an amount")
        }
        if let approved = response.approvedAmount, approved > request.amount {
            throw .malformedResponse("more was approved than was asked for")
        }
        return response
    }

    public func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        try await acknowledged(.reversal(request))
    }

    public func advise(
        _ request: AuthorizationRequest, offline: OfflineDecision
    ) async throws(AcquirerError) {
        try await acknowledged(.advice(request, offline))
    }

    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        try await acknowledged(.adjustment(request))
    }

    public func upload(_ item: BatchItem) async throws(AcquirerError) {
        try await acknowledged(.upload(item))
    }

    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        let answer = try await exchange(.reconciliation(request))
        let code = answer.response.responseCode
        switch ResponseCodeTable.meaning(of: code, in: .reconciliation) {
        case .approved: return .balanced
        case .outOfBalance: return .outOfBalance(answer.totals)
        default: throw .rejected("response code \(code)")
        }
    }

    public func answersOutOfTime() async -> AsyncStream<LateAnswer> { await late.stream() }

    private func acknowledged(_ message: HTTPMessage) async throws(AcquirerError) {
        let code = try await exchange(message).response.responseCode
        let messageClass: ResponseCodeTable.MessageClass =
            if case .reversal = message { .reversal } else { .advice }
        guard ResponseCodeTable.meaning(of: code, in: messageClass).isApproval else {
            throw .rejected("response code \(code)")
        }
    }

    // MARK: One message

    /// What one try gave.
    private enum Try {
        case answer(HTTPAnswer)
        /// Nothing is gained by another try.
        case failure(AcquirerError)
        /// The host has refused the message, whatever became of earlier tries.
        case refused(String)
        /// Another try may do better, after this pause where the host names one.
        case again(AcquirerError, after: Duration?)
    }

    private func exchange(_ message: HTTPMessage) async throws(AcquirerError) -> HTTPAnswer {
        let body: [UInt8]
        do throws(HTTPMessageError) { body = try message.json() } catch {
            throw .unreachable("\(error)")
        }
        let start = ContinuousClock.now
        let deadline = start + configuration.answerTimeout
        var pause = configuration.firstPause
        // Whether an earlier try may have reached the host: then no later failure makes that undone.
        var mayHaveArrived: AcquirerError?
        var tries = 1
        while true {
            switch await attempt(message, body, until: deadline) {
            case .answer(let answer): return answer
            case .refused(let reason): throw .rejected(reason)
            case .failure(let error): throw Self.worse(mayHaveArrived, error)
            case .again(let error, let after):
                let failure = Self.worse(mayHaveArrived, error)
                if failure.isOutcomeUnknown { mayHaveArrived = failure }
                let wait = after ?? pause * Double.random(in: 0.5...1)
                guard tries < configuration.settings.tries, ContinuousClock.now + wait < deadline else {
                    throw failure
                }
                do { try await Task.sleep(for: wait) } catch { throw failure }
                pause = min(pause * 2, configuration.longestPause)
                tries += 1
            }
        }
    }

    /// The failure that counts: one after which the outcome is unknown stays.
    private static func worse(_ earlier: AcquirerError?, _ later: AcquirerError) -> AcquirerError {
        guard let earlier, !later.isOutcomeUnknown else { return later }
        return earlier
    }

    private func attempt(
        _ message: HTTPMessage, _ body: [UInt8], until deadline: ContinuousClock.Instant
    ) async -> Try {
        let settings = configuration.settings
        let idempotencyKey = message.idempotencyKey
        let timestamp = configuration.now()
        var request = HTTPClientRequest(url: settings.url)
        request.method = .POST
        do {
            let signature = try HTTPSignature.ofRequest(
                body, timestamp: timestamp, idempotencyKey: idempotencyKey, key: settings.key)
            request.headers = [
                "Content-Type": "application/json", "Accept": "application/json",
                "User-Agent": "tapbridge",
                HTTPSignature.idempotencyHeader: idempotencyKey, HTTPSignature.keyHeader: settings.keyID,
                HTTPSignature.timestampHeader: "\(timestamp)", HTTPSignature.signatureHeader: signature,
            ]
        } catch {
            return .failure(.unreachable("the message cannot be signed: \(error)"))
        }
        request.body = .bytes(ByteBuffer(bytes: body))
        let prepared = request
        let client = client
        let limit = configuration.longestAnswer
        let isAuthorization = if case .authorization = message { true } else { false }
        // The whole exchange, body included, has one deadline.
        let result = await PatientCall<Result<Received, any Error>>.run(
            until: deadline, patience: isAuthorization ? configuration.latePatience : .zero, room: lateRoom,
            giveUp: { .failure($0 ? CancellationError() : AcquirerError.timeout) },
            late: { [weak self] result in
                guard case .success(let received) = result, let self,
                    case .answer(let answer) = self.read(received, message, idempotencyKey),
                    let id = message.transactionID
                else { return }
                await self.late.add(LateAnswer(transactionID: id, response: answer.response))
            }
        ) {
            do {
                let response = try await client.execute(prepared, deadline: .distantFuture)
                let body = try await response.body.collect(upTo: limit)
                return .success(
                    Received(
                        status: Int(response.status.code), headers: response.headers,
                        body: Array(buffer: body)))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let received): return read(received, message, idempotencyKey)
        case .failure(let error): return Self.failure(error)
        }
    }

    private struct Received: Sendable {
        var status: Int
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    // MARK: Answers

    private func read(_ received: Received, _ message: HTTPMessage, _ idempotencyKey: String) -> Try {
        let isSigned = isSigned(received, idempotencyKey)
        let status = received.status
        switch status {
        case 200:
            guard isSigned else {
                return .failure(Self.unanswered("the answer's signature is missing or wrong", message))
            }
            do throws(HTTPMessageError) {
                let answer = try HTTPAnswer(json: received.body)
                guard answer.kind == message.kind, answer.transactionID == message.transactionID else {
                    return .failure(.malformedResponse("the answer belongs to another message"))
                }
                return .answer(answer.plain())
            } catch {
                return .failure(.malformedResponse("\(error)"))
            }
        case 400...499:
            let refusal = try? JSONDecoder().decode(WireRefusal.self, from: Data(received.body))
            let reason = Self.reason(status, refusal)
            switch RefusalMeaning(
                status: status, isSigned: isSigned, isEchoed: refusal?.isOf(message, idempotencyKey) == true,
                isLineTrusted: isLineTrusted)
            {
            case .refused: return .refused(reason)
            case .notTaken: return .failure(.unreachable(reason))
            case .unknown where isSigned || RefusalMeaning.indefinite.contains(status):
                return .again(Self.unanswered(reason, message), after: Self.retryAfter(received))
            case .unknown:
                return .again(
                    Self.unanswered(reason + " (not a word of the host)", message),
                    after: Self.retryAfter(received))
            }
        case 500...599:
            let refusal = try? JSONDecoder().decode(WireRefusal.self, from: Data(received.body))
            return .again(
                Self.unanswered(Self.reason(status, refusal), message), after: Self.retryAfter(received))
        default: return .failure(Self.unanswered("HTTP \(status)", message))
        }
    }

    /// The failure where the host itself has said nothing of the message. An unusable answer to what a terminal owes is
    /// set aside for a person after some time, but this is not the host's: such a message is sent until the host answers.
    private static func unanswered(_ reason: String, _ message: HTTPMessage) -> AcquirerError {
        if case .authorization = message { .malformedResponse(reason) } else { .connectionLost(reason) }
    }

    private func isSigned(_ received: Received, _ idempotencyKey: String) -> Bool {
        guard
            let text = received.headers.first(name: HTTPSignature.timestampHeader),
            let timestamp = Int(text), text == "\(timestamp)",
            let signature = received.headers.first(name: HTTPSignature.signatureHeader),
            let expected = try? HTTPSignature.ofAnswer(
                received.body, status: received.status, timestamp: timestamp,
                idempotencyKey: idempotencyKey, key: configuration.settings.key)
        else { return false }
        return HTTPSignature.isEqual(signature, expected)
    }

    /// Seconds; longer than an hour is not waited for in any case.
    private static func retryAfter(_ received: Received) -> Duration? {
        guard let text = received.headers.first(name: "Retry-After"), let seconds = Int(text),
            (0...3600).contains(seconds)
        else { return nil }
        return .seconds(seconds)
    }

    private static func reason(_ status: Int, _ refusal: WireRefusal?) -> String {
        "HTTP \(status)" + (refusal.map { ": " + $0.error.message.printable } ?? "")
    }

    /// Errors before the request could leave are told from all others.
    private static func failure(_ error: any Error) -> Try {
        switch error {
        case let error as AcquirerError: return .failure(error)
        case is CancellationError: return .failure(.connectionLost("cancelled while waiting"))
        case is NIOTooManyBytesError: return .failure(.malformedResponse("the answer is too long"))
        case let error as NIOConnectionError:
            return .again(.unreachable("no connection to \(error.host):\(error.port)"), after: nil)
        case let error as SocketAddressError:
            return .again(.unreachable("\(error)"), after: nil)
        // Of the handshake; later TLS errors may come after the request.
        case NIOSSLError.handshakeFailed, is NIOSSLExtraError:
            return .failure(.unreachable("TLS: \(error)"))
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            return .again(.unreachable("\(error)"), after: nil)
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .getConnectionFromPoolTimeout:
                return .again(.unreachable("no connection in time"), after: nil)
            case .cancelled: return .failure(.connectionLost("cancelled while waiting"))
            default: return .again(.connectionLost("\(error)".printable), after: nil)
            }
        default:
            return .again(.connectionLost("\(error)".printable), after: nil)
        }
    }
}

extension HTTPAnswer {
    /// Texts from outside as people may see them.
    fileprivate func plain() -> HTTPAnswer {
        var answer = self
        answer.response.message = response.message?.printable
        answer.response.reason = response.reason?.printable
        return answer
    }
}

extension String {
    /// At most 200 characters, without control characters.
    var printable: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.lazy.filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }.prefix(
                    200)))
    }
}

extension Duration {
    /// Rounded down; no more than fits.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }
}
