internal import BERTLV

// The data objects in which Book C-2 gives outcomes and messages; terminals and test tools read them.

extension Outcome {
    /// Outcome Parameter Set, DF8129: 8 bytes (Book C-2, Annex A.1).
    public var parameterSet: [UInt8] {
        let statusCode: UInt8 =
            switch status {
            case .approved: 0x10
            case .declined: 0x20
            case .onlineRequest: 0x30
            case .endApplication: 0x40
            case .selectNext: 0x50
            case .tryAnotherInterface: 0x60
            case .tryAgain: 0x70
            // Not in Book C-2: Kernel 2 asks for no PIN on its own.
            case .requestOnlinePIN: 0xF0
            }
        let startCode: UInt8 =
            switch start {
            case .a: 0x00
            case .b: 0x10
            case .c: 0x20
            case .d: 0x30
            case nil: 0xF0
            }
        let method: UInt8 =
            switch cvm {
            case .noCVM: 0x00
            case .signature: 0x10
            case .onlinePIN: 0x20
            case .confirmationCodeVerified: 0x30
            case .notApplicable: 0xF0
            }
        var present: UInt8 = 0
        if uiRequestOnOutcome != nil { present |= 0x80 }
        if uiRequestOnRestart != nil { present |= 0x40 }
        if dataRecord != nil { present |= 0x20 }
        if discretionaryData != nil { present |= 0x10 }
        if receiptRequested { present |= 0x08 }
        return [
            statusCode, startCode, 0xF0, method, present, 0xF0, fieldOffRequest ?? 0xFF,
            UInt8(clamping: removalTimeout),
        ]
    }

    /// What leaves Book C-2's kernel with the OUT signal: DF8129, DF8116 (on outcome, else on restart), FF8106 (discretionary
    /// data) and FF8105 (data record). Holds card data: for display it must be masked.
    public var encoded: [UInt8] {
        var writer = BERTLVWriter()
        writer.append(0xDF8129, parameterSet)
        if let request = uiRequestOnOutcome ?? uiRequestOnRestart { writer.append(0xDF8116, request.encoded) }
        if let discretionaryData { writer.append(0xFF8106, discretionaryData.encoded()) }
        if let dataRecord { writer.append(0xFF8105, dataRecord.encoded()) }
        return writer.bytes
    }
}

extension UserInterfaceRequest {
    /// User Interface Request Data, DF8116: 22 bytes (Book C-2, Annex A.1): message, status, hold time (n 6, 100 ms), language
    /// preference (8, zeros behind it), value qualifier, value (n 12), currency code (n 3).
    public var encoded: [UInt8] {
        var bytes: [UInt8] = [message.rawValue, status.rawValue]
        bytes += BCD.bytes(UInt64(holdTime), count: 3)
        let language = Array((languagePreference ?? "").utf8.prefix(8))
        bytes += language + [UInt8](repeating: 0, count: 8 - language.count)
        bytes.append(valueQualifier.rawValue << 4)
        bytes += value?.bytes ?? [UInt8](repeating: 0, count: 6)
        bytes += currency?.bytes ?? [0, 0]
        return bytes
    }
}
