"""Score parses a verdict from 1 to 5 in any reply of a judge, and never mistakes another number for it."""

import pickle
from pathlib import Path

import pytest
from oasis_ray.content.stages.score import In, Out, Score
from pydantic import ValidationError

from oasis_ray.stage import FAILED, REJECTED, Divert, Image, Reply, Request, Sample, Sampling, Slots

CONTEXT = {"prompts": (Path(__file__).parents[2] / "prompts",)}
STAGE = Score.model_validate({"prompt": "clarity", "accept": [3, 4, 5]}, context=CONTEXT)
ROW = In(texts=Slots(instruction="How many?"))
PICTURE = Image(b"bytes of a picture", "a digest")


def test_score_asks_once_with_the_image_where_there_is_one():
    asked = STAGE.prompt.text.replace("{{instruction}}", "What is {{caption}}?")
    texts = Slots(instruction="What is {{caption}}?")
    row = In(PICTURE, texts)
    assert STAGE.requests(row) == [Request(asked, (PICTURE,), "assistant", Sampling())]
    assert STAGE.requests(In(None, texts)) == [Request(asked, (), "assistant", Sampling())]


def test_a_terse_judge_can_write_only_the_verdict():
    terse = STAGE.model_copy(update={"terse": True})
    (asked,) = terse.requests(ROW)
    assert asked.choices == ("[[1]]", "[[2]]", "[[3]]", "[[4]]", "[[5]]")
    assert [terse.parse(ROW, [Reply.of(said)]).out.score for said in asked.choices[:2]] == [1, 2]
    assert [terse.parse(ROW, [Reply.of(said)]) for said in asked.choices[2:]] == [
        Out(score, f"[[{score}]]") for score in (3, 4, 5)
    ]


def test_score_fills_the_texts_that_its_prompt_names():
    helpful = Score.model_validate({"prompt": "helpful", "accept": [5]}, context=CONTEXT)
    text = helpful.requests(In(texts=Slots(instruction="How many?", response="Two.", caption="unused")))[0].text
    assert "Request:\nHow many?\n\nAnswer:\nTwo.\n" in text
    assert "unused" not in text


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Plain enough. [[4]]", 4),
        ("[[ 4\n]]", 4),
        ("**[[4]]**", 4),
        ("```\n[[4]]\n```", 4),
        ("[[4/5]]", 4),
        ("[[4 out of 5]]", 4),
        ("[[４]]", 4),
        ("［［4］］", 4),
        ("得分：[[4]]。", 4),
        ("النتيجة [[4]]", 4),
        ("[[4]]\0", 4),
        ("[[4]]<|im_end|>", 4),
        ("[[5]] at first, but [[2]], so [[4]]", 4),  # the last verdict counts
        ("[[4]] for 3 of 5 people", 4),  # a verdict has priority over numbers
        ("4", 4),
        ("Score: 4.", 4),
        ("**4**", 4),
        ("4/5", 4),
        ("4 / 5", 4),
        ("4 out of 5.", 4),
        ("３ people, so ４", 4),
        ("On a scale of 1-5: 4", 4),
        ("[4]", 4),
        ("[[4: clear", 4),
        ("**4**/5", 4),
        ("4 (out of 5)", 4),
        ("４／５", 4),
        ("评分：4分", 4),
        pytest.param("1 of [[" * 150_000 + "[[4]]", 4, id="a megabyte before it"),
        pytest.param("[[4]]" + " x" * 500_000, 4, id="a megabyte after it"),
    ],
)
def test_score_takes_the_last_verdict_else_the_last_number(reply, score):
    assert STAGE.parse(ROW, [Reply.of(reply)]) == Out(score, reply)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no_verdict"),
        ("Very clear.", "no_verdict"),
        ("很清楚。五分", "no_verdict"),
        ("[[n]]", "no_verdict"),
        ("v4 and x5", "no_verdict"),
        ("[[9]]", "verdict_out_of_range"),
        ("[[0]]", "verdict_out_of_range"),
        ("[[-1]]", "verdict_out_of_range"),
        ("-1", "verdict_out_of_range"),
        ("[[4.5]]", "verdict_out_of_range"),
        ("4.5", "verdict_out_of_range"),
        ("[[4,5]]", "verdict_out_of_range"),
        ("[[8/10]]", "verdict_out_of_range"),
        ("[[4]], no: [[45]]", "verdict_out_of_range"),  # the last one counts, valid or not
        pytest.param("[[" + "1" * 5_000 + "]]", "verdict_out_of_range", id="thousands of digits"),
        pytest.param("1" * 1_000_000, "verdict_out_of_range", id="a megabyte of digits"),
        pytest.param("[[ " * 350_000, "no_verdict", id="a megabyte of brackets"),
    ],
)
def test_a_reply_without_a_whole_score_fails_with_the_whole_reply(reply, reason):
    assert STAGE.parse(ROW, [Reply.of(reply)]) == Divert(FAILED, reason, reply)


