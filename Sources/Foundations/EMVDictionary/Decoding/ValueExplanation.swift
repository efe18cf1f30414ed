import BERTLV
internal import EMV
internal import EMVCryptography

extension EMVDecoder.Session {
    // MARK: Sensitive values

    /// A sensitive value as it may be shown: PANs and track 2 by first six and last four digits, the rest
    /// as stars; test PANs in clear.
    func sensitive(
        _ tag: Tag, _ entry: DataDictionary.Entry, _ value: ArraySlice<UInt8>
    ) -> (value: String, isMasked: Bool, lines: [ExplanationLine]) {
        let stars = String(repeating: "*", count: value.count * 2)
        switch entry.constantName {
        case "applicationPAN":
            let digits = Self.digits(value)
            if options.isTestPAN(digits.text) {
                return (Hex.string(value), false, lines(tag, entry, value))
            }
            let padding = String(repeating: "F", count: max(0, value.count * 2 - digits.text.count))
            guard digits.isClean else { return (stars, true, []) }
            let masked = Masking.masked(pan: digits.text)
            return (masked + padding, true, [ExplanationLine("\(digits.text.count) digits, masked")])
        case "track2EquivalentData", "track2Data":
            guard let track = Track2Parts(value) else { return (stars, true, []) }
            if options.isTestPAN(track.pan) {
                return (Hex.string(value), false, lines(tag, entry, value))
            }
            let head = Masking.masked(pan: track.pan) + "D"
            let rest = String(repeating: "*", count: max(0, value.count * 2 - head.count))
            var shown: [ExplanationLine] = [ExplanationLine("PAN \(Masking.masked(pan: track.pan))")]
            shown += track.publicLines
            return (head + rest, true, shown)
        default: return (stars, !value.isEmpty, [])
        }
    }

    /// The digits of a compressed numeric value up to its padding.
    static func digits(_ value: some Collection<UInt8>) -> (text: String, isClean: Bool) {
        var text = Hex.string(value)
        while text.hasSuffix("F") { text.removeLast() }
        return (text, !text.isEmpty && text.allSatisfy(\.isNumber))
    }

    // MARK: Values in general

    /// What a value says, by its meaning, else by its format.
    func lines(
        _ tag: Tag, _ entry: DataDictionary.Entry, _ value: ArraySlice<UInt8>
    ) -> [ExplanationLine] {
        if value.isEmpty { return [] }
        if let name = entry.constantName {
            if name == "applicationLabel" || name == "applicationPreferredName" { return [nameLine(value)] }
            if let special = specialLines(name, value) { return special }
        }
        switch entry.format {
        case .a, .an, .ans:
            if let text = Self.text(value) { return [ExplanationLine("\"\(text)\"")] }
            return [ExplanationLine("not text")]
        case .n:
            let text = Hex.string(value)
            if text.allSatisfy(\.isNumber) { return [] }
            return [ExplanationLine("not decimal digits")]
        default: return []
        }
    }

    /// A name in the characters that the Issuer Code Table Index tells.
    // Unconfirmed for tag 50: EMV gives the index for 9F12; cards that have other letters in 50 mean the same.
    private func nameLine(_ value: ArraySlice<UInt8>) -> ExplanationLine {
        let part = seen[0x9F11].flatMap { Self.decimal($0) } ?? options.issuerCodeTable ?? 1
        guard let text = IssuerCodeTable.text(value, part: part) else { return ExplanationLine("not text") }
        let isPlain = value.allSatisfy { $0 < 0x80 }
        let note =
            isPlain
            ? ""
            : IssuerCodeTable.isKnown(part)
                ? " (ISO/IEC 8859-\(part))" : " (as ISO/IEC 8859-1: part \(part) is not known)"
        return ExplanationLine("\"\(text)\"\(note)")
    }

    /// ISO 8859-1 text without control characters.
    static func text(_ value: some Collection<UInt8>) -> String? {
        var text = ""
        for byte in value {
            guard (0x20...0x7E).contains(byte) || byte >= 0xA0 else { return nil }
            text.unicodeScalars.append(Unicode.Scalar(byte))
        }
        return text
    }

