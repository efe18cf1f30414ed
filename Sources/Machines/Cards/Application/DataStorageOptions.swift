import BERTLV
import EMV
import EMVCryptography

/// Integrated data storage as an M/Chip card does it (Book C-2, 3.6 tells what the reader sees of it): each operator has a
/// slot with its data; a summary changes with each write, and the next writer must know what hashes to the digest that
/// the last one left.
// Unconfirmed: the comparison of DS Input (Card) with the digest, and the summary's own hash; both after public sources.
struct DataStorageOptions {
    /// A slot as GET PROCESSING OPTIONS found it.
    struct OpenSlot {
        let operatorIdentifier: [UInt8]
        /// DS Summary 1; zeros for a free slot.
        let summary: [UInt8]
        /// DS Unpredictable Number.
        let unpredictableNumber: [UInt8]
        let answer: [(Tag, [UInt8])]
    }

    static let envelopeSize = 192
    let profile: DataStorageProfile
    /// DS ID.
    let identifier: [UInt8]
    private let operatorOffset: Int
    private let entries: [DataObjectList.Entry]

    init(_ storage: DataStorageProfile, _ application: ApplicationProfile) throws(PersonalisationError) {
        profile = storage
        identifier = Self.identifier(application)
        var offset = 0
        var found: Int?
        for entry in try Self.entries(application.pdol, 0x9F38) {
            if entry.tag == 0x9F5C, entry.length == 8 { found = offset }
            offset += entry.length
        }
        guard let found else { throw .malformed("data storage needs 9F5C08 in the PDOL") }
        operatorOffset = found
        entries = try Self.entries(Array(application.data[0x9F5B] ?? []), 0x9F5B)
        guard entries.last?.tag == 0xDF63, entries.contains(where: { $0.tag == 0xDF61 && $0.length == 8 })
        else {
            throw .malformed("data storage needs a DSDOL (9F5B) with DF6108 that ends with DF63")
        }
    }

    static func entries(_ list: [UInt8], _ name: Tag) throws(PersonalisationError) -> [DataObjectList.Entry] {
        do throws(DataFormatError) {
            return try DataObjectList.entries(list, name: name)
        } catch { throw .malformed("\(error)") }
    }

    /// PAN and sequence number, digits from the right, at least 8 bytes (9F5E).
    static func identifier(_ application: ApplicationProfile) -> [UInt8] {
        var digits = application.primaryAccountNumber.clearDigits
        digits += (application.sequenceNumber < 10 ? "0" : "") + String(application.sequenceNumber)
        if !digits.utf8.count.isMultiple(of: 2) { digits = "0" + digits }
        return Hex.bytes(digits) ?? []
    }

    /// The slot of the operator whose number the PDOL data hold; nil where there is none left for it.
    func open(
        _ sent: ArraySlice<UInt8>, in state: ApplicationState, unpredictableNumber: [UInt8]
    ) -> OpenSlot? {
        let start = sent.startIndex + operatorOffset
        guard start + 8 <= sent.endIndex else { return nil }
        let name = Array(sent[start..<(start + 8)])
        guard name.contains(where: { $0 != 0 }) else { return nil }
        let slots = state.slots ?? []
        if let slot = slots.first(where: { $0.operatorIdentifier == Hex.string(name) }) {
            let summary = Hex.bytes(slot.summary) ?? []
            return OpenSlot(
                operatorIdentifier: name, summary: summary, unpredictableNumber: unpredictableNumber,
                // DS Slot Management Control: a permanent slot.
                answer: [
                    (0x9F7D, summary), (0x9F7F, unpredictableNumber), (0x9F6F, [0x80]),
                    (0x9F54, Hex.bytes(slot.data) ?? []),
                ])
        }
        guard slots.count < profile.slots else { return nil }
        let summary = [UInt8](repeating: 0, count: 8)
        return OpenSlot(
            operatorIdentifier: name, summary: summary, unpredictableNumber: unpredictableNumber,
            // DS Slot Availability: a permanent one.
            answer: [(0x9F5F, [0x80]), (0x9F7D, summary), (0x9F7F, unpredictableNumber)])
    }

    /// Whether GENERATE AC brings DSDOL data: all of them, the last as long as it is.
    func accepts(_ input: ArraySlice<UInt8>) -> Bool {
        let fixed = entries.dropLast().reduce(0) { $0 + $1.length }
        return input.count >= fixed && input.count - fixed <= min(entries.last?.length ?? 0, profile.size)
    }

    /// Writes the operator's data.
    /// - Returns: DS Summary 3, which is the one before where the writer may not write.
    func write(
        _ input: ArraySlice<UInt8>, _ slot: OpenSlot, to state: inout ApplicationState, parameter: UInt8,
        amount: UInt64, currency: UInt64, unpredictableNumber: [UInt8]
    ) -> [UInt8] {
        var values = DataObjects()
        var rest = input
        for entry in entries.dropLast() {
            values.set(entry.tag, rest.prefix(entry.length))
            rest = rest.dropFirst(entry.length)
        }
        let name = Hex.string(slot.operatorIdentifier)
        var slots = state.slots ?? []
        let index = slots.firstIndex { $0.operatorIdentifier == name }
        guard
            let hash = CardDataStorageHash(
                identifier: identifier, operatorIdentifier: slot.operatorIdentifier)
        else { return slot.summary }
        if let index {
            let proof = values[0xDF60].flatMap { hash.digest(Array($0)) }
            guard let proof, Hex.string(proof) == slots[index].digest else { return slot.summary }
        }
        let summary = hash.summary(
            after: slot.summary,
            .init(
                parameter: parameter, amount: amount, currency: currency,
                unpredictableNumber: unpredictableNumber, storageNumber: slot.unpredictableNumber))
        guard let summary else { return slot.summary }
        let written = ApplicationState.StorageSlot(
            operatorIdentifier: name, data: Hex.string(rest), summary: Hex.string(summary),
            digest: Hex.string(values[0xDF61] ?? []))
        if let index { slots[index] = written } else { slots.append(written) }
        state.slots = slots
        return summary
    }
}

/// Which bytes of GENERATE AC's data the DRDOL asks for.
struct RecoveryOptions {
    let count: Int
    private let ranges: [Range<Int>]

    /// - Throws: `.malformed` for a DRDOL that asks for something that the CDOL1 does not, or for another length of it.
    init(_ list: [UInt8], cdol: [UInt8]) throws(PersonalisationError) {
        var offsets: [UInt32: Range<Int>] = [:]
        var offset = 0
        for entry in try DataStorageOptions.entries(cdol, 0x8C) {
            offsets[entry.tag.rawValue] = offset..<(offset + entry.length)
            offset += entry.length
        }
        var ranges: [Range<Int>] = []
        for entry in try DataStorageOptions.entries(list, 0x9F51) {
            guard let range = offsets[entry.tag.rawValue], range.count == entry.length else {
                throw .malformed("the DRDOL asks for \(entry.tag), the CDOL1 does not")
            }
            ranges.append(range)
        }
        self.ranges = ranges
        count = ranges.reduce(0) { $0 + $1.count }
    }

    func data(of sent: ArraySlice<UInt8>) -> [UInt8] {
        ranges.flatMap { range in sent.dropFirst(range.lowerBound).prefix(range.count) }
    }
}
