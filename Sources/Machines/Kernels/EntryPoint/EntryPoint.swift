import BERTLV
public import EMV
internal import SmartCard

/// What an Entry Point is configured with.
public struct EntryPointConfiguration: Sendable {
    /// Combinations {AID, Kernel ID} in the terminal's order of preference.
    public var combinations: [CombinationConfiguration]
    public var terminal: TerminalConfiguration

    public init(combinations: [CombinationConfiguration], terminal: TerminalConfiguration) {
        self.combinations = combinations
        self.terminal = terminal
    }
}

/// The Entry Point of Book B as a pure state machine: pre-processing, protocol activation, combination
/// selection, kernel activation and outcome processing, Starts A to D.
///
/// A driver loop carries out the actions and answers with events. After a final outcome, `restart` goes
/// on where `Outcome.start` says.
public struct EntryPoint: Sendable {
    /// A combination of the Candidate List (Book B, 3.3.2.5 E).
    struct Candidate: Sendable {
        var label: [UInt8]?
        /// 1 highest ... 15; 16 where the card gives none.
        var rank: UInt8
        var order: Int
        /// Index into `combinations`.
        var combination: Int
        var kernel: KernelIdentifier
        /// What is selected, and told: the ADF Name, with the Extended Selection where card and terminal have it
        /// (3.3.3.3, 3.5.1.5).
        var name: [UInt8]
    }

    /// What the next event belongs to. Without payloads, so that the kernel stays where it is and is changed
    /// in place.
    enum State: Sendable {
        case idle
        /// A message was sent; afterwards the field goes off for `fieldOff`, where asked for.
        case displaying
        case switchingFieldOff
        case activatingCard
        case selectingDirectory
        case selectingApplication
        case drawingUnpredictableNumber
        case inKernel
        case finished
    }
    /// Where processing goes on after an interlude.
    enum Step: Sendable { case startB, activateCard, startC, startD }

    let configuration: EntryPointConfiguration
    let kernels: KernelRegistry
    private var state = State.idle
    /// Units of 100 ms, and what follows: of `displaying` and `switchingFieldOff`.
    private var fieldOff: UInt8?
    private var next = Step.startB
    /// The combination at work and the answer to its SELECT.
    private var candidate: Candidate?
    private var selectResponse: ResponseAPDU?
    private var kernel: (any Kernel)?
    private var final: FinalOutcome?
    private var inputs: TransactionInputs?
    /// Indicators of each combination; nil where it does not take this transaction type.
    private var indicators: [PreProcessingIndicators?] = []
    private var candidates: [Candidate] = []
    /// The combination whose kernel was activated last, and the answer to its SELECT.
    private var selected: (candidate: Candidate, response: ResponseAPDU)?
    /// The kernel's last outcome, retained for a restart.
    private var retained: Outcome?
    /// Outcomes from which this transaction went on.
    private var earlier: [Outcome] = []
    /// Why candidates were passed over since the directory was read.
    private var reasons: [EndReason] = []
    /// Where this run began, and whether it goes on with a transaction that had a final outcome.
    private var start = Start.a
    private var isRestart = false
    private var issuerUpdate: IssuerUpdate?
    private var isCollision = false
    /// What each kernel keeps from one transaction to the next (`Outcome.persistentData`): the terminal stores it and
    /// hands it in again.
    public private(set) var persistentData: [KernelIdentifier: DataObjects]

    /// The kernel at work and what it waits for; nil where none is.
    public var kernelState: (kernel: KernelIdentifier, name: String)? {
        guard case .inKernel = state, let kernel, let candidate else { return nil }
        return (candidate.kernel, kernel.stateName)
    }

    public init(
        configuration: EntryPointConfiguration, kernels: KernelRegistry,
        persistentData: [KernelIdentifier: DataObjects] = [:]
    ) {
        self.configuration = configuration
        self.kernels = kernels
        self.persistentData = persistentData
    }

    // MARK: - Starts

    /// Start A: a new transaction (Book B, 3.1).
    public mutating func start(_ inputs: TransactionInputs) -> EntryPointAction {
        reset(inputs, .a)
        return startA(inputs)
    }

