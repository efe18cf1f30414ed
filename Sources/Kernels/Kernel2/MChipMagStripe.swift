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
        let amount = activation.transaction.amount.minorUnits
        let limit =
            terminal.decimal(
                verifiesOnDevice
                    ? MChipConfiguration.transactionLimitOnDeviceCVM
                    : MChipConfiguration.transactionLimitNoOnDeviceCVM) ?? 0
        guard amount <= limit else { return finish(selectNext(.maximumLimitExceeded)) }
        // Track 2 with its bitmaps is mandatory; track 1 comes with all of its own or not at all.
        for tag: Tag in [0x9F6B, 0x9F65, 0x9F66, 0x9F67] where (card.length(tag) ?? 0) == 0 {
            return finish(invalid(.cardDataMissing))
        }
        guard let digits = numericDigits(0x9F66, 0x9F67), (0...8).contains(digits) else {
            return finish(invalid(.cardDataError))
        }
        if card.contains(0x56) {
            for tag: Tag in [0x9F62, 0x9F63, 0x9F64] where (card.length(tag) ?? 0) == 0 {
                return finish(invalid(.cardDataMissing))
            }
            guard numericDigits(0x9F63, 0x9F64) == digits else { return finish(invalid(.cardDataError)) }
        }
        guard Track2EquivalentData(Array(card[0x9F6B] ?? [])) != nil else {
            return finish(invalid(.cardDataError))
        }

        let isRequired = amount > terminal.decimal(MChipConfiguration.cvmRequiredLimit) ?? 0
        if verifiesOnDevice {
            method = isRequired ? .confirmationCodeVerified : .noCVM
        } else {
            // Mag-stripe CVM Capability: bits 8-5 are the method (Annex A.1).
            let tag =
                isRequired
                ? MChipConfiguration.magStripeCVMCapabilityCVMRequired
                : MChipConfiguration.magStripeCVMCapabilityNoCVMRequired
            switch (terminal.span(tag)?.first ?? 0xF0) >> 4 {
            case 0x0: method = .noCVM
            case 0x1: method = .signature
            case 0x2: method = .onlinePIN
            default: method = .notApplicable
            }
        }

        // Unpredictable Number (Numeric): as many digits as the card wants, zeros before them.
        var range: UInt64 = 1
        for _ in 0..<digits { range *= 10 }
        terminal.set(0x9F6A, bcd: (terminal.number(0x9F37) ?? 0) % range, count: 4)
        let list = Array(card[0x9F69] ?? terminal[MChipConfiguration.defaultUDOL] ?? [])
        var data: [UInt8] = []
        do {
            try DataObjectList.fill(list.span, name: 0x9F69, from: terminal, into: &data)
        } catch { return finish(invalid(.parsingError)) }
        guard data.count <= 255 else { return finish(invalid(.cardDataError)) }
        state = .waitingForChecksum
        return .transmit(CommandAPDU(cla: 0x80, ins: 0x2A, p1: 0x8E, p2: 0x80, data: data))
    }

    /// nUN: bits of PUNATC less NATC; nil where there are fewer bits than digits of the counter.
    private func numericDigits(_ bitmap: Tag, _ counterDigits: Tag) -> Int? {
        guard let bits = card.number(bitmap), let counter = card.number(counterDigits), counter <= 5 else {
            return nil
        }
        let count = bits.nonzeroBitCount - Int(counter)
        return count >= 0 ? count : nil
    }

    /// S13 and S14.
    mutating func checksum(_ response: ResponseAPDU) -> KernelAction {
        guard response.isSuccess else { return finish(invalid(.statusBytes, response.status)) }
        do {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            guard let template = try reader.next(), template.tag == 0x77,
                template.whole == response.dataRange,
                try store(response.bytes, template.value, depth: 0)
            else { return finish(invalid(.parsingError)) }
        } catch { return finish(invalid(.parsingError)) }
        guard card.length(0x9F36) == 2 else { return finish(invalid(.cardDataMissing)) }
        guard card.length(0x9F61) == 2 else {
            // A phone that waits for its owner gives no CVC3.
            if let interaction = phoneInteraction() { return interaction }
            return show(declinedMagStripe())
        }
        guard !card.contains(0x56) || card.length(0x9F60) == 2, fillTracks() else {
            return finish(invalid(.cardDataError))
        }
        card.set(0x9F6A, terminal[0x9F6A] ?? [])
        return show(onlineRequest())
    }

    private func declinedMagStripe() -> Outcome {
        outcome(
            .declined,
            message: UserInterfaceRequest(
                .notAuthorised, .notReady, holdTime: holdTime, languagePreference: language),
            data: dataRecord())
    }

    /// CVC3, Unpredictable Number, ATC and nUN in the discretionary data of both tracks (S13, S14).
    private mutating func fillTracks() -> Bool {
        guard let digits = numericDigits(0x9F66, 0x9F67) else { return false }
        let indicator = method == .confirmationCodeVerified ? (digits + 5) % 10 : digits
        let number = terminal.decimal(0x9F6A) ?? 0
        let counter = card.number(0x9F36) ?? 0

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

        var text = Array(Hex.string(card[0x9F6B] ?? []).utf8)
        while text.last == UInt8(ascii: "F") { text.removeLast() }
        guard let separator = text.firstIndex(of: UInt8(ascii: "D")) else { return false }
        // After the separator: expiry (4), service code (3), discretionary data.
        guard fill(&text, from: separator + 8, 0x9F61, 0x9F65, 0x9F66, 0x9F67) else { return false }
        if !text.count.isMultiple(of: 2) { text.append(UInt8(ascii: "F")) }
        guard let track2 = Hex.bytes(String(decoding: text, as: UTF8.self)) else { return false }
        card.set(0x9F6B, track2)

        guard var track1 = card[0x56].map({ Array($0) }) else { return true }
        // Format code, number, separator, name, separator, expiry (4), service code (3), discretionary data.
        let separators = track1.indices.filter { track1[$0] == UInt8(ascii: "^") }
        guard separators.count >= 2, fill(&track1, from: separators[1] + 8, 0x9F60, 0x9F62, 0x9F63, 0x9F64)
        else {
            return false
        }
        card.set(0x56, track1)
        return true
    }
}