@pytest.mark.parametrize("reply", ["There are 3 boats, and the 4", "1. It asks for 5", "4", "[[4"])
def test_numbers_in_the_reasons_of_a_reply_that_was_cut_off_are_no_verdict(reply):
    assert STAGE.parse(ROW, [Reply((Sample(reply, "length"),))]) == Divert(FAILED, "no_verdict", reply)
    said = reply + " [[4]] and"
    assert STAGE.parse(ROW, [Reply((Sample(said, "length"),))]) == Out(4, said)


@pytest.mark.parametrize("score", [1, 2])
def test_a_score_that_isnt_accepted_rejects_the_row_and_is_kept(score):
    reply = f"Vague. [[{score}]]"
    expected = Divert(REJECTED, f"score_{score}", reply, Out(score, reply))
    assert STAGE.parse(ROW, [Reply.of(reply)]) == expected


TEN = STAGE.model_copy(update={"scale": (1, 10), "accept": None})


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("[[10]]", 10),
        ("[[ 1 ]]", 1),
        ("符合要求。【7分】", 7),
        ("【 １０ 分 】", 10),
        ("【7】", 7),
        ("【8分】（满分10分）", 8),  # the official code of MM-INF reads 10
        ("[[6]], or rather 【8分】", 8),  # the last one of either form
        ("【8分】, or rather [[6]]", 6),
        ("[[8/10]]", 8),
        ("[[8 out of 10]]", 8),
        ("8/10", 8),
        ("８／１０", 8),
        ("**8**/10", 8),
        ("8 (out of 10)", 8),
        ("10/10", 10),
        ("On a scale of 1-10: 8", 8),
        ("得分：8分", 8),
        pytest.param("【" * 500_000 + "【8分】", 8, id="a megabyte of brackets"),
    ],
)
def test_a_score_on_another_scale_is_parsed_in_the_same_forms(reply, score):
    assert TEN.parse(ROW, [Reply.of(reply)]) == Out(score, reply)


@pytest.mark.parametrize(
    "reply", ["[[11]]", "[[0]]", "[[100]]", "【0分】", "【11分】", "【7.5分】", "9.5分", "[[8/100]]", "[[-8]]", "11/10"]
)
def test_a_score_outside_of_the_scale_fails_the_row(reply):
    assert TEN.parse(ROW, [Reply.of(reply)]) == Divert(FAILED, "verdict_out_of_range", reply)


@pytest.mark.parametrize("reply", ["【七分】", "【】", "【分】", "很好"])
def test_without_a_number_there_is_no_verdict_on_any_scale(reply):
    assert TEN.parse(ROW, [Reply.of(reply)]) == Divert(FAILED, "no_verdict", reply)


@pytest.mark.parametrize(
    ("scale", "reply", "expected"),
    [
        ((0, 100), "[[100]]", 100),
        ((0, 100), "[[0]]", 0),
        ((0, 100), "85/100", 85),
        ((0, 1), "[[1]]", 1),
        ((1, 5), "[[10]]", None),
        ((1, 5), "8/10", None),
        ((0, 100), "[[101]]", None),
        ((0, 100), "[[1000]]", None),
    ],
)
def test_the_scale_decides_which_scores_there_are(scale, reply, expected):
    read = TEN.model_copy(update={"scale": scale}).parse(ROW, [Reply.of(reply)])
    assert read == (Divert(FAILED, "verdict_out_of_range", reply) if expected is None else Out(expected, reply))


