public import SmartCard

extension CardChannel {
    /// The most response data that one exchange may gather.
    public static var responseLimit: Int { 65536 }

    /// Sends a command and gives its whole response: after 61xx the rest is fetched with GET RESPONSE,
    /// after 6Cxx the command is sent again with the right Le (ISO/IEC 7816-4, 5.1.3; EMV Book 1, 9.2.2).
    /// - Throws: what `transmit` throws; `.protocolViolation` for an answer of fewer than two bytes or a
    ///   card that never stops promising more.
    public nonisolated(nonsending) func exchange(
        _ command: CommandAPDU, timeout: Duration? = nil
    ) async throws(ReaderError) -> (response: ResponseAPDU, microseconds: UInt32) {
        let first = try await transmit(command.bytes, timeout: timeout)
        let response = try Self.response(first.bytes)
        let sw1 = response.status.sw1
        if sw1 != 0x61, sw1 != 0x6C { return (response, first.microseconds) }

        var microseconds = first.microseconds
        var current = response
        if sw1 == 0x6C {
            var again = command
            again.expectedLength = Self.length(current.status.sw2)
            let answer = try await transmit(again.bytes, timeout: timeout)
            microseconds &+= answer.microseconds
            current = try Self.response(answer.bytes)
        }
        guard current.status.sw1 == 0x61 else { return (current, microseconds) }
        var data = Array(current.data)
        while current.status.sw1 == 0x61 {
            guard data.count < Self.responseLimit else {
                throw .protocolViolation("the card announces more than \(Self.responseLimit) bytes")
            }
            let before = data.count
            let next = CommandAPDU(
                cla: command.cla & 0x03, ins: 0xC0, p1: 0, p2: 0,
                expectedLength: Self.length(current.status.sw2))
            let answer = try await transmit(next.bytes, timeout: timeout)
            microseconds &+= answer.microseconds
            current = try Self.response(answer.bytes)
            data.append(contentsOf: current.data)
            if current.status.sw1 == 0x61, data.count == before {
                throw .protocolViolation("the card announces more data and gives none")
            }
        }
        return (ResponseAPDU(data: data, status: current.status), microseconds)
    }

    private static func length(_ sw2: UInt8) -> Int { sw2 == 0 ? 256 : Int(sw2) }

    private static func response(_ bytes: [UInt8]) throws(ReaderError) -> ResponseAPDU {
        do {
            return try ResponseAPDU(bytes: bytes)
        } catch {
            throw .protocolViolation("\(error)")
        }
    }
}
