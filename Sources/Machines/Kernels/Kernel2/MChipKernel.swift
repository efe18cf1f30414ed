import BERTLV
internal import EMV
internal import SmartCard

/// Kernel 2: Mastercard's contactless applications (Book C-2), EMV mode and mag-stripe mode.
///
/// States carry the numbers of Book C-2. Where the book sends the next command before it looks at the answer to the one
/// before, this kernel looks first: a malformed answer ends the transaction one command earlier.
public struct MChipKernel: Kernel {
    enum State: Sendable {
        case idle
        /// S2: the terminal shall give data that the PDOL asks for.
        case waitingForProcessingOptionsData
        /// S3: GET PROCESSING OPTIONS was sent.
        case waitingForProcessingOptions
        /// SR1: EXCHANGE RELAY RESISTANCE DATA was sent.
        case waitingForRelayResistance
        /// S3.61, SR1: a new entropy is drawn for the first round and for each further one.
        case drawingEntropy
        /// S4 (EMV mode) and S7 (mag-stripe mode): READ RECORD was sent.
        case waitingForRecord
        /// S5: GET DATA was sent for what the terminal wants to read.
        case waitingForData(Tag)
        /// S6 (EMV mode) and S8 (mag-stripe mode): the terminal shall say that writing may begin.
        case waitingForFirstWrite
        /// S16: GET DATA for the balance before GENERATE AC was sent.
        case waitingForBalanceBefore
        /// S12: PUT DATA before GENERATE AC was sent.
        case waitingForWriteBefore
        /// S9, and S11 after a RECOVER AC that failed: the first GENERATE AC was sent.
        case waitingForCryptogram
        /// S10: RECOVER AC was sent.
        case waitingForRecovery
        /// S17: GET DATA for the balance after GENERATE AC, whose answer waits here, was sent.
        indirect case waitingForBalanceAfter(ResponseAPDU)
        /// S15: PUT DATA after GENERATE AC was sent.
        indirect case waitingForWriteAfter(Outcome)
        /// S13 and S14: COMPUTE CRYPTOGRAPHIC CHECKSUM was sent.
        case waitingForChecksum
        /// S13.30, S14.30: the delay before a failure in mag-stripe mode.
        indirect case delaying(Outcome)
        /// The DEK signal was sent; then the action follows, and the state that waits for its answer.
        indirect case exchanging(State, KernelAction)
        /// S910: the customer is told that the card was read, before the outcome.
        indirect case cardReadShown(Outcome)
        /// S13.12.1, S14.12.1: the same in mag-stripe mode; a failure is delayed afterwards, with the phone's message before.
        indirect case checksumShown(Outcome, fails: Bool)
        /// S13.44, S14.22: the phone's message is shown, before the delay.
        indirect case phoneMessageShown(Outcome)
        case finished(Outcome)
    }
    /// Unknown before the response to GET PROCESSING OPTIONS.
    enum Mode: Sendable { case unknown, emv, magStripe }

