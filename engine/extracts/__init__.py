"""Account extracts of parties as they leave the house: JSON, CSV and PDF."""
