import BERTLV
import Foundation
import TestTools
import Testing

@testable import EMV
@testable import EMVCryptography
@testable import EMVDictionary
@testable import EMVCryptography
@testable import EMVDictionary
@testable import EMVCryptography
@testable import EMVDictionary
@testable import EMVDictionary
@testable import EMVCryptography
@testable import EMVDictionary
@testable import EMVCryptography
@testable import EMVDictionary

/// Values with expectations from the books, the references' tests, and public samples.
@Suite struct DecoderTests {
    func explain(_ hex: String, _ change: (inout EMVDecoder.Options) -> Void = { _ in }) -> ExplainedNode {
        var options = EMVDecoder.Options()
        change(&options)
        return EMVDecoder.explain(hex: hex, options)
    }

    /// Texts that the rendering of a data object must hold.
    static let values: [(hex: String, context: DictionaryContext, texts: [String])] = [
        (
            "82023C00", .emv,
            [
                "DDA", "cardholder verification supported", "terminal risk management",
                "issuer authentication supported",
            ]
        ),
        ("82022020", .kernel3, ["(fDDA) supported", "contactless transaction"]),
        ("82021980", .kernel2, ["cardholder verification supported", "CDA", "EMV mode supported"]),
        (
            "9F0702FF80", .emv,
            ["domestic cash", "international services", "valid at ATMs", "domestic cashback allowed"]
        ),
        (
            "950542C0048000", .emv,
            [
                "byte 1 bit 7: SDA failed", "SDA selected", "different application versions",
                "expired application", "online CVM captured", "exceeds floor limit",
            ]
        ),
        (
            "9505 0000000006", .kernel2,
            ["relay resistance time limits exceeded", "Relay Resistance Protocol performed"]
        ),
        (
            "9B02E800", .emv,
            ["offline data authentication was performed", "terminal risk management was performed"]
        ),
        (
            "9F660436C04000", .kernel3,
            [
                "EMV mode supported", "EMV contact chip supported", "online PIN supported",
                "signature supported", "online cryptogram required", "CVM required",
                "Consumer Device CVM supported",
            ]
        ),
        (
            "9F6C02A080", .kernel3,
            [
                "online PIN required", "go online if offline data authentication fails",
                "Consumer Device CVM performed",
            ]
        ),
        ("9F270180", .emv, ["ARQC"]),
        ("9F270140", .emv, ["TC (approved)"]),
        ("9F270102", .emv, ["AAC (declined)", "PIN Try Limit exceeded"]),
        (
            "9F3303E0F8C8", .emv,
            [
                "manual key entry", "IC with contacts", "plaintext PIN for ICC", "No CVM required", "SDA",
                "DDA", "CDA",
            ]
        ),
        (
            "9F4005FF80F0F001", .emv,
            [
                "cash", "administrative", "cash deposit", "function keys", "display, cardholder",
                "code table 1",
            ]
        ),
        ("9F350122", .emv, ["operated by the merchant", "attended, offline with online capability"]),
        ("9F350114", .emv, ["operated by the financial institution", "unattended, online only"]),
        ("9F34031F0302", .emv, ["No CVM required", "if terminal supports the CVM", "result: successful"]),
        ("9F34033F0000", .emv, ["no CVM performed", "always", "result: unknown"]),
        (
            "8E0E000000000000000042031E031F03", .emv,
            [
                "enciphered PIN verified online", "then apply the next rule",
                "signature, if terminal supports", "No CVM required", "fail if unsuccessful",
            ]
        ),
        (
            "94080801010010010301", .emv,
            ["SFI 1, record 1", "SFI 2, records 1 to 3, the first authenticated"]
        ),
        (
            "9F3818 9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704", .emv,
            ["9F66 Terminal Transaction Qualifiers (TTQ): 4 bytes", "9 data objects, 33 bytes in all"]
        ),
        ("9F4A0182", .emv, ["82 Application Interchange Profile"]),
        ("5F2A020978", .emv, ["EUR"]), ("5F2A020392", .emv, ["JPY", "0 decimals"]),
        ("9F1A020276", .emv, ["Germany"]), ("5F28020840", .emv, ["United States"]),
        ("5F55024E4C", .emv, ["Netherlands"]),
        ("5F2D046465656E", .emv, ["de: German", "en: English"]),
        ("5F2403311231", .emv, ["2031-12-31"]), ("9A03991331", .emv, ["not a date"]),
        ("9A03991231", .emv, ["1999-12-31"]),
        ("9F2103235959", .emv, ["23:59:59"]), ("9C0109", .emv, ["cashback"]),
        ("9F390107", .emv, ["contactless EMV"]),
        ("9F360200FF", .emv, ["255"]), ("870181", .emv, ["priority 1", "cardholder confirmation"]),
        ("8A025931", .emv, ["\"Y1\": offline approved"]),
        ("9F2A0103", .entryPoint, ["international kernel", "Kernel 3"]),
        ("9F2A03810978", .entryPoint, ["domestic kernel, EMVCo format", "short Kernel ID 1", "EUR"]),
        ("9F0A0400010102", .emv, ["European Cards Stakeholders Group", "product type: credit"]),
        (
            "9F6E0423A60000", .kernel3,
            [
                "version 1", "consumer mobile phone", "passcode capable", "hologram", "cloud-based",
                "biometric",
            ]
        ),
        ("9F6E04 20700000", .kernel3, ["version 1", "card", "signature panel", "CVV2"]),
        (
            "9F6E0708400000303000", .kernel2,
            ["United States", "unique identifier 0000", "device type 00: card"]
        ),
        (
            "9F6907 01 12345678 1680", .kernel3,
            ["fDDA version 1", "12345678", "Consumer Device CVM performed"]
        ),
        // Visa, CVN 10, as in the references' samples.
        (
            "9F100706010A03A0A000", .kernel3,
            ["Visa, format 0", "CVN10", "GPO returned ARQC", "second GENERATE AC not requested"]
        ),
        (
            "9F10201F43630020000000000000000000000000000000000000000000000000000000",
            .kernel3, ["Visa, format 4"]
        ),
        // M/Chip 4: ARQC, offline PIN not performed, as in the references' samples.
        (
            "9F10120110A00003220000000000000000000000FF", .kernel2,
            ["M/Chip", "Derivation Key Index 01", "first GENERATE AC returned ARQC"]
        ),
        (
            "910A11223344556677883030", .emv,
            ["ARPC 1122334455667788", "\"00\": approved"]
        ),
        (
            "9108 11223344 00820000", .emv,
            ["Card Status Update", "issuer approves online transaction", "reset offline counters"]
        ),
        ("9F5D03010000", .kernel2, ["data storage version 1"]),
        (
            "9F1D086C7A800000000000", .kernel2,
            [
                "enciphered PIN verified online (contactless)",
                "mag-stripe mode contactless transactions not supported",
            ]
        ),
        (
            "DF812908 30F0F02830F0FF00", .kernel2,
            [
                "status: online request", "start: not applicable", "CVM: online PIN", "data record present",
                "discretionary data present", "field off request: not applicable",
            ]
        ),
        (
            "DF811616 1A 04 000013 656E000000000000 10 000000001500 0978", .kernel2,
            [
                "approved, please sign", "card read successfully", "13 hundreds", "en",
                "value qualifier: amount", "EUR 15.00",
            ]
        ),
        (
            "DF8115060001006A8207", .kernel2,
            ["L1: OK", "card data missing", "file or application not found", "not authorised"]
        ),
        ("DF811B0120", .kernel2, ["on-device cardholder verification supported"]),
        ("9F6D01C8", .kernel4, ["contactless EMV and mag-stripe, CVM required"]),
        (
            "9F6E04D8E04003", .kernel4,
            ["contact mode supported", "online PIN supported", "CVM required", "2.7 or later"]
        ),
        ("9F7103010002", .kernel4, ["mobile CVM performed", "mobile CVM successful"]),
        ("5F3002 0201", .emv, ["use IC where feasible", "no restrictions"]),
        ("9F4D020B0A", .emv, ["SFI 11, 10 records"]),
        ("84 0E 325041592E5359532E4444463031", .emv, ["\"2PAY.SYS.DDF01\""]),
        ("4F07A0000000031010", .emv, ["Visa", "PIX 1010"]),
        ("5004 56495341", .emv, ["\"VISA\""]),
    ]

