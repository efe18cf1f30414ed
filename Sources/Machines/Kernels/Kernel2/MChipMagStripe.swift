import BERTLV
import EMV
import SmartCard

/// Mag-stripe mode (Book C-2, states S78, S13, S14).
extension MChipKernel {
    /// Positions of a bitmap, most significant first, as counted from the right end of the discretionary data: 1 is the
    /// last digit.
    private func positions(_ tag: Tag) -> [Int] {
        guard let bits = card.number(tag), let count = card.length(tag) else { return [] }
        return stride(from: count * 8 - 1, through: 0, by: -1).filter { bits >> UInt64($0) & 1 == 1 }.map {
            $0 + 1
        }
    }

    /// S78.
    mutating func prepareChecksum() -> KernelAction {
        // S7.20: track 2 with its bitmaps is mandatory.
        for tag: Tag in [.track2Data, .pcvc3Track2, .punatcTrack2, .natcTrack2]
        where (card.length(tag) ?? 0) == 0 {
            return finish(invalid(.cardDataMissing, .missingData(tag)))
        }
        guard let digits = numericDigits(.punatcTrack2, .natcTrack2), (0...8).contains(digits) else {
            return finish(
                invalid(.cardDataError, .wrongData(.punatcTrack2, "no room for the counter's digits")))
        }
        guard Track2EquivalentData(Array(card[.track2Data] ?? [])) != nil else {
            return finish(invalid(.cardDataError, .wrongData(.track2Data, "no track 2")))
        }
        // S7.22, S7.24: track 1 comes with all of its own or not at all; a part of it is an error of the card.
        if let track1 = card[.track1Data] {
            for tag: Tag in [.pcvc3Track1, .punatcTrack1, .natcTrack1] where (card.length(tag) ?? 0) == 0 {
                return finish(invalid(.cardDataError, .missingData(tag)))
            }
            guard numericDigits(.punatcTrack1, .natcTrack1) == digits else {
                return finish(
                    invalid(
                        .cardDataError, .wrongData(.punatcTrack1, "another number of digits than track 2")))
            }
            guard track1.count(where: { $0 == UInt8(ascii: "^") }) >= 2 else {
                return finish(invalid(.cardDataError, .wrongData(.track1Data, "no two field separators")))
            }
        }
        // S78.10.
        let amount = activation.transaction.amount.minorUnits
        let limit =
            terminal.decimal(
                verifiesOnDevice
                    ? MChipConfiguration.transactionLimitOnDeviceCVM
                    : MChipConfiguration.transactionLimitNoOnDeviceCVM) ?? 0
        guard amount <= limit else { return finish(selectNext(.maximumLimitExceeded, .amountAboveLimit)) }

        sendRestOfTagsToRead()
        // The tracks as the card gave them, for the Discretionary Data (S7.23, S7.26).
        keepDiscretionaryData()
        requiresCVM = amount > terminal.decimal(MChipConfiguration.cvmRequiredLimit) ?? 0
        // S78.20: Mobile Support Indicator, verification on the device is required.
        if verifiesOnDevice, requiresCVM {
            terminal.set(
                .mobileSupportIndicator, [(terminal.span(.mobileSupportIndicator)?.first ?? 0x01) | 0x02])
        }
        method = .noCVM

        // Unpredictable Number (Numeric): as many digits as the card wants, zeros before them.
        var range: UInt64 = 1
        for _ in 0..<digits { range *= 10 }
        terminal.set(
            .unpredictableNumberNumeric, bcd: (terminal.number(.unpredictableNumber) ?? 0) % range, count: 4)
        let list = Array(card[.udol] ?? terminal[MChipConfiguration.defaultUDOL] ?? [])
        var data: [UInt8] = []
        do {
            try DataObjectList.fill(list.span, name: .udol, from: terminal, into: &data)
        } catch { return finish(invalid(.parsingError, .malformedList(error))) }
        guard data.count <= 255 else {
            return finish(
                invalid(.cardDataError, .wrongData(.udol, "asks for more than a command can hold")))
        }
        return transmit(
            .computeCryptographicChecksum(data), .waitingForChecksum)
    }

