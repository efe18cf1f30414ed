import BERTLV
internal import EMVCryptography

// Data of the schemes and of Kernel 2's interface. Layouts of the IAD come from public personalisation
// guides; the scheme is told by context, length and leading bytes, as the IAD does not name it.
extension EMVDecoder.Session {
    func issuerApplicationDataLines(_ value: [UInt8]) -> [ExplanationLine] {
        let first = value[0]
        if value.count == 32, first == 0x0F, value[16] == 0x0F { return commonCoreLines(value) }
        if context != .kernel3, context != .visa, [18, 20, 26, 28].contains(value.count), value[1] >> 4 == 1 {
            return mchipLines(value)
        }
        if value.count == 32, first == 0x1F { return visaFormat2Lines(value) }
        if first == 0x06, value.count >= 7 {
            if context == .kernel4 || context == .americanExpress {
                return [
                    line("American Express"), line("Derivation Key Index \(Hex.string([value[1]]))"),
                    line("Cryptogram Version Number \(Hex.string([value[2]]))"),
                    line("Card Verification Results \(Hex.string(value[3..<7]))"),
                ] + rest(value, from: 7)
            }
            return visaLines(value)
        }
        if first == 0x07, value.count >= 8 {
            // PBOC: length, DKI, CVN, CVR with its length, algorithm.
            var lines = [
                line("UnionPay or JCB layout"), line("Derivation Key Index \(Hex.string([value[1]]))"),
                line("Cryptogram Version Number \(Hex.string([value[2]]))"),
                line("Card Verification Results \(Hex.string(value[3..<7]))"),
            ]
            if context == .kernel7 || context == .unionPay {
                lines[0] = line("UnionPay")
                lines += bitLines("VisaCVR", value[4..<7], indent: 1)
                let algorithm = value[7]
                lines.append(
                    line(
                        "algorithm \(Hex.string([algorithm]))\(algorithm == 1 ? " (3DES)" : algorithm == 4 ? " (SM4)" : "")"
                    ))
                return lines + rest(value, from: 8)
            }
            return lines + rest(value, from: 7)
        }
        return [line("layout unknown")]
    }

    private func rest(_ value: [UInt8], from start: Int) -> [ExplanationLine] {
        start < value.count ? [line("further data \(Hex.string(value[start...]))")] : []
    }

    /// Formats 0, 1 and 3: 06, DKI, CVN, CVR with its length 03; issuer data with a length byte may follow.
    private func visaLines(_ value: [UInt8]) -> [ExplanationLine] {
        var lines = [
            line("Visa, format \(value[2] >> 4)"), line("Derivation Key Index \(Hex.string([value[1]]))"),
            line("Cryptogram Version Number \(Hex.string([value[2]])) (CVN\(value[2]))"),
            line("Card Verification Results \(Hex.string(value[3..<7]))"),
        ]
        lines += bitLines("VisaCVR", value[4..<7], indent: 1)
        guard value.count > 7 else { return lines }
        let count = Int(value[7])
        let data = value[8...]
        if count == data.count {
            lines.append(line("issuer discretionary data \(Hex.string(data))"))
        } else {
            lines.append(line("further data \(Hex.string(value[7...]))"))
        }
        return lines
    }

    /// Format 2 (and 4): 1F, CVN, DKI, CVR of five bytes, issuer data.
    private func visaFormat2Lines(_ value: [UInt8]) -> [ExplanationLine] {
        [
            line("Visa, format \(value[1] >> 4)"),
            line("Cryptogram Version Number \(Hex.string([value[1]])) (CVN'\(Hex.string([value[1]]))')"),
            line("Derivation Key Index \(Hex.string([value[2]]))"),
            line("Card Verification Results \(Hex.string(value[3..<8]))"),
        ] + bitLines("VisaCVR2", value[3..<8], indent: 1) + [
            line("issuer discretionary data \(Hex.string(value[8...]))")
        ]
    }

    /// M/Chip: DKI, CVN, CVR of six bytes, DAC or ICC Dynamic Number, counters.
    private func mchipLines(_ value: [UInt8]) -> [ExplanationLine] {
        let version = value[1]
        var lines = [
            line("M/Chip"), line("Derivation Key Index \(Hex.string([value[0]]))"),
            line("Cryptogram Version Number \(Hex.string([version]))"),
        ]
        switch version & 0x06 {
        case 0x00: lines.append(line("Mastercard proprietary session key", 1))
        case 0x04: lines.append(line("EMV common session key", 1))
        default: lines.append(line("unknown session key", 1))
        }
        lines.append(line(version & 1 != 0 ? "counters in cryptogram" : "counters not in cryptogram", 1))
        lines.append(line("Card Verification Results \(Hex.string(value[2..<8]))"))
        lines += bitLines("MChipCVR", value[2..<8], indent: 1)
        lines.append(line("DAC or ICC Dynamic Number \(Hex.string(value[8..<10]))"))
        lines.append(line("counters \(Hex.string(value[10...]))"))
        return lines
    }

