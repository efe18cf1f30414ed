import BERTLV
internal import EMV
internal import SmartCard

/// Kernel 3: qVSDC, the contactless application of Visa cards and phones (Book C-3).
///
/// The card decides in its answer to GET PROCESSING OPTIONS: it gives the cryptogram there, and the kernel
/// reads what the AFL names, checks, verifies the cardholder as the Card Transaction Qualifiers ask, and
/// reports the outcome.
public struct QVSDCKernel: Kernel {
    /// States in the order of Book C-3, chapter 5.
    enum State: Sendable {
        case idle
        /// 5.2: GET PROCESSING OPTIONS was sent.
        case initiatingApplication
        /// 5.3: READ RECORD was sent for `record` of the AFL's entry `entry`.
        case readingRecord
        /// 5.4: the customer is told that the card was read.
        case cardReadComplete
        /// 5.9: EXTERNAL AUTHENTICATE was sent.
        case authenticatingIssuer(IssuerScriptCommands)
        /// 5.9: the command at this place of the issuer script was sent.
        case runningScript(IssuerScriptCommands, next: Int)
        case finished(Outcome)
    }

    let activation: KernelActivation
    var state = State.idle
    /// What the terminal knows: configuration and transaction. A card cannot change it.
    var terminal: DataObjects
    /// What the card gave: each data object at most once.
    var card = DataObjects(reservingObjects: 40, bytes: 1024)
    var qualifiers: TerminalTransactionQualifiers
    var indicators: PreProcessingIndicators
    private var locator: ApplicationFileLocator?
    private var entry = 0
    private var record: UInt8 = 0
    /// The PAN of Track 2 Equivalent Data, which 5A cannot contradict, once all was read.
    private(set) var number: PrimaryAccountNumber?
    /// Why this is coming to an end other than an approval or an online request.
    var reasons: [EndReason] = []
    /// A record that takes part in the signature, and of which the book does not say how (EMV Book 3, 10.3).
    private(set) var hasUnusableRecord = false
    /// Static data to be authenticated (Book 3, 10.3), as records were read.
    var staticData: [UInt8] = []
    /// Results of issuer scripts for the Data Record (9F5B of Book 4, A5: five bytes a script).
    var scriptResults: [UInt8] = []

    public var stateName: String { Self.name(ofCase: state) }

    public init(_ activation: KernelActivation) {
        self.activation = activation
        indicators = activation.indicators
        qualifiers = activation.indicators.terminalTransactionQualifiers ?? []
        terminal = activation.terminal.data
        terminal.merge(activation.combination.kernelData)
        terminal.setTransaction(of: activation)
        // Kernel 3 keeps the TVR at zero: the card's cryptogram covers it before anything is verified.
        terminal.set(.terminalVerificationResults, number: 0, count: 5)
        terminal.set(.transactionStatusInformation, number: 0, count: 2)
    }

    // MARK: - Kernel

    public mutating func start() -> KernelAction {
        if let update = activation.issuerUpdate, !update.isEmpty { return startIssuerUpdate(update) }
        return initiateApplication()
    }

    public mutating func handle(_ event: KernelEvent) -> KernelAction {
        switch event {
        case .response(let response, _):
            switch state {
            case .initiatingApplication: return applicationInitiated(response)
            case .readingRecord: return recordRead(response)
            case .authenticatingIssuer(let script): return issuerAuthenticated(response, script)
            case .runningScript(let script, let next): return scriptCommandDone(response, script, next)
            case .idle, .cardReadComplete, .finished: break
            }
        case .done:
            if case .cardReadComplete = state { return decide() }
        case .communicationError(let error):
            switch state {
            case .authenticatingIssuer: return finishIssuerUpdate()
            case .runningScript(let script, let next): return scriptCommandLost(script, next)
            case .finished: break
            default: return communicationFailed(error)
            }
        case .stop:
            if case .finished = state { break }
            var outcome = Outcome(.endApplication)
            outcome.reasons = [.cancelled]
            return finish(outcome)
        default: break
        }
        if case .finished(let outcome) = state { return .outcome(outcome) }
        return finish(endApplication(.protocol))
    }

    mutating func finish(_ outcome: Outcome) -> KernelAction {
        state = .finished(outcome)
        return .outcome(outcome)
    }

