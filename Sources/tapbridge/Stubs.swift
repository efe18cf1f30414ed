import Acquiring
import ArgumentParser
import Cards
import Readers
import SmartCard

enum PCSC {
    static var isAvailable: Bool { false }
    static func reader(matching: String?) throws -> any CardReader { throw ReaderError.noCard }
}
enum TroubleScript { static let help: String = "x" }
enum SimulatedHost { static func make(trouble: String?) throws -> any AcquirerBackend { NoHost() } }
struct NoHost: AcquirerBackend {
    var name: String { "none" }
    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        AuthorizationResponse(responseCode: "00", authorizationCode: "A12345")
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {}
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
}
enum CardAttachment { static func run(_ c: EmulatedCard, host: String, port: UInt16) async throws {} }
extension BenchCommand { static func pcsc(_ r: Int) async throws -> Row? { nil } }
struct ReadersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "readers")
}
struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "decode")
}
struct DemoCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "demo") }
