import Acquiring
import EMV
import Foundation
import Journal
import PaymentSimulation
import Terminal
import Testing

/// A sample of what `make simulate` runs.
@Suite struct SimulationTests {
    /// A thousand worlds of their own: ledgers agree, nothing is shown approved that is not durable, nothing stays open.
    @Test(arguments: 0..<8) func worlds(_ part: UInt64) async {
        let simulation = Simulation()
        for seed in part * 125 + 1...part * 125 + 125 {
            await Task.yield()
            let outcome = simulation.run(seed: seed)
            guard !outcome.problems.isEmpty else { continue }
            let events = simulation.run(seed: seed, isLogging: true).events
            Issue.record("seed \(seed): \(outcome.problems)\n\(events.joined(separator: "\n"))")
        }
    }

    /// The same seed is the same world, event by event.
    @Test func sameSeedSameEvents() {
        for seed in [1, 77, 4711] as [UInt64] {
            let first = Simulation().run(seed: seed, isLogging: true)
            let second = Simulation().run(seed: seed, isLogging: true)
            #expect(first.events == second.events && !first.events.isEmpty)
            #expect(first.transactions == Simulation().run(seed: seed).transactions)
        }
    }

    /// Each defect that is put in is found: a simulator that finds nothing proves nothing.
    @Test(arguments: Mutation.allCases) func findsTheDefect(_ mutation: Mutation) async {
        let simulation = Simulation(mutation: mutation)
        // Once in some millions of payments: from the seed that `make simulate` found.
        let first: UInt64 = mutation == .decidedIsSentAnew ? 10_124_191 : 1
        for seed in first..<first + 4000 {
            await Task.yield()
            if !simulation.run(seed: seed).problems.isEmpty { return }
        }
        Issue.record("\(mutation) is not found")
    }
}

/// The model of the journal does what the journal does.
@Suite struct ModelJournalTests {
    /// What is done to both, in the order of chance.
    private enum Step {
        case begin(TransactionIntent)
        case change(ModelJournal.Change, Int, ModelJournal.Kept?)
    }

    private struct Both {
        let journal: Journal
        var model = ModelJournal()
        var ids: [String] = []

        /// - Returns: how each took it, and the record of each.
        mutating func begin(_ intent: TransactionIntent) async throws -> (String, String) {
            var real: String
            var id: String?
            do throws(JournalError) {
                let (record, isNew) = try await journal.beginOnce(intent)
                id = record.id
                real = isNew ? "new" : "known \(record.id)"
            } catch {
                real = Self.name(error)
            }
            let mine: String
            do throws(ModelJournal.Failure) {
                let (place, isNew) = try model.begin(intent, id: id)
                mine = isNew ? "new" : "known \(model[place].record.id)"
                if isNew, let id { ids.append(id) }
            } catch {
                mine = "\(error)"
            }
            return (real, mine)
        }

        mutating func change(
            _ change: ModelJournal.Change, _ place: Int, _ kept: ModelJournal.Kept?
        ) async throws -> (String, String) {
            let id = ids[place]
            var real = "done"
            do throws(JournalError) {
                switch change {
                case .step(let write): try await journal.make(write, of: id, isKept: kept != nil)
                case .adjustmentDue(let kind, let amount):
                    try await journal.adjustmentDue(id, kind, amount: amount)
                case .lateApproval(let code, let reason):
                    try await journal.lateApproval(
                        id, "late", authorizationCode: code, reason: reason.rawValue)
                case .note(let states): try await journal.note(id, "note", in: states)
                case .resumed: try await journal.resumed(id, reason: "mended")
                }
            } catch {
                real = Self.name(error)
            }
            var mine = "done"
            do throws(ModelJournal.Failure) {
                try model.apply(change, at: place, keeping: kept)
            } catch {
                mine = "\(error)"
            }
            return (real, mine)
        }

        private static func name(_ error: JournalError) -> String {
            switch error {
            case .stateMoved(_, _, let state): "\(ModelJournal.Failure.stateMoved(state))"
            case .rejected: "\(ModelJournal.Failure.rejected)"
            case .keyReused: "\(ModelJournal.Failure.keyReused)"
            case .unknownTransaction: "\(ModelJournal.Failure.unknown)"
            default: "\(error)"
            }
        }

        /// What both have of a transaction, in words.
        func states(of place: Int) async throws -> (String, String) {
            let id = ids[place]
            let record = try #require(try await journal.show(id))
            let mine = model[place]
            func words(_ record: TransactionRecord, isKept: Bool) -> String {
                [
                    record.state.rawValue, record.responseCode ?? "-", record.authorizationCode ?? "-",
                    "\(record.approvedAmount?.minorUnits ?? 0)", record.reason ?? "-",
                    record.reversalReason ?? "-", "\(record.reversalAttempts)", "\(record.forwardAttempts)",
                    "\(record.adjustmentAttempts)", "\(record.isParked)",
                    "\(record.finalAmount?.minorUnits ?? 0)", record.adjustment?.rawValue ?? "-",
                    "\(record.revision)", record.original ?? "-", record.replaces ?? "-",
                    "\(record.amountTaken.minorUnits)", "\(record.purpose)", "kept \(isKept)",
                ].joined(separator: " ")
            }
            return (
                words(record, isKept: try await journal.kept(id) != nil),
                words(mine.record, isKept: mine.kept != nil)
            )
        }
    }

