import Acquiring
import AsyncHTTPClient
import BERTLV
import Cards
import EMV
import EMVCryptography
import Foundation
import Issuing
import Journal
import NIOCore
import NIOHTTP1
import NIOPosix
import Networking
import CardReaders
import Synchronization
import Terminal
import TestTools
import Testing

@testable import HTTPBackend

let secret = SecretKey(hex: "00112233445566778899AABBCCDDEEFF")!
let clearNumber = "4761739001010135"

/// A message of every kind: with everything that it can hold, and with as little as it can.
enum Sample {
    static let amount = Amount(clamping: 1250)
    static let euro = NumericCode(978)!
    static let date = EMVDate(year: 2026, month: 11, day: 20)!

    static func authorization(_ id: String = "T-1", full: Bool = true, cents: UInt64 = 1250)
        -> AuthorizationRequest
    {
        var request = AuthorizationRequest(
            transactionID: id, terminalID: "TERM0001", merchantID: "MERCHANT0000001",
            merchantName: "Kiosk \"Süd\"",
            stan: 17, retrievalReference: "632507000017", amount: Amount(clamping: cents), currency: euro,
            country: NumericCode(276)!, transactionType: 0x00, date: date, hhmmss: 70_503, entryMode: .manual,
            primaryAccountNumber: PrimaryAccountNumber(digits: clearNumber)!)
        guard full else { return request }
        request.amountOther = Amount(clamping: 250)
        request.transactionType = 0x09
        request.entryMode = .contactlessChip
        request.panSequenceNumber = 1
        request.expiry = EMVDate(year: 2030, month: 12, day: 31)
        request.track2 = Track2EquivalentData(Hex.bytes("4761739001010135D30122011143804400000F")!)
        request.chipData = Hex.bytes("9F2608A1B2C3D4E5F607089F360200079505000000000082022000")!
        request.cvm = .onlinePIN
        request.onlinePIN = EncipheredPIN(
            block: Hex.bytes("1B9C1845EB993A7A")!, keySerialNumber: Hex.bytes("FFFF9876543210E00001")!)
        request.acceptsPartialApproval = true
        request.purpose = .preAuthorization
        return request
    }

    /// Without track and PIN block.
    static var original: AuthorizationRequest {
        var request = authorization()
        request.track2 = nil
        request.onlinePIN = nil
        return request
    }

    static func reversal(_ id: String = "T-1", full: Bool = true) -> ReversalRequest {
        ReversalRequest(
            transactionID: id, terminalID: "TERM0001", stan: 17, retrievalReference: "632507000017",
            amount: amount,
            currency: euro, reason: .malformedResponse, transmission: 2, original: full ? original : nil,
            authorizationCode: full ? "A12345" : nil)
    }

    static func adjustment(full: Bool = true) -> AdjustmentRequest {
        AdjustmentRequest(
            kind: full ? .completion : .tip, transactionID: "T-1", terminalID: "TERM0001",
            merchantID: "MERCHANT0000001", stan: 17, retrievalReference: "632507000017",
            authorizationCode: full ? "A12345" : nil, approvedAmount: amount, amount: Amount(clamping: 1400),
            currency: euro, revision: 3, transmission: 2, original: full ? original : nil)
    }

    static let totals = BatchTotals(debits: 3, debitAmount: 4500, credits: 1, creditAmount: 200)

    static func reconciliation(isAfterUpload: Bool = false) -> ReconciliationRequest {
        ReconciliationRequest(
            terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "00000000001", batch: 7,
            stan: 44,
            currency: euro, totals: totals, isAfterUpload: isAfterUpload, date: date, hhmmss: 235_959)
    }

    static func item(full: Bool = true) -> BatchItem {
        BatchItem(
            terminalID: "TERM0001", batch: 7, index: 2, count: 4, transactionID: "T-1", stan: 17,
            retrievalReference: "632507000017", authorizationCode: full ? "A12345" : nil, amount: amount,
            currency: euro, transactionType: full ? 0x20 : 0x00, isOffline: full,
            original: full ? original : nil)
    }

    static func messages(full: Bool) -> [HTTPMessage] {
        [
            .authorization(authorization(full: full)), .reversal(reversal(full: full)),
            .advice(authorization(full: full), full ? .approved : .declined),
            .adjustment(adjustment(full: full)), .reconciliation(reconciliation(isAfterUpload: full)),
            .upload(item(full: full)),
        ]
    }

