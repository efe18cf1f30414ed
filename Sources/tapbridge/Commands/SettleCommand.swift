import CommandSupport
import ArgumentParser
import Foundation
import Journal
import Terminal

struct SettleCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "settle", abstract: "Close the batch with the host, and print the report.",
        discussion: """
            What is owed is delivered first. Then the totals are compared with the host's; where they do not agree, the \
            batch is uploaded and compared again. An interrupted settlement goes on where it was.

            Examples:
              tapbridge settle
              tapbridge settle --report 3
            """)
    @Option(help: ArgumentHelp("Settle nothing: print the report of this batch.", valueName: "batch"))
    var report: Int?
    @OptionGroup var options: DeskOptions

    func run() async throws {
        let reports = try await Desk.open(options.terminal, troubles: options.trouble) { desk in
            let settlement = Settlement(
                terminalID: desk.profile.terminalID, acquirerID: desk.profile.merchant.acquirerID,
                journal: desk.journal, backend: desk.backend, forwarder: desk.forwarder)
            if let report {
                let batches = try await desk.journal.batches(terminal: desk.profile.terminalID)
                guard let batch = batches.first(where: { $0.batch == report }) else {
                    throw CommandFailure(.badInput, "there is no batch \(report) of this terminal")
                }
                return [try await settlement.report(batch)]
            }
            let reports: [SettlementReport]
            do throws(SettlementError) { reports = try await settlement.run() } catch {
                guard case .afterReports(let reports, let reason) = error else { throw error }
                // What has its end is reported, whatever became of the next one.
                try show(reports)
                throw reason
            }
            if let days = desk.profile.retentionDays {
                var afterwards = Afterwards()
                await afterwards.attempt {
                    _ = try await desk.journal.prune(
                        before: Date(timeIntervalSinceNow: -86_400 * Double(days)))
                }
                afterwards.tell()
            }
            return reports
        }
        try show(reports)
        if report == nil, !reports.allSatisfy(\.isBalanced) { throw ExitWithStatus(status: .different) }
    }

    private func show(_ reports: [SettlementReport]) throws {
        if options.output.json {
            try Console.printJSON(reports)
        } else {
            if reports.isEmpty { Console.print("nothing to settle") }
            Console.print(reports.map { $0.text() }.joined(separator: "\n"))
        }
    }
}
