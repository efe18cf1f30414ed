internal import SmartCard

extension PN532Chip {
    /// Registers of the radio chip that have an effect here (UM0701-02, 8.6.22 and following).
    enum Register {
        static let txMode: UInt16 = 0x6302
        static let rxMode: UInt16 = 0x6303
        static let manualReceiver: UInt16 = 0x630D
        static let control: UInt16 = 0x633C
        static let bitFraming: UInt16 = 0x633D
    }

    mutating func execute(_ command: Command, _ data: [UInt8]) -> Answer {
        switch command {
        case .diagnose: diagnose(data)
        case .getFirmwareVersion:
            // IC 32 (PN532), version 1.6, ISO/IEC 14443 type A and B and ISO/IEC 18092.
            data.isEmpty ? .data([0x32, 0x01, 0x06, 0x07]) : .syntaxError
        case .getGeneralStatus: data.isEmpty ? .data(generalStatus) : .syntaxError
        case .readRegister: readRegisters(data)
        case .writeRegister: writeRegisters(data)
        case .setParameters: setParameters(data)
        case .samConfiguration: configureSAM(data)
        case .powerDown: powerDown(data)
        case .rfConfiguration: configureRadio(data)
        case .inListPassiveTarget: listPassiveTargets(data)
        case .inDataExchange: exchange(data)
        case .inCommunicateThru: communicateThrough(data)
        case .inDeselect, .inRelease: letGo(data, forGood: command == .inRelease)
        case .inSelect: selectAgain(data)
        case .inAutoPoll: pollAutomatically(data)
        }
    }

    // MARK: - The chip itself

    private mutating func diagnose(_ data: [UInt8]) -> Answer {
        switch data.first {
        case 0x00: return .data(data)  // The line: everything comes back.
        case 0x01, 0x02: return data.count == 1 ? .data([0x00]) : .syntaxError  // ROM, RAM.
        case 0x06:
            // Attention request: is the card still there?
            guard data.count == 1 else { return .syntaxError }
            guard let target = targets.first, let session = target.session else {
                return .data([Status.notAcceptable.rawValue])
            }
            return session.isPresent(through: field)
                ? .data([0x00]) : .data([Status.timeout.rawValue], after: target.frameWaitingTime)
        case 0x07: return data.count == 2 ? .data([0x00]) : .syntaxError  // Antenna.
        default: return .syntaxError
        }
    }

    private var generalStatus: [UInt8] {
        [lastStatus, field.isOn ? 0x01 : 0x00, UInt8(targets.count)]
            + targets.flatMap { [$0.number, 0x00, 0x00, 0x00] } + [0x00]
    }

    private func readRegisters(_ data: [UInt8]) -> Answer {
        guard !data.isEmpty, data.count % 2 == 0 else { return .syntaxError }
        return .data(
            stride(from: 0, to: data.count, by: 2).map {
                registers[UInt16(data[$0]) << 8 | UInt16(data[$0 + 1])] ?? 0
            })
    }

    private mutating func writeRegisters(_ data: [UInt8]) -> Answer {
        guard !data.isEmpty, data.count % 3 == 0 else { return .syntaxError }
        for index in stride(from: 0, to: data.count, by: 3) {
            registers[UInt16(data[index]) << 8 | UInt16(data[index + 1])] = data[index + 2]
        }
        return .data([])
    }

    private mutating func setParameters(_ data: [UInt8]) -> Answer {
        guard data.count == 1 else { return .syntaxError }
        automaticRATS = data[0] & 0x10 != 0
        return .data([])
    }

    private mutating func configureSAM(_ data: [UInt8]) -> Answer {
        // Mode, time-out (virtual card mode), and whether P70_IRQ is driven.
        guard (1...3).contains(data.count), (0x01...0x04).contains(data[0]) else { return .syntaxError }
        samMode = data[0]
        return .data([])
    }

    private mutating func powerDown(_ data: [UInt8]) -> Answer {
        guard (1...2).contains(data.count) else { return .syntaxError }
        // Bit 4 of WakeUpEnable is the high-speed UART.
        sleep(wakesBySerialLine: data[0] & 0x10 != 0)
        return .data([Status.success.rawValue])
    }

