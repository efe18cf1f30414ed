internal import Glibc
public import PN532
public import SmartCard

/// Why a software PN532 could not be put on a pseudo-terminal.
public struct PN532DeviceError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String

    static func system(_ what: String) -> PN532DeviceError {
        PN532DeviceError(description: "\(what): \(String(cString: strerror(errno)))")
    }
}

/// A software PN532 at the end of a pseudo-terminal: for programs such as libnfc it is a chip on a serial line.
///
/// It can be unplugged and plugged in again; with a link its name stays the same, as udev's links do.
public final class PN532Device: Sendable {
    // The chip, what it has still to send, and the descriptors are only touched under `mutex`, which lives on
    // the heap as pthread wants its address to stay.
    private final class Shared: @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        var chip: PN532Chip
        var pending: ArraySlice<PN532Chip.Output> = []
        /// When the first pending output may go out; nanoseconds of the monotonic clock.
        var due: UInt64 = 0
        var terminal: Terminal?
        var isStopped = false
        var statistics = Statistics()
        /// A pipe: reading and writing end.
        let wake: [Int32]

        init(chip: PN532Chip, wake: [Int32]) {
            self.chip = chip
            self.wake = wake
            pthread_mutex_init(mutex, nil)
        }
        deinit {
            pthread_mutex_destroy(mutex)
            mutex.deallocate()
            for descriptor in wake { close(descriptor) }
        }
        func withLock<Value>(_ body: (Shared) -> sending Value) -> sending Value {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return body(self)
        }
        /// Interrupts the thread's wait.
        func signal() {
            var byte: UInt8 = 1
            _ = write(wake[1], &byte, 1)
        }
        func take(_ reaction: PN532Chip.Reaction) {
            if reaction.abandonsPending { pending = [] }
            if pending.isEmpty { due = 0 }
            pending.append(contentsOf: reaction.outputs)
        }
    }

    /// What went over the line.
    public struct Statistics: Sendable, Equatable {
        public var bytesFromHost = 0
        public var bytesToHost = 0
        public init() {}
    }

    private let shared: Shared
    private let thread: pthread_t
    private let link: String?

    /// Makes the pseudo-terminal and begins to serve it.
    /// - Parameters:
    ///   - faults: how the chip misbehaves.
    ///   - waitingTimeExtensions: how often cards ask for more time before each answer.
    ///   - link: a symbolic link to make to the pseudo-terminal; an existing one is replaced.
    public init(
        faults: [PN532Fault] = [], waitingTimeExtensions: Int = 0, link: String? = nil
    ) throws(PN532DeviceError) {
        var chip = PN532Chip(faults: faults)
        chip.waitingTimeExtensions = waitingTimeExtensions
        let terminal = try Terminal()
        var wake: [Int32] = [-1, -1]
        guard pipe(&wake) == 0 else { throw .system("no pipe") }
        for descriptor in wake {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        }
        let shared = Shared(chip: chip, wake: wake)
        shared.terminal = terminal
        self.shared = shared
        self.link = link
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    PN532Device.serve(Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue())
                }
                return nil
            }, Unmanaged.passRetained(shared).toOpaque())
        precondition(status == 0, "no thread could be started: \(String(cString: strerror(status)))")
        self.thread = thread
        try makeLink()
    }

    deinit {
        shared.withLock { $0.isStopped = true }
        shared.signal()
        pthread_join(thread, nil)
        shared.withLock { $0.terminal = nil }
        if let link { unlink(link) }
    }

    /// The pseudo-terminal, such as `/dev/pts/3`, or the link to it; nil while unplugged.
    public var path: String? {
        shared.withLock { $0.terminal?.path }.map { link ?? $0 }
    }

    /// What libnfc opens: `pn532_uart:/dev/pts/3`; nil while unplugged.
    public var connectionString: String? { path.map { "pn532_uart:\($0)" } }

    // MARK: - The field

    /// Brings a card into the field. Cards already there stay.
    /// - Parameter observer: told what happens to the card; the reader waits meanwhile.
    public func present(
        _ card: sending any VirtualCard, observer: (@Sendable (ObservedCard.Event) -> Void)? = nil
    ) {
        // Handed over to the chip, which is only used under the lock.
        nonisolated(unsafe) let card = card
        shared.withLock {
            $0.take($0.chip.present(observer.map { ObservedCard(card, observer: $0) } ?? card))
        }
        shared.signal()
    }

    /// Reaches the cards in the field between two commands, to keep their state or to unlock a phone.
    public func withCards<Value>(_ body: ([any VirtualCard]) -> sending Value) -> sending Value {
        shared.withLock { shared in
            body(shared.chip.cards.map { ($0 as? ObservedCard)?.card ?? $0 })
        }
    }

    /// Takes all cards out of the field, in the middle of whatever they do.
    public func removeCards() { shared.withLock { $0.chip.removeCards() } }

    /// The last frames sent into the field, checksums included, oldest first.
    public var sentFrames: [[UInt8]] { shared.withLock { $0.chip.sentFrames } }

    /// Whether the field is on.
    public var isFieldOn: Bool { shared.withLock { $0.chip.isFieldOn } }

    // MARK: - The chip and the line

    /// Adds misbehaviours; they count commands from now on.
    public func add(_ faults: [PN532Fault]) { shared.withLock { $0.chip.faults += faults } }
    public func clearFaults() { shared.withLock { $0.chip.faults = [] } }

    /// The chip loses power for a moment.
    public func reset() {
        shared.withLock {
            $0.chip.reset()
            $0.pending = []
        }
    }

    public var statistics: Statistics { shared.withLock { $0.statistics } }

    /// Pulls the plug: whoever has the terminal open sees it hang up.
    public func unplug() {
        let gone = shared.withLock { shared -> Terminal? in
            shared.chip.reset()
            shared.pending = []
            defer { shared.terminal = nil }
            return shared.terminal
        }
        if gone != nil, let link { unlink(link) }
        shared.signal()
    }

    /// Plugs it in again: a new pseudo-terminal, the same link.
    public func plugIn() throws(PN532DeviceError) {
        let terminal = try Terminal()
        shared.withLock { if $0.terminal == nil { $0.terminal = terminal } }
        shared.signal()
        try makeLink()
    }

    private func makeLink() throws(PN532DeviceError) {
        guard let link, let target = shared.withLock({ $0.terminal?.path }) else { return }
        var information = stat()
        if lstat(link, &information) == 0, information.st_mode & S_IFMT == S_IFLNK { unlink(link) }
        guard symlink(target, link) == 0 else { throw .system("cannot make the link \(link)") }
    }

    // MARK: - On the thread

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    private static func serve(_ shared: Shared) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let step = shared.withLock { shared -> (terminal: Terminal?, wait: UInt64?)? in
                if shared.isStopped { return nil }
                return (shared.terminal, send(shared))
            }
            guard let step else { return }
            var descriptors = [pollfd(fd: shared.wake[0], events: Int16(POLLIN), revents: 0)]
            if let terminal = step.terminal {
                descriptors.append(pollfd(fd: terminal.master, events: Int16(POLLIN), revents: 0))
                descriptors.append(pollfd(fd: terminal.watch, events: Int16(POLLIN), revents: 0))
            }
            let milliseconds = step.wait.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
            guard poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 else { continue }
            if descriptors[0].revents != 0 {
                while read(shared.wake[0], &buffer, buffer.count) > 0 {}
            }
            guard let terminal = step.terminal else { continue }
            if descriptors[2].revents != 0 { terminal.clientLeft() }
            guard descriptors[1].revents != 0 else { continue }
            let received = read(terminal.master, &buffer, buffer.count)
            guard received > 0 else { continue }
            shared.withLock { shared in
                guard shared.terminal === terminal else { return }
                shared.statistics.bytesFromHost += received
                shared.take(shared.chip.receive(buffer[..<received]))
            }
        }
    }

    /// Sends what is due.
    /// - Returns: nanoseconds until the next output is due; nil where nothing is pending.
    private static func send(_ shared: Shared) -> UInt64? {
        while let output = shared.pending.first {
            switch output {
            case .pause(let duration):
                let time = now()
                if shared.due == 0 {
                    let parts = duration.components
                    shared.due =
                        time &+ UInt64(max(0, parts.seconds)) &* 1_000_000_000
                        &+ UInt64(max(0, parts.attoseconds) / 1_000_000_000)
                }
                if shared.due > time { return shared.due - time }
                shared.due = 0
            case .bytes(let bytes):
                shared.statistics.bytesToHost += bytes.count
                shared.terminal?.send(bytes)
            }
            shared.pending = shared.pending.dropFirst()
        }
        shared.pending = []
        shared.chip.outputsAreSent()
        return nil
    }
}

