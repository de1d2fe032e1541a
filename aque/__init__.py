"""A durable job queue in one SQLite file. Only names meant for users stand here, loaded lazily."""
