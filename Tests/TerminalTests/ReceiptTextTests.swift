import Acquiring
import EMV
import Foundation
import Journal
import ProfileFile
import Testing

@testable import Terminal

/// Whoever wrote a text, a receipt has characters on it and lines of its own.
@Suite struct ReceiptTextTests {
    static let hostile = "A\u{1B}[2J\u{9B}2J\u{202E}B\u{7F}\nAPPROVED"

    @Test func ofAPayment() async throws {
        let till = try await Till()
        till.field.present(try card("visa-credit"))
        var result = try await till.pay(1250)
        let response = try #require(result.response)
        result.response = AuthorizationResponse(
            responseCode: Self.hostile, meaning: response.meaning, authorizationCode: Self.hostile)
        result.instrument?.applicationLabel = Self.hostile
        var profile = till.profile
        profile.merchant.name = Self.hostile
        profile.merchant.location = Self.hostile
        let receipt = Receipt(result, profile: profile)
        let text = receipt.text(width: 200)
        #expect(
            !text.unicodeScalars.contains { PlainText.isControl($0) && $0 != "\n" },
            "\(text.debugDescription)")
        #expect(text.split(separator: "\n").count { $0.hasPrefix("APPROVED") } == 0)
        #expect(receipt.lines.allSatisfy { !$0.value.contains("\n") })
    }

    /// A profile has no such texts to begin with.
    @Test(arguments: ["id", "name", "location"]) func inAProfile(_ key: String) {
        var values = ["id": "a", "name": "a", "location": "a"]
        values[key] = "a\\e[2J"
        let keys = values.map { "\($0.key): \"\($0.value)\"" }.joined(separator: ", ")
        #expect {
            try TerminalProfile(
                text: "extends: built-in\nmerchant: { category-code: \"5812\", \(keys) }\n", source: "p.yaml")
        } throws: { "\($0)".hasPrefix("p.yaml:2:") && "\($0)".contains("control characters") }
    }
}
