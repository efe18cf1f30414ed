import EMV
import Testing

@testable import Kernels

/// Start A (Book B, 3.1.1). Names in brackets are EMVCo's test cases of the Entry Point that ask the same.
@Suite struct PreProcessingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var cents: UInt64
        var change: @Sendable (inout CombinationConfiguration) -> Void
        /// Bytes 1 and 2 of the TTQ copy, as both are decided here.
        var qualifiers: UInt16
        var notAllowed = false
        var zero = false
        var status = false
        var floor = false
        var cvm = false
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "no limits at all (2EB.012.00, 016.00, 019.00)", cents: 200, change: { _ in },
            qualifiers: 0x3600),
        Case(
            name: "the TTQ's own bits 8 and 7 of byte 2 are cleared (2EB.002.00)", cents: 200,
            change: {
                $0.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x36E0_4000)
            },
            qualifiers: 0x3620),
        Case(
            name: "status check, one unit (2EB.003.00)", cents: 100,
            change: { $0.statusCheckSupported = true },
            qualifiers: 0x3680, status: true),
        Case(
            name: "status check not supported, one unit (2EB.004.00, 005.00)", cents: 100, change: { _ in },
            qualifiers: 0x3600),
        Case(
            name: "status check, another amount (2EB.006.00)", cents: 101,
            change: { $0.statusCheckSupported = true },
            qualifiers: 0x3600),
        Case(
            name: "zero amount not allowed (2EB.007.00)", cents: 0, change: { $0.zeroAmountAllowed = false },
            qualifiers: 0x3600, notAllowed: true),
        Case(
            name: "zero amount allowed, online capable (2EB.008.00, 020.00)", cents: 0, change: { _ in },
            qualifiers: 0x3680, zero: true),
        Case(
            name: "zero amount, offline only (2EB.021.00)", cents: 0,
            change: {
                $0.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3E00_4000)
            },
            qualifiers: 0x3E00, notAllowed: true, zero: true),
        Case(
            name: "at the transaction limit (2EB.010.00)", cents: 1000,
            change: { $0.contactlessTransactionLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3600,
            notAllowed: true),
        Case(
            name: "below the transaction limit (2EB.011.00)", cents: 999,
            change: { $0.contactlessTransactionLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3600),
        Case(
            name: "above the floor limit (2EB.013.00)", cents: 1001,
            change: { $0.contactlessFloorLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3680, floor: true),
        Case(
            name: "at the floor limit (2EB.014.00)", cents: 1000,
            change: { $0.contactlessFloorLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3600),
        Case(
            name: "the terminal's floor limit where there is no other (2EB.015.00)", cents: 1001,
            change: { $0.terminalFloorLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3680, floor: true),
        Case(
            name: "the contactless floor limit goes before the terminal's", cents: 1001,
            change: {
                $0.terminalFloorLimit = Amount(minorUnits: 500)
                $0.contactlessFloorLimit = Amount(minorUnits: 2000)
            }, qualifiers: 0x3600),
        Case(
            name: "at the CVM limit (2EB.017.00)", cents: 1000,
            change: { $0.cvmRequiredLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3640, cvm: true),
        Case(
            name: "below the CVM limit (2EB.018.00)", cents: 999,
            change: { $0.cvmRequiredLimit = Amount(minorUnits: 1000) }, qualifiers: 0x3600),
        Case(
            name: "floor and CVM limit together", cents: 5000,
            change: {
                $0.contactlessFloorLimit = Amount(minorUnits: 1000)
                $0.cvmRequiredLimit = Amount(minorUnits: 1000)
            }, qualifiers: 0x36C0, floor: true, cvm: true),
    ]

    @Test(arguments: cases) func indicators(_ expected: Case) throws {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3600_4000)
        expected.change(&combination)
        let found = combination.preProcessed(try inputs(expected.cents))
        #expect(found.contactlessApplicationNotAllowed == expected.notAllowed)
        #expect(found.zeroAmount == expected.zero)
        #expect(found.statusCheckRequested == expected.status)
        #expect(found.contactlessFloorLimitExceeded == expected.floor)
        #expect(found.cvmRequiredLimitExceeded == expected.cvm)
        let qualifiers = try #require(found.terminalTransactionQualifiers)
        #expect(UInt16(truncatingIfNeeded: qualifiers.rawValue >> 16) == expected.qualifiers)
        // Bytes 3 and 4 are the configuration's.
        #expect(qualifiers.rawValue & 0xFFFF == 0x4000)
    }

    /// A single unit of the currency is as many minor units as its exponent says (2EB.003.00).
    @Test(
        arguments: [
            (0, 1, true), (0, 100, false), (2, 100, true), (2, 1, false), (3, 1000, true), (3, 100, false),
        ] as [(UInt8, UInt64, Bool)])
    func statusCheckUnit(_ exponent: UInt8, _ amount: UInt64, _ asked: Bool) throws {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3600_4000)
        combination.statusCheckSupported = true
        var inputs = try inputs(amount)
        inputs.currencyExponent = exponent
        let found = combination.preProcessed(inputs)
        #expect(found.statusCheckRequested == asked)
        #expect(found.terminalTransactionQualifiers?.contains(.onlineCryptogramRequired) == asked)
    }

    /// An offline-only reader that was told to take a zero amount does, without asking for an online cryptogram.
    @Test func zeroAmountForAnOfflineReader() throws {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3E00_4000)
        combination.zeroAmountAllowedForOfflineReader = true
        let found = combination.preProcessed(try inputs(0))
        #expect(found.zeroAmount && !found.contactlessApplicationNotAllowed)
        #expect(found.terminalTransactionQualifiers?.rawValue == 0x3E00_4000)
    }

    /// One combination may be ruled out and another not: the transaction goes on with that.
    @Test func oneCombinationLeft() throws {
        var first = combination("A0000000031010", 3)
        first.contactlessTransactionLimit = Amount(minorUnits: 100)
        var bench = Bench(
            [first, combination("A0000000041010", 2)], kernels: [2, 3],
            card: card([DirectoryEntry("A0000000031010"), DirectoryEntry("A0000000041010")]))
        #expect(try bench.pay(200).outcome.status == .approved)
        #expect(bench.log.all.map(\.0) == [2])
    }

    /// No combination for this transaction type: as if none allowed the amount.
    @Test func unknownTransactionType() throws {
        var bench = Bench([combination("A0000000031010", 3)], card: card([DirectoryEntry("A0000000031010")]))
        #expect(try bench.pay(200, type: 0x31).outcome.status == .tryAnotherInterface)
        #expect(bench.activations == 0)
    }

    /// A kernel without TTQ gets none.
    @Test func noQualifiers() throws {
        let found = combination("A0000000041010", 2).preProcessed(try inputs(0))
        #expect(found.terminalTransactionQualifiers == nil && found.zeroAmount)
    }

    /// No combination takes the amount: Try Another Interface, and no card is asked for (2EB.022.00).
    @Test func nothingAllowed() throws {
        var combination = combination("A0000000031010", 3)
        combination.contactlessTransactionLimit = Amount(minorUnits: 100)
        var bench = Bench([combination], card: card([DirectoryEntry("A0000000031010")]))
        let final = try bench.pay(200)
        #expect(final.outcome.status == .tryAnotherInterface)
        #expect(final.outcome.uiRequestOnOutcome?.message == .insertOrSwipe)
        #expect(final.outcome.uiRequestOnOutcome?.status == .processingError)
        #expect(bench.activations == 0 && bench.commands.isEmpty && bench.displayed.isEmpty)
    }

    /// What one transaction set is gone in the next (2EB.001.00).
    @Test func indicatorsBeginAnew() throws {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3600_4000)
        combination.cvmRequiredLimit = Amount(minorUnits: 1000)
        combination.contactlessFloorLimit = Amount(minorUnits: 1000)
        var bench = Bench([combination], card: card([DirectoryEntry("A0000000031010")]))
        for cents: UInt64 in [5000, 200, 0, 200] { _ = try bench.pay(cents) }
        let found = bench.log.all.map { $0.1.indicators.terminalTransactionQualifiers?.rawValue }
        #expect(found == [0x36C0_4000, 0x3600_4000, 0x3680_4000, 0x3600_4000])
    }

    /// Start B at once, as with fixed amounts: no pre-processing, all indicators zero (2EC.001.00).
    @Test func startAtB() throws {
        var combination = combination("A0000000031010", 3)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: 0x3600_4000)
        combination.cvmRequiredLimit = Amount(minorUnits: 100)
        var bench = Bench([combination], card: card([DirectoryEntry("A0000000031010")]))
        _ = try bench.run(bench.entryPoint.startAtB(try inputs(5000)))
        let indicators = try #require(bench.log.all.first?.1.indicators)
        #expect(!indicators.cvmRequiredLimitExceeded && !indicators.contactlessApplicationNotAllowed)
        #expect(indicators.terminalTransactionQualifiers?.rawValue == 0x3600_4000)
    }

    /// A combination takes part only in its transaction types.
    @Test func transactionTypes() throws {
        var first = combination("A0000000031010", 3)
        first.transactionTypes = [0x00]
        var second = combination("A0000000041010", 2)
        second.transactionTypes = [0x20]
        let entries = [
            DirectoryEntry("A0000000031010", priority: 1), DirectoryEntry("A0000000041010", priority: 2),
        ]
        var bench = Bench([first, second], card: card(entries))
        _ = try bench.pay(200, type: 0x20)
        #expect(bench.log.all.map(\.0) == [2])
    }
}
