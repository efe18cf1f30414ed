internal import CardReaders

/// Why a line gave no answer.
enum LineFailure: Error, Sendable, Equatable {
    case cancelled
    /// The line stands, the server does not answer this request.
    case timedOut
    /// Another attempt may do better.
    case lost(String)
    /// The server said no.
    case refused(RemoteFault)
    /// The two sides do not trust each other, or do not speak the same protocol: no attempt will do better.
    case hopeless(String)

    /// Whether a new line may help.
    var isTransient: Bool {
        switch self {
        case .lost: true
        case .refused(let fault): fault.code == .closing
        case .cancelled, .timedOut, .hopeless: false
        }
    }

    func readerError(reader: String) -> ReaderError {
        switch self {
        case .cancelled: .cancelled
        case .timedOut: .readerUnavailable(reader: reader, reason: "the server does not answer")
        case .lost(let reason), .hopeless(let reason): .readerUnavailable(reader: reader, reason: reason)
        case .refused(let fault): fault.readerError(reader: reader)
        }
    }
}