    let activation: KernelActivation
    var state = State.idle
    /// What the terminal knows; a card cannot change it.
    var terminal: DataObjects
    /// What the card gave.
    var card = DataObjects(reservingObjects: 48, bytes: 1536)
    var mode = Mode.unknown
    /// The command that is under way, given again where an event changes nothing.
    var underWay: CommandAPDU?
    var results: TerminalVerificationResults = []
    var locator: ApplicationFileLocator?
    /// The record that is read next: entry of the AFL and record number.
    var position: (entry: Int, record: UInt8)?
    /// The record that was asked for.
    var reading: (sfi: UInt8, isSigned: Bool) = (0, false)
    /// Static data to be authenticated, as records were read.
    var staticData: [UInt8] = []
    /// The card does CDA and the reader may ask for it (ODA Status).
    var usesCDA = false
    /// CDA was asked for in GENERATE AC.
    var requestedCDA = false
    /// How CDA ended; nil before the cryptogram came.
    var dataAuthentication: DataAuthenticationResult?
    /// AC Type: what terminal action analysis decided, then P1 bits 8-7 of GENERATE AC.
    var requestedType = CryptogramInformationData.CryptogramType.aac
    /// PDOL and CDOL1 Related Data: the signature covers them.
    var processingOptionsData: [UInt8] = []
    var cryptogramData: [UInt8] = []
    var method = Outcome.CVM.notApplicable
    var relay = RelayResistance()
    /// Torn Transaction Log.
    var torn: TornTransactionLog
    /// TempTornRecord: the one that RECOVER AC is about, or that it could not recover. It stays in the log until the card has
    /// answered.
    var recovering: DataObjects?
    /// The record that left the log, for the Discretionary Data.
    var tornOut: DataObjects?
    var balanceAfterWasRead = false
    /// The amount is above the Reader CVM Required Limit.
    var requiresCVM = false
    // Data exchange: Tags To Read Yet, Data To Send, Data Needed, Tags To Write Yet.
    var tagsToRead: [Tag] = []
    var dataToSend = DataObjects()
    var dataNeeded: [Tag] = []
    var tagsToWriteBefore: [(tag: Tag, value: [UInt8])] = []
    var tagsToWriteAfter: [(tag: Tag, value: [UInt8])] = []
    var exchanges = 0
    /// IDS Status.
    var storage: DataStorageStatus = []
    /// Failed MS Cntr: mag-stripe transactions in a row that failed after COMPUTE CRYPTOGRAPHIC CHECKSUM.
    var failures: UInt8

    public var stateName: String { Self.name(ofCase: state) }

    public init(_ activation: KernelActivation) {
        self.activation = activation
        torn = TornTransactionLog(activation.persistentData)
        failures = min(
            activation.persistentData?.span(MChipConfiguration.failedMagStripeCounter)?.first ?? 0, 5)
        // Made apart from the kernel, which is then there at once.
        var terminal = MChipConfiguration.defaults
        // All that is added below has room: the configuration's own, the transaction's data and the kernel's results.
        terminal.reserve(objects: 96, bytes: 640)
        terminal.merge(activation.terminal.data)
        let combination = activation.combination
        // The Entry Point's limits serve where the kernel's own are not configured.
        func limit(_ tag: Tag, _ amount: Amount?) {
            if let amount { terminal.set(tag, bcd: amount.minorUnits, count: 6) }
        }
        limit(MChipConfiguration.floorLimit, combination.contactlessFloorLimit)
        limit(MChipConfiguration.transactionLimitNoOnDeviceCVM, combination.contactlessTransactionLimit)
        limit(MChipConfiguration.transactionLimitOnDeviceCVM, combination.contactlessTransactionLimit)
        limit(MChipConfiguration.cvmRequiredLimit, combination.cvmRequiredLimit)
        terminal.merge(combination.kernelData)
        terminal.setTransaction(of: activation)
        terminal.set(.applicationIdentifierTerminal, combination.applicationIdentifier)
        // S1.9: Terminal Capabilities, without the methods of verification, which are known later.
        let capabilities = Self.capabilities(of: terminal, methods: 0)
        terminal.set(.terminalCapabilities, number: capabilities, count: 3)
        // Mobile Support Indicator: this reader does on-device verification.
        if !terminal.contains(.mobileSupportIndicator) { terminal.set(.mobileSupportIndicator, [0x01]) }
        self.terminal = terminal
    }

    /// Terminal Capabilities (9F33): the kernel's own, whatever those of the contact reader are (S1.9, S456.33).
    /// - Parameter methods: byte 2, CVM Capability.
    static func capabilities(of terminal: borrowing DataObjects, methods: UInt8) -> UInt64 {
        let input = terminal.span(MChipConfiguration.cardDataInputCapability)?.first ?? 0
        let security = terminal.span(MChipConfiguration.securityCapability)?.first ?? 0
        return UInt64(input) << 16 | UInt64(methods) << 8 | UInt64(security)
    }

