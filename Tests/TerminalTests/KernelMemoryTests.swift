import Cards
import EMV
import EMVCryptography
import Foundation
import Journal
import Kernels
import Testing

@testable import Terminal

/// Kernel 2's torn transactions from one payment, and one program, to the next.
@Suite struct KernelMemoryTests {
    /// A till on a journal file, whose payment ends when the card is pulled away once.
    static func till(_ path: String) async throws -> Till {
        var till = try await Till(journal: try await Journal.open(at: path))
        till.environment.limits.activations = 1
        return till
    }
    static func withFile(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("memory-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("journal.sqlite").path)
    }
    static func instructions(_ till: Till) -> [UInt8] {
        till.log.all.compactMap { if case .command(let command) = $0 { command.ins } else { nil } }
    }

    /// GENERATE AC reached the card, its answer not the terminal, and the program ended: after the restart the same card
    /// gives the same cryptogram again, and the payment is booked once.
    @Test func acrossRestart() async throws {
        try await Self.withFile { path in
            let plastic = try card("mc-debit")
            let first = try await Self.till(path)
            first.field.present(TornCard(around: plastic, .duringInstruction(0xAE)))
            let torn = try await first.pay(1100)
            #expect(torn.status == .ended)
            #expect(try await first.state(torn) == .failed)
            // Card data are enciphered in the journal.
            let number = plastic.profile.applications[0].primaryAccountNumber.compressedNumeric
            try await first.journal.close()
            for file in try FileManager.default.contentsOfDirectory(
                atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path)
            {
                let content = try Data(
                    contentsOf: URL(fileURLWithPath: path).deletingLastPathComponent()
                        .appendingPathComponent(file))
                #expect(content.range(of: Data(number)) == nil, "\(file)")
            }

            let second = try await Self.till(path)
            second.field.present(plastic)
            let paid = try await second.pay(1100)
            #expect(paid.status == .approved)
            #expect(Self.instructions(second).contains(0xD0))
            #expect(!Self.instructions(second).contains(0xAE))
            #expect(try await second.state(paid) == .forwarded)
            // Recovered: nothing is left to recover.
            second.field.remove()
            second.field.present(plastic)
            let third = try await second.pay(1100)
            #expect(third.status == .approved)
            #expect(Self.instructions(second).count { $0 == 0xD0 } == 1)
            #expect(plastic.state.applications.values.first?.cumulativeOffline == 2200)
            try await second.journal.close()
        }
    }

    /// Records older than DF811C are forgotten before the next payment (CLEAN), and the terminal tells of it.
    @Test func tooOld() async throws {
        try await Self.withFile { path in
            let plastic = try card("mc-debit")
            var till = try await Self.till(path)
            till.field.present(TornCard(around: plastic, .duringInstruction(0xAE)))
            _ = try await till.pay(1100)
            try await till.journal.close()
            till = try await Self.till(path)
            let date = try #require(EMVDate(year: 2026, month: 11, day: 20))
            till.environment.now = { (date, 102_001) }
            till.field.present(plastic)
            #expect(try await till.pay(1100).status == .approved)
            #expect(!Self.instructions(till).contains(0xD0))
            #expect(
                till.log.all.contains {
                    if case .tornRecordsLeft(let left) = $0 { left.count == 1 } else { false }
                })
            #expect(try await till.journal.kept("kernel-2", for: till.profile.terminalID) == nil)
            try await till.journal.close()
        }
    }

    /// What another program left there is no torn log: the payment goes on without it.
    @Test func spoilt() async throws {
        let till = try await Till()
        try await till.journal.keep(
            "kernel-2", for: till.profile.terminalID, SensitiveBytes([0xFF, 0x81, 0x01, 0x7F, 0x5A]))
        till.field.present(try card("mc-debit"))
        #expect(try await till.pay(1100).status == .approved)
    }

    /// A minute before midnight and five minutes later: HHMMSS 400 is 00:04:00.
    @Test func lifetimeCrossesMidnight() throws {
        var log = TornTransactionLogProbe()
        log.add("261231", "235900")
        #expect(log.clean("270101", 400, 300).isEmpty)
        #expect(log.clean("270101", 401, 300).count == 1)
    }
}

/// Records with a date and a time alone.
struct TornTransactionLogProbe {
    var memory = DataObjects()
    mutating func add(_ date: String, _ time: String) {
        let record: DataObjects = [
            0x9A: stride(from: 0, to: 6, by: 2).map { UInt8(date.dropFirst($0).prefix(2), radix: 16) ?? 0 },
            0x9F21: stride(from: 0, to: 6, by: 2).map { UInt8(time.dropFirst($0).prefix(2), radix: 16) ?? 0 },
        ]
        let whole: DataObjects = [0xFF8101: record.encoded()]
        memory.set(0xFF8101, whole.encoded())
    }
    func clean(_ date: String, _ hhmmss: Int, _ lifetime: Int) -> [DataObjects] {
        guard let date = Int(date).flatMap({ EMVDate(yymmdd: $0) }) else { return [] }
        return MChipMemory.clean(memory, date: date, hhmmss: hhmmss, lifetime: lifetime).left
    }
}
