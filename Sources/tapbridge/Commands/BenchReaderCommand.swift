import CommandSupport
import ArgumentParser
import BERTLV
import CardReaders
import Cards
import Foundation
import PCSCReaders
import SmartCard

/// How long a reader takes for commands and answers of different sizes.
struct BenchReaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reader",
        abstract: "Profile the latency of a reader: APDU round trips by size, with percentiles.",
        discussion: """
            With a payment card in the field the command is a SELECT of the PPSE: its time is reader and card \
            together. With --echo an emulated card that answers at once is put into vsmartcard's virtual reader, \
            and commands and answers of each size are measured: what remains is the way there and back.

            Examples:
              tapbridge bench reader
              tapbridge bench reader ACR1252 --count 500 --json
              tapbridge bench reader --echo --sizes 0,16,256,4096
            """)

    @Argument(help: "The reader by a part of its name; the first contactless one by default.") var reader:
        String?
    @Option(help: "Round trips of each size.") var count = 200
    @Flag(help: "Measure a virtual reader with a card of its own that answers at once.") var echo = false
    @Option(help: "Bytes of command data and of response data, with --echo.") var sizes =
        "0,16,64,255,1024,4096"
    @Option(help: ArgumentHelp("Command to send instead, in hexadecimal.", valueName: "apdu")) var apdu:
        String?
    @Option(help: "TCP port of the virtual reader's slot, with --echo.") var port = VPCDClient.defaultPort
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard 1...1_000_000 ~= count else { throw ValidationError("--count takes 1 to 1000000") }
        guard !(echo && apdu != nil) else { throw ValidationError("--echo has commands of its own") }
    }

    struct Row: Encodable {
        var direction: String
        var commandBytes: Int
        var responseBytes: Int
        var count: Int
        /// Microseconds.
        var minimum: Double
        var median: Double
        var p90: Double
        var p99: Double
        var maximum: Double
        var bytesPerSecond: Double
    }

    /// Answers at once: P1 P2 bytes of data for INS 01, nothing for others.
    final class SizedCard: VirtualCard {
        let activation = ContactlessActivation()
        var answerToReset: [UInt8] { activation.answerToReset }
        func powerOn() {}
        func powerOff() {}
        func process(_ command: [UInt8]) -> [UInt8]? {
            guard command.count >= 4, command[1] == 0x01 else { return [0x90, 0x00] }
            return [UInt8](repeating: 0x5A, count: Int(command[2]) << 8 | Int(command[3])) + [0x90, 0x00]
        }
    }

    func run() async throws {
        var commands: [(direction: String, bytes: [UInt8])] = []
        var serving: Task<Void, any Error>?
        if echo {
            var wanted: [Int] = []
            for word in sizes.split(separator: ",") {
                guard let size = Int(word.filter { $0 != " " }), 0...65500 ~= size else {
                    throw CommandFailure(.usage, "--sizes takes numbers from 0 to 65500, not \"\(word)\"")
                }
                wanted.append(size)
            }
            for size in wanted {
                let data = [UInt8](repeating: 0xA5, count: size)
                commands.append(
                    ("to card", CommandAPDU(cla: 0x80, ins: 0x02, p1: 0, p2: 0, data: data).bytes))
            }
            for size in wanted {
                let length: [UInt8] = size > 256 ? [0, 0, 0] : [0]
                commands.append(
                    ("from card", [0x80, 0x01, UInt8(size >> 8), UInt8(size & 0xFF)] + length))
            }
            var options = VPCDClient.Options(port: port)
            options.reconnects = false
            let client = VPCDClient(card: SizedCard(), options: options)
            serving = Task { try await client.run() }
        } else if let apdu {
            guard let bytes = Hex.bytes(apdu), bytes.count >= 4 else {
                throw CommandFailure(.badInput, "not a command APDU: \(apdu)")
            }
            commands = [("given", bytes)]
        } else {
            commands = [
                ("SELECT PPSE", [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00])
            ]
        }
        defer { serving?.cancel() }

        let device: any CardReader
        if echo, reader == nil {
            device = try await PCSC.reader(matching: "Virtual PCD 00 00")
        } else {
            device = try await PCSC.reader(matching: reader)
        }
        if !output.json { Console.printError("measuring \(device.information.name) ...") }
        var rows: [Row] = []
        do throws(ReaderError) {
            let channel = try await device.activateCard(deadline: .now + .seconds(15))
            for (direction, bytes) in commands {
                // The first round trips warm up what is on the way.
                for _ in 0..<min(5, count) { _ = try await channel.transmit(bytes, timeout: .seconds(10)) }
                var times: [Double] = []
                var received = 0
                for _ in 0..<count {
                    let start = ContinuousClock.now
                    let answer = try await channel.transmit(bytes, timeout: .seconds(10))
                    times.append(Measurement.microseconds(start.duration(to: .now)))
                    received = answer.bytes.count
                }
                rows.append(Self.row(direction, bytes.count, received, times))
            }
        } catch {
            await device.close()
            throw CommandFailure(.reader, "\(error)")
        }
        await device.close()
        if output.json { return try Console.printJSON(rows) }
        func number(_ value: Double) -> String { String(format: value >= 1000 ? "%.0f" : "%.1f", value) }
        Console.print("microseconds for a round trip, \(count) of each")
        Console.print(
            Console.standard.table(
                [["DIRECTION", "COMMAND", "RESPONSE", "MIN", "MEDIAN", "P90", "P99", "MAX", "BYTES/S"]]
                    + rows.map {
                        [
                            $0.direction, "\($0.commandBytes)", "\($0.responseBytes)", number($0.minimum),
                            number($0.median), number($0.p90), number($0.p99), number($0.maximum),
                            String(format: "%.0f", $0.bytesPerSecond),
                        ]
                    }))
    }

    static func row(_ direction: String, _ command: Int, _ response: Int, _ times: [Double]) -> Row {
        let sorted = times.sorted()
        let median = Measurement.percentile(0.5, of: sorted)
        return Row(
            direction: direction, commandBytes: command, responseBytes: response, count: times.count,
            minimum: sorted.first ?? .nan, median: median, p90: Measurement.percentile(0.9, of: sorted),
            p99: Measurement.percentile(0.99, of: sorted), maximum: sorted.last ?? .nan,
            bytesPerSecond: Double(command + response) / (median / 1e6))
    }
}
