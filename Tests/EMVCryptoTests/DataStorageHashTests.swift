import BERTLV
import EMVCryptography
import Testing

/// One-way functions of data storage.
@Suite struct DataStorageHashTests {
    /// A published calculation (DCEMV's test of Book C-2, 8.2): DS ID 5168624300900697, operator 8199829983998499.
    @Test func owhf2() throws {
        let result = DataStorageHash.owhf2(
            try #require(Hex.bytes("1223344556677889")),
            identifier: try #require(Hex.bytes("5168624300900697")),
            operatorIdentifier: try #require(Hex.bytes("8199829983998499")))
        #expect(result.map { Hex.string($0) } == "659C8EBFAA816DB5")
    }

    /// OWHF2AES against the same steps in OpenSSL on the command line: AES-128 of C || OID under 000000 || DS ID ||
    /// OID[5-8] || 3F.
    @Test func owhf2AES() throws {
        let result = DataStorageHash.owhf2AES(
            try #require(Hex.bytes("1223344556677889")),
            identifier: try #require(Hex.bytes("5168624300900697")),
            operatorIdentifier: try #require(Hex.bytes("8199829983998499")))
        #expect(result.map { Hex.string($0) } == "17BD4E718A69A420")
    }

    @Test func lengths() {
        let eight = [UInt8](repeating: 1, count: 8)
        for (data, identifier, name) in [
            ([UInt8](repeating: 1, count: 7), eight, eight), (eight, [1, 2, 3], eight), (eight, eight, [1]),
        ] {
            #expect(DataStorageHash.owhf2(data, identifier: identifier, operatorIdentifier: name) == nil)
            #expect(DataStorageHash.owhf2AES(data, identifier: identifier, operatorIdentifier: name) == nil)
        }
    }
}
