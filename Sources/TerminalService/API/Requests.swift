internal import EMV
internal import Foundation
internal import Hummingbird
internal import NIOCore

/// A JSON object of a request: every field is asked for by name, and what was not asked for is refused.
struct RequestObject {
    private var fields: [String: JSONValue]
    private let path: String

    /// - Parameter limit: bytes of the body.
    static func read(_ request: Request, limit: Int = 64 << 10, optional: Bool = false) async throws
        -> RequestObject
    {
        let buffer = try await request.body.collect(upTo: limit)
        if optional, buffer.readableBytes == 0 { return RequestObject(fields: [:], path: "") }
        if let type = request.headers[.contentType], !type.lowercased().contains("json") {
            throw Problem(
                .unsupportedMediaType, status: 415, title: "The body must be JSON",
                detail: "Content-Type is \(type.prefix(60)): send application/json")
        }
        let value: JSONValue
        do {
            value = try JSONDecoder().decode(JSONValue.self, from: Data(buffer.readableBytesView))
        } catch {
            throw Problem(.badRequest, status: 400, title: "The body is no JSON", detail: Self.reason(error))
        }
        guard case .object(let fields) = value else {
            throw Problem.bad("the body is \(value.kind): expected an object")
        }
        return RequestObject(fields: fields, path: "")
    }

    private static func reason(_ error: any Error) -> String {
        guard case .dataCorrupted(let context) = error as? DecodingError else { return "malformed JSON" }
        if let underlying = context.underlyingError as NSError?,
            let text = underlying.userInfo[NSDebugDescriptionErrorKey] as? String
        {
            return text
        }
        return context.debugDescription
    }

    private func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    private func wrong(_ key: String, _ value: JSONValue, _ wanted: String) -> Problem {
        .bad("\(name(key)) is \(value.kind): expected \(wanted)")
    }
    func missing(_ key: String) -> Problem { .bad("\(name(key)) is missing") }

    /// Null counts as absent.
    private mutating func take(_ key: String) -> JSONValue? {
        guard let value = fields.removeValue(forKey: key), value != .null else { return nil }
        return value
    }