    var configuration: MChipKernelConfiguration {
        MChipKernelConfiguration(rawValue: terminal.span(MChipConfiguration.kernelConfiguration)?.first ?? 0)
    }
    var interchangeProfile: ApplicationInterchangeProfile {
        ApplicationInterchangeProfile(
            rawValue: UInt16(truncatingIfNeeded: card.number(.applicationInterchangeProfile) ?? 0))
    }
    /// Both the device and this kernel do on-device cardholder verification.
    var verifiesOnDevice: Bool {
        interchangeProfile.contains(.onDeviceCardholderVerification)
            && configuration.contains(.onDeviceCardholderVerification)
    }

    /// The Torn Record that left the log, now or before an earlier Try Again of this transaction: for the Discretionary Data.
    var leftRecord: [UInt8]? {
        if let tornOut { return tornOut.encoded() }
        return activation.restartData?[.tornRecord].map { Array($0) }
    }

    var capabilities: ApplicationCapabilities? {
        ApplicationCapabilities(card.span(.applicationCapabilitiesInformation))
    }

    // MARK: - Kernel

    public mutating func handle(_ event: KernelEvent) -> KernelAction {
        if leavesUnderWay(event) {
            if case .drawingEntropy = state { return .drawUnpredictableNumber }
            if let underWay { return .transmit(underWay) }
        }
        return react(to: event)
    }

    /// Data that nobody waits for, and STOP while the card's answer settles the payment, leave what is under way as it is.
    private mutating func leavesUnderWay(_ event: KernelEvent) -> Bool {
        switch event {
        case .dataExchange(let data):
            switch state {
            // S3 to S5, S7, SR1: the data are taken.
            case .waitingForProcessingOptions, .waitingForRecord, .waitingForData, .waitingForRelayResistance,
                .drawingEntropy:
                received(data)
                return true
            // S9 to S17: they are not.
            case .waitingForCryptogram, .waitingForRecovery, .waitingForBalanceBefore,
                .waitingForBalanceAfter,
                .waitingForWriteBefore, .waitingForWriteAfter, .waitingForChecksum:
                return true
            case .idle, .waitingForProcessingOptionsData, .waitingForFirstWrite, .delaying, .exchanging,
                .cardReadShown, .checksumShown, .phoneMessageShown, .finished:
                return false
            }
        case .stop:
            switch state {
            // S13.7, S14.7, S15.
            case .waitingForChecksum, .waitingForWriteAfter: return true
            default: return false
            }
        default: return false
        }
    }

    public mutating func start() -> KernelAction {
        // S1.7, S1.8.
        let response = activation.selectResponse
        do {
            guard
                let fci = try BERTLVReader.first(
                    .fciTemplate, in: response.bytes.span, range: response.dataRange)
            else { return finish(selectNext(.parsingError, .missingData(.fciTemplate))) }
            if let reason = try store(response.bytes, fci.value, in: .fciTemplate, depth: 0) {
                return finish(selectNext(.parsingError, reason))
            }
        } catch { return finish(selectNext(.parsingError, .malformedData(error))) }
        guard card.contains(.dedicatedFileName) else {
            return finish(selectNext(.cardDataMissing, .missingData(.dedicatedFileName)))
        }
        if isMalformed(.processingOptionsDataObjectList) {
            return finish(selectNext(.parsingError, malformedList(.processingOptionsDataObjectList)))
        }
        beginDataExchange()
        beginDataStorage()
        if needMissing(of: .processingOptionsDataObjectList, isAwaited: true) {
            return wait(.waitingForProcessingOptionsData)
        }
        return getProcessingOptions()
    }

