public import Acquiring
internal import EMV
internal import ISO8583

/// An acquirer's host over ISO 8583.
///
/// One connection serves any number of terminals. It is opened with the first request (or by `start`) and kept up:
/// sign-on, echo tests, reconnection with growing pauses, and the next host of the list where one does not answer.
public final class ISO8583Acquirer: AcquirerBackend {
    public let name: String
    public let interface: HostInterface
    private let link: HostLink
    private let builder: MessageBuilder
    private let reader: AnswerReader
    private let late = LateAnswers()

    /// - Parameters:
    ///   - endpoints: the host, and others that take over; at least one.
    ///   - security: TLS; nil is plain TCP.
    ///   - log: what happens to connections, for people; nothing of any card.
    public init(
        name: String = "iso8583", interface: HostInterface, endpoints: [Endpoint],
        security: TransportSecurity? = nil, settings: LinkSettings = LinkSettings(),
        log: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.name = name
        self.interface = interface
        builder = MessageBuilder(interface)
        reader = AnswerReader(interface)
        link = HostLink(
            interface: interface, endpoints: endpoints, security: security, settings: settings, log: log)
    }

    /// Connects before the first request.
    public func start() async { await link.start() }
    /// Ends the connection for ever.
    public func close() async {
        await link.close()
        await late.finish()
    }
    public var counters: LinkCounters { get async { await link.counters } }
    /// Whether the host has signed us on.
    public var isConnected: Bool { get async { await link.isUp } }

    public func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse {
        let sent = SentAuthorization(request)
        let answer = try await link.exchange(builder.authorization(request)) { [late, reader] message in
            guard let response = try? reader.authorization(message, of: sent) else { return }
            Task { await late.add(LateAnswer(transactionID: sent.transactionID, response: response)) }
        }
        return try reader.authorization(answer, of: sent)
    }

    public func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        let answer = try await link.exchange(builder.reversal(request))
        // 25: the host has no such transaction, so nothing is left to take back.
        try reader.acknowledgement(answer, alsoAccepted: ["25", "94"])
    }

    public func advise(
        _ request: AuthorizationRequest, offline: OfflineDecision
    ) async throws(AcquirerError) {
        try reader.acknowledgement(
            try await link.exchange(builder.advice(request, offline)), alsoAccepted: ["94"])
    }

    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        try reader.acknowledgement(
            try await link.exchange(builder.adjustment(request)), alsoAccepted: ["94"])
    }

    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        try reader.reconciliation(try await link.exchange(builder.reconciliation(request)))
    }

    public func upload(_ item: BatchItem) async throws(AcquirerError) {
        try reader.acknowledgement(try await link.exchange(builder.upload(item)), alsoAccepted: ["94"])
    }

    public func answersOutOfTime() async -> AsyncStream<LateAnswer> { await late.stream() }
}
