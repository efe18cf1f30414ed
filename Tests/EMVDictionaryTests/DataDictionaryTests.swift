import BERTLV
import Foundation
import TestTools
import Testing

@testable import EMV
@testable import EMVDictionary
@testable import EMVDictionary
@testable import EMVDictionary
@testable import EMVDictionary
@testable import EMVDictionary
@testable import EMVDictionary

typealias EMVTag = BERTLV.Tag

@Suite struct DataDictionaryTests {
    @Test func everyLineOfTheTableIsRead() {
        let lines = DictionaryTable.groups.flatMap { $0.split(separator: "\n") }
        for line in lines where DataDictionary.Entry(line: line) == nil {
            Issue.record("unreadable: \(line)")
        }
        #expect(DataDictionary.entries.count == lines.count)
        #expect(DataDictionary.tagCount >= 450)
        #expect(DataDictionary.entries.allSatisfy { !$0.contexts.isEmpty && !$0.name.isEmpty })
    }

    @Test func tagsAreWellFormedAndMeaningsUniqueByContextAndTemplate() {
        var seen: Set<String> = []
        for entry in DataDictionary.entries {
            #expect(entry.tag.isWellFormed, "\(entry.tag)")
            for context in entry.contexts {
                let places = entry.templates.isEmpty ? ["anywhere"] : entry.templates.map(\.description)
                for place in places {
                    #expect(
                        seen.insert("\(entry.tag) \(context) \(place)").inserted,
                        "\(entry.tag) has two meanings for \(context) in \(place)")
                }
            }
            for template in entry.templates {
                #expect(template.isConstructed, "\(template) holds \(entry.tag)")
            }
        }
    }

    @Test func digitsFitLengths() {
        for entry in DataDictionary.entries {
            if let digits = entry.maximumDigits {
                #expect([.n, .cn].contains(entry.format), "\(entry.tag)")
                #expect(digits <= entry.lengths.upperBound * 2, "\(entry.tag)")
            }
        }
    }

    /// The constants are source text, so they are read as such.
    @Test func everyConstantIsInTheDictionaryAndTheOtherWayRound() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Sources/Foundations/EMV/Core/Tags.swift")
        let source = try String(contentsOf: file, encoding: .utf8)
        var constants: [String: BERTLV.Tag] = [:]
        for match in source.matches(of: /static var (\w+): Tag \{\s*Tag\(0x([0-9A-F]+)\)\s*\}/) {
            let name = String(match.1)
            #expect(constants[name] == nil, "\(name) twice")
            constants[name] = BERTLV.Tag(hex: match.2)
        }
        let named = DataDictionary.entries.filter { $0.constantName != nil }
        for entry in named {
            #expect(constants[entry.constantName ?? ""] == entry.tag, "\(entry.tag) \(entry.name)")
        }
        #expect(constants.count == named.count)
        #expect(BERTLV.Tag.applicationFileLocator == 0x94)
        #expect(BERTLV.Tag.userInterfaceRequestData == 0xDF8116)
    }

    @Test(arguments: [
        ("9F6E", DictionaryContext.kernel2, "Third Party Data"),
        ("9F6E", .mastercard, "Third Party Data"),
        ("9F6E", .kernel3, "Form Factor Indicator (FFI)"),
        ("9F6E", .visa, "Form Factor Indicator (FFI)"),
        ("9F6E", .kernel4, "Enhanced Contactless Reader Capabilities"),
        ("9F66", .kernel2, "PUNATC (Track2)"),
        ("9F66", .kernel3, "Terminal Transaction Qualifiers (TTQ)"),
        ("9F66", .emv, "Terminal Transaction Qualifiers (TTQ)"),
        ("9F5D", .kernel2, "Application Capabilities Information"),
        ("9F5D", .kernel3, "Available Offline Spending Amount (AOSA)"),
        ("9F6B", .kernel2, "Track 2 Data"),
        ("9F6B", .kernel3, "Card CVM Limit"),
        ("9F7C", .kernel2, "Merchant Custom Data"),
        ("9F7C", .kernel3, "Customer Exclusive Data (CED)"),
        ("9F5A", .kernel3, "Application Program Identifier (Program ID)"),
        ("9F6D", .kernel2, "Mag-stripe Application Version Number (Reader)"),
        ("9F6D", .kernel4, "Contactless Reader Capabilities"),
        ("9F79", .kernel7, "Electronic Cash Balance"),
        ("DF60", .kernel2, "DS Input (Card)"),
        ("DF60", .kernel7, "CAPP Transaction Indicator"),
        ("9F2A", .kernel3, "Kernel Identifier"),
        ("5F2A", .kernel3, "Transaction Currency Code"),
        ("9F8210", .kernel8, "Outcome Parameter Set"),
        ("64", .iso7816, "File Management Data (FMD) Template"),
    ])
    func meaningsByContext(tag: String, context: DictionaryContext, name: String) throws {
        let tag = try #require(EMVTag(hex: tag))
        #expect(DataDictionary.entry(for: tag, in: context)?.name == name)
    }

    @Test func meaningsByTemplateAndLength() {
        #expect(DataDictionary.entry(for: 0x82, within: 0x62)?.name == "File Descriptor")
        #expect(DataDictionary.entry(for: 0x82)?.name == "Application Interchange Profile (AIP)")
        #expect(DataDictionary.entry(for: 0xDF51, within: 0xBF4C)?.name == "Finger Try Counter")
        #expect(DataDictionary.entry(for: 0xDF51, within: 0xBF4D)?.name == "Preferred Finger Attempts")
        #expect(DataDictionary.entry(for: 0x9F6E, length: 4)?.name == "Form Factor Indicator (FFI)")
        #expect(DataDictionary.entry(for: 0x9F6E, length: 7)?.name == "Third Party Data")
        #expect(DataDictionary.entry(for: 0x9F66, length: 2)?.name == "PUNATC (Track2)")
        #expect(DataDictionary.entry(for: 0xDF7F) == nil)
        #expect(DataDictionary.meanings(of: 0x9F6E).count >= 4)
    }

    /// EMV Book 3, Annex A: formats and lengths of well-known objects.
    @Test(arguments: [
        ("9F02", DataDictionary.Format.n, 6...6, 12 as Int?), ("9A", .n, 3...3, 6), ("5F2A", .n, 2...2, 3),
        ("5A", .cn, 1...10, 19), ("9F26", .b, 8...8, nil), ("9F10", .b, 0...32, nil),
        ("9F1C", .an, 8...8, nil), ("9F16", .ans, 15...15, nil), ("9F33", .b, 3...3, nil),
        ("9F40", .b, 5...5, nil), ("95", .b, 5...5, nil), ("9F41", .n, 2...4, 8),
        ("9F24", .an, 29...29, nil), ("9F01", .n, 6...6, 11), ("5F34", .n, 1...1, 2),
    ])
    func formats(tag: String, format: DataDictionary.Format, lengths: ClosedRange<Int>, digits: Int?) throws {
        let tag = try #require(EMVTag(hex: tag))
        let entry = try #require(DataDictionary.entry(for: tag))
        #expect(entry.format == format)
        #expect(entry.lengths == lengths)
        #expect(entry.maximumDigits == digits)
    }

    /// The switch that fits values to DOLs agrees with the dictionary about numeric formats.
    @Test func paddingFormatsAgree() {
        for entry in DataDictionary.entries where entry.contexts.contains(.emv) && entry.templates.isEmpty {
            let padding = DataObjectList.PaddingFormat(entry.tag)
            switch entry.format {
            case .n: #expect(padding == .numeric, "\(entry.tag) \(entry.name)")
            case .cn: #expect(padding == .compressedNumeric, "\(entry.tag) \(entry.name)")
            default: #expect(padding == .other, "\(entry.tag) \(entry.name)")
            }
        }
    }

    @Test func sensitiveDataAreMarked() {
        for tag: BERTLV.Tag in [
            0x5A, 0x57, 0x56, 0x5F20, 0x9F0B, 0x9F1F, 0x9F20, 0x99, 0x9F6B, 0xDF812A, 0xDF812B,
        ] {
            let entry = DataDictionary.entry(for: tag, in: .kernel2)
            #expect(entry?.isSensitive == true, "\(tag)")
        }
        #expect(DataDictionary.entry(for: 0x9F26)?.isSensitive == false)
    }

    @Test func codes() {
        #expect(CodeTable.country(276)?.alpha2 == "DE")
        #expect(CodeTable.country("usa")?.numeric == 840)
        #expect(CodeTable.currency(978)?.alpha == "EUR")
        #expect(CodeTable.currency("JPY")?.minorUnits == 0)
        #expect(CodeTable.currency("KWD")?.minorUnits == 3)
        #expect(CodeTable.currency(156)?.alpha == "CNY")
        #expect(CodeTable.language("de") == "German")
        #expect(CodeTable.countries.count >= 249)
        #expect(CodeTable.currencies.count >= 170)
        #expect(Set(CodeTable.countries.map(\.numeric)).count == CodeTable.countries.count)
        #expect(Set(CodeTable.currencies.map(\.numeric)).count == CodeTable.currencies.count)
    }

    /// ISO 4217, list of January 2026: all that have no two decimals.
    @Test func minorUnits() {
        func letters(_ digits: Int) -> [String] {
            CodeTable.currencies.filter { $0.minorUnits == digits }.map(\.alpha).sorted()
        }
        #expect(
            letters(0).joined(separator: " ")
                == """
                BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XAG XAU XBA XBB XBC XBD XDR XOF XPD \
                XPF XPT XSU XTS XUA XXX
                """)
        #expect(letters(3) == ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
        #expect(letters(4) == ["CLF", "UYW"])
        // 178 of the list, five withdrawn.
        #expect(CodeTable.currencies.count == 178 + 5)
        #expect(Set(CodeTable.currencies.map(\.alpha)).count == CodeTable.currencies.count)
    }

    /// Each currency of another copy of ISO 4217, and of ours those alone that were withdrawn.
    @Test(.needs(.oracles)) func minorUnitsOfAnotherTable() throws {
        var others: Set<Int> = []
        for line in try PythonOracle("currencies.py").lines() {
            let parts = line.split(separator: " ")
            try #require(parts.count == 3)
            let number = try #require(Int(parts[0]))
            others.insert(number)
            #expect(CodeTable.currency(number)?.alpha == String(parts[1]), "\(line)")
            // Without a minor unit amounts are whole.
            let digits = parts[2] == "-" ? 0 : try #require(UInt8(parts[2]))
            #expect(CodeTable.minorUnits(of: try #require(NumericCode(number))) == digits, "\(line)")
        }
        #expect(others.count == 178)
        let own = CodeTable.currencies.filter { !others.contains($0.numeric) }.map(\.alpha).sorted()
        #expect(own == ["BGN", "CUC", "HRK", "SLL", "ZWL"])
    }

    @Test func minorUnitsOfEveryCode() throws {
        for number in 0...999 {
            let code = try #require(NumericCode(number))
            #expect(Int(CodeTable.minorUnits(of: code)) == CodeTable.currency(number)?.minorUnits ?? 2)
        }
    }

    @Test(arguments: [
        (532, "XCG", 2), (924, "ZWG", 2), (396, "XAD", 2), (949, "TRY", 2), (990, "CLF", 4), (927, "UYW", 4),
        (414, "KWD", 3), (392, "JPY", 0), (600, "PYG", 0), (933, "BYN", 2), (963, "XTS", 0), (975, "BGN", 2),
    ]) func currencies(_ numeric: Int, _ letters: String, _ digits: Int) {
        let currency = CodeTable.currency(numeric)
        #expect(currency?.alpha == letters && currency?.minorUnits == digits)
        #expect(CodeTable.currency(letters.lowercased()) == currency)
    }
}