def test_a_terse_judge_can_write_only_the_scores_of_its_scale():
    terse = TEN.model_copy(update={"terse": True})
    (asked,) = terse.requests(ROW)
    assert asked.choices == tuple(f"[[{score}]]" for score in range(1, 11))
    assert [terse.parse(ROW, [Reply.of(said)]) for said in asked.choices] == [
        Out(score, f"[[{score}]]") for score in range(1, 11)
    ]
    assert TEN.requests(ROW)[0].choices == ()


def test_without_accept_every_score_is_only_noted():
    assert (STAGE.judges, TEN.judges, TEN.exits) == (True, False, ())
    assert [TEN.parse(ROW, [Reply.of(f"[[{score}]]")]) for score in (1, 10)] == [Out(1, "[[1]]"), Out(10, "[[10]]")]
    assert TEN.accepts(Out(1, ""))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (1, Divert(REJECTED, "score_1", "[[1]]", Out(1, "[[1]]"))),
        (2, Divert("near_miss", "score_2", "[[2]]", Out(2, "[[2]]"))),
        (3, Divert("near_miss", "score_3", "[[3]]", Out(3, "[[3]]"))),
        (4, Out(4, "[[4]]")),
    ],
)
def test_a_near_miss_leaves_by_its_own_exit_and_is_kept(score, expected):
    stage = Score.model_validate({"prompt": "clarity", "accept": [4, 5], "near_miss": [2, 3]}, context=CONTEXT)
    assert (stage.judges, stage.exits) == (True, ("near_miss",))
    assert stage.parse(ROW, [Reply.of(f"[[{score}]]")]) == expected
    assert stage.accepts(Out(score, "")) is (score == 4)


SCALE = "scale goes from the lowest score, at least 0, to the highest, such as [1, 5], not "
NEAR = "near_miss lists scores from 1 to 5 that `accept` lacks"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": [5, 1]}, SCALE + "[5, 1]"),
        ({"scale": [5, 5]}, SCALE + "[5, 5]"),
        ({"scale": [-2, 2]}, SCALE + "[-2, 2]"),  # a score has no sign
        ({"scale": [1]}, "scale.1\n  Field required"),
        ({"scale": [1.5, 5]}, "scale.0\n  Input should be a valid integer"),
        ({"scale": [1, 10], "accept": [11]}, "accept lists scores from 1 to 10, such as [9, 10], not [11]"),
        ({"near_miss": [2]}, NEAR),
        ({"accept": [4, 5], "near_miss": [4]}, NEAR),
        ({"accept": [4, 5], "near_miss": [0]}, NEAR),
        ({"accept": []}, "accept lists scores from 1 to 5, such as [4, 5], not []"),
        ({"accept": [5, 6]}, "accept lists scores from 1 to 5, such as [4, 5], not [5, 6]"),
        ({"accept": [0]}, "accept lists scores from 1 to 5, such as [4, 5], not [0]"),
        ({"accept": 5}, "accept\n  Input should be a valid tuple"),
        ({"accept": [5], "prompt": "claritty"}, "there is no prompt 'claritty' (known: caption_coherence, "),
        ({"accept": [5], "prompt": False}, "there is no prompt"),  # YAML reads `prompt: no` as this
    ],
)
def test_score_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Score.model_validate({"prompt": "clarity"} | given, context=CONTEXT)
    assert message in str(error.value)


def test_score_keeps_the_rest_of_its_sampling_is_frozen_and_survives_pickling():
    stage = Score.model_validate({"prompt": "clarity", "accept": [5], "sampling": {"max_tokens": 9}}, context=CONTEXT)
    assert stage.sampling == Sampling(max_tokens=9)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.accept = (1,)
    assert pickle.loads(pickle.dumps(stage)) == stage
