internal import BERTLV
internal import EMVDictionary
internal import Kernels

/// Bytes as trees for people and programs. Card numbers are masked unless they are test numbers.
enum Explaining {
    static func context(_ kernel: KernelIdentifier?) -> DictionaryContext? {
        guard let kernel else { return nil }
        return DictionaryContext(rawValue: "kernel\(kernel.rawValue)")
    }

    static func node(
        _ bytes: [UInt8], _ kind: EMVDecoder.Kind, _ context: DictionaryContext? = nil, unset: Bool = false,
        hint: EMVDecoder.Hint = EMVDecoder.Hint()
    ) -> ExplainedNode {
        EMVDecoder.explain(
            bytes, EMVDecoder.Options(kind: kind, context: context, showUnsetBits: unset), hint: hint)
    }

    /// One data object, without the node around it.
    static func object(
        _ tag: Tag, _ value: ArraySlice<UInt8>, _ context: DictionaryContext?, unset: Bool = false
    ) -> ExplainedNode {
        var writer = BERTLVWriter()
        writer.append(tag, Array(value))
        let whole = node(writer.bytes, .tlv, context, unset: unset)
        return whole.tag == nil ? whole.children.first ?? whole : whole
    }
}
