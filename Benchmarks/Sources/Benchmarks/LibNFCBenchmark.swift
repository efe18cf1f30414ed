import Cards
import EMV
import Foundation
import Kernels
@_spi(Benchmarks) import LibNFCReaders
import PN532
import SoftwarePN532
import SmartCard
import Terminal

extension Benchmarks {
    private static func attached() throws -> (PN532Device, String) {
        do {
            let device = try PN532Device()
            guard let connection = device.connectionString else { throw BenchmarkError("no line") }
            return (device, connection)
        } catch let error as PN532DeviceError {
            throw BenchmarkError("\(error)")
        }
    }

    /// One APDU through the libnfc reader against a bare loop of nfc_initiator_transceive_bytes with the same bytes on the
    /// same software PN532: once with the reader's own block protocol, and once with the chip's.
    static func libnfc(_ rounds: Int) async throws -> [Row] {
        [
            try await libnfc(rounds, isNative: false, "libnfc", "frame by frame"),
            try await libnfc(rounds, isNative: true, "libnfc-native", "activation by the chip"),
        ]
    }

    private static func libnfc(
        _ rounds: Int, isNative: Bool, _ name: String, _ way: String
    ) async throws -> Row {
        let (device, connection) = try attached()
        device.present(EchoCard())
        let reader = LibNFCReader(connectionString: connection, options: .init(isNative: isNative))
        return try await oneAPDU(
            name, "one APDU through the libnfc reader, \(way) / bare nfc_initiator_transceive_bytes loop",
            turns: max(3, rounds) * 4, through: reader, on: reader.executor
        ) { try await reader.bareLoop($0, count: $1) }
    }

    /// Resident memory in KiB, open descriptors and threads of this process.
    private static func resources() -> (memory: Int, descriptors: Int, threads: Int) {
        func count(_ path: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
        }
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (
            (pages ?? 0) * (sysconf(Int32(_SC_PAGESIZE)) / 1024), count("/proc/self/fd"),
            count("/proc/self/task")
        )
    }

    /// Payments through libnfc with cards taken away at random, and what they leave behind.
    static func libnfcEndurance(_ payments: Int) async throws -> Row {
        let (device, connection) = try attached()
        let reader = LibNFCReader(connectionString: connection)
        let profile = try TerminalProfile.builtIn()
        let inputs = try inputs(990)
        var limits = TransactionDriver.Limits()
        limits.cardWait = .milliseconds(60)
        limits.activations = 4
        let driver = TransactionDriver(reader: reader, limits: limits, sleep: { _ in })
        var approved = 0
        var torn = 0
        var before = resources()
        let start = ContinuousClock.now
        // What is allocated once is there after the first tenth.
        let settled = payments / 10
        for number in 0..<payments {
            if number == settled { before = resources() }
            device.removeCards()
            device.present(try card("visa-debit"))
            let isTorn = Int.random(in: 0..<3) > 0
            if isTorn {
                torn += 1
                device.add([
                    PN532Fault(
                        Bool.random() ? .cardLeaves : .cardLeavesDuringCommand, command: 0x42,
                        after: Int.random(in: 0..<16))
                ])
            }
            var entryPoint = EntryPoint(configuration: profile.configuration, kernels: .all)
            switch await driver.run(&entryPoint, from: entryPoint.start(inputs)) {
            case .outcome(let final): if final.outcome.status == .approved { approved += 1 }
            case .noCard: break
            case .readerFailed(let error): throw BenchmarkError("payment \(number): \(error)")
            case .cancelled, .tooManyAttempts:
                throw BenchmarkError("payment \(number) did not end")
            }
            await reader.fieldOff()
            device.clearFaults()
        }
        let time = start.duration(to: .now)
        let after = resources()
        await reader.close()
        guard approved >= payments - torn else {
            throw BenchmarkError("only \(approved) of \(payments - torn) untouched payments were approved")
        }
        return Row(
            name: "libnfc-endurance",
            what:
                "\(payments) payments through libnfc, \(torn) with the card taken away, \(approved) approved; since payment \(settled): memory \(after.memory - before.memory) KiB of \(after.memory), descriptors \(after.descriptors - before.descriptors), threads \(after.threads - before.threads)",
            value: Double(payments) / microseconds(time) * 1e6, unit: "/s", goal: "nothing left behind")
    }
}
