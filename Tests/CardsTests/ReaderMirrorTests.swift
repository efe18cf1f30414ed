import BERTLV
import Cards
import EMV
import EMVCryptography
import Kernels
import SmartCard
import Testing

/// The cards in front of the real Entry Point and Kernel 3: what the profiles promise is what a reader gets.
struct Reader {
    var configuration: EntryPointConfiguration

    init(ttq: UInt32 = 0x3600_C000) {
        var combination = CombinationConfiguration(
            applicationIdentifier: Hex.bytes("A0000000031010")!, kernel: 3,
            transactionTypes: [0x00, 0x09, 0x20])
        combination.contactlessTransactionLimit = Amount(clamping: 50001)
        combination.contactlessFloorLimit = Amount(clamping: 1500)
        combination.cvmRequiredLimit = Amount(clamping: 5000)
        combination.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: ttq)
        var keys = CertificationAuthorityPublicKeyStore()
        for key in TestCertificationAuthority.publicKeys { try? keys.add(key) }
        configuration = EntryPointConfiguration(
            combinations: [combination],
            terminal: TerminalConfiguration(
                data: [
                    0x9F1A: [0x02, 0x76], 0x9F33: [0xE0, 0x68, 0xC8], 0x9F35: [0x22],
                    0x9F40: [0xF0, 0x00, 0xF0, 0xA0, 0x01],
                ],
                certificationAuthorityKeys: keys))
    }

    /// What one presentment after the other ends in; nil where the card was presented `taps` times and the
    /// reader waits for it again.
    struct Run {
        var entryPoint: EntryPoint
        var messages: [UserInterfaceRequest.Message] = []
        var steps = 0

        mutating func finish(
            _ first: EntryPointAction, _ card: any VirtualCard, taps: Int
        ) -> FinalOutcome? {
            var action = first
            var left = taps
            while true {
                steps += 1
                // A reader that does not come to an end is a hang.
                if steps > 5000 { return nil }
                let event: EntryPointEvent
                switch action {
                case .activateCard:
                    guard left > 0 else { return nil }
                    left -= 1
                    card.powerOn()
                    event = .cardActivated
                case .fieldOff:
                    card.powerOff()
                    event = .kernel(.done)
                case .outcome(let final):
                    card.powerOff()
                    return final
                case .kernel(let inside):
                    switch inside {
                    case .transmit(let command):
                        if let answer = card.process(command.bytes),
                            let response = try? ResponseAPDU(bytes: answer)
                        {
                            event = .kernel(.response(response, microseconds: 100))
                        } else {
                            event = .kernel(.communicationError(.timeout))
                        }
                    case .display(let request):
                        messages.append(request.message)
                        event = .kernel(.done)
                    case .drawUnpredictableNumber: event = .kernel(.unpredictableNumber(0x1234_5678))
                    case .sendDataExchange: event = .kernel(.done)
                    case .waitForData: event = .kernel(.timeout)
                    case .outcome(let outcome): return FinalOutcome(outcome)
                    }
                }
                action = entryPoint.handle(event)
            }
        }
    }

    func pay(
        _ amount: UInt64, _ card: any VirtualCard, taps: Int = 1, type: UInt8 = 0x00
    ) -> (final: FinalOutcome?, run: Run) {
        let inputs = TransactionInputs(
            amount: Amount(clamping: amount), transactionType: type, currency: NumericCode(978)!,
            date: EMVDate(year: 2026, month: 11, day: 21)!, hhmmss: 120000, sequenceCounter: 1)
        var run = Run(entryPoint: EntryPoint(configuration: configuration, kernels: .all))
        let first = run.entryPoint.start(inputs)
        let final = run.finish(first, card, taps: taps)
        return (final, run)
    }
}

@Suite struct ReaderMirrorTests {
    /// Profile, unlocked, amount, and the outcome with its cardholder verification method.
    static let payments: [(String, Bool, UInt64, Outcome.Status, Outcome.CVM)] = [
        ("visa-credit", false, 1000, .onlineRequest, .noCVM),
        ("visa-credit", false, 7500, .onlineRequest, .signature),
        ("visa-debit", false, 1000, .approved, .noCVM),
        ("visa-debit", false, 2000, .onlineRequest, .noCVM),
        ("visa-debit", false, 7500, .onlineRequest, .onlinePIN),
        ("visa-expired", false, 1000, .declined, .notApplicable),
        ("visa-expired", false, 2000, .onlineRequest, .noCVM),
        ("visa-blocked", false, 1000, .endApplication, .notApplicable),
        ("visa-tampered", false, 1000, .declined, .notApplicable),
        ("visa-no-oda", false, 1000, .onlineRequest, .noCVM),
        ("visa-poor", false, 1000, .onlineRequest, .noCVM),
        ("apple-pay-visa", true, 1000, .onlineRequest, .confirmationCodeVerified),
        ("apple-pay-visa", true, 7500, .onlineRequest, .confirmationCodeVerified),
        ("google-pay-visa", false, 1000, .onlineRequest, .noCVM),
        ("google-pay-visa", true, 7500, .onlineRequest, .confirmationCodeVerified),
        ("alipay-wallet", true, 1000, .onlineRequest, .confirmationCodeVerified),
    ]

