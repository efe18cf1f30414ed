import CardReaders
import Foundation
import SmartCard

extension Benchmarks {
    /// A card that answers at once, so that what is measured is the way and not the card.
    final class EchoCard: VirtualCard {
        let activation = ContactlessActivation()
        var answerToReset: [UInt8] { activation.answerToReset }
        func powerOn() {}
        func powerOff() {}
        func process(_ command: [UInt8]) -> [UInt8]? { [0x6F, 0x02, 0x84, 0x00, 0x90, 0x00] }
    }

    /// One APDU through a reader against a bare C loop on the same thread and the same connection to the card.
    /// - Parameter bareLoop: sends a command so many times, an even number.
    static func oneAPDU(
        _ name: String, _ what: String, turns: Int, through reader: any CardReader,
        on executor: any TaskExecutor, bareLoop: @Sendable ([UInt8], Int) async throws -> Duration
    ) async throws -> Row {
        let command: [UInt8] = [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00]
        let parsed = try CommandAPDU(parsing: command)
        // Short turns, one after the other and each as often first, so that what else the machine does falls on both
        // alike.
        let count = 500
        var ours: [Double] = []
        var bare: [Double] = []
        for turn in 0..<turns {
            try await withTaskExecutorPreference(executor) {
                let channel = try await reader.activateCard(deadline: .now + .seconds(10))
                // What is set up with the first command is not measured.
                for _ in 0..<2 { _ = try await channel.exchange(parsed, timeout: nil) }
                for isOurs in [turn % 2 == 0, turn % 2 != 0] {
                    let time: Duration
                    if isOurs {
                        let start = ContinuousClock.now
                        for _ in 0..<count { _ = try await channel.exchange(parsed, timeout: nil) }
                        time = start.duration(to: .now)
                    } else {
                        time = try await bareLoop(command, count)
                    }
                    let each = microseconds(time) / Double(count)
                    if isOurs { ours.append(each) } else { bare.append(each) }
                }
                await reader.fieldOff()
            }
        }
        await reader.close()
        return Row(
            name: name, what: what, value: median(ours), unit: "us", reference: median(bare),
            ratio: median(zip(ours, bare).map { $0 / $1 }), goal: "<= 1.05")
    }
}
