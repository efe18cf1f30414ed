import BERTLV
import EMV
import EMVCryptography
import SmartCard
import Testing

@testable import Kernels

/// The kernel against recorded sessions of Mastercard's reference test cards: every command as the recorded terminal sent
/// it, and the card's real signature. The recordings and the certification authority's test key EF are published with
/// the decoder emv-bertlv.
///
/// The recorded terminal is of a version of Book C-2 without the relay resistance protocol: the bits of the TVR that say
/// that it was not performed are the only difference.
@Suite struct Kernel2RecordingTests {
    /// Commands and answers of card "PPC MCD 04 v2 v2.0", amount 100.01 in AUD.
    static let mChip: [(command: String, answer: String)] = [
        (
            "00A4040007A000000004101000",
            "6F1C8407A0000000041010A511500F505043204D434420303420207632309000"
        ),
        (
            "80A8000002830000",
            "7716820259809410080101001001010118010200200102009000"
        ),
        (
            "00B2011400",
            "7081B157115413330089600044D141220101234091725A0854133300896000445F200C455445432F5041595041"
                + "53535F24031412315F25030401015F280200565F3401018C219F02069F03069F090295055F2A029A039C019F37"
                + "049F35019F45029F4C089F34038D0C910A8A0295059F37049F4C088E0C00000000000000005E031F039F0702FF"
                + "009F080200029F0D0500000000009F0E0500000000009F0F0500000000009F420209789F4A0182DF4F03123456"
                + "9000"
        ),
        (
            "00B2011C00",
            "7081FB9081F87AF7C3297510E795704B4B34BB1526EB953FE7BEE08DBF08DFBA056AA42FC726BC03373A319DDC"
                + "6197E2F5B333401AE3E4BBFC5044D245BDDEBEA146994132D939D72E8E05CC958856DFCB33B26427812955B09F"
                + "7A7A68AAAB6B8326AD2929082569DA040BD286F2F20A759E62683995D4B840655342C8088FA18806C229099266"
                + "5A45EC16AC6FE4B0FA664FC644B7B485CD4612B2967B846A9482DB7D16E9F9A3A8295CE5D2B91718180F1E86E6"
                + "7E8E2275EB2116E651BD91AAC49D80D6E64DEB54977258465C09274DD7D232A98CD80C76458CEAAA2B0A414EE7"
                + "A1B8899E6361B098307EBE5E87F31C41B0A32B248CF6DA9849810C49559000"
        ),
        // The AFL lists this record; the publication leaves it out.
        ("00B2021C00", "70009000"),
        (
            "00B2012400",
            "703E8F01EF9F47030100019F32030100019F482A8F9498797B9DE111BF5EB97EF1820BA654E4867F09D6BB41BC"
                + "B1E4FB3E9D287ABD67031918134731270792009000"
        ),
        (
            "00B2022400",
            "7081949F4681903826D61BE14E6691D03552DD9E7034150A3AFFB43AA8C13069483EF338AA272F0DB37354F4EB"
                + "768B4373D365E3973B04486F43DB298E94F570EBBDD0BDF828360FCAD568D975838A9340ADAAF9974149436DE2"
                + "73AE996FD842FD93966D1CD58072B0D8C2D7F60D351B4C44791D82D0DEA591EC61DB5D0D32367086B6A879CB92"
                + "89FD27D3B0C18E1474812407697F41169000"
        ),
        (
            "80AE50002B00000001000100000000000000020000000000003612031500000EEC8522000000000000000000005E030000",
            "7781B29F2701409F360200359F4B8190124CD68898FC0FF1B82E6033A63DF03F6601DED0405BE0DA6A557BA101"
                + "AED95663C6EE32F895F6F2C7BBAC568E18643CAEB9762E6C24843B4998CCC8F1E608A61C9E1914315FE84D5635"
                + "0B10B3694AEECB8BC30ADA3DB4ECE331D5B7E76397BDBA7763148F535B9EBFBABE772AB88C7F302FA9E3010F51"
                + "91B734E82594D08752EBB329D76FBBF901F779921CE81CFBDC9F10120110904009248400000000000000000029"
                + "FF9000"
        ),

    ]
    /// Of card "ID351 v1 1", mag-stripe mode.
    static let magStripe: [(command: String, answer: String)] = [
        (
            "00A4040007A000000004101000",
            "6F218407A0000000041010A516500A49443335312076312031BF0C075F5004746F746F9000"
        ),
        ("80A8000002830000", "770A820200009404080101009000"),
        (
            "00B2010C00",
            "7081839F6C0200019F62060000000000079F630600000000000056334235343133333330303536303033353131"
                + "5E4355535420494D50204D43203335312F5E313431323130313036373735303530309F6401009F650200079F66"
                + "0200009F6B115413330056003511D1412101067750500F9F6701009F680E00000000000000005E0342031F039000"
        ),
        ("802A8E80040000000000", "770F9F610201F59F600201F59F3602000B9000"),
    ]
    /// Mastercard's test key EF.
    static let modulus =
        "A191CB87473F29349B5D60A88B3EAEE0973AA6F1A082F358D849FDDFF9C091F899EDA9792CAF09EF28F5D22404B88A2293EEBBC1949C43BEA4D60CFD879A1539544E09E0F09F60F065B2BF2A13ECC705F3D468B9D33AE77AD9D3F19CA40F23DCF5EB7C04DC8F69EBA565B1EBCB4686CD274785530FF6F6E9EE43AA43FDB02CE00DAEC15C7B8FD6A9B394BABA419D3F6DC85E16569BE8E76989688EFEA2DF22FF7D35C043338DEAA982A02B866DE5328519EBBCD6F03CDD686673847F84DB651AB86C28CF1462562C577B853564A290C8556D818531268D25CC98A4CC6A0BDFFFDA2DCCA3A94C998559E307FDDF915006D9A987B07DDAEB3B"
    static func authority() throws -> CertificationAuthorityPublicKey {
        try CertificationAuthorityPublicKey(
            rid: bytes("A000000004"), index: 0xEF, modulus: bytes(modulus), exponent: [0x03],
            checksum: bytes("21766EBB0EE122AFB65D7845B73DB46BAB65427A"))
    }

