internal import EMV

/// One line that explains a value to people.
public struct ExplanationLine: Sendable, Equatable, Codable {
    public var text: String
    /// Steps of indentation below the value: 0...
    public var indent: Int
    /// Whether the bit is set, for a line about one bit; nil otherwise.
    public var isSet: Bool?

    public init(_ text: String, indent: Int = 0, isSet: Bool? = nil) {
        self.text = text
        self.indent = indent
        self.isSet = isSet
    }
}

/// A piece of decoded data, explained: what it is, where it lies, what it says.
public struct ExplainedNode: Sendable, Equatable, Codable {
    /// The standard name, or what the piece is ("Command APDU", "Status word").
    public var name: String
    /// The tag in hexadecimal; nil for pieces that are no data objects.
    public var tag: String?
    /// Offset of the piece's first byte in the input; nil for pieces derived from others.
    public var offset: Int?
    /// Number of value bytes, as present.
    public var length: Int?
    /// The value in hexadecimal, `*` for each masked digit; nil for templates.
    public var value: String?
    /// Whether `value` and `lines` hide something.
    public var isMasked: Bool
    public var lines: [ExplanationLine]
    public var children: [ExplainedNode]
    /// What is wrong here, naming tag and offset; nil where nothing is.
    public var error: String?

    public init(
        name: String, tag: String? = nil, offset: Int? = nil, length: Int? = nil, value: String? = nil,
        isMasked: Bool = false, lines: [ExplanationLine] = [], children: [ExplainedNode] = [],
        error: String? = nil
    ) {
        self.name = name
        self.tag = tag
        self.offset = offset
        self.length = length
        self.value = value
        self.isMasked = isMasked
        self.lines = lines
        self.children = children
        self.error = error
    }

    /// Whether this piece or one inside is damaged.
    public var hasErrors: Bool { error != nil || children.contains(where: \.hasErrors) }

    /// The first piece with the tag, this one included, depth first.
    public func first(tag wanted: String) -> ExplainedNode? {
        if tag == wanted { return self }
        for child in children {
            if let found = child.first(tag: wanted) { return found }
        }
        return nil
    }
}

extension ExplainedNode {
    /// Indented text, one line for each piece, its explanations below.
    /// - Parameters:
    ///   - colour: whether to set off tags, errors and bits with ANSI escape sequences.
    ///   - offsets: whether to give each piece's offset.
    public func text(colour: Bool = false, offsets: Bool = false) -> String {
        var output = ""
        write(to: &output, depth: 0, paint: Paint(isOn: colour), offsets: offsets)
        return output
    }

    private struct Paint {
        let isOn: Bool
        func callAsFunction(_ code: String, _ text: String) -> String {
            isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
        }
    }

    private func write(to output: inout String, depth: Int, paint: Paint, offsets: Bool) {
        let margin = String(repeating: "  ", count: depth)
        output += margin
        if offsets, let offset { output += "[\(offset)] " }
        if let tag { output += paint("1;36", tag) + " " }
        output += name
        if let length, value == nil { output += " (\(length) \(length == 1 ? "byte" : "bytes"))" }
        if let value {
            output += ": " + (value.isEmpty ? "(empty)" : value)
        }
        output += "\n"
        for line in lines {
            output += margin + String(repeating: "  ", count: line.indent + 2)
            switch line.isSet {
            case true?: output += paint("32", "[x] " + line.text)
            case false?: output += paint("2", "[ ] " + line.text)
            case nil: output += line.text
            }
            output += "\n"
        }
        for child in children {
            child.write(to: &output, depth: depth + 1, paint: paint, offsets: offsets)
        }
        if let error { output += margin + "  " + paint("1;31", "error: " + error) + "\n" }
    }

    /// JSON with the keys in a fixed order; absent ones are left out.
    /// - Parameter pretty: whether to break and indent lines.
    public func json(pretty: Bool = true) -> String {
        var output = ""
        writeJSON(to: &output, depth: 0, pretty: pretty)
        if pretty { output += "\n" }
        return output
    }

    private func writeJSON(to output: inout String, depth: Int, pretty: Bool) {
        let newline = pretty ? "\n" + String(repeating: "  ", count: depth + 1) : ""
        let colon = pretty ? ": " : ":"
        var isFirst = true
        func key(_ name: String) {
            output += isFirst ? "{" : ","
            isFirst = false
            output += newline + "\"" + name + "\"" + colon
        }
        if let tag {
            key("tag")
            output += JSONText.quoted(tag)
        }
        key("name")
        output += JSONText.quoted(name)
        if let offset {
            key("offset")
            output += String(offset)
        }
        if let length {
            key("length")
            output += String(length)
        }
        if let value {
            key("value")
            output += JSONText.quoted(value)
        }
        key("isMasked")
        output += isMasked ? "true" : "false"
        key("lines")
        output += "["
        for (index, line) in lines.enumerated() {
            if index > 0 { output += "," }
            if pretty { output += newline + "  " }
            output +=
                "{\"text\"" + colon + JSONText.quoted(line.text) + ",\"indent\"" + colon + String(line.indent)
            if let isSet = line.isSet { output += ",\"isSet\"" + colon + (isSet ? "true" : "false") }
            output += "}"
        }
        if pretty, !lines.isEmpty { output += newline }
        output += "]"
        key("children")
        output += "["
        for (index, child) in children.enumerated() {
            if index > 0 { output += "," }
            if pretty { output += newline + "  " }
            child.writeJSON(to: &output, depth: depth + 2, pretty: pretty)
        }
        if pretty, !children.isEmpty { output += newline }
        output += "]"
        if let error {
            key("error")
            output += JSONText.quoted(error)
        }
        output += pretty ? "\n" + String(repeating: "  ", count: depth) + "}" : "}"
    }
}
