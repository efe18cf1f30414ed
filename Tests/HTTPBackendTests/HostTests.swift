import Acquiring
import EMVCryptography
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TestTools
import Testing

@testable import HTTPBackend

/// Our host against clients that are broken, slow or hostile.
@Suite struct HTTPHostTests {
    static func code(_ body: [UInt8]) throws -> String {
        try JSONDecoder().decode(WireRefusal.self, from: Data(body)).error.code
    }

    static func refusal(_ body: [UInt8]) throws -> WireRefusal {
        try JSONDecoder().decode(WireRefusal.self, from: Data(body))
    }

    static func isSigned(
        _ answer: (status: Int, headers: HTTPHeaders, body: [UInt8]),
        key: String = "authorization:TERM0001:T-1"
    ) throws -> Bool {
        guard let stamp = answer.headers.first(name: "Tapbridge-Timestamp").flatMap({ Int($0) }) else {
            return false
        }
        return try answer.headers.first(name: "Tapbridge-Signature")
            == HTTPSignature.ofAnswer(
                answer.body, status: answer.status, timestamp: stamp, idempotencyKey: key, key: secret)
    }

    /// The same request again gets the same answer, and the acquirer does not see it.
    @Test func replayedKey() async throws {
        let acquirer = ScriptedAcquirer { number in
            AuthorizationResponse(responseCode: "00", authorizationCode: "A1234\(number)")
        }
        let events = Mutex<[HTTPHost.Event]>([])
        try await withHost(acquirer, observer: { event in events.withLock { $0.append(event) } }) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let first = try await post(host.port, body: body)
            let second = try await post(host.port, body: body)
            #expect(first.status == 200 && second.status == 200)
            #expect(first.body == second.body)
            #expect(try Self.isSigned(second))
            #expect(acquirer.count == 1)
            #expect(events.withLock { $0.map(\.isRepeated) } == [false, true])
            // Another content under the same key.
            let other = try HTTPMessage.authorization(Sample.authorization(cents: 99)).json()
            let third = try await post(host.port, body: other)
            #expect(third.status == 409)
            #expect(try Self.code(third.body) == "key-reused")
            #expect(acquirer.count == 1)
            #expect(!events.withLock { "\($0)" }.contains(clearNumber))
        }
    }

    /// A hundred at once: worked on once.
    @Test func atOnce() async throws {
        let isOpen = Observed(false)
        let acquirer = ScriptedAcquirer { _ in
            await isOpen.waitForever { $0 }
            return AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
        }
        try await withHost(acquirer) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let port = host.port
            let answers = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                // None is answered before all have been begun.
                let begun = Observed(0)
                for _ in 0..<100 {
                    group.addTask {
                        begun.update { $0 += 1 }
                        return try await post(port, body: body).body
                    }
                }
                await begun.waitForever { $0 == 100 }
                isOpen.update { $0 = true }
                return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(answers.count == 1)
            #expect(acquirer.count == 1)
        }
    }

    /// A reversal that failed is worked on again; a reversal's repeat differs in its transmission.
    @Test func repeatedReversals() async throws {
        let acquirer = ScriptedAcquirer { number throws(AcquirerError) in
            if number == 1 { throw .rejected("not yet") }
            return AuthorizationResponse(responseCode: "00")
        }
        try await withHost(acquirer) { host in
            let backend = try backend(host.port)
            var reversal = Sample.reversal()
            await #expect(throws: AcquirerError.rejected("HTTP 422: not yet")) {
                try await backend.reverse(reversal)
            }
            reversal.transmission += 1
            try await backend.reverse(reversal)
            reversal.transmission += 1
            reversal.original = nil
            try await backend.reverse(reversal)
            #expect(acquirer.count == 2)
        }
    }

    @Test func memoryHasAnEnd() async throws {
        let acquirer = ScriptedAcquirer()
        try await withHost(acquirer, { $0.remembered = 3 }) { host in
            let backend = try backend(host.port)
            for id in ["A", "B", "C", "D", "A", "D"] {
                _ = try await backend.authorize(Sample.authorization(id))
            }
            // A was forgotten when D came; D is known.
            #expect(acquirer.count == 5)
        }
    }

    @Test func signatures() async throws {
        let acquirer = ScriptedAcquirer()
        try await withHost(acquirer) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let now = Int(Date().timeIntervalSince1970)
            let wrong = "v1=" + String(repeating: "0", count: 64)
            for signature in [
                wrong, "", "v1=", "v2=" + wrong.dropFirst(3), String(repeating: "x", count: 7000),
            ] {
                let answer = try await post(host.port, body: body, signature: signature)
                #expect(answer.status == 401)
                #expect(try Self.code(answer.body) == "signature")
            }
            // One byte of the body, the idempotency key, another key.
            let spoilt = body.dropLast() + [0x20, 0x7D]
            let right = try HTTPSignature.ofRequest(
                body, timestamp: now, idempotencyKey: "authorization:TERM0001:T-1", key: secret)
            #expect(
                try await post(host.port, body: Array(spoilt), timestamp: now, signature: right).status == 401
            )
            #expect(
                try await post(host.port, body: body, key: "other", timestamp: now, signature: right).status
                    == 401)
            #expect(
                try await post(host.port, body: body, secretKey: SecretKey([UInt8](repeating: 1, count: 16)))
                    .status == 401)
            let unknown = try await post(host.port, body: body, keyID: "till-9")
            #expect(unknown.status == 401)
            #expect(try Self.code(unknown.body) == "unknown-key")
            #expect(unknown.headers.first(name: "Tapbridge-Signature") == nil)
            for offset in [-301, 400, -100_000_000, Int.max - now] {
                let answer = try await post(host.port, body: body, timestamp: now + offset)
                #expect(answer.status == 401)
                #expect(try Self.code(answer.body) == "timestamp")
                // The terminal can believe it.
                #expect(try Self.isSigned(answer))
            }
            #expect(try await post(host.port, body: body, timestamp: now - 290).status == 200)
            for header in ["Tapbridge-Key", "Tapbridge-Timestamp", "Tapbridge-Signature"] {
                #expect(try await post(host.port, body: body, dropping: header).status == 401)
            }
            #expect(acquirer.count == 1)
        }
    }

    @Test func refusals() async throws {
        let acquirer = ScriptedAcquirer()
        try await withHost(acquirer, { $0.longestBody = 4096 }) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let port = host.port
            func check(
                _ answer: (status: Int, headers: HTTPHeaders, body: [UInt8]), _ status: Int, _ code: String
            ) throws {
                #expect(answer.status == status)
                #expect(try Self.code(answer.body) == code)
            }
            try check(await post(port, path: "/v2/messages", body: body), 404, "no-such-path")
            try check(await post(port, path: "/", method: .GET, body: []), 404, "no-such-path")
            let method = try await post(port, method: .PUT, body: body)
            try check(method, 405, "wrong-method")
            #expect(method.headers.first(name: "Allow") == "POST")
            try check(await post(port, body: body, contentType: "text/plain"), 415, "wrong-type")
            try check(await post(port, body: Array("{\"version\":1".utf8)), 400, "malformed")
            try check(await post(port, body: []), 400, "malformed")
            try check(await post(port, body: body, key: "a b"), 400, "idempotency-key")
            try check(
                await post(port, body: body, key: String(repeating: "a", count: 129)), 400, "idempotency-key")
            try check(await post(port, body: [UInt8](repeating: 0x20, count: 4097)), 413, "too-long")
            try check(await post(port, body: [UInt8](repeating: 0x20, count: 3_000_000)), 413, "too-long")
            #expect(acquirer.count == 0)
            // The host goes on.
            #expect(try await post(port, body: body).status == 200)
            let document = try await post(port, path: "/openapi.yaml", method: .GET, body: [])
            #expect(document.status == 200)
            #expect(String(decoding: document.body, as: UTF8.self) == HTTPHost.openAPI)
        }
    }

    /// A refusal names the message that it is of, also where nobody is known; but repeats nothing that is none.
    @Test func refusalsNameTheMessage() async throws {
        let acquirer = ScriptedAcquirer { _ throws(AcquirerError) in throw .rejected("no") }
        try await withHost(acquirer) { host in
            let (port, key) = (host.port, "authorization:TERM0001:T-1")
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            for answer in [
                try await post(port, body: body), try await post(port, path: "/x", body: body),
                try await post(port, method: .PUT, body: body),
                try await post(port, body: body, keyID: "till-9"),
                try await post(port, body: body, signature: "v1="),
                try await post(port, body: body, timestamp: 1_000_000_000),
            ] {
                let refusal = try Self.refusal(answer.body)
                #expect(refusal.idempotencyKey == key && refusal.amount == 1250, "\(answer.status)")
            }
            let other = try Self.refusal(
                try await post(port, body: Array("{\"amount\":1000000000000}".utf8), key: "a\"b", keyID: "x")
                    .body)
            #expect(other.idempotencyKey == nil && other.amount == nil)
        }
    }

    /// What the acquirer says, as the terminal hears it.
    @Test(arguments: [
        (
            AcquirerError.rejected("field 2: no digits"),
            AcquirerError.rejected("HTTP 422: field 2: no digits")
        ),
        (.unreachable("no network"), .malformedResponse("HTTP 503: no network")),
        (
            .malformedResponse("bitmap"),
            .malformedResponse("the body is not JSON, or a number in it is out of range")
        ),
    ]) func errorsOfTheAcquirer(_ thrown: AcquirerError, _ heard: AcquirerError) async throws {
        let acquirer = ScriptedAcquirer { _ throws(AcquirerError) in throw thrown }
        try await withHost(acquirer) { host in
            let got = try await HTTPExchangeTests.failure(backend(host.port, tries: 2))
            #expect(got == heard)
        }
    }

    @Test(arguments: [AcquirerError.timeout, .connectionLost("cut")])
    func silence(_ thrown: AcquirerError) async throws {
        let acquirer = ScriptedAcquirer { _ throws(AcquirerError) in throw thrown }
        try await withHost(acquirer) { host in
            let error = try await HTTPExchangeTests.failure(backend(host.port, tries: 2))
            #expect(error?.isOutcomeUnknown == true)
            #expect(acquirer.count == 2)
        }
    }

    /// A client that sends its request by drops, or none, is cut off; others are served meanwhile.
    @Test(arguments: ["", "POST /v1/messages HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", "POST /v1"])
    func slowClients(_ start: String) async throws {
        let acquirer = ScriptedAcquirer()
        try await withHost(acquirer, { $0.requestTime = .milliseconds(300) }) { host in
            let client = try await RawClient.connect(host.port)
            try await client.executeThenClose { inbound, outbound in
                if !start.isEmpty { try await outbound.write(ByteBuffer(string: start)) }
                #expect(try await backend(host.port).authorize(Sample.authorization()).isApproved)
                // Ends when the host closes.
                for try await _ in inbound {}
            }
        }
    }

    /// A client that asks and asks and takes no answer: little is read of what it sends, and in the end it is cut off.
    @Test(arguments: ["GET /openapi.yaml HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"])
    func clientsThatTakeNoAnswers(_ request: String) async throws {
        try await withHost(ScriptedAcquirer(), { $0.requestTime = .seconds(1) }) { host in
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .channelOption(.autoRead, value: false)
                .connect(host: "127.0.0.1", port: host.port).get()
            // 64 megabytes, of which the sockets hold at most ten.
            let piece = ByteBuffer(string: String(repeating: request, count: 65_536 / request.utf8.count))
            var taken = 0
            do {
                while taken < 1000 {
                    try await channel.writeAndFlush(piece)
                    taken += 1
                }
            } catch {}
            #expect(taken < 1000, "the host took it all")
            try? await channel.close()
            let response = try await backend(host.port).authorize(Sample.authorization())
            #expect(response.isApproved)
        }
    }

    @Test func tooManyConnections() async throws {
        let limit = 2
        try await withHost(ScriptedAcquirer(), { $0.connections = limit }) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let areOver = Observed(false)
            let (port, served) = (host.port, Observed(0))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<limit {
                    group.addTask {
                        let client = try await RawClient.connect(port)
                        try await client.executeThenClose { inbound, outbound in
                            // The host says "go on": it serves this connection.
                            try await outbound.write(
                                ByteBuffer(
                                    string:
                                        "POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
                                ))
                            for try await _ in inbound { break }
                            served.update { $0 += 1 }
                            await areOver.waitForever { $0 }
                        }
                    }
                }
                #expect(await served.wait { $0 == limit })
                await #expect(throws: (any Error).self) { try await post(port, body: body) }
                areOver.update { $0 = true }
                try await group.waitForAll()
            }
            // The host learns of their end on its own threads.
            #expect(await polled { (try? await post(port, body: body))?.status == 200 })
        }
    }

    /// Bytes that are no HTTP, seeded: the host goes on.
    @Test func noise() async throws {
        let acquirer = ScriptedAcquirer()
        try await withHost(acquirer) { host in
            var random = SplitMix(seed: 11)
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            for round in 0..<60 {
                var bytes =
                    Array(
                        "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
                    + body
                for _ in 0..<(1 + round % 8) {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                    .connect(host: "127.0.0.1", port: host.port).get()
                try? await channel.writeAndFlush(ByteBuffer(bytes: bytes))
                try? await channel.close()
            }
            #expect(try await post(host.port, body: body).status == 200)
            #expect(acquirer.count == 1)
        }
    }

    @Test func addressesThatCannotBeTaken() async throws {
        try await withHost(ScriptedAcquirer()) { host in
            await #expect(throws: HTTPHostError.self) {
                try await HTTPHost.start(ScriptedAcquirer(), .init(port: host.port, keys: [:]))
            }
        }
        await #expect(throws: HTTPHostError.self) {
            try await HTTPHost.start(ScriptedAcquirer(), .init(keys: ["a": SecretKey([1])]))
        }
        await #expect(throws: HTTPHostError.self) {
            try await HTTPHost.start(
                ScriptedAcquirer(), .init(keys: [:], certificate: (chain: "/nowhere", key: "/nowhere")))
        }
    }
}

