import CommandSupport
import ArgumentParser
import BERTLV
import CardReaders
import Cards
import EMV
import Foundation
import PN532
import ProfileFile

struct CardsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cards",
        abstract: "List the emulated cards and wallets.",
        discussion: """
            Examples:
              tapbridge cards
              tapbridge cards --json
              tapbridge card show apple-pay-visa > my-wallet.yaml
            """)
    @OptionGroup var output: OutputOptions

    struct Row: Encodable {
        var id: String
        var title: String
        var kind: String
        var applications: [String]
        var number: String?
        var expires: String?
        var transactionCounter: UInt16?
    }

    func run() throws {
        let rows = try CardLibrary.profiles().map { profile in
            let application = profile.applications.first
            let counter = (try? CardStore.take(profile.id))?.state.applications.values
                .map(\.transactionCounter).max()
            return Row(
                id: profile.id, title: profile.title, kind: profile.kind.rawValue,
                applications: profile.applications.map { Hex.string($0.applicationIdentifier) },
                number: application?.primaryAccountNumber.masked,
                expires: application.map {
                    "20\($0.expiry / 100)-" + String("0\($0.expiry % 100)".suffix(2))
                },
                transactionCounter: counter)
        }
        if output.json { return try Console.printJSON(rows) }
        Console.print(
            Console.standard.table(
                [["ID", "KIND", "NUMBER", "EXPIRES", "ATC", "TITLE"]]
                    + rows.map {
                        [
                            $0.id, $0.kind, $0.number ?? "", $0.expires ?? "",
                            $0.transactionCounter.map(String.init) ?? "", $0.title,
                        ]
                    }))
    }
}

struct CardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "card", abstract: "Show or check an emulated card, or attach it for other programs.",
        subcommands: [Show.self, Check.self, Attach.self, Reset.self, CAKeys.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a built-in card's profile: a start for one's own.",
            discussion: "Example:\n  tapbridge card show visa-credit > my-card.yaml")
        @Argument(help: "Id of a built-in card.") var id: String
        func run() throws {
            guard let text = CardLibrary.text(of: id) else {
                throw CommandFailure(
                    .badInput,
                    "no such card: \(id); known are \(CardLibrary.identifiers.joined(separator: ", "))")
            }
            Console.write(text, to: STDOUT_FILENO)
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a card profile: read it and personalise a card from it.",
            discussion: "Example:\n  tapbridge card check my-card.yaml")
        @Argument(help: "YAML file.", completion: .file(extensions: ["yaml", "yml"])) var file: String
        func run() throws {
            do {
                let profile = try CardProfile(ProfileFile(path: file))
                _ = try EmulatedCard(profile: profile)
                let applications = profile.applications.map {
                    "\(Hex.string($0.applicationIdentifier)) \($0.primaryAccountNumber.masked)"
                }
                Console.print(
                    "\(file): \(profile.kind.rawValue) \(profile.id), \(applications.joined(separator: ", "))"
                )
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }
    }

    struct CAKeys: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ca-keys",
            abstract: "Print the public keys of the cards' test CA, as a terminal profile has them.")
        func run() { Console.write(TestCertificationAuthority.terminalProfileText, to: STDOUT_FILENO) }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget what was kept of an emulated card: it is as personalised again.")
        @Argument(help: "Id of the card.") var id: String
        func run() throws {
            let card = try CardStore.take(id, fresh: true)
            try? FileManager.default.removeItem(atPath: CardStore.statePath(card.profile.id))
            Console.print("\(card.profile.id): counters and scripts forgotten")
        }
    }

    struct Attach: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Plug an emulated card into the virtual PC/SC reader, or into a software PN532.",
            discussion: """
                Needs pcscd with vsmartcard's virtual reader (Debian: pcscd, vsmartcard-vpcd). Any program on \
                this machine can then use the card through PC/SC. Ctrl-C takes it out.

                With --pn532 the card lies in the field of a PN532 in software instead, which answers on a \
                pseudo-terminal; its connection string for libnfc is printed. It misbehaves on request \
                (--misbehave, several times): \(PN532Fault.words.joined(separator: ", ")); each with @n for \
                "after n exchanges".

                Examples:
                  tapbridge card attach visa-debit
                  opensc-tool --reader 0 --send-apdu 00A404000E325041592E5359532E444446303100
                  tapbridge card attach visa-debit --pn532 --link /tmp/reader
                  LIBNFC_DEVICE=pn532_uart:/tmp/reader nfc-list
                  tapbridge card attach visa-debit --pn532 --misbehave card-leaves@3 --misbehave lost-ack@9
                """)
        @Argument(help: "Id of a built-in card, or a profile file.") var id: String
        @Option(help: "Host of the virtual reader.") var host = "127.0.0.1"
        @Option(help: "Port of the virtual reader's slot: 35963, or 35964 for the second one.") var port =
            35963
        @Flag(name: .customLong("pn532"), help: "Into a software PN532 on a pseudo-terminal, for libnfc.")
        var pn532 = false
        @Option(help: ArgumentHelp("With --pn532: make this link to the pseudo-terminal.", valueName: "path"))
        var link: String?
        @Option(help: ArgumentHelp("With --pn532: what goes wrong, as listed above.", valueName: "fault"))
        var misbehave: [String] = []
        @Flag(help: "The phone is unlocked.") var unlocked = false
        @Flag(help: "Show each command and answer, explained.") var apdus = false
        @Flag(help: "Use the card as it left personalisation, and keep nothing.") var freshCard = false

        func run() async throws {
            guard let port = UInt16(exactly: port) else {
                throw CommandFailure(.usage, "\(port) is no port number")
            }
            let card = try CardStore.take(id, fresh: freshCard)
            if unlocked { card.unlock() }
            card.ownerUnlocksWhenAsked = true
            let name = card.profile.id
            guard pn532 || (link == nil && misbehave.isEmpty) else {
                throw CommandFailure(.usage, "--link and --misbehave are for --pn532")
            }
            let state =
                pn532
                ? try await PN532Attachment.run(card, faults: misbehave, link: link, showsCommands: apdus)
                : try await CardAttachment.run(card, host: host, port: port, showsCommands: apdus)
            if !freshCard { try CardStore.keep(state, of: name) }
        }
    }
}
