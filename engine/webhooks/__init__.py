"""Webhooks that we send: signed, again until they arrive, and never to where they must not go."""