    @Test(arguments: values) func valuesSay(hex: String, context: DictionaryContext, texts: [String]) {
        let node = explain(hex) {
            $0.context = context
            $0.kind = .tlv
        }
        let text = node.text()
        #expect(!node.hasErrors, "\(text)")
        for wanted in texts { #expect(text.contains(wanted), "\(wanted) not in\n\(text)") }
    }

    @Test func unsetBitsAreShownOnDemand() {
        let few = explain("95050000008000").lines
        let all = explain("95050000008000") { $0.showUnsetBits = true }.lines
        #expect(few.count == 1)
        #expect(all.count > 30)
        #expect(all.filter { $0.isSet == true }.count == 1)
        #expect(explain("9B020001").text().contains("byte 2 bit 1: RFU"))
    }

    @Test func fileControlInformation() throws {
        let node = explain(
            "6F3B840E325041592E5359532E4444463031A529BF0C2661244F08A0000000250104035010416D65726963616E204578707265737387010 19F280240049000"
        )
        #expect(node.name == "Response APDU")
        #expect(node.first(tag: "4F")?.value == "A000000025010403")
        #expect(node.first(tag: "50")?.lines == [ExplanationLine("\"American Express\"")])
        #expect(node.first(tag: "BF0C")?.offset == 20)
        #expect(node.first(tag: "9F28")?.name == "Unknown data object")
        let status = try #require(node.children.last)
        #expect(status.value == "9000" && status.lines.first?.text == "success")
    }

    @Test func amountsUseTheCurrencyOfTheInput() {
        let text = explain("9F02060000000015005F2A0209789F0306000000000000").text()
        #expect(text.contains("EUR 15.00"))
        #expect(text.contains("EUR 0.00"))
        #expect(explain("9F02060000000015005F2A020392").text().contains("JPY 1500"))
        #expect(explain("9F02060000000015005F2A020414").text().contains("KWD 1.500"))
        #expect(explain("9F0206000000001500").text().contains("1500 minor units"))
    }

    @Test func responseTemplate80() {
        let options = explain("800A1980 08010100 10010300 9000".replacingOccurrences(of: " ", with: ""))
        #expect(options.first(tag: "82")?.value == "1980")
        #expect(options.first(tag: "94")?.value == "0801010010010300")
        let cryptogram = explain("8012 80 0001 1122334455667788 06010A03A0A000") { $0.context = .kernel3 }
        #expect(cryptogram.first(tag: "9F27")?.value == "80")
        #expect(cryptogram.first(tag: "9F36")?.value == "0001")
        #expect(cryptogram.first(tag: "9F26")?.value == "1122334455667788")
        #expect(cryptogram.text().contains("CVN10"))
        #expect(cryptogram.first(tag: "9F26")?.offset == 5)
    }

    @Test func contextComesFromTheAID() {
        let visa = explain("6F128407A0000000031010A5079F6E0420700000")
        #expect(visa.first(tag: "9F6E")?.name == "Form Factor Indicator (FFI)")
        let mastercard = explain("6F158407A0000000041010A50A9F6E0708400000303000")
        #expect(mastercard.first(tag: "9F6E")?.name == "Third Party Data")
    }

    @Test(arguments: [
        (
            "00A404000E325041592E5359532E444446303100", "SELECT",
            ["by name", "\"2PAY.SYS.DDF01\"", "first or only"]
        ),
        ("00A4040007A000000003101000", "SELECT", ["Visa"]),
        ("80A8000002830000", "GET PROCESSING OPTIONS", ["83 Command Template"]),
        ("00B2011400", "READ RECORD", ["SFI 2", "record 1"]),
        (
            "80AE900004 01020304 00", "GENERATE AC",
            ["ARQC requested", "CDA signature requested", "CDOL Related Data"]
        ),
        ("80CA9F1700", "GET DATA", ["9F17 Personal Identification Number (PIN) Try Counter"]),
        ("80CA9F36", "GET DATA", ["9F36 Application Transaction Counter"]),
        ("0084000000", "GET CHALLENGE", ["expects up to 256 bytes"]),
        ("008800000411223344 00", "INTERNAL AUTHENTICATE", ["DDOL Related Data"]),
        ("80EA00000411223344 00", "EXCHANGE RELAY RESISTANCE DATA", ["Terminal Relay Resistance Entropy"]),
        ("802A8E800400000012 00", "COMPUTE CRYPTOGRAPHIC CHECKSUM", ["UDOL Related Data"]),
        ("84DA9F580A 03 5D3A8E0A01020304 AA", "PUT DATA", ["secure messaging"]),
    ])
    func commands(hex: String, name: String, texts: [String]) {
        let node = explain(hex)
        #expect(node.name == "Command APDU: \(name)")
        #expect(!node.hasErrors, "\(node.text())")
        for wanted in texts { #expect(node.text().contains(wanted), "\(wanted) not in\n\(node.text())") }
    }

    @Test func commandDataBesideItsDOL() throws {
        let list = try #require(Hex.bytes("9F66049F02069F03069F1A0295055F2A029A039C019F3704"))
        let command =
            "80A80000238321" + "3600C000" + "000000001500" + "000000000000" + "0276" + "0000000000" + "0978"
            + "260311" + "00" + "12345678" + "00"
        let node = explain(command) { $0.dataObjectList = list }
        #expect(!node.hasErrors, "\(node.text())")
        #expect(node.first(tag: "9F66")?.value == "3600C000")
        #expect(node.first(tag: "9F37")?.value == "12345678")
        #expect(node.first(tag: "9A")?.lines.first?.text == "2026-03-11")
        let short = explain(String(command.prefix(40)) + "00") {
            $0.dataObjectList = list
            $0.kind = .command
        }
        #expect(short.hasErrors)
    }

    @Test(arguments: [
        ("9000", "success"), ("6A82", "file or application not found"), ("6985", "conditions of use"),
        ("6CFF", "255 bytes"), ("6100", "256 more bytes"), ("63C2", "2 tries left"), ("6986", "see phone"),
        ("6283", "invalidated"), ("6984", "invalidated"), ("6D00", "instruction not supported"),
    ])
    func statusWords(hex: String, text: String) {
        let node = explain(hex)
        #expect(node.name == "Response APDU")
        #expect(node.text().contains(text))
    }

    /// Samples of ISO/IEC 7816-3 and PC/SC Part 3 form.
    @Test func answersToReset() {
        let contact = explain("3B6500002063CB6800")
        #expect(contact.name == "Answer To Reset (ATR)" && !contact.hasErrors)
        let contactless = explain("3B8F8001804F0CA000000306030001000000006A")
        #expect(contactless.name == "Answer To Reset (ATR)" && !contactless.hasErrors)
        #expect(contactless.text().contains("PC/SC contactless storage card"))
        #expect(contactless.text().contains("T=1"))
        let wrong = explain("3B8F8001804F0CA000000306030001000000006B") { $0.kind = .atr }
        #expect(wrong.error == "offset 19: the check character TCK is wrong")
        let cut = explain("3B8F8001804F0C") { $0.kind = .atr }
        #expect(cut.error?.contains("15 historical bytes announced") == true)
        let select = explain("0578807002") { $0.kind = .ats }
        #expect(select.text().contains("FSC): 256 bytes") && !select.hasErrors)
        #expect(select.text().contains("FWI 7"))
    }

    @Test func dataObjectListsAreFound() {
        let node = explain("9F66049F02069F03069F1A0295055F2A029A039C019F3704")
        #expect(node.name == "Data Object List")
        #expect(
            node.children.map(\.tag) == ["9F66", "9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37"])
        #expect(node.children.map(\.length) == [4, 6, 6, 2, 5, 2, 3, 1, 4])
        let damaged = explain("9F66049F") { $0.kind = .dol }
        #expect(damaged.children.count == 1)
        #expect(damaged.error == "offset 3: the list ends inside an entry")
    }

    @Test func damageIsShownWithWhatWasReadable() throws {
        let node = explain(
            "70 15 9F26 08 1122334455667788 9F36 02 0001 9F10 07 0601".replacingOccurrences(of: " ", with: "")
        ) {
            $0.kind = .tlv
        }
        #expect(node.first(tag: "9F36")?.value == "0001")
        let last = try #require(node.first(tag: "9F10"))
        #expect(last.value == "0601")
        #expect(last.offset == 18)
        #expect(last.error == "tag 9F10 at offset 18: its length says 7 bytes, 2 are left")
        // The template's own length lies, too.
        let lying = explain("70 30 9F26 08 1122334455667788".replacingOccurrences(of: " ", with: "")) {
            $0.kind = .tlv
        }
        #expect(lying.first(tag: "9F26")?.value == "1122334455667788")
        #expect(lying.first(tag: "70")?.error?.contains("48 bytes") == true)
        #expect(explain("9F").hasErrors)
        #expect(explain("").error == "no data")
        #expect(explain("9F0").error == "3 hexadecimal digits: an even number is needed")
        #expect(explain("9F 0Z").error == "character 5 (Z) is not a hexadecimal digit")
        #expect(explain("0x9F360201FF").name == "Application Transaction Counter (ATC)")
    }

    @Test func deepNestingEnds() {
        var bytes: [UInt8] = []
        for _ in 0..<100 {
            var writer = BERTLVWriter()
            writer.append(0x70, bytes)
            bytes = writer.bytes
        }
        #expect(EMVDecoder.explain(bytes).hasErrors)
    }

    // MARK: Masking

    static let livePAN = "4929123456789012"

    @Test func sensitiveValuesAreMasked() {
        let record =
            "704F 5A08\(Self.livePAN) 5713\(Self.livePAN)D31122010000012345678F 5F200B444F452F4A414E45204D52"
            .replacingOccurrences(of: " ", with: "")
        let length = (record.count - 4) / 2
        let input = "70" + Hex.string([UInt8(length)]) + record.dropFirst(4)
        for kind in [EMVDecoder.Kind.tlv, .automatic, .response, .command] {
            let node = explain(input) { $0.kind = kind }
            for output in [node.text(), node.json(), node.text(colour: true)] {
                #expect(!output.contains(Self.livePAN), "\(output)")
                #expect(!output.contains("12345678"), "\(output)")
            }
        }
        let node = explain(input)
        #expect(node.first(tag: "5A")?.value == "492912******9012")
        #expect(node.first(tag: "5A")?.isMasked == true)
        #expect(node.first(tag: "57")?.value?.hasPrefix("492912******9012D") == true)
        #expect(node.first(tag: "57")?.value?.count == 38)
        #expect(node.text().contains("expires 2031-12"))
        #expect(!node.text().contains("DOE"))
        let clear = explain(input) { $0.reveal = true }.text()
        #expect(clear.contains(Self.livePAN) && clear.contains("DOE/JANE"))
    }

    @Test func testPANsAreShown() {
        let node = explain("5A084761739001010119")
        #expect(node.value == "4761739001010119" && !node.isMasked)
        #expect(node.text().contains("check digit right"))
        #expect(Masking.isTestPAN("4895370000000015"))
        #expect(!Masking.isTestPAN(Self.livePAN))
        #expect(explain("5A084761739001010119") { $0.isTestPAN = { _ in false } }.value == "476173******0119")
    }

    @Test func numbersInUnknownDataAreMasked() {
        // 4929123456789012 with the right check digit is 4929123456789016? The rule is checked, not known here.
        var pan = "492912345678901"
        for digit in 0...9 where Masking.luhn((pan + String(digit)).utf8) {
            pan += String(digit)
            break
        }
        #expect(pan.count == 16)
        #expect(!explain("DF7F08" + pan).text().contains(pan))
        #expect(!explain("DF7F20" + pan).text().contains(pan))
        #expect(explain("DF7F08" + pan) { $0.reveal = true }.text().contains(pan))
    }

    @Test func pinBlocksAreMasked() {
        let node = explain("0020008008 241234FFFFFFFFFF")
        #expect(node.name == "Command APDU: VERIFY")
        #expect(!node.text().contains("241234"))
        #expect(node.text().contains("plaintext PIN"))
    }

    // MARK: Rendering

    @Test func textAndJSON() throws {
        let node = explain("6F0A8408A000000003101001")
        let text = node.text(offsets: true)
        #expect(
            text == """
                [0] 6F File Control Information (FCI) Template (10 bytes)
                  [2] 84 Dedicated File (DF) Name: A000000003101001
                      RID A000000003 (Visa), PIX 101001

                """)
        #expect(node.text(colour: true).contains("\u{1B}[1;36m84\u{1B}[0m"))
        #expect(!text.contains("\u{1B}"))
        for pretty in [true, false] {
            let decoded = try JSONDecoder().decode(
                ExplainedNode.self, from: Data(node.json(pretty: pretty).utf8))
            #expect(decoded == node)
        }
        #expect(JSONText.quoted("a\"\\\n\u{1}é") == "\"a\\\"\\\\\\n\\u0001é\"")
    }

