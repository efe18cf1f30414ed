internal import BERTLV
internal import EMV
internal import EMVCryptography
internal import Foundation
internal import GRDB

/// Reads a row's columns by position without trusting it: a damaged file may hold anything.
struct StoredRow {
    struct Unfit: Error { let reason: String }
    let row: Row
    let table: String

    init(_ row: Row, of table: String) {
        self.row = row
        self.table = table
    }

    private func unfit(_ index: Int) -> Unfit {
        Unfit(
            reason:
                "\(table), column \(row.columnNames.dropFirst(index).first ?? "?"): not a value of its kind")
    }
    func value(_ index: Int) -> DatabaseValue.Storage { (row[index] as DatabaseValue).storage }

    func optionalText(_ index: Int) throws(Unfit) -> String? {
        switch value(index) {
        case .null: return nil
        case .string(let text): return text
        default: throw unfit(index)
        }
    }
    func text(_ index: Int) throws(Unfit) -> String {
        guard let text = try optionalText(index) else { throw unfit(index) }
        return text
    }
    func optionalInteger(_ index: Int) throws(Unfit) -> Int64? {
        switch value(index) {
        case .null: return nil
        case .int64(let number): return number
        default: throw unfit(index)
        }
    }
    func integer(_ index: Int) throws(Unfit) -> Int64 {
        guard let number = try optionalInteger(index) else { throw unfit(index) }
        return number
    }
    func integer<T: FixedWidthInteger>(_ index: Int, as type: T.Type) throws(Unfit) -> T {
        guard let number = T(exactly: try integer(index)) else { throw unfit(index) }
        return number
    }
    func optionalInteger<T: FixedWidthInteger>(_ index: Int, as type: T.Type) throws(Unfit) -> T? {
        guard let number = try optionalInteger(index) else { return nil }
        guard let narrow = T(exactly: number) else { throw unfit(index) }
        return narrow
    }
    func optionalBytes(_ index: Int) throws(Unfit) -> [UInt8]? {
        switch value(index) {
        case .null: return nil
        case .blob(let data): return Array(data)
        default: throw unfit(index)
        }
    }
    func bytes(_ index: Int) throws(Unfit) -> [UInt8] {
        guard let bytes = try optionalBytes(index) else { throw unfit(index) }
        return bytes
    }
    func date(_ index: Int) throws(Unfit) -> Date {
        guard let date = Timestamp.date(try text(index)) else { throw unfit(index) }
        return date
    }
    func state(_ index: Int) throws(Unfit) -> TransactionState {
        guard let state = TransactionState(rawValue: try text(index)) else { throw unfit(index) }
        return state
    }
    func named<T: RawRepresentable<String>>(_ index: Int, as type: T.Type) throws(Unfit) -> T? {
        guard let text = try optionalText(index) else { return nil }
        guard let value = T(rawValue: text) else { throw unfit(index) }
        return value
    }
    func optionalAmount(_ index: Int) throws(Unfit) -> Amount? {
        guard let units = try optionalInteger(index) else { return nil }
        guard let positive = UInt64(exactly: units), let amount = Amount(minorUnits: positive) else {
            throw unfit(index)
        }
        return amount
    }
    func amount(_ index: Int) throws(Unfit) -> Amount {
        guard let amount = try optionalAmount(index) else { throw unfit(index) }
        return amount
    }

    /// SHA-256 over the first `count` columns, those without a value left out: a column that a later schema
    /// appends does not change the digests of rows that have no value in it.
    func digest(columns: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        func put(_ name: String, _ kind: Unicode.Scalar, _ value: some Collection<UInt8>) {
            bytes += name.utf8
            bytes.append(UInt8(ascii: kind))
            bytes += "\(value.count):".utf8
            bytes += value
        }
        for (index, name) in columns.enumerated() {
            switch value(index) {
            case .null: break
            case .int64(let number): put(name, "i", String(number).utf8)
            case .double(let number): put(name, "d", "\(number)".utf8)
            case .string(let text): put(name, "s", text.utf8)
            case .blob(let data): put(name, "b", data)
            }
        }
        return SHA256.hash(bytes)
    }
}

extension StoredRow {
    /// The columns of `transactions` in the order in which they are read and digested. New ones are
    /// appended and may be null.
    static let transactionColumns = [
        "id", "terminal", "merchant", "batch", "stan", "rrn", "day", "state", "created_at", "updated_at",
        "amount", "amount_other", "currency", "exponent", "type", "pan", "pan_sequence", "aid", "label",
        "kernel", "outcome", "cvm", "tvr", "entry_mode", "token_requestor", "form_factor", "backend",
        "request_digest", "response_code", "authorization_code", "approved_amount", "reason",
        "reversal_reason", "reversal_attempts", "forward_attempts", "parked", "purpose", "final_amount",
        "adjustment", "revision", "adjustment_attempts", "idempotency_key", "fingerprint", "original",
        "settled_batch", "replaces",
    ]
    static let transactionList = transactionColumns.joined(separator: ", ")

    func transaction() throws(Unfit) -> TransactionRecord {
        guard let currency = NumericCode(try integer(12)) else { throw unfit(12) }
        return TransactionRecord(
            id: try text(0), terminalID: try text(1), merchantID: try text(2),
            batch: try integer(3, as: Int.self), stan: try integer(4, as: UInt32.self),
            retrievalReference: try text(5), state: try state(7), createdAt: try date(8),
            updatedAt: try date(9), amount: try amount(10), amountOther: try amount(11), currency: currency,
            currencyExponent: try integer(13, as: UInt8.self),
            transactionType: try integer(14, as: UInt8.self),
            maskedPAN: try optionalText(15), panSequenceNumber: try optionalInteger(16, as: UInt8.self),
            applicationIdentifier: try optionalText(17), applicationLabel: try optionalText(18),
            kernel: try optionalInteger(19, as: Int.self), outcome: try optionalText(20),
            cvm: try optionalText(21), terminalVerificationResults: try optionalText(22),
            entryMode: try optionalText(23), tokenRequestorID: try optionalText(24),
            formFactor: try optionalText(25), backend: try optionalText(26),
            responseCode: try optionalText(28), authorizationCode: try optionalText(29),
            approvedAmount: try optionalAmount(30), reason: try optionalText(31),
            reversalReason: try optionalText(32), reversalAttempts: try integer(33, as: Int.self),
            forwardAttempts: try integer(34, as: Int.self), isParked: try integer(35) != 0,
            requestDigest: try optionalBytes(27).map { Hex.string($0) },
            purpose: try named(36, as: TransactionPurpose.self) ?? .sale, finalAmount: try optionalAmount(37),
            adjustment: try named(38, as: AmountAdjustment.self),
            revision: try optionalInteger(39, as: Int.self) ?? 0,
            adjustmentAttempts: try optionalInteger(40, as: Int.self) ?? 0,
            idempotencyKey: try optionalText(41), original: try optionalText(43),
            settledBatch: try optionalInteger(44, as: Int.self), replaces: try optionalText(45))
    }

    static let changeList = "sequence, transaction_id, state, at, detail, row_digest, chain"

    func change() throws(Unfit) -> StateChange {
        StateChange(
            sequence: try integer(0), transactionID: try text(1), state: try state(2), at: try date(3),
            detail: try optionalText(4))
    }
}
