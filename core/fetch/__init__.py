"""Fetching on a large scale: orders become lines of work, and lanes of workers see to them."""
