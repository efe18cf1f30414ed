internal import Foundation
internal import Glibc

/// What the process holds in memory.
enum ResidentMemory {
    /// Gives back what only the start needed: pages of the program and its libraries that were touched to link and set up
    /// (some 30 MB). What is needed again comes from the system's cache at the next touch.
    static func giveBack() {
        guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8) else { return }
        for line in maps.split(separator: "\n") {
            // 55d0c0000000-55d0c3a07000 r-xp 00000000 fe:00 1234 /usr/bin/tapbridge
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            // Code alone: it is never written, so that the file has all of it. Read-only data may have been relocated.
            guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).first == "/"
            else {
                continue
            }
            let range = fields[0].split(separator: "-")
            guard range.count == 2, let start = UInt(range[0], radix: 16),
                let end = UInt(range[1], radix: 16),
                start < end
            else { continue }
            madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), MADV_DONTNEED)
        }
    }
}
