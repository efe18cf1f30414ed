import BERTLV
import Foundation
import TestTools
import Testing

@testable import EMVDictionary

/// What holds of the decoder's output whatever the input is.
@Suite struct DecoderPropertyTests {
    static func number<G: RandomNumberGenerator>(_ range: ClosedRange<Int>, _ generator: inout G) -> Int {
        Int.random(in: range, using: &generator)
    }

    static func noise<G: RandomNumberGenerator>(_ count: Int, _ generator: inout G) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// A live PAN by its looks: 13 to 19 digits, the last one right, of no test range.
    static func pan<G: RandomNumberGenerator>(_ generator: inout G) -> String {
        while true {
            var digits = String(number(3...6, &generator))
            for _ in 0..<number(11...17, &generator) { digits += String(number(0...9, &generator)) }
            for last in 0...9 where Masking.luhn((digits + String(last)).utf8) {
                digits += String(last)
                break
            }
            if !Masking.isTestPAN(digits) { return digits }
        }
    }

    /// Text and JSON together.
    static func output(_ bytes: [UInt8], _ options: EMVDecoder.Options) -> String {
        let node = EMVDecoder.explain(bytes, options)
        return node.text(colour: false, offsets: true) + node.json()
    }

    /// A PAN in an account's own tags, in tags nobody knows, among other digits, in damaged templates, under
    /// any kind: never shown whole.
    @Test func numbersAreNeverShownWhole() throws {
        var generator = SplitMix(seed: 0xCA4D)
        for round in 0..<1600 {
            let digits = Self.pan(&generator)
            let padded = digits.count.isMultiple(of: 2) ? digits : digits + "F"
            var track = digits + "D3112201" + String(Self.number(0...99999, &generator))
            if !track.count.isMultiple(of: 2) { track += "F" }
            let lead = String(
                (0..<Self.number(0...9, &generator)).map { _ in
                    Character(String(Self.number(0...9, &generator)))
                })
            var loose = lead + digits + String(Self.number(0...9999, &generator))
            if !loose.count.isMultiple(of: 2) { loose += "0" }
            let (tag, hex): (BERTLV.Tag, String) =
                switch round % 5 {
                case 0: (0x5A, padded)
                case 1: (0x57, track)
                case 2: (0x9F6B, track)
                case 3: (0xDF7D, padded)
                default: (0xDF7E, loose)
                }
            var writer = BERTLVWriter()
            try writer.template(0x70) { inside in
                inside.append(0x9F36, [0x00, 0x01])
                inside.append(tag, try #require(Hex.bytes(hex)))
                inside.append(0x5F24, [0x31, 0x12, 0x31])
            }
            var bytes = writer.bytes
            switch round / 5 % 4 {
            case 1: bytes[1] &+= UInt8(Self.number(1...90, &generator))
            case 2: bytes.removeLast(Self.number(1...6, &generator))
            case 3: bytes += [0x90, 0x00]
            default: break
            }
            for kind in EMVDecoder.Kind.allCases {
                var options = EMVDecoder.Options(kind: kind)
                options.context = tag == 0x9F6B ? .kernel2 : nil
                let text = Self.output(bytes, options)
                #expect(!text.contains(digits), "\(Hex.string(bytes)) as \(kind)")
            }
            var revealing = EMVDecoder.Options(kind: .tlv)
            revealing.reveal = true
            #expect(Self.output(bytes, revealing).contains(digits))
        }
    }

    /// What the digits before a number happen to spell does not uncover it.
    @Test func overlappingMatches() throws {
        var generator = SplitMix(seed: 7)
        var overlaps = 0
        for _ in 0..<20_000 {
            let digits = Self.pan(&generator)
            let text = "4" + digits
            let isOverlap = (13...19).contains { count in
                count <= text.count && Masking.luhn(text.prefix(count).utf8)
            }
            guard isOverlap else { continue }
            overlaps += 1
            let (shown, isMasked) = Masking.maskPANs(in: "A" + text + "B", unless: { _ in false })
            // At most ten digits of the number, and no seven in a row but at its ends.
            let legible = shown.dropFirst(2).dropLast().filter { $0 != "*" }.count
            #expect(isMasked && legible <= 10, "\(shown)")
        }
        #expect(overlaps > 1000)
    }

    /// The output grows with the input by a constant factor, for bombs, too.
    @Test func outputIsBounded() {
        var generator = SplitMix(seed: 0xB0B)
        var bombs: [[UInt8]] = []
        // Deep templates, honest and lying; lists of the shortest entries; many empty objects; long values.
        var nested: [UInt8] = []
        for _ in 0..<800 {
            var writer = BERTLVWriter()
            writer.append(0x70, nested)
            nested = writer.bytes
        }
        bombs.append(nested)
        bombs.append([UInt8](repeating: 0x70, count: 1600))
        bombs.append((0..<800).flatMap { _ in [0x70, 0x7F] as [UInt8] })
        bombs.append((0..<400).flatMap { _ in [0x70, 0x82, 0xFF, 0xFF] as [UInt8] })
        bombs.append((0..<800).flatMap { _ in [0x82, 0x00] as [UInt8] })
        bombs.append((0..<800).flatMap { _ in [0x9C, 0xFF] as [UInt8] })
        bombs.append([UInt8](repeating: 0x9F, count: 1600))
        bombs.append([UInt8](repeating: 0, count: 1600))
        bombs.append([0x3B] + [UInt8](repeating: 0xF1, count: 1600))
        for (tag, unit) in [
            (BERTLV.Tag(0x9F38), [0x9C, 0x01]), (0x8E, [0x1F, 0x03]), (0x94, [0x08, 1, 1, 0]),
            (0x5F2D, [0x64, 0x65]),
            (0x9F0A, [0, 1, 0]), (0x9F4A, [0x82]), (0x95, [0xFF]), (0x9F5B, [0x9C, 0x01]), (0x50, [0x22]),
            (0xDF7E, [0x44]), (0x8B, [0, 1, 0]), (0x73, [0x82, 0x00]),
        ] as [(BERTLV.Tag, [UInt8])] {
            var writer = BERTLVWriter()
            writer.append(tag, (0..<(1600 / unit.count)).flatMap { _ in unit })
            bombs.append(writer.bytes)
        }
        for _ in 0..<10 { bombs.append(Self.noise(1600, &generator)) }
        for bytes in bombs {
            for kind in EMVDecoder.Kind.allCases {
                var options = EMVDecoder.Options(kind: kind)
                options.showUnsetBits = true
                options.dataObjectList = [0x95, 5, 0x9C, 0, 0x9F, 0x02, 6]
                let count = Self.output(bytes, options).utf8.count
                #expect(
                    count < bytes.count * 1000 + 5000,
                    "\(Hex.string(bytes.prefix(20)))... as \(kind): \(count)")
                #expect(Self.depth(EMVDecoder.explain(bytes, options)) <= 20)
            }
        }
    }

