package import EMVDictionary
import Synchronization

/// Commands and answers explained for people, as `--apdus` shows them.
package enum Explanation {
    package static func text(
        _ bytes: [UInt8], kind: EMVDecoder.Kind, coloured: Bool, hint: EMVDecoder.Hint = EMVDecoder.Hint()
    ) -> String {
        EMVDecoder.explain(bytes, EMVDecoder.Options(kind: kind), hint: hint).text(colour: coloured)
    }
}

/// Explains the commands and responses of one card after the other, each by what came before it.
package final class ExchangeExplanation: Sendable {
    private let context = Mutex(ExchangeContext())

    package init() {}

    package func command(_ bytes: [UInt8], coloured: Bool) -> String {
        Explanation.text(bytes, kind: .command, coloured: coloured, hint: context.withLock { $0.sent(bytes) })
    }
    package func response(_ bytes: [UInt8], coloured: Bool) -> String {
        Explanation.text(
            bytes, kind: .response, coloured: coloured, hint: context.withLock { $0.received(bytes) })
    }
}
