internal import CardReaders
internal import Glibc
public import SmartCard
internal import Synchronization

/// Why a card could not be attached to a virtual reader.
public enum VPCDError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing listens there.
    case unreachable(host: String, port: UInt16, reason: String)
    /// The other end does not speak the protocol.
    case protocolViolation(String)

    public var description: String {
        switch self {
        case .unreachable(let host, let port, let reason):
            "no virtual reader at \(host), port \(port) (\(reason)): install vsmartcard-vpcd and start pcscd"
        case .protocolViolation(let reason): "the virtual reader breaks its protocol: \(reason)"
        }
    }
}

/// Puts a card in software into the virtual reader of vsmartcard (vpcd), so that any PC/SC program on this
/// machine can talk to it.
///
/// The virtual reader listens on a TCP port per slot; the card is the client. Messages are 2 bytes of
/// length, most significant first, and that many bytes: one byte is a control (00 power off, 01 power on,
/// 02 reset, 04 give the ATR), anything else a command APDU, to be answered with a response APDU.
public final class VPCDClient: Sendable {
    /// Where Debian's vsmartcard-vpcd has its first slot (0x8C7B).
    public static let defaultPort: UInt16 = 35963

    public struct Options: Sendable {
        public var host = "127.0.0.1"
        public var port = VPCDClient.defaultPort
        /// Attach again when the reader hangs up, as a restarted pcscd does, and wait for a reader that is
        /// not there yet.
        public var reconnects = true
        public var retryAfter: Duration = .milliseconds(500)
        /// How long a card that stays silent is waited for before it is torn away: the virtual reader has no
        /// time limit of its own and would hang for ever.
        public var silence: Duration = .seconds(1)
        public init(host: String = "127.0.0.1", port: UInt16 = VPCDClient.defaultPort) {
            self.host = host
            self.port = port
        }
    }

    public enum Event: Sendable, Equatable {
        case attached
        case powerOn
        case powerOff
        case reset
        /// A command and the card's response; nil where it stayed silent.
        case exchange(command: [UInt8], response: [UInt8]?)
        case detached(reason: String)
    }

    // The card is only touched under the lock.
    private final class Holder: @unchecked Sendable {
        let lock = Mutex<Void>(())
        let card: any VirtualCard
        init(_ card: any VirtualCard) { self.card = card }
    }
    private struct Link {
        var descriptor: Int32?
        var isCancelled = false
    }

    public let options: Options
    private let thread = BlockingThread(name: "vpcd card")
    private let holder: Holder
    private let link = Mutex(Link())
    private let onEvent: (@Sendable (Event) -> Void)?

    /// - Parameters:
    ///   - card: belongs to the client from now on; `withCard` reaches it.
    ///   - onEvent: called on the client's thread: the reader waits meanwhile.
    public init(
        card: sending any VirtualCard, options: Options = Options(),
        onEvent: (@Sendable (Event) -> Void)? = nil
    ) {
        holder = Holder(card)
        self.options = options
        self.onEvent = onEvent
    }

    /// Reaches the card between two commands, to keep its state or to unlock a phone.
    public func withCard<Value>(_ body: (any VirtualCard) -> sending Value) -> sending Value {
        holder.lock.withLock { _ in body(holder.card) }
    }

    /// Attaches the card and serves the reader until the task is cancelled, then takes the card out.
    /// - Throws: `.unreachable` where nothing listens and `reconnects` is off; `.protocolViolation`.
    public func run() async throws(VPCDError) {
        link.withLock { $0.isCancelled = false }
        while !Task.isCancelled {
            let outcome = await withTaskCancellationHandler {
                await thread.perform { _ in self.serve() }
            } onCancel: {
                detach()
            }
            switch outcome {
            case .cancelled, .timedOut: break
            case .value(.failure(let error)):
                if case .unreachable = error, options.reconnects { break }
                if Task.isCancelled { break }
                throw error
            case .value(.success): if !options.reconnects { return }
            }
            if Task.isCancelled { break }
            try? await Task.sleep(for: options.retryAfter)
        }
        // The thread lets go of the card before this returns.
        _ = await Task { await thread.perform(deadline: .now + .seconds(2)) { _ in } }.value
    }

    /// Takes the card out at once, in the middle of whatever it does. `run` puts it back unless its task is
    /// cancelled.
    public func pull() {
        link.withLock { if let descriptor = $0.descriptor { shutdown(descriptor, Int32(SHUT_RDWR)) } }
    }

