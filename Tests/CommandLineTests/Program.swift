import Foundation
import Testing

/// The program as a user runs it, with a state directory of its own.
struct Program {
    let state: URL

    init() throws {
        state = FileManager.default.temporaryDirectory.appendingPathComponent(
            "tapbridge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: state) }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The program lies beside the test bundle.
    static let executable: URL = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("tapbridge")
    }()

    struct Result {
        var status: Int32
        var output: String
        var errors: String
    }

    func process(_ arguments: [String]) -> (Process, Pipe, Pipe) {
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["XDG_STATE_HOME"] = state.path
        environment["PCSCLITE_CSOCK_NAME"] = state.appendingPathComponent("no-pcscd").path
        process.environment = environment
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        return (process, output, errors)
    }

    /// Runs the program to its end.
    func run(_ arguments: String..., input: String? = nil) async throws -> Result {
        try await finish(process(arguments), input)
    }

    /// Runs another program to its end.
    func run(executable: String, _ arguments: [String]) async throws -> Result {
        let parts = process(arguments)
        parts.0.executableURL = URL(fileURLWithPath: executable)
        return try await finish(parts, nil)
    }

    /// The same started by another program: `setpriv ...`, `ip netns exec ...`.
    func run(through prefix: [String], _ arguments: String...) async throws -> Result {
        let parts = process(arguments)
        parts.0.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        parts.0.arguments = prefix + [Self.executable.path] + arguments
        return try await finish(parts, nil)
    }

    func finish(_ parts: (Process, Pipe, Pipe), _ input: String?) async throws -> Result {
        let (process, output, errors) = parts
        let stdin = Pipe()
        if input != nil { process.standardInput = stdin }
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                do {
                    try process.run()
                    if let input {
                        stdin.fileHandleForWriting.write(Data(input.utf8))
                        try stdin.fileHandleForWriting.close()
                    }
                    // Neither stream is long enough to fill its pipe while the other is read.
                    let out = try output.fileHandleForReading.readToEnd() ?? Data()
                    let err = try errors.fileHandleForReading.readToEnd() ?? Data()
                    process.waitUntilExit()
                    continuation.resume(
                        returning: Result(
                            status: process.terminationStatus, output: String(decoding: out, as: UTF8.self),
                            errors: String(decoding: err, as: UTF8.self)))
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    /// Standard output as JSON.
    static func object(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }
    static func list(_ text: String) throws -> [[String: Any]] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
    }
}
