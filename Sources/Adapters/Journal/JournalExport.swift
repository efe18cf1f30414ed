internal import EMV
public import Foundation

/// Journal records for other programs: JSON, or CSV after RFC 4180. Card numbers are masked as they are in
/// the journal.
public enum JournalExport {
    public enum Format: String, Sendable, CaseIterable { case json, csv }

    enum Value {
        case text(String)
        case number(Int64)
        case truth(Bool)
    }

    static let columns: [(name: String, value: @Sendable (TransactionRecord) -> Value?)] = [
        ("id", { .text($0.id) }), ("terminal", { .text($0.terminalID) }),
        ("merchant", { .text($0.merchantID) }), ("batch", { .number(Int64($0.batch)) }),
        ("stan", { .number(Int64($0.stan)) }), ("rrn", { .text($0.retrievalReference) }),
        ("state", { .text($0.state.rawValue) }), ("created_at", { .text(Timestamp.text($0.createdAt)) }),
        ("updated_at", { .text(Timestamp.text($0.updatedAt)) }),
        ("type", { .number(Int64($0.transactionType)) }),
        ("amount", { .number(Int64(clamping: $0.amount.minorUnits)) }),
        ("amount_other", { .number(Int64(clamping: $0.amountOther.minorUnits)) }),
        ("currency", { .text($0.currency.description) }),
        ("exponent", { .number(Int64($0.currencyExponent)) }), ("pan", { $0.maskedPAN.map(Value.text) }),
        ("pan_sequence", { $0.panSequenceNumber.map { .number(Int64($0)) } }),
        ("aid", { $0.applicationIdentifier.map(Value.text) }),
        ("label", { $0.applicationLabel.map(Value.text) }),
        ("kernel", { $0.kernel.map { .number(Int64($0)) } }), ("outcome", { $0.outcome.map(Value.text) }),
        ("cvm", { $0.cvm.map(Value.text) }), ("tvr", { $0.terminalVerificationResults.map(Value.text) }),
        ("entry_mode", { $0.entryMode.map(Value.text) }),
        ("token_requestor", { $0.tokenRequestorID.map(Value.text) }),
        ("form_factor", { $0.formFactor.map(Value.text) }), ("backend", { $0.backend.map(Value.text) }),
        ("response_code", { $0.responseCode.map(Value.text) }),
        ("authorization_code", { $0.authorizationCode.map(Value.text) }),
        ("approved_amount", { $0.approvedAmount.map { .number(Int64(clamping: $0.minorUnits)) } }),
        ("reason", { $0.reason.map(Value.text) }), ("reversal_reason", { $0.reversalReason.map(Value.text) }),
        ("reversal_attempts", { .number(Int64($0.reversalAttempts)) }),
        ("forward_attempts", { .number(Int64($0.forwardAttempts)) }), ("parked", { .truth($0.isParked) }),
        ("request_digest", { $0.requestDigest.map(Value.text) }), ("purpose", { .text($0.purpose.rawValue) }),
        ("final_amount", { $0.finalAmount.map { .number(Int64(clamping: $0.minorUnits)) } }),
        ("adjustment", { $0.adjustment.map { .text($0.rawValue) } }),
        ("revision", { .number(Int64($0.revision)) }),
        ("adjustment_attempts", { .number(Int64($0.adjustmentAttempts)) }),
        ("idempotency_key", { $0.idempotencyKey.map(Value.text) }),
        ("original", { $0.original.map(Value.text) }),
        ("settled_batch", { $0.settledBatch.map { .number(Int64($0)) } }),
        ("replaces", { $0.replaces.map(Value.text) }),
    ]

    /// All columns of a record with their values, for people; empty where absent.
    public static func values(_ record: TransactionRecord) -> [(name: String, value: String)] {
        columns.map { column in
            let value =
                switch column.value(record) {
                case nil: ""
                case .text(let text): PlainText.clean(text)
                case .number(let number): String(number)
                case .truth(let truth): String(truth)
                }
            return (column.name, value)
        }
    }

    /// The heading line of CSV.
    public static var csvHeading: String { columns.map(\.name).joined(separator: ",") }

    /// One line of CSV, without its end.
    public static func csv(_ record: TransactionRecord) -> String {
        columns.map { column in
            switch column.value(record) {
            case nil: ""
            case .text(let text): quoted(text)
            case .number(let number): String(number)
            case .truth(let truth): String(truth)
            }
        }.joined(separator: ",")
    }

    /// One object in one line; absent values are left out.
    public static func json(_ record: TransactionRecord) -> String {
        let members = columns.compactMap { column -> String? in
            switch column.value(record) {
            case nil: nil
            case .text(let text): "\"\(column.name)\":\(JSONText.quoted(text))"
            case .number(let number): "\"\(column.name)\":\(number)"
            case .truth(let truth): "\"\(column.name)\":\(truth)"
            }
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    /// Without control characters, as a terminal may show it, but for line breaks and tabs; quotes where a separator, quote
    /// or line break asks for it; a leading `=`, `+`, `-` or `@`, in full width
    /// too, or control character gets an apostrophe so that a spreadsheet takes it for text.
    static func quoted(_ value: String) -> String {
        var text = PlainText.clean(value, keeping: ["\t", "\r", "\n"])
        if let first = text.unicodeScalars.first,
            "=+-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars.contains(first)
        {
            text = "'" + text
        }
        let marks: [Unicode.Scalar] = [",", "\"", "\n", "\r"]
        guard text.unicodeScalars.contains(where: marks.contains) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}

extension Journal {
    /// Writes transactions, oldest first, page by page: one JSON array with one object a line, or CSV with
    /// a heading line and CRLF line ends.
    /// - Returns: how many transactions.
    @discardableResult
    public func export(
        _ filter: JournalFilter = JournalFilter(), as format: JournalExport.Format,
        to write: (Data) throws -> Void
    ) async throws(JournalError) -> Int {
        var count = 0
        var last: String?
        func put(_ text: String) throws(JournalError) {
            do {
                try write(Data(text.utf8))
            } catch {
                throw .exportFailed(reason: "\(error)")
            }
        }
        try put(format == .csv ? JournalExport.csvHeading + "\r\n" : "[")
        while true {
            let page = try await list(filter, order: .oldestFirst, after: last, limit: 500)
            var text = ""
            for record in page {
                switch format {
                case .csv: text += JournalExport.csv(record) + "\r\n"
                case .json: text += (count == 0 ? "\n" : ",\n") + JournalExport.json(record)
                }
                count += 1
            }
            if !text.isEmpty { try put(text) }
            guard page.count == 500, let end = page.last else { break }
            last = end.id
        }
        if format == .json { try put("\n]\n") }
        return count
    }

    /// The same into an open file.
    @discardableResult
    public func export(
        _ filter: JournalFilter = JournalFilter(), as format: JournalExport.Format, to file: FileHandle
    ) async throws(JournalError) -> Int {
        try await export(filter, as: format) { try file.write(contentsOf: $0) }
    }
}
