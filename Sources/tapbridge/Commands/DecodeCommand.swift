import CommandSupport
public import ArgumentParser
import BERTLV
public import EMVDictionary
import Foundation

extension EMVDecoder.Kind: ExpressibleByArgument {}
extension DictionaryContext: ExpressibleByArgument {}

struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Explain hexadecimal EMV data: data objects, APDUs, ATRs, DOLs.",
        discussion: """
            Without arguments each line of standard input is explained. Spaces, colons and dashes between \
            digits are passed over, and so is what other tools write before them, such as "[+] <<<<" or "APDU:", and the \
            length that field 55 of a message has in front; the first line then says so. Card numbers other than known test numbers are masked.

            Examples:
              tapbridge decode 9F66043600C000
              tapbridge decode --as dol 9F6604 9F0206 9F3704
              tapbridge decode --kernel kernel2 DF811B01A0
              tapbridge decode --json 00A404000E325041592E5359532E444446303100
              grep '^<' session.trace | cut -c3- | tapbridge decode
            """)

    @Argument(help: "Hexadecimal digits.") var hex: [String] = []

    @Option(
        name: .customLong("as"),
        help: ArgumentHelp(
            "What it is: \(EMVDecoder.Kind.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "kind"))
    var kind: EMVDecoder.Kind = .automatic

    @Option(
        help: ArgumentHelp(
            "Whose tags: \(DictionaryContext.allCases.map(\.rawValue).joined(separator: ", ")); by default what an AID in the data says.",
            valueName: "context"))
    var kernel: DictionaryContext?

    @Option(
        help: ArgumentHelp(
            "PDOL or CDOL that the data of a GET PROCESSING OPTIONS or GENERATE AC answers.", valueName: "hex"
        ))
    var dol: String?

    @Flag(help: "List the bits that are not set, too.") var allBits = false
    @Flag(help: "Show where each piece begins.") var offsets = false
    @Flag(help: "Show card numbers and tracks in clear: for test cards only.") var reveal = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        var options = EMVDecoder.Options(
            kind: kind, context: kernel, reveal: reveal, showUnsetBits: allBits)
        if let dol {
            guard let bytes = Hex.bytes(Substring(dol)) else {
                throw CommandFailure(.badInput, "--dol is not hexadecimal")
            }
            options.dataObjectList = bytes
        }
        var failed = false
        var nodes: [ExplainedNode] = []
        func explain(_ text: String) {
            let node = EMVDecoder.explain(hex: text, options)
            failed = failed || node.hasErrors
            if output.json {
                nodes.append(node)
            } else {
                Console.write(
                    Console.standard.shown(node.text(colour: Console.standard.coloured, offsets: offsets)),
                    to: STDOUT_FILENO)
            }
        }
        if hex.isEmpty || hex == ["-"] {
            while let line = readLine() {
                let text = line.trimmingCharacters(in: .whitespaces)
                if text.isEmpty || text.hasPrefix("#") { continue }
                explain(text)
                if !output.json { Console.print() }
            }
        } else {
            explain(hex.joined(separator: " "))
        }
        if output.json {
            Console.print(
                nodes.count == 1
                    ? nodes[0].json()
                    : "[" + nodes.map { $0.json() }.joined(separator: ",\n") + "]")
        }
        if failed { throw ExitWithStatus(status: .badInput) }
    }
}
