import EMV
import Foundation
import TestTools
import Testing

@testable import Journal

private let euro = NumericCode(978)!
private let yen = NumericCode(392)!
private func cents(_ units: UInt64) -> Amount { Amount(clamping: units) }
private func refund(_ units: UInt64, _ currency: NumericCode = euro, exponent: UInt8 = 2) -> FollowUp {
    .refund(cents(units), currency: currency, exponent: exponent)
}

extension Journal {
    /// Begins a refund of a transaction.
    func beginRefund(
        of original: String, _ units: UInt64, terminal: String = "TERM0001", key: String? = nil
    ) async throws -> TransactionRecord {
        var wanted = try intent(units, terminal: terminal)
        wanted.transactionType = 0x20
        wanted.original = original
        wanted.idempotencyKey = key
        return try await beginOnce(wanted).record
    }

    /// Brings a begun refund to its end as the host has it.
    func end(_ id: String, _ state: TransactionState) async throws {
        switch state {
        case .cancelled, .failed:
            try await complete(id, from: [.started], to: state, result: TransactionResult())
            return
        case .deferred:
            try await deferred(id, reason: "later", keeping: [1])
            return
        default: break
        }
        try await authorizing(id, backend: "test")
        switch state {
        case .approved, .declined:
            try await complete(id, from: [.authorizing], to: state, result: TransactionResult())
        case .reversalDue: try await reversalDue(id, reason: "timeout")
        case .reversed:
            try await reversalDue(id, reason: "timeout")
            try await reversed(id)
        default: break
        }
    }
}

/// Why something was not done; nil where it was.
private func rejection(_ body: () async throws -> Void) async throws -> FollowUpRejection.Reason? {
    do {
        try await body()
        return nil
    } catch JournalError.rejected(let rejection) {
        #expect(!"\(rejection)".isEmpty)
        return rejection.reason
    }
}

/// What of a transaction is left, by state: the table itself, and the same in the journal's writes.
@Suite struct FollowUpTests {
    /// What may be done by state: r refund, v void, c completion, t tip.
    static let table: [(kind: String, TransactionState, String)] = [
        ("sale", .approved, "rvt"), ("sale", .adjusted, "rvt"), ("sale", .forwarded, "rvt"),
        ("sale", .adjustmentDue, "vt"), ("sale", .approvedOffline, "v"), ("sale", .settled, "r"),
        ("held", .approved, "vc"), ("held", .forwarded, "rv"), ("held", .approvedOffline, "v"),
        ("held", .settled, "r"), ("completed", .adjustmentDue, "v"), ("completed", .adjusted, "rv"),
        ("completed", .settled, "r"),
        ("refund", .approved, "v"), ("refund", .adjusted, "v"), ("refund", .forwarded, "v"),
        ("refund", .adjustmentDue, "v"), ("refund", .approvedOffline, "v"),
    ]

    /// States that such a transaction can be in.
    static func states(_ kind: String) -> [TransactionState] {
        switch kind {
        case "held": TransactionState.allCases.filter { ![.adjustmentDue, .adjusted].contains($0) }
        case "completed": [.adjustmentDue, .adjusted, .settled, .reversalDue, .reversed]
        default: TransactionState.allCases
        }
    }

    private let base: TransactionRecord
    init() async throws { base = try await Journal.inMemory().begin(try intent(1000)) }

    private func record(_ kind: String, _ state: TransactionState) -> TransactionRecord {
        var record = base
        record.state = state
        switch kind {
        case "held": record.purpose = .preAuthorization
        case "completed":
            record.purpose = .preAuthorization
            record.finalAmount = cents(800)
            record.adjustment = .completion
        case "refund": record.transactionType = 0x20
        default: break
        }
        return record
    }

