import BERTLV
import EMV
import EMVCryptography
import SmartCard

/// The contactless Visa application (qVSDC path) as the card sees it: written from the card's side, so that
/// kernel and card do not share a misunderstanding in code.
///
/// Sources: EMV Contactless Book C-3 (what the reader may expect), EMV Book 3 (commands, files, cryptograms).
final class VisaApplication: CardApplication {
    enum Phase { case idle, selected, initiated }

    let personalisation: Personalisation
    private(set) var state: ApplicationState
    private var phase = Phase.idle
    /// The dynamic record of this transaction.
    private var dynamicResponse: [UInt8]?

    init(_ personalisation: Personalisation, state: ApplicationState) {
        self.personalisation = personalisation
        self.state = state
    }

    var identifier: [UInt8] { personalisation.profile.applicationIdentifier }
    var directoryEntry: [UInt8] { personalisation.directoryEntry }

    func reset() {
        phase = .idle
        dynamicResponse = nil
    }

    func select() -> [UInt8] {
        phase = .selected
        dynamicResponse = nil
        guard state.blocked else { return personalisation.selectResponse }
        // A blocked application gives its FCI with 6283 (EMV Book 1, 11.3.5).
        return personalisation.selectResponse.dropLast(2) + [UInt8](.fileInvalidated)
    }

    func process(_ command: CardCommand, device: DeviceState) -> [UInt8] {
        switch (command.cla, command.ins) {
        case (0x80, Instruction.getProcessingOptions): getProcessingOptions(command, device)
        case (0x00, Instruction.readRecord): readRecord(command)
        case (0x80, Instruction.getData): getData(command)
        case (0x00, Instruction.externalAuthenticate): externalAuthenticate(command)
        case (0x00, Instruction.getChallenge): getChallenge(command, device)
        case (0x84, Instruction.applicationBlock), (0x84, Instruction.applicationUnblock),
            (0x84, Instruction.cardBlock), (0x84, Instruction.pinChangeUnblock),
            (0x04, Instruction.putData), (0x04, Instruction.updateRecord):
            script(command, device)
        case (_, Instruction.getProcessingOptions), (_, Instruction.readRecord), (_, Instruction.getData),
            (_, Instruction.externalAuthenticate), (_, Instruction.getChallenge),
            (_, Instruction.applicationBlock), (_, Instruction.applicationUnblock),
            (_, Instruction.cardBlock), (_, Instruction.pinChangeUnblock), (_, Instruction.putData),
            (_, Instruction.updateRecord):
            [UInt8](.classNotSupported)
        default: [UInt8](.instructionNotSupported)
        }
    }

    // MARK: GET PROCESSING OPTIONS

    private func getProcessingOptions(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        let options = personalisation.options
        // Command data: tag 83, length, PDOL data (EMV Book 3, 6.5.8).
        var sent = command.data
        guard let tag = sent.popFirst(), var length = sent.popFirst() else { return [UInt8](.wrongLength) }
        guard tag == 0x83 else { return [UInt8](.wrongData) }
        if length == 0x81 {
            guard let long = sent.popFirst() else { return [UInt8](.wrongLength) }
            length = long
        }
        guard sent.count == Int(length) else { return [UInt8](.wrongLength) }
        guard phase == .selected, !state.blocked, sent.count == options.count,
            let qualifiers = field(options.qualifiers, 4, sent).map({
                TerminalTransactionQualifiers(rawValue: UInt32(truncatingIfNeeded: big($0)))
            }),
            // Mag-stripe mode is not supported.
            qualifiers.contains(.emvMode)
        else { return [UInt8](.conditionsNotSatisfied) }
        let counterLimit = personalisation.profile.risk.transactionCounterLimit
        guard state.transactionCounter < counterLimit, state.transactionCounter + 1 < counterLimit else {
            // The ATC comes to its end: the application is blocked for good, without a last cryptogram.
            state.transactionCounter = counterLimit
            state.blocked = true
            return [UInt8](.conditionsNotSatisfied)
        }
        let amount = field(options.amount, 6, sent).map(decimal) ?? 0
        if device.mustUnlock(amount: amount, verificationRequired: qualifiers.contains(.cvmRequired)) {
            device.asksToUnlock = true
            return [UInt8](.commandNotAllowed)
        }

        let currency = field(options.currency, 2, sent).map(decimal) ?? 0
        let risk = RiskManagement(
            qualifiers: qualifiers, transactionType: field(options.type, 1, sent)?.first ?? 0, amount: amount,
            currency: currency, risk: personalisation.profile.risk,
            verificationMethods: personalisation.profile.verificationMethods,
            cardCurrency: personalisation.profile.currency, cumulativeLimit: cumulativeLimit,
            consecutiveLimit: consecutiveLimit, cumulativeOffline: state.cumulativeOffline,
            consecutiveOffline: state.consecutiveOffline, goOnlineNextTime: state.goOnlineNextTime,
            pinTries: state.pinTries, consumerDeviceVerified: device.unlocked)
        state.transactionCounter += 1
        phase = .initiated
        switch risk.decide() {
        case .switchInterface:
            phase = .selected
            return [UInt8](.referenceDataInvalidated)
        case .cryptogram(let type, let card, let exceeded):
            device.finishPayment()
            return answer(
                type, card.union(baseQualifiers), exceeded: exceeded, sent: sent, qualifiers: qualifiers,
                amount: amount, device: device)
        }
    }

