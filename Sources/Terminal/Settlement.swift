public import Acquiring
public import EMV
public import Journal

/// Why a batch is not closed. Whatever was reached is durable: settling again goes on from there.
public indirect enum SettlementError: Error, Sendable, CustomStringConvertible {
    case host(batch: Int, AcquirerError)
    case journal(JournalError)
    /// The batches of other currencies before it have their end, and these reports.
    case afterReports([SettlementReport], SettlementError)

    public var description: String {
        switch self {
        case .host(let batch, let error): "batch \(batch) is not settled yet: \(error); settle again to go on"
        case .journal(let error): "\(error)"
        case .afterReports(let reports, let error):
            "\(error); "
                + reports.map { "batch \($0.batch.batch) is \($0.batch.state.rawValue)" }
                .joined(separator: ", ")
        }
    }
}

/// Closes a terminal's batches with its host: totals are compared (0500); where they do not agree, the batch is
/// uploaded (0320) and compared again. Can be interrupted anywhere and begun again.
public struct Settlement: Sendable {
    public let terminalID: String
    public let acquirerID: String
    let journal: Journal
    let backend: any AcquirerBackend
    let forwarder: Forwarder
    let now: @Sendable () -> (date: EMVDate, hhmmss: Int)

    /// - Parameter now: local date and time.
    public init(
        terminalID: String, acquirerID: String, journal: Journal, backend: any AcquirerBackend,
        forwarder: Forwarder,
        now: @escaping @Sendable () -> (date: EMVDate, hhmmss: Int) = LocalTime.now
    ) {
        self.terminalID = terminalID
        self.acquirerID = acquirerID
        self.journal = journal
        self.backend = backend
        self.forwarder = forwarder
        self.now = now
    }

    /// Delivers what is owed, then settles one batch for each currency. No payment should be under way meanwhile: the host
    /// would count it and the batch not, and the batch would have to be uploaded.
    /// - Returns: a report of each batch, closed or out of balance; none where there was nothing to settle.
    /// - Throws: `SettlementError`; `.afterReports` if a batch of another currency had its end before.
    public func run() async throws(SettlementError) -> [SettlementReport] {
        var failure: SettlementError?
        var reports: [SettlementReport] = []
        do throws(JournalError) {
            _ = try await forwarder.flush()
            for currency in try await journal.unsettledCurrencies(terminal: terminalID) {
                guard let batch = try await journal.closeBatch(terminal: terminalID, currency: currency)
                else { continue }
                switch await settle(batch) {
                case .success(let batch): reports.append(try await report(batch))
                case .failure(let error): failure = error
                }
                if failure != nil { break }
            }
        } catch {
            failure = .journal(error)
        }
        if let failure { throw reports.isEmpty ? failure : .afterReports(reports, failure) }
        return reports
    }

    /// The report of a batch, as it stands.
    public func report(_ batch: BatchRecord) async throws(JournalError) -> SettlementReport {
        SettlementReport(
            batch: batch, items: try await journal.items(of: batch),
            owed: try await journal.owed(terminal: terminalID, includingParked: true),
            held: try await journal.list(
                JournalFilter(terminalID: terminalID, states: [.approved]), order: .oldestFirst
            ).filter { $0.purpose == .preAuthorization })
    }

    private func settle(_ batch: BatchRecord) async -> Result<BatchRecord, SettlementError> {
        var batch = batch
        do throws(JournalError) {
            if batch.state != .uploading {
                switch try await reconcile(&batch, isAfterUpload: false) {
                case .failure(let error): return .failure(.host(batch: batch.batch, error))
                case .success(.balanced): return .success(try await journal.changeBatch(batch, .closed))
                case .success(.outOfBalance(let host)):
                    batch = try await journal.changeBatch(
                        batch, .uploading(0, host: host))
                }
            }
            if let error = try await upload(&batch) { return .failure(.host(batch: batch.batch, error)) }
            switch try await reconcile(&batch, isAfterUpload: true) {
            case .failure(let error): return .failure(.host(batch: batch.batch, error))
            case .success(.balanced): return .success(try await journal.changeBatch(batch, .closed))
            case .success(.outOfBalance(let host)):
                return .success(
                    try await journal.changeBatch(batch, .outOfBalance(host: host)))
            }
        } catch {
            return .failure(.journal(error))
        }
    }

