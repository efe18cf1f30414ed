import BERTLV
import EMV

extension DataObjects {
    /// Sets the data objects of a transaction as an activation brings them (Book B, 3.4): amounts, currency, date, time, type,
    /// Unpredictable Number, Transaction Sequence Counter.
    mutating func setTransaction(of activation: borrowing KernelActivation) {
        let inputs = activation.transaction
        set(.amountAuthorisedNumeric, bcd: inputs.amount.minorUnits, count: 6)
        set(.amountOtherNumeric, bcd: inputs.amountOther.minorUnits, count: 6)
        set(.transactionCurrencyCode, bcd: UInt64(inputs.currency.value), count: 2)
        set(.transactionCurrencyExponent, bcd: UInt64(inputs.currencyExponent), count: 1)
        set(.transactionDate, bcd: UInt64(inputs.date.yymmdd), count: 3)
        set(.transactionTime, bcd: UInt64(max(0, inputs.hhmmss)), count: 3)
        set(.transactionType, number: UInt64(inputs.transactionType), count: 1)
        set(.unpredictableNumber, number: UInt64(activation.unpredictableNumber), count: 4)
        set(.transactionSequenceCounter, bcd: UInt64(inputs.sequenceCounter), count: 4)
    }

    /// Terminal Type 14, 15, 16 with cash dispensing (EMV Book 4, A1 and A3), of a terminal's data.
    var isAutomatedTellerMachine: Bool {
        guard let type = number(.terminalType), [0x14, 0x15, 0x16].contains(type),
            let first = span(.additionalTerminalCapabilities)?.first
        else { return false }
        return first & 0x80 != 0
    }

    /// Stores a number as packed BCD (format n) without an array in between.
    mutating func set(_ tag: Tag, bcd number: UInt64, count: Int) {
        var packed: UInt64 = 0
        var rest = number
        for position in 0..<min(count * 2, 16) {
            packed |= (rest % 10) << UInt64(position * 4)
            rest /= 10
        }
        set(tag, number: packed, count: count)
    }
}

extension Span where Element == UInt8 {
    var first: UInt8? { isEmpty ? nil : self[0] }
}
