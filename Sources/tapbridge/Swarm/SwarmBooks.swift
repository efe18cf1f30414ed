import CommandSupport
import AcquirerSimulator
import EMV
import Issuing
import Journal
import Terminal

/// The terminals' journal against the host's books.
struct SwarmBooks: Encodable {
    struct Side: Encodable, Equatable {
        var approved = 0
        /// Minor units of the terminals' currency.
        var approvedAmount: UInt64 = 0
        var reversed = 0
    }
    var journal = Side()
    /// Nil where the host's books cannot be looked into: then its totals of each batch speak.
    var host: Side?
    var batches = 0
    var batchesBalanced = 0
    /// Still owed to the host when the swarm ended.
    var owed = 0
    /// What does not agree, the first ones.
    var differences: [String] = []
    var differenceCount = 0
    var agree: Bool { differenceCount == 0 && owed == 0 }

    enum CodingKeys: CodingKey {
        case journal, host, batches, batchesBalanced, owed, differences, differenceCount
    }

    mutating func differ(_ text: String) {
        differenceCount += 1
        if differences.count < 20 { differences.append(text) }
    }

    /// Delivers what is owed, as long as it takes and `patience` lasts.
    static func deliver(_ sessions: [TerminalSession], _ journal: Journal, patience: Duration) async throws {
        let deadline = ContinuousClock.now + patience
        while true {
            let owing = Set(try await journal.owed(includingParked: true).map(\.terminalID))
            if owing.isEmpty || ContinuousClock.now >= deadline { return }
            for session in sessions where owing.contains(session.profile.terminalID) {
                _ = try await session.forwarder.flush()
            }
            if !(try await journal.owed(includingParked: true).isEmpty) {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Counts the journal's side, and compares it transaction by transaction where the host can be looked into.
    mutating func compare(_ records: [TransactionRecord], with simulator: SimulatedAcquirer?) async {
        let state = await simulator?.issuer.state
        var seen: Set<String> = []
        for record in records {
            seen.insert(record.id)
            let host = state?.transactions[record.id]
            switch record.state {
            case .approved, .adjusted, .forwarded, .settled:
                journal.approved += 1
                journal.approvedAmount += record.amountTaken.minorUnits
                guard let state else { continue }
                guard let host, [.approved, .approvedOffline].contains(host.status) else {
                    differ(
                        "\(record.id): \(record.state.rawValue) here, \(host?.status.rawValue ?? "unknown") at the host"
                    )
                    continue
                }
                guard let entry = host.entry, state.ledger.entries.indices.contains(entry - 1) else {
                    differ("\(record.id): approved, and not booked at the host")
                    continue
                }
                let booked = state.ledger.entries[entry - 1].amount
                if booked != record.amountTaken {
                    differ(
                        "\(record.id): \(record.amountTaken.minorUnits) here, \(booked.minorUnits) at the host"
                    )
                }
            case .reversed:
                journal.reversed += 1
                if let host, ![.reversed, .reversedUnseen, .declined].contains(host.status) {
                    differ("\(record.id): reversed here, \(host.status.rawValue) at the host")
                }
            case .deferred, .reversalDue, .adjustmentDue, .approvedOffline: owed += 1
            case .started, .cardRead, .requestWritten, .authorizing, .answered:
                differ("\(record.id): left \(record.state.rawValue)")
            case .declined, .declinedOffline, .cancelled, .failed:
                if let host, [.approved, .approvedOffline].contains(host.status) {
                    differ("\(record.id): \(record.state.rawValue) here, \(host.status.rawValue) at the host")
                }
            }
        }
        guard let state else { return }
        var side = Side()
        for (id, host) in state.transactions {
            switch host.status {
            case .approved, .approvedOffline:
                side.approved += 1
                if let entry = host.entry, state.ledger.entries.indices.contains(entry - 1) {
                    side.approvedAmount += state.ledger.entries[entry - 1].amount.minorUnits
                }
            case .reversed, .reversedUnseen: side.reversed += 1
            case .declined, .declinedOffline: break
            }
            if !seen.contains(id) { differ("\(id): \(host.status.rawValue) at the host, unknown here") }
        }
        host = side
        if side.approved != journal.approved || side.approvedAmount != journal.approvedAmount {
            differ(
                "approvals: \(journal.approved) of \(journal.approvedAmount) here, \(side.approved) of \(side.approvedAmount) at the host"
            )
        }
    }

    /// Settles every terminal: its totals against the host's.
    mutating func settle(_ sessions: [TerminalSession]) async {
        for session in sessions {
            do {
                for report in try await session.settle() {
                    batches += 1
                    // A batch that had to be uploaded shows what the host said before.
                    if report.isBalanced,
                        report.batch.hostSums == nil || report.batch.hostSums == report.batch.sums
                    {
                        batchesBalanced += 1
                    } else {
                        differ(
                            "terminal \(session.profile.terminalID), batch \(report.batch.batch): \(report.batch.sums.debits) sales of \(report.batch.sums.debitAmount) here, \(report.batch.hostSums.map { "\($0.debits) of \($0.debitAmount)" } ?? "others") at the host"
                        )
                    }
                }
            } catch {
                differ("terminal \(session.profile.terminalID) is not settled: \(error)")
            }
        }
    }
}
