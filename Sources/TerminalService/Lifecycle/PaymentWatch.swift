internal import EMV
internal import Logging
internal import SmartCard
internal import Synchronization
internal import Terminal

/// Counts and logs what the terminals tell. Card numbers, tracks, commands and PINs are not logged at any level.
public final class PaymentWatch: Sendable {
    private let metrics: ServiceMetrics
    private let logger: Logger
    private let backend: String
    private let readerKinds = Mutex<[String: String]>([:])
    private let meters = Mutex<[String: PaymentMeter]>([:])

    /// - Parameter backend: the name of the host that payments go to.
    public init(_ metrics: ServiceMetrics, _ log: LogOutput, backend: String) {
        self.metrics = metrics
        self.backend = backend
        logger = log.logger("payments")
    }

    /// A terminal with a reader that is not an emulated one.
    func note(terminal: String, readerKind: String) {
        readerKinds.withLock { $0[terminal] = readerKind }
        meters.withLock { $0[terminal] = nil }
    }
    func forget(terminal: String) {
        readerKinds.withLock { $0[terminal] = nil }
        meters.withLock { $0[terminal] = nil }
    }

    public func observe(_ observed: ObservedEvent) {
        let kind = readerKinds.withLock { $0[observed.terminal] ?? "emulated" }
        let meter = meters.withLock { meters in
            if let meter = meters[observed.terminal] { return meter }
            let meter = metrics.meter(readerKind: kind, backend: backend)
            // Clients may make terminals and remove them without end; a meter is soon made again.
            if meters.count >= 20_000 { meters = [:] }
            meters[observed.terminal] = meter
            return meter
        }
        meter.observe(observed.event)
        log(observed)
    }

    private func log(_ observed: ObservedEvent) {
        func say(_ level: Logger.Level, _ message: Logger.Message, _ more: Logger.Metadata = [:]) {
            guard logger.logLevel <= level else { return }
            var metadata: Logger.Metadata = ["terminal": "\(observed.terminal)"]
            if let payment = observed.payment { metadata["payment"] = "\(payment)" }
            logger.log(level: level, message, metadata: metadata.merging(more) { $1 })
        }
        switch observed.event {
        case .transaction(let id, let inputs):
            LogContext.current?.set(payment: id)
            say(
                .info, "payment begins",
                [
                    "payment": "\(id)", "amount": "\(inputs.amount.minorUnits)",
                    "currency": "\(inputs.currency)",
                ])
        case .cardActivated: say(.debug, "card in the field")
        case .command(let command):
            say(.trace, "command", ["instruction": "\(String(command.ins, radix: 16, uppercase: true))"])
        case .response(let response, let microseconds):
            say(
                .trace, "response",
                ["status": "\(response.status)", "microseconds": "\(microseconds)"])
        case .readerError(let error): say(.info, "card or reader", ["error": "\(error)"])
        case .kernelMemoryFailed(let reason): say(.warning, "kernel memory", ["error": "\(reason)"])
        case .refusedByMerchant(let reason): say(.info, "refused by the merchant", ["reason": "\(reason)"])
        case .outcome(let final):
            say(
                .debug, "outcome",
                [
                    "outcome": "\(final.outcome.status.rawValue)", "cvm": "\(final.outcome.cvm.rawValue)",
                    "kernel": "\(final.selected.map { "\($0.kernel)" } ?? "none")",
                ])
        case .authorizationSent(let request): say(.debug, "authorization sent", ["stan": "\(request.stan)"])
        case .authorizationAnswered(let response):
            say(.debug, "authorization answered", ["responseCode": "\(response.responseCode)"])
        case .authorizationFailed(let error): say(.warning, "authorization failed", ["error": "\(error)"])
        case .reversal(let request, let delivered):
            say(
                delivered ? .notice : .warning, delivered ? "reversal delivered" : "reversal not delivered",
                [
                    "payment": "\(request.transactionID)", "reason": "\(request.reason.rawValue)",
                    "transmission": "\(request.transmission)",
                ])
        case .resolved(let id, let was, let action):
            say(
                .notice, "left behind, resolved",
                ["payment": "\(id)", "was": "\(was.rawValue)", "action": "\(action)"])
        case .parked(let id, let reason):
            say(.error, "set aside for a person: still owed", ["payment": "\(id)", "reason": "\(reason)"])
        case .finished(let result):
            var metadata: Logger.Metadata = [
                "payment": "\(result.transactionID)", "status": "\(result.status.rawValue)",
                "kernel": "\(result.outcome?.selected.map { "\($0.kernel)" } ?? "none")",
            ]
            if let elapsed = observed.elapsed { metadata["milliseconds"] = "\(Int(elapsed.seconds * 1000))" }
            if let reason = result.reason { metadata["reason"] = "\(reason)" }
            if let code = result.response?.responseCode { metadata["responseCode"] = "\(code)" }
            say(result.status == .failed ? .warning : .info, "payment \(result.status.rawValue)", metadata)
        default: break
        }
    }
}
