internal import CYaml

/// How large a YAML text may be. Counted on the parser's events, before anything is built of them: what is built is
/// looked through, hashed and written out again, and a text of 400 bytes with aliases can stand for more than there is
/// memory for.
///
/// Aliases are refused outright: none of the files needs them, and without them a text cannot stand for more than is
/// written in it.
enum YAMLBounds {
    static let bytes = 4 << 20
    /// Scalars, lists and mappings.
    static let nodes = 250_000
    static let nesting = 32

    /// What is too much, and where; nil where the text is within bounds. Of a text that is not YAML the part before the
    /// mistake counts, which Yams, with the same parser, reads to the same place.
    static func excess(of text: String, file: String) -> ProfileFileError? {
        guard text.utf8.count <= bytes else {
            return ProfileFileError(
                file: file, reason: "the text has \(text.utf8.count) bytes; \(bytes) are the limit")
        }
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            return ProfileFileError(file: file, reason: "there is no memory to read it")
        }
        defer { yaml_parser_delete(&parser) }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        var text = text
        return text.withUTF8 { buffer in
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            return excess(&parser, file)
        }
    }

    private static func excess(_ parser: inout yaml_parser_t, _ file: String) -> ProfileFileError? {
        var count = 0
        var depth = 0
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else { return nil }
            defer { yaml_event_delete(&event) }
            func error(_ reason: String) -> ProfileFileError {
                ProfileFileError(
                    file: file, line: event.start_mark.line + 1, column: event.start_mark.column + 1,
                    reason: reason)
            }
            switch event.type {
            case YAML_STREAM_END_EVENT: return nil
            case YAML_ALIAS_EVENT:
                return error("aliases (*name) are not taken: write out what is meant")
            case YAML_SCALAR_EVENT: count += 1
            case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
                count += 1
                depth += 1
                guard depth <= nesting else {
                    return error("more than \(nesting) lists and mappings in each other")
                }
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: depth -= 1
            default: break
            }
            guard count <= nodes else { return error("more than \(nodes) values") }
        }
    }
}