    /// DD Card (Track 1) DF812A and (Track 2) DF812B.
    private mutating func keepDiscretionaryData() {
        let track2 = Array(Hex.string(card[.track2Data] ?? []).utf8)
        if let separator = track2.firstIndex(of: UInt8(ascii: "D")), track2.count > separator + 8 {
            var digits = Array(track2[(separator + 8)...])
            while digits.last == UInt8(ascii: "F") { digits.removeLast() }
            if !digits.count.isMultiple(of: 2) { digits.append(UInt8(ascii: "F")) }
            card.set(.ddCardTrack2, Hex.bytes(String(decoding: digits, as: UTF8.self)) ?? [])
        }
        if let track1 = card[.track1Data].map({ Array($0) }) {
            let separators = track1.indices.filter { track1[$0] == UInt8(ascii: "^") }
            if separators.count >= 2 { card.set(.ddCardTrack1, track1.dropFirst(separators[1] + 8)) }
        }
    }

    /// nUN: bits of PUNATC less NATC; nil where there are fewer bits than digits of the counter.
    private func numericDigits(_ bitmap: Tag, _ counterDigits: Tag) -> Int? {
        guard let bits = card.number(bitmap), let counter = card.number(counterDigits), counter <= 5 else {
            return nil
        }
        let count = bits.nonzeroBitCount - Int(counter)
        return count >= 0 ? count : nil
    }

