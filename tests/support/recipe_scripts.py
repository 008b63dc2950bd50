"""Scripts for `ScriptedEngine`, one for each recipe: all models of the recipe in one function of the call.

The row's id, or the texts in the prompt, say what becomes of the row; `tests.support.recipe_rows` has such rows. The
scripts separate a model's reasoning from its answer, as real engines do.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

from oasis_ray.engine.reasoning import answer_of
from oasis_ray.types import Call, Reply, Sample
from tests.support.checkout import ROOT

# The first words of each prompt, to tell what is asked for.
CAPTION = "Describe the picture above for somebody who will not see it"
INQUIRE = "Somebody looked at a picture together with an assistant"
REASON = "You are looking at a picture, and somebody asks you about it."
REWRITE = "The text at the end was written by somebody who knew a picture only from a description."
COMPARE = "You compare two answers to a question about a picture."
MATCH = "请评价一个提示词与一段回复是否匹配"
ADVISE = "上方是一张图片，下面是针对这张图片的一个提示词"
IMPROVE = "下面是针对一张图片的提示词，以及对它的修改建议"
SORT = "You sort texts for a data set of questions and tasks"
KIND = "You sort requests by the kind of work that they ask for."
QUALITY = "is it a good request, so that the assistant could answer it well?"
INVENTED = "does it speak of nothing but what is in this picture?"
UNCLEAR = "is it clear what is wanted"
BROKEN = "whether this is a sensible piece of language"
DIFFICULTY = "how much must somebody know and think to answer it well?"


def caption_gen(call: Call) -> Reply:
    """Ids: `mute` gets an empty caption, `endless` one that is cut off."""
    if "mute" in call.row:
        return Reply.of(" \n")
    if "endless" in call.row:
        return _cut_off("A wall of bricks: a red brick, a red brick, a red brick,")
    return Reply.of("The picture is filled by one teal square with sharp edges. There is no writing, and nothing else.")


def detailed_inst(call: Call) -> Reply:
    """Ids as in `caption_gen`. The inquiry is about what the caption tells: writing, or colours."""
    assert call.request.text.startswith(INQUIRE)
    assert not call.request.images  # the model doesn't see it
    if "mute" in call.row:
        return Reply.of("")
    if "endless" in call.row:
        return _cut_off("What does the picture show, and what does it show, and what")
    part = "the writing in it" if "says" in _between(call, "whole answer:", "Write the question") else "its colours"
    return Reply.of(f"What can be seen in the picture, and what is there to say about {part}?\n")


def match_score(call: Call) -> Reply:
    """Judges in Chinese. Ids: `unreadable`, `off-scale` and `half` get no valid score, `poor` a low one."""
    assert call.request.text.startswith(MATCH)
    reasons = "与图片一致。" if call.request.images else "只看文字。"
    if "unreadable" in call.row:
        return Reply.of(f"{reasons}回复大体符合要求，总分九分。")
    if "off-scale" in call.row:
        return Reply.of(f"{reasons}非常好。\n【11分】")
    if "half" in call.row:
        return Reply.of(f"{reasons}比较好。\n【9.5分】")
    if "poor" in call.row:
        return Reply.of(f"{reasons}1. 提示词明确。2. 没有歧义。3. 回复答非所问。4. 没有规定格式。\n【2分】（满分10分）")
    return Reply.of(f"{reasons}1. 提示词明确。2. 没有歧义。3. 回复完整。4. 没有规定格式。\n【9分】（满分10分）")


ASKED = "请用一句话回答。"  # what the better instruction adds


def prompt_evolve(call: Call) -> Reply:
    """Advises, improves, responds and scores. Ids: `worse` gets a lower score after, `fine` no advice.

    `unreadable` gets no score before, `refused` no better instruction, and the new response to `endless` is cut off.
    """
    text = call.request.text
    if text.startswith(MATCH):
        if ASKED in text:
            return Reply.of(
                "要求明确，但回复太短。\n【3分】" if "worse" in call.row else "要求明确，回复完整。\n【9分】"
            )
        return Reply.of("我无法评分。" if "unreadable" in call.row else "提示词没有说明要多详细。\n【6分】")
    if text.startswith(ADVISE):
        assert call.request.images
        return Reply.of("无需修改" if "fine" in call.row else "1. 说明回复的长度：现在没有规定，读者不知道要多详细。")
    if text.startswith(IMPROVE):
        assert not call.request.images
        old = _between(call, "原来的提示词：", "修改建议：")
        if "refused" in call.row:
            return Reply.of("")
        return Reply.of(old if "无需修改" in _between(call, "修改建议：", "要求：") else f"{old}{ASKED}")
    if "endless" in call.row:
        return _cut_off("一个青色的正方形，一个青色的正方形，一个")
    return Reply.of("一个青色的正方形。")


def vl_thinking(call: Call) -> Reply:
    """Describes, reasons, rewrites and compares; the answer is always 3. Ids say where a row leaves:

    `endless` has reasoning without an end, `blunt` none, `lost` none after rewriting, `unsure` gets no verdict. A row
    whose known answer isn't 3 is rejected.
    """
    text = call.request.text
    if text.startswith(CAPTION):
        assert call.request.images
        return Reply.of("A teal square, and on it three white dots in a row. There is no writing.")
    if text.startswith(REASON):
        assert not call.request.images
        return _reasoned(call)
    if text.startswith(REWRITE):
        copied = text.partition("The text:\n\n")[2].replace("The caption says that there are", "I see")
        return _as_engines_reply(copied.partition("</think>")[2] if "lost" in call.row else copied)
    assert text.startswith(COMPARE), text
    known = _between(call, "known to be right:", "The answer to check:")
    answer = _between(call, "The answer to check:", "Look for the final result")
    assert "think>" not in answer
    if "unsure" in call.row:
        return Reply.of("Both speak of dots.")
    verdict = "Yes" if f"Answer: {known}" in answer else "No"
    return Reply.of(f"The known result is {known}; the other one says: {answer.splitlines()[-1]} [[{verdict}]]")


def _reasoned(call: Call) -> Reply:
    if "endless" in call.row:
        answer_of("<think>\nWait. Let me count again. Wait.")  # raises what engines raise
    answer = "There are three white dots in a row.\n\nAnswer: 3"
    if "blunt" in call.row:
        return Reply.of(answer)
    return _as_engines_reply(
        f"<think>\nThe caption says that there are three dots in a row. One, two, three.\n</think>\n\n{answer}"
    )


# What the model writes as the user, by the last digit of the row's number, and what is done with it.
TURNS = (
    "What is the difference between weather and climate?",
    "Write a haiku about rain.\nSoft rain on the roof",  # followed by an answer
    "The harbour was built in 1871. Today it handles timber.",  # asks for nothing
    "Compute 17 * 23.",
    "Fix it.",  # of low quality
    "",
    "Plan a week of meals for two people who eat no meat.",  # of a kind that is not in the list
    "Sum up the text that I sent you yesterday in an unusual way.",  # gets no score
    "List all integers.",  # the answer is cut off
    "Translate 'good morning' into French and German.",
)
KINDS = {"Write": "writing", "Compute": "math", "Translate": "editing", "What": "information", "List": "math"}


def magpie(call: Call) -> Reply:
    """A user's turn from `TURNS`, by the last digit of the row's id, and all that follows on it."""
    text = call.request.text
    assert not call.request.images
    if call.request.speaker == "user":
        assert text == ""
        return Reply.of(TURNS[int(call.row[-1])])
    if text.startswith(SORT):
        turn = text.rpartition("Text:\n")[2].removesuffix("\nAnswer:")
        if turn.startswith("The harbour"):
            return Reply.of("Kind: caption")
        return Reply.of(f"Kind: instruction\nInstruction: {turn.splitlines()[0]}")
    request = _between(call, "Request:", "\n\n") if "Request:\n" in text else text
    if QUALITY in text:
        return Reply.of(QUALITIES.get(request.split()[0], "It is clear what is wanted. [[5]]"))
    if DIFFICULTY in text:
        return Reply.of("It takes everyday knowledge. [[2]]")
    if text.startswith(KIND):
        return Reply.of(f"It asks for one thing. [[{KINDS.get(request.split()[0], 'cooking')}]]")
    if text.startswith("List"):
        return _cut_off("1, 2, 3, 4, 5,")
    return Reply.of(f"Here is an answer to: {text}")


QUALITIES = {"Fix": "It doesn't say what. [[1]]", "Sum": "I can't say.", "Translate": "A detail is left open. [[4]]"}


# What `hooks` samples, by the word in the id, and what is done with each text.
SEVERAL = {
    "good": (
        "How many white dots are there?",
        "A teal square with three white dots.",  # a caption
        "how many white dots are there",  # again
        "Which animal is to the right of the dots?",  # of something that is not there
        "Describe the colours and the places of all things in the picture.",
    ),
    "captions": ("A teal square.", "Three white dots in a row."),
    "mute": ("", " "),
    "poor": ("Which animal is to the right?", "Why?", "Which animal is to the left?"),
}


def oasis_n(call: Call) -> Reply:
    """Several turns of a user, by the word in the id (`SEVERAL`), and all that follows on each."""
    text = call.request.text
    if call.request.speaker == "user":
        assert call.request.images
        texts = SEVERAL[call.row.split(".")[0]]
        return Reply(tuple(Sample(turn, tokens=len(turn.split())) for turn in texts))
    if text.startswith(SORT):
        turn = text.rpartition("Text:\n")[2].removesuffix("\nAnswer:")
        caption = turn.startswith(("A teal", "Three"))
        return Reply.of("Kind: caption" if caption else f"Kind: instruction\nInstruction: {turn}")
    if "double square brackets" in text:
        request = _between(call, "Request:", "\n\n")
        if "animal" in request and INVENTED in text:
            return Reply.of("There is no animal. [[1]]")
        return Reply.of("It says too little. [[2]]" if request == "Why?" and UNCLEAR in text else "That is so. [[5]]")
    return Reply.of(f"An answer to: {text}")


def caption_conversation(call: Call) -> Reply:
    """As `oasis_n`, after a caption with which the turn begins."""
    text = call.request.text
    if call.request.speaker == "user":
        assert text == f"{SEEN}\n\n"
        return oasis_n(call)
    return Reply.of(SEEN) if text in REQUESTS else oasis_n(call)


REQUESTS = (ROOT / "prompts/describe/en.txt").read_text(encoding="utf-8").splitlines()
SEEN = "A teal square. On it there are three white dots in a row."


def caption_conversation_as_coded(call: Call) -> Reply:
    """Captions, questions from them, and answers. Ids: `many` gets eight questions, `none` no line with a question.

    The last answer to `endless` is cut off.
    """
    text = call.request.text
    if text.startswith("You do not see a picture"):
        assert not call.request.images
        if "none" in call.row:
            return Reply.of("---")
        count = 8 if "many" in call.row else 5
        return Reply.of("\n".join(f"{number}. What is at place {number}?" for number in range(1, count + 1)))
    assert call.request.images
    if text.endswith("?"):
        return _cut_off("A dot, a dot,") if "endless" in call.row and "5" in text else Reply.of(f"A dot: {text}")
    return Reply.of(SEEN)


def caption_hallucination(call: Call) -> Reply:
    """Captions, their statements, and checks. Ids: `wrong` has a false statement, `unsure` one without a verdict.

    The caption of `mute` has no statement.
    """
    text = call.request.text
    if text.startswith("Divide the description"):
        assert not call.request.images
        wrong = "A dog lies in the corner." if "wrong" in call.row else "There is no writing."
        return Reply.of("…" if "mute" in call.row else f"The square is teal.\nThere are three white dots.\n{wrong}")
    if text.startswith("Hold one statement"):
        assert call.request.images
        if "unsure" in call.row and "dots" in text:
            return Reply.of("There may be dots.")
        return Reply.of("No dog is there. [[Incorrect]]" if "dog" in text else "It is there. [[correct]].")
    return Reply.of(SEEN)


# What `genixer` replies when it is asked for pairs, by the word in the id; the default is one short pair.
PAIRS = {
    "choice": "Question: How many dots are there?\nA. one\nB. two\nC. three\nD. four\nAnswer: C",
    "dialogue": "**Question:** Which colour has the square?\n**Answer:** It is teal.\n\n"
    "**Question:** What does the dog do?\n**Answer:** It sleeps.\n\n"
    "**Question:** How do the dots lie?\n**Answer:** They lie\nin a row.",
    "unlabelled": "How many white dots are there? There are three.",
    "half": "Question: How many white dots are there?\nAnswer: Three.\nQuestion: Which colour",
    "mute": "Question: How many white dots are there?\nAnswer:",
    "many": "\n".join(f"Question: What is at place {place}? Answer: a dot" for place in range(9)),
}


def genixer(call: Call) -> Reply:
    """Asks and answers by the word in the id (`PAIRS`). The judge is sure of all but dogs; `doubtful` gets 0.6."""
    text = call.request.text
    assert call.request.images
    if not call.request.weigh:
        assert text.partition("\n")[0] in GENERAL
        return Reply.of(PAIRS.get(call.row.split(".")[0], "Question: How many white dots are there?\nAnswer: Three"))
    assert text.startswith("Somebody asked a question about the picture above and got an answer.")
    assert "A. one" not in text
    if "silent" in call.row:
        return Reply.of("Yes")  # of an engine that gives no probabilities
    yes = 0.6 if "doubtful" in call.row else 0.05 if "dog" in text or "wrong" in call.row else 0.95
    return Reply((Sample("Yes" if yes > 0.5 else "No", tokens=1, probabilities={"Yes": yes, "No": 1 - yes}),))


GENERAL = (ROOT / "prompts/genixer_general/en.txt").read_text(encoding="utf-8").splitlines()


def oasis_repair(call: Call) -> Reply:
    """The id says which judge finds a fault: `unclear`, `invented`, `nonsense`.

    The fault of a row with `still` in its id is there after rewording too; `bad` is rejected at once.
    """
    text = call.request.text
    if call.request.speaker == "user":
        return Reply.of(SEEN if "caption" in call.row else "What is it with that?")
    if text.startswith("Somebody wrote a request about the picture above, and a judge"):
        assert _between(call, "The judge said:", "Write the request again").endswith("]]")
        return Reply.of("What shape is it?")
    if text.startswith(SORT):
        turn = text.rpartition("Text:\n")[2].removesuffix("\nAnswer:")
        return Reply.of("Kind: caption" if "square" in turn else f"Kind: instruction\nInstruction: {turn}")
    if "Request:" in text or "Description:" in text:
        again = "What shape" in text
        fault = {UNCLEAR: "unclear", INVENTED: "invented", BROKEN: "nonsense"}
        at_fault = any(mark in text and word in call.row for mark, word in fault.items())
        if "bad" in call.row:
            return Reply.of("It is not. [[1]]")
        if at_fault and (not again or "still" in call.row):
            return Reply.of("A trifle is amiss. [[2]]" if "unclear" in call.row else "A trifle is amiss. [[4]]")
        return Reply.of("It is fine. [[5]]")
    return Reply.of(f"An answer to: {text}")


def _between(call: Call, before: str, after: str) -> str:
    """What a prompt has between two of its own texts."""
    return re.split(re.escape(after), call.request.text.partition(before)[2].lstrip("\n"))[0].strip()


def _cut_off(text: str) -> Reply:
    return Reply((Sample(text, "length", len(text.split())),))


def _as_engines_reply(text: str) -> Reply:
    """A reply whose reasoning is separated, as vLLM's and servers' replies are."""
    answer, reasoning = answer_of(text)
    return Reply((Sample(answer, tokens=len(text.split()), reasoning=reasoning),))


def _slowly(script: Callable[[Call], Reply]) -> Callable[[Call], Awaitable[Reply]]:
    async def reply(call: Call) -> Reply:
        await asyncio.sleep(0.1)
        return script(call)

    return reply


slow_prompt_evolve = _slowly(prompt_evolve)
slow_oasis_n = _slowly(oasis_n)
slow_caption_hallucination = _slowly(caption_hallucination)
slow_vl_thinking = _slowly(vl_thinking)
