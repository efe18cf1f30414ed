import Foundation
import Synchronization
import Testing

@testable import TerminalService

@Suite("Sessions")
struct SessionTests {
    /// A clock that is set.
    final class Time: Sendable {
        private let start = ContinuousClock.now
        private let passed = Mutex(Duration.zero)
        var now: ContinuousClock.Instant { start + passed.withLock { $0 } }
        func pass(_ time: Duration) { passed.withLock { $0 += time } }
    }
    static let board = AccessToken(name: "board", role: .observer, hash: AccessToken.hash(of: "a"))
    static let till = AccessToken(name: "till", role: .operator, hash: AccessToken.hash(of: "b"))

    static func values(_ tokens: [AccessToken] = [board, till]) -> GuardSettings.Values {
        var values = GuardSettings.Values()
        values.tokens = AccessTokens(tokens)
        values.limits.sessionIdle = .seconds(60)
        values.limits.sessionLifetime = .seconds(300)
        return values
    }

    @Test("a session ends when it is not used, and at the end of its life in any case")
    func ends() {
        let time = Time()
        let sessions = Sessions(now: { time.now })
        let values = Self.values()
        let first = sessions.begin(for: Self.board, values.limits)
        #expect(sessions.session(first, values)?.token == Self.board)
        time.pass(.seconds(59))
        #expect(sessions.session(first, values) != nil)
        time.pass(.seconds(60))
        #expect(sessions.session(first, values) == nil)
        #expect(sessions.count == 0)
        let second = sessions.begin(for: Self.board, values.limits)
        for _ in 0..<9 {
            time.pass(.seconds(30))
            #expect(sessions.session(second, values) != nil)
        }
        time.pass(.seconds(30))
        #expect(sessions.session(second, values) == nil)
    }

    @Test(
        "a session goes with its token: removed, renamed, of another role",
        arguments: [
            [till], [AccessToken(name: "board", role: .operator, hash: board.hash), till],
            [AccessToken(name: "other", role: .observer, hash: board.hash), till],
            [AccessToken(name: "board", role: .observer, hash: AccessToken.hash(of: "c")), till], [],
        ])
    func goesWithItsToken(_ tokens: [AccessToken]) {
        for isKept in [false, true] {
            let sessions = Sessions()
            let board = sessions.begin(for: Self.board, Self.values().limits)
            let till = sessions.begin(for: Self.till, Self.values().limits)
            // As reading the configuration again does; and without it.
            if isKept { sessions.keep(AccessTokens(tokens)) }
            #expect(sessions.session(board, Self.values(tokens)) == nil)
            #expect((sessions.session(till, Self.values(tokens)) != nil) == tokens.contains(Self.till))
            // It does not come back with the token.
            #expect(sessions.session(board, Self.values()) == nil)
        }
    }

    @Test("sessions are bounded for each token: a new one ends the one that was not used for longest")
    func bounded() {
        let time = Time()
        let sessions = Sessions(limit: 4, now: { time.now })
        let values = Self.values()
        let other = sessions.begin(for: Self.till, values.limits)
        var own: [String] = []
        for _ in 0..<4 {
            own.append(sessions.begin(for: Self.board, values.limits))
            time.pass(.seconds(1))
        }
        #expect(sessions.session(own[0], values) != nil)
        let fifth = sessions.begin(for: Self.board, values.limits)
        #expect(sessions.session(own[1], values) == nil)
        for kept in [own[0], own[2], own[3], fifth, other] { #expect(sessions.session(kept, values) != nil) }
        for _ in 0..<1000 { _ = sessions.begin(for: Self.board, values.limits) }
        #expect(sessions.count == 5)
        #expect(sessions.session(other, values) != nil)
    }

    @Test("a browser that signs in again keeps its session, and loses it with another token")
    func again() {
        let sessions = Sessions()
        let values = Self.values()
        let first = sessions.begin(for: Self.board, values.limits)
        #expect(sessions.begin(for: Self.board, values.limits, former: first) == first)
        let second = sessions.begin(for: Self.till, values.limits, former: first)
        #expect(second != first && sessions.session(first, values) == nil)
        // A session that is none is not taken over.
        let planted = "planted"
        #expect(sessions.begin(for: Self.till, values.limits, former: planted) != planted)
        #expect(sessions.session(planted, values) == nil)
    }

    @Test("identifiers are random, and kept nowhere")
    func identifiers() {
        let sessions = Sessions(limit: 1000)
        let all = (0..<100).map { _ in sessions.begin(for: Self.board, Self.values().limits) }
        #expect(Set(all).count == 100)
        // 32 bytes in base64.
        #expect(all.allSatisfy { $0.utf8.count == 43 })
        for identifier in all {
            guard let session = sessions.session(identifier, Self.values()) else {
                Issue.record("no session")
                continue
            }
            var text = ""
            dump(session, to: &text)
            #expect(!text.contains(identifier))
            #expect(session.hash == AccessToken.hash(of: identifier))
        }
    }
}

@Suite("Work that is shared")
struct SharedRunTests {
    final class Runs: Sendable {
        private let count = Mutex(0)
        /// - Returns: how many runs have begun.
        func begin() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    @Test("whoever asks while it is under way gets the same result; the next one is a new run")
    func shared() async throws {
        let runs = Runs()
        let release = OneShot()
        let shared = SharedRun<Int>()
        let results = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<24 {
                group.addTask {
                    try await shared.run { () async throws(Problem) in
                        let number = runs.begin()
                        await release.wait()
                        return number
                    }
                }
            }
            #expect(try await eventually { shared.waiting == 24 })
            release.happen()
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(results == Array(repeating: 1, count: 24))
        #expect(try await shared.run { () async throws(Problem) in 7 } == 7)
        await #expect(throws: Problem.self) {
            try await shared.run { () async throws(Problem) in throw .conflict("no") }
        }
        #expect(shared.waiting == 0)
    }
}