    /// Makes the cryptogram and, where wanted, the signature; updates counters and log.
    private func answer(
        _ type: CryptogramInformationData.CryptogramType, _ card: CardTransactionQualifiers, exceeded: Bool,
        sent: ArraySlice<UInt8>, qualifiers: TerminalTransactionQualifiers, amount: UInt64,
        device: DeviceState
    ) -> [UInt8] {
        let profile = personalisation.profile
        let options = personalisation.options
        let issuerData = issuerApplicationData(type, exceeded: exceeded)

        var input = CryptogramInput()
        func set(_ name: CryptogramInput.Field, _ offset: Int?) {
            if let value = field(offset, name.range.count, sent) { input.set(name, value.span) }
        }
        set(.amountAuthorised, options.amount)
        set(.amountOther, options.amountOther)
        set(.terminalCountryCode, options.country)
        set(.terminalVerificationResults, options.verificationResults)
        set(.transactionCurrencyCode, options.currency)
        set(.transactionDate, options.date)
        set(.transactionType, options.type)
        set(.unpredictableNumber, options.unpredictableNumber)
        input.set(.applicationInterchangeProfile, profile.interchangeProfile.rawValue.bytes)
        input.applicationTransactionCounter = state.transactionCounter
        let cryptogram = personalisation.keys.version.applicationCryptogram(
            masterKey: personalisation.keys.applicationCryptogram, input: input,
            issuerApplicationData: issuerData.span)

        if type == .tc {
            state.cumulativeOffline += amount
            state.consecutiveOffline = state.consecutiveOffline == 255 ? 255 : state.consecutiveOffline + 1
        }
        state.lastCryptogram = Hex.string(cryptogram.bytes)
        state.awaitsIssuer = type == .arqc
        state.lastAmount = amount
        let information = type.rawValue << 6
        let counter = state.transactionCounter.bytes
        log(sent, counter, information)

        let wantsSignature =
            profile.authentication.method != .none
            && (type == .tc || (type == .arqc && qualifiers.contains(.offlineDataAuthenticationForOnline)))
        var signature: [UInt8]?
        var related: [UInt8] = []
        if wantsSignature, let key = personalisation.cardKey {
            if profile.authentication.method == .fdda01 {
                // Card Authentication Related Data: version 01, card's unpredictable number, CTQ.
                related = [0x01] + device.randomBytes(4) + card.rawValue.bytes
            }
            signature = sign(key, type, sent, related, counter)
        }
        makeDynamicRecord(related, signature)

        var body = FaultyWriter(faults: personalisation.faults, reservingCapacity: 256)
        body.append(0x82, profile.interchangeProfile.rawValue.bytes)
        let locator = wantsSignature ? personalisation.locatorWithAuthentication : personalisation.locator
        if !locator.isEmpty { body.append(0x94, locator) }
        body.append(encoded: personalisation.fixedAnswer)
        body.append(0x9F10, issuerData)
        body.append(0x9F26, cryptogram.bytes)
        body.append(0x9F27, [information])
        body.append(0x9F36, counter)
        if let signature, personalisation.signatureInAnswer { body.append(0x9F4B, signature) }
        if profile.risk.reportsAvailableAmount { body.append(0x9F5D, availableAmount) }
        body.append(0x9F6C, card.rawValue.bytes)

        var response: [UInt8] = []
        response.reserveCapacity(body.bytes.count + 6)
        response.append(0x77)
        BERTLVWriter.append(length: body.bytes.count, to: &response)
        response += body.bytes
        response += [0x90, 0x00]
        return response
    }

