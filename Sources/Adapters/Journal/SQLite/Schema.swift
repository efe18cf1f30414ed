internal import EMV
internal import Foundation
internal import GRDB

/// The tables, and how older files come to the present form.
enum Schema {
    /// "TapB" in SQLite's application_id.
    static let applicationID: Int32 = 0x5461_7042
    /// SQLite's user_version. A new version appends a migration.
    static var version: Int { migrations.count }

    /// Each brings a file from its index to the next version, inside one transaction. Columns that are added
    /// to `transactions` must be able to be null, so that digests of older rows stay right.
    static let migrations: [String] = [
        """
        CREATE TABLE journal (
            only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1), id TEXT NOT NULL, chain TEXT NOT NULL
        ) STRICT;
        CREATE TABLE terminals (
            id TEXT PRIMARY KEY NOT NULL, batch INTEGER NOT NULL, stan INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE days (
            day TEXT PRIMARY KEY NOT NULL, issued INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE transactions (
            id TEXT PRIMARY KEY NOT NULL, terminal TEXT NOT NULL REFERENCES terminals(id),
            merchant TEXT NOT NULL, batch INTEGER NOT NULL,
            stan INTEGER NOT NULL CHECK (stan BETWEEN 1 AND 999999),
            rrn TEXT NOT NULL CHECK (length(rrn) = 12), day TEXT NOT NULL,
            state TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
            amount INTEGER NOT NULL, amount_other INTEGER NOT NULL, currency INTEGER NOT NULL,
            exponent INTEGER NOT NULL, type INTEGER NOT NULL,
            pan TEXT CHECK (pan NOT GLOB '*[0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'),
            pan_sequence INTEGER, aid TEXT, label TEXT, kernel INTEGER, outcome TEXT, cvm TEXT,
            tvr TEXT, entry_mode TEXT, token_requestor TEXT, form_factor TEXT, backend TEXT,
            request_digest BLOB, response_code TEXT, authorization_code TEXT, approved_amount INTEGER,
            reason TEXT, reversal_reason TEXT, reversal_attempts INTEGER NOT NULL DEFAULT 0,
            forward_attempts INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0,
            UNIQUE (terminal, batch, stan), UNIQUE (day, rrn)
        ) STRICT;
        CREATE INDEX transactions_by_state ON transactions (terminal, state);
        CREATE TABLE state_changes (
            sequence INTEGER PRIMARY KEY NOT NULL, transaction_id TEXT NOT NULL REFERENCES transactions(id),
            state TEXT NOT NULL, at TEXT NOT NULL, detail TEXT, row_digest BLOB NOT NULL, chain BLOB NOT NULL
        ) STRICT;
        CREATE INDEX state_changes_by_transaction ON state_changes (transaction_id);
        """,
        """
        CREATE TABLE kept (
            transaction_id TEXT PRIMARY KEY NOT NULL REFERENCES transactions(id), sealed BLOB NOT NULL
        ) STRICT;
        """,
        """
        CREATE TABLE kept_state (
            terminal TEXT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, sealed BLOB NOT NULL,
            PRIMARY KEY (terminal, name)
        ) STRICT;
        """,
        """
        ALTER TABLE transactions ADD COLUMN purpose TEXT;
        ALTER TABLE transactions ADD COLUMN final_amount INTEGER;
        ALTER TABLE transactions ADD COLUMN adjustment TEXT;
        ALTER TABLE transactions ADD COLUMN revision INTEGER;
        ALTER TABLE transactions ADD COLUMN adjustment_attempts INTEGER;
        ALTER TABLE transactions ADD COLUMN idempotency_key TEXT;
        ALTER TABLE transactions ADD COLUMN fingerprint BLOB;
        ALTER TABLE transactions ADD COLUMN original TEXT;
        ALTER TABLE transactions ADD COLUMN settled_batch INTEGER;
        CREATE UNIQUE INDEX transactions_by_key ON transactions (terminal, idempotency_key)
            WHERE idempotency_key IS NOT NULL;
        CREATE INDEX transactions_by_original ON transactions (original) WHERE original IS NOT NULL;
        CREATE TABLE batches (
            terminal TEXT NOT NULL REFERENCES terminals(id), batch INTEGER NOT NULL, merchant TEXT NOT NULL,
            currency INTEGER NOT NULL, exponent INTEGER NOT NULL, state TEXT NOT NULL,
            stan INTEGER NOT NULL CHECK (stan BETWEEN 1 AND 999999),
            debits INTEGER NOT NULL, debit_amount INTEGER NOT NULL, credits INTEGER NOT NULL,
            credit_amount INTEGER NOT NULL, closing_at TEXT NOT NULL, updated_at TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, uploaded INTEGER NOT NULL DEFAULT 0,
            host_debits INTEGER, host_debit_amount INTEGER, host_credits INTEGER, host_credit_amount INTEGER,
            PRIMARY KEY (terminal, batch)
        ) STRICT;
        CREATE TABLE batch_items (
            transaction_id TEXT PRIMARY KEY NOT NULL REFERENCES transactions(id),
            terminal TEXT NOT NULL, batch INTEGER NOT NULL,
            FOREIGN KEY (terminal, batch) REFERENCES batches(terminal, batch)
        ) STRICT;
        CREATE INDEX batch_items_by_batch ON batch_items (terminal, batch);
        CREATE TABLE anchor (
            only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1), sequence INTEGER NOT NULL, chain BLOB NOT NULL,
            transactions INTEGER NOT NULL, at TEXT NOT NULL, sealed BLOB NOT NULL
        ) STRICT;
        """,
        // A key is looked for at all terminals, too.
        """
        CREATE INDEX transactions_by_key_alone ON transactions (idempotency_key) WHERE idempotency_key IS NOT NULL;
        """,
        // What takes the place of a transaction is named by that one, apart from clients' keys.
        """
        ALTER TABLE transactions ADD COLUMN replaces TEXT;
        CREATE UNIQUE INDEX transactions_by_replaced ON transactions (replaces) WHERE replaces IS NOT NULL;
        """,
    ]

