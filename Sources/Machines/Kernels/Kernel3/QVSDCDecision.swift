import BERTLV
import EMV
import EMVCryptography
import SmartCard

/// From the card's cryptogram to the outcome: Book C-3, 5.5 to 5.8.
extension QVSDCKernel {
    /// What the kernel makes of the card's decision.
    enum Disposition: Equatable { case approve, goOnline, decline, switchInterface }

    mutating func decide() -> KernelAction {
        guard let type = cryptogramType else {
            return finish(endApplication(.missingData(.cryptogramInformationData)))
        }
        var disposition: Disposition
        switch type {
        case .tc: disposition = .approve
        case .arqc where isOnlineCapable: disposition = .goOnline
        case .arqc:
            reasons = [.cannotGoOnline]
            disposition = .decline
        case .aac, .aar:
            reasons = [.declinedByCard]
            disposition = .decline
        }

        // A card that approves a zero amount or a status check would be trusted offline, though it was
        // told that an online cryptogram is required (TTQ byte 2 bit 8).
        // Unconfirmed: public implementations approve, or go online.
        if disposition == .approve, qualifiers.contains(.onlineCryptogramRequired), isOnlineCapable {
            reasons = [.cannotGoOnline]
            disposition = .decline
        }
        if let restricted = processingRestrictions(disposition) { disposition = restricted }

        var authentication = DataAuthenticationResult.notPerformed
        if needsDataAuthentication(disposition) {
            authentication = authenticateCardData(type)
            if case .failed(let failure) = authentication {
                disposition = afterFailedAuthentication()
                if disposition != .goOnline { reasons.append(.dataAuthentication(failure)) }
            }
        }

        switch disposition {
        case .switchInterface: return finish(tryAnotherInterface(authentication))
        case .decline: return finish(declined(authentication))
        case .approve, .goOnline: break
        }

        guard let method = cardholderVerification(type) else {
            reasons.append(.cardholderVerification)
            return finish(declined(authentication))
        }
        // Only the issuer can verify an online PIN, so that its transaction is never approved offline.
        // Unconfirmed: C-3 leaves a TC with "online PIN required" to the card's personalisation.
        if method == .onlinePIN, disposition == .approve {
            guard isOnlineCapable else {
                reasons.append(.cannotGoOnline)
                return finish(declined(authentication))
            }
            disposition = .goOnline
        }
        return finish(
            disposition == .approve
                ? approved(method, authentication) : onlineRequest(method, authentication))
    }

    // MARK: - 5.5 Processing Restrictions

    /// The disposition that restrictions change to; nil where they change nothing.
    mutating func processingRestrictions(_ disposition: Disposition) -> Disposition? {
        guard disposition != .decline else { return nil }
        let inputs = activation.transaction
        let cardBits = cardQualifiers ?? []

        // 5.5.1: usage control for cash and cashback. Where it does not allow, the card may want another interface; what the
        // qualifiers say counts there alone.
        let isCash = inputs.transactionType == 0x01 || inputs.transactionType == 0x17
        let isCashback = inputs.transactionType == 0x09 || inputs.amountOther > .zero
        if isCash || isCashback, !usageControlAllows(cash: isCash) {
            let wish: CardTransactionQualifiers =
                isCash ? .switchInterfaceForCash : .switchInterfaceForCashback
            reasons = [.usageControl]
            return cardBits.contains(wish) && qualifiers.contains(.emvContactChip)
                ? .switchInterface : .decline
        }
        if terminal.isAutomatedTellerMachine, cardBits.contains(.notValidForContactlessATM) {
            reasons = [.usageControl]
            return .decline
        }

        if let number,
            activation.terminal.exceptionFile.contains(
                number,
                sequenceNumber: card.decimal(.applicationPANSequenceNumber).flatMap { UInt8(exactly: $0) })
        {
            reasons = [.exceptionFile]
            return .decline
        }
        // The date is checked before an offline approval; online, the issuer looks at it. Without the Application Expiration
        // Date nothing vouches for an offline approval.
        if disposition == .approve {
            let expiry = card[.applicationExpirationDate].flatMap { EMVDate(bytes: $0) }
            if expiry.map({ $0 < inputs.date }) ?? true {
                if cardBits.contains(.goOnlineIfApplicationExpired), isOnlineCapable { return .goOnline }
                reasons = [expiry.map { .expired($0) } ?? .missingData(.applicationExpirationDate)]
                return .decline
            }
        }
        return nil
    }

