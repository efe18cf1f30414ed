public import CardReaders
internal import SmartCard

/// What a terminal asks of a server. Each is answered once, under the same request id, with what its
/// documentation names or with `ServerMessage.fault`.
public enum TerminalMessage: WireMessage {
    /// The first message. Answer: `welcome`.
    /// - versions: the protocol versions that the terminal speaks.
    /// - token: 16 random bytes of this terminal's run: with them it takes its reader over from a line of its
    ///   own that dropped.
    case hello(versions: ClosedRange<UInt8>, token: [UInt8], name: String)
    /// Events of all readers from now on, beginning with what is there. Answer: `done`, then `event`s under
    /// this request's id.
    case watch
    /// Takes a reader for this connection. Answer: `done`.
    case attach(reader: String)
    /// Switches the field off and frees the reader. Answer: `done`.
    case detach
    /// Waits for a card and activates it. Answer: `activated`.
    /// - milliseconds: nil waits for ever.
    case activate(milliseconds: UInt32?)
    /// One command APDU. Answer: `answer`.
    /// - activation: the number that `activated` gave; a later activation ends it.
    /// - milliseconds: nil is the reader's own limit.
    case transmit(activation: UInt32, milliseconds: UInt32?, command: [UInt8])
    /// Answer: `removal`.
    case awaitRemoval(milliseconds: UInt32?)
    /// Answer: `done`.
    case fieldOff
    /// What the reader sends while it waits for a card, until it is freed. At most `Wire.pollingLimit` steps with
    /// frames of at most 255 bytes. Answer: `done`.
    case poll(PollingSchedule)
    /// Nobody waits for the answer of this request any more. Has no answer of its own; the cancelled request
    /// is answered all the same.
    case cancel(request: UInt32)

    public func encoded(id: UInt32) -> [UInt8] {
        var writer = WireWriter(type: type, id: id)
        switch self {
        case .hello(let versions, let token, let name):
            writer.raw(Wire.magic)
            writer.byte(versions.lowerBound)
            writer.byte(versions.upperBound)
            writer.raw((token + [UInt8](repeating: 0, count: Self.tokenCount)).prefix(Self.tokenCount))
            writer.text(name, limit: Wire.nameLimit)
        case .watch, .detach, .fieldOff: break
        case .attach(let reader): writer.text(reader, limit: Wire.nameLimit)
        case .activate(let milliseconds), .awaitRemoval(let milliseconds):
            writer.number32(milliseconds ?? Wire.forever)
        case .transmit(let activation, let milliseconds, let command):
            writer.number32(activation)
            writer.number32(milliseconds ?? Wire.forever)
            writer.raw(command)
        case .poll(let schedule):
            let steps = schedule.steps.prefix(Wire.pollingLimit)
            writer.byte(UInt8(truncatingIfNeeded: steps.count))
            for step in steps {
                switch step {
                case .typeA: writer.byte(1)
                case .typeB: writer.byte(2)
                case .typeF: writer.byte(3)
                case .typeV: writer.byte(4)
                case .frame(let bytes):
                    writer.byte(5)
                    writer.short(bytes)
                case .pause(let milliseconds):
                    writer.byte(6)
                    writer.number16(Int(milliseconds))
                }
            }
        case .cancel(let request): writer.number32(request)
        }
        return writer.finish()
    }

    public static let tokenCount = 16

    private var type: UInt8 {
        switch self {
        case .hello: 0x01
        case .watch: 0x02
        case .attach: 0x03
        case .detach: 0x04
        case .activate: 0x05
        case .transmit: 0x06
        case .awaitRemoval: 0x07
        case .fieldOff: 0x08
        case .cancel: 0x09
        case .poll: 0x0A
        }
    }

