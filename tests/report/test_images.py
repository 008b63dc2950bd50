"""What the report counts of images: it opens every image that a run admits."""

import zlib
from collections import Counter

import pytest

from benchmarks.hostile.pictures import FORMS, chunk, whole
from oasis_ray.stats.image_measures import ImageTotals

VAST = zlib.compress(b"b" * 2_000_000)  # more than Pillow unpacks
TEXTS = {
    "a packed text": chunk(b"zTXt", b"workflow\0\0" + VAST),
    "an international text": chunk(b"iTXt", b"a\0\1\0\0\0" + VAST),
    "a colour profile": chunk(b"iCCP", b"profile\0\0" + VAST),
}


def counted(data: bytes) -> ImageTotals:
    totals = ImageTotals()
    totals.add(data, "x")
    return totals


@pytest.mark.parametrize("form", FORMS)
def test_an_image_of_each_form_is_counted_by_its_format(form: str) -> None:
    totals = counted(whole(form))
    assert (totals.looked_at, totals.unreadable, totals.formats) == (1, 0, Counter([form.split()[-1]]))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_pillow_does_not_read_costs_no_image(text: str) -> None:
    plain = whole("PNG")
    totals = counted(plain[:33] + TEXTS[text] + plain[33:])
    assert (totals.looked_at, totals.unreadable, totals.formats) == (1, 0, Counter(["PNG"]))


def test_what_is_no_image_is_counted_as_unreadable() -> None:
    totals = counted(b"words")
    assert (totals.looked_at, totals.unreadable, totals.formats) == (1, 1, Counter())
