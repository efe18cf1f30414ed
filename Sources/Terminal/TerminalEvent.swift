public import Acquiring
public import CardReaders
public import EMV
public import Journal
public import Kernels
public import SmartCard

/// What happens in a terminal session, in order: for displays, recorders, logs and tests.
public enum TerminalEvent: Sendable {
    /// A transaction begins.
    case transaction(id: String, inputs: TransactionInputs)
    /// A message for the customer.
    case message(CustomerMessage)
    /// What kernels kept from earlier payments, as this one begins with it.
    case kernelMemory([KernelIdentifier: DataObjects])
    /// Torn Records that Kernel 2 forgets, as they are too old to be recovered.
    case tornRecordsLeft([DataObjects])
    /// What kernels keep could not be read from the journal or written to it, and why; the payment goes on.
    case kernelMemoryFailed(String)
    case cardActivated(CardInformation)
    case command(CommandAPDU)
    case response(ResponseAPDU, microseconds: UInt32)
    case readerError(ReaderError)
    case fieldOff
    case unpredictableNumber(UInt32)
    /// A kernel waits for something else now; the name is the kernel's own.
    case kernelState(KernelIdentifier, name: String)
    /// The kernel's side of data exchange (DEK signal) and the terminal's (DET signal).
    case dataExchange(DataExchange)
    case dataExchanged(DataObjects)
    /// A final outcome of the Entry Point.
    case outcome(FinalOutcome)
    /// The merchant does not take what was presented.
    case refusedByMerchant(reason: String)
    case authorizationSent(AuthorizationRequest)
    case authorizationAnswered(AuthorizationResponse)
    case authorizationFailed(AcquirerError)
    case reversal(ReversalRequest, delivered: Bool)
    /// What an earlier run, or a write that failed, left behind in this state is resolved.
    case resolved(id: String, was: TransactionState, action: String)
    /// What is owed to the host is set aside for a person.
    case parked(id: String, reason: String)
    case finished(PaymentResult)
}

extension TerminalEvent {
    /// What a forwarder did, where a terminal tells it.
    public init?(_ event: Forwarder.Event) {
        switch event {
        case .reversal(let request, let delivered): self = .reversal(request, delivered: delivered)
        case .resolved(let record, let action):
            self = .resolved(id: record.id, was: record.state, action: action)
        case .delivery(let delivery):
            guard case .parked(let reason) = delivery.result else { return nil }
            self = .parked(id: delivery.record.id, reason: reason)
        case .lateAnswer, .lateAnswerRecorded, .waiting, .journalFailed: return nil
        }
    }
}
