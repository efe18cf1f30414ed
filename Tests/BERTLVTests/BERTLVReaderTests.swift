import BERTLV
import TestTools
import Testing

typealias Tag = BERTLV.Tag

/// The tree in one line: `6F(84=A000 A5(50=56))`.
func show(_ nodes: [TLVNode]) -> String {
    nodes.map { node in
        switch node.content {
        case .primitive(let value): "\(node.tag)=\(Hex.string(value))"
        case .constructed(let inside): "\(node.tag)(\(show(inside)))"
        }
    }.joined(separator: " ")
}

@Suite struct BERTLVReaderTests {
    /// EMV Book 3, Annex B: tags of one to three bytes, lengths of one to five, templates, padding.
    @Test(arguments: [
        ("", ""), ("8200", "82="), ("9F36020001", "9F36=0001"), ("DF81290101", "DF8129=01"),
        ("9C0101E0055F2A0202089F0200", "9C=01 E0(5F2A=0208) 9F02="),
        // The PPSE of EMV Contactless Book B.
        (
            "6F23840E325041592E5359532E4444463031A511BF0C0E610C4F07A0000000031010870101",
            "6F(84=325041592E5359532E4444463031 A5(BF0C(61(4F=A0000000031010 87=01))))"
        ),
        ("5A810847617390010101 19", "5A=4761739001010119"),
        ("5A82000847617390 01010119", "5A=4761739001010119"),
        ("5A830000011F", "5A=1F"), ("5A84000000011F", "5A=1F"), ("7000", "70()"), ("0000820120", "82=20"),
        ("82012000009F360100 0000", "82=20 9F36=00"), ("70040000 8200", "70(82=)"),
    ]) func wellFormed(_ hex: String, _ expected: String) throws {
        let bytes = try #require(Hex.bytes(hex))
        #expect(show(try TLVNode.parse(bytes)) == expected)
    }

    /// What is wrong, and where.
    @Test(arguments: [
        ("9F", BERTLVError.truncatedTag(offset: 0)), ("8201209F", .truncatedTag(offset: 3)),
        ("DF8181", .truncatedTag(offset: 0)), ("DF8181818101", .tagTooLong(offset: 0)),
        ("82", .truncatedLength(tag: 0x82, offset: 0)), ("8281", .truncatedLength(tag: 0x82, offset: 0)),
        ("828200", .truncatedLength(tag: 0x82, offset: 0)),
        ("8280", .unsupportedLength(tag: 0x82, offset: 0, leadingByte: 0x80)),
        ("7080820120 0000", .unsupportedLength(tag: 0x70, offset: 0, leadingByte: 0x80)),
        ("82850000000001FF", .unsupportedLength(tag: 0x82, offset: 0, leadingByte: 0x85)),
        ("82FF", .unsupportedLength(tag: 0x82, offset: 0, leadingByte: 0xFF)),
        ("8202AA", .valueTooShort(tag: 0x82, offset: 0, declared: 2, available: 1)),
        ("8284FFFFFFFF00", .valueTooShort(tag: 0x82, offset: 0, declared: 0xFFFF_FFFF, available: 1)),
        ("7003820201", .valueTooShort(tag: 0x82, offset: 2, declared: 2, available: 1)),
        ("6F05A503500256", .valueTooShort(tag: 0x50, offset: 4, declared: 2, available: 1)),
    ]) func malformed(_ hex: String, _ expected: BERTLVError) throws {
        let bytes = try #require(Hex.bytes(hex))
        #expect(throws: expected) { try TLVNode.parse(bytes) }
        #expect(!expected.description.isEmpty)
    }

    /// FF is passed over only where the reader is told so; 00 unless told not to.
    @Test func padding() throws {
        let bytes = try #require(Hex.bytes("FF820120FF"))
        #expect(throws: BERTLVError.self) { try TLVNode.parse(bytes) }
        #expect(show(try TLVNode.parse(bytes, padding: .zerosAndFF)) == "82=20")
        let zeros = try #require(Hex.bytes("00820120"))
        #expect(show(try TLVNode.parse(zeros)) == "82=20")
        #expect(throws: BERTLVError.self) { try TLVNode.parse(zeros, padding: .none) }
    }

    /// A bomb of nested templates ends in an error, not in a full stack.
    @Test func nestingIsBounded() throws {
        var bytes: [UInt8] = []
        for _ in 0..<5000 {
            var writer = BERTLVWriter()
            writer.append(0x70, bytes)
            bytes = writer.bytes
        }
        #expect(throws: BERTLVError.self) { try TLVNode.parse(bytes) }
    }

    /// After an error the reader is at its end: a loop around it ends.
    @Test func errorsEndTheReader() throws {
        let bytes = try #require(Hex.bytes("8205AA820120"))
        var reader = BERTLVReader(bytes.span)
        #expect(throws: BERTLVError.self) { try reader.next() }
        #expect(try reader.next() == nil)
    }

    @Test func rangesAreClamped() throws {
        let bytes = try #require(Hex.bytes("820120"))
        var reader = BERTLVReader(bytes.span, in: 2..<900)
        #expect(throws: BERTLVError.self) { try reader.next() }
        var behind = BERTLVReader(bytes.span, in: 100..<900)
        #expect(try behind.next() == nil)
        #expect(try BERTLVReader.first(0x9F36, in: bytes.span) == nil)
        #expect(try BERTLVReader.first(0x82, in: bytes.span)?.value == 2..<3)
        #expect(try BERTLVReader.first(0x82, in: bytes.span)?.whole == 0..<3)
    }

