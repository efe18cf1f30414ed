import BERTLV
import EMV
import EMVCryptography
import Foundation
import SmartCard
import TestTools
import Testing

@testable import Cards

@Suite struct AuthenticationTests {
    /// Verifies certificates and signature with the terminal's side of offline data authentication.
    static func verify(_ terminal: TestTerminal, _ answer: TestTerminal.Response) throws {
        var data = answer.objects
        var staticData: [UInt8] = []
        for record in try terminal.records(answer) {
            data.merge(record.response.objects) { first, _ in first }
            if record.signed {
                let template = try TLVNode.parse(record.response.data)
                guard case .constructed(let nodes)? = template.first?.content else { continue }
                var writer = BERTLVWriter()
                for node in nodes { node.write(to: &writer) }
                staticData += writer.bytes
            }
        }
        staticData += try #require(data[0x82])
        var store = CertificationAuthorityPublicKeyStore()
        for key in TestCertificationAuthority.publicKeys { try store.add(key) }
        let today = try #require(EMVDate(year: 2026, month: 11, day: 21))
        let pan = try #require(data[0x5A])
        let authority = try store.key(
            rid: RegisteredApplicationProviderIdentifier(Hex.bytes("A000000003")!)!,
            index: try #require(data[0x8F])[0], on: today)
        let issuer = try authority.recoverIssuerPublicKey(
            from: PublicKeyCertificate(
                certificate: data[0x90]!, remainder: data[0x92] ?? [], exponent: data[0x9F32]!),
            pan: pan, on: today)
        let card = try issuer.recoverICCPublicKey(
            from: PublicKeyCertificate(
                certificate: data[0x9F46]!, remainder: data[0x9F48] ?? [], exponent: data[0x9F47]!),
            pan: pan, on: today, staticData: staticData)
        let signed = try card.verifyFastDDA(
            try #require(data[0x9F4B]), version: data[0x9F69] == nil ? .version00 : .version01,
            unpredictableNumber: [0x12, 0x34, 0x56, 0x78],
            amountAuthorised: BCD.bytes(1234, count: 6), transactionCurrencyCode: [0x09, 0x78],
            cardAuthenticationRelatedData: data[0x9F69] ?? [])
        #expect(signed.iccDynamicNumber == data[0x9F36])
    }

    typealias Step = OfflineDataAuthenticationError.Step
    static let tamperings: [(AuthenticationProfile.Tampering, Int, Step?)] = [
        (.none, 0, nil),
        (.authorityIndex, 0, .certificationAuthorityPublicKey),
        (.issuerCertificate, 0, .issuerPublicKey), (.issuerCertificate, 247, .issuerPublicKey),
        (.cardCertificate, 1, .iccPublicKey), (.cardCertificate, 40, .iccPublicKey),
        (.staticData, 0, .iccPublicKey),
        (.signature, 0, .signedDynamicApplicationData), (.signature, 127, .signedDynamicApplicationData),
    ]

    @Test(arguments: tamperings, AuthenticationProfile.Method.allCases.filter { $0 != .none })
    func tampering(
        _ tampering: (AuthenticationProfile.Tampering, Int, Step?), method: AuthenticationProfile.Method
    ) throws {
        let card = try makeCard("visa-debit") {
            $0.applications[0].authentication.method = method
            $0.applications[0].authentication.tampering = tampering.0
            $0.applications[0].authentication.tamperedByte = tampering.1
            if method == .fdda00 { $0.applications[0].records.removeLast() }
        }
        let terminal = TestTerminal(card)
        let answer = try terminal.tap()
        do {
            try Self.verify(terminal, answer)
            #expect(tampering.2 == nil)
        } catch let error as OfflineDataAuthenticationError {
            #expect(error.step == tampering.2)
        }
    }

    @Test func tamperedProfileFails() throws {
        let terminal = TestTerminal(try makeCard("visa-tampered"))
        let answer = try terminal.tap()
        #expect(cryptogramType(answer) == .tc)
        #expect(throws: OfflineDataAuthenticationError.self) { try Self.verify(terminal, answer) }
    }

    @Test func aLongKeySignsInTheLastRecord() throws {
        let terminal = TestTerminal(
            try makeCard("visa-debit") { $0.applications[0].authentication.cardKey = "icc-long" })
        let answer = try terminal.tap()
        #expect(answer.objects[0x9F4B] == nil)
        try Self.verify(terminal, answer)
    }

    @Test func personalisationMakesEachCertificateOnce() throws {
        let first = TestTerminal(try makeCard("visa-poor"))
        let second = TestTerminal(try makeCard("visa-poor"))
        let records = try [first, second].map {
            try $0.records(try $0.tap(ttq: "37004000")).map(\.response.bytes).dropLast()
        }
        #expect(records[0] == records[1] && records[0].count > 4)
    }

    /// Cards of every profile and then some, looked at by `Tests/Oracles/visa_card.py`.
    @Test(.needs(.oracles))
    func pythonAgrees() throws {
        var lines = ""
        var expected = 0
        var random = SeededGenerator(seed: 2026)
        let changes: [(String, (inout CardProfile) -> Void)] =
            visaCards.filter { !["visa-blocked", "visa-tampered"].contains($0) }.map { ($0, { _ in }) }
            + [
                ("visa-debit", { $0.applications[0].authentication.cardKey = "icc-long" }),
                (
                    "visa-credit",
                    {
                        $0.applications[0].authentication.method = .fdda00
                        $0.applications[0].records.removeLast()
                    }
                ),
            ]
        for (id, change) in changes {
            let card = try makeCard(id, change: change)
            let terminal = TestTerminal(card)
            for _ in 0..<3 {
                card.unlock()
                let data = TestTerminal.pdolData(
                    amount: .random(in: 0...999_999, using: &random), ttq: "37004000",
                    type: [0, 1, 9].randomElement(using: &random)!,
                    un: .random(in: 0...UInt32.max, using: &random))
                card.powerOn()
                _ = try terminal.select()
                let answer = try terminal.options(data)
                #expect(answer.status == .success)
                let application = card.profile.applications[0]
                lines += "\(id) pan=\(application.primaryAccountNumber.clearDigits)"
                lines += " psn=\(Hex.string(BCD.bytes(UInt64(application.sequenceNumber), count: 1)))"
                lines += " options=\(Hex.string(data)) answer=\(Hex.string(answer.data))"
                for record in try terminal.records(answer) {
                    lines += " r\(record.name)=\(Hex.string(record.response.data))"
                }
                lines += "\n"
                expected += 1
            }
        }
        let modulus = Hex.string(try #require(TestCertificationAuthority.publicKeys.first).key.modulus)
        let answers = try PythonOracle("visa_card.py").lines(["verify", modulus], input: lines)
        #expect(answers.count == expected)
        for answer in answers { #expect(answer.hasPrefix("ok"), "\(answer)") }
        #expect(answers.contains { $0.contains("version 1 with 1152 bits") })
        #expect(answers.contains { $0.contains("version 0 with 1024 bits") })
    }
}
