import BERTLV
import Foundation
import TestTools
import Testing

/// Thousands of encodings, read here and by an independent library (pyemv).
@Suite struct OracleTests {
    /// Encodings whose lengths take any form, at times lie, and whose tags have up to four bytes.
    static func loose(_ random: inout SplitMix, depth: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<random.below(4) {
            let lead = UInt8(random.below(256))
            var tag = [lead]
            if lead & 0x1F == 0x1F {
                for _ in 0..<random.below(3) { tag.append(UInt8(0x80 | random.below(128))) }
                tag.append(UInt8(random.below(128)))
            }
            let isTemplate = lead & 0x20 != 0
            let value =
                isTemplate
                ? (depth < 5 ? loose(&random, depth: depth + 1) : [])
                : (0..<[0, 1, 2, 5, 130, 260][random.below(6)]).map { _ in UInt8(random.below(256)) }
            var declared = value.count
            if random.below(25) == 0 { declared = max(0, declared + random.below(7) - 3) }
            bytes += tag
            switch random.below(5) {
            case 0: bytes += [0x84, 0, 0, UInt8(declared >> 8), UInt8(declared & 0xFF)]
            case 1: bytes += [0x83, 0, UInt8(declared >> 8), UInt8(declared & 0xFF)]
            case 2: bytes += [0x82, UInt8(declared >> 8), UInt8(declared & 0xFF)]
            case 3 where declared < 256: bytes += [0x81, UInt8(declared)]
            default: BERTLVWriter.append(length: declared, to: &bytes)
            }
            bytes += value
        }
        return bytes
    }

    /// What the oracle would print; nil where it and EMV differ by intent: lengths of the indefinite form
    /// and of more than four bytes, longer tags and deep nesting, which it takes; and a tag that comes
    /// twice, of which it keeps one.
    static func verdict(_ bytes: [UInt8]) -> String? {
        do {
            let nodes = try TLVNode.parse(bytes, padding: .none)
            return hasTwins(nodes) ? nil : show(nodes)
        } catch {
            switch error {
            case .truncatedTag: return "error"
            case .truncatedLength(let tag, let offset), .valueTooShort(let tag, let offset, _, _):
                // The offset is that of the tag named.
                let spelled = bytes.dropFirst(offset).prefix(tag.byteCount)
                return Hex.string(spelled) == tag.description ? "error \(tag)" : "offset \(offset) is wrong"
            case .unsupportedLength, .tagTooLong, .nestedTooDeep: return nil
            }
        }
    }

    static func hasTwins(_ nodes: [TLVNode]) -> Bool {
        Set(nodes.map(\.tag)).count != nodes.count
            || nodes.contains {
                if case .constructed(let inside) = $0.content { hasTwins(inside) } else { false }
            }
    }

    @Test(.needs(.oracles))
    func sameTreesAndRefusals() throws {
        var random = SplitMix(seed: 3)
        var lines: [String] = []
        var ours: [String] = []
        for round in 0..<9000 {
            var bytes: [UInt8]
            switch round % 4 {
            case 0: bytes = PropertyTests.encode(PropertyTests.tree(&random, depth: 0))
            case 1: bytes = Self.loose(&random, depth: 0)
            case 2:
                bytes = Self.loose(&random, depth: 0)
                if !bytes.isEmpty { bytes.removeLast(1 + random.below(bytes.count)) }
            default:
                bytes = PropertyTests.encode(PropertyTests.tree(&random, depth: 0))
                for _ in 0..<(1 + random.below(3)) where !bytes.isEmpty {
                    bytes[random.below(min(bytes.count, 20))] = UInt8(random.below(256))
                }
            }
            guard let verdict = Self.verdict(bytes) else { continue }
            lines.append(Hex.string(bytes))
            ours.append(verdict)
        }
        #expect(lines.count > 7000)
        let theirs = try Self.ask(lines)
        try #require(theirs.count == lines.count)
        var differing = 0
        for (index, line) in lines.enumerated() where theirs[index] != ours[index] {
            differing += 1
            if differing < 5 { Issue.record("\(line): ours \(ours[index]), theirs \(theirs[index])") }
        }
        #expect(differing == 0)
        #expect(ours.count { $0.hasPrefix("error") } > 1000)
        #expect(ours.count { $0.contains("(") } > 1000)
    }

    /// The oracle's answer to each line.
    static func ask(_ lines: [String]) throws -> [String] {
        try PythonOracle("tlv_tree.py").lines(input: lines.joined(separator: "\n") + "\n")
    }
}
