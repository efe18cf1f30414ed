import CommandSupport
import Acquiring
import CardReaders
import EMV
import Foundation
import Histogram
import Journal
import Synchronization
import Terminal

/// What happened so far.
final class SwarmTally: Sendable {
    struct Figures: Sendable {
        var started = 0
        var finished = 0
        var outcomes: [String: Int] = [:]
        /// Microseconds from the card in hand to the receipt.
        var service = Histogram<UInt64>(highestTrackableValue: 600_000_000)
        /// Microseconds from when the payment was due, so that a queue counts.
        var response = Histogram<UInt64>(highestTrackableValue: 600_000_000)
        var byTerminal: [Int]
        var errors: [String] = []
    }
    private let figures: Mutex<Figures>
    init(terminals: Int) { figures = Mutex(Figures(byTerminal: Array(repeating: 0, count: terminals))) }

    var now: Figures { figures.withLock { $0 } }
    /// Without copying the histograms.
    var counts: (started: Int, finished: Int, outcomes: [String: Int], p99: UInt64) {
        figures.withLock { ($0.started, $0.finished, $0.outcomes, $0.service.valueAtPercentile(99)) }
    }
    func start() { figures.withLock { $0.started += 1 } }
    func finish(_ terminal: Int, _ outcome: String, service: Duration, response: Duration) {
        figures.withLock { figures in
            figures.finished += 1
            figures.outcomes[outcome, default: 0] += 1
            figures.byTerminal[terminal] += 1
            _ = figures.service.record(min(Self.microseconds(service), 600_000_000))
            _ = figures.response.record(min(Self.microseconds(response), 600_000_000))
        }
    }
    func fail(_ text: String) {
        figures.withLock { figures in
            figures.outcomes["not begun", default: 0] += 1
            figures.finished += 1
            if figures.errors.count < 10 { figures.errors.append(text) }
        }
    }
    static func microseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, seconds)) * 1_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000_000
    }
}

/// Terminals that take payments at a rate, each in its turn.
struct SwarmRun: Sendable {
    var sessions: [TerminalSession]
    var readers: [SwarmReader]
    var pool: SwarmPool
    var mix: SwarmMix
    var amounts: ClosedRange<UInt64>
    /// Payments a second of all terminals; 0 is as fast as they can.
    var rate: Double
    var duration: Duration?
    var count: Int?
    /// Percent of first taps that are torn.
    var tear: Int
    var seed: UInt64
    let tally: SwarmTally
    let isStopping = Flag()

    final class Flag: Sendable {
        private let value = Mutex(false)
        var isSet: Bool { value.withLock { $0 } }
        func set() { value.withLock { $0 = true } }
    }

    func run() async {
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for terminal in sessions.indices { group.addTask { await self.terminal(terminal, from: start) } }
        }
    }

    /// Payment n is due at n/rate, at terminal n modulo the number of terminals.
    private func terminal(_ terminal: Int, from start: ContinuousClock.Instant) async {
        var random = SwarmRandom(seed, terminal)
        var number = terminal
        while !isStopping.isSet {
            if let count, number >= count { return }
            var due = ContinuousClock.now
            if rate > 0 {
                due = start + .nanoseconds(Int64(Double(number) / rate * 1e9))
                if let duration, due - start >= duration { return }
                if due > .now {
                    // Wakes now and then to see whether it is over.
                    while due > .now, !isStopping.isSet {
                        try? await Task.sleep(for: min(due - .now, .milliseconds(200)))
                    }
                    if isStopping.isSet { return }
                }
            } else if let duration, due - start >= duration {
                return
            }
            await payment(terminal, due, &random)
            number += sessions.count
        }
    }

    private func payment(_ terminal: Int, _ due: ContinuousClock.Instant, _ random: inout SwarmRandom) async {
        let id = mix.pick(&random)
        let amount = Amount(clamping: UInt64.random(in: amounts, using: &random))
        var removal = EmulatedReader.Removal.never
        if Int.random(in: 0..<100, using: &random) < tear {
            let commands = Int.random(in: 0...6, using: &random)
            removal = Bool.random(using: &random) ? .afterCommands(commands) : .duringCommand(commands)
        }
        let card = await pool.take(id)
        tally.start()
        let began = ContinuousClock.now
        readers[terminal].hold(card, removal: removal)
        do throws(TerminalError) {
            let result = try await sessions[terminal].pay(PaymentRequest(amount: amount))
            let end = ContinuousClock.now
            tally.finish(terminal, result.status.rawValue, service: end - began, response: end - due)
        } catch {
            tally.fail("terminal \(sessions[terminal].profile.terminalID): \(error)")
        }
        readers[terminal].takeAway()
        await pool.putBack(card, id)
    }
}

/// What a report asks of a histogram.
protocol LatencySource {
    func value(_ percentile: Double) -> UInt64
}
extension Histogram: LatencySource {
    func value(_ percentile: Double) -> UInt64 { totalCount == 0 ? 0 : valueAtPercentile(percentile) }
}
