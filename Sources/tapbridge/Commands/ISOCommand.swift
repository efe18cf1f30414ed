import AcquirerFiles
import AcquirerHost
import ArgumentParser
import BERTLV
import CommandSupport
import EMVDictionary
import Foundation
import HTTPBackend
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import ProfileFile

struct ISOCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "iso", abstract: "ISO 8583 messages, dialects and acquirer files.",
        subcommands: [Decode.self, Encode.self, Dialects.self, Acquirer.self]
    )

    struct Decode: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Explain ISO 8583 messages, masked.",
            discussion: """
                The argument, or each line of standard input, is one message: hexadecimal digits, or the characters of a \
                message of text. What other tools write before and behind is passed over, and the lines of a hexadecimal \
                dump are one message. A --file holds one message as bytes, or such lines. How it was read is told. Without --dialect and --framing the built-in dialects and \
                usual framings are tried, and the one is taken that reads the message best: to its last byte, with right \
                filler digits, the version of the message type, printable characters, dates, currencies and check digits that \
                there are. Others that read it as well are named, and whether they find the same values.

                Framings: 2-byte, 4-byte, bcd, ascii-4 (ascii-2 to ascii-8), hex-4, each with "+self" where the length \
                counts itself, "gap N" for bytes that it does not count, "tpdu" or "header N" where a header follows, and \
                "trailer 03" where something ends each message; "none" for a bare message, also "none tpdu" and \
                "none header 12" for one with a header and without a length.

                Examples:
                  tapbridge iso decode 0800822000000000000004000000000000001120223015000123 0301
                  tapbridge iso decode --dialect jpos-87b --framing "2-byte tpdu" --file message.bin
                  tapbridge iso decode --dialect my-host.yaml < messages.txt
                  tapbridge iso decode 'Sent: 6000030000 0800 2020000000800000 000000 000001 5445524D30303031'
                """)

        @Argument(help: "Hexadecimal digits.") var hex: [String] = []
        @Option(
            help: ArgumentHelp(
                "A built-in dialect (\(Dialect.builtInNames.joined(separator: ", "))) or a dialect file.",
                valueName: "name"))
        var dialect: String?
        @Option(help: ArgumentHelp("What comes before the message type.", valueName: "framing"))
        var framing: String?
        @Option(help: ArgumentHelp("Read the message from a file.", valueName: "file"), completion: .file())
        var file: String?
        @Flag(help: "The file holds bytes, even where they look like hexadecimal digits.") var raw = false
        @Flag(help: "Show where each field begins, and its format.") var offsets = false
        @OptionGroup var output: OutputOptions

        struct Row: Encodable {
            var message: MessageExplanation
            var framing: String
            /// How the text was read: hexadecimal digits, text, bytes.
            var reading: String
            var chip: [ExplainedNode]
            /// Other dialects and framings that read the whole message.
            var alsoReadBy: [MessageDetection.Other] = []
        }

        func run() throws {
            let dialects = try dialect.map { [try ISOCommand.dialect($0)] } ?? ISOCommand.builtIn()
            let framings: [Framing?] =
                try framing.map { [try ISOCommand.framing($0)] } ?? PastedMessage.usualFramings
            var rows: [Row] = []
            for (place, readings) in try inputs() {
                guard !readings.isEmpty else {
                    throw CommandFailure(
                        .badInput, "\(place): neither hexadecimal digits in pairs nor a message of text")
                }
                let row = Self.row(MessageDetection(readings, dialects: dialects, framings: framings))
                rows.append(row)
                if !output.json { show(row) }
            }
            guard !rows.isEmpty else { throw CommandFailure(.usage, "no message is given") }
            if output.json {
                if rows.count == 1 { try Console.printJSON(rows[0]) } else { try Console.printJSON(rows) }
            }
            if rows.contains(where: { $0.message.error != nil }) { throw ExitWithStatus(status: .badInput) }
        }

        private func inputs() throws -> [(place: String, readings: [PastedMessage])] {
            func lines(_ text: String, _ place: String) -> [(place: String, readings: [PastedMessage])] {
                PastedMessage.messages(in: text).map { ("\(place):\($0.line)", $0.readings) }
            }
            if let file {
                guard let data = FileManager.default.contents(atPath: file) else {
                    throw CommandFailure(.badInput, "\(file): cannot be read")
                }
                // A message with packed or binary parts is no text.
                let isText = data.allSatisfy {
                    (0x20...0x7E).contains($0) || [0x09, 0x0A, 0x0D].contains($0)
                }
                if !raw, isText { return lines(String(decoding: data, as: UTF8.self), file) }
                return [(file, [PastedMessage(bytes: Array(data), reading: "bytes")])]
            }
            if hex.isEmpty || hex == ["-"] {
                return lines(
                    String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self), "line")
            }
            // Several arguments are one message: digits as they are shown in groups.
            return [("argument", PastedMessage.readings(hex.joined(separator: " ")))]
        }

        static func row(_ detection: MessageDetection) -> Row {
            let best = detection.best
            let chip = ChipExplanation(best.message, best.explanation).map { [$0.node] } ?? []
            return Row(
                message: best.explanation, framing: best.framingName, reading: best.source, chip: chip,
                alsoReadBy: detection.others)
        }

        private func show(_ row: Row) {
            // Digits alone are what is expected.
            let reading = row.reading == "hexadecimal digits" ? "" : ", read as \(row.reading)"
            let console = Console.standard
            Console.print(
                console.styled(
                    "dialect \(row.message.dialect), framing \(row.framing)\(reading)", .dim))
            if !row.message.header.isEmpty { Console.print("header \(row.message.header)") }
            if let type = row.message.type {
                Console.print(
                    "\(console.styled(type, .bold)) \(row.message.typeMeaning ?? "unknown message type")")
            }
            if let bitmap = row.message.bitmap { Console.print("bitmap \(bitmap)") }
            for field in row.message.fields {
                func pad(_ text: String, _ count: Int) -> String {
                    text + String(repeating: " ", count: max(0, count - text.count))
                }
                var line = offsets ? pad("@\(field.offset)+\(field.byteCount)", 10) : ""
                line += console.styled(pad("\(field.number)", 4), .cyan) + pad(field.name, 40) + " "
                if offsets { line += console.styled(pad(field.format, 16), .dim) + " " }
                line += field.value + (field.meaning.map { console.styled("  \($0)", .dim) } ?? "")
                Console.print(line)
                for piece in field.pieces {
                    Console.print(
                        "      " + pad(piece.name, 38) + " " + piece.value
                            + (piece.meaning.map { console.styled("  \($0)", .dim) } ?? ""))
                }
                if field.number == 55 {
                    for node in row.chip {
                        for text in node.text(colour: console.coloured, offsets: false).split(separator: "\n")
                        {
                            Console.print("      " + text)
                        }
                    }
                }
            }
            if let error = row.message.error {
                Console.print(console.styled("error: \(error)", .red))
            }
            for line in MessageDetection.lines(row.alsoReadBy, than: row.framing) {
                Console.print(console.styled(line, .dim))
            }
        }
    }

    struct Encode: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write an ISO 8583 message from JSON.",
            discussion: """
                The file, or standard input, is a JSON object: "type" of four digits, "fields" by number, values as text or, for \
                fields of bytes, in hexadecimal; "header" in hexadecimal where there is one. What `tapbridge iso decode --json` \
                prints is read, too, where nothing in it is masked. The message is printed in hexadecimal.

                Examples:
                  echo '{"type": "0800", "fields": {"11": "000001", "70": "301"}}' | tapbridge iso encode --dialect generic-bcd
                  tapbridge iso encode --dialect jpos-87a --framing ascii-4 --raw message.json > message.bin
                """)
        @Argument(help: "A JSON file; standard input where left out.", completion: .file()) var file: String?
        @Option(help: ArgumentHelp("A built-in dialect or a dialect file.", valueName: "name")) var dialect:
            String
        @Option(help: ArgumentHelp("What comes before and behind the message.", valueName: "framing"))
        var framing: String?
        @Flag(help: "Write bytes instead of hexadecimal digits.") var raw = false

        func run() throws {
            let dialect = try ISOCommand.dialect(dialect)
            let framing = try framing.flatMap { try ISOCommand.framing($0) }
            let data: Data
            if let file {
                guard let contents = FileManager.default.contents(atPath: file) else {
                    throw CommandFailure(.badInput, "\(file): cannot be read")
                }
                data = contents
            } else {
                data = FileHandle.standardInput.readDataToEndOfFile()
            }
            var bytes: [UInt8]
            do {
                bytes = try dialect.pack(
                    try JSONDecoder().decode(MessageDescription.self, from: data).message(in: dialect))
                if let framing { bytes = try framing.frame(bytes) }
            } catch let error as DecodingError {
                throw CommandFailure(.badInput, "no message in JSON: \(Self.describe(error))")
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
            if raw {
                FileHandle.standardOutput.write(Data(bytes))
            } else {
                Console.print(Hex.string(bytes))
            }
        }

        private static func describe(_ error: DecodingError) -> String {
            switch error {
            case .keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context.codingPath.map(\.stringValue) + [context.debugDescription]).joined(separator: ": ")
            @unknown default: "\(error)"
            }
        }
    }

    struct Dialects: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the built-in dialects, print one, or check a dialect file.")
        @Argument(help: "A built-in dialect to print, or a file to check.") var name: String?

        func run() throws {
            guard let name else {
                for dialect in try ISOCommand.builtIn() {
                    Console.print(
                        "\(dialect.name)  ISO 8583:\(dialect.version.rawValue), type in \(dialect.typeEncoding.rawValue), bitmap \(dialect.bitmapEncoding.rawValue)\(HostInterface(dialect: dialect).settlementNote)"
                    )
                }
                return
            }
            if let text = Dialect.builtInText(name) { return Console.write(text, to: STDOUT_FILENO) }
            let dialect = try ISOCommand.dialect(name)
            Console.print(
                "\(name): dialect \(dialect.name), ISO 8583:\(dialect.version.rawValue), \((2...128).count { dialect[$0] != nil }) fields\(HostInterface(dialect: dialect).settlementNote)"
            )
        }
    }

    struct Acquirer: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print an acquirer file with all keys explained, or check one.")
        @Argument(help: "An acquirer file to check.", completion: .file()) var file: String?
        @Flag(help: "Print that of a host behind HTTP.") var http = false

        func run() throws {
            guard let file else {
                return Console.write(
                    http ? HTTPBackendSettings.sample : AcquirerFile.sample, to: STDOUT_FILENO)
            }
            do {
                Console.print("\(file): \(try AcquirerConnection.check(file: file))")
            } catch {
                throw CommandFailure(.badInput, "\(error)")
            }
        }
    }

    static func builtIn() throws -> [Dialect] { try Dialect.builtInNames.map(dialect) }

    /// A built-in dialect or the dialect of a file.
    static func dialect(_ name: String) throws -> Dialect {
        do {
            return try Dialect.named(name)
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    static func framing(_ text: String) throws -> Framing? {
        if text == "none" { return nil }
        guard let framing = Framing(text) else {
            throw CommandFailure(
                .usage,
                "\"\(text)\" is no framing: write \(Framing.syntax)")
        }
        return framing
    }
}
