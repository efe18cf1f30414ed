internal import BERTLV
internal import SmartCard
internal import Synchronization
public import Traces

/// A trace as a reader: it answers what the card answered.
///
/// Strict, it demands every command byte for byte and stops at the first difference, which
/// `firstDifference` tells in words. Lenient, it serves the answer to the nearest command recorded.
public final class ReplayReader: CardReader {
    public enum Mode: String, Sendable, CaseIterable { case strict, lenient }

    public let information: ReaderInformation
    public let mode: Mode
    private let trace: Trace
    private struct Position: Sendable {
        var next = 0
        var number = 0
        var host = 0
        var data = 0
        var difference: String?
    }
    private let position = Mutex(Position())

    public init(_ trace: Trace, mode: Mode = .strict, name: String? = nil) {
        self.trace = trace
        self.mode = mode
        information = ReaderInformation(
            kind: .replay, name: name ?? trace["title"] ?? trace["reader"] ?? "trace")
    }

    /// The first place where terminal and trace part, in words; nil while there is none.
    public var firstDifference: String? { position.withLock { $0.difference } }

    /// Commands and events that the terminal did not ask for again; nil where all were served.
    public var unusedRest: String? {
        position.withLock { position in
            for entry in trace.entries[min(position.next, trace.entries.count)...] {
                switch entry.content {
                case .command(let bytes):
                    return
                        "line \(entry.line): \(Self.describe(bytes)) was recorded, the terminal ended before it"
                case .activated:
                    return
                        "line \(entry.line): a second activation was recorded, the terminal ended before it"
                default: continue
                }
            }
            return nil
        }
    }

    /// The next unpredictable number recorded; nil (and a difference) where there are no more.
    public func nextUnpredictableNumber() -> UInt32? {
        position.withLock { position in
            while position.number < trace.entries.count {
                defer { position.number += 1 }
                if case .unpredictableNumber(let number) = trace.entries[position.number].content {
                    return number
                }
            }
            if position.difference == nil {
                position.difference = "the terminal draws more unpredictable numbers than were recorded"
            }
            return nil
        }
    }

    /// What the terminal gave a kernel here (C-2's DET signal), before the next command; nil where it gave nothing.
    public func nextTerminalData() -> [UInt8]? {
        position.withLock { position in
            var index = max(position.next, position.data)
            while index < trace.entries.count {
                switch trace.entries[index].content {
                case .terminalData(let bytes):
                    position.data = index + 1
                    return bytes
                case .command, .activated, .response: return nil
                default: index += 1
                }
            }
            return nil
        }
    }

