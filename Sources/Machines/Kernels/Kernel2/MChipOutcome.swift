import BERTLV
import EMV
import SmartCard

/// Outcomes with Book C-2's Outcome Parameter Set, User Interface Request Data, Error Indication, Data Record and
/// Discretionary Data.
extension MChipKernel {
    /// Error Indication, DF8115: L1, L2, L3, SW12, message on error.
    func errorIndication(
        _ error: MChipError, _ status: StatusWord? = nil, l1: UInt8 = 0, l3: UInt8 = 0,
        message: UserInterfaceRequest.Message = .notApplicable
    ) -> [UInt8] {
        [
            l1, error.rawValue, l3, status?.sw1 ?? 0, status?.sw2 ?? 0,
            message == .notApplicable ? 0xFF : message.rawValue,
        ]
    }

    func outcome(
        _ status: Outcome.Status, start: Start? = nil, message: UserInterfaceRequest? = nil,
        restart: UserInterfaceRequest? = nil, data: DataObjects? = nil, errors: [UInt8]? = nil,
        receipt: Bool = false
    ) -> Outcome {
        Outcome(
            status, start: start,
            cvm: status == .approved || status == .onlineRequest ? method : .notApplicable,
            uiRequestOnOutcome: message, uiRequestOnRestart: restart, dataRecord: data,
            discretionaryData: discretionaryData(errors ?? errorIndication(.ok)),
            dataAuthentication: dataAuthentication, receiptRequested: receipt)
    }

    private static func status(_ reason: EndReason) -> StatusWord? {
        guard case .command(_, let status) = reason else { return nil }
        return StatusWord(rawValue: status)
    }

    /// Select Next, Start C: another application may do.
    func selectNext(_ error: MChipError, _ reason: EndReason) -> Outcome {
        var result = outcome(.selectNext, start: .c, errors: errorIndication(error, Self.status(reason)))
        result.reasons = [reason]
        return result
    }

    /// End Application with "insert, swipe or try another card" (S3.90, S456.90, Invalid Response 1 of S910 and S11); with
    /// the Data Record where the card may hold what data storage wrote.
    mutating func invalid(
        _ error: MChipError, _ reason: EndReason, l1: CommunicationError? = nil
    ) -> Outcome {
        terminal.set(.terminalVerificationResults, number: results.rawValue, count: 5)
        // S11.91.
        if let lost = recovering, Self.wrote(lost) { tornOut = lost }
        recovering = nil
        var result = outcome(
            .endApplication,
            message: UserInterfaceRequest(
                .insertSwipeOrTryAnotherCard, .notReady, holdTime: holdTime, languagePreference: language),
            data: storage.contains(.write) ? dataRecord() : nil,
            errors: errorIndication(
                error, Self.status(reason), l1: l1?.rawValue ?? 0, message: .insertSwipeOrTryAnotherCard))
        result.reasons = [reason]
        return result
    }

    /// End Application because of the terminal (STOP, or data that it never gave).
    func stopped(_ error: MChipTerminalError) -> Outcome {
        var result = outcome(.endApplication, errors: errorIndication(.ok, l3: error.rawValue))
        result.reasons = [error == .stop ? .cancelled : .noTerminalData]
        return result
    }

    /// A Level 1 error: the card is asked for again. Book C-2 gives End Application with Start B and a message on
    /// restart, which is the Entry Point's Try Again; its data reach the terminal as `FinalOutcome.earlier`.
    /// - Parameter message: what is shown on restart; nil is nothing (S3.5).
    func tryAgain(
        _ error: CommunicationError, message: UserInterfaceRequest.Message? = .presentCardAgain
    ) -> Outcome {
        var result = outcome(
            .tryAgain, start: .b,
            restart: message.map { UserInterfaceRequest($0, .readyToRead, languagePreference: language) },
            errors: errorIndication(.ok, l1: error.rawValue, message: message ?? .notApplicable))
        result.reasons = [error.reason]
        return result
    }

    /// The card gave an AAC (S910.74): another interface may do for a plain card; a refund ends here. The method of
    /// cardholder verification and the receipt stay as they were chosen.
    func refusedByCard() -> Outcome {
        var result: Outcome
        switch activation.transaction.transactionType {
        case 0x00, 0x01, 0x09, 0x17:
            let capabilities = TerminalCapabilities(
                rawValue: UInt32(truncatingIfNeeded: terminal.number(.terminalCapabilities) ?? 0))
            let isDeclined = !capabilities.contains(.contactChip) || isOtherThanCard
            result = outcome(
                isDeclined ? .declined : .tryAnotherInterface,
                message: UserInterfaceRequest(
                    isDeclined ? .notAuthorised : .insertCard, .notReady, holdTime: holdTime,
                    languagePreference: language),
                data: dataRecord(), receipt: wantsReceipt)
            if !isDeclined { result.alternateInterfacePreference = .contactChip }
        default:
            result = outcome(
                .endApplication,
                message: UserInterfaceRequest(.clearDisplay, .notReady, languagePreference: language),
                data: dataRecord(), receipt: wantsReceipt)
        }
        result.cvm = method
        result.reasons = requestedType == .aac ? reasonsForDenial() : []
        if result.reasons.isEmpty { result.reasons = [.declinedByCard] }
        return result
    }

    /// Receipt of the Outcome Parameter Set (S456.34): above the CVM limit; and for a signature.
    var wantsReceipt: Bool { requiresCVM || method == .signature }

