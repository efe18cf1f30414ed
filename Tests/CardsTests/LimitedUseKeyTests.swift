import Cards
import SmartCard
import Testing

/// Phones whose wallet has keys for a few payments only.
@Suite struct LimitedUseKeyTests {
    /// Taps below the CVM limit, until the keys are gone; unlocking fetches new ones. The count survives the program.
    @Test func runsOut() throws {
        var profile = try CardLibrary.profile("google-pay-mastercard")
        profile.phone?.limitedUseKeys = 3
        var card = try EmulatedCard(profile: profile)
        func pays() throws -> Bool {
            let (terminal, answer) = try MChipCardTests.begin(card)
            _ = try terminal.records(answer)
            let generated = try MChipCardTests.generate(terminal, 0x80, MChipCardTests.cdolData(amount: 500))
            return cryptogramType(generated) == .arqc
        }
        for _ in 0..<3 { #expect(try pays()) }
        #expect(try !pays())
        #expect(card.asksToUnlock)
        #expect(card.state.keysUsed == 3)
        card = try EmulatedCard(profile: profile, state: card.state)
        #expect(try !pays())
        card.unlock()
        for _ in 0..<3 { #expect(try pays()) }
        #expect(try !pays())
    }

    @Test func plasticNeverRunsOut() throws {
        let card = try EmulatedCard(profile: try CardLibrary.profile("mc-credit"))
        #expect(card.state.keysUsed == nil)
    }
}