    mutating func text(_ key: String, _ count: ClosedRange<Int> = 0...256) throws(Problem) -> String? {
        guard let value = take(key) else { return nil }
        guard case .text(let text) = value else { throw wrong(key, value, "a text") }
        guard count.contains(text.utf8.count) else {
            throw .bad(
                "\(name(key)) has \(text.utf8.count) bytes: expected \(count.lowerBound) to \(count.upperBound)"
            )
        }
        return text
    }
    mutating func integer(_ key: String, in range: ClosedRange<Int64>) throws(Problem) -> Int64? {
        guard let value = take(key) else { return nil }
        guard case .integer(let number) = value else { throw wrong(key, value, "a whole number") }
        guard range.contains(number) else {
            throw .bad("\(name(key)) is \(number): expected \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
    mutating func bool(_ key: String) throws(Problem) -> Bool? {
        guard let value = take(key) else { return nil }
        guard case .bool(let truth) = value else { throw wrong(key, value, "true or false") }
        return truth
    }
    mutating func object(_ key: String) throws(Problem) -> RequestObject? {
        guard let value = take(key) else { return nil }
        guard case .object(let fields) = value else { throw wrong(key, value, "an object") }
        return RequestObject(fields: fields, path: name(key))
    }
    mutating func texts(_ key: String, _ count: ClosedRange<Int>) throws(Problem) -> [String]? {
        guard let value = take(key) else { return nil }
        guard case .list(let values) = value, count.contains(values.count) else {
            throw wrong(key, value, "a list of \(count.lowerBound) to \(count.upperBound) texts")
        }
        var texts: [String] = []
        for value in values {
            guard case .text(let text) = value, text.utf8.count <= 256 else {
                throw .bad("\(name(key)) holds \(value.kind): expected texts")
            }
            texts.append(text)
        }
        return texts
    }
    mutating func choice<Value: RawRepresentable & CaseIterable>(
        _ key: String, _ type: Value.Type
    ) throws(Problem) -> Value? where Value.RawValue == String {
        guard let text = try text(key) else { return nil }
        guard let value = Value(rawValue: text) else {
            throw .bad(
                "\(name(key)) is \"\(text.prefix(40))\": expected one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        return value
    }
    mutating func amount(_ key: String, from least: Int64 = 0) throws(Problem) -> Amount? {
        try integer(key, in: least...Int64(Amount.greatest)).map { Amount(clamping: UInt64($0)) }
    }

    /// - Throws: `unknown_field`, naming one that nobody asked for.
    func finish() throws(Problem) {
        guard let unknown = fields.keys.sorted().first else { return }
        throw Problem(
            .unknownField, status: 400, title: "A field is not known",
            detail: "\(name(String(unknown.prefix(60)))) is no field of this request")
    }
}

extension RequestObject {
    mutating func tap() throws(Problem) -> TapOrder {
        let one = try text("card", 1...64)
        let several = try texts("cards", 1...8)
        guard (one == nil) != (several == nil) else { throw .bad("a tap names either card or cards") }
        var removal: RemovalScript?
        if var script = try object("removal") {
            let commands = try script.integer("afterCommands", in: 0...1000)
            let instruction = try script.text("duringCommand", 2...2)
            let time = try script.integer("afterMilliseconds", in: 0...600_000)
            try script.finish()
            switch (commands, instruction, time) {
            case (let count?, nil, nil): removal = .afterCommands(Int(count))
            case (nil, let hex?, nil):
                guard let byte = UInt8(hex, radix: 16) else {
                    throw .bad(
                        "removal.duringCommand is \"\(hex)\": expected an INS byte as two hexadecimal digits")
                }
                removal = .duringCommand(byte)
            case (nil, nil, let milliseconds?): removal = .afterMilliseconds(Int(milliseconds))
            default: throw .bad("removal has one of afterCommands, duringCommand and afterMilliseconds")
            }
        }
        let cards = several ?? [one ?? ""]
        guard Set(cards).count == cards.count else {
            throw .bad("a card cannot be tapped twice at the same moment")
        }
        return TapOrder(cards: cards, removal: removal)
    }
}

/// Query parameters of one request.
struct Query {
    private let values: [String: String]

    init(_ request: Request) {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters { values[String(key)] = String(value) }
        self.values = values
    }

    subscript(_ key: String) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = values[key] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .bad(
                "\(key) is \"\(text.prefix(40))\": expected a number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }
    func time(_ key: String) throws(Problem) -> Date? {
        guard let text = self[key] else { return nil }
        for style in [
            Date.ISO8601FormatStyle(includingFractionalSeconds: true), Date.ISO8601FormatStyle(),
            Date.ISO8601FormatStyle().year().month().day(),
        ] {
            if let date = try? Date(text, strategy: style) { return date }
        }
        throw .bad("\(key) is \"\(text.prefix(40))\": expected a time such as 2026-11-21T09:30:00Z, or a day")
    }
}

/// A page of a list: `?limit=1…200&cursor=`, the cursor being what the page before gave as `next`.
struct Page<Item: Encodable & Sendable>: Encodable, Sendable {
    var items: [Item]
    var next: String?

    enum CodingKeys: String, CodingKey { case items, next }
    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(items, forKey: .items)
        // Null at the end, as clients look for it.
        try object.encode(next, forKey: .next)
    }
}

enum Paging {
    static let usual = 50
    static let most = 200

    static func limit(_ query: Query) throws(Problem) -> Int {
        try query.integer("limit", in: 1...most) ?? usual
    }

    /// A page of what is in memory, in its order.
    static func page<Element, Item: Encodable & Sendable>(
        _ all: [Element], _ query: Query, id: (Element) -> String, _ item: (Element) throws(Problem) -> Item
    ) throws(Problem) -> Page<Item> {
        let limit = try limit(query)
        var rest = all[...]
        if let cursor = query["cursor"] {
            guard let index = all.firstIndex(where: { id($0) == cursor }) else {
                throw .bad(
                    "the cursor is not of this list, or what it pointed at is gone: begin again without it")
            }
            rest = all[(index + 1)...]
        }
        var items: [Item] = []
        for element in rest.prefix(limit) { items.append(try item(element)) }
        let last = rest.prefix(limit).last
        return Page(items: items, next: rest.count > limit ? last.map(id) : nil)
    }
}