    /// Start A: pre-processing, then the card.
    private mutating func startA(_ inputs: TransactionInputs) -> EntryPointAction {
        indicators = configuration.combinations.map {
            $0.transactionTypes.contains(inputs.transactionType) ? $0.preProcessed(inputs) : nil
        }
        // 3.1.1.13: no combination takes this amount.
        guard indicators.contains(where: { $0?.contactlessApplicationNotAllowed == false }) else {
            var outcome = Outcome(
                .tryAnotherInterface,
                uiRequestOnOutcome: UserInterfaceRequest(.insertOrSwipe, .processingError))
            outcome.reasons = [.noCombinationAllowed]
            return finish(outcome)
        }
        return startB()
    }

    /// Start B without pre-processing: fixed amounts, where the reader is already polling (Book A, 5.1).
    public mutating func startAtB(_ inputs: TransactionInputs) -> EntryPointAction {
        reset(inputs, .b)
        indicators = configuration.combinations.map {
            $0.transactionTypes.contains(inputs.transactionType) ? $0.unprocessed() : nil
        }
        return startB()
    }

    /// Goes on after a final outcome whose `start` is not nil, with what the issuer answered (Book A,
    /// 8.1.1.9; Book B, 3.2.1.2 and 3.3.2.1). Without a restart point the final outcome is given again.
    public mutating func restart(issuerUpdate: IssuerUpdate? = nil) -> EntryPointAction {
        guard case .finished = state, let final else { return finish(Outcome(.endApplication)) }
        guard let start = final.outcome.start, let inputs else { return .outcome(final) }
        self.issuerUpdate = issuerUpdate
        self.start = start
        isRestart = true
        reasons = []
        switch start {
        case .a:
            // The issuer's answer and the UI Request on Restart stay; the card is looked for anew (Book A, 8.1.1.9).
            selected = nil
            candidates = []
            return startA(inputs)
        case .b: return startB()
        case .c: return restartMessage(then: .startC)
        case .d: return selected == nil ? startB() : restartMessage(then: .startD)
        }
    }

    /// The UI Request on Restart where the card is not asked for again (Book B, 3.2.1.2: Start A and B show it there).
    private mutating func restartMessage(then step: Step) -> EntryPointAction {
        guard let request = retained?.uiRequestOnRestart else { return proceed(to: step) }
        return display(request, then: step)
    }

    private mutating func reset(_ inputs: TransactionInputs, _ start: Start) {
        self.inputs = inputs
        self.start = start
        isRestart = false
        earlier = []
        reasons = []
        candidates = []
        candidate = nil
        selectResponse = nil
        kernel = nil
        selected = nil
        retained = nil
        issuerUpdate = nil
        isCollision = false
    }

    // MARK: - Events

    /// The next action after what happened. An event that does not fit the state ends the transaction with
    /// End Application: the driver's defect must not become a hang.
    public mutating func handle(_ event: EntryPointEvent) -> EntryPointAction {
        if case .finished = state, let final { return .outcome(final) }
        guard case .kernel(let kernelEvent) = event else { return handleActivation(event) }
        if case .inKernel = state {
            guard let action = kernel?.handle(kernelEvent) else { return finish(Outcome(.endApplication)) }
            // A reader that failed would fail again: nothing leads back to it.
            if case .communicationError(.readerFailure) = kernelEvent, case .outcome(let outcome) = action,
                outcome.status == .tryAgain || outcome.status == .selectNext
            {
                keep(outcome)
                kernel = nil
                var end = Outcome(.endApplication)
                end.discretionaryData = outcome.discretionaryData
                end.reasons = [.communication("the reader failed")]
                return finish(end)
            }
            return afterKernel(action)
        }
        switch kernelEvent {
        case .done:
            switch state {
            case .displaying:
                if let fieldOff { return switchFieldOff(fieldOff, then: next) }
                return proceed(to: next)
            case .switchingFieldOff: return proceed(to: next)
            default: break
            }
        case .response(let response, _):
            switch state {
            case .selectingDirectory:
                buildCandidates(response)
                return startC()
            case .selectingApplication: return applicationSelected(response)
            default: break
            }
        case .communicationError(let error):
            switch state {
            // 3.3.3.7
            case .selectingDirectory, .selectingApplication:
                if error != .readerFailure { return startB() }
            default: break
            }
        case .unpredictableNumber(let number):
            if case .drawingUnpredictableNumber = state { return activateKernel(number) }
        default: break
        }
        return finish(Outcome(.endApplication))
    }

