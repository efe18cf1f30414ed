import CommandSupport
import Cards
import EMV
import Foundation
import PCSCReaders
import Synchronization

/// An emulated card in a virtual PC/SC reader, until Ctrl-C.
enum CardAttachment {
    /// - Returns: the card's state when it was taken out.
    static func run(
        _ card: sending EmulatedCard, host: String, port: UInt16, showsCommands: Bool
    ) async throws -> CardState {
        var options = VPCDClient.Options(host: host, port: port)
        options.reconnects = true
        let console = Console.standard
        Console.print("\(card.profile.title): attaching to \(host), port \(port)")
        let waiting = Mutex(false)
        let exchange = ExchangeExplanation()
        let client = VPCDClient(card: card, options: options) { event in
            switch event {
            case .attached:
                waiting.withLock { $0 = false }
                Console.print("attached; Ctrl-C takes the card out")
            case .powerOn where showsCommands: Console.print(console.styled("power on", .dim))
            case .powerOff where showsCommands: Console.print(console.styled("power off", .dim))
            case .reset where showsCommands: Console.print(console.styled("reset", .dim))
            case .exchange(let command, let response) where showsCommands:
                Console.print(
                    console.styled("> ", .blue)
                        + exchange.command(command, coloured: console.coloured))
                Console.print(
                    console.styled("< ", .blue)
                        + (response.map {
                            exchange.response($0, coloured: console.coloured)
                        } ?? "(silence)"))
            case .detached(let reason): Console.print(console.styled("detached: \(reason)", .yellow))
            default: break
            }
        }
        let task = Task { try await client.run() }
        let signals = EndSignals { task.cancel() }
        defer { signals.cancel() }
        let result = await task.result
        let state = client.withCard { ($0 as? EmulatedCard)?.state }
        if case .failure(let error) = result, !task.isCancelled { throw CommandFailure(.reader, "\(error)") }
        guard let state else { throw CommandFailure(.reader, "the card is gone") }
        return state
    }
}
