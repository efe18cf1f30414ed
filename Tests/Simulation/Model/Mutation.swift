/// A defect that the simulator puts into what it drives, to show that it finds it: those of an earlier version that cost money,
/// and some more.
public enum Mutation: String, CaseIterable, Sendable {
    // Give-backs that are not checked in the write that makes them.
    /// A void asks for the state alone, not for refunds.
    case voidIgnoresRefunds
    /// What is left to be refunded is read before, not in the write.
    case refundsAreCheckedBefore
    /// A pre-authorization that was not completed is refunded.
    case holdsAreRefundable
    /// A tip is taken back that a refund gave back already.
    case tipIgnoresRefunds
    /// Whether a pre-authorization is completed is read before, not in the write.
    case completionsAreCheckedBefore
    /// What is sent anew is named by an idempotency key that a client may choose, too.
    case clientsKeysNameWhatIsSentAnew
    /// After a restart only the terminals of the configuration are recovered.
    case onlyConfiguredTerminalsAreRecovered
    /// What a failing journal leaves behind is resolved at the next start alone.
    case interruptedIsResolvedAtStartOnly
    /// A commit that reported an error and came back is believed.
    case commitsThatCameBackAreBelieved
    /// Approvals are recognised by a list of codes: 00, 10, 11; all others are declines.
    case approvalsByAListOfCodes
    /// A response out of time is noted and nothing else.
    case lateResponsesAreOnlyNoted
    /// A late approval is noted and nothing else while the payment is not decided yet.
    case lateApprovalsOfUndecidedAreNoted
    /// The same after the host acknowledged a reversal, before the journal has that.
    case lateApprovalsAfterAnAcknowledgementAreNoted
    /// An unknown outcome counts as declined.
    case unknownOutcomesAreDeclined
    /// Approved is shown before the journal has it.
    case approvedBeforeItIsWritten
    /// The authorization leaves before the journal has it.
    case sentBeforeItIsWritten
    /// A deferred authorization that was not answered is sent anew and not reversed.
    case sentAnewWithoutReversal
    /// What is sent anew is begun though the first was decided since it was read.
    case decidedIsSentAnew
    /// A reversal counts as acknowledged by a timeout.
    case timeoutsAcknowledgeReversals
}