    static let bitFields: [String: String] = [
        "applicationInterchangeProfile": "AIP", "paypassApplicationInterchangeProfile": "AIP",
        "applicationUsageControl": "AUC", "terminalVerificationResults": "TVR", "cardTVR": "TVR",
        "kernelReservedTVRMask": "TVR", "issuerActionCodeDefault": "TVR", "issuerActionCodeDenial": "TVR",
        "issuerActionCodeOnline": "TVR", "terminalActionCodeDefault": "TVR",
        "terminalActionCodeDenial": "TVR",
        "terminalActionCodeOnline": "TVR", "kernel8TerminalActionCodeDenial": "TVR",
        "kernel8TerminalActionCodeOnline": "TVR", "transactionStatusInformation": "TSI",
        "terminalTransactionQualifiers": "TTQ", "cardTransactionQualifiers": "CTQ",
        "cardAdditionalProcesses": "CAP", "cryptogramInformationData": "CID",
        "terminalCapabilities": "TerminalCapabilities",
        "additionalTerminalCapabilities": "AdditionalTerminalCapabilities",
        "terminalRiskManagementData": "TerminalRiskManagementData",
        "formFactorIndicator": "FormFactorIndicator",
        "applicationCapabilitiesInformation": "ApplicationCapabilitiesInformation",
        "kernelConfiguration": "KernelConfiguration", "mobileSupportIndicator": "MobileSupportIndicator",
        "posCardholderInteractionInformation": "POSCardholderInteraction",
        "outcomeParameterSet": "OutcomeParameterSet", "kernel8OutcomeParameterSet": "OutcomeParameterSet",
        "cardDataInputCapability": "CardDataInputCapability",
        "kernel8CardDataInputCapability": "CardDataInputCapability",
        "cvmCapabilityCVMRequired": "CVMCapability", "cvmCapabilityNoCVMRequired": "CVMCapability",
        "kernel8CVMCapabilityCVMRequired": "CVMCapability",
        "kernel8CVMCapabilityNoCVMRequired": "CVMCapability", "securityCapability": "SecurityCapability",
        "magStripeCVMCapabilityCVMRequired": "MagStripeCVMCapability",
        "magStripeCVMCapabilityNoCVMRequired": "MagStripeCVMCapability",
        "dsSlotAvailability": "DSSlotAvailability", "dsSlotManagementControl": "DSSlotManagementControl",
        "idsStatus": "IDSStatus", "dsODSInfo": "DSODSInfo",
        "contactlessReaderCapabilities": "ContactlessReaderCapabilities",
        "enhancedContactlessReaderCapabilities": "EnhancedContactlessReaderCapabilities",
        "cardInterfaceAndPaymentCapabilities": "CardInterfaceCapabilities",
        "mobileCVMResults": "MobileCVMResults",
        "terminalCompatibilityIndicator": "TerminalCompatibilityIndicator",
        "terminalInterchangeProfile": "TerminalInterchangeProfile",
        "cardProcessingRequirements": "CardProcessingRequirements",
    ]

    func bitLines(_ field: String, _ value: some Collection<UInt8>, indent: Int = 0) -> [ExplanationLine] {
        BitField.named(field, context)?.lines(value, showUnset: options.showUnsetBits, indent: indent) ?? []
    }

