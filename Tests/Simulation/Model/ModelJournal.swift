package import Acquiring
package import EMV
internal import Foundation
package import Journal
package import Terminal

/// What the journal does, in memory: its rules of states (`TransactionState.predecessors`), of idempotency and of what is left of a
/// transaction (`TransactionRemainder`), without an engine. Compared with the real one by `ModelJournalTests`.
package struct ModelJournal {
    package enum Failure: Error, Equatable {
        case stateMoved(TransactionState)
        case rejected
        case keyReused
        case unknown
        /// The journal does not take writes at the moment.
        case unavailable
    }

    /// What is kept enciphered of a request.
    package struct Kept: Equatable {
        package var amount: Amount
        package var acceptsPartialApproval: Bool
        package init(amount: Amount, acceptsPartialApproval: Bool) {
            self.amount = amount
            self.acceptsPartialApproval = acceptsPartialApproval
        }
    }

    package struct Entry {
        package var record: TransactionRecord
        package var kept: Kept?
        package var lateApprovals = 0
        var refunds: [Int] = []
        var successor: Int?
    }

    /// A change that is more than a step of the payment itself.
    package enum Change: Equatable {
        case step(PaymentWrite)
        case adjustmentDue(AmountAdjustment, Amount)
        case lateApproval(authorizationCode: String?, ReversalRequest.Reason)
        case note(in: [TransactionState])
        case resumed
    }

    package private(set) var entries: [Entry] = []
    private var keys: [String: Int] = [:]
    private var places: [String: Int] = [:]
    package var mutation: Mutation?

    package init(mutation: Mutation? = nil) { self.mutation = mutation }

    package func place(of id: String) -> Int? { places[id] }
    package subscript(place: Int) -> Entry { entries[place] }

    /// The transaction that took this one's place.
    package func successor(of place: Int) -> Int? { entries[place].successor }

    // MARK: - Begin

    /// - Returns: where the transaction is, and whether it is new.
    package mutating func begin(_ intent: TransactionIntent, id: String? = nil) throws(Failure) -> (
        place: Int, isNew: Bool
    ) {
        var key = intent.idempotencyKey
        if let replaced = intent.replaces {
            if mutation == .clientsKeysNameWhatIsSentAnew {
                key = "again:\(replaced)"
            } else if let place = places[replaced], let successor = entries[place].successor {
                return (successor, false)
            }
        }
        let named = key.map { "\(intent.terminalID)/\($0)" }
        if let named, let known = keys[named] {
            guard Self.isSame(intent, entries[known].record) else { throw .keyReused }
            return (known, false)
        }
        if let replaced = intent.replaces {
            guard let place = places[replaced] else { throw .unknown }
            let state = entries[place].record.state
            if state != .authorizing, mutation != .decidedIsSentAnew { throw .stateMoved(state) }
        } else if let original = intent.original {
            guard let place = places[original] else { throw .unknown }
            guard rejection(of: intent.followUp, at: place) == nil else { throw .rejected }
        }
        let number = entries.count + 1
        let id = id ?? "t\(number)"
        let record = TransactionRecord(
            beginning: intent, id: id, number: UInt32(number % 999_999 + 1), reference: "",
            at: Date(timeIntervalSince1970: 0))
        entries.append(Entry(record: record))
        let place = entries.count - 1
        places[id] = place
        if let named { keys[named] = place }
        if let original = intent.original, let first = places[original] {
            entries[first].refunds.append(place)
        }
        if let replaced = intent.replaces, let first = places[replaced] { entries[first].successor = place }
        return (place, true)
    }

    private static func isSame(_ intent: TransactionIntent, _ record: TransactionRecord) -> Bool {
        intent.amount == record.amount && intent.transactionType == record.transactionType
            && intent.purpose == record.purpose && intent.original == record.original
            && intent.merchantID == record.merchantID && intent.amountOther == record.amountOther
            && intent.currency == record.currency
    }

    // MARK: - What is left

    package func remainder(at place: Int) -> TransactionRemainder {
        var refunded: UInt64 = 0
        for refund in entries[place].refunds {
            let record = entries[refund].record
            if !TransactionState.givingNothing.contains(record.state) {
                refunded += record.amountTaken.minorUnits
            }
        }
        return TransactionRemainder(
            of: entries[place].record, refunded: Amount(clamping: refunded),
            successor: entries[place].successor.map { entries[$0].record.id })
    }

    /// As the write asks; nil where it may be done.
    private func rejection(of followUp: FollowUp, at place: Int) -> FollowUpRejection? {
        let found = remainder(at: place).rejection(of: followUp)
        switch (mutation, followUp, found?.reason) {
        case (.voidIgnoresRefunds, .void, .refunded), (.tipIgnoresRefunds, .tip, .refunded),
            (.refundsAreCheckedBefore, .refund, .exceeds), (.holdsAreRefundable, .refund, .notCompleted),
            (.completionsAreCheckedBefore, .completion, .completed):
            return nil
        default: return found
        }
    }

    /// As who asks may have looked before.
    package func rejectionBefore(of followUp: FollowUp, at place: Int) -> FollowUpRejection? {
        switch mutation {
        case .refundsAreCheckedBefore, .completionsAreCheckedBefore:
            remainder(at: place).rejection(of: followUp)
        default: nil
        }
    }

    // MARK: - Changes

    /// A compare-and-set, as a whole or not at all.
    /// - Parameter keeping: what is kept with it.
    package mutating func apply(_ change: Change, at place: Int, keeping kept: Kept? = nil) throws(Failure) {
        let state = entries[place].record.state
        var change = change
        if case .lateApproval = change, entries[place].lateApprovals >= Journal.greatestLateApprovals {
            // Too often: for a person.
            change = .note(in: [.declined, .reversed])
        }
        let (from, to): ([TransactionState], TransactionState?) =
            switch change {
            case .step(let write): (write.from, write.state)
            case .adjustmentDue: (TransactionState.adjustmentDue.predecessors, .adjustmentDue)
            case .lateApproval: ([.declined, .reversed], .reversalDue)
            case .note(let states): (states, nil)
            case .resumed: (TransactionState.owed, nil)
            }
        if let followUp = Self.followUp(change, from: from) {
            let isOwn =
                followUp == .void && from.contains(state) && !TransactionState.voidable.contains(state)
            if !isOwn, rejection(of: followUp, at: place) != nil { throw .rejected }
        }
        guard from.contains(state) else { throw .stateMoved(state) }
        if case .step(.adjusted(let revision)) = change, entries[place].record.revision != revision {
            // A newer final amount stays due.
            return
        }
        write(change, to: to, at: place)
        if let kept { entries[place].kept = kept }
        if let to, !TransactionState.keeping.contains(to) { entries[place].kept = nil }
    }

    private static func followUp(_ change: Change, from: [TransactionState]) -> FollowUp? {
        switch change {
        case .adjustmentDue(.completion, let amount): .completion(amount)
        case .adjustmentDue(.tip, let amount): .tip(total: amount)
        case .step(.reversal) where from.contains(where: TransactionState.voidable.contains): .void
        default: nil
        }
    }

    private mutating func write(_ change: Change, to state: TransactionState?, at place: Int) {
        var result: TransactionResult?
        switch change {
        case .step(.response(let given)), .step(.offlineApproval(let given)), .step(.end(_, let given, _)):
            result = given
        case .step(.reversal(let reason, let given, _)):
            result = given
            entries[place].record.reversalReason = reason.rawValue
        case .step(.transmission(.reversal)): entries[place].record.reversalAttempts += 1
        case .step(.transmission(.forwarding)): entries[place].record.forwardAttempts += 1
        case .step(.transmission(.adjustment)): entries[place].record.adjustmentAttempts += 1
        case .step(.authorization): entries[place].record.backend = "host"
        case .step(.parked): entries[place].record.isParked = true
        case .resumed: entries[place].record.isParked = false
        case .adjustmentDue(let kind, let amount):
            entries[place].record.finalAmount = amount
            entries[place].record.adjustment = kind
            entries[place].record.revision += 1
            entries[place].record.adjustmentAttempts = 0
        case .lateApproval(let code, let reason):
            result = TransactionResult(authorizationCode: code)
            entries[place].record.reversalReason = reason.rawValue
            entries[place].lateApprovals += 1
        case .step, .note: break
        }
        if let result {
            if let code = result.responseCode { entries[place].record.responseCode = code }
            if let code = result.authorizationCode { entries[place].record.authorizationCode = code }
            if let amount = result.approvedAmount { entries[place].record.approvedAmount = amount }
            if let reason = result.reason { entries[place].record.reason = reason }
        }
        if let state {
            entries[place].record.state = state
            // Whatever was parked, something else is owed now.
            entries[place].record.isParked = false
        }
    }
}
