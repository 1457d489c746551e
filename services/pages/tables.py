"""Tables as data: what reports and inspections show on their pages and on the screen alike."""

from dataclasses import dataclass, replace

MOST_IN_SIGHT = 20


@dataclass(frozen=True)
class Line:
    """One line of a table; `kind` is its look: best, pruned, failed or running."""

    cells: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Lines under titles; the line's header is the column `head`, and columns in `figures` are numbers.

    `shown` lines are in sight, `folded` ones behind a click, and `more` were cut off.
    """

    caption: str
    titles: tuple[str, ...]
    lines: tuple[Line, ...]
    head: int = 0
    figures: frozenset[int] = frozenset()
    more: int = 0

    @property
    def words_last(self) -> bool:
        """Whether the last column is text, which takes the room that is left."""
        return len(self.titles) - 1 not in self.figures

    @property
    def shown(self) -> tuple[Line, ...]:
        """The first lines."""
        return self.lines if len(self.lines) <= MOST_IN_SIGHT + 3 else self.lines[:MOST_IN_SIGHT]

    @property
    def folded(self) -> tuple[Line, ...]:
        """The rest of them."""
        return self.lines[len(self.shown) :]

    def cut(self, most: int) -> "Table":
        """The table with its first `most` lines, and how many more there were."""
        return replace(self, lines=self.lines[:most], more=max(0, len(self.lines) - most))
