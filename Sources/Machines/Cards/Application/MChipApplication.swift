import BERTLV
import EMV
import EMVCryptography
import SmartCard

/// The contactless M/Chip application as the card sees it: EMV mode with CDA, relay resistance, and mag-stripe mode.
///
/// Sources: EMV Contactless Book C-2 (what the reader may expect), EMV Books 2 and 3 (commands, CDA, cryptograms).
// Unconfirmed: M/Chip's own Card Verification Results beyond the kind of cryptogram and the CDA bit.
final class MChipApplication: CardApplication {
    enum Phase { case idle, selected, initiated, done }

    let personalisation: Personalisation
    private(set) var state: ApplicationState
    private var phase = Phase.idle
    private let cdol: CryptogramOptions
    /// DRDOL (9F51) over the data of GENERATE AC; nil where the card does not recover.
    private let recovery: RecoveryOptions?
    private let storage: DataStorageOptions?
    /// The operator's slot of this transaction.
    private var openSlot: DataStorageOptions.OpenSlot?
    /// What GET PROCESSING OPTIONS brought; the signature covers it.
    private var processingOptionsData: [UInt8] = []
    /// Entropies and times of the last EXCHANGE RELAY RESISTANCE DATA.
    private var relayResistance: [UInt8] = []

    init(_ personalisation: Personalisation, state: ApplicationState) throws(PersonalisationError) {
        self.personalisation = personalisation
        self.state = state
        let profile = personalisation.profile
        cdol = try CryptogramOptions(Array(profile.data[0x8C] ?? []))
        recovery = try profile.data[0x9F51].map { (list) throws(PersonalisationError) in
            try RecoveryOptions(Array(list), cdol: Array(profile.data[0x8C] ?? []))
        }
        storage = try profile.dataStorage.map { (storage) throws(PersonalisationError) in
            try DataStorageOptions(storage, profile)
        }
    }

    var identifier: [UInt8] { personalisation.profile.applicationIdentifier }
    var directoryEntry: [UInt8] { personalisation.directoryEntry }

    func reset() {
        phase = .idle
        processingOptionsData = []
        relayResistance = []
        openSlot = nil
    }

    func select() -> [UInt8] {
        reset()
        phase = .selected
        guard state.blocked else { return personalisation.selectResponse }
        return personalisation.selectResponse.dropLast(2) + [UInt8](.fileInvalidated)
    }

    func process(_ command: CardCommand, device: DeviceState) -> [UInt8] {
        switch (command.cla, command.ins) {
        case (0x80, Instruction.getProcessingOptions): getProcessingOptions(command, device)
        case (0x00, Instruction.readRecord): readRecord(command)
        case (0x80, Instruction.exchangeRelayResistanceData): exchangeRelayResistanceData(command, device)
        case (0x80, Instruction.generateApplicationCryptogram): generateCryptogram(command, device)
        case (0x80, Instruction.computeCryptographicChecksum): computeChecksum(command, device)
        case (0x80, Instruction.getData): getData(command)
        case (0x80, Instruction.putData) where storage != nil: putData(command)
        case (0x80, Instruction.recoverApplicationCryptogram) where recovery != nil:
            recoverCryptogram(command)
        case (_, Instruction.getProcessingOptions), (_, Instruction.readRecord),
            (_, Instruction.exchangeRelayResistanceData), (_, Instruction.generateApplicationCryptogram),
            (_, Instruction.computeCryptographicChecksum), (_, Instruction.getData):
            [UInt8](.classNotSupported)
        default: [UInt8](.instructionNotSupported)
        }
    }

