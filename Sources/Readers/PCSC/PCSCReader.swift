internal import CPCSC
internal import Synchronization

/// A reader attached through PC/SC (libpcsclite, pcscd).
///
/// PC/SC hides the field: two cards at once look to it like one, a mute one or none, so `.collision` is
/// never thrown.
public final class PCSCReader: CardReader {
    public struct Options: Sendable {
        /// Whether other programs may talk to the card at the same time. A payment is not to be disturbed.
        public var isExclusive = true
        /// T=1 (every contactless card) and T=0.
        public var allowsT0 = true
        public init(isExclusive: Bool = true, allowsT0: Bool = true) {
            self.isExclusive = isExclusive
            self.allowsT0 = allowsT0
        }
    }

    public let information: ReaderInformation
    private let thread = BlockingThread(name: "pcsc reader")
    private let device: PCSCDevice
    /// The connection as of now, for `SCardCancel` from outside the thread.
    private let connection: Mutex<PCSCConnection?>

    /// - Parameter name: the full name as `PCSCContext.readers()` lists it. The reader need not be there yet.
    public init(name: String, options: Options = Options()) {
        information = ReaderInformation(kind: .pcsc, name: name)
        device = PCSCDevice(name: name, options: options)
        connection = Mutex(nil)
    }

    /// A task that prefers this executor (`withTaskExecutorPreference`) talks to the card without a change
    /// of thread. Its time limit per command is then the reader's own.
    public var executor: any TaskExecutor { thread }

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        let activated = try await perform(
            deadline: deadline, late: .noCard
        ) { [device, self] isAbandoned throws(ReaderError) in
            try device.activate(
                deadline: deadline, isAbandoned: isAbandoned,
                connected: { connection in self.connection.withLock { $0 = connection } })
        }
        return Channel(reader: self, generation: activated.generation, card: activated.card)
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        do {
            return try await perform(
                deadline: deadline, late: .noCard
            ) { [device] isAbandoned throws(ReaderError) in
                try device.awaitRemoval(deadline: deadline, isAbandoned: isAbandoned)
            }
        } catch .noCard {
            return false
        }
    }

    public func fieldOff() async {
        _ = await thread.perform(deadline: .now + .seconds(2)) { [device] _ in device.powerDown() }
    }

    public func close() async {
        _ = await thread.perform(deadline: .now + .seconds(2)) { [device] _ in device.close() }
        connection.withLock { $0 = nil }
    }

    /// Does something with the device on its thread, or here where this is its thread.
    private func perform<Value: Sendable>(
        deadline: ContinuousClock.Instant?, late: ReaderError,
        _ body: @escaping @Sendable (_ isAbandoned: () -> Bool) throws(ReaderError) -> Value
    ) async throws(ReaderError) -> Value {
        if thread.isCurrent { return try body { Task.isCancelled } }
        let work: @Sendable (BlockingThread.Call<Result<Value, ReaderError>>) -> Result<Value, ReaderError> =
            { call in
                do throws(ReaderError) {
                    return .success(try body { call.isAbandoned })
                } catch {
                    return .failure(error)
                }
            }
        let completion = await thread.perform(
            deadline: deadline, abandon: { self.connection.withLock { $0 }?.cancel() }, work)
        switch completion {
        case .value(let result): return try result.get()
        case .timedOut(began: true): throw late
        case .timedOut(began: false):
            throw .readerUnavailable(
                reader: information.name,
                reason:
                    "it is still busy with a command that the card never answered: take the card away or restart pcscd"
            )
        case .cancelled: throw .cancelled
        }
    }

    private struct Channel: CardChannel {
        let reader: PCSCReader
        let generation: Int
        let card: CardInformation

        func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            let device = reader.device
            if reader.thread.isCurrent {
                return try device.transmit(command, generation: generation)
            }
            let completion = await reader.thread.perform(
                deadline: timeout.map { .now + $0 }
            ) { [generation] _ -> Result<CardAnswer, ReaderError> in
                do throws(ReaderError) {
                    return .success(try device.transmit(command, generation: generation))
                } catch {
                    return .failure(error)
                }
            }
            switch completion {
            case .value(let result): return try result.get()
            case .timedOut:
                device.giveUp(generation)
                throw .cardTimeout
            case .cancelled:
                device.giveUp(generation)
                throw .cancelled
            }
        }
    }
}

