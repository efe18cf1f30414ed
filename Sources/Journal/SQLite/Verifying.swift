internal import EMV
internal import Foundation
internal import GRDB

/// Checks of what is stored against itself.
enum Verifying {
    /// How many of the last changes are checked at every opening.
    static let end = 1000
    private static let greatestReport = 100

    /// Checks the last changes and that no row lies beyond them.
    /// - Returns: where the chain ends.
    static func checkEnd(_ database: Database) throws -> ChangeChain.Head {
        var head = ChangeChain.Head(sequence: 0, link: try Schema.genesis(database))
        var expectsGenesis = true
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT * FROM (SELECT \(StoredRow.changeList) FROM state_changes
                    ORDER BY sequence DESC LIMIT \(end + 1)) ORDER BY sequence
                """)
        if rows.count > end {
            expectsGenesis = false
        }
        for (index, row) in rows.enumerated() {
            let stored = StoredRow(row, of: "state_changes")
            if index == 0, !expectsGenesis {
                head = ChangeChain.Head(sequence: try stored.integer(0), link: try stored.bytes(6))
                continue
            }
            if let problem = try advance(&head, stored) { throw StoredRow.Unfit(reason: problem) }
        }
        return head
    }

    /// - Returns: what is wrong with the row as the one that follows `head`; nil where it fits.
    private static func advance(_ head: inout ChangeChain.Head, _ row: StoredRow) throws -> String? {
        let sequence = try row.integer(0)
        let link = try row.bytes(6)
        let expected = ChangeChain.link(
            after: head.link, sequence: head.sequence + 1, id: try row.text(1), state: try row.text(2),
            at: try row.text(3), detail: try row.optionalText(4), row: try row.bytes(5))
        let isRight = link == expected && sequence == head.sequence + 1
        head = ChangeChain.Head(sequence: sequence, link: link)
        return isRight ? nil : "change \(sequence): the chain is broken"
    }

    static func all(_ database: Database, _ keyFile: KeyFile) throws -> JournalVerification {
        var result = JournalVerification(transactions: 0, changes: 0, problems: [])
        func report(_ problem: String) {
            if result.problems.count < greatestReport { result.problems.append(problem) }
        }
        for problem in try String.fetchAll(database, sql: "PRAGMA integrity_check(20)")
        where problem != "ok" { report(problem) }
        if try Row.fetchOne(database, sql: "PRAGMA foreign_key_check") != nil {
            report("a row refers to another that is gone")
        }

        var head = ChangeChain.Head(sequence: 0, link: try Schema.genesis(database))
        let changes = try Row.fetchCursor(
            database, sql: "SELECT \(StoredRow.changeList) FROM state_changes ORDER BY sequence")
        while let row = try changes.next() {
            result.changes += 1
            do {
                if let problem = try advance(&head, StoredRow(row, of: "state_changes")) { report(problem) }
            } catch let error as StoredRow.Unfit {
                report(error.reason)
            }
        }

        let count = StoredRow.transactionColumns.count
        let transactions = try Row.fetchCursor(
            database,
            sql: """
                SELECT \(StoredRow.transactionList), (SELECT row_digest FROM state_changes
                    WHERE transaction_id = transactions.id ORDER BY sequence DESC LIMIT 1),
                    (SELECT state FROM state_changes
                    WHERE transaction_id = transactions.id ORDER BY sequence DESC LIMIT 1)
                FROM transactions ORDER BY id
                """)
        while let row = try transactions.next() {
            result.transactions += 1
            let stored = StoredRow(row, of: "transactions")
            do {
                let record = try stored.transaction()
                guard let digest = try stored.optionalBytes(count) else {
                    report("transaction \(record.id) has no history")
                    continue
                }
                if try digest != stored.digest(columns: StoredRow.transactionColumns)
                    || stored.optionalText(count + 1) != record.state.rawValue
                {
                    report("transaction \(record.id) is not as its last change left it")
                }
            } catch let error as StoredRow.Unfit {
                report(error.reason)
            }
        }

        let kept = try Row.fetchCursor(
            database,
            sql: """
                SELECT transaction_id, sealed, (SELECT state FROM transactions WHERE id = transaction_id)
                FROM kept ORDER BY transaction_id
                """)
        while let row = try kept.next() {
            let stored = StoredRow(row, of: "kept")
            do {
                let id = try stored.text(0)
                if try !TransactionState.keeping.contains(stored.state(2)) {
                    report("transaction \(id) has ended, but what was kept to forward it is still there")
                }
                if try keyFile.opened(stored.bytes(1), context: id) == nil {
                    report("transaction \(id): what was kept to forward it cannot be deciphered")
                }
            } catch let error as StoredRow.Unfit {
                report(error.reason)
            } catch let error as JournalError {
                report(error.description)
                break
            }
        }

        let states = try Row.fetchCursor(
            database, sql: "SELECT terminal, name, at, sealed FROM kept_state ORDER BY terminal, name")
        while let row = try states.next() {
            let stored = StoredRow(row, of: "kept_state")
            do {
                let (terminal, name) = (try stored.text(0), try stored.text(1))
                let context = SQLiteJournal.stateContext(name, terminal, try stored.text(2))
                if try keyFile.opened(stored.bytes(3), context: context) == nil {
                    report("terminal \(terminal): what was kept as \(name) cannot be deciphered")
                }
            } catch let error as StoredRow.Unfit {
                report(error.reason)
            } catch let error as JournalError {
                report(error.description)
                break
            }
        }

        // A counter that is behind would give a number twice.
        for terminal in try String.fetchAll(
            database,
            sql: """
                SELECT quote(id) FROM terminals WHERE (batch, stan) IS NOT (SELECT batch, stan FROM transactions
                    WHERE terminal = terminals.id ORDER BY batch DESC, stan DESC LIMIT 1)
                """)
        { report("terminal \(terminal): its counters are not those of its last transaction") }
        for day in try String.fetchAll(
            database,
            sql: """
                SELECT quote(day) FROM days
                WHERE issued IS NOT (SELECT count(*) FROM transactions WHERE transactions.day = days.day)
                """)
        { report("day \(day): its counter is not the number of its transactions") }
        return result
    }
}