    /// Lines for values with a structure of their own; nil for others.
    func specialLines(_ name: String, _ value: ArraySlice<UInt8>) -> [ExplanationLine]? {
        if let field = Self.bitFields[name] { return bitLines(field, value) }
        switch name {
        case "dedicatedFileName", "applicationDedicatedFileName", "applicationIdentifierTerminal",
            "directoryDefinitionFileName":
            return identifierLines(value)
        case "applicationPAN":
            let digits = Self.digits(value)
            guard digits.isClean else { return [line("not decimal digits padded with F")] }
            return [
                line(
                    "\(digits.text.count) digits, check digit \(Masking.luhn(digits.text.utf8) ? "right" : "wrong")"
                )
            ]
        case "track2EquivalentData", "track2Data": return track2Lines(value)
        case "applicationExpirationDate", "applicationEffectiveDate", "transactionDate", "cardEffectiveDate":
            return [line(Self.date(value) ?? "not a date YYMMDD")]
        case "transactionTime":
            let text = Hex.string(value)
            guard text.count == 6, text.allSatisfy(\.isNumber) else { return [line("not a time HHMMSS")] }
            return [line("\(text.prefix(2)):\(text.dropFirst(2).prefix(2)):\(text.suffix(2))")]
        case "issuerCountryCode", "terminalCountryCode", "visaIssuerCountryCode", "mchipCRMCountryCode",
            "cardholderNationality":
            return [line(Self.decimal(value).flatMap { CodeTable.country($0)?.name } ?? "unknown country")]
        case "issuerCountryCodeAlpha2", "issuerCountryCodeAlpha3":
            return [line(Self.text(value).flatMap { CodeTable.country($0)?.name } ?? "unknown country")]
        case "transactionCurrencyCode", "applicationCurrencyCode", "transactionReferenceCurrencyCode",
            "visaApplicationCurrencyCode", "unionPayApplicationCurrencyCode", "mchipCRMCurrencyCode",
            "electronicCashSecondCurrencyCode":
            return [line(Self.currency(value))]
        case "applicationReferenceCurrency", "secondaryApplicationCurrencyCode":
            return Self.pairs(value).map { line(Self.currency($0)) }
        case "languagePreference":
            guard let text = Self.text(value), text.count.isMultiple(of: 2) else {
                return [line("not pairs of letters")]
            }
            return Self.pairs(value).map { pair in
                let code = String(decoding: pair, as: UTF8.self)
                return line("\(code): \(CodeTable.language(code) ?? "unknown language")")
            }
        case "amountAuthorisedNumeric", "amountOtherNumeric", "readerContactlessFloorLimit",
            "readerContactlessTransactionLimitNoOnDeviceCVM", "readerContactlessTransactionLimitOnDeviceCVM",
            "readerCVMRequiredLimit", "kernel8ReaderContactlessFloorLimit", "kernel8ReaderCVMRequiredLimit":
            return [line(amount(Self.decimal(value), currency: 0x5F2A))]
        case "offlineAccumulatorBalance", "visaOfflineAccumulatorBalance", "availableOfflineSpendingAmount",
            "balanceReadBeforeGenAC", "balanceReadAfterGenAC", "electronicCashBalance",
            "unionPayAvailableOfflineSpendingAmount", "cardCVMLimit":
            return [line(amount(Self.decimal(value), currency: 0x9F42))]
        case "amountAuthorisedBinary", "amountOtherBinary", "terminalFloorLimit":
            return [line(amount(Self.binary(value), currency: 0x5F2A))]
        case "applicationTransactionCounter", "lastOnlineATCRegister", "pinTryCounter",
            "lowerConsecutiveOfflineLimit", "upperConsecutiveOfflineLimit", "timeOutValue", "rrpCounter",
            "kernel8TimeoutValue", "maxLifetimeOfTornTransactionLogRecord",
            "maxNumberOfTornTransactionLogRecords":
            return Self.binary(value).map { [line(String($0))] }
        case "minTimeForProcessingRelayResistanceAPDU", "maxTimeForProcessingRelayResistanceAPDU",
            "deviceEstimatedTransmissionTimeForRelayResistanceRAPDU", "measuredRelayResistanceProcessingTime",
            "minimumRelayResistanceGracePeriod", "maximumRelayResistanceGracePeriod",
            "relayResistanceAccuracyThreshold", "relayResistanceTimeExcess":
            return Self.binary(value).map { [line("\($0) hundreds of microseconds")] }
        case "holdTimeValue", "kernel8HoldTimeValue", "messageHoldTime", "kernel8MessageHoldTime":
            return Self.binary(value).map { [line("\($0) hundreds of milliseconds")] }
        case "transactionType": return [line(Self.transactionType(value.first ?? 0))]
        case "terminalType": return terminalTypeLines(value.first ?? 0)
        case "posEntryMode": return [line(Self.entryMode(value.first ?? 0))]
        case "accountType": return [line(Self.accountType(value.first ?? 0))]
        case "cvmList": return cvmListLines(Array(value))
        case "cvmResults": return cvmResultLines(Array(value))
        case "applicationFileLocator", "paypassApplicationFileLocator": return fileLocatorLines(Array(value))
        case "processingOptionsDataObjectList", "cardRiskManagementDataObjectList1",
            "cardRiskManagementDataObjectList2", "dynamicDataAuthenticationDataObjectList",
            "transactionCertificateDataObjectList", "logFormat", "udol", "defaultUDOL", "drdol", "dsdol",
            "selectionDataObjectList", "defaultCDOL1":
            return listLines(value.startIndex..<value.endIndex)
        case "sdaTagList", "extendedSDATagList", "tagsToRead", "dataNeeded", "kernel8TagsToRead",
            "kernel8DataNeeded", "discretionaryDataTagList", "tagList", "tagMappingList":
            return tagListLines(value.startIndex..<value.endIndex)
        case "applicationPriorityIndicator":
            let byte = value.first ?? 0
            var lines = [line(byte & 0x0F == 0 ? "no priority" : "priority \(byte & 0x0F)")]
            if byte & 0x80 != 0 { lines.append(line("not to be selected without cardholder confirmation")) }
            return lines
        case "shortFileIdentifier": return [line("SFI \((value.first ?? 0) & 0x1F)")]
        case "logEntry":
            guard value.count == 2, let last = value.last else { return nil }
            return [line("SFI \((value.first ?? 0) & 0x1F), \(last) records")]
        case "kernelIdentifier", "kernelIdentifierTerminal": return kernelIdentifierLines(Array(value))
        case "kernelID": return [line("Kernel \(value.first ?? 0)")]
        case "applicationSelectionRegisteredProprietaryData": return registeredDataLines(Array(value))
        case "issuerApplicationData": return issuerApplicationDataLines(Array(value))
        case "issuerAuthenticationData": return issuerAuthenticationLines(value)
        case "cardAuthenticationRelatedData": return cardAuthenticationLines(Array(value))
        case "thirdPartyData": return thirdPartyLines(Array(value))
        case "authorisationResponseCode":
            guard let text = Self.text(value) else { return [line("not text")] }
            return [line("\"\(text)\": \(Self.responseCode(text))")]
        case "userInterfaceRequestData": return userInterfaceLines(Array(value), isKernel8: false)
        case "userInterfaceRequestData1", "userInterfaceRequestData2":
            return userInterfaceLines(Array(value), isKernel8: true)
        case "errorIndication", "kernel8ErrorIndication": return errorIndicationLines(Array(value))
        case "serviceCode": return serviceCodeLines(value)
        case "issuerCodeTableIndex": return [line("ISO/IEC 8859-\(Self.decimal(value) ?? 0)")]
        case "referenceControlParameter", "dsACType":
            return [line(["AAC", "TC", "ARQC", "RFU"][Int((value.first ?? 0) >> 6)])]
                + ((value.first ?? 0) & 0x10 != 0 ? [line("CDA requested")] : [])
        case "terminalCategoriesSupportedList":
            return Self.pairs(value).map { line("category \(Hex.string($0)): \(Self.category($0))") }
        case "poiInformation": return poiLines(Array(value))
        case "biometricTerminalCapabilities", "transactionCategoryCode", "merchantCategoryCode": return nil
        default: return nil
        }
    }

