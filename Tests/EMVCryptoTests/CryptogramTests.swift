import EMV
import EMVCryptography
import BERTLV
import Foundation
import TestTools
import Testing

@testable import EMVCryptography

/// A line of `Tests/Oracles/pyemv_vectors.py`.
struct OracleCase: Sendable, CustomTestStringConvertible {
    let name: String
    let fields: [String: [UInt8]]
    let testDescription: String

    init(_ line: Substring) {
        let parts = line.split(separator: " ")
        name = String(parts[0])
        fields = Dictionary(
            uniqueKeysWithValues: parts.dropFirst().map { part in
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(pair[0]), bytes(String(pair[1])))
            })
        testDescription = String(line.prefix(60))
    }

    subscript(_ field: String) -> [UInt8] { fields[field]! }
    func number(_ field: String) -> UInt64 { self[field].reduce(0) { $0 << 8 | UInt64($1) } }
    func key(_ field: String) throws -> TripleDESKey { try TripleDESKey(self[field]) }

    static func all(_ text: String) -> [OracleCase] {
        text.split(separator: "\n").map { OracleCase($0) }
    }
}

func clear(_ key: TripleDESKey) -> [UInt8] {
    key.secretKey.withClearBytes { span in span.indices.map { span[$0] } }
}

func check(_ c: OracleCase) throws {
    switch c.name {
    case "tdes":
        let key = try c.key("key")
        #expect(try key.encryptECB(c["data"]) == c["ecb"])
        #expect(try key.decryptECB(c["ecb"]) == c["data"])
        #expect(try key.encryptCBC(c["data"], initialisationVector: c.number("iv")) == c["cbc"])
        #expect(try key.decryptCBC(c["cbc"], initialisationVector: c.number("iv")) == c["data"])
    case "mac":
        let key = try c.key("key")
        #expect(key.retailMAC(c["data"], padding: .method1).bytes == c["retail1"])
        #expect(key.retailMAC(c["data"], padding: .method2).bytes == c["retail2"])
        #expect(key.cbcMAC(c["data"], padding: .method1).bytes == c["cbc1"])
        #expect(key.cbcMAC(c["data"], padding: .method2).bytes == c["cbc2"])
    case "aes":
        let key = try AESKey(c["key"])
        #expect(try key.encryptECB(c["data"]) == c["ecb"])
        #expect(try key.decryptECB(c["ecb"]) == c["data"])
        #expect(try key.encryptCBC(c["data"], initialisationVector: c["iv"]) == c["cbc"])
        #expect(try key.decryptCBC(c["cbc"], initialisationVector: c["iv"]) == c["data"])
        #expect(key.cmac(c["odd"]) == c["cmac"])
        #expect(key.cmac(c["data"]) == c["cmac16"])
    case "keys":
        let imk = try c.key("imk")
        let (atc, un) = (UInt16(c.number("atc")), UInt32(c.number("un")))
        #expect(clear(imk.iccMasterKey(pan: c["pan"], panSequenceNumber: c["psn"][0])) == c["a"])
        #expect(
            clear(imk.iccMasterKey(pan: c["pan"], panSequenceNumber: c["psn"][0], derivation: .optionB))
                == c["b"])
        #expect(clear(imk.commonSessionKey(applicationTransactionCounter: atc)) == c["csk"])
        #expect(
            clear(imk.mastercardSessionKey(applicationTransactionCounter: atc, unpredictableNumber: un))
                == c["skd"])
        #expect(clear(imk.commonSessionKey(diversification: c.number("r"))) == c["sm"])
        #expect(clear(imk.visaSecureMessagingSessionKey(applicationTransactionCounter: atc)) == c["visa"])
    case "cvc3":
        let key = try c.key("key")
        #expect(
            UInt64(
                key.cvc3(
                    iv: key.ivCVC3(trackData: c["track"]), unpredictableNumber: UInt32(c.number("un")),
                    applicationTransactionCounter: UInt16(c.number("atc")))) == c.number("cvc3"))
    case "ccd":
        let arqc = try #require(Cryptogram(c["arqc"]))
        let messaging = ScriptSecureMessaging(
            style: .emv, integrityMasterKey: try c.key("smi"), confidentialityMasterKey: try c.key("smc"),
            applicationTransactionCounter: UInt16(c.number("atc")), cryptogram: arqc)
        #expect(messaging.commandMAC(header: c["header"], data: c["script"]).bytes == c["mac"])
        #expect(messaging.encipher(c["script"]) == c["enc"])
        #expect(try messaging.decipher(c["enc"]) == c["script"])
    default: try checkCard(c)
    }
}

