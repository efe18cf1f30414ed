import CardReaders
import Cards
import LibNFCReaders
import PCSCReaders
import PN532
import SmartCard

extension FuzzTarget {
    /// Readers and cards below the APDU: frames of the PN532, blocks of ISO/IEC 14443-4 on both sides, activation,
    /// what drivers tell, the virtual reader.
    static let contactless: [FuzzTarget] = [
        FuzzTarget("pn532-frames", longestInput: 600, seeds: { PN532s.frames.map { [0x55] + $0 } }) { input in
            var parser = PN532FrameParser()
            for byte in input {
                guard case .success(let frame)? = parser.take(byte) else { continue }
                var again = PN532FrameParser()
                let read = frame.bytes.compactMap { again.take($0) }
                try hold(read == [.success(frame)], "a frame written and read again differs")
            }
        },
        FuzzTarget("pn532-chip", longestInput: 600, mutations: 8, seeds: { PN532s.seeds }) {
            try PN532s.check($0)
        },
        FuzzTarget("iso-dep-terminal", longestInput: 600, seeds: { ISODEP.terminalSeeds }) {
            try ISODEP.terminal($0)
        },
        FuzzTarget("iso-dep-activation", longestInput: 300, seeds: { ISODEP.activationSeeds }) {
            try ISODEP.activate($0)
        },
        FuzzTarget(
            "iso-dep-card", longestInput: 600,
            seeds: { [[0, 0, 0] + chunks([[0x02, 0, 0xA4, 4, 0], [0xA3], [0xC2]])] }
        ) {
            try ISODEP.card($0)
        },
        FuzzTarget(
            "reader-properties", longestInput: 300,
            seeds: {
                [
                    [0x12, 4, 0x42, 0, 0x0D, 0x48, 0x13, 4, 0x42, 0, 0x0D, 0xAC],
                    [10, 4, 0, 1, 0, 0, 11, 2, 0x2F, 7],
                    [0x01, 0x00, 0x04, 0x20, 0x04, 8, 1, 2, 3, 5, 0x78, 0x80, 0x70, 2],
                    [0x3B, 0x84, 0x80, 0x01, 0x80, 0x73, 0, 0, 0x80],
                ]
            }
        ) { try ReaderProperties.check($0) },
        FuzzTarget(
            "virtual-reader", longestInput: 600, mutations: 4,
            seeds: {
                TraceFiles.sessions.prefix(6).map {
                    [1] + VPCDMessages.framed([1]) + $0.commands.flatMap { VPCDMessages.framed($0) }
                }
            }
        ) { bytes in
            var input = FuzzInput(bytes)
            let size = 1 + Int(input.byte())
            var messages = VPCDMessages()
            let stream = input.remainder()
            var place = 0
            var rest = stream[...]
            while place < stream.count {
                messages.append(stream[place..<min(stream.count, place + size)])
                place += size
                while let message = messages.next() {
                    let framed = VPCDMessages.framed(message)
                    try hold(rest.starts(with: framed), "a message is not what came")
                    rest = rest.dropFirst(framed.count)
                }
            }
        },
    ]
}

enum PN532s {
    private static func command(_ data: [UInt8]) -> [UInt8] {
        PN532Frame.information(identifier: PN532Frame.fromHost, data: data).bytes
    }

    static let frames: [[UInt8]] =
        [PN532Frame.acknowledge, .notAcknowledge, .applicationError].map(\.bytes)
        + [command([0x02]), command([UInt8](repeating: 0x42, count: 260))]

    /// What libnfc sends to wake the chip, find a card and speak to it.
    static let seeds: [[UInt8]] = {
        let session: [[UInt8]] = [
            [0x14, 0x01], [0x02], [0x32, 0x01, 0x01], [0x4A, 0x01, 0x00],
            [0x40, 0x01, 0x00, 0xA4, 0x04, 0x00, 0x00],
            [0x42, 0x02, 0x00, 0xA4], [0x00, 0x06], [0x44, 0x01], [0x54, 0x01], [0x52, 0x00],
            [0x60, 0x01, 0x01, 0x00],
            [0x06, 0x63, 0x02], [0x08, 0x63, 0x02, 0x80], [0x4A, 0x01, 0x03, 0x00], [0x12, 0x14],
            [0x16, 0x10],
        ]
        // The first byte chooses card and kind: commands as chunks, or bytes of the line.
        return [[0x00] + chunks(session), [0x01] + chunks(session), [0x80, 0x55] + session.flatMap(command)]
    }()