    /// Third Party Data (9F6E: country, Unique Identifier, Device Type where bit 16 of the identifier is 0): the card
    /// number is on something that fits no slot, as a phone; Device Type "00" is a card.
    private var isOtherThanCard: Bool {
        guard let data = card.span(.thirdPartyData), data.count >= 4, data[2] & 0x80 == 0 else {
            return false
        }
        return !(data.count >= 6 && data[4] == 0x30 && data[5] == 0x30)
    }

    /// Hold Time Value DF8130: how long the field goes off, in units of 100 ms.
    var holdTimeValue: UInt8 { terminal.span(MChipConfiguration.holdTimeValue)?.first ?? 13 }

    /// Message Hold Time DF812D, in units of 100 ms.
    var holdTime: UInt16 { UInt16(clamping: terminal.decimal(MChipConfiguration.messageHoldTime) ?? 13) }

    var language: String? {
        guard let value = card[.languagePreference], (2...8).contains(value.count),
            value.count.isMultiple(of: 2)
        else {
            return nil
        }
        return String(decoding: value, as: UTF8.self)
    }

    /// Discretionary Data of the mode (Annex A.1): before it is known the Error Indication alone.
    func discretionaryData(_ errors: [UInt8]) -> DataObjects {
        guard mode != .unknown else { return [.errorIndication: errors] }
        var data = DataObjects(reservingObjects: 16, bytes: 128)
        let isEMV = mode == .emv
        for tag: Tag in isEMV
            ? [
                .applicationCapabilitiesInformation, .applicationCurrencyCode, .thirdPartyData,
                .posCardholderInteractionInformation, .dsSummary2, .dsSummary3,
            ]
            : [
                .applicationCapabilitiesInformation, .thirdPartyData, .posCardholderInteractionInformation,
                .ddCardTrack1, .ddCardTrack2,
            ]
        {
            data.set(tag, from: card)
        }
        data.set(.errorIndication, errors)
        if isEMV {
            for tag: Tag in [
                .balanceReadBeforeGenAC, .balanceReadAfterGenAC, .dsSummaryStatus, .postGenACPutDataStatus,
                .preGenACPutDataStatus,
            ] {
                data.set(tag, from: terminal)
            }
            if let record = leftRecord { data.set(.tornRecord, record) }
            relay.store(in: &data)
        }
        return data
    }

    /// Data Record, EMV mode or mag-stripe mode (Annex A.1, tables of Data Record).
    func dataRecord() -> DataObjects {
        var record = DataObjects(reservingObjects: 40, bytes: 512)
        let isEMV = mode == .emv
        // The lists have no tag in common.
        record.add(isEMV ? Self.recordedCardTags : Self.recordedMagStripeTags, from: card)
        record.add(Self.recordedTerminalTags, from: terminal)
        if isEMV { record.set(.terminalVerificationResults, number: results.rawValue, count: 5) }
        if !record.contains(.dedicatedFileName) {
            record.set(.dedicatedFileName, activation.selectedApplication)
        }
        record.set(.applicationIdentifierTerminal, activation.combination.applicationIdentifier)
        record.set(.transactionStatusInformation, isEMV && usesCDA && requestedCDA ? [0x80, 0] : [0, 0])
        record.set(.posEntryMode, [isEMV ? 0x07 : 0x91])
        return record
    }

    static let recordedCardTags: [Tag] = [
        .track2EquivalentData, .applicationPAN, .applicationExpirationDate, .applicationPANSequenceNumber,
        .cardholderName, .issuerCountryCode, .applicationLabel, .applicationInterchangeProfile,
        .dedicatedFileName, .issuerApplicationData, .applicationCryptogram, .cryptogramInformationData,
        .applicationTransactionCounter, .thirdPartyData,
        .paymentAccountReference, .last4DigitsOfPAN, .tokenRequestorID, .applicationVersionNumber,
        .applicationUsageControl, .applicationPreferredName, .issuerCodeTableIndex, .applicationCurrencyCode,
        .languagePreference, .track2Data,
    ]
    static let recordedMagStripeTags: [Tag] = [
        .track1Data, .track2Data, .applicationLabel, .applicationInterchangeProfile, .dedicatedFileName,
        .applicationTransactionCounter, .cvc3Track1, .cvc3Track2, .unpredictableNumberNumeric,
        .thirdPartyData, .applicationPreferredName, .issuerCodeTableIndex, .languagePreference,
        .applicationPANSequenceNumber,
        .paymentAccountReference, .pcvc3Track1, .punatcTrack1, .natcTrack1, .pcvc3Track2, .punatcTrack2,
        .natcTrack2,
    ]
    static let recordedTerminalTags: [Tag] = [
        .amountAuthorisedNumeric, .amountOtherNumeric, .terminalCountryCode, .transactionCurrencyCode,
        .transactionDate, .transactionType, .unpredictableNumber, .terminalCapabilities, .cvmResults,
        .terminalType, .additionalTerminalCapabilities, .interfaceDeviceSerialNumber,
        .applicationVersionNumberTerminal,
        .transactionSequenceCounter,
        .transactionTime, .merchantCategoryCode, .merchantIdentifier, .terminalIdentification,
        .magStripeApplicationVersionNumberReader, .transactionCategoryCode, .merchantCustomData,
    ]
}