    private mutating func configureRadio(_ data: [UInt8]) -> Answer {
        guard let item = data.first else { return .syntaxError }
        // How many bytes each item has (UM0701-02, 7.3.1).
        let lengths: [UInt8: Int] = [
            0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9,
        ]
        guard let length = lengths[item], data.count == length + 1 else { return .syntaxError }
        switch item {
        case 0x01:
            field.setOn(data[1] & 0x01 != 0)
            if !field.isOn { targets = [] }
        case 0x02: retryTimeout = data[3]
        case 0x05: activationRetries = data[3]
        default: break
        }
        return .data([])
    }

    // MARK: - Targets

    private mutating func listPassiveTargets(_ data: [UInt8]) -> Answer {
        guard data.count >= 2, (1...2).contains(data[0]), data[1] <= 0x04 else { return .syntaxError }
        let listing = Listing(maximum: data[0], rate: data[1], data: Array(data.dropFirst(2)))
        // Type B wants the application family.
        if listing.rate == 0x03, listing.data.isEmpty { return .syntaxError }
        if let found = list(listing) { return .data(found) }
        if activationRetries == 0xFF {
            search = .list(listing)
            return .none
        }
        return .data([0x00], after: .milliseconds(5) * (Int(activationRetries) + 1))
    }

    /// NbTg and the targets found; nil for none. The field comes on by itself.
    mutating func list(_ listing: Listing) -> [UInt8]? {
        field.setOn(true)
        // Cards found before are let go: they stay halted until the field drops.
        for target in targets where !target.isDeselected {
            _ = target.session?.deselect(through: field)
        }
        targets = []
        var found: [UInt8] = []
        while targets.count < Int(listing.maximum) {
            let number = UInt8(targets.count + 1)
            let data: [UInt8]?
            switch listing.rate {
            case 0x00: data = activateTypeA(number, identifier: listing.data)
            case 0x03: data = activateTypeB(number, family: listing.data.first ?? 0)
            default: data = nil
            }
            guard let data else { break }
            found += data
        }
        guard !targets.isEmpty else { return nil }
        let framing: UInt8 = listing.rate == 0x03 ? 0x03 : 0x00
        registers[Register.txMode] = 0x80 | framing
        registers[Register.rxMode] = 0x80 | framing
        return [UInt8(targets.count)] + found
    }

    /// InAutoPoll: rounds over types of targets, with a time for each (UM0701-02, 7.3.13).
    private mutating func pollAutomatically(_ data: [UInt8]) -> Answer {
        guard (3...17).contains(data.count), data[0] >= 1, (1...15).contains(data[1]) else {
            return .syntaxError
        }
        let types = Array(data.dropFirst(2))
        if let found = poll(types) { return .data(found) }
        let endless = data[0] == 0xFF
        search = .poll(types: types, endless: endless)
        if endless { return .none }
        return .data([0x00], after: .milliseconds(150) * Int(data[1]) * Int(data[0]) * types.count)
    }

    /// One round; what the answer tells of the first card found: NbTg 1, type, length, target data.
    mutating func poll(_ types: [UInt8]) -> [UInt8]? {
        for type in types {
            let listing: Listing
            switch type {
            // Passive 106 kbit/s type A, MIFARE, ISO/IEC 14443-4 type A.
            case 0x00, 0x10, 0x20: listing = Listing(maximum: 1, rate: 0x00, data: [])
            case 0x03, 0x23: listing = Listing(maximum: 1, rate: 0x03, data: [0x00])
            default: continue
            }
            guard let found = list(listing) else { continue }
            // Type 20 means cards with the block protocol only.
            if type == 0x20, targets.first?.session == nil { continue }
            return [0x01, type, UInt8(found.count - 1)] + found.dropFirst()
        }
        return nil
    }

    private func short(_ byte: UInt8) -> RadioField.Answer {
        field.exchange(RadioFrame(modulation: .typeA, bytes: [byte], lastBits: 7))
    }

