import BERTLV
import EMV

/// Processing restrictions, cardholder verification and terminal action analysis (Book C-2, 7.2, 7.5, 7.7).
extension MChipKernel {
    mutating func checkRestrictions() {
        // Application version number.
        if let own = card[.applicationVersionNumber],
            let readers = terminal[.applicationVersionNumberTerminal], own != readers
        {
            results.insert(.applicationVersionsDiffer)
        }
        let today = activation.transaction.date
        if let value = card[.applicationEffectiveDate], let effective = EMVDate(bytes: value),
            today < effective
        {
            results.insert(.applicationNotYetEffective)
        }
        if let value = card[.applicationExpirationDate], let expiry = EMVDate(bytes: value), expiry < today {
            results.insert(.expiredApplication)
        }
        if !usageIsAllowed { results.insert(.serviceNotAllowed) }
    }

    /// Application Usage Control (EMV Book 3, 10.4.2).
    private var usageIsAllowed: Bool {
        guard let bits = card.number(.applicationUsageControl), card.length(.applicationUsageControl) == 2
        else { return true }
        let usage = ApplicationUsageControl(rawValue: UInt16(truncatingIfNeeded: bits))
        guard usage.contains(terminal.isAutomatedTellerMachine ? .atATMs : .atTerminalsOtherThanATMs) else {
            return false
        }
        guard let country = card[.issuerCountryCode] else { return true }
        let isDomestic = country == terminal[.terminalCountryCode]
        switch activation.transaction.transactionType {
        // PRE.15: cash, and cash disbursement.
        case 0x01, 0x17:
            guard usage.contains(isDomestic ? .domesticCash : .internationalCash) else { return false }
        case 0x00, 0x09:
            let goods: ApplicationUsageControl = isDomestic ? .domesticGoods : .internationalGoods
            let services: ApplicationUsageControl = isDomestic ? .domesticServices : .internationalServices
            guard usage.contains(goods) || usage.contains(services) else { return false }
        default: break
        }
        // PRE.25: cashback with a transaction of whatever type.
        guard activation.transaction.amountOther > .zero else { return true }
        return usage.contains(isDomestic ? .domesticCashback : .internationalCashback)
    }

    // MARK: - CVM selection

    mutating func selectMethod(required: Bool) {
        if verifiesOnDevice {
            method = required ? .confirmationCodeVerified : .noCVM
            terminal.set(.cvmResults, required ? [0x01, 0x00, 0x02] : [0x3F, 0x00, 0x02])
            return
        }
        method = .noCVM
        guard interchangeProfile.contains(.cardholderVerification) else {
            terminal.set(.cvmResults, [0x3F, 0x00, 0x00])
            return
        }
        guard let list = card[.cvmList].map({ Array($0) }), list.count >= 10 else {
            terminal.set(.cvmResults, [0x3F, 0x00, 0x00])
            results.insert(.iccDataMissing)
            return
        }
        func amount(_ offset: Int) -> UInt64 {
            list[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt64($1) }
        }
        let (x, y) = (amount(0), amount(4))
        var offset = 8
        while offset + 1 < list.count {
            let (code, condition) = (list[offset], list[offset + 1])
            offset += 2
            guard applies(condition, x, y) == true else { continue }
            guard let found = recognised(code) else {
                // CVM.12: "if the terminal supports the CVM" does not hold for a code that it does not know.
                if condition == 0x03 { continue }
                results.insert(.unrecognisedCVM)
                if code & 0x40 != 0, offset + 1 < list.count { continue }
                return fail(code, condition)
            }
            guard isSupported(code) else {
                // "If the terminal supports the CVM": else the rule is as if it were not there (CVM.15).
                if condition == 0x03 || code & 0x40 != 0 { continue }
                return fail(code, condition)
            }
            guard found != .notApplicable else { return fail(code, condition) }
            method = found
            // Online PIN and signature: the result is not known yet.
            terminal.set(.cvmResults, [code, condition, found == .noCVM ? 0x02 : 0x00])
            if found == .onlinePIN { results.insert(.onlinePINEntered) }
            return
        }
        terminal.set(.cvmResults, [0x3F, 0x00, 0x01])
        results.insert(.cardholderVerificationFailed)
    }

    private mutating func fail(_ code: UInt8, _ condition: UInt8) {
        // CVM.24, CVM.25: a rule of its own that says so, or none that worked.
        terminal.set(.cvmResults, code & 0x3F == 0 ? [code, condition, 0x01] : [0x3F, 0x00, 0x01])
        results.insert(.cardholderVerificationFailed)
        method = .noCVM
    }

