package import SmartCard

/// The terminal's side of the half-duplex block protocol (ISO/IEC 14443-4, clause 7; EMV Contactless Book D,
/// chapter 10). It carries APDUs in blocks, gives the card more time when asked, and repairs what is lost on the
/// way: on the air and between reader and host alike.
package struct BlockProtocol {
    package enum Failure: Error, Equatable {
        /// The card kept silent, each time it was asked again.
        case timeout
        /// Answers came, and all were damaged.
        case transmission
        case violation(String)
        /// Time was over, with the card still asking for more.
        case deadline
        case abandoned
        case link(LinkFailure)
    }

    package let modulation: ContactlessActivation.Modulation
    /// FSC: the largest frame that the card takes, checksum included.
    package let frameSize: Int
    /// FSD: the largest frame that the card may send.
    package let ownFrameSize: Int
    package let frameWaitingTime: Duration
    /// Rule A.
    package private(set) var blockNumber: UInt8 = 0

    /// How often a block is sent or asked for in all (EMV Book D: two retransmissions).
    package static let attempts = 3
    /// How often the way to the reader may fail within one exchange.
    package static let linkAttempts = 3
    /// 65536 data bytes and the status word.
    package static let responseLimit = 65538
    /// Where no deadline ends it, a card that asks for more time without end is given up.
    package static let extensionLimit = 1000

    package init(
        modulation: ContactlessActivation.Modulation, frameSize: Int, ownFrameSize: Int,
        frameWaitingTime: Duration
    ) {
        self.modulation = modulation
        self.frameSize = max(16, frameSize)
        self.ownFrameSize = ownFrameSize
        self.frameWaitingTime = frameWaitingTime
    }

    /// Sends a command and gives the response.
    /// - Parameters:
    ///   - deadline: when the card has had time enough, however often it asks for more.
    ///   - isAbandoned: looked at before each block.
    package mutating func transmit(
        _ command: [UInt8], over link: some FrameLink, deadline: ContinuousClock.Instant?,
        isAbandoned: () -> Bool
    ) throws(Failure) -> [UInt8] {
        // Start byte and checksum take three bytes: no CID, no NAD.
        let room = frameSize - 3
        var start = 0
        var block: [UInt8] = []
        block.reserveCapacity(min(command.count, room) + 1)
        while true {
            let end = min(command.count, start + room)
            let isLast = end == command.count
            block.removeAll(keepingCapacity: true)
            block.append(0x02 | blockNumber | (isLast ? 0 : 0x10))
            block.append(contentsOf: command[start..<end])
            var answer = try reply(
                to: block, expectsAcknowledgement: !isLast, over: link, deadline, isAbandoned)
            blockNumber ^= 1  // Rule B.
            guard isLast else {
                start = end
                continue
            }
            if answer[0] & 0x10 == 0 {
                answer.removeFirst()
                return answer
            }
            // The card chains: each block is acknowledged until the last one.
            var response = Array(answer.dropFirst())
            while answer[0] & 0x10 != 0 {
                guard answer.count > 1 else { throw .violation("the card chains empty blocks") }
                answer = try reply(
                    to: [0xA2 | blockNumber], expectsAcknowledgement: false, over: link, deadline, isAbandoned
                )
                blockNumber ^= 1
                response.append(contentsOf: answer.dropFirst())
                guard response.count <= Self.responseLimit else {
                    throw .violation("the response is longer than any APDU may be")
                }
            }
            return response
        }
    }

    /// R(NAK): whether the card is in the field and in its session (ISO/IEC 14443-4, 7.5.5: presence check).
    package func isPresent(over link: some FrameLink) throws(LinkFailure) -> Bool {
        for _ in 0..<Self.attempts {
            switch try link.exchange([0xB2 | blockNumber], lastBits: 0, checked: true, wait: frameWaitingTime)
            {
            case .frame, .damaged, .collision: return true
            case .silence: continue
            }
        }
        return false
    }

    /// S(DESELECT): whether the card confirmed that the session is over.
    package func deselect(over link: some FrameLink) throws(LinkFailure) -> Bool {
        for _ in 0..<Self.attempts {
            let answer = try link.exchange(
                [0xC2], lastBits: 0, checked: true, wait: ContactlessTiming.deselect)
            if case .frame(let bytes, _) = answer, bytes.first == 0xC2 { return true }
        }
        return false
    }

    /// Sends a block until the card's next block is there.
    /// - Returns: an I-block, or R(ACK) where that is expected.
    private func reply(
        to sent: [UInt8], expectsAcknowledgement: Bool, over link: some FrameLink,
        _ deadline: ContinuousClock.Instant?, _ isAbandoned: () -> Bool
    ) throws(Failure) -> [UInt8] {
        var current = sent
        var wait = frameWaitingTime
        var attempts = 0
        var linkFailures = 0
        var extensions = 0
        var failure = Failure.timeout
        while true {
            if isAbandoned() { throw .abandoned }
            if let deadline, deadline <= .now { throw .deadline }
            var received: [UInt8]?
            do throws(LinkFailure) {
                switch try link.exchange(current, lastBits: 0, checked: true, wait: wait) {
                case .frame(let bytes, _): received = bytes
                case .silence: failure = .timeout
                case .collision, .damaged: failure = .transmission
                }
            } catch {
                // The card may have acted and answered: the answer is asked for again, and comes if it did.
                linkFailures += 1
                switch error {
                case .timeout, .garbled:
                    guard linkFailures < Self.linkAttempts else { throw .link(error) }
                    current = sent[0] & 0xE2 == 0xA2 ? sent : [0xB2 | blockNumber]
                    wait = frameWaitingTime
                    continue
                case .aborted: throw .abandoned
                case .refused, .gone: throw .link(error)
                }
            }
            wait = frameWaitingTime
            guard let received, let control = received.first else {
                attempts += 1
                guard attempts < Self.attempts else { throw failure }
                // Rule 4: R(NAK). Rule 5: within the card's chain R(ACK) again.
                current = sent[0] & 0xE2 == 0xA2 ? sent : [0xB2 | blockNumber]
                continue
            }
            switch control {
            // An I-block without CID and NAD.
            case 0x02, 0x03, 0x12, 0x13:
                guard !expectsAcknowledgement else {
                    throw .violation("the card answers in the middle of a command")
                }
                guard control & 0x01 == blockNumber else {
                    throw .violation("a block with the wrong number")
                }
                return received
            case 0xA2, 0xA3:
                guard received.count == 1 else { throw .violation("an R-block with data") }
                if control & 0x01 == blockNumber {
                    guard expectsAcknowledgement else { throw .violation("an R(ACK) without chaining") }
                    return received  // Rule 7.
                }
                // Rule 6: the card did not get the block.
                guard sent[0] & 0xC0 == 0 else { throw .violation("an R(ACK) in answer to R(ACK)") }
                attempts += 1
                guard attempts < Self.attempts else { throw failure }
                current = sent
            case 0xF2:
                // Rule 3: S(WTX) is answered with the same multiplier, 1 to 59.
                guard received.count == 2, (1...59).contains(received[1] & 0x3F) else {
                    throw .violation("a waiting time extension of no valid length")
                }
                extensions += 1
                guard deadline != nil || extensions <= Self.extensionLimit else {
                    throw .violation("the card asks for more time without end")
                }
                let multiplier = received[1] & 0x3F
                wait = min(frameWaitingTime * Int(multiplier), ContactlessTiming.longest)
                current = [0xF2, multiplier]
                attempts = 0
            default:
                throw .violation("a block that begins with \(String(control, radix: 16, uppercase: true))")
            }
        }
    }
}
