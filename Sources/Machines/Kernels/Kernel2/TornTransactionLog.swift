import BERTLV
public import EMV

/// Book C-2's Torn Transaction Log: what was sent with each GENERATE AC whose answer never came, oldest first, so that
/// RECOVER AC can ask the card for that answer at the next tap. The kernel hands it out as `Outcome.persistentData` and
/// gets it back as `KernelActivation.persistentData` (tag FF8101: the encoded records, one after the other).
struct TornTransactionLog: Equatable, Sendable {
    private(set) var records: [DataObjects] = []

    init() {}

    /// Reads what `encoded` wrote; records that are malformed are left out.
    init(_ data: DataObjects?) {
        guard let bytes = data?[.tornRecord].map({ Array($0) }) else { return }
        var reader = BERTLVReader(bytes.span, in: 0..<bytes.count)
        while let template = try? reader.next() {
            guard template.tag == .tornRecord else { continue }
            records.append(DataObjects(encoded: Array(bytes[template.value])))
        }
    }

    /// The records, one after the other.
    var encoded: [UInt8] {
        var writer = BERTLVWriter()
        for record in records { writer.append(.tornRecord, record.encoded()) }
        return writer.bytes
    }

    /// The record of this card number and sequence number: both equal, or the sequence number absent on both sides
    /// (S456). Records of another amount, currency or transaction type stay where they are.
    ///
    /// Book C-2 recovers those too and leaves the comparison to the terminal; here the terminal books the amount that
    /// it asked for, so that a recovered cryptogram over another one must never reach it.
    func find(card: DataObjects, terminal: DataObjects) -> DataObjects? {
        records.last { record in
            record[.applicationPAN] != nil && record[.applicationPAN] == card[.applicationPAN]
                && record[.applicationPANSequenceNumber] == card[.applicationPANSequenceNumber]
                && record.contains(.drdolRelatedData)
                && ([
                    .amountAuthorisedNumeric, .amountOtherNumeric, .transactionCurrencyCode, .transactionType,
                ] as [Tag]).allSatisfy { record[$0] == terminal[$0] }
        }
    }

    /// Removes a record that `find` gave.
    mutating func remove(_ record: DataObjects) {
        if let index = records.lastIndex(of: record) { records.remove(at: index) }
    }

    /// Adds a record.
    /// - Returns: the oldest record where there is no room for one more (S9: it leaves as Torn Record).
    mutating func add(_ record: DataObjects, limit: Int) -> DataObjects? {
        records.append(record)
        return records.count > max(1, limit) ? records.removeFirst() : nil
    }

    /// The CLEAN signal (Book C-2, 3.7.3): records older than `lifetime` seconds leave.
    /// - Returns: the records that left, oldest first.
    mutating func clean(date: EMVDate, hhmmss: Int, lifetime: Int) -> [DataObjects] {
        let now = Self.seconds(date, hhmmss)
        var left: [DataObjects] = []
        records.removeAll { record in
            guard let bytes = record[.transactionDate], let date = EMVDate(bytes: bytes),
                let time = record.decimal(.transactionTime).flatMap({ Int(exactly: $0) })
            else {
                left.append(record)
                return true
            }
            // A record from the future (the clock was set back) stays until its time comes.
            guard now - Self.seconds(date, time) > lifetime else { return false }
            left.append(record)
            return true
        }
        return left
    }

    /// Seconds since some beginning: days of the Gregorian calendar, and HHMMSS.
    private static func seconds(_ date: EMVDate, _ hhmmss: Int) -> Int {
        date.dayNumber * 86_400 + hhmmss / 10_000 * 3_600 + hhmmss / 100 % 100 * 60 + hhmmss % 100
    }
}

/// What Kernel 2 keeps from one transaction to the next, for the terminal that keeps it.
public enum MChipMemory {
    /// The CLEAN signal (Book C-2, 3.7.3): drops Torn Records that are older than Max Lifetime of Torn Transaction Log
    /// Record.
    /// - Parameters:
    ///   - memory: `Outcome.persistentData` of a Kernel 2 transaction.
    ///   - hhmmss: local time.
    ///   - lifetime: DF811C, in seconds.
    /// - Returns: what is to be kept now, and each record that left (the value of an FF8101), oldest first.
    public static func clean(
        _ memory: DataObjects, date: EMVDate, hhmmss: Int, lifetime: Int
    ) -> (memory: DataObjects, left: [DataObjects]) {
        var log = TornTransactionLog(memory)
        let left = log.clean(date: date, hhmmss: hhmmss, lifetime: lifetime)
        guard !left.isEmpty else { return (memory, []) }
        var kept = memory
        if log.records.isEmpty { kept.remove(.tornRecord) } else { kept.set(.tornRecord, log.encoded) }
        return (kept, left)
    }

    /// Torn Records in a memory.
    public static func tornRecords(_ memory: DataObjects) -> Int { TornTransactionLog(memory).records.count }
}
