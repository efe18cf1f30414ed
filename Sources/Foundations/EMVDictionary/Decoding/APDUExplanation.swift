import BERTLV
internal import EMVCryptography

/// The commands of EMV, ISO/IEC 7816-4 and the kernels by class and instruction.
struct CommandName {
    let name: String
    /// Whether the pair alone makes it likely that bytes are a command.
    let isCommon: Bool

    init?(cla: UInt8, ins: UInt8) {
        let isProprietary = cla & 0x80 != 0
        // Logical channel (bits 2-1) and secure messaging (bits 4-3) do not change the command.
        guard cla & 0xF0 == 0x00 || cla & 0xF0 == 0x80 else { return nil }
        isCommon = cla & 0x03 == 0
        switch (isProprietary, ins) {
        case (false, 0xA4): name = "SELECT"
        case (false, 0xB2): name = "READ RECORD"
        case (false, 0xB0): name = "READ BINARY"
        case (false, 0xD6): name = "UPDATE BINARY"
        case (false, 0xDC): name = "UPDATE RECORD"
        case (false, 0xE2): name = "APPEND RECORD"
        case (false, 0x20): name = "VERIFY"
        case (false, 0x21): name = "VERIFY (biometric)"
        case (false, 0x24): name = "CHANGE REFERENCE DATA"
        case (false, 0x2C): name = "RESET RETRY COUNTER"
        case (false, 0x22): name = "MANAGE SECURITY ENVIRONMENT"
        case (false, 0x2A): name = "PERFORM SECURITY OPERATION"
        case (false, 0x70): name = "MANAGE CHANNEL"
        case (false, 0x82): name = "EXTERNAL AUTHENTICATE"
        case (false, 0x84): name = "GET CHALLENGE"
        case (false, 0x88): name = "INTERNAL AUTHENTICATE"
        case (false, 0xC0): name = "GET RESPONSE"
        case (false, 0xCA), (true, 0xCA), (false, 0xCB): name = "GET DATA"
        case (false, 0xDA), (true, 0xDA): name = "PUT DATA"
        case (true, 0xA8): name = "GET PROCESSING OPTIONS"
        case (true, 0xAE): name = "GENERATE AC"
        case (true, 0x2A): name = "COMPUTE CRYPTOGRAPHIC CHECKSUM"
        case (true, 0xEA): name = "EXCHANGE RELAY RESISTANCE DATA"
        case (true, 0xD0): name = "RECOVER AC"
        case (true, 0x32): name = "READ DATA"
        case (true, 0x34): name = "WRITE DATA"
        case (true, 0x1E): name = "APPLICATION BLOCK"
        case (true, 0x18): name = "APPLICATION UNBLOCK"
        case (true, 0x16): name = "CARD BLOCK"
        case (true, 0x24): name = "PIN CHANGE/UNBLOCK"
        case (true, 0xE2): name = "STORE DATA"
        case (true, 0xF2): name = "GET STATUS"
        case (true, 0x50): name = "INITIALIZE UPDATE"
        case (true, 0xDF): name = "ECHO"
        default: return nil
        }
    }
}

/// Where the parts of a command APDU lie (ISO/IEC 7816-3, 12.1), as far as it can be read.
struct CommandLayout {
    var data: Range<Int>
    var lc: Int?
    /// Ne; 256 (or 65536) for an Le of zero.
    var le: Int?
    var error: String?

    /// Nil for fewer than four bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 4 else { return nil }
        data = 4..<4
        let body = bytes.count - 4
        if body == 0 { return }
        if body == 1 {
            le = bytes[4] == 0 ? 256 : Int(bytes[4])
            return
        }
        if bytes[4] != 0 {
            take(Int(bytes[4]), at: 5, leBytes: 1, bytes)
        } else if body == 3 {
            let value = Int(bytes[5]) << 8 | Int(bytes[6])
            le = value == 0 ? 65536 : value
        } else if body > 3 {
            take(Int(bytes[5]) << 8 | Int(bytes[6]), at: 7, leBytes: 2, bytes)
        } else {
            error = "offset 4: a length field that ends early"
        }
    }

    private mutating func take(_ count: Int, at start: Int, leBytes: Int, _ bytes: [UInt8]) {
        lc = count
        let left = bytes.count - start
        data = start..<(start + min(count, left))
        if left < count {
            error = "offset 4: Lc says \(count) bytes, \(left) are left"
        } else if left == count + leBytes {
            let value = bytes[(start + count)...].reduce(0) { $0 << 8 | Int($1) }
            le = value == 0 ? (leBytes == 1 ? 256 : 65536) : value
        } else if left > count {
            error =
                "offset \(start + count): \(left - count) bytes beyond the data where \(leBytes) for Le may follow"
        }
        if count == 0, error == nil { error = "offset 4: Lc of zero" }
    }
}