    /// REQA, anticollision bit by bit, SELECT on each level, RATS (ISO/IEC 14443-3, 6.5; 14443-4, 5).
    /// - Parameter wakesUp: WUPA in place of REQA, for a card that was put to sleep.
    private mutating func activateTypeA(
        _ number: UInt8, identifier wanted: [UInt8], wakesUp: Bool = false
    ) -> [UInt8]? {
        let request: UInt8 = wakesUp ? 0x52 : 0x26
        // A card that was left half-way falls back to IDLE upon the first REQA.
        var atqa = short(request)
        if atqa == .silence { atqa = short(request) }
        guard atqa != .silence else { return nil }
        var identifier: [UInt8] = []
        for level in 0..<3 {
            let select = 0x93 + UInt8(level) * 2
            guard let piece = resolve(select, wanted: wanted, at: level) else { return nil }
            guard
                case .frame(let answer) = field.exchange(.checked([select, 0x70] + piece, .typeA)),
                let sak = answer.unchecked?.first
            else { return nil }
            let isComplete = sak & 0x04 == 0
            identifier += isComplete ? piece[0..<4] : piece[1..<4]
            guard isComplete else { continue }
            guard let card = field.cards.first(where: { $0.state == .active }) else { return nil }
            // Where the ATQAs collided, this card's own is given.
            let sent = Array((card.activation.atqa + [0, 0]).prefix(2))
            var data = [number, sent[1], sent[0], sak, UInt8(identifier.count)] + identifier
            var target = Target(number: number, card: card, session: nil, frameWaitingTime: timeout)
            if automaticRATS, sak & 0x20 != 0 {
                // Frames of 64 bytes (FSDI 5), no CID.
                guard
                    case .frame(let frame) = field.exchange(.checked([0xE0, 0x50], .typeA)),
                    let answer = frame.unchecked
                else { return nil }
                data += answer
                let interface = InterfaceBytes(answer)
                target.session = TerminalBlockProtocol(
                    modulation: .typeA, frameSize: interface.frameSize, cardIdentifier: nil)
                target.frameWaitingTime = interface.frameWaitingTime * TerminalBlockProtocol.attempts
            }
            targets.append(target)
            return data
        }
        return nil
    }

    /// The four bytes and the check byte of one card on a cascade level.
    private func resolve(_ select: UInt8, wanted: [UInt8], at level: Int) -> [UInt8]? {
        // The host may give the identifier, cascade tags and all.
        let own = Array(wanted.dropFirst(level * 4).prefix(4))
        if own.count == 4 { return own + [own.reduce(0, ^)] }
        switch field.exchange(RadioFrame(modulation: .typeA, bytes: [select, 0x20])) {
        case .silence: return nil
        case .frame(let answer): return answer.bytes.count == 5 ? answer.bytes : nil
        case .collision:
            // The chip goes on with the 1 where two bits collide: the largest identifier, read from its
            // first bit, is found first.
            let pieces = field.cards.compactMap { card -> [UInt8]? in
                guard card.state == .ready(level: level), card.cascade.count > level else { return nil }
                return card.cascade[level]
            }
            return pieces.max { left, right in
                let (left, right) = (left.map(\.bitReversed), right.map(\.bitReversed))
                return left.lexicographicallyPrecedes(right)
            }
        }
    }

