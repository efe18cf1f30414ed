import CommandSupport
import ArgumentParser
import CardReaders
import EMV
import Foundation
import LibNFCReaders
import PCSCReaders

/// The readers of this machine.
enum PCSC {
    /// A reader: by its libnfc name, which begins with `nfc:`, by a part of its PC/SC name, or the first contactless
    /// one.
    static func reader(matching name: String?) async throws -> any CardReader {
        do throws(ReaderError) {
            if let name, LibNFCContext.isName(name) { return try await LibNFCContext.reader(named: name) }
            if name == nil, await !isPCSCThere() {
                return try await LibNFCContext.reader(named: LibNFCContext.prefix)
            }
            return try await PCSCContext.reader(matching: name)
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
    }

    /// The emulated card that is tapped where neither card nor reader was named, which is said; nil where a reader is
    /// attached that takes one.
    /// - Throws: `CommandFailure` where that would be a guess: PC/SC does not answer, or a card lies in a reader whose name
    ///   does not tell that it is contactless.
    static func emulatedCardInstead() async throws -> String? {
        let hasDevice = await !LibNFCContext.connectionStrings().isEmpty
        let readers: [ReaderListing]
        do {
            readers = try await PCSCContext.readers()
        } catch {
            if hasDevice { return nil }
            throw CommandFailure(
                .reader,
                "\(error). Name a reader with --reader, or an emulated card with --card: --card visa-credit needs no reader"
            )
        }
        if hasDevice || readers.contains(where: { $0.interface == .contactless }) { return nil }
        let names = readers.map { "\"\($0.name)\"" }.joined(separator: ", ")
        guard readers.allSatisfy({ $0.answerToReset == nil }) else {
            throw CommandFailure(
                .reader,
                "a card lies in a reader, but no name tells a contactless one: \(names). Name the reader with --reader, or an emulated card with --card"
            )
        }
        let card = "visa-credit"
        let passedOver =
            readers.isEmpty ? "no reader is attached" : "no reader is contactless (passed over: \(names))"
        Console.printError(
            Console.error.styled(
                "\(passedOver): the emulated card \(card) is used (choose with --card)", .yellow))
        return card
    }

    /// The same for PC/SC; false where pcscd does not run.
    private static func isPCSCThere() async -> Bool {
        guard let readers = try? await PCSCContext.readers() else { return false }
        return readers.contains { $0.interface == .contactless }
    }
}

struct ReadersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readers",
        abstract: "List the attached readers: those of PC/SC with the cards in them, and libnfc's devices.",
        discussion: """
            libnfc lists USB devices and those of its configuration (/etc/nfc, LIBNFC_DEVICE); a reader on a \
            serial line can be named without being listed: nfc:pn532_uart:/dev/ttyUSB0.

            Examples:
              tapbridge readers
              tapbridge readers --watch
              tapbridge readers --capabilities
              tapbridge readers control ACR122 led green
              tapbridge readers --json
            """,
        subcommands: [ReaderControlCommand.self])

    @Flag(help: "Go on telling what is plugged in and presented, until Ctrl-C.") var watch = false
    @Flag(help: "Tell what each PC/SC reader is and can: firmware, lengths, features, direct control.")
    var capabilities = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !(watch && capabilities) else { throw ValidationError("--watch or --capabilities, not both") }
    }

    struct Row: Encodable {
        var kind = "pcsc"
        var name: String
        var interface: String
        var answerToReset: String?
        var card: String?
        var isExclusivelyUsed: Bool
    }

    func run() async throws {
        if watch { return try await follow() }
        if capabilities { return try await tellCapabilities() }
        let devices = await LibNFCContext.connectionStrings()
        var readers: [ReaderListing] = []
        do {
            readers = try await PCSCContext.readers()
        } catch {
            // Without pcscd there may be libnfc's devices still.
            if devices.isEmpty { throw CommandFailure(.reader, "\(error)") }
            Console.printError("\(error)")
        }
        let rows =
            readers.map {
                Row(
                    name: $0.name, interface: $0.interface.rawValue,
                    answerToReset: $0.answerToReset.map(hex), card: $0.answerToReset.map(Self.words),
                    isExclusivelyUsed: $0.isExclusivelyUsed)
            }
            + devices.map {
                Row(
                    kind: "libnfc", name: LibNFCContext.prefix + $0,
                    interface: ReaderListing.Interface.contactless.rawValue, isExclusivelyUsed: false)
            }
        if output.json { return try Console.printJSON(rows) }
        guard !rows.isEmpty else {
            Console.print(
                "no reader is attached; emulated cards need none: tapbridge pay 12.50 --card visa-debit"
            )
            return
        }
        Console.print(
            Console.standard.table(
                [["READER", "INTERFACE", "CARD", "ATR"]]
                    + rows.map {
                        [
                            $0.name, $0.interface,
                            ($0.card ?? "-") + ($0.isExclusivelyUsed ? " (in use)" : ""),
                            $0.answerToReset ?? "",
                        ]
                    }))
    }

    private struct Capabilities: Encodable {
        var reader: PCSCReaderDetails
        var controls: [String]
        /// Why the reader could not be asked.
        var trouble: String?
    }

    private func tellCapabilities() async throws {
        var told: [Capabilities] = []
        do throws(ReaderError) {
            for state in try await PCSCContext.readers() {
                do throws(ReaderError) {
                    let details = try await PCSCContext.details(of: state.name)
                    let driver = ReaderDriver.all.first { $0.id == details.driver }
                    told.append(Capabilities(reader: details, controls: driver?.commands.keys.sorted() ?? []))
                } catch {
                    let details = PCSCReaderDetails(name: state.name, interface: state.interface)
                    told.append(Capabilities(reader: details, controls: [], trouble: "\(error)"))
                }
            }
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
        if output.json { return try Console.printJSON(told) }
        if told.isEmpty { Console.print("no PC/SC reader is attached") }
        for (index, entry) in told.enumerated() {
            if index > 0 { Console.print() }
            let reader = entry.reader
            Console.print(Console.standard.styled(reader.name, .bold))
            func line(_ what: String, _ value: String?) {
                if let value {
                    Console.print(
                        "  " + what + String(repeating: " ", count: max(1, 16 - what.count)) + value)
                }
            }
            line("trouble", entry.trouble)
            line("interface", reader.interface.rawValue)
            line("vendor", reader.vendor)
            line("model", reader.model)
            line("version", reader.version)
            line("firmware", reader.firmware)
            line("serial number", reader.serialNumber)
            line("USB", reader.usb?.description)
            if entry.trouble == nil {
                line(
                    "APDUs",
                    reader.maximumDataSize.map {
                        switch $0 {
                        case 0: "short"
                        case ...256: "short, up to \($0) bytes of data"
                        default: "extended, up to \($0) bytes of data"
                        }
                    } ?? "the driver does not tell")
                line("longest input", reader.maximumInput.map { "\($0) bytes" })
                line("features", reader.features.isEmpty ? nil : reader.features.joined(separator: ", "))
                line(
                    "direct control",
                    reader.driver.map {
                        $0
                            + (reader.allowsEscape
                                ? "" : " (escape commands not allowed: see tapbridge doctor)")
                    } ?? "no driver file")
                line("controls", entry.controls.isEmpty ? nil : entry.controls.joined(separator: ", "))
            }
        }
    }

    private func follow() async throws {
        let (both, continuation) = AsyncStream.makeStream(of: ReaderEvent.self)
        for events in [PCSCContext.events(), LibNFCContext.events()] {
            Task { for await event in events { continuation.yield(event) } }
        }
        try await Self.tell(both, json: output.json)
    }

    /// Prints events until Ctrl-C.
    static func tell(_ events: AsyncStream<ReaderEvent>, json: Bool) async throws {
        signal(SIGINT, SIG_DFL)
        struct Event: Encodable {
            var event: String
            var reader: String?
            var answerToReset: String?
            var reason: String?
        }
        for await event in events {
            let told: Event
            switch event {
            case .readerAdded(let state):
                told = Event(
                    event: "reader-added", reader: state.name, answerToReset: state.answerToReset.map(hex))
            case .readerRemoved(let name): told = Event(event: "reader-removed", reader: name)
            case .cardInserted(let reader, let answerToReset):
                told = Event(event: "card-inserted", reader: reader, answerToReset: hex(answerToReset))
            case .cardRemoved(let reader): told = Event(event: "card-removed", reader: reader)
            case .serviceLost(let reason): told = Event(event: "service-lost", reason: reason)
            case .serviceFound: told = Event(event: "service-found")
            }
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                Console.print(
                    PlainText.escaped(json: String(decoding: try encoder.encode(told), as: UTF8.self)))
            } else {
                let words = told.event.replacingOccurrences(of: "-", with: " ")
                let details = [told.reader, told.answerToReset, told.reason].compactMap { $0 }
                Console.print(
                    Console.standard.styled(words, .bold) + "  " + details.joined(separator: "  "))
            }
        }
    }

    private static func words(_ answerToReset: [UInt8]) -> String {
        answerToReset.isEmpty ? "mute" : "card"
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String(format: "%02X", $0) }.joined()
}
