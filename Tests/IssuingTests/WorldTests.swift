import BERTLV
import EMV
import Foundation
import ProfileFile
import TestTools
import Testing

@testable import Issuing

@Suite struct World {
    @Test func builtIn() throws {
        let world = IssuingWorld.test
        try world.validate()
        #expect(world.issuers.map(\.id) == ["visa-bank", "mastercard-bank"])
        #expect(world.cards.count == 13 && world.tokens.count == 5)
        #expect(world.route(Tap.credit.pan) == .issuer("visa-bank"))
        #expect(world.route(Tap.apple.pan) == .tokenService("visa-bank"))
        #expect(world.route(PrimaryAccountNumber(digits: "5413330089020011")!) == .issuer("mastercard-bank"))
        #expect(world.route(PrimaryAccountNumber(digits: "4000000000000002")!) == .unknown)
        #expect(world.cards.allSatisfy { $0.number.hasValidCheckDigit })
        #expect(world.tokens.allSatisfy { $0.number.hasValidCheckDigit })
    }

    static let text = try! String(
        contentsOf: URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Simulators/Issuing/Worlds/test-world.yaml"), encoding: .utf8)

    @Test(arguments: [
        (
            "kind: stored-value, currency: 156, balance", "kind: stored-value, currency: 156, balanc",
            "did you mean \"balance\""
        ),
        ("rate: \"7.80\"", "rate: seven", "decimal number"),
        ("script_integrity: 11223344556677889900AABBCCDDEEFF", "script_integrity: 1122", "16 bytes"),
        ("expires: 2031-12, account: account-0119", "expires: 2031-13, account: account-0119", "2031-12"),
        ("account: account-0119, cryptogram", "account: account-9999, cryptogram", "account-9999"),
        ("cryptogram: visa-cvn10", "cryptogram: visa-cvn1", "did you mean"),
        ("requestor: 40010030273", "requestor: 4001003027", "digits"),
        ("number: 4895370000000015", "number: 4761739001010119", "token range"),
        ("code: \"75\"", "code: \"00\"", "approval"),
        ("code: \"75\"", "code: \"7\"", "response code"),
        ("id: account-0135", "id: account-0119", "two"),
        ("id: account-0135", "id: \"clearing:x\"", "clearing:"),
        ("put_data: \"9F58\"", "put_data: \"9F5\"", "hexadecimal"),
        ("value: \"03\"", "value: \"\(String(repeating: "00", count: 120))\"", "128"),
        ("counter_window: 32", "counter_window: 64", "0...63"),
        ("card: visa-credit\n", "card: visa-credits\n", "visa-credits"),
        // Decimals are the currency's.
        (
            "kind: stored-value, currency: 156,", "kind: stored-value, currency: 392, exponent: 2,",
            "0 decimals"
        ),
        (
            "issuers:\n", "exponents: { 392: 0, 414: 2 }\nissuers:\n",
            "exponents.414: amounts in currency 414 have 3"
        ),
    ]) func mistakesAreNamed(_ old: String, _ new: String, _ expected: String) throws {
        #expect(Self.text.contains(old))
        let text = Self.text.replacing(old, with: new, maxReplacements: 1)
        do {
            _ = try IssuingWorld(ProfileFile(file: "world.yaml", text: text))
            Issue.record("read without an error")
        } catch {
            #expect(error.description.hasPrefix("world.yaml:"), "\(error)")
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test func decimalsFollowTheCurrency() throws {
        for (currency, digits) in [(978, 2), (392, 0), (414, 3), (990, 4), (998, 2)] {
            let text = Self.text.replacing(
                "kind: stored-value, currency: 156", with: "kind: stored-value, currency: \(currency)")
            let world = try IssuingWorld(ProfileFile(file: "world.yaml", text: text))
            let account = try #require(world.accounts.first { $0.kind == .storedValue })
            #expect(account.exponent == UInt8(digits))
        }
        // As files of earlier versions had them.
        _ = try IssuingWorld(
            ProfileFile(
                file: "world.yaml",
                text: Self.text.replacing("issuers:\n", with: "exponents: { 392: 0, 414: 3 }\nissuers:\n")))
    }

    @Test func keysAndNumbersAreMasked() {
        var dumped = ""
        dump(IssuingWorld.test, to: &dumped)
        #expect(!dumped.contains("4761739001010119"))
        #expect(!dumped.contains("0123456789ABCDEF"))
    }

    /// State survives encoding, and goes on where it was.
    @Test func snapshot() throws {
        let issuer = Host()
        _ = issuer.authorize(Tap.credit.request)
        _ = issuer.authorize(Tap.alipay.with { $0.id = "T2" }.request)
        _ = issuer.reverse(transactionID: "T9", terminalID: "TERM0001")
        let data = try JSONEncoder().encode(issuer.state)
        #expect(!String(decoding: data, as: UTF8.self).contains("4761739001010119"))
        let state = try JSONDecoder().decode(IssuerSimulator.State.self, from: data)
        #expect(state == issuer.state)
        let again = try Host(.test, state: state)
        #expect(again.balance("account-0119") == -1500)
        #expect(again.authorize(Tap.credit.with { $0.id = "T3" }.request).code == .securityViolation)
        #expect(again.reverse(transactionID: "T1", terminalID: "TERM0001") == .reversed)
        #expect(
            again.authorize(
                Tap.credit.with {
                    $0.id = "T9"
                    $0.counter = 2
                }.request
            ).code == .invalidTransaction)
    }

    /// Whatever is in the chip data, an answer comes.
    @Test func anyChipData() {
        var random = SplitMix(seed: 11)
        let issuer = Host()
        let tags: [BERTLV.Tag] = [
            0x82, 0x95, 0x9A, 0x9C, 0x9F02, 0x9F03, 0x9F10, 0x9F1A, 0x9F27, 0x9F37, 0x5F2A, 0x5F34, 0x9F36,
            0x9F26, 0x9F19, 0x5A, 0x57, 0x5F24,
        ]
        for index in 0..<3000 {
            var tap = [Tap.credit, .debit, .apple, .google].randomElement(using: &random)!
            tap.id = "\(index)"
            var request = tap.request
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let tag = tags.randomElement(using: &random)!
                let count = Int.random(in: 0...34, using: &random)
                request.chipData?.set(tag, (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
            }
            let answer = issuer.authorize(request)
            #expect(!answer.code.isApproval || request.chipData?[0x9F26] == tap.chipData[0x9F26])
        }
    }
}
