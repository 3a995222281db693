"""The allowance of answers of 404 between two proofs."""

from reaper.core.allowance import Allowance


def use(allowance: Allowance, n: int, now: float = 0.0) -> None:
    for _ in range(n):
        allowance.count(now)


def read(allowance: Allowance) -> None:
    allowance.begin_read()
    allowance.succeed()


def test_five_are_booked_and_a_read_is_due_when_half_are() -> None:
    allowance = Allowance()
    assert (allowance.read_due(), allowance.owes_read) == (None, False)
    use(allowance, 2, now=7.0)
    assert (allowance.read_due(), allowance.owes_read) == (57.0, True)
    use(allowance, 3, now=9.0)
    assert (allowance.read_due(), allowance.is_exceeded) == (float("-inf"), False)
    use(allowance, 1)
    assert allowance.is_exceeded


def test_it_grows_fourfold_with_each_read_that_has_something_to_confirm() -> None:
    allowance = Allowance()
    read(allowance)
    assert allowance.limit == 5
    limits = []
    for _ in range(6):
        use(allowance, allowance.limit)
        read(allowance)
        assert (allowance.used, allowance.owes_read, allowance.read_due()) == (0, False, None)
        limits.append(allowance.limit)
    assert limits == [20, 80, 320, 500, 500, 500]


def test_a_2xx_begins_the_count_anew_and_keeps_the_comparison() -> None:
    allowance = Allowance()
    use(allowance, 4, now=3.0)
    allowance.prove()
    assert (allowance.used, allowance.limit, allowance.read_due()) == (0, 5, 53.0)
    allowance.begin_read()
    assert (allowance.read_due(), allowance.owes_read) == (None, True)
    allowance.prove()
    use(allowance, 1, now=9.0)
    allowance.succeed()
    assert (allowance.used, allowance.read_due(), allowance.owes_read) == (1, 59.0, True)


def test_a_2xx_during_a_read_does_not_take_its_growth() -> None:
    allowance = Allowance()
    use(allowance, 3)
    allowance.begin_read()
    allowance.prove()
    allowance.succeed()
    assert (allowance.limit, allowance.used) == (20, 0)


def test_answers_that_come_during_a_read_count_against_the_next_allowance() -> None:
    allowance = Allowance()
    use(allowance, 3)
    allowance.begin_read()
    use(allowance, 30, now=1.0)
    assert allowance.is_exceeded
    allowance.succeed()
    assert (allowance.limit, allowance.used, allowance.is_exceeded) == (20, 30, True)


def test_only_a_failure_a_reopening_or_a_new_target_takes_it_back() -> None:
    for back in (Allowance.fail, Allowance.restart):
        allowance = Allowance()
        use(allowance, 5, now=2.0)
        read(allowance)
        use(allowance, 1, now=4.0)
        allowance.begin_read()
        back(allowance)
        assert (allowance.limit, allowance.owes_read) == (5, True)
    assert allowance.read_due() is None, "the read is under way"


def test_a_failed_read_leaves_all_to_the_next_one() -> None:
    allowance = Allowance()
    use(allowance, 1, now=2.0)
    allowance.begin_read()
    use(allowance, 1, now=4.0)
    allowance.fail()
    assert (allowance.read_due(), allowance.used) == (52.0, 2)


def test_an_abandoned_read_is_due_again_at_once() -> None:
    allowance = Allowance()
    use(allowance, 1, now=2.0)
    allowance.begin_read()
    allowance.abandon_read()
    assert (allowance.read_due(), allowance.owes_read, allowance.limit) == (float("-inf"), True, 5)
    read(allowance)
    assert (allowance.read_due(), allowance.limit) == (None, 20)


def test_an_answer_may_ask_for_a_read() -> None:
    allowance = Allowance()
    allowance.ask()
    assert allowance.read_due() == float("-inf")
    allowance.begin_read()
    assert allowance.read_due() is None


def test_without_reads_nothing_waits_and_the_five_hundredth_warns() -> None:
    allowance = Allowance(verify=False)
    warned = []
    for number in range(1, 1001):
        allowance.count(0.0)
        assert not allowance.is_exceeded
        if allowance.is_worth_a_warning:
            warned.append(number)
    assert (warned, allowance.read_due(), allowance.owes_read) == ([500], None, False)
