"""Qa_pairs reads questions and answers out of a reply, or says what is wrong with it; it leaves out no pair."""

import json
import pickle
import random

import pytest
from oasis_ray.content.stages.qa_pairs import In, Out, QaPairs
from pydantic import ValidationError

from oasis_ray.stage import FAILED, REJECTED, Divert

LABELLED, JSON = QaPairs(form="labelled"), QaPairs(form="json")
TWO = [("Is it red?", "Yes."), ("How many?", "2")]


def read(text: str, stage: QaPairs = LABELLED) -> list[tuple[str, str]] | str:
    """The pairs of a reply, or the reason why it has none."""
    out = stage.apply(In(text))
    return list(zip(out.questions, out.answers, strict=True)) if isinstance(out, Out) else out.reason


@pytest.mark.parametrize(
    "text",
    [
        "Question: Is it red?\nAnswer: Yes.\nQuestion: How many?\nAnswer: 2",
        "Question: Is it red? Answer: Yes. Question: How many? Answer: 2",
        "Question: Is it red?Answer: Yes.Question: How many?Answer:2",
        "question:Is it red?\nanswer:Yes.\n\nquestion:How many?\nanswer:2\n",
        "QUESTION: Is it red?\r\nANSWER: Yes.\r\n\r\nQUESTION: How many?\r\nANSWER: 2\r\n",
        "Q: Is it red?\nA: Yes.\nQ: How many?\nA: 2",
        "Q: Is it red? A: Yes. Q: How many? A: 2",
        "Q1: Is it red?\nA1: Yes.\nQ2: How many?\nA2: 2",
        "Q: Is it red?\nAnswer: Yes.\nQ: How many?\nAnswer: 2",
        "Question 1: Is it red?\nAnswer 1: Yes.\nQuestion 2: How many?\nAnswer 2: 2",
        "Question #1: Is it red?\nAnswer (1): Yes.\nQuestion #2 : How many?\nAnswer (2)：2",
        "1. Question: Is it red?\n   Answer: Yes.\n2. Question: How many?\n   Answer: 2",
        "1. Question: Is it red? Answer: Yes. 2. Question: How many? Answer: 2",
        "(1) Question: Is it red?\n(1) Answer: Yes.\n2) Question: How many?\n2) Answer: 2",
        "- Question: Is it red?\n- Answer: Yes.\n* Question: How many?\n* Answer: 2",
        "> Question: Is it red?\n> Answer: Yes.\n\n---\n\n> Question: How many?\n> Answer: 2\n---",
        "**Question:** Is it red?\n**Answer:** Yes.\n\n**Question:** How many?\n**Answer:** 2",
        "**Question**: Is it red? **Answer**: Yes. **Question**: How many? **Answer**: 2",
        "**Question 1: Is it red?**\n**Answer: Yes.**\n**Question 2: How many?**\n**Answer: 2**",
        "**1. Question:** Is it red?\n_Answer:_ Yes.\n**2.** **Question:** How many?\n__Answer__: 2",
        "### Question 1: Is it red?\n### Answer 1: Yes.\n### Pair 2\nQuestion: How many?\nAnswer: 2",
        "Here are two:\n\nQuestion: Is it red?\nAnswer: Yes.\n***\nQuestion: How many?\nAnswer: 2",
        "Sure!\n```\nQuestion: Is it red?\nAnswer: Yes.\nQuestion: How many?\nAnswer: 2\n```",
        "Sample question: Is it red?\nCorrect Answer: Yes.\nNext question: How many?\nFinal Answer: 2",
        "问题：Is it red?\n回答：Yes.\n问题：How many?\n答案：2",
        "问题1：Is it red?\n回答1：Yes.\n问题二：How many?\n回答二：2",
        "问：Is it red?答：Yes.问：How many?答：2",
        "1、**问题：** Is it red?\n**答:** Yes.\n2、**問題：** How many?\n**答:** 2",
    ],
)  # fmt: skip
def test_labels_are_read_in_each_form(text):
    assert read(text) == TWO


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Question: What?\n\nAnswer: First:\n- red\n\n1. blue\n", [("What?", "First:\n- red\n\n1. blue")]),
        ("Question:\nWhat is\nit?\nAnswer:\nred", [("What is\nit?", "red")]),
        ("问：图中有什么？答：一只猫。问：几只？答：1只。", [("图中有什么？", "一只猫。"), ("几只？", "1只。")]),
        # A word before a colon is a label at the beginning of a line, or with a capital letter.
        ("Question: Is the answer: red?\nAnswer: In question: no.", [("Is the answer: red?", "In question: no.")]),
        ("Question: What Answer: red Question: How many Answer: two", [("What", "red"), ("How many", "two")]),
        ('Question: What is written?\nAnswer: It says "Answer: 5".', [("What is written?", 'It says "Answer: 5".')]),
        ("问：他怎么说？答：他问：“是吗？”", [("他怎么说？", "他问：“是吗？”")]),
        ("Question: Who is Q: in the plan?\nAnswer: A: the actor", [("Who is Q: in the plan?", "A: the actor")]),
        # What belongs to a text stays.
        ("Question: Is it **red**?\nAnswer: **Red**", [("Is it **red**?", "**Red**")]),
        ("Question: Code?\nAnswer:\n```\nx = 1\n```", [("Code?", "```\nx = 1\n```")]),
        ("Question: 1. or 2.?\nAnswer: 2.", [("1. or 2.?", "2.")]),
        ("Question: How many? Answer: Say 2. Question: Sure? Answer: Yes", [("How many?", "Say 2."), ("Sure?", "Yes")]),
        ("1. Q: How many?\nA: Say 2.\n2. Q: Sure?\nA: Yes", [("How many?", "Say 2."), ("Sure?", "Yes")]),
        ("Question: Which sign?\nAnswer: +", [("Which sign?", "+")]),
        ("Question: <image>\nWhat?\nAnswer: a\0b \u2028c", [("<image>\nWhat?", "a\0b \u2028c")]),
        # `A:` is an option where another word is the label of answers.
        ("Question: Which?\nA: red\nB: blue\nAnswer: B", [("Which?\nA: red\nB: blue", "B")]),
        ("Q: Which?\nA: red\nB: blue\nAnswer: A", [("Which?\nA: red\nB: blue", "A")]),
    ],
)  # fmt: skip
def test_a_text_is_kept_to_the_letter(text, pairs):
    assert read(text) == pairs


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("", FAILED, "no_label"),
        ("Is it red? Yes.", FAILED, "no_label"),
        ("The question is: what? The answer is: 5", FAILED, "no_label"),
        ("### Question\nIs it red?\n### Answer\nYes.", FAILED, "no_label"),
        ('[{"question": "Is it red?", "answer": "Yes."}]', FAILED, "no_label"),
        ("Question: Is it red?", FAILED, "question_without_answer"),
        ("Question: Is it red?\nAnswer: Yes.\nQuestion: How", FAILED, "question_without_answer"),
        ("Question: Is it red?\nQuestion: How many?\nAnswer: 2", FAILED, "question_without_answer"),
        ("Question 1: a\nQuestion 2: b\nAnswer 1: c\nAnswer 2: d", FAILED, "question_without_answer"),
        ("Question: Which?\nA: red\nB: blue", FAILED, "question_without_answer"),
        ("Q: Which?\nA: red\nB: blue", FAILED, "question_without_answer"),
        ("Q: Which?\nA: red\nB: blue\nA: B", FAILED, "question_without_answer"),
        ("Answer: Yes.", FAILED, "answer_without_question"),
        ("Is it red?\nAnswer: Yes.\nQuestion: How many?\nAnswer: 2", FAILED, "answer_without_question"),
        ("Question: Is it red?\nAnswer: Yes.\nAnswer: No.", FAILED, "answer_without_question"),
        ("Question:\nAnswer: Yes.", REJECTED, "empty_question"),
        ("Question: …\nAnswer: Yes.", REJECTED, "empty_question"),
        ("Question: Is it red?\nAnswer:", REJECTED, "empty_answer"),
        ("Question: Is it red?\nAnswer: \n---\n", REJECTED, "empty_answer"),
        ("Question: Is it red?\nAnswer: **\u3000?** -\nQuestion: b\nAnswer: c", REJECTED, "empty_answer"),
        ("**Question:** **Answer:**", REJECTED, "empty_question"),
    ],
)
def test_a_broken_reply_ends_the_row_with_its_reason(text, outcome, reason):
    assert LABELLED.apply(In(text)) == Divert(outcome, reason, text)


