import ArgumentParser
import Cards
import EMV
import Foundation

/// What keeps a benchmark from being measured.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension Benchmarks {
    /// A line on standard error.
    static func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// A card as it left personalisation.
    static func card(_ id: String) throws -> EmulatedCard {
        try EmulatedCard(profile: try CardLibrary.profile(id))
    }

    /// The program that is measured as a process of its own: `TAPBRIDGE_PROGRAM`, else the release build beside this folder.
    static func program() throws -> URL {
        let path =
            ProcessInfo.processInfo.environment["TAPBRIDGE_PROGRAM"]
            ?? URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(
                path: ".build/release/tapbridge"
            ).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw BenchmarkError(
                "no program at \(path): build it with `make release`, or name it in TAPBRIDGE_PROGRAM")
        }
        return URL(filePath: path)
    }

    /// Rows in columns as wide as their widest cell.
    static func table(_ rows: [[String]]) -> String {
        guard let columns = rows.map(\.count).max() else { return "" }
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