extension EMVDecoder.Session {
    mutating func command() -> ExplainedNode {
        guard let layout = CommandLayout(bytes) else {
            return ExplainedNode(
                name: "Command APDU", offset: 0, length: bytes.count, value: Hex.string(bytes),
                error: "a command APDU needs at least 4 bytes, \(bytes.count) given")
        }
        let (cla, ins, p1, p2) = (bytes[0], bytes[1], bytes[2], bytes[3])
        let name = CommandName(cla: cla, ins: ins)?.name
        var node = ExplainedNode(
            name: "Command APDU: \(name ?? "unknown instruction \(Hex.string([ins]))")", offset: 0,
            length: bytes.count, error: layout.error)
        if name == "SELECT", p1 & 0x04 != 0 {
            seen[0x84] = bytes[layout.data]
            adoptContext()
        }
        var header = ExplainedNode(name: "Header", offset: 0, length: 4, value: Hex.string(bytes[..<4]))
        header.lines = headerLines(name, cla, p1, p2)
        node.children.append(header)
        if layout.lc != nil { node.children.append(commandData(name, p1, p2, layout.data)) }
        if let le = layout.le {
            node.lines.append(ExplanationLine("expects up to \(le) bytes"))
        }
        return node
    }

    private func headerLines(_ name: String?, _ cla: UInt8, _ p1: UInt8, _ p2: UInt8) -> [ExplanationLine] {
        var lines: [ExplanationLine] = []
        func add(_ text: String) { lines.append(ExplanationLine(text)) }
        if cla & 0x0C == 0x0C {
            add("secure messaging, header authenticated")
        } else if cla & 0x0C != 0 {
            add("secure messaging")
        }
        if cla & 0x03 != 0 { add("logical channel \(cla & 0x03)") }
        switch name {
        case "SELECT":
            switch p1 {
            case 0x00: add("by file identifier")
            case 0x04: add("by name")
            case 0x08, 0x09: add("by path")
            default: add("P1 \(Hex.string([p1]))")
            }
            switch p2 & 0x03 {
            case 0: add("first or only occurrence")
            case 1: add("last occurrence")
            case 2: add("next occurrence")
            default: add("previous occurrence")
            }
        case "READ RECORD", "UPDATE RECORD", "APPEND RECORD":
            let sfi = p2 >> 3
            add(sfi == 0 ? "current file" : "SFI \(sfi)")
            if p2 & 0x07 == 0x04 { add("record \(p1)") } else { add("P2 mode \(p2 & 0x07), P1 \(p1)") }
        case "READ BINARY", "UPDATE BINARY":
            if p1 & 0x80 != 0 {
                add("SFI \(p1 & 0x1F), offset \(p2)")
            } else {
                add("offset \(Int(p1) << 8 | Int(p2))")
            }
        case "GENERATE AC":
            switch p1 & 0xC0 {
            case 0x00: add("AAC requested")
            case 0x40: add("TC requested")
            case 0x80: add("ARQC requested")
            default: add("cryptogram type RFU")
            }
            if p1 & 0x10 != 0 { add("CDA signature requested") }
            if p1 & 0x08 != 0 { add("XDA signature requested") }
        case "GET DATA", "PUT DATA":
            let tag = p1 == 0 ? Tag(UInt32(p2)) : Tag(UInt32(p1) << 8 | UInt32(p2))
            add("\(tag) \(DataDictionary.name(of: tag, in: context) ?? "unknown data object")")
        case "VERIFY":
            switch p2 {
            case 0x80: add("plaintext PIN")
            case 0x88: add("enciphered PIN")
            default: add("reference data qualifier \(Hex.string([p2]))")
            }
        case "PIN CHANGE/UNBLOCK":
            switch p2 {
            case 0x00: add("unblock the PIN try counter")
            case 0x01: add("change the PIN with the current PIN")
            case 0x02: add("change the PIN")
            default: add("P2 \(Hex.string([p2]))")
            }
        case "EXCHANGE RELAY RESISTANCE DATA", "GET PROCESSING OPTIONS", "INTERNAL AUTHENTICATE",
            "EXTERNAL AUTHENTICATE", "GET CHALLENGE", "GET RESPONSE":
            if p1 != 0 || p2 != 0 { add("P1 P2 \(Hex.string([p1, p2])), 0000 is specified") }
        default: add("P1 P2 \(Hex.string([p1, p2]))")
        }
        return lines
    }

