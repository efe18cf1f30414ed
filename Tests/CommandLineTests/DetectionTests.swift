import Foundation
import Testing

/// `iso decode` without a dialect, on messages of jPOS's two packagers in BCD, whose odd fields other dialects pad on the
/// other side. Judge: `Tests/Oracles/jpos_messages.py`, a writer of its own.
@Suite struct DetectionTests {
    struct Report: CustomStringConvertible {
        var count = 0
        /// Read by the dialect that wrote it.
        var right = 0
        /// Read by another one, with the same values.
        var same = 0
        /// With other values, the right dialect being named with the fields that it reads otherwise.
        var named = 0
        /// With other values and no word of it, or with an error.
        var wrong: [String] = []
        var description: String { "\(count): \(right) right, \(same) same, \(named) named, \(wrong)" }
    }

    struct Row: Decodable {
        struct Explanation: Decodable {
            struct Field: Decodable {
                var number: Int
                var value: String
            }
            var dialect: String
            var error: String?
            var fields: [Field]
        }
        struct Other: Decodable {
            var dialect: String
            var framing: String
            var differingFields: [Int]
        }
        var message: Explanation
        var framing: String
        var alsoReadBy: [Other]
    }

    static func text(_ hex: Substring) -> String {
        let digits = Array(hex.utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func report(_ dialect: String, _ seed: Int, _ count: Int, plausible: Bool) async throws -> Report {
        let program = try Program()
        defer { program.remove() }
        let script = Program.folder.appending(path: "Tests/Oracles/jpos_messages.py").path()
        let lines = try await program.run(
            executable: "/usr/bin/python3",
            [script, "\(seed)", "\(count)"] + (plausible ? ["plausible"] : [])
        ).output.split(separator: "\n").filter { $0.hasPrefix(dialect) }.map { $0.split(separator: " ") }
        #expect(lines.count == count)
        let result = try await program.run(
            "iso", "decode", "--json", input: lines.map { "\($0[1])\n" }.joined())
        let rows = try JSONDecoder().decode([Row].self, from: Data(result.output.utf8))
        #expect(rows.count == lines.count)
        var report = Report()
        for (line, row) in zip(lines, rows) {
            report.count += 1
            // Masked values cannot be compared.
            let found = Dictionary(uniqueKeysWithValues: row.message.fields.map { ($0.number, $0.value) })
            let wrong = line.dropFirst(2).filter { item in
                let parts = item.split(separator: "=", omittingEmptySubsequences: false)
                guard let number = Int(parts[0]), let value = found[number] else { return true }
                return !value.contains("*") && value != text(parts[1])
            }
            if row.message.error != nil {
                report.wrong.append("\(line[1]): \(row.message.error ?? "")")
            } else if row.message.dialect == dialect, row.framing == "none", wrong.isEmpty {
                report.right += 1
            } else if wrong.isEmpty {
                report.same += 1
            } else if row.alsoReadBy.contains(where: {
                $0.dialect == dialect && $0.framing == "none" && !$0.differingFields.isEmpty
            }) {
                report.named += 1
            } else {
                report.wrong.append("\(row.message.dialect) \(row.framing): \(line[1])")
            }
        }
        return report
    }

    @Test(arguments: ["jpos-87b", "jpos-93b"], [true, false])
    func isRightOrSaysSo(_ dialect: String, _ plausible: Bool) async throws {
        // `TAPBRIDGE_MESSAGES=2000` for more of them.
        let count = ProcessInfo.processInfo.environment["TAPBRIDGE_MESSAGES"].flatMap { Int($0) } ?? 150
        let report = try await Self.report(dialect, 8583, count, plausible: plausible)
        print("\(dialect), \(plausible ? "plausible" : "random"): \(report)")
        #expect(report.wrong.isEmpty, "\(report)")
        // What is left undecided: no odd number but one that begins with a 0 where it ends with one, or no other field that
        // tells the dialects apart.
        #expect(report.named * (plausible ? 25 : 10) <= report.count, "\(report)")
    }

    /// Messages of field 2 alone.
    @Test(arguments: [
        // A number of 19 digits, padded on the right as jPOS does.
        ("02004000000000000000 19 2509401234567890122 0", "jpos-87b", "250940*********0122"),
        // The same on the left.
        ("02004000000000000000 19 0 2509401234567890122", "generic-bcd", "250940*********0122"),
        // 1993 by the first digit of the type.
        ("12004000000000000000 16 4761739001010119", "generic-93-bcd", "476173******0119"),
    ]) func takesTheOneThatFits(_ message: String, _ dialect: String, _ number: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.run("iso", "decode", message.replacing(" ", with: ""))
        #expect(result.status == 0, "\(result)")
        #expect(result.output.hasPrefix("dialect \(dialect), framing none\n"), "\(result.output)")
        #expect(result.output.contains(number), "\(result.output)")
    }

    /// No dialect that was asked for reads over a filler.
    @Test(arguments: [
        ("generic-bcd", "0200400000000000000019 2509401234567890123 0", "field 2 at offset 11"),
        ("jpos-87b", "0200400000000000000019 2 5094012345678901239", "field 2 at offset 20"),
        // Track 2 of 37 digits with F on the right.
        (
            "generic-bcd", "0200000000002000000037 5413330089020037D25120101234567890123 F",
            "field 35 at offset 11"
        ),
    ]) func fillers(_ dialect: String, _ message: String, _ place: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let result = try await program.run(
            "iso", "decode", "--dialect", dialect, message.replacing(" ", with: ""))
        #expect(result.status == 65)
        #expect(result.output.contains("error: \(place): the filler digit"), "\(result.output)")
    }
}
