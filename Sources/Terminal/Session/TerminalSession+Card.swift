internal import Acquiring
internal import CardReaders
internal import EMV
internal import EMVCryptography
internal import Journal
internal import Kernels

/// Reader, card and display of a payment.
extension TerminalSession {
    func makeDriver() -> TransactionDriver {
        TransactionDriver(
            reader: reader, limits: environment.limits,
            unpredictableNumber: environment.unpredictableNumber, observer: environment.observer,
            show: { [self] in await show($0) }, sleep: environment.sleep,
            dataExchange: environment.dataExchange ?? profile.dataExchange)
    }

    /// First presentment, from a reader without card to the final outcome.
    func readCard(_ payment: inout PaymentInHand) async -> PaymentFlow.Event {
        let cardWait = payment.wanted.cardWait ?? profile.timing.cardWait
        if let failure = await lastCardStays(within: cardWait) { return .cardNotRead(failure) }
        await loadKernelMemory()
        cleanKernelMemory(payment.inputs)
        let memoryBefore = kernelMemory
        var entryPoint = EntryPoint(
            configuration: profile.configuration, kernels: kernels, persistentData: kernelMemory)
        environment.observer?(.kernelMemory(kernelMemory))
        payment.driver.limits.cardWait = cardWait
        let end = await payment.driver.run(&entryPoint, from: entryPoint.start(payment.inputs))
        kernelMemory = entryPoint.persistentData
        await keepKernelMemory(since: memoryBefore)

        switch end {
        case .outcome(let final):
            payment.entryPoint = entryPoint
            return .cardRead(await outcome(final, &payment))
        case .noCard: return .cardNotRead(.noCard)
        case .cancelled: return .cardNotRead(.cancelled)
        case .readerFailed(let error): return .cardNotRead(.readerFailed("\(error)"))
        case .tooManyAttempts: return .cardNotRead(.tooManyAttempts(environment.limits.activations))
        }
    }

    private func outcome(_ final: FinalOutcome, _ payment: inout PaymentInHand) async -> CardOutcome {
        payment.outcome = final
        payment.latest = final.outcome
        let instrument = PaymentInstrument(
            dataRecord: final.outcome.dataRecord ?? DataObjects(), selected: final.selected)
        if final.outcome.dataRecord != nil { payment.instrument = instrument }
        let number = instrument.primaryAccountNumber
        var card = CardOutcome(final.outcome, hasCardNumber: number != nil)
        if let original = payment.wanted.original, let number {
            card.isOtherCard = await !isCard(number, of: original)
        }
        card.merchantRefusal = profile.acceptance.refusal(of: instrument)?.text
        return card
    }

    /// Whether a card paid a transaction, as far as the journal's masked number tells.
    private func isCard(_ number: PrimaryAccountNumber, of original: String) async -> Bool {
        guard let paid = try? await journal.show(original), let masked = paid.maskedPAN else { return true }
        return masked == number.masked
    }

    /// Second presentment: the issuer's response goes to the card (Book A, 6.3; Book B, Start B).
    func updateCard(_ payment: inout PaymentInHand) async -> PaymentFlow.Event {
        guard let response = payment.response, var entryPoint = payment.entryPoint else {
            return .cardNotUpdated
        }
        payment.entryPoint = nil
        payment.driver.limits.cardWait = profile.timing.secondPresentment
        let end = await payment.driver.run(
            &entryPoint,
            from: entryPoint.restart(
                issuerUpdate: IssuerUpdate(
                    issuerAuthenticationData: response.issuerAuthenticationData,
                    issuerScripts: response.issuerScripts,
                    authorisationResponseCode: Array(response.authorisationResponseCode.utf8))))
        guard case .outcome(let second) = end else { return .cardNotUpdated }
        if let data = second.outcome.dataRecord ?? second.outcome.discretionaryData {
            payment.outcome?.outcome.discretionaryData = data
        }
        payment.latest = second.outcome
        return .cardUpdated(isDeclined: second.outcome.status == .declined)
    }

    /// Field off and removal as the outcome asks (Book A, 6.2: Field Off Request, Removal Timeout).
    func release(_ outcome: Outcome, _ driver: TransactionDriver) async {
        if outcome.removalTimeout > 0 {
            let deadline =
                ContinuousClock.now + .milliseconds(Int64(outcome.removalTimeout) * 100)
            if let gone = try? await driver.reader.awaitRemoval(deadline: deadline), !gone {
                await show(UserInterfaceRequest(.removeCard))
            }
        }
        await driver.fieldOff()
        environment.observer?(.fieldOff)
        if let time = outcome.fieldOffRequest, time > 0, outcome.start != nil {
            await environment.sleep(.milliseconds(Int64(time) * 100))
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
    /// - Returns: why the payment is over; nil where it goes on.
    private func lastCardStays(within cardWait: Duration) async -> CardFailure? {
        guard !environment.allowsCardToStay else { return nil }
        if cardWasLeft == nil {
            let name = try? await journal.kept(Self.cardLeftName, for: profile.terminalID)?.bytes.clearBytes
            cardWasLeft = readerOutlivesThis && name == Array(reader.information.name.utf8)
        }
        guard cardWasLeft == true, await reader.mayHoldLastCard() else { return nil }
        await show(UserInterfaceRequest(.removeCard, .notReady))
        do throws(ReaderError) {
            let isGone = try await reader.awaitRemoval(deadline: ContinuousClock.now + cardWait)
            return isGone ? nil : .lastCardStayed(isCancelled: false)
        } catch .cancelled {
            return .lastCardStayed(isCancelled: true)
        } catch {
            // What is wrong with the reader is found by what follows.
            return nil
        }
    }

    func noteCardLeft() async {
        guard !environment.allowsCardToStay else { return }
        let isLeft = await reader.mayHoldLastCard()
        defer { cardWasLeft = isLeft }
        guard readerOutlivesThis, isLeft != cardWasLeft else { return }
        // For the next run. Where the journal does not take it, this one remembers it still.
        try? await journal.keep(
            Self.cardLeftName, for: profile.terminalID,
            isLeft ? SensitiveBytes(Array(reader.information.name.utf8)) : nil)
    }

    // MARK: - Display

    func show(_ request: UserInterfaceRequest) async {
        var request = request
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
}
