from __future__ import annotations

import json

import pytest
from triton_fakes import Request

from trident.triton.stub import trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced(Request):
    """As Triton gives it: ``context`` is of its own span, None where it does not trace."""

    def __init__(self, context: str | None, parameters: str = "{}") -> None:
        super().__init__({}, parameters)
        self._context = context

    def trace(self) -> Traced:
        return self

    def get_context(self) -> str | None:
        return self._context


def test_tritons_own_span_is_the_parent() -> None:
    request = Traced(json.dumps({"traceparent": PARENT}), json.dumps({"traceparent": "the client's"}))
    assert trace.context(request) == {"traceparent": PARENT}


@pytest.mark.parametrize("context", [None, ""])
def test_without_one_it_is_the_clients_whatever_the_case_of_its_header(context: str | None) -> None:
    parameters = {"Traceparent": PARENT, "tracestate": "a=1", "temperature": 0}
    assert trace.context(Traced(context, json.dumps(parameters))) == {"traceparent": PARENT, "tracestate": "a=1"}


@pytest.mark.parametrize("value", [7, None, ["x"], "x" * 513])
def test_what_is_no_trace_context_is_left_out(value: object) -> None:
    assert trace.context(Traced(None, json.dumps({"traceparent": value}))) == {}


def test_without_parameters_there_is_none() -> None:
    assert trace.context(Traced(None, "")) == {}
