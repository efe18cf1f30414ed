import Acquiring
import AcquirerSimulator
import EMV
import Foundation
import Synchronization
import TestTools

@testable import Terminal

/// What travels between a terminal under test and the host that keeps its own books: one JSON object in a line.
struct HostMessage: Codable, Sendable {
    enum Kind: String, Codable, Sendable { case authorize, reverse, advise, adjust, reconcile, upload }
    var number: Int
    var kind: Kind
    var id = ""
    var amount: UInt64 = 0
    var isCredit = false
    var isHold = false
    var revision = 0
    var transmission = 1
    var batch = 0
    var totals = BatchTotals()
    var isAfterUpload = false
}

struct HostAnswer: Codable, Sendable {
    var number: Int
    /// 00, 05, 12 (refused), 95 (out of balance).
    var code: String
    var totals: BatchTotals?
}

/// The books of a host, kept apart from everything the terminal has: who was authorized, reversed, adjusted, settled.
struct HostBooks: Sendable {
    struct Entry: Sendable, Equatable {
        var amount: UInt64
        var isCredit = false
        var isHold = false
        var revision = 0
        var isApproved = false
        var isReversed = false
        var batch: Int?
        var authorizations = 0
    }
    var entries: [String: Entry] = [:]
    var closed: [Int: BatchTotals] = [:]
    var uploads: [Int: [String: HostMessage]] = [:]
    /// What no terminal may do.
    var complaints: [String] = []

    mutating func take(_ message: HostMessage) -> HostAnswer {
        func answer(_ code: String, _ totals: BatchTotals? = nil) -> HostAnswer {
            HostAnswer(number: message.number, code: code, totals: totals)
        }
        switch message.kind {
        case .authorize:
            var entry = entries[message.id] ?? Entry(amount: message.amount)
            entry.authorizations += 1
            if entry.authorizations > 1 { complaints.append("\(message.id) was authorized twice") }
            entry.amount = message.amount
            entry.isCredit = message.isCredit
            entry.isHold = message.isHold
            // Amounts that end in 7 are declined; what was reversed before it came is refused.
            entry.isApproved = !entry.isReversed && message.amount % 10 != 7
            entries[message.id] = entry
            return answer(entry.isReversed ? "12" : entry.isApproved ? "00" : "05")
        case .reverse:
            var entry = entries[message.id] ?? Entry(amount: message.amount)
            if entry.batch != nil { complaints.append("\(message.id) was reversed after it was settled") }
            entry.isReversed = true
            entries[message.id] = entry
            return answer("00")
        case .advise:
            if entries[message.id] == nil {
                entries[message.id] = Entry(
                    amount: message.amount, isCredit: message.isCredit, isApproved: true)
            }
            return answer("00")
        case .adjust:
            guard var entry = entries[message.id], entry.isApproved, !entry.isReversed else {
                return answer("12")
            }
            if message.revision > entry.revision {
                entry.revision = message.revision
                entry.amount = message.amount
                entry.isHold = false
                entries[message.id] = entry
            }
            return answer("00")
        case .reconcile:
            if let closed = closed[message.batch] {
                return answer(closed == message.totals ? "00" : "95", closed)
            }
            let members =
                message.isAfterUpload
                ? Array((uploads[message.batch] ?? [:]).keys)
                : entries.filter { $0.value.isOpen }.map(\.key)
            var totals = BatchTotals()
            for id in members {
                guard let entry = entries[id] else { continue }
                totals.add(Amount(clamping: entry.amount), isCredit: entry.isCredit)
            }
            guard totals == message.totals else { return answer("95", totals) }
            closed[message.batch] = totals
            for id in members { entries[id]?.batch = message.batch }
            return answer("00")
        case .upload:
            guard let entry = entries[message.id], entry.amount == message.amount, entry.isApproved,
                !entry.isReversed
            else {
                complaints.append("\(message.id) was uploaded and is not in the books")
                return answer("12")
            }
            uploads[message.batch, default: [:]][message.id] = message
            return answer("00")
        }
    }
}

extension HostBooks.Entry {
    var hasMoney: Bool { isApproved && !isReversed }
    var isOpen: Bool { hasMoney && !isHold && batch == nil }
}

/// What happens to one message on the line or in the host.
enum LineTrouble: CaseIterable, Sendable {
    /// Cut before the host sees it; cut before its answer arrives.
    case lost, unanswered
    /// The answer comes when nobody waits any more; the host itself sees the message that late.
    case late, overtaken
    case twice, garbage
}

/// The host as a server on a Unix socket, so that it outlives any terminal.
final class HostServer: Sendable {
    let path: String
    private let books = Mutex(HostBooks())
    private let troubles: Mutex<(share: Double, random: SplitMix)>
    private let descriptor: Int32
    static let patience: UInt32 = 150_000

    /// - Parameter share: of all messages that meet a trouble, 0 to 1.
    init(path: String, seed: UInt64, share: Double) throws {
        self.path = path
        troubles = Mutex((share, SplitMix(seed: seed)))
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(100)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
        }
        guard isBound, listen(descriptor, 64) == 0 else {
            throw AcquirerError.unreachable("no socket at \(path)")
        }
        let thread = Thread { [self] in
            while true {
                let client = accept(descriptor, nil, nil)
                if client < 0 { return }
                let worker = Thread { [self] in serve(client) }
                worker.start()
            }
        }
        thread.start()
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    var state: HostBooks { books.withLock { $0 } }
    func setTroubles(share: Double) { troubles.withLock { $0.share = share } }

