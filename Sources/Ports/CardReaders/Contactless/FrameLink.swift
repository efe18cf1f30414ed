package import SmartCard

/// How cards answered a frame.
package enum FrameAnswer: Equatable {
    /// The frame without its checksum, where one was asked for; `lastBits` tells how many bits of the last byte
    /// came, 0 for all.
    case frame([UInt8], lastBits: Int = 0)
    case silence
    /// Several cards answered differently.
    case collision
    /// Wrong checksum, parity or framing.
    case damaged
}

/// The way to the reader failed; whether the card got the frame is unknown.
package enum LinkFailure: Error, Equatable {
    /// The reader did not answer.
    case timeout
    /// What came was no answer.
    case garbled
    /// The wait was aborted from another thread.
    case aborted
    /// The reader refused the command.
    case refused(String)
    /// The device is not open (any more).
    case gone
}

/// A reader that lets single frames through: what ISO/IEC 14443-3 and -4 are spoken over.
///
/// Functions block; they are called from one thread at a time.
package protocol FrameLink: AnyObject {
    /// The largest frame, checksum included, that the reader carries in either direction.
    var frameLimit: Int { get }
    /// Sets the modulation of the frames that follow.
    func use(_ modulation: ContactlessActivation.Modulation) throws(LinkFailure)
    /// Sends a frame and waits for the answer.
    /// - Parameters:
    ///   - lastBits: how many bits of the last byte are sent; 0 for all.
    ///   - checked: a checksum is appended, and expected behind the answer.
    ///   - wait: how long cards may take to answer.
    func exchange(
        _ frame: [UInt8], lastBits: Int, checked: Bool, wait: Duration
    ) throws(LinkFailure) -> FrameAnswer
    func setField(_ isOn: Bool) throws(LinkFailure)
    func pause(_ duration: Duration)
}

/// Times of the field and of cards (ISO/IEC 14443-3 and -4; EMV Contactless Book D, annex A).
package enum ContactlessTiming {
    /// The field stays off so long to reset cards: at least 5.1 ms (t RESET).
    package static let reset: Duration = .microseconds(6000)
    /// Unmodulated field before the first command: at least 5.1 ms (t P).
    package static let powerUp: Duration = .microseconds(5500)
    /// Answers to WUPA, anticollision and SELECT come after 91 us, to WUPB after 7680/fc = 566 us at most.
    package static let request: Duration = .milliseconds(3)
    /// Activation frame waiting time of RATS and ATTRIB: 71680/fc.
    package static let activation: Duration = .microseconds(5300)
    /// The same for S(DESELECT).
    package static let deselect: Duration = .microseconds(5300)
    /// No frame waiting time is longer: 2^26/fc.
    package static let longest: Duration = .milliseconds(4949)

    /// FWT = 256 * 16/fc * 2^FWI (ISO/IEC 14443-4, 7.2) and what EMV adds to it (delta FWT, 49152/fc).
    /// FWI 15 is not used and stands for the default 4.
    package static func frameWaitingTime(_ index: UInt8) -> Duration {
        min(.nanoseconds(302_065 << (index > 14 ? 4 : Int(index))) + .nanoseconds(3_624_780), longest)
    }
    /// SFGT by the same formula; 0 means none (ISO/IEC 14443-4, 5.2.5).
    package static func guardTime(_ index: UInt8) -> Duration {
        index == 0 || index > 14 ? .zero : .nanoseconds(302_065 << Int(index))
    }
    /// FSD and FSC by their codes; codes above 8 stand for 256.
    package static func frameSize(_ code: UInt8) -> Int {
        let sizes = [16, 24, 32, 40, 48, 64, 96, 128, 256]
        return sizes[min(Int(code), 8)]
    }
    /// The code of the largest frame size that is not above `limit`.
    package static func frameSizeCode(notAbove limit: Int) -> UInt8 {
        (0...8).last { frameSize($0) <= limit } ?? 0
    }
}
