// libFuzzer on one target of the table.
//
//     fuzzer --list                        the targets
//     fuzzer --unpack TARGET FOLDER        the target's corpus as files
//     fuzzer --seeds TARGET FOLDER         the inputs that the project has anyhow
//     fuzzer --pack TARGET FOLDER          the files of a folder as the target's corpus, findings kept
//     fuzzer --show TARGET FILE            an input as the corpus has it
//     fuzzer TARGET [libFuzzer's options, folders and files]

import BERTLV
import CLibFuzzer
import Foundation
import FuzzTargets

func fail(_ reason: String) -> Never {
    FileHandle.standardError.write(Data((reason + "\n").utf8))
    exit(64)
}

func target(_ name: String) -> FuzzTarget {
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        fail("no target \(name); there are:\n" + FuzzTarget.all.map(\.name).joined(separator: "\n"))
    }
    return target
}

func files(in folder: String) throws -> [[UInt8]] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
        Array(try Data(contentsOf: URL(filePath: folder).appending(path: $0)))
    }
}

func write(_ inputs: [[UInt8]], of target: FuzzTarget, to folder: String) throws {
    let folder = URL(filePath: folder)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (index, bytes) in inputs.enumerated() {
        try Data(bytes.prefix(target.longestInput)).write(to: folder.appending(path: "input-\(index)"))
    }
}

let words = Array(CommandLine.arguments.dropFirst())
switch (words.first, words.count) {
case ("--list", 1):
    for target in FuzzTarget.all { print(target.name) }
case ("--unpack", 3):
    let target = target(words[1])
    try write(try Corpus(of: target.name).inputs.map(\.bytes), of: target, to: words[2])
case ("--seeds", 3):
    let target = target(words[1])
    try write(try target.seeds(), of: target, to: words[2])
case ("--pack", 3):
    let target = target(words[1])
    var corpus = try Corpus(of: target.name)
    corpus.inputs.removeAll { $0.story == nil }
    // Seeds are made wherever they are needed.
    let seeds = Set(try target.seeds().map { Array($0.prefix(target.longestInput)) })
    corpus.inputs += try files(in: words[2]).map { Array($0.prefix(target.longestInput)) }
        .filter { !$0.isEmpty && !seeds.contains($0) }.map { Corpus.Input($0) }
    try FileManager.default.createDirectory(at: Corpus.folder, withIntermediateDirectories: true)
    try Data(corpus.text.utf8).write(to: Corpus.file(of: target.name))
    print(corpus.inputs.count)
case ("--show", 3):
    let bytes = Array(try Data(contentsOf: URL(filePath: words[2])))
    print(Hex.string(bytes.prefix(target(words[1]).longestInput)))
case (let first?, _):
    // libFuzzer starts itself again to merge, with its own options alone.
    let inherited = ProcessInfo.processInfo.environment["TAPBRIDGE_FUZZ_TARGET"]
    let isInherited = first.hasPrefix("-") && inherited != nil
    chosen = target(isInherited ? inherited ?? "" : first)
    setenv("TAPBRIDGE_FUZZ_TARGET", chosen?.name ?? "", 1)
    // Of options that are given twice libFuzzer takes the last one: what the caller says counts.
    let options =
        ["-max_len=\(chosen?.longestInput ?? 4096)"] + (isInherited ? words[...] : words.dropFirst())
    var arguments: [UnsafeMutablePointer<CChar>?] = ([CommandLine.arguments[0]] + options).map { strdup($0) }
    arguments.append(nil)
    var count = Int32(arguments.count - 1)
    let status = arguments.withUnsafeMutableBufferPointer { buffer in
        var pointer = buffer.baseAddress
        return LLVMFuzzerRunDriver(&count, &pointer) { data, size in
            do {
                try chosen?.run(Array(UnsafeBufferPointer(start: data, count: size)))
            } catch {
                // libFuzzer keeps the input when the process dies.
                fatalError("\(chosen?.name ?? ""): \(error)")
            }
            return 0
        }
    }
    exit(status)
default:
    fail(
        "usage: fuzzer --list | --unpack TARGET FOLDER | --seeds TARGET FOLDER | --pack TARGET FOLDER | --show TARGET FILE | TARGET ..."
    )
}
