import BERTLV
import EMV
import EMVCryptography
import SmartCard

/// EMV mode from the last record to the outcome (Book C-2, states S456, S9, S910).
extension MChipKernel {
    /// S456.12 to S456.45.
    mutating func prepareCryptogram() -> KernelAction {
        let amount = activation.transaction.amount.minorUnits
        let limit =
            terminal.decimal(
                verifiesOnDevice
                    ? MChipConfiguration.transactionLimitOnDeviceCVM
                    : MChipConfiguration.transactionLimitNoOnDeviceCVM) ?? 0
        guard amount <= limit else { return finish(selectNext(.maximumLimitExceeded, .amountAboveLimit)) }
        for tag: Tag in [.applicationExpirationDate, .applicationPAN, .cardRiskManagementDataObjectList1]
        where (card.length(tag) ?? 0) == 0 {
            return finish(invalid(.cardDataMissing, .missingData(tag)))
        }
        guard let number = PrimaryAccountNumber(compressedNumeric: card[.applicationPAN] ?? []) else {
            return finish(invalid(.cardDataError, .wrongData(.applicationPAN, "no card number")))
        }
        for list: Tag in [.cardRiskManagementDataObjectList1, .drdol, .dsdol] where isMalformed(list) {
            return finish(invalid(.parsingError, malformedList(list)))
        }
        if storage.contains(.read), !dataStorageIdentifierFits() {
            return finish(invalid(.cardDataError, .wrongData(.dsID, "not the card number")))
        }
        // A CVM List is two amounts and rules of two bytes (EMV Book 3, 10.5).
        if let length = card.length(.cvmList), !length.isMultiple(of: 2), !verifiesOnDevice,
            interchangeProfile.contains(.cardholderVerification)
        {
            return finish(invalid(.cardDataError, .wrongData(.cvmList, "half a rule at its end")))
        }
        sendRestOfTagsToRead()
        if usesCDA {
            for tag: Tag in [
                .certificationAuthorityPublicKeyIndex, .issuerPublicKeyCertificate, .issuerPublicKeyExponent,
                .iccPublicKeyCertificate, .iccPublicKeyExponent,
            ] where (card.length(tag) ?? 0) == 0 {
                results.insert([.iccDataMissing, .combinedDataAuthenticationFailed])
                dataAuthentication = .failed(.missing(tag))
            }
            let index = card.span(.certificationAuthorityPublicKeyIndex)?.first
            if let index,
                let provider = RegisteredApplicationProviderIdentifier(activation.selectedApplication)
            {
                do throws(OfflineDataAuthenticationError) {
                    _ = try activation.terminal.certificationAuthorityKeys.key(
                        rid: provider, index: index, on: activation.transaction.date)
                } catch {
                    results.insert(.combinedDataAuthenticationFailed)
                    dataAuthentication = .failed(.recovery(error))
                }
            }
            // S456.26: the Static Data Authentication Tag List is there, names the AIP and nothing else.
            guard let list = card[.sdaTagList], list.elementsEqual([0x82]) else {
                return finish(
                    invalid(
                        .cardDataError,
                        card.contains(.sdaTagList)
                            ? .wrongData(.sdaTagList, "another list than 82") : .missingData(.sdaTagList)))
            }
            if staticData.count + 2 <= 2048 {
                staticData.append(contentsOf: card[.applicationInterchangeProfile] ?? [])
            } else {
                results.insert(.combinedDataAuthenticationFailed)
            }
        }
        if activation.terminal.exceptionFile.contains(
            number, sequenceNumber: card.decimal(.applicationPANSequenceNumber).flatMap { UInt8(exactly: $0) }
        ) {
            results.insert(.cardOnExceptionFile)
        }

        requiresCVM = amount > terminal.decimal(MChipConfiguration.cvmRequiredLimit) ?? 0
        let methods =
            requiresCVM
            ? MChipConfiguration.cvmCapabilityCVMRequired : MChipConfiguration.cvmCapabilityNoCVMRequired
        let capabilities = Self.capabilities(of: terminal, methods: terminal.span(methods)?.first ?? 0)
        terminal.set(.terminalCapabilities, number: capabilities, count: 3)
        checkRestrictions()
        selectMethod(required: requiresCVM)
        if amount > terminal.decimal(MChipConfiguration.floorLimit) ?? 0 {
            results.insert(.floorLimitExceeded)
        }
        terminal.set(.terminalVerificationResults, number: results.rawValue, count: 5)
        requestedType = terminalActionAnalysis()
        return readBalanceBefore() ?? writeBefore() ?? recover() ?? generateCryptogram()
    }