    private func getProcessingOptions(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        var sent = command.data
        guard let tag = sent.popFirst(), let length = sent.popFirst() else { return [UInt8](.wrongLength) }
        guard tag == 0x83 else { return [UInt8](.wrongData) }
        let count = personalisation.options.count
        guard sent.count == Int(length), sent.count == count else { return [UInt8](.wrongLength) }
        guard phase == .selected, !state.blocked else { return [UInt8](.conditionsNotSatisfied) }
        let limit = personalisation.profile.risk.transactionCounterLimit
        guard state.transactionCounter < limit, state.transactionCounter + 1 < limit else {
            state.transactionCounter = limit
            state.blocked = true
            return [UInt8](.conditionsNotSatisfied)
        }
        state.transactionCounter += 1
        phase = .initiated
        processingOptionsData = Array(sent)
        var body = FaultyWriter(faults: personalisation.faults, reservingCapacity: 64)
        body.append(0x82, personalisation.profile.interchangeProfile.rawValue.bytes)
        body.append(0x94, personalisation.locatorWithAuthentication)
        if let storage {
            openSlot = storage.open(sent, in: state, unpredictableNumber: device.randomBytes(4))
            for (tag, value) in openSlot?.answer ?? [] { body.append(tag, value) }
        }
        return template(0x77, body.bytes)
    }

    private func readRecord(_ command: CardCommand) -> [UInt8] {
        guard command.data.isEmpty else { return [UInt8](.wrongLength) }
        guard command.p2 & 0x07 == 0x04 else { return [UInt8](.incorrectParameters) }
        guard phase == .initiated else { return [UInt8](.conditionsNotSatisfied) }
        let sfi = command.p2 >> 3
        var fileExists = false
        for record in personalisation.records where record.sfi == sfi {
            fileExists = true
            if record.number == command.p1 { return record.response }
        }
        return [UInt8](fileExists ? .recordNotFound : .fileNotFound)
    }

    /// Entropy of the device and its times in units of 100 microseconds (Book C-2, 5.3).
    private func exchangeRelayResistanceData(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        guard command.data.count == 4 else { return [UInt8](.wrongLength) }
        guard phase == .initiated,
            personalisation.profile.interchangeProfile.contains(.relayResistanceProtocol)
        else { return [UInt8](.conditionsNotSatisfied) }
        // An emulated card answers at once: from no time at all to 5 ms, 2.4 ms on the air.
        let answer = device.randomBytes(4) + [0x00, 0x00, 0x00, 0x32, 0x00, 0x18]
        relayResistance = Array(command.data) + answer
        return [0x80, 0x0A] + answer + [0x90, 0x00]
    }

    // MARK: GENERATE AC

