// The Ledger target.
