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
    private var paying = false
    /// Language Preference (5F2D) of the card of this payment.
    private var languagePreference: String?
    /// What the display shows.
    private var shown: CustomerMessage?
    /// What kernels keep from one payment to the next.
    private var kernelMemory: [KernelIdentifier: DataObjects]
    private var memoryIsLoaded: Bool
    /// Kernels whose memory the journal does not have as it is.
    private var uncleanMemory: Set<KernelIdentifier> = []

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
    }

    /// Takes one payment, from the empty display to the receipt.
    /// - Throws: `TerminalError`, before anything was done. Everything later is a result.
    public func pay(_ request: PaymentRequest) async throws(TerminalError) -> PaymentResult {
        guard !paying else { throw .busy }
        guard request.amountOther <= request.amount else {
            throw .invalidRequest("the cashback amount is larger than the whole amount")
        }
        paying = true
        languagePreference = nil
        shown = nil
        defer { paying = false }

        let record: TransactionRecord
        do {
            record = try await journal.begin(
                TransactionIntent(
                    terminalID: profile.terminalID, merchantID: profile.merchant.id,
                    amount: request.amount, amountOther: request.amountOther,
                    currency: profile.currency, currencyExponent: profile.currencyExponent,
                    transactionType: request.type.code))
        } catch {
            throw .journal("\(error)")
        }

        let now = environment.now()
        let inputs = TransactionInputs(
            amount: request.amount, amountOther: request.amountOther,
            transactionType: request.type.code, currency: profile.currency,
            currencyExponent: profile.currencyExponent, date: request.date ?? now.date,
            hhmmss: request.hhmmss ?? now.hhmmss,
            sequenceCounter: request.sequenceCounter ?? UInt32(record.stan))
        environment.observer?(.transaction(id: record.id, inputs: inputs))

        var result = PaymentResult(
            status: .failed, transactionID: record.id, stan: record.stan,
            retrievalReference: record.retrievalReference, inputs: inputs)
        await run(&result)
        result.receipt = Receipt(result, profile: profile)
        environment.observer?(.finished(result))
        return result
    }

    // MARK: - One payment

    private func run(_ result: inout PaymentResult) async {
        await loadKernelMemory()
        cleanKernelMemory(result.inputs)
        let memoryBefore = kernelMemory
        var entryPoint = EntryPoint(
            configuration: profile.configuration, kernels: kernels, persistentData: kernelMemory)
        environment.observer?(.kernelMemory(kernelMemory))
        var driver = makeDriver()
        driver.limits.cardWait = profile.timing.cardWait
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

        switch final.outcome.status {
        case .approved, .onlineRequest, .requestOnlinePIN:
            if let rule = profile.acceptance.refusal(of: instrument) {
                await letGo(of: final.outcome, driver)
                await refuse(&result, rule)
                return
            }
        default: break
        }

        switch final.outcome.status {
        case .approved:
            await approveOffline(&result, final.outcome, driver)
        case .onlineRequest, .requestOnlinePIN:
            // Where a PIN is to be entered first, that is what is shown.
            if result.cvm != .onlinePIN { await show(final.outcome.uiRequestOnOutcome) }
            await letGo(of: final.outcome, driver)
            await goOnline(&result, entryPoint: &entryPoint, driver: driver)
        case .declined
        where result.inputs.transactionType == TransactionType.refund.code
            && instrument.primaryAccountNumber != nil:
            // A card answers a refund with an AAC, as it gives nothing away: the refund goes to the host on
            // the data that were read. Unconfirmed: Book C-3 is silent on what the terminal does then.
            await show(UserInterfaceRequest(.authorising, .notReady))
            await letGo(of: final.outcome, driver)
            await goOnline(&result, entryPoint: &entryPoint, driver: driver)
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
            result.reason =
                final.outcome.alternateInterfacePreference == .magStripe
                ? "the card must be swiped" : "the card must be inserted or another card used"
            await record(.failed, &result)
        // Kernel 2 ends the application where a card gives an AAC for a refund (Book C-2, S910.74), with its data.
        case .endApplication
        where result.inputs.transactionType == TransactionType.refund.code
            && instrument.primaryAccountNumber != nil
            && final.outcome.dataRecord?[0x9F27]?.first.map { $0 >> 6 } == 0:
            await show(UserInterfaceRequest(.authorising, .notReady))
            await letGo(of: final.outcome, driver)
            await goOnline(&result, entryPoint: &entryPoint, driver: driver)
        case .endApplication, .selectNext, .tryAgain:
            await show(final.outcome.uiRequestOnOutcome)
            await letGo(of: final.outcome, driver)
            result.status = .ended
            result.reason = "the transaction cannot be completed with this card"
            await record(.failed, &result)
        }
    }

    /// Why card and terminal declined, as far as the outcome tells.
    private static func reason(_ outcome: Outcome) -> String {
        // Error Indication, byte 2: L2 02 is "CAM failed" (Book C-2, A.1.77).
        if let error = outcome.discretionaryData?[0xDF8115], error.dropFirst().first == 0x02 {
            return "offline data authentication failed"
        }
        switch outcome.dataRecord?[0x9F27]?.first.map({ $0 >> 6 }) {
        case 0: return "the card declined"
        case nil: return "declined by card and terminal"
        default: return "the terminal declined: processing restrictions or cardholder verification"
        }
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

    private func refuse(_ result: inout PaymentResult, _ rule: AcceptancePolicy.Rule) async {
        result.status = .refusedByMerchant
        result.reason = rule.text
        environment.observer?(.refusedByMerchant(reason: rule.text))
        await show(UserInterfaceRequest(.insertSwipeOrTryAnotherCard, .processingError))
        await record(.cancelled, &result)
    }

    private func approveOffline(
        _ result: inout PaymentResult, _ outcome: Outcome, _ driver: TransactionDriver
    ) async {
        guard let request = authorizationRequest(result) else {
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
        // Forwarded at once where the host can be reached, else by `recover`.
        do {
            if let problem = try await forward(request) {
                result.reason = "approved offline; not yet forwarded: \(problem)"
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
            result.status = .failed
            result.reason = "the journal did not take the result: \(error)"
            return false
        }
    }

    /// Tells the host of an offline approval.
    /// - Returns: why it could not be told; nil where it acknowledged.
    private func forward(_ request: AuthorizationRequest) async throws(JournalError) -> AcquirerError? {
        _ = try await journal.forwardAttempt(request.transactionID)
        do throws(AcquirerError) {
            try await backend.advise(request, offline: .approved)
        } catch {
            return error
        }
        try await journal.forwarded(request.transactionID)
        return nil
    }

    private func failUnreadable(_ result: inout PaymentResult) async {
        result.status = .failed
        result.reason = "the card's data give no valid card number: nothing was authorized"
        await show(UserInterfaceRequest(.notAuthorised, .processingError))
        await record(.failed, &result)
    }

    private func goOnline(
        _ result: inout PaymentResult, entryPoint: inout EntryPoint, driver: TransactionDriver
    ) async {
        guard var request = authorizationRequest(result) else {
            await failUnreadable(&result)
            return
        }
        await recordReading(result)
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
            result.reason = "the journal did not take the authorization, so it was not sent: \(error)"
            await show(UserInterfaceRequest(.notAuthorised, .processingError))
            return
        }
        environment.observer?(.authorizationSent(request))
        let answer = await authorize(request)
        // PIN blocks are not kept after authorization.
        request.onlinePIN = nil
        switch answer {
        case .success(let response):
            environment.observer?(.authorizationAnswered(response))
            result.response = response
            result.online = true
            result.status = response.isApproved ? .approved : .declined
            result.reason = response.message
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

    /// The backend's answer, or `.timeout` after the profile's time. Not ended by the cancellation of the
    /// payment: once sent, its outcome must be known.
    private func authorize(
        _ request: AuthorizationRequest
    ) async -> Result<AuthorizationResponse, AcquirerError> {
        let backend = backend
        let limit = profile.timing.authorization
        return await Task.detached {
            await withTaskGroup(of: Result<AuthorizationResponse, AcquirerError>.self) { group in
                group.addTask {
                    do throws(AcquirerError) {
                        return .success(try await backend.authorize(request))
                    } catch {
                        return .failure(error)
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: limit)
                    return .failure(.timeout)
                }
                let first = await group.next() ?? .failure(.timeout)
                group.cancelAll()
                return first
            }
        }.value
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
            authorisationResponseCode: Array(response.responseCode.utf8))
        switch final.outcome.onlineResponse {
        case .notApplicable: return
        case .emvData where update.isEmpty: return
        case .emvData, .any: break
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
            guard await record(.approved, &result) else { return }
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

    /// Makes a reversal due, durably, and tries to deliver it once; what stays is delivered by `recover`.
    private func reverse(_ result: inout PaymentResult, _ reason: ReversalRequest.Reason) async {
        result.reversalOutstanding = true
        do {
            try await journal.reversalDue(
                result.transactionID, reason: reason.rawValue, result: summary(result))
            if try await deliverReversal(of: result.transactionID, reason: reason) {
                result.reversalOutstanding = false
            }
        } catch {
            result.reason = "the journal failed while a reversal was due: \(error)"
        }
    }

    /// - Returns: whether the host acknowledged.
    private func deliverReversal(
        of id: String, reason: ReversalRequest.Reason
    ) async throws(JournalError) -> Bool {
        guard let record = try await journal.show(id) else { return false }
        let transmission = try await journal.reversalAttempt(id)
        let request = ReversalRequest(
            transactionID: id, terminalID: record.terminalID, stan: record.stan,
            retrievalReference: record.retrievalReference, amount: record.amount,
            currency: record.currency, reason: reason, transmission: transmission)
        do throws(AcquirerError) {
            try await backend.reverse(request)
        } catch {
            environment.observer?(.reversal(request, delivered: false))
            return false
        }
        environment.observer?(.reversal(request, delivered: true))
        try await journal.reversed(id)
        return true
    }

    /// What `recover` did with one transaction.
    public struct Recovery: Sendable {
        public var record: TransactionRecord
        public var action: String
        public var resolved: Bool
    }

    /// Resolves what an earlier run left unfinished: payments that never reached the host are closed,
    /// authorizations without an answer are reversed, offline approvals are forwarded. Call it before the
    /// first payment.
    public func recover() async throws(JournalError) -> [Recovery] {
        var done: [Recovery] = []
        for record in try await journal.unfinished(terminal: profile.terminalID) {
            switch record.state {
            case .started, .cardRead:
                try await journal.complete(
                    record.id, from: [.started, .cardRead], to: .cancelled,
                    result: TransactionResult(reason: "interrupted before the authorization was sent"))
                done.append(Recovery(record: record, action: "closed: nothing was sent", resolved: true))
            case .authorizing, .reversalDue:
                if record.state == .authorizing {
                    try await journal.reversalDue(
                        record.id, reason: ReversalRequest.Reason.restart.rawValue,
                        result: TransactionResult(reason: "interrupted while waiting for the host"))
                }
                let delivered = try await deliverReversal(of: record.id, reason: .restart)
                done.append(
                    Recovery(
                        record: record,
                        action: delivered ? "reversed" : "reversal still due: host not reached",
                        resolved: delivered))
            case .approvedOffline:
                done.append(try await forwardAgain(record))
            default: break
            }
        }
        return done
    }

    /// Forwards an offline approval of an earlier run from what the journal kept of it.
    private func forwardAgain(_ record: TransactionRecord) async throws(JournalError) -> Recovery {
        guard let kept = try await journal.kept(record.id), let request = KeptRequest.request(kept) else {
            return Recovery(
                record: record, action: "approved offline, and nothing was kept to forward it",
                resolved: false)
        }
        if let problem = try await forward(request) {
            return Recovery(record: record, action: "not yet forwarded: \(problem)", resolved: false)
        }
        return Recovery(record: record, action: "forwarded", resolved: true)
    }

    // MARK: - Helpers

    private func authorizationRequest(_ result: PaymentResult) -> AuthorizationRequest? {
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
            cvm: outcome.cvm)
    }

    private func summary(_ result: PaymentResult) -> TransactionResult {
        TransactionResult(
            responseCode: result.response?.responseCode,
            authorizationCode: result.response?.authorizationCode,
            approvedAmount: result.response?.approvedAmount, reason: result.reason)
    }

    private func recordReading(_ result: PaymentResult) async {
        guard let instrument = result.instrument else { return }
        let outcome = result.outcome?.outcome
        let reading = CardReading(
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
        // A reading that the journal does not take is found again at the next write.
        try? await journal.cardRead(result.transactionID, reading)
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
            result.status = .failed
            result.reason = "the journal did not take the result: \(error)"
            return false
        }
    }
}
