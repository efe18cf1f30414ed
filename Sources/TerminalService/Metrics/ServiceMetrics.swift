internal import Acquiring
internal import CardReaders
internal import Foundation
internal import Kernels
internal import Synchronization
public import Terminal

/// What the daemon counts, for Prometheus at `/metrics`. Labels take few values: names of terminals, payments and
/// clients are none of them.
public final class ServiceMetrics: Sendable {
    /// How things stand now: asked for at each scrape.
    public struct Gauges: Sendable {
        /// By kind (emulated, pcsc, libnfc, remote) and state (ready, busy, offline).
        public var readers: [ReaderState: Int] = [:]
        /// By state (idle, waitingForCard…).
        public var terminals: [String: Int] = [:]
        public var paymentsUnderWay = 0
        /// Messages owed to hosts: the journal's queue.
        public var backlog = 0
        public var journalBytes = 0
        public var eventClients = 0
        public var connections = 0
        public var isStopping = false
        public init() {}
    }
    public struct ReaderState: Sendable, Hashable {
        public var kind: String
        public var state: String
        public init(kind: String, state: String) {
            self.kind = kind
            self.state = state
        }
    }

    let payments = CounterFamily(
        "tapbridge_payments_total", "Payments finished, by kernel, outcome and backend.",
        labels: ["kernel", "outcome", "backend"], limit: 512)
    let paymentTime = HistogramFamily(
        "tapbridge_payment_duration_seconds", "From a payment's beginning to its receipt, by outcome.",
        labels: ["outcome"], bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
    let commandTime = HistogramFamily(
        "tapbridge_apdu_duration_seconds", "From a command's end to its response, by kind of reader.",
        labels: ["reader"],
        bounds: [0.00001, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5])
    let authorizationTime = HistogramFamily(
        "tapbridge_authorization_duration_seconds",
        "From an authorization's leaving to its answer, by backend and result.",
        labels: ["backend", "result"],
        bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
    let reversals = CounterFamily(
        "tapbridge_reversals_total", "Reversals sent, by backend and whether the host acknowledged.",
        labels: ["backend", "delivered"], limit: 64)
    let readerErrors = CounterFamily(
        "tapbridge_reader_errors_total", "Errors of readers and cards, by kind of reader and error.",
        labels: ["reader", "error"], limit: 64)
    let requests = CounterFamily(
        "tapbridge_http_requests_total", "Requests answered, by method, route and status.",
        labels: ["method", "route", "status"], limit: 1024)
    let requestTime = HistogramFamily(
        "tapbridge_http_request_duration_seconds",
        "From a request's head to the head of its answer, by route.",
        labels: ["route"],
        bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60], limit: 128)
    let rejected = CounterFamily(
        "tapbridge_rejected_total", "Requests and connections turned away, by reason.", labels: ["reason"],
        limit: 64)
    let reloads = CounterFamily(
        "tapbridge_configuration_reloads_total", "Configuration read again, by result.", labels: ["result"])
    let lostEvents = CounterFamily(
        "tapbridge_events_lost_total", "Events that clients of event streams were too slow for.")
    let logLines = CounterFamily("tapbridge_log_lines_total", "Lines logged, by level.", labels: ["level"])
    private let started = Date()
    private let startedClock = ContinuousClock.now

    public init() {
        for reason in Rejection.allCases { rejected.add(0, reason.rawValue) }
    }

    public func noteRejection(_ reason: Rejection) { rejected.add(1, reason.rawValue) }
    public func noteLostEvents(_ count: Int) { lostEvents.add(Double(count)) }
    public func noteReload(succeeded: Bool) { reloads.add(1, succeeded ? "done" : "refused") }
    public func noteLog(_ level: String) { logLines.add(1, level) }

    public func noteRequest(method: String, route: String, status: Int, _ time: Duration) {
        // Only methods that exist, so that no client makes labels.
        let known: Set = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        requests.add(1, known.contains(method) ? method : "other", route, String(status))
        requestTime.observe(time.seconds, route)
    }

    /// Everything in Prometheus' text format.
    public func text(_ gauges: Gauges) -> String {
        var text = MetricText()
        for family in [payments, reversals, readerErrors, requests, rejected, reloads, lostEvents, logLines] {
            family.write(to: &text)
        }
        for family in [paymentTime, commandTime, authorizationTime, requestTime] { family.write(to: &text) }
        text.gauges(
            "tapbridge_readers", "Readers, by kind and state.", labels: ["kind", "state"],
            gauges.readers.map { ([$0.key.kind, $0.key.state], Double($0.value)) }
                .sorted { $0.0.lexicographicallyPrecedes($1.0) })
        text.gauges(
            "tapbridge_terminals", "Terminals, by state.", labels: ["state"],
            gauges.terminals.map { ([$0.key], Double($0.value)) }.sorted {
                $0.0.lexicographicallyPrecedes($1.0)
            })
        func gauge(_ name: String, _ help: String, _ value: Double) { text.gauges(name, help, [([], value)]) }
        gauge(
            "tapbridge_payments_under_way", "Payments that are not finished.", Double(gauges.paymentsUnderWay)
        )
        gauge(
            "tapbridge_backlog", "Reversals, offline approvals and amounts owed to hosts.",
            Double(gauges.backlog))
        gauge("tapbridge_journal_size_bytes", "Size of the journal's files.", Double(gauges.journalBytes))
        gauge("tapbridge_event_clients", "Event streams that are open.", Double(gauges.eventClients))
        gauge("tapbridge_connections", "Connections that are open.", Double(gauges.connections))
        gauge("tapbridge_stopping", "1 while the daemon ends what is under way.", gauges.isStopping ? 1 : 0)
        gauge("tapbridge_uptime_seconds", "Since the daemon began.", startedClock.duration(to: .now).seconds)
        let process = ProcessFigures.now()
        gauge(
            "process_start_time_seconds", "When the process began, in seconds since 1970.",
            started.timeIntervalSince1970)
        gauge("process_resident_memory_bytes", "Resident memory.", Double(process.residentBytes))
        gauge("process_virtual_memory_bytes", "Virtual memory.", Double(process.virtualBytes))
        gauge("process_threads", "Threads.", Double(process.threads))
        gauge("process_open_fds", "Open file descriptors.", Double(process.openDescriptors))
        gauge(
            "process_max_fds", "Most file descriptors that may be open.", Double(process.maximumDescriptors))
        text.family("process_cpu_seconds_total", "counter", "Processor time, user and system.")
        text.sample("process_cpu_seconds_total", [], [], process.processorSeconds)
        return text.text
    }

    /// A meter for one terminal's events.
    public func meter(readerKind: String, backend: String) -> PaymentMeter {
        PaymentMeter(self, readerKind: readerKind, backend: backend)
    }
}

/// Counts one terminal's events: hand it each in order.
public final class PaymentMeter: Sendable {
    private struct State {
        var began: ContinuousClock.Instant?
        var sent: ContinuousClock.Instant?
    }
    private let metrics: ServiceMetrics
    private let readerKind: String
    private let backend: String
    private let state = Mutex(State())

