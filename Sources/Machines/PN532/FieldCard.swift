internal import SmartCard

/// A card in the field: ISO/IEC 14443-3 initialisation and anticollision around a card in software, then
/// the block protocol of ISO/IEC 14443-4.
///
/// Not concurrent: the chip that holds it uses it from one place at a time.
final class FieldCard {
    enum State: Equatable {
        case idle
        /// Type A: between REQA and the selection of this cascade level.
        case ready(level: Int)
        /// Type A: selected. Type B: has answered REQB.
        case active
        case halted
        /// Speaks the block protocol.
        case session
        /// Type B: waits for its slot.
        case slot(Int)
    }

    let card: any VirtualCard
    let activation: ContactlessActivation
    private let waitingTimeExtensions: Int
    private(set) var state = State.idle
    /// It was woken out of HALT, and goes back there when selection fails.
    private var wasHalted = false
    private var session: CardBlockProtocol?

    init(_ card: any VirtualCard, waitingTimeExtensions: Int) {
        self.card = card
        activation = card.activation
        self.waitingTimeExtensions = waitingTimeExtensions
    }

    /// The field goes off, or the card leaves it.
    func powerDown() {
        endSession()
        state = .idle
        wasHalted = false
    }

    private func beginSession(_ new: CardBlockProtocol) {
        session = new
        state = .session
        card.powerOn()
    }

    private func endSession() {
        if session != nil { card.powerOff() }
        session = nil
    }

    /// The card's answer to a frame; nil is silence.
    func receive(_ frame: RadioFrame) -> RadioFrame? {
        guard frame.modulation == activation.modulation else { return nil }
        if state == .session { return block(frame) }
        switch activation.modulation {
        case .typeA: return receiveA(frame)
        case .typeB: return receiveB(frame)
        }
    }

    // MARK: - Type A

    /// The identifier in pieces of four bytes with their check byte, as each cascade level sends it
    /// (ISO/IEC 14443-3, 6.4.4).
    private(set) lazy var cascade: [[UInt8]] = {
        var identifier = activation.identifier
        while identifier.count < 4 { identifier.append(0) }
        let pieces: [[UInt8]]
        switch identifier.count {
        case 10...:
            pieces = [
                [0x88] + identifier[0..<3], [0x88] + identifier[3..<6], Array(identifier[6..<10]),
            ]
        case 7...: pieces = [[0x88] + identifier[0..<3], Array(identifier[3..<7])]
        default: pieces = [Array(identifier[0..<4])]
        }
        return pieces.map { $0 + [$0.reduce(0, ^)] }
    }()

    private func fail() {
        state = wasHalted ? .halted : .idle
    }

    private func receiveA(_ frame: RadioFrame) -> RadioFrame? {
        if frame.bitCount == 7 {
            switch (frame.bytes[0] & 0x7F, state) {
            case (0x26, .idle), (0x52, .idle):
                wasHalted = false
            case (0x52, .halted):
                wasHalted = true
            case (0x26, .halted): return nil
            default:
                fail()
                return nil
            }
            state = .ready(level: 0)
            return RadioFrame(modulation: .typeA, bytes: Array((activation.atqa + [0, 0]).prefix(2)))
        }
        switch state {
        case .ready(let level): return anticollision(frame, level)
        case .active:
            guard let body = frame.unchecked else {
                fail()
                return nil
            }
            if body == [0x50, 0x00] {
                state = .halted
                return nil
            }
            guard body.count == 2, body[0] == 0xE0, activation.sak & 0x20 != 0, body[1] & 0x0F != 0x0F else {
                fail()
                return nil
            }
            beginSession(
                CardBlockProtocol(
                    frameSize: FrameSize.bytes(code: body[1] >> 4), cardIdentifier: body[1] & 0x0F,
                    waitingTimeExtensions: waitingTimeExtensions))
            return .checked(answerToSelect, .typeA)
        default: return nil
        }
    }

    /// The ATS, its length byte true.
    var answerToSelect: [UInt8] {
        var answer = Array(activation.ats.prefix(Int(max(1, activation.ats.first ?? 1))).prefix(64))
        if answer.isEmpty { answer = [0x01] }
        answer[0] = UInt8(truncatingIfNeeded: answer.count)
        return answer
    }

