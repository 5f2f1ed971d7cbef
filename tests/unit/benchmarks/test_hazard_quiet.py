from __future__ import annotations

import math

from hazard_quiet import HELD, holdings


def test_holdings_are_the_sum_over_the_engines() -> None:
    page = "\n".join(f'{name}{{engine="{engine}"}} {engine}.5' for name in HELD for engine in (0, 1))
    assert holdings(f"# HELP {HELD[0]} requests\n{page}\n") == dict.fromkeys(HELD, 2.0)


def test_what_the_page_does_not_say_is_not_nothing() -> None:
    assert holdings("HTTP Error 503") == dict.fromkeys(HELD, math.inf)