    static let response = AuthorizationResponse(
        responseCode: "10", authorizationCode: "A12345",
        issuerAuthenticationData: Hex.bytes("0102030405060708303A")!,
        issuerScripts: Hex.bytes("72059F1801AA86")!, approvedAmount: Amount(clamping: 1000),
        accountCharge: AccountCharge(
            amount: Amount(clamping: 7800), currency: NumericCode(156)!, currencyExponent: 2, rate: "7.8000"),
        message: "APPROVED FOR A PART", reason: "not enough on the account",
        availableBalance: AccountBalance(amount: .zero, currency: NumericCode(156)!, currencyExponent: 2))

    static var answers: [HTTPAnswer] {
        [
            HTTPAnswer(kind: .authorization, transactionID: "T-1", response: response),
            HTTPAnswer(
                kind: .reconciliation, transactionID: nil,
                response: AuthorizationResponse(responseCode: "95"),
                totals: totals),
            HTTPAnswer(
                kind: .reversal, transactionID: "T-1", response: AuthorizationResponse(responseCode: "00")),
        ]
    }
}

/// A host that does what a test wants and counts what it is asked.
final class ScriptedAcquirer: AcquirerBackend {
    let name = "scripted"
    let messages = Mutex<[HTTPMessage]>([])
    private let answer: @Sendable (Int) async throws(AcquirerError) -> AuthorizationResponse

    /// - Parameter answer: to the message of this number, from 1.
    init(
        answer: @escaping @Sendable (Int) async throws(AcquirerError) -> AuthorizationResponse = { _ in
            AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
        }
    ) { self.answer = answer }

    private func note(_ message: HTTPMessage) -> Int {
        messages.withLock {
            $0.append(message)
            return $0.count
        }
    }
    var count: Int { messages.withLock { $0.count } }

    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        try await answer(note(.authorization(request)))
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        _ = try await answer(note(.reversal(request)))
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
        _ = try await answer(note(.advice(request, offline)))
    }
    func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) {
        _ = try await answer(note(.adjustment(request)))
    }
    func upload(_ item: BatchItem) async throws(AcquirerError) { _ = try await answer(note(.upload(item))) }
    func reconcile(_ request: ReconciliationRequest) async throws(AcquirerError) -> ReconciliationAnswer {
        let code = try await answer(note(.reconciliation(request))).responseCode
        return code == "00" ? .balanced : .outOfBalance(Sample.totals)
    }
}

func backend(
    _ port: Int, host: String = "127.0.0.1", key: SecretKey = secret, keyID: String = "till-1",
    tries: Int = 4,
    timeout: Duration = .seconds(10), now: (@Sendable () -> Int)? = nil
) throws -> HTTPBackend {
    try HTTPBackend(
        HTTPBackend.Configuration(
            settings: HTTPBackendSettings(
                url: "http://\(host):\(port)", keyID: keyID, key: key, tries: tries),
            answerTimeout: timeout, firstPause: .milliseconds(1), longestPause: .milliseconds(4), now: now))
}

/// Runs a host for the length of a test.
func withHost(
    _ acquirer: any AcquirerBackend, _ change: (inout HTTPHost.Configuration) -> Void = { _ in },
    observer: (@Sendable (HTTPHost.Event) -> Void)? = nil, _ body: (HTTPHost) async throws -> Void
) async throws {
    var configuration = HTTPHost.Configuration(keys: ["till-1": secret])
    change(&configuration)
    let host = try await HTTPHost.start(acquirer, configuration, observer: observer)
    do { try await body(host) } catch {
        await host.stop()
        throw error
    }
    await host.stop()
}

/// What a hostile or broken host does with a request, byte by byte.
enum Piece: Sendable {
    case bytes([UInt8])
    case text(String)
    /// Bytes with a pause before each.
    case trickle(String, Duration)
    /// Nothing until the test says so.
    case wait(@Sendable () async -> Void)
    /// Nothing more, with the line open.
    case hang
    case close
}

