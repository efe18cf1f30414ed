/// Whether a journal takes writes.
public enum JournalHealth: Sendable, Equatable {
    case takesWrites
    /// The last write failed. What must not be lost is tried again; others may succeed.
    case failing(JournalError)
    /// The disk failed, and the journal could not be opened anew: the process ends, and its next start resolves what is left.
    case stopped(JournalError)
}
