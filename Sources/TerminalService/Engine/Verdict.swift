internal import EMV
internal import Kernels

/// What a check of the card gave, as the outcome's data tell it.
struct Verdict: Encodable, Sendable, Equatable {
    enum Result: String, Encodable, Sendable {
        case passed, failed
        case notPerformed = "not performed"
    }
    var check: String
    var result: Result
    var detail: String?

    /// What the kernel found of offline data authentication, the outcome's Terminal Verification Results (EMV Book 3, C5; Book
    /// C-2) and the CID (Book 3, Table 15).
    static func of(_ final: FinalOutcome) -> [Verdict] {
        var verdicts: [Verdict] = []
        let outcome = final.outcome
        switch outcome.dataAuthentication {
        case .succeeded(let method):
            verdicts.append(
                Verdict(
                    check: dataAuthentication, result: .passed,
                    detail: "\(method.rawValue): certificates and signature of the card are good"))
        case .failed(let failure):
            verdicts.append(Verdict(check: dataAuthentication, result: .failed, detail: "\(failure)"))
        case .notPerformed:
            verdicts.append(
                Verdict(
                    check: dataAuthentication, result: .notPerformed,
                    detail: isOnline(outcome) ? "the issuer checks the cryptogram" : nil))
        case nil: break
        }
        // What kernel or Entry Point give as reasons of an end, but for those that have a line of their own.
        for reason in outcome.reasons {
            if case .dataAuthentication = reason { continue }
            verdicts.append(Verdict(check: "Reason of the end", result: .failed, detail: "\(reason)"))
        }
        guard let record = outcome.dataRecord else { return verdicts }
        let results = record[0x95].map(Array.init) ?? []
        // POS Entry Mode 91: mag-stripe mode, which sets no results.
        let isMagStripe = record[0x9F39].map { $0.elementsEqual([0x91]) } ?? false
        // Kernel 3 keeps no Terminal Verification Results before the issuer's answer (Book C-3).
        if results.count == 5, final.selected?.kernel == 2, !isMagStripe {
            func bit(_ byte: Int, _ number: UInt8) -> Bool { results[byte - 1] >> (number - 1) & 1 == 1 }
            let restrictions = [
                (bit(2, 8), "card and terminal have different application versions"),
                (bit(2, 7), "the application has expired"),
                (bit(2, 6), "the application is not yet effective"),
                (bit(2, 5), "the service is not allowed for this card"),
            ].filter(\.0).map(\.1)
            verdicts.append(
                Verdict(
                    check: "Processing restrictions", result: restrictions.isEmpty ? .passed : .failed,
                    detail: restrictions.isEmpty ? nil : restrictions.joined(separator: ", ")))
            if bit(3, 8) {
                verdicts.append(Verdict(check: "Cardholder verification", result: .failed))
            }
            // Byte 5, bits 2-1: 01 not performed, 10 performed (Book C-2, A.1.170).
            switch (bit(5, 2), bit(5, 1)) {
            case (true, false):
                verdicts.append(
                    Verdict(
                        check: "Relay resistance", result: bit(5, 4) || bit(5, 3) ? .failed : .passed,
                        detail: bit(5, 4)
                            ? "a threshold was exceeded"
                            : bit(5, 3) ? "the time limits were exceeded" : nil))
            case (false, true):
                verdicts.append(Verdict(check: "Relay resistance", result: .notPerformed))
            default: break
            }
        }
        if final.selected?.kernel == 3, let today = record[0x9A].flatMap({ EMVDate(bytes: $0) }),
            let expiry = record[0x5F24].flatMap({ EMVDate(bytes: $0) }), expiry < today
        {
            verdicts.append(
                Verdict(
                    check: "Processing restrictions", result: .failed,
                    detail: "the application has expired"))
        }
        if let information = record[0x9F27]?.first {
            let kind =
                switch information >> 6 {
                case 0: "AAC: the card declines"
                case 1: "TC: the card approves offline"
                case 2: "ARQC: the card asks for the issuer"
                default: "reserved"
                }
            // Only the issuer has the key of the cryptogram: a terminal that holds it has not checked it.
            verdicts.append(
                Verdict(
                    check: "Application cryptogram", result: information >> 6 == 0 ? .failed : .notPerformed,
                    detail: kind))
        }
        return verdicts
    }

    static let dataAuthentication = "Offline data authentication"
    private static func isOnline(_ outcome: Outcome) -> Bool {
        outcome.status == .onlineRequest || outcome.status == .requestOnlinePIN
    }
}