    // MARK: - 5.2 Initiate Application Processing

    private mutating func initiateApplication() -> KernelAction {
        let response = activation.selectResponse
        let bytes = response.bytes.span
        var processingOptions: Range<Int>?
        do {
            guard let fci = try BERTLVReader.first(.fciTemplate, in: bytes, range: response.dataRange) else {
                return finish(endApplication(.missingData(.fciTemplate)))
            }
            var reader = BERTLVReader(bytes, in: fci.value)
            while let element = try reader.next() {
                if element.tag == .dedicatedFileName {
                    card.set(.dedicatedFileName, response.bytes.span.extracting(element.value))
                }
                guard element.tag == .fciProprietaryTemplate else { continue }
                var inside = reader.nested(element)
                while let object = try inside.next() {
                    switch object.tag {
                    case .processingOptionsDataObjectList: processingOptions = object.value
                    case .applicationLabel, .languagePreference, .applicationPreferredName,
                        .issuerCodeTableIndex,
                        .applicationPriorityIndicator, .applicationProgramIdentifier:
                        card.set(object.tag, response.bytes.span.extracting(object.value))
                    case .fciIssuerDiscretionaryData:
                        var discretionary = inside.nested(object)
                        while let item = try discretionary.next() {
                            if item.tag == .applicationProgramIdentifier || item.tag == .logEntry
                                || item.tag == .issuerCountryCodeAlpha2
                            {
                                card.set(item.tag, response.bytes.span.extracting(item.value))
                            }
                        }
                    default: break
                    }
                }
            }
        } catch {
            return finish(endApplication(.malformed(error)))
        }

        if let next = applyDynamicReaderLimits() { return next }
        terminal.set(.terminalTransactionQualifiers, number: UInt64(qualifiers.rawValue), count: 4)

        // GPO with the PDOL's data in template 83 (EMV Book 3, 6.5.8; 10.1).
        var filled: [UInt8] = []
        filled.reserveCapacity(64)
        if let list = processingOptions {
            do {
                try DataObjectList.fill(
                    bytes.extracting(list), name: .processingOptionsDataObjectList, from: terminal,
                    into: &filled)
            } catch {
                return finish(endApplication(.malformedList(error)))
            }
        }
        guard let command = CommandAPDU.getProcessingOptions(filled) else {
            return finish(
                endApplication(
                    .malformedList(
                        .malformedDataObjectList(tag: .processingOptionsDataObjectList, offset: 0))))
        }
        state = .initiatingApplication
        return .transmit(command)
    }

    /// Dynamic Reader Limits: the set whose Application Program Identifier begins the card's 9F5A replaces
    /// the combination's limits (Book C-3, 5.2 and the annex on dynamic reader limits). Of several the longest one counts, a
    /// full match first.
    // Unconfirmed: the longest; one public implementation.
    private mutating func applyDynamicReaderLimits() -> KernelAction? {
        guard !activation.combination.dynamicLimits.isEmpty,
            let program = card[.applicationProgramIdentifier],
            let limits = activation.combination.dynamicLimits.filter({
                program.starts(with: $0.applicationProgramIdentifier)
            }).max(by: { $0.applicationProgramIdentifier.count < $1.applicationProgramIdentifier.count })
        else { return nil }
        var combination = activation.combination
        combination.statusCheckSupported = limits.statusCheckSupported
        combination.zeroAmountAllowed = limits.zeroAmountAllowed
        combination.contactlessTransactionLimit = limits.contactlessTransactionLimit
        combination.contactlessFloorLimit = limits.contactlessFloorLimit
        combination.cvmRequiredLimit = limits.cvmRequiredLimit
        indicators = combination.preProcessed(activation.transaction)
        if let updated = indicators.terminalTransactionQualifiers { qualifiers = updated }
        if indicators.contactlessApplicationNotAllowed {
            return finish(selectNext(.amountAboveLimit))
        }
        return nil
    }

