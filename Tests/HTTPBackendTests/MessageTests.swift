import Acquiring
import BERTLV
import EMVCryptography
import Foundation
import TestTools
import Testing

@testable import HTTPBackend

@Suite struct HTTPMessageTests {
    /// Nothing is lost or altered on the way; what must not travel does not.
    @Test(arguments: [true, false]) func roundTrip(_ full: Bool) throws {
        for message in Sample.messages(full: full) {
            let json = try message.json()
            let back = try HTTPMessage(json: json)
            #expect(back.kind == message.kind)
            #expect(back.idempotencyKey == message.idempotencyKey)
            // Field by field, clear values included.
            #expect(try back.json() == json)
            switch (message, back) {
            case (.authorization(let sent), .authorization(let got)):
                #expect(got.primaryAccountNumber == sent.primaryAccountNumber)
                #expect(got.track2?.clearBytes == sent.track2?.clearBytes)
                #expect(got.chipData == sent.chipData)
                #expect(got.onlinePIN?.block == sent.onlinePIN?.block)
                #expect(got.onlinePIN?.keySerialNumber == sent.onlinePIN?.keySerialNumber)
                #expect(got.hhmmss == sent.hhmmss && got.date == sent.date && got.expiry == sent.expiry)
                #expect(got.amount == sent.amount && got.amountOther == sent.amountOther)
                #expect(got.cvm == sent.cvm && got.purpose == sent.purpose && got.entryMode == sent.entryMode)
                #expect(got.transactionType == sent.transactionType && got.merchantName == sent.merchantName)
                #expect(got.panSequenceNumber == sent.panSequenceNumber)
                #expect(got.acceptsPartialApproval == sent.acceptsPartialApproval)
            case (.advice(_, let sent), .advice(let got, let decision)):
                #expect(decision == sent)
                #expect(got.track2 == nil && got.onlinePIN == nil)
            case (.reconciliation(let sent), .reconciliation(let got)): #expect(got == sent)
            case (.reversal(let sent), .reversal(let got)):
                #expect(got.reason == sent.reason && got.transmission == sent.transmission)
                #expect(got.original?.primaryAccountNumber == sent.original?.primaryAccountNumber)
            default: break
            }
        }
    }

    @Test func originalsHoldNeitherTrackNorPIN() throws {
        var request = Sample.reversal()
        request.original = Sample.authorization()
        let text = String(decoding: try HTTPMessage.reversal(request).json(), as: UTF8.self)
        #expect(!text.contains("track2") && !text.contains("onlinePin") && !text.contains("1B9C1845"))
    }

    @Test func answersRoundTrip() throws {
        for answer in Sample.answers {
            #expect(try HTTPAnswer(json: try answer.json()) == answer)
        }
    }