    private func generateCryptogram(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 & 0x2F == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        guard phase == .initiated, !state.blocked,
            let requested = CryptogramInformationData.CryptogramType(rawValue: command.p1 >> 6),
            requested != .aar
        else { return [UInt8](.conditionsNotSatisfied) }
        // Data storage writes what follows the data of the CDOL1.
        let all = command.data
        let storageInput = all.dropFirst(cdol.count)
        guard all.count >= cdol.count,
            storageInput.isEmpty || openSlot != nil && storage?.accepts(storageInput) == true
        else {
            return [UInt8](.wrongLength)
        }
        let sent = all.prefix(cdol.count)
        phase = .done
        let profile = personalisation.profile
        let amount = cdol.decimal(.amountAuthorised, in: sent)

        // The owner's verification on the device: the CVM Results say that the reader counts on it.
        let countsOnDevice = cdol.verificationMethod(in: sent) == 0x01
        let waits = device.mustUnlock(amount: amount, verificationRequired: countsOnDevice)
        var type = waits ? .aac : decide(requested, amount, cdol.decimal(.transactionCurrencyCode, in: sent))
        if countsOnDevice, profile.interchangeProfile.contains(.onDeviceCardholderVerification),
            !device.unlocked,
            !waits
        {
            type = .aac
        }
        if waits {
            device.asksToUnlock = true
        } else {
            device.finishPayment()
        }

        // An AAC is signed where the card says so (Application Capabilities Information) or keeps data for operators.
        let signsAAC = openSlot != nil || (profile.data[0x9F5D]?.dropFirst().first ?? 0) & 0x01 != 0
        let signs =
            command.p1 & 0x10 != 0 && profile.authentication.method == .cda && (type != .aac || signsAAC)
        var summaries: [UInt8] = []
        if let openSlot, let storage {
            let after =
                storageInput.isEmpty
                ? nil
                : storage.write(
                    storageInput, openSlot, to: &state, parameter: command.p1, amount: amount,
                    currency: cdol.decimal(.transactionCurrencyCode, in: sent),
                    unpredictableNumber: cdol.value(.unpredictableNumber, in: sent) ?? [0, 0, 0, 0])
            summaries = openSlot.summary
            if after != nil || !relayResistance.isEmpty { summaries += after ?? openSlot.summary }
        }
        let issuerData = issuerApplicationData(type, signs: signs)
        var input = CryptogramInput()
        for field in CryptogramInput.Field.allCases {
            if let value = cdol.value(field, in: sent) { input.set(field, value.span) }
        }
        input.set(.applicationInterchangeProfile, profile.interchangeProfile.rawValue.bytes)
        input.applicationTransactionCounter = state.transactionCounter
        let cryptogram = personalisation.keys.version.applicationCryptogram(
            masterKey: personalisation.keys.applicationCryptogram, input: input,
            issuerApplicationData: issuerData.span)
        if type == .tc {
            state.cumulativeOffline += amount
            state.consecutiveOffline = state.consecutiveOffline == 255 ? 255 : state.consecutiveOffline + 1
        } else if type == .arqc {
            // Contactless cards hear nothing back: the counters begin anew with the next online approval's token.
            state.cumulativeOffline = 0
            state.consecutiveOffline = 0
        }
        state.lastCryptogram = Hex.string(cryptogram.bytes)
        state.lastAmount = amount

        let information = type.rawValue << 6
        var body = FaultyWriter(faults: personalisation.faults, reservingCapacity: 256)
        body.append(0x9F27, [information])
        body.append(0x9F36, state.transactionCounter.bytes)
        if !signs { body.append(0x9F26, cryptogram.bytes) }
        body.append(0x9F10, issuerData)
        if waits { body.append(0xDF4B, [0x00, 0x02, 0x00]) }
        if signs, let key = personalisation.cardKey {
            guard let signature = sign(key, sent, body.bytes, information, cryptogram, summaries) else {
                return [UInt8](.unknownError)
            }
            body.append(0x9F4B, signature)
        }
        let response = template(0x77, body.bytes)
        if let recovery {
            state.recoverable = .init(
                data: Hex.string(recovery.data(of: sent)), response: Hex.string(response))
        }
        return response
    }

    /// RECOVER AC (Book C-2, 5.9): the latest cryptogram again, where the reader knows the data that it was made over.
    private func recoverCryptogram(_ command: CardCommand) -> [UInt8] {
        guard command.p1 == 0, command.p2 == 0 else { return [UInt8](.incorrectParameters) }
        guard let recovery, command.data.count == recovery.count else { return [UInt8](.wrongLength) }
        guard phase == .initiated, !state.blocked else { return [UInt8](.conditionsNotSatisfied) }
        guard let kept = state.recoverable, kept.data == Hex.string(command.data),
            let response = Hex.bytes(kept.response)
        else { return [UInt8](.referencedDataNotFound) }
        phase = .done
        return response
    }

    /// PUT DATA for the unprotected data envelopes; the protected ones belong to the issuer.
    private func putData(_ command: CardCommand) -> [UInt8] {
        guard phase == .initiated || phase == .done else { return [UInt8](.conditionsNotSatisfied) }
        let tag = Tag(UInt32(command.p1) << 8 | UInt32(command.p2))
        switch tag.rawValue {
        case 0x9F75...0x9F79:
            guard command.data.count <= DataStorageOptions.envelopeSize else { return [UInt8](.wrongLength) }
            state.changedData[tag.description] = Hex.string(command.data)
            return [UInt8](.success)
        case 0x9F70...0x9F74: return [UInt8](.securityStatusNotSatisfied)
        default: return [UInt8](.referencedDataNotFound)
        }
    }