    /// Issuer Application Data of formats 0, 1, 3: length, derivation key index, CVN, CVR.
    private func issuerApplicationData(
        _ type: CryptogramInformationData.CryptogramType, exceeded: Bool
    ) -> [UInt8] {
        let keys = personalisation.keys
        // CVR byte 2: second GENERATE AC not requested (10), then the type of this cryptogram.
        let second = 0x80 | type.rawValue << 4
        var third: UInt8 = 0
        if state.pinTries == 0 { third |= 0x40 }
        if exceeded { third |= 0x20 }
        if state.issuerAuthenticationFailed { third |= 0x08 }
        var fourth = min(state.scriptCommands, 15) << 4
        if state.scriptFailed { fourth |= 0x08 }
        return [
            0x06, personalisation.profile.cryptogram.derivationKeyIndex, keys.version.number, 0x03, second,
            third,
            fourth,
        ]
    }

    /// The fast DDA signature (Book C-3, Annex C): version 01 signs Unpredictable Number, amount, currency and
    /// Card Authentication Related Data; version 00 the Unpredictable Number alone. The ICC Dynamic Number is
    /// the ATC. Signed Data Format is 05 with a TC, 95 with an ARQC.
    private func sign(
        _ key: RSAPrivateKey, _ type: CryptogramInformationData.CryptogramType, _ sent: ArraySlice<UInt8>,
        _ related: [UInt8], _ counter: [UInt8]
    ) -> [UInt8]? {
        let options = personalisation.options
        let authentication = personalisation.profile.authentication
        var data = Array(field(options.unpredictableNumber, 4, sent) ?? [0, 0, 0, 0])
        if authentication.method == .fdda01 {
            data += field(options.amount, 6, sent) ?? [0, 0, 0, 0, 0, 0]
            data += field(options.currency, 2, sent) ?? [0, 0]
            data += related
        }
        let signature = try? CertificateMaking.signedDynamicApplicationData(
            signedBy: key, iccDynamicNumber: counter, terminalDynamicData: data.span,
            format: type == .tc ? 0x05 : 0x95)
        return signature.map { Personalisation.spoilt($0, authentication, .signature) }
    }

    private func makeDynamicRecord(_ related: [UInt8], _ signature: [UInt8]?) {
        dynamicResponse = nil
        guard let record = personalisation.dynamicRecord else { return }
        var content = FaultyWriter(
            faults: personalisation.faults, reservingCapacity: record.fixed.count + 256)
        content.append(encoded: record.fixed)
        if !related.isEmpty { content.append(0x9F69, related) }
        if let signature, !personalisation.signatureInAnswer { content.append(0x9F4B, signature) }
        var response: [UInt8] = [0x70]
        BERTLVWriter.append(length: content.bytes.count, to: &response)
        response += content.bytes
        response += [0x90, 0x00]
        dynamicResponse = response
    }

    // MARK: Files and data

    private func readRecord(_ command: CardCommand) -> [UInt8] {
        guard command.data.isEmpty else { return [UInt8](.wrongLength) }
        guard command.p2 & 0x07 == 0x04 else { return [UInt8](.incorrectParameters) }
        let sfi = command.p2 >> 3
        let number = command.p1
        if sfi == TransactionLog.fileIdentifier, phase != .idle {
            guard number >= 1, Int(number) <= state.log.count,
                let entry = Hex.bytes(state.log[Int(number) - 1])
            else { return [UInt8](.recordNotFound) }
            return entry + [0x90, 0x00]
        }
        guard phase == .initiated else { return [UInt8](.conditionsNotSatisfied) }
        if !state.changedRecords.isEmpty, let text = state.changedRecords["\(sfi).\(number)"],
            let changed = Hex.bytes(text)
        {
            return changed + [0x90, 0x00]
        }
        let records = personalisation.records
        var fileExists = false
        for index in records.indices where records[index].sfi == sfi {
            fileExists = true
            guard records[index].number == number else { continue }
            if index == personalisation.dynamicRecord?.index, let dynamicResponse { return dynamicResponse }
            return records[index].response
        }
        return [UInt8](fileExists ? .recordNotFound : .fileNotFound)
    }

    private func getData(_ command: CardCommand) -> [UInt8] {
        guard command.data.isEmpty else { return [UInt8](.wrongLength) }
        guard phase != .idle else { return [UInt8](.conditionsNotSatisfied) }
        let tag = Tag(UInt32(command.p1) << 8 | UInt32(command.p2))
        let value: [UInt8]
        switch tag.rawValue {
        case 0x9F36: value = state.transactionCounter.bytes
        case 0x9F13: value = state.lastOnlineCounter.bytes
        case 0x9F17: value = [state.pinTries]
        case 0x9F4F: value = TransactionLog.format
        case 0x9F54: value = Amount(clamping: cumulativeLimit).bytes
        case 0x9F58: value = [consecutiveLimit]
        case 0x9F5D where personalisation.profile.risk.decision == .byLimits: value = availableAmount
        default: return [UInt8](.referencedDataNotFound)
        }
        var writer = BERTLVWriter()
        writer.append(tag, value)
        return writer.bytes + [0x90, 0x00]
    }

