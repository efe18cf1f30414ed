public import Acquiring
internal import BERTLV
public import EMV
public import Journal
public import Kernels
public import Readers

/// What a terminal session takes from outside, so that a replay, a test or a benchmark can hand in its own.
public struct TerminalEnvironment: Sendable {
    /// Local date and time: (date, HHMMSS).
    public var now: @Sendable () -> (date: EMVDate, hhmmss: Int)
    public var unpredictableNumber: @Sendable () -> UInt32
    /// Told everything that happens, in order.
    public var observer: (@Sendable (TerminalEvent) -> Void)?
    /// Waits; message hold times and field resets pass through it.
    public var sleep: @Sendable (Duration) async -> Void
    /// Whether messages stay on for their hold time before the payment goes on.
    public var holdsMessages: Bool
    /// Where online PINs are entered; without one the terminal tells cards that it takes none.
    public var pinPad: PINPad?
    public var limits: TransactionDriver.Limits
    /// Who answers kernels that exchange data; nil is what the profile says.
    public var dataExchange: (any DataExchangePartner)?
    /// A card that stays on the reader is read again by the next payment, for benchmarks and soak tests; else it has to be
    /// taken away first.
    public var allowsCardToStay = false

    public init(
        now: @escaping @Sendable () -> (date: EMVDate, hhmmss: Int) = LocalTime.now,
        unpredictableNumber: @escaping @Sendable () -> UInt32 = { UInt32.random(in: 0 ... .max) },
        observer: (@Sendable (TerminalEvent) -> Void)? = nil,
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        holdsMessages: Bool = false, pinPad: PINPad? = nil, limits: TransactionDriver.Limits = .init(),
        dataExchange: (any DataExchangePartner)? = nil
    ) {
        self.now = now
        self.unpredictableNumber = unpredictableNumber
        self.observer = observer
        self.sleep = sleep
        self.holdsMessages = holdsMessages
        self.pinPad = pinPad
        self.limits = limits
        self.dataExchange = dataExchange
    }
}

