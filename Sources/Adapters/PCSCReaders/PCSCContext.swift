public import CardReaders
internal import CPCSC
internal import Glibc
internal import Synchronization

extension ReaderListing {
    /// The slots of a dual reader whose name does not tell are contact slots where another slot of the same
    /// device is called contactless: "... OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 00 00"
    /// beside "... [OMNIKEY 5422CL Smartcard Reader] 01 00".
    static func completed(_ states: [ReaderListing]) -> [ReaderListing] {
        let contactless = Set(
            states.filter { $0.interface == .contactless }.map { PCSCReaderName($0.name).device })
        return states.map { state in
            let name = PCSCReaderName(state.name)
            guard state.interface == .unknown, name.interface != nil, contactless.contains(name.device)
            else { return state }
            var state = state
            state.interface = .contact
            return state
        }
    }
}

/// The parts of a reader's name as pcsc-lite composes it: `DEVICE [INTERFACE] (SERIAL) RR SS`, where RR counts
/// the readers of one name and SS the slots of a reader, both in hexadecimal.
struct PCSCReaderName: Equatable {
    /// Vendor and product, as the driver names them.
    var device: String
    var interface: String?
    var serialNumber: String?
    /// Changes when a reader is plugged in again.
    var reader: String?
    var slot: String?

    init(_ name: String) {
        var words = name.split(separator: " ", omittingEmptySubsequences: true)
        func index(_ word: Substring?) -> String? {
            guard let word, word.utf8.count == 2, word.allSatisfy(\.isHexDigit) else { return nil }
            return String(word)
        }
        if words.count >= 2, let slot = index(words.last), let reader = index(words.dropLast().last) {
            self.slot = slot
            self.reader = reader
            words.removeLast(2)
        }
        var rest = words.joined(separator: " ")
        func cut(_ open: Character, _ close: Character) -> String? {
            guard rest.last == close, let start = rest.lastIndex(of: open) else { return nil }
            let inner = rest[rest.index(after: start)...].dropLast()
            rest = rest[..<start].trimmingSpaces()
            return String(inner)
        }
        serialNumber = cut("(", ")")
        interface = cut("[", "]")
        device = rest
    }

    /// Whether both names mean the same slot of the same device, wherever it is plugged in now: only where a
    /// serial number proves it, lest a terminal takes the reader of another one.
    func isSameSlot(as other: PCSCReaderName) -> Bool {
        guard let serialNumber, !serialNumber.isEmpty else { return false }
        return serialNumber == other.serialNumber && device == other.device && interface == other.interface
            && slot == other.slot
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> String {
        var part = self
        while part.last == " " { part.removeLast() }
        return String(part)
    }
}

/// A connection to the PC/SC daemon. Its functions block: they are called on a `BlockingThread`, one at a
/// time; only `cancel` may be called from anywhere.
final class PCSCConnection: Sendable {
    private let handle: Atomic<SCARDCONTEXT>
    /// The longest single wait: a `cancel` that comes just before a wait begins is lost, and the wait must
    /// end soon all the same.
    static let slice: Duration = .milliseconds(250)

    init() throws(PCSCStatus) {
        var context = SCARDCONTEXT()
        let status = PCSCStatus(SCardEstablishContext(DWORD(SCARD_SCOPE_SYSTEM), nil, nil, &context))
        guard status == .success else { throw status }
        handle = Atomic(context)
    }

    deinit { SCardReleaseContext(handle.load(ordering: .relaxed)) }

    var context: SCARDCONTEXT { handle.load(ordering: .relaxed) }

    /// Ends a wait for a status change. Returns at once: the message to the daemon goes out on a thread of its
    /// own, since a daemon that hangs must not hold up the caller, which may be everybody's watchdog.
    func cancel() { Self.cancelling.post { [self] in SCardCancel(context) } }
    private static let cancelling = BlockingThread(name: "pcsc cancel")

