import Cards
import EMV
import Foundation
import PCSCReaders
import Synchronization
import TestSupport
import TestTools
import Testing

@testable import Terminal

/// Payments through the real pcscd, the card torn out again and again at any moment, and sometimes the daemon killed:
/// each ends in a result, and neither threads nor descriptors nor memory are left behind.
///
/// `TAPBRIDGE_SOAK_PAYMENTS=1000 swift test --filter PCSCSoakTests` runs as many and prints the figures.
@Suite(.serialized, .needs(.virtualPCSC))
struct PCSCSoakTests {
    struct Use: CustomStringConvertible {
        var threads: Int
        /// Files, pipes and sockets.
        var descriptors: Int
        var loops: Int
        var kilobytes: Int

        init() {
            func count(_ folder: String) -> Int {
                (try? FileManager.default.contentsOfDirectory(atPath: folder).count) ?? -1
            }
            threads = count("/proc/self/task")
            let kinds = Self.open()
            // Event loops and timers (epoll, eventfd, timerfd) are the run time's: made when first needed, once.
            descriptors = kinds.filter { !$0.key.hasPrefix("anon_inode") }.values.reduce(0, +)
            loops = kinds.values.reduce(0, +) - descriptors
            kilobytes = -1
            // Second number of statm: resident pages.
            if let file = fopen("/proc/self/statm", "r") {
                var line = [CChar](repeating: 0, count: 256)
                if fgets(&line, 256, file) != nil {
                    let text = String(
                        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                    let words = text.split(separator: " ")
                    if words.count > 1, let pages = Int(words[1]) {
                        kilobytes = pages * Int(getpagesize()) / 1024
                    }
                }
                fclose(file)
            }
        }
        var description: String {
            "\(threads) threads, \(descriptors) descriptors and \(loops) of event loops, \(kilobytes) kB"
        }

        /// What the process has open, each kind with its number.
        static func open() -> [String: Int] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
            return names.reduce(into: [:]) { kinds, name in
                guard
                    let link = try? FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/self/fd/" + name)
                else { return }
                kinds[String(link.prefix { $0 != "[" }), default: 0] += 1
            }
        }

        /// As it is once nothing is under way: what is being closed or connected again is waited for.
        static func settled(atMost allowed: Use? = nil) async throws -> Use {
            var use = Use()
            var same = 0
            let hasSettled = {
                let next = Use()
                same = next.descriptors == use.descriptors && next.threads == use.threads ? same + 1 : 0
                use = next
                guard same >= 20 else { return false }
                guard let allowed else { return true }
                return next.descriptors <= allowed.descriptors + 2 && next.threads <= allowed.threads + 2
            }
            // What is left behind is told below, with its figures.
            try? await eventually("nothing is under way", within: .seconds(30), hasSettled)
            return use
        }
    }

    /// Takes the card away at a step that it is told.
    final class Tear: Sendable {
        private struct State {
            var left: Int?
            var pull: (@Sendable () -> Void)?
        }
        private let state = Mutex(State())

        func arm(_ step: Int?, _ pull: (@Sendable () -> Void)? = nil) {
            state.withLock {
                $0.left = step
                $0.pull = pull ?? $0.pull
            }
        }
        /// Called on the card's thread before what it answers is sent.
        func step() {
            let pull = state.withLock { state -> (@Sendable () -> Void)? in
                guard let left = state.left else { return nil }
                state.left = left > 0 ? left - 1 : nil
                return left == 0 ? state.pull : nil
            }
            pull?()
        }
    }

    /// xorshift64*, so that a failure can be run again.
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 2_685_821_657_736_338_717
        }
    }

    @Test(.timeLimit(.minutes(30))) func randomRemovals() async throws {
        let wanted = ProcessInfo.processInfo.environment["TAPBRIDGE_SOAK_PAYMENTS"].flatMap { Int($0) }
        let count = wanted ?? 40
        try await VirtualPCSC.run { pcsc in
            var options = VPCDClient.Options(port: pcsc.ports[0])
            options.retryAfter = .milliseconds(20)
            let tear = Tear()
            let client = VPCDClient(card: try card("visa-debit"), options: options) { event in
                switch event {
                case .powerOn, .reset, .exchange: tear.step()
                default: break
                }
            }
            tear.arm(nil) { client.pull() }
            let serving = Task { try await client.run() }
            var generator = Generator(state: 0x5EED_CAFE)
            let reader = PCSCReader(name: pcsc.readers[0])
            var till = try await Till()
            let troubles = Mutex<[String: Int]>([:])
            till.environment.observer = { event in
                if case .readerError(let error) = event {
                    troubles.withLock { $0["\(error)", default: 0] += 1 }
                }
            }
            till.environment.limits.cardWait = .seconds(10)
            // The card lies there from one payment to the next, as the tap that is torn is what matters here.
            till.environment.allowsCardToStay = true
            let session = till.session(reader: reader)

            var approved = 0
            var ended: [String: Int] = [:]
            var kills = 0
            var before: Use?
            var openBefore: [String: Int] = [:]
            let warmUp = min(100, count / 4)
            for number in 0..<count {
                if number == warmUp {
                    await reader.fieldOff()
                    before = try await Use.settled()
                    openBefore = Use.open()
                }
                // A quarter lose the card at some step of the payment: in the middle of an activation or a command.
                let tears = Int.random(in: 0..<4, using: &generator) == 0
                let step = Int.random(in: 0..<8, using: &generator)
                if number > 0, number.isMultiple(of: 250) || number == count / 2 {
                    kills += 1
                    pcsc.stop()
                    try await pcsc.start()
                }
                if tears { tear.arm(step) }
                let result = try await session.pay(
                    PaymentRequest(amount: Amount(clamping: UInt64(number % 50 + 1)), type: .purchase))
                tear.arm(nil)
                if result.isApproved {
                    approved += 1
                } else {
                    ended[
                        "\(result.status), \(tears ? "torn" : "left alone"): \(result.reason ?? "-")",
                        default: 0] += 1
                }
            }
            // Let go of what the last payment held.
            await reader.fieldOff()
            let first = try #require(before)
            let after = try await Use.settled(atMost: first)
            if wanted != nil {
                print("\(count) payments, \(kills) restarts of pcscd: \(approved) approved, others \(ended)")
                print("reader errors: \(troubles.withLock { $0 })")
                print("after \(warmUp): \(first)")
                print("at the end: \(after)")
            }
            // The card is there most of the time; what was torn is tapped again by the terminal's own rules.
            #expect(approved > count / 2, "\(approved) approved, \(ended)")
            #expect(
                after.descriptors <= first.descriptors + 2,
                "\(first) -> \(after); \(openBefore) -> \(Use.open())")
            #expect(after.loops <= first.loops + 8, "\(first) -> \(after)")
            #expect(after.threads <= first.threads + 2, "\(first) -> \(after)")
            // A journal of some kilobytes for each payment is kept in memory here.
            #expect(after.kilobytes <= first.kilobytes + 16384 + count * 16, "\(first) -> \(after)")
            await reader.close()
            serving.cancel()
            _ = await serving.result
        }
    }
}