    public static func decode(
        type: UInt8, payload: ArraySlice<UInt8>, frameStart: Int
    ) throws(WireError) -> Self? {
        var reader = WireReader(payload, start: frameStart)
        let message: Self
        func limit(_ value: UInt32) -> UInt32? { value == Wire.forever ? nil : value }
        switch type {
        case 0x01:
            let at = reader.offset
            guard try reader.bytes(4, "magic").elementsEqual(Wire.magic) else {
                throw .invalid(field: "magic", offset: at, reason: "not a terminal of this protocol")
            }
            let versionOffset = reader.offset
            let least = try reader.byte("least version")
            let greatest = try reader.byte("greatest version")
            guard least <= greatest else {
                throw .invalid(
                    field: "versions", offset: versionOffset, reason: "from \(least) to \(greatest)")
            }
            message = .hello(
                versions: least...greatest, token: Array(try reader.bytes(tokenCount, "token")),
                name: try reader.text("name", limit: Wire.nameLimit))
        case 0x02: message = .watch
        case 0x03: message = .attach(reader: try reader.text("reader", limit: Wire.nameLimit))
        case 0x04: message = .detach
        case 0x05: message = .activate(milliseconds: limit(try reader.number32("waiting time")))
        case 0x06:
            let activation = try reader.number32("activation")
            let milliseconds = limit(try reader.number32("time limit"))
            let at = reader.offset
            let command = reader.rest()
            guard !command.isEmpty else { throw .truncated(field: "command", offset: at) }
            message = .transmit(activation: activation, milliseconds: milliseconds, command: command)
        case 0x07: message = .awaitRemoval(milliseconds: limit(try reader.number32("waiting time")))
        case 0x08: message = .fieldOff
        case 0x09: message = .cancel(request: try reader.number32("request"))
        case 0x0A:
            let countOffset = reader.offset
            let count = Int(try reader.byte("number of steps"))
            guard count <= Wire.pollingLimit else {
                throw .invalid(
                    field: "number of steps", offset: countOffset,
                    reason: "\(count), at most \(Wire.pollingLimit) are allowed")
            }
            var steps: [PollingSchedule.Step] = []
            for _ in 0..<count {
                let at = reader.offset
                switch try reader.byte("step") {
                case 1: steps.append(.typeA)
                case 2: steps.append(.typeB)
                case 3: steps.append(.typeF)
                case 4: steps.append(.typeV)
                case 5: steps.append(.frame(try reader.short("frame")))
                case 6: steps.append(.pause(milliseconds: UInt16(clamping: try reader.number16("pause"))))
                case let other: throw .invalid(field: "step", offset: at, reason: "\(other) is none")
                }
            }
            message = .poll(PollingSchedule(steps: steps))
        default: return nil
        }
        try reader.end()
        return message
    }
}

/// A reader as a server offers it.
public struct OfferedReader: Sendable, Equatable, Codable {
    /// What a terminal calls it.
    public var name: String
    public var kind: ReaderInformation.Kind
    public var vendor: String?
    public var serialNumber: String?
    /// Whether a terminal holds it now.
    public var isBusy: Bool
    public init(
        name: String, kind: ReaderInformation.Kind, vendor: String? = nil, serialNumber: String? = nil,
        isBusy: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.vendor = vendor
        self.serialNumber = serialNumber
        self.isBusy = isBusy
    }
}

/// What a server answers and tells.
public enum ServerMessage: WireMessage {
    /// - heartbeat: milliseconds after which each side says something.
    case welcome(version: UInt8, heartbeat: UInt32, name: String, readers: [OfferedReader])
    case done
    /// - activation: number of this activation within the connection.
    case activated(activation: UInt32, card: CardInformation)
    case answer(microseconds: UInt32, response: [UInt8])
    /// Whether the card left in time.
    case removal(Bool)
    case event(ReaderEvent)
    /// Under id 0 it concerns the connection, which is then closed.
    case fault(RemoteFault)

