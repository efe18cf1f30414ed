import BERTLV
import Testing

@testable import Cards

/// One-way functions of data storage on the card's side.
@Suite struct CardDataStorageHashTests {
    private func hash() throws -> CardDataStorageHash {
        let identifier = try #require(Hex.bytes("5168624300900697"))
        let operatorIdentifier = try #require(Hex.bytes("8199829983998499"))
        return try #require(
            CardDataStorageHash(identifier: identifier, operatorIdentifier: operatorIdentifier))
    }

    /// A published calculation (DCEMV's test of Book C-2, 8.2).
    @Test func owhf2() throws {
        let result = try hash().digest(try #require(Hex.bytes("1223344556677889")))
        #expect(result.map { Hex.string($0) } == "659C8EBFAA816DB5")
    }

    /// OWHF1 against the same steps by OpenSSL on the command line.
    @Test func summary() throws {
        let result = try hash().summary(
            after: [0, 0, 0, 0, 0, 0, 0, 0],
            .init(
                parameter: 0x50, amount: 1234, currency: 978, unpredictableNumber: [1, 2, 3, 4],
                storageNumber: [5, 6, 7, 8]))
        #expect(result.map { Hex.string($0) } == "CF27B59972C83E2A")
    }

    @Test func lengths() throws {
        let eight = [UInt8](repeating: 1, count: 8)
        #expect(CardDataStorageHash(identifier: [1, 2, 3], operatorIdentifier: eight) == nil)
        #expect(CardDataStorageHash(identifier: eight, operatorIdentifier: [1]) == nil)
        #expect(try hash().digest([1, 2, 3]) == nil)
    }
}
