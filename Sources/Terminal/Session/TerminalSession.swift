public import Acquiring
public import CardReaders
public import EMV
public import Journal
public import Kernels

/// One terminal: takes one payment at a time from one reader, authorizes it with one backend and keeps it
/// in the journal.
///
/// What a payment does on whatever happens is `PaymentFlow`'s to say; the session carries it out. A payment is written before
/// its authorization leaves; a response that never came is reversed; what the card approved offline is forwarded. Cancelling
/// the task that runs `pay` ends the payment as long as nothing was sent to the host; after that the payment is carried to
/// its end.
public actor TerminalSession {
    public nonisolated let profile: TerminalProfile
    let reader: any CardReader
    let backend: any AcquirerBackend
    let journal: Journal
    let environment: TerminalEnvironment
    let kernels: KernelRegistry
    /// Delivers what is owed to the host: let it `run` beside the payments.
    public nonisolated let forwarder: Forwarder
    private var paying = false
    /// Language Preference (5F2D) of the card of this payment.
    var languagePreference: String?
    /// What the display shows.
    var shown: CustomerMessage?
    /// What kernels keep from one payment to the next.
    var kernelMemory: [KernelIdentifier: DataObjects]
    var memoryIsLoaded: Bool
    /// Kernels whose memory the journal does not have as it is.
    var uncleanMemory: Set<KernelIdentifier> = []
    /// Whether a card lay on the reader when the payment before ended; nil where that was in an earlier run.
    var cardWasLeft: Bool?

    public init(
        profile: TerminalProfile, reader: any CardReader, backend: any AcquirerBackend,
        journal: Journal, environment: TerminalEnvironment = TerminalEnvironment(),
        kernels: KernelRegistry = .all, kernelMemory: [KernelIdentifier: DataObjects]? = nil
    ) {
        var profile = profile
        if environment.pinPad == nil { profile.forgetOnlinePIN() }
        self.profile = profile
        self.reader = reader
        self.backend = backend
        self.journal = journal
        self.environment = environment
        self.kernels = kernels
        self.kernelMemory = kernelMemory ?? [:]
        memoryIsLoaded = kernelMemory != nil
        var policy = Forwarder.Policy()
        policy.answerTimeout = profile.timing.authorization
        forwarder = Forwarder(
            terminalID: profile.terminalID, journal: journal, backend: backend, policy: policy,
            sleep: environment.sleep,
            observer: { [observer = environment.observer] event in
                if let told = TerminalEvent(event) { observer?(told) }
            })
    }

    /// Takes one payment, from the empty display to the receipt.
    /// - Throws: `TerminalError`, before anything was done. Everything later is a result.
    public func pay(_ request: PaymentRequest) async throws(TerminalError) -> PaymentResult {
        guard !paying else { throw .busy }
        guard request.amountOther <= request.amount else {
            throw .invalidRequest("the cashback amount is larger than the whole amount")
        }
        guard request.original == nil || request.type == .refund else {
            throw .invalidRequest("only a refund names an earlier transaction")
        }
        paying = true
        languagePreference = nil
        shown = nil
        defer { paying = false }

        let claim = journal.underWay.claimBeginning(at: profile.terminalID)
        defer { claim.end() }
        let (record, isNew) = try await begin(request)
        let inputs = inputs(of: request, stan: record.stan)
        guard isNew else { return PaymentResult(repeating: record, inputs: inputs) }
        claim.isFor(record.id)
        environment.observer?(.transaction(id: record.id, inputs: inputs))

        var payment = PaymentInHand(request, record, inputs: inputs, driver: makeDriver())
        let end = await run(&payment)
        claim.end()
        // What could not be written is resolved as soon as the journal takes it.
        if end.journalFailed { await forwarder.wake() }
        await noteCardLeft()
        var result = payment.result(end)
        result.receipt = Receipt(result, profile: profile)
        environment.observer?(.finished(result))
        return result
    }

    private func begin(
        _ request: PaymentRequest
    ) async throws(TerminalError) -> (record: TransactionRecord, isNew: Bool) {
        do throws(JournalError) {
            return try await journal.beginOnce(
                TransactionIntent(
                    terminalID: profile.terminalID, merchantID: profile.merchant.id,
                    amount: request.amount, amountOther: request.amountOther,
                    currency: profile.currency, currencyExponent: profile.currencyExponent,
                    transactionType: request.type.code, purpose: TransactionPurpose(request.purpose),
                    idempotencyKey: request.idempotencyKey, original: request.original))
        } catch {
            switch error {
            case .keyReused: throw .keyReused("\(error)")
            case .rejected(let rejection): throw .rejected(rejection)
            case .unknownTransaction: throw .invalidRequest("\(error)")
            default: throw .journal("\(error)")
            }
        }
    }

    private func inputs(of request: PaymentRequest, stan: UInt32) -> TransactionInputs {
        let now = environment.now()
        return TransactionInputs(
            amount: request.amount, amountOther: request.amountOther,
            transactionType: request.type.code, currency: profile.currency,
            currencyExponent: profile.currencyExponent, date: request.date ?? now.date,
            hhmmss: request.hhmmss ?? now.hhmmss,
            sequenceCounter: request.sequenceCounter ?? UInt32(stan))
    }

    // MARK: - Beside the payments

    public typealias Recovery = Forwarder.Recovery

    /// Resolves what an earlier run left unfinished: payments that never reached the host are closed,
    /// authorizations without a response are reversed, what is owed is delivered. Call it before the first payment.
    public func recover() async throws(JournalError) -> [Recovery] { try await forwarder.recover() }

    /// Takes no payment while a batch is settled.
    /// - Throws: `SettlementError`; `.busy` where a payment is under way.
    public func settle() async throws -> [SettlementReport] {
        guard !paying else { throw TerminalError.busy }
        paying = true
        defer { paying = false }
        return try await Settlement(
            terminalID: profile.terminalID, acquirerID: profile.merchant.acquirerID, journal: journal,
            backend: backend, forwarder: forwarder, now: environment.now
        ).run()
    }
}