    func line(_ text: String, _ indent: Int = 0) -> ExplanationLine { ExplanationLine(text, indent: indent) }

    // MARK: Numbers, dates, codes

    static func decimal(_ value: some Collection<UInt8>) -> Int? {
        guard !value.isEmpty, value.count <= 9 else { return nil }
        var result = 0
        for byte in value {
            guard byte >> 4 <= 9, byte & 0x0F <= 9 else { return nil }
            result = result * 100 + Int(byte >> 4) * 10 + Int(byte & 0x0F)
        }
        return result
    }

    static func binary(_ value: some Collection<UInt8>) -> Int? {
        guard !value.isEmpty, value.count <= 7 else { return nil }
        return value.reduce(0) { $0 << 8 | Int($1) }
    }

    static func pairs(_ value: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        stride(from: value.startIndex, to: value.endIndex, by: 2).map {
            value[$0..<min($0 + 2, value.endIndex)]
        }
    }

    /// YYMMDD with the century rule of Book 4, 6.7.3: years 00 to 49 are 20YY. A day 00 is shown as such.
    static func date(_ value: some Collection<UInt8>) -> String? {
        let text = Hex.string(value)
        guard text.count == 6, let number = Int(text) else { return nil }
        let (year, day) = (number / 10000, number % 100)
        guard EMVDate(yymmdd: day == 0 ? number + 1 : number) != nil else { return nil }
        return "\(year < 50 ? "20" : "19")\(text.prefix(2))-\(text.dropFirst(2).prefix(2))-\(text.suffix(2))"
    }

    static func currency(_ value: some Collection<UInt8>) -> String {
        guard let number = decimal(value), let currency = CodeTable.currency(number) else {
            return "unknown currency"
        }
        return "\(currency.alpha) (\(currency.name), \(currency.minorUnits) decimals)"
    }

    /// An amount in the currency that the input names by the tag, if it does.
    func amount(_ number: Int?, currency tag: Tag) -> String {
        guard let number else { return "not an amount" }
        guard let code = seen[tag].flatMap({ Self.decimal($0) }), let currency = CodeTable.currency(code)
        else { return "\(number) minor units" }
        return Self.amount(number, currency)
    }

