internal import EMV
internal import Journal
internal import Terminal

/// How a world ends: everything works again, what is owed is delivered, and the ledgers are compared.
extension World {
    /// As long as everything is given time to be resolved after the last fault.
    private static let maximumQuiet = 6 * 3600 * 1000

    /// Called where a client or the desk has nothing more to do.
    func endFaults() {
        guard !faultsAreOver, clients.allSatisfy({ $0.left == 0 && $0.asked == nil }) else { return }
        deskOperationsLeft = 0
        faultsAreOver = true
        quietSince = time
        let remembers = faults.hostRemembersReversals
        faults = FaultRates()
        faults.hostRemembersReversals = remembers
        lineIsDownUntil = time
        note("no more faults")
        after(Self.maximumQuiet, survivesCrash: true) { self.isOver = true }
        // What was set aside is taken up again by a person who has seen to it.
        review()
    }

    private func review() {
        guard !isOver else { return }
        if isUp {
            for place in journal.entries.indices where journal[place].record.isParked {
                write(.resumed, at: place) { [self] _ in queue(terminal(of: place)).wake() }
            }
        }
        after(600_000, survivesCrash: true) { self.review() }
    }

    /// Called after each pass of a queue.
    func passed() {
        guard faultsAreOver, time > quietSince + 120_000, lateResponsesOpen == 0, doubt == nil else { return }
        let isResolved = journal.entries.allSatisfy {
            !TransactionState.unfinished.contains($0.record.state)
        }
        if isResolved { isOver = true }
    }

    func check() {
        let taken: [TransactionState] = [.approved, .adjusted, .forwarded]
        for place in journal.entries.indices {
            let record = journal[place].record
            let id = record.id
            if TransactionState.unfinished.contains(record.state) {
                problems.append("\(id) stays \(record.state.rawValue)")
            }
            // The same money under the same identifier.
            let isHeld =
                record.purpose == .preAuthorization && record.state == .approved
            let mine = taken.contains(record.state) && !isHeld ? record.amountTaken.minorUnits : 0
            if mine != host.taken(id) {
                problems.append(
                    "\(id), \(record.state.rawValue): \(mine) at the terminal, \(host.taken(id)) at the host")
            }
            let held = isHeld ? record.amountTaken.minorUnits : 0
            if held != host.held(id) {
                problems.append(
                    "\(id), \(record.state.rawValue): \(held) held at the terminal, \(host.held(id)) at the host"
                )
            }
            if completions[place, default: 0] > 1 { problems.append("\(id) is completed twice") }
            checkReported(place, record)
            checkGivenBack(place, record)
            if record.purpose == .deferred, record.replaces == nil { checkChain(place) }
        }
    }

    /// What was reported is what became of it.
    private func checkReported(_ place: Int, _ record: TransactionRecord) {
        guard let reported = reports[place], !reported.isDeferred else { return }
        let isTaken = [.approved, .adjusted, .forwarded].contains(record.state)
        if reported.isApproved, !isTaken, !voided.contains(place), record.reversalReason != "cancelled" {
            problems.append("\(record.id) was reported approved and is \(record.state.rawValue)")
        }
        if !reported.isApproved, isTaken {
            problems.append("\(record.id) was reported not approved and is \(record.state.rawValue)")
        }
    }

    /// No more is given back than was taken.
    private func checkGivenBack(_ place: Int, _ record: TransactionRecord) {
        guard !record.isCredit else { return }
        var given: UInt64 = 0
        for refund in journal.entries where refund.record.original == record.id {
            given += host.taken(refund.record.id)
        }
        if given > host.taken(record.id) {
            problems.append("\(record.id): \(given) given back of \(host.taken(record.id))")
        }
    }

    /// Of what was sent anew under other numbers one is paid at most.
    private func checkChain(_ place: Int) {
        var paid = 0
        var next: Int? = place
        while let current = next {
            if host.taken(journal[current].record.id) > 0 { paid += 1 }
            next = journal.successor(of: current)
        }
        if paid > 1 { problems.append("\(journal[place].record.id) is paid \(paid) times") }
    }
}
