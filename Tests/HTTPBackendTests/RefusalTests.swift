import Acquiring
import EMV
import EMVCryptography
import Foundation
import Journal
import Synchronization
import Terminal
import TestTools
import Testing

@testable import HTTPBackend

/// What a terminal makes of refusals: whose word they are, and what may have come before them.
@Suite struct RefusalTests {
    enum Signature: CaseIterable, Sendable {
        case none, right
        /// Of another key, as of a host that does not share ours.
        case wrong
        /// Right, but for another message.
        case ofAnotherMessage
    }
    enum Body: CaseIterable, Sendable {
        case html
        /// By the document's schema, without a word of which message it is of.
        case plain
        case echo, otherKey, otherAmount
    }
    enum Outcome: Equatable, Sendable {
        /// Nothing was authorized, and nothing will be.
        case refused
        /// This try was not worked on, and there was no other.
        case notTaken
        /// Reversed.
        case unknown

        static func of(_ error: AcquirerError?) -> Outcome? {
            switch error {
            case .rejected: .refused
            case .unreachable, .notReady, .notProcessed: .notTaken
            case .malformedResponse, .connectionLost, .timeout: .unknown
            case nil: nil
            }
        }
    }

    static func refusal(
        _ request: RawRequest, _ status: Int, _ signature: Signature, _ body: Body, amount: UInt64? = 1250
    ) throws -> [UInt8] {
        let key = request.header("Idempotency-Key")
        let error = "\"error\":{\"code\":\"rejected\",\"message\":\"no\"}"
        let money = amount.map { ",\"amount\":\($0)" } ?? ""
        let text =
            switch body {
            case .html: "<html><h1>Not here</h1></html>"
            case .plain: "{\(error)}"
            case .echo: "{\(error),\"idempotencyKey\":\"\(key)\"\(money)}"
            case .otherKey: "{\(error),\"idempotencyKey\":\"\(key)x\"\(money)}"
            case .otherAmount: "{\(error),\"idempotencyKey\":\"\(key)\",\"amount\":7}"
            }
        let bytes = Array(text.utf8)
        var headers = "Content-Length: \(bytes.count)\r\n"
        if signature != .none {
            let made = try HTTPSignature.ofAnswer(
                bytes, status: status, timestamp: 1_795_000_000,
                idempotencyKey: signature == .ofAnotherMessage ? key + "0" : key,
                key: signature == .wrong ? SecretKey([UInt8](repeating: 7, count: 16)) : secret)
            headers += "Tapbridge-Timestamp: 1795000000\r\nTapbridge-Signature: \(made)\r\n"
        }
        return Array("HTTP/1.1 \(status) X\r\n\(headers)\r\n".utf8) + bytes
    }

    /// The only answer, at a first try; on this machine, and over a line where somebody may stand between.
    static let firstTries: [(Int, Signature, Body, near: Outcome, far: Outcome)] = [
        (400, .right, .plain, .refused, .refused), (422, .right, .plain, .refused, .refused),
        (422, .right, .html, .refused, .refused), (403, .right, .plain, .refused, .refused),
        (404, .right, .html, .refused, .refused), (415, .right, .plain, .refused, .refused),
        (401, .right, .plain, .notTaken, .unknown), (401, .right, .echo, .notTaken, .unknown),
        (401, .none, .echo, .notTaken, .unknown), (401, .wrong, .echo, .notTaken, .unknown),
        (401, .none, .plain, .unknown, .unknown), (401, .none, .html, .unknown, .unknown),
        (404, .none, .echo, .notTaken, .unknown), (404, .none, .plain, .unknown, .unknown),
        (404, .none, .html, .unknown, .unknown), (404, .none, .otherKey, .unknown, .unknown),
        (404, .none, .otherAmount, .unknown, .unknown), (404, .ofAnotherMessage, .html, .unknown, .unknown),
        (422, .none, .echo, .notTaken, .unknown), (422, .none, .plain, .unknown, .unknown),
        (422, .wrong, .plain, .unknown, .unknown), (422, .ofAnotherMessage, .plain, .unknown, .unknown),
        (407, .none, .html, .unknown, .unknown), (451, .none, .html, .unknown, .unknown),
        (408, .right, .echo, .unknown, .unknown), (408, .none, .html, .unknown, .unknown),
        (409, .right, .echo, .unknown, .unknown), (409, .none, .html, .unknown, .unknown),
        (413, .right, .echo, .unknown, .unknown), (413, .none, .html, .unknown, .unknown),
        (425, .right, .echo, .unknown, .unknown), (425, .none, .echo, .unknown, .unknown),
        (429, .right, .echo, .unknown, .unknown), (429, .none, .html, .unknown, .unknown),
        (500, .right, .echo, .unknown, .unknown), (502, .none, .html, .unknown, .unknown),
        (200, .none, .echo, .unknown, .unknown), (301, .none, .html, .unknown, .unknown),
    ]

    @Test(arguments: firstTries.indices) func firstTry(_ index: Int) async throws {
        let (status, signature, body, near, far) = Self.firstTries[index]
        try await withRawHost({ [.bytes(try Self.refusal($0, status, signature, body))] }) { port, _ in
            let here = try await HTTPExchangeTests.failure(backend(port, tries: 1))
            #expect(Outcome.of(here) == near, "\(status) \(signature) \(body): \(String(describing: here))")
            let there = try await HTTPExchangeTests.failure(backend(port, host: "127.0.0.2", tries: 1))
            #expect(Outcome.of(there) == far, "\(status) \(signature) \(body): \(String(describing: there))")
        }
    }

