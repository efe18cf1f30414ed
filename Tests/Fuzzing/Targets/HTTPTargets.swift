import Acquiring
import EMV
import EMVCryptography
import Foundation
import HTTPBackend
import NIOHTTP1

extension FuzzTarget {
    static let http: [FuzzTarget] = [
        FuzzTarget("http-message", longestInput: 4096, mutations: 12, seeds: { try HTTPMessages.requests() })
        { input in
            let message: HTTPMessage
            do throws(HTTPMessageError) { message = try HTTPMessage(json: input) } catch {
                try hold(!error.description.isEmpty && !CardNumbers.hasRun("\(error)"), "the error \(error)")
                return
            }
            let written = try message.json()
            let again = try HTTPMessage(json: written)
            try hold(try again.json() == written, "written twice, a message differs")
            try hold(again.idempotencyKey == message.idempotencyKey, "the idempotency key changes")
            try hold(
                (1...128).contains(message.idempotencyKey.utf8.count),
                "the idempotency key \(message.idempotencyKey)")
        },
        FuzzTarget("http-answer", longestInput: 2048, seeds: { try HTTPMessages.answers() }) { input in
            let answer: HTTPAnswer
            do throws(HTTPMessageError) { answer = try HTTPAnswer(json: input) } catch {
                try hold(!error.description.isEmpty && !CardNumbers.hasRun("\(error)"), "the error \(error)")
                return
            }
            try hold(
                answer.response.responseCode.utf8.count == 2, "response code \(answer.response.responseCode)")
            try hold(
                try HTTPAnswer(json: answer.json()) == answer, "an answer written and read again differs")
        },
        FuzzTarget("http-host", longestInput: 4096, mutations: 4, seeds: { try HTTPMessages.posts() }) {
            try HTTPMessages.post($0)
        },
    ]
}

enum HTTPMessages {
    private static let key = SecretKey([UInt8](repeating: 7, count: 32))
    private static let now = 1_780_000_000

    static func messages() throws -> [HTTPMessage] {
        let request = try ISOMessages.request()
        return [
            .authorization(request), .advice(request, .approved),
            .reversal(
                ReversalRequest(
                    transactionID: request.transactionID, terminalID: request.terminalID, stan: 1,
                    retrievalReference: request.retrievalReference, amount: request.amount,
                    currency: request.currency,
                    reason: .timeout, original: request)),
            .adjustment(
                AdjustmentRequest(
                    kind: .completion, transactionID: request.transactionID, terminalID: request.terminalID,
                    merchantID: request.merchantID, stan: 2, retrievalReference: request.retrievalReference,
                    authorizationCode: "123456", approvedAmount: request.amount, amount: request.amount,
                    currency: request.currency, revision: 1, transmission: 1, original: nil)),
            .reconciliation(
                ReconciliationRequest(
                    terminalID: "TERM0001", merchantID: "M", acquirerID: "1", batch: 1, stan: 2,
                    currency: request.currency, totals: BatchTotals(debits: 1, debitAmount: 1500),
                    isAfterUpload: false,
                    date: request.date, hhmmss: 1)),
            .upload(
                BatchItem(
                    terminalID: "TERM0001", batch: 1, index: 1, count: 1, transactionID: "T", stan: 3,
                    retrievalReference: "632500000003", authorizationCode: nil, amount: request.amount,
                    currency: request.currency, transactionType: 0, isOffline: false)),
        ]
    }

    static func requests() throws -> [[UInt8]] { try messages().map { try $0.json() } }

    static func answers() throws -> [[UInt8]] {
        var response = AuthorizationResponse(
            responseCode: "10", authorizationCode: "123456", message: "HELLO", reason: "r")
        let request = try ISOMessages.request()
        response.issuerAuthenticationData = [UInt8](1...10)
        response.issuerScripts = [0x72, 0x03, 0x86, 0x01, 0x00]
        response.approvedAmount = request.amount
        response.accountCharge = AccountCharge(
            amount: request.amount, currency: request.currency, currencyExponent: 2, rate: "1.1")
        response.availableBalance = AccountBalance(
            amount: request.amount, currency: request.currency, currencyExponent: 2)
        return try [
            HTTPAnswer(kind: .authorization, transactionID: "T", response: response).json(),
            HTTPAnswer(
                kind: .reconciliation, transactionID: nil,
                response: AuthorizationResponse(responseCode: "95"),
                totals: BatchTotals(debits: 1, debitAmount: 2, credits: 3, creditAmount: 4)
            ).json(),
        ]
    }

    /// Says yes to everything.
    private struct Yes: AcquirerBackend {
        let name = "yes"
        let answerTimeout = Duration.seconds(1)
        func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
            AuthorizationResponse(responseCode: "00", authorizationCode: "123456")
        }
        func reverse(_ request: ReversalRequest) async throws(AcquirerError) {}
        func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
    }

    static func posts() throws -> [[UInt8]] {
        let head = "POST /v1/messages\nContent-Type: application/json\n\n"
        return try requests().flatMap { body in [[0x00], [0x01]].map { $0 + Array(head.utf8) + body } }
            + [[0x00] + Array("GET /openapi.yaml?x\nTapbridge-Key: k1\nTapbridge-Timestamp: +1\n\n".utf8)]
    }

    /// A request: its first line, headers, an empty line, the body. The first byte says whether what a terminal adds to
    /// sign it is added here.
    static func post(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let isSigned = input.byte() & 0x01 == 0
        let rest = input.remainder()
        let end =
            rest.indices.first { rest[$0] == 0x0A && rest.dropFirst($0 + 1).first == 0x0A } ?? rest.count
        let lines = String(decoding: rest[..<end], as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        let body = Array(rest.dropFirst(end + 2))
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 1)
        var head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: String(words.first ?? "POST")),
            uri: String(words.dropFirst().first ?? "/v1/messages"))
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            // NIO takes no other names, and its decoder gives none.
            if let name = parts.first, !name.isEmpty, name.utf8.allSatisfy({ $0 < 0x80 }) {
                head.headers.add(name: name, value: parts.dropFirst().first ?? "")
            }
        }
        let idempotencyKey = (try? HTTPMessage(json: body).idempotencyKey) ?? "none"
        if isSigned {
            head.headers.replaceOrAdd(name: HTTPSignature.keyHeader, value: "k1")
            head.headers.replaceOrAdd(name: HTTPSignature.timestampHeader, value: "\(now)")
            head.headers.replaceOrAdd(name: HTTPSignature.idempotencyHeader, value: idempotencyKey)
            head.headers.replaceOrAdd(
                name: HTTPSignature.signatureHeader,
                value: try HTTPSignature.ofRequest(
                    body, timestamp: now, idempotencyKey: idempotencyKey, key: key))
        }
        let request = head
        let time = now
        let configuration = HTTPHost.Configuration(keys: ["k1": key], now: { time })
        try wait {
            let desk = HTTPDesk(Yes(), configuration, nil)
            guard let reply = await desk.reply(to: request, body) else {
                throw BrokenProperty(description: "the connection is closed without an answer")
            }
            try hold(
                [200, 400, 401, 404, 405, 409, 413, 415, 422].contains(reply.status), "status \(reply.status)"
            )
            if reply.status == 200, request.method == .POST {
                try hold(isSigned, "an unsigned message is answered with 200")
                _ = try HTTPAnswer(json: reply.body)
            } else if reply.status != 200 {
                try hold(
                    !CardNumbers.hasRun(String(decoding: reply.body, as: UTF8.self)),
                    "a refusal shows a card number")
            }
        }
    }
}
