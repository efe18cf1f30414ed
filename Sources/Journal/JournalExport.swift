internal import Foundation

/// Journal records for other programs: JSON lines of values, or CSV after RFC 4180. Card numbers are masked
/// as they are in the journal.
public enum JournalExport {
    public enum Format: String, Sendable, CaseIterable { case json, csv }

    static let columns: [(name: String, value: @Sendable (TransactionRecord) -> String?)] = [
        ("id", { $0.id }), ("terminal", { $0.terminalID }), ("merchant", { $0.merchantID }),
        ("batch", { String($0.batch) }), ("stan", { String($0.stan) }), ("rrn", { $0.retrievalReference }),
        ("state", { $0.state.rawValue }), ("created_at", { Journal.text($0.createdAt) }),
        ("updated_at", { Journal.text($0.updatedAt) }), ("type", { String($0.transactionType) }),
        ("amount", { String($0.amount.minorUnits) }),
        ("amount_other", { String($0.amountOther.minorUnits) }),
        ("currency", { $0.currency.description }), ("exponent", { String($0.currencyExponent) }),
        ("pan", { $0.maskedPAN }), ("pan_sequence", { $0.panSequenceNumber.map { String($0) } }),
        ("aid", { $0.applicationIdentifier }), ("label", { $0.applicationLabel }),
        ("kernel", { $0.kernel.map { String($0) } }), ("outcome", { $0.outcome }), ("cvm", { $0.cvm }),
        ("tvr", { $0.terminalVerificationResults }), ("entry_mode", { $0.entryMode }),
        ("token_requestor", { $0.tokenRequestorID }), ("form_factor", { $0.formFactor }),
        ("backend", { $0.backend }), ("response_code", { $0.responseCode }),
        ("authorization_code", { $0.authorizationCode }),
        ("approved_amount", { $0.approvedAmount.map { String($0.minorUnits) } }),
        ("reason", { $0.reason }), ("reversal_reason", { $0.reversalReason }),
        ("reversal_attempts", { String($0.reversalAttempts) }),
    ]

    /// All columns of a record with their values; empty where absent.
    public static func values(_ record: TransactionRecord) -> [(name: String, value: String)] {
        columns.map { ($0.name, $0.value(record) ?? "") }
    }

    /// The heading line of CSV.
    public static var csvHeading: String { columns.map(\.name).joined(separator: ",") }

    public static func csv(_ record: TransactionRecord) -> String {
        columns.map { quoted($0.value(record) ?? "") }.joined(separator: ",")
    }

    /// Quotes where a separator, quote or line break asks for it; a leading `=`, `+`, `-` or `@` gets an
    /// apostrophe so that a spreadsheet takes it for text.
    static func quoted(_ value: String) -> String {
        var text = value
        if let first = text.first, "=+-@".contains(first) { text = "'" + text }
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
}