    static func amount(_ number: Int, _ currency: CodeTable.Currency) -> String {
        var text = String(number)
        let decimals = currency.minorUnits
        if decimals > 0 {
            if text.count <= decimals {
                text = String(repeating: "0", count: decimals + 1 - text.count) + text
            }
            text.insert(".", at: text.index(text.endIndex, offsetBy: -decimals))
        }
        return "\(currency.alpha) \(text)"
    }

    static func transactionType(_ byte: UInt8) -> String {
        switch byte {
        case 0x00: "purchase (goods and services)"
        case 0x01: "cash withdrawal"
        case 0x02: "debit adjustment"
        case 0x09: "purchase with cashback"
        case 0x17: "cash disbursement"
        case 0x20: "refund"
        case 0x21: "deposit"
        case 0x28: "prepaid load"
        case 0x30, 0x31: "balance inquiry"
        case 0x40: "transfer"
        case 0x50: "payment"
        case 0x60...0x63: "load"
        default: "processing code \(Hex.string([byte]))"
        }
    }

    func terminalTypeLines(_ byte: UInt8) -> [ExplanationLine] {
        let control =
            switch byte >> 4 {
            case 1: "operated by the financial institution"
            case 2: "operated by the merchant"
            case 3: "operated by the cardholder"
            default: "operational control RFU"
            }
        let environment =
            switch byte & 0x0F {
            case 1: "attended, online only"
            case 2: "attended, offline with online capability"
            case 3: "attended, offline only"
            case 4: "unattended, online only"
            case 5: "unattended, offline with online capability"
            case 6: "unattended, offline only"
            default: "environment RFU"
            }
        return [line(control), line(environment)]
    }

    static func entryMode(_ byte: UInt8) -> String {
        switch byte {
        case 0x00: "unknown"
        case 0x01: "manual PAN entry"
        case 0x02: "magnetic stripe"
        case 0x03: "optical code"
        case 0x04: "OCR"
        case 0x05: "integrated circuit card, CVV reliable"
        case 0x07: "contactless EMV"
        case 0x10: "credentials on file"
        case 0x80: "fallback from integrated circuit card to magnetic stripe"
        case 0x90: "magnetic stripe, full track read, CVV reliable"
        case 0x91: "contactless magnetic stripe"
        case 0x95: "integrated circuit card, CVV may be unreliable"
        case 0x99: "same as original transaction"
        default: "unknown entry mode"
        }
    }

    static func accountType(_ byte: UInt8) -> String {
        switch byte {
        case 0x00: "default"
        case 0x10: "savings"
        case 0x20: "cheque or debit"
        case 0x30: "credit"
        case 0x40: "universal"
        case 0x50: "investment"
        default: "RFU"
        }
    }

    /// ISO 8583 response codes as cards and terminals meet them; Y and Z codes: Book 4, Annex A6.
    static func responseCode(_ text: String) -> String {
        switch text {
        case "00": "approved"
        case "01", "02": "refer to card issuer"
        case "03": "invalid merchant"
        case "04", "07", "41", "43": "pick up card"
        case "05": "do not honour"
        case "08": "honour with identification"
        case "10": "approved for a partial amount"
        case "12": "invalid transaction"
        case "13": "invalid amount"
        case "14": "invalid card number"
        case "30": "format error"
        case "51": "not sufficient funds"
        case "54": "expired card"
        case "55": "incorrect PIN"
        case "57": "transaction not permitted to cardholder"
        case "58": "transaction not permitted to terminal"
        case "59": "suspected fraud"
        case "61": "exceeds withdrawal amount limit"
        case "62": "restricted card"
        case "65": "exceeds frequency limit (strong authentication wanted)"
        case "75": "allowable number of PIN tries exceeded"
        case "91": "issuer or switch inoperative"
        case "96": "system malfunction"
        case "1A", "70": "additional customer authentication required"
        case "Y1": "offline approved"
        case "Y2": "approved after card-initiated referral"
        case "Y3": "unable to go online, offline approved"
        case "Z1": "offline declined"
        case "Z2": "declined after card-initiated referral"
        case "Z3": "unable to go online, offline declined"
        default: "other response code"
        }
    }

    func serviceCodeLines(_ value: ArraySlice<UInt8>) -> [ExplanationLine] {
        guard let number = Self.decimal(value), number <= 999 else { return [line("not three digits")] }
        return Track2Parts.serviceLines(number)
    }

    // MARK: Application selection