/// One terminal: takes one payment at a time from one reader, authorizes it with one backend and keeps it
/// in the journal.
///
/// A payment is written before its authorization leaves; an answer that never came is reversed; what the
/// card approved offline is forwarded. Cancelling the task that runs `pay` ends the payment as long as
/// nothing was sent to the host; after that the payment is carried to its end.
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
    /// The journal did not take a change of this payment.
    private var journalFailed = false
    /// Language Preference (5F2D) of the card of this payment.
    private var languagePreference: String?
    /// What the display shows.
    private var shown: CustomerMessage?
    /// What kernels keep from one payment to the next.
    private var kernelMemory: [KernelIdentifier: DataObjects]
    private var memoryIsLoaded: Bool
    /// Kernels whose memory the journal does not have as it is.
    private var uncleanMemory: Set<KernelIdentifier> = []
    /// Whether a card lay on the reader when the payment before ended; nil where that was in an earlier run.
    private var cardWasLeft: Bool?

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
        journalFailed = false
        defer { paying = false }

        let claim = journal.underWay.claimBeginning(at: profile.terminalID)
        defer { claim.end() }
        let (record, isNew): (TransactionRecord, Bool)
        do {
            (record, isNew) = try await journal.beginOnce(
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

        let now = environment.now()
        let inputs = TransactionInputs(
            amount: request.amount, amountOther: request.amountOther,
            transactionType: request.type.code, currency: profile.currency,
            currencyExponent: profile.currencyExponent, date: request.date ?? now.date,
            hhmmss: request.hhmmss ?? now.hhmmss,
            sequenceCounter: request.sequenceCounter ?? UInt32(record.stan))
        guard isNew else { return PaymentResult(repeating: record, inputs: inputs) }
        claim.isFor(record.id)
        environment.observer?(.transaction(id: record.id, inputs: inputs))

        var result = PaymentResult(
            status: .failed, transactionID: record.id, stan: record.stan,
            retrievalReference: record.retrievalReference, inputs: inputs)
        await run(&result, request)
        claim.end()
        // What could not be written is resolved as soon as the journal takes it.
        if journalFailed { await forwarder.wake() }
        await noteCardLeft()
        result.receipt = Receipt(result, profile: profile)
        environment.observer?(.finished(result))
        return result
    }

    // MARK: - One payment

    private func run(_ result: inout PaymentResult, _ wanted: PaymentRequest) async {
        guard await lastCardIsGone(&result, wanted) else { return }
        await loadKernelMemory()
        cleanKernelMemory(result.inputs)
        let memoryBefore = kernelMemory
        var entryPoint = EntryPoint(
            configuration: profile.configuration, kernels: kernels, persistentData: kernelMemory)
        environment.observer?(.kernelMemory(kernelMemory))
        var driver = makeDriver()
        driver.limits.cardWait = wanted.cardWait ?? profile.timing.cardWait
        let end = await driver.run(&entryPoint, from: entryPoint.start(result.inputs))
        kernelMemory = entryPoint.persistentData
        await keepKernelMemory(since: memoryBefore)

        guard case .outcome(let final) = end else {
            await close(&result, without: end)
            await driver.reader.fieldOff()
            return
        }
        result.outcome = final
        let instrument = PaymentInstrument(
            dataRecord: final.outcome.dataRecord ?? DataObjects(), selected: final.selected)
        if final.outcome.dataRecord != nil { result.instrument = instrument }
        if let original = wanted.original, let number = instrument.primaryAccountNumber,
            await !isCard(number, of: original)
        {
            await letGo(of: final.outcome, driver)
            await refuse(&result, "the refund goes to the card that paid, and this is another one")
            return
        }

        switch final.outcome.status {
        case .approved, .onlineRequest, .requestOnlinePIN:
            if let rule = profile.acceptance.refusal(of: instrument) {
                await letGo(of: final.outcome, driver)
                await refuse(&result, rule.text)
                return
            }
        default: break
        }

        let isReadRefund =
            result.inputs.transactionType == TransactionType.refund.code
            && instrument.primaryAccountNumber != nil
        let cardGaveAAC = final.outcome.dataRecord?[0x9F27]?.first.map { $0 >> 6 } == 0
        switch final.outcome.status {
        case .approved:
            await approveOffline(&result, wanted, final.outcome, driver)
        case .onlineRequest, .requestOnlinePIN:
            // Where a PIN is to be entered first, that is what is shown.
            if result.cvm != .onlinePIN { await show(final.outcome.uiRequestOnOutcome) }
            await letGo(of: final.outcome, driver)
            await goOnline(&result, wanted, entryPoint: &entryPoint, driver: driver)
        case .declined where isReadRefund, .endApplication where isReadRefund && cardGaveAAC:
            // A card answers a refund with an AAC, as it gives nothing away: the refund goes to the host on
            // the data that were read. Unconfirmed: Book C-3 is silent on what the terminal does then. Kernel 2 ends
            // the application, with its data (Book C-2, S910.74).
            await show(UserInterfaceRequest(.authorising, .notReady))
            await letGo(of: final.outcome, driver)
            await goOnline(&result, wanted, entryPoint: &entryPoint, driver: driver)
        case .declined:
            await show(final.outcome.uiRequestOnOutcome ?? UserInterfaceRequest(.notAuthorised))
            await letGo(of: final.outcome, driver)
            result.status = .declined
            result.online = false
            result.reason = Self.reason(final.outcome)
            await record(.declinedOffline, &result)
        case .tryAnotherInterface:
            await show(final.outcome.uiRequestOnOutcome)
            await letGo(of: final.outcome, driver)
            result.status = .tryAnotherInterface
            let other =
                final.outcome.alternateInterfacePreference == .magStripe
                ? "the card must be swiped" : "the card must be inserted or another card used"
            result.reason = Self.reasons(final.outcome).map { "\(other): \($0)" } ?? other
            await record(.failed, &result)
        case .endApplication, .selectNext, .tryAgain:
            await show(final.outcome.uiRequestOnOutcome)
            await letGo(of: final.outcome, driver)
            result.status = .ended
            result.reason =
                Self.failedAuthentication(final.outcome) ?? Self.reasons(final.outcome)
                ?? "the transaction cannot be completed with this card"
            await record(.failed, &result)
        }
    }

    /// What was wrong with the card's certificates or signature; nil where nothing was.
    private static func failedAuthentication(_ outcome: Outcome) -> String? {
        guard case .failed(let failure) = outcome.dataAuthentication else { return nil }
        return "offline data authentication failed: \(failure)"
    }

    /// What kernel and Entry Point give as reasons; nil where they give none.
    private static func reasons(_ outcome: Outcome) -> String? {
        outcome.reasons.isEmpty ? nil : outcome.reasons.map { "\($0)" }.joined(separator: "; ")
    }

    /// Why card and terminal declined, as far as the outcome tells.
    private static func reason(_ outcome: Outcome) -> String {
        if let reasons = reasons(outcome) { return reasons }
        if let failure = failedAuthentication(outcome) { return failure }
        switch outcome.dataRecord?[0x9F27]?.first.map({ $0 >> 6 }) {
        case 0: return "the card declined"
        case nil: return "declined by card and terminal"
        default: return "the terminal declined: processing restrictions or cardholder verification"
        }
    }

    // MARK: - The card of the payment before

    private static let cardLeftName = "card-left"
    /// Emulated cards lie in this program's memory, recorded ones nowhere: neither outlives it.
    private var readerOutlivesThis: Bool {
        switch reader.information.kind {
        case .pcsc, .libnfc, .remote: true
        case .emulated, .replay: false
        }
    }

    /// A card that lies on the reader since the payment before is not charged again: it has to be taken away first. A card
    /// that was not there when that one ended may lie there already.
    /// - Returns: false where it was not taken away: the payment is over.
    private func lastCardIsGone(_ result: inout PaymentResult, _ wanted: PaymentRequest) async -> Bool {
        guard !environment.allowsCardToStay else { return true }
        if cardWasLeft == nil {
            let name = try? await journal.kept(Self.cardLeftName, for: profile.terminalID)?.bytes.clearBytes
            cardWasLeft = readerOutlivesThis && name == Array(reader.information.name.utf8)
        }
        guard cardWasLeft == true, await reader.mayHoldLastCard() else { return true }
        await show(UserInterfaceRequest(.removeCard, .notReady))
        let deadline = ContinuousClock.now + (wanted.cardWait ?? profile.timing.cardWait)
        do throws(ReaderError) {
            if try await reader.awaitRemoval(deadline: deadline) { return true }
            result.status = .timedOut
            result.reason = "the card of the payment before was not taken away"
            await record(.cancelled, &result)
            await show(UserInterfaceRequest(.clearDisplay, .notReady))
        } catch .cancelled {
            await close(&result, without: .cancelled)
        } catch {
            // What is wrong with the reader is told by what follows.
            return true
        }
        return false
    }

    private func noteCardLeft() async {
        guard !environment.allowsCardToStay else { return }
        let isLeft = await reader.mayHoldLastCard()
        defer { cardWasLeft = isLeft }
        guard readerOutlivesThis, isLeft != cardWasLeft else { return }
        // For the next run. Where the journal does not take it, this one remembers it still.
        try? await journal.keep(
            Self.cardLeftName, for: profile.terminalID,
            isLeft ? SensitiveBytes(Array(reader.information.name.utf8)) : nil)
    }

    /// What kernels kept before this program was started: Kernel 2's torn transactions.
    private func loadKernelMemory() async {
        guard !memoryIsLoaded else { return }
        memoryIsLoaded = true
        for kernel in Set(profile.configuration.combinations.map(\.kernel)) {
            do {
                guard let kept = try await journal.kept(Self.memoryName(kernel), for: profile.terminalID)
                else { continue }
                kernelMemory[kernel] = DataObjects(encoded: kept.bytes.clearBytes)
            } catch {
                environment.observer?(.kernelMemoryFailed("\(error)"))
            }
        }
    }

    private func keepKernelMemory(since before: [KernelIdentifier: DataObjects]) async {
        for kernel in Set(kernelMemory.keys).union(before.keys).union(uncleanMemory)
        where kernelMemory[kernel] != before[kernel] || uncleanMemory.contains(kernel) {
            do {
                try await journal.keep(
                    Self.memoryName(kernel), for: profile.terminalID,
                    kernelMemory[kernel].map { SensitiveBytes($0.encoded()) })
                uncleanMemory.remove(kernel)
            } catch {
                // It stays in this program, and is tried again with the next payment.
                uncleanMemory.insert(kernel)
                environment.observer?(.kernelMemoryFailed("\(error)"))
            }
        }
    }

    private static func memoryName(_ kernel: KernelIdentifier) -> String { "kernel-\(kernel)" }

    /// Kernel 2's CLEAN signal before each payment: Torn Records that are too old to be recovered are forgotten (Book C-2,
    /// 3.7.3).
    private func cleanKernelMemory(_ inputs: TransactionInputs) {
        guard let memory = kernelMemory[2] else { return }
        let lifetime =
            profile.configuration.combinations.lazy.filter { $0.kernel == 2 }
            .compactMap { $0.kernelData.number(0xDF811C) }.max() ?? 300
        let cleaned = MChipMemory.clean(
            memory, date: inputs.date, hhmmss: inputs.hhmmss, lifetime: Int(clamping: lifetime))
        kernelMemory[2] = cleaned.memory.isEmpty ? nil : cleaned.memory
        if !cleaned.left.isEmpty {
            uncleanMemory.insert(2)
            environment.observer?(.tornRecordsLeft(cleaned.left))
        }
    }

    private func makeDriver() -> TransactionDriver {
        TransactionDriver(
            reader: reader, limits: environment.limits,
            unpredictableNumber: environment.unpredictableNumber, observer: environment.observer,
            show: { [self] in await show($0) }, sleep: environment.sleep,
            dataExchange: environment.dataExchange ?? profile.dataExchange)
    }

    private func show(_ request: UserInterfaceRequest?) async {
        guard var request else { return }
        // The card's language stays for the terminal's own messages of this payment.
        if let language = request.languagePreference {
            languagePreference = language
        } else {
            request.languagePreference = languagePreference
        }
        let message = CustomerMessage(request, languages: profile.languages)
        // An outcome's and a restart's message are often the same to the eye and ear.
        if let shown, shown.text == message.text, shown.lights == message.lights, shown.sound == message.sound
        {
            return
        }
        shown = message
        environment.observer?(.message(message))
        if environment.holdsMessages, request.holdTime > 0 {
            await environment.sleep(.milliseconds(Int64(request.holdTime) * 100))
        }
    }

    /// Field off and removal as the outcome asks (Book A, 6.2: Field Off Request, Removal Timeout).
    private func letGo(of outcome: Outcome, _ driver: TransactionDriver) async {
        if outcome.removalTimeout > 0 {
            let deadline =
                ContinuousClock.now + .milliseconds(Int64(outcome.removalTimeout) * 100)
            if let gone = try? await driver.reader.awaitRemoval(deadline: deadline), !gone {
                await show(UserInterfaceRequest(.removeCard))
            }
        }
        await driver.reader.fieldOff()
        environment.observer?(.fieldOff)
        if let time = outcome.fieldOffRequest, time > 0, outcome.start != nil {
            await environment.sleep(.milliseconds(Int64(time) * 100))
        }
    }

    private func close(_ result: inout PaymentResult, without end: TransactionDriver.End) async {
        switch end {
        case .noCard:
            result.status = .timedOut
            result.reason = "no card was presented in time"
            await record(.cancelled, &result)
        case .cancelled:
            result.status = .cancelled
            result.reason = "cancelled"
            await record(.cancelled, &result)
        case .readerFailed(let error):
            result.status = .failed
            result.reason = "\(error)"
            await record(.failed, &result)
        case .tooManyAttempts:
            result.status = .ended
            result.reason = "the card could not be read in \(environment.limits.activations) attempts"
            await record(.failed, &result)
        case .outcome: break
        }
        await show(UserInterfaceRequest(.clearDisplay, .notReady))
    }

    private func refuse(_ result: inout PaymentResult, _ reason: String) async {
        result.status = .refusedByMerchant
        result.reason = reason
        environment.observer?(.refusedByMerchant(reason: reason))
        await show(UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .processingError))
        await record(.cancelled, &result)
    }

    private func approveOffline(
        _ result: inout PaymentResult, _ wanted: PaymentRequest, _ outcome: Outcome,
        _ driver: TransactionDriver
    ) async {
        guard let request = authorizationRequest(result, wanted) else {
            await driver.reader.fieldOff()
            await failUnreadable(&result)
            return
        }
        result.online = false
        result.status = .approved
        // Nobody is told "approved" before it is in the journal.
        guard await storeOffline(request, &result) else {
            await driver.reader.fieldOff()
            await show(UserInterfaceRequest(.notAuthorised, .processingError))
            return
        }
        await show(outcome.uiRequestOnOutcome)
        await letGo(of: outcome, driver)
        // Forwarded at once where the host can be reached, else by the forwarder or `recover`.
        if await forwarder.isRunning { return await forwarder.wake() }
        do {
            let deliveries = try await forwarder.flush()
            switch deliveries.first(where: { $0.record.id == request.transactionID })?.result {
            case .delivered: break
            case .postponed(let problem): result.reason = "approved offline; not yet forwarded: \(problem)"
            case .parked(let problem): result.reason = "approved offline; not forwarded: \(problem)"
            case .failed(let problem): result.reason = "approved offline; not yet forwarded: \(problem)"
            case nil: result.reason = "approved offline; not yet forwarded: others come first"
            }
        } catch {
            result.reason = "approved offline; the journal did not take the forwarding: \(error)"
        }
    }

    private func storeOffline(_ request: AuthorizationRequest, _ result: inout PaymentResult) async -> Bool {
        await recordReading(result)
        do {
            try await journal.storeOffline(
                result.transactionID, result: summary(result), keeping: KeptRequest(request).bytes)
            return true
        } catch {
            fail(&result, "the journal did not take the result: \(error)")
            return false
        }
    }

    /// The journal did not take what had to be written. What the host may have taken is given back as soon as the journal
    /// takes it; until then the payment is told so.
    private func fail(_ result: inout PaymentResult, _ reason: String, hostMayHaveTaken: Bool = false) {
        journalFailed = true
        result.status = .failed
        result.reason = reason
        if hostMayHaveTaken { result.reversalOutstanding = true }
    }

    /// The service is given on the card's readiness to go online; the forwarder asks the host.
    private func deferAuthorization(_ result: inout PaymentResult, _ request: AuthorizationRequest) async {
        do {
            try await journal.requestWritten(
                result.transactionID, reading(result), keeping: KeptRequest(request).bytes)
            try await journal.deferred(result.transactionID, reason: "the host is asked later")
        } catch {
            fail(&result, "the journal did not take the result: \(error)")
            await show(UserInterfaceRequest(.notAuthorised, .processingError))
            return
        }
        result.status = .approved
        result.online = false
        result.isDeferred = true
        result.reason = "the host is asked later"
        await show(UserInterfaceRequest(.approved, .notApplicable))
        await forwarder.wake()
    }

    private func failUnreadable(_ result: inout PaymentResult) async {
        result.status = .failed
        result.reason = "the card's data give no valid card number: nothing was authorized"
        await show(UserInterfaceRequest(.notAuthorised, .processingError))
        await record(.failed, &result)
    }

    private func goOnline(
        _ result: inout PaymentResult, _ wanted: PaymentRequest, entryPoint: inout EntryPoint,
        driver: TransactionDriver
    ) async {
        guard var request = authorizationRequest(result, wanted) else {
            await failUnreadable(&result)
            return
        }
        // A PIN block is not kept: with online PIN nothing can be deferred.
        if wanted.purpose == .deferred, result.cvm != .onlinePIN,
            result.outcome?.outcome.status != .requestOnlinePIN
        {
            await deferAuthorization(&result, request)
            return
        }
        do {
            try await journal.requestWritten(
                result.transactionID, reading(result), keeping: KeptRequest(request).bytes)
        } catch {
            fail(&result, "the journal did not take the request, so it was not sent: \(error)")
            await show(UserInterfaceRequest(.notAuthorised, .processingError))
            return
        }
        if result.cvm == .onlinePIN || result.outcome?.outcome.status == .requestOnlinePIN {
            await show(UserInterfaceRequest(.enterPIN, .notApplicable))
            do throws(PINPadError) {
                request.onlinePIN = try await environment.pinPad?.enter(
                    PINPad.Request(
                        number: request.primaryAccountNumber, amount: request.amount,
                        currency: request.currency, languages: profile.languages))
            } catch {
                result.status = .failed
                result.reason = "\(error)"
                await show(UserInterfaceRequest(.notAuthorised, .processingError))
                await record(.failed, &result)
                return
            }
            guard request.onlinePIN != nil else {
                await close(&result, without: .cancelled)
                result.reason = "no PIN was entered"
                return
            }
            await show(UserInterfaceRequest(.authorising, .notReady))
        }
        if Task.isCancelled {
            await close(&result, without: .cancelled)
            return
        }
        do {
            try await journal.authorizing(result.transactionID, backend: backend.name)
        } catch {
            fail(&result, "the journal did not take the authorization, so it was not sent: \(error)")
            await show(UserInterfaceRequest(.notAuthorised, .processingError))
            return
        }
        environment.observer?(.authorizationSent(request))
        let answer = await HostCall.authorize(request, by: backend, within: profile.timing.authorization)
        // PIN blocks are not kept after authorization.
        request.onlinePIN = nil
        switch answer {
        case .success(let response):
            environment.observer?(.authorizationAnswered(response))
            result.response = response
            result.online = true
            result.reason = response.message
            switch response.decision(
                on: request, identifiesCardholders: profile.acceptance.identifiesCardholders)
            {
            case .approved:
                result.status = .approved
                if response.meaning == .approvedWithIdentification {
                    result.reason = "the host wants the cardholder identified"
                }
            case .declined: result.status = .declined
            case .reversed(let reason, let because):
                result.reason = because
                result.status = reason == .approvalNotTaken ? .declined : .failed
                // Without a usable answer nobody has decided.
                if result.status == .failed { result.online = nil }
                await reverse(&result, reason)
                await show(UserInterfaceRequest(.notAuthorised, .notApplicable))
                return
            }
            await bringAnswerToCard(&result, entryPoint: &entryPoint, driver: driver)
            await finishOnline(&result, request)
        case .failure(let error):
            environment.observer?(.authorizationFailed(error))
            result.reason = "\(error)"
            if error.isOutcomeUnknown {
                result.status = .failed
                await reverse(&result, error == .timeout ? .timeout : .malformedResponse)
            } else {
                // Unable to go online: declined (Book A: no kernel here decides again without the host).
                result.status = .declined
                await record(.declined, &result)
            }
            await show(UserInterfaceRequest(.notAuthorised, .notReady))
        }
    }

    /// Second presentment: the issuer's answer goes to the card where kernel and answer ask for it
    /// (Book A, 6.3; Book B, Start B).
    private func bringAnswerToCard(
        _ result: inout PaymentResult, entryPoint: inout EntryPoint, driver: TransactionDriver
    ) async {
        guard let final = result.outcome, let response = result.response,
            final.outcome.start == .b || final.outcome.start == .d
        else { return }
        let update = IssuerUpdate(
            issuerAuthenticationData: response.issuerAuthenticationData,
            issuerScripts: response.issuerScripts,
            authorisationResponseCode: Array(response.authorisationResponseCode.utf8))
        switch final.outcome.onlineResponse {
        case .notApplicable: return
        case .emvData where update.isEmpty: return
        case .emvData, .any: break
        }
        do {
            // A restart in the meantime knows what the host decided.
            try await journal.answered(result.transactionID, result: summary(result))
        } catch {
            result.reason = "the journal did not take the answer: \(error)"
            return
        }
        await show(final.outcome.uiRequestOnRestart)
        var driver = driver
        driver.limits.cardWait = profile.timing.secondPresentment
        let end = await driver.run(&entryPoint, from: entryPoint.restart(issuerUpdate: update))
        guard case .outcome(let second) = end else {
            // The host's decision stands; only the card did not hear of it.
            result.reason = "the card was not presented again: the issuer's update was not delivered"
            await driver.reader.fieldOff()
            return
        }
        if second.outcome.status == .declined, result.status == .approved {
            result.status = .declined
            result.reason = "the card declined after the issuer's answer"
        }
        if let data = second.outcome.dataRecord ?? second.outcome.discretionaryData {
            result.outcome?.outcome.discretionaryData = data
        }
        await letGo(of: second.outcome, driver)
    }

    private func finishOnline(_ result: inout PaymentResult, _ request: AuthorizationRequest) async {
        let hostApproved = result.response?.isApproved ?? false
        if hostApproved, result.status != .approved {
            await reverse(&result, .cardDeclined)
        } else if result.status == .approved {
            guard await record(.approved, &result) else {
                return await show(UserInterfaceRequest(.notAuthorised, .processingError))
            }
        } else {
            await record(.declined, &result)
        }
        if result.status == .approved {
            await show(
                UserInterfaceRequest(
                    result.cvm == .signature ? .approvedSign : .approved, .notApplicable))
        } else {
            await show(UserInterfaceRequest(.notAuthorised, .notApplicable))
        }
    }

    // MARK: - Reversals and recovery

    /// Makes a reversal due, durably, and tries to deliver it; what stays is delivered by the forwarder or `recover`.
    private func reverse(_ result: inout PaymentResult, _ reason: ReversalRequest.Reason) async {
        result.reversalOutstanding = true
        do {
            try await journal.reversalDue(
                result.transactionID, reason: reason.rawValue, result: summary(result),
                from: [.authorizing, .answered])
            _ = try await forwarder.flush()
            result.reversalOutstanding = try await journal.show(result.transactionID)?.state != .reversed
        } catch {
            journalFailed = true
            result.reason = "the journal failed while a reversal was due: \(error)"
        }
    }

    public typealias Recovery = Forwarder.Recovery

    /// Resolves what an earlier run left unfinished: payments that never reached the host are closed,
    /// authorizations without an answer are reversed, what is owed is delivered. Call it before the first payment.
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

    // MARK: - Refunds of a payment

    /// Whether a card paid a transaction, as far as the journal's masked number tells.
    private func isCard(_ number: PrimaryAccountNumber, of original: String) async -> Bool {
        guard let paid = try? await journal.show(original), let masked = paid.maskedPAN else { return true }
        return masked == number.masked
    }

    // MARK: - Helpers

    private func authorizationRequest(
        _ result: PaymentResult, _ wanted: PaymentRequest
    ) -> AuthorizationRequest? {
        guard let outcome = result.outcome?.outcome, let record = outcome.dataRecord,
            let instrument = result.instrument, let number = instrument.primaryAccountNumber
        else { return nil }
        var chip = record
        // Card number, tracks and names travel in their own fields, if at all.
        for tag: Tag in [0x57, 0x5A, 0x56, 0x5F20, 0x9F0B, 0x9F1F, 0x9F20, 0x9F6B] { chip.remove(tag) }
        return AuthorizationRequest(
            transactionID: result.transactionID, terminalID: profile.terminalID,
            merchantID: profile.merchant.id, merchantName: profile.merchant.name,
            merchantCategoryCode: profile.merchant.categoryCode,
            acquirerID: profile.merchant.acquirerID, stan: result.stan,
            retrievalReference: result.retrievalReference, amount: result.inputs.amount,
            amountOther: result.inputs.amountOther, currency: result.inputs.currency,
            country: profile.country, transactionType: result.inputs.transactionType,
            date: result.inputs.date, hhmmss: result.inputs.hhmmss,
            entryMode: instrument.isMagStripe ? .contactlessMagStripe : .contactlessChip,
            primaryAccountNumber: number, panSequenceNumber: instrument.panSequenceNumber,
            expiry: instrument.expiry, track2: instrument.track2,
            chipData: instrument.isMagStripe ? [] : chip.encoded(),
            cvm: outcome.cvm, acceptsPartialApproval: wanted.acceptsPartialApproval, purpose: wanted.purpose)
    }

    private func summary(_ result: PaymentResult) -> TransactionResult {
        TransactionResult(
            responseCode: result.response?.responseCode,
            authorizationCode: result.response?.authorizationCode,
            approvedAmount: result.response?.approvedAmount, reason: result.reason)
    }

    private func recordReading(_ result: PaymentResult) async {
        guard let reading = reading(result) else { return }
        // A reading that the journal does not take is found again at the next write.
        try? await journal.cardRead(result.transactionID, reading)
    }

    private func reading(_ result: PaymentResult) -> CardReading? {
        guard let instrument = result.instrument else { return nil }
        let outcome = result.outcome?.outcome
        return CardReading(
            maskedPAN: instrument.primaryAccountNumber?.masked,
            panSequenceNumber: instrument.panSequenceNumber,
            applicationIdentifier: Hex.string(instrument.applicationIdentifier),
            applicationLabel: instrument.applicationLabel,
            kernel: result.outcome?.selected.map { Int($0.kernel.rawValue) },
            outcome: outcome?.status.rawValue, cvm: outcome?.cvm.rawValue,
            terminalVerificationResults: outcome?.dataRecord?[0x95].map { Hex.string($0) },
            entryMode: instrument.isMagStripe ? "contactless-mag-stripe" : "contactless-chip",
            tokenRequestorID: instrument.tokenRequestorID,
            formFactor: instrument.formFactor.rawValue)
    }

    /// Writes the final state; a journal failure turns the result into a failed one.
    @discardableResult
    private func record(_ state: TransactionState, _ result: inout PaymentResult) async -> Bool {
        if state != .approved, state != .declined || result.response == nil {
            await recordReading(result)
        }
        do {
            try await journal.complete(
                result.transactionID, from: state.predecessors, to: state, result: summary(result))
            return true
        } catch {
            fail(
                &result, "the journal did not take the result: \(error)",
                hostMayHaveTaken: result.response?.isApproved == true)
            return false
        }
    }
}
