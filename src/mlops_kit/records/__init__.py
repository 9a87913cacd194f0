"""Frozen values that are written to a store, and the codec that writes them; standard library only."""
