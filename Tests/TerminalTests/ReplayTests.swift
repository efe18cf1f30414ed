import EMV
import Foundation
import CardReaders
import Testing
import Traces

@testable import Terminal

/// The committed traces: the whole terminal runs on them and does the same again.
@Suite struct ReplayTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("apdu-traces")
    static let names: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".trace") }.sorted()

    static func load(_ name: String) throws -> (Trace, TerminalProfile) {
        let trace = try Trace(
            parsing: try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8))
        let own = trace["profile"].map { folder.appendingPathComponent($0).path } ?? ""
        let profile =
            FileManager.default.fileExists(atPath: own)
            ? try TerminalProfile(path: own) : try TerminalProfile.builtIn()
        return (trace, profile)
    }

    @Test func thereAreTraces() { #expect(Self.names.count >= 19) }

    @Test(arguments: names) func replaysTheSame(_ name: String) async throws {
        let (trace, profile) = try Self.load(name)
        let report = try await Replay.run(trace, profile: profile)
        #expect(report.difference == nil)
        #expect(trace["profile-digest"] == profile.digest, "the profile has changed: record the traces anew")
    }

    /// A trace of which one answer was changed is never taken for the same where the change matters: either
    /// the commands or the outcome differ. The first byte of each good answer is changed once.
    @Test(arguments: names) func aChangedAnswerShows(_ name: String) async throws {
        let (trace, profile) = try Self.load(name)
        for index in trace.entries.indices {
            guard case .response(var bytes, let time) = trace.entries[index].content, bytes.count > 2,
                bytes.suffix(2) == [0x90, 0x00]
            else { continue }
            bytes[0] ^= 0x01
            var changed = trace
            changed.entries[index].content = .response(bytes, microseconds: time)
            let report = try await Replay.run(changed, profile: profile)
            #expect(report.difference != nil, "answer of line \(trace.entries[index].line)")
        }
    }

    /// Another amount: strict replay names the first command that differs, lenient replay goes on.
    @Test func strictAndLenient() async throws {
        var (trace, profile) = try Self.load("visa-credit-online.trace")
        trace["amount"] = "1300"
        let strict = try await Replay.run(trace, profile: profile, mode: .strict)
        #expect(strict.difference?.contains("GET PROCESSING OPTIONS") == true)
        let lenient = try await Replay.run(trace, profile: profile, mode: .lenient)
        #expect(lenient.result?.status == .approved)
    }

    @Test func headerWithoutInputs() async throws {
        var (trace, profile) = try Self.load("visa-credit-online.trace")
        trace["date"] = nil
        await #expect(throws: TraceError.self) { try await Replay.run(trace, profile: profile) }
        (trace, profile) = try Self.load("visa-credit-online.trace")
        trace["amount"] = "12.50"
        await #expect(throws: TraceError.self) { try await Replay.run(trace, profile: profile) }
    }
}
