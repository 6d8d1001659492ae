"""The checks of parameters: what each returns, and that it refuses by name."""

import re
from fractions import Fraction

import numpy as np
import pytest
from amaranth import *

from rtl.validate import (
    boolean,
    divisor,
    integer,
    number,
    of_type,
    one_of,
    pair,
    power_of_two,
    shape,
)


def test_returns_what_to_keep():
    assert type(integer("x", np.int8(5), 0, 5)) is int
    assert power_of_two("x", 0, 0, 8) == 0 and power_of_two("x", 8, 1, 8) == 8
    assert divisor("x", 3, 6, "columns") == 3
    assert number("x", Fraction(1, 3), 0, 1) == Fraction(1, 3)
    assert boolean("x", False) is False
    assert one_of("x", "b", {"a": 1, "b": 2}) == "b" and one_of("x", 0, (0, 31)) == 0
    assert of_type("x", 3, int) == 3
    assert pair("x", [1, 2]) == (1, 2)
    assert shape("x", signed(3)) == signed(3)


@pytest.mark.parametrize("check, arguments, error, message", [
    (integer, (4.0, 0, 5), TypeError, "x must be an integer, not 4.0"),
    (integer, (True, 0, 5), TypeError, "x must be an integer, not True"),
    (integer, (6, 0, 5), ValueError, "x must be between 0 and 5, not 6"),
    (power_of_two, (3, 1, 8), ValueError, "x must be a power of two, not 3"),
    (power_of_two, (3, 0, 8), ValueError, "x must be 0 or a power of two, not 3"),
    (power_of_two, (0, 1, 8), ValueError, "x must be between 1 and 8, not 0"),
    (divisor, (4, 6, "columns"), ValueError, "x must divide the 6 columns, not be 4"),
    (divisor, (7, 6, "columns"), ValueError, "x must be between 1 and 6, not 7"),
    (number, ("1", 0, 2), TypeError, "x must be a number, not '1'"),
    (number, (True, 0, 2), TypeError, "x must be a number, not True"),
    (number, (float("nan"), 0, 2), ValueError, "x must be between 0 and 2, not nan"),
    (boolean, (1,), TypeError, "x must be a boolean, not 1"),
    (one_of, ("c", ("a", "b")), ValueError, "x must be one of a, b, not 'c'"),
    (one_of, (["a"], {"a": 1, "b": 2}), TypeError, "x must be one of a, b, not ['a']"),
    (one_of, (2, (1, 4)), ValueError, "x must be one of 1, 4, not 2"),
    (one_of, (1.0, (1, 4)), TypeError, "x must be an integer, not 1.0"),
    (one_of, (True, (1, 4)), TypeError, "x must be an integer, not True"),
    (of_type, (3, str), TypeError, "x must be str, not 3"),
    (of_type, (3, str, "a string"), TypeError, "x must be a string, not 3"),
    (pair, ("ab",), TypeError, "x must be a pair, not 'ab'"),
    (pair, ((1, 2, 3),), ValueError, "x must be a pair, not (1, 2, 3)"),
    (shape, ("wide",), TypeError, "x must be a shape, not 'wide'"),
    (shape, (-1,), TypeError, "x must be a shape, not -1"),
])
def test_refuses(check, arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        check("x", *arguments)
