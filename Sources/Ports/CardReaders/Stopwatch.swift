internal import Glibc

/// Time that has passed since it was made. `ContinuousClock` counts attoseconds in 128 bits: too dear for a look before and
/// after each command.
package struct Stopwatch {
    private let start = Self.now

    /// Nanoseconds of the monotonic clock.
    package static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    package var microseconds: UInt32 { UInt32(clamping: (Self.now &- start) / 1000) }

    package init() {}
}
