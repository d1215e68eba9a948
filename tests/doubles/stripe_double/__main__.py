"""`python -m tests.doubles.stripe_double`: a Stripe on loopback until it is interrupted."""

import sys
import threading

from tests.doubles.stripe_double.double import (
    API_KEY,
    CONNECT_SECRET,
    PLATFORM_SECRET,
    StripeDouble,
)


def main() -> int:
    """Say what a platform is set up with, and serve."""
    with StripeDouble() as double:
        lines = {
            "STRIPE_API_KEY": API_KEY,
            "STRIPE_API_BASE": double.url,
            "STRIPE_WEBHOOK_SECRET": PLATFORM_SECRET,
            "STRIPE_CONNECT_WEBHOOK_SECRET": CONNECT_SECRET,
        }
        sys.stdout.write("".join(f"{name}={value}\n" for name, value in lines.items()))
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
