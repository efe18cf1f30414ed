internal import BERTLV
internal import EMV
public import EMVDictionary
public import ISO8583
public import ISO8583Backend

/// A message on a host's line, in clear.
public struct HostTraffic: Sendable, Equatable {
    /// A connection.
    public struct Line: Sendable, Hashable {
        /// Address and port of the terminal, and of the host.
        public let peer: String
        public let local: String
        public init(peer: String, local: String) {
            self.peer = peer
            self.local = local
        }
    }
    public let line: Line
    /// Whether the terminal sent it.
    public let isReceived: Bool
    /// Header and message, without length and trailer.
    public let content: [UInt8]

    public init(_ line: Line, isReceived: Bool, content: [UInt8]) {
        self.line = line
        self.isReceived = isReceived
        self.content = content
    }

    /// Every field with its meaning, and the data objects of field 55; masked, one line each, without line breaks at the end.
    public func text(_ interface: HostInterface) -> String {
        let (explanation, message) = interface.dialect.explain(content, from: interface.framing.header.count)
        var lines = [isReceived ? "from \(line.peer)" : "to \(line.peer)"]
        lines += explanation.text().split(separator: "\n").map { "  " + $0 }
        if let chip = ChipExplanation(message, explanation) {
            lines += chip.node.text().split(separator: "\n").map { "      " + $0 }
        }
        return PlainText.clean(lines.joined(separator: "\n"), keeping: ["\n"])
    }

    /// As a line for a file: a comment with time, connection and direction, then hexadecimal digits in clear, which
    /// `tapbridge iso decode` reads.
    /// - Parameter time: as it is to stand there.
    public func dumpLines(time: String) -> String {
        "# \(time) \(isReceived ? "\(line.peer) > \(line.local)" : "\(line.local) > \(line.peer)")\n\(Hex.string(content))\n"
    }
}

/// Field 55 of a message as a tree of data objects, masked as everything else of it: no card number is taken for a test
/// card's.
public struct ChipExplanation {
    public let node: ExplainedNode

    /// Nil where the message has no field 55 that could be read.
    public init?(_ message: Message, _ explanation: MessageExplanation) {
        guard let data = message[55], !data.isEmpty, explanation.fields.contains(where: { $0.number == 55 })
        else {
            return nil
        }
        var options = EMVDecoder.Options(kind: .tlv)
        options.isTestPAN = { _ in false }
        node = EMVDecoder.explain(Array(data), options)
    }
}
