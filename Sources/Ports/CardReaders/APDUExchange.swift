public import SmartCard

/// How many commands may still be sent to a card, GET RESPONSE and repeats among them.
public struct CommandBudget: Sendable, Equatable {
    public private(set) var left: Int

    public init(_ count: Int) { left = max(0, count) }

    /// - Throws: `.protocolViolation` where nothing is left.
    package mutating func spend() throws(ReaderError) {
        guard left > 0 else { throw .protocolViolation("the card takes more commands than it may") }
        left -= 1
    }
}

extension CardChannel {
    /// The most response data that one exchange may gather: that of the longest response APDU (ISO/IEC 7816-3, 12.1.2).
    public static var responseLimit: Int { 65536 }
    /// The most GET RESPONSE of one exchange: as many as fetch the longest response 256 bytes at a time.
    public static var getResponseLimit: Int { 256 }

    /// The same without a limit on commands but the exchange's own.
    public nonisolated(nonsending) func exchange(
        _ command: CommandAPDU, timeout: Duration? = nil
    ) async throws(ReaderError) -> (response: ResponseAPDU, microseconds: UInt32) {
        // The command, its repeat with the right Le, and GET RESPONSE.
        var budget = CommandBudget(2 + Self.getResponseLimit)
        return try await exchange(command, timeout: timeout, budget: &budget)
    }

    /// Sends a command and gives its whole response: after 61xx the rest is fetched with GET RESPONSE,
    /// after 6Cxx the command is sent again, once, with the right Le (ISO/IEC 7816-4, 5.1.3; EMV Book 1, 9.2.2).
    /// - Parameters:
    ///   - timeout: for the command and all that follows from its answer; nil is the reader's own limit for each.
    ///   - budget: what is sent is taken off it.
    /// - Throws: what `transmit` throws; `.protocolViolation` for an answer of fewer than two bytes, a card that never
    ///   stops promising more, or a budget that is spent; `.cardTimeout` where the answers together took too long.
    public nonisolated(nonsending) func exchange(
        _ command: CommandAPDU, timeout: Duration?, budget: inout CommandBudget
    ) async throws(ReaderError) -> (response: ResponseAPDU, microseconds: UInt32) {
        try budget.spend()
        let first = try await transmit(command.bytes, timeout: timeout)
        let response = try Self.response(first.bytes)
        let sw1 = response.status.sw1
        if sw1 != 0x61, sw1 != 0x6C { return (response, first.microseconds) }

        var microseconds = first.microseconds
        var current = response
        if sw1 == 0x6C {
            var again = command
            again.expectedLength = Self.length(current.status.sw2)
            try budget.spend()
            let answer = try await transmit(again.bytes, timeout: Self.rest(of: timeout, after: microseconds))
            microseconds = Self.sum(microseconds, answer.microseconds)
            current = try Self.response(answer.bytes)
        }
        guard current.status.sw1 == 0x61 else { return (current, microseconds) }
        var data = Array(current.data)
        var count = 0
        while current.status.sw1 == 0x61 {
            guard data.count < Self.responseLimit, count < Self.getResponseLimit else {
                throw .protocolViolation(
                    "the card announces more than \(Self.responseLimit) bytes, or gives them in more than \(Self.getResponseLimit) pieces"
                )
            }
            let before = data.count
            let next = CommandAPDU(
                cla: command.cla & 0x03, ins: 0xC0, p1: 0, p2: 0,
                expectedLength: Self.length(current.status.sw2))
            try budget.spend()
            count += 1
            let answer = try await transmit(next.bytes, timeout: Self.rest(of: timeout, after: microseconds))
            microseconds = Self.sum(microseconds, answer.microseconds)
            current = try Self.response(answer.bytes)
            data.append(contentsOf: current.data)
            if current.status.sw1 == 0x61, data.count == before {
                throw .protocolViolation("the card announces more data and gives none")
            }
        }
        guard data.count <= Self.responseLimit else {
            throw .protocolViolation("a response of \(data.count) bytes, which no APDU may have")
        }
        return (ResponseAPDU(data: data, status: current.status), microseconds)
    }

    private static func length(_ sw2: UInt8) -> Int { sw2 == 0 ? 256 : Int(sw2) }

    private static func sum(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let (sum, isTooMuch) = a.addingReportingOverflow(b)
        return isTooMuch ? .max : sum
    }

    /// What is left of the time for a command after the answers so far.
    private static func rest(
        of timeout: Duration?, after microseconds: UInt32
    ) throws(ReaderError) -> Duration? {
        guard let timeout else { return nil }
        let rest = timeout - .microseconds(Int64(microseconds))
        guard rest > .zero else { throw .cardTimeout }
        return rest
    }

    private static func response(_ bytes: [UInt8]) throws(ReaderError) -> ResponseAPDU {
        do {
            return try ResponseAPDU(bytes: bytes)
        } catch {
            throw .protocolViolation("\(error)")
        }
    }
}
