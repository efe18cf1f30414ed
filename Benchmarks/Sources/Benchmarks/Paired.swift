import ArgumentParser
import Foundation

extension Benchmarks {
    /// Two programs in turns: what else the machine does falls on both alike, and each is first as often.
    struct Paired: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare an older and a newer program, in turns: medians of the ratios.",
            discussion: """
                Each command is called with the names of benchmarks and --json. RATIO is new over old for times and \
                memory, old over new for rates: above 1 the newer program is slower or takes more. LOW and HIGH are \
                the quartiles of the ratios of single turns. Ends with status 1 where a median is above --limit.

                Examples:
                  benchmarks paired --old "../old/benchmarks run" --new ".build/release/benchmarks run" payments
                  benchmarks paired --old "old/tapbridge bench" --new "new/benchmarks run" --turns 21 journal tlv
                """)
        @Option(help: "The older program and its first arguments, in words.") var old: String
        @Option(help: "The newer one.") var new: String
        @Option(help: "Turns of both.") var turns = 15
        @Option(help: "Rounds that each measures in a turn.") var rounds = 3
        @Option(help: "The greatest ratio that is no failure.") var limit = 1.03
        @Flag(help: "Print JSON for programs.") var json = false
        @Argument(help: "Benchmarks, as `run` knows them.") var names: [String]

        struct Line: Encodable {
            var name: String
            var unit: String
            var old: Double
            var new: Double
            /// Above 1 the newer program is slower or takes more.
            var ratio: Double
            var low: Double
            var high: Double
            var turns: Int
        }
        private struct Figure: Decodable {
            var name: String
            var value: Double
            var unit: String
        }

        func validate() throws {
            guard turns > 0 else { throw ValidationError("--turns is above 0") }
            guard !names.isEmpty else { throw ValidationError("name the benchmarks") }
        }

        func run() async throws {
            var figures: [String: (unit: String, old: [Double], new: [Double])] = [:]
            var order: [String] = []
            for turn in 0..<turns {
                Benchmarks.note("turn \(turn + 1) of \(turns)")
                for isOld in turn % 2 == 0 ? [true, false] : [false, true] {
                    for figure in try measure(isOld ? old : new) {
                        if figures[figure.name] == nil {
                            figures[figure.name] = (figure.unit, [], [])
                            order.append(figure.name)
                        }
                        if isOld {
                            figures[figure.name]?.old.append(figure.value)
                        } else {
                            figures[figure.name]?.new.append(figure.value)
                        }
                    }
                }
            }
            let lines = order.compactMap { name -> Line? in
                guard let figure = figures[name], figure.old.count == figure.new.count, !figure.old.isEmpty
                else {
                    Benchmarks.note("\(name): only one of the programs has it")
                    return nil
                }
                let isRate = figure.unit.hasSuffix("/s")
                let ratios = zip(figure.old, figure.new).map { isRate ? $0 / $1 : $1 / $0 }.sorted()
                return Line(
                    name: name, unit: figure.unit, old: Benchmarks.median(figure.old),
                    new: Benchmarks.median(figure.new), ratio: Benchmarks.median(ratios),
                    low: ratios[ratios.count / 4], high: ratios[ratios.count * 3 / 4], turns: ratios.count)
            }
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
                print(String(decoding: try encoder.encode(lines), as: UTF8.self))
            } else {
                func number(_ value: Double) -> String {
                    String(format: value >= 1000 ? "%.0f" : "%.2f", value)
                }
                print(
                    Benchmarks.table(
                        [["BENCHMARK", "OLD", "NEW", "UNIT", "RATIO", "LOW", "HIGH", "TURNS"]]
                            + lines.map {
                                [
                                    $0.name, number($0.old), number($0.new), $0.unit,
                                    String(format: "%.3f", $0.ratio), String(format: "%.3f", $0.low),
                                    String(format: "%.3f", $0.high), "\($0.turns)",
                                ]
                            }))
            }
            if lines.contains(where: { $0.ratio > limit }) { throw ExitCode(1) }
        }

        private func measure(_ program: String) throws -> [Figure] {
            var words = program.split(separator: " ").map(String.init)
            guard !words.isEmpty else { throw BenchmarkError("a program is missing") }
            let process = Process()
            process.executableURL = URL(filePath: words.removeFirst())
            process.arguments = words + names + ["--rounds", "\(rounds)", "--json"]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw BenchmarkError(
                    "\(program) \(names.joined(separator: " ")) ended with status \(process.terminationStatus)"
                )
            }
            return try JSONDecoder().decode([Figure].self, from: data)
        }
    }
}
