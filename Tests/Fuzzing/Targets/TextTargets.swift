import AcquirerSimulator
import CardReaders

extension FuzzTarget {
    /// Small languages of the command line and of files.
    static let texts: [FuzzTarget] = [
        FuzzTarget(
            "trouble-rule", longestInput: 120,
            seeds: {
                [
                    "nth 3: silence x2", "reversal always: unreachable", "amount 12.50: decline 51",
                    "5%: late 3s",
                    "card 4761739001010119: cut before", "during 1s-20s: slow 2s", "cents 10000: table",
                ]
                .map { Array($0.utf8) }
            }
        ) { input in
            do throws(TroubleRuleError) { _ = try TroubleRule(String(decoding: input, as: UTF8.self)) } catch
            {
                try hold(!"\(error)".isEmpty, "an error without words")
            }
        },
        FuzzTarget(
            "polling-words", longestInput: 60,
            seeds: {
                ["standard", "payment+f", "transit:030001", "transit:030001:0123456789+f"].map {
                    Array($0.utf8)
                }
            }
        ) { input in
            guard let schedule = PollingSchedule(words: String(decoding: input, as: UTF8.self)) else {
                return
            }
            try hold(!schedule.steps.isEmpty && schedule.steps.count <= 16, "\(schedule.steps.count) steps")
        },
    ]
}