    /// Application Usage Control for cash and cashback, domestic or not by the Issuer Country Code (EMV Book 3, 10.4.2). A card
    /// that gives one of both not at all allows neither (5.5.1).
    func usageControlAllows(cash: Bool) -> Bool {
        guard let bits = card.number(.applicationUsageControl), card.length(.applicationUsageControl) == 2,
            let country = card[.issuerCountryCode]
        else {
            return false
        }
        let usage = ApplicationUsageControl(rawValue: UInt16(truncatingIfNeeded: bits))
        let isDomestic = terminal[.terminalCountryCode] == country
        if cash { return usage.contains(isDomestic ? .domesticCash : .internationalCash) }
        return usage.contains(isDomestic ? .domesticCashback : .internationalCashback)
    }

    // MARK: - 5.6 Offline Data Authentication

    /// Before every offline approval; for online transactions where the reader supports it (TTQ byte 1
    /// bit 1) and the card offers a method and its certificates.
    func needsDataAuthentication(_ disposition: Disposition) -> Bool {
        switch disposition {
        case .approve: true
        case .goOnline:
            cryptogramType == .arqc && qualifiers.contains(.offlineDataAuthenticationForOnline)
                && !interchangeProfile.isDisjoint(with: [
                    .staticDataAuthentication, .dynamicDataAuthentication,
                ]) && card.contains(.issuerPublicKeyCertificate)
        case .decline, .switchInterface: false
        }
    }

    func authenticateCardData(
        _ type: CryptogramInformationData.CryptogramType
    ) -> DataAuthenticationResult {
        do throws(DataAuthenticationFailure) {
            return .succeeded(try verifyCardData(type))
        } catch {
            return .failed(error)
        }
    }

    private func verifyCardData(
        _ type: CryptogramInformationData.CryptogramType
    ) throws(DataAuthenticationFailure) -> DataAuthenticationResult.Method {
        let isDynamic = interchangeProfile.contains(.dynamicDataAuthentication)
        // Static authentication serves online transactions only (Book C-3, 5.6).
        guard isDynamic || (interchangeProfile.contains(.staticDataAuthentication) && type == .arqc)
        else { throw .notOffered }
        guard let number else { throw .missing(.track2EquivalentData) }
        guard !hasUnusableRecord else { throw .recordWithoutTemplate }
        guard let records = staticDataWithTagList() else { throw .tagList }
        guard isDynamic else {
            guard let signature = card.span(.signedStaticApplicationData) else {
                throw .missing(.signedStaticApplicationData)
            }
            let issuer = try activation.issuerKey(of: card, number)
            do throws(OfflineDataAuthenticationError) {
                _ = try issuer.verifySignedStaticApplicationData(signature, staticData: records.span)
                return .sda
            } catch { throw .recovery(error) }
        }
        let cardKey = try activation.cardKey(of: card, number, staticData: records.span)
        guard let signature = card.span(.signedDynamicApplicationData) else {
            throw .missing(.signedDynamicApplicationData)
        }
        guard let format = FastDDAFormat(type) else { throw .notOffered }
        // fDDA version 01 signs the Card Authentication Related Data; its first byte says so. The withdrawn
        // version 00 covers neither the amount nor the card's qualifiers.
        guard let related = card.span(.cardAuthenticationRelatedData) else {
            throw .missing(.cardAuthenticationRelatedData)
        }
        guard (5...16).contains(related.count), FastDDAVersion(rawValue: related[0]) == .version01 else {
            throw .fastDDAVersion
        }
        // The kernel's own, set when it was activated.
        guard let unpredictable = terminal.span(.unpredictableNumber),
            let amount = terminal.span(.amountAuthorisedNumeric),
            let currency = terminal.span(.transactionCurrencyCode)
        else { throw .missing(.unpredictableNumber) }
        do throws(OfflineDataAuthenticationError) {
            _ = try cardKey.verifyFastDDA(
                signature, version: .version01, format: format, unpredictableNumber: unpredictable,
                amountAuthorised: amount, transactionCurrencyCode: currency,
                cardAuthenticationRelatedData: related)
            return .fastDDA
        } catch {
            throw .recovery(error)
        }
    }

