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
    /// Scripts that are no BER-TLV inside: none of their commands is sent.
    var malformed: Set<Int> = []

    /// What comes after a template that is no BER-TLV is not read.
    init(_ templates: [UInt8]) {
        for wanted: Tag in [.issuerScriptTemplate1, .issuerScriptTemplate2] {
            var reader = BERTLVReader(templates.span)
            while let template = try? reader.next() {
                guard template.tag == wanted else { continue }
                var inside = reader.nested(template)
                var identifier: [UInt8] = [0, 0, 0, 0]
                var found: [[UInt8]] = []
                let script = identifiers.count
                do {
                    while let element = try inside.next() {
                        if element.tag == .issuerScriptIdentifier, element.value.count == 4 {
                            identifier = Array(templates[element.value])
                        } else if element.tag == .issuerScriptCommand {
                            found.append(Array(templates[element.value]))
                        }
                    }
                } catch {
                    malformed.insert(script)
                    found = []
                }
                identifiers.append(identifier)
                for (index, bytes) in found.enumerated() {
                    commands.append(Command(bytes: bytes, script: script, sequence: index + 1))
                }
            }
        }
    }

    /// Issuer Script Results before the first command (EMV Book 4, A5): "not performed", or "successful"
    /// where a script has nothing to perform.
    var initialResults: [UInt8] {
        identifiers.enumerated().flatMap { script, identifier in
            let isEmpty = !malformed.contains(script) && !commands.contains { $0.script == script }
            return [isEmpty ? 0x20 : 0x00] + identifier
        }
    }
}

/// Issuer update on a second presentment: Book C-3, 5.9.
extension QVSDCKernel {
    mutating func startIssuerUpdate(_ update: IssuerUpdate) -> KernelAction {
        let script = IssuerScriptCommands(update.issuerScripts)
        scriptResults = script.initialResults
        // Unconfirmed: a script that cannot be parsed counts as "not performed" and as failed in the TVR.
        if !script.malformed.isEmpty { setVerificationResult(.scriptFailedAfterFinalGenerateAC) }
        guard let data = update.issuerAuthenticationData else { return send(script, 0) }
        // EXTERNAL AUTHENTICATE (EMV Book 3, 6.5.4): 8...16 bytes.
        guard (8...16).contains(data.count) else {
            setVerificationResult(.issuerAuthenticationFailed)
            return send(script, 0)
        }
        state = .authenticatingIssuer(script)
        return .transmit(
            .externalAuthenticate(data))
    }

    mutating func issuerAuthenticated(
        _ response: ResponseAPDU, _ script: IssuerScriptCommands
    ) -> KernelAction {
        if !response.isSuccess { setVerificationResult(.issuerAuthenticationFailed) }
        return send(script, 0)
    }

    private mutating func setVerificationResult(_ result: TerminalVerificationResults) {
        terminal.set(
            .terminalVerificationResults,
            number: (terminal.number(.terminalVerificationResults) ?? 0) | result.rawValue, count: 5)
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
        let done = script.commands[index].script
        let next = index + 1
        if next == script.commands.count || script.commands[next].script != done {
            setScriptResult(done, 0x20)
        }
        return send(script, next)
    }

    /// The card left without an answer: nothing more can be sent.
    mutating func scriptCommandLost(_ script: IssuerScriptCommands, _ index: Int) -> KernelAction {
        noteFailure(script.commands[index])
        return finishIssuerUpdate()
    }

    /// Notes the failed command; the rest of its script is not sent.
    private mutating func fail(_ script: IssuerScriptCommands, _ index: Int) -> KernelAction {
        let failed = script.commands[index]
        noteFailure(failed)
        let next = script.commands[index...].firstIndex { $0.script != failed.script }
        return send(script, next ?? script.commands.count)
    }

    private mutating func noteFailure(_ command: IssuerScriptCommands.Command) {
        setScriptResult(command.script, 0x10 | UInt8(min(command.sequence, 15)))
        setVerificationResult(.scriptFailedAfterFinalGenerateAC)
    }

    private mutating func setScriptResult(_ script: Int, _ result: UInt8) {
        let place = script * 5
        if scriptResults.indices.contains(place) { scriptResults[place] = result }
    }

    /// The host's decision stands; what the card made of the update is told beside it.
    mutating func finishIssuerUpdate() -> KernelAction {
        let code = activation.issuerUpdate?.authorisationResponseCode ?? []
        let isApproved = ResponseCodeTable.meaning(of: String(decoding: code, as: UTF8.self)).isApproval
        var data: DataObjects = [:]
        if let results = terminal[.terminalVerificationResults] {
            data.set(.terminalVerificationResults, results)
        }
        if !scriptResults.isEmpty { data.set(.issuerScriptResults, scriptResults) }
        return finish(
            Outcome(
                isApproved ? .approved : .declined,
                uiRequestOnOutcome: UserInterfaceRequest(
                    isApproved ? .approved : .notAuthorised, .cardReadSuccessfully),
                discretionaryData: data))
    }
}