    private mutating func applicationInitiated(_ response: ResponseAPDU) -> KernelAction {
        switch response.status {
        case .success: break
        case .referenceDataInvalidated:  // 6984: use the contact interface
            reasons = [.cardWantsOtherInterface]
            return finish(tryAnotherInterface())
        case .conditionsNotSatisfied:  // 6985: not this application
            return finish(selectNext(.command("GET PROCESSING OPTIONS", status: response.status.rawValue)))
        case .commandNotAllowed:  // 6986: the phone asks its user first
            return finish(seePhone())
        default:
            return finish(endApplication(.status("GET PROCESSING OPTIONS", response.status)))
        }

        let bytes = response.bytes.span
        do {
            var reader = BERTLVReader(bytes, in: response.dataRange)
            guard let template = try reader.next() else {
                return finish(endApplication(.missingData(.responseMessageTemplateFormat2)))
            }
            switch template.tag {
            case .responseMessageTemplateFormat2:
                if let problem = try store(response, template.value) { return finish(problem) }
            case .responseMessageTemplateFormat1:
                // Format 1: AIP and AFL only (EMV Book 3, 6.5.8.4). Such an answer has no cryptogram, so
                // the mandatory data check ends it below unless records bring it.
                guard template.value.count >= 2 else {
                    return finish(endApplication(.missingData(.applicationInterchangeProfile)))
                }
                let start = template.value.lowerBound
                card.set(.applicationInterchangeProfile, response.bytes.span.extracting(start..<(start + 2)))
                if template.value.count > 2 {
                    card.set(
                        .applicationFileLocator,
                        response.bytes.span.extracting((start + 2)..<template.value.upperBound))
                }
            default:
                return finish(endApplication(.missingData(.responseMessageTemplateFormat2)))
            }
        } catch {
            return finish(endApplication(.malformed(error)))
        }
        guard card.length(.applicationInterchangeProfile) == 2 else {
            return finish(endApplication(.missingData(.applicationInterchangeProfile)))
        }

        guard let length = card.length(.applicationFileLocator), length > 0 else { return readComplete() }
        let locator: ApplicationFileLocator
        do {
            locator = try ApplicationFileLocator(card[.applicationFileLocator] ?? [])
        } catch {
            return finish(endApplication(.malformedList(error)))
        }
        guard let first = locator.entries.first else { return readComplete() }
        self.locator = locator
        return read(first, entry: 0, record: first.firstRecord)
    }

    /// Keeps the data objects of a template. A data object that the kernel knows and that comes twice ends the transaction;
    /// others are passed over however often they come (Book C-3, 5.4.2.2).
    private mutating func store(
        _ response: ResponseAPDU, _ range: Range<Int>
    ) throws(BERTLVError) -> Outcome? {
        var reader = BERTLVReader(response.bytes.span, in: range)
        while let element = try reader.next() {
            if element.tag != .dedicatedFileName, card.contains(element.tag) {
                guard Self.knows(element.tag) else { continue }
                return endApplication(.duplicateData(element.tag))
            }
            card.set(element.tag, response.bytes.span.extracting(element.value))
        }
        return nil
    }

    /// Data objects of the card that Kernel 3 uses or hands on (Book C-3, Annex A).
    // Unconfirmed: the list, which is of public implementations.
    private static func knows(_ tag: Tag) -> Bool {
        switch tag.rawValue {
        case 0x50, 0x57, 0x5A, 0x5F20, 0x5F24, 0x5F25, 0x5F28, 0x5F2D, 0x5F34, 0x82, 0x87, 0x8F, 0x90, 0x92,
            0x93,
            0x94, 0x9F07, 0x9F08, 0x9F10, 0x9F11, 0x9F12, 0x9F19, 0x9F24, 0x9F25, 0x9F26, 0x9F27, 0x9F32,
            0x9F36,
            0x9F38, 0x9F46, 0x9F47, 0x9F48, 0x9F4A, 0x9F4B, 0x9F5A, 0x9F5D, 0x9F69, 0x9F6C, 0x9F6E, 0x9F7C:
            true
        default: false
        }
    }

    // MARK: - 5.3 Read Application Data

    private mutating func read(
        _ current: ApplicationFileLocator.Entry, entry: Int, record: UInt8
    ) -> KernelAction {
        state = .readingRecord
        self.entry = entry
        self.record = record
        return .transmit(.readRecord(record, of: current.sfi))
    }

