import BERTLV
import EMV
import Foundation
import Testing

@testable import Traces

@Suite struct TraceFormatTests {
    static let good = """
        tapbridge-trace 1
        title: a title: with a colon
        # a comment in the header
        amount: 1250

        # a comment
        + 3B80800101
        > 00 A4 04 00
        < 9000 17 us

        > 80CA9F3600
        ! timeout
        ? 0000002A
        @ answer code=00 91=AABB
        = approved cvm=noCVM

        """

    @Test func reading() throws {
        let trace = try Trace(parsing: Self.good)
        #expect(trace["title"] == "a title: with a colon")
        #expect(trace["amount"] == "1250")
        #expect(trace["none"] == nil)
        #expect(
            trace.entries.map(\.content) == [
                .comment("a comment"), .activated(answerToReset: [0x3B, 0x80, 0x80, 0x01, 0x01]),
                .command([0x00, 0xA4, 0x04, 0x00]), .response([0x90, 0x00], microseconds: 17), .blank,
                .command([0x80, 0xCA, 0x9F, 0x36, 0x00]), .event(.timeout), .unpredictableNumber(42),
                .host("answer", [.init("code", "00"), .init("91", "AABB")]),
                .outcome("approved", [.init("cvm", "noCVM")]),
            ])
        #expect(trace.entries.map(\.line) == Array(6...15))
    }

    /// Written and read again it is the same, whatever line ends it came with.
    @Test func writingAndReading() throws {
        let trace = try Trace(parsing: Self.good)
        #expect(try Trace(parsing: trace.description) == trace)
        #expect(try Trace(parsing: Self.good.replacing("\n", with: "\r\n")) == trace)
    }

    /// The line of each fault is named.
    @Test(arguments: [
        ("", 1), ("tapbridge-trace\n\n", 1), ("tapbridge-trace 2\n\n", 1), ("something else\n\n", 1),
        ("tapbridge-trace 1", 1), ("tapbridge-trace 1\ntitle: x", 2), ("tapbridge-trace 1\nno colon\n\n", 2),
        ("tapbridge-trace 1\nUPPER: x\n\n", 2), ("tapbridge-trace 1\n\n> 00A4\n", 3),
        ("tapbridge-trace 1\n\n> \n< 9000\n", 3), ("tapbridge-trace 1\n\n< 9000\n", 3),
        ("tapbridge-trace 1\n\n> 00\n> 00\n< 9000\n", 4), ("tapbridge-trace 1\n\n> 0\n< 9000\n", 3),
        ("tapbridge-trace 1\n\n> 00\n< 90G0\n", 4), ("tapbridge-trace 1\n\n> 00\n< 9000 x us\n", 4),
        ("tapbridge-trace 1\n\n> 00\n< 9000 -1 us\n", 4), ("tapbridge-trace 1\n\n! nonsense\n", 3),
        ("tapbridge-trace 1\n\n? 123\n", 3), ("tapbridge-trace 1\n\n? 1234567G\n", 3),
        ("tapbridge-trace 1\n\n? +1234567\n", 3),
        ("tapbridge-trace 1\n\n@\n", 3), ("tapbridge-trace 1\n\n= approved cvm\n", 3),
        ("tapbridge-trace 1\n\nwhat is this\n", 3),
    ]) func faults(_ text: String, _ line: Int) {
        do throws(TraceError) {
            _ = try Trace(parsing: text)
            Issue.record("it was read")
        } catch {
            #expect(error.line == line, "\(error)")
            #expect(!error.reason.isEmpty)
        }
    }

    @Test func endlessFilesAreRefused() {
        let text = "tapbridge-trace 1\n\n" + String(repeating: "# x\n", count: Trace.mostBytes / 4 + 1)
        #expect(throws: TraceError.self) { try Trace(parsing: text) }
    }

    /// Cut anywhere, changed anywhere: read or refused with a line, never a trap; what is read is written and read
    /// the same.
    @Test func mutations() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("apdu-traces")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".trace") }
        #expect(!names.isEmpty)
        var state: UInt64 = 42
        func random(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, below)))
        }
        for name in names {
            let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            for _ in 0..<200 {
                var bytes = Array(text.utf8)
                switch random(4) {
                case 0: bytes.removeLast(random(bytes.count))
                case 1: for _ in 0...random(8) { bytes[random(bytes.count)] = UInt8(random(256)) }
                case 2:
                    let start = random(bytes.count)
                    bytes.removeSubrange(start..<min(bytes.count, start + 1 + random(40)))
                default:
                    let start = random(bytes.count)
                    bytes.insert(
                        contentsOf: bytes[start..<min(bytes.count, start + random(80))],
                        at: random(bytes.count))
                }
                guard let trace = try? Trace(parsing: String(decoding: bytes, as: UTF8.self)) else {
                    continue
                }
                #expect(try Trace(parsing: trace.description) == trace)
                #expect(try Trace(parsing: trace.masked().description).entries.count == trace.entries.count)
            }
        }
    }
}

