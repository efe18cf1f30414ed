import BERTLV
import EMV
import SmartCard

/// EMV mode from the last record to the outcome (Book C-2, states S456, S9, S910).
extension MChipKernel {
    /// S456.
    mutating func prepareCryptogram() -> KernelAction {
        let amount = activation.transaction.amount.minorUnits
        let limit =
            terminal.decimal(
                verifiesOnDevice
                    ? MChipConfiguration.transactionLimitOnDeviceCVM
                    : MChipConfiguration.transactionLimitNoOnDeviceCVM) ?? 0
        guard amount <= limit else { return finish(selectNext(.maximumLimitExceeded)) }
        for tag: Tag in [0x5F24, 0x5A, 0x8C] where (card.length(tag) ?? 0) == 0 {
            return finish(invalid(.cardDataMissing))
        }
        guard let number = PrimaryAccountNumber(compressedNumeric: Array(card[0x5A] ?? [])) else {
            return finish(invalid(.cardDataError))
        }
        if usesCDA {
            for tag: Tag in [0x8F, 0x90, 0x9F32, 0x9F46, 0x9F47, 0x9F4A] where (card.length(tag) ?? 0) == 0 {
                results.insert([.iccDataMissing, .combinedDataAuthenticationFailed])
            }
            let index = card.span(0x8F)?.first
            if let index,
                let provider = RegisteredApplicationProviderIdentifier(activation.selectedApplication),
                (try? activation.terminal.certificationAuthorityKeys.key(
                    rid: provider, index: index, on: activation.transaction.date)) == nil
            {
                results.insert(.combinedDataAuthenticationFailed)
            }
            // The Static Data Authentication Tag List may name the AIP and nothing else.
            if let list = card[0x9F4A] {
                guard list.elementsEqual([0x82]) else { return finish(invalid(.cardDataError)) }
                staticData.append(contentsOf: card[0x82] ?? [])
            }
        }
        if activation.terminal.exceptionFile.contains(
            number, sequenceNumber: card.decimal(0x5F34).flatMap { UInt8(exactly: $0) })
        {
            results.insert(.cardOnExceptionFile)
        }

        let isRequired = amount > terminal.decimal(MChipConfiguration.cvmRequiredLimit) ?? 0
        func first(_ tag: Tag) -> UInt8 { terminal.span(tag)?.first ?? 0 }
        terminal.set(
            0x9F33,
            [
                first(MChipConfiguration.cardDataInputCapability),
                first(
                    isRequired
                        ? MChipConfiguration.cvmCapabilityCVMRequired
                        : MChipConfiguration.cvmCapabilityNoCVMRequired),
                first(MChipConfiguration.securityCapability),
            ])
        checkRestrictions()
        selectMethod(required: isRequired)
        if amount > terminal.decimal(MChipConfiguration.floorLimit) ?? 0 {
            results.insert(.floorLimitExceeded)
        }

        requestedType = terminalActionAnalysis()
        if usesCDA {
            if results.contains(.combinedDataAuthenticationFailed) {
                if verifiesOnDevice { requestedType = .aac }
            } else {
                requestedCDA = requestedType != .aac
            }
        }
        terminal.set(0x95, number: results.rawValue, count: 5)
        cryptogramData = []
        let list = Array(card[0x8C] ?? [])
        do {
            try DataObjectList.fill(list.span, name: 0x8C, from: cryptogramSources(), into: &cryptogramData)
        } catch { return finish(invalid(.parsingError)) }
        guard cryptogramData.count <= 255 else { return finish(invalid(.cardDataError)) }
        if recoversTornTransactions {
            let list = Array(card[0x9F51] ?? [])
            recoveryData = []
            do {
                try DataObjectList.fill(
                    list.span, name: 0x9F51, from: cryptogramSources(), into: &recoveryData)
            } catch { return finish(invalid(.parsingError)) }
            guard recoveryData.count <= 255 else { return finish(invalid(.cardDataError)) }
        }
        return readBalanceBefore() ?? recover() ?? generateCryptogram()
    }

