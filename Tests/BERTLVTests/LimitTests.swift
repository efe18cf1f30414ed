import BERTLV
import TestTools
import Testing

/// Borders of tags, lengths, padding and nesting.
@Suite struct LimitTests {
    /// ISO/IEC 8825-1, 8.1.2.4 (more tag bytes while bit 8 is set) and EMV Book 3, B1: leading byte, tag
    /// number and class.
    @Test(
        arguments: [
            ("5F2A", 2, BERTLV.Tag.Class.application, false), ("BF0C", 2, .contextSpecific, true),
            ("DF8101", 3, .private, false), ("FF8105", 3, .private, true), ("1F01", 2, .universal, false),
            ("7F4E", 2, .application, true), ("DF81827F", 4, .private, false), ("1E", 1, .universal, false),
            ("3F8001", 3, .universal, true), ("9FFF7F", 3, .contextSpecific, false),
        ] as [(String, Int, BERTLV.Tag.Class, Bool)]) func tags(
            _ hex: String, _ count: Int, _ tagClass: BERTLV.Tag.Class, _ isTemplate: Bool
        ) throws
    {
        let bytes = try #require(Hex.bytes(hex + "00"))
        let nodes = try TLVNode.parse(bytes, padding: .none)
        let tag = try #require(nodes.first?.tag)
        #expect(nodes.count == 1 && tag.description == hex && tag == Tag(hex: hex))
        #expect(tag.byteCount == count && tag.tagClass == tagClass && tag.isConstructed == isTemplate)
    }

    /// Each definite form, shortest or not, is read (EMV Book 3, B2); the writer takes the shortest.
    @Test(arguments: [0, 1, 127, 128, 255, 256, 65535, 65536, 70000]) func lengths(_ count: Int) throws {
        let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
        let expected = [TLVNode(tag: 0x5A, content: .primitive(value))]
        var writer = BERTLVWriter()
        writer.append(0x5A, value)
        let digits = [(0x7F, 0), (0xFF, 1), (0xFFFF, 2), (0xFF_FFFF, 3)].first { count <= $0.0 }?.1 ?? 4
        #expect(writer.bytes.count == 2 + digits + count)
        #expect(try TLVNode.parse(writer.bytes) == expected)
        for form in max(digits, 1)...4 {
            let length = (0..<form).reversed().map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
            let bytes = [0x5A, 0x80 | UInt8(form)] + length + value
            #expect(try TLVNode.parse(bytes) == expected)
            // One byte less than said is an error that says so.
            guard count > 0 else { continue }
            #expect(
                throws: BERTLVError.valueTooShort(
                    tag: 0x5A, offset: 0, declared: count, available: count - 1)
            ) { try TLVNode.parse(Array(bytes.dropLast())) }
        }
    }

    /// Every way to end too early: tag and offset are those of the object cut, not of its template.
    @Test func cutAnywhere() throws {
        let whole = try #require(
            Hex.bytes("6F1A8407A0000000031010A50F500456495341 9F38069F66049F0206".replacing(" ", with: "")))
        #expect(show(try TLVNode.parse(whole)) == "6F(84=A0000000031010 A5(50=56495341 9F38=9F66049F0206))")
        let inner = Array(whole.dropFirst(11))
        for count in 1..<inner.count {
            do {
                _ = try TLVNode.parse(Array(inner.prefix(count)))
                Issue.record("\(count) bytes are no whole template")
            } catch {
                switch error {
                case .truncatedLength(let tag, let offset): #expect(tag == 0xA5 && offset == 0)
                case .valueTooShort(let tag, let offset, let declared, let available):
                    #expect(tag == 0xA5 && offset == 0 && declared == 15 && available == count - 2)
                default: Issue.record("\(error)")
                }
                #expect(error.description.contains("A5") && error.description.contains("offset 0"))
            }
        }
        // The templates' lengths are one too small: the last object inside is cut.
        var lying = Array(whole.dropLast())
        lying[1] -= 1
        lying[12] -= 1
        #expect(
            throws: BERTLVError.valueTooShort(tag: 0x9F38, offset: 19, declared: 6, available: 5)
        ) { try TLVNode.parse(lying) }
    }

    /// Zeros before, between and after objects and inside templates (Book 3, B1); FF where it is allowed. A
    /// padded tree is the tree without padding.
    @Test(arguments: [
        ("000082012000009F3601000000", "82=20 9F36=00", true, true),
        ("7007000082012000008201AA", "70(82=20) 82=AA", true, true),
        ("FF820120FFFF9F360100FF", "82=20 9F36=00", false, true),
        ("70060082012000FF", "70(82=20)", false, true), ("00FF00FF", "", false, true),
        ("0000", "", true, true),
    ]) func padding(_ hex: String, _ expected: String, _ zeros: Bool, _ both: Bool) throws {
        let bytes = try #require(Hex.bytes(hex))
        let withZeros = (try? TLVNode.parse(bytes, padding: .zeros)).map(show)
        let withBoth = (try? TLVNode.parse(bytes, padding: .zerosAndFF)).map(show)
        #expect((withZeros == expected) == zeros)
        #expect((withBoth == expected) == both)
        #expect((try? TLVNode.parse(bytes, padding: .none)).map(show) != expected || expected.isEmpty)
    }

    /// Sixteen levels of templates in templates are read, one more is not.
    @Test func nesting() throws {
        func nested(_ levels: Int) -> [UInt8] {
            var bytes: [UInt8] = [0x82, 0x00]
            for _ in 0..<levels {
                var writer = BERTLVWriter()
                writer.append(0x70, bytes)
                bytes = writer.bytes
            }
            return bytes
        }
        #expect(try TLVNode.parse(nested(16)).count == 1)
        #expect(throws: BERTLVError.nestedTooDeep(tag: 0x70, offset: 32, limit: 16)) {
            try TLVNode.parse(nested(17))
        }
    }

    /// Whatever was read is written and read the same.
    @Test func noiseThatReadsIsWrittenTheSame() throws {
        var random = SplitMix(seed: 11)
        var trees = 0
        for round in 0..<20_000 {
            var bytes = OracleTests.loose(&random, depth: round.isMultiple(of: 3) ? 4 : 1)
            for _ in 0..<random.below(3) where !bytes.isEmpty {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
            }
            for padding in [BERTLVReader.Padding.none, .zeros, .zerosAndFF] {
                guard let nodes = try? TLVNode.parse(bytes, padding: padding) else { continue }
                trees += 1
                let written = PropertyTests.encode(nodes)
                #expect(written.count <= bytes.count)
                #expect(show(try TLVNode.parse(written, padding: .none)) == show(nodes))
            }
        }
        #expect(trees > 10_000)
    }

    @Test func hexOfAnything() {
        var random = SplitMix(seed: 12)
        for _ in 0..<3000 {
            let bytes = (0..<random.below(40)).map { _ in UInt8(random.below(256)) }
            let text = Hex.string(bytes)
            #expect(Hex.bytes(text) == bytes && Hex.bytes(text.lowercased()) == bytes)
            let noise = String(decoding: bytes, as: UTF8.self)
            if let read = Hex.bytes(noise) { #expect(read.count <= noise.utf8.count / 2) }
            _ = Tag(hex: noise)
        }
        for number in 0...0xFFFF {
            let tag = Tag(UInt32(number))
            #expect((Tag(hex: tag.description) == tag) == tag.isWellFormed)
        }
    }
}
