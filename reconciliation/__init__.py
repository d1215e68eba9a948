"""Statements of rails and banks against the books."""
