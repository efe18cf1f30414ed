import EMV
import Foundation
import ISO8583
import ISO8583Backend
import Issuing
import Synchronization
import TestTools
import Testing

@testable import AcquirerHost
@testable import Acquiring
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator

/// A folder with a host's books, gone after the test.
private final class BooksFolder {
    let url: URL
    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "host-ledger-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(at: url) }
    var path: String { url.appending(path: "books.json").path }
    var log: String { HostLedgerFile.logPath(path) }

    /// The books as a host finds them that begins after a kill at this moment.
    func copied(_ change: (inout Data) throws -> Void = { _ in }) throws -> (HostBooks, dropped: Int) {
        let copy = try BooksFolder()
        if FileManager.default.fileExists(atPath: path) {
            try FileManager.default.copyItem(atPath: path, toPath: copy.path)
        }
        var data = try Data(contentsOf: URL(filePath: log))
        try change(&data)
        try data.write(to: URL(filePath: copy.log))
        let (ledger, books) = try HostLedgerFile.open(copy.path)
        return (books, ledger.droppedBytes)
    }
}

@Suite struct HostLedgerTests {
    /// All kinds of work that changes books, some of it repeated, some refused.
    static func work(_ simulator: SimulatedAcquirer, _ count: Int, from first: Int = 1) async throws {
        for number in first..<(first + count) {
            var payment = Payment(amount: UInt64(100 + number), stan: UInt32(number))
            if number % 7 == 0 { payment.number = "4761739001010010" }
            let request = payment.request
            switch number % 6 {
            case 0:
                _ = try? await simulator.authorize(request)
                try? await simulator.reverse(payment.reversal)
                try? await simulator.reverse(payment.reversal)
            case 1: try? await simulator.advise(request, offline: .approved)
            case 2: try? await simulator.reverse(payment.reversal)
            case 3:
                var held = request
                held.purpose = .preAuthorization
                _ = try? await simulator.authorize(held)
                try? await simulator.adjust(
                    AdjustmentRequest(
                        kind: .completion, transactionID: request.transactionID,
                        terminalID: request.terminalID,
                        merchantID: request.merchantID, stan: request.stan,
                        retrievalReference: request.retrievalReference, authorizationCode: nil,
                        approvedAmount: request.amount, amount: Amount(clamping: 50), currency: euro,
                        revision: 1, transmission: 1, original: request))
            default:
                _ = try? await simulator.authorize(request)
                _ = try? await simulator.authorize(request)
            }
            if number % 20 == 0 {
                let totals = await simulator.books.openTotals(terminalID: "TERM0001", currency: euro)
                _ = try await simulator.reconcile(
                    ReconciliationRequest(
                        terminalID: "TERM0001", merchantID: "M", acquirerID: "00000000001",
                        batch: number / 20, stan: UInt32(number), currency: euro, totals: totals,
                        isAfterUpload: false, date: EMVDate(yymmdd: 261120)!, hhmmss: 101500))
            }
        }
    }

    /// What is on the disk is what the host has, after each piece of work.
    @Test func eachChangeIsKept() async throws {
        let folder = try BooksFolder()
        let (ledger, books) = try HostLedgerFile.open(folder.path)
        #expect(books == HostBooks())
        let simulator = SimulatedAcquirer(ledger: ledger)
        for number in 1...60 {
            try await Self.work(simulator, 1, from: number)
            try await ledger.commit()
            let expected = await simulator.allBooks
            #expect(try folder.copied().0 == expected, "after \(number)")
        }
        #expect(await !simulator.issuer.state.ledger.entries.isEmpty)
        // A clean end, and what was there goes on.
        try await ledger.close(await simulator.allBooks)
        #expect(try folder.copied().0 == (await simulator.allBooks))
    }

    /// A crash in the middle of a write: everything before it is there, at whatever byte it came.
    @Test func cutAtEveryByte() async throws {
        let folder = try BooksFolder()
        let (ledger, _) = try HostLedgerFile.open(folder.path)
        let simulator = SimulatedAcquirer(ledger: ledger)
        var states: [(size: Int, books: HostBooks)] = []
        func size() throws -> Int { try Data(contentsOf: URL(filePath: folder.log)).count }
        states.append((try size(), HostBooks()))
        for number in 1...2 {
            try await Self.work(simulator, 1, from: number)
            try await ledger.commit()
            states.append((try size(), await simulator.allBooks))
        }
        let end = try #require(states.last)
        let whole = try Data(contentsOf: URL(filePath: folder.path))
        let log = [UInt8](try Data(contentsOf: URL(filePath: folder.log)))
        #expect(log.count == end.size)
        for cut in 0...log.count {
            let found = try HostLedgerFile.contents(
                whole: whole, log: Array(log.prefix(cut)), path: folder.path)
            // Lines of one piece of work are whole or not there; nothing that is whole is left out.
            let atLeast = states.last { $0.size <= cut }?.books ?? HostBooks()
            if states.contains(where: { $0.size == cut }) {
                #expect(found.books == atLeast, "cut at \(cut)")
                #expect(found.logEnd == cut)
            } else {
                let entries = found.books.issuer.ledger.entries
                #expect(entries.starts(with: atLeast.issuer.ledger.entries), "cut at \(cut)")
                #expect(found.logEnd <= cut)
            }
        }
        // The same on the disk, after which the books go on.
        for cut in [0, 1, 20, states[1].size - 1, end.size - 1, end.size] {
            let (books, dropped) = try folder.copied { $0 = $0.prefix(cut) }
            let found = try HostLedgerFile.contents(
                whole: whole, log: Array(log.prefix(cut)), path: folder.path)
            #expect(books == found.books)
            #expect(dropped == cut - found.logEnd)
        }
        // Garbage in place of the last line is a line cut short, too.
        let (books, dropped) = try folder.copied { $0 += Data("0123456789abcdef {\"first\":9}\n".utf8) }
        #expect(books == end.books)
        #expect(dropped == 29)
    }