    func identifierLines(_ value: ArraySlice<UInt8>) -> [ExplanationLine] {
        if let text = Self.printable(value) { return [line("\"\(text)\"")] }
        guard value.count >= 5 else { return [line("shorter than a RID")] }
        let schemes: [String: String] = [
            "A000000003": "Visa", "A000000004": "Mastercard", "A000000025": "American Express",
            "A000000065": "JCB", "A000000152": "Discover/Diners Club", "A000000324": "Discover (ZIP)",
            "A000000333": "UnionPay", "A000000277": "Interac", "A000000098": "Visa USA (common debit)",
            "A000000042": "Cartes Bancaires", "A000000384": "eftpos Australia", "A000000524": "RuPay",
            "A000000658": "Mir", "A000000359": "girocard", "A000000141": "PagoBANCOMAT",
            "A000000121": "Dankort",
            "A000000151": "GlobalPlatform", "A000000396": "NXP", "A000000620": "DNA (US debit)",
            "A000000732": "TROY", "A000000672": "TROY", "A000000337": "UEMOA", "A000000371": "Verve",
            "A000000029": "LINK", "A000000010": "Mastercard Europe", "A000000677": "EMVCo",
        ]
        let rid = Hex.string(value.prefix(5))
        return [
            line("RID \(rid)\(schemes[rid].map { " (\($0))" } ?? ""), PIX \(Hex.string(value.dropFirst(5)))")
        ]
    }

