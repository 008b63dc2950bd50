"""Language detects the language of a text, deterministically, and marks guesses."""

import pickle
import subprocess
import sys

import pytest
from oasis_ray.content.stages.language import In, Language, Out
from pydantic import ValidationError

EN = "The cat sits on the red mat beside the open window."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (EN, "en"),
        ("这张图片里有一只猫坐在红色的垫子上，旁边有一扇窗户。", "zh-cn"),
        ("圖片裡有一隻貓坐在紅色的墊子上，旁邊有一扇窗戶。", "zh-tw"),
        ("이 이미지에는 빨간 매트 위에 앉아 있는 고양이가 있습니다.", "ko"),
        ("この画像には赤いマットの上に座っている猫が写っています。", "ja"),
        ("Eine Katze sitzt auf der roten Matte neben dem offenen Fenster.", "de"),
        ("Le chat est assis sur le tapis rouge à côté de la fenêtre ouverte.", "fr"),
        ("Katten sitter på den røde matten ved siden av det åpne vinduet.", "no"),
        ("Con mèo đang ngồi trên tấm thảm đỏ bên cạnh cửa sổ.", "vi"),
        ("القطة تجلس على السجادة الحمراء بجانب النافذة", "ar"),
        (f"\0<|im_end|> {EN} 👨\u200d👩\u200d👧", "en"),
        pytest.param((EN + " ") * 20_000, "en", id="a megabyte"),
    ],
)
def test_a_long_text_of_one_language_is_sure(text, language):
    assert Language().apply(In(text)) == Out(language, sure=True)


@pytest.mark.parametrize(
    "text", ["", " \n", "12345 67", "?!.,", "\0\0", "👨\u200d👩\u200d👧", "https://a.b/c", "4" * 100_000]
)
def test_a_text_without_letters_has_no_language(text):
    assert Language().apply(In(text)) == Out("und", sure=False)


def test_a_short_text_is_never_sure():
    assert Language(min_chars=len(EN)).apply(In(f" {EN} ")) == Out("en", sure=True)
    assert Language(min_chars=len(EN) + 1).apply(In(f" {EN} ")) == Out("en", sure=False)


def test_an_unlikely_language_is_not_sure():
    assert Language(min_chars=1).apply(In("hotel taxi radio")) == Out("so", sure=False)
    assert Language(min_chars=1, min_probability=0).apply(In("hotel taxi radio")) == Out("so", sure=True)


def test_the_same_text_always_gets_the_same_language():
    text = "hotel taxi radio"  # unseeded, this changes from call to call
    seen = {Language(min_chars=1, min_probability=0).apply(In(text)) for _ in range(20)}
    code = f"from oasis_ray.content.stages.language import *; print(Language().apply(In({text!r})).language)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert seen == {Out(other, sure=True)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_chars": -1}, "min_chars\n  Input should be greater than or equal to 0"),
        ({"min_probability": 1.1}, "min_probability\n  Input should be less than or equal to 1"),
        ({"seed": 1}, "seed\n  Extra inputs are not permitted"),
    ],
)
def test_language_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Language.model_validate(given)
    assert message in str(error.value)


def test_language_is_frozen_and_survives_pickling():
    stage = Language(min_chars=9)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.min_chars = 1
    assert pickle.loads(pickle.dumps(stage)) == stage