    /// What the reader tells of cards (Book B, 3.2.1).
    private mutating func handleActivation(_ event: EntryPointEvent) -> EntryPointAction {
        guard case .activatingCard = state else { return finish(Outcome(.endApplication)) }
        switch event {
        case .cardActivated:
            isCollision = false
            return selectCombination()
        case .collision:
            // 3.2.1.4: said once; polling goes on.
            guard !isCollision else { return .activateCard }
            isCollision = true
            return display(
                UserInterfaceRequest(.presentOneCardOnly, .contactlessCollision), then: .activateCard)
        case .collisionEnded:
            // 3.2.1.5: the same message, ready for a card again.
            guard isCollision else { return .activateCard }
            isCollision = false
            return display(UserInterfaceRequest(.presentOneCardOnly, .readyToRead), then: .activateCard)
        case .activationFailed: return startB()
        case .kernel: return finish(Outcome(.endApplication))
        }
    }

    private mutating func proceed(to step: Step) -> EntryPointAction {
        switch step {
        case .startB: return startB()
        case .startC: return startC()
        case .startD:
            guard let selected else { return startB() }
            candidate = selected.candidate
            selectResponse = selected.response
            state = .drawingUnpredictableNumber
            return .kernel(.drawUnpredictableNumber)
        case .activateCard:
            state = .activatingCard
            return .activateCard
        }
    }

    private mutating func display(
        _ request: UserInterfaceRequest, fieldOff: UInt8? = nil, then step: Step
    ) -> EntryPointAction {
        state = .displaying
        self.fieldOff = fieldOff
        next = step
        return .kernel(.display(request))
    }

    /// - Parameter time: in units of 100 ms.
    private mutating func switchFieldOff(_ time: UInt8, then step: Step) -> EntryPointAction {
        state = .switchingFieldOff
        next = step
        return .fieldOff(milliseconds: UInt32(time) * 100)
    }

    // MARK: - Start B: protocol activation (Book B, 3.2)

    private mutating func startB() -> EntryPointAction {
        if issuerUpdate?.isEmpty ?? true { candidates = [] }
        let request = retained?.uiRequestOnRestart ?? UserInterfaceRequest(.presentCard, .readyToRead)
        return display(request, then: .activateCard)
    }

    private mutating func selectCombination() -> EntryPointAction {
        // 3.3.2.1: with data for the card, the combination of before is selected again.
        if let issuerUpdate, !issuerUpdate.isEmpty, let selected {
            return select(selected.candidate)
        }
        state = .selectingDirectory
        return .kernel(.transmit(.select(ProximityPaymentSystemEnvironment.name)))
    }

    // MARK: - Start C: combination selection (Book B, 3.3)

