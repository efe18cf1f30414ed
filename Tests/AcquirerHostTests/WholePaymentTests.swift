import AcquirerSimulator
import Acquiring
import CardReaders
import Cards
import EMV
import EMVCryptography
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import Issuing
import Journal
import Terminal
import Testing

/// Emulated cards at a terminal whose acquirer is on the other end of a connection.
@Suite struct WholePaymentTests {
    /// A payment with a card as personalised; the answer of the host, and how it ended.
    static func pay(
        _ id: String, _ amount: UInt64, _ backend: any AcquirerBackend, type: TransactionType = .purchase,
        pinPad: PINPad? = nil
    ) async throws -> PaymentResult {
        let field = EmulatedReader()
        let card = try EmulatedCard(profile: try CardLibrary.profile(id))
        card.ownerUnlocksWhenAsked = true
        card.unlock()
        field.present(card)
        let session = TerminalSession(
            profile: try TerminalProfile.builtIn(), reader: field, backend: backend,
            journal: try Journal.inMemory(),
            environment: TerminalEnvironment(
                pinPad: try pinPad ?? .software(key: TestPIN.key()) { _ in PIN(TestPIN.pin) }))
        return try await session.pay(PaymentRequest(amount: Amount(minorUnits: amount)!, type: type))
    }

    /// The same card, the same amount: over the line comes what the simulator says in process, cryptogram and issuer
    /// scripts included.
    @Test(arguments: [
        ("visa-credit", 1250), ("visa-debit", 8000), ("visa-no-oda", 2000), ("visa-poor", 500),
        ("visa-expired", 990),
        ("mc-credit", 3000), ("mc-debit", 8000), ("mc-mag-stripe", 2500), ("apple-pay-visa", 6400),
        ("google-pay-visa", 6400), ("alipay-wallet", 2000),
    ]) func theLineChangesNothing(id: String, amount: UInt64) async throws {
        let direct = try await Self.pay(id, amount, SimulatedAcquirer())
        let interface = try HostInterface.named(
            id.hasPrefix("mc") ? "generic-ascii" : "generic-bcd", "2-byte tpdu")
        let host = try await TestHost(interface)
        let acquirer = ISO8583Acquirer(interface: interface, endpoints: [host.endpoint], settings: .quick())
        let remote = try await Self.pay(id, amount, acquirer)
        await acquirer.close()
        await host.stop()
        #expect(remote.status == direct.status)
        #expect(remote.response?.responseCode == direct.response?.responseCode)
        #expect(remote.response?.approvedAmount == direct.response?.approvedAmount)
        #expect(remote.response?.availableBalance == direct.response?.availableBalance)
        #expect(remote.response?.accountCharge?.amount == direct.response?.accountCharge?.amount)
        // What depends on the card's cryptogram, as the issuer made it.
        let records = await host.simulator.issuer.state.transactions.values
        let made = records.first?.answer
        #expect(remote.response?.issuerAuthenticationData == made?.issuerAuthenticationData)
        #expect(remote.response?.issuerScripts ?? [] == made?.issuerScripts ?? [])
        #expect(remote.response?.issuerScripts.count == direct.response?.issuerScripts.count)
        #expect(remote.response?.message == direct.response?.message)
        if direct.response != nil {
            #expect(
                host.log.contains { $0.type == "0200" && $0.responseCode == direct.response?.responseCode })
        }
    }

    /// Each built-in dialect carries whole payments: chip data of more than the 255 bytes that 1993's field 55 has,
    /// an online PIN, mag-stripe mode.
    @Test(
        arguments: Dialect.builtInNames,
        [("visa-credit", 1250), ("visa-debit", 8000), ("mc-credit", 3000), ("mc-mag-stripe", 2500)]
            as [(String, UInt64)])
    func everyDialect(_ dialect: String, _ payment: (card: String, amount: UInt64)) async throws {
        let interface = try HostInterface.named(dialect)
        let host = try await TestHost(interface)
        let acquirer = ISO8583Acquirer(interface: interface, endpoints: [host.endpoint], settings: .quick())
        let result = try await Self.pay(payment.card, payment.amount, acquirer)
        #expect(result.status == .approved, "\(result.reason ?? "")")
        #expect(result.online == true)
        await acquirer.close()
        await host.stop()
    }

    /// AES DUKPT: a PIN block of 16 bytes, and its key serial number, reach the issuer over the line.
    @Test(arguments: ["generic-bcd", "generic-93-ascii"], [(TestPIN.pin, "00"), ("9999", "55")])
    func aesPINBlocksOverTheLine(_ dialect: String, _ expected: (pin: String, code: String)) async throws {
        let interface = try HostInterface.named(dialect)
        let host = try await TestHost(interface)
        let acquirer = ISO8583Acquirer(interface: interface, endpoints: [host.endpoint], settings: .quick())
        let result = try await Self.pay(
            "visa-debit", 8000, acquirer,
            pinPad: .software(keys: try .testAES()) { _ in PIN(expected.pin) })
        #expect(result.cvm == .onlinePIN)
        // In the codes of 1987, whatever the line's.
        #expect(result.response?.authorisationResponseCode == expected.code, "\(result.reason ?? "")")
        await acquirer.close()
        await host.stop()
    }

    @Test func silenceIsReversedOnTheLine() async throws {
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(interface, troubles: ["always: silence x1"])
        let acquirer = ISO8583Acquirer(
            interface: interface, endpoints: [host.endpoint], settings: .quick(answer: .seconds(2)))
        let result = try await Self.pay("visa-credit", 1250, acquirer)
        #expect(result.status == .failed)
        // After a time-out the line is tested as well.
        #expect(host.log.compactMap(\.type).filter { $0 != "0800" } == ["0200", "0420"])
        #expect(await host.simulator.issuer.balance("account-0119") == 0)
        await acquirer.close()
        await host.stop()
    }

    @Test func theSampleFileIsWhole() throws {
        let file = try AcquirerFile(text: AcquirerFile.sample, source: "acquirer.yaml")
        #expect(file.endpoints == [Endpoint(host: "127.0.0.1", port: 8583)])
        #expect(file.interface.additionalData == [.other: HostInterface.standardFields])
    }
}