/// Over TLS, with certificates made for the test.
@Suite struct HTTPSTests {
    struct Certificates {
        let folder: URL
        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

        init() throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent(
                "https-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try make("host", "subjectAltName=DNS:localhost,IP:127.0.0.1")
            try make("other", "subjectAltName=DNS:other.example")
            try make("till", "subjectAltName=DNS:till")
        }

        private func make(_ name: String, _ extra: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments =
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name) -addext \(extra) -keyout \(path(name + ".key")) -out \(path(name + ".pem"))"
                .split(separator: " ").map(String.init)
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }
    }

    static func failure(
        _ certificates: Certificates, _ port: Int, trusting authority: String, client: String? = nil
    ) async throws -> AcquirerError? {
        let settings = HTTPBackendSettings(
            url: "https://localhost:\(port)", keyID: "till-1", key: secret,
            certificateAuthority: certificates.path(authority + ".pem"),
            clientCertificate: client.map { certificates.path($0 + ".pem") },
            clientKey: client.map { certificates.path($0 + ".key") }, tries: 2)
        let backend = try HTTPBackend(
            .init(settings: settings, answerTimeout: .seconds(10), firstPause: .milliseconds(1)))
        return await HTTPExchangeTests.failure(backend)
    }

    @Test func certificates() async throws {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        for name in ["host", "other"] {
            let acquirer = ScriptedAcquirer()
            let files = (chain: certificates.path(name + ".pem"), key: certificates.path(name + ".key"))
            try await withHost(acquirer, { $0.certificate = files }) { host in
                // Trusted, but the name is another one's; then not trusted.
                let named = try await Self.failure(certificates, host.port, trusting: name)
                #expect(
                    name == "host" ? named == nil : named?.isOutcomeUnknown == false,
                    "\(String(describing: named))")
                let distrusted = try await Self.failure(certificates, host.port, trusting: "till")
                #expect(distrusted?.isOutcomeUnknown == false, "\(String(describing: distrusted))")
                #expect(acquirer.count == (name == "host" ? 1 : 0))
            }
        }
    }

    @Test func clientCertificates() async throws {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        let acquirer = ScriptedAcquirer()
        try await withHost(
            acquirer,
            {
                $0.certificate = (chain: certificates.path("host.pem"), key: certificates.path("host.key"))
                $0.clientAuthority = certificates.path("till.pem")
            }
        ) { host in
            let accepted = try await Self.failure(certificates, host.port, trusting: "host", client: "till")
            #expect(accepted == nil)
            let other = try await Self.failure(certificates, host.port, trusting: "host", client: "other")
            #expect(other != nil)
            let none = try await Self.failure(certificates, host.port, trusting: "host")
            #expect(none != nil)
            #expect(acquirer.count == 1)
        }
    }
}