    static func check(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        var chip = PN532Chip()
        _ = chip.receive([0x55])
        let profiles = CardCommands.profiles
        for index in 0..<Int(flags >> 4 & 0x03) {
            let profile = profiles[(Int(flags & 0x0F) + index) % profiles.count]
            _ = chip.present(try EmulatedCard(profile: profile, random: SeededGenerator(seed: 1)))
        }
        chip.waitingTimeExtensions = Int(flags & 0x03)
        func take(_ reaction: PN532Chip.Reaction) throws {
            var parser = PN532FrameParser()
            for case .bytes(let bytes) in reaction.outputs {
                let read = bytes.compactMap { parser.take($0) }
                try hold(read.count == 1, "the chip sends \(read.count) frames at once")
                guard case .success? = read.first else {
                    throw BrokenProperty(description: "a damaged frame from the chip")
                }
            }
            chip.outputsAreSent()
        }
        var commands = 0
        while !input.isEmpty, commands < 64 {
            commands += 1
            if flags & 0x80 != 0 {
                try take(chip.receive(input.bytes(16)))
                continue
            }
            let data = input.chunk()
            if data.isEmpty {
                // A card comes, or all of them leave.
                if chip.hasCard {
                    chip.removeCards()
                } else {
                    try take(
                        chip.present(
                            try EmulatedCard(
                                profile: profiles[commands % profiles.count], random: SeededGenerator(seed: 2)
                            )))
                }
            } else {
                try take(chip.receive(command(data)))
            }
        }
    }
}

/// The block protocol and activation, each side against an other one that the input makes up.
enum ISODEP {
    /// Answers frames with the chunks of the input; then it keeps silent.
    private final class ScriptedLink: FrameLink {
        var input: FuzzInput
        let frameLimit: Int
        private(set) var exchanges = 0
        private(set) var longest = 0
        init(_ input: FuzzInput, frameLimit: Int) {
            self.input = input
            self.frameLimit = frameLimit
        }
        func use(_ modulation: ContactlessActivation.Modulation) {}
        func setField(_ isOn: Bool) {}
        func pause(_ duration: Duration) {}
        func exchange(_ frame: [UInt8], lastBits: Int, checked: Bool, wait: Duration) throws(LinkFailure)
            -> FrameAnswer
        {
            exchanges += 1
            longest = max(longest, frame.count)
            guard !input.isEmpty else { return .silence }
            switch input.byte() {
            case 0xF0: return .silence
            case 0xF1: return .damaged
            case 0xF2: return .collision
            case 0xF3: throw .timeout
            case 0xF4: throw .garbled
            case 0xF5: throw .refused("no")
            case 0xF6: return .frame(input.chunk(), lastBits: 4)
            case let count: return .frame(input.bytes(Int(count & 0x3F)))
            }
        }
    }

    static let terminalSeeds: [[UInt8]] = [
        [8, 4, 3, 0x02, 0x90, 0x00], [0, 40, 1, 0xA2, 1, 0xA3, 3, 0x12, 1, 2, 3, 0x03, 0x90, 0x00],
        [8, 4, 2, 0xF2, 5, 0xF0, 3, 0x02, 0x90, 0x00, 3, 0x03, 0x90, 0x00],
    ]

    static func terminal(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let frameSize = [16, 24, 32, 40, 48, 64, 96, 128, 256][input.number(below: 9)]
        let command = [UInt8](repeating: 0xA5, count: Int(input.byte()))
        let link = ScriptedLink(input, frameLimit: 256)
        var blocks = BlockProtocol(
            modulation: .typeA, frameSize: frameSize, ownFrameSize: 256, frameWaitingTime: .milliseconds(5))
        for _ in 0..<4 {
            let response: [UInt8]
            do throws(BlockProtocol.Failure) {
                response = try blocks.transmit(command, over: link, deadline: nil, isAbandoned: { false })
            } catch {
                if case .violation(let reason) = error { try hold(!reason.isEmpty, "an error without words") }
                break
            }
            try hold(response.count <= 65_538, "a response of \(response.count) bytes")
        }
        _ = try? blocks.isPresent(over: link)
        _ = try? blocks.deselect(over: link)
        // CRC bytes come on top of what the link is given.
        try hold(
            link.longest + 2 <= frameSize,
            "a frame of \(link.longest) bytes to a card that takes \(frameSize)")
        try hold(link.exchanges <= 8 * (bytes.count + command.count) + 64, "\(link.exchanges) frames")
    }

