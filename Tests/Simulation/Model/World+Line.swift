internal import Acquiring
internal import EMV
internal import Journal
internal import Terminal

/// The line to the host, and the faults of messages and responses on it.
extension World {
    enum Reply {
        case response(AuthorizationResponse)
        case acknowledged
        case failed(AcquirerError)
    }

    private enum Fault {
        case well, messageLost, responseLost, cut, garbage, responseLate, messageLate, twice, contrary,
            refused
        case notProcessed
    }

    /// Milliseconds that a response is waited for.
    static let patience = 5000

    /// Sends a message and waits for its response, but not for ever. Once sent, it is on its way whatever becomes of the process.
    func call(_ message: ModelHost.Message, from terminal: Int, then: @escaping (Reply) -> Void) {
        if crashes("before it is sent") { return }
        if time >= lineIsDownUntil, random.perMille(faults.lineDown) {
            lineIsDownUntil = time + random.between(1000, 120_000)
        }
        guard time >= lineIsDownUntil else {
            note("\(message.id): the line is down")
            return after(random.between(1, 200)) { then(.failed(.unreachable("down"))) }
        }
        let fault = fault(message)
        note("\(message.id): sent \(message), \(fault)")
        let arrival = random.between(5, 300)
        let deadline = Self.patience
        var isAnswered = false
        func answer(_ reply: Reply) {
            guard !isAnswered else { return }
            isAnswered = true
            if self.crashes("after the response") { return }
            then(reply)
        }
        after(deadline) { answer(.failed(.timeout)) }
        switch fault {
        case .messageLost: break
        case .cut:
            let isSeen = random.below(2) == 0
            if isSeen { after(arrival, survivesCrash: true) { _ = self.handle(message, from: terminal) } }
            after(arrival * 2) { answer(.failed(.connectionLost("cut"))) }
        case .refused: after(arrival * 2) { answer(.failed(.rejected("format"))) }
        case .notProcessed: after(arrival * 2) { answer(.failed(.notProcessed("96"))) }
        case .messageLate:
            after(deadline + random.between(1, 30_000), survivesCrash: true) { [self] in
                guard let response = handle(message, from: terminal) else { return }
                late(message.id, response, from: terminal, in: 0)
            }
        case .well, .responseLost, .garbage, .responseLate, .twice, .contrary:
            let caller = life
            after(arrival, survivesCrash: true) { [self] in
                let isContrary = fault == .contrary
                let response = handle(message, from: terminal, declines: isContrary)
                switch fault {
                case .responseLost: return
                case .responseLate:
                    if let response {
                        late(message.id, response, from: terminal, in: deadline + random.between(1, 40_000))
                    }
                    return
                case .contrary:
                    guard case .authorize(let id, let amount, let isCredit, let isHold) = message else {
                        break
                    }
                    after(random.between(1000, 60_000), survivesCrash: true) { [self] in
                        guard
                            let second = host.approveAfterAll(
                                id, amount: amount, isCredit: isCredit, isHold: isHold)
                        else { return }
                        note("\(id): the host approves after all")
                        late(id, second, from: terminal, in: 0)
                    }
                case .twice:
                    if let response {
                        late(message.id, response, from: terminal, in: random.between(10, 20_000))
                    }
                default: break
                }
                guard caller == life else { return }
                let reply: Reply =
                    fault == .garbage
                    ? .failed(.malformedResponse("noise")) : response.map { .response($0) } ?? .acknowledged
                after(onLine(terminal, random.between(5, 300))) { answer(reply) }
            }
        }
    }

    /// - Returns: the delay with which a response arrives behind those before it.
    private func onLine(_ terminal: Int, _ delay: Int) -> Int {
        let arrival = max(time + delay, lineIsFreeAt[terminal] + 1)
        lineIsFreeAt[terminal] = arrival
        return arrival - time
    }

