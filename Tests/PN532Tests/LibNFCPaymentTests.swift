import Cards
import EMV
import Foundation
import Kernels
import LibNFCReaders
import PN532
import SoftwarePN532
import SmartCard
import Terminal
import Testing
import TestTools

/// Whole payments through libnfc and the software PN532.
@Suite(.serialized) struct LibNFCPaymentTests {
    static func card(_ id: String) throws -> EmulatedCard {
        try EmulatedCard(profile: try CardLibrary.profile(id), state: nil)
    }

    static func pay(
        _ reader: LibNFCReader, amount: UInt64 = 990
    ) async throws -> (end: TransactionDriver.End, outcome: FinalOutcome?) {
        let inputs = TransactionInputs(
            amount: Amount(clamping: amount), currency: try #require(NumericCode(978)),
            date: try #require(EMVDate(year: 2026, month: 11, day: 20)), hhmmss: 120000, sequenceCounter: 1)
        var limits = TransactionDriver.Limits()
        limits.cardWait = .milliseconds(700)
        limits.activations = 4
        let driver = TransactionDriver(reader: reader, limits: limits, sleep: { _ in })
        var entryPoint = EntryPoint(
            configuration: try TerminalProfile.builtIn().configuration, kernels: .all)
        let end = await driver.run(&entryPoint, from: entryPoint.start(inputs))
        if case .outcome(let final) = end { return (end, final) }
        return (end, nil)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ("visa-debit", Outcome.Status.approved), ("visa-credit", .onlineRequest),
            ("mc-credit", .onlineRequest),
        ], [false, true])
    func payments(_ expected: (String, Outcome.Status), _ native: Bool) async throws {
        let device = try PN532Device()
        device.present(try Self.card(expected.0))
        let reader = LibNFCReader(
            connectionString: try #require(device.connectionString), options: .init(isNative: native))
        let (end, outcome) = try await Self.pay(reader)
        #expect(outcome?.outcome.status == expected.1, "\(end)")
        await reader.close()
    }

    /// Payments whose cards are taken away anywhere, whose line loses anything: each ends, some end well, and nothing
    /// is left behind: no descriptors, no threads. In a process of its own, as other tests start threads as well.
    @Test(.timeLimit(.minutes(3))) func tornPaymentsLeaveNothingBehind() async throws {
        await #expect(processExitsWith: .success) {
            var random = SplitMix(seed: 1000)
            let device = try PN532Device()
            let reader = LibNFCReader(connectionString: try #require(device.connectionString))
            var before = LibNFCPaymentTests.resources()
            var approved = 0
            for round in 0..<44 {
                // The first ones open the device and start the threads.
                if round == 4 { before = LibNFCPaymentTests.resources() }
                device.removeCards()
                device.present(try LibNFCPaymentTests.card("visa-debit"))
                if round % 4 != 0 {
                    let kinds: [PN532Fault.Kind] = [.cardLeaves, .cardLeavesDuringCommand, .wrongChecksum]
                    device.add([
                        PN532Fault(
                            kinds[round % 3], command: 0x42, after: Int.random(in: 0..<20, using: &random))
                    ])
                }
                let outcome = try await LibNFCPaymentTests.pay(reader).outcome
                if outcome?.outcome.status == .approved { approved += 1 }
                await reader.fieldOff()
                device.clearFaults()
            }
            guard approved >= 11 else { exit(1) }
            let after = LibNFCPaymentTests.resources()
            // The cooperative pool may have grown by a thread; forty payments would show.
            guard after.threads <= before.threads + 2 else { exit(2) }
            guard after.descriptors <= before.descriptors else { exit(3) }
            await reader.close()
            guard LibNFCPaymentTests.resources().descriptors < after.descriptors else { exit(4) }
        }
    }

    static func resources() -> (threads: Int, descriptors: Int) {
        func count(_ path: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
        }
        return (count("/proc/self/task"), count("/proc/self/fd"))
    }
}
