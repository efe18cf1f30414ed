import BERTLV
import Testing

@Suite struct BERTLVReaderTests {
    @Test func readsElementsInOrder() throws {
        let bytes = Hex.bytes("9F0206000000001500 5A0847617390010101 19 00 00 95050000000000")!
        var reader = BERTLVReader(bytes.span)
        var tags: [BERTLV.Tag] = []
        while let element = try reader.next() { tags.append(element.tag) }
        #expect(tags == [0x9F02, 0x5A, 0x95])
    }
}