    /// Runs the kernel on a recording; the commands are kept, the answers are the recorded ones in their order.
    static func run(
        _ recording: [(command: String, answer: String)], cents: UInt64, number: UInt32, _ data: DataObjects
    ) throws -> (commands: [String], outcome: Outcome) {
        var combination = combination("A0000000041010", 2)
        combination.contactlessTransactionLimit = Amount(minorUnits: 50000)
        combination.contactlessFloorLimit = Amount(minorUnits: 50000)
        combination.cvmRequiredLimit = Amount(minorUnits: 5000)
        combination.kernelData = data
        var keys = CertificationAuthorityPublicKeyStore()
        try keys.add(authority())
        let inputs = TransactionInputs(
            amount: try #require(Amount(minorUnits: cents)), currency: try #require(NumericCode(36)),
            date: try #require(EMVDate(yymmdd: 120315)), hhmmss: 101500, sequenceCounter: 1)
        var kernel = MChipKernel(
            KernelActivation(
                combination: combination, indicators: PreProcessingIndicators(),
                selectedApplication: try bytes("A0000000041010"),
                selectResponse: try ResponseAPDU(bytes: bytes(recording[0].answer)), transaction: inputs,
                unpredictableNumber: number,
                terminal: TerminalConfiguration(
                    data: [0x9F35: [0x22], 0x9F1A: [0x00, 0x36], 0x9F40: [0xF0, 0, 0xF0, 0xA0, 1]],
                    certificationAuthorityKeys: keys)))
        var commands: [String] = []
        var action = kernel.start()
        var next = 1
        while true {
            switch action {
            case .transmit(let command):
                commands.append(Hex.string(command.bytes))
                guard next < recording.count else { return (commands, Outcome(.endApplication)) }
                action = kernel.handle(
                    .response(try ResponseAPDU(bytes: bytes(recording[next].answer)), microseconds: 0))
                next += 1
            case .outcome(let outcome): return (commands, outcome)
            default: action = kernel.handle(.done)
            }
        }
    }

    static let configuration: DataObjects = [
        0x9F09: [0x00, 0x02], 0xDF8117: [0x00], 0xDF8118: [0x20], 0xDF8119: [0x08], 0xDF811B: [0x20],
        0xDF811F: [0x08], 0xDF8120: [0, 0, 0, 0, 0], 0xDF8121: [0, 0, 0, 0, 0], 0xDF8122: [0, 0, 0, 0, 0],
        0xDF811E: [0x10], 0xDF812C: [0x00],
    ]

    /// Above the CVM limit: signature. The card answers a TC with a signature over the recorded TVR, so that the kernel
    /// refuses it where its own TVR differs.
    @Test func mChipCommands() throws {
        let run = try Self.run(Self.mChip, cents: 10001, number: 0x000E_EC85, Self.configuration)
        var expected = Self.mChip.dropFirst().map(\.command)
        let generate = expected.removeLast()
        // "Relay resistance protocol not performed": TVR byte 5, behind 5 + 6 + 6 + 2 + 4 bytes.
        let ours = generate.prefix(46) + "01" + generate.dropFirst(48)
        #expect(generate.dropFirst(38).prefix(10) == "0000000000")
        #expect(run.commands == expected + [String(ours)])
        #expect(run.outcome.status == .endApplication)
        #expect(run.outcome.discretionaryData?[0xDF8115].map { Array($0)[1] } == 2)
    }

    /// The card's certificates and its signature over what the recorded terminal sent: the same steps that the kernel takes.
    @Test func mChipSignature() throws {
        func object(_ tag: BERTLV.Tag, _ index: Int) throws -> [UInt8] {
            let answer = try bytes(Self.mChip[index].answer).dropLast(2)
            let bytes = Array(answer)
            let range = 0..<bytes.count
            let outer = try BERTLVReader.first(index == 7 ? 0x77 : 0x70, in: bytes.span, range: range)
            let template = try #require(outer)
            let inner = try BERTLVReader.first(tag, in: bytes.span, range: template.value)
            let found = try #require(inner, "\(tag)")
            return Array(bytes[found.value])
        }
        let signedRecord = try bytes(Self.mChip[2].answer)
        // The signed record without its template, and the AIP.
        let staticData = Array(signedRecord[3..<(signedRecord.count - 2)]) + [0x59, 0x80]
        let date = try #require(EMVDate(yymmdd: 120315))
        let pan = try bytes("5413330089600044")
        let issuer = try Self.authority().recoverIssuerPublicKey(
            from: PublicKeyCertificate(
                certificate: object(0x90, 3), remainder: [], exponent: object(0x9F32, 5)), pan: pan, on: date,
            revocations: CertificateRevocationList())
        let card = try issuer.recoverICCPublicKey(
            from: PublicKeyCertificate(
                certificate: object(0x9F46, 6), remainder: object(0x9F48, 5), exponent: object(0x9F47, 5)),
            pan: pan, on: date, staticData: staticData.span)
        let answer = try bytes(Self.mChip[7].answer)
        let generate = try bytes(Self.mChip[7].command)
        func verify(_ cdol: [UInt8]) throws -> Cryptogram {
            var hash = TransactionDataHash()
            hash.append(cdol.span)
            let objects = Array(answer[3..<(answer.count - 2)])
            try hash.append(responseDataObjects: objects.span)
            let signature = try object(0x9F4B, 7)
            let number: [UInt8] = [0x00, 0x0E, 0xEC, 0x85]
            let digest = hash.finalize()
            let signed = try card.verifyCombined(
                signature.span, unpredictableNumber: number.span, cryptogramInformationData: 0x40,
                transactionDataHash: digest)
            return signed.cryptogram
        }
        var cdol = Array(generate[5..<(generate.count - 1)])
        #expect(Hex.string(try verify(cdol).bytes) == "D58B731AF5885C06")
        // With any other TVR the signature is not over these data.
        cdol[18] = 0x01
        #expect(throws: (any Error).self) { try verify(cdol) }
    }

    @Test func magStripeCommands() throws {
        let run = try Self.run(Self.magStripe, cents: 1000, number: 0x1234_5678, Self.configuration)
        // No digits of an unpredictable number are asked for (PUNATC 0000, NATC 0): zeros.
        #expect(run.commands == Self.magStripe.dropFirst().map(\.command))
        #expect(run.outcome.status == .onlineRequest)
        // CVC3 01F5 is 501: its three digits; then the number of digits, 0, over the last of them.
        #expect(
            run.outcome.dataRecord?[0x9F6B].map { Hex.string($0) } == "5413330056003511D1412101067750500F")
    }
}
