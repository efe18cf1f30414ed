import BERTLV
import EMV
import Foundation
import Journal
import Terminal

extension FuzzTarget {
    /// What the journal gives back: a damaged file must not bring the terminal down.
    static let journal: [FuzzTarget] = [
        FuzzTarget(
            "kept-request", longestInput: 2048, mutations: 24,
            seeds: { [KeptRequest(try ISOMessages.request()).bytes ?? []] }
        ) { input in
            guard let request = KeptRequest.request(input) else { return }
            guard let bytes = KeptRequest(request).bytes, let again = KeptRequest.request(bytes) else {
                throw BrokenProperty(description: "a kept request cannot be kept again")
            }
            try hold(
                again.amount == request.amount && again.primaryAccountNumber == request.primaryAccountNumber
                    && again.chipData == request.chipData && again.date == request.date
                    && again.stan == request.stan,
                "a request kept again differs")
        },
        FuzzTarget("timestamp", longestInput: 30, seeds: { [Array("2026-11-21T04:16:28.123Z".utf8)] }) {
            input in
            let text = String(decoding: input, as: UTF8.self)
            guard let date = Timestamp.date(text) else { return }
            try hold(Timestamp.text(date) == text, "\(text) is written as \(Timestamp.text(date))")
        },
        FuzzTarget(
            "stored-text", longestInput: 600,
            seeds: {
                ["4761 7390 0101 0119=3112", "ref 4111-1111-1111-1111 x", "é4761739001010119D31"].map {
                    Array($0.utf8)
                }
            }
        ) { input in
            let text = String(decoding: input, as: UTF8.self)
            let cleaned = StoredText.cleaned(text)
            try hold(!CardNumbers.hasRun(cleaned), "the stored text shows a card number: \(cleaned)")
            try hold(!cleaned.unicodeScalars.contains("\0"), "a zero character is stored")
            try hold(StoredText.cleaned(cleaned) == cleaned, "cleaned twice, a text differs")
            let masked = StoredText.maskedPAN(text)
            try hold(masked.count(where: { $0 != "*" }) <= 10, "the masked number \(masked)")
        },
    ]
}
