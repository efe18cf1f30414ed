import SmartCard
import TestTools
import Testing

@testable import LibNFCReaders

/// The order of the bytes is that of NXP UM0701-02, 7.3.5, as PN532 libraries for microcontrollers document it too: number
/// of targets; per target its number, SENS_RES (most significant byte first), SEL_RES, length of the identifier, the
/// identifier, ATS.
@Suite struct PassiveTargetsTests {
    static func read(
        _ bytes: [UInt8], _ type: ContactlessActivation.Modulation = .typeA, limit: UInt8 = 2,
        family: ChipIdentity.Family = .pn532
    ) throws -> [ContactlessActivation] {
        try PassiveTargets(bytes, type: type, limit: limit, family: family).found
    }

    @Test func typeA() throws {
        #expect(try Self.read([0x00]).isEmpty)
        let classic: [UInt8] = [0x01, 0x00, 0x04, 0x08, 0x04, 0xDE, 0xAD, 0xBE, 0xEF]
        let payment: [UInt8] = [
            0x02, 0x03, 0x44, 0x20, 0x07, 0x04, 1, 2, 3, 4, 5, 6, 0x05, 0x78, 0x80, 0x70, 0x02,
        ]
        let both = try Self.read([2] + classic + payment)
        #expect(
            both == [
                ContactlessActivation(
                    identifier: [0xDE, 0xAD, 0xBE, 0xEF], atqa: [0x04, 0x00], sak: 0x08, ats: []),
                ContactlessActivation(
                    identifier: [0x04, 1, 2, 3, 4, 5, 6], atqa: [0x44, 0x03], sak: 0x20,
                    ats: [0x05, 0x78, 0x80, 0x70, 0x02]),
            ])
        // The chip lists fewer than it says, or more than it was asked for.
        #expect(throws: PassiveTargets.Nonsense.self) { try Self.read([2] + classic) }
        #expect(throws: PassiveTargets.Nonsense.self) { try Self.read([2] + classic + payment, limit: 1) }
    }

    /// A PN531 gives SENS_RES as the card sends it, and identifiers with the cascade tags in them.
    @Test func pn531() throws {
        let double = try Self.read(
            [1, 1, 0x44, 0x03, 0x20, 8, 0x88, 4, 1, 2, 3, 4, 5, 6], family: .pn531)
        #expect(double.map(\.identifier) == [[4, 1, 2, 3, 4, 5, 6]])
        #expect(double.map(\.atqa) == [[0x44, 0x03]])
        let triple = try Self.read(
            [1, 1, 0x84, 0x00, 0x20, 12, 0x88, 4, 1, 2, 0x88, 3, 4, 5, 6, 7, 8, 9], family: .pn531)
        #expect(triple.map(\.identifier) == [[4, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
    }

    @Test func typeB() throws {
        let atqb: [UInt8] = [0x50, 0xA1, 0xB2, 0xC3, 0xD4, 1, 2, 3, 4, 0x00, 0x81, 0x71]
        let card = ContactlessActivation(
            modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD4], atqa: [], sak: 0,
            ats: [1, 2, 3, 4, 0x00, 0x81, 0x71])
        #expect(try Self.read([1, 1] + atqb + [1, 0x01], .typeB) == [card])
        #expect(try Self.read([2, 1] + atqb + [0, 2] + atqb + [3, 1, 2, 3], .typeB) == [card, card])
        for bytes in [[1, 1] + atqb, [1, 1] + atqb + [2, 0], [1, 1, 0x51] + atqb.dropFirst() + [0]] {
            #expect(throws: PassiveTargets.Nonsense.self) { try Self.read(bytes, .typeB) }
        }
    }

    @Test(
        arguments: [
            [], [1], [1, 1], [1, 1, 0, 4, 0x20],
            [1, 1, 0, 4, 0x20, 0xFF], [1, 1, 0, 4, 0x20, 4, 1, 2, 3], [1, 1, 0, 4, 0x20, 0],
            [1, 1, 0, 4, 0x20, 5, 1, 2, 3, 4, 5], [1, 1, 0, 4, 0x20, 8, 0x08, 4, 1, 2, 3, 4, 5, 6],
            [1, 1, 0, 4, 0x20, 4, 1, 2, 3, 4, 0], [1, 1, 0, 4, 0x20, 4, 1, 2, 3, 4, 0xFF, 0x78],
            [3], [0xFF, 1, 0, 4],
        ] as [[UInt8]])
    func contradictions(_ bytes: [UInt8]) {
        #expect(throws: PassiveTargets.Nonsense.self) { try Self.read(bytes) }
    }

    @Test func anything() {
        var random = SplitMix(seed: 77)
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if let index = bytes.indices.first { bytes[index] &= 0x03 }
            let type: ContactlessActivation.Modulation = Bool.random(using: &random) ? .typeA : .typeB
            guard let found = try? Self.read(bytes, type) else { continue }
            #expect(found.count == Int(bytes[0]))
            #expect(found.allSatisfy { [4, 7, 10].contains($0.identifier.count) })
        }
    }

    @Test func chips() {
        #expect(ChipIdentity([0x32, 0x01, 0x06, 0x07])?.family == .pn532)
        #expect(ChipIdentity([0x32, 0x01, 0x06, 0x07])?.knowsTypeB == true)
        #expect(ChipIdentity([0x33, 0x02, 0x07, 0x05])?.family == .pn533)
        #expect(ChipIdentity([0x33, 0x02, 0x07, 0x05])?.knowsTypeB == false)
        #expect(ChipIdentity([0x04, 0x02])?.family == .pn531)
        for other in [[], [0x32], [0x32, 1, 6], [0x34, 1, 6, 7], [0x32, 1, 6, 7, 0]] as [[UInt8]] {
            #expect(ChipIdentity(other) == nil)
        }
    }
}