    /// Damage before the last line is named, and nothing is opened.
    @Test func damageElsewhere() async throws {
        let folder = try BooksFolder()
        let (ledger, _) = try HostLedgerFile.open(folder.path)
        let simulator = SimulatedAcquirer(ledger: ledger)
        for number in 1...4 {
            try await Self.work(simulator, 1, from: number)
            try await ledger.commit()
        }
        let lines = try Data(contentsOf: URL(filePath: folder.log)).split(separator: 0x0A)
        #expect(lines.count >= 5)
        for (index, line) in lines.enumerated().dropLast() {
            for place in [0, 16, 17, line.count / 2, line.count - 1] {
                #expect {
                    try folder.copied { $0[line.startIndex + place] ^= 0x01 }
                } throws: { error in
                    guard case .damaged(_, let number, _) = error as? HostLedgerError else { return false }
                    return number == index + 1
                }
            }
        }
        // A line that is gone: numbers leave no gaps.
        #expect {
            try folder.copied { data in
                data.removeSubrange(lines[1].startIndex..<lines[2].startIndex)
            }
        } throws: { "\($0)".contains("does not follow") }
    }

    @Test func olderFilesAndForeignLogs() async throws {
        let folder = try BooksFolder()
        // As hosts before this one wrote them: both books and nothing else.
        let simulator = SimulatedAcquirer()
        try await Self.work(simulator, 20)
        let kept = await simulator.allBooks
        try JSONEncoder().encode(kept).write(to: URL(filePath: folder.path))
        do {
            let (_, books) = try HostLedgerFile.open(folder.path)
            #expect(books == kept)
        }
        // The log of other books.
        let other = try BooksFolder()
        let (ledger, _) = try HostLedgerFile.open(other.path)
        let busy = SimulatedAcquirer(ledger: ledger)
        try await Self.work(busy, 3)
        try await ledger.commit()
        try FileManager.default.removeItem(atPath: folder.log)
        try FileManager.default.copyItem(atPath: other.log, toPath: folder.log)
        #expect(throws: HostLedgerError.ofAnother(path: folder.log)) { try HostLedgerFile.open(folder.path) }
        // A log alone, from its first change on, is all there is.
        try FileManager.default.removeItem(atPath: folder.path)
        let expected = await busy.allBooks
        #expect(try HostLedgerFile.open(folder.path).books == expected)
        // Not JSON, and begun anew.
        try Data("{".utf8).write(to: URL(filePath: folder.path))
        #expect(throws: HostLedgerError.unreadable(path: folder.path)) {
            try HostLedgerFile.open(folder.path)
        }
        #expect(try HostLedgerFile.open(folder.path, isNew: true).books == HostBooks())
    }

    @Test func oneHostAtATime() throws {
        let folder = try BooksFolder()
        let first = try HostLedgerFile.open(folder.path)
        #expect(throws: HostLedgerError.locked(path: folder.path)) { try HostLedgerFile.open(folder.path) }
        withExtendedLifetime(first) {}
    }

    /// The whole is written anew when the log has grown, beside the work; a crash between the two loses nothing and books
    /// nothing twice.
    @Test func compaction() async throws {
        let folder = try BooksFolder()
        let (ledger, _) = try HostLedgerFile.open(folder.path, compactsAt: 4096)
        let simulator = SimulatedAcquirer(ledger: ledger)
        let early = try Data(contentsOf: URL(filePath: folder.path))
        var logs: [Data] = []
        for number in 1...100 {
            try await Self.work(simulator, 1, from: number)
            try await ledger.commit()
            logs.append(try Data(contentsOf: URL(filePath: folder.log)))
        }
        #expect(try Data(contentsOf: URL(filePath: folder.path)).count > early.count)
        #expect(logs.allSatisfy { $0.count < 16_384 })
        let expected = await simulator.allBooks
        #expect(try folder.copied().0 == expected)
        // The whole is there and the log was not cut yet.
        try await ledger.close(expected)
        #expect(try folder.copied { $0 = logs[99] }.0 == expected)
    }

    /// Nothing is answered that is not on the disk, on either kind of line.
    @Test(arguments: [true, false]) func writtenBeforeItIsAnswered(_ isISO8583: Bool) async throws {
        let folder = try BooksFolder()
        let (ledger, _) = try HostLedgerFile.open(folder.path)
        let simulator = SimulatedAcquirer(ledger: ledger)
        let service = HostService(acquirer: simulator, ledger: ledger)
        let interface = try HostInterface.named("generic-bcd")
        let (addresses, found) = AsyncStream.makeStream(of: Endpoint.self)
        let serving = Task {
            try await ISO8583Listener(
                service: service, interface: interface, endpoint: Endpoint(host: "127.0.0.1", port: 0)
            ).run { found.yield($0) }
        }
        var endpoint: Endpoint?
        for await address in addresses {
            endpoint = address
            break
        }
        let served = try #require(endpoint)
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [served], settings: .quick())
        let backend: any AcquirerBackend = isISO8583 ? acquirer : ScriptedBackend(service, peer: "test")
        for stan in 1...20 as ClosedRange<UInt32> {
            let payment = Payment(stan: stan)
            let response = try await backend.authorize(payment.request)
            let (books, _) = try folder.copied()
            let id =
                isISO8583
                ? "TERM0001/\(payment.request.retrievalReference)/\(Self.six(stan))" : "TERM0001-\(stan)"
            let answer = try #require(books.issuer.transactions[id]?.answer, "\(id)")
            #expect(answer.code.rawValue == response.responseCode)
            #expect(answer.authorizationCode == response.authorizationCode)
            if stan % 4 == 0 {
                try await backend.reverse(payment.reversal)
                #expect(try folder.copied().0.issuer.transactions[id]?.status == .reversed)
            }
        }
        await acquirer.close()
        serving.cancel()
        _ = await serving.result
    }

    static func six(_ stan: UInt32) -> String {
        String(repeating: "0", count: 6 - "\(stan)".count) + "\(stan)"
    }

    /// The real host, killed in the middle of traffic again and again: what it answered is in its books.
    @Test(.timeLimit(.minutes(5))) func killed() async throws {
        let folder = try BooksFolder()
        let interface = try HostInterface.named("generic-bcd")
        let traffic = Traffic()
        for round in 1...6 {
            let path = folder.path
            let host = try await onOwnThread { try HostProcess(["--books", path]) }
            let acquirer = ISO8583Acquirer(
                interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(10)))
            let goal = round * 40
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        // The others are under way at the moment of the kill.
                        await traffic.run(acquirer, upTo: goal) { host.kill() }
                    }
                }
            }
            try await onOwnThread { host.end() }
            await acquirer.close()
            let answered = traffic.acknowledged
            #expect(answered.count >= goal)
            // What the next host finds.
            let (ledger, books) = try HostLedgerFile.open(folder.path)
            for (id, response) in answered {
                let answer = books.issuer.transactions[id]?.answer
                #expect(answer?.code.rawValue == response.responseCode, "\(id), round \(round)")
                #expect(answer?.authorizationCode == response.authorizationCode)
            }
            let approved = answered.values.count { $0.isApproved }
            #expect(approved > 0)
            #expect(books.issuer.ledger.entries.count >= approved)
            withExtendedLifetime(ledger) {}
        }
    }
}

