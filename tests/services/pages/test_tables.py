from contrasweep.services.pages.tables import MOST_IN_SIGHT, Line, Table
from contrasweep.services.pages.templates import pages

GRID = "{% from 'table.html' import grid %}{{ grid(table) }}"


def table(lines: int) -> Table:
    return Table(
        "numbers", ("name", "number"), tuple(Line((f"<{n}>", str(n))) for n in range(lines)), figures=frozenset({1})
    )


def drawn(table: Table) -> str:
    return pages().from_string(GRID).render(table=table)


def test_a_long_table_is_folded_unless_hardly_anything_would_be() -> None:
    assert len(table(MOST_IN_SIGHT + 3).shown) == MOST_IN_SIGHT + 3
    assert (len(table(100).shown), len(table(100).folded)) == (MOST_IN_SIGHT, 100 - MOST_IN_SIGHT)
    assert "80 more rows" in drawn(table(100))


def test_a_table_that_is_cut_says_how_much_it_had() -> None:
    assert (len(table(5).cut(3).lines), table(5).cut(3).more, table(5).cut(9).more) == (3, 2, 0)
    assert "… and 2 more" in drawn(table(5).cut(3)) and "more" not in drawn(table(5).cut(9))


def test_cells_are_quoted_and_figures_told_apart() -> None:
    html = drawn(table(1))
    assert '<th scope="row">&lt;0&gt;</th>' in html and '<td class="figure">0</td>' in html
