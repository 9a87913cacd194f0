"""How records are shown: pure functions from records to text and HTML."""