/// The C side of a reader.
// Everything but `abandoned` is only touched on the reader's thread.
private final class PCSCDevice: @unchecked Sendable {
    private let name: String
    private let options: PCSCReader.Options
    private var connection: PCSCConnection?
    private var card: SCARDHANDLE?
    private var request = SCARD_IO_REQUEST()
    /// Counts activations; a channel of an earlier one is dead.
    private var generation = 0
    /// The activation whose command nobody waited for to its end: the card's state is not known any more.
    private let abandoned = Atomic<Int>(-1)

    /// Longest response: 65536 data bytes and the status word, as libpcsclite's own limit has it.
    private static let capacity = 65548
    private let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: PCSCDevice.capacity)

    init(name: String, options: PCSCReader.Options) {
        self.name = name
        self.options = options
    }
    deinit {
        disconnect(SCARD_UNPOWER_CARD)
        buffer.deallocate()
    }

    private var share: DWORD { DWORD(options.isExclusive ? SCARD_SHARE_EXCLUSIVE : SCARD_SHARE_SHARED) }
    private var protocols: DWORD {
        DWORD(SCARD_PROTOCOL_T1) | (options.allowsT0 ? DWORD(SCARD_PROTOCOL_T0) : 0)
    }

    /// The daemon went away: forget what it knew.
    private func fail(_ status: PCSCStatus) -> ReaderError {
        if status.meansNoService {
            card = nil
            connection = nil
        }
        return status.error(reader: name)
    }

    private func connect() throws(ReaderError) -> PCSCConnection {
        if let connection { return connection }
        do throws(PCSCStatus) {
            let new = try PCSCConnection()
            connection = new
            return new
        } catch {
            throw error.error(reader: name)
        }
    }

    private func disconnect(_ disposition: Int32) {
        if let card { SCardDisconnect(card, DWORD(disposition)) }
        card = nil
    }

    func activate(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool,
        connected: (PCSCConnection) -> Void
    ) throws(ReaderError) -> (generation: Int, card: CardInformation) {
        let hadConnection = connection != nil
        var connection = try connect()
        connected(connection)
        generation += 1
        if let card {
            // A restart with the card still in the field.
            var active = DWORD()
            let status = PCSCStatus(
                SCardReconnect(card, share, protocols, DWORD(SCARD_RESET_CARD), &active))
            if status == .success { return try begin(active) }
            disconnect(SCARD_RESET_CARD)
        }
        var state = PCSCConnection.ReaderState(name: name)
        var isFirst = true
        while true {
            do throws(PCSCStatus) {
                try wait(&state, connection, deadline: isFirst ? .now : deadline)
            } catch {
                // The daemon was started anew since the last tap: one more attempt, with a new connection.
                if isFirst, hadConnection, error.meansNoService {
                    self.connection = nil
                    connection = try connect()
                    connected(connection)
                    isFirst = false
                    continue
                }
                if error != .cancelled { throw fail(error) }
            }
            isFirst = false
            if isAbandoned() { throw .cancelled }
            if state.isGone { throw PCSCStatus.unknownReader.error(reader: name) }
            if state.isMute {
                throw .activationFailed("the card does not answer: take it away and present it again")
            }
            if state.isPresent {
                var handle = SCARDHANDLE()
                var active = DWORD()
                let status = PCSCStatus(
                    SCardConnect(connection.context, name, share, protocols, &handle, &active))
                if status == .success {
                    card = handle
                    if isAbandoned() {
                        disconnect(SCARD_UNPOWER_CARD)
                        throw .cancelled
                    }
                    return try begin(active)
                }
                if !status.meansNoCard { throw fail(status) }
                // It left between the two calls; the state is asked for anew.
                state.known = 0
            }
            if let deadline, deadline <= .now { throw .noCard }
        }
    }

    /// Waits for a change for a short while.
    private func wait(
        _ state: inout PCSCConnection.ReaderState, _ connection: PCSCConnection,
        deadline: ContinuousClock.Instant?
    ) throws(PCSCStatus) {
        var span = PCSCConnection.slice
        if let deadline { span = min(span, max(.zero, ContinuousClock.now.duration(to: deadline))) }
        var states = [state]
        let milliseconds =
            span == .zero ? 0 : Int(span.components.attoseconds / 1_000_000_000_000_000) + 1
        _ = try connection.waitForChange(&states, milliseconds: milliseconds)
        state = states[0]
    }

    private func begin(_ active: DWORD) throws(ReaderError) -> (generation: Int, card: CardInformation) {
        guard let card else { throw .cardRemoved }
        request.dwProtocol = active
        request.cbPciLength = DWORD(MemoryLayout<SCARD_IO_REQUEST>.size)
        var atr = [UInt8](repeating: 0, count: 33)
        var count = DWORD(atr.count)
        var nameCount = DWORD()
        let status = PCSCStatus(SCardStatus(card, nil, &nameCount, nil, nil, &atr, &count))
        guard status == .success else {
            disconnect(SCARD_RESET_CARD)
            throw fail(status)
        }
        return (generation, CardInformation(answerToReset: Array(atr.prefix(Int(count)))))
    }

    func transmit(_ command: [UInt8], generation: Int) throws(ReaderError) -> CardAnswer {
        guard generation == self.generation, let card,
            abandoned.load(ordering: .relaxed) != generation
        else { throw .cardRemoved }
        var length = command.count
        // T=0 knows no Le beside data (ISO/IEC 7816-3, 12.2.4): the card answers 61xx instead.
        if request.dwProtocol == DWORD(SCARD_PROTOCOL_T0), length > 5, command[4] != 0,
            length == Int(command[4]) + 6
        {
            length -= 1
        }
        var received = DWORD(Self.capacity)
        let start = ContinuousClock.now
        let status = PCSCStatus(
            SCardTransmit(card, &request, command, DWORD(length), nil, buffer, &received))
        guard status == .success else { throw fail(status) }
        // Some drivers report success, and nothing, when the card left meanwhile.
        guard received > 0 else {
            throw isPresent(card) ? .transmission("the reader gave no bytes") : .cardRemoved
        }
        let elapsed = start.duration(to: .now).components
        return CardAnswer(
            bytes: Array(UnsafeBufferPointer(start: buffer, count: min(Int(received), Self.capacity))),
            microseconds: UInt32(
                clamping: elapsed.seconds * 1_000_000 + elapsed.attoseconds / 1_000_000_000_000))
    }

    private func isPresent(_ card: SCARDHANDLE) -> Bool {
        var state = DWORD()
        var nameCount = DWORD()
        let status = PCSCStatus(SCardStatus(card, nil, &nameCount, &state, nil, nil, nil))
        return status == .success && state & DWORD(SCARD_PRESENT) != 0
    }

    /// Nobody waits for the running command of this activation any more. Callable from any thread.
    func giveUp(_ generation: Int) { abandoned.store(generation, ordering: .relaxed) }

    func awaitRemoval(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> Bool {
        // Without a daemon there is no card either.
        guard let connection else { return true }
        var state = PCSCConnection.ReaderState(name: name)
        var isFirst = true
        while true {
            do throws(PCSCStatus) {
                try wait(&state, connection, deadline: isFirst ? .now : deadline)
            } catch {
                if error == .unknownReader { return true }
                if error != .cancelled { throw fail(error) }
            }
            isFirst = false
            if !state.isPresent { return true }
            if isAbandoned() { throw .cancelled }
            if let deadline, deadline <= .now { return false }
        }
    }

    func powerDown() {
        generation += 1
        disconnect(SCARD_UNPOWER_CARD)
    }

    func close() {
        powerDown()
        connection = nil
    }
}
