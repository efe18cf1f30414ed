import EMVCryptography
import AcquirerSimulator
import Cards
import EMV
import Foundation
import Journal
import CardReaders
import Synchronization
import TestTools
import Testing

@testable import Terminal

/// When a terminal's process dies.
enum Death: Sendable, Codable, CustomStringConvertible {
    /// Before or after its nth write to the journal.
    case write(Int, before: Bool)
    /// At the nth moment of the line: before a message leaves, after it left, after its answer came.
    case line(Int)
    /// After so many milliseconds.
    case time(Int)
    var description: String {
        switch self {
        case .write(let count, let before): "\(before ? "before" : "after") write \(count)"
        case .line(let count): "at line moment \(count)"
        case .time(let milliseconds): "after \(milliseconds) ms"
        }
    }
}

/// A terminal's day, as its process lives it: payments of all kinds from a seed.
struct Day: Sendable {
    let journalPath, socket, diary: String
    let seed: UInt64
    let operations: Int

    static func profile() throws -> TerminalProfile {
        var profile = try TerminalProfile.builtIn()
        profile.timing.authorization = .seconds(2)
        profile.timing.cardWait = .seconds(5)
        return profile
    }

    static func session(
        _ journal: Journal, _ line: HostLine, _ field: EmulatedReader
    ) throws -> TerminalSession {
        TerminalSession(
            profile: try profile(), reader: field, backend: line, journal: journal,
            environment: TerminalEnvironment(sleep: { _ in }, pinPad: try Till.pinPad(TestPIN.pin)))
    }

    /// Opens the journal, resolves what was left, and works; `hook` and `onLine` may end the process.
    func live(
        hook: @escaping @Sendable (WatchedStore.Moment, Bool) throws(JournalError) -> Void,
        onLine: @escaping @Sendable (String) -> Void
    ) async throws {
        let store = WatchedStore(store: try await SQLiteJournal.open(at: journalPath), hook: hook)
        let journal = Journal(store: store)
        let line = HostLine(path: socket, hook: onLine)
        let field = EmulatedReader()
        let session = try Self.session(journal, line, field)
        let desk = PaymentDesk(journal: journal, forwarder: session.forwarder)
        var random = SplitMix(seed: seed)
        _ = try await session.recover()
        // What was under way is asked for again with its key, as a cash register does.
        if let last = said("begin").last { try await take(last, session, field) }
        // In every other life the forwarder works beside the payments.
        let beside = seed.isMultiple(of: 2) ? Task { await session.forwarder.run() } : nil
        for _ in 0..<operations {
            do {
                try await one(&random, session, desk, field, journal)
            } catch {
                // Told to a person; the day goes on.
                guard error is TerminalError || error is DeskError || error is SettlementError else {
                    throw error
                }
                write("refused \(error)")
            }
        }
        beside?.cancel()
        await beside?.value
        try await journal.close()
    }

    private func one(
        _ random: inout SplitMix, _ session: TerminalSession, _ desk: PaymentDesk, _ field: EmulatedReader,
        _ journal: Journal
    ) async throws {
        let cents = UInt64.random(in: 100...2000, using: &random)
        let name = "\(seed)-\(random.next() % 1_000_000)"
        let choice = Int.random(in: 0..<100, using: &random)
        let known = try await journal.list(limit: 12)
        switch choice {
        case 0..<30: try await begin("sale \(cents) \(name)", session, field)
        case 30..<45: try await begin("offline \(cents) \(name)", session, field)
        case 45..<55: try await begin("hold \(cents) \(name)", session, field)
        case 55..<63: try await begin("defer \(cents - cents % 10) \(name)", session, field)
        case 63..<68: try await begin("refund \(cents) \(name)", session, field)
        case 68..<76:
            if let held = known.first(where: { $0.purpose == .preAuthorization && $0.state == .approved }) {
                _ = try await desk.complete(held.id, Amount(clamping: held.amount.minorUnits / 2 + 1))
            }
        case 76..<84:
            if let sale = known.first(where: { $0.purpose == .sale && $0.state == .approved && !$0.isCredit })
            {
                _ = try await desk.tip(sale.id, Amount(clamping: cents % 300 + 1))
            }
        case 84..<92:
            let states: [TransactionState] = [.approved, .adjusted, .forwarded, .approvedOffline]
            if let paid = known.first(where: { states.contains($0.state) }) {
                write("void \(paid.id)")
                _ = try await desk.void(paid.id)
            }
        default:
            for report in try await session.settle() {
                write("settled \(report.batch.batch) \(report.batch.state.rawValue)")
            }
        }
    }

