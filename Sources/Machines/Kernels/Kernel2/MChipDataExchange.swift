import BERTLV
import EMV
import SmartCard

/// Data exchange with the terminal (Book C-2, 3.5): Data Needed and Data To Send leave with the DEK signal, data come
/// back with the DET signal, and GET DATA reads what the terminal asked for.
extension MChipKernel {
    /// Exchanges after which a terminal that never has what is needed ends the transaction: nothing else would.
    static let maximumExchanges = 64

    /// A value of the TLV database, from whoever set it.
    func value(_ tag: Tag) -> ArraySlice<UInt8>? { terminal[tag] ?? card[tag] }
    /// Present, but without a value: the terminal will give it.
    func isEmpty(_ tag: Tag) -> Bool { terminal.length(tag) == 0 }
    func isNotEmpty(_ tag: Tag) -> Bool { (terminal.length(tag) ?? card.length(tag) ?? 0) > 0 }

    /// S1.10, S1.16: what the configuration asks for from the beginning.
    mutating func beginDataExchange() {
        for tag: Tag in [.tagsToRead, .tagsToWriteBeforeGenAC, .tagsToWriteAfterGenAC] where isEmpty(tag) {
            need(tag)
        }
        takeLists(terminal)
        moveKnownTagsToRead()
    }

    mutating func need(_ tag: Tag) {
        if !dataNeeded.contains(tag) { dataNeeded.append(tag) }
    }

    /// Adds to Data Needed what a list wants and the terminal promised.
    /// - Parameter isAwaited: the kernel waits for it, so that only what the terminal may send counts (S1.12, S2.7).
    /// - Returns: whether something is missing.
    @discardableResult
    mutating func needMissing(of list: Tag, isAwaited: Bool = false) -> Bool {
        guard let bytes = card[list], !bytes.isEmpty,
            let entries = try? DataObjectList.entries(bytes, name: list)
        else { return false }
        var isMissing = false
        for entry in entries where isEmpty(entry.tag) && card.length(entry.tag) ?? 0 == 0 {
            if isAwaited, !MChipDictionary.mayComeFromTerminal(entry.tag) { continue }
            need(entry.tag)
            isMissing = true
        }
        return isMissing
    }

    /// Tags To Read (DF8112: tags), Tags To Write Before and After GEN AC (FF8102, FF8103: data objects).
    private mutating func takeLists(_ data: DataObjects) {
        if let list = data[.tagsToRead] {
            let bytes = Array(list)
            var offset = 0
            while offset < bytes.count, let tag = Self.tag(bytes, &offset) {
                // AddListToList: what is in the list already is there once.
                if !tagsToRead.contains(tag) { tagsToRead.append(tag) }
            }
        }
        for (template, isBefore) in [(Tag.tagsToWriteBeforeGenAC, true), (.tagsToWriteAfterGenAC, false)] {
            guard let content = data[template] else { continue }
            let bytes = Array(content)
            var reader = BERTLVReader(bytes.span, in: 0..<bytes.count)
            while let element = try? reader.next() {
                guard MChipDictionary.isWrittenWithPutData(element.tag, length: element.value.count) else {
                    continue
                }
                let entry = (element.tag, Array(bytes[element.value]))
                if isBefore {
                    Self.update(&tagsToWriteBefore, entry)
                } else {
                    Self.update(&tagsToWriteAfter, entry)
                }
            }
        }
    }

    /// AddListToList: a data object that comes again replaces the one that is there.
    private static func update(
        _ list: inout [(tag: Tag, value: [UInt8])], _ entry: (tag: Tag, value: [UInt8])
    ) {
        if let index = list.firstIndex(where: { $0.tag == entry.tag }) {
            list[index] = entry
        } else {
            list.append(entry)
        }
    }

    private static func tag(_ bytes: [UInt8], _ offset: inout Int) -> Tag? {
        var raw = UInt32(bytes[offset])
        offset += 1
        guard raw & 0x1F == 0x1F else { return Tag(raw) }
        var count = 1
        while offset < bytes.count, count < 4 {
            let byte = bytes[offset]
            raw = raw << 8 | UInt32(byte)
            offset += 1
            count += 1
            if byte & 0x80 == 0 { return Tag(raw) }
        }
        return nil
    }

    /// Tags To Read Yet that have a value go to Data To Send.
    mutating func moveKnownTagsToRead() {
        guard !tagsToRead.isEmpty else { return }
        var left: [Tag] = []
        for tag in tagsToRead {
            if let value = value(tag), !value.isEmpty {
                dataToSend.set(tag, value)
            } else {
                left.append(tag)
            }
        }
        tagsToRead = left
    }

    /// S456.21, S78.12: what the kernel knows and did not find goes out without a value.
    mutating func sendRestOfTagsToRead() {
        for tag in tagsToRead where MChipDictionary.knows(tag) || isConfigured(tag) {
            dataToSend.set(tag, value(tag) ?? [])
        }
        tagsToRead.removeAll()
    }

    /// The next tag of Tags To Read Yet that GET DATA reads (GetNextGetDataTagFromList).
    mutating func nextTagForGetData() -> Tag? {
        guard let index = tagsToRead.firstIndex(where: { MChipDictionary.isReadWithGetData($0) }) else {
            return nil
        }
        return tagsToRead.remove(at: index)
    }

    mutating func getData(_ tag: Tag) -> KernelAction {
        transmit(
            .getData(tag), .waitingForData(tag))
    }