PAIRS = [{"question": "Is it red?", "answer": "Yes."}, {"question": "How many?", "answer": "2"}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PAIRS),
        json.dumps(PAIRS, indent=2),
        json.dumps({"qa": PAIRS, "count": 2}),
        json.dumps([{key.title(): f" {value}\n" for key, value in pair.items()} for pair in PAIRS]),
        f"```json\n{json.dumps(PAIRS)}\n```",
        f"```\n{json.dumps({'pairs': PAIRS})}\n```\n",
        f"Here [1] are {{two}} pairs:\n{json.dumps(PAIRS)}\nI hope [that] helps {{you}}.",
        "\n".join(map(json.dumps, PAIRS)),
        f"{json.dumps(PAIRS[:1])}\nand\n{json.dumps(PAIRS[1:])}",
    ],
)
def test_json_is_read_wherever_it_stands(text):
    assert read(text, JSON) == TWO


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("", FAILED, "invalid_json"),
        ("Question: Is it red?\nAnswer: Yes.", FAILED, "invalid_json"),
        ('["Is it red?", "Yes."]', FAILED, "invalid_json"),
        ("[{'question': 'Is it red?', 'answer': 'Yes.'}]", FAILED, "invalid_json"),
        (json.dumps(PAIRS)[:-1], FAILED, "invalid_json"),
        (json.dumps(PAIRS)[:-20], FAILED, "invalid_json"),  # the first pair would be whole
        (f"{json.dumps(PAIRS)[:-1]},]", FAILED, "invalid_json"),
        (f'{json.dumps(PAIRS)}\n[{{"question": "cut', FAILED, "invalid_json"),
        ('[{"question": "a", "question": "b", "answer": "c"}]', FAILED, "invalid_json"),
        ('[{"question": "a", "Question": "b", "answer": "c"}]', FAILED, "invalid_json"),
        ('[{"question": "a"}]', FAILED, "key_missing"),
        ('[{"question": "a", "answer": "b"}, {"q": "c", "a": "d"}]', FAILED, "key_missing"),
        ('[{"question": "a", "answer": "b"}, "c"]', FAILED, "key_missing"),
        ('{"first": [{"question": "a", "answer": "b"}], "second": []}', FAILED, "key_missing"),
        ('{"Is it red?": "Yes."}', FAILED, "key_missing"),
        ('[{"question": "a", "answer": 3}]', FAILED, "value_not_text"),
        ('[{"question": null, "answer": "b"}]', FAILED, "value_not_text"),
        ('[{"question": "a", "answer": ["b", "c"]}]', FAILED, "value_not_text"),
        ('[{"question": "Which?", "options": ["a", "b"], "answer": "A"}]', FAILED, "key_unknown"),
        ('[{"question": " ", "answer": "b"}]', REJECTED, "empty_question"),
        ('[{"question": "a", "answer": ""}]', REJECTED, "empty_answer"),
        ("[]", REJECTED, "too_few_pairs"),
        ('{"pairs": [ ]}', REJECTED, "too_few_pairs"),
        pytest.param('[{"question":' * 100_000, FAILED, "invalid_json", id="deep"),
        pytest.param(f'[{{"question": "a", "answer": {"9" * 5000}}}]', FAILED, "invalid_json", id="long number"),
    ],
)
def test_broken_json_ends_the_row_with_its_reason(text, outcome, reason):
    assert JSON.apply(In(text)) == Divert(outcome, reason, text)


