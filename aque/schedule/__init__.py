"""Pure policy: what to run next. Knows no database, no process and no clock."""
