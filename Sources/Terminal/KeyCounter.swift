internal import BERTLV
internal import Foundation

/// Numbers the transactions of one PIN pad. A number that was given is never given again, whatever happens.
public protocol KeyCounter: Sendable {
    /// The next key serial number, counted durably before it is used.
    /// - Parameters:
    ///   - device: the device's key serial number with counter 0.
    ///   - successor: the number after one; nil after the last.
    func next(
        _ device: [UInt8], successor: @Sendable ([UInt8]) -> [UInt8]?
    ) async throws(PINPadError) -> [UInt8]
}

/// Counts from the start each time: for tests and demonstrations.
public actor MemoryKeyCounter: KeyCounter {
    private var last: [UInt8]?

    public init() {}

    public func next(
        _ device: [UInt8], successor: @Sendable ([UInt8]) -> [UInt8]?
    ) throws(PINPadError) -> [UInt8] {
        guard let next = successor(last ?? device) else { throw .exhausted }
        last = next
        return next
    }
}

/// Keeps the last number in a file of one line, shared by all processes that use the pad's key.
public struct FileKeyCounter: KeyCounter {
    public let path: String

    public init(path: String) { self.path = path }

    public func next(
        _ device: [UInt8], successor: @Sendable ([UInt8]) -> [UInt8]?
    ) async throws(PINPadError) -> [UInt8] {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        // Closing lets go of the lock.
        defer { close(descriptor) }
        try await lock(descriptor)

        var last = device
        let text = try read(descriptor)
        if !text.isEmpty {
            guard text.hasSuffix("\n"), let bytes = Hex.bytes(text.dropLast()) else {
                throw .counter("\(path) does not hold one key serial number")
            }
            last = bytes
            guard last.count == device.count, isSameDevice(last, device) else {
                throw .counter("\(path) belongs to another key, \(Hex.string(last))")
            }
        }
        guard let next = successor(last) else { throw .exhausted }
        let line = Array((Hex.string(next) + "\n").utf8)
        guard pwrite(descriptor, line, line.count, 0) == line.count, fsync(descriptor) == 0 else {
            throw failure("cannot be written")
        }
        if text.isEmpty { try syncFolder() }
        return next
    }

    /// Serial numbers of one device differ in the counter only: 21 bits with Triple DES, 32 with AES.
    private func isSameDevice(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        let count = left.count == 10 ? 7 : left.count - 4
        guard left.prefix(max(count, 0)) == right.prefix(max(count, 0)) else { return false }
        return left.count != 10 || left[7] & 0xE0 == right[7] & 0xE0
    }

    /// Another process holds the file for the time of one write.
    private func lock(_ descriptor: Int32) async throws(PINPadError) {
        for _ in 0..<500 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK || errno == EINTR else { throw failure("cannot be locked") }
            do { try await Task.sleep(for: .milliseconds(10)) } catch {
                throw .counter("cancelled while another process held \(path)")
            }
        }
        throw .counter("\(path) is held by another process")
    }

    private func read(_ descriptor: Int32) throws(PINPadError) -> String {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw failure("cannot be read") }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    private func syncFolder() throws(PINPadError) {
        let folder = open(
            URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("its folder cannot be opened") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("its folder cannot be written") }
    }

    private func failure(_ what: String) -> PINPadError {
        .counter("\(path) \(what): \(String(cString: strerror(errno)))")
    }
}