    /// Every kind of transaction in every state, with nothing, a part, all and more than all given back.
    @Test func everyState() {
        for kind in ["sale", "held", "completed", "refund"] {
            for state in Self.states(kind) {
                let record = self.record(kind, state)
                let allowed = Self.table.first { $0.kind == kind && $0.1 == state }?.2 ?? ""
                for refunded: UInt64 in [0, 300, 1000, 5000] {
                    let remainder = TransactionRemainder(of: record, refunded: cents(refunded))
                    let taken: UInt64 = kind == "completed" ? 800 : 1000
                    let left = allowed.contains("r") ? taken - min(taken, refunded) : 0
                    let place: Comment = "\(kind) \(state) \(refunded)"
                    #expect(remainder.refundable == cents(left), place)
                    func allows(_ followUp: FollowUp) -> Bool { remainder.rejection(of: followUp) == nil }
                    #expect(allows(refund(left)) == (left > 0), place)
                    #expect(!allows(refund(left + 1)) && !allows(refund(0)), place)
                    #expect(!allows(refund(1, yen)) && !allows(refund(1, exponent: 3)), place)
                    #expect(allows(.void) == (allowed.contains("v") && refunded == 0), place)
                    #expect(allows(.completion(cents(1000))) == allowed.contains("c"), place)
                    #expect(!allows(.completion(cents(1001))) && !allows(.completion(.zero)), place)
                    #expect(
                        allows(.tip(total: cents(1200))) == (allowed.contains("t") && refunded <= 1200), place
                    )
                    #expect(
                        allows(.tip(total: cents(900))) == (allowed.contains("t") && refunded <= 900), place)
                    // What takes its place has all its rights.
                    let replaced = TransactionRemainder(
                        of: record, refunded: cents(refunded), successor: "txn_2")
                    for followUp in [refund(1), .void, .completion(cents(1)), .tip(total: cents(2000))] {
                        #expect(replaced.rejection(of: followUp)?.reason == .replaced(by: "txn_2"), place)
                    }
                }
            }
        }
    }

    @Test func reasonsAndWords() {
        func reason(
            _ followUp: FollowUp, _ kind: String = "sale", _ state: TransactionState = .approved,
            refunded: UInt64 = 0
        ) -> FollowUpRejection? {
            TransactionRemainder(of: record(kind, state), refunded: cents(refunded))
                .rejection(of: followUp)
        }
        let cases: [(FollowUpRejection?, FollowUpRejection.Reason, String)] = [
            (reason(refund(1001)), .exceeds(left: cents(1000)), "10.00 EUR are left"),
            (reason(refund(801), refunded: 200), .exceeds(left: cents(800)), "8.00 EUR are left"),
            (reason(refund(1), "refund"), .isRefund, "refund itself"),
            (reason(refund(1), "held"), .notCompleted, "took nothing"),
            (reason(refund(1), "sale", .reversed), .state, "it is reversed"),
            (reason(refund(1, yen, exponent: 0)), .otherCurrency, "currency 978"),
            (reason(.void, "sale", .settled), .state, "with a refund"),
            (reason(.void, refunded: 300), .refunded(cents(300)), "3.00 EUR of it"),
            (reason(.completion(cents(1)), "sale"), .isNoPreAuthorization, "no pre-auth"),
            (reason(.completion(cents(1)), "completed", .adjusted), .completed(cents(800)), "8.00"),
            (reason(.completion(cents(1)), "held", .declined), .state, "declined"),
            (reason(.tip(total: cents(1000))), .unchanged, "taken already"),
            (reason(.tip(total: cents(1100)), "held"), .isPreAuthorization, "completed instead"),
            (
                reason(.tip(total: cents(1000)), "sale", .adjustmentDue, refunded: 0), .unchanged,
                "taken"
            ),
            (
                reason(.tip(total: cents(1100)), refunded: 1200), .refunded(cents(1200)),
                "12.00 EUR of it"
            ),
        ]
        for (found, reason, words) in cases {
            #expect(found?.reason == reason)
            #expect("\(found.map { "\($0)" } ?? "")".contains(words), "\(found as Any)")
        }
    }

    /// A refund holds its amount from its beginning on, and frees it where it certainly gives nothing.
    @Test(arguments: [
        TransactionState.started, .cancelled, .failed, .deferred, .authorizing, .approved, .declined,
        .reversalDue, .reversed,
    ]) func whatARefundHolds(_ state: TransactionState) async throws {
        let journal = try Journal.inMemory()
        let sale = try await journal.make(.approved, cents: 1000)
        let given = try await journal.beginRefund(of: sale.id, 700)
        if state != .started { try await journal.end(given.id, state) }
        let isFree = [.cancelled, .failed, .declined, .reversed].contains(state)
        #expect(
            try await rejection { _ = try await journal.beginRefund(of: sale.id, 301) }
                == (isFree ? nil : .exceeds(left: cents(300))))
        #expect(
            try await rejection {
                _ = try await journal.reversalDue(sale.id, reason: "void", from: [.approved])
            }
                == .refunded(cents(isFree ? 301 : 700)))
    }

    /// A refund that is voided frees its amount when the host has acknowledged that.
    @Test func aVoidedRefund() async throws {
        let journal = try Journal.inMemory()
        let sale = try await journal.make(.approved, cents: 1000)
        let given = try await journal.beginRefund(of: sale.id, 1000)
        try await journal.end(given.id, .approved)
        try await journal.reversalDue(given.id, reason: "cancelled", from: TransactionState.voidable)
        #expect(
            try await rejection { _ = try await journal.beginRefund(of: sale.id, 1) }
                == .exceeds(left: .zero))
        try await journal.reversed(given.id)
        _ = try await journal.beginRefund(of: sale.id, 1000)
    }

    /// Partial approvals, tips and completions: what was taken in the end is what can be given back.
    @Test func amountsThatChange() async throws {
        let journal = try Journal.inMemory()
        func left(_ id: String) async throws -> UInt64 {
            let reason = try await rejection { _ = try await journal.beginRefund(of: id, 999_999) }
            guard case .exceeds(let left)? = reason else { return 0 }
            return left.minorUnits
        }
        let part = try await journal.make(.authorizing, cents: 5000)
        #expect(try await left(part.id) == 0)
        try await journal.complete(
            part.id, from: [.authorizing], to: .approved,
            result: TransactionResult(approvedAmount: cents(1500)))
        #expect(try await left(part.id) == 1500)

        let tipped = try await journal.make(.approved, cents: 1000)
        try await journal.adjustmentDue(tipped.id, .tip, amount: cents(1200))
        #expect(try await left(tipped.id) == 0)
        try await journal.adjusted(tipped.id, revision: 1)
        #expect(try await left(tipped.id) == 1200)
        let given = try await journal.beginRefund(of: tipped.id, 1200)
        try await journal.end(given.id, .approved)
        // The tip cannot be taken back any more; a larger one can be added.
        #expect(
            try await rejection { try await journal.adjustmentDue(tipped.id, .tip, amount: cents(1000)) }
                == .refunded(cents(1200)))
        try await journal.adjustmentDue(tipped.id, .tip, amount: cents(1300))
        try await journal.adjusted(tipped.id, revision: 2)
        #expect(try await left(tipped.id) == 100)

        let held = try await journal.make(.approved, cents: 9000, purpose: .preAuthorization)
        #expect(try await rejection { _ = try await journal.beginRefund(of: held.id, 1) } == .notCompleted)
        try await journal.adjustmentDue(held.id, .completion, amount: cents(4000))
        for amount: UInt64 in [3000, 4000] {
            #expect(
                try await rejection {
                    try await journal.adjustmentDue(held.id, .completion, amount: cents(amount))
                }
                    == .completed(cents(4000)))
        }
        try await journal.adjusted(held.id, revision: 1)
        #expect(try await left(held.id) == 4000)

        let settled = try await journal.make(.settled, cents: 700, terminal: "TERM0002")
        #expect(try await left(settled.id) == 700)
        let offline = try await journal.make(.approvedOffline, cents: 600)
        #expect(try await left(offline.id) == 0)
        try await journal.forwarded(offline.id)
        #expect(try await left(offline.id) == 600)
    }

    /// What takes the place of a deferred refund holds what that one held, and nothing can be asked of that one any more.
    @Test func whatWasSentAnew() async throws {
        let journal = try Journal.inMemory()
        let sale = try await journal.make(.approved, cents: 1000)
        let first = try await journal.beginRefund(of: sale.id, 1000)
        try await journal.end(first.id, .authorizing)
        let record = try #require(try await journal.show(first.id))
        let second = try await journal.begin(TransactionIntent(replacing: record))
        #expect(second.original == sale.id && second.replaces == first.id && second.idempotencyKey == nil)
        // Asked for again, the same.
        let (again, isNew) = try await journal.beginOnce(TransactionIntent(replacing: record))
        #expect(again.id == second.id && !isNew)
        try await journal.reversalDue(first.id, reason: "timeout")
        try await journal.reversed(first.id)
        #expect(
            try await rejection { _ = try await journal.beginRefund(of: sale.id, 1) }
                == .exceeds(left: .zero))
        #expect(
            try await rejection {
                _ = try await journal.reversalDue(first.id, reason: "void", from: TransactionState.voidable)
            } == .replaced(by: second.id))
        try await journal.end(second.id, .declined)
        _ = try await journal.beginRefund(of: sale.id, 1000)
    }

    /// What was decided since it was read is not sent anew: it would be paid twice.
    @Test func onlyWhatHasNoResponseIsSentAnew() async throws {
        let journal = try Journal.inMemory()
        let first = try await journal.make(.started, cents: 1000, purpose: .deferred)
        try await journal.end(first.id, .authorizing)
        let read = try #require(try await journal.show(first.id))
        try await journal.complete(
            first.id, from: [.authorizing], to: .approved, result: TransactionResult())
        let moved = JournalError.stateMoved(id: first.id, expected: [.authorizing], actual: .approved)
        await #expect(throws: moved) { try await journal.begin(TransactionIntent(replacing: read)) }
        #expect(try await journal.list().map(\.id) == [first.id])
    }

    /// The same key finds the refund, though nothing is left of its original.
    @Test func theSameRefundAgain() async throws {
        let journal = try Journal.inMemory()
        let sale = try await journal.make(.approved, cents: 1000)
        let first = try await journal.beginRefund(of: sale.id, 1000, key: "k")
        #expect(try await journal.beginRefund(of: sale.id, 1000, key: "k").id == first.id)
        await #expect(throws: JournalError.unknownTransaction(id: "txn_none")) {
            _ = try await journal.beginRefund(of: "txn_none", 1)
        }
        var purchase = try intent(1)
        purchase.original = sale.id
        await #expect(throws: JournalError.self) { try await journal.begin(purchase) }
    }
}

