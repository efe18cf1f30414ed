internal import Synchronization

/// A browser's session: made for a token, and good for what that token is good for, no longer than it is.
public struct Session: Sendable, Equatable {
    /// SHA-256 of the identifier that the cookie carries; the identifier itself is kept nowhere.
    public let hash: [UInt8]
    /// The token that was proved when the session began.
    public let token: AccessToken
    /// When it ends, used or not.
    public let end: ContinuousClock.Instant
    var lastUsed: ContinuousClock.Instant
}

/// The sessions of this run of the daemon, in memory alone.
///
/// A session ends when it was not used for a while, at the end of its life, when its browser signs out, and with
/// its token. Of one token there are at most `limit`: a new one ends the one that was not used for longest.
public final class Sessions: Sendable {
    private let sessions = Mutex<[[UInt8]: Session]>([:])
    private let now: @Sendable () -> ContinuousClock.Instant
    let limit: Int

    public init(limit: Int = 32, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.limit = limit
        self.now = now
    }

    var count: Int { sessions.withLock { $0.count } }

    /// Begins a session, or goes on with the one that the same browser has shown for the same token.
    /// - Parameter former: the identifier that the browser has shown: a session of another token ends.
    /// - Returns: the identifier for the cookie, 256 random bits.
    func begin(
        for token: AccessToken, _ limits: DaemonConfiguration.Limits, former: String? = nil
    ) -> String {
        let time = now()
        let old = former.map { AccessToken.hash(of: $0) }
        let identifier = AccessToken.randomText()
        let session = Session(
            hash: AccessToken.hash(of: identifier), token: token, end: time + limits.sessionLifetime,
            lastUsed: time)
        return sessions.withLock { sessions in
            if let old, let former, let session = sessions[old] {
                if session.token == token, session.isOpen(at: time, limits) {
                    sessions[old]?.lastUsed = time
                    return former
                }
                sessions[old] = nil
            }
            // Those that are over are the first to go.
            let own = sessions.values.filter { $0.token == token }
            if own.count >= limit, let oldest = own.min(by: { $0.lastUsed < $1.lastUsed }) {
                sessions[oldest.hash] = nil
            }
            sessions[session.hash] = session
            return identifier
        }
    }

    /// The open session with this identifier, if its token is still one of the daemon's; it counts as used now.
    func session(_ identifier: String, _ values: GuardSettings.Values) -> Session? {
        let hash = AccessToken.hash(of: identifier)
        let time = now()
        return sessions.withLock { sessions in
            guard var session = sessions[hash] else { return nil }
            guard session.isOpen(at: time, values.limits), values.tokens.contains(session.token) else {
                sessions[hash] = nil
                return nil
            }
            session.lastUsed = time
            sessions[hash] = session
            return session
        }
    }

    /// Ends a session.
    /// - Returns: the hash of its identifier, whether there was one or not.
    @discardableResult
    func end(_ identifier: String) -> [UInt8] {
        let hash = AccessToken.hash(of: identifier)
        sessions.withLock { $0[hash] = nil }
        return hash
    }

    /// Whether it was not ended: by its browser, its token or a newer one.
    func contains(_ session: Session) -> Bool { sessions.withLock { $0[session.hash] != nil } }

    /// Ends the sessions of tokens that are none any more.
    func keep(_ tokens: AccessTokens) {
        sessions.withLock { $0 = $0.filter { tokens.contains($0.value.token) } }
    }
}

extension Session {
    fileprivate func isOpen(at time: ContinuousClock.Instant, _ limits: DaemonConfiguration.Limits) -> Bool {
        time < end && lastUsed.duration(to: time) < limits.sessionIdle
    }
}
