import Foundation
import Traces

/// The traces of `apdu-traces`, which most seeds come from.
enum TraceFiles {
    static let all: [String] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "apdu-traces")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".trace") }.sorted().compactMap {
            try? String(contentsOf: folder.appending(path: $0), encoding: .utf8)
        }
    }()

    /// What terminal and card said to each other, trace by trace.
    static let sessions: [(commands: [[UInt8]], responses: [[UInt8]])] = contents.map { contents in
        (
            contents.compactMap { if case .command(let bytes) = $0 { bytes } else { nil } },
            contents.compactMap { if case .response(let bytes, _) = $0 { bytes } else { nil } }
        )
    }
    private static let contents = all.compactMap { try? Trace(parsing: $0) }.map { $0.entries.map(\.content) }

    /// All of them once.
    static let commands = unique(sessions.flatMap(\.commands))
    static let responses = unique(sessions.flatMap(\.responses))
    static let answersToReset = unique(
        contents.flatMap { $0 }.compactMap { if case .activated(let bytes) = $0 { bytes } else { nil } })

    private static func unique(_ list: [[UInt8]]) -> [[UInt8]] {
        var seen: Set<[UInt8]> = []
        return list.filter { seen.insert($0).inserted }
    }
}
