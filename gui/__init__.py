"""Stockyard's window: shows what `core` knows, and starts, pauses and stops its work."""