/// Authorizations one after the other, and what was answered to them.
private final class Traffic: Sendable {
    private struct State {
        var next: UInt32 = 0
        var acknowledged: [String: AuthorizationResponse] = [:]
    }
    private let state = Mutex(State())
    var acknowledged: [String: AuthorizationResponse] { state.withLock { $0.acknowledged } }

    /// Ends with the first that is not answered, and when so many are.
    /// - Parameter reached: called once, when they are.
    func run(_ acquirer: ISO8583Acquirer, upTo goal: Int, reached: @Sendable () -> Void) async {
        while true {
            let stan = state.withLock { state in
                state.next += 1
                return state.next
            }
            let request = Payment(stan: stan).request
            guard let response = try? await acquirer.authorize(request) else { return }
            let id = "TERM0001/\(request.retrievalReference)/\(HostLedgerTests.six(stan))"
            let count = state.withLock { state in
                state.acknowledged[id] = response
                return state.acknowledged.count
            }
            if count == goal { reached() }
            if count >= goal { return }
        }
    }
}

/// `tapbridge host` in a process of its own, on a free port.
private final class HostProcess: Sendable {
    let endpoint: Endpoint
    private let process: Process

    init(_ arguments: [String]) throws {
        process = Process()
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        process.executableURL = URL(filePath: own).deletingLastPathComponent().appending(path: "tapbridge")
        process.arguments = ["host", "--listen", "127.0.0.1:0", "--json"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let reading = output.fileHandleForReading
        var line = Data()
        while let byte = try reading.read(upToCount: 1), !byte.isEmpty, byte.first != 0x0A { line += byte }
        // What it goes on printing is read, so that it can.
        Thread.detachNewThread { _ = try? reading.readToEnd() }
        let object = try #require(JSONSerialization.jsonObject(with: line) as? [String: Any])
        let peer = try #require(object["peer"] as? String)
        endpoint = try #require(Endpoint(peer))
    }

    /// In the middle of whatever it does.
    func kill() { if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) } }

    func end() {
        kill()
        process.waitUntilExit()
    }
}
