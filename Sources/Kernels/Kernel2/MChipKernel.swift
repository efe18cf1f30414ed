import BERTLV
public import EMV
public import SmartCard

/// Kernel 2: Mastercard's contactless applications (Book C-2), EMV mode and mag-stripe mode.
///
/// States carry the numbers of Book C-2. Not there yet: data storage (IDS, SDS) and data exchange with the terminal.
public struct MChipKernel: Kernel {
    enum State: Sendable {
        case idle
        /// S3: GET PROCESSING OPTIONS was sent.
        case waitingForProcessingOptions
        /// SR1: EXCHANGE RELAY RESISTANCE DATA was sent.
        case waitingForRelayResistance
        /// SR1: a new entropy is drawn for the next round.
        case drawingEntropy
        /// S4 (EMV mode) and S7 (mag-stripe mode): READ RECORD was sent.
        case waitingForRecord
        /// S16: GET DATA for the balance before GENERATE AC was sent.
        case waitingForBalanceBefore
        /// S9, and S11 after a RECOVER AC that failed: the first GENERATE AC was sent.
        case waitingForCryptogram
        /// S10: RECOVER AC was sent.
        case waitingForRecovery
        /// S17: GET DATA for the balance after GENERATE AC, whose answer waits here, was sent.
        indirect case waitingForBalanceAfter(ResponseAPDU)
        /// S13 and S14: COMPUTE CRYPTOGRAPHIC CHECKSUM was sent.
        case waitingForChecksum
        /// S910: the customer is told that the card was read, before the outcome.
        case cardReadShown(Outcome)
        case finished(Outcome)
    }
    enum Mode: Sendable { case emv, magStripe }

    let activation: KernelActivation
    var state = State.idle
    /// What the terminal knows; a card cannot change it.
    var terminal: DataObjects
    /// What the card gave.
    var card = DataObjects(reservingObjects: 48, bytes: 1536)
    var mode = Mode.emv
    var results: TerminalVerificationResults = []
    var locator: ApplicationFileLocator?
    var entry = 0
    var record: UInt8 = 0
    /// Static data to be authenticated, as records were read.
    var staticData: [UInt8] = []
    /// The card does CDA and the reader may ask for it (ODA Status).
    var usesCDA = false
    /// CDA was asked for in GENERATE AC.
    var requestedCDA = false
    /// P1 bits 8-7 of GENERATE AC.
    var requestedType = CryptogramInformationData.CryptogramType.aac
    /// Data sent with GET PROCESSING OPTIONS and GENERATE AC: the signature covers them.
    var processingOptionsData: [UInt8] = []
    var cryptogramData: [UInt8] = []
    var method = Outcome.CVM.notApplicable
    var relay = RelayResistance()
    /// Torn Transaction Log.
    var torn: TornTransactionLog
    /// TempTornRecord: the one that RECOVER AC is about, or that it could not recover.
    var recovering: DataObjects?
    /// The record that left the log, for the Discretionary Data.
    var tornOut: DataObjects?
    /// DRDOL Related Data of this tap's GENERATE AC.
    var recoveryData: [UInt8] = []
    var balanceAfterWasRead = false

    public init(_ activation: KernelActivation) {
        self.activation = activation
        torn = TornTransactionLog(activation.restartData)
        terminal = MChipConfiguration.defaults
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
        let inputs = activation.transaction
        terminal.set(0x9F02, bcd: inputs.amount.minorUnits, count: 6)
        terminal.set(0x9F03, bcd: inputs.amountOther.minorUnits, count: 6)
        terminal.set(0x5F2A, bcd: UInt64(inputs.currency.value), count: 2)
        terminal.set(0x5F36, bcd: UInt64(inputs.currencyExponent), count: 1)
        terminal.set(0x9A, bcd: UInt64(inputs.date.yymmdd), count: 3)
        terminal.set(0x9F21, bcd: UInt64(max(0, inputs.hhmmss)), count: 3)
        terminal.set(0x9C, number: UInt64(inputs.transactionType), count: 1)
        terminal.set(0x9F37, number: UInt64(activation.unpredictableNumber), count: 4)
        terminal.set(0x9F41, bcd: UInt64(inputs.sequenceCounter), count: 4)
    }

    var configuration: MChipKernelConfiguration {
        MChipKernelConfiguration(rawValue: terminal.span(MChipConfiguration.kernelConfiguration)?.first ?? 0)
    }
    var interchangeProfile: ApplicationInterchangeProfile {
        ApplicationInterchangeProfile(rawValue: UInt16(truncatingIfNeeded: card.number(0x82) ?? 0))
    }
    /// Both the device and this kernel do on-device cardholder verification.
    var verifiesOnDevice: Bool {
        interchangeProfile.contains(.onDeviceCardholderVerification)
            && configuration.contains(.onDeviceCardholderVerification)
    }

