/// The card's side of the block protocol (ISO/IEC 14443-4, clause 7).
package struct CardBlockProtocol {
    /// The largest frame that the terminal takes (FSD), checksum included.
    var frameSize: Int
    /// The logical number that the terminal gave (CID).
    var cardIdentifier: UInt8
    /// How often the card asks for more time (S(WTX)) before it answers a command.
    var waitingTimeExtensions: Int

    /// Rule C: the card's block number begins at 1.
    private var blockNumber: UInt8 = 1
    private var command: [UInt8] = []
    private var response: [UInt8] = []
    private var sent = 0
    private var lastBlock: [UInt8]?
    private var extensionsLeft = 0
    private var awaitsExtension = false
    /// The application gave no answer: the card says nothing any more.
    private var isMute = false

    package enum Reaction: Equatable {
        case silence
        case block([UInt8])
        /// The answer to S(DESELECT), and the session is over.
        case deselected([UInt8])
    }

    /// Longer commands are no APDUs: 65544 bytes is the longest extended one.
    static let commandLimit = 65544

    package init(frameSize: Int, cardIdentifier: UInt8, waitingTimeExtensions: Int) {
        self.frameSize = max(16, frameSize)
        self.cardIdentifier = cardIdentifier
        self.waitingTimeExtensions = waitingTimeExtensions
    }

    /// Takes a block without its checksum.
    /// - Parameter process: the application; nil is silence.
    package mutating func receive(_ block: [UInt8], process: ([UInt8]) -> [UInt8]?) -> Reaction {
        guard let control = block.first, !isMute else { return .silence }
        var rest = block.dropFirst()
        let hasIdentifier = control & 0x08 != 0
        if hasIdentifier {
            // Bits 4 to 1 are the CID, the upper ones tell the card's power.
            guard let identifier = rest.popFirst(), identifier & 0x0F == cardIdentifier else {
                return .silence
            }
        } else if cardIdentifier != 0 {
            return .silence
        }
        switch control & 0xC0 {
        case 0x00:
            guard control & 0x22 == 0x02, control & 0x04 == 0 else { return .silence }
            return information(Array(rest), isChained: control & 0x10 != 0, hasIdentifier, process)
        case 0x80:
            guard control & 0x26 == 0x22, rest.isEmpty else { return .silence }
            return acknowledgement(
                isNegative: control & 0x10 != 0, number: control & 0x01, hasIdentifier)
        case 0xC0:
            guard control & 0x07 == 0x02 else { return .silence }
            switch control & 0x30 {
            case 0x00: return .deselected(header(0xC2, hasIdentifier))
            case 0x30:
                guard awaitsExtension, rest.count == 1 else { return .silence }
                awaitsExtension = false
                return proceed(hasIdentifier, process)
            default: return .silence
            }
        default: return .silence
        }
    }

    private func header(_ control: UInt8, _ hasIdentifier: Bool) -> [UInt8] {
        hasIdentifier ? [control | 0x08, cardIdentifier] : [control]
    }

    private mutating func send(_ block: [UInt8]) -> Reaction {
        lastBlock = block
        return .block(block)
    }

    private mutating func information(
        _ data: [UInt8], isChained: Bool, _ hasIdentifier: Bool, _ process: ([UInt8]) -> [UInt8]?
    ) -> Reaction {
        blockNumber ^= 1  // Rule D.
        awaitsExtension = false
        guard command.count + data.count <= Self.commandLimit else {
            isMute = true
            return .silence
        }
        command.append(contentsOf: data)
        if isChained { return send(header(0xA2 | blockNumber, hasIdentifier)) }  // Rule 2.
        extensionsLeft = waitingTimeExtensions
        return proceed(hasIdentifier, process)
    }

    private mutating func proceed(_ hasIdentifier: Bool, _ process: ([UInt8]) -> [UInt8]?) -> Reaction {
        if extensionsLeft > 0 {
            extensionsLeft -= 1
            awaitsExtension = true
            return send(header(0xF2, hasIdentifier) + [0x01])
        }
        let received = command
        command = []
        guard let answer = process(received) else {
            isMute = true
            return .silence
        }
        response = answer
        sent = 0
        return next(hasIdentifier)
    }

    /// The next block of the response.
    private mutating func next(_ hasIdentifier: Bool) -> Reaction {
        let room = frameSize - 3 - (hasIdentifier ? 1 : 0)
        let end = min(response.count, sent + room)
        let isLast = end == response.count
        let block = header(0x02 | blockNumber | (isLast ? 0 : 0x10), hasIdentifier) + response[sent..<end]
        sent = end
        return send(block)
    }

    private mutating func acknowledgement(
        isNegative: Bool, number: UInt8, _ hasIdentifier: Bool
    ) -> Reaction {
        if number == blockNumber {
            // Rule 11: the last block again.
            return lastBlock.map { .block($0) } ?? .silence
        }
        if isNegative { return send(header(0xA2 | blockNumber, hasIdentifier)) }  // Rule 12.
        guard sent < response.count else { return .silence }
        blockNumber ^= 1  // Rule E.
        return next(hasIdentifier)  // Rule 13.
    }
}