    /// Records for authentication and, where the Static Data Authentication Tag List asks, the AIP. Nil
    /// for a list with anything else in it (EMV Book 2, 5.4 and 6.4).
    func staticDataWithTagList() -> [UInt8]? {
        guard let list = card[.sdaTagList] else { return staticData }
        guard list.elementsEqual([0x82]), let profile = card[.applicationInterchangeProfile] else {
            return nil
        }
        return staticData + profile
    }

    /// Card Transaction Qualifiers say what a failure leads to (Book C-3, 5.6): online, another interface,
    /// or a decline.
    func afterFailedAuthentication() -> Disposition {
        let bits = cardQualifiers ?? []
        if bits.contains(.goOnlineIfODAFailsAndReaderOnlineCapable), isOnlineCapable { return .goOnline }
        if bits.contains(.switchInterfaceIfODAFails), qualifiers.contains(.emvContactChip) {
            return .switchInterface
        }
        return .decline
    }

    // MARK: - 5.7 Cardholder Verification

    /// The method to use; nil where one is required and none fits: declined.
    func cardholderVerification(
        _ type: CryptogramInformationData.CryptogramType
    ) -> Outcome.CVM? {
        let isRequired = qualifiers.contains(.cvmRequired)
        guard let bits = cardQualifiers else {
            // 5.7.1.1: without CTQ a signature serves, else online PIN with an online request.
            guard isRequired else { return .noCVM }
            if qualifiers.contains(.signature) { return .signature }
            return qualifiers.contains(.onlinePIN) && isOnlineCapable ? .onlinePIN : nil
        }
        if bits.contains(.onlinePINRequired), qualifiers.contains(.onlinePIN) { return .onlinePIN }
        // Whether or not the reader offers it (TTQ byte 3 bit 7): qualifiers that say so and are not those that were signed must
        // not fall through to a signature.
        if bits.contains(.consumerDeviceCVMPerformed) {
            // Where the card signed its qualifiers (9F69, bytes 6-7) they must be the ones it sent; where it
            // did not, only the issuer can vouch for them, so the cryptogram must go online.
            if let related = card[.cardAuthenticationRelatedData], related.count >= 7 {
                let signed = Array(related)[5...6]
                if signed.elementsEqual(bits.bytes) { return .confirmationCodeVerified }
            } else if type == .arqc {
                return .confirmationCodeVerified
            }
            return nil
        }
        if bits.contains(.signatureRequired), qualifiers.contains(.signature) { return .signature }
        return isRequired ? nil : .noCVM
    }

    // MARK: - 5.8 Outcomes

    func approved(_ method: Outcome.CVM, _ authentication: DataAuthenticationResult) -> Outcome {
        var message = UserInterfaceRequest(
            method == .signature ? .approvedSign : .approved, .cardReadSuccessfully,
            languagePreference: languagePreference)
        if let balance = card.decimal(.availableOfflineSpendingAmount).flatMap({ Amount(minorUnits: $0) }) {
            message.valueQualifier = .balance
            message.value = balance
            message.currency = activation.transaction.currency
        }
        return Outcome(
            .approved, cvm: method, uiRequestOnOutcome: message,
            dataRecord: dataRecord(method), discretionaryData: discretionary(authentication),
            dataAuthentication: authentication, receiptRequested: method == .signature)
    }

