import CommandSupport
public import ArgumentParser
import CardReaders
import Foundation
public import PCSCReaders

extension ReaderDriver.Action: ExpressibleByArgument {}

struct ReaderControlCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Control LED, buzzer, polling or antenna of a PC/SC reader.",
        discussion: """
            Sends one of the reader family's own commands (escape commands). Without an action it lists what the \
            reader can be told; commands marked "unconfirmed" come from a related reader or chip. The CCID driver \
            must let escape commands through: tapbridge doctor says how.

            Examples:
              tapbridge readers control ACR122
              tapbridge readers control ACR122 led green
              tapbridge readers control ACR1252 buzzer on --milliseconds 200
              tapbridge readers control uTrust antenna off
            """)

    @Argument(help: "The reader by a part of its name.") var reader: String
    @Argument(help: "What: \(ReaderDriver.Action.allCases.map(\.rawValue).joined(separator: ", ")).")
    var action: ReaderDriver.Action?
    @Argument(help: "The value, such as on, off or a colour.") var value: String?
    @Option(help: "How long the buzzer sounds.") var milliseconds = 100
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard 1...25500 ~= milliseconds else { throw ValidationError("--milliseconds takes 1 to 25500") }
    }

    private struct Row: Encodable {
        var control: String
        var bytes: String
        var source: String
        var isUnconfirmed: Bool
    }
    private struct Done: Encodable {
        var reader: String
        var control: String
        var answer: String
        var text: String?
    }

    func run() async throws {
        do throws(ReaderError) {
            let name = try await PCSCContext.reader(matching: reader).information.name
            let details = try await PCSCContext.details(of: name)
            let driver = ReaderDriver.all.first { $0.id == details.driver }
            guard let action else { return try list(name, driver) }
            let data = try await PCSCContext.control(
                name, action, value, milliseconds: milliseconds, driver: driver)
            let control = [action.rawValue, value].compactMap { $0 }.joined(separator: " ")
            let isText = driver?.command(action, value)?.isText == true
            let text = isText ? String(decoding: data, as: UTF8.self) : nil
            if output.json {
                do {
                    try Console.printJSON(Done(reader: name, control: control, answer: hex(data), text: text))
                } catch {}
            } else {
                Console.print("\(name): \(control)" + (data.isEmpty ? "" : ": \(text ?? hex(data))"))
            }
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
    }

    private func list(_ name: String, _ driver: ReaderDriver?) throws(ReaderError) {
        guard let driver else {
            throw .readerUnavailable(
                reader: name,
                reason: "there is no driver file for it; families: "
                    + ReaderDriver.all.map(\.family).joined(separator: "; "))
        }
        let rows = driver.commands.sorted { $0.key < $1.key }.map { name, command in
            Row(
                control: name, bytes: hex(command.bytes(milliseconds: milliseconds)), source: command.source,
                isUnconfirmed: command.isUnconfirmed)
        }
        if output.json {
            do { try Console.printJSON(rows) } catch {}
            return
        }
        Console.print("\(name): \(driver.family)")
        Console.print("source: \(driver.source)")
        Console.print(
            Console.standard.table(
                [["CONTROL", "BYTES", "SOURCE"]]
                    + rows.map {
                        [$0.control, $0.bytes, $0.source + ($0.isUnconfirmed ? " (unconfirmed)" : "")]
                    }))
    }
}
