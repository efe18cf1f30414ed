import Acquiring
import EMV
import Foundation
import Synchronization
import TestTools
import Testing

@testable import HTTPBackend

/// Our client against hosts that are broken, slow or hostile.
@Suite struct HTTPExchangeTests {
    static func failure(
        _ backend: HTTPBackend, _ request: AuthorizationRequest = Sample.authorization()
    ) async -> AcquirerError? {
        do throws(AcquirerError) {
            _ = try await backend.authorize(request)
            return nil
        } catch { return error }
    }

    /// 503 twice, then an answer: one body, one key, three tries.
    @Test(arguments: [500, 502, 503, 504, 404, 408, 409, 413, 425, 429]) func triesAgain(_ status: Int)
        async throws
    {
        let bodies = Mutex<[String]>([])
        try await withRawHost({ request in
            bodies.withLock {
                $0.append(request.header("Idempotency-Key") + String(decoding: request.body, as: UTF8.self))
            }
            guard request.number > 2 else {
                return [.text("HTTP/1.1 \(status) Busy\r\nContent-Length: 4\r\n\r\nbusy")]
            }
            return [.bytes(try request.approval())]
        }) { port, _ in
            let response = try await backend(port).authorize(Sample.authorization())
            #expect(response.isApproved)
            let seen = bodies.withLock { $0 }
            #expect(seen.count == 3)
            #expect(Set(seen).count == 1)
        }
    }

    @Test(arguments: [1, 3]) func givesUp(_ tries: Int) async throws {
        try await withRawHost({ _ in [.text("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")] }) {
            port, count in
            let error = try await Self.failure(backend(port, tries: tries))
            #expect(error == .malformedResponse("HTTP 503"))
            #expect(error?.isOutcomeUnknown == true)
            #expect(count.value == tries)
        }
    }

    /// A pause longer than the time that is left is not begun.
    @Test func retryAfter() async throws {
        try await withRawHost({ _ in
            [.text("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")]
        }) { port, count in
            let got = try await Self.failure(backend(port))?.isOutcomeUnknown
            #expect(got == true)
            #expect(count.value == 1)
        }
        try await withRawHost({ request in
            request.number == 1
                ? [.text("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")]
                : [.bytes(try request.approval())]
        }) { port, _ in
            let got = try await Self.failure(backend(port))
            #expect(got == nil)
        }
    }

    /// The line breaks after the request, then the host cannot be reached any more: the outcome stays unknown.
    @Test func unknownStaysUnknown() async throws {
        try await withRawHost({ request in
            request.number == 1 ? [.close] : [.text("HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n")]
        }) { port, _ in
            let error = try await Self.failure(backend(port))
            #expect(error?.isOutcomeUnknown == true, "\(String(describing: error))")
        }
    }

