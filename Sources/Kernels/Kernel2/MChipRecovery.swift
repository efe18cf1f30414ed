import BERTLV
import EMV
import SmartCard

/// Torn transactions (Book C-2, 3.7, states S9, S10 and S11): the record kept when GENERATE AC got no answer, and
/// RECOVER AC at the next tap of that card.
extension MChipKernel {
    /// Terminal data of a Torn Record (Annex A.1, Torn Record): restored when the cryptogram over them is recovered.
    static let tornTerminalTags: [Tag] = [
        0x9F02, 0x9F03, 0x9F34, 0x9F1E, 0x9F33, 0x9F1A, 0x9F35, 0x95, 0x9F53, 0x5F2A, 0x9A, 0x9F21, 0x9C,
        0x9F37, 0xDF8104,
    ]

    /// Max Number of Torn Transaction Log Records, DF811D; 0: this kernel recovers nothing.
    var tornRecordLimit: Int { Int(terminal.number(MChipConfiguration.maximumTornRecords) ?? 0) }
    /// The card does RECOVER AC (it has a DRDOL, 9F51) and so does this kernel.
    var recoversTornTransactions: Bool { tornRecordLimit > 0 && (card.length(0x9F51) ?? 0) > 0 }

    /// S456: RECOVER AC where the log has this card, else nil.
    mutating func recover() -> KernelAction? {
        guard recoversTornTransactions, let record = torn.find(card: card, terminal: terminal),
            let data = record[0xDF8113], data.count <= 255
        else { return nil }
        recovering = record
        return transmit(
            CommandAPDU(cla: 0x80, ins: 0xD0, p1: 0, p2: 0, data: Array(data)), .waitingForRecovery)
    }

    /// S10.
    mutating func recovered(_ response: ResponseAPDU) -> KernelAction {
        // The card never saw that GENERATE AC, or has gone on since: a new one (S11).
        guard response.isSuccess, let record = recovering else { return generateCryptogram() }
        recovering = nil
        torn.remove(record)
        // What the record has not stays as it is.
        for tag in Self.tornTerminalTags { terminal.set(tag, from: record) }
        results = TerminalVerificationResults(rawValue: record.number(0x95) ?? 0)
        processingOptionsData = Self.withoutCommandTemplate(record[0xDF8111].map { Array($0) } ?? [])
        cryptogramData = record[0xDF8107].map { Array($0) } ?? []
        let parameter = record.span(0xDF8114)?.first ?? 0
        requestedType = .init(rawValue: parameter >> 6) ?? .aac
        requestedCDA = parameter & 0x10 != 0
        storage = DataStorageStatus(rawValue: record.span(0xDF8128)?.first ?? 0)
        if let summary = record[0x9F7D] { card.set(0x9F7D, summary) }
        relay = RelayResistance(record)
        switch (record.span(0x9F34)?.first ?? 0x3F) & 0x3F {
        case 0x01: method = .confirmationCodeVerified
        case 0x02: method = .onlinePIN
        case 0x1E: method = .signature
        default: method = .noCVM
        }
        // S10.12: RECOVER AC answers in template 77 alone.
        guard response.data.first == 0x77 else {
            return finish(invalid(.parsingError, .missingData(0x77)))
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
        DataStorageStatus(rawValue: record.span(0xDF8128)?.first ?? 0).contains(.write)
    }

    /// PDOL Related Data without the template 83 of the command.
    static func withoutCommandTemplate(_ data: [UInt8]) -> [UInt8] {
        var reader = BERTLVReader(data.span, in: 0..<data.count)
        guard let template = try? reader.next(), template.tag == 0x83, template.whole == 0..<data.count else {
            return data
        }
        return Array(data[template.value])
    }

    private func tornRecord() -> DataObjects {
        var record = DataObjects(reservingObjects: 32, bytes: 320)
        for tag: Tag in [0x5A, 0x5F34, 0x9F7D] {
            record.set(tag, from: card)
        }
        for tag in Self.tornTerminalTags {
            record.set(tag, from: terminal)
        }
        // DRDOL Related Data (S9.11).
        let list = Array(card[0x9F51] ?? [])
        var recoveryData: [UInt8] = []
        try? DataObjectList.fill(list.span, name: 0x9F51, from: terminal, card, into: &recoveryData)
        record.set(0xDF8107, cryptogramData)
        // The data field of GET PROCESSING OPTIONS with its template 83.
        var options: [UInt8] = [0x83]
        BERTLVWriter.append(length: processingOptionsData.count, to: &options)
        record.set(0xDF8111, options + processingOptionsData)
        record.set(0xDF8113, recoveryData)
        record.set(0xDF8114, [requestedType.rawValue << 6 | (requestedCDA ? 0x10 : 0)])
        record.set(0xDF8128, [storage.rawValue])
        if relay.device != nil { record.set(0xDF8301, terminal[0x9F37] ?? []) }
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
        guard wantsBalance(0xDF8104) else { return nil }
        return transmit(
            CommandAPDU(cla: 0x80, ins: 0xCA, p1: 0x9F, p2: 0x50), .waitingForBalanceBefore)
    }

    /// The same after the answer to GENERATE AC, which is looked at afterwards.
    mutating func readBalanceAfter(_ response: ResponseAPDU) -> KernelAction? {
        guard !balanceAfterWasRead, response.isSuccess, wantsBalance(0xDF8105) else { return nil }
        balanceAfterWasRead = true
        state = .waitingForBalanceAfter(response)
        let command = CommandAPDU(cla: 0x80, ins: 0xCA, p1: 0x9F, p2: 0x50)
        underWay = command
        return .transmit(command)
    }

    /// Keeps the balance (n 12); an answer of any other form means that there is none.
    mutating func keepBalance(_ response: ResponseAPDU?, _ tag: Tag) {
        terminal.set(tag, [])
        guard let response, response.isSuccess else { return }
        var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
        guard let element = try? reader.next(), element.tag == 0x9F50, element.whole == response.dataRange,
            element.value.count == 6
        else { return }
        terminal.set(tag, response.bytes[element.value])
    }

    /// What the customer has left, for the message of an approval.
    func showBalance(in request: inout UserInterfaceRequest) {
        guard terminal.length(0xDF8105) == 6,
            let amount = terminal.decimal(0xDF8105).flatMap({ Amount(minorUnits: $0) })
        else { return }
        request.valueQualifier = .balance
        request.value = amount
        // S910.75: also where the card does not name its currency.
        request.currency = card.decimal(0x9F42).flatMap { NumericCode($0) }
    }
}
