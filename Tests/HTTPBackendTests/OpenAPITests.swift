import Acquiring
import EMV
import Foundation
import Synchronization
import TestTools
import Testing
import Yams

@testable import HTTPBackend

/// The part of JSON Schema 2020-12 that `openapi.yaml` uses; a keyword that it does not know is an error.
struct Schema {
    let document: [String: Any]

    init() throws {
        document = try #require(try Yams.load(yaml: HTTPHost.openAPI) as? [String: Any])
    }

    func resolve(_ reference: String) throws -> [String: Any] {
        var node: Any = document
        for part in reference.dropFirst(2).split(separator: "/") {
            node = try #require(
                (node as? [String: Any])?[part.replacingOccurrences(of: "~1", with: "/")], "\(reference)")
        }
        return try #require(node as? [String: Any])
    }

    func component(_ name: String) throws -> [String: Any] { try resolve("#/components/schemas/\(name)") }

    /// What is wrong with `value`; empty where it fits. `seen` collects the members that a schema names.
    func errors(_ value: Any, _ schema: [String: Any], _ path: String = "$") throws -> [String] {
        var known: Set<String> = []
        return try errors(value, schema, path, &known)
    }

    private func errors(
        _ value: Any, _ schema: [String: Any], _ path: String, _ known: inout Set<String>
    ) throws -> [String] {
        var found: [String] = []
        if let reference = schema["$ref"] as? String {
            found += try errors(value, resolve(reference), path, &known)
        }
        let object = value as? [String: Any]
        for (keyword, rule) in schema {
            switch keyword {
            case "$ref", "description", "discriminator", "unevaluatedProperties", "additionalProperties":
                break
            case "type":
                let fits =
                    switch rule as? String {
                    case "object": value is [String: Any]
                    case "string": value is String
                    case "integer": Self.integer(value) != nil
                    case "boolean": (value as? NSNumber).map { CFBoolean($0) } ?? false
                    default: false
                    }
                if !fits { found.append("\(path): not \(rule)") }
            case "required":
                for name in try #require(rule as? [String]) where object?[name] == nil {
                    found.append("\(path): \(name) is missing")
                }
            case "properties":
                for (name, inner) in try #require(rule as? [String: Any]) {
                    known.insert(name)
                    if let member = object?[name] {
                        found += try errors(member, try #require(inner as? [String: Any]), path + "." + name)
                    }
                }
            case "const":
                if "\(value)" != "\(rule)" { found.append("\(path): not \(rule)") }
            case "enum":
                let values = try #require(rule as? [String])
                if !values.contains(value as? String ?? "") { found.append("\(path): not one of \(values)") }
            case "pattern":
                let text = value as? String ?? ""
                if text.range(of: try #require(rule as? String), options: .regularExpression) == nil {
                    found.append("\(path): \(text) does not fit \(rule)")
                }
            case "minLength", "maxLength":
                let count = (value as? String ?? "").count
                let bound = try #require(rule as? Int)
                if keyword == "minLength" ? count < bound : count > bound {
                    found.append("\(path): \(count) characters")
                }
            case "minimum", "maximum":
                let number = Self.integer(value) ?? 0
                let bound = try #require(rule as? Int)
                if keyword == "minimum" ? number < bound : number > bound {
                    found.append("\(path): \(number)")
                }
            case "oneOf":
                let fitting = try #require(rule as? [[String: Any]]).filter {
                    try errors(value, $0, path).isEmpty
                }
                if fitting.count != 1 { found.append("\(path): \(fitting.count) of the alternatives fit") }
            default: throw SchemaError(keyword: keyword)
            }
        }
        if schema["additionalProperties"] as? Bool == false
            || schema["unevaluatedProperties"] as? Bool == false
        {
            for name in (object ?? [:]).keys where !known.contains(name) {
                found.append("\(path): \(name) is not described")
            }
        }
        return found
    }

    struct SchemaError: Error { let keyword: String }

    private static func integer(_ value: Any) -> Int? {
        guard let number = value as? NSNumber, !CFBoolean(number) else { return nil }
        return number.doubleValue == number.doubleValue.rounded() ? number.intValue : nil
    }
}

private func CFBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

/// Members at any depth, as paths.
private func members(_ value: Any, _ path: String = "") -> Set<String> {
    guard let object = value as? [String: Any] else { return [] }
    return object.reduce(into: []) { found, entry in
        found.insert(path + entry.key)
        found.formUnion(members(entry.value, path + entry.key + "."))
    }
}