    /// The next answer of the host recorded.
    public func nextHostAnswer() -> (word: String, fields: [Trace.Field])? {
        position.withLock { position in
            while position.host < trace.entries.count {
                defer { position.host += 1 }
                if case .host(let word, let fields) = trace.entries[position.host].content {
                    return (word, fields)
                }
            }
            return nil
        }
    }

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        let result: Result<[UInt8], ReaderError> = position.withLock { position in
            while position.next < trace.entries.count {
                let entry = trace.entries[position.next]
                position.next += 1
                switch entry.content {
                case .activated(let atr): return .success(atr)
                case .event(.fieldOff): continue
                case .event(let event): return .failure(event.readerError)
                case .command(let bytes):
                    return .failure(
                        differ(
                            &position, entry.line,
                            "the terminal activates a card again, the trace goes on with \(Self.describe(bytes))"
                        ))
                default: continue
                }
            }
            return .failure(.noCard)
        }
        let atr = try result.get()
        return Channel(reader: self, card: CardInformation(answerToReset: atr))
    }

    private func differ(_ position: inout Position, _ line: Int, _ text: String) -> ReaderError {
        let words = "line \(line): \(text)"
        if position.difference == nil { position.difference = words }
        return .readerUnavailable(reader: information.name, reason: "the replay differs: \(words)")
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool { true }
    public func fieldOff() async {}
    public func close() async {}

    fileprivate func answer(_ command: [UInt8]) throws(ReaderError) -> CardAnswer {
        let result: Result<CardAnswer, ReaderError> = position.withLock { position in
            var expectedAt = position.next
            search: while expectedAt < trace.entries.count {
                switch trace.entries[expectedAt].content {
                case .command: break search
                case .activated, .event:
                    if mode == .lenient { break }
                    return .failure(
                        differ(
                            &position, trace.entries[expectedAt].line,
                            "the terminal sends \(Self.describe(command)), the trace has \(Trace.line(trace.entries[expectedAt].content))"
                        ))
                default: break
                }
                expectedAt += 1
            }
            let chosen: Int
            if expectedAt < trace.entries.count,
                case .command(let expected) = trace.entries[expectedAt].content
            {
                if expected == command {
                    chosen = expectedAt
                } else if mode == .strict {
                    return .failure(
                        differ(
                            &position, trace.entries[expectedAt].line,
                            Self.difference(expected: expected, found: command)))
                } else {
                    chosen = nearest(command, from: expectedAt) ?? expectedAt
                }
            } else if mode == .strict {
                return .failure(
                    differ(
                        &position, trace.entries.last?.line ?? 0,
                        "the trace ends, the terminal sends \(Self.describe(command))"))
            } else if let near = nearest(command, from: 0) {
                chosen = near
            } else {
                return .failure(.cardRemoved)
            }
            return serve(chosen, &position)
        }
        return try result.get()
    }

    private func serve(_ command: Int, _ position: inout Position) -> Result<CardAnswer, ReaderError> {
        var index = command + 1
        while index < trace.entries.count {
            switch trace.entries[index].content {
            case .response(let bytes, let time):
                position.next = index + 1
                return .success(CardAnswer(bytes: bytes, microseconds: time ?? 0))
            case .event(let event):
                position.next = index + 1
                return .failure(event.readerError)
            default: index += 1
            }
        }
        position.next = index
        return .failure(.cardRemoved)
    }

    /// The command that comes nearest, looking forward first: the same bytes, else the same header, else
    /// the same instruction.
    private func nearest(_ command: [UInt8], from start: Int) -> Int? {
        let order = Array(trace.entries.indices[start...]) + Array(trace.entries.indices[..<start])
        func first(_ matches: ([UInt8]) -> Bool) -> Int? {
            order.first { index in
                if case .command(let bytes) = trace.entries[index].content { return matches(bytes) }
                return false
            }
        }
        return first { $0 == command } ?? first { $0.prefix(4) == command.prefix(4) }
            ?? first { $0.dropFirst().first == command.dropFirst().first }
    }

    // MARK: - Words

    static func name(_ command: [UInt8]) -> String {
        guard command.count >= 4 else { return "a command of \(command.count) bytes" }
        switch command[1] {
        case 0xA4: return "SELECT"
        case 0xA8: return "GET PROCESSING OPTIONS"
        case 0xB2: return "READ RECORD \(command[2]) of SFI \(command[3] >> 3)"
        case 0xAE: return "GENERATE AC"
        case 0xCA: return "GET DATA"
        case 0x82: return "EXTERNAL AUTHENTICATE"
        case 0x88: return "INTERNAL AUTHENTICATE"
        case 0xC0: return "GET RESPONSE"
        case 0x2A: return "COMPUTE CRYPTOGRAPHIC CHECKSUM"
        case 0xEA: return "EXCHANGE RELAY RESISTANCE DATA"
        case 0xD0: return "RECOVER AC"
        case 0xDA: return "PUT DATA"
        default: return "INS \(Hex.string([command[1]]))"
        }
    }

    static func describe(_ command: [UInt8]) -> String { "\(name(command)) (\(Hex.string(command)))" }

    static func difference(expected: [UInt8], found: [UInt8]) -> String {
        guard name(expected) == name(found) else {
            return "expected \(describe(expected)), the terminal sends \(describe(found))"
        }
        let at = zip(expected, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        guard let at else {
            return "\(name(found)): \(found.count) bytes instead of \(expected.count)"
        }
        let place = at < 4 ? "header byte \(at + 1)" : at == 4 ? "Lc" : "data byte \(at - 4)"
        return
            "\(name(found)) differs from \(place) on: expected \(Hex.string(expected[at...].prefix(16))), the terminal sends \(Hex.string(found[at...].prefix(16)))"
    }

    private struct Channel: CardChannel {
        let reader: ReplayReader
        let card: CardInformation
        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer { try reader.answer(command) }
    }
}