    private mutating func react(to event: KernelEvent) -> KernelAction {
        switch event {
        case .response(let response, let microseconds):
            switch state {
            case .waitingForProcessingOptions: return processingOptions(response)
            case .waitingForRelayResistance: return relayResistanceData(response, microseconds)
            case .waitingForRecord: return recordRead(response)
            case .waitingForData(let tag): return dataRead(response, tag)
            case .waitingForBalanceBefore:
                keepBalance(response, .balanceReadBeforeGenAC)
                return writeBefore() ?? recover() ?? generateCryptogram()
            case .waitingForWriteBefore: return writtenBefore(response)
            case .waitingForRecovery: return recovered(response)
            case .waitingForCryptogram: return cryptogram(response)
            case .waitingForBalanceAfter(let generated):
                keepBalance(response, .balanceReadAfterGenAC)
                return cryptogram(generated)
            case .waitingForWriteAfter(let outcome): return writtenAfter(response, outcome)
            case .waitingForChecksum: return checksum(response)
            default: break
            }
        case .unpredictableNumber(let number):
            if case .drawingEntropy = state {
                terminal.set(.unpredictableNumber, number: UInt64(number), count: 4)
                return exchangeRelayResistanceData()
            }
        case .done:
            switch state {
            case .cardReadShown(let outcome): return finish(outcome)
            case .checksumShown(let outcome, let fails):
                return fails ? failMagStripe(outcome) : finish(outcome)
            case .phoneMessageShown(let outcome): return delay(outcome)
            case .exchanging(let next, let action):
                state = next
                return action
            default: break
            }
        case .dataExchange(let data):
            switch state {
            case .exchanging(let next, let action):
                state = next
                switch next {
                case .waitingForProcessingOptionsData, .waitingForFirstWrite:
                    return receivedWhileWaiting(data)
                default: break
                }
                received(data)
                return action
            case .waitingForProcessingOptionsData, .waitingForFirstWrite: return receivedWhileWaiting(data)
            case .delaying(let outcome), .cardReadShown(let outcome): return finish(outcome)
            case .checksumShown(let outcome, let fails):
                return fails ? failMagStripe(outcome) : finish(outcome)
            case .phoneMessageShown(let outcome): return delay(outcome)
            default: break
            }
        case .timeout:
            switch state {
            case .waitingForProcessingOptionsData, .waitingForFirstWrite: return finish(stopped(.timeOut))
            case .delaying(let outcome): return finish(outcome)
            default: break
            }
        case .communicationError(let error): return broken(error)
        case .stop:
            switch state {
            case .finished: break
            // S17: the payment is made.
            case .waitingForBalanceAfter(let generated):
                keepBalance(nil, .balanceReadAfterGenAC)
                return cryptogram(generated)
            case .delaying(let outcome), .cardReadShown(let outcome), .phoneMessageShown(let outcome):
                return finish(outcome)
            case .checksumShown(let outcome, let fails):
                return fails ? failMagStripe(outcome) : finish(outcome)
            // S9 to S11: Book C-2 takes no STOP while it waits for a cryptogram. Here the answer will not come.
            case .waitingForCryptogram, .waitingForRecovery:
                keepTornRecord()
                return finish(stopped(.stop))
            default: return finish(stopped(.stop))
            }
        }
        if case .finished(let outcome) = state { return .outcome(outcome) }
        return finish(
            invalid(
                .cardDataError,
                .communication("the terminal gave the kernel an event that it did not wait for")))
    }

    /// L1RSP in each state.
    private mutating func broken(_ error: CommunicationError) -> KernelAction {
        switch state {
        case .finished(let outcome): return .outcome(outcome)
        // The cryptogram is here: what cannot be read or written afterwards changes nothing (S15, S17).
        case .waitingForBalanceAfter(let generated):
            keepBalance(nil, .balanceReadAfterGenAC)
            return cryptogram(generated)
        case .waitingForWriteAfter(let outcome): return writtenAfter(nil, outcome)
        case .waitingForChecksum: return failMagStripe(tryAgain(error))
        // S3.5: nothing is shown.
        case .waitingForProcessingOptions: return finish(tryAgain(error, message: nil))
        case .waitingForCryptogram
        where recovering == nil && !recoversTornTransactions && storage.contains(.write):
            // S9.7: what was to be written may be on the card, so the terminal gets the Data Record.
            return finish(invalid(.ok, error.reason, l1: error))
        case .waitingForCryptogram, .waitingForRecovery:
            keepTornRecord()
            return finish(tryAgain(error))
        default: return finish(tryAgain(error))
        }
    }