    @Test func keysNameMessages() throws {
        let keys = Sample.messages(full: true).map(\.idempotencyKey)
        #expect(
            keys == [
                "authorization:TERM0001:T-1", "reversal:TERM0001:T-1", "advice:TERM0001:T-1",
                "adjustment:TERM0001:T-1:3", "reconciliation:TERM0001:7:44", "upload:TERM0001:7:T-1",
            ])
        // Whatever an identifier consists of, and without two becoming one.
        let odd = [
            "a b", "a:b", "a\nb", "ä", String(repeating: "x", count: 500), String(repeating: "x", count: 501),
        ]
        let others = odd.map { HTTPMessage.authorization(Sample.authorization($0)).idempotencyKey }
        #expect(Set(others).count == odd.count)
        #expect(others.allSatisfy { IdempotencyKey.isValid($0) })
    }

    static let mistakes: [(String, String, String)] = [
        ("\"version\":1", "\"version\":2", "version: expected 1, found 2"),
        ("\"version\":1", "\"version\":\"1\"", "version: expected an integer"),
        (
            "\"message\":\"authorization\"", "\"message\":\"pay\"",
            "message: out of range or not one of the values"
        ),
        ("\"stan\":17,", "", "stan: missing"),
        ("\"stan\":17", "\"stan\":-1", "the body is not JSON, or a number"),
        ("\"stan\":17", "\"stan\":17.5", "the body is not JSON, or a number"),
        ("\"amount\":1250", "\"amount\":1000000000000", "amount: more than twelve digits"),
        ("\"amount\":1250", "\"amount\":\"1250\"", "amount: expected an integer"),
        ("\"amount\":1250", "\"amount\":1e99", "the body is not JSON, or a number"),
        ("\"currency\":\"978\"", "\"currency\":\"EUR\"", "currency: expected a three-digit code"),
        ("\"currency\":\"978\"", "\"currency\":null", "currency: expected a text, found null"),
        ("\"date\":\"2026-11-20\"", "\"date\":\"2026-02-30\"", "date: expected a date such as"),
        ("\"date\":\"2026-11-20\"", "\"date\":\"20.11.2026\"", "date: expected a date such as"),
        ("\"time\":\"07:05:03\"", "\"time\":\"24:00:00\"", "time: expected a time such as"),
        ("\"time\":\"07:05:03\"", "\"time\":\"+7:05:03\"", "time: expected a time such as"),
        (
            "\"number\":\"4761739001010135\"", "\"number\":\"4761 7390 0101 0135\"",
            "card.number: expected 8 to 19 digits"
        ),
        ("\"number\":\"4761739001010135\"", "\"number\":4761739001010135", "card.number: expected a text"),
        ("\"track2\":\"4761739001010135=", "\"track2\":\"4761739001010135X", "card.track2: expected"),
        ("\"chipData\":\"9F26", "\"chipData\":\"9F2", "chipData: expected hexadecimal digits in pairs"),
        (
            "\"block\":\"1B9C1845EB993A7A\"", "\"block\":\"1B9C1845\"",
            "onlinePin.block: expected 8 or 16 bytes"
        ),
        ("\"transactionType\":\"09\"", "\"transactionType\":\"0A\"", "transactionType: expected two digits"),
        (
            "\"acceptsPartialApproval\":true", "\"acceptsPartialApproval\":1",
            "acceptsPartialApproval: expected true or false"
        ),
        ("\"card\":{", "\"card\":[],\"x\":{", "card: expected an object"),
        ("{", "[", "the body is not JSON"),
    ]

    @Test(arguments: mistakes) func mistakesNameTheirMember(_ from: String, _ to: String, _ reason: String)
        throws
    {
        let text = String(
            decoding: try HTTPMessage.authorization(Sample.authorization()).json(), as: UTF8.self)
        let place = try #require(text.range(of: from))
        let wrong = text.replacingCharacters(in: place, with: to)
        do throws(HTTPMessageError) {
            _ = try HTTPMessage(json: Array(wrong.utf8))
            Issue.record("no error")
        } catch {
            #expect("\(error)".hasPrefix(reason), "\(error)")
            #expect(!"\(error)".contains("0135"))
        }
    }

    @Test(arguments: [
        ("{}", "version: missing"), ("", "the body is not JSON"), ("null", "the body is "),
        ("{\"version\":1,\"message\":\"reversal\",\"responseCode\":\"0\"}", "responseCode: expected two"),
        (
            "{\"version\":1,\"message\":\"reversal\",\"responseCode\":\"\\u0000\\u0000\"}",
            "responseCode: expected two"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"authorizationCode\":\"1\"}",
            "authorizationCode: expected six"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"issuerAuthenticationData\":\"00\"}",
            "issuerAuthenticationData: expected 8 to 16"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"issuerScripts\":\"7\"}",
            "issuerScripts: expected hex"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"accountCharge\":{\"amount\":1,\"currency\":\"156\",\"currencyExponent\":2}}",
            "accountCharge.rate: missing"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"accountCharge\":{\"amount\":1,\"currency\":\"392\",\"currencyExponent\":2,\"rate\":\"1\"}}",
            "accountCharge.currencyExponent: currency 392 has 0 decimals"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"availableBalance\":{\"amount\":1,\"currency\":\"414\",\"currencyExponent\":2}}",
            "availableBalance.currencyExponent: currency 414 has 3 decimals"
        ),
        (
            "{\"version\":1,\"message\":\"authorization\",\"responseCode\":\"00\",\"approvedAmount\":99999999999999999999}",
            "the body is not JSON, or a number"
        ),
    ]) func answersWithMistakes(_ text: String, _ reason: String) {
        do throws(HTTPMessageError) {
            _ = try HTTPAnswer(json: Array(text.utf8))
            Issue.record("no error")
        } catch {
            #expect("\(error)".hasPrefix(reason), "\(error)")
        }
    }

    /// Bytes changed, cut, doubled and nested: an error or a message, never anything else; errors hold no card data.
    @Test func spoiltBodies() throws {
        var random = SplitMix(seed: 5)
        let bodies =
            try Sample.messages(full: true).map { try $0.json() } + Sample.answers.map { try $0.json() }
        var refused = 0
        for round in 0..<6000 {
            var body = bodies[round % bodies.count]
            for _ in 0...Int(random.next() % 3) {
                let place = Int(random.next() % UInt64(body.count))
                switch random.next() % 5 {
                case 0: body[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: body.removeLast(body.count - place)
                case 2: body.insert(contentsOf: body[place...].prefix(40), at: place)
                case 3: body.remove(at: place)
                default: body.insert(contentsOf: Array("{[\"9e999".utf8), at: place)
                }
                if body.isEmpty { body = [0x7B] }
            }
            do throws(HTTPMessageError) { _ = try HTTPMessage(json: body) } catch {
                refused += 1
                #expect(!"\(error)".contains("476173900101"))
            }
            _ = try? HTTPAnswer(json: body)
        }
        #expect(refused > 3000)
        let deep = Array(String(repeating: "{\"card\":", count: 100_000).utf8)
        #expect(throws: HTTPMessageError.self) { try HTTPMessage(json: deep) }
    }

    @Test func descriptionsAreMasked() throws {
        var texts: [String] = []
        for message in Sample.messages(full: true) {
            texts += ["\(message)", String(reflecting: message)]
            var dumped = ""
            dump(message, to: &dumped)
            texts.append(dumped)
        }
        let settings = HTTPBackendSettings(url: "https://a.example", keyID: "till-1", key: secret)
        texts += ["\(settings)", String(reflecting: settings)]
        var dumped = ""
        dump(settings, to: &dumped)
        texts.append(dumped)
        for text in texts {
            for hidden in [clearNumber, "D3012", "1B9C1845", "001122334455", "[0, 17, 34"] {
                #expect(!text.contains(hidden), "\(text)")
            }
        }
    }

    @Test(arguments: [
        ("ftp://a.example", "a", 16, "URL"), ("http://", "a", 16, "URL"), ("not a url", "a", 16, "URL"),
        ("http://user:pass@a.example", "a", 16, "URL"), ("http://a.example", "", 16, "name"),
        ("http://a.example", "a b", 16, "name"), ("http://a.example", "a", 15, "16 to 64 bytes"),
        ("http://a.example", "a", 65, "16 to 64 bytes"),
    ]) func settings(_ url: String, _ name: String, _ count: Int, _ reason: String) {
        let settings = HTTPBackendSettings(
            url: url, keyID: name, key: SecretKey([UInt8](repeating: 1, count: count)))
        do throws(HTTPBackendSettingsError) {
            try settings.check()
            Issue.record("no error")
        } catch {
            #expect("\(error)".contains(reason), "\(error)")
        }
    }

    /// Made with Python's hmac, over the lines that openapi.yaml names.
    @Test func signatures() throws {
        let body = Array("{\"version\":1}".utf8)
        #expect(
            try HTTPSignature.ofRequest(
                body, timestamp: 1_795_000_000, idempotencyKey: "advice:TERM0001:T-1", key: secret)
                == "v1=d5f7297289c57a9f5fc6f255da1a366be9f23a385d9f8b8788e2dcdb0d6badb1")
        #expect(
            try HTTPSignature.ofAnswer(
                body, status: 422, timestamp: 1_795_000_000, idempotencyKey: "advice:TERM0001:T-1",
                key: secret)
                == "v1=d76273814249a4d777ba089afc8fd7c0cd8e077de59a8d04ab356102b7a7d9bd")
    }
}
