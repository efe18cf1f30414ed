internal import Foundation

/// Card numbers, tracks and keys are in this process's memory while it works with them; they leave it by no core dump and no
/// debugger of another process.
package enum ProcessMemory {
    /// PR_SET_DUMPABLE of <linux/prctl.h>, which the Glibc module leaves out.
    private static let setDumpable: CInt = 4

    /// For all commands, as most of them handle cards: no core file (RLIMIT_CORE), nothing for a handler that the kernel
    /// pipes cores to (`core_pattern`, which does not look at the limit), and no attaching or reading of /proc/PID/mem by
    /// others of the same user (PR_SET_DUMPABLE, prctl(2)). Root still may; a debugger that started the program goes on.
    package static func keepPrivate() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        // Swift calls no C functions with variable arguments: prctl is looked up. On the systems that there is a toolchain
        // for, whole numbers go the same way in both kinds of call.
        typealias Call =
            @convention(c) (CInt, CUnsignedLong, CUnsignedLong, CUnsignedLong, CUnsignedLong) -> CInt
        guard let symbol = dlsym(nil, "prctl") else { return }
        _ = unsafeBitCast(symbol, to: Call.self)(setDumpable, 0, 0, 0, 0)
    }
}
