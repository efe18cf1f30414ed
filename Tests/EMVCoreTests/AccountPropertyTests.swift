import BERTLV
import EMV
import Foundation
import TestTools
import Testing

/// PANs and tracks against regular expressions over their hexadecimal text.
@Suite struct AccountPropertyTests {
    /// Nibbles that are mostly digits, with a separator and padding at odd and even places.
    static func candidate(_ random: inout SplitMix) -> String {
        func digits(_ count: Int) -> String {
            (0..<count).map { _ in String(random.below(10)) }.joined()
        }
        var text = digits(random.below(23))
        if random.below(4) > 0 { text += "D" + digits(random.below(16)) }
        text += String(repeating: "F", count: random.below(4))
        if random.below(3) == 0, !text.isEmpty {
            var characters = Array(text)
            characters[random.below(characters.count)] = Array("0123456789ABCDEF")[random.below(16)]
            text = String(characters)
        }
        return text.count.isMultiple(of: 2) ? text : text + "F"
    }

    @Test func asTheRegularExpressions() throws {
        var random = SplitMix(seed: 41)
        let pan = #/(\d{8,19})F*/#
        let track = #/(\d{8,19})D(\d{4})(\d*)F*/#
        var found = (pans: 0, tracks: 0)
        for _ in 0..<20_000 {
            let hex = Self.candidate(&random)
            let value = try bytes(hex)
            let number = PrimaryAccountNumber(compressedNumeric: value)
            #expect(number?.clearDigits == hex.wholeMatch(of: pan).map { String($0.1) }, "\(hex)")
            if let number {
                found.pans += 1
                #expect(PrimaryAccountNumber(digits: number.clearDigits) == number)
                #expect(PrimaryAccountNumber(compressedNumeric: number.compressedNumeric) == number)
            }
            let read = Track2EquivalentData(value)
            let match = value.count <= 19 ? hex.wholeMatch(of: track) : nil
            #expect((read == nil) == (match == nil), "\(hex)")
            guard let read, let match else { continue }
            found.tracks += 1
            #expect(read.primaryAccountNumber.clearDigits == match.1)
            #expect(read.expiry == Int(match.2))
            #expect(read.serviceCode == (match.3.count >= 3 ? Int(match.3.prefix(3)) : nil))
            #expect(read.clearDiscretionaryData == match.3.dropFirst(3))
            #expect(read.clearText() == "\(match.1)=\(match.2)\(match.3)")
            #expect(read.clearBytes == value)
        }
        #expect(found.pans > 1000 && found.tracks > 1000)
    }

    /// Not inside the test: a local type's description has an address in it, whose digits may be anything.
    struct Holder {
        var number: PrimaryAccountNumber?
        var track: Track2EquivalentData?
        var objects: DataObjects
    }

    /// Whatever way a value is shown, at most the first six and last four digits are legible.
    @Test func nothingShowsMore() throws {
        var random = SplitMix(seed: 42)
        for _ in 0..<2000 {
            let digits = (0..<(8 + random.below(12))).map { _ in String(random.below(10)) }.joined()
            let number = try #require(PrimaryAccountNumber(digits: digits))
            let rest = "9912201" + "8877665544".prefix(random.below(8))
            var hex = digits + "D" + rest
            if !hex.count.isMultiple(of: 2) { hex += "F" }
            let track = try bytes(hex).count <= 19 ? Track2EquivalentData(try bytes(hex)) : nil
            let holder = Holder(
                number: number, track: track, objects: [0x5A: number.compressedNumeric, 0x57: try bytes(hex)])
            var texts = [
                "\(number)", number.debugDescription, "\(holder)", "\(holder.objects)",
                String(reflecting: holder), String(describing: track), "\([number: track])",
            ]
            for value in [number as Any, track as Any, holder, holder.objects, [number]] {
                var text = ""
                dump(value, to: &text)
                texts.append(text)
            }
            // Seven digits from anywhere but the ends would be too many; bytes as decimal numbers, too.
            let middle = digits.count >= 13 ? digits.prefix(7) : digits.prefix(1 + max(0, digits.count - 5))
            let decimals = number.compressedNumeric.prefix(4).map(String.init).joined(separator: ", ")
            let listed = number.compressedNumeric.prefix(4).map { "- \($0)\n" }
            for text in texts {
                #expect(!text.contains(middle) && !text.contains(digits.suffix(5)), "\(text)")
                #expect(!text.contains(decimals), "\(text)")
                #expect(listed.contains { !text.contains($0) }, "\(text)")
                #expect(!text.contains("9912201"))
            }
            #expect(number.masked.count == digits.count)
            #expect(number.masked.count { $0 == "*" } == digits.count - (digits.count >= 13 ? 10 : 4))
        }
        // Neither is written by an encoder by itself.
        let number = try #require(PrimaryAccountNumber(digits: "4761739001010119"))
        let track = try #require(Track2EquivalentData(try bytes("4761739001010119D31122010000012300000F")))
        #expect(!((number as Any) is any Encodable) && !((track as Any) is any Encodable))
    }

    /// Expiry is as the track says; what no calendar has becomes no date.
    @Test(
        arguments: [
            ("2512", "2025-12-31"), ("2402", "2024-02-29"), ("2302", "2023-02-28"), ("4912", "2049-12-31"),
            ("5001", "1950-01-31"), ("2600", nil), ("2613", nil), ("9999", nil), ("0000", nil),
            ("0004", "2000-04-30"),
        ] as [(String, String?)]) func expiry(_ digits: String, _ expected: String?) throws
    {
        let track = try #require(Track2EquivalentData(try bytes("4761739001010119D\(digits)201")))
        #expect(EMVDate(endOfMonthYYMM: track.expiry)?.description == expected)
    }
}