    /// How an earlier try may have reached the host.
    enum Doubt: CaseIterable, Sendable {
        case cut, cutInTheAnswer, serverError
        var pieces: [Piece] {
            switch self {
            case .cut: [.close]
            case .cutInTheAnswer: [.text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ver"), .close]
            case .serverError: [.text("HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")]
            }
        }
    }
    static let final: Set<Int> = [400, 403, 404, 405, 407, 410, 415, 422, 451]
    static let statuses = final.sorted() + [401, 408, 409, 413, 425, 429, 500, 503]

    /// After a try that may have reached the host only its signature ends the doubt, and that not with every status.
    @Test(arguments: statuses, Doubt.allCases) func afterATryThatMayHaveArrived(_ status: Int, _ doubt: Doubt)
        async throws
    {
        for signature in Signature.allCases {
            for body in Body.allCases {
                try await withRawHost({ request in
                    request.number == 1
                        ? doubt.pieces : [.bytes(try Self.refusal(request, status, signature, body))]
                }) { port, count in
                    let error = try await HTTPExchangeTests.failure(backend(port, tries: 2))
                    let expected: Outcome =
                        signature == .right && Self.final.contains(status) ? .refused : .unknown
                    #expect(
                        Outcome.of(error) == expected, "\(signature) \(body): \(String(describing: error))")
                    #expect(count.value == 2)
                }
            }
        }
    }

    /// A proxy's word does not end the tries: the host's answer counts.
    @Test(arguments: [404, 401, 408, 409, 425, 429, 502]) func theHostIsAskedAgain(_ status: Int) async throws
    {
        try await withRawHost({ request in
            switch request.number {
            case 1: [.close]
            case 2: [.bytes(try Self.refusal(request, status, .none, .html))]
            default: [.bytes(try request.approval())]
            }
        }) { port, count in
            let response = try await backend(port).authorize(Sample.authorization())
            #expect(response.isApproved)
            #expect(count.value == 3)
        }
    }

    /// The host books and the line is cut; a proxy, or the host in doubt itself, says no to the second try. The
    /// terminal reverses, and goes on to do so whatever the proxy says, until the host answers; then nothing is left at
    /// the host.
    @Test(arguments: [(404, Signature.none), (401, .none), (409, .right), (413, .none), (408, .none)])
    func bookedAndThenRefused(_ status: Int, _ signature: Signature) async throws {
        let booked = Mutex<Set<String>>([])
        let isBack = Mutex(false)
        try await withRawHost({ request in
            if isBack.withLock({ $0 }), case .reversal(let reversal) = try HTTPMessage(json: request.body) {
                booked.withLock { _ = $0.remove(reversal.transactionID) }
                let answer = HTTPAnswer(
                    kind: .reversal, transactionID: reversal.transactionID,
                    response: AuthorizationResponse(responseCode: "00"))
                return [.bytes(try request.signed(200, answer.json()))]
            }
            if case .authorization(let request) = try HTTPMessage(json: request.body),
                booked.withLock({ $0.insert(request.transactionID).inserted })
            {
                return [.close]
            }
            return [.bytes(try Self.refusal(request, status, signature, .html))]
        }) { port, _ in
            let backend = try backend(port, tries: 2)
            let till = try HTTPTill(backend)
            let result = try await till.pay(1250, "visa-credit")
            #expect(result.status == .failed)
            #expect(booked.withLock { $0 } == [result.transactionID])
            let forwarder = Forwarder(
                terminalID: till.profile.terminalID, journal: till.journal, backend: backend)
            for _ in 0..<10 {
                _ = try await forwarder.flush()
                let record = try #require(try await till.journal.show(result.transactionID))
                #expect(record.state == .reversalDue && !record.isParked, "\(record.state)")
            }
            isBack.withLock { $0 = true }
            _ = try await forwarder.flush()
            #expect(try await till.journal.show(result.transactionID)?.state == .reversed)
            #expect(booked.withLock { $0 } == [])
        }
    }

    /// What is owed is set aside for a person where the host itself refuses it.
    @Test(arguments: [
        (422, Signature.right, Body.plain, Outcome.refused), (400, .right, .html, .refused),
        (404, .none, .html, .unknown), (404, .none, .echo, .notTaken), (401, .right, .plain, .notTaken),
        (503, .right, .plain, .unknown), (200, .none, .html, .unknown), (429, .right, .echo, .unknown),
    ]) func reversals(_ status: Int, _ signature: Signature, _ body: Body, _ outcome: Outcome) async throws {
        try await withRawHost({ [.bytes(try Self.refusal($0, status, signature, body))] }) { port, _ in
            let backend = try backend(port, tries: 2)
            do throws(AcquirerError) {
                try await backend.reverse(Sample.reversal())
                Issue.record("acknowledged")
            } catch {
                #expect(Outcome.of(error) == outcome, "\(error)")
                // Unusable answers are set aside after some time, but these are not the host's.
                if case .malformedResponse = error { Issue.record("\(error)") }
            }
        }
    }
}