    /// GENERATE AC with what S456 prepared.
    mutating func generateCryptogram() -> KernelAction {
        state = .waitingForCryptogram
        return .transmit(
            CommandAPDU(
                cla: 0x80, ins: 0xAE, p1: requestedType.rawValue << 6 | (requestedCDA ? 0x10 : 0), p2: 0,
                data: cryptogramData))
    }

    /// CDOL1 asks for data of the terminal and, rarely, for the card's own.
    private func cryptogramSources() -> DataObjects {
        var sources = terminal
        card.forEach { tag, value in
            if !sources.contains(tag) { sources.set(tag, value) }
        }
        return sources
    }

    /// S9.
    mutating func cryptogram(_ response: ResponseAPDU) -> KernelAction {
        // S11: the card answered a new GENERATE AC, so what was torn before is past recovery.
        if let record = recovering {
            tornOut = record
            recovering = nil
        }
        guard response.isSuccess else { return finish(invalid(.statusBytes, response.status)) }
        if let reading = readBalanceAfter(response) { return reading }
        var objects: Range<Int>?
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next(), template.whole == response.dataRange else {
                return finish(invalid(.parsingError))
            }
            switch template.tag {
            case 0x77:
                guard try store(response.bytes, template.value, depth: 0) else {
                    return finish(invalid(.parsingError))
                }
                objects = template.value
            case 0x80:
                // CID, ATC, cryptogram, Issuer Application Data (EMV Book 3, 6.5.5.4).
                let value = Array(response.bytes[template.value])
                guard (11...43).contains(value.count), !card.contains(0x9F27), !card.contains(0x9F36),
                    !card.contains(0x9F26), !card.contains(0x9F10)
                else { return finish(invalid(.parsingError)) }
                card.set(0x9F27, value[0..<1])
                card.set(0x9F36, value[1..<3])
                card.set(0x9F26, value[3..<11])
                if value.count > 11 { card.set(0x9F10, value[11...]) }
            default: return finish(invalid(.parsingError))
            }
        } catch { return finish(invalid(.parsingError)) }
        guard let information = card.span(0x9F27)?.first, card.length(0x9F27) == 1, card.length(0x9F36) == 2
        else {
            return finish(invalid(.cardDataMissing))
        }
        let type = CryptogramInformationData(rawValue: information).type
        switch (type, requestedType) {
        case (.tc, .tc), (.arqc, .tc), (.arqc, .arqc), (.aac, _): break
        default: return finish(invalid(.cardDataError))
        }

        if card.contains(0x9F4B) {
            guard requestedCDA, let objects, verifySignature(response.bytes, objects, information) else {
                results.insert(.combinedDataAuthenticationFailed)
                terminal.set(0x95, number: results.rawValue, count: 5)
                return show(declined(.camFailed))
            }
        } else {
            guard card.length(0x9F26) == 8 else { return finish(invalid(.cardDataMissing)) }
            if requestedCDA, type != .aac { return finish(invalid(.cardDataError)) }
        }