    private mutating func commandData(
        _ name: String?, _ p1: UInt8, _ p2: UInt8, _ range: Range<Int>
    ) -> ExplainedNode {
        let value = bytes[range]
        var node = ExplainedNode(name: "Data", offset: range.lowerBound, length: range.count)
        func plain(_ title: String) {
            node.name = title
            let shown = shown(value)
            node.value = shown.text
            node.isMasked = shown.isMasked
        }
        switch name {
        case "SELECT" where p1 & 0x04 != 0:
            plain("DF Name")
            node.lines = identifierLines(value)
        case "GET PROCESSING OPTIONS":
            survey(range, depth: 0)
            let (nodes, error) = elements(range, within: nil, depth: 1)
            (node.children, node.error) = (nodes, error)
            if let list = options.dataObjectList, nodes.count == 1, nodes[0].tag == "83",
                let count = nodes[0].length
            {
                let (answers, problem) = answers(list, (range.upperBound - count)..<range.upperBound)
                node.children[0].children = answers
                node.children[0].error = problem ?? nodes[0].error
            }
        case "GENERATE AC", "INTERNAL AUTHENTICATE", "COMPUTE CRYPTOGRAPHIC CHECKSUM", "RECOVER AC":
            let titles = [
                "GENERATE AC": "CDOL Related Data", "INTERNAL AUTHENTICATE": "DDOL Related Data",
                "COMPUTE CRYPTOGRAPHIC CHECKSUM": "UDOL Related Data", "RECOVER AC": "DRDOL Related Data",
            ]
            plain(titles[name ?? ""] ?? "Data")
            if let list = options.dataObjectList {
                (node.children, node.error) = answers(list, range)
            }
        case "VERIFY", "CHANGE REFERENCE DATA", "RESET RETRY COUNTER", "PIN CHANGE/UNBLOCK":
            node.name = "PIN data"
            node.isMasked = !options.reveal
            node.value = options.reveal ? Hex.string(value) : String(repeating: "*", count: value.count * 2)
        case "EXTERNAL AUTHENTICATE":
            plain("Issuer Authentication Data")
            node.lines = issuerAuthenticationLines(value)
        case "EXCHANGE RELAY RESISTANCE DATA": plain("Terminal Relay Resistance Entropy")
        case "PUT DATA":
            let tag = p1 == 0 ? Tag(UInt32(p2)) : Tag(UInt32(p1) << 8 | UInt32(p2))
            return self.node(tag, at: range.lowerBound, value: range, within: nil, 1)
        case "STORE DATA", "WRITE DATA", "UPDATE RECORD":
            survey(range, depth: 0)
            let (nodes, error) = elements(range, within: nil, depth: 1)
            if error == nil, !nodes.contains(where: \.hasErrors) {
                node.children = nodes
            } else {
                plain("Data")
            }
        default: plain("Data")
        }
        return node
    }

    mutating func response() -> ExplainedNode {
        guard bytes.count >= 2 else {
            return ExplainedNode(
                name: "Response APDU", offset: 0, length: bytes.count, value: Hex.string(bytes),
                error: "a response APDU needs at least its 2 status bytes, \(bytes.count) given")
        }
        let end = bytes.count - 2
        let status = UInt16(bytes[end]) << 8 | UInt16(bytes[end + 1])
        var node = ExplainedNode(name: "Response APDU", offset: 0, length: bytes.count)
        if end > 0, let format = options.logFormat {
            node.children = [logRecord(format, 0..<end)]
        } else if end > 0 {
            survey(0..<end, depth: 0)
            let (nodes, error) = elements(0..<end, within: nil, depth: 0)
            let isOpaque = nodes.isEmpty || (nodes.count == 1 && nodes[0].name == "Unknown data object")
            if isOpaque, error != nil || nodes.first?.error != nil {
                let shown = shown(bytes[..<end])
                node.children = [
                    ExplainedNode(
                        name: "Data (no data objects)", offset: 0, length: end, value: shown.text,
                        isMasked: shown.isMasked)
                ]
            } else {
                node.children = nodes
                node.error = error
            }
        }
        node.children.append(
            ExplainedNode(
                name: "Status word", offset: end, length: 2, value: Hex.string(bytes[end...]),
                lines: [ExplanationLine(Self.meaning(ofStatus: status))]))
        return node
    }