    /// Signed Dynamic Application Data of CDA (EMV Book 2, 6.6.1), with the relay resistance data where they were
    /// exchanged (Book C-2, ICC Dynamic Data).
    private func sign(
        _ key: RSAPrivateKey, _ sent: ArraySlice<UInt8>, _ response: [UInt8], _ information: UInt8,
        _ cryptogram: Cryptogram, _ summaries: [UInt8]
    ) -> [UInt8]? {
        var hash = TransactionDataHash()
        hash.append(processingOptionsData.span)
        hash.append(Array(sent).span)
        guard (try? hash.append(responseDataObjects: response.span)) != nil else { return nil }
        let unpredictable = cdol.value(.unpredictableNumber, in: sent) ?? [0, 0, 0, 0]
        let number = Array(cryptogram.bytes.prefix(6)) + state.transactionCounter.bytes
        let signature = try? CertificateMaking.combinedSignedDynamicApplicationData(
            signedBy: key, iccDynamicNumber: number, cryptogramInformationData: information,
            cryptogram: cryptogram, transactionDataHash: hash.finalize(), rest: summaries + relayResistance,
            unpredictableNumber: unpredictable.span)
        return signature.map {
            Personalisation.spoilt($0, personalisation.profile.authentication, .signature)
        }
    }

    private func decide(
        _ requested: CryptogramInformationData.CryptogramType, _ amount: UInt64, _ currency: UInt64
    ) -> CryptogramInformationData.CryptogramType {
        let risk = personalisation.profile.risk
        if requested == .aac || risk.decision == .decline { return .aac }
        if requested == .arqc || risk.decision == .online { return .arqc }
        let (sum, overflow) = state.cumulativeOffline.addingReportingOverflow(amount)
        let isWithin =
            currency == UInt64(personalisation.profile.currency.value) && !overflow
            && amount <= risk.singleLimit
            && sum <= risk.cumulativeLimit && state.consecutiveOffline < risk.consecutiveLimit
        return isWithin ? .tc : .arqc
    }

    /// Derivation key index, version, Card Verification Results (6), DAC (2), counters (8).
    private func issuerApplicationData(
        _ type: CryptogramInformationData.CryptogramType, signs: Bool
    ) -> [UInt8] {
        // Second GENERATE AC not requested (10), then the type of this one; byte 2 bit 7: CDA was performed.
        let results: [UInt8] = [0x80 | type.rawValue << 4, signs ? 0x40 : 0x00, 0, 0, 0, 0]
        return MChipIssuerApplicationData(
            derivationKeyIndex: personalisation.profile.cryptogram.derivationKeyIndex,
            cryptogramVersionNumber: personalisation.keys.version.number, cardVerificationResults: results
        ).bytes
    }

    // MARK: Mag-stripe mode

    /// COMPUTE CRYPTOGRAPHIC CHECKSUM: CVC3 of each track (Book C-2, 5.2).
    private func computeChecksum(_ command: CardCommand, _ device: DeviceState) -> [UInt8] {
        guard command.p1 == 0x8E, command.p2 == 0x80 else { return [UInt8](.incorrectParameters) }
        let profile = personalisation.profile
        guard phase == .initiated, !state.blocked, let track2 = profile.data[0x9F6B] else {
            return [UInt8](.conditionsNotSatisfied)
        }
        // The UDOL asks for the Unpredictable Number (Numeric) alone.
        guard command.data.count == 4 else { return [UInt8](.wrongLength) }
        phase = .done
        var body = FaultyWriter(faults: personalisation.faults, reservingCapacity: 32)
        if device.mustUnlock(amount: 0, verificationRequired: false) {
            device.asksToUnlock = true
            body.append(0x9F36, state.transactionCounter.bytes)
            body.append(0xDF4B, [0x00, 0x02, 0x00])
            return template(0x77, body.bytes)
        }
        if profile.interchangeProfile.contains(.onDeviceCardholderVerification) {
            // "OD-CVM verification successful", or not done.
            body.append(0xDF4B, [0x00, device.unlocked ? 0x10 : 0x00, 0x00])
        }
        device.finishPayment()
        let number = command.data.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let key = personalisation.keys.cardVerificationCode
        func checksum(_ track: ArraySlice<UInt8>) -> [UInt8] {
            key.cvc3(
                iv: key.ivCVC3(trackData: Array(track).span), unpredictableNumber: number,
                applicationTransactionCounter: state.transactionCounter
            ).bytes
        }
        if let track1 = profile.data[0x56] { body.append(0x9F60, checksum(track1)) }
        body.append(0x9F61, checksum(track2))
        body.append(0x9F36, state.transactionCounter.bytes)
        return template(0x77, body.bytes)
    }

