internal import SmartCard

/// The terminal's side of the block protocol, as the chip runs it for InDataExchange
/// (ISO/IEC 14443-4, clause 7.5).
struct TerminalBlockProtocol {
    enum Failure: Error, Equatable {
        case timeout, collision, checksum, `protocol`
    }

    let modulation: ContactlessActivation.Modulation
    /// The largest frame that the card takes (FSC), checksum included.
    let frameSize: Int
    /// CID; nil where the card knows none.
    let cardIdentifier: UInt8?
    /// Rule A: the terminal's block number begins at 0.
    private var blockNumber: UInt8 = 0

    /// How often a block is asked for again.
    static let attempts = 3
    /// Longer responses are no APDUs.
    static let responseLimit = 65538
    /// A card that asks for more time without end is given up.
    static let extensionLimit = 1000

    init(modulation: ContactlessActivation.Modulation, frameSize: Int, cardIdentifier: UInt8?) {
        self.modulation = modulation
        self.frameSize = max(16, frameSize)
        self.cardIdentifier = cardIdentifier
    }

    private func block(_ control: UInt8, _ data: some Collection<UInt8> = EmptyCollection()) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + 4)
        if let cardIdentifier {
            bytes.append(control | 0x08)
            bytes.append(cardIdentifier)
        } else {
            bytes.append(control)
        }
        bytes.append(contentsOf: data)
        return bytes
    }

    /// Sends data in as many blocks as it takes.
    /// - Parameter continues: more data follows in a later call: nothing comes back.
    /// - Returns: the card's whole response.
    mutating func send(
        _ data: [UInt8], continues: Bool, through field: RadioField
    ) throws(Failure) -> [UInt8] {
        let room = frameSize - 3 - (cardIdentifier == nil ? 0 : 1)
        var start = 0
        while true {
            let end = min(data.count, start + room)
            let isLast = end == data.count && !continues
            let sent = block(0x02 | blockNumber | (isLast ? 0 : 0x10), data[start..<end])
            var answer = try reply(to: sent, expectsAcknowledgement: !isLast, through: field)
            if !isLast {
                blockNumber ^= 1
                start = end
                if end == data.count { return [] }
                continue
            }
            var response: [UInt8] = []
            while true {
                blockNumber ^= 1
                response.append(contentsOf: answer.data)
                guard response.count <= Self.responseLimit else { throw .protocol }
                if answer.control & 0x10 == 0 { return response }
                // A card that chains empty blocks would never come to the limit.
                guard !answer.data.isEmpty else { throw .protocol }
                answer = try reply(
                    to: block(0xA2 | blockNumber), expectsAcknowledgement: false, through: field)
            }
        }
    }

    /// S(DESELECT); whether the card answered.
    func deselect(through field: RadioField) -> Bool {
        if case .frame(let frame) = field.exchange(.checked(block(0xC2), modulation)) {
            return frame.unchecked?.first.map { $0 & 0xF7 == 0xC2 } ?? false
        }
        return false
    }

    /// R(NAK): whether the card is still there.
    func isPresent(through field: RadioField) -> Bool {
        if case .frame(let frame) = field.exchange(.checked(block(0xB2 | blockNumber), modulation)) {
            return frame.unchecked != nil
        }
        return false
    }

    private func reply(
        to sent: [UInt8], expectsAcknowledgement: Bool, through field: RadioField
    ) throws(Failure) -> (control: UInt8, data: ArraySlice<UInt8>) {
        var current = sent
        var failures = 0
        var extensions = 0
        while true {
            var failure = Failure.timeout
            var received: [UInt8]?
            switch field.exchange(.checked(current, modulation)) {
            case .silence: failure = .timeout
            case .collision: failure = .collision
            case .frame(let frame):
                received = frame.unchecked
                failure = .checksum
            }
            guard let received, let control = received.first else {
                failures += 1
                guard failures < Self.attempts else { throw failure }
                // Rule 4, and rule 5 within the card's chain.
                current = sent[0] & 0xC0 == 0x80 ? sent : block(0xB2 | blockNumber)
                continue
            }
            var data = received.dropFirst()
            if control & 0x08 != 0 {
                guard let identifier = data.popFirst(), identifier & 0x0F == cardIdentifier ?? 0 else {
                    throw .protocol
                }
            }
            switch control & 0xE2 {
            case 0x02 where !expectsAcknowledgement && control & 0x01 == blockNumber:
                return (control, data)
            case 0xA2 where control & 0x10 == 0:
                if control & 0x01 == blockNumber {
                    guard expectsAcknowledgement else { throw .protocol }
                    return (control, data)
                }
                // Rule 6: the card did not get the block.
                failures += 1
                guard failures < Self.attempts else { throw .protocol }
                current = sent
            case 0xE2 where control & 0x10 != 0:
                // Rule 3: S(WTX) is answered with the same multiplier.
                extensions += 1
                guard let multiplier = data.first.map({ $0 & 0x3F }), (1...59).contains(multiplier),
                    extensions <= Self.extensionLimit
                else { throw .protocol }
                current = block(0xF2, [multiplier])
            default: throw .protocol
            }
        }
    }
}
