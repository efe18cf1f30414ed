import BERTLV
public import Foundation

/// The inputs of one target that are kept in the repository: a text file with one input a line in hexadecimal, so that
/// a change shows as the lines that came and went.
///
///     # words        about the file, or about the input of the next line
///     9F0206 # why   an input with a story: a finding; it stays whatever its coverage
///     9F02           an input that reaches code that no other one reaches; `make fuzz` writes these anew
public struct Corpus: Sendable {
    public struct Input: Sendable, Equatable {
        public var bytes: [UInt8]
        /// Nil for inputs that are kept for their coverage alone.
        public var story: String?
        public init(_ bytes: [UInt8], story: String? = nil) {
            self.bytes = bytes
            self.story = story
        }
    }
    public var inputs: [Input]
    init(inputs: [Input]) { self.inputs = inputs }

    public struct Damage: Error, CustomStringConvertible {
        public let description: String
    }

    /// `Tests/Fuzzing/Corpus`.
    public static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appending(path: "Corpus")

    public static func file(of target: String) -> URL { folder.appending(path: target + ".hex") }

    /// - Throws: `Damage` for a line that is no hexadecimal text. A target without a file has an empty corpus.
    public init(of target: String) throws {
        let file = Self.file(of: target)
        guard FileManager.default.fileExists(atPath: file.path) else {
            self.init(inputs: [])
            return
        }
        try self.init(text: try String(contentsOf: file, encoding: .utf8), name: file.lastPathComponent)
    }

    init(text: String, name: String) throws(Damage) {
        self.init(inputs: [])
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let parts = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
            let digits = parts.first.map { $0.filter { !$0.isWhitespace } } ?? ""
            let story = parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : nil
            if digits.isEmpty { continue }
            guard let bytes = Hex.bytes(digits) else {
                throw Damage(description: "\(name):\(index + 1): expected pairs of hexadecimal digits")
            }
            inputs.append(Input(bytes, story: story))
        }
    }

    /// The inputs with a story first, in their order, then the others, short ones first.
    public var text: String {
        let told = inputs.filter { $0.story != nil }
        let others = Set(inputs.filter { $0.story == nil }.map(\.bytes)).subtracting(told.map(\.bytes))
        let sorted = others.sorted { ($0.count, Hex.string($0)) < ($1.count, Hex.string($1)) }
        return (told.map { "\(Hex.string($0.bytes)) # \($0.story ?? "")" } + sorted.map { Hex.string($0) })
            .map { $0 + "\n" }.joined()
    }
}
