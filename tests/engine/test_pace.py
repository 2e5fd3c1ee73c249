"""How long what fails is left alone."""

from segmenter.engine.pace import FIRST_PAUSE_S, LONGEST_PAUSE_S, Pauses


def test_pauses_grow_with_each_failure_in_a_row_up_to_the_longest() -> None:
    pauses = Pauses()

    waited = [pauses.after_failure("orders/0") for _ in range(20)]

    assert FIRST_PAUSE_S / 2 <= waited[0] <= FIRST_PAUSE_S
    assert all(2**number * FIRST_PAUSE_S / 2 <= pause for number, pause in enumerate(waited[:8]))
    assert LONGEST_PAUSE_S / 2 <= waited[-1] <= LONGEST_PAUSE_S


def test_what_has_worked_once_is_tried_again_soon() -> None:
    pauses = Pauses()
    for _ in range(10):
        pauses.after_failure("orders/0")

    pauses.forget("orders/0")

    assert pauses.after_failure("orders/0") <= FIRST_PAUSE_S


def test_each_has_pauses_of_its_own() -> None:
    pauses = Pauses()
    for _ in range(10):
        pauses.after_failure("orders/0")

    assert pauses.after_failure("orders/1") <= FIRST_PAUSE_S