/// Operations at the same moment, at several terminals over one journal.
@Suite struct SimultaneousFollowUpTests {
    /// Two that exclude each other: whatever comes first, the other one is told where the transaction stands.
    @Test(arguments: ["refund refund", "void refund", "void void", "complete complete", "tip refund"])
    func ofTwoOneIsTooLate(_ pair: String) async throws {
        let journal = try Journal.inMemory()
        for round in 0..<200 {
            let words = pair.split(separator: " ").map(String.init)
            let paid = try await journal.make(
                .approved, cents: 1000, terminal: "TERM0003",
                purpose: words[0] == "complete" ? .preAuthorization : .sale)
            if words[0] == "tip" {
                try await journal.adjustmentDue(paid.id, .tip, amount: cents(1200))
                try await journal.adjusted(paid.id, revision: 1)
            }
            let ends = await withTaskGroup(of: String.self) { group in
                for (index, word) in words.enumerated() {
                    group.addTask {
                        do {
                            switch word {
                            case "refund":
                                _ = try await journal.beginRefund(
                                    of: paid.id, words[0] == "tip" ? 1200 : 1000,
                                    terminal: "TERM000\(4 + index)")
                            case "void":
                                try await journal.reversalDue(
                                    paid.id, reason: "cancelled", from: TransactionState.voidable)
                            case "complete":
                                try await journal.adjustmentDue(
                                    paid.id, .completion, amount: cents(index == 0 ? 400 : 900))
                            default: try await journal.adjustmentDue(paid.id, .tip, amount: cents(1000))
                            }
                            return "done"
                        } catch JournalError.rejected {
                            return "rejected"
                        } catch {
                            return "\(error)"
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(ends.sorted() == ["done", "rejected"], "\(pair), round \(round)")
        }
        #expect(try await journal.verify().problems == [])
    }

    /// What a cardholder was charged and given back, kept apart from the journal: by what was told to those who asked.
    private struct Model {
        struct Payment {
            var held: UInt64 = 0
            var charged: UInt64 = 0
            var isVoided = false
        }
        var payments: [String: Payment] = [:]
        /// Refunds that the host approved, or may have approved.
        var given: [String: [String: UInt64]] = [:]
        var revisions: [String: Int] = [:]
    }

    /// Random operations by four clerks at once: after each round nobody got more back than was taken.
    @Test(arguments: 0..<8) func neverMoreBackThanTaken(_ seed: UInt64) async throws {
        let journal = try Journal.inMemory()
        let model = Mutexed(Model())
        var random = SplitMix(seed: seed)
        for index in 0..<6 {
            let units = UInt64.random(in: 200...3000, using: &random)
            let purpose: TransactionPurpose = index % 3 == 2 ? .preAuthorization : .sale
            let paid = try await journal.make(.approved, cents: units, purpose: purpose)
            model.change {
                $0.payments[paid.id] =
                    purpose == .sale ? .init(charged: units) : .init(held: units, charged: 0)
            }
        }
        let ids = model.value.payments.keys.sorted()
        var done = 0
        for round in 0..<30 {
            let clerks = (0..<4).map { _ in random.next() }
            done += try await withThrowingTaskGroup(of: Bool.self) { group in
                for (index, number) in clerks.enumerated() {
                    group.addTask {
                        var random = SplitMix(seed: number)
                        return try await Self.one(
                            &random, journal, model, ids, terminal: "TERM000\(index + 1)")
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            for (id, payment) in model.value.payments {
                let back = (model.value.given[id] ?? [:]).values.reduce(0, +)
                #expect(
                    back <= (payment.isVoided ? 0 : payment.charged), "seed \(seed), round \(round), \(id)")
            }
        }
        // The journal agrees with what was told, and enough was done for that to mean something.
        for (id, payment) in model.value.payments {
            let record = try #require(try await journal.show(id))
            #expect([.reversalDue, .reversed].contains(record.state) == payment.isVoided)
            if payment.charged > 0, !payment.isVoided {
                #expect(record.amountTaken.minorUnits == payment.charged)
            }
        }
        #expect(done > 30)
        #expect(try await journal.verify().problems == [])
    }

    /// - Returns: whether it was done.
    private static func one(
        _ random: inout SplitMix, _ journal: Journal, _ model: Mutexed<Model>, _ ids: [String],
        terminal: String
    ) async throws -> Bool {
        guard let id = ids.randomElement(using: &random), let paid = try await journal.show(id) else {
            return false
        }
        let units = UInt64.random(in: 1...250, using: &random)
        do {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<60:
                let given = try await journal.beginRefund(of: id, units, terminal: terminal)
                // From here on the host may have it.
                model.change { $0.given[id, default: [:]][given.id] = units }
                let ends: [TransactionState] = [
                    .approved, .approved, .declined, .cancelled, .reversed, .reversalDue,
                ]
                let end = ends.randomElement(using: &random) ?? .approved
                // Freed a moment before the journal knows, as no other clerk can use it before.
                if [.declined, .cancelled, .reversed].contains(end) {
                    model.change { $0.given[id]?[given.id] = nil }
                }
                try await journal.end(given.id, end)
            case 60..<66:
                try await journal.reversalDue(id, reason: "cancelled", from: TransactionState.voidable)
                model.change { $0.payments[id]?.isVoided = true }
            case 66..<90 where paid.purpose == .sale:
                let total = (paid.approvedAmount ?? paid.amount).minorUnits + units
                let changed = try await journal.adjustmentDue(id, .tip, amount: cents(total))
                model.change { model in
                    // The latest final amount counts, whoever tells it first.
                    let latest = max(model.revisions[id] ?? 0, changed.revision)
                    if latest == changed.revision { model.payments[id]?.charged = total }
                    model.revisions[id] = latest
                }
                try await journal.adjusted(id, revision: changed.revision)
            default:
                let changed = try await journal.adjustmentDue(id, .completion, amount: cents(units))
                model.change { $0.payments[id]?.charged = units }
                try await journal.adjusted(id, revision: changed.revision)
            }
            return true
        } catch JournalError.rejected {
            return false
        } catch JournalError.stateMoved {
            // The final amount was replaced or taken back before it was acknowledged.
            return true
        }
    }
}
