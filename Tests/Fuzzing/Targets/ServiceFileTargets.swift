import HTTPBackend
import ISO8583Backend
import ProfileFile
import Terminal
import TerminalService

extension FuzzTarget {
    static let serviceFiles: [FuzzTarget] = [
        file("yaml-terminal-profile", [TerminalProfile.builtInText]) { text in
            let profile = try TerminalProfile(text: text, source: "fuzz.yaml")
            let again = try TerminalProfile(text: text, source: "fuzz.yaml")
            try hold(again.digest == profile.digest, "the digest of a profile changes")
        },
        file("yaml-daemon", [DaemonConfiguration.defaultText]) { text in
            do throws(ConfigurationMistakes) { _ = try DaemonConfiguration(text: text) } catch {
                guard let first = error.mistakes.first else {
                    throw BrokenProperty(description: "refused without a mistake")
                }
                throw first
            }
        },
        file("yaml-acquirer", [AcquirerFile.sample]) { text in
            _ = try AcquirerFile(text: text, source: "fuzz.yaml")
        },
        file("yaml-http-acquirer", [HTTPBackendSettings.sample]) { text in
            _ = try HTTPBackendSettings(text: text, source: "fuzz.yaml")
        },
    ]
}