    private func getChallenge(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        guard command.data.isEmpty else { return [UInt8](.wrongLength) }
        guard phase != .idle else { return [UInt8](.conditionsNotSatisfied) }
        return device.randomBytes(8) + [0x90, 0x00]
    }

    private func log(_ sent: ArraySlice<UInt8>, _ counter: [UInt8], _ information: UInt8) {
        let options = personalisation.options
        var entry: [UInt8] = []
        entry.reserveCapacity(16)
        entry += field(options.date, 3, sent) ?? [0, 0, 0]
        entry += field(options.amount, 6, sent) ?? [0, 0, 0, 0, 0, 0]
        entry += field(options.currency, 2, sent) ?? [0, 0]
        entry += field(options.country, 2, sent) ?? [0, 0]
        entry += counter
        entry.append(information)
        if state.log.count >= Int(TransactionLog.capacity) { state.log.removeLast() }
        state.log.insert(Hex.string(entry), at: 0)
    }

    // MARK: Values that scripts may change

    private var cumulativeLimit: UInt64 {
        guard !state.changedData.isEmpty, let bytes = changed("9F54"), let limit = BCD.number(bytes) else {
            return personalisation.profile.risk.cumulativeLimit
        }
        return limit
    }

    private var consecutiveLimit: UInt8 {
        guard !state.changedData.isEmpty, let limit = changed("9F58")?.first else {
            return personalisation.profile.risk.consecutiveLimit
        }
        return limit
    }

    private var baseQualifiers: CardTransactionQualifiers {
        guard !state.changedData.isEmpty, let bytes = changed("9F6C"),
            let qualifiers = CardTransactionQualifiers(bytes: bytes)
        else { return personalisation.profile.transactionQualifiers }
        return qualifiers
    }

    private func changed(_ tag: String) -> [UInt8]? { state.changedData[tag].flatMap { Hex.bytes($0) } }

    /// Available Offline Spending Amount (9F5D), as it stands after this transaction.
    /// Unconfirmed: that cards give the amount after, not before, the transaction.
    private var availableAmount: [UInt8] {
        let limit = cumulativeLimit
        return Amount(clamping: limit > state.cumulativeOffline ? limit - state.cumulativeOffline : 0).bytes
    }

    // MARK: Issuer update