    func readerNames() throws(PCSCStatus) -> [String] {
        while true {
            var count = DWORD()
            let first = PCSCStatus(SCardListReaders(context, nil, nil, &count))
            if first == .noReaders || (first == .success && count == 0) { return [] }
            guard first == .success else { throw first }
            var names = [CChar](repeating: 0, count: Int(min(count, 1 << 16)))
            count = DWORD(names.count)
            let status = PCSCStatus(SCardListReaders(context, nil, &names, &count))
            // A reader came between the two calls.
            if status == .insufficientBuffer { continue }
            if status == .noReaders { return [] }
            guard status == .success else { throw status }
            return names.prefix(Int(count)).split(separator: 0).map {
                String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
    }

    /// What is known and what is new about a reader.
    struct ReaderState {
        var name: String
        /// `SCARD_STATE_...` bits with the daemon's event counter in the upper half.
        var known: DWORD = 0
        var atr: [UInt8] = []

        func has(_ bit: Int32) -> Bool { known & DWORD(bit) != 0 }
        /// The reader is not, or no more, there.
        var isGone: Bool { has(SCARD_STATE_UNKNOWN) || has(SCARD_STATE_IGNORE) }
        var isPresent: Bool { has(SCARD_STATE_PRESENT) }
        var isMute: Bool { has(SCARD_STATE_MUTE) }
        /// The daemon's count of insertions and removals, modulo 65536.
        var eventCount: UInt16 { UInt16(truncatingIfNeeded: known >> 16) }
    }
    static let newReaderNotification = "\\\\?PnP?\\Notification"

    /// Waits until a reader differs from what is known of it, and brings `states` up to date.
    /// - Returns: whether something changed before the time was over.
    func waitForChange(_ states: inout [ReaderState], milliseconds: Int) throws(PCSCStatus) -> Bool {
        var raw = states.map { state in
            var raw = SCARD_READERSTATE()
            raw.szReader = UnsafePointer(strdup(state.name))
            raw.dwCurrentState = state.known
            return raw
        }
        defer { for state in raw { free(UnsafeMutableRawPointer(mutating: state.szReader)) } }
        let status = PCSCStatus(
            SCardGetStatusChange(context, DWORD(milliseconds), &raw, DWORD(raw.count)))
        if status == .timeout { return false }
        guard status == .success else { throw status }
        for index in states.indices {
            states[index].known = raw[index].dwEventState & ~DWORD(SCARD_STATE_CHANGED)
            let count = min(Int(raw[index].cbAtr), 33)
            states[index].atr = withUnsafeBytes(of: raw[index].rgbAtr) { Array($0.prefix(count)) }
        }
        return true
    }

    func readerStates() throws(PCSCStatus) -> [ReaderListing] {
        var states = try readerNames().map { ReaderState(name: $0) }
        guard !states.isEmpty else { return [] }
        _ = try waitForChange(&states, milliseconds: 0)
        return ReaderListing.completed(
            states.filter { !$0.isGone }.map {
                ReaderListing(
                    name: $0.name, answerToReset: $0.isPresent ? $0.atr : nil,
                    isExclusivelyUsed: $0.has(SCARD_STATE_EXCLUSIVE))
            })
    }
}

/// The PC/SC service of this machine (pcscd).
public enum PCSCContext {
    /// How long the daemon may take for an answer that needs no card.
    static let patience: Duration = .seconds(10)

    /// The readers connected now, in the daemon's order.
    /// - Throws: `.readerUnavailable` where the daemon cannot be used; the text says what to do.
    public static func readers() async throws(ReaderError) -> [ReaderListing] {
        let thread = BlockingThread(name: "pcsc list")
        let completion = await thread.perform(deadline: .now + patience) {
            _ -> Result<[ReaderListing], PCSCStatus> in
            do throws(PCSCStatus) {
                return .success(try PCSCConnection().readerStates())
            } catch {
                return .failure(error)
            }
        }
        switch completion {
        case .value(.success(let states)): return states
        case .value(.failure(let status)): throw status.error(reader: "PC/SC")
        case .timedOut:
            throw .readerUnavailable(
                reader: "PC/SC", reason: "the PC/SC daemon hangs: restart it (systemctl restart pcscd)")
        case .cancelled: throw .cancelled
        }
    }

    /// Opens a reader.
    /// - Parameters:
    ///   - name: its name, or a part of it that fits one reader only, in any case; nil takes the first that
    ///     may be contactless: contactless ones before those whose name does not tell.
    ///   - allowsContact: also take a contact slot where nothing else is there. A SAM slot is only taken by
    ///     its full name.
    public static func reader(
        matching name: String? = nil, allowsContact: Bool = false,
        options: PCSCReader.Options = .init()
    ) async throws(ReaderError) -> PCSCReader {
        let all = try await readers()
        let list = all.isEmpty ? "none is connected" : all.map(\.name).joined(separator: ", ")
        if let name {
            if let exact = all.first(where: { $0.name == name }) {
                return PCSCReader(name: exact.name, options: options)
            }
            let found = all.filter {
                $0.name.lowercased().contains(name.lowercased()) && $0.interface != .sam
            }
            guard let only = found.first else {
                throw .readerUnavailable(
                    reader: name, reason: "there is no such PC/SC reader; readers: \(list)")
            }
            // The part fits all slots of a dual reader: the contactless one is meant.
            let contactless = found.filter { $0.interface == .contactless }
            if found.count > 1, contactless.count == 1,
                found.allSatisfy({ PCSCReaderName($0.name).device == PCSCReaderName(only.name).device })
            {
                return PCSCReader(name: contactless[0].name, options: options)
            }
            guard found.count == 1 else {
                throw .readerUnavailable(
                    reader: name,
                    reason: "the name fits several readers: \(found.map(\.name).joined(separator: ", "))")
            }
            return PCSCReader(name: only.name, options: options)
        }
        let wanted: [ReaderListing.Interface] =
            [.contactless, .unknown] + (allowsContact ? [.contact] : [])
        for interface in wanted {
            if let found = all.first(where: { $0.interface == interface }) {
                return PCSCReader(name: found.name, options: options)
            }
        }
        throw .readerUnavailable(
            reader: "PC/SC", reason: "no contactless reader is connected; readers: \(list)")
    }

    /// Readers and cards as they come and go, beginning with those that are there. Ends when the iteration
    /// ends; a daemon that dies or does not run yet is waited for.
    public static func events() -> AsyncStream<ReaderEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: ReaderEvent.self)
        let watch = PCSCWatch(continuation)
        continuation.onTermination = { _ in watch.stop() }
        watch.start()
        return stream
    }
}

/// Watches the daemon's readers on a thread of its own.
private final class PCSCWatch: Sendable {
    private let thread = BlockingThread(name: "pcsc watch")
    private let continuation: AsyncStream<ReaderEvent>.Continuation
    private struct State {
        var isStopped = false
        var connection: PCSCConnection?
    }
    private let state = Mutex(State())

