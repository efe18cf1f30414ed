import BERTLV
import EMV
import EMVCryptography
import Testing

@Suite struct PINBlockTests {
    static let key = "CAFEBABEDEADBEEF0123456789ABCDEF"

    /// Made with psec (`pinblock.encode_pinblock_iso_0`, then 3DES in ECB mode under the key above).
    @Test(arguments: [
        ("1234", "4761739001010135", "69F4B1729EAD6455"),
        ("123456789012", "4761739001010135", "3604814BA2BCACE5"),
        ("92389", "4000001234562", "D186CC6DA206B780"),
        ("0000", "5413330089020011", "031A9C77271D3A43"),
    ]) func formatZero(_ digits: String, _ number: String, _ expected: String) throws {
        let key = try TripleDESKey(try #require(Hex.bytes(Self.key)))
        let pin = try #require(PIN(digits))
        let account = try #require(PrimaryAccountNumber(digits: number))
        let block = try PINBlock.enciphered(pin, of: account, with: key)
        #expect(Hex.string(block) == expected)
        #expect(try PINBlock.decipher(block, of: account, with: key) == pin)
    }

    @Test func anotherCardsBlockHoldsNoPIN() throws {
        let key = try TripleDESKey(try #require(Hex.bytes(Self.key)))
        let account = try #require(PrimaryAccountNumber(digits: "4761739001010135"))
        let block = try #require(Hex.bytes("031A9C77271D3A43"))
        #expect(try PINBlock.decipher(block, of: account, with: key) == nil)
        for count in [0, 7, 9, 16] {
            #expect(
                try PINBlock.decipher([UInt8](repeating: 1, count: count), of: account, with: key) == nil)
        }
    }

    @Test func pinsAreFourToTwelveDigits() {
        for bad in ["", "123", "1234567890123", "12a4", " 1234", "١٢٣٤"] {
            #expect(PIN(bad) == nil, "\(bad)")
        }
        let pin = PIN("9753")
        #expect(!"\(String(describing: pin)) \(String(reflecting: pin))".contains("9753"))
    }
}
