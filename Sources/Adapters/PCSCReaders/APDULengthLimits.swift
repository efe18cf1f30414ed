/// What a reader carries and a card understands beyond short APDUs, and how a command fits into it.
package struct APDULengthLimits: Equatable {
    /// The reader's dwMaxAPDUDataSize (PC/SC part 10, 2.6.14): 0 is short APDUs only; up to 256, short APDUs with
    /// no more data than that; above, extended APDUs with no more data than that. Nil where the driver does not
    /// tell: then nothing is held back.
    var maximumDataSize: UInt32?
    /// The card announces command chaining.
    var cardChains = false

    package init(maximumDataSize: UInt32?, cardChains: Bool = false) {
        self.maximumDataSize = maximumDataSize
        self.cardChains = cardChains
    }

    package enum Plan: Equatable {
        case send([UInt8])
        /// One after the other, each but the last to be answered with 9000 (ISO/IEC 7816-4, 5.3.3).
        case chain([[UInt8]])
        case refuse(String)
    }

    /// - Parameter command: a command with extended length fields: its fifth byte is 00 and more follow.
    package func plan(_ command: [UInt8]) -> Plan {
        guard let limit = maximumDataSize, command.count > 5, command[4] == 0 else { return .send(command) }
        guard command.count >= 7 else { return .refuse("the command is cut off inside its length field") }
        let first = Int(command[5]) << 8 | Int(command[6])
        var data = ArraySlice<UInt8>()
        var wanted: Int?
        if command.count == 7 {
            wanted = first == 0 ? 65536 : first
        } else {
            guard first > 0, command.count == 7 + first || command.count == 9 + first else {
                return .refuse("the command of \(command.count) bytes does not fit its Lc of \(first)")
            }
            data = command[7..<(7 + first)]
            if command.count == 9 + first {
                let le = Int(command[7 + first]) << 8 | Int(command[8 + first])
                wanted = le == 0 ? 65536 : le
            }
        }
        if limit > 256 {
            guard data.count <= Int(limit) else { return tooLong(data, wanted, command, 255, Int(limit)) }
            return .send(command)
        }
        let most = limit == 0 ? 255 : min(Int(limit), 255)
        guard data.count <= most else { return tooLong(data, wanted, command, most, most) }
        return .send(Self.short(command.prefix(4), data, wanted))
    }

    private func tooLong(
        _ data: ArraySlice<UInt8>, _ wanted: Int?, _ command: [UInt8], _ part: Int, _ limit: Int
    ) -> Plan {
        // Chaining is for interindustry classes, bit 5 of CLA, and for cards that announce it.
        guard cardChains, command[0] & 0x80 == 0, command[0] & 0x10 == 0 else {
            return .refuse(
                "the reader carries no more than \(limit) bytes of command data, \(data.count) given"
                    + (cardChains ? "" : ", and the card does not announce command chaining")
                    + ": use a reader with extended APDUs")
        }
        var parts: [[UInt8]] = []
        var rest = data
        while rest.count > part {
            parts.append(Self.short([command[0] | 0x10] + command[1..<4], rest.prefix(part), nil))
            rest = rest.dropFirst(part)
        }
        parts.append(Self.short(command.prefix(4), rest, wanted))
        return .chain(parts)
    }

    /// More than 256 wanted bytes become 256: the card tells with 61xx that there are more.
    private static func short(
        _ header: some Sequence<UInt8>, _ data: ArraySlice<UInt8>, _ wanted: Int?
    ) -> [UInt8] {
        var bytes = Array(header)
        if !data.isEmpty {
            bytes.append(UInt8(truncatingIfNeeded: data.count))
            bytes += data
        }
        if let wanted { bytes.append(wanted >= 256 ? 0 : UInt8(truncatingIfNeeded: wanted)) }
        return bytes
    }

    /// Whether the historical bytes announce command chaining: third byte of the card capabilities, bit 8
    /// (ISO/IEC 7816-4, 12.1.1.9), in compact-TLV with category indicator 00 or 80.
    package static func chains(_ answerToReset: [UInt8]) -> Bool {
        let historical = historicalBytes(answerToReset)
        guard let category = historical.first, category == 0x80 || category == 0x00 else { return false }
        // Category 00 ends with three status bytes outside the compact-TLV.
        var rest = historical.dropFirst()
        if category == 0x00 { rest = rest.dropLast(3) }
        while let header = rest.first {
            let length = Int(header & 0x0F)
            let value = rest.dropFirst().prefix(length)
            guard value.count == length else { return false }
            if header == 0x73, let third = value.last { return third & 0x80 != 0 }
            rest = rest.dropFirst(1 + length)
        }
        return false
    }

    /// The historical bytes of an ATR (ISO/IEC 7816-3, 8.2): T0's low half counts them, after the interface bytes.
    static func historicalBytes(_ answerToReset: [UInt8]) -> ArraySlice<UInt8> {
        guard answerToReset.count >= 2 else { return [] }
        var index = 1
        let count = Int(answerToReset[1] & 0x0F)
        var indicator = answerToReset[1] >> 4
        index += 1
        while true {
            index += (indicator & 0x07).nonzeroBitCount
            guard indicator & 0x08 != 0 else { break }
            guard index < answerToReset.count else { return [] }
            indicator = answerToReset[index] >> 4
            index += 1
        }
        guard index <= answerToReset.count else { return [] }
        return answerToReset[index...].prefix(count)
    }
}
