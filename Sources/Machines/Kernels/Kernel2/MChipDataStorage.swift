import BERTLV
import EMV
import EMVCryptography

/// Integrated data storage (Book C-2, 3.6 and 3.9, IDS): a terminal's operator keeps data on the card, and GENERATE AC
/// reads and writes them under the card's signature.
extension MChipKernel {
    /// S1.17 to S1.20.
    mutating func beginDataStorage() {
        guard (terminal.length(MChipConfiguration.dataStorageVersion) ?? 0) > 0,
            terminal.contains(.dsRequestedOperatorID)
        else { return }
        for tag: Tag in [.dsID, .applicationCapabilitiesInformation] { dataToSend.set(tag, card[tag] ?? []) }
        if let version = capabilities?.dataStorageVersion, version == 1 || version == 2,
            (card.length(.dsID) ?? 0) > 0
        {
            storage = .read
        }
    }

    /// S3R1.10 to S3R1.13: what GET PROCESSING OPTIONS brought of the operator's slot.
    mutating func readDataStorage() {
        guard storage.contains(.read) else { return }
        for tag: Tag in [
            .dsSlotAvailability, .dsSummary1, .dsUnpredictableNumber, .dsSlotManagementControl, .dsODSCard,
        ] {
            if let value = card[tag] { dataToSend.set(tag, value) }
        }
        dataToSend.set(.unpredictableNumber, terminal[.unpredictableNumber] ?? [])
        func has(_ tag: Tag) -> Bool { (card.length(tag) ?? 0) > 0 }
        let isNewSlot =
            has(.dsSlotAvailability) && has(.dsSummary1) && has(.dsUnpredictableNumber)
            && !card.contains(.dsODSCard)
        let isOwnSlot = has(.dsSummary1) && card.contains(.dsODSCard)
        if !isNewSlot, !isOwnSlot { storage.remove(.read) }
    }

    /// S4.30: the DSDOL's data are needed unless the slot is locked (DS Slot Management Control 9F6F).
    mutating func needDataStorageInput() {
        guard storage.contains(.read) else { return }
        if let control = card.span(.dsSlotManagementControl)?.first, control & 0x10 != 0 { return }
        needMissing(of: .dsdol)
    }

    /// S456.19: the DS ID is the card number and its sequence number, at least 8 bytes.
    func dataStorageIdentifierFits() -> Bool {
        guard let identifier = card[.dsID], let number = card[.applicationPAN] else { return false }
        var digits = Hex.string(number)
        while digits.last == "F" { digits.removeLast() }
        digits += Hex.string(card[.applicationPANSequenceNumber] ?? [0])
        if !digits.count.isMultiple(of: 2) { digits = "0" + digits }
        while digits.count < 16 { digits = "0" + digits }
        return Hex.string(identifier) == digits
    }

    /// What GENERATE AC does about data storage (Book C-2, 7.6, GAC.3 to GAC.13).
    enum DataStorageDecision {
        case none
        case write
        case error(MChipError)
    }

    /// - Parameter type: the cryptogram that terminal action analysis asks for; data storage may ask for less.
    func decideDataStorage(_ type: inout CryptogramInformationData.CryptogramType) -> DataStorageDecision {
        guard isNotEmpty(.dsODSInfo), (card.length(.dsdol) ?? 0) > 0 else { return .none }
        guard
            let wanted = terminal.span(.dsACType)?.first.flatMap({
                CryptogramInformationData.CryptogramType(rawValue: $0 >> 6)
            }),
            wanted != .aar, let information = terminal.span(.dsODSInfoForReader)?.first
        else { return .error(.dataStorageDataError) }
        if wanted == .aac || wanted == type || wanted == .arqc && type == .tc {
            type = wanted
            return .write
        }
        // DS ODS Info For Reader: what the operator's data may be written with instead.
        if type == .aac, information & 0x20 != 0 { return .write }
        if type == .arqc, information & 0x40 != 0 { return .write }
        if information & 0x04 != 0 { return .error(.dataStorageNoMatchingCryptogram) }
        return .none
    }

