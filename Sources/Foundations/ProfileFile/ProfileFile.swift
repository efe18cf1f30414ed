public import BERTLV
internal import Foundation
internal import Yams

/// What is wrong in a profile file, where, and what was expected.
public struct ProfileFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file's name as the user gave it.
    public let file: String
    /// Line and column from 1; nil where the file as a whole is meant.
    public let line: Int?
    public let column: Int?
    /// Where in the document, such as `combinations[1].limits.floor`; empty at the top.
    public let path: String
    public let reason: String

    public init(file: String, line: Int? = nil, column: Int? = nil, path: String = "", reason: String) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.reason = reason
    }

    /// `file:line:column: path: reason`.
    public var description: String {
        var text = file
        if let line {
            text += ":\(line)"
            if let column { text += ":\(column)" }
        }
        return text + ": " + (path.isEmpty ? "" : path + ": ") + reason
    }
}

/// A place in a profile file (YAML): typed reads that say file, line and what was expected when the file
/// has something else.
///
///     let top = try ProfileFile(file: name, text: text).mapping()
///     let label = try top.required("label").string()
///     try top.finish()          // an unknown key is an error
public struct ProfileFile {
    /// The file's name as the user gave it.
    public let file: String
    let node: Node
    public let path: String
    /// The whole text of the file; empty but at the top.
    public let text: String
    /// The files that the text may name.
    public let files: FileAccess

    /// - Parameter files: which files the text may name; none unless its author may.
    /// - Throws: `ProfileFileError` where the text is not YAML, empty or out of bounds (`YAMLBounds`).
    public init(file: String, text: String, files: FileAccess = .noFiles) throws(ProfileFileError) {
        if let excess = YAMLBounds.excess(of: text, file: file) { throw excess }
        let composed: Node?
        do {
            // Everything is read as text here: what looks like a number or a date is not asked.
            composed = try Yams.compose(yaml: text, .basic)
        } catch let error as YamlError {
            throw Self.syntaxError(file, error)
        } catch {
            throw ProfileFileError(file: file, reason: "\(error)")
        }
        guard let composed else { throw ProfileFileError(file: file, reason: "the file is empty") }
        self.init(file: file, files: files, node: composed, path: "", text: text)
    }

    /// Reads a file of the operator's, which may name others; relative paths begin at its folder.
    public init(path: String) throws(ProfileFileError) {
        guard let bytes = NamedFile(path: path, shown: path).contents(limit: YAMLBounds.bytes),
            let text = String(validating: bytes, as: UTF8.self)
        else {
            let reason =
                FileManager.default.fileExists(atPath: path)
                ? "cannot be read as UTF-8 text of up to \(YAMLBounds.bytes) bytes (permissions?)"
                : "no such file"
            throw ProfileFileError(file: path, reason: reason)
        }
        try self.init(file: path, text: text, files: .beside(path))
    }

    /// A value that is there already, as a command line's, to be read with the same checks as a file's.
    /// - Parameters:
    ///   - source: what errors name, such as `--port`.
    ///   - files: which files the value may name.
    public init(source: String, value: Value, files: FileAccess = .noFiles) {
        self.init(file: source, files: files, node: value.node, path: "")
    }

    /// What a file's text would say.
    public enum Value: Sendable, Equatable {
        case string(String)
        case integer(Int)
        case list([Value])
        /// Keys are each there once.
        case mapping([String: Value])

        fileprivate var node: Node {
            switch self {
            case .string(let text): Node(text)
            case .integer(let number): Node(String(number))
            case .list(let values): Node(values.map(\.node))
            case .mapping(let values):
                Node(values.sorted { $0.key < $1.key }.map { (Node($0.key), $0.value.node) })
            }
        }
    }

    init(file: String, files: FileAccess, node: Node, path: String, text: String = "") {
        self.text = text
        self.files = files
        self.file = file
        self.node = node
        self.path = path
    }

