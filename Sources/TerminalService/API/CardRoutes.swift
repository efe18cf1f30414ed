internal import Cards
internal import Hummingbird
internal import ProfileFile

struct CardRoutes: Sendable {
    let hall: TerminalHall

    func add(to routes: Routes) {
        let hall = hall
        let shelf = hall.shelf
        routes.get("/v1/card-profiles", .observer) { request, _ in
            let page = try Paging.page(CardLibrary.identifiers, Query(request), id: { $0 }) {
                (id) throws(Problem) in
                do throws(ProfileFileError) {
                    let profile = try CardLibrary.profile(id)
                    var schemes: [String] = []
                    for application in profile.applications
                    where !schemes.contains(application.scheme.rawValue) {
                        schemes.append(application.scheme.rawValue)
                    }
                    return CardProfileView(
                        id: id, title: profile.title, kind: profile.kind.rawValue, schemes: schemes)
                } catch {
                    throw .profile(error)
                }
            }
            return try Response.json(page)
        }
        routes.get("/v1/card-profiles/{id}", .observer) { _, context in
            let id = try context.parameters.require("id")
            guard let text = CardLibrary.text(of: id) else { throw Problem.notFound("card profile \(id)") }
            return .text(text, type: "application/yaml; charset=utf-8")
        }
        routes.get("/v1/cards", .observer) { request, _ in
            try .json(
                try Paging.page(shelf.identifiers, Query(request), id: { $0 }) { (id) throws(Problem) in
                    CardView(try shelf.card(id))
                })
        }
        routes.post("/v1/cards", .operator) { request, _ in
            var body = try await RequestObject.read(request, limit: 512 << 10)
            let id = try body.text("id", 1...64)
            let name = try body.text("profile", 1...128)
            let text = try body.text("profileText", 1...(256 << 10))
            try body.finish()
            if let id {
                guard id.utf8.allSatisfy({ $0.isNameByte }) else {
                    throw Problem.bad("a card's id has letters, digits, \".\", \"_\" and \"-\"")
                }
            }
            let profile: CardProfile
            do throws(ProfileFileError) {
                switch (name, text) {
                case (let name?, nil):
                    guard CardLibrary.identifiers.contains(name) else {
                        throw ProfileFileError(
                            file: name,
                            reason:
                                "no such card profile; known are \(CardLibrary.identifiers.joined(separator: ", "))"
                        )
                    }
                    profile = try CardLibrary.profile(name)
                case (nil, let text?):
                    profile = try CardProfile(
                        ProfileFile(file: "profileText", text: text, files: .names(hall.options.files)))
                default: throw ProfileFileError(file: "card", reason: "give either profile or profileText")
                }
            } catch {
                throw Problem.profile(error)
            }
            let card = try shelf.add(profile, id: id)
            return try Response.json(
                CardView(card), status: .created, headers: [.location: "/v1/cards/\(card.id)"])
        }
        routes.get("/v1/cards/{id}", .observer) { _, context in
            try .json(CardView(try shelf.card(context.parameters.require("id"))))
        }
        routes.delete("/v1/cards/{id}", .operator) { _, context in
            try shelf.remove(context.parameters.require("id"))
            return Response(status: .noContent)
        }
        routes.post("/v1/cards/{id}/unlock", .operator) { _, context in
            let card = try shelf.card(context.parameters.require("id"))
            card.unlock()
            return try Response.json(CardView(card))
        }
        routes.post("/v1/cards/{id}/lock", .operator) { _, context in
            let card = try shelf.card(context.parameters.require("id"))
            card.relock()
            return try Response.json(CardView(card))
        }
        routes.post("/v1/cards/{id}/reset", .operator) { _, context in
            let card = try shelf.card(context.parameters.require("id"))
            guard card.terminal == nil else { throw Problem.conflict("card \(card.id) lies in a field") }
            try card.reset()
            return try Response.json(CardView(card))
        }
    }
}

extension UInt8 {
    /// Letters, digits, `.`, `_` and `-`.
    var isNameByte: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
            || self == 0x2D
            || self == 0x2E || self == 0x5F
    }
}