    /// CVM Condition Codes (EMV Book 3, C3, table 40); nil for one that is not understood.
    private func applies(_ condition: UInt8, _ x: UInt64, _ y: UInt64) -> Bool? {
        let inputs = activation.transaction
        let isCash = inputs.transactionType == 0x01 || inputs.transactionType == 0x17
        let isCashback = inputs.transactionType == 0x09
        let isUnattended = terminal.number(.terminalType).map { ($0 & 0x0F) >= 4 } ?? false
        let inCardCurrency =
            card[.applicationCurrencyCode] != nil
            && card[.applicationCurrencyCode] == terminal[.transactionCurrencyCode]
        let amount = inputs.amount.minorUnits
        switch condition {
        case 0x00, 0x03: return true
        case 0x01: return isCash && isUnattended
        case 0x02: return !isCash && !isCashback
        case 0x04: return isCash && !isUnattended
        case 0x05: return isCashback
        case 0x06: return inCardCurrency && amount < x
        case 0x07: return inCardCurrency && amount > x
        case 0x08: return inCardCurrency && amount < y
        case 0x09: return inCardCurrency && amount > y
        default: return nil
        }
    }

    /// `.notApplicable` for methods that contactless never performs; nil where the code is not known.
    private func recognised(_ code: UInt8) -> Outcome.CVM? {
        switch code & 0x3F {
        case 0x00: .notApplicable
        case 0x01, 0x03, 0x04, 0x05: .notApplicable
        case 0x02: .onlinePIN
        case 0x1E: .signature
        case 0x1F: .noCVM
        default: nil
        }
    }

    private func isSupported(_ code: UInt8) -> Bool {
        guard let capabilities = terminal.number(.terminalCapabilities) else { return false }
        let bits = TerminalCapabilities(rawValue: UInt32(truncatingIfNeeded: capabilities))
        switch code & 0x3F {
        case 0x00: return true
        case 0x02: return bits.contains(.onlineEncipheredPIN)
        case 0x1E: return bits.contains(.signature)
        case 0x1F: return bits.contains(.noCVM)
        default: return false
        }
    }

    // MARK: - Terminal action analysis

    func terminalActionAnalysis() -> CryptogramInformationData.CryptogramType {
        let results = results.rawValue
        func code(_ tag: Tag) -> UInt64 { terminal.number(tag) ?? 0 }
        let denial =
            code(MChipConfiguration.terminalActionCodeDenial) | (card.number(.issuerActionCodeDenial) ?? 0)
        if results & denial != 0 { return .aac }
        // Terminal Type (EMV Book 4, A1): units digit 1 and 4 online only, 3 and 6 offline only.
        switch (terminal.number(.terminalType) ?? 0x22) & 0x0F {
        case 1, 4: return .arqc
        case 3, 6:
            let codes =
                code(MChipConfiguration.terminalActionCodeDefault)
                | (card.number(.issuerActionCodeDefault) ?? 0xFF_FFFF_FFFF)
            return results & codes != 0 ? .aac : .tc
        default:
            let codes =
                code(MChipConfiguration.terminalActionCodeOnline)
                | (card.number(.issuerActionCodeOnline) ?? 0xFF_FFFF_FFFF)
            return results & codes != 0 ? .arqc : .tc
        }
    }

    /// Why terminal action analysis asked for an AAC: the results that the denial codes name.
    func reasonsForDenial() -> [EndReason] {
        let denial =
            (terminal.number(MChipConfiguration.terminalActionCodeDenial) ?? 0)
            | (card.number(.issuerActionCodeDenial) ?? 0)
        // An offline-only terminal declines by the default codes.
        let found = results.rawValue & denial != 0 ? results.rawValue & denial : results.rawValue
        let bits = TerminalVerificationResults(rawValue: found)
        var reasons: [EndReason] = []
        var named: TerminalVerificationResults = []
        func add(_ result: TerminalVerificationResults, _ reason: EndReason) {
            guard !bits.isDisjoint(with: result) else { return }
            named.formUnion(result)
            reasons.append(reason)
        }
        if let date = card[.applicationExpirationDate].flatMap({ EMVDate(bytes: $0) }) {
            add(.expiredApplication, .expired(date))
        }
        if let date = card[.applicationEffectiveDate].flatMap({ EMVDate(bytes: $0) }) {
            add(.applicationNotYetEffective, .notYetEffective(date))
        }
        add(.serviceNotAllowed, .usageControl)
        add(.cardOnExceptionFile, .exceptionFile)
        add([.cardholderVerificationFailed, .unrecognisedCVM], .cardholderVerification)
        add([.relayResistanceThresholdExceeded, .relayResistanceTimeLimitsExceeded], .relayResistance)
        if case .failed(let failure) = dataAuthentication {
            add(.combinedDataAuthenticationFailed, .dataAuthentication(failure))
        }
        let rest = bits.subtracting(named)
        if !rest.isEmpty { reasons.append(.actionCodes(rest.rawValue)) }
        return reasons
    }
}