    /// A record of the transaction log: values one after the other, as the Log Format lists them (EMV Book 3, Annex D4).
    private mutating func logRecord(_ format: [UInt8], _ range: Range<Int>) -> ExplainedNode {
        let shown = shown(bytes[range])
        var node = ExplainedNode(
            name: "Transaction log record", offset: range.lowerBound, length: range.count, value: shown.text,
            isMasked: shown.isMasked)
        guard !format.isEmpty else {
            node.lines = [ExplanationLine("the Log Format (9F4F) that tells what it has was not read before")]
            return node
        }
        (node.children, node.error) = answers(format, range)
        return node
    }

    /// The meaning of a status word (ISO/IEC 7816-4, 5.6; EMV Book 3, 6.3.5).
    static func meaning(ofStatus status: UInt16) -> String {
        let sw2 = Int(status & 0xFF)
        return switch status {
        case 0x9000: "success"
        case 0x6100...0x61FF: "success, \(sw2 == 0 ? 256 : sw2) more bytes to get"
        case 0x6200: "warning, memory unchanged: no information given"
        case 0x6281: "warning: part of returned data may be corrupted"
        case 0x6282: "warning: end of file or record reached before Ne bytes"
        case 0x6283: "warning: selected file invalidated (application blocked)"
        case 0x6284: "warning: file control information not formatted as specified"
        case 0x6285: "warning: selected file in termination state"
        case 0x6300: "warning: authentication failed"
        case 0x6381: "warning: file filled up by the last write"
        case 0x63C0...0x63CF: "warning: verification failed, \(sw2 & 0x0F) tries left"
        case 0x6400: "execution error, memory unchanged"
        case 0x6401: "immediate response required by the card"
        case 0x6500: "execution error, memory changed"
        case 0x6581: "memory failure"
        case 0x6700: "wrong length"
        case 0x6800: "functions in class byte not supported"
        case 0x6881: "logical channel not supported"
        case 0x6882: "secure messaging not supported"
        case 0x6883: "last command of the chain expected"
        case 0x6884: "command chaining not supported"
        case 0x6900: "command not allowed"
        case 0x6981: "command incompatible with file structure"
        case 0x6982: "security status not satisfied"
        case 0x6983: "authentication method blocked"
        case 0x6984: "reference data invalidated (to a contactless GPO: Select Next application)"
        case 0x6985: "conditions of use not satisfied"
        case 0x6986: "command not allowed, no current file (phones: see phone)"
        case 0x6987: "secure messaging data objects missing"
        case 0x6988: "secure messaging data objects incorrect"
        case 0x6A80: "incorrect parameters in the data field"
        case 0x6A81: "function not supported (card blocked)"
        case 0x6A82: "file or application not found"
        case 0x6A83: "record not found"
        case 0x6A84: "not enough memory space in the file"
        case 0x6A85: "Lc inconsistent with TLV structure"
        case 0x6A86: "incorrect parameters P1-P2"
        case 0x6A87: "Lc inconsistent with P1-P2"
        case 0x6A88: "referenced data not found"
        case 0x6A89: "file already exists"
        case 0x6A8A: "DF name already exists"
        case 0x6B00: "wrong parameters P1-P2"
        case 0x6C00...0x6CFF: "wrong Le, \(sw2 == 0 ? 256 : sw2) bytes are available"
        case 0x6D00: "instruction not supported or invalid"
        case 0x6E00: "class not supported"
        case 0x6F00: "no precise diagnosis"
        case 0x6200...0x62FF: "warning, memory unchanged"
        case 0x6300...0x63FF: "warning, memory changed"
        case 0x6400...0x64FF: "execution error, memory unchanged"
        case 0x6500...0x65FF: "execution error, memory changed"
        case 0x6600...0x66FF: "security-related issue"
        case 0x6800...0x6FFF: "checking error"
        case 0x9100...0x91FF: "proprietary (contactless memory card)"
        case 0x9001...0x9FFF: "proprietary"
        default: "not a status word of ISO/IEC 7816-4"
        }
    }
}