    /// GENERATE AC (Book C-2, 7.6).
    mutating func generateCryptogram() -> KernelAction {
        requestedCDA = false
        storage.remove(.write)
        if results.contains(.combinedDataAuthenticationFailed) || !usesCDA {
            // GAC.22: verification on the device counts only under a signature.
            if verifiesOnDevice { requestedType = .aac }
        } else if storage.contains(.read) {
            switch decideDataStorage(&requestedType) {
            case .none: break
            case .write: storage.insert(.write)
            // GAC.12.
            case .error(let error):
                return finish(
                    invalid(
                        error, .wrongData(.dsODSInfo, "data storage has no cryptogram that it is usable for"))
                )
            }
            requestedCDA = true
        } else {
            // GAC.24, GAC.25.
            requestedCDA = requestedType != .aac || capabilities?.signsAAC == true
        }
        cryptogramData = []
        let list = Array(card[.cardRiskManagementDataObjectList1] ?? [])
        do {
            try DataObjectList.fill(
                list.span, name: .cardRiskManagementDataObjectList1, from: terminal, card,
                into: &cryptogramData)
        } catch { return finish(invalid(.parsingError, .malformedList(error))) }
        var data = cryptogramData
        if storage.contains(.write) {
            guard let input = dataStorageData() else {
                return finish(invalid(.parsingError, .wrongData(.dsdol, "no DOL")))
            }
            data += input
        }
        guard data.count <= 255 else {
            return finish(
                invalid(
                    .cardDataError,
                    .wrongData(.cardRiskManagementDataObjectList1, "asks for more than a command can hold")))
        }
        return transmit(
            .generateCryptogram(requestedType, combined: requestedCDA, data: data), .waitingForCryptogram)
    }