    /// Book B, 3.3.2.5: byte 1 bits 8-7 the type, bits 6-1 the Short Kernel ID; bytes 2-3 the currency or
    /// country of a domestic kernel.
    func kernelIdentifierLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard let first = value.first else { return [] }
        var lines: [ExplanationLine] = []
        let short = first & 0x3F
        switch first >> 6 {
        case 0: lines.append(line("international kernel"))
        case 1: lines.append(line("RFU"))
        case 2: lines.append(line("domestic kernel, EMVCo format"))
        default: lines.append(line("domestic kernel, proprietary format"))
        }
        if first >> 6 < 2 {
            lines.append(line(short == 0 ? "no short Kernel ID: default by RID" : "Kernel \(short)"))
        } else {
            lines.append(line(short == 0 ? "extended Kernel ID" : "short Kernel ID \(short)"))
            if value.count >= 3 {
                let code = Self.decimal(value[1...2])
                let name = code.flatMap { CodeTable.currency($0)?.alpha ?? CodeTable.country($0)?.name }
                lines.append(line("extension \(Hex.string(value[1...2]))\(name.map { " (\($0))" } ?? "")"))
            } else {
                lines.append(line("extension missing: at least 3 bytes are needed"))
            }
        }
        if value.count > 3 { lines.append(line("beyond byte 3: \(Hex.string(value[3...]))")) }
        return lines
    }

    /// Book 1, 12.5: entries of a two-byte identifier, a length byte and data.
    func registeredDataLines(_ value: [UInt8]) -> [ExplanationLine] {
        var lines: [ExplanationLine] = []
        var offset = 0
        while offset < value.count {
            guard value.count - offset >= 3 else {
                lines.append(line("entry at byte \(offset + 1) ends early"))
                break
            }
            let id = UInt16(value[offset]) << 8 | UInt16(value[offset + 1])
            let count = Int(value[offset + 2])
            offset += 3
            guard count <= value.count - offset else {
                lines.append(
                    line(
                        "entry \(Hex.string([UInt8(id >> 8), UInt8(id & 0xFF)])): \(count) bytes announced, \(value.count - offset) left"
                    ))
                break
            }
            let data = value[offset..<(offset + count)]
            let owners: [UInt16: String] = [
                1: "European Cards Stakeholders Group", 3: "Technical Cooperation ep2 Association",
                5: "Universal Global Scientific Industrial",
            ]
            let name = owners[id] ?? "proprietary data identifier \(id)"
            lines.append(line("\(name): \(Hex.string(data))"))
            if id == 1 || id == 3, count == 1, let product = data.first {
                let products = ["", "debit", "credit", "commercial", "prepaid"]
                lines.append(
                    line(
                        product > 0 && Int(product) < products.count
                            ? "product type: \(products[Int(product)])" : "product type unknown", 1))
            }
            offset += count
        }
        return lines
    }

    static func category(_ pair: some Collection<UInt8>) -> String {
        switch Array(pair) {
        case [0, 1]: "transit gate"
        case [0, 2]: "loyalty"
        default: "RFU"
        }
    }

    func poiLines(_ value: [UInt8]) -> [ExplanationLine] {
        var lines: [ExplanationLine] = []
        var offset = 0
        while value.count - offset >= 3 {
            let count = Int(value[offset + 2])
            let id = Hex.string(value[offset..<(offset + 2)])
            offset += 3
            guard count <= value.count - offset else {
                return lines + [
                    line("POI information \(id): \(count) bytes announced, \(value.count - offset) left")
                ]
            }
            let data = value[offset..<(offset + count)]
            lines.append(line("POI information \(id): \(Hex.string(data))"))
            if id == "0001" {
                for pair in Self.pairs(data) {
                    lines.append(line("terminal category: \(Self.category(pair))", 1))
                }
            }
            offset += count
        }
        if offset < value.count { lines.append(line("ends early")) }
        return lines
    }

    // MARK: Lists

    func listLines(_ range: Range<Int>) -> [ExplanationLine] {
        let list = dataObjectList(range)
        var lines = list.children.map { child in
            line("\(child.tag ?? "") \(child.name): \(child.length ?? 0) bytes")
        }
        lines += list.lines
        if let error = list.error { lines.append(line("error: " + error)) }
        return lines
    }

    func tagListLines(_ range: Range<Int>) -> [ExplanationLine] {
        var lines: [ExplanationLine] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard let (tag, next) = tag(at: offset, end: range.upperBound) else {
                lines.append(line("error: offset \(offset): the list ends inside a tag"))
                break
            }
            lines.append(line("\(tag) \(DataDictionary.name(of: tag, in: context) ?? "unknown data object")"))
            offset = next
        }
        return lines
    }

    func fileLocatorLines(_ value: [UInt8]) -> [ExplanationLine] {
        var lines: [ExplanationLine] = []
        for start in stride(from: 0, to: value.count, by: 4) {
            guard value.count - start >= 4 else {
                lines.append(line("error: an entry of \(value.count - start) bytes where 4 are needed"))
                break
            }
            let (sfi, first, last, signed) = (
                value[start] >> 3, value[start + 1], value[start + 2], value[start + 3]
            )
            let records = first == last ? "record \(first)" : "records \(first) to \(last)"
            var text = "SFI \(sfi), \(records)"
            if signed > 0 {
                text += signed == 1 ? ", the first authenticated" : ", the first \(signed) authenticated"
            }
            lines.append(line(text))
            let isValid =
                (1...30).contains(sfi) && value[start] & 0x07 == 0 && first >= 1 && last >= first
                && Int(signed) <= Int(last) - Int(first) + 1
            if !isValid { lines.append(line("error: not a valid entry (Book 3, 10.2)", 1)) }
        }
        return lines
    }

    // MARK: Cardholder verification

    static func method(_ code: UInt8) -> String {
        switch code & 0x3F {
        case 0x00: "fail CVM processing"
        case 0x01: "plaintext PIN verification by ICC"
        case 0x02: "enciphered PIN verified online"
        case 0x03: "plaintext PIN verification by ICC and signature"
        case 0x04: "enciphered PIN verification by ICC"
        case 0x05: "enciphered PIN verification by ICC and signature"
        case 0x06: "facial biometric verified offline"
        case 0x07: "facial biometric verified online"
        case 0x08: "finger biometric verified offline"
        case 0x09: "finger biometric verified online"
        case 0x0A: "palm biometric verified offline"
        case 0x0B: "palm biometric verified online"
        case 0x0C: "iris biometric verified offline"
        case 0x0D: "iris biometric verified online"
        case 0x0E: "voice biometric verified offline"
        case 0x0F: "voice biometric verified online"
        case 0x1E: "signature"
        case 0x1F: "No CVM required"
        case 0x3F: "no CVM performed"
        case 0x20...0x2F: "payment system specific CVM \(Hex.string([code & 0x3F]))"
        case 0x30...0x3E: "issuer specific CVM \(Hex.string([code & 0x3F]))"
        default: "RFU CVM \(Hex.string([code & 0x3F]))"
        }
    }

    static func condition(_ code: UInt8) -> String {
        switch code {
        case 0x00: "always"
        case 0x01: "if unattended cash"
        case 0x02: "if not unattended cash and not manual cash and not purchase with cashback"
        case 0x03: "if terminal supports the CVM"
        case 0x04: "if manual cash"
        case 0x05: "if purchase with cashback"
        case 0x06: "if in application currency and under X"
        case 0x07: "if in application currency and over X"
        case 0x08: "if in application currency and under Y"
        case 0x09: "if in application currency and over Y"
        case 0x80...0xFF: "payment system condition \(Hex.string([code]))"
        default: "RFU condition \(Hex.string([code]))"
        }
    }

    func cvmListLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard value.count >= 8 else { return [line("error: \(value.count) bytes, X and Y alone need 8")] }
        var lines = [
            line("X: \(amount(Self.binary(value[0..<4]), currency: 0x9F42))"),
            line("Y: \(amount(Self.binary(value[4..<8]), currency: 0x9F42))"),
        ]
        for start in stride(from: 8, to: value.count, by: 2) {
            guard start + 1 < value.count else {
                lines.append(line("error: half a CV Rule at the end"))
                break
            }
            let next =
                value[start] & 0x40 != 0 ? "then apply the next rule if unsuccessful" : "fail if unsuccessful"
            lines.append(
                line(
                    "\(Hex.string(value[start...(start + 1)])): \(Self.method(value[start])), \(Self.condition(value[start + 1])), \(next)"
                ))
        }
        return lines
    }

    func cvmResultLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard value.count == 3 else { return [line("error: \(value.count) bytes where 3 are needed")] }
        let result =
            switch value[2] {
            case 0: "unknown"
            case 1: "failed"
            case 2: "successful"
            default: "RFU"
            }
        return [
            line("method: \(Self.method(value[0]))"), line("condition: \(Self.condition(value[1]))"),
            line("result: \(result)"),
        ]
    }

    // MARK: Tracks

    func track2Lines(_ value: ArraySlice<UInt8>) -> [ExplanationLine] {
        guard let track = Track2Parts(value) else { return [line("no field separator D")] }
        return [line("PAN \(track.pan)")] + track.publicLines
            + [line("discretionary data \(track.discretionary)")]
    }
}

