public import SmartCard

/// A contactless reader: attached through PC/SC or libnfc, emulated, replaying a trace, or on another
/// host. All look alike to the terminal.
public protocol CardReader: Sendable {
    var information: ReaderInformation { get }

    /// Powers the field, polls as Book D says, and activates the one card found.
    /// - Parameter deadline: when to give up; nil waits until a card comes or the task is cancelled.
    /// - Throws: `.noCard` at the deadline, `.collision`, `.cancelled`, `.activationFailed`,
    ///   `.readerUnavailable`.
    func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel

    /// Waits until the card that was activated last has left the field.
    /// - Returns: whether it left before the deadline.
    func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool

    /// Whether the card that was activated last may still be in the field, without waiting for it to leave. A reader that
    /// cannot tell one card from another says so of any card; one that is gone holds none.
    func mayHoldLastCard() async -> Bool

    /// Switches the field off (where the device lets us) and lets go of the card. Never fails: a reader
    /// that is gone has no field.
    func fieldOff() async

    /// Frees the device.
    func close() async

    /// Sets what is sent while a card is waited for.
    /// - Throws: `.readerUnavailable` where the reader cannot poll so: most poll by themselves.
    func usePolling(_ schedule: PollingSchedule) async throws(ReaderError)
}

extension CardReader {
    public func mayHoldLastCard() async -> Bool {
        let hasLeft = try? await awaitRemoval(deadline: .now + .milliseconds(100))
        await fieldOff()
        return hasLeft == false
    }

    public func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
        guard schedule != .standard else { return }
        throw .readerUnavailable(
            reader: information.name,
            reason: "this reader cannot poll as asked: it lets no single frames through and polls by itself")
    }
}

/// An activated card: command bytes in, response bytes out. One command at a time.
public protocol CardChannel: Sendable {
    var card: CardInformation { get }

    /// Sends one command APDU and gives the raw response, status word included. Runs where the caller runs: a change of
    /// executor for each command would cost more than what is around it.
    /// - Parameter timeout: the longest time to wait for the answer; nil is the reader's own limit.
    /// - Throws: `.cardTimeout`, `.cardRemoved`, `.transmission`, `.protocolViolation`,
    ///   `.readerUnavailable`, `.cancelled`.
    nonisolated(nonsending) func transmit(
        _ command: [UInt8], timeout: Duration?
    ) async throws(ReaderError) -> CardAnswer
}

/// A response and how long it took.
public struct CardAnswer: Sendable, Equatable {
    public var bytes: [UInt8]
    /// From handing over the command to having the answer, as exactly as the reader can tell.
    public var microseconds: UInt32
    public init(bytes: [UInt8], microseconds: UInt32) {
        self.bytes = bytes
        self.microseconds = microseconds
    }
}

/// What a reader is.
public struct ReaderInformation: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        case emulated, replay, pcsc, libnfc, remote
    }
    public var kind: Kind
    /// The name under which the reader is chosen, such as PC/SC's reader name.
    public var name: String
    public var vendor: String?
    public var serialNumber: String?
    public init(kind: Kind, name: String, vendor: String? = nil, serialNumber: String? = nil) {
        self.kind = kind
        self.name = name
        self.vendor = vendor
        self.serialNumber = serialNumber
    }
}

/// What is known of a card before the first command.
public struct CardInformation: Sendable, Equatable {
    /// Answer To Reset as PC/SC gives it, or built from the activation data.
    public var answerToReset: [UInt8]
    public var activation: ContactlessActivation?
    public init(answerToReset: [UInt8], activation: ContactlessActivation? = nil) {
        self.answerToReset = answerToReset
        self.activation = activation
    }
}

/// Why a reader could not do what it was asked.
public enum ReaderError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No card before the deadline.
    case noCard
    /// More than one card in the field.
    case collision
    /// A card came and could not be activated.
    case activationFailed(String)
    /// The card left the field (or was reset by another program).
    case cardRemoved
    /// The card did not answer in time.
    case cardTimeout
    /// The answer was damaged on its way.
    case transmission(String)
    /// The card or the reader answered against its protocol.
    case protocolViolation(String)
    /// The reader or its service is gone, or another program holds it; what to do is in the text.
    case readerUnavailable(reader: String, reason: String)
    case cancelled

    public var description: String {
        switch self {
        case .noCard: "no card was presented in time"
        case .collision: "more than one card is in the field: present one card only"
        case .activationFailed(let reason): "the card could not be activated: \(reason)"
        case .cardRemoved: "the card left the field"
        case .cardTimeout: "the card did not answer in time"
        case .transmission(let reason): "transmission error: \(reason)"
        case .protocolViolation(let reason): "protocol violation: \(reason)"
        case .readerUnavailable(let reader, let reason): "reader \(reader): \(reason)"
        case .cancelled: "cancelled"
        }
    }
}
