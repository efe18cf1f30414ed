public import CardReaders
internal import CNFC
internal import CNFCGuard
internal import SmartCard
internal import Synchronization

/// The NFC devices that libnfc knows on this machine.
public enum LibNFCContext {
    /// What reader names of libnfc begin with: `nfc:pn532_uart:/dev/ttyUSB0`.
    public static let prefix = "nfc:"
    /// The same, and the device activates cards and speaks the block protocol by itself.
    public static let nativePrefix = "nfc-native:"

    /// Whether a reader name means a libnfc device.
    public static func isName(_ name: String) -> Bool {
        name.hasPrefix(prefix) || name.hasPrefix(nativePrefix)
    }

    /// Connection strings of the devices found now: USB devices, and those of libnfc's configuration and of
    /// `LIBNFC_DEVICE` and `LIBNFC_DEFAULT_DEVICE` as they were when the program started. Serial lines are only looked at
    /// where the configuration allows it (`allow_intrusive_scan`).
    public static func connectionStrings() async -> [String] {
        let thread = BlockingThread(name: "nfc list")
        let completion = await thread.perform(deadline: .now + .seconds(30)) { _ in
            LibNFCLibrary.connectionStrings()
        }
        if case .value(let names) = completion { return names }
        return []
    }

    /// Devices as they come and go, beginning with those that are there: `readerAdded` and `readerRemoved` with names
    /// that begin with `prefix`. libnfc tells nothing by itself, so that it is asked again and again; cards are not told,
    /// as a device that is only listed stays free for others. Ends when the iteration ends.
    public static func events(every interval: Duration = .seconds(2)) -> AsyncStream<ReaderEvent> {
        AsyncStream { continuation in
            let task = Task {
                var known: [String] = []
                while !Task.isCancelled {
                    let found = await connectionStrings().filter(LibNFCDriver.mayBeThere).map { prefix + $0 }
                    for name in known where !found.contains(name) {
                        continuation.yield(.readerRemoved(name: name))
                    }
                    for name in found where !known.contains(name) {
                        continuation.yield(
                            .readerAdded(ReaderListing(name: name)))
                    }
                    known = found
                    do { try await Task.sleep(for: interval) } catch { break }
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Opens a reader by a name that begins with `prefix` or `nativePrefix`; nothing behind it takes the first device
    /// found. A named device need not be there yet.
    /// - Throws: `.readerUnavailable`; the text says what to do.
    public static func reader(
        named name: String, options: LibNFCReader.Options = .init()
    ) async throws(ReaderError) -> LibNFCReader {
        var options = options
        var rest = name
        if name.hasPrefix(nativePrefix) {
            options.isNative = true
            rest.removeFirst(nativePrefix.count)
        } else if name.hasPrefix(prefix) {
            rest.removeFirst(prefix.count)
        }
        if rest.isEmpty {
            guard let first = await connectionStrings().first else {
                throw .readerUnavailable(
                    reader: name,
                    reason:
                        "libnfc finds no device; a serial one has to be named: nfc:pn532_uart:/dev/ttyUSB0")
            }
            rest = first
        }
        guard rest.utf8.count < LibNFCLibrary.nameCapacity else {
            throw .readerUnavailable(
                reader: String(rest.prefix(40)), reason: "the name is too long for libnfc")
        }
        return LibNFCReader(connectionString: rest, options: options)
    }
}

/// A reader attached through libnfc.
///
/// Where the device lets single frames through (the PN53x family), the terminal itself polls, detects collisions,
/// activates, speaks the block protocol and resets as EMV Contactless Book D lays down. Other devices do this by
/// themselves, as well as they can.
///
/// A device that disappears is opened anew at the next activation; so is one that stopped answering, or answered nonsense.
public final class LibNFCReader: CardReader {
    public struct Options: Sendable {
        /// The device activates cards and speaks the block protocol by itself, even where it lets frames through.
        public var isNative = false
        /// What is sent while a card is waited for.
        public var schedule = PollingSchedule.standard
        public init(isNative: Bool = false, schedule: PollingSchedule = .standard) {
            self.isNative = isNative
            self.schedule = schedule
        }
    }

    public let information: ReaderInformation
    private let thread = BlockingThread(name: "nfc reader")
    private let session: LibNFCSession

    /// - Parameter connectionString: as libnfc has it, such as `pn532_uart:/dev/ttyUSB0`. The device need not be
    ///   there yet.
    public init(connectionString: String, options: Options = Options()) {
        information = ReaderInformation(
            kind: .libnfc,
            name: (options.isNative ? LibNFCContext.nativePrefix : LibNFCContext.prefix) + connectionString)
        session = LibNFCSession(
            name: information.name,
            device: LibNFCDevice(connectionString: connectionString, isNative: options.isNative),
            schedule: options.schedule)
    }

    deinit {
        // libnfc's functions belong on the thread, which lives until its work is done.
        let session = session
        thread.post { session.close() }
    }

    /// A task that prefers this executor (`withTaskExecutorPreference`) talks to the card without a change of
    /// thread.
    public var executor: any TaskExecutor { thread }

    public func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
        try await perform(deadline: nil, late: .cancelled) { [session] _ throws(ReaderError) in
            try session.usePolling(schedule)
        }
    }

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        let activated = try await perform(
            deadline: deadline.map { $0 + .milliseconds(500) }, late: .noCard
        ) { [session] isAbandoned throws(ReaderError) in
            try session.activate(deadline: deadline, isAbandoned: isAbandoned)
        }
        return Channel(reader: self, generation: activated.generation, card: activated.card)
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        do {
            return try await perform(
                deadline: deadline.map { $0 + .milliseconds(500) }, late: .noCard
            ) { [session] isAbandoned throws(ReaderError) in
                try session.awaitRemoval(deadline: deadline, isAbandoned: isAbandoned)
            }
        } catch .noCard {
            return false
        }
    }

    /// Whether the activated card is still in the field and in its session (ISO/IEC 14443-4, presence check).
    public func isCardPresent() async throws(ReaderError) -> Bool {
        try await perform(deadline: .now + .seconds(10), late: .cardTimeout) {
            [session] _ throws(ReaderError) in
            try session.isPresent()
        }
    }

    public func fieldOff() async {
        if thread.isCurrent { return session.fieldOff() }
        _ = await thread.perform(deadline: .now + .seconds(3)) { [session] _ in session.fieldOff() }
    }

    public func close() async {
        if thread.isCurrent { return session.close() }
        _ = await thread.perform(deadline: .now + .seconds(3)) { [session] _ in session.close() }
    }

    /// The bare C loop that this reader is measured against: `nfc_initiator_transceive_bytes` again and again, nothing around
    /// it, to the card of type A that was activated last, on the device and the thread of this reader, and with the same
    /// bytes: whole blocks where the reader speaks the block protocol itself.
    /// - Parameters:
    ///   - command: one that fits a block.
    ///   - count: even, as blocks have two numbers.
    /// - Returns: the time of all commands.
    @_spi(Benchmarks) public func bareLoop(_ command: [UInt8], count: Int) async throws(ReaderError)
        -> Duration
    {
        try await perform(deadline: nil, late: .cardTimeout) { [session] _ throws(ReaderError) in
            try session.bareLoop(command, count)
        }
    }

    /// Does something on the thread, or here where this is it.
    private nonisolated(nonsending) func perform<Value: Sendable>(
        deadline: ContinuousClock.Instant?, late: ReaderError,
        _ body: @escaping @Sendable (_ isAbandoned: () -> Bool) throws(ReaderError) -> Value
    ) async throws(ReaderError) -> Value {
        if thread.isCurrent { return try body { Task.isCancelled } }
        let completion = await thread.perform(
            deadline: deadline, abandon: { [session] in session.device.abort() }
        ) { (call: BlockingThread.Call<Result<Value, ReaderError>>) -> Result<Value, ReaderError> in
            do throws(ReaderError) {
                return .success(try body { call.isAbandoned })
            } catch {
                return .failure(error)
            }
        }
        switch completion {
        case .value(let result): return try result.get()
        case .timedOut: throw late
        case .cancelled: throw .cancelled
        }
    }

    private struct Channel: CardChannel {
        let reader: LibNFCReader
        let generation: Int
        let card: CardInformation

        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            let deadline = timeout.map { ContinuousClock.now + $0 }
            if reader.thread.isCurrent {
                return try reader.session.transmit(
                    command, generation: generation, deadline: deadline, isAbandoned: { Task.isCancelled })
            }
            return try await reader.perform(deadline: deadline, late: .cardTimeout) {
                [session = reader.session, generation] isAbandoned throws(ReaderError) in
                try session.transmit(
                    command, generation: generation, deadline: deadline, isAbandoned: isAbandoned)
            }
        }
    }
}

/// What the reader's thread does with the device.
// Only touched on the reader's thread; `device.abort` may be called from anywhere.
private final class LibNFCSession: @unchecked Sendable {
    let device: LibNFCDevice
    private let name: String
    private var schedule: PollingSchedule
    private var blocks: BlockProtocol?
    /// The card that the device activated by itself.
    private var native: ContactlessActivation?
    private var isFieldOn = false
    /// A card in the field was in a session and hears nothing else until it is reset.
    private var needsReset = false
    /// Counts activations; a channel of an earlier one is dead.
    private var generation = 0