/// A pseudo-terminal without line discipline. The other end is held open as well, so that a program that closes
/// it does not hang up the line.
// Descriptors never change; each call on them is a system call.
private final class Terminal: @unchecked Sendable {
    let master: Int32
    private let other: Int32
    /// Tells that a program closed its end.
    let watch: Int32
    let path: String

    /// TIOCSPTLCK and TIOCGPTN (asm-generic/ioctls.h), which the C macros hide from Swift.
    private static let unlockRequest: UInt = 0x4004_5431
    private static let numberRequest: UInt = 0x8004_5430

    init() throws(PN532DeviceError) {
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard master >= 0 else { throw .system("no pseudo-terminal (/dev/ptmx)") }
        var number: Int32 = 0
        var locked: Int32 = 0
        guard ioctl(master, Self.unlockRequest, &locked) == 0, ioctl(master, Self.numberRequest, &number) == 0
        else {
            let error = PN532DeviceError.system("no pseudo-terminal")
            close(master)
            throw error
        }
        let path = "/dev/pts/\(number)"
        let other = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        let watch = inotify_init1(O_CLOEXEC | O_NONBLOCK)
        guard other >= 0, watch >= 0 else {
            let error = PN532DeviceError.system("cannot open \(path)")
            close(master)
            if other >= 0 { close(other) }
            if watch >= 0 { close(watch) }
            throw error
        }
        inotify_add_watch(watch, path, UInt32(IN_CLOSE_WRITE | IN_CLOSE_NOWRITE))
        // Non-blocking: a program that reads nothing must not hold up the chip.
        _ = fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK)
        self.master = master
        self.other = other
        self.watch = watch
        self.path = path
        makeRaw()
    }

    deinit {
        close(watch)
        close(other)
        close(master)
    }

    private func makeRaw() {
        var settings = termios()
        tcgetattr(other, &settings)
        cfmakeraw(&settings)
        tcsetattr(other, TCSANOW, &settings)
    }

    /// A program closed the line. One that died left its settings, among them libnfc's mark of a claimed port,
    /// which would keep everybody else out.
    func clientLeft() {
        var buffer = [UInt8](repeating: 0, count: 1024)
        while read(watch, &buffer, buffer.count) > 0 {}
        makeRaw()
    }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(master, $0.baseAddress.map { $0 + sent }, bytes.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            // A full line loses bytes, as a serial line without flow control does.
            guard count > 0 else { return }
            sent += count
        }
    }
}
