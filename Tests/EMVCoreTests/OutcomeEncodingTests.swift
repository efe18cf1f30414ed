import BERTLV
import EMV
import Testing

/// Book C-2's layouts of DF8129 and DF8116; the expected bytes are written out by hand from the book's tables.
@Suite struct OutcomeEncodingTests {
    @Test func parameterSets() {
        var outcome = Outcome(
            .onlineRequest, cvm: .onlinePIN, dataRecord: [0x9F26: [1]], discretionaryData: [:])
        #expect(Hex.string(outcome.parameterSet) == "30F0F02030F0FF00")
        outcome = Outcome(
            .tryAgain, start: .b, uiRequestOnOutcome: UserInterfaceRequest(.seePhone),
            uiRequestOnRestart: UserInterfaceRequest(.presentCardAgain), fieldOffRequest: 13)
        #expect(Hex.string(outcome.parameterSet) == "7010F0F0C0F00D00")
        outcome = Outcome(.approved, cvm: .signature, receiptRequested: true, removalTimeout: 50)
        #expect(Hex.string(outcome.parameterSet) == "10F0F01008F0FF32")
        #expect(Outcome(.selectNext, start: .c).parameterSet.prefix(2) == [0x50, 0x20])
    }

    @Test func interfaceRequests() throws {
        #expect(
            Hex.string(UserInterfaceRequest(.clearDisplay, .cardReadSuccessfully).encoded)
                == "1E04000000" + "0000000000000000" + "00" + "000000000000" + "0000")
        let balance = UserInterfaceRequest(
            .approved, .notReady, holdTime: 13, languagePreference: "deen", valueQualifier: .balance,
            value: Amount(minorUnits: 8900), currency: NumericCode(978))
        #expect(
            Hex.string(balance.encoded)
                == "0300000013" + "6465656E00000000" + "20" + "000000008900" + "0978")
    }

    @Test func signal() throws {
        let outcome = Outcome(
            .declined, uiRequestOnOutcome: UserInterfaceRequest(.notAuthorised),
            discretionaryData: [0xDF8115: [0, 2, 0, 0, 0, 7]])
        let nodes = try TLVNode.parse(outcome.encoded)
        #expect(nodes.map(\.tag) == [0xDF8129, 0xDF8116, 0xFF8106])
    }
}
