internal import Foundation
internal import ProfileFile
internal import Synchronization
internal import Terminal
internal import Traces

/// Traces that can be replayed: those of a directory, read only, and those that were uploaded, in memory.
final class TraceShelf: Sendable {
    struct Item: Encodable, Sendable {
        var name: String
        var title: String?
        var size: Int
        var commands: Int
        var builtIn: Bool
    }
    private struct Upload: Sendable {
        var text: String
        var trace: Trace
    }
    private struct State {
        var uploads: [String: Upload] = [:]
        var bytes = 0
        var directory: String?
        /// What the directory's files are, read once.
        var listed: [Item]?
    }
    private let state = Mutex(State())
    static let mostBytes = 1 << 20
    static let mostUploads = 200
    static let mostBytesInAll = 32 << 20

    func useDirectory(_ path: String?) {
        state.withLock { state in
            state.directory = path
            state.listed = nil
        }
    }

    /// Names are file names without their ending: nothing in them leads out of the directory.
    static func check(_ name: String) throws(Problem) {
        let bytes = Array(name.utf8)
        func isPlain(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        guard let first = bytes.first, isPlain(first), bytes.count <= 64,
            bytes.allSatisfy({ isPlain($0) || $0 == 0x2D || $0 == 0x2E })
        else {
            throw .bad(
                "a trace's name begins with a letter or digit and has up to 64 of a-z, 0-9, \".\" and \"-\"")
        }
    }

    var items: [Item] {
        state.withLock { state in
            if state.listed == nil { state.listed = Self.list(state.directory) }
            let own = state.uploads.map { name, upload in
                Self.item(name, upload.trace, size: upload.text.utf8.count, builtIn: false)
            }
            let names = Set(own.map(\.name))
            return ((state.listed ?? []).filter { !names.contains($0.name) } + own).sorted {
                $0.name < $1.name
            }
        }
    }

    private static func item(_ name: String, _ trace: Trace, size: Int, builtIn: Bool) -> Item {
        let commands = trace.entries.lazy.filter { if case .command = $0.content { true } else { false } }
            .count
        return Item(name: name, title: trace["title"], size: size, commands: commands, builtIn: builtIn)
    }

    private static func list(_ directory: String?) -> [Item] {
        guard let directory, let files = try? FileManager.default.contentsOfDirectory(atPath: directory)
        else {
            return []
        }
        return files.compactMap { file in
            guard file.hasSuffix(".trace") else { return nil }
            let name = String(file.dropLast(6))
            guard (try? check(name)) != nil, let text = read(directory, name),
                let trace = try? Trace(parsing: text)
            else { return nil }
            return item(name, trace, size: text.utf8.count, builtIn: true)
        }
    }

    private static func read(_ directory: String, _ name: String) -> String? {
        guard let data = FileManager.default.contents(atPath: directory + "/" + name + ".trace"),
            data.count <= Trace.mostBytes
        else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    /// - Throws: `Problem` for a name that is none or is not there.
    func text(_ name: String) throws(Problem) -> String {
        try Self.check(name)
        let (upload, directory) = state.withLock { ($0.uploads[name]?.text, $0.directory) }
        if let upload { return upload }
        if let directory, let text = Self.read(directory, name) { return text }
        throw .notFound("trace \(name)")
    }

    /// The profile that lies beside a trace of the directory.
    func profile(_ name: String) throws(ProfileFileError) -> TerminalProfile? {
        guard (try? Self.check(name)) != nil, let directory = state.withLock({ $0.directory }) else {
            return nil
        }
        let path = directory + "/" + name + ".profile.yaml"
        return FileManager.default.fileExists(atPath: path) ? try TerminalProfile(path: path) : nil
    }

    /// Keeps a trace, masked where it holds card numbers that are no test numbers.
    /// - Returns: whether it is new.
    func put(_ name: String, _ text: String) throws(Problem) -> Bool {
        try Self.check(name)
        guard text.utf8.count <= Self.mostBytes else {
            throw Problem(.tooLarge, status: 413, title: "The trace is too large", detail: "at most 1 MiB")
        }
        let parsed: Trace
        do { parsed = try Trace(parsing: text) } catch {
            throw Problem(.badRequest, status: 400, title: "The text is no trace", detail: "\(error)")
        }
        let masked = parsed.masked()
        let upload = Upload(text: masked == parsed ? text : masked.description, trace: masked)
        let result: Result<Bool, Problem> = state.withLock { state in
            let old = state.uploads[name]
            let bytes = state.bytes - (old?.text.utf8.count ?? 0) + upload.text.utf8.count
            guard old != nil || state.uploads.count < Self.mostUploads, bytes <= Self.mostBytesInAll else {
                return .failure(.conflict("\(state.uploads.count) traces are there: delete some"))
            }
            state.uploads[name] = upload
            state.bytes = bytes
            return .success(old == nil)
        }
        return try result.get()
    }

    func delete(_ name: String) throws(Problem) {
        _ = try text(name)
        let isGone = state.withLock { state in
            guard let upload = state.uploads.removeValue(forKey: name) else { return false }
            state.bytes -= upload.text.utf8.count
            return true
        }
        guard isGone else { throw .conflict("trace \(name) came with the program and is not deleted") }
    }
}
