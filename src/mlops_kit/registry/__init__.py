"""Which version counts: models by name, version and alias; promotion, rollback, lineage."""