    static let activationSeeds: [[UInt8]] = [
        [1, 2, 0x04, 0, 5, 8, 1, 2, 3, 8, 1, 0x20, 5, 5, 0x78, 0x80, 0x70, 2, 3, 0x02, 0x90, 0x00],
        [
            1, 2, 0x44, 0, 5, 0x88, 4, 1, 2, 0x8F, 1, 0x24, 5, 3, 4, 5, 6, 4, 1, 0x20, 5, 5, 0x78, 0x80, 0x70,
            2, 3, 2,
            0x90, 0,
        ],
        [2, 12, 0x50, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0x81, 0x70, 1, 0x00, 3, 0x02, 0x90, 0x00],
    ]

    static func activate(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let presence = CardPolling.Presence(
            typeA: bytes.first.map { $0 & 1 != 0 } ?? true, typeB: bytes.first.map { $0 & 2 != 0 } ?? false)
        _ = input.byte()
        let link = ScriptedLink(input, frameLimit: 254)
        if var session = try? CardPolling.activate(presence, over: link) {
            let atr = session.activation.answerToReset
            try hold(
                (5...20).contains(atr.count) && atr.dropFirst().reduce(0, ^) == 0,
                "an ATR with a wrong check byte")
            _ = try? session.blocks.transmit(
                [0, 0xA4, 4, 0, 0], over: link, deadline: nil, isAbandoned: { false })
        }
        try hold(link.exchanges <= 200 + bytes.count * 8, "\(link.exchanges) frames")
        // And polling: a round ends whatever comes back.
        let round = ScriptedLink(input, frameLimit: 254)
        _ = try? CardPolling.round(.payment, over: round) { _ in }
        try hold(round.exchanges <= 8, "\(round.exchanges) frames in one round")
    }

    static func card(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let size = [16, 24, 32, 40, 48, 64, 96, 128, 256][input.number(below: 9)]
        let identifier = input.byte() & 0x0F
        var card = CardBlockProtocol(
            frameSize: size, cardIdentifier: identifier, waitingTimeExtensions: Int(input.byte() & 0x03))
        while !input.isEmpty {
            let block = input.chunk()
            let reaction = card.receive(block) { command in
                // Silent, short, long: as the command's first byte says.
                switch command.first ?? 0 {
                case 0xFF: nil
                case let count: [UInt8](repeating: count, count: Int(count)) + [0x90, 0x00]
                }
            }
            switch reaction {
            case .silence: break
            case .block(let answer):
                try hold(
                    !answer.isEmpty && answer.count + 2 <= size,
                    "a block of \(answer.count) bytes to a terminal that takes \(size)")
            case .deselected(let answer):
                try hold(answer.count <= 2, "an answer to DESELECT of \(answer.count) bytes")
            }
        }
    }
}

/// What readers and their drivers tell.
enum ReaderProperties {
    static func check(_ bytes: [UInt8]) throws {
        _ = PCSCFeatures(bytes)
        _ = PCSCProperties(bytes)
        for family in [ChipIdentity.Family.pn531, .pn532, .pn533] {
            for type in [ContactlessActivation.Modulation.typeA, .typeB] {
                guard let targets = try? PassiveTargets(bytes, type: type, limit: 2, family: family) else {
                    continue
                }
                try hold(targets.found.count <= 2, "\(targets.found.count) targets")
                for found in targets.found {
                    try hold(
                        [4, 7, 10].contains(found.identifier.count),
                        "an identifier of \(found.identifier.count) bytes")
                    let atr = found.answerToReset
                    try hold(
                        atr.dropFirst().reduce(0, ^) == 0 && atr.count <= 20, "an ATR with a wrong check byte"
                    )
                }
            }
        }
        _ = ChipIdentity(Array(bytes.prefix(4)))
        for limit in [nil, 0, 100, 256, 261, 65_535] as [UInt32?] {
            let limits = APDULengthLimits(maximumDataSize: limit, cardChains: APDULengthLimits.chains(bytes))
            switch limits.plan(bytes) {
            case .send(let command): try hold(command.count <= max(bytes.count, 6), "a longer command")
            case .chain(let parts):
                let data = parts.flatMap { (try? CommandAPDU(parsing: $0))?.data ?? [] }
                let whole = try CommandAPDU(parsing: bytes)
                try hold(data == whole.data, "chained commands carry other data")
            case .refuse(let reason): try hold(!reason.isEmpty, "refused without words")
            }
        }
    }
}
