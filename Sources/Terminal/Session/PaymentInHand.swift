internal import Acquiring
internal import BERTLV
internal import EMV
internal import Journal
internal import Kernels

/// One payment as the session has it in hand: the data that `PaymentFlow` does not need to decide.
struct PaymentInHand {
    let wanted: PaymentRequest
    let transactionID: String
    let stan: UInt32
    let retrievalReference: String
    let inputs: TransactionInputs
    var driver: TransactionDriver
    /// From the first presentment on, for the second.
    var entryPoint: EntryPoint?
    /// The outcome that decides on the payment; discretionary data are those of the latest presentment.
    var outcome: FinalOutcome?
    /// The latest outcome: how the card is let go.
    var latest: Outcome?
    var instrument: PaymentInstrument?
    /// What is sent to the host; its PIN block only until it is sent.
    var request: AuthorizationRequest?
    var response: AuthorizationResponse?

    init(
        _ wanted: PaymentRequest, _ record: TransactionRecord, inputs: TransactionInputs,
        driver: TransactionDriver
    ) {
        self.wanted = wanted
        transactionID = record.id
        stan = record.stan
        retrievalReference = record.retrievalReference
        self.inputs = inputs
        self.driver = driver
    }

    func result(_ end: PaymentEnd) -> PaymentResult {
        PaymentResult(
            status: end.status, transactionID: transactionID, stan: stan,
            retrievalReference: retrievalReference, inputs: inputs, outcome: outcome, instrument: instrument,
            response: response, online: end.online, reason: end.reason,
            reversalOutstanding: end.reversalOutstanding, isDeferred: end.isDeferred)
    }

    /// What the card gave, for the journal; nil without a Data Record.
    var reading: CardReading? {
        guard let instrument else { return nil }
        let outcome = outcome?.outcome
        return CardReading(
            maskedPAN: instrument.primaryAccountNumber?.masked,
            panSequenceNumber: instrument.panSequenceNumber,
            applicationIdentifier: Hex.string(instrument.applicationIdentifier),
            applicationLabel: instrument.applicationLabel,
            kernel: self.outcome?.selected.map { Int($0.kernel.rawValue) },
            outcome: outcome?.status.rawValue, cvm: outcome?.cvm.rawValue,
            terminalVerificationResults: outcome?.dataRecord?[0x95].map { Hex.string($0) },
            entryMode: instrument.isMagStripe ? "contactless-mag-stripe" : "contactless-chip",
            tokenRequestorID: instrument.tokenRequestorID,
            formFactor: instrument.formFactor.rawValue)
    }

    /// - Returns: nil where the card gave no valid number.
    func authorizationRequest(of profile: TerminalProfile) -> AuthorizationRequest? {
        guard let outcome = outcome?.outcome, let record = outcome.dataRecord, let instrument,
            let number = instrument.primaryAccountNumber
        else { return nil }
        var chip = record
        // Card number, tracks and names travel in their own fields, if at all.
        for tag: Tag in [0x57, 0x5A, 0x56, 0x5F20, 0x9F0B, 0x9F1F, 0x9F20, 0x9F6B] { chip.remove(tag) }
        return AuthorizationRequest(
            transactionID: transactionID, terminalID: profile.terminalID,
            merchantID: profile.merchant.id, merchantName: profile.merchant.name,
            merchantLocation: profile.merchant.location,
            merchantCategoryCode: profile.merchant.categoryCode,
            acquirerID: profile.merchant.acquirerID, stan: stan,
            retrievalReference: retrievalReference, amount: inputs.amount,
            amountOther: inputs.amountOther, currency: inputs.currency,
            country: profile.country, transactionType: inputs.transactionType,
            date: inputs.date, hhmmss: inputs.hhmmss,
            entryMode: instrument.isMagStripe ? .contactlessMagStripe : .contactlessChip,
            primaryAccountNumber: number, panSequenceNumber: instrument.panSequenceNumber,
            expiry: instrument.expiry, track2: instrument.track2,
            chipData: instrument.isMagStripe ? [] : chip.encoded(),
            cvm: outcome.cvm, acceptsPartialApproval: wanted.acceptsPartialApproval, purpose: wanted.purpose)
    }
}