    private func detach() {
        link.withLock {
            $0.isCancelled = true
            if let descriptor = $0.descriptor { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    // MARK: - On the thread

    private func serve() -> Result<Void, VPCDError> {
        let descriptor: Int32
        switch open() {
        case .success(let opened): descriptor = opened
        case .failure(let error): return .failure(error)
        }
        let isCancelled = link.withLock {
            $0.descriptor = $0.isCancelled ? nil : descriptor
            return $0.isCancelled
        }
        defer {
            link.withLock { $0.descriptor = nil }
            Glibc.close(descriptor)
        }
        if isCancelled { return .success(()) }
        onEvent?(.attached)
        let reason = converse(descriptor)
        holder.lock.withLock { _ in holder.card.powerOff() }
        onEvent?(.detached(reason: reason))
        return .success(())
    }

    private func open() -> Result<Int32, VPCDError> {
        func failed(_ reason: String) -> Result<Int32, VPCDError> {
            .failure(.unreachable(host: options.host, port: options.port, reason: reason))
        }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(options.host, String(options.port), &hints, &list)
        guard status == 0 else { return failed(String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }
        var reason = "no address"
        var next = list
        while let address = next?.pointee {
            next = address.ai_next
            let descriptor = socket(
                address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), address.ai_protocol)
            guard descriptor >= 0 else { continue }
            if connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 {
                var yes: Int32 = 1
                setsockopt(
                    descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
                return .success(descriptor)
            }
            reason = String(cString: strerror(errno))
            Glibc.close(descriptor)
        }
        return failed(reason)
    }

    /// Serves until the connection ends. Returns why it ended.
    private func converse(_ descriptor: Int32) -> String {
        var messages = VPCDMessages()
        var chunk = [UInt8](repeating: 0, count: 65538)
        while true {
            while let message = messages.next() {
                guard let answer = answer(to: message) else { continue }
                guard let answer else {
                    // Silent: the reader waits in vain, then the card is gone.
                    var poll = pollfd(fd: descriptor, events: 0, revents: 0)
                    let wait = options.silence.components
                    _ = Glibc.poll(
                        &poll, 1,
                        Int32(clamping: wait.seconds * 1000 + wait.attoseconds / 1_000_000_000_000_000))
                    return "the card stayed silent"
                }
                if let reason = send(descriptor, VPCDMessages.framed(answer)) { return reason }
            }
            // The reader sends length and message apart and waits (Nagle) for our acknowledgement of the
            // length, which the kernel would hold back for 40 ms. The option does not last, hence each time.
            var yes: Int32 = 1
            setsockopt(
                descriptor, Int32(IPPROTO_TCP), TCP_QUICKACK, &yes, socklen_t(MemoryLayout<Int32>.size))
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                return count == 0 ? "the reader hung up" : String(cString: strerror(errno))
            }
            messages.append(chunk[..<count])
        }
    }

    /// What to send for a message: nil for nothing, `.some(nil)` where the card stays silent.
    private func answer(to message: [UInt8]) -> [UInt8]?? {
        guard message.count == 1 else {
            guard !message.isEmpty else { return .none }
            var response = holder.lock.withLock { _ in holder.card.process(message) }
            // A message has at most 65535 bytes: a longer response cannot pass this reader.
            if let bytes = response, bytes.count > 0xFFFF { response = [0x6F, 0x00] }
            onEvent?(.exchange(command: message, response: response))
            return .some(response)
        }
        switch message[0] {
        case 0x00:
            holder.lock.withLock { _ in holder.card.powerOff() }
            onEvent?(.powerOff)
        case 0x01:
            holder.lock.withLock { _ in holder.card.powerOn() }
            onEvent?(.powerOn)
        case 0x02:
            holder.lock.withLock { _ in
                holder.card.powerOff()
                holder.card.powerOn()
            }
            onEvent?(.reset)
        case 0x04: return .some(holder.lock.withLock { _ in holder.card.answerToReset })
        default: break
        }
        return .none
    }

    private func send(_ descriptor: Int32, _ bytes: [UInt8]) -> String? {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(cString: strerror(errno)) }
            sent += count
        }
        return nil
    }
}

/// Cuts what a virtual reader sends into messages: 2 bytes of length, most significant first, and that many bytes.
package struct VPCDMessages {
    private var buffer: [UInt8] = []
    package init() {}

    package mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

    /// The next whole message; nil until more bytes have come. It may be empty.
    package mutating func next() -> [UInt8]? {
        guard buffer.count >= 2 else { return nil }
        let end = 2 + (Int(buffer[0]) << 8 | Int(buffer[1]))
        guard buffer.count >= end else { return nil }
        defer { buffer.removeFirst(end) }
        return Array(buffer[2..<end])
    }

    /// - Parameter message: at most 65535 bytes.
    package static func framed(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }
}
