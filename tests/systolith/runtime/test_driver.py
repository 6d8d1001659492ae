"""What the driver refuses, whatever it drives."""

import pytest

from systolith.runtime.driver import AcceleratorDriver


class Nothing(AcceleratorDriver):
    """Takes commands for nobody."""

    def post_write(self, address, words):
        raise AssertionError("there is nothing to write")

    def post_read(self, addresses):
        raise AssertionError("there is nothing to read")

    def post_wait(self):
        raise AssertionError("there is nothing to wait for")


@pytest.mark.parametrize("use", [lambda driver: driver.run(), lambda driver: driver.tensor(0),
                                 lambda driver: next(driver.run_many([]))])
def test_nothing_runs_without_a_program(use):
    with pytest.raises(RuntimeError, match="^no program is loaded: load one before it is to run$"):
        use(Nothing())