    public func encoded(id: UInt32) -> [UInt8] {
        switch self {
        case .welcome(let version, let heartbeat, let name, let readers):
            var writer = WireWriter(type: 0x81, id: id, capacity: 512)
            writer.byte(version)
            writer.number32(heartbeat)
            writer.text(name, limit: Wire.nameLimit)
            let offered = readers.prefix(Wire.readerLimit)
            writer.byte(UInt8(truncatingIfNeeded: offered.count))
            for reader in offered {
                writer.text(reader.name, limit: Wire.nameLimit)
                writer.byte(Self.number(of: reader.kind))
                writer.text(reader.vendor ?? "", limit: Wire.nameLimit)
                writer.text(reader.serialNumber ?? "", limit: Wire.nameLimit)
                writer.flag(reader.isBusy)
            }
            return writer.finish()
        case .done: return WireWriter(type: 0x82, id: id).finish()
        case .activated(let activation, let card):
            var writer = WireWriter(type: 0x83, id: id)
            writer.number32(activation)
            writer.short(card.answerToReset)
            writer.flag(card.activation != nil)
            if let activation = card.activation {
                writer.byte(activation.modulation == .typeA ? 0x41 : 0x42)
                writer.short(activation.identifier)
                writer.short(activation.atqa)
                writer.byte(activation.sak)
                writer.short(activation.ats)
            }
            return writer.finish()
        case .answer(let microseconds, let response):
            var writer = WireWriter(type: 0x84, id: id, capacity: 4 + response.count)
            writer.number32(microseconds)
            writer.raw(response)
            return writer.finish()
        case .removal(let left):
            var writer = WireWriter(type: 0x85, id: id)
            writer.flag(left)
            return writer.finish()
        case .event(let event):
            var writer = WireWriter(type: 0x86, id: id)
            switch event {
            case .readerAdded(let state):
                writer.byte(1)
                writer.text(state.name, limit: Wire.nameLimit)
                writer.flag(state.answerToReset != nil)
                writer.short(state.answerToReset ?? [])
                writer.flag(state.isExclusivelyUsed)
            case .readerRemoved(let name):
                writer.byte(2)
                writer.text(name, limit: Wire.nameLimit)
            case .cardInserted(let reader, let answerToReset):
                writer.byte(3)
                writer.text(reader, limit: Wire.nameLimit)
                writer.short(answerToReset)
            case .cardRemoved(let reader):
                writer.byte(4)
                writer.text(reader, limit: Wire.nameLimit)
            case .serviceLost(let reason):
                writer.byte(5)
                writer.text(reason, limit: Wire.reasonLimit)
            case .serviceFound: writer.byte(6)
            }
            return writer.finish()
        case .fault(let fault):
            var writer = WireWriter(type: 0x8F, id: id)
            writer.byte(fault.code.rawValue)
            writer.text(fault.reason, limit: Wire.reasonLimit)
            return writer.finish()
        }
    }

    public static func decode(
        type: UInt8, payload: ArraySlice<UInt8>, frameStart: Int
    ) throws(WireError) -> Self? {
        var reader = WireReader(payload, start: frameStart)
        let message: Self
        switch type {
        case 0x81:
            let version = try reader.byte("version")
            let heartbeat = try reader.number32("heartbeat")
            let name = try reader.text("name", limit: Wire.nameLimit)
            var readers: [OfferedReader] = []
            for _ in 0..<(try reader.byte("number of readers")) {
                let name = try reader.text("reader", limit: Wire.nameLimit)
                let at = reader.offset
                let number = try reader.byte("kind")
                guard
                    let kind = ReaderInformation.Kind.allCases.first(where: { Self.number(of: $0) == number })
                else {
                    throw .invalid(field: "kind", offset: at, reason: "\(number) is none")
                }
                let vendor = try reader.text("vendor", limit: Wire.nameLimit)
                let serialNumber = try reader.text("serial number", limit: Wire.nameLimit)
                readers.append(
                    OfferedReader(
                        name: name, kind: kind, vendor: vendor.isEmpty ? nil : vendor,
                        serialNumber: serialNumber.isEmpty ? nil : serialNumber,
                        isBusy: try reader.flag("busy")))
            }
            message = .welcome(version: version, heartbeat: heartbeat, name: name, readers: readers)
        case 0x82: message = .done
        case 0x83:
            let number = try reader.number32("activation")
            var card = CardInformation(answerToReset: try reader.short("answer to reset"))
            if try reader.flag("activation data") {
                let at = reader.offset
                let modulation: ContactlessActivation.Modulation
                switch try reader.byte("modulation") {
                case 0x41: modulation = .typeA
                case 0x42: modulation = .typeB
                case let other:
                    throw .invalid(field: "modulation", offset: at, reason: "\(other) is none")
                }
                card.activation = ContactlessActivation(
                    modulation: modulation, identifier: try reader.short("identifier"),
                    atqa: try reader.short("ATQA"), sak: try reader.byte("SAK"),
                    ats: try reader.short("ATS"))
            }
            message = .activated(activation: number, card: card)
        case 0x84:
            message = .answer(microseconds: try reader.number32("time"), response: reader.rest())
        case 0x85: message = .removal(try reader.flag("removal"))
        case 0x86:
            let at = reader.offset
            switch try reader.byte("event") {
            case 1:
                let name = try reader.text("reader", limit: Wire.nameLimit)
                let hasCard = try reader.flag("card")
                let answerToReset = try reader.short("answer to reset")
                message = .event(
                    .readerAdded(
                        ReaderListing(
                            name: name, answerToReset: hasCard ? answerToReset : nil,
                            isExclusivelyUsed: try reader.flag("in use"))))
            case 2:
                message = .event(.readerRemoved(name: try reader.text("reader", limit: Wire.nameLimit)))
            case 3:
                message = .event(
                    .cardInserted(
                        reader: try reader.text("reader", limit: Wire.nameLimit),
                        answerToReset: try reader.short("answer to reset")))
            case 4:
                message = .event(.cardRemoved(reader: try reader.text("reader", limit: Wire.nameLimit)))
            case 5:
                message = .event(.serviceLost(reason: try reader.text("reason", limit: Wire.reasonLimit)))
            case 6: message = .event(.serviceFound)
            case let other: throw .invalid(field: "event", offset: at, reason: "\(other) is none")
            }
        case 0x8F:
            let at = reader.offset
            let number = try reader.byte("code")
            guard let code = RemoteFault.Code(rawValue: number) else {
                throw .invalid(field: "code", offset: at, reason: "\(number) is none")
            }
            message = .fault(
                RemoteFault(code: code, reason: try reader.text("reason", limit: Wire.reasonLimit)))
        default: return nil
        }
        try reader.end()
        return message
    }