    private func getData(_ command: CardCommand) -> [UInt8] {
        guard command.data.isEmpty else { return [UInt8](.wrongLength) }
        guard phase != .idle else { return [UInt8](.conditionsNotSatisfied) }
        let tag = Tag(UInt32(command.p1) << 8 | UInt32(command.p2))
        let value: [UInt8]
        switch tag.rawValue {
        case 0x9F36: value = state.transactionCounter.bytes
        case 0x9F17: value = [state.pinTries]
        case 0x9F50 where personalisation.profile.risk.decision == .byLimits:
            let limit = personalisation.profile.risk.cumulativeLimit
            value =
                Amount(clamping: limit > state.cumulativeOffline ? limit - state.cumulativeOffline : 0).bytes
        case 0x9F70...0x9F79 where storage != nil:
            value =
                state.changedData[tag.description].flatMap { Hex.bytes($0) }
                ?? Array(personalisation.profile.data[tag] ?? [])
        default: return [UInt8](.referencedDataNotFound)
        }
        var writer = BERTLVWriter()
        writer.append(tag, value)
        return writer.bytes + [0x90, 0x00]
    }

    private func template(_ tag: Tag, _ body: [UInt8]) -> [UInt8] {
        var writer = BERTLVWriter(reservingCapacity: body.count + 6)
        writer.append(tag, body)
        return writer.bytes + [0x90, 0x00]
    }
}

/// Where the card finds what it needs in the data of GENERATE AC.
struct CryptogramOptions {
    let count: Int
    private var offsets: [CryptogramInput.Field: Int] = [:]
    private var methodOffset: Int?

    init(_ cdol: [UInt8]) throws(PersonalisationError) {
        let entries: [DataObjectList.Entry]
        do throws(DataFormatError) {
            entries = try DataObjectList.entries(cdol, name: 0x8C)
        } catch { throw .malformed("\(error)") }
        var offset = 0
        for entry in entries {
            if let field = CryptogramInput.Field(entry.tag) {
                guard entry.length == field.range.count else {
                    throw .malformed("the CDOL1 wants \(entry.tag) with \(entry.length) bytes")
                }
                offsets[field] = offset
            }
            if entry.tag == 0x9F34, entry.length == 3 { methodOffset = offset }
            offset += entry.length
        }
        count = offset
    }

    func value(_ field: CryptogramInput.Field, in sent: ArraySlice<UInt8>) -> [UInt8]? {
        guard let offset = offsets[field] else { return nil }
        let start = sent.startIndex + offset
        guard start + field.range.count <= sent.endIndex else { return nil }
        return Array(sent[start..<(start + field.range.count)])
    }

    func decimal(_ field: CryptogramInput.Field, in sent: ArraySlice<UInt8>) -> UInt64 {
        value(field, in: sent).flatMap { BCD.number($0) } ?? 0
    }

    /// First byte of the CVM Results.
    func verificationMethod(in sent: ArraySlice<UInt8>) -> UInt8? {
        guard let methodOffset, sent.startIndex + methodOffset < sent.endIndex else { return nil }
        return sent[sent.startIndex + methodOffset]
    }
}
