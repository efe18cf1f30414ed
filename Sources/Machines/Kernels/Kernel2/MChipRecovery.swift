import BERTLV
import EMV
import SmartCard

/// Torn transactions (Book C-2, 3.7, states S9, S10 and S11): the record kept when GENERATE AC got no answer, and
/// RECOVER AC at the next tap of that card.
extension MChipKernel {
    /// Terminal data of a Torn Record (Annex A.1, Torn Record): restored when the cryptogram over them is recovered.
    static let tornTerminalTags: [Tag] = [
        .amountAuthorisedNumeric, .amountOtherNumeric, .cvmResults, .interfaceDeviceSerialNumber,
        .terminalCapabilities, .terminalCountryCode, .terminalType, .terminalVerificationResults,
        .transactionCategoryCode, .transactionCurrencyCode, .transactionDate, .transactionTime,
        .transactionType,
        .unpredictableNumber, .balanceReadBeforeGenAC,
    ]

    /// Max Number of Torn Transaction Log Records, DF811D; 0: this kernel recovers nothing.
    var tornRecordLimit: Int { Int(terminal.number(MChipConfiguration.maximumTornRecords) ?? 0) }
    /// The card does RECOVER AC (it has a DRDOL, 9F51) and so does this kernel.
    var recoversTornTransactions: Bool { tornRecordLimit > 0 && (card.length(.drdol) ?? 0) > 0 }

    /// S456: RECOVER AC where the log has this card, else nil.
    mutating func recover() -> KernelAction? {
        guard recoversTornTransactions, let record = torn.find(card: card, terminal: terminal),
            let data = record[.drdolRelatedData], data.count <= 255
        else { return nil }
        recovering = record
        return transmit(
            .recoverCryptogram(Array(data)), .waitingForRecovery)
    }