    private func begin(_ what: String, _ session: TerminalSession, _ field: EmulatedReader) async throws {
        write("begin \(what)")
        try await take(what, session, field)
    }

    /// - Parameter what: kind, amount and key.
    private func take(_ what: String, _ session: TerminalSession, _ field: EmulatedReader) async throws {
        let parts = what.split(separator: " ").map(String.init)
        guard parts.count == 3, let cents = UInt64(parts[1]) else { return }
        let tapped = try card(parts[0] == "offline" ? "visa-debit" : "visa-credit")
        field.remove()
        field.present(tapped)
        let result = try await session.pay(
            PaymentRequest(
                amount: Amount(clamping: cents), type: parts[0] == "refund" ? .refund : .purchase,
                purpose: parts[0] == "hold" ? .preAuthorization : parts[0] == "defer" ? .deferred : .sale,
                idempotencyKey: parts[2]))
        if !result.isApproved { write("not \(parts[0]): \(result.status.rawValue) \(result.reason ?? "-")") }
        if result.isApproved { write("approved \(result.transactionID) \(cents)") }
    }

    // MARK: - What the outside was told

    func write(_ line: String) {
        let descriptor = open(diary, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        let text = line + "\n"
        _ = text.withCString { Foundation.write(descriptor, $0, strlen($0)) }
    }

    /// All that was written after a word.
    func said(_ word: String) -> [String] {
        let text = (try? String(contentsOfFile: diary, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { $0.hasPrefix(word + " ") }
            .map { String($0.dropFirst(word.count + 1)) }
    }

    /// In another process: until its death, or the day's end.
    func live(until death: Death) async throws {
        let writes = Mutex(0)
        let moments = Mutex(0)
        let end: @Sendable () -> Void = {
            kill(getpid(), SIGKILL)
            while true { pause() }
        }
        if case .time(let milliseconds) = death {
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { end() }
        }
        try await live(
            hook: { moment, _ in
                guard case .write(let count, let before) = death else { return }
                let now =
                    moment == .before
                    ? writes.withLock {
                        $0 += 1
                        return $0
                    } : writes.withLock { $0 }
                if now == count, before == (moment == .before) { end() }
            },
            onLine: { _ in
                guard case .line(let count) = death else { return }
                if moments.withLock({
                    $0 += 1
                    return $0
                }) == count {
                    end()
                }
            })
        end()
    }

    // MARK: - Both books

    /// Resolves everything over a line that works, settles, and compares the terminal's books with the host's.
    /// - Returns: what does not agree; and how many transactions there were.
    func compare(_ host: HostServer) async throws -> (problems: [String], transactions: Int) {
        host.setTroubles(share: 0)
        let journal = try await Journal.open(at: journalPath)
        let session = try Self.session(journal, HostLine(path: socket), EmulatedReader())
        _ = try await session.recover()
        for _ in 0..<20 where try await !journal.owed().isEmpty { _ = try await session.forwarder.flush() }
        var problems: [String] = []
        for round in 0..<3 {
            for report in try await session.settle() where !report.isBalanced || round == 2 {
                problems.append("batch \(report.batch.batch) is \(report.batch.state)")
            }
        }
        let records = try await journal.list()
        for record in try await journal.unfinished(terminal: "TERM0001", includingParked: true) {
            problems.append("\(record.id) is still \(record.state)\(record.isParked ? ", parked" : "")")
        }
        problems += try await journal.verify().problems
        let books = host.state
        problems += books.complaints

        // The same money under the same identifiers.
        var mine: [String: UInt64] = [:]
        for record in records where record.state == .settled || record.state == .approved {
            mine[record.id] = record.amountTaken.minorUnits
        }
        let theirs = books.entries.filter { $0.value.hasMoney }.mapValues(\.amount)
        for id in Set(mine.keys).union(theirs.keys) where mine[id] != theirs[id] {
            problems.append("\(id): the terminal has \(mine[id] ?? 0), the host \(theirs[id] ?? 0)")
        }
        // The same batches.
        for batch in try await journal.batches() {
            let sums = batch.sums
            let totals = BatchTotals(
                debits: sums.debits, debitAmount: sums.debitAmount, credits: sums.credits,
                creditAmount: sums.creditAmount)
            if books.closed[batch.batch] != totals { problems.append("batch \(batch.batch) differs") }
        }
        // What was told to be approved is paid once, unless it was taken back.
        let parent = Dictionary(
            uniqueKeysWithValues: records.compactMap { record in
                record.replaces.map { (record.id, $0) }
            })
        var paid: [String: Int] = [:]
        for id in mine.keys {
            var root = id
            while let next = parent[root] { root = next }
            paid[root, default: 0] += 1
        }
        let voided = Set(said("void"))
        for line in Set(said("approved")) {
            guard let id = line.split(separator: " ").first.map(String.init) else { continue }
            if !records.contains(where: { $0.id == id }) { problems.append("\(id) was told and is lost") }
            if !voided.contains(id), parent[id] == nil, paid[id] != 1,
                !voided.contains(where: { v in
                    var root = v
                    while let p = parent[root] { root = p }
                    return root == id
                })
            {
                problems.append("\(id) was told to be approved, and is paid \(paid[id] ?? 0) times")
            }
        }
        try await journal.close()
        return (problems, records.count)
    }
}

/// The terminal's process killed, the line cut, the disk full: both books agree afterwards, nothing is lost, nothing doubled.
@Suite(.serialized) struct CrashTests {
    /// More with `TAPBRIDGE_CRASHES` (`make crash-test`).
    static var crashes: Int {
        ProcessInfo.processInfo.environment["TAPBRIDGE_CRASHES"].flatMap(Int.init) ?? 24
    }

    static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "crash-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    static func day(_ folder: String, seed: UInt64, operations: Int) -> Day {
        Day(
            journalPath: folder + "/journal.sqlite", socket: folder + "/host", diary: folder + "/diary",
            seed: seed, operations: operations)
    }

    /// Killed at every write in turn, at every moment of the line, and at random times; the same journal goes from
    /// process to process.
    @Test func killedAnywhere() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let host = try HostServer(path: folder + "/host", seed: 1, share: 0.15)
        defer { host.stop() }
        var random = SplitMix(seed: 7)
        var deaths: [Death] = []
        let count = Self.crashes
        for index in 0..<count {
            switch index % 4 {
            case 0: deaths.append(.write(index / 4 % 60 + 1, before: true))
            case 1: deaths.append(.write(index / 4 % 60 + 1, before: false))
            case 2: deaths.append(.line(index / 4 % 40 + 1))
            default: deaths.append(.time(Int.random(in: 50...900, using: &random)))
            }
        }
        for (index, death) in deaths.enumerated() {
            let seed = UInt64(index + 1)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [folder = folder as String, seed = seed as UInt64, death = death as Death] in
                try await CrashTests.day(folder, seed: seed, operations: 12).live(until: death)
            }
        }
        let (problems, transactions) = try await Self.day(folder, seed: 0, operations: 0).compare(host)
        #expect(problems == [])
        #expect(transactions >= count / 3, "too little happened: \(transactions) transactions")
        let books = host.state
        print(
            "crash test: \(count) kills, \(transactions) transactions, \(books.closed.count) batches, \(problems.count) differences"
        )
        if let copy = ProcessInfo.processInfo.environment["TAPBRIDGE_CRASH_DIARY"] {
            try? FileManager.default.copyItem(atPath: folder + "/diary", toPath: copy)
        }
    }

    /// No death, but a line on which every third message meets a trouble, and a disk that is full now and then.
    @Test(arguments: 0..<4) func badLineAndFullDisk(_ seed: UInt64) async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let host = try HostServer(path: folder + "/host", seed: seed, share: 0.33)
        defer { host.stop() }
        let day = Self.day(folder, seed: seed, operations: max(20, Self.crashes / 2))
        let writes = Mutex(0)
        try await day.live(
            hook: { moment, isVital throws(JournalError) in
                // Full for twenty writes of every eighty: what is owed still goes into the reserve.
                guard moment == .before else { return }
                let count = writes.withLock {
                    $0 += 1
                    return $0
                }
                if count % 80 >= 60, !isVital { throw .diskFull(path: "test") }
            }, onLine: { _ in })
        let (problems, transactions) = try await day.compare(host)
        #expect(problems == [])
        #expect(transactions > 5)
    }
}