    private func reconcile(
        _ batch: inout BatchRecord, isAfterUpload: Bool
    ) async throws(JournalError) -> Result<ReconciliationAnswer, AcquirerError> {
        batch = try await journal.changeBatch(batch, .attempt)
        let now = now()
        let request = ReconciliationRequest(
            terminalID: terminalID, merchantID: batch.merchantID, acquirerID: acquirerID,
            batch: batch.batch, stan: batch.stan, currency: batch.currency,
            totals: batch.sums, isAfterUpload: isAfterUpload, date: now.date, hhmmss: now.hhmmss)
        return await HostCall.within(forwarder.policy.answerTimeout) {
            [backend] () async throws(AcquirerError) in try await backend.reconcile(request)
        }
    }

    /// Goes on where an earlier upload ended.
    private func upload(_ batch: inout BatchRecord) async throws(JournalError) -> AcquirerError? {
        let items = try await journal.items(of: batch)
        for (index, record) in items.enumerated().dropFirst(batch.uploaded) {
            let item = BatchItem(
                terminalID: terminalID, batch: batch.batch, index: index + 1, count: items.count,
                transactionID: record.id, stan: record.stan, retrievalReference: record.retrievalReference,
                authorizationCode: record.authorizationCode, amount: record.amountTaken,
                currency: record.currency, transactionType: record.transactionType,
                isOffline: record.state == .forwarded,
                original: try await journal.kept(record.id).flatMap(KeptRequest.request))
            let answer = await HostCall.within(forwarder.policy.answerTimeout) {
                [backend] () async throws(AcquirerError) in try await backend.upload(item)
            }
            if case .failure(let error) = answer { return error }
            batch = try await journal.changeBatch(batch, .uploading(index + 1, host: nil))
        }
        return nil
    }
}

/// What was settled: for paper, people and programs.
public struct SettlementReport: Sendable, Codable {
    /// Counts and sums of one kind of card.
    public struct Group: Sendable, Codable, Equatable {
        public var application: String
        public var sums: BatchTotals
    }
    public var batch: BatchRecord
    public var groups: [Group]
    public var items: [TransactionRecord]
    /// Still owed to the host, parked ones included: not in this batch.
    public var owed: [TransactionRecord]
    /// Pre-authorizations that wait for their completion: not in this batch.
    public var held: [TransactionRecord]

    init(batch: BatchRecord, items: [TransactionRecord], owed: [TransactionRecord], held: [TransactionRecord])
    {
        self.batch = batch
        self.items = items
        self.owed = owed
        self.held = held
        var sums: [String: BatchTotals] = [:]
        for item in items {
            sums[item.applicationLabel ?? "other", default: BatchTotals()].add(
                item.amountTaken, isCredit: item.isCredit)
        }
        groups = sums.map { Group(application: $0.key, sums: $0.value) }
            .sorted { $0.application < $1.application }
    }

    public var isBalanced: Bool { batch.state == .closed }

    /// What the merchant gets: negative where refunds are more.
    public var net: Int64 { batch.sums.net }

    /// The report in `width` columns.
    public func text(width: Int = 42) -> String {
        var out = ""
        func line(_ left: String, _ right: String) {
            out +=
                left + String(repeating: " ", count: max(1, width - left.count - right.count)) + right + "\n"
        }
        func credit(_ units: UInt64) -> String { (units > 0 ? "-" : "") + money(units) }
        func money(_ units: UInt64) -> String { Money(Amount(clamping: units), batch.currency).description }
        line("SETTLEMENT", "batch \(batch.batch)")
        line("Terminal", batch.terminalID)
        line("Merchant", batch.merchantID)
        line("Trace", String(batch.stan))
        out += String(repeating: "-", count: width) + "\n"
        for group in groups {
            out += group.application + "\n"
            if group.sums.debits > 0 { line("  \(group.sums.debits) sales", money(group.sums.debitAmount)) }
            if group.sums.credits > 0 {
                line("  \(group.sums.credits) refunds", credit(group.sums.creditAmount))
            }
        }
        out += String(repeating: "-", count: width) + "\n"
        line("\(batch.sums.debits) sales", money(batch.sums.debitAmount))
        line("\(batch.sums.credits) refunds", credit(batch.sums.creditAmount))
        line("Total", (net < 0 ? "-" : "") + money(net.magnitude))
        if let host = batch.hostSums {
            line("Host: \(host.debits) sales", money(host.debitAmount))
            line("Host: \(host.credits) refunds", credit(host.creditAmount))
        }
        if !held.isEmpty { line("Held, not completed", String(held.count)) }
        if !owed.isEmpty { line("Still owed to the host", String(owed.count)) }
        let result =
            switch batch.state {
            case .closed: "BALANCED, CLOSED"
            case .outOfBalance: "OUT OF BALANCE"
            case .closing, .uploading: "NOT SETTLED YET"
            }
        line("Result", result)
        return out
    }
}