    init(name: String, device: LibNFCDevice, schedule: PollingSchedule) {
        self.name = name
        self.device = device
        self.schedule = schedule
    }

    private func unavailable(_ reason: String) -> ReaderError {
        .readerUnavailable(reader: name, reason: reason)
    }

    private func endSession() {
        generation += 1
        if blocks != nil || native != nil { needsReset = isFieldOn }
        blocks = nil
        native = nil
    }

    // MARK: - The line to the device

    /// The device does not answer, or with nonsense: it is opened anew. It has lost the card then.
    private func recover(_ failure: LinkFailure) throws(ReaderError) {
        if failure == .aborted { throw .cancelled }
        endSession()
        isFieldOn = false
        needsReset = false
        device.close()
        do {
            try open()
        } catch {
            throw unavailable(LibNFCDevice.reason(device.connectionString))
        }
    }

    private func open() throws(ReaderError) {
        guard !device.isOpen else { return }
        isFieldOn = false
        do {
            try device.open()
        } catch {
            if case .readerUnavailable(_, let reason) = error { throw unavailable(reason) }
            throw error
        }
        try checkSchedule(schedule)
    }

    // MARK: - Polling

    func usePolling(_ new: PollingSchedule) throws(ReaderError) {
        try checkSchedule(new)
        schedule = new
    }

