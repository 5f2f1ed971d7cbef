from __future__ import annotations

from trident.supervisor.metrics import children
from trident.supervisor.metrics.exposition import as_text
from trident.supervisor.state import ChildState


def test_children_are_told_apart_by_their_label() -> None:
    listed = [
        ChildState(
            name=name, log_path="", process=None, phase="", since=0, is_ready=up, restarts=3, crash_loop=2, mended=1
        )
        for name, up in (("engine host", True), ("tritonserver", False))
    ]
    text = as_text(children.of(listed)).decode()
    assert 'trident_child_up{child="engine host"} 1.0\ntrident_child_up{child="tritonserver"} 0.0\n' in text
    assert 'trident_child_restarts_total{child="tritonserver"} 3.0' in text
    assert 'trident_child_mended_total{child="tritonserver"} 1.0' in text
    assert 'trident_child_crash_loop_restarts{child="tritonserver"} 2.0' in text


def test_no_children_no_families() -> None:
    assert children.of([]) == []
