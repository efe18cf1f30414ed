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
        var head = try Schema.start(database)
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

    /// Where something was pruned, its place in the chain is vouched for with the journal's key.
    private static func anchor(_ database: Database, _ keyFile: KeyFile) throws -> String? {
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT sequence, chain, transactions, at, sealed FROM anchor")
        else { return nil }
        do {
            let stored = StoredRow(row, of: "anchor")
            let context = try SQLiteJournal.anchorContext(
                database, sequence: stored.integer(0), transactions: stored.integer(2), time: stored.text(3))
            guard try keyFile.opened(stored.bytes(4), context: context) == stored.bytes(1) else {
                return "what was pruned is not vouched for: the beginning of the chain was altered"
            }
            return nil
        } catch let error as StoredRow.Unfit {
            return error.reason
        } catch let error as JournalError {
            return error.description
        }
    }

    /// Each batch has the sums of its transactions, and the states of batch and transactions agree.
    private static func batches(_ database: Database) throws -> [String] {
        var problems: [String] = []
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT batches.terminal, batches.batch, batches.state, debits, debit_amount, credits, credit_amount,
                    count(id), coalesce(sum(type <> 32), 0),
                    coalesce(sum(CASE WHEN type <> 32 THEN taken ELSE 0 END), 0),
                    coalesce(sum(type = 32), 0), coalesce(sum(CASE WHEN type = 32 THEN taken ELSE 0 END), 0),
                    coalesce(sum(item_state = 'settled' AND settled_batch = batches.batch), 0)
                FROM batches LEFT JOIN (SELECT id, type, transactions.state AS item_state, settled_batch,
                        coalesce(final_amount, approved_amount, amount) AS taken,
                        batch_items.terminal AS t, batch_items.batch AS b
                    FROM batch_items JOIN transactions ON id = transaction_id)
                    ON t = batches.terminal AND b = batches.batch
                GROUP BY batches.terminal, batches.batch ORDER BY batches.terminal, batches.batch
                """)
        for row in rows {
            let stored = StoredRow(row, of: "batches")
            do throws(StoredRow.Unfit) {
                let name = "batch \(try stored.integer(1)) of terminal \(try stored.text(0))"
                var numbers: [Int64] = []
                for column in 3...12 { numbers.append(try stored.integer(column)) }
                let count = numbers[4]
                let announced = numbers[0] + numbers[2]
                let state = try stored.text(2)
                let isClosed = state == BatchState.closed.rawValue
                // Of a closed batch transactions may have been pruned.
                if count > announced || count < announced && !isClosed {
                    problems.append("\(name): it has not its number of transactions")
                }
                if count == announced, Array(numbers[0...3]) != Array(numbers[5...8]) {
                    problems.append("\(name): its sums are not those of its transactions")
                }
                if numbers[9] != (isClosed ? count : 0) {
                    problems.append("\(name): its transactions are not in the state that it is in")
                }
            } catch {
                problems.append(error.reason)
            }
        }
        return problems
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

        if let problem = try anchor(database, keyFile) { report(problem) }
        var head = try Schema.start(database)
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
                    report("transaction \(id) has ended, but what was kept for it is still there")
                }
                if try keyFile.opened(stored.bytes(1), context: id) == nil {
                    report("transaction \(id): what was kept for it cannot be deciphered")
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
                SELECT quote(id) FROM terminals WHERE EXISTS (SELECT 1 FROM transactions
                    WHERE terminal = terminals.id
                    AND (transactions.batch, transactions.stan) > (terminals.batch, terminals.stan))
                """)
        { report("terminal \(terminal): its counters are behind its last transaction") }
        for day in try String.fetchAll(
            database,
            sql: """
                SELECT quote(day) FROM days WHERE issued < max(
                    (SELECT count(*) FROM transactions WHERE transactions.day = days.day),
                    coalesce((SELECT max(CAST(substr(rrn, -8) AS INTEGER)) FROM transactions
                        WHERE transactions.day = days.day), 0))
                """)
        { report("day \(day): its counter is behind its transactions") }
        for problem in try batches(database) { report(problem) }
        return result
    }
}