@pytest.mark.parametrize(
    ("question", "answer", "stem", "spoken"),
    [
        ("Which?\nA. red\nB. blue", "B", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "(B)", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "B. blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "b) Blue.", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "**B**", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "**(B)** blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "The correct answer is B.", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "Option B: blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "B blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "B, blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "B. It is blue.", "Which?", "It is blue."),
        ("Which?\nA. red\nB. blue", "B. The sky is so.", "Which?", "blue. The sky is so."),
        ("Which?\nA. red\nB. blue", "B. red", "Which?", "blue. red"),  # a judge sees what the letter says
        # No letter of an option
        ("Which?\nA. red\nB. blue", "blue", "Which?", "blue"),
        ("Which?\nA. red\nB. blue", "C", "Which?", "C"),
        ("Which?\nA. red\nB. blue", "A dog", "Which?", "A dog"),
        ("Which?\nA. red\nB. blue", "A and B", "Which?", "A and B"),
        ("Which?\nA. red\nB. blue", "Both", "Which?", "Both"),
        ("Is it B?", "B", "Is it B?", "B"),
        ("Is it B?", "A. No", "Is it B?", "A. No"),
        # Forms of options
        ("Which? (A) red (B) blue (C) green", "(C)", "Which?", "green"),
        ("Which? A. red B. blue C. green", "A", "Which?", "red"),
        ("Which?A.红 B.蓝", "B", "Which?", "蓝"),
        ("哪个？\nA、红色\nB、蓝色", "B。", "哪个？", "蓝色"),
        ("哪个？选项：A：红色 B：蓝色", "答案是B", "哪个？", "蓝色"),
        ("Pick one: (A) red, (B) blue, or (C) green?", "C", "Pick one:", "green"),
        ("Pick one. (A) red; (B) blue", "A", "Pick one.", "red"),
        ("Which?\nOptions:\n- A) red\n- B) blue", "B", "Which?", "blue"),
        ("Which?\n**Answer Choices:**\n**A.** red\n**B.** blue", "B", "Which?", "blue"),
        ("Which?\nA. red\nB. blue\nAnswer with the letter.", "B", "Which?", "blue"),
        ("A. red\nB. blue\nWhich is the sky?", "B", "Which is the sky?", "blue"),
        ("A. red\nB. blue", "B", "A. red\nB. blue", "blue"),
        ("Which?\nA. Who?\nB. Where?", "B", "Which?", "Where?"),
        ("Which?\nA. -5\nB. 5", "A. -5", "Which?", "-5"),
        # No options
        ("Who is Mr. A. Smith to Ms. B. Jones?", "B", "Who is Mr. A. Smith to Ms. B. Jones?", "B"),
        ("How far are (A) and (B)?", "B", "How far are (A) and (B)?", "B"),
        ("Which?\nA. red", "A", "Which?\nA. red", "A"),
        ("Which?\nB. red\nC. blue", "B", "Which?\nB. red\nC. blue", "B"),
        ("Which?\nA.\nB.", "B", "Which?\nA.\nB.", "B"),
        ("Which?\nA. red\nB) blue", "B", "Which?\nA. red\nB) blue", "B"),
    ],
)
def test_a_judge_reads_the_words_of_an_option_in_place_of_its_letter(question, answer, stem, spoken):
    text = json.dumps([{"question": question, "answer": answer}])
    assert JSON.apply(In(text)) == Out([question], [answer], [stem], [spoken])


