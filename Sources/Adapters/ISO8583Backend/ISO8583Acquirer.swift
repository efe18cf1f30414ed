public import Acquiring
internal import BERTLV
internal import EMV
internal import ISO8583
internal import Synchronization

/// An acquirer's host over ISO 8583.
///
/// One connection serves any number of terminals. It is opened with the first request (or by `start`) and kept up:
/// sign-on, echo tests, reconnection with growing pauses, and the next host of the list where one does not answer.
public final class ISO8583Acquirer: ObservableBackend, TraceNumberedBackend {
    public let name: String
    public let interface: HostInterface
    private let link: HostLink
    private let builder: MessageBuilder
    private let reader: AnswerReader
    private let late = LateAnswers()
    private let traceNumbers = TraceNumbers()
    private let observer = Mutex<(@Sendable (HostMessage) -> Void)?>(nil)

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
            interface: interface, endpoints: endpoints, security: security, settings: settings,
            traceNumbers: traceNumbers, log: log)
    }

    public func takeTraceNumbers(from source: @escaping @Sendable () async -> UInt32?) {
        traceNumbers.take(from: source)
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
        let message = builder.authorization(request)
        tell(message, of: request.transactionID, isSent: true)
        let answer = try await link.exchange(message) { [late, reader] answer in
            guard let response = try? reader.authorization(answer, of: sent) else { return }
            Task { await late.add(LateAnswer(transactionID: sent.transactionID, response: response)) }
        }
        tell(answer, of: request.transactionID, isSent: false)
        return try reader.authorization(answer, of: sent)
    }

    public func observeMessages(_ observer: @escaping @Sendable (HostMessage) -> Void) {
        self.observer.withLock { $0 = observer }
    }

    /// Fields whose bytes are not shown: card number, tracks, PIN, keys, chip data with what a card may add to it.
    private static let hidden: Set<Int> = [2, 34, 35, 36, 45, 52, 53, 55, 64, 96, 128]

    private func tell(_ message: Message, of transaction: String, isSent: Bool) {
        guard let observer = observer.withLock({ $0 }), let bytes = try? interface.dialect.pack(message)
        else {
            return
        }
        let (explanation, _) = interface.dialect.explain(bytes)
        var digits = Array(Hex.string(bytes).utf8)
        for field in explanation.fields where Self.hidden.contains(field.number) {
            let start = max(0, field.offset * 2)
            for index in start..<max(start, min(digits.count, (field.offset + field.byteCount) * 2)) {
                digits[index] = UInt8(ascii: "*")
            }
        }
        observer(
            HostMessage(
                transactionID: transaction, isSent: isSent, hex: String(decoding: digits, as: UTF8.self),
                text: explanation.text()))
    }

    public func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        let answer = try await link.exchange(builder.reversal(request))
        // The host has no such transaction: nothing is left to take back.
        try reader.acknowledgement(answer, alsoAccepted: [.notFound, .duplicate])
    }

    public func advise(
        _ request: AuthorizationRequest, offline: OfflineDecision
    ) async throws(AcquirerError) {
        try reader.acknowledgement(
            try await link.exchange(builder.advice(request, offline)), alsoAccepted: [.duplicate])
    }

    public func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        try reader.acknowledgement(
            try await link.exchange(builder.adjustment(request)), alsoAccepted: [.duplicate])
    }

    public func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        // An approval without totals would say nothing about them.
        let missing = interface.missingTotals
        guard missing.isEmpty else {
            throw .rejected(
                "dialect \(interface.dialect.name) cannot settle: it has no fields \(missing.map(String.init).joined(separator: ", ")) for totals"
            )
        }
        return try reader.reconciliation(try await link.exchange(builder.reconciliation(request)))
    }

    public func upload(_ item: BatchItem) async throws(AcquirerError) {
        try reader.acknowledgement(try await link.exchange(builder.upload(item)), alsoAccepted: [.duplicate])
    }

    public func answersOutOfTime() async -> AsyncStream<LateAnswer> { await late.stream() }
}
