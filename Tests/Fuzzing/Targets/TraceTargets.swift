import BERTLV
import EMV
import Foundation
import Traces

extension FuzzTarget {
    static let traces: [FuzzTarget] = [
        FuzzTarget(
            "trace", longestInput: 8192, mutations: 6, seeds: { TraceFiles.all.map { Array($0.utf8) } }
        ) { input in
            guard let trace = try? Trace(parsing: String(decoding: input, as: UTF8.self)) else { return }
            let again = try Trace(parsing: trace.description)
            try hold(again == trace, "a trace written and read again differs")
        },
        FuzzTarget(
            "trace-masking", longestInput: 2048,
            seeds: { TraceFiles.sessions.map { liveNumbers(chunks($0.responses)) } }
        ) { try mask($0) },
    ]

    /// The test card numbers as numbers of somebody: other first digits, so that masking has something to do.
    private static func liveNumbers(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for index in bytes.indices.dropLast() where bytes[index] == 0x47 && bytes[index + 1] == 0x61 {
            bytes[index] = 0x45
        }
        return bytes
    }

    /// What a trace that is kept must not hold: the number of a card, in whichever place or alignment.
    private static func mask(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        var trace = Trace(header: [.init("amount", "100")])
        while !input.isEmpty {
            let bytes = input.chunk()
            trace.append(.command([0x00, 0xB2] + bytes.prefix(40)))
            trace.append(.response(bytes, microseconds: nil))
        }
        var header = trace
        if case .response(let first, _)? = trace.entries.dropFirst().first?.content {
            header["kernel-memory-2"] = Hex.string(first)
        }
        for trace in [trace, header] {
            let masked = trace.masked()
            try hold(masked.entries.count == trace.entries.count, "entries came or went")
            for (old, new) in zip(trace.entries, masked.entries) {
                try hold(count(old) == count(new), "a length has changed")
            }
            let text = masked.description
            try hold(try Trace(parsing: text) == masked, "a masked trace written and read again differs")
            let digits = text.split(separator: "\n").map { $0.filter { $0 != " " } }
            for case .response(let bytes, _) in trace.entries.map(\.content) {
                for number in cardNumbers(bytes.dropLast(min(2, bytes.count))) {
                    let clear = number.clearDigits
                    try hold(
                        TestNumbers.known.contains(number) || !digits.contains { $0.contains(clear) },
                        "the masked trace shows the card number \(clear)")
                }
            }
            try hold(masked == trace || masked["masked"] == "yes", "a trace is masked and does not say so")
        }
    }

    private static func count(_ entry: Trace.Entry) -> Int {
        switch entry.content {
        case .response(let bytes, _), .command(let bytes): bytes.count
        default: 0
        }
    }

    /// Card numbers in 5A and 57 of at least 13 digits (shorter ones may stand in other data by chance), found by a
    /// reader that knows nothing of masking.
    private static func cardNumbers(_ bytes: some Collection<UInt8>) -> [PrimaryAccountNumber] {
        func walk(_ nodes: [TLVNode]) -> [PrimaryAccountNumber] {
            nodes.flatMap { node -> [PrimaryAccountNumber] in
                switch (node.tag, node.content) {
                case (_, .constructed(let inside)): walk(inside)
                case (0x5A, .primitive(let value)):
                    PrimaryAccountNumber(compressedNumeric: value).map { [$0] } ?? []
                case (0x57, .primitive(let value)):
                    Track2EquivalentData(value).map { [$0.primaryAccountNumber] } ?? []
                default: []
                }
            }
        }
        let nodes = (try? TLVNode.parse(Array(bytes), padding: .zerosAndFF)) ?? []
        return walk(nodes).filter { number in
            // Of a number whose middle is zeros, nothing is left to be blanked.
            number.digitCount >= 13 && number.clearDigits.dropFirst(6).dropLast(4).contains { $0 != "0" }
        }
    }
}
