import AcquirerHost
import AcquirerSimulator
import CardReaders
import Cards
import EMV
import Foundation
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import Issuing
import Journal
import Terminal

extension Benchmarks {
    /// Whole payments of 200 terminals: card, kernel, journal file, ISO 8583 over loopback, issuer.
    static func payments(_ rounds: Int) async throws -> Row {
        let terminals = 200
        let profile = try TerminalProfile.builtIn()
        let card = try CardLibrary.profile("visa-no-oda")
        guard let application = card.applications.first else {
            throw BenchmarkError("the benchmark's card has no application")
        }

        // As many cards at the issuer as terminals, as a counter is good once.
        var world = IssuingWorld.test
        guard let issued = world.cards.first(where: { $0.number == application.primaryAccountNumber }),
            var account = world.accounts.first(where: { $0.id == issued.account })
        else { throw BenchmarkError("the test world does not know the benchmark's card") }
        account.id = "bench"
        account.balance = 900_000_000_000
        world.accounts.append(account)
        var profiles: [CardProfile] = []
        for index in 0..<terminals {
            guard let number = number(index, like: application.primaryAccountNumber) else {
                throw BenchmarkError("no card number")
            }
            var copy = issued
            copy.id = "bench-\(index)"
            copy.number = number
            copy.account = account.id
            copy.scripts = []
            world.cards.append(copy)
            var own = card
            own.id = copy.id
            own.applications[0].primaryAccountNumber = number
            profiles.append(own)
        }
        let simulator = SimulatedAcquirer(issuer: try IssuerSimulator(world: world))
        guard let dialect = try Dialect.builtIn("generic-bcd") else {
            throw BenchmarkError("no dialect generic-bcd")
        }
        let interface = HostInterface(dialect: dialect)
        let listener = ISO8583Listener(
            service: HostService(acquirer: simulator), interface: interface,
            endpoint: Endpoint(host: "127.0.0.1", port: 0))
        let (addresses, continuation) = AsyncStream.makeStream(of: Endpoint.self)
        let server = Task { try await listener.run { continuation.yield($0) } }
        defer { server.cancel() }
        var address: Endpoint?
        for await found in addresses {
            address = found
            break
        }
        guard let address else { throw BenchmarkError("the host does not listen") }
        let acquirer = ISO8583Acquirer(interface: interface, endpoints: [address])

        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tapbridge-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let journal = try await Journal.open(at: folder.appending(path: "journal.sqlite").path)
        var sessions: [TerminalSession] = []
        for (index, own) in profiles.enumerated() {
            var profile = profile
            profile.terminalID = "T\(String(format: "%07d", index))"
            let field = EmulatedReader()
            field.present(try EmulatedCard(profile: own))
            var environment = TerminalEnvironment()
            environment.allowsCardToStay = true
            sessions.append(
                TerminalSession(
                    profile: profile, reader: field, backend: acquirer, journal: journal,
                    environment: environment))
        }

        let clock = ContinuousClock()
        var rates: [Double] = []
        let each = 10
        for _ in 0..<max(3, min(rounds, 5)) {
            let start = clock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for session in sessions {
                    group.addTask {
                        for _ in 0..<each {
                            let result = try await session.pay(PaymentRequest(amount: Amount(clamping: 2000)))
                            guard result.status == .approved else {
                                throw BenchmarkError(
                                    "a benchmarked payment ended \(result.status.rawValue): \(result.reason ?? "")"
                                )
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            rates.append(Double(terminals * each) / microseconds(start.duration(to: clock.now)) * 1e6)
        }
        await acquirer.close()
        return Row(
            name: "payments",
            what:
                "whole payments of 200 terminals over ISO 8583 on loopback, each journaled durably, host included",
            value: median(rates), unit: "/s", goal: ">= 2000/s")
    }

    /// A number of the same issuer with a right check digit.
    private static func number(_ index: Int, like number: PrimaryAccountNumber) -> PrimaryAccountNumber? {
        let body = String(number.clearDigits.prefix(9)) + String(format: "%06d", 500_000 + index)
        return (0...9).lazy.compactMap { PrimaryAccountNumber(digits: body + String($0)) }.first(
            where: \.hasValidCheckDigit)
    }
}
