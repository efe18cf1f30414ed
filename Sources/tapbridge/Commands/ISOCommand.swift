import AcquirerFiles
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
        subcommands: [Decode.self, Dialects.self, Acquirer.self]
    )

    struct Decode: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Explain ISO 8583 messages, masked.",
            discussion: """
                Each argument, or each line of standard input, is one message in hexadecimal. A --file holds one \
                message as bytes, or hexadecimal lines. Without --dialect and --framing the built-in dialects and \
                usual framings are tried, and the one is taken that reads the message best: to its last byte, with right \
                filler digits, the version of the message type, printable characters, dates, currencies and check digits that \
                there are. Others that read it as well are named, and whether they find the same values.

                Framings: 2-byte, 4-byte, bcd, ascii-4 (ascii-2 to ascii-8), each with "+self" where the length \
                counts itself, and "tpdu" or "header N" where a header follows; "none" for a bare message.

                Examples:
                  tapbridge iso decode 0800822000000000000004000000000000001120223015000123 0301
                  tapbridge iso decode --dialect jpos-87b --framing "2-byte tpdu" --file message.bin
                  tapbridge iso decode --dialect my-host.yaml < messages.txt
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
            var chip: [ExplainedNode]
            /// Other dialects and framings that read the whole message.
            var alsoReadBy: [MessageDetection.Other] = []
        }

        func run() throws {
            let dialects = try dialect.map { [try ISOCommand.dialect($0)] } ?? ISOCommand.builtIn()
            let framings: [Framing?] = try framing.map { [try ISOCommand.framing($0)] } ?? Self.usualFramings
            var rows: [Row] = []
            for input in try inputs() {
                let row: Row
                switch input {
                case .success(let bytes):
                    row = Self.row(MessageDetection(bytes, dialects: dialects, framings: framings))
                case .failure(let failure): throw failure
                }
                rows.append(row)
                if !output.json { show(row) }
            }
            guard !rows.isEmpty else { throw CommandFailure(.usage, "no message is given") }
            if output.json {
                if rows.count == 1 { try Console.printJSON(rows[0]) } else { try Console.printJSON(rows) }
            }
            if rows.contains(where: { $0.message.error != nil }) { throw ExitWithStatus(status: .badInput) }
        }

        private func inputs() throws -> [Result<[UInt8], CommandFailure>] {
            func message(_ text: some StringProtocol, _ place: String) -> Result<[UInt8], CommandFailure> {
                let digits = String(text).filter { !$0.isWhitespace && $0 != ":" && $0 != "-" }
                guard let bytes = Hex.bytes(digits), !bytes.isEmpty else {
                    return .failure(CommandFailure(.badInput, "\(place): not hexadecimal digits in pairs"))
                }
                return .success(bytes)
            }
            func lines(_ text: String, _ place: String) -> [Result<[UInt8], CommandFailure>] {
                text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap {
                    let line = $0.element.trimmingCharacters(in: .whitespaces)
                    return line.isEmpty || line.hasPrefix("#")
                        ? nil : message(line, "\(place):\($0.offset + 1)")
                }
            }
            if let file {
                guard let data = FileManager.default.contents(atPath: file) else {
                    throw CommandFailure(.badInput, "\(file): cannot be read")
                }
                // A message in EBCDIC or BCD is never hexadecimal text.
                if !raw, let text = String(data: data, encoding: .utf8),
                    text.allSatisfy({
                        $0.isHexDigit || $0.isWhitespace || $0 == ":" || $0 == "-" || $0 == "#"
                    })
                {
                    let read = lines(text, file)
                    if read.allSatisfy({ if case .success = $0 { true } else { false } }) { return read }
                }
                return [.success(Array(data))]
            }
            if hex.isEmpty || hex == ["-"] {
                return lines(
                    String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self), "line")
            }
            return [message(hex.joined(), "argument")]
        }

        static let usualFramings: [Framing?] = [
            nil, Framing(.binary(2)), Framing(.binary(2), header: .tpdu), Framing(.ascii(4)),
            Framing(.binary(4)),
            Framing(.binary(2), countsItself: true), Framing(.bcd), Framing(.bcd, header: .tpdu),
        ]

        static func row(_ detection: MessageDetection) -> Row {
            let best = detection.best
            var chip: [ExplainedNode] = []
            if let data = best.message[55], !data.isEmpty,
                best.explanation.fields.contains(where: { $0.number == 55 })
            {
                var options = EMVDecoder.Options(kind: .tlv)
                options.isTestPAN = { _ in false }
                chip = [
                    EMVDecoder.explain(
                        hex: Hex.string(data), options)
                ]
            }
            return Row(
                message: best.explanation, framing: best.framingName, chip: chip, alsoReadBy: detection.others
            )
        }

        private func show(_ row: Row) {
            let console = Console.standard
            Console.print(
                console.styled("dialect \(row.message.dialect), framing \(row.framing)", .dim))
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

    struct Dialects: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the built-in dialects, print one, or check a dialect file.")
        @Argument(help: "A built-in dialect to print, or a file to check.") var name: String?

        func run() throws {
            guard let name else {
                for dialect in try ISOCommand.builtIn() {
                    Console.print(
                        "\(dialect.name)  ISO 8583:\(dialect.version.rawValue), type in \(dialect.typeEncoding.rawValue), bitmap \(dialect.bitmapEncoding.rawValue)"
                    )
                }
                return
            }
            if let text = Dialect.builtInText(name) { return Console.write(text, to: STDOUT_FILENO) }
            let dialect = try ISOCommand.dialect(name)
            Console.print(
                "\(name): dialect \(dialect.name), ISO 8583:\(dialect.version.rawValue), \((2...128).count { dialect[$0] != nil }) fields"
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
                "\"\(text)\" is no framing: write \"2-byte\", \"4-byte\", \"bcd\" or \"ascii-4\", then \"+self\", \"tpdu\" or \"header N\" where needed"
            )
        }
        return framing
    }
}