    /// S9, S10 and S11: the answer to GENERATE AC or RECOVER AC.
    mutating func cryptogram(_ response: ResponseAPDU) -> KernelAction {
        // S11: the card has answered, so that what was torn before is past recovery.
        if let older = recovering { torn.remove(older) }
        guard response.isSuccess else {
            return finish(
                invalid(.statusBytes, .command("GENERATE AC", status: response.status.rawValue)))
        }
        var objects: Range<Int>?
        if balanceAfterWasRead {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            if let template = try? reader.next(), template.tag == .responseMessageTemplateFormat2 {
                objects = template.value
            }
        } else {
            do {
                var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
                guard let template = try reader.next(), template.whole == response.dataRange else {
                    return finish(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
                }
                switch template.tag {
                case .responseMessageTemplateFormat2:
                    if let reason = try store(
                        response.bytes, template.value, in: .responseMessageTemplateFormat2, depth: 0)
                    {
                        return finish(invalid(.parsingError, reason))
                    }
                    objects = template.value
                case .responseMessageTemplateFormat1:
                    // CID, ATC, cryptogram, Issuer Application Data (EMV Book 3, 6.5.5.4).
                    let value = Array(response.bytes[template.value])
                    guard (11...43).contains(value.count), !card.contains(.cryptogramInformationData),
                        !card.contains(.applicationTransactionCounter),
                        !card.contains(.applicationCryptogram), !card.contains(.issuerApplicationData)
                    else {
                        return finish(invalid(.parsingError, .misplacedData(.responseMessageTemplateFormat1)))
                    }
                    card.set(.cryptogramInformationData, value[0..<1])
                    card.set(.applicationTransactionCounter, value[1..<3])
                    card.set(.applicationCryptogram, value[3..<11])
                    if value.count > 11 { card.set(.issuerApplicationData, value[11...]) }
                default: return finish(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
                }
            } catch { return finish(invalid(.parsingError, .malformedData(error))) }
        }
        guard let information = card.span(.cryptogramInformationData)?.first else {
            return finish(invalid(.cardDataMissing, .missingData(.cryptogramInformationData)))
        }
        guard card.length(.applicationTransactionCounter) == 2 else {
            return finish(invalid(.cardDataMissing, .missingData(.applicationTransactionCounter)))
        }
        let type = CryptogramInformationData(rawValue: information).type
        switch (type, requestedType) {
        case (.tc, .tc), (.arqc, .tc), (.arqc, .arqc), (.aac, _): break
        default:
            return finish(
                invalid(
                    .cardDataError, .wrongData(.cryptogramInformationData, "more than the terminal asked for")
                ))
        }
        if let reading = readBalanceAfter(response) { return reading }

        // S910.
        if (card.length(.signedDynamicApplicationData) ?? 0) > 0 {
            do throws(DataAuthenticationFailure) {
                guard let objects else { throw .missing(.responseMessageTemplateFormat2) }
                try verifySignature(response.bytes, objects, information)
                dataAuthentication = .succeeded(.cda)
            } catch {
                dataAuthentication = .failed(error)
                results.insert(.combinedDataAuthenticationFailed)
                return end(invalid(.camFailed, .dataAuthentication(error)))
            }
            if let failure = checkDataStorage() { return end(failedStorage(failure)) }
        } else {
            // Known before to fail, CDA was not asked for.
            if dataAuthentication == nil { dataAuthentication = .notPerformed }
            guard card.length(.applicationCryptogram) == 8 else {
                return end(invalid(.cardDataMissing, .missingData(.applicationCryptogram)))
            }
            if type == .aac {
                // S910.33 to S910.36.
                if storage.contains(.read) || requestedType == .aac && requestedCDA {
                    return end(invalid(.cardDataError, .missingData(.signedDynamicApplicationData)))
                }
            } else {
                if requestedCDA {
                    return end(invalid(.cardDataError, .missingData(.signedDynamicApplicationData)))
                }
                if relay.device != nil { writeRelayResistanceIntoTrack2() }
            }
        }
        // S11.5: the new GENERATE AC went well, what was torn before is past recovery.
        recovering = nil
        terminal.set(.terminalVerificationResults, number: results.rawValue, count: 5)

        // S910.71: a phone that wants its owner to do something first.
        if let interaction = phoneInteraction(data: dataRecord()) {
            return writeAfter(interaction) ?? show(interaction)
        }
        let outcome =
            switch type {
            case .tc: approved()
            case .arqc: onlineRequest()
            case .aac, .aar: refusedByCard()
            }
        return writeAfter(outcome) ?? show(outcome)
    }

    /// Invalid Response 2 (S910.61) has no Data Record; 1 (S910.50) has.
    private mutating func failedStorage(_ failure: (error: MChipError, isWriteError: Bool)) -> Outcome {
        var outcome = invalid(
            failure.error, .wrongData(.dsSummary1, "the data storage summaries do not agree"))
        if failure.isWriteError { outcome.dataRecord = nil }
        return outcome
    }

    /// A failure after S9.27: the customer was told that the card was read, unless something was still to be written.
    private mutating func end(_ outcome: Outcome) -> KernelAction {
        tagsToWriteAfter.isEmpty ? show(outcome) : finish(outcome)
    }

    /// CDA (EMV Book 2, 6.6.2) with data storage summaries and relay resistance data. DSDOL Related Data are not part of
    /// the signature.
    // Unconfirmed: DSDOL Related Data; two public implementations leave them out.
    private mutating func verifySignature(
        _ bytes: [UInt8], _ objects: Range<Int>, _ information: UInt8
    ) throws(DataAuthenticationFailure) {
        guard let number = PrimaryAccountNumber(compressedNumeric: Array(card[.applicationPAN] ?? [])) else {
            throw .missing(.applicationPAN)
        }
        // The certificates vouch for one card number: Track 2 Equivalent Data, which may be unsigned, must not bring
        // another into authorization and clearing.
        if let track = card.span(.track2EquivalentData), !Track2EquivalentData.isTrack(track, of: number) {
            throw .otherNumberInTrack2
        }
        let cardKey = try activation.cardKey(of: card, number, staticData: staticData.span)
        let signed: CombinedDynamicData
        do throws(OfflineDataAuthenticationError) {
            var hash = TransactionDataHash()
            hash.append(processingOptionsData.span)
            hash.append(cryptogramData.span)
            try hash.append(responseDataObjects: bytes.span.extracting(objects))
            let signature = Array(card[.signedDynamicApplicationData] ?? [])
            let unpredictable = Array(terminal[.unpredictableNumber] ?? [])
            signed = try cardKey.verifyCombined(
                signature.span, unpredictableNumber: unpredictable.span,
                cryptogramInformationData: information,
                transactionDataHash: hash.finalize())
        } catch {
            throw .recovery(error)
        }
        guard let rest = takeSummaries(signed.rest[...]) else { throw .dataStorageSummaries }
        if let expected = relayResistanceSigned(), !rest.starts(with: expected) { throw .relayResistanceData }
        card.set(.applicationCryptogram, signed.cryptogram.bytes)
        card.set(.iccDynamicNumber, signed.iccDynamicNumber)
    }

    /// S910.39: without a signature the issuer learns of the relay resistance protocol by digits in the discretionary data
    /// of Track 2 Equivalent Data.
    private mutating func writeRelayResistanceIntoTrack2() {
        guard let device = relay.device, let track = card[.track2EquivalentData] else { return }
        var text = Array(Hex.string(track).utf8)
        while text.last == UInt8(ascii: "F") { text.removeLast() }
        guard let separator = text.firstIndex(of: UInt8(ascii: "D")), text.count >= separator + 8 else {
            return
        }
        // Expiry (4) and service code (3) stay.
        text.removeSubrange((separator + 8)...)
        func digits(_ value: Int, _ count: Int) -> [UInt8] {
            let all = Array(String(value).utf8)
            return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, count - all.count)) + all.suffix(count)
        }
        let index = card.span(.certificationAuthorityPublicKeyIndex)?.first ?? 0xFF
        text += digits(index < 0x0A ? Int(index) : 0, 1)
        text += digits(Int(relay.rounds), 1)
        text += digits(Int(device.entropy[2]) << 8 | Int(device.entropy[3]), 5)
        if separator <= 16 { text += digits(Int(device.entropy[1]), 3) }
        text += digits(min(Int(relay.measured) / 10, 999), 3)
        if !text.count.isMultiple(of: 2) { text.append(UInt8(ascii: "F")) }
        guard let value = Hex.bytes(String(decoding: text, as: UTF8.self)) else { return }
        card.set(.track2EquivalentData, value)
    }