    private func checkSchedule(_ schedule: PollingSchedule) throws(ReaderError) {
        if schedule == .standard { return }
        guard device.usesFrames else {
            throw unavailable(
                "this reader cannot poll as asked: it lets no single frames through and polls by itself")
        }
        for step in schedule.steps {
            switch step {
            case .typeV:
                throw unavailable("this reader cannot poll for type V: its chip knows no ISO/IEC 15693")
            case .frame(let bytes) where bytes.isEmpty || bytes.count > 60:
                throw unavailable("this reader cannot send a polling frame of \(bytes.count) bytes")
            default: break
            }
        }
    }

    private func round() throws(LinkFailure) -> CardPolling.Presence {
        try CardPolling.round(schedule, over: device) { step throws(LinkFailure) in
            if step == .typeF { try device.pollTypeF() }
        }
    }

    private func powerUp() throws(LinkFailure) {
        guard !isFieldOn else { return }
        try device.setField(true)
        isFieldOn = true
        device.pause(ContactlessTiming.powerUp)
    }

    private func powerDown() throws(LinkFailure) {
        try device.setField(false)
        isFieldOn = false
        needsReset = false
    }

    /// Resets whatever is in the field (EMV Book D: PICC reset).
    private func reset() throws(LinkFailure) {
        endSession()
        if isFieldOn {
            try powerDown()
            device.pause(ContactlessTiming.reset)
        }
        try powerUp()
    }

    private enum Found {
        case none
        case card(ContactlessActivation)
        case collision
        /// A card came and was not activated.
        case lost(String)
    }
    private static let activationAttempts = 3
    /// Between two rounds.
    private static let interval: Duration = .milliseconds(5)

