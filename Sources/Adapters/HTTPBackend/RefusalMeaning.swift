/// What a response with a status of 400 to 499 says about a message. Pure.
///
/// Between terminal and host there may be others that answer: proxies, balancers, portals. Only the host itself knows
/// what became of a message, and it shows that it speaks: by its signature, which covers the idempotency key, or, where
/// nobody can change what travels, by the message's key and amount in the body of a refusal (`openapi.yaml`).
enum RefusalMeaning: Sendable, Equatable {
    /// The host has refused the message of this key: no try of it was worked on, none will be.
    case refused
    /// The host did not work on this try. Earlier ones it may have worked on.
    case notTaken
    /// The message may have been worked on.
    case unknown

    /// Statuses that say nothing of whether the message was worked on, whoever says them: an earlier try may be in work
    /// or done (408, 409, 425), or the message was too long or came too soon for somebody on the way (413, 429).
    static let indefinite: Set<Int> = [408, 409, 413, 425, 429]

    /// - Parameters:
    ///   - isSigned: by the host, for this key and status.
    ///   - isEchoed: the body is a refusal of this message by the document's schema.
    ///   - isLineTrusted: nobody can stand between.
    init(status: Int, isSigned: Bool, isEchoed: Bool, isLineTrusted: Bool) {
        guard (400...499).contains(status), !Self.indefinite.contains(status) else {
            self = .unknown
            return
        }
        // 401 is said of who asks, before the key is looked at. Where the line is open, anybody may have asked for it.
        if isSigned, status != 401 {
            self = .refused
        } else {
            self = isLineTrusted && (isSigned || isEchoed) ? .notTaken : .unknown
        }
    }
}
