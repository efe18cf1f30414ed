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
        terminal.set(0x95, number: results.rawValue, count: 5)
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
                rawValue: UInt32(truncatingIfNeeded: terminal.number(0x9F33) ?? 0))
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
        guard let data = card.span(0x9F6E), data.count >= 4, data[2] & 0x80 == 0 else { return false }
        return !(data.count >= 6 && data[4] == 0x30 && data[5] == 0x30)
    }

    /// Hold Time Value DF8130: how long the field goes off, in units of 100 ms.
    var holdTimeValue: UInt8 { terminal.span(MChipConfiguration.holdTimeValue)?.first ?? 13 }

    /// Message Hold Time DF812D, in units of 100 ms.
    var holdTime: UInt16 { UInt16(clamping: terminal.decimal(MChipConfiguration.messageHoldTime) ?? 13) }

    var language: String? {
        guard let value = card[0x5F2D], (2...8).contains(value.count), value.count.isMultiple(of: 2) else {
            return nil
        }
        return String(decoding: value, as: UTF8.self)
    }

    /// Discretionary Data of the mode (Annex A.1): before it is known the Error Indication alone.
    func discretionaryData(_ errors: [UInt8]) -> DataObjects {
        guard mode != .unknown else { return [0xDF8115: errors] }
        var data = DataObjects(reservingObjects: 16, bytes: 128)
        let isEMV = mode == .emv
        for tag: Tag in isEMV
            ? [0x9F5D, 0x9F42, 0x9F6E, 0xDF4B, 0xDF8101, 0xDF8102]
            : [0x9F5D, 0x9F6E, 0xDF4B, 0xDF812A, 0xDF812B]
        {
            data.set(tag, from: card)
        }
        data.set(0xDF8115, errors)
        if isEMV {
            for tag: Tag in [0xDF8104, 0xDF8105, 0xDF810B, 0xDF810E, 0xDF810F] {
                data.set(tag, from: terminal)
            }
            if let tornOut { data.set(0xFF8101, tornOut.encoded()) }
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
        if isEMV { record.set(0x95, number: results.rawValue, count: 5) }
        if !record.contains(0x84) { record.set(0x84, activation.selectedApplication) }
        record.set(0x9F06, activation.combination.applicationIdentifier)
        record.set(0x9B, isEMV && usesCDA && requestedCDA ? [0x80, 0] : [0, 0])
        record.set(0x9F39, [isEMV ? 0x07 : 0x91])
        return record
    }

    static let recordedCardTags: [Tag] = [
        0x57, 0x5A, 0x5F24, 0x5F34, 0x5F20, 0x5F28, 0x50, 0x82, 0x84, 0x9F10, 0x9F26, 0x9F27, 0x9F36, 0x9F6E,
        0x9F24, 0x9F25, 0x9F19, 0x9F08, 0x9F07, 0x9F12, 0x9F11, 0x9F42, 0x5F2D, 0x9F6B,
    ]
    static let recordedMagStripeTags: [Tag] = [
        0x56, 0x9F6B, 0x50, 0x82, 0x84, 0x9F36, 0x9F60, 0x9F61, 0x9F6A, 0x9F6E, 0x9F12, 0x9F11, 0x5F2D,
        0x5F34,
        0x9F24, 0x9F62, 0x9F63, 0x9F64, 0x9F65, 0x9F66, 0x9F67,
    ]
    static let recordedTerminalTags: [Tag] = [
        0x9F02, 0x9F03, 0x9F1A, 0x5F2A, 0x9A, 0x9C, 0x9F37, 0x9F33, 0x9F34, 0x9F35, 0x9F40, 0x9F1E, 0x9F09,
        0x9F41,
        0x9F21, 0x9F15, 0x9F16, 0x9F1C, 0x9F6D, 0x9F53, 0x9F7C,
    ]
}

extension Span where Element == UInt8 {
    var first: UInt8? { isEmpty ? nil : self[0] }
}
