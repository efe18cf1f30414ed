import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Journal
import NIOCore
import Synchronization
import Testing

@testable import Terminal
@testable import TerminalService

extension TestResponse {
    var data: Data { Data(body.readableBytesView) }
    var text: String { String(decoding: data, as: UTF8.self) }
    var object: [String: Any] {
        get throws { try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any], "\(text)") }
    }
    var code: String? { (try? object["code"]) as? String }
}

extension TestClientProtocol {
    func call(
        _ method: HTTPRequest.Method, _ uri: String, _ body: String? = nil, headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        var headers = headers
        if body != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        return try await execute(
            uri: uri, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    }
    func pay(_ body: String, key: String = UUID().uuidString) async throws -> TestResponse {
        try await call(.post, "/v1/payments", body, headers: [.init("Idempotency-Key")!: key])
    }
}

@Suite struct APITests {
    func serve(_ house: House, _ body: @Sendable @escaping (any TestClientProtocol) async throws -> Void)
        async throws
    {
        let application = Application(router: try API.router(hall: house.hall))
        try await application.test(.live) { client in
            try await body(client)
            house.hall.hub.close()
        }
    }

    @Test func paymentFromTapToReceipt() async throws {
        let house = try await House()
        try await serve(house) { client in
            let made = try await client.pay(
                #"{"terminal":"TERM0001","amount":1250,"tap":{"card":"visa-credit"}}"#, key: "order-1")
            #expect(made.status == .created)
            let id = try #require(try made.object["id"] as? String)
            #expect(made.headers[.location] == "/v1/payments/\(id)")
            let done = try await client.call(.get, "/v1/payments/\(id)?wait=10").object
            #expect(done["state"] as? String == "finished")
            #expect((done["result"] as? [String: Any])?["status"] as? String == "approved")
            // The same key again.
            let again = try await client.pay(
                #"{"amount":1250,"tap":{"card":"visa-credit"},"terminal":"TERM0001"}"#, key: "order-1")
            #expect(again.status == .created)
            #expect(again.headers[.init("Idempotent-Replayed")!] == "true")
            #expect(try again.object["id"] as? String == id)
            let other = try await client.pay(#"{"terminal":"TERM0001","amount":1}"#, key: "order-1")
            #expect(other.status.code == 422)
            #expect(other.code == "idempotency_key_reused")
            #expect(try await client.call(.get, "/v1/payments/\(id)/receipt").text.contains("APPROVED"))
            let trace = try await client.call(.get, "/v1/payments/\(id)/trace").text
            #expect(trace.hasPrefix("tapbridge-trace 1"))
            // What was recorded here is replayed here.
            #expect(
                try await client.call(
                    .put, "/v1/traces/mine", trace, headers: [.contentType: "text/plain"]
                ).status == .created)
            let replay = try await client.call(.post, "/v1/traces/mine/replay", "{}").object
            #expect(replay["difference"] is NSNull)
            #expect((replay["result"] as? [String: Any])?["status"] as? String == "approved")
            #expect(try await client.call(.delete, "/v1/traces/mine").status == .noContent)
            let events = try await client.call(.get, "/v1/payments/\(id)/events").text
            #expect(events.contains("event: payment\n"))
            #expect(events.contains("event: finished\n"))
        }
    }

    /// What a transaction does not allow is 409 with its state; the same again is the same.
    @Test func afterThePayment() async throws {
        let house = try await House(terminals: 2)
        try await serve(house) { client in
            func pay(_ fields: String) async throws -> TestResponse {
                let made = try await client.pay(
                    #"{"terminal":"TERM0001","tap":{"card":"visa-credit"},\#(fields)}"#)
                guard made.status == .created, let id = try made.object["id"] as? String else { return made }
                return try await client.call(.get, "/v1/payments/\(id)?wait=10")
            }
            func id(_ response: TestResponse) throws -> String {
                try #require(try response.object["id"] as? String)
            }
            func desk(_ id: String, _ deed: String, _ body: String? = nil) async throws -> TestResponse {
                try await client.call(.post, "/v1/payments/\(id)/\(deed)", body)
            }
            func isRefused(_ response: TestResponse, _ id: String, _ state: String) throws -> Bool {
                let transaction = try response.object["transaction"] as? [String: String]
                return response.status == .conflict && response.code == "conflict"
                    && transaction == ["id": id, "state": state]
            }
            let isReplayed = HTTPField.Name("Idempotent-Replayed")!

            let sale = try id(try await pay(#""amount":2000"#))
            let given = try id(try await pay(#""amount":2000,"type":"refund","original":"\#(sale)""#))
            #expect(try isRefused(try await desk(sale, "void"), sale, "approved"))
            #expect(
                try isRefused(
                    try await pay(#""amount":1,"type":"refund","original":"\#(sale)""#), sale, "approved"))
            #expect(try await desk(given, "void").object["journalState"] as? String == "reversed")
            let first = try await desk(sale, "void")
            #expect(first.status == .ok && first.headers[isReplayed] == nil)
            let second = try await desk(sale, "void")
            #expect(second.status == .ok && second.headers[isReplayed] == "true")
            #expect(try second.object["journalState"] as? String == "reversed")
            #expect(
                try isRefused(
                    try await pay(#""amount":1,"type":"refund","original":"\#(sale)""#), sale, "reversed"))

            let held = try id(try await pay(#""amount":3000,"purpose":"preAuthorization""#))
            #expect(
                try isRefused(
                    try await pay(#""amount":1,"type":"refund","original":"\#(held)""#), held, "approved"))
            async let one = desk(held, "complete", #"{"amount":1000}"#)
            async let other = desk(held, "complete", #"{"amount":2500}"#)
            let both = try await [one, other]
            #expect(both.map(\.status.code).sorted() == [200, 409], "\(both.map(\.text))")
            #expect(
                try both.contains { try $0.object["transaction"] as? [String: String] != nil })
        }
    }

    /// All recorded sessions of the repository replay without a difference, with the same events as live ones.
    @Test func builtInTracesReplay() async throws {
        let house = try await House()
        try await serve(house) { client in
            let list = try await client.call(.get, "/v1/traces?limit=200").object
            let names = try #require(list["items"] as? [[String: Any]]).compactMap { $0["name"] as? String }
            #expect(names.count >= 30)
            for name in names {
                let replay = try await client.call(.post, "/v1/traces/\(name)/replay").object
                #expect(replay["difference"] is NSNull, "\(name): \(replay["difference"] ?? "")")
                let events = try #require(replay["events"] as? [[String: Any]])
                #expect(events.last { $0["type"] as? String == "finished" } != nil, "\(name)")
            }
            #expect(try await client.call(.delete, "/v1/traces/\(names[0])").status == .conflict)
        }
    }

    // MARK: Errors

    /// Each is a problem document (RFC 9457) with its code, and nothing is done.
    @Test func wrongRequests() async throws {
        let house = try await House()
        let key: HTTPFields = [.init("Idempotency-Key")!: "k"]
        let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
        let cases: [(HTTPRequest.Method, String, String?, HTTPFields, Int, String)] = [
            (.get, "/v1/nothing", nil, [:], 404, "not_found"),
            (.get, "/nothing.js", nil, [:], 404, "not_found"),
            (.patch, "/v1/payments", "{}", [:], 405, "method_not_allowed"),
            (.put, "/v1/payments/txn_1", "{}", [:], 405, "method_not_allowed"),
            (.delete, "/v1/journal/txn_1", nil, [:], 405, "method_not_allowed"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1}"#, [:], 400,
                "idempotency_key_missing"
            ),
            (
                .post, "/v1/payments", "{}", [.init("Idempotency-Key")!: String(repeating: "k", count: 65)],
                400, "bad_request"
            ),
            (.post, "/v1/payments", "{}", [.init("Idempotency-Key")!: "a b"], 400, "bad_request"),
            (.post, "/v1/payments", "{", key, 400, "bad_request"),
            (.post, "/v1/payments", "", key, 400, "bad_request"),
            (.post, "/v1/payments", "[]", key, 400, "bad_request"),
            (.post, "/v1/payments", deep, key, 400, "bad_request"),
            (.post, "/v1/payments", "\u{0}", key, 400, "bad_request"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1,"amout":2}"#, key, 400,
                "unknown_field"
            ),
            (
                .post, "/v1/payments",
                #"{"terminal":"TERM0001","amount":1,"tap":{"card":"visa-credit","torn":1}}"#, key, 400,
                "unknown_field"
            ),
            (.post, "/v1/payments", #"{"terminal":"TERM0001"}"#, key, 400, "bad_request"),
            (.post, "/v1/payments", #"{"terminal":"TERM0001","amount":"1"}"#, key, 400, "bad_request"),
            (.post, "/v1/payments", #"{"terminal":"TERM0001","amount":1.5}"#, key, 400, "bad_request"),
            (.post, "/v1/payments", #"{"terminal":"TERM0001","amount":-1}"#, key, 400, "bad_request"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1000000000000}"#, key, 400,
                "bad_request"
            ),
            (.post, "/v1/payments", #"{"terminal":"TERM0001","amount":1e99}"#, key, 400, "bad_request"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":99999999999999999999}"#, key, 400,
                "bad_request"
            ),
            (.post, "/v1/payments", #"{"terminal":"TERM0001","amount":true}"#, key, 400, "bad_request"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1,"amountOther":2}"#, key, 400,
                "bad_request"
            ),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1,"original":"txn_x"}"#, key, 400,
                "bad_request"
            ),
            (.post, "/v1/payments", #"{"terminal":"nowhere","amount":1}"#, key, 404, "not_found"),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1,"tap":{"card":"none"}}"#, key, 404,
                "not_found"
            ),
            (
                .post, "/v1/payments", #"{"terminal":"TERM0001","amount":1,"type":"gift"}"#, key, 400,
                "bad_request"
            ),
            (
                .post, "/v1/payments", "{}", key.with(.contentType, "text/plain"), 415,
                "unsupported_media_type"
            ),
            (
                .post, "/v1/payments", "{}", key.with(.contentType, "application/x-www-form-urlencoded"), 415,
                "unsupported_media_type"
            ),
            (
                .post, "/v1/terminals/TERM0001/taps", #"{"cards":["visa-credit","visa-credit"]}"#, [:], 400,
                "bad_request"
            ),
            (
                .post, "/v1/terminals/TERM0001/taps",
                #"{"card":"visa-credit","removal":{"duringCommand":"XY"}}"#, [:], 400, "bad_request"
            ),
            (
                .post, "/v1/terminals/TERM0001/taps", #"{"card":"visa-credit","removal":{}}"#, [:], 400,
                "bad_request"
            ),
            (.post, "/v1/terminals/TERM0001/pin", #"{"pin":"12"}"#, [:], 400, "bad_request"),
            (.post, "/v1/terminals/TERM0001/pin", #"{"pin":"1234"}"#, [:], 409, "conflict"),
            (
                .post, "/v1/terminals/TERM0001/pin", #"{"pin":"1234","action":"cancel"}"#, [:], 400,
                "bad_request"
            ),
            (.post, "/v1/terminals", #"{"id":"a/b/c/d/"}"#, [:], 400, "bad_request"),
            (.post, "/v1/terminals", #"{"id":"TERM0001"}"#, [:], 409, "conflict"),
            (.post, "/v1/terminals", #"{"profile":"/etc/passwd"}"#, [:], 404, "not_found"),
            (.post, "/v1/terminals", #"{"reader":"none"}"#, [:], 404, "not_found"),
            (.post, "/v1/cards", #"{"profile":"/etc/passwd"}"#, [:], 400, "bad_request"),
            (.post, "/v1/cards", #"{"profile":"../../x.yaml"}"#, [:], 400, "bad_request"),
            (.post, "/v1/cards", #"{"profile":"visa-credit","id":"visa-debit"}"#, [:], 409, "conflict"),
            (.post, "/v1/cards", #"{"profile":"visa-credit","id":"a b"}"#, [:], 400, "bad_request"),
            (.post, "/v1/cards", #"{}"#, [:], 400, "bad_request"),
            (.get, "/v1/terminals?limit=0", nil, [:], 400, "bad_request"),
            (.get, "/v1/terminals?limit=201", nil, [:], 400, "bad_request"),
            (.get, "/v1/terminals?cursor=none", nil, [:], 400, "bad_request"),
            (.get, "/v1/journal?since=yesterday", nil, [:], 400, "bad_request"),
            (.get, "/v1/journal?state=happy", nil, [:], 400, "bad_request"),
            (.get, "/v1/journal?lastFour=12345", nil, [:], 400, "bad_request"),
            (.get, "/v1/journal?cursor='%20OR%201=1", nil, [:], 400, "bad_request"),
            (.get, "/v1/journal/export?format=xml", nil, [:], 400, "bad_request"),
            (.get, "/v1/payments/txn_none?wait=61", nil, [:], 400, "bad_request"),
            (.get, "/v1/payments/txn_none", nil, [:], 404, "not_found"),
            // A beginning of an id is no id.
            (.get, "/v1/payments/t", nil, [:], 404, "not_found"),
            (.get, "/v1/events", nil, [.init("Last-Event-ID")!: "x"], 400, "bad_request"),
            (.get, "/v1/events?terminal=none", nil, [:], 404, "not_found"),
            (.get, "/v1/traces/..%2f..%2fetc%2fpasswd", nil, [:], 400, "bad_request"),
            (.get, "/v1/traces/..", nil, [:], 400, "bad_request"),
            (.get, "/v1/traces/.hidden", nil, [:], 400, "bad_request"),
            (.get, "/v1/traces/visa-credit-online.trace", nil, [:], 404, "not_found"),
            (.get, "/v1/traces/README.md", nil, [:], 400, "bad_request"),
            (
                .put, "/v1/traces/x%00", "tapbridge-trace 1\n", [.contentType: "text/plain"], 400,
                "bad_request"
            ),
            (.put, "/v1/traces/x", "no trace", [.contentType: "text/plain"], 400, "bad_request"),
            (.post, "/v1/traces/visa-credit-online/replay", #"{"mode":"fast"}"#, [:], 400, "bad_request"),
            (.post, "/v1/decode", #"{"hex":"9F"}"#, [:], 200, ""),
            (.post, "/v1/decode", #"{"hex":"9"}"#, [:], 400, "bad_request"),
            (.post, "/v1/decode", #"{"hex":""}"#, [:], 400, "bad_request"),
            (.post, "/v1/decode", #"{"hex":"zz"}"#, [:], 400, "bad_request"),
            (.post, "/v1/decode", #"{"hex":"00","kind":"pin"}"#, [:], 400, "bad_request"),
        ]
        try await serve(house) { client in
            for (method, uri, body, headers, status, code) in cases {
                let answer = try await client.call(method, uri, body, headers: headers)
                #expect(
                    answer.status.code == status, "\(method) \(uri) \(body?.prefix(80) ?? ""): \(answer.text)"
                )
                guard status >= 400 else { continue }
                #expect(answer.headers[.contentType] == "application/problem+json", "\(method) \(uri)")
                #expect(answer.code == code, "\(method) \(uri) \(body?.prefix(80) ?? ""): \(answer.text)")
                #expect(try answer.object["status"] as? Int == status)
                if status == 405 { #expect(answer.headers[.allow] != nil) }
            }
        }
        #expect(try await house.journal.list().isEmpty)
    }

    @Test func unknownFieldIsNamed() async throws {
        let house = try await House()
        try await serve(house) { client in
            let answer = try await client.pay(
                #"{"terminal":"TERM0001","amount":1,"tap":{"card":"visa-credit","removal":{"afterComands":1}}}"#
            )
            #expect(
                try (answer.object["detail"] as? String)?.contains("tap.removal.afterComands") == true,
                "\(answer.text)")
        }
    }

    @Test func hugeBodies() async throws {
        let house = try await House()
        try await serve(house) { client in
            let text = String(repeating: "x", count: 2 << 20)
            for (method, uri): (HTTPRequest.Method, String) in [
                (.post, "/v1/payments"), (.post, "/v1/cards"), (.post, "/v1/terminals"),
                (.post, "/v1/decode"),
                (.put, "/v1/traces/big"), (.post, "/v1/terminals/TERM0001/pin"),
            ] {
                let answer = try await client.call(
                    method, uri, "{\"a\":\"\(text)\"}", headers: [.init("Idempotency-Key")!: "k"])
                #expect(answer.status.code == 413, "\(uri) \(answer.text.prefix(200))")
                #expect(answer.code == "too_large")
            }
        }
    }

    /// Alias bombs, deep nesting, wrong types: an error that names the line, in no time and little memory.
    @Test func hostileProfiles() async throws {
        let house = try await House()
        var bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
        for (name, before) in zip("bcdefghij", "abcdefghi") {
            bomb +=
                "\(name): &\(name) [" + Array(repeating: "*\(before)", count: 9).joined(separator: ", ")
                + "]\n"
        }
        let deep = "a: " + String(repeating: "[", count: 20_000)
        let nested = String(repeating: "- ", count: 20_000) + "x"
        let merge = "a: &a {<<: *a}\n"
        let tagged = "!!python/object/apply:os.system ['true']\n"
        let texts = [
            bomb, deep, nested, merge, tagged, "", "\u{0}", "[]", "id: x", "id: [", "\t", "%YAML 9.9\n---\n",
            "id: \u{FEFF}\u{1F4B3}",
            "id: visa\nid: visa\n",
        ]
        try await serve(house) { client in
            for text in texts {
                let body = String(decoding: try JSONEncoder().encode(["profileText": text]), as: UTF8.self)
                for uri in ["/v1/cards", "/v1/terminals"] {
                    let answer = try await client.call(.post, uri, body)
                    #expect(
                        answer.status.code == 400, "\(uri) \(text.prefix(40)): \(answer.text.prefix(300))")
                    #expect(answer.body.readableBytes < 4000)
                }
            }
            // A mistake in a good profile is named with its line.
            let good = try await client.call(.get, "/v1/card-profiles/visa-credit").text
            let lines = good.split(separator: "\n", omittingEmptySubsequences: false)
            let line = try #require(lines.firstIndex { $0.contains("service-code") }) + 1
            let bad = good.replacing("service-code: 201", with: "service-code: many")
            let answer = try await client.call(
                .post, "/v1/cards",
                String(decoding: try JSONEncoder().encode(["profileText": bad]), as: UTF8.self))
            #expect(
                try (answer.object["detail"] as? String)?.contains("profileText:\(line)") == true,
                "\(answer.text)")
            let made = try await client.call(
                .post, "/v1/cards",
                String(
                    decoding: try JSONEncoder().encode(["profileText": good, "id": "mine"]), as: UTF8.self))
            #expect(made.status == .created)
            let paid = try await client.pay(#"{"terminal":"TERM0001","amount":1250,"tap":{"card":"mine"}}"#)
            let id = try #require(try paid.object["id"] as? String)
            let done = try await client.call(.get, "/v1/payments/\(id)?wait=10").object
            #expect((done["result"] as? [String: Any])?["status"] as? String == "approved")
        }
    }

    // MARK: Lists

    @Test func listsArePaged() async throws {
        let house = try await House(terminals: 7)
        for _ in 0..<5 { _ = try await house.pay(House.order(100, wait: .milliseconds(1))) }
        try await serve(house) { client in
            for (uri, count) in [
                ("/v1/terminals", 7), ("/v1/readers", 7), ("/v1/cards", 18), ("/v1/card-profiles", 18),
                ("/v1/payments", 5),
                ("/v1/journal", 5),
            ] {
                var seen: [String] = []
                var cursor: String?
                repeat {
                    let page = try await client.call(
                        .get, "\(uri)?limit=3" + (cursor.map { "&cursor=\($0)" } ?? "")
                    ).object
                    let items = try #require(page["items"] as? [[String: Any]])
                    #expect(items.count <= 3)
                    seen += items.compactMap { $0["id"] as? String }
                    cursor = page["next"] as? String
                } while cursor != nil && seen.count < 100
                #expect(seen.count == count, "\(uri)")
                #expect(Set(seen).count == count, "\(uri)")
            }
            let newest = try await client.call(.get, "/v1/payments?limit=1&state=finished&terminal=TERM0001")
                .object
            #expect((newest["items"] as? [Any])?.count == 1)
            #expect(
                try await client.call(.get, "/v1/payments?terminal=TERM0002").text.contains(#""items":[]"#))
            let csv = try await client.call(.get, "/v1/journal/export?format=csv")
            #expect(csv.text.split(separator: "\r\n").count == 6)
            let json = try JSONSerialization.jsonObject(
                with: try await client.call(.get, "/v1/journal/export").data)
            #expect((json as? [Any])?.count == 5)
            #expect(try await client.call(.get, "/v1/journal/verification").object["sound"] as? Bool == true)
        }
    }

    @Test func headAndConditionalGet() async throws {
        let house = try await House()
        try await serve(house) { client in
            for uri in ["/v1/status", "/v1/terminals", "/openapi.yaml"] {
                let head = try await client.call(.head, uri)
                #expect(head.status == .ok)
                #expect(head.body.readableBytes == 0)
            }
        }
    }
}

extension HTTPFields {
    func with(_ name: HTTPField.Name, _ value: String) -> HTTPFields {
        var fields = self
        fields[name] = value
        return fields
    }
}
