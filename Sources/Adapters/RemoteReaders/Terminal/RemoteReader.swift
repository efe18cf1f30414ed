public import CardReaders
internal import Foundation
internal import Synchronization

/// A reader on another machine, used like a local one.
///
/// It connects when it is first needed and again when the line dropped. A line that drops while no card is active
/// is restored in silence; one that drops with an active card ends that card with `.readerUnavailable`.
public final class RemoteReader: CardReader {
    public struct Options: Sendable {
        /// What the server and its people read; a certificate's name counts more.
        public var terminal: String
        /// The longest wait for a connection, TLS and introduction together.
        public var connectLimit: Duration = .seconds(6)
        /// How long a server that cannot be reached is tried again.
        public var patience: Duration = .seconds(10)
        /// The first pause between two attempts; it doubles.
        public var retryAfter: Duration = .milliseconds(100)
        /// What the line may add to each time limit.
        public var slack: Duration = .seconds(3)
        /// The longest wait for a command without a time limit: more than a server lets it last.
        public var commandLimit: Duration = .seconds(90)
        public init() { terminal = ProcessInfo.processInfo.hostName }
    }

    private struct State {
        var connection: TerminalConnection?
        var information: ReaderInformation
        /// What the terminal asked for; told again on each new line.
        var polling: PollingSchedule?
        var isClosed = false
    }

    public let address: RemoteReaderAddress
    private let credentials: TLSCredentials?
    private let options: Options
    /// Known to this object alone: with it, it takes its reader over from a line that dropped.
    private let token: [UInt8]
    private let state: Mutex<State>

    /// - Parameter credentials: of a terminal; nil reaches loopback addresses only.
    public init(address: RemoteReaderAddress, credentials: TLSCredentials?, options: Options = Options()) {
        self.address = address
        self.credentials = credentials
        self.options = options
        token = (0..<TerminalMessage.tokenCount).map { _ in UInt8.random(in: 0...255) }
        state = Mutex(State(information: ReaderInformation(kind: .remote, name: address.description)))
    }

    deinit { state.withLock { $0.connection }?.close() }

    /// With the reader's vendor and serial number once it was connected.
    public var information: ReaderInformation { state.withLock { $0.information } }

    /// Connects and takes the reader, to learn at once whether that is possible.
    /// - Throws: `.readerUnavailable`, `.cancelled`.
    public func connect() async throws(ReaderError) {
        do throws(LineFailure) {
            _ = try await attached()
        } catch {
            throw error.readerError(reader: address.description)
        }
    }