    /// 3.3.2.3 to 3.3.2.5.
    private mutating func buildCandidates(_ response: ResponseAPDU) {
        candidates = []
        reasons = []
        guard response.isSuccess else {
            reasons = [.directoryRefused(status: response.status.rawValue)]
            return
        }
        let entries = ProximityPaymentSystemEnvironment.directory(response.bytes, response.dataRange)
        for (index, combination) in configuration.combinations.enumerated() {
            guard let indicators = indicators[index], !indicators.contactlessApplicationNotAllowed
            else { continue }
            for entry in entries {
                guard entry.applicationIdentifier.starts(with: combination.applicationIdentifier),
                    let requested = entry.requestedKernel(matching: combination.applicationIdentifier),
                    requested.rawValue == 0 || requested == combination.kernel
                else { continue }
                var name = entry.applicationIdentifier
                if combination.extendedSelectionSupported,
                    name.count + entry.extendedSelection.count <= 16
                {
                    name += entry.extendedSelection
                }
                candidates.append(
                    Candidate(
                        label: entry.label, rank: entry.priority == 0 ? 16 : entry.priority,
                        order: entry.order, combination: index, kernel: combination.kernel, name: name))
            }
        }
        if candidates.isEmpty {
            reasons = [
                .noApplicationInCommon(
                    card: entries.map(\.applicationIdentifier),
                    terminal: configuration.combinations.map(\.applicationIdentifier))
            ]
        }
        // 3.3.3.2: by priority, then by place in the directory; equals keep the terminal's order.
        if candidates.count > 1 {
            candidates = candidates.enumerated().sorted {
                ($0.element.rank, $0.element.order, $0.offset)
                    < ($1.element.rank, $1.element.order, $1.offset)
            }.map(\.element)
        }
    }

    /// Step 3: the best candidate left, or End Application (3.3.2.6, 3.3.2.7).
    private mutating func startC() -> EntryPointAction {
        guard let best = candidates.first else { return endApplication() }
        return select(best)
    }