    static let answers: [(String, @Sendable (RawRequest) throws -> [Piece], String)] = [
        (
            "unsigned",
            { request in
                let body =
                    "{\"version\":1,\"message\":\"authorization\",\"transactionId\":\"T-1\",\"responseCode\":\"00\"}"
                return [.text("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")]
            }, "signature is missing or wrong"
        ),
        (
            "signed for a decline, changed to an approval",
            { request in
                let text = String(
                    decoding: try request.signed(
                        200,
                        Array(
                            "{\"version\":1,\"message\":\"authorization\",\"transactionId\":\"T-1\",\"responseCode\":\"51\"}"
                                .utf8)), as: UTF8.self)
                return [.text(text.replacingOccurrences(of: ":\"51\"", with: ":\"00\""))]
            }, "signature is missing or wrong"
        ),
        (
            "another status",
            { request in
                let text = String(decoding: try request.signed(201, []), as: UTF8.self)
                return [.text(text.replacingOccurrences(of: " 201 ", with: " 200 "))]
            }, "signature is missing or wrong"
        ),
        ("another transaction", { [.bytes(try $0.approval(id: "T-2"))] }, "belongs to another message"),
        (
            "another kind",
            {
                [
                    .bytes(
                        try $0.signed(
                            200,
                            Array(
                                "{\"version\":1,\"message\":\"reversal\",\"transactionId\":\"T-1\",\"responseCode\":\"00\"}"
                                    .utf8)))
                ]
            },
            "belongs to another message"
        ),
        ("half of it", { [.bytes(try $0.signed(200, Array("{\"version\":1,".utf8)))] }, "not JSON"),
        ("no JSON", { [.bytes(try $0.signed(200, Array("<html>".utf8)))] }, "not JSON"),
        ("nothing", { [.bytes(try $0.signed(200, []))] }, "not JSON"),
        ("more than asked", { [.bytes(try $0.approval(",\"approvedAmount\":1251"))] }, "more was approved"),
        (
            "a part without amount",
            {
                [
                    .bytes(
                        try $0.signed(
                            200,
                            Array(
                                "{\"version\":1,\"message\":\"authorization\",\"transactionId\":\"T-1\",\"responseCode\":\"10\"}"
                                    .utf8)))
                ]
            },
            "partial approval"
        ),
        (
            "a redirection",
            { [.text("HTTP/1.1 307 X\r\nLocation: /v1/messages\r\nContent-Length: 0\r\n\r\n\($0.number)")] },
            "HTTP 307"
        ),
        (
            "a huge body",
            {
                [
                    .text("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n\($0.number)"),
                    .bytes([UInt8](repeating: 0x20, count: 300_000)),
                ]
            },
            "too long"
        ),
        (
            "an endless body",
            { _ in
                [.text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]
                    + [Piece](
                        repeating: .text("10000\r\n" + String(repeating: " ", count: 65536) + "\r\n"),
                        count: 100)
            }, "too long"
        ),
    ]

    /// After each the outcome is unknown, and nothing is repeated that would not help.
    @Test(arguments: 0..<13) func answersThatCannotBeUsed(_ index: Int) async throws {
        let (name, pieces, reason) = Self.answers[index]
        try await withRawHost(pieces) { port, count in
            let error = try await Self.failure(backend(port))
            #expect(error?.isOutcomeUnknown == true, "\(name)")
            #expect(error.map { "\($0)".contains(reason) } == true, "\(name): \(String(describing: error))")
            #expect(count.value == 1, "\(name)")
        }
    }