    // MARK: - CardReader

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        var pause = options.retryAfter
        var trouble: (since: ContinuousClock.Instant, last: ContinuousClock.Instant)?
        while true {
            let failure: LineFailure
            do throws(LineFailure) {
                let connection = try await attached()
                let span = deadline.map { max(.zero, ContinuousClock.now.duration(to: $0)) }
                switch await connection.request(
                    .activate(milliseconds: Self.milliseconds(span)), limit: span.map { $0 + options.slack })
                {
                case .success(.activated(let activation, let card)):
                    return Channel(
                        connection: connection, name: address.description, activation: activation,
                        card: card, slack: options.slack, commandLimit: options.commandLimit)
                case .success(let other): throw unexpected(other, connection)
                case .failure(let reason): throw reason
                }
            } catch {
                failure = error
            }
            guard failure.isTransient else { throw failure.readerError(reader: address.description) }
            // No card was active: nothing is lost but the line.
            let now = ContinuousClock.now
            if let last = trouble?.last, last.duration(to: now) > options.patience {
                trouble = nil
                pause = options.retryAfter
            }
            trouble = (trouble?.since ?? now, now)
            let end = min((trouble?.since ?? now) + options.patience, deadline ?? .now + .seconds(86400))
            guard now + pause < end else { throw failure.readerError(reader: address.description) }
            do {
                try await Task.sleep(for: pause)
            } catch {
                throw .cancelled
            }
            pause = min(pause * 2, .seconds(2))
        }
    }

    public func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
        do throws(LineFailure) {
            let isSet = state.withLock { $0.polling != nil }
            // A reader polls so anyway.
            if schedule == .standard, !isSet { return }
            try await poll(schedule, try await attached())
            state.withLock { $0.polling = schedule == .standard ? nil : schedule }
        } catch {
            throw error.readerError(reader: address.description)
        }
    }

    private func poll(_ schedule: PollingSchedule, _ connection: TerminalConnection) async throws(LineFailure)
    {
        guard schedule.steps.count <= Wire.pollingLimit else {
            throw .hopeless("a polling schedule of \(schedule.steps.count) steps cannot be sent")
        }
        switch await connection.request(.poll(schedule), limit: options.slack) {
        case .success(.done): return
        case .success(let other): throw unexpected(other, connection)
        case .failure(let reason): throw reason
        }
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        let name = address.description
        guard let connection = state.withLock({ $0.connection }) else {
            throw .readerUnavailable(reader: name, reason: "it is not connected")
        }
        let span = deadline.map { max(.zero, ContinuousClock.now.duration(to: $0)) }
        switch await connection.request(
            .awaitRemoval(milliseconds: Self.milliseconds(span)), limit: span.map { $0 + options.slack })
        {
        case .success(.removal(let left)): return left
        case .success(let other): throw unexpected(other, connection).readerError(reader: name)
        case .failure(let failure): throw failure.readerError(reader: name)
        }
    }

    public func fieldOff() async {
        // A line that is gone has switched the field off at its other end.
        guard let connection = state.withLock({ $0.connection }), connection.ended == nil else { return }
        // Not stopped by the payment's cancellation: the field must not stay on.
        _ = await Task { await connection.request(.fieldOff, limit: options.slack) }.value
    }

    public func close() async {
        let connection = state.withLock { state in
            state.isClosed = true
            defer { state.connection = nil }
            return state.connection
        }
        guard let connection, connection.ended == nil else { return }
        _ = await Task { await connection.request(.detach, limit: options.slack) }.value
        connection.close()
    }

    // MARK: - The line

    private func attached() async throws(LineFailure) -> TerminalConnection {
        let (current, isClosed) = state.withLock { ($0.connection, $0.isClosed) }
        if isClosed { throw .hopeless("it was closed") }
        if let current, current.ended == nil { return current }
        let (connection, welcome) = try await TerminalConnection.open(
            address, credentials: credentials,
            greeting: .init(token: token, name: options.terminal, limit: options.connectLimit))
        do throws(LineFailure) {
            let offered = try Self.choose(address.reader, welcome, address)
            switch await connection.request(
                .attach(reader: offered.name), limit: ServerConnection.takeOverPatience + options.slack)
            {
            case .success(.done): break
            case .success(let other): throw unexpected(other, connection)
            case .failure(let reason): throw reason
            }
            if let polling = state.withLock({ $0.polling }) { try await poll(polling, connection) }
            let isClosed = state.withLock { state in
                guard !state.isClosed else { return true }
                state.connection = connection
                state.information.vendor = offered.vendor
                state.information.serialNumber = offered.serialNumber
                return false
            }
            if isClosed { throw .hopeless("it was closed") }
            return connection
        } catch {
            connection.close()
            throw error
        }
    }

    /// The one reader that fits, as `PCSCContext.reader(matching:)` chooses among local ones.
    static func choose(
        _ name: String?, _ welcome: TerminalConnection.Welcome, _ address: RemoteReaderAddress
    ) throws(LineFailure) -> OfferedReader {
        let all = welcome.readers
        let list = all.isEmpty ? "none" : all.map(\.name).joined(separator: ", ")
        guard let name else {
            guard all.count == 1, let only = all.first else {
                throw all.isEmpty
                    ? .lost("\(address.server) offers no reader now")
                    : .hopeless("\(address.server) offers several readers, name one: \(list)")
            }
            return only
        }
        if let exact = all.first(where: { $0.name == name }) { return exact }
        let found = all.filter { $0.name.lowercased().contains(name.lowercased()) }
        guard let only = found.first else {
            // It may be plugged in again.
            throw .lost("\(address.server) offers no such reader; readers: \(list)")
        }
        guard found.count == 1 else {
            throw .hopeless("the name fits several readers: \(found.map(\.name).joined(separator: ", "))")
        }
        return only
    }

    /// Milliseconds for the wire, rounded up.
    fileprivate static func milliseconds(_ span: Duration?) -> UInt32? {
        guard let span else { return nil }
        let (seconds, attoseconds) = span.components
        guard seconds < 4_000_000 else { return nil }
        return UInt32(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    private func unexpected(_ message: ServerMessage, _ connection: TerminalConnection) -> LineFailure {
        Self.unexpected(message, connection)
    }

    /// A fault is an answer; anything else that was not asked for ends the line.
    static func unexpected(
        _ message: ServerMessage, _ connection: TerminalConnection
    ) -> LineFailure {
        if case .fault(let fault) = message { return .refused(fault) }
        connection.close()
        return .hopeless("the server answers something else than it was asked")
    }

    private struct Channel: CardChannel {
        let connection: TerminalConnection
        let name: String
        let activation: UInt32
        let card: CardInformation
        let slack: Duration
        let commandLimit: Duration

        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            guard !command.isEmpty, command.count <= Wire.commandLimit else {
                throw .transmission("a command of \(command.count) bytes cannot be sent")
            }
            let answer = await connection.request(
                .transmit(
                    activation: activation,
                    milliseconds: RemoteReader.milliseconds(timeout.map { max($0, .milliseconds(1)) }),
                    command: command), limit: timeout.map { $0 + slack } ?? commandLimit)
            switch answer {
            case .success(.answer(let microseconds, let response)):
                return CardAnswer(bytes: response, microseconds: microseconds)
            case .success(let other):
                throw RemoteReader.unexpected(other, connection).readerError(reader: name)
            case .failure(.timedOut): throw .cardTimeout
            case .failure(let failure): throw failure.readerError(reader: name)
            }
        }
    }
}
