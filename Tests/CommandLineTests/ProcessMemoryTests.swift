import Foundation
import TestTools
import Testing

/// What is in the program's memory is not for others of the same user, nor for core dumps. Needs root, to become somebody
/// whom the kernel asks.
@Suite(
    .needs(
        Requirement(
            "root, setpriv or a program that nobody may run is missing", isMet: Unprivileged.isAvailable)))
struct ProcessMemoryTests {
    /// A program that runs as nobody, and has said its first words.
    final class Running {
        let process = Process()
        private let input = Pipe()
        private let output = Pipe()

        init(_ program: Program, _ command: [String], asks: String) throws {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments =
                Unprivileged.prefix
                + ["env", "HOME=\(program.state.path)", "XDG_STATE_HOME=\(program.state.path)"] + command
            process.standardInput = input
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            input.fileHandleForWriting.write(Data(asks.utf8))
            // Its first word is the sign that it is past its beginning.
            #expect(!output.fileHandleForReading.availableData.isEmpty, "\(command)")
        }

        deinit {
            // A child inherits the blocked signals of the thread that started it, and those of Swift's concurrency block SIGTERM.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    static func mayRead(_ file: String, of process: Process) throws -> Bool {
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        reader.arguments = Unprivileged.prefix + ["cat", "/proc/\(process.processIdentifier)/\(file)"]
        reader.standardOutput = FileHandle.nullDevice
        reader.standardError = FileHandle.nullDevice
        try reader.run()
        reader.waitUntilExit()
        return reader.terminationStatus == 0
    }

    @Test(arguments: [
        (["decode"], "9F36020001\n"), (["serve", "--port", "0"], ""),
        (["host", "--listen", "127.0.0.1:0"], ""),
    ]) func isNotDumpable(_ arguments: [String], _ asks: String) throws {
        let program = try Program()
        defer { program.remove() }
        try Unprivileged.give(program.state.path, mode: 0o700)
        let running = try Running(program, [Program.executable.path] + arguments, asks: asks)
        guard running.process.isRunning else { return }
        let limits = try String(
            contentsOfFile: "/proc/\(running.process.processIdentifier)/limits", encoding: .utf8)
        let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
        #expect(core?.split(separator: " ").filter { $0 == "0" }.count == 2, "\(limits)")
        for file in ["environ", "maps", "mem", "auxv"] {
            #expect(try !Self.mayRead(file, of: running.process), "\(file)")
        }
        #expect(try Self.mayRead("status", of: running.process))
    }

    /// Of another program of the same user they can be read: the above says something.
    @Test func othersAre() throws {
        let program = try Program()
        defer { program.remove() }
        let running = try Running(program, ["cat"], asks: "x\n")
        #expect(try Self.mayRead("environ", of: running.process))
        #expect(try Self.mayRead("maps", of: running.process))
    }
}
