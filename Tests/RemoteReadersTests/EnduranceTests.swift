import CardReaders
import Cards
import EMV
import Foundation
import Kernels
import RemoteReaders
import Synchronization
import Terminal
import TestTools
import Testing

/// Payments over a line that is cut, and with a card that leaves, at random places: each ends, and the process holds no more than
/// before. `TAPBRIDGE_PAYMENTS=10000` makes it long.
@Suite(.serialized) struct EnduranceTests {
    /// What the process holds.
    struct Holdings: Equatable {
        var descriptors: Int
        var threads: Int

        static func now() -> Holdings {
            func count(_ path: String) -> Int {
                (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
            }
            return Holdings(descriptors: count("/proc/self/fd"), threads: count("/proc/self/task"))
        }
    }

    /// An emulated card that comes into the field whenever a terminal waits for one, and leaves as was planned.
    final class RestlessReader: CardReader {
        private let field = EmulatedReader(name: "endurance")
        // The field alone uses it, under its lock, as long as it lies there.
        nonisolated(unsafe) private let card: EmulatedCard
        private let next = Mutex(EmulatedReader.Removal.never)

        init(_ card: EmulatedCard) { self.card = card }

        func plan(_ removal: EmulatedReader.Removal) { next.withLock { $0 = removal } }
        var information: ReaderInformation { field.information }
        func activateCard(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> any CardChannel {
            field.remove()
            let removal = next.withLock { next in
                defer { next = .never }
                return next
            }
            field.present(card, removal: removal)
            return try await field.activateCard(deadline: deadline)
        }
        func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
            field.remove()
            return true
        }
        func fieldOff() async { await field.fieldOff() }
        func close() async { await field.close() }
    }

    @Test(.timeLimit(.minutes(15))) func cutsAndRemovals() async throws {
        let count = max(
            1, ProcessInfo.processInfo.environment["TAPBRIDGE_PAYMENTS"].flatMap { Int($0) } ?? 60)
        let reader = RestlessReader(try EmulatedCard(profile: try CardLibrary.profile("visa-no-oda")))
        let server = ReaderServer(credentials: try Certificates.shared.server())
        try server.offer(.init(reader))
        let line = FaultyLine(to: try await server.start(port: 0))
        var options = RemoteReader.Options()
        options.retryAfter = .milliseconds(1)
        let terminal = RemoteReader(
            address: RemoteReaderAddress(host: "127.0.0.1", port: try await line.start()),
            credentials: try Certificates.shared.terminal(), options: options)
        let driver = TransactionDriver(
            reader: terminal, unpredictableNumber: { 0x1A2B_3C4D }, sleep: { _ in })
        let profile = try TerminalProfile.builtIn()
        let inputs = TransactionInputs(
            amount: Amount(clamping: 1250), currency: profile.currency,
            date: try #require(EMVDate(year: 2026, month: 11, day: 20)), hhmmss: 120000, sequenceCounter: 1)

        /// Connections that end are given time: one remains, the terminal's own.
        func settled(within bound: Holdings? = nil) async throws -> Holdings {
            try await terminal.connect()
            try await TestTools.eventually("one connection") { server.connectionCount == 1 }
            // Sockets close at their own pace: the same in a hundred looks, and later no more than before.
            let seen = Mutex((Holdings.now(), times: 0))
            try await TestTools.eventually("the process holds what it held: \(bound.map { "\($0)" } ?? "")") {
                let now = Holdings.now()
                if let bound {
                    return now.descriptors <= bound.descriptors && now.threads <= bound.threads + 2
                }
                return seen.withLock { seen in
                    seen = now == seen.0 ? (now, seen.times + 1) : (now, 0)
                    return seen.times >= 100
                }
            }
            return Holdings.now()
        }

        var random = SplitMix(seed: 0x7461_7062)
        var ends: [String: Int] = [:]
        var before = Holdings.now()
        let warmUp = max(1, count / 5)
        for index in 0..<(warmUp + count) {
            if index == warmUp {
                before = try await settled()
                ends = [:]
            }
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                line.plan(
                    .cut(
                        Bool.random(using: &random) ? .toServer : .toTerminal,
                        after: Int.random(in: 0..<300, using: &random)))
            case 1: reader.plan(.afterCommands(Int.random(in: 0..<6, using: &random)))
            case 2: reader.plan(.duringCommand(Int.random(in: 0..<6, using: &random)))
            default: break
            }
            var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
            switch await driver.run(&entryPoint, from: entryPoint.start(inputs)) {
            case .outcome(let final): ends["\(final.outcome.status)", default: 0] += 1
            case .readerFailed(.readerUnavailable): ends["line lost", default: 0] += 1
            case let other: ends["\(other)", default: 0] += 1
            }
            await terminal.fieldOff()
            line.plan(nil)
        }
        _ = try await settled(within: before)
        await terminal.close()
        await line.stop()
        await server.stop()
        #expect(ends.values.reduce(0, +) == count, "\(ends)")
        #expect(ends["onlineRequest", default: 0] > count / 4, "\(ends)")
    }
}