    private func anticollision(_ frame: RadioFrame, _ level: Int) -> RadioFrame? {
        let levels = cascade
        guard frame.bytes.count >= 2, level < levels.count, frame.bytes[0] == 0x93 + UInt8(level) * 2 else {
            fail()
            return nil
        }
        let own = levels[level]
        if frame.bytes[1] == 0x70 {
            guard let body = frame.unchecked, Array(body.dropFirst(2)) == own else {
                fail()
                return nil
            }
            let isLast = level + 1 == levels.count
            state = isLast ? .active : .ready(level: level + 1)
            return .checked([isLast ? activation.sak & ~0x04 : 0x04], .typeA)
        }
        // NVB: whole bytes sent in the upper half, bits of the next in the lower one.
        let bits = Int(frame.bytes[1] >> 4) * 8 + Int(frame.bytes[1] & 0x0F) - 16
        guard bits >= 0, bits < 40, frame.bytes[1] & 0x0F < 8, frame.bitCount == bits + 16 else {
            fail()
            return nil
        }
        for bit in 0..<bits
        where (frame.bytes[2 + bit / 8] ^ own[bit / 8]) >> UInt8(bit % 8) & 1 != 0 {
            fail()
            return nil
        }
        // The rest of the identifier, from the byte on whose bits are incomplete.
        return RadioFrame(modulation: .typeA, bytes: Array(own[(bits / 8)...]))
    }

    // MARK: - Type B

    /// PUPI and what follows it in ATQB, 11 bytes.
    var answerToRequest: [UInt8] {
        Array((activation.identifier + [0, 0, 0, 0]).prefix(4))
            + Array((activation.ats + [0, 0, 0, 0, 0, 0x81, 0x70]).prefix(7))
    }

    private func receiveB(_ frame: RadioFrame) -> RadioFrame? {
        guard let body = frame.unchecked else { return nil }
        let identifier = Array(answerToRequest.prefix(4))
        // APf: the anticollision prefix.
        if body.count == 3, body[0] == 0x05 {
            let isWakeUp = body[2] & 0x08 != 0
            if state == .halted, !isWakeUp { return nil }
            // AFI 0 calls all; families by their upper half are of no use to payment cards.
            guard body[1] == 0x00 || body[1] == answerToRequest[4] else {
                if state != .halted { state = .idle }
                return nil
            }
            let slots = 1 << min(4, Int(body[2] & 0x07))
            // A card draws lots for its slot; here the identifier decides, so that runs repeat.
            let slot = slots == 1 ? 0 : Int(identifier.reduce(0, ^)) % slots
            state = slot == 0 ? .active : .slot(slot)
            return slot == 0 ? .checked([0x50] + answerToRequest, .typeB) : nil
        }
        // Slot-MARKER: n0101, slot number less one in the upper half.
        if body.count == 1, body[0] & 0x0F == 0x05 {
            guard case .slot(let slot) = state, Int(body[0] >> 4) == slot else { return nil }
            state = .active
            return .checked([0x50] + answerToRequest, .typeB)
        }
        guard state == .active, body.count >= 5, Array(body[1..<5]) == identifier else { return nil }
        if body[0] == 0x50, body.count == 5 {
            state = .halted
            return .checked([0x00], .typeB)
        }
        guard body[0] == 0x1D, body.count >= 9 else { return nil }
        // Param 2: the terminal's frame size; Param 4: CID. Protocol type 1 is ISO/IEC 14443-4.
        guard answerToRequest[9] & 0x01 == 0x01 else { return nil }
        beginSession(
            CardBlockProtocol(
                frameSize: FrameSize.bytes(code: body[6] & 0x0F), cardIdentifier: body[8] & 0x0F,
                waitingTimeExtensions: waitingTimeExtensions))
        return .checked([body[8] & 0x0F], .typeB)
    }

    // MARK: - Blocks

    private func block(_ frame: RadioFrame) -> RadioFrame? {
        // Frames of initialisation, and damaged ones, are not heard by a card in its session.
        guard let body = frame.unchecked, var current = session else { return nil }
        session = nil  // The one owner, so that the response is not copied.
        let reaction = current.receive(body) { card.process($0) }
        session = current
        switch reaction {
        case .silence: return nil
        case .block(let bytes): return .checked(bytes, frame.modulation)
        case .deselected(let bytes):
            endSession()
            state = .halted
            return .checked(bytes, frame.modulation)
        }
    }
}

/// Frame sizes by their code (ISO/IEC 14443-4, 5.1 and table 1): FSDI, FSCI.
enum FrameSize {
    static func bytes(code: UInt8) -> Int {
        let sizes = [16, 24, 32, 40, 48, 64, 96, 128, 256]
        return sizes[min(Int(code), sizes.count - 1)]
    }
}
