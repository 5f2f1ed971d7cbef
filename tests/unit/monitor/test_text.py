from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from trident.monitor.text import Family


def test_family_is_read_back_as_it_was_written() -> None:
    family = Family("a_bytes", "gauge", "Something.")
    family.add(2**53 - 1, name='with "quotes", a \\ and a\nbreak')
    family.add(0.1)

    (read,) = text_string_to_metric_families(family.text())

    assert [(sample.labels, sample.value) for sample in read.samples] == [
        ({"name": 'with "quotes", a \\ and a\nbreak'}, 2**53 - 1),
        ({}, 0.1),
    ]


def test_family_without_samples_is_absent() -> None:
    assert Family("a", "counter", "Something.").text() == ""
