package import Acquiring
internal import BERTLV
internal import EMV
internal import EMVCryptography
internal import Foundation
package import NIOHTTP1

/// Takes requests, checks who they are from, and has the backend answer them.
package final class HTTPDesk: Sendable {
    package struct Reply: Sendable {
        package var status: Int
        package var headers: HTTPHeaders = [:]
        package var body: [UInt8]
    }

    /// Longer bodies are not read to their end, 16 MiB.
    static let drained = 1 << 24

    private let backend: any AcquirerBackend
    private let configuration: HTTPHost.Configuration
    private let observer: (@Sendable (HTTPHost.Event) -> Void)?
    private let memory: AnswerMemory

    package init(
        _ backend: any AcquirerBackend, _ configuration: HTTPHost.Configuration,
        _ observer: (@Sendable (HTTPHost.Event) -> Void)?
    ) {
        self.backend = backend
        self.configuration = configuration
        self.observer = observer
        memory = AnswerMemory(limit: configuration.remembered)
    }

    func tooLong(_ head: HTTPRequestHead) -> Reply {
        refuse(Case(head, []), 413, "too-long", "a body has at most \(configuration.longestBody) bytes")
    }

    /// What is known of one request, for the observer and for its refusal.
    private struct Case {
        var event = HTTPHost.Event()
        var caller: Caller?
        var refused: RefusedMessage

        /// Of somebody who is not known.
        init(_ head: HTTPRequestHead, _ body: [UInt8]) {
            refused = RefusedMessage(keys: head.headers[HTTPSignature.idempotencyHeader], body: body)
        }

        init(_ caller: Caller) {
            self.caller = caller
            event.keyID = caller.keyID
            refused = RefusedMessage(keys: [caller.idempotencyKey], body: [])
        }
    }

    /// Nil where the connection is to be closed without an answer.
    package func reply(to head: HTTPRequestHead, _ body: [UInt8]) async -> Reply? {
        let path = head.uri.prefix { $0 != "?" }
        if path == "/openapi.yaml", head.method == .GET {
            return Reply(
                status: 200, headers: ["Content-Type": "application/yaml"],
                body: Array(HTTPHost.openAPI.utf8))
        }
        guard path == configuration.path else {
            return refuse(
                Case(head, body), 404, "no-such-path", "messages are posted to \(configuration.path)")
        }
        guard head.method == .POST else {
            var reply = refuse(Case(head, body), 405, "wrong-method", "messages are posted")
            reply.headers.add(name: "Allow", value: "POST")
            return reply
        }
        let caller: Caller
        do throws(Refusal) { caller = try check(head, body) } catch {
            var one = Case(head, body)
            one.caller = error.signer
            return refuse(one, error.status, error.code, error.message)
        }
        var one = Case(caller)
        guard
            head.headers.first(name: "Content-Type")?.lowercased().hasPrefix("application/json") == true
        else { return refuse(one, 415, "wrong-type", "a body is application/json") }
        guard IdempotencyKey.isValid(caller.idempotencyKey) else {
            return refuse(
                one, 400, "idempotency-key", "expected 1 to 128 letters, digits and ._:- in Idempotency-Key")
        }
        let message: HTTPMessage
        do throws(HTTPMessageError) { message = try HTTPMessage(json: body) } catch {
            return refuse(one, 400, "malformed", "\(error)")
        }
        one.refused.amount = message.amount?.minorUnits
        one.event.message = message.kind.rawValue
        one.event.transactionID = message.transactionID?.printable
        let backend = backend
        let result = await memory.result(
            // Each terminal key has its own keys of messages.
            for: caller.keyID + " " + caller.idempotencyKey,
            digest: message.kind == .authorization ? SHA256.hash(body.span) : nil
        ) { await Self.work(message, backend) }
        switch result {
        case .conflict:
            return refuse(one, 409, "key-reused", "this idempotency key was used for another content")
        case .known(let outcome):
            one.event.isRepeated = true
            return answer(outcome, one, caller)
        case .new(let outcome): return answer(outcome, one, caller)
        }
    }

    // MARK: Who is calling

    /// Whose signature was right, and what an answer is signed with.
    private struct Caller {
        var keyID: String
        var key: SecretKey
        var idempotencyKey: String
    }

    private struct Refusal: Error {
        var status = 401
        var code: String
        var message: String
        /// Where the key is known.
        var signer: Caller?
    }

    private func check(_ head: HTTPRequestHead, _ body: [UInt8]) throws(Refusal) -> Caller {
        func only(_ name: String) -> String? {
            let values = head.headers[name]
            return values.count == 1 ? values[0] : nil
        }
        guard let keyID = only(HTTPSignature.keyHeader), let key = configuration.keys[keyID] else {
            throw Refusal(
                code: "unknown-key", message: "\(HTTPSignature.keyHeader) names no key of this host")
        }
        let caller = Caller(
            keyID: keyID, key: key, idempotencyKey: only(HTTPSignature.idempotencyHeader) ?? "")
        guard let text = only(HTTPSignature.timestampHeader), let timestamp = Int(text),
            text == "\(timestamp)"
        else {
            throw Refusal(
                code: "timestamp", message: "\(HTTPSignature.timestampHeader) must be seconds since 1970",
                signer: caller)
        }
        let (difference, overflow) = timestamp.subtractingReportingOverflow(configuration.now())
        guard !overflow, difference.magnitude <= UInt(HTTPSignature.tolerance) else {
            throw Refusal(
                code: "timestamp",
                message:
                    "the timestamp is more than \(HTTPSignature.tolerance) seconds from the host's clock",
                signer: caller)
        }
        guard let signature = only(HTTPSignature.signatureHeader),
            let expected = try? HTTPSignature.ofRequest(
                body, timestamp: timestamp, idempotencyKey: caller.idempotencyKey, key: key),
            HTTPSignature.isEqual(signature, expected)
        else {
            throw Refusal(
                code: "signature", message: "\(HTTPSignature.signatureHeader) is missing or wrong",
                signer: caller)
        }
        return caller
    }

    // MARK: What the backend says

    /// What became of a message.
    enum Outcome: Sendable {
        case answer(HTTPAnswer)
        case rejected(String)
        case unavailable(String)
        /// The backend gave something that cannot be read: so does the host.
        case garbage
        case silence
    }

    private static func work(_ message: HTTPMessage, _ backend: any AcquirerBackend) async -> Outcome {
        var answer = HTTPAnswer(
            kind: message.kind, transactionID: message.transactionID,
            response: AuthorizationResponse(responseCode: "00"))
        do throws(AcquirerError) {
            switch message {
            case .authorization(let request): answer.response = try await backend.authorize(request)
            case .reversal(let request): try await backend.reverse(request)
            case .advice(let request, let decision): try await backend.advise(request, offline: decision)
            case .adjustment(let request): try await backend.adjust(request)
            case .upload(let item): try await backend.upload(item)
            case .reconciliation(let request):
                if case .outOfBalance(let totals) = try await backend.reconcile(request) {
                    answer.response = AuthorizationResponse(responseCode: "95")
                    answer.totals = totals
                }
            }
            return .answer(answer)
        } catch {
            return switch error {
            case .rejected(let reason): .rejected(reason)
            case .unreachable(let reason), .notReady(let reason), .notProcessed(let reason):
                .unavailable(reason)
            case .malformedResponse: .garbage
            case .timeout, .connectionLost: .silence
            }
        }
    }

    private func answer(_ outcome: Outcome, _ one: Case, _ caller: Caller) -> Reply? {
        var one = one
        switch outcome {
        case .answer(let answer):
            guard let body = try? answer.json() else {
                return refuse(one, 500, "internal", "the answer cannot be written")
            }
            one.event.status = 200
            one.event.responseCode = answer.response.responseCode
            one.event.reason = answer.response.reason?.printable
            observer?(one.event)
            return signed(200, body, caller)
        case .rejected(let reason): return refuse(one, 422, "rejected", reason.printable)
        case .unavailable(let reason): return refuse(one, 503, "unavailable", reason.printable)
        case .garbage:
            one.event.status = 200
            one.event.reason = "garbage"
            observer?(one.event)
            return signed(200, Array("{\"version\":1,\"message\":".utf8), caller)
        case .silence:
            one.event.reason = "closed without an answer"
            observer?(one.event)
            return nil
        }
    }

    private func refuse(_ one: Case, _ status: Int, _ code: String, _ message: String) -> Reply {
        var event = one.event
        event.status = status
        event.reason = message
        observer?(event)
        let refusal = WireRefusal(
            error: .init(code: code, message: message), idempotencyKey: one.refused.idempotencyKey,
            amount: one.refused.amount)
        return signed(status, (try? Array(JSONEncoder().encode(refusal))) ?? [], one.caller)
    }

    /// Signed where the terminal's key is known.
    private func signed(_ status: Int, _ body: [UInt8], _ caller: Caller?) -> Reply {
        var reply = Reply(
            status: status, headers: ["Content-Type": "application/json", "Cache-Control": "no-store"],
            body: body)
        let timestamp = configuration.now()
        if let caller,
            let signature = try? HTTPSignature.ofAnswer(
                body, status: status, timestamp: timestamp, idempotencyKey: caller.idempotencyKey,
                key: caller.key)
        {
            reply.headers.add(name: HTTPSignature.timestampHeader, value: "\(timestamp)")
            reply.headers.add(name: HTTPSignature.signatureHeader, value: signature)
        }
        return reply
    }
}

