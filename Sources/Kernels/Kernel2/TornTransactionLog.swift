import BERTLV
import EMV

/// Book C-2's Torn Transaction Log: what was sent with each GENERATE AC whose answer never came, oldest first, so that
/// RECOVER AC can ask the card for that answer at the next tap. The kernel hands it out as `Outcome.restartData` and gets
/// it back as `KernelActivation.restartData` (tag FF8101: the encoded records, one after the other).
struct TornTransactionLog: Equatable, Sendable {
    private(set) var records: [DataObjects] = []

    init() {}

    /// Reads what `encoded` wrote; records that are malformed are left out.
    init(_ data: DataObjects?) {
        guard let bytes = data?[0xFF8101].map({ Array($0) }) else { return }
        var reader = BERTLVReader(bytes.span, in: 0..<bytes.count)
        while let template = try? reader.next() {
            guard template.tag == 0xFF8101 else { continue }
            var record = DataObjects()
            var inside = reader.nested(template)
            while let element = try? inside.next() { record.set(element.tag, bytes[element.value]) }
            records.append(record)
        }
    }

    /// Nil for an empty log.
    var restartData: DataObjects? {
        guard !records.isEmpty else { return nil }
        var writer = BERTLVWriter()
        for record in records { writer.append(0xFF8101, record.encoded()) }
        return [0xFF8101: writer.bytes]
    }

    /// The record of this card number and sequence number: both equal, or the sequence number absent on both sides
    /// (S456). Records of another amount, currency or transaction type stay where they are.
    ///
    /// Book C-2 recovers those too and leaves the comparison to the terminal; here the terminal books the amount that
    /// it asked for, so that a recovered cryptogram over another one must never reach it.
    mutating func take(card: DataObjects, terminal: DataObjects) -> DataObjects? {
        let found = records.lastIndex { record in
            record[0x5A] != nil && record[0x5A] == card[0x5A] && record[0x5F34] == card[0x5F34]
                && record.contains(0xDF8113)
                && ([0x9F02, 0x9F03, 0x5F2A, 0x9C] as [Tag]).allSatisfy { record[$0] == terminal[$0] }
        }
        return found.map { records.remove(at: $0) }
    }

    /// Adds a record.
    /// - Returns: the oldest record where there is no room for one more (S9: it leaves as Torn Record).
    mutating func add(_ record: DataObjects, limit: Int) -> DataObjects? {
        records.append(record)
        return records.count > max(1, limit) ? records.removeFirst() : nil
    }
}
