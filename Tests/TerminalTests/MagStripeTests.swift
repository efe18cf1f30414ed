import AcquirerSimulator
import BERTLV
import Cards
import EMV
import Foundation
import CardReaders
import SmartCard
import Synchronization
import TestTools
import Testing

@testable import Terminal

/// Mag-stripe mode of Kernel 2: what goes to the acquirer, and the track against another implementation.
@Suite struct MagStripeTests {
    @Test func requestCarriesTheTrackAndNoChipData() async throws {
        let till = try await Till()
        till.field.present(try card("mc-mag-stripe"))
        let host = ScriptedHost()
        let result = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 900)))
        #expect(result.isApproved)
        let request = try #require(host.authorizations.withLock { $0.first })
        #expect(request.entryMode == .contactlessMagStripe && request.chipData.isEmpty)
        #expect(request.track2?.primaryAccountNumber.clearDigits == "5413330089020045")
        #expect(request.expiry?.yymmdd == 311_231)
        #expect(try #require(result.receipt).text().contains("contactless mag-stripe"))
    }

    /// A changed digit anywhere in the dynamic part is refused; the same track twice, too.
    @Test func issuerRefusesChangedAndRepeatedTracks() async throws {
        let till = try await Till()
        till.field.present(try card("mc-mag-stripe"))
        let host = ScriptedHost()
        _ = try await till.session(backend: host).pay(PaymentRequest(amount: Amount(clamping: 900)))
        let request = try #require(host.authorizations.withLock { $0.first })
        let track = try #require(request.track2)
        // Digits of the discretionary data, from the right: CVC3 2-4, number and counter 5-11.
        for position in 1...11 {
            var bytes = track.clearBytes
            let nibble = bytes.count * 2 - 1 - position
            bytes[nibble / 2] ^= nibble.isMultiple(of: 2) ? 0x10 : 0x01
            guard let changed = Track2EquivalentData(bytes) else { continue }
            var attempt = request
            attempt.transactionID = "txn_\(position)"
            attempt.stan = UInt32(position)
            attempt.track2 = changed
            let answer = try await SimulatedAcquirer().authorize(attempt)
            #expect(answer.responseCode == "63", "digit \(position)")
        }
        let acquirer = SimulatedAcquirer()
        #expect(try await acquirer.authorize(request).responseCode == "00")
        var again = request
        again.transactionID = "txn_again"
        again.stan += 1
        #expect(try await acquirer.authorize(again).responseCode == "63")
    }

    /// CVC3, unpredictable number, counter and the number of digits in the track: `Tests/Oracles/cvc3_track.py`.
    @Test(.needs(.oracles))
    func trackAsAnotherFillsIt()
        async throws
    {
        var lines = ""
        var ours: [String] = []
        let plastic = try card("mc-mag-stripe")
        var till = try await Till()
        till.environment.allowsCardToStay = true
        till.field.present(plastic)
        let host = ScriptedHost()
        let session = till.session(backend: host)
        for _ in 0..<40 {
            let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 900)))
            let record = try #require(result.outcome?.outcome.dataRecord)
            let counter = Hex.string(record[0x9F36] ?? [])
            let number = Hex.string(record[0x9F37] ?? [])
            lines +=
                "5413330089020045 01 5413330089020045D31122010000000000000F 000E 07F0 04 \(number) \(counter) 0\n"
            ours.append(Hex.string(record[0x9F6B] ?? []))
        }
        #expect(try PythonOracle("cvc3_track.py").lines(input: lines) == ours)
        #expect(Set(ours).count == 40)
    }
}
