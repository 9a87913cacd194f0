"""The only floor that reads and writes stores: backends, objects, journals, run records, trust, checks."""
