"""Split divides a text into parts without numbering, and cuts no sentence in the middle."""

import pickle

import pytest
from oasis_ray.content.stages.split import In, Out, Split
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert

LINE, PARAGRAPH, SENTENCE = (Split(by=by) for by in ("line", "paragraph", "sentence"))


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("1. What is it?", "What is it?"),
        ("2) What is it?", "What is it?"),
        ("12.What is it?", "What is it?"),
        ("(3) What is it?", "What is it?"),
        ("（3）图中有什么？", "图中有什么？"),
        ("１．図には何がありますか？", "図には何がありますか？"),
        ("1、图中有什么？", "图中有什么？"),
        ("二、图中有什么？", "图中有什么？"),
        ("（三）图中有什么？", "图中有什么？"),
        ("第1题：图中有什么？", "图中有什么？"),
        ("第 十二 题: 图中有什么？", "图中有什么？"),
        ("问题2：图中有什么？", "图中有什么？"),
        ("Question 3: What is it?", "What is it?"),
        ("Q4. What is it?", "What is it?"),
        ("③ What is it?", "What is it?"),
        ("- What is it?", "What is it?"),
        ("-What is it?", "What is it?"),
        ("* What is it?", "What is it?"),
        ("•What is it?", "What is it?"),
        ("\t-\u30001. What is it?  ", "What is it?"),
        ("**5.** What is it?", "What is it?"),
        ("**Question 6:** What is it?", "What is it?"),
        # No markers
        ("What is 1. in the list?", "What is 1. in the list?"),
        ("3.5 litres are left.", "3.5 litres are left."),
        ("3 boats are left.", "3 boats are left."),
        ("10:30 is the time.", "10:30 is the time."),
        ("1999. That was the year.", "1999. That was the year."),
        ("-5 degrees.", "-5 degrees."),
        ("**Red** and *blue*.", "**Red** and *blue*."),
        ("*Describe* it.", "*Describe* it."),
        ("三、四个人在路上。", "三、四个人在路上。"),  # three or four people
        ("3、4个人在路上。", "3、4个人在路上。"),
        ("第一次世界大战。", "第一次世界大战。"),
        ("第1题没有图。", "第1题没有图。"),
        ("Q&A: what is it?", "Q&A: what is it?"),
        ("A. Red", "A. Red"),
    ],
)
def test_the_numbering_of_a_list_is_taken_off_and_no_other_number_is(line, part):
    assert LINE.apply(In(line)) == Out([part])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A?\nB?", ["A?", "B?"]),
        ("1. A?\r\n\r\n2. B?\r", ["A?", "B?"]),
        ("\n \n\u3000\nA?\n---\n***\n1.\n-\n```\nB?\n", ["A?", "B?"]),
        ("A?\u2028B?", ["A?", "B?"]),
        ("A? B?", ["A? B?"]),
        ("A\0B", ["A\0B"]),
        pytest.param("x?\n" * 100_000, ["x?"] * 100_000, id="many lines"),
    ],
)
def test_a_line_is_a_part_unless_it_is_empty(text, parts):
    assert LINE.apply(In(text)) == Out(parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A\nB\n\nC", ["A\nB", "C"]),
        ("1. A\n  B\n \t\n\n\n2. C\n", ["A\nB", "C"]),
        ("A:\n- b\n- c\n\n---\n\nD", ["A:\nb\nc", "D"]),
        ("一段。\r\n\r\n二段。", ["一段。", "二段。"]),
    ],
)
def test_empty_lines_end_a_paragraph(text, parts):
    assert PARAGRAPH.apply(In(text)) == Out(parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A cat sits. It sleeps! Does it? Yes", ["A cat sits.", "It sleeps!", "Does it?", "Yes"]),
        ("A cat\nsits.", ["A cat", "sits."]),
        ("1. A cat sits. 2 dogs run.", ["A cat sits.", "2 dogs run."]),
        ("It costs 3.50. The rest is 1.5 l.", ["It costs 3.50.", "The rest is 1.5 l."]),
        ("He has 5. She has 6.", ["He has 5.", "She has 6."]),
        ("Mr. Smith and Dr. J. Jones wait.", ["Mr. Smith and Dr. J. Jones wait."]),
        ("The U.S. flag hangs, e.g. here. Look.", ["The U.S. flag hangs, e.g. here.", "Look."]),
        ("The U.S. Navy waits at 5 p.m. London time. Look.", ["The U.S. Navy waits at 5 p.m. London time.", "Look."]),
        ("It is No. 5. Is it? No. It is 6.", ["It is No. 5.", "Is it?", "No.", "It is 6."]),
        ("So do I. He does not.", ["So do I.", "He does not."]),
        ("Cats, dogs, etc. and birds. All wait.", ["Cats, dogs, etc. and birds.", "All wait."]),
        ("It waits... and waits... Then it goes.", ["It waits... and waits...", "Then it goes."]),
        ("Really?! Yes!!! No.", ["Really?!", "Yes!!!", "No."]),
        ('It says "Stop!" in red. "Go." Then?', ['It says "Stop!" in red.', '"Go."', "Then?"]),
        ("It is **red.** It is (very) big.) Yes.", ["It is **red.**", "It is (very) big.)", "Yes."]),
        ("See example.com/a.b for it. Done.", ["See example.com/a.b for it.", "Done."]),
        ("一只猫坐着。旁边是窗户！是吗？是", ["一只猫坐着。", "旁边是窗户！", "是吗？", "是"]),
        ("什么？！真的。", ["什么？！", "真的。"]),
        ("这是什么?那是猫!好", ["这是什么?", "那是猫!", "好"]),
        ("他说：“好。”然后走了……真的。", ["他说：“好。”", "然后走了……真的。"]),
        ("猫がいる。「行こう。」と言った。窓もある。", ["猫がいる。", "「行こう。」と言った。", "窓もある。"]),
        ("هل هو أحمر؟ نعم. قطة۔", ["هل هو أحمر؟", "نعم.", "قطة۔"]),
        ("बिल्ली बैठी है। खिड़की खुली है।", ["बिल्ली बैठी है।", "खिड़की खुली है।"]),
    ],
)
def test_sentences_are_divided_where_they_end(text, parts):
    assert SENTENCE.apply(In(text)) == Out(parts)


