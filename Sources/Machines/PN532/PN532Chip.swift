public import SmartCard

/// A PN532 in software: bytes from the host in, bytes to the host out (NXP UM0701-02). It does no I/O and
/// knows no time; where the chip would take its time it says how long.
///
/// It offers what a reader of ISO/IEC 14443 cards needs, on the high-speed UART: framing, the commands named
/// in `Command`, cards of type A and B. Of the radio chip inside (CIU) the registers are kept, and those that
/// rule checksums, framing and bit counts have effect; frames sent by writing its FIFO register go nowhere.
/// Other commands are answered with the chip's syntax error.
///
/// Not Sendable, as it holds cards: whoever serves it uses it from one place at a time.
public struct PN532Chip {
    /// Commands of the chip, by their code (UM0701-02, 7).
    public enum Command: UInt8, Sendable, CaseIterable {
        case diagnose = 0x00
        case getFirmwareVersion = 0x02
        case getGeneralStatus = 0x04
        case readRegister = 0x06
        case writeRegister = 0x08
        case setParameters = 0x12
        case samConfiguration = 0x14
        case powerDown = 0x16
        case rfConfiguration = 0x32
        case inDataExchange = 0x40
        case inCommunicateThru = 0x42
        case inDeselect = 0x44
        case inListPassiveTarget = 0x4A
        case inRelease = 0x52
        case inSelect = 0x54
        case inAutoPoll = 0x60
    }

    /// Status bytes (UM0701-02, 7.1).
    enum Status: UInt8, Error {
        case success = 0x00
        case timeout = 0x01
        case checksum = 0x02
        case collision = 0x06
        case bufferTooSmall = 0x07
        case radioProtocol = 0x0B
        case invalidParameter = 0x10
        case notAcceptable = 0x27
    }

    /// What the chip sends, in order.
    public enum Output: Equatable, Sendable {
        case bytes([UInt8])
        /// The time that the chip, or the card, takes before what follows.
        case pause(Duration)
    }

    /// What the chip does upon some bytes.
    public struct Reaction: Equatable, Sendable {
        /// What was to be sent before and is not sent yet is dropped: the host took its command back.
        public var abandonsPending = false
        public var outputs: [Output] = []
    }

    enum Power: Equatable {
        /// After power-up or reset: only a wake-up is heard.
        case asleep
        case awake
        /// Sleeps, and the serial line does not wake it.
        case deaf
    }

    struct Target {
        var number: UInt8
        var card: FieldCard
        /// Set where the card speaks the block protocol.
        var session: TerminalBlockProtocol?
        var frameWaitingTime: Duration
        var isDeselected = false
        /// What the host has not fetched yet of a long response.
        var remainder: ArraySlice<UInt8> = []
    }

    struct Listing {
        var maximum: UInt8
        var rate: UInt8
        var data: [UInt8]
    }

    /// A command that goes on looking for cards.
    enum Search {
        case list(Listing)
        /// InAutoPoll: types of targets, and whether it ends by itself.
        case poll(types: [UInt8], endless: Bool)
    }

    public var faults: [PN532Fault]
    /// How often cards presented from now on ask for more time before each answer.
    public var waitingTimeExtensions = 0

    private var parser = PN532FrameParser()
    private(set) var power = Power.asleep
    private var lastAnswer: [UInt8]?
    var field = RadioField()
    /// The cards in the field.
    package var cards: [any VirtualCard] { field.cards.map(\.card) }
    var targets: [Target] = []
    /// What waits for a card.
    var search: Search?
    var registers: [UInt16: UInt8] = [:]
    var automaticRATS = true
    var activationRetries: UInt8 = 0xFF
    /// As RFConfiguration item 2 codes it: 100 us * 2^(n-1).
    var retryTimeout: UInt8 = 0x0A
    var samMode: UInt8 = 0x01
    var lastStatus: UInt8 = 0

    public init(faults: [PN532Fault] = []) {
        self.faults = faults
        reset()
    }

    // MARK: - The card's side

    /// The last frames sent into the field, checksums included, oldest first.
    public var sentFrames: [[UInt8]] { field.sent }
    public var hasCard: Bool { !field.cards.isEmpty }
    public var isFieldOn: Bool { field.isOn }

    /// Brings a card into the field; a second one makes a collision.
    public mutating func present(_ card: any VirtualCard) -> Reaction {
        field.present(FieldCard(card, waitingTimeExtensions: waitingTimeExtensions))
        var reaction = Reaction()
        switch search {
        case .list(let listing):
            guard let found = list(listing) else { break }
            search = nil
            send([Command.inListPassiveTarget.rawValue + 1] + found, &reaction)
        case .poll(let types, _):
            guard let found = poll(types) else { break }
            search = nil
            // In place of the answer "none", which is pending where the search ends by itself.
            reaction.abandonsPending = true
            send([Command.inAutoPoll.rawValue + 1] + found, &reaction)
        case nil: break
        }
        return reaction
    }

    /// All outputs of earlier reactions have gone out: a search that ends by itself has ended.
    public mutating func outputsAreSent() {
        if case .poll(_, endless: false) = search { search = nil }
    }

