import BERTLV
import Foundation
import FuzzTargets
import Testing

/// Every input that `make fuzz` has found, and changes of each by a seed, in the ordinary build: nothing traps, and
/// every property holds.
@Suite(.serialized) struct FuzzReplayTests {
    /// Another one with `TAPBRIDGE_FUZZ_SEED`.
    static let seed =
        ProcessInfo.processInfo.environment["TAPBRIDGE_FUZZ_SEED"].flatMap { UInt64($0) } ?? 0x7AB7
    /// Multiplies the mutations of each target with `TAPBRIDGE_FUZZ_FACTOR`.
    static let factor = ProcessInfo.processInfo.environment["TAPBRIDGE_FUZZ_FACTOR"].flatMap { Int($0) } ?? 1

    @Test(arguments: FuzzTarget.all.map(\.name)) func corpus(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let corpus = try Corpus(of: name).inputs.map(\.bytes)
        let inputs = corpus + (try target.seeds())
        try #require(!inputs.isEmpty, "\(name) has neither seeds nor a corpus")
        var mutator = Mutator(seed: Self.seed, corpus: inputs)
        for input in inputs {
            Self.run(target, input, "corpus")
            for _ in 0..<(target.mutations * Self.factor) {
                Self.run(target, mutator.mutated(input, longest: target.longestInput), "seed \(Self.seed)")
            }
        }
    }

    static func run(_ target: FuzzTarget, _ input: [UInt8], _ origin: String) {
        LastInput.note("\(target.name), \(origin): \(Hex.string(input))")
        do { try target.run(input) } catch {
            Issue.record("\(target.name), \(origin): \(error)\n\(Hex.string(input))")
        }
    }

    /// Files of targets that are no more are found, and lines that are none.
    @Test func corpusFiles() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Corpus.folder.path)
        let known = Set(FuzzTarget.all.map { $0.name + ".hex" })
        #expect(Set(names).isSubset(of: known), "\(Set(names).subtracting(known))")
        #expect(Set(FuzzTarget.all.map(\.name)).count == FuzzTarget.all.count)
        for target in FuzzTarget.all {
            let inputs = try Corpus(of: target.name).inputs
            #expect(Set(inputs.map(\.bytes)).count == inputs.count, "\(target.name)")
            #expect(inputs.allSatisfy { $0.bytes.count <= target.longestInput }, "\(target.name)")
        }
    }
}