    mutating func finish(_ outcome: Outcome) -> KernelAction {
        var outcome = outcome
        // Torn Transaction Log and Failed MS Cntr outlive the transaction.
        let old = activation.persistentData ?? DataObjects()
        var kept = DataObjects()
        if !torn.records.isEmpty { kept.set(.tornRecord, torn.encoded) }
        if failures > 0 { kept.set(MChipConfiguration.failedMagStripeCounter, [failures]) }
        if kept != old { outcome.persistentData = kept }
        // A Torn Record that left is told again with the outcome in which the transaction ends.
        if outcome.status == .tryAgain, let record = leftRecord {
            outcome.restartData = [.tornRecord: record]
        }
        // S1.8: a card that detects the field going off wants to see it go off.
        if outcome.fieldOffRequest == nil, outcome.status != .selectNext,
            capabilities?.supportsFieldOffDetection == true
        {
            outcome.fieldOffRequest = holdTimeValue
        }
        state = .finished(outcome)
        return .outcome(outcome)
    }

    /// Whether the card gave a DOL that cannot be read.
    func isMalformed(_ list: Tag) -> Bool {
        guard let value = card.span(list) else { return false }
        return !DataObjectList.isWellFormed(value)
    }

    /// What is wrong with a DOL that cannot be read.
    func malformedList(_ list: Tag) -> EndReason {
        do throws(DataFormatError) {
            _ = try DataObjectList.entries(card[list] ?? [], name: list)
            return .wrongData(list, "no list")
        } catch { return .malformedList(error) }
    }

    // MARK: - S1 to S3: GET PROCESSING OPTIONS

    mutating func getProcessingOptions() -> KernelAction {
        var filled: [UInt8] = []
        if let list = card[.processingOptionsDataObjectList] {
            let raw = Array(list)
            do {
                try DataObjectList.fill(
                    raw.span, name: .processingOptionsDataObjectList, from: terminal, into: &filled)
            } catch { return finish(selectNext(.parsingError, .malformedList(error))) }
        }
        guard let command = CommandAPDU.getProcessingOptions(filled) else {
            return finish(
                selectNext(
                    .parsingError,
                    .wrongData(.processingOptionsDataObjectList, "asks for more than a command can hold")))
        }
        processingOptionsData = filled
        state = .waitingForProcessingOptions
        underWay = command
        return .transmit(command)
    }

