import BERTLV

/// Bytes explained for people.
enum Explanation {
    enum Kind { case command, response }
    static func text(_ bytes: [UInt8], kind: Kind, coloured: Bool) -> String { Hex.string(bytes) }
}
