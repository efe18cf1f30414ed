import Foundation

extension Benchmarks {
    /// The daemon as a process of its own: from its start to the line that says it listens, and its memory when it has
    /// nothing to do.
    static func daemon(_ rounds: Int) async throws -> [Row] {
        var starts: [Double] = []
        var work: [Double] = []
        for _ in 0..<max(5, rounds) {
            let daemon = try MeasuredDaemon(terminals: 1)
            starts.append(daemon.millisecondsToReady)
            work.append(daemon.processorMilliseconds())
            daemon.end()
        }
        var rows = [
            Row(
                name: "daemon-start",
                what: "from the process's start to the daemon's being ready, one terminal",
                value: median(starts), unit: "ms", goal: "< 100 ms"),
            Row(
                name: "daemon-start-work", what: "processor time of the same, whatever else the machine does",
                value: median(work), unit: "ms", goal: "< 100 ms"),
        ]
        for (terminals, goal) in [(1, 40), (1000, 200)] {
            let daemon = try MeasuredDaemon(terminals: terminals)
            try await Task.sleep(for: .seconds(2))
            let figures = try daemon.residentMegabytes()
            daemon.end()
            rows.append(
                Row(
                    name: "daemon-memory-\(terminals)",
                    what:
                        "resident memory of the idle daemon with \(terminals) terminal\(terminals == 1 ? "" : "s")",
                    value: figures, unit: "MB", goal: "< \(goal) MB"))
        }
        return rows
    }
}

/// A daemon in a process of its own, with a state directory of its own.
private final class MeasuredDaemon {
    private let process = Process()
    private let folder: URL
    let millisecondsToReady: Double

    init(terminals: Int) throws {
        folder = FileManager.default.temporaryDirectory.appending(
            path: "tapbridge-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        process.executableURL = try Benchmarks.program()
        process.arguments = ["serve", "--port", "0", "--terminals", "\(terminals)", "--log-level", "error"]
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("TAPBRIDGE_") }
        environment["XDG_STATE_HOME"] = folder.path
        environment["XDG_CONFIG_HOME"] = folder.path
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        let clock = ContinuousClock()
        let start = clock.now
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte.first != 0x0A
        {
            line += byte
        }
        millisecondsToReady = Benchmarks.microseconds(start.duration(to: clock.now)) / 1000
        guard String(decoding: line, as: UTF8.self).hasPrefix("listening on") else {
            end()
            throw BenchmarkError("the daemon did not begin")
        }
    }

    /// Of all threads, from the scheduler's nanoseconds.
    func processorMilliseconds() -> Double {
        let tasks = "/proc/\(process.processIdentifier)/task"
        var nanoseconds = 0.0
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? [] {
            let text = (try? String(contentsOfFile: "\(tasks)/\(thread)/schedstat", encoding: .utf8)) ?? ""
            nanoseconds += text.split(separator: " ").first.flatMap { Double($0) } ?? 0
        }
        return nanoseconds / 1e6
    }

    func residentMegabytes() throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            let number = line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Double($0) }
            if let number { return number * 1024 / 1e6 }
        }
        throw BenchmarkError("the system does not tell the daemon's memory")
    }

    func end() {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}