/// Where the characters of an Answer To Reset lie (ISO/IEC 7816-3, 8.2).
struct AnswerToResetLayout {
    struct Interface {
        /// TA1, TB1, TC1, TD1...
        let name: String
        let offset: Int
        let value: UInt8
    }
    var interfaces: [Interface] = []
    var historical: Range<Int> = 0..<0
    var check: Int?
    var error: String?
    /// Whether the bytes are exactly one ATR with a correct check character.
    var isComplete: Bool { error == nil }

    /// Nil unless the first byte is a TS.
    init?(_ bytes: [UInt8]) {
        guard let first = bytes.first, first == 0x3B || first == 0x3F else { return nil }
        guard bytes.count >= 2 else {
            error = "offset 1: T0 is missing"
            return
        }
        var present = bytes[1] >> 4
        let count = Int(bytes[1] & 0x0F)
        var offset = 2
        var level = 1
        var needsCheck = false
        while present != 0 {
            var next: UInt8 = 0
            for (bit, letter) in ["A", "B", "C", "D"].enumerated() where present & (1 << UInt8(bit)) != 0 {
                guard offset < bytes.count else {
                    error = "offset \(offset): T\(letter)\(level) is missing"
                    return
                }
                interfaces.append(Interface(name: "T\(letter)\(level)", offset: offset, value: bytes[offset]))
                if letter == "D" {
                    next = bytes[offset] >> 4
                    if bytes[offset] & 0x0F != 0 { needsCheck = true }
                }
                offset += 1
            }
            present = next
            level += 1
        }
        historical = offset..<min(offset + count, bytes.count)
        guard bytes.count - offset >= count else {
            error = "offset \(offset): \(count) historical bytes announced, \(bytes.count - offset) are left"
            return
        }
        offset += count
        if needsCheck {
            guard offset < bytes.count else {
                error = "offset \(offset): the check character TCK is missing"
                return
            }
            check = offset
            let sum = bytes[1...offset].reduce(0, ^)
            offset += 1
            if sum != 0 { error = "offset \(offset - 1): the check character TCK is wrong" }
        }
        if offset < bytes.count, error == nil {
            error = "offset \(offset): \(bytes.count - offset) bytes beyond the end"
        }
    }
}

extension EMVDecoder.Session {
    func answerToReset() -> ExplainedNode {
        let shown = shown(bytes)
        var node = ExplainedNode(
            name: "Answer To Reset (ATR)", offset: 0, length: bytes.count, value: shown.text,
            isMasked: shown.isMasked)
        guard let layout = AnswerToResetLayout(bytes) else {
            node.error = "offset 0: \(Hex.string(bytes.prefix(1))) is not an initial character TS (3B or 3F)"
            return node
        }
        node.lines.append(
            ExplanationLine(bytes[0] == 0x3B ? "direct convention" : "inverse convention"))
        for interface in layout.interfaces {
            node.lines.append(
                ExplanationLine(
                    "\(interface.name) = \(Hex.string([interface.value]))"
                        + Self.note(interface.name, interface.value)))
        }
        if !layout.historical.isEmpty {
            node.children.append(historicalBytes(layout.historical))
        }
        if let check = layout.check {
            node.children.append(
                ExplainedNode(
                    name: "Check character TCK", offset: check, length: 1, value: Hex.string([bytes[check]]),
                    lines: layout.error == nil ? [ExplanationLine("correct")] : []))
        }
        node.error = layout.error
        return node
    }

    private static func note(_ name: String, _ value: UInt8) -> String {
        switch name {
        case "TA1":
            let fi = [372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024, 1536, 2048, 0, 0]
            let di = [0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0]
            let (f, d) = (fi[Int(value >> 4)], di[Int(value & 0x0F)])
            return f == 0 || d == 0 ? ": RFU" : ": Fi \(f), Di \(d)"
        case "TC1": return ": extra guard time \(value)"
        case "TC2": return ": work waiting time \(value)"
        case "TD1", "TD2", "TD3", "TD4":
            return value & 0x0F == 15 ? ": global interface bytes follow" : ": protocol T=\(value & 0x0F)"
        default: return ""
        }
    }

