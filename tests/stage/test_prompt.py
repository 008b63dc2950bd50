"""Prompts and phrases are files, referenced by name; the shipped ones have the form that the stages need."""

from hashlib import sha256
from pathlib import Path

import pytest
from oasis_ray.content.stages.score import Score

from oasis_ray.stage.phrases import Phrases, load_phrases
from oasis_ray.stage.prompt import Prompt, load_prompt, name_in

SHIPPED = Path(__file__).parents[2] / "prompts"
JUDGES = {
    "solvability": ("instruction",),
    "clarity": ("instruction",),
    "hallucination": ("instruction",),
    "nonsense": ("instruction",),
    "helpful": ("instruction", "response"),
    "truthful": ("instruction", "response"),
    "following": ("instruction", "response"),
    "caption_language": ("caption",),
    "caption_information": ("caption",),
    "caption_coherence": ("caption",),
    "caption_truth": ("caption",),
    "text/quality": ("instruction",),
    "text/difficulty": ("instruction",),
}
SLOTS = JUDGES | {
    "categorize": ("text",),
    "text/categorize": ("text",),
    "text/kind": ("instruction",),
    "caption_structured": (),
    "inquire": ("caption",),
    "divide": ("caption",),
    "statement_correct": ("statement",),
    "questions_from_caption": ("caption",),
    "reword": ("instruction", "reason"),
    "reason_from_caption": ("caption", "question"),
    "speak_of_the_image": ("text",),
    "same_answer": ("question", "known", "answer"),
    "is_right": ("question", "answer"),
    **{f"genixer/{task}": ("general",) for task in ("any", "common", "adversarial", "choice", "dialogue")},
    "zh/match": ("instruction", "response"),
    "zh/advise": ("instruction", "response"),
    "zh/improve": ("instruction", "advice"),
}
OTHERS = ("describe", "genixer_general", "short")  # phrases, and prompts of the demo that have tests of their own
LANGUAGES = sorted(path.stem for path in (SHIPPED / "describe").iterdir())


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("No slot.", {}, "No slot."),
        ("Say {{a}}, {{b}}, {{a}}.", {"a": "x", "b": "y", "unused": "z"}, "Say x, y, x."),
        ("{{a}}{{b}}", {"a": "{{b}}", "b": "{{a}}"}, "{{b}}{{a}}"),  # one pass: slots in a value are not filled
        ("{{a}}b}}", {"a": "{{"}, "{{b}}"),
        ("{ {a} {{a}} {{ a }} %s", {"a": "x"}, "{ {a} x {{ a }} %s"),
        ("{{a}}", {"a": r"\1 \g<0> {0} $a %s"}, r"\1 \g<0> {0} $a %s"),
        ("{{a}}", {"a": "图\0👨\u200d👩\u200d👧"}, "图\0👨\u200d👩\u200d👧"),
        ("{{a}}", {"a": ""}, ""),
        pytest.param("{{a}}", {"a": "{{a}}" * 200_000}, "{{a}}" * 200_000, id="a megabyte of slots"),
    ],
)
def test_a_prompt_is_filled_in_one_pass(text, values, filled):
    assert Prompt("p", text).fill(values) == filled


def test_a_slot_without_a_value_is_an_error():
    with pytest.raises(KeyError, match="b"):
        Prompt("p", "{{a}}{{b}}").fill({"a": "x"})


def test_slots_are_named_once_in_the_order_of_the_text():
    assert Prompt("p", "{{b}} {{a}} {{b}}").slots == ("b", "a")


def test_a_digest_changes_with_the_text_and_not_with_the_order_of_languages():
    assert Prompt("p", "é").digest == Prompt("q", "é").digest == sha256("é".encode()).hexdigest()
    one, two = Phrases("p", {"en": ("a",), "de": ("b",)}), Phrases("p", {"de": ("b",), "en": ("a",)})
    assert one.digest == two.digest != Phrases("p", {"en": ("b",), "de": ("a",)}).digest


def test_a_prompt_that_isnt_there_is_refused_with_the_nearest_name():
    known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.txt")))
    with pytest.raises(ValueError) as error:
        load_prompt("claritty", [SHIPPED])
    assert str(error.value) == f"there is no prompt 'claritty' (known: {known}). Did you mean 'clarity'?"
    with pytest.raises(ValueError) as error:
        load_phrases("descibe", [SHIPPED])
    assert (
        str(error.value)
        == "there are no phrases 'descibe' (known: describe, genixer_general). Did you mean 'describe'?"
    )


