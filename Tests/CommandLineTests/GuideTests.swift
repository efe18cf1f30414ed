import Foundation
import Testing

/// The guide as a reader follows it: each page's commands run one after the other in an empty folder, and what a page
/// shows as output is what comes.
///
/// Words after the language of a block: `fails=N` is the exit status, `any` takes each, `background` goes on beside the rest
/// of the page, `hardware` needs a reader on the desk, `build` builds. The last two are only looked at.
@Suite struct GuideTests {
    struct Block {
        var line: Int
        var language: String
        var words: [String]
        var text: String
        /// The `text` block that follows.
        var output: [String]?

        func has(_ word: String) -> Bool { words.contains(word) }
        var status: Int32? { words.first { $0.hasPrefix("fails=") }.flatMap { Int32($0.dropFirst(6)) } }
    }

    struct Page: Sendable, CustomTestStringConvertible {
        var name: String
        var testDescription: String { name }
    }

    static let folder = Program.folder.appending(path: "docs/guide")
    static let pages: [Page] = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? [])
        .filter { $0.hasSuffix(".md") && $0 != "README.md" }.sorted().map { Page(name: $0) }

    static func blocks(_ page: Page) throws -> [Block] {
        let text = try String(contentsOf: folder.appending(path: page.name), encoding: .utf8)
        var blocks: [Block] = []
        var open: Block?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") {
                if var block = open {
                    open = nil
                    if block.language == "text", blocks.last?.language == "sh" {
                        blocks[blocks.count - 1].output = block.text.split(separator: "\n").map(String.init)
                    } else {
                        block.text = String(block.text)
                        blocks.append(block)
                    }
                } else {
                    let words = line.dropFirst(3).split(separator: " ").map(String.init)
                    open = Block(
                        line: index + 1, language: words.first ?? "", words: Array(words.dropFirst()),
                        text: "")
                }
            } else {
                open?.text += line + "\n"
            }
        }
        #expect(open == nil, "\(page.name): a block is not closed")
        return blocks
    }

    /// A port that nobody uses.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw -> UInt16? in
                guard bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0 else {
                    return nil
                }
                return pointer.pointee.sin_port.bigEndian
            }
        }
        return Int(try #require(port))
    }

    @Test func thereAreAllPages() { #expect(Self.pages.count == 8) }

    @Test(.timeLimit(.minutes(3)), arguments: pages) func commandsDoWhatThePageSays(_ page: Page) async throws
    {
        let program = try Program()
        defer { program.remove() }
        let place = program.state.appending(path: "desk")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        let blocks = try Self.blocks(page).filter {
            $0.language == "sh" && !$0.has("hardware") && !$0.has("build")
        }
        guard !blocks.isEmpty else { return }
        var script = "set -u -o pipefail\nrunning=()\ntrap 'kill ${running[@]:-} 2>/dev/null' EXIT\n"
        for (index, block) in blocks.enumerated() {
            let out = "../out.\(index)"
            if block.has("background") {
                script += """
                    exec_\(index)() { exec \(block.text.trimmingCharacters(in: .newlines)) ; }
                    exec_\(index) > \(out) 2>&1 &
                    running+=($!)
                    for i in $(seq 1200); do [ -s \(out) ] && break; sleep 0.05; done

                    """
            } else if let status = block.status {
                // The last command is the one that fails.
                script += "{ \(block.text)} > \(out) 2>&1\n[ $? = \(status) ] || exit \(100 + index)\n"
            } else if block.has("any") {
                script += "{ \(block.text)} > \(out) 2>&1\n"
            } else {
                script += "set -e\necho \(index) > ../at\n{ \(block.text)} > \(out) 2>&1\nset +e\n"
            }
        }
        for port in ["8583", "8080"] where script.contains(port) {
            script = script.replacing(port, with: "\(try Self.freePort())")
        }
        let (process, output, _) = program.process(["150", "/bin/bash", "-c", script])
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.currentDirectoryURL = place
        process.environment?["PATH"] =
            Program.executable.deletingLastPathComponent().path() + ":"
            + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
        process.environment?["HOME"] = program.state.path()
        process.standardError = output
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                do {
                    try process.run()
                    _ = try output.fileHandleForReading.readToEnd()
                    process.waitUntilExit()
                    continuation.resume(returning: process.terminationStatus)
                } catch { continuation.resume(throwing: error) }
            }
        }
        func printed(_ index: Int) -> String {
            (try? String(contentsOf: program.state.appending(path: "out.\(index)"), encoding: .utf8)) ?? ""
        }
        if status != 0 {
            let at = (try? String(contentsOf: program.state.appending(path: "at"), encoding: .utf8))
                .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
            let index = status >= 100 ? Int(status) - 100 : at ?? 0
            let block = blocks.indices.contains(index) ? blocks[index] : blocks[0]
            Issue.record("\(page.name):\(block.line) ended with \(status): \(block.text)\(printed(index))")
            return
        }
        for (index, block) in blocks.enumerated() {
            guard let shown = block.output else { continue }
            let text = printed(index)
            var lines = text.split(separator: "\n")[...]
            for line in shown {
                let found = lines.firstIndex { Self.fits(String($0), line) }
                #expect(found != nil, "\(page.name):\(block.line) does not print \(line): \(text)")
                if let found { lines = lines[(found + 1)...] }
            }
        }
    }

    /// Whether a line is as shown; `…` stands for anything.
    static func fits(_ line: String, _ shown: String) -> Bool {
        var rest = line[...]
        let parts = shown.components(separatedBy: "…")
        for (index, part) in parts.enumerated() where !part.isEmpty {
            guard let range = rest.range(of: part), index > 0 || range.lowerBound == rest.startIndex else {
                return false
            }
            rest = rest[range.upperBound...]
        }
        return parts.last?.isEmpty == true || rest.isEmpty
    }

    @Test(arguments: [
        ("same  tap.trace  approved", "same  tap.trace  approved", true), ("a b c", "a…c", true),
        ("a b c", "…b…", true),
        ("a b c", "b…", false), ("a b c", "a…b", false), ("a b c", "a b", false), ("a b c", "…", true),
    ]) func linesFit(_ line: String, _ shown: String, _ expected: Bool) {
        #expect(Self.fits(line, shown) == expected)
    }

    /// Commands and options of blocks that cannot run here exist.
    @Test(arguments: pages) func commandsExist(_ page: Page) async throws {
        let program = try Program()
        defer { program.remove() }
        for block in try Self.blocks(page)
        where block.language == "sh" && (block.has("hardware") || block.has("build")) {
            for line in block.text.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                switch words.first {
                case "tapbridge":
                    var path: [String] = []
                    var help = try await program.run("help").output
                    for word in words.dropFirst() {
                        if word.hasPrefix("--") {
                            #expect(help.contains(word), "\(page.name):\(block.line): \(word) of \(path)")
                        } else if help.contains("  \(word) "), help.contains("SUBCOMMANDS") {
                            path.append(word)
                            let (process, output, _) = program.process(["help"] + path)
                            try process.run()
                            help = String(
                                decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self
                            )
                            process.waitUntilExit()
                        }
                    }
                    #expect(!path.isEmpty, "\(page.name):\(block.line): \(line)")
                case "make":
                    let makefile = try String(
                        contentsOf: Program.folder.appending(path: "Makefile"), encoding: .utf8)
                    #expect(
                        makefile.contains("\n\(words.last ?? ""):"), "\(page.name):\(block.line): \(line)")
                case "sudo", "swift", "export": break
                default: Issue.record("\(page.name):\(block.line): \(line) is not looked at")
                }
            }
        }
    }

    /// Code that a page shows is the code that a test compiles.
    @Test func codeIsTheOneTested() throws {
        let source = try String(
            contentsOf: Program.folder.appending(path: "Tests/TerminalTests/ExampleKernelTests.swift"),
            encoding: .utf8)
        func plain(_ text: some StringProtocol) -> [String] {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        let all = plain(source)
        var seen = 0
        for page in Self.pages {
            for block in try Self.blocks(page) where ["swift", "yaml"].contains(block.language) {
                let name = try #require(block.words.first, "\(page.name):\(block.line) has no name")
                let start = try #require(
                    all.firstIndex(of: "// guide: \(name)"), "\(page.name):\(block.line)")
                let end = try #require(all[start...].firstIndex(of: "// guide: end"))
                let there = all[(start + 1)..<end].filter { !$0.contains("\"\"\"") }
                #expect(plain(block.text) == Array(there), "\(page.name):\(block.line)")
                seen += 1
            }
        }
        #expect(seen == 4)
    }
}
