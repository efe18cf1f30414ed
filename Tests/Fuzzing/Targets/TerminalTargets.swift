import EMV
import Terminal
import Traces

extension FuzzTarget {
    /// The whole terminal on a trace, which anybody may have written, and amounts as people write them.
    static let terminals: [FuzzTarget] = [
        FuzzTarget(
            "trace-replay", longestInput: 8192, mutations: 1, seeds: { TraceFiles.all.map { Array($0.utf8) } }
        ) {
            input in
            guard let trace = try? Trace(parsing: String(decoding: input, as: UTF8.self)) else { return }
            let profile = try TerminalProfile.builtIn()
            try wait {
                do {
                    let report = try await Replay.run(trace, profile: profile, mode: .lenient)
                    // What a replay records can be kept and read again.
                    let again = try Trace(parsing: report.replayed.description)
                    try hold(again == report.replayed, "the recorded replay written and read again differs")
                } catch let error as TraceError {
                    try hold(!error.reason.isEmpty, "an error without words")
                }
            }
        },
        FuzzTarget(
            "amount-text", longestInput: 40,
            seeds: { ["12.50", "0.01", "999999999999"].map { Array($0.utf8) } }
        ) {
            input in
            let text = String(decoding: input, as: UTF8.self)
            for exponent in 0...4 {
                guard let amount = Money.parse(text, exponent: exponent) else { continue }
                // The digits alone are the number of minor units.
                let digits = text.filter { $0 != "." }
                try hold(
                    amount.minorUnits >= UInt64(digits) ?? .max || digits.first == "0", "\(text) is \(amount)"
                )
            }
        },
    ]
}