    private func fault(_ message: ModelHost.Message) -> Fault {
        guard !faultsAreOver else { return .well }
        var left = random.below(1000)
        var candidates: [(Fault, Int)] = [
            (.messageLost, faults.messageLost), (.responseLost, faults.responseLost),
            (.cut, faults.connectionCut), (.garbage, faults.garbage),
            (.responseLate, faults.responseLate), (.messageLate, faults.messageLate),
            (.refused, faults.refused),
        ]
        if message.isAuthorization {
            candidates += [(.twice, faults.responseTwice), (.contrary, faults.contrary)]
        } else {
            candidates += [(.notProcessed, faults.notProcessed)]
        }
        for (fault, weight) in candidates {
            if left < weight { return fault }
            left -= weight
        }
        return .well
    }

    /// At the host.
    /// - Returns: the response to an authorization; nil where the message is acknowledged.
    func handle(
        _ message: ModelHost.Message, from terminal: Int, declines: Bool = false
    ) -> AuthorizationResponse? {
        guard case .authorize(let id, let amount, let isCredit, let isHold) = message else {
            host.take(message)
            note("\(message.id): host took \(message)")
            return nil
        }
        let answer: ModelHost.Answer =
            if declines {
                ModelHost.decline
            } else if !faultsAreOver, random.perMille(faults.oddCode) {
                ModelHost.oddAnswers[random.below(ModelHost.oddAnswers.count)]
            } else {
                random.perMille(120) ? ModelHost.decline : ModelHost.approval
            }
        let response = host.authorize(id, amount: amount, isCredit: isCredit, isHold: isHold, answer)
        note("\(id): host answers \(response.responseCode)")
        return response
    }

    // MARK: - Late responses

    private final class LateResponse {
        let id: String
        let response: AuthorizationResponse
        var isRecorded = false
        init(_ id: String, _ response: AuthorizationResponse) {
            self.id = id
            self.response = response
        }
    }

    private func late(_ id: String, _ response: AuthorizationResponse, from terminal: Int, in delay: Int) {
        lateResponsesOpen += 1
        after(delay, survivesCrash: true) { [self] in
            deliver(LateResponse(id, response), in: onLine(terminal, random.between(5, 300)))
        }
    }

    /// A host repeats what nobody has recorded: else a crash at the wrong moment could not be made good by anybody.
    private func deliver(_ late: LateResponse, in delay: Int) {
        after(delay, survivesCrash: true) { [self] in
            guard !late.isRecorded else { return }
            guard isUp else { return deliver(late, in: 5000) }
            note("\(late.id): late response \(late.response.responseCode)")
            record(late, failures: 0)
            deliver(late, in: 300_000)
        }
    }

    private func record(_ late: LateResponse, failures: Int) {
        guard let place = journal.place(of: late.id), !late.isRecorded else { return }
        // Read, decided, and written a moment later.
        let state = journal[place].record.state
        var change = ModelJournal.Change.note(in: [state])
        switch LateResponseDecision(
            late.response, to: journal[place].record,
            isReversalAcknowledged: acknowledged.contains(late.id)
                && mutation != .lateApprovalsAfterAnAcknowledgementAreNoted)
        {
        case .note: break
        case .wait where mutation == .lateApprovalsOfUndecidedAreNoted && state != .reversalDue: break
        case .wait: return after(random.between(500, 3000)) { self.record(late, failures: failures) }
        case .reverse where mutation == .lateResponsesAreOnlyNoted: break
        case .reverse(_, let code, let reason): change = .lateApproval(authorizationCode: code, reason)
        }
        write(change, at: place) { [self] result in
            switch result {
            case .success:
                guard !late.isRecorded else { return }
                late.isRecorded = true
                lateResponsesOpen -= 1
                if case .lateApproval = change {
                    let terminal = terminal(of: place)
                    queues[terminal]?.wake()
                    // Of a terminal that nobody has any more, too.
                    if queues[terminal] == nil { queue(terminal).begin(after: 1) }
                }
            case .failure(.stateMoved): record(late, failures: failures)
            case .failure:
                guard failures < 6 else { return }
                let delay = Forwarder.Policy().delay(after: failures + 1, chance: 0.5)
                after(Int(delay.components.seconds) * 1000) { self.record(late, failures: failures + 1) }
            }
        }
    }

    func terminal(of place: Int) -> Int {
        let id = journal[place].record.terminalID
        return (0..<Self.terminals).first { Self.name($0) == id } ?? 0
    }
}