    /// Thousands of begins and changes by chance, most of them not allowed: both take the same, refuse the same, and have the same
    /// afterwards. The oracle is SQLite's journal.
    @Test(arguments: 1...4 as ClosedRange<UInt64>) func sameAsTheJournal(_ seed: UInt64) async throws {
        var both = Both(journal: try Journal.inMemory())
        var random = Numbers(seed: seed)
        for step in 0..<500 {
            let (real, mine): (String, String)
            if both.ids.isEmpty || random.below(8) == 0 {
                (real, mine) = try await both.begin(try random.intent(both.ids))
            } else {
                // The latest ones move.
                let place = max(0, both.ids.count - 1 - random.below(6))
                let change = random.change()
                let kept =
                    random.below(3) == 0
                    ? ModelJournal.Kept(amount: Amount(clamping: 1), acceptsPartialApproval: false) : nil
                let takesKept =
                    switch change {
                    case .step(.request), .step(.deferral), .step(.offlineApproval): true
                    default: false
                    }
                (real, mine) = try await both.change(change, place, takesKept ? kept : nil)
                let (record, model) = try await both.states(of: place)
                #expect(record == model, "step \(step): \(change)")
            }
            #expect(real == mine, "step \(step)")
            if real != mine { break }
        }
        #expect(both.ids.count > 20)
    }

    private struct Numbers {
        var state: UInt64
        init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
        mutating func below(_ bound: Int) -> Int {
            // xorshift64*
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return Int((state &* 0x2545_F491_4F6C_DD1D) >> 33) % bound
        }
        mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

        mutating func intent(_ ids: [String]) throws -> TransactionIntent {
            if let replaced = ids.last, below(5) == 0 {
                let record = TransactionRecord(
                    beginning: TransactionIntent(
                        terminalID: "T", merchantID: "M", amount: Amount(clamping: 100),
                        currency: try #require(NumericCode(978)), currencyExponent: 2, transactionType: 0,
                        purpose: .deferred), id: replaced, number: 1, reference: "", at: Date())
                return TransactionIntent(replacing: record)
            }
            let isRefund = below(2) == 0
            let original: String? =
                isRefund && below(4) > 0 && !ids.isEmpty
                ? ids[max(0, ids.count - 1 - below(4))] : isRefund && below(9) == 0 ? "none" : nil
            return TransactionIntent(
                terminalID: "T", merchantID: "M", amount: Amount(clamping: UInt64(pick([0, 40, 60, 100]))),
                currency: try #require(NumericCode(978)), currencyExponent: 2,
                transactionType: isRefund ? 0x20 : 0,
                purpose: pick([.sale, .sale, .preAuthorization, .deferred]),
                idempotencyKey: below(3) == 0 ? "k\(below(30))" : nil, original: original)
        }

        mutating func result() -> TransactionResult {
            TransactionResult(
                responseCode: pick([nil, "00", "05"]), authorizationCode: pick([nil, "A1"]),
                approvedAmount: pick([nil, nil, Amount(clamping: 50)]), reason: pick([nil, "because"]))
        }

        mutating func change() -> ModelJournal.Change {
            let result = result()
            switch below(24) {
            case 0: return .step(.reading)
            case 1, 2: return .step(.request)
            case 3: return .step(.deferral(reason: "later"))
            case 4, 5: return .step(.authorization)
            case 6: return .step(.response(result))
            case 7: return .step(.offlineApproval(result))
            case 8, 9, 10: return .step(.end(.approved, result))
            case 11: return .step(.end(pick([.declined, .cancelled, .failed, .declinedOffline]), result))
            case 12: return .step(.reversal(.timeout, result, from: [.authorizing, .answered]))
            case 13: return .step(.reversal(.cancelled, TransactionResult(), from: TransactionState.voidable))
            case 14: return .step(.transmission(pick([.reversal, .forwarding, .adjustment])))
            case 15: return .step(.reversed)
            case 16: return .step(.forwarded)
            case 17: return .step(.adjusted(revision: below(3)))
            case 18: return .step(.parked(reason: "no"))
            case 19: return .resumed
            case 20: return .adjustmentDue(.completion, Amount(clamping: UInt64(pick([0, 30, 100, 101]))))
            case 21: return .adjustmentDue(.tip, Amount(clamping: UInt64(pick([0, 60, 100, 120]))))
            case 22:
                return .lateApproval(
                    authorizationCode: pick([nil, "B2"]), pick([.lateResponse, .cancelled]))
            default: return .note(in: pick([TransactionState.allCases, [.reversed]]))
            }
        }
    }
}

extension Journal {
    /// As the terminal makes it.
    fileprivate func make(_ write: PaymentWrite, of id: String, isKept: Bool) async throws(JournalError) {
        try await self.write(
            write, of: id, reading: CardReading(outcome: "onlineRequest"), keeping: isKept ? [1, 2, 3] : nil,
            backend: "host")
    }
}
