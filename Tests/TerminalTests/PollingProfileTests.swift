import CardReaders
import ProfileFile
import Terminal
import Testing

/// What a profile says about polling.
@Suite struct PollingProfileTests {
    @Test func readsSchedules() throws {
        #expect(try TerminalProfile.builtIn().polling == nil)
        let payment = try TerminalProfile(text: "extends: built-in\npolling: payment\n", source: "own")
        #expect(payment.polling == .payment)
        let transit = try TerminalProfile(
            text: "extends: built-in\npolling: \"transit:030002:7900000000+f\"\n", source: "own")
        #expect(
            transit.polling
                == PollingSchedule.transit(
                    agency: [0x03, 0x00, 0x02],
                    schemes: [.visa, .mastercard, .maestro, .amex, .electron])?.withTypeF)
    }

    @Test func saysWhatIsNone() {
        #expect(throws: ProfileFileError.self) {
            try TerminalProfile(text: "extends: built-in\npolling: often\n", source: "own")
        }
    }
}
