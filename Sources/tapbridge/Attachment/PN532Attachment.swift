import CommandSupport
import CardReaders
import Cards
import EMV
import Foundation
import PN532
import SoftwarePN532

/// An emulated card in the field of a software PN532, until Ctrl-C.
enum PN532Attachment {
    /// - Parameters:
    ///   - faults: misbehaviours by their words.
    ///   - link: a symbolic link to make to the pseudo-terminal.
    /// - Returns: the card's state when it was taken out.
    static func run(
        _ card: sending EmulatedCard, faults: [String], link: String?, showsCommands: Bool
    ) async throws -> CardState {
        let parsed = try faults.map { words in
            guard let fault = PN532Fault(words: words) else {
                throw CommandFailure(
                    .usage,
                    "\"\(words)\" is no misbehaviour: known are \(PN532Fault.words.joined(separator: ", ")), each with @n for \"after n exchanges\""
                )
            }
            return fault
        }
        let title = card.profile.title
        let device: PN532Device
        do {
            device = try PN532Device(faults: parsed, link: link)
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
        let console = Console.standard
        let exchange = ExchangeExplanation()
        device.present(card) { event in
            guard showsCommands else { return }
            switch event {
            case .powerOn: Console.print(console.styled("power on", .dim))
            case .powerOff: Console.print(console.styled("power off", .dim))
            case .exchange(let command, let response):
                Console.print(
                    console.styled("> ", .blue)
                        + exchange.command(command, coloured: console.coloured))
                Console.print(
                    console.styled("< ", .blue)
                        + (response.map {
                            exchange.response($0, coloured: console.coloured)
                        } ?? "(silence)"))
            }
        }
        guard let connection = device.connectionString else { throw CommandFailure(.reader, "no line") }
        Console.printError("\(title) in the field of a software PN532; Ctrl-C takes it out")
        Console.printError(
            console.styled(
                "  LIBNFC_DEVICE=\(connection) nfc-list\n  tapbridge pay 12.50 --reader nfc:\(connection)",
                .dim))
        // Alone on standard output, for scripts.
        Console.print(connection)
        await EndSignals.wait()
        let state = device.withCards { ($0.first as? EmulatedCard)?.state }
        device.removeCards()
        guard let state else { throw CommandFailure(.reader, "the card is gone") }
        return state
    }
}
