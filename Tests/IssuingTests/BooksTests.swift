import BERTLV
import EMV
import TestTools
import Testing

@testable import Issuing

@Suite struct Idempotency {
    @Test func repeatGetsTheSameAnswer() {
        let issuer = Host()
        let first = issuer.authorize(Tap.credit.request)
        let second = issuer.authorize(Tap.credit.request)
        #expect(first == second)
        #expect(first.code == .approved)
        #expect(issuer.state.ledger.entries.count == 1)
        let other = issuer.authorize(Tap.credit.with { $0.amount = 1600 }.request)
        #expect(other.code == .duplicateTransmission)
        let elsewhere = issuer.authorize(Tap.credit.with { $0.terminal = "TERM0002" }.request)
        #expect(elsewhere.code == .duplicateTransmission)
        #expect(issuer.balance("account-0119") == -1500)
    }

    @Test func reversalOnce() {
        let issuer = Host()
        _ = issuer.authorize(Tap.alipay.with { $0.amount = 1234 }.request)
        #expect(issuer.balance("alipay:2088000000000001") == 290_375)
        #expect(
            issuer.reverse(transactionID: "T1", terminalID: "TERM0002")
                == .refused("the transaction is of another terminal"))
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .reversed)
        #expect(issuer.balance("alipay:2088000000000001") == 300_000)
        for _ in 0..<3 {
            #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .alreadyReversed)
        }
        #expect(issuer.balance("alipay:2088000000000001") == 300_000)
        #expect(issuer.state.ledger.totals()[euro] == HostTotals(reversals: 1))
        // The authorization again, after its reversal.
        #expect(issuer.authorize(Tap.alipay.with { $0.amount = 1234 }.request).code == .invalidTransaction)
        #expect(issuer.state.ledger.entries.count == 2)
    }

    @Test func reversalBeforeItsAuthorization() {
        let issuer = Host()
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .remembered)
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .alreadyReversed)
        let late = issuer.authorize(Tap.credit.request)
        #expect(late.code == .invalidTransaction)
        #expect(late.reason.contains("before it came"))
        #expect(issuer.advise(Tap.credit.with { $0.type = .tc }.request, approved: true) == .reversedBefore)
        #expect(issuer.state.ledger.entries.isEmpty)
    }

    @Test func declinedHasNothingToReverse() {
        let issuer = Host()
        #expect(issuer.authorize(Tap.poor.request).code == .insufficientFunds)
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .nothingToReverse)
    }

    @Test func advices() {
        let issuer = Host()
        let offline = Tap.debit.with {
            $0.type = .tc
            $0.amount = 2000
        }
        #expect(issuer.advise(offline.request, approved: true) == .posted)
        #expect(issuer.advise(offline.request, approved: true) == .repeated)
        #expect(issuer.balance("account-0135") == 118_000)
        // The same cryptogram under another identifier: the bank's loss.
        #expect(
            issuer.advise(offline.with { $0.id = "T2" }.request, approved: true)
                == .disputed("transaction counter 1 was used before"))
        #expect(issuer.balance("account-0135") == 118_000)
        // Forged, and an ARQC where a TC should be.
        let forged = offline.with {
            $0.id = "T3"
            $0.counter = 2
            $0.extra = [0x9F37: [0, 0, 0, 0]]
        }
        guard case .disputed = issuer.advise(forged.request, approved: true) else {
            Issue.record("a forged certificate was charged")
            return
        }
        #expect(
            issuer.advise(
                offline.with {
                    $0.id = "T4"
                    $0.counter = 3
                    $0.type = .arqc
                }.request, approved: true)
                == .disputed("the cryptogram is no TC but arqc"))
        #expect(
            issuer.advise(
                offline.with {
                    $0.id = "T5"
                    $0.counter = 4
                    $0.type = .aac
                }.request, approved: false)
                == .noted)
        // An unknown card.
        #expect(
            issuer.advise(
                offline.with {
                    $0.id = "T6"
                    $0.number = "4000000000000002"
                }.request, approved: true)
                == .disputed("no issuer has this number range"))
        #expect(issuer.balance("account-0135") == 118_000)
        // The merchant is owed all that was approved offline.
        #expect(
            issuer.state.ledger.totals(terminalID: "TERM0001")[euro]
                == HostTotals(purchases: 5, purchaseAmount: 10_000))
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .reversed)
        #expect(issuer.reverse(transactionID: "T3", terminalID: "TERM0001") == .reversed)
        #expect(issuer.balance("account-0135") == 120_000)
        #expect(
            issuer.state.ledger.totals()[euro]
                == HostTotals(purchases: 3, purchaseAmount: 6000, reversals: 2))
    }

    /// An offline approval beyond the balance is the bank's cost, and a stored-value account stays at zero.
    @Test func storedValueStaysAboveZero() {
        let issuer = Host()
        let offline = Tap.alipay.with {
            $0.type = .tc
            $0.amount = 50_000
        }
        #expect(issuer.advise(offline.request, approved: true) == .posted)
        #expect(issuer.balance("alipay:2088000000000001") == 0)
        #expect(issuer.state.ledger.sum("shortfall:visa-bank:156") == -90_000)
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .reversed)
        #expect(issuer.balance("alipay:2088000000000001") == 300_000)
        #expect(issuer.state.ledger.sum("shortfall:visa-bank:156") == 0)
        #expect(!issuer.adjust(account: "alipay:2088000000000001", by: -300_001))
        #expect(issuer.adjust(account: "alipay:2088000000000001", by: -300_000))
        #expect(!issuer.adjust(account: "nobody", by: 1))
        #expect(!issuer.adjust(account: "account-0119", by: .min))
    }
}