    private static func number(of kind: ReaderInformation.Kind) -> UInt8 {
        switch kind {
        case .emulated: 1
        case .replay: 2
        case .pcsc: 3
        case .libnfc: 4
        case .remote: 5
        }
    }
}

/// Why a request failed, or why the server closes a connection.
public struct RemoteFault: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: UInt8, Sendable, CaseIterable {
        // The reader protocol's own errors.
        case noCard = 1
        case collision = 2
        case activationFailed = 3
        case cardRemoved = 4
        case cardTimeout = 5
        case transmission = 6
        case protocolViolation = 7
        case readerUnavailable = 8
        case cancelled = 9
        // The server's.
        case unsupportedVersion = 32
        case unknownReader = 33
        /// Another terminal holds the reader.
        case busy = 34
        /// A request that needs a reader came without one.
        case notAttached = 35
        /// Too many requests at once, a second hello, a second reader.
        case outOfTurn = 36
        /// Bytes against the protocol.
        case malformed = 37
        /// The certificate is good, but its terminal is not on the list.
        case notAllowed = 38
        /// The server stops, or is full, or this terminal came anew over another line.
        case closing = 39
    }
    public var code: Code
    /// For people; may be empty where the code says all.
    public var reason: String
    public init(code: Code, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    public init(_ error: ReaderError) {
        switch error {
        case .noCard: self.init(code: .noCard)
        case .collision: self.init(code: .collision)
        case .activationFailed(let reason): self.init(code: .activationFailed, reason: reason)
        case .cardRemoved: self.init(code: .cardRemoved)
        case .cardTimeout: self.init(code: .cardTimeout)
        case .transmission(let reason): self.init(code: .transmission, reason: reason)
        case .protocolViolation(let reason): self.init(code: .protocolViolation, reason: reason)
        case .readerUnavailable(_, let reason): self.init(code: .readerUnavailable, reason: reason)
        case .cancelled: self.init(code: .cancelled)
        }
    }

    /// What the terminal's own call throws.
    public func readerError(reader: String) -> ReaderError {
        switch code {
        case .noCard: .noCard
        case .collision: .collision
        case .activationFailed: .activationFailed(reason)
        case .cardRemoved: .cardRemoved
        case .cardTimeout: .cardTimeout
        case .transmission: .transmission(reason)
        case .protocolViolation: .protocolViolation(reason)
        case .cancelled: .cancelled
        case .readerUnavailable: .readerUnavailable(reader: reader, reason: reason)
        case .unsupportedVersion, .unknownReader, .busy, .notAttached, .outOfTurn, .malformed, .notAllowed,
            .closing:
            .readerUnavailable(reader: reader, reason: description)
        }
    }

    public var description: String {
        let words =
            switch code {
            case .noCard: "no card"
            case .collision: "collision"
            case .activationFailed: "activation failed"
            case .cardRemoved: "card removed"
            case .cardTimeout: "card timeout"
            case .transmission: "transmission error"
            case .protocolViolation: "protocol violation"
            case .readerUnavailable: "reader unavailable"
            case .cancelled: "cancelled"
            case .unsupportedVersion: "the server speaks another version of the protocol"
            case .unknownReader: "the server offers no such reader"
            case .busy: "another terminal uses the reader"
            case .notAttached: "no reader was taken"
            case .outOfTurn: "a request out of turn"
            case .malformed: "the server cannot read what it was sent"
            case .notAllowed: "this terminal is not allowed here"
            case .closing: "the server closes the connection"
            }
        return reason.isEmpty ? words : "\(words): \(reason)"
    }
}
