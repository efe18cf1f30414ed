package import SmartCard

/// Polling, collision detection, activation and removal over single frames (EMV Contactless Book D, chapter 9;
/// ISO/IEC 14443-3).
package struct CardPolling {
    package enum Failure: Error, Equatable {
        /// More than one card.
        case collision
        /// The card fell silent, or what it said was damaged: it may be on its way into or out of the field.
        case lost(String)
        /// The card said what no card may say.
        case violation(String)
        case link(LinkFailure)
    }

    /// An activated card.
    package struct Session {
        package var activation: ContactlessActivation
        package var blocks: BlockProtocol
    }

    /// What one round of the schedule saw.
    package struct Presence: Equatable {
        package var typeA = false
        package var typeB = false
        package init(typeA: Bool = false, typeB: Bool = false) {
            self.typeA = typeA
            self.typeB = typeB
        }
        package var isNobody: Bool { !typeA && !typeB }
    }

    /// One round of a schedule.
    /// - Parameter poll: polls for FeliCa or ISO/IEC 15693 as the device can; their cards are not used.
    package static func round(
        _ schedule: PollingSchedule, over link: some FrameLink,
        poll: (PollingSchedule.Step) throws(LinkFailure) -> Void
    ) throws(LinkFailure) -> Presence {
        var presence = Presence()
        for step in schedule.steps {
            switch step {
            case .typeA:
                if !presence.typeA { presence.typeA = try isTypeAThere(link) }
            case .typeB:
                if !presence.typeB { presence.typeB = try isTypeBThere(link) }
            case .frame(let bytes):
                // Cards that do not know it keep silent; so do those that do.
                _ = try link.exchange(bytes, lastBits: 0, checked: true, wait: .milliseconds(1))
            case .pause(let milliseconds): link.pause(.milliseconds(Int64(milliseconds)))
            case .typeF, .typeV: try poll(step)
            }
        }
        return presence
    }

    /// WUPA; a card that answers, well or not, is there, and is put to sleep again.
    package static func isTypeAThere(_ link: some FrameLink) throws(LinkFailure) -> Bool {
        try link.use(.typeA)
        if try link.exchange([0x52], lastBits: 7, checked: false, wait: ContactlessTiming.request) == .silence
        {
            return false
        }
        // HLTA has no answer.
        _ = try link.exchange([0x50, 0x00], lastBits: 0, checked: true, wait: .milliseconds(1))
        return true
    }

    /// WUPB for all families, one slot.
    package static func isTypeBThere(_ link: some FrameLink) throws(LinkFailure) -> Bool {
        try link.use(.typeB)
        return try link.exchange(
            [0x05, 0x00, 0x08], lastBits: 0, checked: true, wait: ContactlessTiming.request)
            != .silence
    }

    /// Collision detection and activation of the card that a round has seen.
    package static func activate(_ presence: Presence, over link: some FrameLink) throws(Failure) -> Session {
        if presence.typeA, presence.typeB { throw .collision }
        return presence.typeA ? try activateTypeA(link) : try activateTypeB(link)
    }

    private static func send(
        _ frame: [UInt8], lastBits: Int = 0, checked: Bool = true, wait: Duration = ContactlessTiming.request,
        _ link: some FrameLink
    ) throws(Failure) -> FrameAnswer {
        do {
            return try link.exchange(frame, lastBits: lastBits, checked: checked, wait: wait)
        } catch {
            throw .link(error)
        }
    }

    /// Asks up to three times (Book D: retransmission in activation).
    private static func insist(
        _ frame: [UInt8], checked: Bool = true, wait: Duration = ContactlessTiming.request, _ name: String,
        _ link: some FrameLink
    ) throws(Failure) -> [UInt8] {
        for _ in 0..<3 {
            switch try send(frame, checked: checked, wait: wait, link) {
            case .frame(let bytes, lastBits: 0): return bytes
            case .collision: throw .collision
            case .silence, .damaged, .frame: continue
            }
        }
        throw .lost("no answer to \(name)")
    }

    private static func use(
        _ modulation: ContactlessActivation.Modulation, _ link: some FrameLink
    ) throws(Failure) {
        do { try link.use(modulation) } catch { throw .link(error) }
    }

    // MARK: - Type A

    private static func activateTypeA(_ link: some FrameLink) throws(Failure) -> Session {
        try use(.typeA, link)
        let atqa: [UInt8]
        switch try send([0x52], lastBits: 7, checked: false, link) {
        case .frame(let bytes, lastBits: 0) where bytes.count == 2: atqa = bytes
        case .collision: throw .collision
        case .silence: throw .lost("no answer to WUPA")
        case .damaged, .frame: throw .lost("ATQA is damaged")
        }
        var identifier: [UInt8] = []
        var sak: UInt8 = 0
        for level in 0..<3 {
            let select = 0x93 + UInt8(level) * 2
            // All bits of this level: two cards collide here, as their identifiers differ.
            let piece = try insist([select, 0x20], checked: false, "anticollision", link)
            guard piece.count == 5 else { throw .violation("\(piece.count) bytes of identifier") }
            guard piece.reduce(0, ^) == 0 else { throw .lost("the identifier's check byte is wrong") }
            let answer = try insist([select, 0x70] + piece, "SELECT", link)
            guard answer.count == 1 else { throw .violation("a SAK of \(answer.count) bytes") }
            sak = answer[0]
            let isComplete = sak & 0x04 == 0
            guard isComplete != (piece[0] == 0x88) else {
                throw .violation("cascade tag and SAK contradict each other")
            }
            identifier += isComplete ? piece[0..<4] : piece[1..<4]
            if isComplete { break }
            guard level < 2 else { throw .violation("an identifier of more than ten bytes") }
        }
        guard sak & 0x20 != 0 else {
            throw .violation("the card does not speak ISO/IEC 14443-4 (SAK \(String(sak, radix: 16)))")
        }
        // RATS: frame size of the terminal, CID 0.
        let size = ContactlessTiming.frameSizeCode(notAbove: link.frameLimit)
        let ats = try insist([0xE0, size << 4], wait: ContactlessTiming.activation, "RATS", link)
        guard ats.count >= 1, Int(ats[0]) == ats.count else { throw .violation("an ATS of wrong length") }
        // T0 and the interface bytes that it announces; what is missing has its default (Book D, 5.7.2).
        var frameSizeCode: UInt8 = 2
        var waiting: UInt8 = 4
        var guardTime: UInt8 = 0
        if ats.count >= 2 {
            frameSizeCode = ats[1] & 0x0F
            var index = 2
            if ats[1] & 0x10 != 0 { index += 1 }
            if ats[1] & 0x20 != 0 {
                guard index < ats.count else { throw .violation("an ATS without its TB(1)") }
                waiting = ats[index] >> 4
                guardTime = ats[index] & 0x0F
                index += 1
            }
            if ats[1] & 0x40 != 0 { index += 1 }
            guard index <= ats.count else { throw .violation("an ATS without its interface bytes") }
        }
        link.pause(ContactlessTiming.guardTime(guardTime))
        return Session(
            activation: ContactlessActivation(
                modulation: .typeA, identifier: identifier, atqa: atqa, sak: sak, ats: ats),
            blocks: BlockProtocol(
                modulation: .typeA,
                frameSize: min(ContactlessTiming.frameSize(frameSizeCode), link.frameLimit),
                ownFrameSize: ContactlessTiming.frameSize(size),
                frameWaitingTime: ContactlessTiming.frameWaitingTime(waiting)))
    }

    // MARK: - Type B

    private static func activateTypeB(_ link: some FrameLink) throws(Failure) -> Session {
        try use(.typeB, link)
        let atqb = try insist([0x05, 0x00, 0x08], "WUPB", link)
        guard atqb.count == 12 || atqb.count == 13, atqb[0] == 0x50 else {
            throw .violation("an ATQB of \(atqb.count) bytes")
        }
        let identifier = Array(atqb[1...4])
        guard atqb[10] & 0x01 != 0 else {
            throw .violation("the card does not speak ISO/IEC 14443-4 (protocol type \(atqb[10] & 0x0F))")
        }
        // ATTRIB: no change of the defaults, the terminal's frame size, ISO/IEC 14443-4, CID 0.
        let size = ContactlessTiming.frameSizeCode(notAbove: link.frameLimit)
        let waiting = ContactlessTiming.frameWaitingTime(atqb[11] >> 4)
        let answer = try insist(
            [0x1D] + identifier + [0x00, size, 0x01, 0x00], wait: waiting, "ATTRIB", link)
        guard let first = answer.first, first & 0x0F == 0 else {
            throw .violation("an answer to ATTRIB with another CID")
        }
        return Session(
            activation: ContactlessActivation(
                modulation: .typeB, identifier: identifier, atqa: [], sak: 0, ats: Array(atqb[5...11])),
            blocks: BlockProtocol(
                modulation: .typeB,
                frameSize: min(ContactlessTiming.frameSize(atqb[10] >> 4), link.frameLimit),
                ownFrameSize: ContactlessTiming.frameSize(size), frameWaitingTime: waiting))
    }
}