/// Random sequences of all that a terminal may send, in any order, leave the books whole.
@Suite struct BooksInAnyOrder {
    static let taps: [Tap] = [.credit, .debit, .poor, .apple, .google, .alipay]

    @Test(arguments: 1...60 as ClosedRange<UInt64>) func invariants(_ seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let issuer = Host()
        var sent: [Tap] = []
        /// What a terminal would count, by transaction.
        var journal: [String: Int64] = [:]
        var closed: Set<String> = []
        for step in 0..<80 {
            func fresh() -> Tap {
                Self.taps.randomElement(using: &random)!.with {
                    $0.id = "\(seed)-\(step)"
                    $0.counter = UInt16(step + 1)
                    $0.amount = UInt64.random(in: 0...60_000, using: &random)
                    if Int.random(in: 0..<5, using: &random) == 0 { $0.transactionType = 0x20 }
                    $0.partial = Bool.random(using: &random)
                }
            }
            let before = issuer.state
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3:
                let tap = fresh()
                sent.append(tap)
                let answer = issuer.authorize(tap.request)
                if answer.code.isApproval {
                    let approved = Int64((answer.approvedAmount ?? amount(tap.amount)).minorUnits)
                    journal[tap.id] = tap.transactionType == 0x20 ? -approved : approved
                }
            case 4:
                // A duplicate of anything changes nothing.
                guard let tap = sent.randomElement(using: &random) else { continue }
                _ = issuer.authorize(tap.request)
                #expect(issuer.state == before)
            case 5, 6:
                guard let tap = sent.randomElement(using: &random) else { continue }
                let result = issuer.reverse(transactionID: tap.id, terminalID: tap.terminal)
                if journal[tap.id] != nil {
                    #expect(result == (closed.contains(tap.id) ? .alreadyReversed : .reversed))
                    closed.insert(tap.id)
                }
            case 7:
                // A reversal overtakes its authorization.
                let tap = fresh()
                sent.append(tap)
                #expect(issuer.reverse(transactionID: tap.id, terminalID: tap.terminal) == .remembered)
                #expect(issuer.authorize(tap.request).code == .invalidTransaction)
                #expect(issuer.state.ledger == before.ledger)
            case 8:
                let tap = fresh().with { $0.type = .tc }
                sent.append(tap)
                let result = issuer.advise(tap.request, approved: true)
                #expect(result == .posted)
                journal[tap.id] =
                    tap.transactionType == 0x20 ? -Int64(tap.amount) : Int64(tap.amount)
            default:
                guard let tap = sent.randomElement(using: &random), journal[tap.id] != nil else { continue }
                _ = issuer.advise(tap.request, approved: true)
                #expect(issuer.state == before)
            }
            try check(issuer)
        }
        let totals = issuer.state.ledger.totals()[euro] ?? HostTotals()
        let open = journal.filter { !closed.contains($0.key) }.values
        #expect(totals.purchaseAmount == UInt64(open.filter { $0 > 0 }.reduce(0, +)))
        #expect(totals.refundAmount == UInt64(-open.filter { $0 < 0 }.reduce(0, +)))
        #expect(totals.reversals == closed.count)
    }

    func check(_ issuer: Host) throws {
        var sums: [String: Int64] = [:]
        var seen: [String: (postings: Int, reversals: Int)] = [:]
        for (index, entry) in issuer.state.ledger.entries.enumerated() {
            #expect(entry.sequence == index + 1)
            #expect(entry.postings.reduce(0) { $0 + $1.minorUnits } == 0)
            #expect(Set(entry.postings.map(\.currency)).count == 1)
            for posting in entry.postings { sums[posting.account, default: 0] += posting.minorUnits }
            if entry.kind == .reversal {
                seen[entry.transactionID, default: (0, 0)].reversals += 1
            } else {
                seen[entry.transactionID, default: (0, 0)].postings += 1
            }
        }
        for (_, count) in seen { #expect(count.postings == 1 && count.reversals <= 1) }
        for account in issuer.world.accounts {
            let balance = try #require(issuer.balance(account.id))
            #expect(balance == Int64(account.balance) + (sums[account.id] ?? 0))
            if account.kind == .storedValue { #expect(balance >= 0) }
        }
    }
}

@Suite struct ExchangeRates {
    static let zloty = NumericCode(985)!

    @Test(arguments: [
        // minor units, rate, from exponent, to exponent, result
        (1234, "7.80", 2, 2, 9625), (1, "7.80", 2, 2, 8), (1000, "7.80", 2, 2, 7800),
        // Half a minor unit goes up, less does not.
        (1, "0.5", 2, 2, 1), (1, "0.499999999", 2, 2, 0), (3, "0.5", 2, 2, 2), (5, "0.1", 2, 2, 1),
        // Yen have no minor unit, Kuwaiti dinars three digits.
        (1000, "162.35", 2, 0, 1624), (1624, "0.006159532", 0, 2, 1000), (1000, "0.3334", 2, 3, 3334),
        (0, "7.80", 2, 2, 0), (999_999_999_999, "1", 2, 2, 999_999_999_999),
    ]) func converts(_ units: UInt64, _ text: String, _ from: UInt8, _ to: UInt8, _ expected: UInt64) throws {
        let rate = try #require(ExchangeRate(from: euro, to: yuan, rate: text))
        #expect(rate.convert(amount(units), fromExponent: from, toExponent: to) == amount(expected))
        #expect(rate.text == text)
    }

    @Test func tooMuch() throws {
        let rate = try #require(ExchangeRate(from: euro, to: yuan, rate: "999999999.999999999"))
        #expect(rate.convert(amount(999_999_999_999), fromExponent: 0, toExponent: 4) == nil)
        #expect(rate.convert(amount(1), fromExponent: 4, toExponent: 0) == amount(100_000))
    }

    @Test(arguments: [
        "", ".", "1.", ".5", "0", "0.0", "-1", "+1", "1,5", "1e3", "1.0000000001", "1234567890", "7.8.0", "٣",
    ]) func refusesOtherText(_ text: String) {
        #expect(ExchangeRate(from: euro, to: yuan, rate: text) == nil)
    }

    /// The greatest amount fits, and one more does not.
    @Test func greatestAmount() throws {
        var random = SplitMix(seed: 3)
        for _ in 0..<500 {
            let digits = UInt64.random(in: 1...999_999_999, using: &random)
            let rate = try #require(
                ExchangeRate(from: euro, to: yuan, rate: "\(digits / 1_000_000).\(digits % 1_000_000 + 1)"))
            let limit = UInt64.random(in: 0...10_000_000, using: &random)
            let most = rate.greatestAmount(within: limit, fromExponent: 2, toExponent: 2)
            #expect(try #require(rate.convert(most, fromExponent: 2, toExponent: 2)).minorUnits <= limit)
            if let more = Amount(minorUnits: most.minorUnits + 1),
                let converted = rate.convert(more, fromExponent: 2, toExponent: 2)
            {
                #expect(converted.minorUnits > limit)
            }
        }
    }
}
