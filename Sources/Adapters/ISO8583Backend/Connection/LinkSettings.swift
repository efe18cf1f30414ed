internal import ProfileFile

/// Times and limits of a connection to a host.
public struct LinkSettings: Sendable {
    public var connectTimeout: Duration = .seconds(10)
    /// How long a request waits for its answer, and for the connection before that.
    public var answerTimeout: Duration = .seconds(30)
    /// Quiet for so long, the host is asked whether it is there.
    public var echoInterval: Duration = .seconds(60)
    public var echoTimeout: Duration = .seconds(10)
    /// First and longest pause between attempts, each somewhat random.
    public var firstPause: Duration = .milliseconds(500)
    public var longestPause: Duration = .seconds(30)
    /// On another host than the first for so long, the first is tried again.
    public var returnInterval: Duration = .seconds(300)
    /// Requests that may wait for answers at once; more are refused without being sent.
    public var mostInFlight = 1000
    public var signsOn = true
    /// Longest message that is taken.
    public var messageLimit = 16_384

    public init() {}

    init(_ place: ProfileFile) throws(ProfileFileError) {
        self.init()
        let keys = try place.mapping()
        func duration(_ key: String, _ standard: Duration) throws(ProfileFileError) -> Duration {
            guard let place = keys.optional(key) else { return standard }
            return try Self.duration(place)
        }
        connectTimeout = try duration("connect-timeout", connectTimeout)
        answerTimeout = try duration("answer-timeout", answerTimeout)
        echoInterval = try duration("echo-interval", echoInterval)
        echoTimeout = try duration("echo-timeout", echoTimeout)
        firstPause = try duration("first-pause", firstPause)
        longestPause = try duration("longest-pause", longestPause)
        returnInterval = try duration("return-interval", returnInterval)
        mostInFlight = try keys.optional("most-in-flight")?.integer(in: 1...100_000) ?? mostInFlight
        signsOn = try keys.optional("sign-on")?.bool() ?? signsOn
        if firstPause > longestPause { throw place.error("first-pause is longer than longest-pause") }
        try keys.finish()
    }

    /// `500ms`, `30s` or `5m`, more than nothing and up to a day.
    private static func duration(_ place: ProfileFile) throws(ProfileFileError) -> Duration {
        let text = try place.string()
        for (suffix, unit) in [("ms", 1), ("s", 1000), ("m", 60_000)] where text.hasSuffix(suffix) {
            guard let number = Int(text.dropLast(suffix.count)), number >= 1, number <= 86_400_000 / unit
            else {
                break
            }
            return .milliseconds(number * unit)
        }
        throw place.error("expected a time such as 500ms, 30s or 5m, found \"\(text.prefix(40))\"")
    }
}

/// What happened on the connections of a link, counted from its beginning.
public struct LinkCounters: Sendable, Equatable {
    public var connections = 0
    public var failedConnections = 0
    /// Connections that ended after the host had signed us on.
    public var lostConnections = 0
    /// Times that another host was taken.
    public var failovers = 0
    public var sent = 0
    public var answered = 0
    public var timeouts = 0
    /// Answers to requests that nobody waits for any more.
    public var lateAnswers = 0
    /// Answers to nothing that was asked, and second answers.
    public var unsolicited = 0
    /// Messages that could not be read.
    public var unreadable = 0
    public var wrongMACs = 0
    public var failedEchoes = 0
}
