"""Span arithmetic against the plain sets of moments it stands for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.spans import Span, clipped, merged, without

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda one: Span(one[0], sum(one))),
    max_size=8,
)


def moments(of: list[Span]) -> set[int]:
    return {moment for span in of for moment in range(span.start, span.end)}


@given(spans)
def test_merging_keeps_the_moments_in_the_fewest_spans(some) -> None:
    result = merged(some)
    assert moments(result) == moments(some)
    assert all(one.end < two.start for one, two in itertools.pairwise(result))


@given(spans, spans)
def test_cutting_out(some, taken) -> None:
    assert moments(without(some, taken)) == moments(some) - moments(taken)


@given(spans, st.integers(0, 60), st.integers(1, 30))
def test_clipping(some, start, length) -> None:
    window = Span(start, start + length)
    assert moments(clipped(some, window)) == moments(some) & moments([window])


def test_a_span_needs_a_length() -> None:
    with pytest.raises(BadInput):
        Span(5, 5)
