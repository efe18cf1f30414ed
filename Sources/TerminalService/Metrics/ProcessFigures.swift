internal import Foundation

/// What the system says of this process (`/proc/self`).
public struct ProcessFigures: Sendable {
    public var residentBytes = 0
    public var virtualBytes = 0
    public var threads = 0
    public var openDescriptors = 0
    public var maximumDescriptors = 0
    public var processorSeconds = 0.0

    public static func now() -> ProcessFigures {
        var figures = ProcessFigures()
        if let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) {
            for line in status.split(separator: "\n") {
                let parts = line.split(whereSeparator: { $0 == ":" || $0 == "\t" || $0 == " " })
                guard parts.count >= 2, let number = Int(parts[1]) else { continue }
                switch parts[0] {
                case "VmRSS": figures.residentBytes = number << 10
                case "VmSize": figures.virtualBytes = number << 10
                case "Threads": figures.threads = number
                default: break
                }
            }
        }
        figures.openDescriptors =
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.maximumDescriptors = Int(clamping: limit.rlim_cur)
        }
        var usage = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            figures.processorSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        return figures
    }

    /// Lets the process have as many descriptors as it may: a connection is one.
    public static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = min(limit.rlim_max, 1 << 16)
        setrlimit(resource, &limit)
    }
}
