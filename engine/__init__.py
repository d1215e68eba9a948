"""The assembled program: HTTP API, workers, group commit, command line."""