    // MARK: - Outcomes

    /// The lights and the sound of "card read" before the outcome (S9.27, S15.12).
    mutating func show(_ outcome: Outcome) -> KernelAction {
        state = .cardReadShown(outcome)
        return .display(
            UserInterfaceRequest(.clearDisplay, .cardReadSuccessfully, languagePreference: language))
    }

    private func approved() -> Outcome {
        var message = UserInterfaceRequest(
            method == .signature ? .approvedSign : .approved, .notReady, holdTime: holdTime,
            languagePreference: language)
        showBalance(in: &message)
        return outcome(
            .approved, message: message, data: dataRecord(), receipt: wantsReceipt)
    }

    func onlineRequest() -> Outcome {
        outcome(
            .onlineRequest,
            message: UserInterfaceRequest(.authorising, .notReady, languagePreference: language),
            data: dataRecord(), receipt: wantsReceipt)
    }

    /// POS Cardholder Interaction Information, DF4B: where it asks for a second tap the Phone Message Table says what
    /// is shown, and the transaction begins again (S910.71 to S910.80, S13.44, S14.22); nil where it asks for none.
    func phoneInteraction(data: DataObjects? = nil) -> Outcome? {
        guard let information = card[.posCardholderInteractionInformation].map({ Array($0) }),
            information.count == 3,
            information[1] & 0x03 != 0 || information[2] & 0x0F != 0
        else { return nil }
        let table = Array(terminal[MChipConfiguration.phoneMessageTable] ?? [])
        // S910.73: message and status of the first line that fits.
        var message = UserInterfaceRequest(.seePhone, .notReady)
        for start in stride(from: 0, to: table.count - 7, by: 8) {
            let fits = (0..<3).allSatisfy { information[$0] & table[start + $0] == table[start + 3 + $0] }
            if fits, let found = UserInterfaceRequest.Message(rawValue: table[start + 6]) {
                message.message = found
                message.status = UserInterfaceRequest.Status(rawValue: table[start + 7]) ?? .notReady
                break
            }
        }
        message.languagePreference = language
        // S910.79, S910.80, S13.45: the same message on restart, with the field ready for the phone again.
        var restart = message
        restart.status = .readyToRead
        message.holdTime = holdTime
        var result = outcome(.tryAgain, start: .b, message: message, restart: restart, data: data)
        // Also for phones that say nothing of it: a phone must lose the field to begin anew.
        result.fieldOffRequest = holdTimeValue
        return result
    }
}
