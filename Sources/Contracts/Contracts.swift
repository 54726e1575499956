// The Contracts target.