    /// Common Core Definitions (Book 3, Annex C9): 0F, CCI, DKI, CVR of five bytes, counters; 0F, issuer data.
    private func commonCoreLines(_ value: [UInt8]) -> [ExplanationLine] {
        let versions: [UInt8: String] = [5: "TDES", 6: "AES"]
        return [
            line("Common Core Definitions, format \(Hex.string([value[1] >> 4]))"),
            line("cryptogram version \(value[1] & 0x0F) (\(versions[value[1] & 0x0F] ?? "unknown"))"),
            line("Derivation Key Index \(Hex.string([value[2]]))"),
            line("Card Verification Results \(Hex.string(value[3..<8]))"),
        ] + bitLines("CCDCVR", value[3..<8], indent: 1) + [
            line("counters \(Hex.string(value[8..<16]))"),
            line("issuer discretionary data \(Hex.string(value[17...]))"),
        ]
    }

    /// Tag 91: ARPC and response code (method 1, 10 bytes), or ARPC of four bytes, CSU and proprietary data
    /// (method 2) (Book 2, 8.2).
    func issuerAuthenticationLines(_ value: ArraySlice<UInt8>) -> [ExplanationLine] {
        let value = Array(value)
        guard value.count >= 8 else {
            return [line("error: \(value.count) bytes where at least 8 are needed")]
        }
        if value.count == 10, let code = Self.printable(value[8...]) {
            return [
                line("ARPC \(Hex.string(value[..<8]))"),
                line("authorisation response code \"\(code)\": \(Self.responseCode(code))"),
            ]
        }
        var lines = [
            line("ARPC \(Hex.string(value[..<4]))"), line("Card Status Update \(Hex.string(value[4..<8]))"),
        ]
        lines += bitLines("CSU", value[4..<8], indent: 1)
        if value.count > 8 {
            lines.append(line("proprietary authentication data \(Hex.string(value[8...]))"))
        }
        return lines
    }