    private func serve(_ client: Int32) {
        defer { close(client) }
        let reader = LineReader(client)
        while let line = reader.next(within: -1) {
            guard let message = try? JSONDecoder().decode(HostMessage.self, from: line) else { return }
            let trouble = troubles.withLock { state -> LineTrouble? in
                guard Double.random(in: 0..<1, using: &state.random) < state.share else { return nil }
                return LineTrouble.allCases.randomElement(using: &state.random)
            }
            func take() -> Data {
                let answer = books.withLock { $0.take(message) }
                return ((try? JSONEncoder().encode(answer)) ?? Data()) + Data([0x0A])
            }
            switch trouble {
            case nil: send(client, take())
            case .lost: return
            case .unanswered:
                _ = take()
                return
            case .late:
                let answer = take()
                usleep(Self.patience * 2)
                send(client, answer)
            case .overtaken:
                usleep(Self.patience * 2)
                send(client, take())
            case .twice:
                let answer = take()
                send(client, answer + answer)
            case .garbage:
                _ = take()
                send(client, Data("{\"number\": \n".utf8))
            }
        }
    }

    private func send(_ client: Int32, _ data: Data) {
        _ = data.withUnsafeBytes { Foundation.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}

/// Lines from a socket. `@unchecked Sendable`: each is used by one thread or queue alone.
final class LineReader: @unchecked Sendable {
    let descriptor: Int32
    private var buffer = Data()
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// - Parameter milliseconds: -1 waits for ever.
    /// - Returns: nil at the end or after that time.
    func next(within milliseconds: Int32) -> Data? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = Data(buffer[buffer.startIndex..<end])
                buffer = Data(buffer[(end + 1)...])
                return line
            }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, milliseconds) > 0 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else {
                isAtEnd = true
                return nil
            }
            buffer.append(contentsOf: bytes.prefix(count))
        }
    }
    private(set) var isAtEnd = false
}

/// The terminal's side of the line. `@unchecked Sendable`: `reader` and `number` are touched on `queue` alone.
final class HostLine: AcquirerBackend, @unchecked Sendable {
    let name = "bookkeeper"
    private let path: String
    private let queue = DispatchQueue(label: "line")
    private var reader: LineReader?
    private var number = 0
    /// Called before a message leaves and after its answer came.
    private let hook: @Sendable (String) -> Void

    init(path: String, hook: @escaping @Sendable (String) -> Void = { _ in }) {
        self.path = path
        self.hook = hook
    }

    private func ask(_ message: HostMessage) async throws(AcquirerError) -> HostAnswer {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<HostAnswer, AcquirerError>, Never>) in
            queue.async { continuation.resume(returning: self.exchange(message)) }
        }
        return try result.get()
    }

    private func exchange(_ message: HostMessage) -> Result<HostAnswer, AcquirerError> {
        var message = message
        number += 1
        message.number = number
        guard let reader = reader ?? connected() else { return .failure(.unreachable("no line")) }
        self.reader = reader
        guard let data = try? JSONEncoder().encode(message) else { return .failure(.rejected("no JSON")) }
        hook("send")
        let bytes = data + Data([0x0A])
        let sent = bytes.withUnsafeBytes {
            Foundation.send(reader.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        hook("sent")
        guard sent == bytes.count else { return .failure(hangUp(.connectionLost("broken line"))) }
        while let line = reader.next(within: Int32(HostServer.patience / 1000)) {
            guard let answer = try? JSONDecoder().decode(HostAnswer.self, from: line) else {
                return .failure(hangUp(.malformedResponse("no JSON")))
            }
            // The second of two answers to an earlier message.
            guard answer.number == message.number else { continue }
            hook("answered")
            return answer.code == "12" && message.kind != .authorize
                ? .failure(.rejected("code 12")) : .success(answer)
        }
        return .failure(hangUp(reader.isAtEnd ? .connectionLost("hung up") : .timeout))
    }

    private func hangUp(_ error: AcquirerError) -> AcquirerError {
        if let reader { close(reader.descriptor) }
        reader = nil
        return error
    }

    private func connected() -> LineReader? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(100)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let isThere = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) == 0 }
        }
        guard isThere else {
            close(descriptor)
            return nil
        }
        return LineReader(descriptor)
    }

    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        let answer = try await ask(
            HostMessage(
                number: 0, kind: .authorize, id: request.transactionID, amount: request.amount.minorUnits,
                isCredit: request.transactionType == 0x20, isHold: request.purpose == .preAuthorization))
        return AuthorizationResponse(
            responseCode: answer.code, authorizationCode: answer.code == "00" ? "A00001" : nil)
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        _ = try await ask(
            HostMessage(
                number: 0, kind: .reverse, id: request.transactionID, amount: request.amount.minorUnits,
                transmission: request.transmission))
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
        _ = try await ask(
            HostMessage(
                number: 0, kind: .advise, id: request.transactionID, amount: request.amount.minorUnits,
                isCredit: request.transactionType == 0x20))
    }
    func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        _ = try await ask(
            HostMessage(
                number: 0, kind: .adjust, id: request.transactionID, amount: request.amount.minorUnits,
                revision: request.revision))
    }
    func reconcile(
        _ request: ReconciliationRequest
    ) async throws(AcquirerError) -> ReconciliationAnswer {
        let answer = try await ask(
            HostMessage(
                number: 0, kind: .reconcile, batch: request.batch, totals: request.totals,
                isAfterUpload: request.isAfterUpload))
        return answer.code == "00" ? .balanced : .outOfBalance(answer.totals)
    }
    func upload(_ item: BatchItem) async throws(AcquirerError) {
        _ = try await ask(
            HostMessage(
                number: 0, kind: .upload, id: item.transactionID, amount: item.amount.minorUnits,
                isCredit: item.isCredit, batch: item.batch))
    }
}
