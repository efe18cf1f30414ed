/// Text as JSON has it, for writers that put their objects together themselves.
package enum JSONText {
    /// A JSON string with its quotation marks (RFC 8259, section 7); what a terminal would obey is escaped as well
    /// (`PlainText`).
    package static func quoted(_ value: String) -> String {
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where PlainText.isControl(scalar):
                for unit in String(scalar).utf16 { text += PlainText.escape(unit) }
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