    /// Tag 9F69: fDDA version, card's unpredictable number, CTQ (Book C-3, Annex A).
    func cardAuthenticationLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard value.count >= 5 else {
            return [line("error: \(value.count) bytes where at least 5 are needed")]
        }
        var lines = [
            line("fDDA version \(value[0])"), line("card unpredictable number \(Hex.string(value[1..<5]))"),
        ]
        if value.count >= 7 {
            lines.append(line("Card Transaction Qualifiers \(Hex.string(value[5..<7]))"))
            lines += bitLines("CTQ", value[5..<7], indent: 1)
        }
        if value.count > 7 { lines.append(line("further data \(Hex.string(value[7...]))")) }
        return lines
    }

    /// Tag 9F6E of Kernel 2: country, unique identifier, device type unless bit 8 of the identifier is set,
    /// proprietary data (Book C-2, A.1.165).
    func thirdPartyLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard value.count >= 5 else {
            return [line("error: \(value.count) bytes where at least 5 are needed")]
        }
        let country = Self.decimal(value[0..<2]).flatMap { CodeTable.country($0)?.name } ?? "unknown"
        var lines = [line("country \(Hex.string(value[0..<2])) (\(country))")]
        let identifier = Hex.string(value[2..<4])
        lines.append(line("unique identifier \(identifier)"))
        var offset = 4
        if value[2] & 0x80 == 0, value.count >= 6 {
            let type = Self.printable(value[4..<6]) ?? Hex.string(value[4..<6])
            lines.append(line("device type \(type): \(Self.deviceType(type))"))
            offset = 6
        }
        if offset < value.count {
            let data = value[offset...]
            let isUnused = identifier == "0000" && data.allSatisfy { $0 == 0 }
            lines.append(line("proprietary data \(isUnused ? "not used" : Hex.string(data))"))
        }
        return lines
    }

    static func deviceType(_ code: String) -> String {
        switch code {
        case "00", "20": "card"
        case "01", "07", "08", "09": "phone with secure element"
        case "02": "key fob"
        case "03": "watch"
        case "04": "mobile tag"
        case "05": "wristband"
        case "06": "mobile phone case or sleeve"
        case "10"..."13": "tablet or e-book with secure element"
        case "14": "phone, payment application in host processor"
        case "15": "tablet or e-book, payment application in host processor"
        case "16": "phone, payment application in trusted execution environment"
        case "17": "tablet or e-book, payment application in trusted execution environment"
        case "18": "watch, payment application in trusted execution environment"
        case "19": "watch, payment application in host processor"
        // Unconfirmed: types 20 to 33 are not in a public specification.
        case "21": "phone"
        case "22": "tablet or e-reader"
        case "23": "watch or wristband"
        case "24": "sticker"
        case "25": "PC"
        case "26": "device peripheral"
        case "27": "tag"
        case "28": "jewelry"
        case "29": "fashion accessory"
        case "30": "garment"
        case "31": "domestic appliance"
        case "32": "vehicle"
        case "33": "media or gaming device"
        default: "unknown"
        }
    }

    // MARK: Kernel outcomes

    /// Message identifiers of Book A, 9.4.
    static func message(_ code: UInt8) -> String {
        switch code {
        case 0x03: "approved"
        case 0x07: "not authorised"
        case 0x09: "please enter your PIN"
        case 0x0F: "processing error"
        case 0x10: "please remove card"
        case 0x14: "welcome"
        case 0x15: "present card"
        case 0x16: "processing"
        case 0x17: "card read OK, please remove card"
        case 0x18: "please insert or swipe card"
        case 0x19: "please present one card only"
        case 0x1A: "approved, please sign"
        case 0x1B: "authorising, please wait"
        case 0x1C: "insert, swipe or try another card"
        case 0x1D: "please insert card"
        case 0x1E: "no message displayed"
        case 0x20: "see phone for instructions"
        case 0x21: "present card again"
        case 0xFF: "not applicable"
        default: "message \(Hex.string([code]))"
        }
    }

    /// Book C-2, A.1.183 (22 bytes: message, status, hold time, language, qualifier, value, currency) and
    /// Book C-8, A.1.143 (13 bytes, without value).
    func userInterfaceLines(_ value: [UInt8], isKernel8: Bool) -> [ExplanationLine] {
        guard value.count >= 13 else {
            return [line("error: \(value.count) bytes where at least 13 are needed")]
        }
        let statuses: [UInt8: String] = [
            0: "not ready", 1: "idle", 2: "ready to read", 3: "processing", 4: "card read successfully",
            5: "processing error", 0xFF: "not applicable",
        ]
        var lines = [
            line("message: \(Self.message(value[0]))"), line("status: \(statuses[value[1]] ?? "RFU")"),
            line("hold time: \(Self.decimal(value[2..<5]) ?? 0) hundreds of milliseconds"),
        ]
        let language = value[5..<13].filter { $0 != 0 }
        lines.append(line("language preference: \(Self.printable(language) ?? "none")"))
        if !isKernel8, value.count >= 22 {
            let qualifiers: [UInt8: String] = [0: "none", 1: "amount", 2: "balance"]
            lines.append(line("value qualifier: \(qualifiers[value[13] >> 4] ?? "RFU")"))
            let number = Self.decimal(value[14..<20]) ?? 0
            if let code = Self.decimal(value[20..<22]), let currency = CodeTable.currency(code) {
                lines.append(line("value: \(Self.amount(number, currency))"))
            } else {
                lines.append(line("value: \(number), currency \(Hex.string(value[20..<22]))"))
            }
        }
        return lines
    }

    /// Book C-2, A.1.69: levels 1 to 3, status bytes, message on error.
    func errorIndicationLines(_ value: [UInt8]) -> [ExplanationLine] {
        guard value.count == 6 else { return [line("error: \(value.count) bytes where 6 are needed")] }
        let level1 = ["OK", "time-out error", "transmission error", "protocol error"]
        let level2 = [
            "OK", "card data missing", "CAM failed", "status bytes", "parsing error", "max limit exceeded",
            "card data error", "mag-stripe not supported", "no PPSE", "PPSE fault", "empty candidate list",
            "IDS read error", "IDS write error", "IDS data error", "IDS no matching AC",
            "terminal data error",
        ]
        let level3 = ["OK", "time out", "stop", "amount not present"]
        func name(_ names: [String], _ code: UInt8) -> String {
            Int(code) < names.count ? names[Int(code)] : "RFU (\(Hex.string([code])))"
        }
        return [
            line("L1: \(name(level1, value[0]))"), line("L2: \(name(level2, value[1]))"),
            line("L3: \(name(level3, value[2]))"),
            line(
                "status word \(Hex.string(value[3..<5])): \(value[3] == 0 && value[4] == 0 ? "none" : Self.meaning(ofStatus: UInt16(value[3]) << 8 | UInt16(value[4])))"
            ),
            line("message on error: \(Self.message(value[5]))"),
        ]
    }
}
