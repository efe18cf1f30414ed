public import AcquirerSimulator
internal import EMVCryptography
internal import Foundation
internal import Glibc
internal import Issuing
internal import NIOPosix
internal import Synchronization

/// The books of a simulated host in two files: the whole of them as they once were, in JSON, and a log of the changes since
/// then. A change is in the log, and the log on the disk, before the host answers (`commit`); changes that wait are
/// written together. From time to time, and at the end, the whole is written anew and the log begins again.
///
/// Each line of the log is a checksum (the first 16 digits of SHA-256) and JSON. A line that a crash cut short is left out
/// when the books are opened: nobody was told of it. A damaged line before others is an error.
public final class HostLedgerFile: HostLedger {
    /// Where the log lies, beside the books.
    public static func logPath(_ path: String) -> String { path + ".log" }

    /// The whole, as it is stored. Files of older versions have the books alone.
    private struct Whole: Codable {
        var issuer: IssuerSimulator.State
        var acquirer: AcquirerBooks
        /// What the log must name.
        var ledger: String?
        /// Changes that are in it.
        var sequence: Int?
    }
    private struct Head: Codable {
        var ledger: String
        var version: Int
    }
    private struct Group: Codable {
        /// Of its first change; they count from 1 and leave no gaps.
        var first: Int
        var changes: [HostChange]
    }

    private enum Work: Sendable {
        case change(HostChange)
        case replace(HostBooks)
    }
    private struct State {
        var queue: [Work] = []
        var isWriting = false
        /// Changes taken, and those on the disk.
        var appended: Int
        var durable: Int
        var waiting: [(sequence: Int, continuation: CheckedContinuation<HostLedgerError?, Never>)] = []
        var logSize: Int
        var isReplacing = false
        var failure: HostLedgerError?
    }

    public let path: String
    /// What was found and left out when it was opened: the bytes of a last line that a crash cut short.
    public let droppedBytes: Int
    private let id: String
    private let log: Int32
    private let compactsAt: Int
    private let state: Mutex<State>
    /// Ends with the first failure.
    private let broken:
        (stream: AsyncStream<HostLedgerError>, continuation: AsyncStream<HostLedgerError>.Continuation)

    /// Opens a host's books, or begins them.
    /// - Parameters:
    ///   - path: of the whole; the log lies beside it.
    ///   - isNew: whatever is there is replaced.
    ///   - compactsAt: bytes of the log after which the whole is written anew.
    /// - Throws: where a file cannot be read or written, is damaged, or is another program's.
    public static func open(
        _ path: String, isNew: Bool = false, compactsAt: Int = 4 << 20
    ) throws(HostLedgerError) -> (ledger: HostLedgerFile, books: HostBooks) {
        let logPath = Self.logPath(path)
        let log = Glibc.open(logPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw .system("cannot be opened", path: logPath) }
        // Whether the ledger's end closes the log.
        var isOwned = false
        do throws(HostLedgerError) {
            guard flock(log, LOCK_EX | LOCK_NB) == 0 else { throw .locked(path: path) }
            if isNew { guard ftruncate(log, 0) == 0 else { throw .system("cannot be cut", path: logPath) } }
            var whole: Data?
            if !isNew, FileManager.default.fileExists(atPath: path) {
                whole = FileManager.default.contents(atPath: path)
                if whole == nil { throw .system("cannot be read", path: path) }
            }
            let content = try read(log, path: logPath)
            let found = try contents(whole: whole, log: content, path: path)
            let ledger = HostLedgerFile(
                path: path, id: found.id ?? UUID().uuidString, log: log, sequence: found.sequence,
                droppedBytes: content.count - found.logEnd, compactsAt: compactsAt)
            isOwned = true
            // The state as it is now; the log begins anew.
            try ledger.write(whole: found.books, found.sequence)
            return (ledger, found.books)
        } catch {
            if !isOwned { Glibc.close(log) }
            throw error
        }
    }

    struct Contents {
        var books = HostBooks()
        var id: String?
        /// Changes that are in the books.
        var sequence = 0
        /// Bytes of the log up to the end of its last good line.
        var logEnd = 0
    }

    /// The books of both files together.
    /// - Parameters:
    ///   - whole: nil where there is none.
    ///   - path: for errors.
    static func contents(
        whole data: Data?, log: [UInt8], path: String
    ) throws(HostLedgerError) -> Contents {
        var contents = Contents()
        if let data {
            guard let whole = try? JSONDecoder().decode(Whole.self, from: data) else {
                throw .unreadable(path: path)
            }
            contents.books = HostBooks(issuer: whole.issuer, acquirer: whole.acquirer)
            contents.id = whole.ledger
            contents.sequence = whole.sequence ?? 0
        }
        let logPath = logPath(path)
        let found = try lines(log, path: logPath)
        contents.logEnd = found.end
        if let head = found.head {
            // Without the whole, a log that begins with the first change is all there is.
            guard head.ledger == contents.id || data == nil else { throw .ofAnother(path: logPath) }
            contents.id = head.ledger
        }
        for (line, group) in found.groups {
            for (index, change) in group.changes.enumerated() {
                let (number, isTooGreat) = group.first.addingReportingOverflow(index)
                if number <= contents.sequence { continue }
                guard !isTooGreat, number == contents.sequence + 1, contents.books.apply(change) else {
                    throw .damaged(
                        path: logPath, line: line,
                        reason: "change \(number) does not follow change \(contents.sequence)")
                }
                contents.sequence = number
            }
        }
        return contents
    }

