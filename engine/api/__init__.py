"""The HTTP API: `/v1` over the engine's services, an async edge around synchronous rooms."""