    @Test(
        arguments: [
            ("82", 0x82, true), ("9F36", 0x9F36, true), ("DF8129", 0xDF8129, true), ("9F", nil, false),
            ("82FF", nil, false), ("DF81", nil, false), ("", nil, false), ("8", nil, false),
            ("+8", nil, false), ("-0", nil, false),
            ("9F3601", nil, false), ("GG", nil, false),
        ] as [(String, UInt32?, Bool)]) func tagsFromText(_ text: String, _ value: UInt32?, _ isTag: Bool)
    {
        let tag = Tag(hex: text)
        #expect(tag?.rawValue == value)
        if let tag { #expect(tag.description == text && tag.isWellFormed == isTag) }
    }

    @Test func tagProperties() {
        #expect(Tag(0x6F).isConstructed && Tag(0xBF0C).isConstructed && !Tag(0x9F36).isConstructed)
        #expect(Tag(0x82).tagClass == .contextSpecific && Tag(0x5A).tagClass == .application)
        #expect(Tag(0xDF8129).tagClass == .private && Tag(0x02).tagClass == .universal)
        #expect(Tag(0x82).byteCount == 1 && Tag(0x9F36).byteCount == 2 && Tag(0xDF8129).byteCount == 3)
    }
}

@Suite struct WriterTests {
    /// The shortest definite form, at each border.
    @Test(arguments: [
        (0, "00"), (127, "7F"), (128, "8180"), (255, "81FF"), (256, "820100"), (65535, "82FFFF"),
        (65536, "83010000"),
        (0xFF_FFFF, "83FFFFFF"), (0x100_0000, "8401000000"),
    ]) func lengths(_ count: Int, _ expected: String) {
        var bytes: [UInt8] = []
        BERTLVWriter.append(length: count, to: &bytes)
        #expect(Hex.string(bytes) == expected)
    }

    @Test func templates() throws {
        var writer = BERTLVWriter()
        writer.template(0x6F) { fci in
            fci.append(0x84, [0xA0, 0x00])
            fci.template(0xA5) { $0.append(0x50, Array("VISA".utf8)) }
        }
        #expect(Hex.string(writer.bytes) == "6F0C8402A000A506500456495341")
    }
}

@Suite struct HexTests {
    @Test func text() {
        #expect(Hex.string([0x00, 0x9F, 0xFF]) == "009FFF")
        #expect(Hex.string([]) == "")
        #expect(Hex.bytes("9f-02:06 _00\n") == [0x9F, 0x02, 0x06, 0x00])
        for bad in ["9", "9G", "0x9F", "９Ｆ", "9F 0"] { #expect(Hex.bytes(bad) == nil, "\(bad)") }
    }
}

/// Thousands of encodings made by chance.
@Suite struct PropertyTests {
    /// A tree with at most `budget` nodes; tags differ within a template, as the oracle keeps one of each.
    static func tree(_ random: inout SplitMix, depth: Int) -> [TLVNode] {
        let tags: [Tag] = [
            0x82, 0x9F36, 0x5A, 0x57, 0xDF8129, 0x9F02, 0x6F, 0xA5, 0xBF0C, 0x70, 0x77, 0xFF8105,
        ]
        var left = tags
        return (0..<random.below(5)).map { _ in
            let tag = left.remove(at: random.below(left.count))
            if tag.isConstructed, depth < 4 {
                return TLVNode(tag: tag, offset: 0, content: .constructed(tree(&random, depth: depth + 1)))
            }
            if tag.isConstructed { return TLVNode(tag: tag, offset: 0, content: .constructed([])) }
            let count = [0, 1, 7, 127, 128, 300][random.below(6)]
            return TLVNode(
                tag: tag, offset: 0, content: .primitive((0..<count).map { _ in UInt8(random.below(256)) }))
        }
    }

    static func encode(_ nodes: [TLVNode]) -> [UInt8] {
        var writer = BERTLVWriter()
        for node in nodes { node.write(to: &writer) }
        return writer.bytes
    }

    @Test func writtenAndReadIsTheSame() throws {
        var random = SplitMix(seed: 1)
        for _ in 0..<3000 {
            let nodes = Self.tree(&random, depth: 0)
            let bytes = Self.encode(nodes)
            let read = try TLVNode.parse(bytes, padding: .none)
            #expect(show(read) == show(nodes))
            #expect(Self.encode(read) == bytes)
        }
    }

    /// Whatever the bytes are: a tree or an error, and elements lie within the input, one after the other.
    @Test func noise() {
        var random = SplitMix(seed: 2)
        for round in 0..<20_000 {
            var bytes: [UInt8]
            if round.isMultiple(of: 2) {
                bytes = (0..<random.below(60)).map { _ in UInt8(random.below(256)) }
            } else {
                bytes = Self.encode(Self.tree(&random, depth: 1))
                for _ in 0..<random.below(4) where !bytes.isEmpty {
                    bytes[random.below(bytes.count)] = UInt8(random.below(256))
                }
                if !bytes.isEmpty, random.below(3) == 0 { bytes.removeLast(random.below(bytes.count)) }
            }
            for padding in [BERTLVReader.Padding.none, .zeros, .zerosAndFF] {
                _ = try? TLVNode.parse(bytes, padding: padding)
                var reader = BERTLVReader(bytes.span, padding: padding)
                var last = 0
                while let element = try? reader.next() {
                    #expect(element.start >= last && element.value.lowerBound > element.start)
                    #expect(element.value.upperBound <= bytes.count)
                    last = element.value.upperBound
                }
            }
        }
    }
}
