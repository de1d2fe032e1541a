"""The broker whose queue is one SQLite file."""
