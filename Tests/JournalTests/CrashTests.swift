import EMV
import Foundation
import GRDB
import TestTools
import Testing

@testable import Journal

/// Other processes: killed, holding the journal, or without the right to write. Each child is this program again.
@Suite struct ProcessTests {
    /// Killed the moment after a write returned: the write is there, and the restart finds what is unfinished.
    @Test func killedAfterAnAcknowledgedWrite() async throws {
        let folder = try Folder()
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let journal = try await Journal.open(at: path)
            _ = try await journal.make(.approved)
            _ = try await journal.make(.authorizing)
            let reversal = try await journal.make(.reversalDue)
            #expect(try await journal.reversalAttempt(reversal.id) == 1)
            let offline = try await journal.make(.cardRead)
            try await journal.storeOffline(offline.id, keeping: [1, 2, 3])
            _ = try await journal.make(.started)
            kill(getpid(), SIGKILL)
        }
        // The dead process's lock does not hold the journal.
        let journal = try await Journal.open(at: path)
        let unfinished = try await journal.unfinished(terminal: "TERM0001")
        #expect(unfinished.map(\.state) == [.authorizing, .reversalDue, .approvedOffline, .started])
        #expect(try await journal.list().count == 5)
        let reversals = try await journal.pendingReversals()
        #expect(reversals.map(\.reversalAttempts) == [1])
        let reversal = try #require(reversals.first)
        #expect(try await journal.reversalAttempt(reversal.id) == 2)
        let forwarding = try await journal.pendingForwarding()
        let offline = try #require(forwarding.first)
        #expect(forwarding.count == 1)
        #expect(try await journal.kept(offline.id) == [1, 2, 3])
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }

    /// Killed while twenty terminals write: every identifier that was told to the outside is in the journal.
    @Test func killedAmidstWrites() async throws {
        let folder = try Folder()
        let path = folder.path
        let told = folder.directory + "/told"
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, told = told as String] in
            let journal = try await Journal.open(at: path)
            let file = open(told, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            await withTaskGroup(of: Void.self) { group in
                for terminal in 0..<20 {
                    group.addTask {
                        for round in 0..<50 {
                            guard let record = try? await journal.begin(try intent(terminal: "T\(terminal)"))
                            else { return }
                            let line = record.id + "\n"
                            _ = line.withCString { write(file, $0, strlen($0)) }
                            if terminal == 7, round == 15 { kill(getpid(), SIGKILL) }
                        }
                    }
                }
            }
        }
        let journal = try await Journal.open(at: path)
        let lines = try String(contentsOfFile: told, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.count > 15)
        let stored = Set(try await journal.list().map(\.id))
        #expect(lines.filter { $0.utf8.count == 28 }.allSatisfy(stored.contains))
        #expect(try await journal.verify().problems == [])
        try await journal.close()
    }

    @Test func lockedByAnotherProcess() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        _ = try await journal.make(.approved)
        let (path, process) = (folder.path, getpid())
        await #expect(processExitsWith: .success) { [path = path as String, process = process as Int32] in
            do {
                _ = try await Journal.open(at: path)
                exit(1)
            } catch {
                guard let error = error as? JournalError,
                    error == .locked(path: path, processID: process),
                    error.description.contains("by process \(process): stop it")
                else { exit(2) }
            }
            guard try await Journal.openReadOnly(at: path).list().count == 1 else { exit(3) }
        }
        try await journal.close()
    }

    /// Some other program with a write transaction open: said so, once, after one wait for all.
    @Test func heldByAnotherProgram() async throws {
        let folder = try Folder()
        let journal = try await Journal.open(at: folder.path)
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: folder.path, configuration: configuration)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        await withTaskGroup(of: JournalError?.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    do {
                        _ = try await journal.begin(try intent())
                        return nil
                    } catch { return error as? JournalError }
                }
            }
            for await error in group { #expect(error == .locked(path: folder.path, processID: nil)) }
        }
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        _ = try await journal.begin(try intent())
        try await journal.close()
    }

    enum Denied: String, CaseIterable, Codable, Sendable { case directory, file, both, noDirectory, key }

    /// Without the right to write: refused at once and in words, and reading works where it can. The child gives up
    /// root's rights.
    @Test(arguments: [Denied.file, .both, .noDirectory, .key]) func withoutTheRightToWrite(_ denied: Denied)
        async throws
    {
        let folder = try Folder()
        let path = folder.path
        let first = try await Journal.open(at: path)
        let record = try await first.make(.cardRead)
        try await first.storeOffline(record.id, keeping: [1])
        try await first.close()
        // Whoever may read the key, as its owner, is not denied it.
        if denied == .key { try Requirement.root.check() }
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let isWritable = denied == .file || denied == .key
        chmod(folder.directory, isWritable ? 0o777 : 0o555)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.directory) {
            chmod(folder.directory + "/" + name, denied == .directory || denied == .key ? 0o666 : 0o444)
        }
        if denied == .file { chmod(path + ".lock", 0o666) }
        if denied == .key { chmod(path + ".key", 0o600) }
        await #expect(processExitsWith: .success) { [path = path as String, denied = denied as Denied] in
            // Nobody; where this is not root's, the files' own modes hold already.
            let isRoot = getuid() == 0
            if isRoot, setgroups(0, nil) != 0 || setgid(65534) != 0 || setuid(65534) != 0 { exit(1) }
            if denied == .noDirectory {
                do {
                    _ = try await Journal.open(at: path + "-new/journal.sqlite")
                    exit(2)
                } catch { if case JournalError.cannotOpen = error { exit(0) } else { exit(3) } }
            }
            if denied == .key {
                let journal = try await Journal.open(at: path)
                let id = try await journal.pendingForwarding().first?.id ?? ""
                do {
                    _ = try await journal.kept(id)
                    exit(4)
                } catch {
                    if case JournalError.damaged(path + ".key", _) = error { exit(0) } else { exit(5) }
                }
            }
            do {
                _ = try await Journal.open(at: path)
                exit(6)
            } catch {
                guard case JournalError.cannotOpen(path, let reason) = error, !reason.isEmpty else {
                    print(error)
                    exit(7)
                }
            }
            let reading = try Journal.openReadOnly(at: path)
            guard try await reading.list().count == 1 else { exit(8) }
        }
        chmod(folder.directory, 0o700)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        chmod(path, 0o600)
        let again = try await Journal.open(at: path)
        #expect(try await again.kept(record.id) == [1])
        try await again.close()
    }

    /// XDG Base Directory Specification: the variable where it is absolute, else `.local/state` in the home.
    @Test(arguments: ["/some/state", "relative", ""]) func defaultPath(_ value: String) async {
        await #expect(processExitsWith: .success) { [value = value as String] in
            setenv("XDG_STATE_HOME", value, 1)
            let expected =
                value.hasPrefix("/")
                ? "/some/state/tapbridge/journal.sqlite"
                : NSHomeDirectory() + "/.local/state/tapbridge/journal.sqlite"
            if Journal.defaultPath != expected { exit(1) }
        }
    }
}
