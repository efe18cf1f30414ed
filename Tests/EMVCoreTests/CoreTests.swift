import BERTLV
import EMV
import TestTools
import Testing

typealias Tag = BERTLV.Tag

func bytes(_ hex: String) throws -> [UInt8] { try #require(Hex.bytes(hex)) }

/// EMV Book 3, 5.4: values fitted to the lengths that a DOL asks for.
@Suite struct DataObjectListTests {
    static func fill(_ list: String, _ objects: [(Tag, String)]) throws -> String {
        var data = DataObjects()
        for (tag, value) in objects { data.set(tag, try bytes(value)) }
        var output: [UInt8] = []
        let raw = try bytes(list)
        try DataObjectList.fill(raw.span, name: 0x9F38, from: data, into: &output)
        return Hex.string(output)
    }

    @Test(
        arguments: [
            // As long as asked for.
            ("9F0206", [(0x9F02, "000000001250")], "000000001250"),
            // Format n: cut on the left, zeros on the left.
            ("9F0204", [(0x9F02, "000000001250")], "00001250"),
            ("9F0208", [(0x9F02, "000000001250")], "0000000000001250"),
            ("5F2A01", [(0x5F2A, "0978")], "78"), ("5F2A03", [(0x5F2A, "0978")], "000978"),
            ("9A02", [(0x9A, "261120")], "1120"),
            // Format cn: cut on the right, FF on the right.
            ("5A04", [(0x5A, "4761739001010119")], "47617390"),
            ("5A0A", [(0x5A, "4761739001010119")], "4761739001010119FFFF"),
            // Other formats: cut on the right, zeros on the right.
            ("9F3702", [(0x9F37, "1A2B3C4D")], "1A2B"), ("9F3706", [(0x9F37, "1A2B3C4D")], "1A2B3C4D0000"),
            ("9F1E04", [(0x9F1E, "4142434445464748")], "41424344"),
            ("9504", [(0x95, "8000000001")], "80000000"),
            // Unknown to the terminal, or a template: zeros.
            ("9F6E04", [], "00000000"), ("7003", [(0x70, "AABBCC")], "000000"), ("DF812903", [], "000000"),
            // Nothing asked for, of a known object and in all.
            ("9F0200", [(0x9F02, "000000001250")], ""), ("", [], ""),
            // An empty value is padded whole.
            ("9F3702", [(0x9F37, "")], "0000"),
            (
                "9F66049F02069F1A0295055F2A029A039C019F3704",
                [
                    (0x9F66, "3600C000"), (0x9F02, "000000001250"), (0x9F1A, "0276"), (0x95, "0000000000"),
                    (0x5F2A, "0978"), (0x9A, "261120"), (0x9C, "00"), (0x9F37, "1A2B3C4D"),
                ], "3600C0000000000012500276000000000009782611 20001A2B3C4D".replacing(" ", with: "")
            ),
        ] as [(String, [(Tag, String)], String)]) func rules(
            _ list: String, _ objects: [(Tag, String)], _ expected: String
        ) throws
    {
        #expect(try Self.fill(list, objects) == expected)
    }

    @Test(arguments: ["9F", "9F02", "9F0206 9F", "DF81", "DF818181 01", "9F02069F66"]) func malformed(
        _ list: String
    ) {
        #expect(throws: DataFormatError.self) { try Self.fill(list, []) }
        #expect(throws: DataFormatError.self) { try DataObjectList.entries(try bytes(list), name: 0x9F38) }
    }

    /// A list that asks for as much as one can: bounded by one length byte for each entry.
    @Test func absurdLists() throws {
        let list = String(repeating: "9F37FF", count: 300)
        #expect(try Self.fill(list, [(0x9F37, "01")]).count == 300 * 255 * 2)
        let raw = try bytes(list)
        let isThere = try DataObjectList.contains(0x9F37, in: raw.span, name: 0x9F38)
        let isElsewhere = try DataObjectList.contains(0x9F66, in: raw.span, name: 0x9F38)
        #expect(isThere && !isElsewhere)
    }

    @Test func noise() {
        var random = SplitMix(seed: 5)
        let data: DataObjects = [0x9F02: [0, 0, 0, 0, 0x12, 0x50], 0x9F37: [1, 2, 3, 4]]
        for _ in 0..<20_000 {
            let list = (0..<random.below(20)).map { _ in UInt8(random.below(256)) }
            var output: [UInt8] = []
            let entries = try? DataObjectList.entries(list, name: 0x9F38)
            var isFilled = true
            do { try DataObjectList.fill(list.span, name: 0x9F38, from: data, into: &output) } catch {
                isFilled = false
            }
            #expect(isFilled == (entries != nil))
            if let entries { #expect(output.count == entries.reduce(0) { $0 + $1.length }) }
        }
    }
}

/// EMV Book 3, 10.2: four bytes for each file.
@Suite struct ApplicationFileLocatorTests {
    @Test func entries() throws {
        let locator = try ApplicationFileLocator(try bytes("08010100 10010301 F0020402"))
        #expect(locator.entries.map(\.sfi) == [1, 2, 30])
        #expect(locator.entries.map(\.firstRecord) == [1, 1, 2])
        #expect(locator.entries.map(\.lastRecord) == [1, 3, 4])
        #expect(locator.entries.map(\.authenticatedRecords) == [0, 1, 2])
        // Bits 3 to 1 of the first byte are reserved and passed over.
        #expect(try ApplicationFileLocator(try bytes("0F010100")).entries.map(\.sfi) == [1])
    }

    @Test(arguments: [
        "", "08", "080101", "0801010008", "00010100", "F8010100", "08000100", "08020100",
        "08010102", "0801FF00FF",
    ]) func malformed(_ hex: String) throws {
        // An empty locator may be no error, but then it names nothing.
        let value = try bytes(hex)
        if value.isEmpty {
            #expect((try? ApplicationFileLocator(value))?.entries.isEmpty ?? true)
        } else {
            #expect(throws: DataFormatError.self) { try ApplicationFileLocator(value) }
        }
    }

    @Test func noise() {
        var random = SplitMix(seed: 6)
        for _ in 0..<20_000 {
            let value = (0..<random.below(26)).map { _ in UInt8(random.below(256)) }
            guard let locator = try? ApplicationFileLocator(value) else { continue }
            for entry in locator.entries {
                #expect((1...30).contains(entry.sfi) && entry.firstRecord >= 1)
                #expect(entry.firstRecord <= entry.lastRecord)
                #expect(Int(entry.authenticatedRecords) <= Int(entry.lastRecord) - Int(entry.firstRecord) + 1)
            }
        }
    }
}

@Suite struct AccountTests {
    @Test(arguments: [
        ("4761739001010119", "476173******0119"), ("4000001234562", "400000***4562"),
        ("12345678", "****5678"),
        ("4761739001010119123", "476173*********9123"), ("371449635398431", "371449*****8431"),
    ]) func masked(_ digits: String, _ expected: String) throws {
        let number = try #require(PrimaryAccountNumber(digits: digits))
        #expect(number.masked == expected)
        #expect(number.clearDigits == digits)
        var dumped = ""
        dump(number, to: &dumped)
        for text in ["\(number)", String(reflecting: number), dumped] { #expect(!text.contains(digits)) }
    }

    @Test(arguments: ["", "1234567", "12345678901234567890", "47617390A1010119", "４７６１７３９０"]) func notNumbers(
        _ text: String
    ) { #expect(PrimaryAccountNumber(digits: text) == nil) }

    @Test(arguments: [
        ("4761739001010119", "4761739001010119"), ("4000001234562F", "4000001234562"),
        ("476173900101011912FF", "476173900101011912"), ("4761739F01010119", nil), ("47617390F1010119", nil),
        ("F761739001010119", nil), ("476173", nil), ("4761739001010119123A", nil), ("", nil),
    ]) func compressedNumeric(_ hex: String, _ digits: String?) throws {
        #expect(PrimaryAccountNumber(compressedNumeric: try bytes(hex))?.clearDigits == digits)
    }

    /// ISO/IEC 7812-1, Annex B; numbers published by the schemes.
    @Test(arguments: [
        ("4111111111111111", true), ("378282246310005", true), ("6011111111111117", true),
        ("5555555555554444", true), ("4111111111111112", false), ("4761739001010119", true),
    ]) func checkDigit(_ digits: String, _ isRight: Bool) throws {
        #expect(try #require(PrimaryAccountNumber(digits: digits)).hasValidCheckDigit == isRight)
    }

    @Test(
        arguments: [
            ("4761739001010119D31122010000012300000F", "4761739001010119", 3112, 201),
            ("4000001234562D2512", "4000001234562", 2512, nil),
            ("4761739001010119D3112201FF", "4761739001010119", 3112, 201),
            ("47617390010101191D31122011234F", "47617390010101191", 3112, 201),
        ] as [(String, String, Int, Int?)]) func track2(
            _ hex: String, _ number: String, _ expiry: Int, _ service: Int?
        ) throws
    {
        let track = try #require(
            Track2EquivalentData(try bytes(hex.count.isMultiple(of: 2) ? hex : hex + "F")))
        #expect(track.primaryAccountNumber.clearDigits == number)
        #expect(track.expiry == expiry && track.serviceCode == service)
        var dumped = ""
        dump(track, to: &dumped)
        for text in ["\(track)", String(reflecting: track), dumped] { #expect(!text.contains(number)) }
    }

    @Test(arguments: [
        "", "D3112", "4761739001010119", "4761739001010119D311F", "4761739001010119D31A2201",
        "476173D31122010F",
        "4761739001010119E31122010F", "4761739001010119D31122010000012300000000000000",
        "FFFF", "47617390010101191234D31122010F",
    ]) func notTracks(_ hex: String) throws {
        #expect(Track2EquivalentData(try bytes(hex.count.isMultiple(of: 2) ? hex : hex + "F")) == nil)
    }

    @Test func noise() {
        var random = SplitMix(seed: 8)
        for _ in 0..<20_000 {
            var value = (0..<random.below(21)).map { _ in UInt8(random.below(10) << 4 | random.below(10)) }
            if !value.isEmpty { value[random.below(value.count)] = UInt8(random.below(256)) }
            if value.count > 9 { value[8] = 0xD0 | UInt8(random.below(16)) }
            _ = PrimaryAccountNumber(compressedNumeric: value)
            guard let track = Track2EquivalentData(value) else { continue }
            #expect((8...19).contains(track.primaryAccountNumber.digitCount))
            #expect((0...9999).contains(track.expiry))
            _ = track.clearText()
            _ = track.clearDiscretionaryData
        }
    }
}

@Suite struct NumberTests {
    /// EMV Book 4, 6.7.3: 00 to 49 are of this century.
    @Test(arguments: [
        ("261120", 2026, 11, 20), ("491231", 2049, 12, 31), ("500101", 1950, 1, 1), ("240229", 2024, 2, 29),
        ("000229", 2000, 2, 29), ("991231", 1999, 12, 31),
    ]) func dates(_ hex: String, _ year: Int, _ month: Int, _ day: Int) throws {
        let date = try #require(EMVDate(bytes: try bytes(hex)))
        #expect(date.year == year && date.month == month && date.day == day)
        #expect(Hex.string(date.bytes) == hex)
    }

    @Test(arguments: ["261320", "260020", "261100", "260231", "250229", "26112A", "2611", "26112000", ""])
    func notDates(_ hex: String) throws { #expect(EMVDate(bytes: try bytes(hex)) == nil) }

    @Test func orderOfDates() throws {
        let old = try #require(EMVDate(bytes: try bytes("991231")))
        let new = try #require(EMVDate(bytes: try bytes("000101")))
        #expect(old < new)
    }

    /// Twelve digits in minor units, and no more.
    @Test func amounts() {
        #expect(Amount(minorUnits: 999_999_999_999)?.minorUnits == 999_999_999_999)
        #expect(Amount(minorUnits: 1_000_000_000_000) == nil)
        #expect(Amount(clamping: .max).minorUnits == 999_999_999_999)
        #expect(NumericCode(978)?.value == 978 && NumericCode(1000) == nil && NumericCode(-1) == nil)
    }

    @Test(
        arguments: [
            ("", 0), ("00", 0), ("12", 12), ("0978", 978), ("999999999999", 999_999_999_999), ("1A", nil),
            ("A1", nil),
            ("FF", nil), ("00000000000000000000", nil),
        ] as [(String, UInt64?)]) func packedDecimals(_ hex: String, _ value: UInt64?) throws
    {
        let raw = try bytes(hex)
        let number = BCD.number(raw.span)
        #expect(number == value)
    }

    @Test func decimalsArePacked() {
        #expect(BCD.bytes(978, count: 2) == [0x09, 0x78])
        #expect(BCD.bytes(1250, count: 6) == [0, 0, 0, 0, 0x12, 0x50])
        // Digits that have no room are cut on the left, as format n is.
        #expect(BCD.bytes(12345, count: 2) == [0x23, 0x45])
    }
}

@Suite struct DataObjectsTests {
    @Test func presentEmptyAndAbsent() {
        var data = DataObjects()
        #expect(data[0x9F02] == nil && !data.contains(0x9F02) && data.isEmpty)
        data.set(0x9F02, [])
        #expect(data[0x9F02] == [] && data.length(0x9F02) == 0 && data.count == 1)
        data.set(0x9F02, [1, 2])
        data.set(0x9F02, [3, 4])
        data.set(0x9F02, [5, 6, 7])
        #expect(data[0x9F02].map(Array.init) == [5, 6, 7])
        data.remove(0x9F02)
        #expect(!data.contains(0x9F02))
    }

    @Test func numbersAndEncoding() {
        var data = DataObjects()
        data.set(0x9F37, number: 0x1A2B_3C4D, count: 4)
        data.set(0x9F02, [0, 0, 0, 0, 0x12, 0x50])
        #expect(data.number(0x9F37) == 0x1A2B_3C4D && data.decimal(0x9F02) == 1250)
        #expect(Hex.string(data.encoded()) == "9F37041A2B3C4D9F0206000000001250")
        #expect(Hex.string(data.encoded([0x9F02, 0x9F99])) == "9F0206000000001250")
        #expect(!"\(data)".contains("1A2B"))
        var other = DataObjects()
        other.set(0x9F02, [0, 0, 0, 0, 0x12, 0x50])
        other.set(0x9F37, [0x1A, 0x2B, 0x3C, 0x4D])
        #expect(data == other)
        other.merge([0x9F37: [0]])
        #expect(data != other)
    }
}