    /// S5.
    mutating func dataRead(_ response: ResponseAPDU, _ tag: Tag) -> KernelAction {
        dataToSend.set(tag, [])
        if response.isSuccess {
            var reader = BERTLVReader(response.bytes.span, in: response.dataRange)
            if let element = try? reader.next(), element.tag == tag, element.whole == response.dataRange,
                MChipDictionary.acceptance(tag, length: element.value.count, in: .none) == .stored
            {
                dataToSend.set(tag, response.bytes[element.value])
                card.set(tag, response.bytes.span.extracting(element.value))
            }
        }
        return readNext()
    }

    /// A command, and before it the DEK signal where something is to be told (S3R1.15, S456.3, S456.8): data are needed,
    /// or everything that was to be read is there.
    mutating func transmit(_ command: CommandAPDU, _ next: State) -> KernelAction {
        underWay = command
        return exchange(.transmit(command), next)
    }

    mutating func exchange(_ action: KernelAction, _ next: State) -> KernelAction {
        guard !dataNeeded.isEmpty || !dataToSend.isEmpty && tagsToRead.isEmpty else {
            state = next
            return action
        }
        exchanges += 1
        guard exchanges <= Self.maximumExchanges else { return finish(stopped(.timeOut)) }
        let signal = DataExchange(dataToSend: dataToSend, dataNeeded: dataNeeded)
        dataToSend = DataObjects()
        dataNeeded = []
        state = .exchanging(next, action)
        return .sendDataExchange(signal)
    }

    /// Waits for the DET signal (S2, S6, S8), the DEK signal first.
    mutating func wait(_ next: State) -> KernelAction {
        exchanges += 1
        guard exchanges <= Self.maximumExchanges else { return finish(stopped(.timeOut)) }
        let time = UInt32(clamping: terminal.number(MChipConfiguration.timeOut) ?? 500)
        return exchange(.waitForData(milliseconds: time), next)
    }

    /// The DET signal (UpdateWithDetData).
    mutating func received(_ data: DataObjects) {
        for tag in data.tags {
            // A tag that the kernel does not know is the configuration's own, where that has it (UpdateWithDetData).
            guard let value = data[tag],
                MChipDictionary.acceptsFromTerminal(tag, length: value.count)
                    || isConfigured(tag)
            else { continue }
            switch tag {
            case .tagsToRead, .tagsToWriteBeforeGenAC, .tagsToWriteAfterGenAC: break
            default: terminal.set(tag, value)
            }
        }
        takeLists(data)
    }

    /// What the terminal sent while the kernel waited for it.
    mutating func receivedWhileWaiting(_ data: DataObjects) -> KernelAction {
        received(data)
        switch state {
        case .waitingForProcessingOptionsData:
            // S2.7: all of the PDOL, or wait on: without another DEK signal, and the time runs on.
            if needMissing(of: .processingOptionsDataObjectList, isAwaited: true) {
                dataNeeded = []
                return wait(.waitingForProcessingOptionsData)
            }
            return getProcessingOptions()
        default:
            // S6, S8.
            if mode == .emv, let tag = nextTagForGetData() { return getData(tag) }
            return allRead()
        }
    }

    /// Proceed To First Write Flag, DF8110 (S456.5, S78.1): present without a value or zero, the terminal wants to see
    /// the data first.
    mutating func waitsForFirstWrite() -> Bool {
        guard let flag = terminal[MChipConfiguration.proceedToFirstWrite] else { return false }
        if flag.isEmpty { need(MChipConfiguration.proceedToFirstWrite) }
        return flag.isEmpty || flag.first == 0
    }

    // MARK: - Standalone data storage: PUT DATA (S12, S15)

    /// S456.50: PUT DATA before GENERATE AC; nil where nothing is left.
    mutating func writeBefore() -> KernelAction? {
        guard !tagsToWriteBefore.isEmpty else { return nil }
        let entry = tagsToWriteBefore.removeFirst()
        return transmit(.putData(entry.tag, entry.value), .waitingForWriteBefore)
    }

    /// S12.
    mutating func writtenBefore(_ response: ResponseAPDU) -> KernelAction {
        if response.isSuccess {
            if let next = writeBefore() { return next }
            // Pre-Gen AC Put Data Status: all were written.
            terminal.set(.preGenACPutDataStatus, [0x80])
        } else {
            tagsToWriteBefore = []
        }
        return recover() ?? generateCryptogram()
    }

    /// S910.77: PUT DATA after GENERATE AC; nil where nothing is left.
    mutating func writeAfter(_ outcome: Outcome) -> KernelAction? {
        guard !tagsToWriteAfter.isEmpty else { return nil }
        let entry = tagsToWriteAfter.removeFirst()
        return transmit(.putData(entry.tag, entry.value), .waitingForWriteAfter(outcome))
    }

    /// S15: whatever comes, the outcome stands.
    mutating func writtenAfter(_ response: ResponseAPDU?, _ outcome: Outcome) -> KernelAction {
        if response?.isSuccess == true {
            if let next = writeAfter(outcome) { return next }
            terminal.set(.postGenACPutDataStatus, [0x80])
        }
        tagsToWriteAfter = []
        var outcome = outcome
        // The status of the writing is told with the outcome.
        let errors = outcome.discretionaryData?[.errorIndication].map { Array($0) } ?? errorIndication(.ok)
        outcome.discretionaryData = discretionaryData(errors)
        return show(outcome)
    }
}
