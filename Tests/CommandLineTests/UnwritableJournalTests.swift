import Foundation
import TestTools
import Testing

/// Journals that this user may read but not write, in a process of its own: whatever is missing beside them, the program
/// says what is wrong and ends by itself. Needs root, to become somebody else.
@Suite(
    .needs(
        Requirement(
            "root, setpriv or a path to the program that the user nobody may walk is missing",
            isMet: Unprivileged.isAvailable)))
struct UnwritableJournalTests {
    @Test(arguments: [0o444, 0o644], ["", "-wal", "-shm", ".lock", ".reserve", ".key"])
    func endsWithAReason(_ mode: Int, _ odd: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let folder = program.state.appendingPathComponent("books")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let path = folder.appendingPathComponent("journal.sqlite").path
        let made = try await program.run(
            "pay", "5.00", "--card", "visa-credit", "--fresh-card", "--journal", path)
        #expect(made.status == 0, "\(made.errors)")
        #expect(!FileManager.default.fileExists(atPath: path + "-wal"))
        // What SQLite or the journal keeps beside the file is empty where it is not there by itself, else gone.
        switch odd {
        case "": break
        case "-wal", "-shm": _ = FileManager.default.createFile(atPath: path + odd, contents: Data())
        default: try FileManager.default.removeItem(atPath: path + odd)
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            try Unprivileged.give(folder.appendingPathComponent(name).path, mode: mode)
        }
        try Unprivileged.give(folder.path, mode: 0o555)
        try Unprivileged.give(program.state.path, mode: 0o755)

        let list = try await program.run(
            through: Unprivileged.prefix, "journal", "list", "--json", "--journal", path)
        if odd == "-wal" || odd == "-shm" {
            #expect([0, 4].contains(list.status), "\(list.status): \(list.errors)")
        } else {
            // At rest nothing need be written to read it.
            #expect(list.status == 0, "\(list.errors)")
            #expect(try Program.list(list.output).count == 1)
        }
        if list.status != 0 { #expect(list.errors.contains("cannot be opened")) }
        let pay = try await program.run(
            through: Unprivileged.prefix, "pay", "5.00", "--card", "visa-credit", "--fresh-card", "--journal",
            path)
        #expect(pay.status == 4, "\(pay.status): \(pay.errors)")
        #expect(pay.errors.contains("cannot be opened"))
    }

    @Test func noJournalYet() async throws {
        let program = try Program()
        defer { program.remove() }
        let folder = program.state.appendingPathComponent("books")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Unprivileged.give(folder.path, mode: 0o555)
        try Unprivileged.give(program.state.path, mode: 0o755)
        for path in [folder.path + "/journal.sqlite", folder.path + "/deeper/journal.sqlite"] {
            let pay = try await program.run(
                through: Unprivileged.prefix, "pay", "5.00", "--card", "visa-credit", "--fresh-card",
                "--journal",
                path)
            #expect(pay.status == 4, "\(pay.status): \(pay.errors)")
            #expect(pay.errors.contains("cannot be opened"))
        }
    }
}

/// The user nobody (Debian: 65534).
enum Unprivileged {
    static let prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    static let isAvailable: Bool = {
        guard getuid() == 0 else { return false }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = prefix + [Program.executable.path, "--version"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    struct Failure: Error {}

    static func give(_ path: String, mode: Int) throws {
        guard chown(path, 65534, 65534) == 0, chmod(path, mode_t(mode)) == 0 else { throw Failure() }
    }
}