    init(_ metrics: ServiceMetrics, readerKind: String, backend: String) {
        self.metrics = metrics
        self.readerKind = readerKind
        self.backend = backend
    }

    public func observe(_ event: TerminalEvent) {
        switch event {
        case .transaction: state.withLock { $0 = State(began: .now) }
        case .response(_, let microseconds):
            metrics.commandTime.observe(Double(microseconds) / 1e6, readerKind)
        case .readerError(let error): metrics.readerErrors.add(1, readerKind, Self.label(error))
        case .authorizationSent: state.withLock { $0.sent = .now }
        case .authorizationAnswered: answered("answered")
        case .authorizationFailed(let error): answered(error.isOutcomeUnknown ? "unknown" : "failed")
        case .reversal(_, let delivered): metrics.reversals.add(1, backend, delivered ? "true" : "false")
        case .finished(let result):
            let kernel = result.outcome?.selected.map { "\($0.kernel)" } ?? "none"
            metrics.payments.add(1, kernel, result.status.rawValue, backend)
            if let began = state.withLock({ $0.began }) {
                metrics.paymentTime.observe(began.duration(to: .now).seconds, result.status.rawValue)
            }
        default: break
        }
    }

    private func answered(_ result: String) {
        let sent = state.withLock { state in
            defer { state.sent = nil }
            return state.sent
        }
        guard let sent else { return }
        metrics.authorizationTime.observe(sent.duration(to: .now).seconds, backend, result)
    }

    private static func label(_ error: ReaderError) -> String {
        switch error {
        case .noCard: "no_card"
        case .collision: "collision"
        case .activationFailed: "activation_failed"
        case .cardRemoved: "card_removed"
        case .cardTimeout: "card_timeout"
        case .transmission: "transmission"
        case .protocolViolation: "protocol_violation"
        case .readerUnavailable: "unavailable"
        case .cancelled: "cancelled"
        }
    }
}
