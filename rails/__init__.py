"""The port to payment rails and its adapters."""
