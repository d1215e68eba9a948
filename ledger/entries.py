"""Writing down journal entries: a book, a currency, and accounts with what moves on them."""

from ledger.model import AccountKey, Book, Entry, Line

Entries = tuple[Entry, ...]


def entry(book: Book, currency: str, *lines: tuple[AccountKey, int]) -> Entries:
    """One entry, debits positive; lines of zero are left out, and so is an entry without lines."""
    kept = tuple(Line(key, amount) for key, amount in lines if amount)
    return (Entry(book, currency, kept),) if kept else ()


def custody(currency: str, *lines: tuple[AccountKey, int]) -> Entries:
    """One entry in the book of client money."""
    return entry(Book.CUSTODY, currency, *lines)


def platform(currency: str, *lines: tuple[AccountKey, int]) -> Entries:
    """One entry in the platform's own book."""
    return entry(Book.PLATFORM, currency, *lines)
