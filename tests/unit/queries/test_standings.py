"""Names of generations."""

from __future__ import annotations

import pytest

from diptych.queries.standings import projection_of


@pytest.mark.parametrize(
    ("name", "projection"),
    [
        ("carts", "carts"),
        ("carts__1", "carts"),
        ("cart_pages__12", "cart_pages"),
        ("carts__0", "carts__0"),
        ("carts__x", "carts__x"),
        ("__1", "__1"),
    ],
)
def test_people_name_the_projection_and_not_its_generation(name: str, projection: str):
    assert projection_of(name) == projection
