import Foundation
import PaymentSimulation

/// All seeds, on all processors, with progress; ends with the first that fails, and its events.
struct Runner {
    let options: Options
    init(_ options: Options) { self.options = options }

    /// - Returns: whether a seed failed.
    func run() async -> Bool {
        let begun = ContinuousClock.now
        let simulation = Simulation(payments: options.payments)
        if options.showsEvents {
            let outcome = simulation.run(seed: options.first, isLogging: true)
            show(outcome)
            return !outcome.problems.isEmpty
        }
        let batch = 250
        let last = options.first + UInt64(options.seeds)
        var next = options.first
        var transactions = 0
        var seeds = 0
        var failed: [Simulation.Outcome] = []
        var reported = begun
        await withTaskGroup(of: (Int, Int, [Simulation.Outcome]).self) { group in
            func add() {
                guard next < last, failed.isEmpty else { return }
                let range = next..<min(next + UInt64(batch), last)
                next = range.upperBound
                group.addTask {
                    var transactions = 0
                    var failed: [Simulation.Outcome] = []
                    for seed in range {
                        let outcome = simulation.run(seed: seed)
                        transactions += outcome.transactions
                        if !outcome.problems.isEmpty { failed.append(outcome) }
                    }
                    return (range.count, transactions, failed)
                }
            }
            for _ in 0..<ProcessInfo.processInfo.activeProcessorCount { add() }
            for await (count, some, bad) in group {
                seeds += count
                transactions += some
                failed += bad
                if ContinuousClock.now - reported > .seconds(2) {
                    reported = ContinuousClock.now
                    say("\(seeds) of \(options.seeds) seeds, \(transactions) payments")
                }
                add()
            }
        }
        let seconds = Double((ContinuousClock.now - begun) / .milliseconds(1)) / 1000
        print(
            "\(transactions) payments of \(seeds) seeds in \(String(format: "%.1f", seconds)) s, \(failed.count) seeds failed"
        )
        guard let first = failed.min(by: { $0.seed < $1.seed }) else { return false }
        show(simulation.run(seed: first.seed, isLogging: true))
        print("again: simulate --first \(first.seed) --payments \(options.payments) --events")
        return true
    }

    private func show(_ outcome: Simulation.Outcome) {
        for event in outcome.events { print(event) }
        print("seed \(outcome.seed): \(outcome.problems.isEmpty ? "all is well" : "")")
        for problem in outcome.problems { print("    \(problem)") }
    }
}

/// Each defect, and after how many seeds it is found.
struct MutationRun {
    let options: Options
    init(_ options: Options) { self.options = options }

    /// - Returns: whether all were found.
    func run() -> Bool {
        var all = true
        for mutation in options.mutations {
            let simulation = Simulation(payments: options.payments, mutation: mutation)
            var found: Simulation.Outcome?
            for seed in options.first..<options.first + UInt64(options.seeds) {
                let outcome = simulation.run(seed: seed)
                if !outcome.problems.isEmpty {
                    found = outcome
                    break
                }
            }
            if let found {
                print(
                    "\(mutation.rawValue): seed \(found.seed), after \(found.seed - options.first + 1): \(found.problems[0])"
                )
                if options.showsEvents {
                    for event in simulation.run(seed: found.seed, isLogging: true).events {
                        print("    \(event)")
                    }
                }
            } else {
                all = false
                print("\(mutation.rawValue): not found in \(options.seeds) seeds")
            }
        }
        return all
    }
}