WORDS = [
    "red", "blue,", "Is", "it", "2.", "(3)", "(B)", "A.", "A:", "Q:", "**so**", "-", "A", "1)", "What?", "{", "```",
    "\\n", '"', "\n", "\n- ", "\n1. ", "图中有", "猫。", "是吗？", "问题", "Question", "<image>", "the answer: ",
]  # fmt: skip


def test_what_is_written_is_read_back():
    """Of 5,000 random conversations with odd words, each is read back to the letter, in either form."""
    drawn = random.Random(5)

    def text() -> str:
        return "x " + " ".join(drawn.choices(WORDS, k=drawn.randrange(6))) + " y"

    for _ in range(5000):
        pairs = [(text(), text()) for _ in range(drawn.randrange(1, 5))]
        labelled = "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)
        assert read(labelled) == pairs
        written = [{"question": question, "answer": answer} for question, answer in pairs]
        assert read(json.dumps(written, ensure_ascii=drawn.random() < 0.5), JSON) == pairs


@pytest.mark.parametrize(
    "text",
    ["Question:" * 60_000, "Question: a\nAnswer: b\n" * 25_000, "a" + " " * 500_000 + "x", "\n" * 500_000,
     "1." * 250_000, "**" * 250_000, "> " * 250_000, "A. x? " * 80_000, "Question" + " " * 500_000,
     "[{" * 250_000, "[ " * 250_000,
     "Question: A. b\nAnswer: A" + "*" * 500_000, "Question: a? A. b B. c" + "," * 500_000 + "d\nAnswer: A",
     "Question: a\nAnswer: b\n" + "---\n" * 120_000, "Question: a\nAnswer: " + "*" * 500_000 + "x",
     "Q: a\nA: b" + "\n" * 500_000 + "x", '{"a":[],' * 60_000, '{"a":[]}' * 60_000],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
@pytest.mark.parametrize("stage", [LABELLED, JSON], ids=lambda stage: stage.form)
@pytest.mark.timeout(30)
def test_half_a_megabyte_is_read_without_hanging(stage, text):
    assert isinstance(stage.apply(In(text)), Out | Divert)


@pytest.mark.parametrize(("pairs", "reason"), [(1, "too_few_pairs"), (2, None), (3, None), (4, "too_many_pairs")])
def test_too_few_or_too_many_pairs_reject_the_row(pairs, reason):
    text = "Question: a\nAnswer: b\n" * pairs
    out = QaPairs(form="labelled", at_least=2, at_most=3).apply(In(text))
    some = ["a"] * pairs, ["b"] * pairs, ["a"] * pairs, ["b"] * pairs
    assert out == (Divert(REJECTED, reason, text) if reason else Out(*some))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "form\n  Field required"),
        ({"form": "yaml"}, "form\n  Input should be 'labelled' or 'json'"),
        ({"form": "json", "at_least": 0}, "at_least\n  Input should be greater than or equal to 1"),
        ({"form": "json", "at_most": 0}, "at_most\n  Input should be greater than or equal to 1"),
        ({"form": "json", "at_least": 3, "at_most": 2}, "at_most 2 is less than at_least 3"),
    ],
)
def test_qa_pairs_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        QaPairs.model_validate(given)
    assert message in str(error.value)


def test_qa_pairs_survives_pickling():
    assert pickle.loads(pickle.dumps(LABELLED)) == LABELLED