    static let lines: [(String, @Sendable (RawRequest) throws -> [Piece])] = [
        ("no HTTP", { _ in [.text("\u{0}\u{1}garbage\r\n\r\n"), .close] }),
        ("closed at once", { _ in [.close] }),
        ("closed in the head", { _ in [.text("HTTP/1.1 200 OK\r\nContent-"), .close] }),
        (
            "closed in the body",
            { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ver"), .close] }
        ),
        (
            "two lengths",
            { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), .close] }
        ),
        (
            "an endless head",
            { _ in [.text("HTTP/1.1 200 OK\r\n" + String(repeating: "X-A: b\r\n", count: 100_000)), .close] }
        ),
    ]

    @Test(arguments: 0..<6) func brokenLines(_ index: Int) async throws {
        let (name, pieces) = Self.lines[index]
        try await withRawHost(pieces) { port, count in
            let error = try await Self.failure(backend(port, tries: 2))
            #expect(error?.isOutcomeUnknown == true, "\(name)")
            #expect(count.value == 2, "\(name)")
        }
    }

    /// Silent, or a byte now and then: the whole exchange has one deadline.
    @Test(arguments: 0..<3) func slowHosts(_ index: Int) async throws {
        let pieces: [[Piece]] = [
            [.hang],
            [
                .trickle(
                    "HTTP/1.1 200 OK\r\n" + String(repeating: "X-A: b\r\n", count: 1000), .milliseconds(20))
            ],
            [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
                .trickle(String(repeating: " ", count: 5000), .milliseconds(20)),
            ],
        ]
        try await withRawHost({ _ in pieces[index] }) { port, _ in
            let error = try await Self.failure(backend(port, timeout: .milliseconds(400)))
            #expect(error == .timeout)
        }
    }

    @Test func cancelled() async throws {
        try await withRawHost({ _ in [.hang] }) { port, count in
            let backend = try backend(port)
            let task = Task { await Self.failure(backend) }
            #expect(await count.wait { $0 == 1 })
            task.cancel()
            // It was sent: its outcome is unknown.
            #expect(await task.value == .connectionLost("cancelled while waiting"))
        }
    }

    /// The answer to an authorization that was given up is told once it comes; one that is not the host's is not, nor
    /// one to another message. Nothing is sent again for it.
    @Test(arguments: [true, false]) func lateAnswers(_ isCancelled: Bool) async throws {
        let areAnswered = Observed(false)
        try await withRawHost({ request in
            let answer =
                request.header(HTTPSignature.idempotencyHeader).contains("T-2")
                ? Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".utf8) : try request.approval()
            return [.wait { await areAnswered.waitForever { $0 } }, .bytes(answer)]
        }) { port, count in
            let backend = try backend(port, tries: 3, timeout: .seconds(isCancelled ? 60 : 3))
            let stream = await backend.answersOutOfTime()
            func giveUp(_ id: String) async -> AcquirerError? {
                let task = Task { await Self.failure(backend, Sample.authorization(id)) }
                if isCancelled { task.cancel() }
                return await task.value
            }
            #expect(await giveUp("T-2")?.isOutcomeUnknown == true)
            let error = await giveUp("T-1")
            #expect(error == (isCancelled ? .connectionLost("cancelled while waiting") : .timeout))
            areAnswered.update { $0 = true }
            var given = stream.makeAsyncIterator()
            let late = await given.next()
            #expect(late?.transactionID == "T-1")
            #expect(late?.response.isApproved == true)
            #expect(count.value == 2)
            await backend.close()
            #expect(await given.next() == nil)
        }
    }

    /// A refusal that the host has signed is its last word; its text reaches people without escape sequences.
    @Test func signedRefusals() async throws {
        try await withRawHost({
            [
                .bytes(
                    try $0.signed(
                        422,
                        Array("{\"error\":{\"code\":\"rejected\",\"message\":\"field 2\\u001b[31m\"}}".utf8)))
            ]
        }) { port, count in
            let got = try await Self.failure(backend(port))
            #expect(got == .rejected("HTTP 422: field 2[31m"))
            #expect(count.value == 1)
        }
    }

    @Test(arguments: [
        ("https://a.example/x", true), ("http://a.example", false), ("http://127.0.0.1:80", true),
        ("http://localhost", true), ("http://127.0.0.1.example", false), ("http://[::1]:99", true),
        ("http://localhost.example", false), ("HTTPS://A.EXAMPLE", true),
    ]) func trustedLines(_ url: String, _ isTrusted: Bool) {
        #expect(HTTPBackendSettings(url: url, keyID: "a", key: secret).isLineTrusted == isTrusted)
    }

    @Test func acknowledgements() async throws {
        let codes = Mutex<[String]>(["00", "12"])
        try await withRawHost({ request in
            let code = codes.withLock { $0.removeFirst() }
            return [
                .bytes(
                    try request.signed(
                        200,
                        Array(
                            "{\"version\":1,\"message\":\"reversal\",\"transactionId\":\"T-1\",\"responseCode\":\"\(code)\"}"
                                .utf8)))
            ]
        }) { port, _ in
            let backend = try backend(port)
            try await backend.reverse(Sample.reversal())
            await #expect(throws: AcquirerError.rejected("response code 12")) {
                try await backend.reverse(Sample.reversal())
            }
        }
    }

    /// Texts of the host reach the console without escape sequences.
    @Test func textsAreCleaned() async throws {
        let long = String(repeating: "x", count: 5000)
        try await withRawHost({
            [.bytes(try $0.approval(",\"displayText\":\"OK\\u001b[2J\\r\\n\",\"reason\":\"\(long)\""))]
        }) { port, _ in
            let response = try await backend(port).authorize(Sample.authorization())
            #expect(response.message == "OK[2J")
            #expect(response.reason?.count == 200)
        }
    }
}
