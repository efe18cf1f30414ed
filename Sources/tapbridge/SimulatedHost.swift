import Acquiring
import ArgumentParser
import EMV
import Foundation
import Issuing
import Terminal

/// The built-in host with its books, which outlive a run as the cards' counters do.
enum SimulatedHost {
    static func statePath() throws -> String { try StateDirectory.make() + "/host.json" }
    static func batchesPath() throws -> String { try StateDirectory.make() + "/host-batches.json" }

    /// - Parameters:
    ///   - troubles: rules as text; without a colon they hold for every authorization.
    ///   - keepsBooks: whether balances and used counters are read from the state directory.
    static func make(
        troubles: [String] = [], keepsBooks: Bool = true, answerTimeout: Duration = .seconds(30)
    ) throws -> SimulatedAcquirer {
        let script = try script(troubles)
        var state = IssuerSimulator.State()
        var books = AcquirerBooks()
        if keepsBooks, let data = FileManager.default.contents(atPath: try batchesPath()) {
            do {
                books = try JSONDecoder().decode(AcquirerBooks.self, from: data)
            } catch {
                throw CommandFailure(
                    .badInput,
                    "the simulated host's batches (\(try batchesPath())) cannot be read: begin new ones with `tapbridge host reset`"
                )
            }
        }
        if keepsBooks, let data = FileManager.default.contents(atPath: try statePath()) {
            do {
                state = try JSONDecoder().decode(IssuerSimulator.State.self, from: data)
            } catch {
                throw CommandFailure(
                    .badInput,
                    "the simulated host's books (\(try statePath())) cannot be read: begin new ones with `tapbridge host reset`"
                )
            }
        }
        let issuer: IssuerSimulator
        do {
            issuer = try IssuerSimulator(world: .test, state: state, pinVerifier: TestPIN.verifier)
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
        return SimulatedAcquirer(
            issuer: issuer, books: books, troubles: script, answerTimeout: answerTimeout)
    }

    static func script(_ troubles: [String]) throws -> TroubleScript {
        var rules: [TroubleRule] = []
        for text in troubles {
            do {
                rules.append(try TroubleRule(text.contains(":") ? text : "always: \(text)"))
            } catch {
                throw CommandFailure(.usage, "\(error)")
            }
        }
        return TroubleScript(rules: rules)
    }

    /// A PIN pad in software with the profile's keys, else the test world's, whose transactions are counted in the
    /// state directory.
    static func pinPad(
        _ profile: TerminalProfile, ask: @escaping @Sendable (PINPad.Request) async -> PIN?
    ) throws -> PINPad {
        let (keys, counter) = try pinKeys(profile)
        return .software(keys: keys, counter: counter, ask: ask)
    }

    /// The counter of a profile's PIN keys, in the state directory.
    static func pinKeyCounter(_ profile: TerminalProfile) throws -> FileKeyCounter {
        try pinKeys(profile).counter
    }

    private static func pinKeys(_ profile: TerminalProfile) throws -> (keys: PINKeys, counter: FileKeyCounter)
    {
        let keys: PINKeys
        do { keys = try profile.pinKeys ?? .test() } catch { throw CommandFailure(.badInput, "\(error)") }
        let name = keys.keySerialNumber.map { String(format: "%02X", $0) }.joined()
        return (keys, FileKeyCounter(path: try StateDirectory.make("pin-pads") + "/\(name).txt"))
    }

    /// A PIN pad with the test world's keys, at which `pin` is entered; nil enters nothing.
    static func pinPad(_ pin: PIN?) throws -> PINPad {
        do {
            return .software(keys: try .test()) { _ in pin }
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    static func keepBooks(of host: SimulatedAcquirer) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let path = try statePath()
        do {
            try encoder.encode(await host.issuer.state).write(
                to: URL(fileURLWithPath: path), options: .atomic)
            try encoder.encode(await host.books).write(
                to: URL(fileURLWithPath: try batchesPath()), options: .atomic)
        } catch {
            throw CommandFailure(
                .journal,
                "the simulated host's books cannot be kept in \(path): \(error.localizedDescription)")
        }
    }
}

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "Serve terminals as a simulated acquirer, or look into its books.",
        subcommands: [Serve.self, Accounts.self, Reset.self], defaultSubcommand: Serve.self)

    struct Accounts: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List accounts, balances and what is available.")
        @OptionGroup var output: OutputOptions

        struct Row: Encodable {
            var account: String
            var balance: Int64
            var available: UInt64
            var currency: String
        }

        func run() async throws {
            let issuer = try await SimulatedHost.make().issuer
            let rows = Self.rows(issuer)
            if output.json { return try Console.printJSON(rows) }
            Console.print(Console.standard.table(Self.table(issuer)))
        }

        static func rows(_ issuer: IssuerSimulator) -> [Row] {
            issuer.world.accounts.map {
                Row(
                    account: $0.id, balance: issuer.balance($0.id) ?? 0,
                    available: issuer.available($0.id) ?? 0, currency: $0.currency.description)
            }
        }

        /// - Parameter onlyMoved: leaves out accounts on which nothing was booked.
        static func table(_ issuer: IssuerSimulator, onlyMoved: Bool = false) -> [[String]] {
            let accounts = issuer.world.accounts.filter {
                !onlyMoved || issuer.balance($0.id) != Int64(clamping: $0.balance)
            }
            return [["ACCOUNT", "BALANCE", "AVAILABLE"]]
                + accounts.map { account in
                    let balance = issuer.balance(account.id) ?? 0
                    func money(_ units: UInt64) -> String {
                        Money(Amount(clamping: units), account.currency).description
                    }
                    return [
                        account.id, (balance < 0 ? "-" : "") + money(balance.magnitude),
                        money(issuer.available(account.id) ?? 0),
                    ]
                }
        }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin new books: opening balances, no counter used.")
        func run() throws {
            try? FileManager.default.removeItem(atPath: try SimulatedHost.statePath())
            try? FileManager.default.removeItem(atPath: try SimulatedHost.batchesPath())
            Console.print("the simulated host begins new books")
        }
    }
}
