"""How a result becomes an exit code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import typer
from example_result import write_example

from trident.bench.result import Counts, ErrorCount, Result
from trident.cli.bench_session import _judge
from trident.errors import ClientBound, RequestFailed, ServerFailed, TridentError


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_example(tmp_path_factory.mktemp("x"), concurrencies=(1,))


def judged(result: Result, *, allow_client_bound: bool = False) -> None:
    _judge(result, allow_client_bound=allow_client_bound)


def with_point(result: Result, *, of_result: dict[str, Any] | None = None, **of_point: Any) -> Result:
    point = msgspec.structs.replace(result.points[0], **of_point)
    return msgspec.structs.replace(result, points=[point], **(of_result or {}))


def test_good_result_is_no_error(example: Result) -> None:
    judged(example)


def test_client_bound_result_is_refused_unless_allowed(example: Result) -> None:
    client = msgspec.structs.replace(example.points[0].client, client_bound=True, reasons=["it was busy"])
    bound = with_point(example, client=client)
    with pytest.raises(ClientBound, match="concurrency 1") as refused:
        judged(bound)
    assert (refused.value.exit_code, refused.value.why) == (7, "it was busy")
    judged(bound, allow_client_bound=True)


def test_many_failures(example: Result) -> None:
    counts = Counts(sent=100, ok=80, errors=20, unfinished=0)
    errors = [ErrorCount(kind="http_503", count=20, example="full")]
    with pytest.raises(RequestFailed, match="20 of 100") as refused:
        judged(with_point(example, counts=counts, errors=errors))
    assert "20 x http_503: full" in refused.value.why


def test_few_failures_are_no_error(example: Result) -> None:
    judged(with_point(example, counts=Counts(sent=100, ok=95, errors=5, unfinished=0)))


def test_server_that_went_away(example: Result) -> None:
    cut = {"complete": False, "partial_reason": "stopped by server gone: 30 x connect"}
    with pytest.raises(ServerFailed):
        judged(with_point(example, of_result=cut, stopped_by="server gone"))


def test_interruption_is_130(example: Result) -> None:
    cut = msgspec.structs.replace(example, complete=False, partial_reason="interrupted", points=[])
    with pytest.raises(typer.Exit) as ended:
        judged(cut)
    assert ended.value.exit_code == 130


def test_dead_client_process(example: Result) -> None:
    cut = msgspec.structs.replace(example, complete=False, partial_reason="client process 7 has died")
    with pytest.raises(TridentError, match="cut short") as refused:
        judged(cut)
    assert refused.value.exit_code == 1