/// The fields of track 2 (ISO/IEC 7813) in hexadecimal digits.
struct Track2Parts {
    let pan: String
    let expiry: String
    let service: String
    let discretionary: String

    /// Nil without a field separator.
    init?(_ value: some Collection<UInt8>) {
        let text = Hex.string(value)
        guard let separator = text.firstIndex(of: "D") else { return nil }
        pan = String(text[..<separator])
        guard pan.count <= 19, pan.allSatisfy(\.isNumber) else { return nil }
        let rest = text[text.index(after: separator)...]
        expiry = String(rest.prefix(4))
        service = String(rest.dropFirst(4).prefix(3))
        var left = rest.dropFirst(7)
        while left.last == "F" { left.removeLast() }
        discretionary = String(left)
    }

    var publicLines: [ExplanationLine] {
        var lines: [ExplanationLine] = []
        if expiry.count == 4, let number = Int(expiry) {
            let isDate = EMVDate(endOfMonthYYMM: number) != nil
            lines.append(
                ExplanationLine(
                    isDate
                        ? "expires 20\(expiry.prefix(2))-\(expiry.suffix(2))"
                        : "expiry \(expiry) is not a date YYMM"))
        }
        if service.count == 3, let code = Int(service) {
            lines.append(ExplanationLine("service code \(service)"))
            lines += Self.serviceLines(code).map { ExplanationLine($0.text, indent: 1) }
        }
        return lines
    }

    /// ISO/IEC 7813, service code digit by digit.
    static func serviceLines(_ code: Int) -> [ExplanationLine] {
        let first: [Int: String] = [
            1: "international interchange", 2: "international interchange, use IC where feasible",
            5: "national interchange only", 6: "national interchange only, use IC where feasible",
            7: "no interchange but by bilateral agreement", 9: "test",
        ]
        let second: [Int: String] = [
            0: "normal authorization", 2: "authorization by issuer online",
            4: "authorization by issuer online but by bilateral agreement",
        ]
        let third: [Int: String] = [
            0: "no restrictions, PIN required", 1: "no restrictions", 2: "goods and services only, no cash",
            3: "ATM only, PIN required", 4: "cash only", 5: "goods and services only, no cash, PIN required",
            6: "no restrictions, prompt for PIN if PED present",
            7: "goods and services only, no cash, prompt for PIN if PED present",
        ]
        return [
            ExplanationLine(first[code / 100 % 10] ?? "RFU"),
            ExplanationLine(second[code / 10 % 10] ?? "RFU"),
            ExplanationLine(third[code % 10] ?? "RFU"),
        ]
    }
}
