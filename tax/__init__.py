"""Tax rules and forms."""
