import CommandSupport
import ArgumentParser
import CardReaders
import Foundation
import Terminal
import Traces

struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run the terminal on recorded sessions.",
        discussion: """
            The whole terminal runs with the inputs of each trace: amount, date, unpredictable numbers and the \
            host's answers are those recorded, so that cryptograms and signatures verify. Strict replay stops at \
            the first difference and tells it; lenient replay serves the nearest answer recorded. Nothing is \
            written to the journal.

            Examples:
              tapbridge replay apdu-traces/*.trace
              tapbridge replay my-card.trace --apdus
              tapbridge replay my-card.trace --lenient --profile my-terminal.yaml
            """)

    @Argument(help: "Trace files.", completion: .file(extensions: ["trace"]))
    var files: [String]

    @Flag(help: "Serve the nearest answer where the terminal asks for something else.")
    var lenient = false

    @Flag(help: "Show each command and answer, explained.")
    var apdus = false

    @Option(help: ArgumentHelp("Terminal profile (YAML); the built-in one by default.", valueName: "file"))
    var profile: String?

    @OptionGroup var output: OutputOptions

    /// The profile that lies beside a trace under the name in its header, unless one was given.
    private func ownProfile(of trace: Trace, _ file: String) -> TerminalProfile? {
        guard profile == nil, let name = trace["profile"], name.hasSuffix(".yaml"), !name.contains("/") else {
            return nil
        }
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        return try? TerminalProfile(path: folder.appendingPathComponent(name).path)
    }

    struct Row: Encodable {
        var file: String
        var agrees: Bool
        var difference: String?
        var result: PaymentReport?
    }

    func run() async throws {
        guard !files.isEmpty else { throw CommandFailure(.usage, "give at least one trace file") }
        let terminal = try TerminalProfile.load(profile)
        let console = Console.standard
        var rows: [Row] = []
        for file in files {
            let text: String
            do {
                text = try String(contentsOfFile: file, encoding: .utf8)
            } catch {
                throw CommandFailure(.badInput, "\(file): cannot be read: \(error.localizedDescription)")
            }
            let report: Replay.Report
            do throws(TraceError) {
                let trace = try Trace(parsing: text)
                let terminal = ownProfile(of: trace, file) ?? terminal
                if let digest = trace["profile-digest"], digest != terminal.digest, !output.json {
                    Console.printError(
                        Console.error.styled(
                            "\(file): recorded with another profile (\(trace["profile"] ?? "?")); expect differences",
                            .yellow))
                }
                if !output.json, apdus { Console.print(console.styled(file, .bold)) }
                let printer =
                    output.json || !apdus ? nil : EventPrinter(console: console, showsCommands: true)
                report = try await Replay.run(
                    trace, profile: terminal, mode: lenient ? .lenient : .strict,
                    observer: { printer?.print($0) })
            } catch {
                throw CommandFailure(.badInput, "\(file): \(error)")
            }
            let agrees = report.difference == nil
            rows.append(
                Row(
                    file: file, agrees: agrees, difference: report.difference,
                    result: report.result.map(PaymentReport.init)))
            if !output.json {
                let mark = agrees ? console.styled("same", .green) : console.styled("differs", .bold, .red)
                Console.print("\(mark)  \(file)  \(report.result?.status.rawValue ?? "")")
                if let difference = report.difference { Console.print("      \(difference)") }
            }
        }
        if output.json { try Console.printJSON(rows) }
        if rows.contains(where: { !$0.agrees }) && !lenient { throw ExitWithStatus(status: .different) }
    }
}