@Suite struct NumberPropertyTests {
    /// Every number of six digits is a date or none, as the Gregorian calendar has it.
    @Test func datesOfTheCalendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var day = try #require(calendar.date(from: DateComponents(year: 1950, month: 1, day: 1)))
        var expected: [Int: String] = [:]
        while true {
            let parts = calendar.dateComponents([.year, .month, .day], from: day)
            let (year, month, date) = (parts.year ?? 0, parts.month ?? 0, parts.day ?? 0)
            if year > 2049 { break }
            func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
            expected[year % 100 * 10000 + month * 100 + date] = "\(year)-\(two(month))-\(two(date))"
            day += 86400
        }
        #expect(expected.count == 36525)
        for number in 0...999_999 {
            let date = EMVDate(yymmdd: number)
            let known = expected[number]
            if date == nil, known == nil { continue }
            if date?.description != known || date?.yymmdd != number
                || date.flatMap({ EMVDate(bytes: $0.bytes) }) != date
            {
                Issue.record(
                    "\(number): \(date?.description ?? "none"), the calendar says \(known ?? "none")")
                break
            }
        }
    }

    /// Numbers from anywhere: none of them traps or is taken for a date of another century.
    @Test(arguments: [Int.min, -1_000_000, -990_101, -1, 1_000_000, 1_000_101, 2_010_101, Int.max])
    func outOfRange(_ number: Int) {
        #expect(EMVDate(yymmdd: number) == nil)
        #expect(EMVDate(endOfMonthYYMM: number) == nil)
        #expect(EMVDate(year: number, month: 1, day: 1) == nil)
        #expect(EMVDate(year: 2026, month: number, day: 1) == nil)
        #expect(EMVDate(year: 2026, month: 1, day: number) == nil)
        #expect(NumericCode(number) == nil)
    }

    @Test func decimals() {
        var random = SplitMix(seed: 51)
        for _ in 0..<20_000 {
            let isDecimal = random.below(3) > 0
            let value = (0..<random.below(12)).map { _ in
                isDecimal ? UInt8(random.below(10) << 4 | random.below(10)) : UInt8(random.below(256))
            }
            let text = Hex.string(value)
            let digits = text.allSatisfy { $0.isNumber } && value.count <= 9
            let expected = digits ? UInt64(text.isEmpty ? "0" : text) : nil
            #expect(BCD.number(value) == expected)
            if let expected {
                #expect(BCD.bytes(expected, count: value.count) == value)
                #expect(
                    Amount(minorUnits: expected)?.bytes
                        == (text.count <= 12 || expected < 1_000_000_000_000
                            ? BCD.bytes(expected, count: 6) : nil))
            }
            let code = NumericCode(bytes: value)
            #expect((code != nil) == (value.count == 2 && digits && text.hasPrefix("0")))
            if let code { #expect(code.bytes == value && code.description == text.dropFirst()) }
        }
    }

    /// An amount of more than twelve digits is refused, not cut.
    @Test func amountsInJSON() throws {
        let decoder = JSONDecoder()
        #expect(
            try decoder.decode([Amount].self, from: Data("[999999999999]".utf8)).first?.minorUnits
                == 999_999_999_999)
        for bad in ["[1000000000000]", "[-1]", "[1.5]", "[\"1\"]", "[18446744073709551616]"] {
            #expect(throws: (any Error).self) { try decoder.decode([Amount].self, from: Data(bad.utf8)) }
        }
        #expect(throws: (any Error).self) {
            try decoder.decode([NumericCode].self, from: Data("[1000]".utf8))
        }
        #expect(try decoder.decode([NumericCode].self, from: Data("[978]".utf8)).first == NumericCode(978))
        #expect(String(decoding: try JSONEncoder().encode([Amount.zero]), as: UTF8.self) == "[0]")
    }

    /// A set of data objects behaves as a dictionary.
    @Test func dataObjectsAsADictionary() throws {
        var random = SplitMix(seed: 52)
        let tags: [Tag] = [0x82, 0x94, 0x9F36, 0x9F26, 0x5A, 0x57, 0xDF8129]
        for _ in 0..<300 {
            var objects = DataObjects()
            var model: [Tag: [UInt8]] = [:]
            for _ in 0..<60 {
                let tag = tags[random.below(tags.count)]
                switch random.below(5) {
                case 0:
                    objects.remove(tag)
                    model[tag] = nil
                case 1:
                    let from = tags[random.below(tags.count)]
                    objects[tag] = objects[from]
                    model[tag] = model[from]
                default:
                    let value = (0..<random.below(9)).map { _ in UInt8(random.below(256)) }
                    objects.set(tag, value)
                    model[tag] = value
                }
            }
            #expect(objects.count == model.count && Set(objects.tags) == Set(model.keys))
            for tag in tags {
                #expect(
                    objects[tag].map(Array.init) == model[tag] && objects.length(tag) == model[tag]?.count)
                let number = model[tag].map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
                #expect(objects.number(tag) == number || (model[tag]?.count ?? 0) > 8)
            }
            let nodes = try TLVNode.parse(objects.encoded(), padding: .none)
            #expect(nodes.map(\.tag) == objects.tags)
            #expect(nodes.allSatisfy { $0.content == .primitive(model[$0.tag] ?? [0xFF]) })
        }
    }
}
