internal import EMVCryptography
internal import Foundation
internal import Hummingbird
internal import Journal
internal import ProfileFile
internal import Terminal

struct TerminalRoutes: Sendable {
    let hall: TerminalHall

    func add(to routes: Routes) {
        let hall = hall
        routes.get("/v1/terminals", .observer) { request, _ in
            try .json(
                try Paging.page(hall.terminals, Query(request), id: \.id) { (terminal) throws(Problem) in
                    terminal.stage.view
                })
        }
        routes.post("/v1/terminals", .operator) { request, _ in
            var body = try await RequestObject.read(request, limit: 512 << 10, optional: true)
            let id = try body.text("id", 8...8)
            let name = try body.text("profile", 1...128)
            let text = try body.text("profileText", 1...(256 << 10))
            let reader = try body.text("reader", 1...256)
            try body.finish()
            var profile: TerminalProfile?
            switch (name, text) {
            case (nil, nil): break
            case (let name?, nil):
                guard let known = hall.options.profiles[name] else {
                    throw Problem.notFound("terminal profile \(name)")
                }
                profile = known
            case (nil, let text?):
                do throws(ProfileFileError) {
                    profile = try TerminalProfile(
                        text: text, source: "profileText", files: .names(hall.options.files))
                } catch {
                    throw Problem.profile(error)
                }
            default: throw Problem.bad("give either profile or profileText")
            }
            let terminal = try hall.addTerminal(id: id, profile: profile, reader: reader)
            await terminal.recover()
            return try Response.json(
                terminal.stage.view, status: .created, headers: [.location: "/v1/terminals/\(terminal.id)"])
        }
        routes.get("/v1/terminals/{id}", .observer) { _, context in
            try .json(try hall.terminal(context.parameters.require("id")).stage.view)
        }
        routes.delete("/v1/terminals/{id}", .operator) { _, context in
            try await hall.removeTerminal(context.parameters.require("id"))
            return Response(status: .noContent)
        }
        routes.post("/v1/terminals/{id}/taps", .operator) { request, context in
            let terminal = try hall.terminal(context.parameters.require("id"))
            var body = try await RequestObject.read(request)
            let tap = try body.tap()
            try body.finish()
            var cards: [ShelfCard] = []
            for id in tap.cards { cards.append(try hall.shelf.card(id)) }
            try terminal.stage.tap(cards, tap.removal)
            return try Response.json(TapView(cards: tap.cards, terminal: terminal.id), status: .accepted)
        }
        routes.delete("/v1/terminals/{id}/taps", .operator) { _, context in
            try hall.terminal(context.parameters.require("id")).stage.remove()
            return Response(status: .noContent)
        }
        routes.post("/v1/terminals/{id}/pin", .operator) { request, context in
            let terminal = try hall.terminal(context.parameters.require("id"))
            var body = try await RequestObject.read(request, limit: 4096)
            let digits = try body.text("pin", 0...64)
            let action = try body.choice("action", PINAction.self)
            try body.finish()
            switch (digits, action) {
            case (let digits?, nil):
                guard let pin = PIN(digits) else { throw Problem.bad("a PIN has 4 to 12 digits") }
                try terminal.stage.enterPIN(pin)
            case (nil, .cancel): try terminal.stage.enterPIN(nil)
            default: throw Problem.bad("give either pin or action")
            }
            return Response(status: .noContent)
        }
        routes.get("/v1/terminals/{id}/batch", .observer) { _, context in
            try .json(try await hall.batch(context.parameters.require("id")))
        }
        routes.post("/v1/terminals/{id}/settlements", .operator) { request, context in
            let terminal = try hall.terminal(context.parameters.require("id"))
            let body = try await RequestObject.read(request, optional: true)
            try body.finish()
            return try Response.json(try await hall.settle(terminal))
        }
        routes.get("/v1/settlements", .observer) { request, _ in
            try .json(try await hall.settlements(Query(request)))
        }
    }
}

struct TapView: Encodable, Sendable {
    var cards: [String]
    var terminal: String
}

enum PINAction: String, CaseIterable { case cancel }

extension Problem {
    static func profile(_ error: ProfileFileError) -> Problem {
        Problem(.badRequest, status: 400, title: "The profile is not as it must be", detail: "\(error)")
    }
}
