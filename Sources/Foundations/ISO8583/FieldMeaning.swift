extension MessageType {
    /// Version, class, function and origin in words; nil for digits that ISO 8583 does not define.
    public var meaning: String? {
        let digits = (0..<4).map { Int(rawValue >> UInt16(12 - $0 * 4) & 0x0F) }
        let versions = [0: "1987", 1: "1993", 2: "2003", 9: "private"]
        let classes = [
            1: "authorization", 2: "financial", 3: "file action", 4: "reversal", 5: "reconciliation",
            6: "administrative", 7: "fee collection", 8: "network management",
        ]
        let functions = [
            0: "request", 1: "request response", 2: "advice", 3: "advice response", 4: "notification",
            5: "notification acknowledgement",
        ]
        let origins = [
            0: "acquirer", 1: "acquirer, repeat", 2: "issuer", 3: "issuer, repeat", 4: "other",
            5: "other, repeat",
        ]
        guard let version = versions[digits[0]], let kind = classes[digits[1]],
            let function = functions[digits[2]], let origin = origins[digits[3]]
        else { return nil }
        return "\(kind) \(function) (\(origin); \(version))"
    }
}

/// What common values mean.
enum FieldMeaning {
    static func field(_ number: Int, _ value: String, _ version: Dialect.Version) -> String? {
        switch (number, version) {
        case (25, .v1987): conditions[value]
        case (39, .v1987): responses[value]
        case (39, .v1993): actions[value]
        case (24, .v1993): functions[value]
        case (70, .v1987): management[value]
        default: nil
        }
    }

    static func piece(_ number: Int, _ name: String, _ value: String, _ version: Dialect.Version) -> String? {
        switch (number, name, version) {
        case (3, "Transaction type", _): transactions[value]
        case (3, _, _): accounts[value]
        case (22, "PAN entry mode", .v1987): entryModes[value]
        case (22, "PIN entry capability", .v1987):
            ["0": "not known", "1": "can enter PINs", "2": "cannot enter PINs", "8": "PIN pad out of order"][
                value]
        case (54, "Account type", _): accounts[value]
        case (54, "Amount type", _): amounts[value]
        case (90, "Message type", _):
            UInt16(value, radix: 16).flatMap { MessageType(rawValue: $0).meaning }
        default: nil
        }
    }

    /// ISO 8583:1987, annex A.
    static let transactions = [
        "00": "goods and services", "01": "cash", "09": "goods and services with cash",
        "20": "return of goods",
        "21": "deposit", "30": "available funds enquiry", "31": "balance enquiry",
        "40": "cardholder account transfer",
    ]
    static let accounts = [
        "00": "default", "10": "savings", "20": "cheque", "30": "credit", "40": "universal",
    ]
    static let amounts = [
        "01": "ledger balance", "02": "available balance", "40": "cash", "41": "goods and services",
    ]
    static let entryModes = [
        "00": "unspecified", "01": "manual", "02": "magnetic stripe", "03": "bar code", "05": "chip",
        "07": "contactless chip", "10": "stored credential", "80": "fallback to magnetic stripe",
        "81": "electronic commerce", "90": "magnetic stripe, full track", "91": "contactless magnetic stripe",
        "95": "chip, CVV unreliable",
    ]
    static let conditions = [
        "00": "normal", "01": "customer not present", "02": "unattended terminal", "06": "preauthorized",
        "08": "mail or telephone order", "59": "electronic commerce",
        "71": "card present, stripe not readable",
    ]
    static let responses = [
        "00": "approved", "01": "refer to card issuer", "03": "invalid merchant", "04": "pick up card",
        "05": "do not honour", "06": "error", "10": "approved for a part", "11": "approved (VIP)",
        "12": "invalid transaction", "13": "invalid amount", "14": "no such card number",
        "15": "no such issuer",
        "19": "enter again", "25": "original not found", "30": "format error", "34": "suspected fraud",
        "41": "lost card", "43": "stolen card", "51": "insufficient funds", "54": "expired card",
        "55": "incorrect PIN", "57": "not permitted to cardholder", "58": "not permitted to terminal",
        "61": "exceeds amount limit", "62": "restricted card", "63": "security violation",
        "65": "exceeds frequency limit", "68": "response received too late", "75": "PIN tries exceeded",
        "78": "not yet activated", "91": "issuer or switch inoperative", "92": "no route", "94": "duplicate",
        "95": "reconcile error", "96": "system malfunction",
    ]
    static let actions = [
        "000": "approved", "001": "honour with identification", "002": "approved for a part",
        "100": "do not honour",
        "101": "expired card", "106": "PIN tries exceeded", "109": "invalid merchant",
        "110": "invalid amount",
        "111": "invalid card number", "116": "not sufficient funds", "117": "incorrect PIN",
        "118": "no card record", "121": "exceeds amount limit", "200": "do not honour, pick up",
        "208": "lost card", "209": "stolen card", "400": "reversal accepted", "500": "in balance",
        "501": "out of balance", "800": "accepted", "904": "format error", "907": "issuer inoperative",
        "909": "system malfunction", "911": "issuer timed out", "913": "duplicate",
    ]
    static let functions = [
        "100": "original authorization, amount accurate", "101": "original authorization, amount estimated",
        "200": "original financial request", "400": "full reversal", "401": "partial reversal",
        "801": "sign-on", "802": "sign-off", "831": "echo test",
    ]
    static let management = [
        "001": "sign-on", "002": "sign-off", "101": "key change", "161": "key exchange", "201": "cutover",
        "301": "echo test",
    ]
}