    // MARK: - Kernel

    public mutating func start() -> KernelAction {
        let response = activation.selectResponse
        do {
            guard let fci = try BERTLVReader.first(0x6F, in: response.bytes.span, range: response.dataRange)
            else { return finish(selectNext(.parsingError)) }
            guard try store(response.bytes, fci.value, depth: 0) else {
                return finish(selectNext(.parsingError))
            }
        } catch { return finish(selectNext(.parsingError)) }
        return getProcessingOptions()
    }

    public mutating func handle(_ event: KernelEvent) -> KernelAction {
        switch event {
        case .response(let response, let microseconds):
            switch state {
            case .waitingForProcessingOptions: return processingOptions(response)
            case .waitingForRelayResistance: return relayResistanceData(response, microseconds)
            case .waitingForRecord: return recordRead(response)
            case .waitingForBalanceBefore:
                keepBalance(response, 0xDF8104)
                return recover() ?? generateCryptogram()
            case .waitingForRecovery: return recovered(response)
            case .waitingForCryptogram: return cryptogram(response)
            case .waitingForBalanceAfter(let generated):
                keepBalance(response, 0xDF8105)
                return cryptogram(generated)
            case .waitingForChecksum: return checksum(response)
            default: break
            }
        case .unpredictableNumber(let number):
            if case .drawingEntropy = state {
                terminal.set(0x9F37, number: UInt64(number), count: 4)
                return exchangeRelayResistanceData()
            }
        case .done:
            if case .cardReadShown(let outcome) = state { return finish(outcome) }
        case .communicationError(let error):
            switch state {
            case .finished: break
            // S14: the phone may have answered a mag-stripe command that got lost; as all others.
            case .waitingForBalanceAfter(let generated):
                // The cryptogram is here: a balance that cannot be read changes nothing (S17).
                keepBalance(nil, 0xDF8105)
                return cryptogram(generated)
            default: return tear(error)
            }
        case .stop:
            if case .finished = state { break }
            return finish(outcome(.endApplication, errors: errorIndication(.ok, l3: 0x02)))
        default: break
        }
        if case .finished(let outcome) = state { return .outcome(outcome) }
        return finish(invalid(.cardDataError))
    }

    mutating func finish(_ outcome: Outcome) -> KernelAction {
        state = .finished(outcome)
        return .outcome(outcome)
    }

    // MARK: - S1 to S3: GET PROCESSING OPTIONS

    private mutating func getProcessingOptions() -> KernelAction {
        var filled: [UInt8] = []
        if let list = card[0x9F38] {
            let raw = Array(list)
            do {
                try DataObjectList.fill(raw.span, name: 0x9F38, from: terminal, into: &filled)
            } catch { return finish(selectNext(.parsingError)) }
        }
        // Template 83 must fit a short command: contactless readers send no extended ones (Book D).
        guard filled.count <= 252 else { return finish(selectNext(.parsingError)) }
        processingOptionsData = filled
        var data: [UInt8] = [0x83]
        BERTLVWriter.append(length: filled.count, to: &data)
        data.append(contentsOf: filled)
        state = .waitingForProcessingOptions
        return .transmit(CommandAPDU(cla: 0x80, ins: 0xA8, p1: 0, p2: 0, data: data))
    }

    /// S3.
    private mutating func processingOptions(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else { return finish(selectNext(.statusBytes, response.status)) }
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next() else { return finish(selectNext(.parsingError)) }
            switch template.tag {
            case 0x77:
                guard try store(response.bytes, template.value, depth: 0) else {
                    return finish(selectNext(.parsingError))
                }
            case 0x80:
                // AIP and AFL: at least one entry, whole ones.
                guard template.value.count >= 6, (template.value.count - 2).isMultiple(of: 4),
                    !card.contains(0x82), !card.contains(0x94)
                else { return finish(selectNext(.parsingError)) }
                let start = template.value.lowerBound
                card.set(0x82, response.bytes[start..<(start + 2)])
                card.set(0x94, response.bytes[(start + 2)..<template.value.upperBound])
            default: return finish(selectNext(.parsingError))
            }
        } catch { return finish(selectNext(.parsingError)) }
        guard card.length(0x82) == 2, let length = card.length(0x94), length > 0 else {
            return finish(selectNext(.cardDataMissing))
        }