    private mutating func recordRead(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else {
            return finish(endApplication(.status("READ RECORD", response.status)))
        }
        guard let locator, entry < locator.entries.count else { return readComplete() }
        let current = locator.entries[entry]
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            let isSigned = record < current.firstRecord + current.authenticatedRecords
            if current.sfi > 10, response.data.first != 0x70 {
                // Files 11 to 30 have whatever form they like; a signed record of another form fails data authentication (EMV
                // Book 3, 10.3).
                if isSigned { hasUnusableRecord = true }
            } else {
                guard let template = try reader.next(), template.tag == .readRecordResponseMessageTemplate
                else {
                    return finish(endApplication(.missingData(.readRecordResponseMessageTemplate)))
                }
                if isSigned {
                    // SFI 1...10: the template's content; 11...30: the whole (EMV Book 3, 10.3).
                    let part = current.sfi <= 10 ? template.value : template.whole
                    staticData.append(contentsOf: response.bytes[part])
                }
                if let problem = try store(response, template.value) { return finish(problem) }
            }
        } catch {
            return finish(endApplication(.malformed(error)))
        }
        if record < current.lastRecord { return read(current, entry: entry, record: record + 1) }
        if entry + 1 < locator.entries.count {
            let following = locator.entries[entry + 1]
            return read(following, entry: entry + 1, record: following.firstRecord)
        }
        return readComplete()
    }

    // MARK: - 5.4 Card Read Complete

    private mutating func readComplete() -> KernelAction {
        // Mandatory: Track 2 Equivalent Data, ATC, cryptogram, Issuer Application Data.
        for tag: Tag in [.applicationCryptogram, .applicationTransactionCounter, .issuerApplicationData]
        where !card.contains(tag) {
            return finish(endApplication(.missingData(tag)))
        }
        guard card.length(.applicationCryptogram) == 8, card.length(.applicationTransactionCounter) == 2
        else {
            return finish(endApplication(.missingData(.applicationCryptogram)))
        }
        do throws(QVSDCError) {
            number = try readNumber()
        } catch { return finish(endApplication(error)) }
        guard cryptogramType != nil else {
            return finish(endApplication(.missingData(.cryptogramInformationData)))
        }
        state = .cardReadComplete
        return .display(
            UserInterfaceRequest(
                .cardReadOKRemove, .cardReadSuccessfully, languagePreference: languagePreference))
    }
}

// MARK: - Values read

extension QVSDCKernel {
    /// The card number of track 2. The card number on its own is the same, whatever is signed (5.4).
    private func readNumber() throws(QVSDCError) -> PrimaryAccountNumber {
        guard let track = card.span(.track2EquivalentData) else { throw .missingData(.track2EquivalentData) }
        guard let own = card.span(.applicationPAN) else {
            guard let number = Track2EquivalentData(card[.track2EquivalentData] ?? [])?.primaryAccountNumber
            else {
                throw .missingData(.track2EquivalentData)
            }
            return number
        }
        guard let number = PrimaryAccountNumber(compressedNumeric: own),
            Track2EquivalentData.isTrack(track, of: number)
        else { throw .differentNumbers }
        return number
    }

    var interchangeProfile: ApplicationInterchangeProfile {
        ApplicationInterchangeProfile(
            rawValue: UInt16(truncatingIfNeeded: card.number(.applicationInterchangeProfile) ?? 0))
    }

    /// Card Transaction Qualifiers; nil where the card gave none.
    var cardQualifiers: CardTransactionQualifiers? {
        card[.cardTransactionQualifiers].flatMap { CardTransactionQualifiers(bytes: $0) }
    }

    /// The kind of cryptogram: from 9F27, else from the Card Verification Results in Visa's Issuer
    /// Application Data (byte 5, bits 6-5; Book C-3, 5.4).
    var cryptogramType: CryptogramInformationData.CryptogramType? {
        if let value = card.span(.cryptogramInformationData) {
            guard value.count == 1 else { return nil }
            return CryptogramInformationData(rawValue: value[0]).type
        }
        guard let data = card.span(.issuerApplicationData), data.count >= 5 else { return nil }
        return CryptogramInformationData.CryptogramType(rawValue: data[4] >> 4 & 0b11)
    }

