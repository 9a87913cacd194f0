"""The command line: one verb per question, each one public Python call."""