        if interchangeProfile.contains(.emvMode), !configuration.contains(.emvModeNotSupported) {
            mode = .emv
            return startEMVMode()
        }
        guard !configuration.contains(.magStripeModeNotSupported) else {
            return finish(selectNext(.magStripeNotSupported))
        }
        mode = .magStripe
        guard let whole = try? ApplicationFileLocator(card[0x94] ?? []) else {
            return finish(invalid(.cardDataError))
        }
        locator = whole
        return readFirst()
    }

    private mutating func startEMVMode() -> KernelAction {
        usesCDA =
            interchangeProfile.contains(.combinedDataAuthentication)
            && (terminal.span(MChipConfiguration.securityCapability)?.first ?? 0) & 0x08 != 0
        if !usesCDA { results.insert(.offlineDataAuthenticationNotPerformed) }

        // S3: the first record of cards that do both modes serves mag-stripe mode alone, and need not be read.
        var value = Array(card[0x94] ?? [])
        if value.count > 4, value.starts(with: [0x08, 0x01, 0x01, 0x00]),
            !configuration.contains(.magStripeModeNotSupported)
        {
            value.removeFirst(4)
        }
        guard let active = try? ApplicationFileLocator(value) else { return finish(invalid(.cardDataError)) }
        locator = active
        if interchangeProfile.contains(.relayResistanceProtocol),
            configuration.contains(.relayResistanceProtocol)
        {
            return exchangeRelayResistanceData()
        }
        // Unconfirmed: that the bits say "not performed" only where this kernel would have done it.
        if configuration.contains(.relayResistanceProtocol) { results.insert(.relayResistanceNotPerformed) }
        return readFirst()
    }

    // MARK: - S4, S7: READ RECORD

    mutating func readFirst() -> KernelAction {
        guard let first = locator?.entries.first else { return allRead() }
        return read(0, first.firstRecord)
    }

    private mutating func read(_ entry: Int, _ record: UInt8) -> KernelAction {
        guard let locator, entry < locator.entries.count else { return allRead() }
        self.entry = entry
        self.record = record
        state = .waitingForRecord
        return .transmit(
            CommandAPDU(cla: 0x00, ins: 0xB2, p1: record, p2: locator.entries[entry].sfi << 3 | 0x04))
    }

    private mutating func recordRead(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else { return finish(invalid(.statusBytes, response.status)) }
        guard let locator, entry < locator.entries.count else { return allRead() }
        let current = locator.entries[entry]
        do {
            if current.sfi <= 10 {
                var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
                guard let template = try reader.next(), template.tag == 0x70,
                    template.whole == response.dataRange, try store(response.bytes, template.value, depth: 0)
                else { return finish(invalid(.parsingError)) }
                if mode == .emv, record < current.firstRecord + current.authenticatedRecords {
                    staticData.append(contentsOf: response.bytes[template.value])
                }
            } else if mode == .emv, record < current.firstRecord + current.authenticatedRecords {
                staticData.append(contentsOf: response.data)
            }
        } catch { return finish(invalid(.parsingError)) }
        if record < current.lastRecord { return read(entry, record + 1) }
        if entry + 1 < locator.entries.count {
            return read(entry + 1, locator.entries[entry + 1].firstRecord)
        }
        return allRead()
    }

    private mutating func allRead() -> KernelAction {
        mode == .emv ? prepareCryptogram() : prepareChecksum()
    }

    // MARK: - Data from the card

    /// Tags that only the terminal sets: a card that gives one is wrong (Book C-2, 4.1.7: update conditions without
    /// RA). Unconfirmed: that every one of them is an error and none is passed over.
    static func belongsToTerminal(_ tag: Tag) -> Bool {
        switch tag.rawValue {
        case 0x9F02, 0x9F03, 0x5F2A, 0x5F36, 0x9A, 0x9F21, 0x9C, 0x9F37, 0x9F41, 0x9F1A, 0x9F33, 0x9F35,
            0x9F40,
            0x95, 0x9B, 0x9F34, 0x9F09, 0x9F1E, 0x9F15, 0x9F16, 0x9F1C, 0x9F4E, 0x9F01, 0x9F6D, 0x9F7E:
            true
        default: (0xDF8104...0xDF8137).contains(tag.rawValue)
        }
    }

    /// Keeps the data objects of a template, looking into templates inside.
    /// - Returns: false for a data object that is there already or belongs to the terminal.
    mutating func store(_ bytes: [UInt8], _ range: Range<Int>, depth: Int) throws(BERTLVError) -> Bool {
        guard depth < 6 else { return false }
        var reader = BERTLVReader(bytes.span, in: range)
        while let element = try reader.next() {
            if element.tag.isConstructed {
                guard try store(bytes, element.value, depth: depth + 1) else { return false }
                continue
            }
            if Self.belongsToTerminal(element.tag) { return false }
            // A data object that came before, with a value, may not come again; 84 comes with each SELECT.
            if let length = card.length(element.tag), length > 0 { return false }
            card.set(element.tag, bytes[element.value])
        }
        return true
    }
}