    /// DSDOL data, with the digest of the operator's input where the card wants it (GAC.40 to GAC.45).
    /// - Returns: nil for a DSDOL that cannot be read.
    mutating func dataStorageData() -> [UInt8]? {
        let list = Array(card[.dsdol] ?? [])
        guard let entries = try? DataObjectList.entries(list, name: .dsdol) else { return nil }
        if entries.contains(where: { $0.tag == .dsDigestH }) {
            let digest =
                terminal[.dsInputTerm].flatMap { digestOfInput(Array($0)) } ?? [UInt8](repeating: 0, count: 8)
            terminal.set(.dsDigestH, digest)
        }
        var result: [UInt8] = []
        for (index, entry) in entries.enumerated() {
            if index == entries.count - 1, let value = terminal[entry.tag] ?? card[entry.tag], !value.isEmpty,
                value.count < entry.length
            {
                // The last data object of a DSDOL is not padded (Book C-2, 4.1.4); one without a value is zeros.
                result.append(contentsOf: value)
            } else {
                DataObjectList.append(entry, from: terminal, card, to: &result)
            }
        }
        return result
    }

    /// DS Digest H of DS Input (Term).
    private func digestOfInput(_ input: [UInt8]) -> [UInt8]? {
        guard input.count == 8, let identifier = card[.dsID].map({ Array($0) }),
            let own = terminal[.dsRequestedOperatorID],
            own.count == 8
        else { return nil }
        // A volatile data set in a permanent slot belongs to no operator.
        let isVolatileInPermanent =
            (card.span(.dsSlotManagementControl)?.first ?? 0) & 0x80 != 0
            && (terminal.span(.dsODSInfo)?.first ?? 0) & 0x40 != 0
        let operatorIdentifier = isVolatileInPermanent ? [UInt8](repeating: 0, count: 8) : Array(own)
        return capabilities?.dataStorageVersion == 2
            ? DataStorageHash.owhf2AES(input, identifier: identifier, operatorIdentifier: operatorIdentifier)
            : DataStorageHash.owhf2(input, identifier: identifier, operatorIdentifier: operatorIdentifier)
    }

    /// DS Summaries 2 and 3 of the ICC Dynamic Data (Book C-2, 8.1): 8 bytes each, 16 in version 2. With relay resistance
    /// data behind them both are there (S910.3.1).
    /// - Returns: what follows; nil where they are missing.
    mutating func takeSummaries(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard storage.contains(.read) else { return rest }
        let count = capabilities?.dataStorageVersion == 2 ? 16 : 8
        if relay.device != nil, rest.count < 2 * count + 14 { return nil }
        var rest = rest
        for tag: Tag in [.dsSummary2, .dsSummary3] where rest.count >= count {
            card.set(tag, rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return rest
    }

    /// S910.8 to S910.19, S11.47 to S11.61, after the signature was verified: the summaries before and after.
    /// - Returns: the error that ends the transaction; nil where reading, and writing where asked for, went well.
    mutating func checkDataStorage() -> (error: MChipError, isWriteError: Bool)? {
        guard storage.contains(.read) else { return nil }
        // S11.47: a torn write of before must have left the summary as it was.
        if let torn = recovering, Self.wrote(torn), torn[.dsSummary1] != card[.dsSummary1] {
            return (.dataStorageReadError, false)
        }
        guard let before = card[.dsSummary2], !before.isEmpty else { return (.cardDataMissing, false) }
        guard before == card[.dsSummary1] else { return (.dataStorageReadError, false) }
        var status: UInt8 = 0x80
        terminal.set(.dsSummaryStatus, [status])
        guard storage.contains(.write) else { return nil }
        guard let after = card[.dsSummary3], !after.isEmpty else { return (.cardDataMissing, false) }
        if before == after {
            // Nothing was written: the operator may want to stop then.
            return (terminal.span(.dsODSInfoForReader)?.first ?? 0) & 0x02 != 0
                ? (.dataStorageWriteError, true) : nil
        }
        status |= 0x40
        terminal.set(.dsSummaryStatus, [status])
        return nil
    }
}
