internal import Foundation
internal import Hummingbird
internal import Journal
internal import NIOCore

struct VerificationView: Encodable, Sendable {
    var sound: Bool
    var transactions: Int
    var changes: Int
    var problems: [String]
}

struct JournalRoutes: Sendable {
    let hall: TerminalHall

    static func filter(_ query: Query) throws(Problem) -> JournalFilter {
        var filter = JournalFilter(
            terminalID: query["terminal"], since: try query.time("since"), until: try query.time("until"))
        if let words = query["state"] {
            for word in words.split(separator: ",") {
                guard let state = TransactionState(rawValue: String(word)) else {
                    throw .bad(
                        "state is \"\(word.prefix(40))\": expected some of \(TransactionState.allCases.map(\.rawValue).joined(separator: ", "))"
                    )
                }
                filter.states.append(state)
            }
        }
        if let digits = query["lastFour"] {
            guard digits.utf8.count == 4, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .bad("lastFour has four digits")
            }
            filter.lastFour = digits
        }
        return filter
    }

    func add(to routes: Routes) {
        let hall = hall
        routes.get("/v1/journal", .observer) { request, _ in
            let query = Query(request)
            let page = try await hall.journalPage(
                try Self.filter(query), limit: try Paging.limit(query), cursor: query["cursor"])
            return try Response.json(Page(items: page.items.map(JournalView.init), next: page.next))
        }
        routes.stream("/v1/journal/export", .export) { request, _ in
            let query = Query(request)
            let word = query["format"] ?? "json"
            guard let format = JournalExport.Format(rawValue: word) else {
                throw Problem.bad("format is \"\(word.prefix(40))\": expected csv or json")
            }
            let filter = try Self.filter(query)
            let journal = hall.options.journal
            // Page by page, as a journal may be larger than memory.
            let body = ResponseBody { writer in
                var count = 0
                var last: String?
                try await writer.write(
                    ByteBuffer(string: format == .csv ? JournalExport.csvHeading + "\r\n" : "["))
                while true {
                    let page = try await journal.list(filter, order: .oldestFirst, after: last, limit: 500)
                    var text = ""
                    for record in page {
                        switch format {
                        case .csv: text += JournalExport.csv(record) + "\r\n"
                        case .json: text += (count == 0 ? "\n" : ",\n") + JournalExport.json(record)
                        }
                        count += 1
                    }
                    if !text.isEmpty { try await writer.write(ByteBuffer(string: text)) }
                    guard page.count == 500, let end = page.last else { break }
                    last = end.id
                }
                if format == .json { try await writer.write(ByteBuffer(string: "\n]\n")) }
                try await writer.finish(nil)
            }
            return Response(
                status: .ok,
                headers: [
                    .contentType: format == .csv
                        ? "text/csv; charset=utf-8; header=present" : "application/json; charset=utf-8",
                    .contentDisposition: "attachment; filename=\"journal.\(format.rawValue)\"",
                    .cacheControl: "no-store",
                ], body: body)
        }
        routes.get("/v1/journal/verification", .observer) { _, _ in
            let result = try await hall.verification()
            return try Response.json(
                VerificationView(
                    sound: result.isSound, transactions: result.transactions, changes: result.changes,
                    problems: Array(result.problems.prefix(200))))
        }
        routes.get("/v1/journal/{id}", .observer) { _, context in
            try .json(try await hall.journalEntry(context.parameters.require("id")))
        }
    }
}