    private init(path: String, id: String, log: Int32, sequence: Int, droppedBytes: Int, compactsAt: Int) {
        self.path = path
        self.id = id
        self.log = log
        self.droppedBytes = droppedBytes
        self.compactsAt = compactsAt
        state = Mutex(State(appended: sequence, durable: sequence, logSize: 0))
        broken = AsyncStream.makeStream()
    }

    deinit { Glibc.close(log) }

    // MARK: - Changes

    public func append(_ change: HostChange) -> Bool {
        enqueue(.change(change))
    }

    public func replace(with books: HostBooks) {
        _ = enqueue(.replace(books))
    }

    private func enqueue(_ work: Work) -> Bool {
        let (starts, wantsWhole) = state.withLock { state -> (Bool, Bool) in
            guard state.failure == nil else { return (false, false) }
            state.queue.append(work)
            if case .change = work { state.appended += 1 } else { state.isReplacing = true }
            defer { state.isWriting = true }
            return (!state.isWriting, state.logSize >= compactsAt && !state.isReplacing)
        }
        if starts { NIOThreadPool.singleton.submit { [self] _ in writeAll() } }
        return wantsWhole
    }

    /// Returns when all changes so far are on the disk.
    /// - Throws: where they are not, and never will be: then nothing may be said of them.
    public func commit() async throws(HostLedgerError) {
        let failure: HostLedgerError? = await withCheckedContinuation { continuation in
            let result: HostLedgerError?? = state.withLock { state in
                if let failure = state.failure { return .some(failure) }
                if state.durable == state.appended { return .some(nil) }
                state.waiting.append((state.appended, continuation))
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
        if let failure { throw failure }
    }

    /// Returns when the books cannot be written any more, or the task is cancelled.
    public func failure() async -> HostLedgerError? {
        for await error in broken.stream { return error }
        return nil
    }

    /// Writes the whole for the last time.
    public func close(_ books: HostBooks) async throws(HostLedgerError) {
        replace(with: books)
        let failure: HostLedgerError? = await withCheckedContinuation { continuation in
            let result: HostLedgerError?? = state.withLock { state in
                if let failure = state.failure { return .some(failure) }
                if !state.isWriting { return .some(nil) }
                // After everything that is queued.
                state.waiting.append((.max, continuation))
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
        if let failure { throw failure }
    }

    // MARK: - Writing, one at a time

    private func writeAll() {
        while true {
            let (queue, first) = state.withLock { state -> ([Work], Int) in
                defer { state.queue = [] }
                if state.queue.isEmpty { state.isWriting = false }
                return (state.queue, state.durable + 1)
            }
            guard !queue.isEmpty else { return finish(upTo: .max, nil) }
            do throws(HostLedgerError) {
                var next = first
                var group: [HostChange] = []
                func flush() throws(HostLedgerError) {
                    guard !group.isEmpty else { return }
                    let size = try write(Self.line(Group(first: next, changes: group)))
                    next += group.count
                    group = []
                    state.withLock { $0.logSize += size }
                    finish(upTo: next - 1, nil)
                }
                for work in queue {
                    switch work {
                    case .change(let change): group.append(change)
                    case .replace(let books):
                        try flush()
                        try write(whole: books, next - 1)
                    }
                }
                try flush()
            } catch {
                finish(upTo: .max, error)
                return
            }
        }
    }

    private func finish(upTo sequence: Int, _ error: HostLedgerError?) {
        let done = state.withLock { state in
            if let error {
                state.failure = state.failure ?? error
                state.isWriting = false
                state.queue = []
            } else if sequence != .max {
                state.durable = sequence
            }
            // Somebody may have queued more in the meantime.
            let isIdle = !state.isWriting
            let ready = state.waiting.filter { error != nil || $0.sequence <= state.durable || isIdle }
            state.waiting.removeAll { error != nil || $0.sequence <= state.durable || isIdle }
            return ready
        }
        for waiter in done { waiter.continuation.resume(returning: error) }
        if let error {
            broken.continuation.yield(error)
            broken.continuation.finish()
        }
    }

    /// - Returns: how many bytes.
    private func write(_ line: [UInt8]) throws(HostLedgerError) -> Int {
        try Self.write(line, to: log, path: Self.logPath(path))
        guard fdatasync(log) == 0 else { throw .system("cannot be synced", path: Self.logPath(path)) }
        return line.count
    }

    /// The whole in place of the log: durable before the log is cut. After a crash between the two the log repeats what the
    /// whole has, and its numbers say so.
    private func write(whole books: HostBooks, _ sequence: Int) throws(HostLedgerError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let bytes: [UInt8]
        do {
            bytes = [UInt8](
                try encoder.encode(
                    Whole(issuer: books.issuer, acquirer: books.acquirer, ledger: id, sequence: sequence)))
        } catch { throw .failed("cannot be written: \(error)", path: path) }
        let temporary = path + ".new"
        let file = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("cannot be opened", path: temporary) }
        do throws(HostLedgerError) {
            try Self.write(bytes, to: file, path: temporary)
            guard fsync(file) == 0 else { throw .system("cannot be synced", path: temporary) }
        } catch {
            Glibc.close(file)
            throw error
        }
        Glibc.close(file)
        guard rename(temporary, path) == 0 else { throw .system("cannot be put in place", path: path) }
        try Self.syncFolder(of: path)
        let logPath = Self.logPath(path)
        guard ftruncate(log, 0) == 0, lseek(log, 0, SEEK_SET) == 0 else {
            throw .system("cannot be cut", path: logPath)
        }
        let size = try write(Self.line(Head(ledger: id, version: 1)))
        state.withLock { state in
            state.logSize = size
            state.isReplacing = false
        }
    }

    private static func write(_ bytes: [UInt8], to file: Int32, path: String) throws(HostLedgerError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system("cannot be written", path: path)
            }
            rest = rest.dropFirst(count)
        }
    }

    private static func syncFolder(of path: String) throws(HostLedgerError) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard file >= 0 else { throw .system("cannot be opened", path: folder) }
        defer { Glibc.close(file) }
        guard fsync(file) == 0 else { throw .system("cannot be synced", path: folder) }
    }