    /// S13 (no verification on the device) and S14.
    mutating func checksum(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else {
            return failMagStripe(
                invalid(
                    .statusBytes,
                    .command("COMPUTE CRYPTOGRAPHIC CHECKSUM", status: response.status.rawValue)))
        }
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next(), template.tag == .responseMessageTemplateFormat2,
                template.whole == response.dataRange
            else {
                return failMagStripe(invalid(.parsingError, .missingData(.responseMessageTemplateFormat2)))
            }
            if let reason = try store(
                response.bytes, template.value, in: .responseMessageTemplateFormat2, depth: 0)
            {
                return failMagStripe(invalid(.parsingError, reason))
            }
        } catch { return failMagStripe(invalid(.parsingError, .malformedData(error))) }
        let (outcome, fails) = settleChecksum()
        // S13.12.1, S14.12.1: the card was read, whatever is in its response.
        state = .checksumShown(outcome, fails: fails)
        return .display(
            UserInterfaceRequest(.clearDisplay, .cardReadSuccessfully, languagePreference: language))
    }

    /// The outcome of a checksum that was stored, and whether it is one of those that come after a delay.
    private mutating func settleChecksum() -> (outcome: Outcome, fails: Bool) {
        let information = card[.posCardholderInteractionInformation].map { Array($0) }
        guard card.length(.applicationTransactionCounter) == 2 else {
            return (invalid(.cardDataMissing, .missingData(.applicationTransactionCounter)), true)
        }
        guard !verifiesOnDevice || information != nil else {
            return (invalid(.cardDataMissing, .missingData(.posCardholderInteractionInformation)), true)
        }
        guard card.length(.cvc3Track2) == 2 else {
            // A phone that waits for its owner gives no CVC3 (S13.41, S14.19.1).
            guard information != nil else {
                return (invalid(.cardDataMissing, .missingData(.cvc3Track2)), true)
            }
            return (phoneInteraction(data: dataRecord()) ?? declinedMagStripe(), true)
        }
        guard !card.contains(.track1Data) || card.length(.cvc3Track1) == 2 else {
            return (invalid(.cardDataMissing, .missingData(.cvc3Track1)), true)
        }
        // "OD-CVM verification successful".
        let isVerified = (information?.dropFirst().first ?? 0) & 0x10 != 0
        if verifiesOnDevice {
            // S14.20, S14.21: above the limit only with the owner's verification.
            if requiresCVM, !isVerified { return (invalid(.cardDataError, .cardholderVerification), true) }
            method = isVerified ? .confirmationCodeVerified : .noCVM
        } else {
            method = configuredMethod()
        }
        guard fillTracks(isVerified: isVerified) else {
            return (invalid(.cardDataError, .wrongData(.track2Data, "no room for CVC3 and its digits")), true)
        }
        failures = 0
        card.set(.unpredictableNumberNumeric, terminal[.unpredictableNumberNumeric] ?? [])
        var online = onlineRequest()
        // S13.25, S13.26, S14.25: without a User Interface Request.
        online.uiRequestOnOutcome = nil
        return (online, false)
    }

    /// Mag-stripe CVM Capability: bits 8-5 are the method (S13.24 to S13.26, Annex A.1).
    private func configuredMethod() -> Outcome.CVM {
        let tag =
            requiresCVM
            ? MChipConfiguration.magStripeCVMCapabilityCVMRequired
            : MChipConfiguration.magStripeCVMCapabilityNoCVMRequired
        return switch (terminal.span(tag)?.first ?? 0xF0) >> 4 {
        case 0x0: .noCVM
        case 0x1: .signature
        case 0x2: .onlinePIN
        default: .notApplicable
        }
    }

    /// S13.30, S14.30: a failure comes after a delay that doubles with each one in a row, 300 ms at first, so that nobody
    /// collects CVC3 values quickly.
    mutating func failMagStripe(_ outcome: Outcome) -> KernelAction {
        // S13.44, S14.22: a phone's message comes before the delay.
        guard outcome.status == .tryAgain, let message = outcome.uiRequestOnOutcome else {
            return delay(outcome)
        }
        var rest = outcome
        rest.uiRequestOnOutcome = nil
        state = .phoneMessageShown(rest)
        return .display(message)
    }

    mutating func delay(_ outcome: Outcome) -> KernelAction {
        let time = UInt32(300) << UInt32(min(failures, 5))
        failures = min(failures + 1, 5)
        state = .delaying(outcome)
        return .waitForData(milliseconds: time)
    }

    private func declinedMagStripe() -> Outcome {
        var result = outcome(
            .declined,
            message: UserInterfaceRequest(
                .notAuthorised, .notReady, holdTime: holdTime, languagePreference: language),
            data: dataRecord())
        result.reasons = [.declinedByCard]
        return result
    }

    /// CVC3, Unpredictable Number, ATC and nUN in the discretionary data of both tracks (S13, S14).
    private mutating func fillTracks(isVerified: Bool) -> Bool {
        guard let digits = numericDigits(.punatcTrack2, .natcTrack2) else { return false }
        // nUN': five more where the owner was verified on the device (S13.14.8, S14.24).
        let indicator = isVerified ? (digits + 5) % 10 : digits
        let number = terminal.decimal(.unpredictableNumberNumeric) ?? 0
        let counter = card.number(.applicationTransactionCounter) ?? 0

        func fill(
            _ text: inout [UInt8], from start: Int, _ checksum: Tag, _ pcvc3: Tag, _ punatc: Tag, _ natc: Tag
        )
            -> Bool
        {
            func put(_ position: Int, _ value: UInt64) -> Bool {
                let index = text.count - position
                guard index >= start, index < text.count else { return false }
                text[index] = 0x30 + UInt8(truncatingIfNeeded: value % 10)
                return true
            }
            // From the right: the least significant digit goes to the least significant position.
            var value = card.number(checksum) ?? 0
            for position in positions(pcvc3).reversed() {
                guard put(position, value) else { return false }
                value /= 10
            }
            let places = Array(positions(punatc).reversed())
            value = number
            for position in places.prefix(digits) {
                guard put(position, value) else { return false }
                value /= 10
            }
            value = counter
            for position in places.dropFirst(digits).prefix(Int(card.number(natc) ?? 0)) {
                guard put(position, value) else { return false }
                value /= 10
            }
            return put(1, UInt64(indicator))
        }

        var text = Array(Hex.string(card[.track2Data] ?? []).utf8)
        while text.last == UInt8(ascii: "F") { text.removeLast() }
        guard let separator = text.firstIndex(of: UInt8(ascii: "D")) else { return false }
        // After the separator: expiry (4), service code (3), discretionary data.
        guard fill(&text, from: separator + 8, .cvc3Track2, .pcvc3Track2, .punatcTrack2, .natcTrack2) else {
            return false
        }
        if !text.count.isMultiple(of: 2) { text.append(UInt8(ascii: "F")) }
        guard let track2 = Hex.bytes(String(decoding: text, as: UTF8.self)) else { return false }
        card.set(.track2Data, track2)

        guard var track1 = card[.track1Data].map({ Array($0) }) else { return true }
        // Format code, number, separator, name, separator, expiry (4), service code (3), discretionary data.
        let separators = track1.indices.filter { track1[$0] == UInt8(ascii: "^") }
        guard separators.count >= 2,
            fill(&track1, from: separators[1] + 8, .cvc3Track1, .pcvc3Track1, .punatcTrack1, .natcTrack1)
        else {
            return false
        }
        card.set(.track1Data, track1)
        return true
    }
}
