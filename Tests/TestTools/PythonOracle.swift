import Foundation

/// A program of `Tests/Oracles`, which looks at the same matter through libraries of others. `make test` sets
/// `TAPBRIDGE_PYTHON` to an interpreter that has them.
public struct PythonOracle: Sendable {
    public static let interpreter = ProcessInfo.processInfo.environment["TAPBRIDGE_PYTHON"]
    public static var isAvailable: Bool { interpreter != nil }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    let script: String

    /// - Parameter name: file name within `Tests/Oracles`.
    public init(_ name: String) {
        script =
            URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Oracles").appending(path: name).path()
    }

    /// Runs the program on `input`.
    /// - Returns: what it printed.
    /// - Throws: `Failure` with its output where it ended with another status than 0.
    public func run(_ arguments: [String] = [], input: String = "") throws -> String {
        guard let interpreter = Self.interpreter else {
            throw Failure(description: "TAPBRIDGE_PYTHON is not set")
        }
        let process = Process()
        process.executableURL = URL(filePath: interpreter)
        process.arguments = ["-W", "ignore", script] + arguments
        // A file: what is written at once into a pipe may be more than it holds.
        let file = FileManager.default.temporaryDirectory.appending(path: "oracle-\(UUID().uuidString)")
        try Data(input.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(script) ended with \(process.terminationStatus): \(text)")
        }
        return text
    }

    /// The lines that it prints.
    public func lines(_ arguments: [String] = [], input: String = "") throws -> [String] {
        try run(arguments, input: input).split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .map(String.init)
    }
}