    init(_ continuation: AsyncStream<ReaderEvent>.Continuation) { self.continuation = continuation }

    func start() {
        Task {
            _ = await thread.perform { _ in self.run() }
            self.continuation.finish()
        }
    }

    func stop() {
        state.withLock {
            $0.isStopped = true
            $0.connection?.cancel()
        }
    }
    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func run() {
        var isLost = false
        var known: [Known] = []
        while !isStopped {
            do throws(PCSCStatus) {
                let connection = try PCSCConnection()
                state.withLock { $0.connection = connection }
                defer { state.withLock { $0.connection = nil } }
                if isLost { continuation.yield(.serviceFound) }
                isLost = false
                try follow(connection, &known)
            } catch {
                for reader in known { continuation.yield(.readerRemoved(name: reader.state.name)) }
                known = []
                if !isLost, case .readerUnavailable(_, let reason) = error.error(reader: "PC/SC") {
                    continuation.yield(.serviceLost(reason: reason))
                }
                isLost = true
                for _ in 0..<10 where !isStopped { usleep(50_000) }
            }
        }
    }

    private func follow(
        _ connection: PCSCConnection, _ known: inout [Known]
    ) throws(PCSCStatus) {
        var states: [PCSCConnection.ReaderState] = []
        while !isStopped {
            let names = try connection.readerNames()
            var next = names.map { name in
                states.first { $0.name == name } ?? PCSCConnection.ReaderState(name: name)
            }
            if !next.isEmpty { _ = try connection.waitForChange(&next, milliseconds: 0) }
            next.removeAll { $0.isGone }
            report(next, &known)
            states = next
            var waited = next
            waited.append(PCSCConnection.ReaderState(name: PCSCConnection.newReaderNotification))
            do throws(PCSCStatus) {
                // The list is read again from time to time: a reader that comes between listing and
                // waiting is not announced.
                _ = try connection.waitForChange(&waited, milliseconds: 1000)
            } catch .cancelled {
                continue
            } catch .unknownReader {
                continue
            }
        }
    }

    private struct Known {
        var state: ReaderListing
        var eventCount: UInt16
    }

    private func report(_ states: [PCSCConnection.ReaderState], _ known: inout [Known]) {
        for reader in known where !states.contains(where: { $0.name == reader.state.name }) {
            continuation.yield(.readerRemoved(name: reader.state.name))
        }
        let listed = ReaderListing.completed(
            states.map { state in
                ReaderListing(
                    name: state.name, answerToReset: state.isPresent ? state.atr : nil,
                    isExclusivelyUsed: state.has(SCARD_STATE_EXCLUSIVE))
            })
        let current = zip(listed, states).map { Known(state: $0, eventCount: $1.eventCount) }
        for reader in current {
            let name = reader.state.name
            guard let before = known.first(where: { $0.state.name == name }) else {
                continuation.yield(.readerAdded(reader.state))
                if let atr = reader.state.answerToReset {
                    continuation.yield(.cardInserted(reader: name, answerToReset: atr))
                }
                continue
            }
            switch (before.state.answerToReset, reader.state.answerToReset) {
            case (nil, let atr?):
                continuation.yield(.cardInserted(reader: name, answerToReset: atr))
            case (_?, nil): continuation.yield(.cardRemoved(reader: name))
            // Another card, or the same one taken away and presented again between two looks.
            case (let old?, let new?)
            where (old != new && !old.isEmpty && !new.isEmpty)
                || reader.eventCount &- before.eventCount >= 2:
                continuation.yield(.cardRemoved(reader: name))
                continuation.yield(.cardInserted(reader: name, answerToReset: new))
            default: break
            }
        }
        known = current
    }
}
