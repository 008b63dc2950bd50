"""A row that kills what works on it is found, and no other row is blamed."""

from oasis_ray.pipeline.poison import PoisonDetector


def lose(suspects: PoisonDetector, *rows: str) -> None:
    for row in rows:
        suspects.lost(row)


def test_a_row_that_was_lost_once_is_free() -> None:
    suspects = PoisonDetector()
    lose(suspects, "a", "b")
    assert [suspects.verdict(row) for row in ("a", "b", "c")] == ["free", "free", "free"]


def test_suspects_are_tried_one_at_a_time() -> None:
    suspects = PoisonDetector()
    lose(suspects, "a", "b", "a", "b")
    assert [suspects.verdict(row) for row in ("a", "b", "a")] == ["trial", "wait", "trial"]
    suspects.cleared("a")
    assert [suspects.verdict(row) for row in ("b", "a")] == ["trial", "free"]


def test_the_row_that_is_lost_on_trial_twice_is_poison_and_the_others_are_cleared() -> None:
    suspects = PoisonDetector()
    lose(suspects, "bad", "good", "bad", "good")
    for _ in range(2):
        assert (suspects.verdict("bad"), suspects.verdict("good")) == ("trial", "wait")
        lose(suspects, "good", "bad")  # whoever tells first
    assert suspects.verdict("bad") == "poison"
    assert suspects.verdict("good") == "trial"
    suspects.cleared("good")
    assert suspects == PoisonDetector()


def test_a_place_that_loses_every_suspect_is_broken_and_no_row_is_to_blame() -> None:
    suspects, verdicts = PoisonDetector(), []
    for row in ("a", "b", "c"):
        lose(suspects, row, row)
        for _ in range(2):
            assert suspects.verdict(row) == "trial"
            lose(suspects, row)
        verdicts.append(suspects.verdict(row))
    assert verdicts == ["poison", "poison", "broken"]


def test_a_cleared_suspect_between_poison_rows_shows_that_the_place_is_well() -> None:
    suspects = PoisonDetector()
    for row in ("a", "b", "c"):
        lose(suspects, row, row)
        for _ in range(2):
            assert suspects.verdict(row) == "trial"
            lose(suspects, row)
        assert suspects.verdict(row) == "poison"
        lose(suspects, "good", "good")
        assert suspects.verdict("good") == "trial"
        suspects.cleared("good")


def test_a_row_whose_worker_died_gives_its_trial_up() -> None:
    suspects = PoisonDetector()
    lose(suspects, "a", "b", "a", "b")
    assert suspects.verdict("a") == "trial"
    suspects.forget("a")
    assert suspects.verdict("b") == "trial"