    func activate(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> (generation: Int, card: CardInformation) {
        // A card that is still in its session begins anew.
        endSession()
        var linkFailures = 0
        var attempts = 0
        while true {
            try open()
            switch poll() {
            case .success(.none): linkFailures = 0
            case .success(.card(let activation)):
                if isAbandoned() {
                    fieldOff()
                    throw .cancelled
                }
                return (
                    generation,
                    CardInformation(answerToReset: activation.answerToReset, activation: activation)
                )
            case .success(.collision): throw .collision
            case .success(.lost(let reason)):
                // Book D: reset the field and poll again; a card on its way in gets its chance.
                attempts += 1
                guard attempts < Self.activationAttempts else { throw .activationFailed(reason) }
            case .failure(.refused(let reason)): throw unavailable(reason)
            case .failure(let failure):
                if isAbandoned() { throw .cancelled }
                linkFailures += 1
                guard linkFailures < BlockProtocol.linkAttempts else {
                    device.close()
                    throw unavailable("it does not answer any more: plug it in again")
                }
                try recover(failure)
            }
            if isAbandoned() { throw .cancelled }
            if let deadline, deadline <= .now { throw .noCard }
            device.pause(Self.interval)
        }
    }

    /// One round, and the activation of whom it found. Two cards, and one that was lost, are reset.
    private func poll() -> Result<Found, LinkFailure> {
        do throws(LinkFailure) {
            if needsReset { try reset() } else { try powerUp() }
            let found = device.usesFrames ? try activateByFrames() : try activateByDevice()
            switch found {
            case .collision, .lost: try reset()
            case .none, .card: break
            }
            return .success(found)
        } catch {
            endSession()
            return .failure(error)
        }
    }

    private func activateByFrames() throws(LinkFailure) -> Found {
        let presence = try round()
        if presence.isNobody { return .none }
        do {
            let session = try CardPolling.activate(presence, over: device)
            blocks = session.blocks
            return .card(session.activation)
        } catch {
            switch error {
            case .collision: return .collision
            case .lost(let reason), .violation(let reason): return .lost(reason)
            case .link(let failure): throw failure
            }
        }
    }

    private func activateByDevice() throws(LinkFailure) -> Found {
        let found = try device.list(.typeA) + device.list(.typeB)
        guard let type = found.first?.modulation else { return .none }
        guard found.count == 1 else { return .collision }
        // Listing put the card to sleep.
        try reset()
        guard let activation = try device.list(type, limit: 1).first else { return .lost("it left at once") }
        guard type == .typeB || activation.sak & 0x20 != 0 else {
            return .lost("the card does not speak ISO/IEC 14443-4")
        }
        native = activation
        return .card(activation)
    }

    // MARK: - Exchange

    func transmit(
        _ command: [UInt8], generation: Int, deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> CardAnswer {
        guard generation == self.generation else { throw .cardRemoved }
        guard command.count >= 4 else { throw .protocolViolation("a command of \(command.count) bytes") }
        let watch = Stopwatch()
        let bytes: [UInt8]
        if let native {
            bytes = try transmitByDevice(command, native, deadline: deadline)
        } else {
            bytes = try transmitByFrames(command, deadline: deadline, isAbandoned: isAbandoned)
        }
        return CardAnswer(bytes: bytes, microseconds: watch.microseconds)
    }

    private func transmitByFrames(
        _ command: [UInt8], deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> [UInt8] {
        guard var blocks else { throw .cardRemoved }
        let result: Result<[UInt8], BlockProtocol.Failure>
        do throws(BlockProtocol.Failure) {
            result = .success(
                try blocks.transmit(command, over: device, deadline: deadline, isAbandoned: isAbandoned))
        } catch {
            result = .failure(error)
        }
        self.blocks = blocks
        switch result {
        case .success(let response): return response
        case .failure(let failure):
            // The block protocol knows no way on after a failure: the session is over.
            let type = blocks.modulation
            endSession()
            switch failure {
            case .timeout:
                // A card that was taken away, and one that is mute, differ only after a reset.
                throw try isThereAfterReset(type) ? .cardTimeout : .cardRemoved
            case .transmission: throw .transmission("what the card said was damaged, three times")
            case .violation(let reason): throw .protocolViolation(reason)
            case .deadline: throw .cardTimeout
            case .abandoned: throw .cancelled
            case .link(let failure):
                try recover(failure)
                throw .transmission("the reader lost the command and was opened anew (\(failure))")
            }
        }
    }

    private func isThereAfterReset(_ type: ContactlessActivation.Modulation) throws(ReaderError) -> Bool {
        do {
            try reset()
            return type == .typeA
                ? try CardPolling.isTypeAThere(device) : try CardPolling.isTypeBThere(device)
        } catch {
            try recover(error)
            return false
        }
    }

    private func transmitByDevice(
        _ command: [UInt8], _ card: ContactlessActivation, deadline: ContinuousClock.Instant?
    ) throws(ReaderError) -> [UInt8] {
        guard command.count <= LibNFCDevice.exchangeLimit else {
            throw .protocolViolation(
                "this reader carries commands of up to \(LibNFCDevice.exchangeLimit) bytes, this one has \(command.count)"
            )
        }
        var milliseconds: Int32 = 5000
        if let deadline {
            let left = ContinuousClock.now.duration(to: deadline).components
            milliseconds = Int32(
                clamping: max(1, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000))
        }
        switch device.exchangeData(command, milliseconds: milliseconds) {
        case .success(let response): return response
        case .failure(let error):
            let isThere = error.code == NFC_ERFTRANS ? device.isPresent(card) : nil
            endSession()
            switch error.code {
            case NFC_ETGRELEASED: throw .cardRemoved
            case NFC_ERFTRANS: throw isThere == false ? .cardRemoved : .cardTimeout
            case NFC_ETIMEOUT:
                try recover(.timeout)
                throw .cardTimeout
            case NFC_EOPABORTED: throw .cancelled
            case NFC_EIO, NFC_ENOTSUCHDEV, NFC_GUARD_ABORTED:
                try recover(.garbled)
                throw .transmission("the reader lost the command and was opened anew (\(error.words))")
            case NFC_EOVFLOW: throw .protocolViolation("the answer is longer than libnfc takes")
            default: throw .transmission(error.words)
            }
        }
    }

    func bareLoop(_ command: [UInt8], _ count: Int) throws(ReaderError) -> Duration {
        var messages = [command]
        if let blocks {
            messages = [blocks.blockNumber, blocks.blockNumber ^ 1].map { number in
                let block = [0x02 | number] + command
                let checksum = FrameChecksum.value(block, .typeA)
                return block + [UInt8(truncatingIfNeeded: checksum), UInt8(checksum >> 8)]
            }
        } else if native == nil {
            throw .cardRemoved
        }
        do throws(LinkFailure) { return try device.bareLoop(messages, count: count) } catch {
            throw .transmission("the bare loop failed (\(error))")
        }
    }

    func isPresent() throws(ReaderError) -> Bool {
        if let native { return device.isPresent(native) ?? true }
        guard let blocks else { return false }
        do {
            let isPresent = try blocks.isPresent(over: device)
            if !isPresent { endSession() }
            return isPresent
        } catch {
            try recover(error)
            return false
        }
    }

    // MARK: - Removal

    /// The removal procedure (EMV Book D, 9.5): cards are reset and asked for until nobody answers three times.
    func awaitRemoval(
        deadline: ContinuousClock.Instant?, isAbandoned: () -> Bool
    ) throws(ReaderError) -> Bool {
        endSession()
        guard device.isOpen else { return true }
        var silences = 0
        while true {
            do throws(LinkFailure) {
                try reset()
                let isNobody: Bool
                if device.usesFrames {
                    var isThere = try CardPolling.isTypeAThere(device)
                    if !isThere { isThere = try CardPolling.isTypeBThere(device) }
                    isNobody = !isThere
                } else {
                    var cards = try device.list(.typeA)
                    if cards.isEmpty { cards = try device.list(.typeB) }
                    isNobody = cards.isEmpty
                }
                silences = isNobody ? silences + 1 : 0
            } catch {
                if isAbandoned() { throw .cancelled }
                // Opened anew, its field was off: whoever is still there answers in the next round.
                try recover(error)
                silences = 0
            }
            if silences >= 3 { return true }
            if isAbandoned() { throw .cancelled }
            if let deadline, deadline <= .now { return false }
            device.pause(silences > 0 ? .milliseconds(5) : .milliseconds(50))
        }
    }

    func fieldOff() {
        endSession()
        guard device.isOpen, isFieldOn else { return }
        do {
            try powerDown()
        } catch {
            // A device that does not hear has to be opened anew before the next card.
            device.close()
            isFieldOn = false
        }
    }

    func close() {
        endSession()
        isFieldOn = false
        device.close()
    }
}
