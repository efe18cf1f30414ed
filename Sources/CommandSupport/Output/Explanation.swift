package import EMVDictionary

/// Commands and answers explained for people, as `--apdus` shows them.
package enum Explanation {
    package static func text(_ bytes: [UInt8], kind: EMVDecoder.Kind, coloured: Bool) -> String {
        EMVDecoder.explain(bytes, EMVDecoder.Options(kind: kind)).text(colour: coloured)
    }
}
