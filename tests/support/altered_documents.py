"""Documents that Hypothesis has changed anywhere: what parsers are fed with."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from((2**63, 2**64, -1, 10**400, 1e300, "\ud800", "\x1b[2J", "eA==", "!")),
)  # fmt: skip
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def altered(draw: Any, document: Any) -> Any:
    """A good document of which any part is something else, missing, or there twice."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_ANYTHING)
    if isinstance(document, dict):
        names = [name for name in document if draw(st.integers(0, 19))]
        return {name: draw(altered(document[name])) for name in names}
    if isinstance(document, list):
        return [draw(altered(item)) for item in document for _ in range(draw(st.integers(0, 2)))]
    return document
