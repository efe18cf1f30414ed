import AcquirerSimulator
import Foundation
import HTTPTypes
import Hummingbird
import Journal
import Logging
import NIOCore
import NIOEmbedded
import Terminal
import TerminalService

extension FuzzTarget {
    static let api: [FuzzTarget] = [
        FuzzTarget("api", longestInput: 2048, mutations: 8, seeds: { ServiceAPI.seeds }) {
            try ServiceAPI.request($0)
        }
    ]
}

/// The daemon's routes without a network: whatever is asked, it is answered, and never with an error of the server's
/// own. There are no terminals, so that no input leaves anything running for the next one.
enum ServiceAPI {
    private struct Service: Sendable {
        let responder: any HTTPResponder<APIContext>
        let hall: TerminalHall
    }

    private static let service: Service? = {
        guard let profile = try? TerminalProfile.builtIn(), let journal = try? Journal.inMemory() else {
            return nil
        }
        let hall = TerminalHall(
            TerminalHall.Options(
                profile: profile, journal: journal, backend: SimulatedAcquirer(), mostTerminals: 0))
        guard let router = try? API.router(hall: hall) else { return nil }
        return Service(responder: router.buildResponder(), hall: hall)
    }()

    static let seeds: [[UInt8]] = {
        let key = "Idempotency-Key: k1\nContent-Type: application/json\n\n"
        return [
            "POST /v1/payments\n\(key){\"terminal\":\"TERM0001\",\"amount\":1250,\"amountOther\":0,\"type\":\"purchase\","
                + "\"purpose\":\"sale\",\"original\":\"x\",\"acceptsPartialApproval\":true,\"deadlineSeconds\":5,"
                + "\"tap\":{\"card\":\"visa-debit\",\"removal\":{\"duringCommand\":\"AE\"}}}",
            "POST /v1/payments\n\(key){\"terminal\":\"T\",\"amount\":1,\"tap\":{\"cards\":[\"a\",\"b\"],\"removal\":{\"afterCommands\":1}}}",
            "GET /v1/payments?limit=10&cursor=x&from=2026-11-21T09:30:00Z&terminal=T\n\n",
            "GET /v1/journal?state=approved&to=2026-11-21&limit=200\n\n", "GET /v1/settlements?limit=1\n\n",
            "GET /v1/status\n\n", "GET /v1/terminals\n\n", "GET /v1/cards\n\n", "GET /v1/traces\n\n",
            "GET /openapi.json\n\n",
            "POST /v1/decode\nContent-Type: application/json\n\n{\"hex\":\"9F2701 80\",\"kind\":\"tlv\"}",
            "GET /v1/decode?hex=9F270180&kind=tlv\n\n",
            "POST /v1/terminals\nContent-Type: application/json\n\n{\"id\":\"TERM0002\",\"profile\":\"default\"}",
            "POST /v1/cards\nContent-Type: application/json\n\n{\"profile\":\"visa-debit\",\"id\":\"c1\"}",
            "PUT /v1/traces/new\n\ntapbridge-trace 1\namount: 1\n\n", "DELETE /v1/traces/new\n\n",
            "POST /v1/replays\nContent-Type: application/json\n\n{\"trace\":\"new\",\"mode\":\"strict\"}",
            "POST /v1/payments/x/void\n\(key){}", "POST /v1/payments/x/refund\n\(key){\"amount\":1}",
            "POST /v1/payments/x/tip\n\(key){\"amount\":1}",
            "POST /v1/terminals/T/pin\nContent-Type: application/json\n\n{\"action\":\"cancel\"}",
        ].map { Array($0.utf8) }
    }()

    static func request(_ bytes: [UInt8]) throws {
        guard let service else { throw BrokenProperty(description: "no service") }
        let end =
            bytes.indices.first { bytes[$0] == 0x0A && bytes.dropFirst($0 + 1).first == 0x0A } ?? bytes.count
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 1)
        let method = words.first.flatMap { HTTPRequest.Method(rawValue: String($0)) } ?? .get
        let path = words.dropFirst().first.map { String($0) } ?? "/"
        // An event stream has no end.
        guard !path.contains("events"), path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return }
        var fields = HTTPFields()
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard let name = parts.first.flatMap({ HTTPField.Name($0) }) else { continue }
            fields[name] = parts.dropFirst().first ?? ""
        }
        let head = HTTPRequest(
            method: method, scheme: "http", authority: "localhost",
            path: path.hasPrefix("/") ? path : "/" + path,
            headerFields: fields)
        let body = Array(bytes.dropFirst(end + 2))
        try wait {
            let channel = EmbeddedChannel()
            let context = APIContext(
                source: ApplicationRequestContextSource(
                    channel: channel, logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }))
            let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body)))
            let response = try await service.responder.respond(to: request, context: context)
            try hold(
                response.status.code < 500 || response.status.code == 503,
                "\(method) \(path) is answered with \(response.status.code)")
        }
    }
}
