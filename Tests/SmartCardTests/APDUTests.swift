import SmartCard
import Testing

@Suite struct APDUTests {
    @Test func responseNeedsStatusBytes() {
        #expect(throws: APDUError.truncatedResponse(count: 1)) { try ResponseAPDU(bytes: [0x90]) }
    }
}