    @Test(arguments: payments, [0x3600_C000, 0x3700_C000] as [UInt32]) func payment(
        _ payment: (id: String, unlocked: Bool, amount: UInt64, status: Outcome.Status, method: Outcome.CVM),
        ttq: UInt32
    ) throws {
        let card = try makeCard(payment.id)
        if payment.unlocked { card.unlock() }
        let final = try #require(Reader(ttq: ttq).pay(payment.amount, card).final)
        #expect(final.outcome.status == payment.status)
        #expect(final.outcome.cvm == payment.method)
        // Offline data authentication, where made, ends well (an Error Indication tells otherwise).
        let failed = final.outcome.discretionaryData?[0xDF8115].map(Array.init)
        if payment.status != .endApplication {
            // The expired card's certificate has expired with it.
            let bad =
                payment.id == "visa-tampered"
                || (payment.id == "visa-expired" && payment.status == .onlineRequest && ttq == 0x3700_C000)
            #expect((failed != nil) == bad, "\(failed ?? [])")
        }
    }

    @Test(arguments: ["apple-pay-visa", "google-pay-visa", "alipay-wallet"])
    func firstTapSeePhoneSecondTapPays(_ id: String) throws {
        let locked = try makeCard(id)
        let waiting = Reader().pay(7500, locked)
        #expect(waiting.final == nil, "the reader waits for the phone again")
        #expect(locked.asksToUnlock)

        let card = try makeCard(id)
        card.ownerUnlocksWhenAsked = true
        let paid = Reader().pay(7500, card, taps: 2)
        #expect(paid.final?.outcome.status == .onlineRequest)
        #expect(paid.final?.outcome.cvm == .confirmationCodeVerified)
        #expect(paid.run.messages.contains(.seePhone))
    }

    @Test func issuerUpdateOnTheSecondTap() throws {
        let card = try makeCard("visa-debit") { $0.applications[0].risk.decision = .online }
        var (final, run) = Reader().pay(1000, card)
        let online = try #require(final)
        #expect(online.outcome.status == .onlineRequest && online.outcome.start == .b)
        // The issuer's part, with its own keys (EMV Book 2, 8.2.2 and 9.2).
        let keys = try #require(TestKeys.shared.masterKeys["visa"])
        let pan = Hex.bytes("4761739001010135")!
        func master(_ key: SecretKey) throws -> TripleDESKey {
            try TripleDESKey(key).iccMasterKey(pan: pan, panSequenceNumber: 1)
        }
        let record = try #require(online.outcome.dataRecord)
        let arqc = try #require(Cryptogram(record[0x9F26] ?? []))
        let session = CryptogramVersion.visaCVN18.responseCryptogramKey(
            masterKey: try master(keys.applicationCryptogram), applicationTransactionCounter: 1)
        let arpc = session.responseCryptogram(arqc: arqc, cardStatusUpdate: 0x0082_0000)
        let authentication =
            (0..<4).map { UInt8(truncatingIfNeeded: arpc >> (24 - 8 * $0)) } + [0, 0x82, 0, 0]
        let messaging = ScriptSecureMessaging(
            style: .visa, integrityMasterKey: try master(keys.scriptIntegrity),
            confidentialityMasterKey: try master(keys.scriptConfidentiality),
            applicationTransactionCounter: 1,
            cryptogram: arqc)
        let header: [UInt8] = [0x84, 0x1E, 0x00, 0x00, 0x08]
        var script = BERTLVWriter()
        script.template(0x72) { $0.append(0x86, header + messaging.commandMAC(header: header).bytes) }

        let action = run.entryPoint.restart(
            issuerUpdate: IssuerUpdate(
                issuerAuthenticationData: authentication, issuerScripts: script.bytes,
                authorisationResponseCode: Array("00".utf8)))
        final = run.finish(action, card, taps: 1)
        #expect(final?.outcome.status == .approved)
        #expect(
            final?.outcome.discretionaryData?[0x95].map(Array.init) ?? [0, 0, 0, 0, 0] == [0, 0, 0, 0, 0])
        let state = try #require(card.state.applications["A0000000031010"])
        #expect(state.blocked && state.scriptCommands == 1 && !state.scriptFailed && !state.awaitsIssuer)
        #expect(Reader().pay(1000, card).final?.outcome.status == .endApplication)
    }

    /// Whatever a hostile card answers, the reader comes to an end, and an offline approval only follows from
    /// a card that the reader authenticated.
    @Test(arguments: ["visa-debit", "visa-credit", "apple-pay-visa"])
    func hostileCardsNeverTrapOrHangAReader(_ id: String) throws {
        let profile = try CardLibrary.profile(id)
        let reader = Reader(ttq: 0x3700_C000)
        var statuses: Set<Outcome.Status> = []
        for seed in 0..<2000 as Range<UInt64> {
            let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: seed))
            card.unlock()
            let hostile = HostileCard(around: card, seed: seed, chance: seed.isMultiple(of: 2) ? 0.15 : 0.6)
            let (final, run) = reader.pay(1000, hostile, taps: 3)
            #expect(run.steps <= 5000, "seed \(seed)")
            guard let final else { continue }
            statuses.insert(final.outcome.status)
            if final.outcome.status == .approved {
                #expect(cryptogramWasSigned(final.outcome), "seed \(seed)")
            }
        }
        #expect(statuses.isSuperset(of: [.endApplication, .onlineRequest]))
    }

    private func cryptogramWasSigned(_ outcome: Outcome) -> Bool {
        outcome.discretionaryData?[0xDF8115] == nil
    }

    @Test(arguments: 0..<8) func tornCardsNeverTrapOrHangAReader(_ commands: Int) throws {
        let card = try makeCard("visa-debit")
        let torn = TornCard(around: card, .afterCommands(commands))
        // Pulled once, presented again.
        let final = Reader().pay(1000, torn, taps: 2).final
        #expect(
            final == nil || final?.outcome.status == .approved || final?.outcome.status == .endApplication)
        #expect(Reader().pay(1000, torn).final?.outcome.status == .approved)
    }
}
