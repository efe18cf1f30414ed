internal import EMV
internal import EMVCryptography

/// Mag-stripe mode of Mastercard contactless cards: the dynamic CVC3 in the discretionary data of track 2 (EMV
/// Contactless Book C-2, mag-stripe mode).
struct DynamicCVC3 {
    let layout: IssuingWorld.MagStripeLayout
    /// The card's KD CVC3.
    let key: TripleDESKey

    /// Digits counted from the right end of the discretionary data: 1 is the last.
    private static func positions(_ bitmap: UInt64) -> [Int] {
        (0..<64).filter { bitmap >> $0 & 1 == 1 }.map { $0 + 1 }
    }

    /// Finds the transaction counter with which the CVC3 is right.
    /// - Parameter highest: the highest counter seen of the card; the track carries its last digits only.
    /// - Throws: `Refusal` with 63.
    func verify(_ track: Track2EquivalentData, highest: UInt16?) throws(Refusal) -> UInt16 {
        var digits = track.clearDiscretionaryData.utf8.map { UInt64($0 &- 0x30) }
        func at(_ position: Int) throws(Refusal) -> Int {
            let index = digits.count - position
            guard index >= 0, index < digits.count else {
                throw Refusal(.securityViolation, "track 2 is too short for the card's CVC3")
            }
            return index
        }
        func value(_ positions: some Collection<Int>) throws(Refusal) -> UInt64 {
            var result: UInt64 = 0
            for position in positions.reversed() { result = result * 10 + digits[try at(position)] }
            return result
        }
        let checksum = Self.positions(layout.checksumPositions)
        let mixed = Self.positions(layout.numberAndCounterPositions)
        let numberCount = mixed.count - layout.counterDigits
        guard numberCount >= 0 else {
            throw Refusal(.systemMalfunction, "the card's bitmaps contradict its counter")
        }
        let found = try value(checksum)
        let number = try value(mixed.prefix(numberCount))
        let counterEnd = try value(mixed.dropFirst(numberCount))
        let indicator = digits[try at(1)]
        guard indicator == UInt64(numberCount) || indicator == UInt64(numberCount + 5) % 10 else {
            throw Refusal(.securityViolation, "track 2 says that \(indicator) digits are unpredictable")
        }

        // The card's IVCVC3 is over the track with zeros where it is dynamic.
        for position in checksum + mixed + [1] { digits[try at(position)] = 0 }
        var text = track.clearText(separator: "D")
        text.removeLast(digits.count)
        text += digits.map { String($0) }.joined()
        if !text.utf8.count.isMultiple(of: 2) { text += "F" }
        var bytes: [UInt8] = []
        var rest = Substring(text)
        while let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue {
            bytes.append(UInt8(high << 4 | low))
        }
        let vector = key.ivCVC3(trackData: bytes.span)
        var packed: UInt32 = 0
        var left = number
        for place in 0..<8 {
            packed |= UInt32(left % 10) << UInt32(4 * place)
            left /= 10
        }

        var modulus: UInt64 = 1
        for _ in 0..<layout.counterDigits { modulus *= 10 }
        var range: UInt64 = 1
        for _ in checksum { range *= 10 }
        let base = UInt64(highest ?? 0)
        var candidate = counterEnd
        var candidates: [UInt64] = []
        while candidate <= 0xFFFF {
            candidates.append(candidate)
            candidate += modulus
        }
        func distance(_ counter: UInt64) -> UInt64 { counter > base ? counter - base : base - counter }
        // The nearest ones: a card does not leap over thousands of taps.
        for counter in candidates.sorted(by: { distance($0) < distance($1) }).prefix(3) {
            let expected = key.cvc3(
                iv: vector, unpredictableNumber: packed,
                applicationTransactionCounter: UInt16(truncatingIfNeeded: counter))
            if UInt64(expected) % range == found { return UInt16(truncatingIfNeeded: counter) }
        }
        throw Refusal(.securityViolation, "the CVC3 is wrong")
    }
}