    static func syntaxError(_ file: String, _ error: YamlError) -> ProfileFileError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let location = context.map { " (\($0))" } ?? ""
            return ProfileFileError(
                file: file, line: mark.line, column: mark.column, reason: "not YAML: \(problem)\(location)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return ProfileFileError(
                file: file, line: context.mark.line,
                reason: "the same key twice: "
                    + duplicates.sorted().prefix(5).map { shortened($0) }.joined(separator: ", "))
        default:
            return ProfileFileError(file: file, reason: "not YAML: \(error)")
        }
    }

    /// Line and column from 1, for errors that the caller finds.
    public var line: Int? { node.mark?.line }

    /// An error at this place.
    public func error(_ reason: String) -> ProfileFileError {
        ProfileFileError(
            file: file, line: node.mark?.line, column: node.mark?.column, path: path, reason: reason)
    }

    var found: String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : "\"\(Self.shortened(scalar.string))\""
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// Of a text as long as somebody liked, as much as an error shows.
    static func shortened(_ text: String) -> Substring { text.prefix(40) }

    /// What stands here, whatever way it is written: without comments, keys in order, each text with its length. Two
    /// places that mean the same give the same.
    public var canonicalText: String { Self.canonicalText(node) }

    private static func canonicalText(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): return "\(scalar.string.utf8.count):\(scalar.string)"
        case .sequence(let sequence): return "[" + sequence.map(canonicalText).joined(separator: ",") + "]"
        case .mapping(let mapping):
            let pairs = mapping.map { canonicalText($0.key) + "=" + canonicalText($0.value) }
            return "{" + pairs.sorted().joined(separator: ",") + "}"
        case .alias(let alias): return "*" + alias.anchor.rawValue
        }
    }

    /// Text of a scalar.
    public func string() throws(ProfileFileError) -> String {
        guard case .scalar(let scalar) = node else { throw error("expected text, found \(found)") }
        return scalar.string
    }

    /// `true`/`false` (also yes/no, on/off).
    public func bool() throws(ProfileFileError) -> Bool {
        switch try string().lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw error("expected true or false, found \(found)")
        }
    }

    /// A whole number within `range`; `0x` for hexadecimal, `_` between digits.
    public func integer(in range: ClosedRange<Int> = 0...Int.max) throws(ProfileFileError) -> Int {
        let text = try string().replacingOccurrences(of: "_", with: "")
        let value = text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
        guard let value, range.contains(value) else {
            let upper = range.upperBound == Int.max ? "up" : "\(range.upperBound)"
            throw error("expected a whole number of \(range.lowerBound)...\(upper), found \(found)")
        }
        return value
    }

    /// Bytes as hexadecimal digits, with spaces where wanted.
    public func hex(count: ClosedRange<Int> = 0...65535) throws(ProfileFileError) -> [UInt8] {
        guard let bytes = Hex.bytes(try string()) else {
            throw error("expected hexadecimal digits in pairs (quote digits-only values), found \(found)")
        }
        guard count.contains(bytes.count) else {
            let wanted =
                count.lowerBound == count.upperBound
                ? "\(count.lowerBound)" : "\(count.lowerBound)...\(count.upperBound)"
            throw error("expected \(wanted) bytes, found \(bytes.count)")
        }
        return bytes
    }

    /// A tag as hexadecimal digits.
    public func tag() throws(ProfileFileError) -> BERTLV.Tag {
        guard let tag = BERTLV.Tag(hex: try string()) else {
            throw error("expected a BER-TLV tag in hexadecimal, found \(found)")
        }
        return tag
    }

    /// One of the values that `Value` names.
    public func choice<Value: RawRepresentable & CaseIterable>(
        _ type: Value.Type = Value.self
    ) throws(ProfileFileError) -> Value where Value.RawValue == String {
        let text = try string()
        if let value = Value(rawValue: text) { return value }
        let names = Value.allCases.map(\.rawValue)
        throw error(
            "expected one of \(names.joined(separator: ", ")), found \(found)"
                + Self.suggestion(for: text, among: names))
    }

    public func list() throws(ProfileFileError) -> [ProfileFile] {
        guard case .sequence(let sequence) = node else {
            throw error("expected a list, found \(found)")
        }
        return sequence.enumerated().map {
            ProfileFile(file: file, files: files, node: $0.element, path: "\(path)[\($0.offset)]")
        }
    }

    public func mapping() throws(ProfileFileError) -> ProfileMapping {
        guard case .mapping(let mapping) = node else {
            throw error("expected keys and values, found \(found)")
        }
        return ProfileMapping(place: self, mapping: mapping)
    }

    /// `; did you mean "…"?`, where one of `names` is near.
    public static func suggestion(for word: String, among names: some Collection<String>) -> String {
        // Nobody mistypes so long a name, and the work grows with it.
        guard word.utf8.count <= 80 else { return "" }
        let near = names.map { ($0, distance(word.lowercased(), $0.lowercased())) }
            .min { $0.1 < $1.1 }
        guard let near, near.1 <= max(2, word.count / 3) else { return "" }
        return "; did you mean \"\(near.0)\"?"
    }

    /// Levenshtein distance.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}