@pytest.mark.parametrize(
    "text",
    ["x" + " " * 300_000 + "x", ". " * 300_000 + "x", "." * 600_000 + "x", "a.\t" * 300_000, "。" * 500_000 + "x",
     "*" * 500_000 + "x", "\n" * 500_000 + "x", "第" * 500_000, "!" * 500_000 + " x", '."' * 300_000 + "x"],
    ids=lambda text: repr(text[:3]),
)  # fmt: skip
@pytest.mark.parametrize("stage", [LINE, PARAGRAPH, SENTENCE], ids=lambda stage: stage.by)
@pytest.mark.timeout(30)
def test_half_a_megabyte_is_divided_without_hanging(stage, text):
    assert isinstance(stage.apply(In(text)), Out)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Divert(REJECTED, "too_few_parts", "")),
        ("\n--\n1.", Divert(REJECTED, "too_few_parts", "\n--\n1.")),
        ("A?", Divert(REJECTED, "too_few_parts", "A?")),
        ("A?\nB?", Out(["A?", "B?"])),
        ("A?\nB?\n\nC?", Out(["A?", "B?", "C?"])),
        ("A?\nB?\nC?\nD?", Divert(REJECTED, "too_many_parts", "A?\nB?\nC?\nD?")),
    ],
)
def test_too_few_or_too_many_parts_reject_the_row(text, expected):
    assert Split(by="line", at_least=2, at_most=3).apply(In(text)) == expected


def test_by_default_a_text_has_at_least_one_part():
    assert LINE.apply(In(" \n")) == Divert(REJECTED, "too_few_parts", " \n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "by\n  Field required"),
        ({"by": "word"}, "by\n  Input should be 'line', 'paragraph' or 'sentence'"),
        ({"by": "line", "at_least": 0}, "at_least\n  Input should be greater than or equal to 1"),
        ({"by": "line", "at_most": 0}, "at_most\n  Input should be greater than or equal to 1"),
        ({"by": "line", "at_least": 3, "at_most": 2}, "at_most 2 is less than at_least 3"),
        ({"by": "line", "between": [1, 2]}, "between\n  Extra inputs are not permitted"),
    ],
)
def test_split_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Split.model_validate(given)
    assert message in str(error.value)


def test_split_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        LINE.by = "sentence"
    assert pickle.loads(pickle.dumps(LINE)) == LINE