/// What was answered to which idempotency key. Messages with one key that come at once are worked on once.
actor AnswerMemory {
    enum Result: Sendable {
        case new(HTTPDesk.Outcome)
        case known(HTTPDesk.Outcome)
        /// The key was used with another content.
        case conflict
    }

    private struct Entry {
        var digest: [UInt8]?
        var work: Task<HTTPDesk.Outcome, Never>
    }

    private let limit: Int
    private var entries: [String: Entry] = [:]
    /// Keys in the order of their first use; those before `oldest` are forgotten.
    private var order: [String] = []
    private var oldest = 0

    init(limit: Int) { self.limit = max(limit, 1) }

    func result(
        for key: String, digest: [UInt8]?, work: @escaping @Sendable () async -> HTTPDesk.Outcome
    ) async -> Result {
        if let entry = entries[key] {
            guard entry.digest == digest else { return .conflict }
            return .known(await entry.work.value)
        }
        // Not ended where the connection is: a message that was taken is carried to its end.
        let task = Task.detached { await work() }
        entries[key] = Entry(digest: digest, work: task)
        order.append(key)
        forgetOldest()
        let outcome = await task.value
        switch outcome {
        case .answer: break
        case .rejected where digest != nil: break
        case .rejected, .unavailable, .garbage, .silence:
            // The next try is worked on again: the backend knows what it has done.
            entries[key] = nil
        }
        return .new(outcome)
    }

    private func forgetOldest() {
        while order.count - oldest > limit {
            entries[order[oldest]] = nil
            oldest += 1
        }
        if oldest > 1024, oldest > order.count / 2 {
            order.removeFirst(oldest)
            oldest = 0
        }
    }
}