@pytest.mark.parametrize("name", ["../secret", "../{folder}/../secret", "{root}/secret", "", ".", "a\0b", "x" * 5_000])
def test_a_prompts_name_cant_climb_out_of_the_folder(tmp_path, name):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(ValueError, match="there is no prompt"):
        load_prompt(name.format(folder="prompts", root=tmp_path), [tmp_path / "prompts"])


@pytest.mark.parametrize("name", ["../secret", "{root}/secret", "..", ".", "", "x" * 5_000])
def test_a_phrases_name_cant_climb_out_of_the_folder(tmp_path, name):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "secret").mkdir()
    for place in ("secret/en.txt", "prompts/clarity.txt", "top.txt"):
        (tmp_path / place).write_text("secret")
    with pytest.raises(ValueError, match="there are no phrases"):
        load_phrases(name.format(root=tmp_path), [tmp_path / "prompts"])


def test_a_users_folder_comes_first_and_the_shipped_one_fills_in(tmp_path):
    (tmp_path / "clarity.txt").write_text("\n Mine: {{instruction}}\n\n", encoding="utf-8")
    (tmp_path / "describe").mkdir()
    (tmp_path / "describe" / "en.txt").write_text("Say.\r\n\nGo on.\n", encoding="utf-8")
    folders = [tmp_path, SHIPPED]
    assert load_prompt("clarity", folders) == Prompt("clarity", "Mine: {{instruction}}")
    assert load_prompt("nonsense", folders) == load_prompt("nonsense", [SHIPPED])
    assert load_phrases("describe", folders) == Phrases("describe", {"en": ("Say.", "Go on.")})


def test_a_stage_writes_its_prompt_as_name_and_digest():
    stage = Score.model_validate({"prompt": "clarity", "accept": [5]}, context={"prompts": (SHIPPED,)})
    digest = sha256((SHIPPED / "clarity.txt").read_bytes().strip()).hexdigest()
    assert stage.model_dump()["prompt"] == {"name": "clarity", "digest": digest}


def test_every_shipped_prompt_has_the_slots_that_its_stage_fills():
    shipped = [path for path in SHIPPED.rglob("*.txt") if path.relative_to(SHIPPED).parts[0] not in OTHERS]
    names = [name_in(SHIPPED, path) for path in shipped]
    assert {name: load_prompt(name, [SHIPPED]).slots for name in names} == SLOTS


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_every_scoring_prompt_explains_the_scale_and_ends_by_asking_for_the_verdict(name):
    lines = load_prompt(name, [SHIPPED]).text.splitlines()
    assert [line[:3] for line in lines if line[:1].isdigit()] == ["5: ", "4: ", "3: ", "2: ", "1: "]
    assert lines[-1].endswith("Then end with the score in double square brackets, such as [[3]].")


@pytest.mark.parametrize(
    ("name", "end"),
    [("same_answer", "[[Yes]] if they are the same, [[No]] if they are not."), ("zh/match", "【n分】，例如【7分】。")],
)
def test_other_verdicts_are_asked_for_at_the_end(name, end):
    assert load_prompt(name, [SHIPPED]).text.endswith(end)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_four_phrases_or_more_and_none_twice(language):
    phrases = load_phrases("describe", [SHIPPED]).languages[language]
    assert len(phrases) >= 4
    assert len({phrase.casefold() for phrase in phrases}) == len(phrases)
    assert [phrase.strip() for phrase in phrases] == list(phrases)


def test_a_folder_of_prompts_is_no_folder_of_phrases_though_one_is_named_like_a_language(tmp_path):
    for place in ("tasks/any.txt", "tasks/common.txt", "ask/en.txt", "ask/de.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("Ask.")
    with pytest.raises(ValueError) as error:
        load_phrases("asks", [tmp_path])
    assert str(error.value) == "there are no phrases 'asks' (known: ask). Did you mean 'ask'?"


def test_general_requests_are_many_and_differ():
    texts = load_phrases("genixer_general", [SHIPPED]).languages["en"]
    assert len(set(texts)) == len(texts) >= 12