    private mutating func endApplication() -> EntryPointAction {
        var outcome = Outcome(
            .endApplication,
            uiRequestOnOutcome: UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .readyToRead))
        outcome.reasons = reasons
        return finish(outcome)
    }

    /// 3.3.3.3, 3.3.3.4.
    private mutating func select(_ candidate: Candidate) -> EntryPointAction {
        state = .selectingApplication
        self.candidate = candidate
        return .kernel(.transmit(.select(candidate.name)))
    }

    /// 3.3.3.5, 3.3.3.6.
    private mutating func applicationSelected(_ response: ResponseAPDU) -> EntryPointAction {
        guard var candidate else { return nextCandidate() }
        guard response.isSuccess else {
            reasons.append(
                response.status == .fileInvalidated
                    ? .applicationBlocked(name: candidate.name)
                    : .applicationRefused(name: candidate.name, status: response.status.rawValue))
            if let issuerUpdate, !issuerUpdate.isEmpty { return endApplication() }
            return nextCandidate()
        }
        if candidate.kernel == 3, candidate.name.starts(with: [0xA0, 0, 0, 0, 0x03]),
            !Self.asksForTerminalTransactionQualifiers(response)
        {
            // A Visa card that does not know qVSDC belongs to Kernel 1, where there is one.
            guard kernels.contains(1) else {
                reasons.append(
                    .notSupported("the card's PDOL does not ask for 9F66, and the terminal has no Kernel 1"))
                return nextCandidate()
            }
            candidate.kernel = 1
            self.candidate = candidate
        }
        guard kernels.contains(candidate.kernel) else {
            reasons.append(.notSupported("the terminal has no Kernel \(candidate.kernel)"))
            return nextCandidate()
        }
        selectResponse = response
        state = .drawingUnpredictableNumber
        return .kernel(.drawUnpredictableNumber)
    }

    private mutating func nextCandidate() -> EntryPointAction {
        if !candidates.isEmpty { candidates.removeFirst() }
        return startC()
    }

    static func asksForTerminalTransactionQualifiers(_ response: ResponseAPDU) -> Bool {
        let bytes = response.bytes.span
        guard
            let fci = try? BERTLVReader.first(.fciTemplate, in: bytes, range: response.dataRange),
            let proprietary = try? BERTLVReader.first(.fciProprietaryTemplate, in: bytes, range: fci.value),
            let list = try? BERTLVReader.first(
                .processingOptionsDataObjectList, in: bytes, range: proprietary.value)
        else { return false }
        return
            (try? DataObjectList.contains(
                .terminalTransactionQualifiers, in: bytes.extracting(list.value),
                name: .processingOptionsDataObjectList)) ?? false
    }

    // MARK: - Start D: kernel activation (Book B, 3.4)

    private mutating func activateKernel(_ number: UInt32) -> EntryPointAction {
        guard let inputs, let candidate, let response = selectResponse,
            let indicators = indicators[candidate.combination]
        else {
            return finish(Outcome(.endApplication))
        }
        let activation = KernelActivation(
            combination: configuration.combinations[candidate.combination], indicators: indicators,
            selectedApplication: candidate.name, selectResponse: response, transaction: inputs,
            unpredictableNumber: number, terminal: configuration.terminal, start: start, isRestart: isRestart,
            issuerUpdate: issuerUpdate, restartData: retained?.restartData,
            persistentData: persistentData[candidate.kernel])
        kernel = kernels.make(candidate.kernel, activation)
        guard let action = kernel?.start() else { return nextCandidate() }
        selected = (candidate, response)
        state = .inKernel
        return afterKernel(action)
    }

    private mutating func keep(_ outcome: Outcome) {
        guard let data = outcome.persistentData, let identifier = selected?.candidate.kernel else { return }
        persistentData[identifier] = data.isEmpty ? nil : data
    }

    private mutating func afterKernel(_ action: KernelAction) -> EntryPointAction {
        guard case .outcome(let outcome) = action else { return .kernel(action) }
        keep(outcome)
        kernel = nil
        return process(outcome)
    }

    // MARK: - Outcome processing (Book B, 3.5)

    private mutating func process(_ outcome: Outcome) -> EntryPointAction {
        switch outcome.status {
        case .tryAgain:
            retained = outcome
            earlier.append(outcome)
            return interlude(outcome, then: .startB)
        case .selectNext:
            earlier.append(outcome)
            reasons.append(contentsOf: outcome.reasons)
            if !candidates.isEmpty { candidates.removeFirst() }
            return interlude(outcome, then: .startC)
        default:
            return finish(outcome)
        }
    }

    /// The message and field-off of an outcome that Entry Point itself goes on from (3.5.1.1, 3.5.1.2).
    private mutating func interlude(_ outcome: Outcome, then step: Step) -> EntryPointAction {
        if let request = outcome.uiRequestOnOutcome {
            return display(request, fieldOff: outcome.fieldOffRequest, then: step)
        }
        if let time = outcome.fieldOffRequest { return switchFieldOff(time, then: step) }
        return proceed(to: step)
    }

    private mutating func finish(_ outcome: Outcome) -> EntryPointAction {
        // The Entry Point's own end after a kernel's Try Again or Select Next: its Error Indication is the last that is known. Its
        // Data Record stays in `earlier`, as nothing may be authorized with it.
        if outcome.status == .endApplication, outcome.discretionaryData == nil, let last = earlier.last {
            var end = outcome
            end.discretionaryData = last.discretionaryData
            if end.reasons.isEmpty { end.reasons = last.reasons }
            return conclude(end)
        }
        return conclude(outcome)
    }

    private mutating func conclude(_ outcome: Outcome) -> EntryPointAction {
        retained = outcome
        var chosen: SelectedCombination?
        if let selected {
            let combination = configuration.combinations[selected.candidate.combination]
            chosen = SelectedCombination(
                applicationIdentifier: selected.candidate.name, kernel: selected.candidate.kernel,
                combination: combination,
                applicationLabel: Self.label(selected.response)
                    ?? selected.candidate.label.map { String(decoding: $0, as: UTF8.self) })
        }
        let final = FinalOutcome(
            outcome, selected: chosen, candidatesLeft: max(0, candidates.count - 1), earlier: earlier)
        state = .finished
        self.final = final
        return .outcome(final)
    }

    /// Application Label (50) of the FCI.
    static func label(_ response: ResponseAPDU) -> String? {
        let bytes = response.bytes.span
        guard
            let fci = try? BERTLVReader.first(.fciTemplate, in: bytes, range: response.dataRange),
            let proprietary = try? BERTLVReader.first(.fciProprietaryTemplate, in: bytes, range: fci.value),
            let label = try? BERTLVReader.first(.applicationLabel, in: bytes, range: proprietary.value)
        else { return nil }
        return String(decoding: response.bytes[label.value], as: UTF8.self)
    }
}
