import CommandSupport
import ArgumentParser
import Journal
import Terminal

struct ForwardCommand: MoneyCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract:
            "Deliver what is owed to the host: reversals, offline approvals, final amounts, deferred authorizations.",
        discussion: """
            Once, in order, for the profile's terminal and then for all others of the journal; with --watch again and \
            again for the profile's terminal, with back-off while the host is not reached. A terminal delivers by itself \
            while it runs.
            """)
    @Flag(help: "Go on until interrupted.") var watch = false
    @OptionGroup var options: DeskOptions

    struct Row: Encodable {
        var id: String
        var state: String
        var result: String
        var delivered: Bool
    }

    func run() async throws {
        let isJSON = options.output.json
        let rows = try await Desk.open(options.terminal, troubles: options.trouble) { desk in
            guard watch else { return try await desk.forwarder.flushAll().map(Self.row) }
            let watching = Forwarder(
                terminalID: desk.profile.terminalID, journal: desk.journal, backend: desk.backend,
                observer: { event in
                    switch event {
                    case .delivery(let delivery): Self.print(Self.row(delivery))
                    case .waiting(let delay, let failures):
                        Console.print("  next try in \(delay), after \(failures) that failed")
                    case .journalFailed(let error): Console.printError("\(error)")
                    case .lateAnswer: break
                    case .lateAnswerRecorded(let answer, let action):
                        let done =
                            switch action {
                            case .noted: "noted"
                            case .reversalDue(let count): "reversal due (\(count))"
                            case .leftToAPerson: "approved too often: a person must look"
                            }
                        Console.print(
                            "  late answer for \(answer.transactionID), code \(answer.response.responseCode): \(done)"
                        )
                    case .resolved(let record, let action):
                        Console.print("\(record.id)  \(record.state.rawValue): \(action)")
                    case .reversal: break
                    }
                })
            await Self.untilInterrupted { await watching.run() }
            return []
        }
        if isJSON { return try Console.printJSON(rows) }
        if rows.isEmpty, !watch { Console.print("nothing is owed to the host") }
        for row in rows { Self.print(row) }
        if rows.contains(where: { !$0.delivered }) { throw ExitWithStatus(status: .outcomeUnknown) }
    }

    static func row(_ delivery: Forwarder.Delivery) -> Row {
        let (text, delivered) =
            switch delivery.result {
            case .delivered(let state): (state.rawValue, true)
            case .postponed(let error): ("\(error)", false)
            case .parked(let reason): ("set aside for a person: \(reason)", false)
            case .failed(let error): ("\(error)", false)
            }
        return Row(
            id: delivery.record.id, state: delivery.record.state.rawValue, result: text,
            delivered: delivered)
    }

    static func print(_ row: Row) { Console.print("\(row.id)  \(row.state): \(row.result)") }

    /// Ctrl-C ends it properly.
    static func untilInterrupted(_ body: @escaping @Sendable () async -> Void) async {
        let task = Task { await body() }
        await Interruption.cancelling(task) { await task.value }
    }
}
