package import AcquirerSimulator
internal import ArgumentParser
internal import EMVCryptography
internal import Foundation
internal import Issuing
package import Terminal

/// The built-in host with its books, which outlive a run as the cards' counters do.
package enum SimulatedHost {
    package static func statePath() throws -> String { try StateDirectory.make() + "/host.json" }
    package static func batchesPath() throws -> String { try StateDirectory.make() + "/host-batches.json" }

    /// - Parameters:
    ///   - troubles: rules as text; without a colon they hold for every authorization.
    ///   - keepsBooks: whether balances and used counters are read from the state directory.
    package static func make(
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

    package static func script(_ troubles: [String]) throws -> TroubleScript {
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

    /// The counter of a profile's PIN keys, in the state directory.
    package static func pinKeyCounter(_ profile: TerminalProfile) throws -> FileKeyCounter {
        let keys: PINKeys
        do { keys = try profile.pinKeys ?? .test() } catch { throw CommandFailure(.badInput, "\(error)") }
        let name = keys.keySerialNumber.map { String(format: "%02X", $0) }.joined()
        return FileKeyCounter(path: try StateDirectory.make("pin-pads") + "/\(name).txt")
    }

    package static func keepBooks(of host: SimulatedAcquirer) async throws {
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