    /// S10.
    mutating func recovered(_ response: ResponseAPDU) -> KernelAction {
        // The card never saw that GENERATE AC, or has gone on since: a new one (S11).
        guard response.isSuccess, let record = recovering else { return generateCryptogram() }
        recovering = nil
        torn.remove(record)
        // What the record has not stays as it is.
        for tag in Self.tornTerminalTags { terminal.set(tag, from: record) }
        results = TerminalVerificationResults(rawValue: record.number(.terminalVerificationResults) ?? 0)
        processingOptionsData = Self.withoutCommandTemplate(record[.pdolRelatedData].map { Array($0) } ?? [])
        cryptogramData = record[.cdol1RelatedData].map { Array($0) } ?? []
        let parameter = record.span(.referenceControlParameter)?.first ?? 0
        requestedType = .init(rawValue: parameter >> 6) ?? .aac
        requestedCDA = parameter & 0x10 != 0
        storage = DataStorageStatus(rawValue: record.span(.idsStatus)?.first ?? 0)
        if let summary = record[.dsSummary1] { card.set(.dsSummary1, summary) }
        relay = RelayResistance(record)
        switch (record.span(.cvmResults)?.first ?? 0x3F) & 0x3F {
        case 0x01: method = .confirmationCodeVerified
        case 0x02: method = .onlinePIN
        case 0x1E: method = .signature
        default: method = .noCVM
        }
        // S10.12: RECOVER AC answers in template 77 alone.
        guard response.data.first == 0x77 else {
            return finish(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
        }
        return cryptogram(response)
    }

    /// S9, S10 and S11 without an answer: the record is kept for the next tap.
    mutating func keepTornRecord() {
        switch state {
        // S10.1: the log stays as it was.
        case .waitingForRecovery: recovering = nil
        case .waitingForCryptogram where recoversTornTransactions:
            // S11.11, S11.12: the record of this GENERATE AC takes the place of the one that could not be recovered, unless the
            // card may hold what that one wrote: then it comes beside it.
            if let older = recovering, !Self.wrote(older) { torn.remove(older) }
            recovering = nil
            tornOut = torn.add(tornRecord(), limit: tornRecordLimit)
        default: break
        }
    }

    /// IDS Status of a Torn Record: data storage was being written.
    static func wrote(_ record: DataObjects) -> Bool {
        DataStorageStatus(rawValue: record.span(.idsStatus)?.first ?? 0).contains(.write)
    }

    /// PDOL Related Data without the template 83 of the command.
    static func withoutCommandTemplate(_ data: [UInt8]) -> [UInt8] {
        var reader = BERTLVReader(data.span, in: 0..<data.count)
        guard let template = try? reader.next(), template.tag == .commandTemplate,
            template.whole == 0..<data.count
        else {
            return data
        }
        return Array(data[template.value])
    }

    private func tornRecord() -> DataObjects {
        var record = DataObjects(reservingObjects: 32, bytes: 320)
        for tag: Tag in [.applicationPAN, .applicationPANSequenceNumber, .dsSummary1] {
            record.set(tag, from: card)
        }
        for tag in Self.tornTerminalTags {
            record.set(tag, from: terminal)
        }
        // DRDOL Related Data (S9.11).
        let list = Array(card[.drdol] ?? [])
        var recoveryData: [UInt8] = []
        try? DataObjectList.fill(list.span, name: .drdol, from: terminal, card, into: &recoveryData)
        record.set(.cdol1RelatedData, cryptogramData)
        // The data field of GET PROCESSING OPTIONS with its template 83.
        var options: [UInt8] = [0x83]
        BERTLVWriter.append(length: processingOptionsData.count, to: &options)
        record.set(.pdolRelatedData, options + processingOptionsData)
        record.set(.drdolRelatedData, recoveryData)
        record.set(.referenceControlParameter, [requestedType.rawValue << 6 | (requestedCDA ? 0x10 : 0)])
        record.set(.idsStatus, [storage.rawValue])
        if relay.device != nil {
            record.set(.terminalRelayResistanceEntropy, terminal[.unpredictableNumber] ?? [])
        }
        relay.store(in: &record)
        return record
    }

    // MARK: - S16, S17: balance reading (Book C-2, 7.1 and 7.3)

    /// The card has a balance to read (Application Capabilities Information 9F5D) and the terminal wants it: `tag`
    /// (DF8104 or DF8105) is there.
    private func wantsBalance(_ tag: Tag) -> Bool {
        terminal.contains(tag) && capabilities?.supportsBalanceReading == true
    }

    /// GET DATA for the Offline Accumulator Balance (9F50) before GENERATE AC; nil where none is wanted.
    mutating func readBalanceBefore() -> KernelAction? {
        guard wantsBalance(.balanceReadBeforeGenAC) else { return nil }
        return transmit(
            .getData(.offlineAccumulatorBalance), .waitingForBalanceBefore)
    }

    /// The same after the answer to GENERATE AC, which is looked at afterwards.
    mutating func readBalanceAfter(_ response: ResponseAPDU) -> KernelAction? {
        guard !balanceAfterWasRead, response.isSuccess, wantsBalance(.balanceReadAfterGenAC) else {
            return nil
        }
        balanceAfterWasRead = true
        state = .waitingForBalanceAfter(response)
        let command = CommandAPDU.getData(.offlineAccumulatorBalance)
        underWay = command
        return .transmit(command)
    }

    /// Keeps the balance (n 12); an answer of any other form means that there is none.
    mutating func keepBalance(_ response: ResponseAPDU?, _ tag: Tag) {
        terminal.set(tag, [])
        guard let response, response.isSuccess else { return }
        var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
        guard let element = try? reader.next(), element.tag == .offlineAccumulatorBalance,
            element.whole == response.dataRange,
            element.value.count == 6
        else { return }
        terminal.set(tag, response.bytes[element.value])
    }

    /// What the customer has left, for the message of an approval.
    func showBalance(in request: inout UserInterfaceRequest) {
        guard terminal.length(.balanceReadAfterGenAC) == 6,
            let amount = terminal.decimal(.balanceReadAfterGenAC).flatMap({ Amount(minorUnits: $0) })
        else { return }
        request.valueQualifier = .balance
        request.value = amount
        // S910.75: also where the card does not name its currency.
        request.currency = card.decimal(.applicationCurrencyCode).flatMap { NumericCode($0) }
    }
}
