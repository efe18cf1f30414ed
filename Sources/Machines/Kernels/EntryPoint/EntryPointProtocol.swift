public import EMV

/// What happened, told to the Entry Point by the driver loop.
public enum EntryPointEvent: Equatable, Sendable {
    /// Answer to `.activateCard`: exactly one card was activated.
    case cardActivated
    /// Answer to `.activateCard`: more than one card is in the field (Book B, 3.2.1.3).
    case collision
    /// Answer to `.activateCard` after a collision: no card is in the field any more (Book B, 3.2.1.5).
    case collisionEnded
    /// Answer to `.activateCard`: a card came and could not be activated or went away.
    case activationFailed
    /// Every event of a kernel reaches it through the Entry Point.
    case kernel(KernelEvent)
}

/// What the driver loop has to do next for the Entry Point.
public enum EntryPointAction: Equatable, Sendable {
    /// Power the field if it is off, poll, and activate one card; wait for it as long as the terminal's
    /// own time-out allows. Answer with `.cardActivated`, `.collision`, `.activationFailed`, or
    /// `.kernel(.stop)` when the terminal cancels or its time is over.
    case activateCard
    /// Switch the field off for at least `milliseconds`, then answer `.kernel(.done)`.
    case fieldOff(milliseconds: UInt32)
    /// An action of the kernel, or the same kind of action for the Entry Point itself (SELECT...): answer
    /// with `.kernel(...)`. Never `.kernel(.outcome)`.
    case kernel(KernelAction)
    /// The final outcome: the Entry Point hands over to the terminal. `restart` continues the transaction
    /// where `outcome.start` is not nil.
    indirect case outcome(FinalOutcome)
}

/// A final outcome and the combination that gave it.
public struct FinalOutcome: Equatable, Sendable {
    public var outcome: Outcome
    /// Nil where no combination was selected.
    public var selected: SelectedCombination?
    /// Candidates left when the outcome was given: whether Select Next could have gone on.
    public var candidatesLeft: Int
    /// Outcomes from which the Entry Point itself went on before, in their order (Try Again, Select Next): what they tell in
    /// Data Record and Discretionary Data is for the terminal too, as Kernel 2's Torn Records.
    public var earlier: [Outcome]

    public init(
        _ outcome: Outcome, selected: SelectedCombination? = nil, candidatesLeft: Int = 0,
        earlier: [Outcome] = []
    ) {
        self.outcome = outcome
        self.selected = selected
        self.candidatesLeft = candidatesLeft
        self.earlier = earlier
    }
}

/// The combination that Entry Point selected on the card.
public struct SelectedCombination: Equatable, Sendable {
    /// ADF Name of the card's application, with the Extended Selection where it was appended (Book B, 3.5.1.5): 5...16
    /// bytes.
    public var applicationIdentifier: [UInt8]
    public var kernel: KernelIdentifier
    public var combination: CombinationConfiguration
    /// Application Label (50) or Preferred Name (9F12) as it was found.
    public var applicationLabel: String?

    public init(
        applicationIdentifier: [UInt8], kernel: KernelIdentifier, combination: CombinationConfiguration,
        applicationLabel: String? = nil
    ) {
        self.applicationIdentifier = applicationIdentifier
        self.kernel = kernel
        self.combination = combination
        self.applicationLabel = applicationLabel
    }
}
