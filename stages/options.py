"""Options: those of a multiple-choice question, such as `(A) red (B) blue`, and the one that an answer names."""

import re

OPTION = re.compile(
    r"(?:^[ \t]*(?:[-*•][ \t]+)?|(?<=[\s?!.,;:？！。，；：]))(?:\*\*)?"
    r"(?P<open>[(（\[]?)(?P<letter>[A-Z])(?P<close>[)）\].．:：、]{1,2})(?:\*\*)?(?:(?<=[)）\]*])|(?=\s|[^\x00-\x7f]))",
    re.MULTILINE,
)
HEADING = re.compile(r"\*{0,2}(?:(?:answer )?(?:options|choices)|选项|選項)\*{0,2}\s?[:：]?\*{0,2}\Z", re.IGNORECASE)
JOINT = re.compile(r"(?:\s(?:or|and)|或|还是|還是)\Z", re.IGNORECASE)
CHOSEN = re.compile(
    r"[\s*_]*+(?:(?:the )?(?:(?:correct|right|best) )?(?:answer|option|choice)(?: is)?:? ?"
    r"|(?:答案|选项?)[是为]?[:：]?)?[*_]*(?P<open>[(（\[]?)(?P<letter>[A-Z])(?!\w)(?P<rest>.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
AFTER_LETTER = ")）].．:：、"
MARKS = " \t\r\n\u3000.…,;:!?*_\"'`()[]。，；：、！？．（）"  # what may stand around an answer


def divided(question: str) -> tuple[str, dict[str, str]]:
    """Return a question without its options, and the options by letter: from A on, in one style, at least two."""
    marks = list[re.Match[str]]()
    for mark in OPTION.finditer(question):
        if mark["letter"] != chr(ord("A") + len(marks)):
            continue
        before = question[max(0, mark.start() - 8) : mark.start()].rstrip(" \t")[-1:]
        begins = before in ("", *"\n?？!！:：。;；") or (before == "." and mark["close"] != ".")  # not "Mr. A. Bee"
        if begins if not marks else mark.group("open", "close") == marks[0].group("open", "close"):
            marks.append(mark)
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    texts = [question[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=False)]
    if len(texts) < 2 or not all(texts):
        return question, {}
    last, _, after = texts[-1].partition("\n")  # what follows on the options is none
    in_a_row = "\n" not in question[marks[0].end() : marks[-1].start()]
    texts[-1] = last.rstrip(" ?？") if in_a_row else last
    texts = [JOINT.sub("", text.strip(" ,;，；、*")).rstrip(" ,;，；、*") for text in texts]
    stem = question[: marks[0].start()].rstrip()
    heading = HEADING.search(stem, max(0, len(stem) - 30))
    stem = stem[: heading.start()].rstrip() if heading else stem
    return stem or after.strip() or question, {mark["letter"]: text for mark, text in zip(marks, texts, strict=True)}


def spoken_as(answer: str, options: dict[str, str]) -> str:
    """Return an answer with the words of the option whose letter it begins with."""
    chosen = CHOSEN.match(answer)
    option = options.get(chosen["letter"].upper(), "") if chosen else ""
    if not chosen or not option:
        return answer
    rest, words = chosen["rest"].strip(MARKS).casefold(), option.strip(MARKS).casefold()
    if rest in ("", words):
        return option
    if not chosen["open"] and chosen["rest"][0] not in AFTER_LETTER:
        return answer  # "A dog" has no letter
    explained = chosen["rest"].lstrip(f"{AFTER_LETTER}* \n")
    return explained if words in rest else f"{option}. {explained}"
