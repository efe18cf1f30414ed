import BERTLV
import EMV
import SmartCard

/// The commands of Issuer Script Templates 71 and 72 (EMV Book 3, 10.10), in the order in which they are
/// to be sent: all of 71 before those of 72.
struct IssuerScriptCommands: Sendable {
    struct Command: Sendable {
        /// The raw command of an 86 data object.
        var bytes: [UInt8]
        /// Which script it belongs to, from 0.
        var script: Int
        /// Its place in the script, from 1.
        var sequence: Int
    }
    var commands: [Command] = []
    /// Issuer Script Identifiers (9F18), four bytes each; zeros where absent.
    var identifiers: [[UInt8]] = []

    /// A script that is no BER-TLV is passed over whole; a command below five bytes ends its script.
    init(_ templates: [UInt8]) {
        for wanted: Tag in [0x71, 0x72] {
            var reader = BERTLVReader(templates.span)
            while let template = try? reader.next() {
                guard template.tag == wanted else { continue }
                var inside = reader.nested(template)
                var identifier: [UInt8] = [0, 0, 0, 0]
                var found: [[UInt8]] = []
                while let element = try? inside.next() {
                    if element.tag == 0x9F18, element.value.count == 4 {
                        identifier = Array(templates[element.value])
                    } else if element.tag == 0x86 {
                        found.append(Array(templates[element.value]))
                    }
                }
                let script = identifiers.count
                identifiers.append(identifier)
                for (index, bytes) in found.enumerated() {
                    commands.append(Command(bytes: bytes, script: script, sequence: index + 1))
                }
            }
        }
    }
}

/// Issuer update on a second presentment: Book C-3, 5.9.
extension QVSDCKernel {
    mutating func startIssuerUpdate(_ update: IssuerUpdate) -> KernelAction {
        guard let data = update.issuerAuthenticationData else { return startScripts() }
        // EXTERNAL AUTHENTICATE (EMV Book 3, 6.5.4): 8...16 bytes.
        guard (8...16).contains(data.count) else {
            terminal.set(
                0x95, TerminalVerificationResults.issuerAuthenticationFailed.bytes)
            return startScripts()
        }
        state = .authenticatingIssuer
        return .transmit(
            CommandAPDU(cla: 0x00, ins: 0x82, p1: 0, p2: 0, data: data, expectedLength: nil))
    }

    mutating func issuerAuthenticated(_ response: ResponseAPDU) -> KernelAction {
        if !response.isSuccess {
            terminal.set(0x95, TerminalVerificationResults.issuerAuthenticationFailed.bytes)
        }
        return startScripts()
    }

    private mutating func startScripts() -> KernelAction {
        let script = IssuerScriptCommands(activation.issuerUpdate?.issuerScripts ?? [])
        // Results: nibble 2 "success", command number 0 (EMV Book 4, A5); set to failed on the way.
        for identifier in script.identifiers { scriptResults += [0x20] + identifier }
        return send(script, 0)
    }

    private mutating func send(_ script: IssuerScriptCommands, _ index: Int) -> KernelAction {
        guard index < script.commands.count else { return finishIssuerUpdate() }
        let command = script.commands[index]
        guard let parsed = try? CommandAPDU(parsing: command.bytes) else {
            return fail(script, index)
        }
        state = .runningScript(script, next: index)
        return .transmit(parsed)
    }

    mutating func scriptCommandDone(
        _ response: ResponseAPDU, _ script: IssuerScriptCommands, _ index: Int
    ) -> KernelAction {
        // 90, 62 and 63 let a script go on (EMV Book 3, 10.10).
        guard [0x90, 0x62, 0x63].contains(response.status.sw1) else { return fail(script, index) }
        return send(script, index + 1)
    }

    /// Notes the failed command; the rest of its script is not sent.
    private mutating func fail(_ script: IssuerScriptCommands, _ index: Int) -> KernelAction {
        let failed = script.commands[index]
        let place = failed.script * 5
        if scriptResults.indices.contains(place) {
            scriptResults[place] = 0x10 | UInt8(min(failed.sequence, 15))
        }
        var bits = terminal.number(0x95) ?? 0
        bits |= TerminalVerificationResults.scriptFailedAfterFinalGenerateAC.rawValue
        terminal.set(0x95, number: bits, count: 5)
        let next = script.commands[index...].firstIndex { $0.script != failed.script }
        return send(script, next ?? script.commands.count)
    }

    /// The host's decision stands; what the card made of the update is told beside it.
    mutating func finishIssuerUpdate() -> KernelAction {
        let code = activation.issuerUpdate?.authorisationResponseCode ?? []
        let isApproved = ["00", "10", "11"].contains(String(decoding: code, as: UTF8.self))
        var data: DataObjects = [:]
        if let results = terminal[0x95] { data.set(0x95, results) }
        if !scriptResults.isEmpty { data.set(0x9F5B, scriptResults) }
        return finish(
            Outcome(
                isApproved ? .approved : .declined,
                uiRequestOnOutcome: UserInterfaceRequest(
                    isApproved ? .approved : .notAuthorised, .cardReadSuccessfully),
                discretionaryData: data))
    }
}
