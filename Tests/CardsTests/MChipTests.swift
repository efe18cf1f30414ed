import BERTLV
import Cards
import EMV
import Foundation
import SmartCard
import TestTools
import Testing

/// The M/Chip application, command by command.
@Suite struct MChipCardTests {
    static let cards = [
        "mc-credit", "mc-debit", "mc-no-oda", "apple-pay-mastercard", "google-pay-mastercard",
    ]

    static func cdolData(
        amount: UInt64 = 1234, un: UInt32 = 0x1234_5678, results: String = "0000000000",
        method: String = "1F0302"
    ) -> [UInt8] {
        var data = BCD.bytes(amount, count: 6) + [0, 0, 0, 0, 0, 0, 0x02, 0x76]
        data += Hex.bytes(results)! + [0x09, 0x78, 0x26, 0x11, 0x21, 0x00]
        data += (0..<4).map { UInt8(truncatingIfNeeded: un >> (24 - 8 * $0)) }
        data += [0x22] + [UInt8](repeating: 0, count: 10) + Hex.bytes(method)!
        return data
    }

    static func begin(_ card: EmulatedCard) throws -> (TestTerminal, TestTerminal.Response) {
        let terminal = TestTerminal(card)
        card.powerOn()
        #expect(try terminal.select("A0000000041010").status == .success)
        return (terminal, try terminal.send("80A8000002830000"))
    }

    static func generate(_ terminal: TestTerminal, _ type: UInt8, _ data: [UInt8]) throws
        -> TestTerminal.Response
    {
        try terminal.send([0x80, 0xAE, type, 0x00, UInt8(data.count)] + data + [0x00])
    }

    /// Cryptograms, certificates and signatures, looked at by `Tests/Oracles/mchip_card.py`.
    @Test(.needs(.oracles))
    func pythonAgrees() throws {
        var lines = ""
        var expected = 0
        var random = SeededGenerator(seed: 2027)
        for id in Self.cards {
            for type: UInt8 in [0x00, 0x40, 0x50, 0x80, 0x90] {
                for relay in [false, true] {
                    let card = try makeCard(id)
                    card.unlock()
                    let (terminal, answer) = try Self.begin(card)
                    #expect(answer.status == .success)
                    let application = card.profile.applications[0]
                    var relayData = ""
                    let number = UInt32.random(in: 0...UInt32.max, using: &random)
                    if relay {
                        guard application.interchangeProfile.contains(.relayResistanceProtocol) else {
                            continue
                        }
                        let entropy = (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
                        let response = try terminal.send([0x80, 0xEA, 0, 0, 4] + entropy + [0])
                        #expect(response.bytes.count == 14 && response.data.prefix(2) == [0x80, 0x0A])
                        relayData = Hex.string(entropy + response.data.dropFirst(2))
                    }
                    lines += "\(id) pan=\(application.primaryAccountNumber.clearDigits)"
                    lines += " psn=\(Hex.string(BCD.bytes(UInt64(application.sequenceNumber), count: 1)))"
                    lines += " answer=\(Hex.string(answer.data)) options= relay=\(relayData)"
                    for record in try terminal.records(answer) {
                        lines += " r\(record.name)=\(Hex.string(record.response.data))"
                    }
                    let data = Self.cdolData(amount: .random(in: 0...999_999, using: &random), un: number)
                    let generated = try Self.generate(terminal, type, data)
                    #expect(generated.status == .success)
                    lines += " cdol=\(Hex.string(data)) generate=\(Hex.string(generated.data))\n"
                    expected += 1
                }
            }
        }
        let authority = try #require(TestCertificationAuthority.publicKeys.last)
        let answers = try PythonOracle("mchip_card.py").lines(
            [Hex.string(authority.key.modulus)], input: lines)
        #expect(answers.count == expected)
        for answer in answers { #expect(answer.hasPrefix("ok"), "\(answer)") }
        for version in ["CVN16", "CVN17", "CVN20", "CVN21"] {
            #expect(answers.contains { $0.contains(version) }, "\(version)")
        }
        #expect(answers.contains { $0.contains("with relay resistance") })
        #expect(answers.contains { $0.contains("with CDA") })
    }

    /// What the reader asks for and what the card grants.
    @Test(
        arguments: [
            ("mc-debit", 0x40, 1000, CryptogramInformationData.CryptogramType.tc),
            ("mc-debit", 0x40, 2501, .arqc),
            ("mc-debit", 0x80, 1000, .arqc), ("mc-debit", 0x00, 1000, .aac), ("mc-credit", 0x40, 1000, .arqc),
            ("mc-credit", 0x80, 1000, .arqc), ("mc-no-oda", 0x50, 1000, .arqc),
        ] as [(String, UInt8, UInt64, CryptogramInformationData.CryptogramType)])
    func decisions(
        _ id: String, _ requested: UInt8, _ amount: UInt64, _ type: CryptogramInformationData.CryptogramType
    ) throws {
        let (terminal, answer) = try Self.begin(try makeCard(id))
        _ = try terminal.records(answer)
        #expect(cryptogramType(try Self.generate(terminal, requested, Self.cdolData(amount: amount))) == type)
    }

    /// A phone that waits for its owner declines and says so (DF4B); unlocked it pays.
    @Test func phoneWaitsForItsOwner() throws {
        let card = try makeCard("google-pay-mastercard")
        var (terminal, _) = try Self.begin(card)
        let waiting = try Self.generate(terminal, 0x80, Self.cdolData(method: "010002"))
        #expect(cryptogramType(waiting) == .aac && waiting.objects[0xDF4B] == [0x00, 0x02, 0x00])
        #expect(card.asksToUnlock)
        card.unlock()
        (terminal, _) = try Self.begin(card)
        let paid = try Self.generate(terminal, 0x80, Self.cdolData(method: "010002"))
        #expect(cryptogramType(paid) == .arqc && paid.objects[0xDF4B] == nil)
        #expect(!card.isUnlocked)
        // Below the CVM limit nobody is asked.
        (terminal, _) = try Self.begin(card)
        #expect(cryptogramType(try Self.generate(terminal, 0x80, Self.cdolData(method: "3F0002"))) == .arqc)
    }

    @Test func commandsOutOfPlace() throws {
        let card = try makeCard("mc-credit")
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select("A0000000041010")
        #expect(try Self.generate(terminal, 0x80, Self.cdolData()).status == .conditionsNotSatisfied)
        #expect(
            try terminal.send("80EA00000412345678 00".replacing(" ", with: "")).status
                == .conditionsNotSatisfied)
        #expect(try terminal.send("80A8000002830000").status == .success)
        #expect(try terminal.send("80A8000002830000").status == .conditionsNotSatisfied)
        #expect(try Self.generate(terminal, 0x80, [1, 2, 3]).status == .wrongLength)
        #expect(try Self.generate(terminal, 0xC0, Self.cdolData()).status == .conditionsNotSatisfied)
        #expect(try Self.generate(terminal, 0x81, Self.cdolData()).status == .incorrectParameters)
        #expect(try Self.generate(terminal, 0x80, Self.cdolData()).status == .success)
        #expect(try Self.generate(terminal, 0x80, Self.cdolData()).status == .conditionsNotSatisfied)
    }
}
