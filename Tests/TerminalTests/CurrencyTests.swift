import EMV
import Foundation
import Kernels
import ProfileFile
import Testing

@testable import Terminal

/// Decimals follow the currency.
@Suite struct CurrencyTests {
    static func profile(_ currency: Int, _ more: String = "", _ sections: String = "") throws
        -> TerminalProfile
    {
        let terminal = """
            terminal:
              id: TERM0001
              type: "22"
              capabilities: E068C8
              additional-capabilities: F000F0A001
              serial-number: TAPBR001
              country: 276
              currency: \(currency)
            """
        return try TerminalProfile(
            text: "extends: built-in\n" + terminal + more + "\n" + sections, source: "till.yaml")
    }

    /// What people write, in minor units, and shown again.
    @Test(arguments: [
        (978, "10", 1000, "10.00 EUR"), (978, "10.50", 1050, "10.50 EUR"), (392, "10", 10, "10 JPY"),
        (414, "10", 10_000, "10.000 KWD"), (414, "1.005", 1005, "1.005 KWD"),
        (990, "1", 10_000, "1.0000 CLF"),
        // Not in the list: two, everywhere.
        (998, "10", 1000, "10.00 998"),
    ]) func amounts(_ currency: Int, _ text: String, _ units: UInt64, _ shown: String) throws {
        let profile = try Self.profile(currency)
        let amount = try #require(Money.parse(text, exponent: Int(profile.currencyExponent)))
        #expect(amount.minorUnits == units)
        #expect(Money(amount, profile.currency).description == shown)
    }

    @Test(arguments: [
        (392, 0, nil),
        (392, 2, "till.yaml:10:22: terminal.currency-exponent: amounts in currency 392 have 0"),
        (978, 2, nil),
        (978, 0, "till.yaml:10:22: terminal.currency-exponent: amounts in currency 978 have 2"),
        (414, 3, nil),
        (414, 2, "till.yaml:10:22: terminal.currency-exponent: amounts in currency 414 have 3"),
        (998, 2, nil), (998, 3, "it is not in ISO 4217's list"),
    ]) func contradictions(_ currency: Int, _ exponent: Int, _ expected: String?) throws {
        do {
            let profile = try Self.profile(currency, "\n  currency-exponent: \(exponent)")
            #expect(expected == nil)
            #expect(profile.currencyExponent == UInt8(exponent))
        } catch {
            #expect("\(error)".contains(expected ?? "no error"), "\(error)")
        }
    }

    /// The built-in limits are as many units of the profile's own currency.
    @Test(arguments: [(978, 50_000), (392, 500), (414, 500_000), (990, 5_000_000)])
    func builtInLimits(_ currency: Int, _ units: UInt64) throws {
        let profile = try Self.profile(currency)
        #expect(profile.hasBuiltInLimits)
        for combination in profile.configuration.combinations {
            #expect(combination.contactlessTransactionLimit?.minorUnits == units)
        }
    }

    /// Limits of one's own that do not fit the currency are errors of one's own file.
    @Test(arguments: [
        (
            392, "500.00",
            "till.yaml:13:28: combinations[0].limits.transaction: expected an amount such as 50:"
        ),
        (
            978, "500.000",
            "till.yaml:13:28: combinations[0].limits.transaction: expected an amount such as 50.00, with at most 2"
        ),
        (414, "500.000", nil), (392, "500", nil),
    ]) func ownLimits(_ currency: Int, _ limit: String, _ expected: String?) throws {
        let sections = """
            combinations:
              - aid: "A0000000031010"
                kernel: 3
                limits: { transaction: \(limit) }

            """
        do {
            let profile = try Self.profile(currency, "", sections)
            #expect(expected == nil)
            #expect(!profile.hasBuiltInLimits)
        } catch { #expect("\(error)".hasPrefix(expected ?? "no error"), "\(error)") }
    }
}