/// A mapping of a profile file. Keys asked for are known; `finish` refuses the others.
public final class ProfileMapping {
    public let place: ProfileFile
    let mapping: Node.Mapping
    private let values: [String: Node]
    private var known: Set<String> = []

    init(place: ProfileFile, mapping: Node.Mapping) {
        self.place = place
        self.mapping = mapping
        var values: [String: Node] = [:]
        for (key, value) in mapping {
            if case .scalar(let name) = key { values[name.string] = value }
        }
        self.values = values
    }

    /// The value of a key; nil where the key is absent or its value empty.
    public func optional(_ key: String) -> ProfileFile? {
        known.insert(key)
        guard let node = values[key] else { return nil }
        if case .scalar(let scalar) = node, scalar.string.isEmpty, scalar.style == .plain { return nil }
        return ProfileFile(
            file: place.file, files: place.files, node: node,
            path: place.path.isEmpty ? key : "\(place.path).\(key)")
    }

    public func required(_ key: String) throws(ProfileFileError) -> ProfileFile {
        guard let value = optional(key) else { throw place.error("\"\(key)\" is missing") }
        return value
    }

    /// All entries in order, for mappings whose keys are data; marks every key as known.
    public func entries() throws(ProfileFileError) -> [(key: ProfileFile, value: ProfileFile)] {
        var result: [(key: ProfileFile, value: ProfileFile)] = []
        for (keyNode, valueNode) in mapping {
            let key = ProfileFile(file: place.file, files: place.files, node: keyNode, path: place.path)
            let name = try key.string()
            known.insert(name)
            let shown = ProfileFile.shortened(name)
            let path = place.path.isEmpty ? String(shown) : "\(place.path).\(shown)"
            result.append(
                (key, ProfileFile(file: place.file, files: place.files, node: valueNode, path: path)))
        }
        return result
    }

    /// - Throws: for a key that nobody asked for, with the nearest known key.
    public func finish() throws(ProfileFileError) {
        if let first = unknownKeys(atMost: 1).first { throw first }
    }

    /// An error for each key that nobody asked for, with the nearest known key; the first hundred of them.
    public func unknownKeys() -> [ProfileFileError] { unknownKeys(atMost: 100) }

    private func unknownKeys(atMost limit: Int) -> [ProfileFileError] {
        var errors: [ProfileFileError] = []
        for (keyNode, _) in mapping {
            if let error = unknown(keyNode) { errors.append(error) }
            if errors.count == limit { break }
        }
        return errors
    }

    private func unknown(_ keyNode: Node) -> ProfileFileError? {
        let key = ProfileFile(file: place.file, files: place.files, node: keyNode, path: place.path)
        guard let name = try? key.string() else {
            return key.error("expected a name, found \(key.found)")
        }
        guard !known.contains(name) else { return nil }
        let hint = ProfileFile.suggestion(for: name, among: known)
        return key.error(
            "unknown key \"\(ProfileFile.shortened(name))\"\(hint.isEmpty ? "; known: \(known.sorted().joined(separator: ", "))" : hint)"
        )
    }
}