    var languagePreference: String? {
        guard let value = card[.languagePreference], (2...8).contains(value.count),
            value.count.isMultiple(of: 2),
            value.allSatisfy({ $0 < 0x80 })
        else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    var isOnlineCapable: Bool { !qualifiers.contains(.offlineOnlyReader) }
}

/// Why Kernel 3 ended without a decision: told in the Discretionary Data's Error Indication (DF8115 of
/// C-2's layout: L1, L2, L3, SW, message) so that all kernels report alike.
enum QVSDCError: Error {
    case missingData(Tag)
    case duplicateData(Tag)
    case malformed(BERTLVError)
    case malformedList(DataFormatError)
    /// A command's name and its status word.
    case status(String, StatusWord)
    /// 5A and 57.
    case differentNumbers
    case `protocol`

    /// L2 values of C-2's Error Indication: 01 card data missing, 02 CAM failed, 03 status bytes,
    /// 04 parsing error, 06 card data error.
    var level2: UInt8 {
        switch self {
        case .missingData: 0x01
        case .status: 0x03
        case .malformed, .malformedList: 0x04
        case .duplicateData, .differentNumbers, .protocol: 0x06
        }
    }

    var reason: EndReason {
        switch self {
        case .missingData(let tag): .missingData(tag)
        case .duplicateData(let tag): .repeatedData(tag)
        case .malformed(let error): .malformedData(error)
        case .malformedList(let error): .malformedList(error)
        case .status(let name, let status): .command(name, status: status.rawValue)
        case .differentNumbers: .differentCardNumbers
        case .protocol: .communication("the terminal gave the kernel an event that it did not wait for")
        }
    }
}

extension QVSDCKernel {
    // MARK: - Outcomes without a decision

    func endApplication(_ error: QVSDCError) -> Outcome {
        var status: StatusWord = 0
        if case .status(_, let word) = error { status = word }
        var outcome = Outcome(
            .endApplication,
            uiRequestOnOutcome: UserInterfaceRequest(
                .insertSwipeOrTryAnotherCard, .processingError, languagePreference: languagePreference),
            discretionaryData: [
                0xDF8115: [
                    0x00, error.level2, 0x00, status.sw1, status.sw2,
                    UserInterfaceRequest.Message.insertSwipeOrTryAnotherCard.rawValue,
                ]
            ])
        outcome.reasons = [error.reason]
        return outcome
    }

    func selectNext(_ reason: EndReason) -> Outcome {
        var outcome = Outcome(.selectNext)
        outcome.reasons = [reason]
        return outcome
    }

    func tryAnotherInterface(_ authentication: DataAuthenticationResult? = nil) -> Outcome {
        let chip = qualifiers.contains(.emvContactChip)
        var outcome = Outcome(
            .tryAnotherInterface,
            uiRequestOnOutcome: UserInterfaceRequest(
                chip ? .insertCard : .insertOrSwipe, .processingError,
                languagePreference: languagePreference),
            alternateInterfacePreference: chip ? .contactChip : nil, dataAuthentication: authentication)
        outcome.reasons = reasons
        return outcome
    }

    /// The phone wants its user to look at it: Try Again after a pause (Book C-3, 5.2: 6986).
    func seePhone() -> Outcome {
        Outcome(
            .tryAgain, start: .b,
            uiRequestOnOutcome: UserInterfaceRequest(
                .seePhone, .processingError, holdTime: 13, languagePreference: languagePreference),
            uiRequestOnRestart: UserInterfaceRequest(
                .presentCardAgain, .readyToRead, languagePreference: languagePreference),
            fieldOffRequest: 13)
    }

    /// Before the card was read, an error of the line starts again; the customer is asked for the card
    /// once more (Book C-3, 5.1 and Book A).
    mutating func communicationFailed(_ error: CommunicationError) -> KernelAction {
        var outcome = Outcome(
            .tryAgain, start: .b,
            uiRequestOnOutcome: UserInterfaceRequest(
                .presentCardAgain, .processingError, languagePreference: languagePreference),
            uiRequestOnRestart: UserInterfaceRequest(
                .presentCardAgain, .readyToRead, languagePreference: languagePreference),
            discretionaryData: [.errorIndication: [error.rawValue, 0, 0, 0, 0, 0x21]])
        outcome.reasons = [error.reason]
        return finish(outcome)
    }
}