    /// Historical bytes: COMPACT-TLV (ISO/IEC 7816-4, 12.1.1) or the storage card data of PC/SC Part 3.
    private func historicalBytes(_ range: Range<Int>) -> ExplainedNode {
        let value = bytes[range]
        var node = ExplainedNode(
            name: "Historical bytes", offset: range.lowerBound, length: range.count, value: shown(value).text)
        if let text = Self.printable(value), value.count > 2 {
            node.lines.append(ExplanationLine("\"\(text)\""))
        }
        guard let category = value.first else { return node }
        if category == 0x80 || category == 0x00 {
            var offset = range.lowerBound + 1
            let end = category == 0x00 ? max(offset, range.upperBound - 3) : range.upperBound
            if category == 0x80, range.count >= 3, bytes[offset] == 0x4F {
                let rid = bytes[min(offset + 2, end)..<end]
                node.lines.append(
                    ExplanationLine("PC/SC contactless storage card, application \(Hex.string(rid))"))
                return node
            }
            while offset < end {
                let kind = bytes[offset] >> 4
                let count = Int(bytes[offset] & 0x0F)
                guard count <= end - offset - 1 else {
                    node.error =
                        "offset \(offset): compact TLV of \(count) bytes, \(end - offset - 1) are left"
                    return node
                }
                let names: [UInt8: String] = [
                    1: "Country code", 2: "Issuer Identification Number", 3: "Card service data",
                    4: "Initial access data", 5: "Card issuer's data", 6: "Pre-issuing data",
                    7: "Card capabilities", 8: "Status information", 0xF: "Application Identifier",
                ]
                node.children.append(
                    ExplainedNode(
                        name: names[kind] ?? "Compact TLV \(kind)", offset: offset, length: count,
                        value: shown(bytes[(offset + 1)..<(offset + 1 + count)]).text))
                offset += 1 + count
            }
            if category == 0x00, range.count > 3 {
                node.children.append(
                    ExplainedNode(
                        name: "Status indicator", offset: end, length: range.upperBound - end,
                        value: Hex.string(bytes[end..<range.upperBound])))
            }
        }
        return node
    }

    /// ISO/IEC 14443-4, 5.2: TL, T0, TA(1), TB(1), TC(1), historical bytes.
    func answerToSelect() -> ExplainedNode {
        let shown = shown(bytes)
        var node = ExplainedNode(
            name: "Answer To Select (ATS)", offset: 0, length: bytes.count, value: shown.text,
            isMasked: shown.isMasked)
        if Int(bytes[0]) != bytes.count {
            node.error = "offset 0: TL says \(bytes[0]) bytes, \(bytes.count) are given"
        }
        guard bytes.count >= 2 else { return node }
        let sizes = [16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096]
        let index = Int(bytes[1] & 0x0F)
        node.lines.append(
            ExplanationLine(
                index < sizes.count
                    ? "frame size for the card (FSC): \(sizes[index]) bytes" : "FSCI \(index): RFU"))
        var offset = 2
        for (mask, name) in [(UInt8(0x10), "TA(1)"), (0x20, "TB(1)"), (0x40, "TC(1)")]
        where bytes[1] & mask != 0 {
            guard offset < bytes.count else {
                node.error = "offset \(offset): \(name) is missing"
                return node
            }
            let value = bytes[offset]
            var text = "\(name) = \(Hex.string([value]))"
            switch mask {
            case 0x10:
                text += ": bit rates" + (value & 0x80 != 0 ? ", same in both directions" : "")
                var rates = [106]
                for (bit, rate) in [(UInt8(1), 212), (2, 424), (4, 848)]
                where (value | value >> 4) & bit != 0 { rates.append(rate) }
                text += " up to \(rates.max() ?? 106) kbit/s"
            case 0x20: text += ": FWI \(value >> 4), SFGI \(value & 0x0F)"
            default:
                text +=
                    ": CID \(value & 2 != 0 ? "" : "not ")supported, NAD \(value & 1 != 0 ? "" : "not ")supported"
            }
            node.lines.append(ExplanationLine(text))
            offset += 1
        }
        if offset < bytes.count { node.children.append(historicalBytes(offset..<bytes.count)) }
        return node
    }

    /// The text that bytes spell, if all are printable ASCII.
    static func printable(_ bytes: some Collection<UInt8>) -> String? {
        guard !bytes.isEmpty, bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