    static func depth(_ node: ExplainedNode) -> Int { 1 + (node.children.map(depth).max() ?? 0) }

    /// Offsets and lengths lie in the input, and children within their parent.
    @Test func placesLieInTheInput() {
        var generator = SplitMix(seed: 0x0FF5)
        func check(_ node: ExplainedNode, within range: Range<Int>, _ bytes: [UInt8]) {
            guard let offset = node.offset else { return }
            #expect(
                range.contains(offset) || offset == range.upperBound, "\(node.name): \(Hex.string(bytes))")
            for child in node.children { check(child, within: range, bytes) }
        }
        for round in 0..<6000 {
            var bytes = DecoderFuzzTests.samples[
                Self.number(0...(DecoderFuzzTests.samples.count - 1), &generator)]
            for _ in 0..<Self.number(0...3, &generator) where !bytes.isEmpty {
                bytes[Self.number(0...(bytes.count - 1), &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            if bytes.isEmpty { continue }
            let kind = EMVDecoder.Kind.allCases[round % EMVDecoder.Kind.allCases.count]
            check(EMVDecoder.explain(bytes, .init(kind: kind)), within: 0..<bytes.count, bytes)
        }
    }

    /// Any text: a tree or an error that says what is wrong with the text.
    @Test func anyText() {
        var generator = SplitMix(seed: 0x7E87)
        let alphabet = Array("0123456789abcdefABCDEF :-_\n\tgxX９é\u{0}🜁\"\\")
        for _ in 0..<5000 {
            let text = String(
                (0..<Self.number(0...30, &generator)).map { _ in alphabet.randomElement(using: &generator)! })
            let node = EMVDecoder.explain(hex: text)
            #expect(!node.name.isEmpty)
            let digits = (text.hasPrefix("0x") || text.hasPrefix("0X")) ? String(text.dropFirst(2)) : text
            // Digits behind a mark such as a colon are those of another tool.
            if Hex.bytes(digits) == nil, PastedHex(text) == nil {
                #expect(node.error?.contains("hexadecimal") == true)
            }
        }
        #expect(EMVDecoder.explain(hex: "９F").error == "character 1 (９) is not a hexadecimal digit")
    }

    /// The calendar's dates only; a day of zero is shown as such.
    @Test(
        arguments: [
            ("240229", "2024-02-29"), ("260200", "2026-02-00"), ("501231", "1950-12-31"), ("260231", nil),
            ("250229", nil), ("261300", nil), ("260431", nil), ("000000", nil), ("2A0101", nil),
        ] as [(String, String?)]) func dates(_ hex: String, _ expected: String?)
    {
        let text = EMVDecoder.explain(hex: "9A03" + hex).text()
        #expect(text.contains(expected ?? "not a date"))
    }

    /// FF begins a tag where that makes sense of the whole, else it is padding (EMV Book C-2, Annex A; ISO/IEC
    /// 7816-4).
    @Test(arguments: [
        ("FF81060B DF81290400000000 9C0101", "Discretionary Data", ["DF8129", "9C"]),
        ("FF8105059F02020001", "Data Record", ["9F02"]),
        ("7009FFFF820220005A00FF", "READ RECORD Response Message Template", ["82", "5A"]),
        ("FFFF7004 82022000 FFFF", "READ RECORD Response Message Template", ["82"]),
    ]) func paddingOrTag(_ hex: String, _ name: String, _ tags: [String]) throws {
        for text in [hex, hex + "9000"] {
            let isResponse = text.count > hex.count
            var node = EMVDecoder.explain(hex: text, .init(kind: isResponse ? .response : .tlv))
            if isResponse { node = try #require(node.children.first) }
            #expect(
                node.name == name && node.children.map(\.tag) == tags && !node.hasErrors, "\(node.text())")
        }
    }

    /// The answers of emv-utils' ATR tests: interface characters, historical bytes, whether TCK is there.
    @Test(
        arguments: [
            ("3B600000", ["TB1", "TC1"], nil, false),
            ("3BE000FF81317C4192", ["TB1", "TC1", "TD1", "TD2", "TA3", "TB3"], nil, true),
            (
                "3BDA18FF81B1FE751F030031F573C78A40009000B0",
                ["TA1", "TC1", "TD1", "TD2", "TA3", "TB3", "TD3", "TA4"], "0031F573C78A40009000", true
            ),
            (
                "3BF41300FFD0000A3F0300DEADBEEFDC",
                ["TA1", "TB1", "TC1", "TD1", "TA2", "TC2", "TD2", "TA3", "TB3"], "DEADBEEF", true
            ),
        ] as [(String, [String], String?, Bool)]) func answersToReset(
            _ hex: String, _ interfaces: [String], _ historical: String?, _ hasCheck: Bool
        ) throws
    {
        let bytes = try #require(Hex.bytes(hex))
        #expect(EMVDecoder.detect(bytes) == .atr)
        let layout = try #require(AnswerToResetLayout(bytes))
        #expect(layout.interfaces.map(\.name) == interfaces)
        #expect(Hex.string(bytes[layout.historical]) == historical ?? "")
        #expect((layout.check != nil) == hasCheck && layout.isComplete)
        // Each damage is seen.
        if hasCheck {
            for position in 1..<bytes.count {
                var damaged = bytes
                damaged[position] ^= 0x01
                #expect(AnswerToResetLayout(damaged)?.isComplete == false)
            }
        }
        #expect(AnswerToResetLayout(Array(bytes.dropLast()))?.isComplete == false)
        #expect(AnswerToResetLayout(bytes + [0])?.isComplete == false)
    }
}