    @Test func everyBitFieldOfTheTableIsReadAndUsed() {
        let lines = BitFieldTable.text.split(separator: "\n")
        var rules = 0
        for line in lines where line.first != "@" {
            #expect(BitField.Rule(line: line) != nil, "\(line)")
            rules += 1
        }
        #expect(BitField.all.values.reduce(0) { $0 + $1.rules.count } == rules)
        let names = Set(DataDictionary.entries.compactMap(\.constantName))
        for (constant, field) in EMVDecoder.Session.bitFields {
            #expect(names.contains(constant), "\(constant)")
            #expect(BitField.all[field] != nil, "\(field)")
        }
    }
}

@Suite struct DecoderFuzzTests {
    static let samples: [[UInt8]] =
        DecoderTests.values.compactMap { Hex.bytes($0.hex) } + [
            Hex.bytes(
                "6F3B840E325041592E5359532E4444463031A529BF0C2661244F08A0000000250104035010416D65726963616E20457870726573738701019F280240049000"
            )!,
            Hex.bytes("00A404000E325041592E5359532E444446303100")!,
            Hex.bytes("80AE800004010203040000")!,
            Hex.bytes("3B8F8001804F0CA000000306030001000000006A")!,
            Hex.bytes("770E82020040940808010100100101009F36020001")!,
        ]