    /// Takes all cards out of the field, in the middle of whatever they do.
    public mutating func removeCards() { field.removeAll() }

    /// The chip loses power for a moment.
    public mutating func reset() {
        parser = PN532FrameParser()
        power = .asleep
        lastAnswer = nil
        search = nil
        targets = []
        field.setOn(false)
        automaticRATS = true
        activationRetries = 0xFF
        retryTimeout = 0x0A
        samMode = 0x01
        lastStatus = 0
        // The radio's checksums are on: libnfc relies on it as well.
        registers = [Register.txMode: 0x80, Register.rxMode: 0x80]
    }

    // MARK: - The host's side

    /// Takes bytes as they come from the line.
    public mutating func receive(_ bytes: some Sequence<UInt8>) -> Reaction {
        var reaction = Reaction()
        for byte in bytes {
            switch power {
            case .deaf: continue
            case .asleep:
                // The high-speed UART wakes upon 0x55 (UM0701-02, 6.3.2.3).
                if byte == 0x55 { power = .awake }
                continue
            case .awake: break
            }
            guard let result = parser.take(byte) else { continue }
            switch result {
            // Unconfirmed: that the chip keeps silent upon a frame that came damaged.
            case .failure: continue
            case .success(let frame): handle(frame, &reaction)
            }
        }
        return reaction
    }

    private mutating func handle(_ frame: PN532Frame, _ reaction: inout Reaction) {
        switch frame {
        case .acknowledge:
            // The host takes its command back (6.2.1.3), or confirms the answer.
            abandon(&reaction)
        case .notAcknowledge:
            if let lastAnswer { reaction.outputs.append(.bytes(lastAnswer)) }
        case .applicationError: break
        case .information(let identifier, let data):
            guard identifier == PN532Frame.fromHost, let code = data.first else { return }
            abandon(&reaction)
            run(code, data.dropFirst(), &reaction)
        }
    }

    private mutating func abandon(_ reaction: inout Reaction) {
        reaction.abandonsPending = true
        reaction.outputs = []
        search = nil
    }

    private mutating func send(_ data: [UInt8], _ reaction: inout Reaction) {
        let bytes = PN532Frame.information(identifier: PN532Frame.fromChip, data: data).bytes
        lastAnswer = bytes
        reaction.outputs.append(.bytes(bytes))
    }

    private mutating func run(_ code: UInt8, _ parameters: ArraySlice<UInt8>, _ reaction: inout Reaction) {
        var struck: [PN532Fault.Kind] = []
        for index in faults.indices where faults[index].strikes(code) { struck.append(faults[index].kind) }
        if struck.contains(.reset) {
            reset()
            return
        }
        if struck.contains(.cardLeaves) { field.removeAll() }
        if !struck.contains(.lostAcknowledge) {
            reaction.outputs.append(.bytes(PN532Frame.acknowledge.bytes))
        }

        var answer = Answer.syntaxError
        if let command = Command(rawValue: code) { answer = execute(command, Array(parameters)) }
        if struck.contains(.cardLeavesDuringCommand) {
            let waits = frameWaitingTime
            field.removeAll()
            answer = .data([Status.timeout.rawValue], after: waits)
        }

        for case .forgedAnswer(let data) in struck { answer = .data(data) }
        var pause = Duration.zero
        for case .slowAnswer(let time) in struck { pause += time }
        if case .data(_, let time) = answer { pause += time }
        if pause > .zero { reaction.outputs.append(.pause(pause)) }
        for case .nonsense(let bytes) in struck { reaction.outputs.append(.bytes(bytes)) }
        if struck.contains(.lostAnswer) || struck.contains(where: \.isNonsense) { return }
        switch answer {
        case .none: break
        case .syntaxError: reaction.outputs.append(.bytes(PN532Frame.applicationError.bytes))
        case .data(let data, _):
            send([code &+ 1] + data, &reaction)
            if struck.contains(.wrongChecksum), case .bytes(var bytes)? = reaction.outputs.last {
                bytes[bytes.count - 2] ^= 0x5A
                reaction.outputs[reaction.outputs.count - 1] = .bytes(bytes)
            }
        }
    }

    enum Answer {
        case data([UInt8], after: Duration = .zero)
        case syntaxError
        /// None, or not yet.
        case none
    }

    /// The longest time that the chip waits for the selected card.
    var frameWaitingTime: Duration { targets.first?.frameWaitingTime ?? timeout }

    /// How long a raw frame waits for its answer.
    var timeout: Duration {
        retryTimeout == 0 ? .zero : .microseconds(100 << min(15, Int(retryTimeout) - 1))
    }

    mutating func sleep(wakesBySerialLine: Bool) {
        power = wakesBySerialLine ? .asleep : .deaf
        parser = PN532FrameParser()
        field.setOn(false)
        targets = []
    }
}

extension PN532Fault.Kind {
    fileprivate var isNonsense: Bool {
        if case .nonsense = self { return true }
        return false
    }
}
