"""An XML file as small trees, one entry at a time: no DTD, no entities, flat memory.

Namespaces are passed over, so that every version of a message is read by one reader.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.sax import parseString  # type: ignore[import-untyped]

from rails.statements.model import Unreadable, check_size

_DEEPEST: Final = 40
_LONGEST_TEXT: Final = 10_000


@dataclass(slots=True)
class Node:
    """An element: its name without a prefix, its attributes, text and children, and its line."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Node"]:
        """The children of a name."""
        return (child for child in self.children if child.name == name)

    def at(self, path: str) -> "Node | None":
        """The first descendant on a path of names, parted by slashes."""
        found: Node | None = self
        for name in path.split("/"):
            if found is None:
                return None
            found = next(found.all(name), None)
        return found

    def say(self, path: str) -> str:
        """The text on a path, trimmed; empty where there is none."""
        found = self.at(path)
        return "" if found is None else found.text.strip()

    def every(self, path: str) -> list[str]:
        """The texts of all elements on a path, trimmed, those without any left out."""
        nodes = [self]
        for name in path.split("/"):
            nodes = [child for node in nodes for child in node.all(name)]
        return [text for node in nodes if (text := node.text.strip())]


Take = Callable[[Node, tuple[str, ...]], bool]
"""Given an element that ended and the names above it: whether it is used up and may go."""


def walk(data: bytes, take: Take) -> None:
    """Give each element to `take` when it ends; what it uses up is forgotten.

    Raises:
        Unreadable: no XML, or one with a DTD, entities, or deeper than any statement.
    """
    check_size(data)
    handler = _Handler(take)
    try:
        parseString(data, handler, forbid_dtd=True)
    except DefusedXmlException:
        raise Unreadable(handler.line, "the XML has a DTD or entities") from None
    except SAXParseException as error:
        line = error.getLineNumber() or 0
        raise Unreadable(line, f"no sound XML: {error.getMessage()}") from None
    except (LookupError, ValueError) as error:
        raise Unreadable(handler.line, f"no sound XML: {str(error)[:100]}") from None


class _Handler(ContentHandler):
    """Builds the trees."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take
        self._open: list[Node] = []
        self._locator: Locator | None = None

    @property
    def line(self) -> int:
        """Where the parser is."""
        return (self._locator.getLineNumber() or 0) if self._locator else 0

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802  SAX's own name
        """Remember who knows the line."""
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802  SAX's own name
        """An element begins."""
        if len(self._open) >= _DEEPEST:
            raise Unreadable(self.line, "the XML is deeper than any statement")
        attributes = {key.rpartition(":")[2]: attrs.getValue(key) for key in attrs.getNames()}
        self._open.append(Node(name.rpartition(":")[2], attributes, self.line))

    def characters(self, content: str) -> None:
        """Text goes to the element that is open."""
        if self._open:
            node = self._open[-1]
            if len(node.text) + len(content) > _LONGEST_TEXT:
                raise Unreadable(self.line, f"the text of {node.name} is too long")
            node.text += content

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802  SAX's own
        """An element ends: it is used up, or kept by its parent."""
        node = self._open.pop()
        above = tuple(each.name for each in self._open)
        if not self._take(node, above) and self._open:
            self._open[-1].children.append(node)