@Suite struct OpenAPITests {
    static func object(_ json: [UInt8]) throws -> Any { try JSONSerialization.jsonObject(with: Data(json)) }

    static let names: [HTTPMessage.Kind: String] = [
        .authorization: "Authorization", .reversal: "Reversal", .advice: "Advice", .adjustment: "Adjustment",
        .reconciliation: "Reconciliation", .upload: "Upload",
    ]

    /// What we send and answer is what the document describes.
    @Test(arguments: [true, false]) func messagesFit(_ full: Bool) throws {
        let schema = try Schema()
        for message in Sample.messages(full: full) {
            let value = try Self.object(try message.json())
            #expect(try schema.errors(value, schema.component("Message")) == [])
            let name = try #require(Self.names[message.kind])
            #expect(try schema.errors(value, schema.component(name)) == [])
        }
        for answer in Sample.answers {
            #expect(try schema.errors(Self.object(answer.json()), schema.component("Answer")) == [])
        }
    }

    /// Every member that the document describes is one that is sent, and every value of an enumeration is one that we
    /// know: the document describes nothing that is not there.
    @Test func nothingIsDescribedInVain() throws {
        let schema = try Schema()
        for message in Sample.messages(full: true) {
            let sent = members(try Self.object(try message.json()))
            var described = try properties(schema, schema.component(try #require(Self.names[message.kind])))
            // An advice is sent without track.
            if message.kind == .advice { described.remove("card.track2") }
            described = described.filter { !$0.hasPrefix("original.card.track2") }
            #expect(sent == described, "\(message.kind)")
        }
        let sent = try Sample.answers.reduce(into: Set<String>()) {
            $0.formUnion(members(try Self.object(try $1.json())))
        }
        let described = try properties(schema, schema.component("Answer"))
        #expect(sent == described)

        func values(_ name: String, _ property: String) throws -> Set<String> {
            let all = try #require(try schema.component(name)["properties"] as? [String: Any])
            let described = try #require(all[property] as? [String: Any])
            return Set(try #require(described["enum"] as? [String]))
        }
        #expect(try values("Answer", "message") == Set(HTTPMessage.Kind.allCases.map(\.rawValue)))
        #expect(try values("Transaction", "purpose") == Set(AuthorizationPurpose.allCases.map(\.rawValue)))
        let modes: [PointOfServiceEntryMode] = [
            .contactlessChip, .contactlessMagStripe, .contactChip, .manual,
        ]
        #expect(try values("Transaction", "entryMode") == Set(modes.map { WireEntryMode($0).rawValue }))
        let methods: [EMV.Outcome.CVM] = [
            .notApplicable, .noCVM, .signature, .onlinePIN, .confirmationCodeVerified,
        ]
        #expect(
            try values("Transaction", "cardholderVerification")
                == Set(methods.map { WireCardholderVerification($0).rawValue }))
        let reasons: [ReversalRequest.Reason] = [
            .timeout, .malformedResponse, .restart, .cardDeclined, .cancelled, .lateResponse,
        ]
        #expect(try values("Reversal", "reason") == Set(reasons.map { WireReversalReason($0).rawValue }))
        #expect(try values("Adjustment", "kind") == ["completion", "tip"])
        #expect(try values("Advice", "offlineDecision") == ["approved", "declined"])
    }

    /// Paths of all properties, originals and cards included.
    private func properties(_ schema: Schema, _ node: [String: Any], _ path: String = "") throws -> Set<
        String
    > {
        var found: Set<String> = []
        if let reference = node["$ref"] as? String {
            found.formUnion(try properties(schema, schema.resolve(reference), path))
        }
        for (name, inner) in node["properties"] as? [String: Any] ?? [:] {
            found.insert(path + name)
            found.formUnion(try properties(schema, try #require(inner as? [String: Any]), path + name + "."))
        }
        return found
    }

    /// What the document requires, the reader requires: each required member taken away is an error there and here.
    @Test func requiredMembers() throws {
        let schema = try Schema()
        for message in Sample.messages(full: true) {
            let object = try #require(try Self.object(try message.json()) as? [String: Any])
            for name in object.keys {
                var less = object
                less[name] = nil
                let isWrong = try !schema.errors(less, schema.component("Message")).isEmpty
                let body = Array(try JSONSerialization.data(withJSONObject: less))
                #expect(((try? HTTPMessage(json: body)) == nil) == isWrong, "\(message.kind): \(name)")
            }
        }
        for answer in Sample.answers {
            let object = try #require(try Self.object(try answer.json()) as? [String: Any])
            for name in object.keys {
                var less = object
                less[name] = nil
                let isWrong = try !schema.errors(less, schema.component("Answer")).isEmpty
                let body = Array(try JSONSerialization.data(withJSONObject: less))
                #expect(((try? HTTPAnswer(json: body)) == nil) == isWrong, "answer: \(name)")
            }
        }
    }

    /// The schema is no rubber stamp.
    @Test func wrongMessagesDoNotFit() throws {
        let schema = try Schema()
        let right = try #require(
            try Self.object(try HTTPMessage.authorization(Sample.authorization()).json()) as? [String: Any])
        for (name, value) in [
            ("amount", -1), ("amount", 1_000_000_000_000), ("currency", "EUR"), ("stan", 0), ("unknown", 1),
            ("entryMode", "swipe"), ("version", 2), ("card", ["number": "12"]), ("acceptsPartialApproval", 1),
        ] as [(String, Any)] {
            var wrong = right
            wrong[name] = value
            #expect(try schema.errors(wrong, schema.component("Message")) != [], "\(name)")
        }
    }

    /// Path, headers, statuses and refusals of the running host are those of the document.
    @Test func hostAndDocumentAgree() async throws {
        let schema = try Schema()
        let paths = try #require(schema.document["paths"] as? [String: Any])
        #expect(Set(paths.keys) == [HTTPHost.Configuration(keys: [:]).path])
        let operation = try schema.resolve("#/paths/~1v1~1messages/post")
        let described = Set(try #require(operation["responses"] as? [String: Any]).keys)
        let parameters = try #require(
            schema.resolve("#/components/parameters").values.map { $0 } as? [[String: Any]])
        let headers = [
            HTTPSignature.idempotencyHeader, HTTPSignature.keyHeader, HTTPSignature.timestampHeader,
            HTTPSignature.signatureHeader,
        ]
        #expect(Set(parameters.compactMap { $0["name"] as? String }) == Set(headers))

        // A real request's headers fit.
        let seen = Mutex<[String: String]>([:])
        try await withRawHost({ request in
            seen.withLock { seen in for name in headers { seen[name] = request.header(name) } }
            return [.bytes(try request.approval())]
        }) { port, _ in _ = try await backend(port).authorize(Sample.authorization()) }
        for parameter in parameters {
            let value = seen.withLock { $0[parameter["name"] as? String ?? ""] } ?? ""
            #expect(try schema.errors(value, try #require(parameter["schema"] as? [String: Any])) == [])
        }

        let errors = Mutex<[AcquirerError]>([.rejected("no"), .unreachable("no")])
        let acquirer = ScriptedAcquirer { _ throws(AcquirerError) in
            if let error = errors.withLock({ $0.popLast() }) { throw error }
            return Sample.response
        }
        try await withHost(acquirer) { host in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let other = try HTTPMessage.authorization(Sample.authorization(cents: 2)).json()
            let port = host.port
            let answers = [
                try await post(port, body: body), try await post(port, body: body, key: "x"),
                try await post(port, body: body, key: "y"), try await post(port, body: body, key: "y"),
                try await post(port, body: other, key: "y"), try await post(port, body: []),
                try await post(port, body: body, signature: "v1="),
                try await post(port, path: "/", body: body),
                try await post(port, method: .PUT, body: body),
                try await post(port, body: body, contentType: "x/y"),
                try await post(port, body: [UInt8](repeating: 0x20, count: 300_000)),
            ]
            #expect(answers.map(\.status) == [503, 422, 200, 200, 409, 400, 401, 404, 405, 415, 413])
            for answer in answers {
                #expect(described.contains("\(answer.status)"))
                let name = answer.status == 200 ? "Answer" : "Refusal"
                #expect(try schema.errors(Self.object(answer.body), schema.component(name)) == [])
            }
        }
    }

    /// Independent validators: openapi-spec-validator and jsonschema.
    @Test(.needs(.oracles)) func otherValidators()
        throws
    {
        var lines: [String] = []
        for full in [true, false] {
            for message in Sample.messages(full: full) {
                lines.append("Message " + String(decoding: try message.json(), as: UTF8.self))
            }
        }
        for answer in Sample.answers {
            lines.append("Answer " + String(decoding: try answer.json(), as: UTF8.self))
        }
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let text = try PythonOracle("openapi_check.py").run(
            [
                folder.deletingLastPathComponent().appendingPathComponent(
                    "Sources/Adapters/HTTPBackend/openapi.yaml"
                )
                .path
            ],
            input: lines.joined(separator: "\n") + "\n")
        #expect(text.contains("\(lines.count) fit"), "\(text)")
    }
}