    /// EXTERNAL AUTHENTICATE with Issuer Authentication Data (EMV Book 3, 6.5.4): at the first presentment or,
    /// after another SELECT, at the second. Once for each online request.
    private func externalAuthenticate(_ command: CardCommand) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        guard (8...16).contains(command.data.count) else { return [UInt8](.wrongLength) }
        guard phase != .idle, state.awaitsIssuer, let cryptogram = lastCryptogram else {
            return [UInt8](.conditionsNotSatisfied)
        }
        state.awaitsIssuer = false
        guard
            let answer = personalisation.keys.issuerAnswer(
                command.data, cryptogram: cryptogram, counter: state.transactionCounter)
        else {
            state.issuerAuthenticationFailed = true
            return [UInt8](StatusWord(0x6300))
        }
        state.issuerAuthenticationFailed = false
        state.scriptCommands = 0
        state.scriptFailed = false
        state.goOnlineNextTime = false
        state.lastOnlineCounter = state.transactionCounter
        switch answer {
        case .responseCode(let code):
            // "00", "10" and "11" are approvals.
            if [0x3030, 0x3130, 0x3131].contains(code) { resetCounters() }
        case .statusUpdate(let update):
            if update.contains(.updatePINTryCounter) { state.pinTries = update.pinTries }
            if update.contains(.goOnlineNextTime) { state.goOnlineNextTime = true }
            switch update.counterUpdate {
            case 0b01:
                state.cumulativeOffline = cumulativeLimit
                state.consecutiveOffline = consecutiveLimit
            case 0b10: resetCounters()
            case 0b11:
                let (sum, overflow) = state.cumulativeOffline.addingReportingOverflow(state.lastAmount)
                state.cumulativeOffline = overflow ? .max : sum
                state.consecutiveOffline =
                    state.consecutiveOffline == 255 ? 255 : state.consecutiveOffline + 1
            default: break
            }
            if update.contains(.applicationBlock) || update.contains(.cardBlock) { state.blocked = true }
        }
        return [UInt8](.success)
    }

    private func resetCounters() {
        state.cumulativeOffline = 0
        state.consecutiveOffline = 0
    }

    private var lastCryptogram: Cryptogram? {
        state.lastCryptogram.flatMap { Hex.bytes($0) }.flatMap { Cryptogram($0) }
    }

    /// Issuer script commands with secure messaging of format 2 (EMV Book 2, 9.2; Book 3, 6.5).
    private func script(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard phase != .idle, let cryptogram = lastCryptogram else {
            return [UInt8](.conditionsNotSatisfied)
        }
        guard command.data.count >= 4 else { return [UInt8](StatusWord(0x6987)) }
        let messaging = ScriptSecureMessaging(
            style: .visa, integrityMasterKey: personalisation.keys.scriptIntegrity,
            confidentialityMasterKey: personalisation.keys.scriptConfidentiality,
            applicationTransactionCounter: state.transactionCounter, cryptogram: cryptogram)
        guard let data = authenticated(command, messaging) else {
            state.scriptFailed = true
            return [UInt8](StatusWord(0x6988))
        }
        let status = carryOut(command, data, device)
        if status == .success {
            state.scriptCommands = state.scriptCommands == 255 ? 255 : state.scriptCommands + 1
        } else {
            state.scriptFailed = true
        }
        return [UInt8](status)
    }

    /// Command data without their MAC of 8 or 4 bytes; nil where the MAC is wrong.
    private func authenticated(
        _ command: CardCommand, _ messaging: ScriptSecureMessaging
    ) -> ArraySlice<UInt8>? {
        guard let length = UInt8(exactly: command.data.count) else { return nil }
        let header = [command.cla, command.ins, command.p1, command.p2, length]
        for count in [8, 4] where command.data.count >= count {
            let data = command.data.dropLast(count)
            let mac = messaging.commandMAC(header: header, data: Array(data)).bytes
            if mac.prefix(count).elementsEqual(command.data.suffix(count)) { return data }
        }
        return nil
    }

    private func carryOut(
        _ command: CardCommand, _ data: ArraySlice<UInt8>, _ device: DeviceState
    ) -> StatusWord {
        let parameters = UInt16(command.p1) << 8 | UInt16(command.p2)
        switch command.ins {
        case Instruction.applicationBlock, Instruction.applicationUnblock, Instruction.cardBlock:
            guard parameters == 0 else { return .incorrectParameters }
            guard data.isEmpty else { return .wrongLength }
            if command.ins == Instruction.cardBlock { device.cardBlocked = true }
            if command.ins != Instruction.cardBlock {
                state.blocked = command.ins == Instruction.applicationBlock
            }
            return .success
        case Instruction.pinChangeUnblock:
            // Unblocking only: there is no offline PIN on the contactless side.
            guard parameters == 0 else { return .incorrectParameters }
            guard data.isEmpty else { return .wrongLength }
            state.pinTries = personalisation.profile.risk.pinTries
            return .success
        case Instruction.putData:
            let lengths: [UInt16: Int] = [0x9F54: 6, 0x9F58: 1, 0x9F6C: 2]
            guard let length = lengths[parameters] else { return .referencedDataNotFound }
            guard data.count == length else { return .wrongLength }
            guard parameters != 0x9F54 || BCD.number(data) != nil else { return .wrongData }
            state.changedData[Hex.string(parameters.bytes)] = Hex.string(data)
            return .success
        case Instruction.updateRecord:
            guard command.p2 & 0x07 == 0x04 else { return .incorrectParameters }
            let sfi = command.p2 >> 3
            let records = personalisation.records
            guard records.contains(where: { $0.sfi == sfi }) else { return .fileNotFound }
            guard
                let index = records.firstIndex(where: { $0.sfi == sfi && $0.number == command.p1 }),
                index != personalisation.dynamicRecord?.index
            else { return .recordNotFound }
            guard let nodes = try? TLVNode.parse(Array(data)), nodes.count == 1, nodes[0].tag == 0x70 else {
                return .wrongData
            }
            state.changedRecords["\(sfi).\(command.p1)"] = Hex.string(data)
            return .success
        default: return .instructionNotSupported
        }
    }

    // MARK: PDOL data

    /// `count` bytes of the PDOL data at `offset`; nil where the PDOL does not ask for them.
    private func field(_ offset: Int?, _ count: Int, _ sent: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let offset, offset + count <= sent.count else { return nil }
        let start = sent.startIndex + offset
        return sent[start..<(start + count)]
    }

    private func big(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    /// A BCD number; where a digit is none, a number that no limit allows.
    private func decimal(_ bytes: ArraySlice<UInt8>) -> UInt64 { BCD.number(bytes.span) ?? 999_999_999_999 }
}
