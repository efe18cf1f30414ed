public import CardReaders
internal import CPCSC
internal import Glibc
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

    // What talks to the daemon, which may hang, is let go on the reader's thread.
    deinit {
        let connection = connection.withLock { $0.take() }
        thread.post { [device] in device.close(connection) }
    }

    /// A task that prefers this executor (`withTaskExecutorPreference`) talks to the card without a change
    /// of thread. Its time limit per command is then the reader's own.
    public var executor: any TaskExecutor { thread }

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        let activated = try await perform(
            // The device keeps the deadline itself, and then tells what was in the way; this is for one that hangs.
            deadline: deadline.map { $0 + .milliseconds(300) }, late: .noCard,
            discard: { [device] _ in device.powerDown() }
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

    /// Any card in the reader counts: one that was away for a moment may have been noticed by nobody.
    public func mayHoldLastCard() async -> Bool {
        let isThere = try? await perform(deadline: .now + .seconds(2), late: .noCard) {
            [device, self] _ throws(ReaderError) in
            device.isCardThere(connected: { connection in self.connection.withLock { $0 = connection } })
        }
        return isThere ?? false
    }

    public func fieldOff() async {
        _ = await thread.perform(deadline: .now + .seconds(2)) { [device] _ in device.powerDown() }
    }

    public func close() async {
        _ = await thread.perform(deadline: .now + .seconds(2)) { [device, self] _ in
            device.close(self.connection.withLock { $0.take() })
        }
    }

    /// Sends the reader one of its own commands, also while this terminal holds a card in it: LED, buzzer, antenna.
    /// - Parameters:
    ///   - driver: nil finds the one for the reader.
    ///   - milliseconds: for the buzzer.
    /// - Returns: what the reader answered, without what only says that all is well.
    /// - Throws: as `PCSCContext.control`.
    @discardableResult
    public func control(
        _ action: ReaderDriver.Action, _ value: String? = nil, milliseconds: Int = 100,
        driver: ReaderDriver? = nil
    ) async throws(ReaderError) -> [UInt8] {
        let held = try await perform(deadline: .now + .seconds(5), late: .cardTimeout) {
            [device] _ throws(ReaderError) in
            try device.control(action, value, milliseconds, driver)
        }
        if let held { return held }
        return try await PCSCContext.control(
            information.name, action, value, milliseconds: milliseconds, driver: driver)
    }

    /// The bare C loop that this reader is measured against: `SCardTransmit` again and again, nothing around it, on the
    /// connection to the card that was activated last and on the reader's own thread.
    ///
    /// A thread and a connection of its own would measure the scheduler: also two loops in plain C differ by a tenth and
    /// more when one of them, and with it its thread in pcscd, is young.
    /// - Returns: the time of all `count` commands.
    /// - Throws: as `CardChannel.transmit`.
    @_spi(Benchmarks) public func bareLoop(_ command: [UInt8], count: Int) async throws(ReaderError)
        -> Duration
    {
        try await perform(deadline: nil, late: .cardTimeout) { [device] _ throws(ReaderError) in
            try device.bareLoop(command, count)
        }
    }

    /// Does something with the device on its thread, or here where this is its thread.
    private nonisolated(nonsending) func perform<Value: Sendable>(
        deadline: ContinuousClock.Instant?, late: ReaderError,
        discard: (@Sendable (Value) -> Void)? = nil,
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
            deadline: deadline, abandon: { self.connection.withLock { $0 }?.cancel() },
            discard: { if case .success(let value) = $0 { discard?(value) } }, work)
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

        nonisolated(nonsending) func transmit(
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
    /// The reader's name in the daemon's list as of now; differs from `name` after it was plugged in again.
    private var slotName: String
    private var card: SCARDHANDLE?
    /// What the reader carries, and what the card can; nil until a card was connected.
    private var limits: APDULengthLimits?
    private var request = SCARD_IO_REQUEST()
    /// Counts activations; a channel of an earlier one is dead.
    private var generation = 0
    /// The activation whose command nobody waited for to its end: the card's state is not known any more.
    private let abandoned = Atomic<Int>(-1)

    /// Header, extended Lc, 65535 data bytes and extended Le.
    private static let longestCommand = 4 + 3 + 65535 + 2
    /// Longest response: 65536 data bytes and the status word, as libpcsclite's own limit has it.
    private static let capacity = 65548
    private let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: PCSCDevice.capacity)

    init(name: String, options: PCSCReader.Options) {
        self.name = name
        slotName = name
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
        if status.meansNoService { forgetConnection() }
        return status.error(reader: name)
    }

    private func forgetConnection() {
        card = nil
        connection = nil
        limits = nil
    }

    private func disconnect(_ disposition: Int32) {
        guard let card else { return }
        SCardDisconnect(card, DWORD(disposition))
        self.card = nil
        overlooked = (since: .now, looks: 2)
    }

    /// When a card was let go of, and how often it is worth looking behind the daemon's back since then.
    ///
    /// Where switching off or resetting a card fails because it just left, pcsc-lite publishes "no card" (SCardDisconnect
    /// and SCardReconnect in winscard.c of 1.9.9) without telling its own watch. That one looks every 400 ms: a card that
    /// is back by then never left for it, so that it reports no insertion, and "no card" stays until the card is really
    /// taken away.
    private var overlooked: (since: ContinuousClock.Instant, looks: Int)?
    /// More than the daemon's watch needs to see a card leave and another come: two of us must not reset it at once.
    private static let watchInterval: Duration = .milliseconds(1300)

    /// Resets the slot through a connection to the reader alone, which needs no card in the daemon's books: a card that
    /// it overlooked is there again, and connected.
    private func revive() -> (generation: Int, card: CardInformation)? {
        guard let connection, let last = overlooked, last.looks > 0,
            last.since.duration(to: .now) >= Self.watchInterval
        else { return nil }
        overlooked = last.looks > 1 ? (since: .now, looks: last.looks - 1) : nil
        var handle = SCARDHANDLE()
        var active = DWORD()
        var status = PCSCStatus(
            SCardConnect(connection.context, slotName, DWORD(SCARD_SHARE_DIRECT), 0, &handle, &active))
        guard status == .success else { return nil }
        status = PCSCStatus(SCardReconnect(handle, share, protocols, DWORD(SCARD_RESET_CARD), &active))
        guard status == .success else {
            SCardDisconnect(handle, DWORD(SCARD_LEAVE_CARD))
            return nil
        }
        card = handle
        return try? begin(active)
    }

    /// How long a wait for a card outlives the loss of the daemon (which systemd starts again) or of the reader, and
    /// another program's exclusive hold (desktop programs look at each card that comes).
    private static let grace: Duration = .seconds(2)

    func activate(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool,
        connected: (PCSCConnection) -> Void
    ) throws(ReaderError) -> (generation: Int, card: CardInformation) {
        let hadConnection = connection != nil
        generation += 1
        if let card {
            // A restart with the card still in the field.
            var active = DWORD()
            let status = PCSCStatus(
                SCardReconnect(card, share, protocols, DWORD(SCARD_RESET_CARD), &active))
            if status == .success {
                do throws(PCSCStatus) { return try begin(active) } catch {}
            }
            disconnect(SCARD_RESET_CARD)
        }
        var state = PCSCConnection.ReaderState(name: slotName)
        // Whether the reader has been seen: one that was never there is told at once.
        var wasThere = hadConnection
        var graceEnd: ContinuousClock.Instant?
        // The first look never waits: its deadline is in the past.
        var isFirst = true
        while true {
            var trouble: PCSCStatus?
            do throws(PCSCStatus) {
                let connection = try connectionOrNew(connected)
                if isAbandoned() { throw .cancelled }
                try wait(&state, connection, deadline: isFirst ? .now : deadline)
            } catch {
                if error != .cancelled { trouble = error }
            }
            if isAbandoned() { throw .cancelled }
            if trouble == nil, state.isGone { trouble = .unknownReader }
            if trouble == nil {
                isFirst = false
                wasThere = true
                if !state.isPresent || state.isMute, let revived = revive() {
                    if !isAbandoned() { return revived }
                    disconnect(SCARD_UNPOWER_CARD)
                    continue
                }
                if state.isMute {
                    throw .activationFailed("the card does not answer: take it away and present it again")
                }
                if state.isPresent {
                    do throws(PCSCStatus) {
                        let active = try connectCard()
                        if !isAbandoned() { return try begin(active) }
                        disconnect(SCARD_UNPOWER_CARD)
                        continue
                    } catch {
                        // It left between the two calls, or another program reset it: the state is asked for anew.
                        state.known = 0
                        if error == .protocolMismatch, let revived = revive() {
                            if !isAbandoned() { return revived }
                            disconnect(SCARD_UNPOWER_CARD)
                            continue
                        }
                        if !error.meansNoCard, error != .resetCard { trouble = error } else { usleep(10_000) }
                    }
                }
            }
            guard let trouble else {
                graceEnd = nil
                if let deadline, deadline <= .now { throw .noCard }
                continue
            }
            // What passes by itself is waited for; everything else is told.
            let passes: Bool
            switch trouble {
            case .unknownReader, .readerUnavailable, .noReaders:
                state = PCSCConnection.ReaderState(name: findAgain() ?? slotName)
                passes = wasThere
            case .sharingViolation: passes = true
            // The card left and another, or the same, came before the daemon looked: it powers that one at its next
            // look.
            case .unpoweredCard: passes = true
            // A card without Answer To Reset: it is being powered at this moment.
            case .protocolMismatch: passes = overlooked != nil
            // Where we have been let in before, this is a daemon that died while it greeted us: libpcsclite takes
            // its hanging up for a refusal.
            case .securityViolation: passes = hadConnection || wasThere
            default: passes = trouble.meansNoService && (hadConnection || wasThere)
            }
            if trouble.meansNoService || trouble == .securityViolation { forgetConnection() }
            let now = ContinuousClock.now
            let end = graceEnd ?? min(now + Self.grace, deadline ?? now + Self.grace)
            graceEnd = end
            guard passes, now < end else { throw fail(trouble) }
            usleep(50_000)
        }
    }

    private func connectionOrNew(
        _ connected: (PCSCConnection) -> Void
    ) throws(PCSCStatus) -> PCSCConnection {
        if let connection { return connection }
        let new = try PCSCConnection()
        connection = new
        connected(new)
        return new
    }

    /// The name under which the slot is listed now, where a serial number tells that it is the same one plugged in
    /// again: pcsc-lite counts the readers of one name anew.
    private func findAgain() -> String? {
        guard let names = try? connection?.readerNames() else { return nil }
        if names.contains(slotName) { return slotName }
        let wanted = PCSCReaderName(name)
        guard let found = names.first(where: { PCSCReaderName($0).isSameSlot(as: wanted) }) else {
            return nil
        }
        slotName = found
        return found
    }

    private func connectCard() throws(PCSCStatus) -> DWORD {
        guard let connection else { throw .noService }
        var handle = SCARDHANDLE()
        var active = DWORD()
        let status = PCSCStatus(
            SCardConnect(connection.context, slotName, share, protocols, &handle, &active))
        guard status == .success else { throw status }
        card = handle
        return active
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

    private func begin(_ active: DWORD) throws(PCSCStatus) -> (generation: Int, card: CardInformation) {
        guard let card else { throw .removedCard }
        request.dwProtocol = active
        request.cbPciLength = DWORD(MemoryLayout<SCARD_IO_REQUEST>.size)
        var atr = [UInt8](repeating: 0, count: 33)
        var count = DWORD(atr.count)
        var nameCount = DWORD()
        let status = PCSCStatus(SCardStatus(card, nil, &nameCount, nil, nil, &atr, &count))
        guard status == .success else {
            disconnect(SCARD_RESET_CARD)
            throw status
        }
        let answerToReset = Array(atr.prefix(Int(min(count, 33))))
        var limits =
            self.limits ?? APDULengthLimits(maximumDataSize: PCSCProperties.read(card).maximumDataSize)
        limits.cardChains = APDULengthLimits.chains(answerToReset)
        self.limits = limits
        return (generation, CardInformation(answerToReset: answerToReset))
    }

    func transmit(_ command: [UInt8], generation: Int) throws(ReaderError) -> CardAnswer {
        guard generation == self.generation, let card,
            abandoned.load(ordering: .relaxed) != generation
        else { throw .cardRemoved }
        guard command.count <= Self.longestCommand else {
            throw .protocolViolation("a command of \(command.count) bytes is longer than any APDU")
        }
        // Short commands fit every reader.
        if command.count <= 5 || command[4] != 0 { return try send(command, card) }
        switch (limits ?? APDULengthLimits(maximumDataSize: nil)).plan(command) {
        case .send(let command): return try send(command, card)
        case .chain(let parts):
            var microseconds: UInt32 = 0
            var answer = CardAnswer(bytes: [], microseconds: 0)
            for part in parts {
                answer = try send(part, card)
                microseconds &+= answer.microseconds
                // Only the last part has an answer beside 9000; anything else ends the chain.
                if part != parts.last, answer.bytes != [0x90, 0x00] { break }
            }
            answer.microseconds = microseconds
            return answer
        case .refuse(let reason): throw .protocolViolation("\(name): \(reason)")
        }
    }

    private func send(_ command: [UInt8], _ card: SCARDHANDLE) throws(ReaderError) -> CardAnswer {
        var length = command.count
        // T=0 knows no Le beside data (ISO/IEC 7816-3, 12.2.4): the card answers 61xx instead.
        if request.dwProtocol == DWORD(SCARD_PROTOCOL_T0), length > 5, command[4] != 0,
            length == Int(command[4]) + 6
        {
            length -= 1
        }
        var received = DWORD(Self.capacity)
        // A copy of its own: the device's needs a check for others who change it.
        var request = request
        let watch = Stopwatch()
        let status = PCSCStatus(
            SCardTransmit(card, &request, command, DWORD(length), nil, buffer, &received))
        // Whoever has a card has been let in: "refused" is the daemon hanging up.
        guard status == .success else { throw fail(status == .securityViolation ? .serviceStopped : status) }
        // Some drivers report success, and nothing, when the card left meanwhile.
        guard received > 0 else {
            throw isPresent(card) ? .transmission("the reader gave no bytes") : .cardRemoved
        }
        guard Int(received) <= Self.capacity else {
            throw .protocolViolation("the reader speaks of \(received) bytes, more than any APDU has")
        }
        let microseconds = watch.microseconds
        return CardAnswer(
            bytes: Array(UnsafeBufferPointer(start: buffer, count: Int(received))),
            microseconds: microseconds)
    }

    func bareLoop(_ command: [UInt8], _ count: Int) throws(ReaderError) -> Duration {
        guard let card else { throw .cardRemoved }
        var request = request
        let start = ContinuousClock.now
        for _ in 0..<count {
            var received = DWORD(Self.capacity)
            let status = SCardTransmit(
                card, &request, command, DWORD(command.count), nil, buffer, &received)
            guard status == 0 else { throw fail(PCSCStatus(status)) }
        }
        return start.duration(to: .now)
    }

    /// Controls the reader through the handle of the card in it; nil where none is held.
    func control(
        _ action: ReaderDriver.Action, _ value: String?, _ milliseconds: Int, _ driver: ReaderDriver?
    ) throws(ReaderError) -> [UInt8]? {
        guard let card else { return nil }
        let active = request.dwProtocol
        return try PCSCContext.control(
            slotName, card, action, value, milliseconds: milliseconds, driver: driver,
            transmit: { PCSCContext.transmit(card, active, $0) })
    }

    private func isPresent(_ card: SCARDHANDLE) -> Bool {
        var state = DWORD()
        var nameCount = DWORD()
        let status = PCSCStatus(SCardStatus(card, nil, &nameCount, &state, nil, nil, nil))
        return status == .success && state & DWORD(SCARD_PRESENT) != 0
    }

    /// Nobody waits for the running command of this activation any more. Callable from any thread.
    func giveUp(_ generation: Int) { abandoned.store(generation, ordering: .relaxed) }

    /// Also before the first activation. False where the daemon or the reader is gone.
    func isCardThere(connected: (PCSCConnection) -> Void) -> Bool {
        var state = PCSCConnection.ReaderState(name: slotName)
        do throws(PCSCStatus) {
            try wait(&state, try connectionOrNew(connected), deadline: .now)
        } catch {
            if error.meansNoService { forgetConnection() }
            return false
        }
        return state.isPresent
    }

    func awaitRemoval(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> Bool {
        // Without a daemon there is no card either.
        guard let connection else { return true }
        var state = PCSCConnection.ReaderState(name: slotName)
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

    /// - Parameter last: a reference to the connection that ends here as well.
    func close(_ last: PCSCConnection?) {
        powerDown()
        connection = nil
        limits = nil
        _ = last
    }
}