func checkCard(_ c: OracleCase) throws {
    let versions: [String: (CryptogramVersion, ScriptSecureMessaging.Style)] = [
        "cvn10": (.visaCVN10, .visa), "cvn18": (.visaCVN18, .visa),
        "cvn22": (.visaCVN22, .visaCommonSessionKey), "mchip16": (.mChipCVN16, .mChip),
        "mchip17": (.mChipCVN17, .mChip), "mchip20": (.mChipCVN20, .mChip),
        "mchip21": (.mChipCVN21, .mChip),
    ]
    let (version, style) = try #require(versions[c.name])
    #expect(CryptogramVersion(issuerApplicationData: c["iad"]) == version)
    func card(_ field: String) throws -> TripleDESKey {
        try c.key(field).iccMasterKey(
            pan: c["pan"], panSequenceNumber: c["psn"][0], derivation: version.usualMasterKeyDerivation)
    }
    let master = try card("key")
    var input = CryptogramInput()
    for field in CryptogramInput.Field.allCases { input.set(field, Array(c["input"][field.range])) }
    let cryptogram = version.applicationCryptogram(
        masterKey: master, input: input, issuerApplicationData: c["iad"])
    #expect(cryptogram.bytes == c["ac"])
    let atc = UInt16(c.number("atc"))
    let key = version.responseCryptogramKey(masterKey: master, applicationTransactionCounter: atc)
    switch version.responseMethod {
    case .method1:
        let arpc = key.responseCryptogram(
            arqc: cryptogram, authorisationResponseCode: UInt16(c.number("arc")))
        #expect(arpc.bytes == c["arpc"])
    case .method2:
        let arpc = key.responseCryptogram(
            arqc: cryptogram, cardStatusUpdate: UInt32(c.number("csu")),
            proprietaryAuthenticationData: c["prop"])
        #expect(UInt64(arpc) == c.number("arpc"))
    }
    let messaging = ScriptSecureMessaging(
        style: style, integrityMasterKey: try card("smi"), confidentialityMasterKey: try card("smc"),
        applicationTransactionCounter: atc, cryptogram: cryptogram,
        commandIndex: UInt64(c.fields["index"]?.first ?? 0))
    #expect(messaging.commandMAC(header: c["header"], data: c["script"]).bytes == c["mac"])
    #expect(messaging.encipher(c["script"]) == c["enc"])
    if style != .mChip { #expect(try messaging.decipher(c["enc"]) == c["script"]) }
}

@Suite struct Oracles {
    @Test(arguments: OracleCase.all(pyemvVectors)) func committed(_ c: OracleCase) throws { try check(c) }

    @Test(.needs(.oracles)) func live() throws {
        let cases = OracleCase.all(try PythonOracle("pyemv_vectors.py").run(["77", "100"]))
        #expect(cases.count == 1400)
        for c in cases { try check(c) }
    }
}

@Suite struct KnownCryptograms {
    /// Visa CVN 10 of the host room's measured message.
    @Test func cvn10OfTheHostMessage() throws {
        let master = try TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210"))
            .iccMasterKey(pan: bytes("4761739001010119"), panSequenceNumber: 0x01)
        var input = CryptogramInput()
        for (tag, value): (BERTLV.Tag, String) in [
            (0x9F02, "000000001500"), (0x9F03, "000000000000"), (0x9F1A, "0840"), (0x95, "0000000000"),
            (0x5F2A, "0840"), (0x9A, "261120"), (0x9C, "00"), (0x9F37, "1A2B3C4D"), (0x82, "2000"),
            (0x9F36, "0042"),
        ] {
            let data = bytes(value)
            let isSet = input.set(tag: tag, data.span)
            #expect(isSet)
        }
        let iad = bytes("06010A03A00000")
        let arqc = CryptogramVersion.visaCVN10.applicationCryptogram(
            masterKey: master, input: input, issuerApplicationData: iad)
        #expect(arqc.description == "24C5608C4CDCC70C")
        #expect(
            master.responseCryptogram(arqc: arqc, authorisationResponseCode: 0x3030).description
                == "630433DEBB125E35")
    }

    /// pyemv's documentation: kd.derive_icc_mk_b, cvv.generate_cvc3, ac.generate_ac.
    @Test func documentedExamples() throws {
        let imk = try TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210"))
        #expect(
            clear(
                imk.iccMasterKey(pan: bytes("12345678901234567F"), panSequenceNumber: 1, derivation: .optionB)
            )
                == bytes("AD406D7F6D7570916D75E5DCAB8CF737"))
        let kdCVC3 = try TripleDESKey(bytes("01234567899876543210012345678998"))
            .iccMasterKey(pan: bytes("5123456789012345"))
        let iv = kdCVC3.ivCVC3(trackData: bytes("5123456789012345D35121010000000000000F"))
        #expect(kdCVC3.cvc3(iv: iv, unpredictableNumber: 0x899, applicationTransactionCounter: 0x5E) == 29488)
        let key = try TripleDESKey(bytes("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB"))
        #expect(
            key.applicationCryptogram(
                over: bytes("00000000200000000000000001240000008000012411030900" + "3804823E58000001")
            ).description == "3B76CF10FECD8789")
    }

    /// Visa CVN 17 covers amount, unpredictable number, ATC and the fifth byte of the issuer
    /// application data, nothing else.
    @Test func cvn17CoversFourFields() throws {
        let master = try TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210"))
        var input = CryptogramInput()
        input.set(.amountAuthorised, bytes("000000001500"))
        input.set(.unpredictableNumber, bytes("1A2B3C4D"))
        input.set(.applicationTransactionCounter, bytes("0042"))
        let expected = master.retailMAC(
            bytes("0000000015001A2B3C4D0042B1"), padding: .method1)
        func cryptogram(_ iad: String) -> Cryptogram {
            CryptogramVersion.visaCVN17.applicationCryptogram(
                masterKey: master, input: input, issuerApplicationData: bytes(iad))
        }
        #expect(cryptogram("06011103B12233") == expected)
        #expect(cryptogram("06021103B14455") == expected)
        #expect(cryptogram("06011103B02233") != expected)
        input.set(.transactionDate, bytes("261120"))
        #expect(cryptogram("06011103B12233") == expected)
    }

    /// NIST SP 800-38B, D.1 (AES-128); FIPS 180 "abc".
    @Test func publishedPrimitives() throws {
        let aes = try AESKey(bytes("2B7E151628AED2A6ABF7158809CF4F3C"))
        let message = bytes(
            "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E5130C81C46A35CE411")
        #expect(aes.cmac([UInt8]()) == bytes("BB1D6929E95937287FA37D129B756746"))
        #expect(aes.cmac(Array(message.prefix(16))) == bytes("070A16B46B4D4144F79BDD9DD04A287C"))
        #expect(aes.cmac(message) == bytes("DFA66747DE9AE63030CA32611497C827"))
        #expect(SHA1.hash(Array("abc".utf8)) == bytes("A9993E364706816ABA3E25717850C26C9CD0D89D"))
        #expect(
            SHA256.hash(Array("abc".utf8))
                == bytes("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"))
    }
}

