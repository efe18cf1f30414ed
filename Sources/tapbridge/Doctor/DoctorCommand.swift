import CommandSupport
import ArgumentParser
import CardReaders
import Foundation
import LibNFCReaders
import PCSCReaders

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check pcscd, drivers, permissions, kernel modules and readers, and say what to type.",
        discussion: """
            Exit codes: 0 all is well (there may be notes and warnings), 2 a check found a problem, 3 nothing is wrong \
            but no contactless reader is attached. Emulated cards need none of this.

            Examples:
              tapbridge doctor
              tapbridge doctor --json
            """)

    @OptionGroup var output: OutputOptions
    @Option(help: .hidden) var root = "/"

    private struct Report: Encodable {
        var findings: [Doctor.Finding]
        var hasReader: Bool
    }

    func run() async throws {
        let service: Result<[ReaderListing], ReaderError>
        do throws(ReaderError) {
            service = .success(try await PCSCContext.readers())
        } catch {
            service = .failure(error)
        }
        let findings = Doctor(root: root).findings(service: service)
        var hasReader = findings.contains { $0.check == "device" && $0.state == .ok }
        if case .success(let readers) = service {
            hasReader =
                hasReader || readers.contains { $0.interface == .contactless || $0.interface == .unknown }
        }
        if !hasReader { hasReader = await !LibNFCContext.connectionStrings().isEmpty }
        if output.json {
            try Console.printJSON(Report(findings: findings, hasReader: hasReader))
        } else {
            let console = Console.standard
            for finding in findings {
                let mark =
                    switch finding.state {
                    case .ok: console.styled("ok      ", .green)
                    case .note: console.styled("note    ", .blue)
                    case .warning: console.styled("warning ", .yellow)
                    case .problem: console.styled("problem ", .red, .bold)
                    }
                Console.print(mark + finding.text)
                if let advice = finding.advice { Console.print("        > " + advice) }
            }
            if !hasReader {
                Console.print(
                    console.styled("note    ", .blue)
                        + "no contactless reader is attached; emulated cards need none: tapbridge demo")
            }
        }
        if findings.contains(where: { $0.state == .problem }) { throw ExitWithStatus(status: .different) }
        if !hasReader { throw ExitWithStatus(status: .reader) }
    }
}
