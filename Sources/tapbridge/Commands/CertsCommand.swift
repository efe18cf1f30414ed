import CommandSupport
import ArgumentParser
import Foundation
import RemoteReaders

struct CertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Make certificates for remote readers: a small test CA, a server, terminals.",
        discussion: """
            Makes what is not there yet and overwrites nothing: run again with other names, it certifies more \
            servers and terminals with the same CA. Keys can be read by their owner only. For test networks: \
            there is no revocation; a terminal is shut out by leaving it off `reader share --allow`, everybody \
            by a new CA.

            A server's machine needs ca.pem, server.pem and server.key; a terminal's machine ca.pem, \
            terminal.pem and terminal.key. ca.key stays where it is.

            Examples:
              tapbridge certs
              tapbridge certs --host readers.example --host 192.168.1.20
              tapbridge certs --terminal till-1 --terminal till-2 --directory ./certs
              tapbridge certs --renew --host readers.example
            """)

    @Option(
        help: ArgumentHelp(
            "Where; the user's state directory by default, where the other commands look.", valueName: "path")
    )
    var directory: String?

    @Option(
        help: ArgumentHelp(
            "Host name or address under which terminals reach the server, several times; localhost, 127.0.0.1, ::1 and this machine's name by default.",
            valueName: "host"))
    var host: [String] = []

    @Option(
        help: ArgumentHelp(
            "Terminal to certify, several times; \"terminal\" by default.", valueName: "name"))
    var terminal: [String] = []

    @Option(help: ArgumentHelp("Name of the server's files.", valueName: "name")) var server = "server"
    @Option(help: "Validity of servers' and terminals' certificates.") var days = 397
    @Flag(help: "Make the named certificates anew where they are there already; the CA stays.") var renew =
        false
    @OptionGroup var output: OutputOptions

    struct Report: Encodable {
        var directory: String
        var made: [String]
        var kept: [String]
    }

    func run() throws {
        let certificates = CertificateDirectory(path: directory ?? RemoteAccess.defaultDirectory)
        var report = Report(directory: certificates.path, made: [], kept: [])
        do {
            if certificates.hasAuthority {
                report.kept.append("ca")
            } else {
                try certificates.makeAuthority()
                report.made.append("ca")
            }
            // A run that names terminals only is about these.
            if terminal.isEmpty || !host.isEmpty || !certificates.exists("\(server).pem") {
                let hosts = host.isEmpty ? Self.ownHosts : host
                try make(server, &report) { () throws(RemoteReaderError) in
                    try certificates.issue(server, role: .server, hosts: hosts, days: days, replaces: renew)
                }
            }
            for name in terminal.isEmpty ? ["terminal"] : terminal {
                try make(name, &report) { () throws(RemoteReaderError) in
                    try certificates.issue(name, role: .terminal, days: days, replaces: renew)
                }
            }
        } catch let error as RemoteReaderError {
            throw CommandFailure(.badInput, "\(error)")
        }
        if output.json { return try Console.printJSON(report) }
        for name in report.made { Console.print("made \(certificates.path)/\(name).pem and \(name).key") }
        for name in report.kept { Console.print("kept \(certificates.path)/\(name).pem (as it was)") }
    }

    private func make(
        _ name: String, _ report: inout Report, _ issue: () throws(RemoteReaderError) -> Void
    ) throws {
        let certificates = CertificateDirectory(path: report.directory)
        if !renew, certificates.exists("\(name).pem") || certificates.exists("\(name).key") {
            guard certificates.exists("\(name).pem"), certificates.exists("\(name).key") else {
                throw CommandFailure(
                    .badInput,
                    "\(report.directory)/\(name).pem and .key are not both there: --renew makes both anew")
            }
            report.kept.append(name)
            return
        }
        try issue()
        report.made.append(name)
    }

    private static var ownHosts: [String] {
        let own = ProcessInfo.processInfo.hostName
        return ["localhost", "127.0.0.1", "::1"]
            + (own.isEmpty || own == "localhost" || !own.allSatisfy { $0.isASCII } ? [] : [own])
    }
}