    static func userVersion(_ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    }

    /// Inside a transaction: makes a new journal, or brings an older one to `version`.
    static func migrate(_ database: Database) throws {
        let found = try userVersion(database)
        guard found < version else { return }
        for migration in migrations[max(0, found)...] { try database.execute(sql: migration) }
        if (4..<6).contains(found) { try separateInternalKeys(database) }
        if found == 0 {
            try database.execute(
                sql: "INSERT INTO journal (only, id, chain) VALUES (1, ?, 'sha-256')",
                arguments: [UUID().uuidString])
        }
        try database.execute(
            sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version);")
    }

    /// With schemas 4 and 5 a transaction in place of another was found by the idempotency key `again:ID`, and named that one
    /// as its original. It names in `replaces` now, and gives back what that one gave back. What a client wrote under such
    /// a key stays as it is: a client's original is given back by a refund, and never a refund itself.
    private static func separateInternalKeys(_ database: Database) throws {
        let ids = try String.fetchAll(
            database,
            sql: """
                SELECT id FROM transactions WHERE idempotency_key = 'again:' || original AND purpose = 'deferred'
                AND (type <> 32 OR EXISTS (SELECT 1 FROM transactions AS earlier
                    WHERE earlier.id = transactions.original AND earlier.type = 32))
                ORDER BY id
                """)
        guard !ids.isEmpty else { return }
        let chain = ChangeChain(try Verifying.checkEnd(database))
        for id in ids {
            let row = try SQLiteJournal.first(
                database, "transaction \(id)",
                """
                UPDATE transactions SET replaces = original, idempotency_key = NULL, fingerprint = NULL, original =
                    (SELECT earlier.original FROM transactions AS earlier WHERE earlier.id = transactions.original)
                WHERE id = ? RETURNING \(StoredRow.transactionList)
                """, [id])
            // The time of the change before it: nothing happened to the payment.
            try SQLiteJournal.append(
                database, chain, row, id, row.state(7), row.text(9),
                "schema 6: named by the transaction that it replaces")
        }
    }

    /// For a connection that may only read an older file: columns that this file has not yet read as empty ones.
    static func coverMissingColumns(_ database: Database) throws {
        let present = Set(try database.columns(in: "transactions").map(\.name))
        let columns = StoredRow.transactionColumns.map { present.contains($0) ? $0 : "NULL AS \($0)" }
        try database.execute(
            sql:
                "CREATE TEMP VIEW transactions AS SELECT \(columns.joined(separator: ", ")) FROM main.transactions"
        )
    }

    /// Where the chain begins: after what was pruned, else at the journal's identity.
    static func start(_ database: Database) throws -> ChangeChain.Head {
        let genesis = try genesis(database)
        guard let row = try Row.fetchOne(database, sql: "SELECT sequence, chain FROM anchor") else {
            return ChangeChain.Head(sequence: 0, link: genesis)
        }
        let stored = StoredRow(row, of: "anchor")
        return ChangeChain.Head(sequence: try stored.integer(0), link: try stored.bytes(1))
    }

    static func genesis(_ database: Database) throws -> [UInt8] {
        guard let row = try Row.fetchOne(database, sql: "SELECT id, chain FROM journal") else {
            throw StoredRow.Unfit(reason: "it has no identity")
        }
        let stored = StoredRow(row, of: "journal")
        guard try stored.text(1) == "sha-256" else {
            throw StoredRow.Unfit(reason: "its chain is of an unknown kind")
        }
        return ChangeChain.genesis(journalID: try stored.text(0))
    }
}