    func onlineRequest(_ method: Outcome.CVM, _ authentication: DataAuthenticationResult) -> Outcome {
        // A second presentment serves only cards that can take the issuer's update (CTQ byte 2 bit 7).
        let updates =
            qualifiers.contains(.issuerUpdateProcessing)
            && cardQualifiers?.contains(.issuerUpdateProcessing) == true
        return Outcome(
            .onlineRequest, start: updates ? .b : nil,
            onlineResponse: updates ? .emvData : .notApplicable, cvm: method,
            uiRequestOnOutcome: UserInterfaceRequest(
                .authorising, .notApplicable, languagePreference: languagePreference),
            uiRequestOnRestart: updates
                ? UserInterfaceRequest(
                    .presentCardAgain, .readyToRead, languagePreference: languagePreference) : nil,
            dataRecord: dataRecord(method), discretionaryData: discretionary(authentication),
            dataAuthentication: authentication, receiptRequested: method == .signature)
    }

    func declined(_ authentication: DataAuthenticationResult) -> Outcome {
        var outcome = Outcome(
            .declined,
            uiRequestOnOutcome: UserInterfaceRequest(
                .notAuthorised, .cardReadSuccessfully, languagePreference: languagePreference),
            dataRecord: dataRecord(.noCVM), discretionaryData: discretionary(authentication),
            dataAuthentication: authentication)
        outcome.reasons = reasons
        return outcome
    }

    /// Data for authorization and clearing (Book C-3, Data Record).
    func dataRecord(_ method: Outcome.CVM) -> DataObjects {
        var record = DataObjects(reservingObjects: 40, bytes: 512)
        for tag in Self.recordedCardTags {
            record.set(tag, from: card)
        }
        for tag in Self.recordedTerminalTags {
            record.set(tag, from: terminal)
        }
        // Form Factor Indicator: bits 4-1 of byte 4, the payment transaction technology, are 0000 for contactless (4.1.1.1).
        if record.length(.formFactorIndicator) == 4, let indicator = record.number(.formFactorIndicator) {
            record.set(.formFactorIndicator, number: indicator & 0xFFFF_FFF0, count: 4)
        }
        if !record.contains(.cryptogramInformationData), let type = cryptogramType {
            record.set(.cryptogramInformationData, CollectionOfOne(type.rawValue << 6))
        }
        if !record.contains(.dedicatedFileName) {
            record.set(.dedicatedFileName, activation.selectedApplication)
        }
        record.set(.applicationIdentifierTerminal, activation.combination.applicationIdentifier)
        let results: CVMResults =
            switch method {
            case .onlinePIN: .onlinePIN
            case .signature: .signature
            case .confirmationCodeVerified: CVMResults(method: 0x01, condition: 0, result: 2)
            case .noCVM, .notApplicable: .noCVM
            }
        record.set(.cvmResults, results.bytes)
        return record
    }

    static let recordedCardTags: [Tag] = [
        .track2EquivalentData, .applicationPAN, .applicationExpirationDate, .applicationPANSequenceNumber,
        .cardholderName, .issuerCountryCode, .applicationLabel, .applicationInterchangeProfile,
        .dedicatedFileName, .issuerApplicationData, .applicationCryptogram, .cryptogramInformationData,
        .applicationTransactionCounter,
        .cardTransactionQualifiers, .formFactorIndicator, .customerExclusiveData,
        .availableOfflineSpendingAmount, .paymentAccountReference, .last4DigitsOfPAN, .tokenRequestorID,
        .applicationVersionNumber, .applicationUsageControl, .cardAuthenticationRelatedData,
        .languagePreference,
    ]
    static let recordedTerminalTags: [Tag] = [
        .amountAuthorisedNumeric, .amountOtherNumeric, .terminalCountryCode, .terminalVerificationResults,
        .transactionStatusInformation, .transactionCurrencyCode, .transactionDate, .transactionType,
        .unpredictableNumber, .terminalTransactionQualifiers, .terminalCapabilities, .terminalType,
        .additionalTerminalCapabilities,
        .interfaceDeviceSerialNumber, .applicationVersionNumberTerminal, .transactionSequenceCounter,
        .transactionTime, .merchantCategoryCode, .merchantIdentifier, .terminalIdentification,
    ]

    /// The Error Indication where data authentication failed (L2 02: CAM failed).
    func discretionary(_ authentication: DataAuthenticationResult) -> DataObjects? {
        guard case .failed = authentication else { return nil }
        return [.errorIndication: [0x00, 0x02, 0x00, 0x00, 0x00, 0xFF]]
    }
}