    /// REQB and ATTRIB (ISO/IEC 14443-3, 7).
    private mutating func activateTypeB(_ number: UInt8, family: UInt8, wakesUp: Bool = false) -> [UInt8]? {
        // WUPB has bit 4 of the parameter set.
        var answer = field.exchange(.checked([0x05, family, wakesUp ? 0x08 : 0x00], .typeB))
        if answer == .collision {
            // In slots: each card answers in its own.
            answer = field.exchange(.checked([0x05, family, 0x04], .typeB))
            for slot in 1..<16 {
                if case .frame = answer { break }
                answer = field.exchange(.checked([UInt8(slot) << 4 | 0x05], .typeB))
            }
        }
        guard case .frame(let frame) = answer, let atqb = frame.unchecked, atqb.count == 12 else {
            return nil
        }
        // CID 1 where the card knows CIDs, as libnfc's presence check has it.
        let identifier: UInt8? = atqb[11] & 0x01 != 0 ? 0x01 : nil
        let attribute = [0x1D] + atqb[1...4] + [0x00, 0x05, 0x01, identifier ?? 0x00]
        guard
            case .frame(let reply) = field.exchange(.checked(attribute, .typeB)),
            let accepted = reply.unchecked,
            let card = field.cards.first(where: {
                $0.state == .session && $0.answerToRequest == Array(atqb.dropFirst())
            })
        else { return nil }
        let waiting = InterfaceBytes.frameWaitingTime(code: atqb[11] >> 4)
        targets.append(
            Target(
                number: number, card: card,
                session: TerminalBlockProtocol(
                    modulation: .typeB, frameSize: FrameSize.bytes(code: atqb[10] >> 4),
                    cardIdentifier: identifier),
                frameWaitingTime: waiting * TerminalBlockProtocol.attempts))
        return [number] + atqb + [UInt8(accepted.count)] + accepted
    }

    /// InSelect: a target that was deselected is activated again, by its identifier.
    private mutating func selectAgain(_ data: [UInt8]) -> Answer {
        guard data.count == 1 else { return .syntaxError }
        guard let index = targets.firstIndex(where: { $0.number == data[0] }) else {
            return .data([Status.notAcceptable.rawValue])
        }
        let old = targets[index]
        guard old.isDeselected else { return .data([Status.success.rawValue]) }
        targets.remove(at: index)
        let found =
            old.card.activation.modulation == .typeA
            ? activateTypeA(
                old.number, identifier: old.card.cascade.flatMap { $0.prefix(4) }, wakesUp: true)
            : activateTypeB(old.number, family: 0, wakesUp: true)
        guard found != nil, targets.last?.card === old.card else {
            targets.removeAll { $0.number == old.number }
            targets.append(old)
            return .data([Status.timeout.rawValue], after: timeout)
        }
        return .data([Status.success.rawValue])
    }

    private mutating func letGo(_ data: [UInt8], forGood: Bool) -> Answer {
        guard data.count == 1 else { return .syntaxError }
        let number = data[0]
        guard number == 0 || targets.contains(where: { $0.number == number }) else {
            return .data([Status.notAcceptable.rawValue])
        }
        for index in targets.indices where number == 0 || targets[index].number == number {
            guard !targets[index].isDeselected else { continue }
            if let session = targets[index].session {
                _ = session.deselect(through: field)
            } else {
                _ = field.exchange(.checked([0x50, 0x00], .typeA))
            }
            targets[index].isDeselected = true
        }
        if forGood { targets.removeAll { number == 0 || $0.number == number } }
        return .data([Status.success.rawValue])
    }

    // MARK: - Exchange

    /// The most response bytes in one answer: the frame holds the command code and the status as well.
    static let pieceLimit = PN532Frame.maximumDataCount - 2

    private mutating func exchange(_ data: [UInt8]) -> Answer {
        guard let first = data.first else { return .syntaxError }
        let continues = first & 0x40 != 0
        guard let index = targets.firstIndex(where: { $0.number == first & 0x3F }),
            !targets[index].isDeselected
        else { return failed(.notAcceptable) }
        let payload = Array(data.dropFirst())
        if payload.isEmpty, !targets[index].remainder.isEmpty { return nextPiece(index) }
        targets[index].remainder = []
        guard var session = targets[index].session else {
            // A card without the block protocol: the frame as it is.
            guard !continues else { return failed(.invalidParameter) }
            return raw(.checked(payload, targets[index].card.activation.modulation), checksReply: true)
        }
        let result: Result<[UInt8], TerminalBlockProtocol.Failure>
        do throws(TerminalBlockProtocol.Failure) {
            result = .success(try session.send(payload, continues: continues, through: field))
        } catch {
            result = .failure(error)
        }
        targets[index].session = session
        switch result {
        case .success(let response):
            if continues {
                lastStatus = 0
                return .data([Status.success.rawValue])
            }
            targets[index].remainder = response[...]
            return nextPiece(index)
        case .failure(.timeout): return failed(.timeout, after: targets[index].frameWaitingTime)
        case .failure(.collision): return failed(.collision)
        case .failure(.checksum): return failed(.checksum)
        case .failure(.protocol): return failed(.radioProtocol)
        }
    }