    /// S3.
    private mutating func processingOptions(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else {
            return finish(
                selectNext(
                    .statusBytes, .command("GET PROCESSING OPTIONS", status: response.status.rawValue)))
        }
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next() else {
                return finish(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
            }
            switch template.tag {
            case .responseMessageTemplateFormat2:
                if let reason = try store(
                    response.bytes, template.value, in: .responseMessageTemplateFormat2, depth: 0)
                {
                    return finish(invalid(.parsingError, reason))
                }
            case .responseMessageTemplateFormat1:
                // AIP and AFL: at least one entry, whole ones.
                guard template.value.count >= 6, (template.value.count - 2).isMultiple(of: 4),
                    !card.contains(.applicationInterchangeProfile), !card.contains(.applicationFileLocator)
                else {
                    return finish(invalid(.parsingError, .misplacedData(.responseMessageTemplateFormat1)))
                }
                let start = template.value.lowerBound
                card.set(.applicationInterchangeProfile, response.bytes.span.extracting(start..<(start + 2)))
                card.set(
                    .applicationFileLocator,
                    response.bytes.span.extracting((start + 2)..<template.value.upperBound))
            default: return finish(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
            }
        } catch { return finish(invalid(.parsingError, .malformedData(error))) }
        guard card.length(.applicationInterchangeProfile) == 2 else {
            return finish(invalid(.cardDataMissing, .missingData(.applicationInterchangeProfile)))
        }
        guard let length = card.length(.applicationFileLocator), length > 0 else {
            return finish(invalid(.cardDataMissing, .missingData(.applicationFileLocator)))
        }

        if interchangeProfile.contains(.emvMode), !configuration.contains(.emvModeNotSupported) {
            mode = .emv
            return startEMVMode()
        }
        guard !configuration.contains(.magStripeModeNotSupported) else {
            return finish(
                invalid(
                    .magStripeNotSupported, .notSupported("the card wants mag-stripe mode, the profile not")))
        }
        mode = .magStripe
        return startMagStripeMode()
    }

    /// The AFL that all early cards have: mag-stripe data, payment data, issuer's certificate, card's certificate.
    static let wellKnownLocator: [UInt8] = [
        0x08, 0x01, 0x01, 0x00, 0x10, 0x01, 0x01, 0x01, 0x18, 0x01, 0x02, 0x00, 0x20, 0x01, 0x02, 0x00,
    ]
    /// Card and reader do CDA.
    var doesCDA: Bool {
        interchangeProfile.contains(.combinedDataAuthentication)
            && (terminal.span(MChipConfiguration.securityCapability)?.first ?? 0) & 0x08 != 0
    }

    /// The well-known first entry of an AFL: the one record of mag-stripe mode.
    static let magStripeEntry: [UInt8] = [0x08, 0x01, 0x01, 0x00]

    private mutating func startEMVMode() -> KernelAction {
        // S3: the first record of cards that do both modes serves mag-stripe mode alone, and need not be read.
        var value = Array(card[.applicationFileLocator] ?? [])
        if value == Self.wellKnownLocator, !doesCDA, !storage.contains(.read),
            !configuration.contains(.readsAllRecordsWithoutCDA)
        {
            // Without CDA the last two files, which hold certificates and keys alone, need not be read.
            // Unconfirmed: that it is this AFL alone that "read all records even when no CDA" is about.
            value = Array(value[0..<8])
        }
        if value.starts(with: Self.magStripeEntry), !configuration.contains(.magStripeModeNotSupported) {
            value.removeFirst(4)
        }
        // S3.32, S3R1.5: nothing to read is an error of the card.
        do throws(DataFormatError) {
            locator = try ApplicationFileLocator(value)
        } catch { return finish(invalid(.cardDataError, .malformedList(error))) }
        if interchangeProfile.contains(.relayResistanceProtocol),
            configuration.contains(.relayResistanceProtocol)
        {
            // S3.61: the entropy is a new number. The one before may have been told to the card with the PDOL, ahead of the
            // exchange that is timed.
            state = .drawingEntropy
            return .drawUnpredictableNumber
        }
        // S3.65.
        results.insert(.relayResistanceNotPerformed)
        return readFirst()
    }

    /// S3.70 to S3.74.
    private mutating func startMagStripeMode() -> KernelAction {
        var value = Array(card[.applicationFileLocator] ?? [])
        if value.starts(with: Self.magStripeEntry) { value = Self.magStripeEntry }
        let active: ApplicationFileLocator
        do throws(DataFormatError) {
            active = try ApplicationFileLocator(value)
        } catch { return finish(invalid(.cardDataError, .malformedList(error))) }
        locator = active
        position = active.entries.first.map { (0, $0.firstRecord) }
        return readNext()
    }

    // MARK: - S3R1, S4, S5, S7: READ RECORD

    /// S3R1: the records, after what came with GET PROCESSING OPTIONS.
    mutating func readFirst() -> KernelAction {
        readDataStorage()
        moveKnownTagsToRead()
        usesCDA = doesCDA || storage.contains(.read)
        if !usesCDA { results.insert(.offlineDataAuthenticationNotPerformed) }
        position = locator?.entries.first.map { (0, $0.firstRecord) }
        return readNext()
    }

    /// What is read next: data that the terminal wants, records, or nothing any more.
    mutating func readNext() -> KernelAction {
        if mode == .emv, let tag = nextTagForGetData() { return getData(tag) }
        guard let locator, let (entry, record) = position, entry < locator.entries.count else {
            return allRead()
        }
        let current = locator.entries[entry]
        reading = (current.sfi, record < current.firstRecord + current.authenticatedRecords)
        if record < current.lastRecord {
            position = (entry, record + 1)
        } else if entry + 1 < locator.entries.count {
            position = (entry + 1, locator.entries[entry + 1].firstRecord)
        } else {
            position = nil
        }
        moveKnownTagsToRead()
        return transmit(
            .readRecord(record, of: current.sfi), .waitingForRecord)
    }

    private mutating func recordRead(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else {
            return finish(
                invalid(.statusBytes, .command("READ RECORD", status: response.status.rawValue)))
        }
        let hadList = card.contains(.cardRiskManagementDataObjectList1)
        let hadStorageList = card.contains(.dsdol)
        let hadUDOL = card.contains(.udol)
        do {
            if reading.sfi <= 10 {
                var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
                guard let template = try reader.next(), template.tag == .readRecordResponseMessageTemplate,
                    template.whole == response.dataRange
                else {
                    return finish(invalid(.parsingError, .missingData(.readRecordResponseMessageTemplate)))
                }
                if let reason = try store(
                    response.bytes, template.value, in: .readRecordResponseMessageTemplate, depth: 0)
                {
                    return finish(invalid(.parsingError, reason))
                }
                if reading.isSigned { sign(response.bytes[template.value]) }
            } else if reading.isSigned {
                // Files 11 to 30 take part in the signature as they are, in their template (EMV Book 3, 10.3).
                if response.data.first == 0x70 {
                    sign(response.data)
                } else {
                    results.insert(.combinedDataAuthenticationFailed)
                }
            }
        } catch { return finish(invalid(.parsingError, .malformedData(error))) }
        // S4.28 to S4.33, S7.14.
        if !hadList { needMissing(of: .cardRiskManagementDataObjectList1) }
        if !hadStorageList { needDataStorageInput() }
        if mode == .magStripe, !hadUDOL { needMissing(of: .udol) }
        return readNext()
    }

    /// Adds to the static data to be authenticated, 2048 bytes at most (S4.35).
    private mutating func sign(_ bytes: ArraySlice<UInt8>) {
        guard mode == .emv, usesCDA else { return }
        guard staticData.count + bytes.count <= 2048 else {
            results.insert(.combinedDataAuthenticationFailed)
            return
        }
        staticData.append(contentsOf: bytes)
    }

    /// S456, S78: all was read.
    mutating func allRead() -> KernelAction {
        if waitsForFirstWrite() {
            moveKnownTagsToRead()
            return wait(.waitingForFirstWrite)
        }
        return mode == .emv ? prepareCryptogram() : prepareChecksum()
    }

    // MARK: - Data from the card

    /// Keeps the data objects of a template, looking into templates inside (ParseAndStoreCardResponse, 4.7).
    /// - Returns: what is wrong: a data object that is there already, belongs to the terminal, or has a length or template that
    ///   the dictionary does not know.
    mutating func store(
        _ bytes: [UInt8], _ range: Range<Int>, in template: Tag, depth: Int
    ) throws(BERTLVError) -> EndReason? {
        let templates = MChipDictionary.Templates(template)
        var reader = BERTLVReader(bytes.span, in: range)
        while let element = try reader.next() {
            let tag = element.tag
            switch MChipDictionary.acceptance(tag, length: element.value.count, in: templates) {
            case .refused: return .misplacedData(tag)
            case .stored where tag.isConstructed:
                guard depth < 6 else { return .misplacedData(tag) }
                if let reason = try store(bytes, element.value, in: tag, depth: depth + 1) { return reason }
            case .stored:
                // A data object that came before, with a value, may not come again; what the kernel only hands on may.
                if let length = card.length(tag), length > 0 {
                    if MChipDictionary.isTold(tag) { continue }
                    return .repeatedData(tag)
                }
                card.set(tag, bytes.span.extracting(element.value))
            case .passedOver where tag.isConstructed && !MChipDictionary.knows(tag):
                guard depth < 6 else { return .misplacedData(tag) }
                if let reason = try store(bytes, element.value, in: tag, depth: depth + 1) { return reason }
            case .passedOver:
                // A tag of the configuration's own: the card gives its value where it has none yet, and may not give another.
                guard isConfigured(tag) else { continue }
                guard isEmpty(tag) else { return .misplacedData(tag) }
                terminal.set(tag, bytes.span.extracting(element.value))
            }
        }
        return nil
    }

    /// A tag that the dictionary does not know and the combination's configuration has: present in the TLV database, so that
    /// card and terminal may give it a value (ParseAndStoreCardResponse, UpdateWithDetData).
    func isConfigured(_ tag: Tag) -> Bool {
        activation.combination.kernelData.contains(tag) && !MChipDictionary.knows(tag)
    }
}
