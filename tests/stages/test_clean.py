"""Clean removes garbage from a caption and leaves everything else unchanged."""

import pickle

import pytest
from oasis_ray.content.stages.clean import SPECIAL, Clean, In, Out
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert

CAT = "A cat sits on a red mat beside the open window."
ZH = "一只猫坐在红色的垫子上。旁边是一扇开着的窗户，外面正在下雨。"


def out(raw, text):
    return Out(text, round(1 - len(text) / len(raw), 3))


@pytest.mark.parametrize(
    "text",
    [
        CAT,
        ZH,
        "Une église à Saint-Étienne, là où l'âne dort ; « c'est déjà l'été », dit-on à São Paulo.",
        "Straße, Ærø, Đà Nẵng, İstanbul: four names on one sign over the door.",
        "بِسْمِ اللّٰهِ مكتوبة بخط كبير على جدار أبيض في وسط الصورة.",
        "می\u200cخواهم این تابلو را بخوانم، که بزرگ و سفید است.",
        "A family 👨\u200d👩\u200d👧 waves from a boat, with hearts ❤️ painted on its white sail.",
        "The plot shows y = x < 3 | z > 2, and the caption says so in blue letters.",
        "A list of what can be seen:\n- a red car\n- a blue car\n- a bus that waits at the crossing",
        "A shop sign says: Wait... then it says nothing more ........ and the row of dots goes on.",
        "It says that the town has 10000 inhabitants, and the bridge did cost 2000000 euros.",
        "The hotel beside the lake has five stars: ★★★★★ on its sign.",
        "The ticket in the middle costs 3.50. The drink beside it costs 3.50.",
        "The U.S. flag hangs on the left. The U.S. map hangs on the right.",
        "Mr. Smith stands on the left side. Mr. Jones stands on the right side.",
        "A cat sits on the red mat. **It looks out of the open window.**",
        "（一只猫坐在红色的垫子上。旁边是一扇开着的窗户。）",
        "تجلس قطة كبيرة على سجادة حمراء بجانب النافذة المفتوحة. هل ترى المطر في الخارج؟",
    ],
)
def test_clean_leaves_a_good_caption_as_it_is(text):
    assert Clean().apply(In(text)) == Out(text, 0.0)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (f"<|im_start|>assistant\n{CAT}<|im_end|>", f"assistant\n{CAT}"),
        (f"<image>\n{CAT}</s>", CAT),
        (f"<|vision_start|><|image_pad|><|vision_end|>{CAT}<PAD>", CAT),
        (f"{CAT}<\u200b|im_end|>", CAT),  # no special token may arise
        (f"{CAT}<|im_<|x|>end|>", CAT),
        (f"\ufeff\0{CAT}\x07\x1b\ue000\U000f0000\ufffd", CAT),
        (f"\u202e{CAT}\u202c\u200b", CAT),
        ("A cafÃ© is beside the river, and itâ€™s open until ten in the evening.",
         "A caf is beside the river, and its open until ten in the evening."),
        ("In der StraÃŸe liegt Schnee, und ein Hund rennt Ã¼ber den Platz.",
         "In der Strae liegt Schnee, und ein Hund rennt ber den Platz."),
        (f"  {CAT}  \n\n\n\n  {ZH}\t ", f"{CAT}\n\n{ZH}"),
        ("A cat   sits\t\ton a red mat beside the open window.", CAT),
        ("A cafe\u0301 beside the river is open until ten in the evening.",
         "A café beside the river is open until ten in the evening."),
        # Repeated fragments
        (f"{CAT} {CAT} It sleeps.", f"{CAT} It sleeps."),
        (f"{CAT}\n{CAT.upper()}\n", CAT),
        (ZH * 3, ZH),
        ("The cat is very, very, very, very, very, very happy on its red mat.",
         "The cat is very, very happy on its red mat."),
        # Truncated last sentences
        (f"{CAT} Behind it, a man in a bl", CAT),
        (ZH + "远处有一座", ZH),
        (f'{CAT} A sign says "Open now!" in the low', f'{CAT} A sign says "Open now!"'),
        (f"Two things:\n1. {CAT}\n2. A dog under a bri", f"Two things:\n1. {CAT}"),
        ("लाल चटाई पर एक बिल्ली बैठी है। खिड़की खुली है और बाहर बारिश है। एक आद",
         "लाल चटाई पर एक बिल्ली बैठी है। खिड़की खुली है और बाहर बारिश है।"),
    ],
)  # fmt: skip
def test_clean_removes_garbage(raw, text):
    assert Clean(max_removed=1).apply(In(raw)) == out(raw.replace("e\u0301", "é"), text)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        ("", ""),
        ("\0\x01\ufffd\ue000", ""),
        ("<|im_end|><image></s>", ""),
        ("Ã©Ã¨â€™", ""),
        ("一只猫坐在垫子上。", "一只猫坐在垫子上。"),  # 8 CJK characters are 24
        ("a" * 5_000, "a"),
        ("haha " * 1_000, "haha"),
    ],
)
def test_a_caption_that_is_too_short_once_clean_is_rejected(raw, detail):
    assert Clean().apply(In(raw)) == Divert(REJECTED, "caption_too_short", detail)


def test_a_caption_that_was_mostly_garbage_is_rejected():
    raw = CAT + "<|image_pad|>" * 9
    assert Clean().apply(In(raw)) == Divert(REJECTED, "caption_mostly_garbage", CAT)
    assert Clean(max_removed=1).apply(In(raw)) == out(raw, CAT)


def test_a_cjk_character_counts_as_three():
    assert Clean(min_chars=26).apply(In("一只猫坐在垫上。")) == Divert(
        REJECTED, "caption_too_short", "一只猫坐在垫上。"
    )
    assert Clean(min_chars=22).apply(In("一只猫坐在垫上。")) == Out("一只猫坐在垫上。", 0.0)
    assert Clean(min_chars=11).apply(In("고양이 .")) == Out("고양이 .", 0.0)


@pytest.mark.parametrize("raw", ["x" + " " * 300_000 + "x", "x" + "\n" * 300_000 + "x", "<|" * 300_000, '."' * 300_000])
def test_garbage_is_taken_out_without_hanging(raw):
    assert Clean().apply(In(raw)).reason == "caption_too_short"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_chars": 0}, "min_chars\n  Input should be greater than or equal to 1"),
        ({"max_removed": 1.5}, "max_removed\n  Input should be less than or equal to 1"),
    ],
)
def test_clean_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Clean.model_validate(given)
    assert message in str(error.value)


def test_clean_is_frozen_and_survives_pickling():
    stage = Clean(min_chars=9)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.min_chars = 1
    assert pickle.loads(pickle.dumps(stage)) == stage


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("<|im_" * 9 + "<|x|>" + "end|>" * 9, id="nested"),
        pytest.param("<im<im<im<im<im<image>age>age>age>age>age>", id="nested, of the other form"),
        pytest.param("<|im_" + "e" * 50 + "nd|>", id="hidden by a loop"),
        pytest.param("<|im_\u200bend|>", id="hidden by a space without width"),
        pytest.param("<|" * 100_000 + "x" + "|>" * 100_000, id="deeper than anything"),
    ],
)
@pytest.mark.timeout(30)
def test_no_special_token_is_left_over_from_others(raw):
    cleaned = Clean(max_removed=1).apply(In(f"{CAT} {raw} {CAT} It purrs."))
    assert not SPECIAL.search(cleaned.text)
