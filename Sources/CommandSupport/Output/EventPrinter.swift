internal import BERTLV
internal import EMVDictionary
internal import Kernels
internal import SmartCard
package import Terminal

/// Shows a session's events to a person.
package struct EventPrinter: Sendable {
    package let console: Console
    package let showsCommands: Bool
    private let exchange = ExchangeExplanation()

    package init(console: Console, showsCommands: Bool) {
        self.console = console
        self.showsCommands = showsCommands
    }

    package func print(_ event: TerminalEvent) {
        switch event {
        case .message(let message):
            // "Card read" is said by lights and sound alone where a kernel shows no text with it.
            guard !message.text.isEmpty || message.sound == .success else { return }
            Console.print("  \(lights(message.lights))  \(console.styled(message.text, .bold))")
        case .command(let command):
            if showsCommands {
                explain("> ", exchange.command(command.bytes, coloured: console.coloured))
            }
        case .response(let response, let microseconds):
            if showsCommands {
                explain(
                    "< ", exchange.response(response.bytes, coloured: console.coloured),
                    suffix: "  \(microseconds) us")
            }
        case .readerError(let error):
            Console.print("        \(console.styled("\(error)", .yellow))")
        case .cardActivated(let card):
            if showsCommands {
                Console.print("        card, ATR \(Hex.string(card.answerToReset))")
            }
        case .outcome(let final):
            if showsCommands {
                let outcome = final.outcome
                Console.print(
                    "        outcome: \(console.styled(outcome.status.rawValue, .cyan)), CVM \(outcome.cvm.rawValue), start \(outcome.start?.rawValue ?? "N/A")"
                )
                explain("= ", outcome.encoded, kind: .tlv)
            }
        case .dataExchange(let signal):
            guard showsCommands else { return }
            if !signal.dataNeeded.isEmpty {
                let names = signal.dataNeeded.map { tag in
                    "\(tag) " + (DataDictionary.name(of: tag, in: .kernel2) ?? "")
                }
                Console.print("        the kernel needs \(names.joined(separator: ", "))")
            }
            if !signal.dataToSend.isEmpty {
                Console.print("        the kernel tells the terminal")
                explain("= ", signal.dataToSend.encoded(), kind: .tlv)
            }
        case .dataExchanged(let data):
            if showsCommands {
                Console.print("        the terminal answers")
                explain("= ", data.encoded(), kind: .tlv)
            }
        case .tornRecordsLeft(let records):
            Console.print(
                "        \(records.count) torn transaction\(records.count == 1 ? "" : "s") too old to be recovered"
            )
        case .kernelMemoryFailed(let reason):
            Console.print("        \(console.styled("torn transactions: \(reason)", .yellow))")
        case .refusedByMerchant(let reason):
            Console.print("        \(console.styled(reason, .yellow))")
        case .reversal(let reversal, let delivered):
            Console.print(
                "        reversal (\(reversal.reason.rawValue), transmission \(reversal.transmission)): "
                    + (delivered ? "acknowledged" : console.styled("not delivered yet", .yellow)))
        case .parked(let id, let reason):
            Console.print("        \(id) is \(console.styled("set aside for a person: \(reason)", .yellow))")
        case .authorizationFailed(let error):
            Console.print("        \(console.styled("\(error)", .yellow))")
        case .transaction, .fieldOff, .unpredictableNumber, .kernelMemory, .kernelState,
            .authorizationSent, .authorizationAnswered, .resolved, .finished:
            break
        }
    }

    private func lights(_ lights: CustomerMessage.Lights) -> String {
        if lights.alert { return console.styled("✖○○○", .red) }
        func symbol(_ light: CustomerMessage.Lights.Light) -> String {
            switch light {
            case .off: console.styled("○", .dim)
            case .on: console.styled("●", .green)
            case .blinking: console.styled("◐", .green)
            }
        }
        return symbol(lights.first) + String(repeating: symbol(lights.others), count: 3)
    }

    private func explain(_ mark: String, _ bytes: [UInt8], kind: EMVDecoder.Kind) {
        explain(mark, Explanation.text(bytes, kind: kind, coloured: console.coloured))
    }

    private func explain(_ mark: String, _ text: String, suffix: String = "") {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            Console.print(
                "      " + (index == 0 ? console.styled(mark, .blue) : "  ") + line
                    + (index == 0 ? console.styled(suffix, .dim) : ""))
        }
    }
}