    // MARK: - Lines

    private static func line(_ value: some Encodable) throws(HostLedgerError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do {
            let json = [UInt8](try encoder.encode(value))
            return checksum(json) + [0x20] + json + [0x0A]
        } catch { throw .failed("a change cannot be written: \(error)", path: "the log") }
    }

    private static func checksum(_ json: some Collection<UInt8>) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in SHA256.hash(Array(json).span).prefix(8) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 0x0F)])
        }
        return text
    }

    private static func read(_ file: Int32, path: String) throws(HostLedgerError) -> [UInt8] {
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        guard lseek(file, 0, SEEK_SET) == 0 else { throw .system("cannot be read", path: path) }
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system("cannot be read", path: path)
            }
            guard count > 0 else { return content }
            content += buffer.prefix(count)
        }
    }

    /// The log's lines; where the last good one ends.
    /// - Throws: where a line is damaged and others follow it: only the last one can have been cut short by a crash, as each
    ///   is on the disk before the next is begun.
    private static func lines(
        _ content: [UInt8], path: String
    ) throws(HostLedgerError) -> (head: Head?, groups: [(line: Int, group: Group)], end: Int) {
        var head: Head?
        var groups: [(line: Int, group: Group)] = []
        var end = 0
        var number = 0
        var broken: Int?
        var start = 0
        while start < content.count {
            number += 1
            let stop = content[start...].firstIndex(of: 0x0A) ?? content.count
            defer { start = stop + 1 }
            let line = content[start..<stop]
            guard stop < content.count, line.count > 17, line[start + 16] == 0x20,
                checksum(line.dropFirst(17)).elementsEqual(line.prefix(16))
            else {
                broken = broken ?? number
                continue
            }
            if let broken {
                throw .damaged(
                    path: path, line: broken, reason: "its checksum is wrong, and lines follow that are right"
                )
            }
            let json = Data(line.dropFirst(17))
            if number == 1 {
                guard let found = try? JSONDecoder().decode(Head.self, from: json), found.version == 1 else {
                    throw .damaged(path: path, line: 1, reason: "it is no log of this version")
                }
                head = found
            } else {
                guard let group = try? JSONDecoder().decode(Group.self, from: json) else {
                    throw .damaged(path: path, line: number, reason: "it holds no changes of this version")
                }
                groups.append((number, group))
            }
            end = stop + 1
        }
        return (head, groups, end)
    }
}

/// Why a host's books cannot be kept.
public enum HostLedgerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another program has them open.
    case locked(path: String)
    /// Not JSON of this kind.
    case unreadable(path: String)
    case damaged(path: String, line: Int, reason: String)
    /// The log is not of these books.
    case ofAnother(path: String)
    case failed(String, path: String)

    static func system(_ what: String, path: String) -> HostLedgerError {
        .failed("\(what): \(String(cString: strerror(errno)))", path: path)
    }

    /// Whether what is in the files is to blame, and not that they cannot be used now.
    public var isOfContent: Bool {
        switch self {
        case .unreadable, .damaged, .ofAnother: true
        case .locked, .failed: false
        }
    }

    public var description: String {
        switch self {
        case .locked(let path):
            "the books in \(path) are open in another host: give this one --books of its own"
        case .unreadable(let path): "the books in \(path) cannot be read: begin others with --new-books"
        case .damaged(let path, let line, let reason):
            "\(path), line \(line): \(reason); take the file from a copy, or begin other books with --new-books"
        case .ofAnother(let path):
            "\(path) is the log of other books: put the right one beside them, remove it, or begin others with --new-books"
        case .failed(let reason, let path): "\(path) \(reason)"
        }
    }
}
