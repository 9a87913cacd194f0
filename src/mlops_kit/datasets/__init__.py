"""What went in: versions of tables, kept exactly, found again by name, version, moment or fingerprint."""