    private mutating func nextPiece(_ index: Int) -> Answer {
        let piece = targets[index].remainder.prefix(Self.pieceLimit)
        targets[index].remainder = targets[index].remainder.dropFirst(piece.count)
        lastStatus = 0
        // Bit 6: more information.
        return .data([targets[index].remainder.isEmpty ? 0x00 : 0x40] + piece)
    }

    private mutating func failed(_ status: Status, after time: Duration = .zero) -> Answer {
        lastStatus = status.rawValue
        return .data([status.rawValue], after: time)
    }

    private mutating func communicateThrough(_ data: [UInt8]) -> Answer {
        let mode = registers[Register.txMode] ?? 0
        let modulation: ContactlessActivation.Modulation
        switch mode & 0x03 {
        case 0x00: modulation = .typeA
        case 0x03: modulation = .typeB
        default: return failed(.timeout, after: timeout)  // FeliCa and active mode: nobody answers.
        }
        // Without the chip's parity the host makes the parity bits itself: no card understands bytes then.
        let hasParity = (registers[Register.manualReceiver] ?? 0) & 0x10 == 0
        guard !data.isEmpty, hasParity else { return failed(.timeout, after: timeout) }
        let bits = Int((registers[Register.bitFraming] ?? 0) & 0x07)
        var frame = RadioFrame(modulation: modulation, bytes: data, lastBits: bits)
        if mode & 0x80 != 0, bits == 0 { frame = .checked(data, modulation) }
        return raw(frame, checksReply: (registers[Register.rxMode] ?? 0) & 0x80 != 0)
    }

    /// Sends a frame as it is.
    /// - Parameter checksReply: the chip checks the answer's checksum and takes it off.
    private mutating func raw(_ frame: RadioFrame, checksReply: Bool) -> Answer {
        switch field.exchange(frame) {
        case .silence: return failed(.timeout, after: timeout)
        case .collision: return failed(.collision)
        case .frame(let answer):
            registers[Register.control] =
                (registers[Register.control] ?? 0) & ~0x07 | UInt8(answer.lastBits & 0x07)
            var bytes = answer.bytes
            if checksReply {
                guard let body = answer.unchecked else { return failed(.checksum) }
                bytes = body
            }
            guard bytes.count <= Self.pieceLimit else { return failed(.bufferTooSmall) }
            lastStatus = 0
            return .data([Status.success.rawValue] + bytes)
        }
    }
}

/// What an ATS says about the exchange (ISO/IEC 14443-4, 5.2).
struct InterfaceBytes {
    /// FSC; 32 bytes where the ATS has no format byte.
    var frameSize = 32
    var frameWaitingTime = Self.frameWaitingTime(code: 4)

    init(_ answerToSelect: [UInt8]) {
        guard answerToSelect.count >= 2 else { return }
        let format = answerToSelect[1]
        frameSize = FrameSize.bytes(code: format & 0x0F)
        // TA(1) stands before TB(1), each only where its bit is set.
        let index = 2 + (format & 0x10 != 0 ? 1 : 0)
        if format & 0x20 != 0, index < answerToSelect.count {
            frameWaitingTime = Self.frameWaitingTime(code: answerToSelect[index] >> 4)
        }
    }

    /// 256 * 16 / fc * 2^FWI; code 15 is not used and means the default 4.
    static func frameWaitingTime(code: UInt8) -> Duration {
        .nanoseconds(302_065 << (code > 14 ? 4 : Int(code)))
    }
}

extension UInt8 {
    fileprivate var bitReversed: UInt8 {
        var value = self
        value = value >> 4 | value << 4
        value = (value & 0xCC) >> 2 | (value & 0x33) << 2
        return (value & 0xAA) >> 1 | (value & 0x55) << 1
    }
}
