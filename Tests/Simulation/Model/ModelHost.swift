internal import Acquiring
internal import EMV

/// The acquirer's host: its own ledger, and how it answers. It books what it approves when it approves it, whatever becomes of the
/// response.
struct ModelHost {
    enum Message {
        case authorize(id: String, amount: UInt64, isCredit: Bool, isHold: Bool)
        case reverse(id: String)
        case advise(id: String, amount: UInt64, isCredit: Bool)
        case adjust(id: String, amount: UInt64, revision: Int)

        var id: String {
            switch self {
            case .authorize(let id, _, _, _), .reverse(let id), .advise(let id, _, _), .adjust(let id, _, _):
                id
            }
        }
        var isAuthorization: Bool { if case .authorize = self { true } else { false } }
    }

    struct Entry {
        var booked: UInt64 = 0
        var isCredit = false
        var isHold = false
        var isReversed = false
        /// A reversal came before what it reverses.
        var isReversedInAdvance = false
        var final: UInt64?
        var revision = 0
    }

    private(set) var entries: [String: Entry] = [:]
    /// A reversal of what the host does not know yet is kept: what comes later is declined. Hosts without that approve it, and
    /// say so.
    let remembersReversals: Bool

    init(remembersReversals: Bool) { self.remembersReversals = remembersReversals }

    /// What is taken in the end; what is only held is not.
    func taken(_ id: String) -> UInt64 {
        guard let entry = entries[id], !entry.isReversed else { return 0 }
        return entry.isHold ? entry.final ?? 0 : entry.final ?? entry.booked
    }

    func held(_ id: String) -> UInt64 {
        guard let entry = entries[id], !entry.isReversed, entry.isHold, entry.final == nil else { return 0 }
        return entry.booked
    }

    /// A code and what the host means by it.
    struct Answer {
        var code: String
        var books: Bool
        var part = false
        var codeIsGiven = true
    }

    static let approval = Answer(code: "00", books: true)
    static let decline = Answer(code: "05", books: false, codeIsGiven: false)
    /// Approvals, or not, under codes that are seldom.
    static let oddAnswers: [Answer] = [
        Answer(code: "08", books: true), Answer(code: "16", books: true), Answer(code: "11", books: true),
        Answer(code: "10", books: true, part: true), Answer(code: "001", books: true),
        Answer(code: "004", books: true), Answer(code: "005", books: true), Answer(code: "006", books: true),
        Answer(code: "007", books: true), Answer(code: "77", books: true), Answer(code: "09", books: true),
        Answer(code: "400", books: true), Answer(code: "800", books: true),
        Answer(code: "51", books: false, codeIsGiven: false),
        Answer(code: "91", books: false, codeIsGiven: false),
        Answer(code: "100", books: false, codeIsGiven: false),
    ]

    mutating func authorize(
        _ id: String, amount: UInt64, isCredit: Bool, isHold: Bool, _ wanted: Answer
    ) -> AuthorizationResponse {
        var entry = entries[id] ?? Entry()
        let answer = entry.isReversedInAdvance && remembersReversals ? Self.decline : wanted
        if answer.books {
            entry.booked = answer.part ? max(1, amount / 2) : amount
            entry.isCredit = isCredit
            entry.isHold = isHold
            entry.isReversed = false
        }
        entries[id] = entry
        return AuthorizationResponse(
            responseCode: answer.code, authorizationCode: answer.codeIsGiven ? "A00001" : nil,
            approvedAmount: answer.part ? Amount(clamping: entry.booked) : nil)
    }

    /// All that is acknowledged.
    mutating func take(_ message: Message) {
        var entry = entries[message.id] ?? Entry()
        switch message {
        case .authorize: return
        case .reverse:
            if entry.booked == 0 { entry.isReversedInAdvance = true }
            entry.isReversed = true
        case .advise(_, let amount, let isCredit):
            guard !entry.isReversed, entry.booked == 0 else { break }
            entry.booked = amount
            entry.isCredit = isCredit
        case .adjust(_, let amount, let revision):
            guard !entry.isReversed, revision > entry.revision else { break }
            entry.final = amount
            entry.revision = revision
        }
        entries[message.id] = entry
    }

    /// Approves after it had declined, as hosts do that answer for an issuer and hear from it afterwards.
    mutating func approveAfterAll(_ id: String, amount: UInt64, isCredit: Bool, isHold: Bool)
        -> AuthorizationResponse?
    {
        guard var entry = entries[id], entry.booked == 0, !entry.isReversed else { return nil }
        entry.booked = amount
        entry.isCredit = isCredit
        entry.isHold = isHold
        entries[id] = entry
        return AuthorizationResponse(responseCode: "00", authorizationCode: "B00002")
    }
}
