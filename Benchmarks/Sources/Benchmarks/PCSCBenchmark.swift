import BERTLV
import Cards
import Foundation
@_spi(Benchmarks) import PCSCReaders
import SmartCard

extension Benchmarks {
    /// One APDU through the PC/SC reader against a bare loop of SCardTransmit on the same connection.
    /// Nil, with words on standard error, where there is no virtual reader.
    static func pcsc(_ rounds: Int) async throws -> Row? {
        let name: String
        do {
            let readers = try await PCSCContext.readers()
            guard
                let found = readers.first(where: {
                    $0.name.hasPrefix("Virtual PCD") && $0.answerToReset == nil
                })
            else {
                note(
                    "  left out: pcscd has no free virtual reader (apt install vsmartcard-vpcd)")
                return nil
            }
            name = found.name
        } catch {
            note("  left out: \(error)")
            return nil
        }
        let slot: UInt16 = name.hasSuffix("01") ? 1 : 0
        let client = VPCDClient(card: EchoCard(), options: .init(port: VPCDClient.defaultPort + slot))
        let serving = Task { try await client.run() }
        defer { serving.cancel() }
        let reader = PCSCReader(name: name)
        return try await oneAPDU(
            "pcsc", "one APDU through the PC/SC reader / bare SCardTransmit loop",
            turns: max(3, rounds) * 6, through: reader, on: reader.executor
        ) { try await reader.bareLoop($0, count: $1) }
    }
}