/// A request as it came.
struct RawRequest: Sendable {
    var head: String
    var body: [UInt8]
    var number: Int
    func header(_ name: String) -> String {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name.lowercased() {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return ""
    }

    /// An answer with the right signature.
    func signed(_ status: Int, _ body: [UInt8], headers: String = "") throws -> [UInt8] {
        let signature = try HTTPSignature.ofAnswer(
            body, status: status, timestamp: 1_795_000_000, idempotencyKey: header("Idempotency-Key"),
            key: secret)
        return Array(
            "HTTP/1.1 \(status) X\r\nContent-Length: \(body.count)\r\nTapbridge-Timestamp: 1795000000\r\nTapbridge-Signature: \(signature)\r\n\(headers)\r\n"
                .utf8) + body
    }

    /// The right answer with these members besides.
    func approval(_ members: String = "", id: String = "T-1") throws -> [UInt8] {
        try signed(
            200,
            Array(
                "{\"version\":1,\"message\":\"authorization\",\"transactionId\":\"\(id)\",\"responseCode\":\"00\"\(members)}"
                    .utf8))
    }
}

func withRawHost(
    _ answer: @escaping @Sendable (RawRequest) throws -> [Piece],
    _ body: (Int, RequestCount) async throws -> Void
) async throws {
    let count = RequestCount(0)
    let bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    let server = try await ConnectionServer<ByteBuffer, ByteBuffer>.bind(
        bootstrap, host: "0.0.0.0", port: 0, limit: .max, initializer: { _ in })
    let task = Task {
        try await server.run { connection in
            try? await connection.executeThenClose { inbound, outbound in
                try await serve(inbound, outbound, count, answer)
            }
        }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await body(server.port ?? 0, count)) } catch { result = .failure(error) }
    task.cancel()
    _ = await task.result
    try result.get()
}

/// How many requests have come.
typealias RequestCount = Observed<Int>

private func serve(
    _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
    _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>,
    _ count: RequestCount, _ answer: @Sendable (RawRequest) throws -> [Piece]
) async throws {
    var received: [UInt8] = []
    for try await buffer in inbound {
        received += Array(buffer: buffer)
        let text = String(decoding: received, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { continue }
        let head = String(text[..<end.lowerBound])
        let headCount = head.utf8.count + 4
        var request = RawRequest(head: head, body: [], number: 0)
        let length = Int(request.header("Content-Length")) ?? 0
        guard received.count >= headCount + length else { continue }
        request.body = Array(received[headCount..<(headCount + length)])
        received.removeFirst(headCount + length)
        request.number = count.update {
            $0 += 1
            return $0
        }
        for piece in try answer(request) {
            switch piece {
            case .bytes(let bytes): try await outbound.write(ByteBuffer(bytes: bytes))
            case .text(let text): try await outbound.write(ByteBuffer(string: text))
            case .trickle(let text, let pause):
                for byte in text.utf8 {
                    try await outbound.write(ByteBuffer(bytes: [byte]))
                    try await Task.sleep(for: pause)
                }
            case .wait(let end): await end()
            case .hang:
                await Observed(false).waitForever { $0 }
                return
            case .close: return
            }
        }
    }
}

/// A client that says what it likes.
enum RawClient {
    static func connect(_ port: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
    }
}

/// Posts what it is given, for what our own client never sends.
func post(
    _ port: Int, path: String = "/v1/messages", method: HTTPMethod = .POST, body: [UInt8],
    key: String = "authorization:TERM0001:T-1", keyID: String = "till-1", secretKey: SecretKey = secret,
    timestamp: Int = Int(Date().timeIntervalSince1970), signature: String? = nil,
    contentType: String = "application/json", dropping dropped: String? = nil
) async throws -> (status: Int, headers: HTTPHeaders, body: [UInt8]) {
    var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
    request.method = method
    let computed = try HTTPSignature.ofRequest(
        body, timestamp: timestamp, idempotencyKey: key, key: secretKey)
    request.headers = [
        "Content-Type": contentType, "Idempotency-Key": key, "Tapbridge-Key": keyID,
        "Tapbridge-Timestamp": "\(timestamp)", "Tapbridge-Signature": signature ?? computed,
    ]
    if let dropped { request.headers.remove(name: dropped) }
    if method != .GET { request.body = .bytes(ByteBuffer(bytes: body)) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
    let data = try await response.body.collect(upTo: 1 << 22)
    return (Int(response.status.code), response.headers, Array(buffer: data))
}
