import BERTLV
import Cards
import Foundation
import Readers
import SmartCard

extension BenchCommand {
    /// A card that answers at once, so that what is measured is the way and not the card.
    final class EchoCard: VirtualCard {
        let activation = ContactlessActivation()
        var answerToReset: [UInt8] { activation.answerToReset }
        func powerOn() {}
        func powerOff() {}
        func process(_ command: [UInt8]) -> [UInt8]? { [0x6F, 0x02, 0x84, 0x00, 0x90, 0x00] }
    }

    /// One APDU through the PC/SC reader against a bare loop of SCardTransmit on the same connection.
    /// Nil, with words on standard error, where there is no virtual reader.
    static func pcsc(_ rounds: Int) async throws -> Row? {
        let name: String
        do {
            let readers = try await PCSCContext.readers()
            guard
                let found = readers.first(where: {
                    $0.name.hasPrefix("Virtual PCD") && $0.answerToReset == nil
                })
            else {
                Console.printError(
                    "  left out: pcscd has no free virtual reader (apt install vsmartcard-vpcd)")
                return nil
            }
            name = found.name
        } catch {
            Console.printError("  left out: \(error)")
            return nil
        }
        let slot: UInt16 = name.hasSuffix("01") ? 1 : 0
        let client = VPCDClient(card: EchoCard(), options: .init(port: VPCDClient.defaultPort + slot))
        let serving = Task { try await client.run() }
        defer { serving.cancel() }
        let reader = PCSCReader(name: name)
        let command: [UInt8] = [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00]
        let parsed = try CommandAPDU(parsing: command)
        // Short turns, one after the other and each as often first, so that what else the machine does falls on both
        // alike.
        let count = 500
        var ours: [Double] = []
        var bare: [Double] = []
        for turn in 0..<max(3, rounds) * 6 {
            try await withTaskExecutorPreference(reader.executor) {
                let channel = try await reader.activateCard(deadline: .now + .seconds(10))
                for isOurs in [turn % 2 == 0, turn % 2 != 0] {
                    let time: Duration
                    if isOurs {
                        let start = ContinuousClock.now
                        for _ in 0..<count { _ = try await channel.exchange(parsed, timeout: nil) }
                        time = start.duration(to: .now)
                    } else {
                        time = try await reader.bareLoop(command, count: count)
                    }
                    let each = microseconds(time) / Double(count)
                    if isOurs { ours.append(each) } else { bare.append(each) }
                }
                await reader.fieldOff()
            }
        }
        await reader.close()
        return Row(
            name: "pcsc", what: "one APDU through the PC/SC reader / bare SCardTransmit loop",
            value: median(ours), unit: "us", reference: median(bare),
            ratio: median(zip(ours, bare).map { $0 / $1 }), goal: "<= 1.05")
    }
}