@Suite struct KeysAndIssuerApplicationData {
    @Test func keysMaskThemselves() throws {
        let secret = try #require(SecretKey(hex: "0123456789ABCDEFFEDCBA9876543210"))
        let key = try TripleDESKey(secret)
        let aes = try AESKey(secret)
        for shown in ["\(secret)", "\(key)", "\(aes)", String(reflecting: secret), String(reflecting: key)] {
            #expect(!shown.contains("0123") && !shown.contains("FEDC") && shown.contains("16 bytes"))
        }
        var dumped = ""
        dump(key, to: &dumped)
        dump(secret, to: &dumped)
        dump(aes, to: &dumped)
        #expect(!dumped.contains("0x"))
        #expect(key.secretKey == secret)
        #expect(secret != SecretKey([1, 2]))
        #expect(SecretKey(hex: "0") == nil)
        // Key check value of this key, as in every HSM's manual.
        #expect(key.keyCheckValue == bytes("08D7B4"))
    }

    @Test func keyLengths() {
        #expect(throws: CryptographyError.keyLength(found: 15, allowed: [8, 16, 24])) {
            try TripleDESKey([UInt8](repeating: 0, count: 15))
        }
        #expect(throws: CryptographyError.keyLength(found: 8, allowed: [16, 24, 32])) {
            try AESKey([UInt8](repeating: 0, count: 8))
        }
        #expect(throws: CryptographyError.notWholeBlocks(count: 7, blockSize: 8)) {
            try TripleDESKey([UInt8](repeating: 0, count: 8)).encryptECB([UInt8](repeating: 0, count: 7))
        }
    }

    @Test(arguments: [
        "06010A03A00000", "06011203A0B800", "06011203A0B8000A0100000000", "06013103A0B800",
        "1F22010A0B0C0D0E00000000000000000000000000000000000000000000000F",
        "1F43010A0B0C0D0E00000000000000000000000000000000000000000000000F",
    ]) func visaRoundTrip(_ hex: String) throws {
        let parsed = VisaIssuerApplicationData(bytes(hex))
        let data = try #require(parsed)
        #expect(Hex.string(data.bytes) == hex)
        #expect(data.derivationKeyIndex == 1)
        #expect(MChipIssuerApplicationData(bytes(hex)) == nil)
    }

    @Test(arguments: [
        "0110A0000000000012340102030405060708", "0115A00000000000123401020304050607080910",
    ]) func mChipRoundTrip(_ hex: String) throws {
        let parsed = MChipIssuerApplicationData(bytes(hex))
        let data = try #require(parsed)
        #expect(Hex.string(data.bytes) == hex)
        #expect(data.dataAuthenticationCode == 0x1234)
        #expect(VisaIssuerApplicationData(bytes(hex)) == nil)
    }

    @Test func anyBytesAreReadWithoutTraps() {
        var random = SplitMix(seed: 99)
        for _ in 0..<5000 {
            var data = random.bytes(Int.random(in: 0...34, using: &random))
            if data.count > 3, Bool.random(using: &random) {
                data[0] = [0x06, 0x1F][Int.random(in: 0...1, using: &random)]
                data[3] = 0x03
            }
            _ = CryptogramVersion(issuerApplicationData: data)
            for version in CryptogramVersion.allCases {
                _ = try? version.applicationCryptogram(
                    masterKey: TripleDESKey(bytes("0123456789ABCDEF")), input: CryptogramInput(),
                    issuerApplicationData: data, plaintextCounters: data)
            }
        }
    }

    @Test func styleEMVAndBadPadding() throws {
        let key = try TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210"))
        let emv = ScriptSecureMessaging(
            style: .emv, integrityMasterKey: key, confidentialityMasterKey: key,
            applicationTransactionCounter: 1, cryptogram: Cryptogram(rawValue: 5))
        for length in 0...20 {
            let data = [UInt8](repeating: 0x80, count: length)
            #expect(try emv.decipher(emv.encipher(data)) == data)
        }
        #expect(throws: CryptographyError.self) { try emv.decipher([]) }
        #expect(throws: CryptographyError.self) { try emv.decipher([1]) }
        var random = SplitMix(seed: 5)
        for style in [ScriptSecureMessaging.Style.visa, .visaCommonSessionKey, .mChip, .emv] {
            let messaging = ScriptSecureMessaging(
                style: style, integrityMasterKey: key, confidentialityMasterKey: key,
                applicationTransactionCounter: 1, cryptogram: Cryptogram(rawValue: 5))
            for _ in 0..<500 {
                _ = try? messaging.decipher(random.bytes(8 * Int.random(in: 0...3, using: &random)))
            }
        }
    }
}
