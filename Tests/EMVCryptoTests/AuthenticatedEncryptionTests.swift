import BERTLV
import EMV
import EMVCryptography
import Foundation
import Testing

@Suite struct AuthenticatedEncryptionTests {
    @Test func sealedOpensUnderItsKeyAndContextOnly() throws {
        let key = try AuthenticatedEncryption.makeKey()
        let other = try AuthenticatedEncryption.makeKey()
        for count in [0, 1, 15, 16, 17, 1000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let sealed = try AuthenticatedEncryption.seal(bytes, key: key, context: Array("txn_1".utf8))
            #expect(sealed.count == count + 28)
            #expect(try AuthenticatedEncryption.open(sealed, key: key, context: Array("txn_1".utf8)) == bytes)
            #expect(try AuthenticatedEncryption.open(sealed, key: key, context: Array("txn_2".utf8)) == nil)
            #expect(try AuthenticatedEncryption.open(sealed, key: other, context: Array("txn_1".utf8)) == nil)
            for index in sealed.indices {
                var changed = sealed
                changed[index] ^= 1
                #expect(
                    try AuthenticatedEncryption.open(changed, key: key, context: Array("txn_1".utf8)) == nil)
            }
        }
        #expect(try AuthenticatedEncryption.open([1, 2, 3], key: key, context: []) == nil)
    }

    /// NIST's test case 14 of the GCM specification: key, nonce and plaintext of zeros.
    @Test func opensPublishedVector() throws {
        let key = SecretKey([UInt8](repeating: 0, count: 32))
        let sealed = try #require(
            Hex.bytes(
                "000000000000000000000000" + "CEA7403D4D606B6E074EC5D3BAF39D18"
                    + "D0D1C8A799996BF0265B98B5D48AB919"))
        #expect(
            try AuthenticatedEncryption.open(sealed, key: key, context: [])
                == [UInt8](repeating: 0, count: 16))
    }

    @Test func keysHave32Bytes() {
        #expect(throws: CryptographyError.self) {
            try AuthenticatedEncryption.seal([1], key: SecretKey([1, 2, 3]), context: [])
        }
    }
}