        // S910: a phone that wants its owner to do something first.
        if let interaction = phoneInteraction() { return interaction }
        switch type {
        case .tc: return show(approved())
        case .arqc: return show(onlineRequest())
        case .aac, .aar: return show(declined())
        }
    }

    /// CDA (EMV Book 2, 6.6.2) with the relay resistance data.
    private mutating func verifySignature(
        _ bytes: [UInt8], _ objects: Range<Int>, _ information: UInt8
    ) -> Bool {
        guard let provider = RegisteredApplicationProviderIdentifier(activation.selectedApplication),
            let index = card.span(0x8F)?.first,
            let number = PrimaryAccountNumber(compressedNumeric: Array(card[0x5A] ?? [])),
            let issuer = certificate(0x90, 0x92, 0x9F32), let own = certificate(0x9F46, 0x9F48, 0x9F47)
        else { return false }
        // The certificates vouch for one card number: Track 2 Equivalent Data, which may be unsigned, must not bring
        // another into authorization and clearing.
        if let track = card[0x57], Track2EquivalentData(track)?.primaryAccountNumber != number {
            return false
        }
        let date = activation.transaction.date
        let pan = number.compressedNumeric
        do throws(OfflineDataAuthenticationError) {
            let authority = try activation.terminal.certificationAuthorityKeys.key(
                rid: provider, index: index, on: date)
            let issuerKey = try authority.recoverIssuerPublicKey(
                from: issuer, pan: pan, on: date, revocations: activation.terminal.revocationList)
            let cardKey = try issuerKey.recoverICCPublicKey(
                from: own, pan: pan, on: date, staticData: staticData.span)
            var hash = TransactionDataHash()
            hash.append(processingOptionsData.span)
            hash.append(cryptogramData.span)
            try hash.append(responseDataObjects: bytes.span.extracting(objects))
            let signature = Array(card[0x9F4B] ?? [])
            let unpredictable = Array(terminal[0x9F37] ?? [])
            let signed = try cardKey.verifyCombined(
                signature.span, unpredictableNumber: unpredictable.span,
                cryptogramInformationData: information,
                transactionDataHash: hash.finalize())
            if let expected = relayResistanceSigned(), !signed.rest.starts(with: expected) { return false }
            card.set(0x9F26, signed.cryptogram.bytes)
            card.set(0x9F4C, signed.iccDynamicNumber)
            return true
        } catch {
            return false
        }
    }

    private func certificate(_ value: Tag, _ remainder: Tag, _ exponent: Tag) -> PublicKeyCertificate? {
        guard let certificate = card[value], let exponent = card[exponent] else { return nil }
        return PublicKeyCertificate(
            certificate: Array(certificate), remainder: card[remainder].map(Array.init) ?? [],
            exponent: Array(exponent))
    }

    // MARK: - Outcomes

    /// "Card read OK" before the outcome (S910).
    mutating func show(_ outcome: Outcome) -> KernelAction {
        state = .cardReadShown(outcome)
        return .display(
            UserInterfaceRequest(.cardReadOKRemove, .cardReadSuccessfully, languagePreference: language))
    }

    private func approved() -> Outcome {
        var message = UserInterfaceRequest(
            method == .signature ? .approvedSign : .approved, .notReady, holdTime: holdTime,
            languagePreference: language)
        showBalance(in: &message)
        return outcome(.approved, message: message, data: dataRecord(), receipt: method == .signature)
    }

    func onlineRequest() -> Outcome {
        outcome(
            .onlineRequest,
            message: UserInterfaceRequest(.authorising, .notReady, languagePreference: language),
            data: dataRecord(), receipt: method == .signature)
    }

    /// POS Cardholder Interaction Information, DF4B: where it asks for a second tap the Phone Message Table says what
    /// is shown, and the transaction begins again (S910.30, S13.30).
    mutating func phoneInteraction() -> KernelAction? {
        guard let information = card[0xDF4B].map({ Array($0) }), information.count == 3,
            information[1] & 0x03 != 0 || information[2] & 0x0F != 0
        else { return nil }
        let table = Array(terminal[MChipConfiguration.phoneMessageTable] ?? [])
        var message = UserInterfaceRequest.Message.seePhone
        for start in stride(from: 0, to: table.count - 7, by: 8) {
            let fits = (0..<3).allSatisfy { information[$0] & table[start + $0] == table[start + 3 + $0] }
            if fits, let found = UserInterfaceRequest.Message(rawValue: table[start + 6]) {
                message = found
                break
            }
        }
        let restart = UserInterfaceRequest(.presentCardAgain, .readyToRead, languagePreference: language)
        var result = outcome(
            .tryAgain, start: .b,
            message: UserInterfaceRequest(
                message, .notReady, holdTime: holdTime, languagePreference: language),
            restart: restart)
        result.fieldOffRequest = 13
        return finish(result)
    }
}