    /// Any bytes, any kind, any context: a tree that renders, never a trap; nothing grows without bound.
    @Test func mutatedInputsAlwaysGiveATree() throws {
        var generator = SplitMix(seed: 0x7A9B)
        for round in 0..<6000 {
            var bytes = Self.samples[Int.random(in: 0..<Self.samples.count, using: &generator)]
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let position = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0 where !bytes.isEmpty: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                case 1 where !bytes.isEmpty:
                    bytes[position] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                case 2 where !bytes.isEmpty: bytes.removeSubrange(position...)
                case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: position)
                default: bytes += Self.samples[Int.random(in: 0..<Self.samples.count, using: &generator)]
                }
            }
            var options = EMVDecoder.Options()
            options.kind = EMVDecoder.Kind.allCases[round % EMVDecoder.Kind.allCases.count]
            options.context =
                round.isMultiple(of: 3) ? nil : DictionaryContext.allCases.randomElement(using: &generator)
            options.showUnsetBits = round.isMultiple(of: 7)
            if round.isMultiple(of: 5) { options.dataObjectList = bytes }
            let node = EMVDecoder.explain(bytes, options)
            #expect(!node.name.isEmpty)
            #expect(!node.text(colour: true, offsets: true).isEmpty)
            if round.isMultiple(of: 20) {
                let again = try JSONDecoder().decode(ExplainedNode.self, from: Data(node.json().utf8))
                #expect(again == node, "round \(round): \(Hex.string(bytes))")
            }
        }
    }

    /// Every tag of the dictionary with values of every length up to 40.
    @Test func everyTagWithAnyLength() {
        var generator = SplitMix(seed: 99)
        for entry in DataDictionary.entries {
            for count in 0...40 where !entry.isTemplate || count < 4 {
                var writer = BERTLVWriter()
                writer.append(
                    entry.tag, (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
                var options = EMVDecoder.Options(kind: .tlv)
                options.context = entry.contexts.first
                options.reveal = true
                #expect(!EMVDecoder.explain(writer.bytes, options).text().isEmpty)
            }
        }
    }

    @Test func randomBytesOfAnyKind() {
        var generator = SplitMix(seed: 5)
        for round in 0..<4000 {
            let bytes = (0..<Int.random(in: 1...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let kind = EMVDecoder.Kind.allCases[round % EMVDecoder.Kind.allCases.count]
            #expect(!EMVDecoder.explain(bytes, EMVDecoder.Options(kind: kind)).name.isEmpty)
        }
    }

    @Test func largeInputs() {
        #expect(EMVDecoder.explain([UInt8](repeating: 0, count: 65538)).hasErrors == false)
        #expect(!EMVDecoder.explain([UInt8](repeating: 0x70, count: 65538)).name.isEmpty)
        #expect(!EMVDecoder.explain([UInt8](repeating: 0x9F, count: 65538)).name.isEmpty)
        #expect(!EMVDecoder.explain([UInt8](repeating: 0x44, count: 65538)).name.isEmpty)
    }
}