/// Cards that are no test cards are masked on recording.
@Suite struct TraceMaskingTests {
    /// 4000 0012 3456 7899 is nobody's: an invented number with a right check digit.
    static let live = "4000001234567899"

    static func trace(_ number: String) throws -> Trace {
        let track = number + "D2512201" + "1234567890" + (number.count.isMultiple(of: 2) ? "" : "")
        let padded = track.count.isMultiple(of: 2) ? track : track + "F"
        let name = "5F200D" + "484F4C4445522F544553542020"
        let inner = "57" + String(format: "%02X", padded.count / 2) + padded + "5A08" + number + name
        let length = String(format: "%02X", inner.count / 2)
        return try Trace(
            parsing: """
                tapbridge-trace 1

                > 00B2010C00
                < 70\(length)\(inner)9000
                > 80AE800000\("5A08" + number)00
                < 9F46039A9A9A9000

                """)
    }

    @Test func liveCardsAreBlanked() throws {
        let original = try Self.trace(Self.live)
        let masked = original.masked()
        let text = masked.description
        #expect(masked["masked"] == "yes")
        #expect(!text.contains(Self.live))
        #expect(text.contains("4000000000007899"))
        #expect(!text.contains("1234567890"))
        #expect(!text.contains("484F4C4445522F54455354"))
        #expect(text.contains("9F46030000009000"))
        // Lengths stay: it replays up to where a blanked value is checked.
        for (before, after) in zip(original.entries, masked.entries) {
            #expect(Trace.line(before.content).count == Trace.line(after.content).count)
        }
    }

    /// A track that is no track, a short number, and numbers deep inside templates are masked all the same.
    @Test(arguments: [
        ("5713 4000001234567899D99992010000000000001F", "4000001234567899"),
        ("5A04 12345674", "12345674"), ("57064000001234 56", "400000123456"),
    ]) func oddNumbersAreBlanked(_ object: String, _ digits: String) throws {
        var inner = try #require(Hex.bytes(object))
        for _ in 0..<12 {
            var writer = BERTLVWriter()
            writer.append(0x70, inner)
            inner = writer.bytes
        }
        let text = "tapbridge-trace 1\n\n> 00B2010C00\n< \(Hex.string(inner))9000\n"
        let masked = try Trace(parsing: text).masked()
        #expect(!masked.description.contains(digits), "\(masked)")
        #expect(masked["masked"] == "yes")
    }

    /// A number of any length, also where it stands without its tag: no more of it stays than may be shown.
    @Test(arguments: 8...19) func numbersWithoutTagAreBlanked(_ count: Int) throws {
        let digits = String("4539578763621486239".prefix(count))
        let packed = try #require(PrimaryAccountNumber(digits: digits)).compressedNumeric
        var object = BERTLVWriter()
        object.append(0x5A, packed)
        var trace = Trace()
        trace.append(.command([0x00, 0xB2, 0x01, 0x0C, 0x00]))
        trace.append(.response(object.bytes + [0x90, 0x00], microseconds: nil))
        trace.append(.command([0x80, 0xAE, 0x80, 0x00, UInt8(packed.count)] + packed))
        trace.append(
            .response([0xDF, 0x01, UInt8(packed.count)] + packed + [0x90, 0x00], microseconds: nil))
        trace.append(.terminalData([0xDF, 0x02, UInt8(packed.count)] + packed))
        let text = trace.masked().description
        #expect(
            !text.contains(digits.suffix(5)) && !text.contains(digits.prefix(count >= 13 ? 7 : 1 + count - 4))
        )
        #expect(text.contains(digits.suffix(4)))
    }

    @Test(arguments: ["4761739001010119", "4895370000000015", "5413330089020011"]) func testCardsStay(
        _ number: String
    ) throws {
        let trace = try Self.trace(number)
        #expect(trace.masked() == trace)
    }
}
