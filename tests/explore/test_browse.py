"""Server of the browse page: what it serves and to whom, and that hostile runs can't misuse it."""

import io
import json
import socket
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from oasis_ray.content.stages import respond

from oasis_ray.errors import JobError
from oasis_ray.explore import annotations as marks
from oasis_ray.explore.query import Rows
from oasis_ray.explore.server import application, serve
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture, shard

PORT, TOKEN = 4711, "a-token"
HERE = f"http://127.0.0.1:{PORT}"
COOKIE = {"Cookie": f"oasis_browse_{PORT}={TOKEN}"}
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`${7*7}{{7*7}}]]>\u202e\x00"
NASTY_IDS = ["", "../../etc/passwd", "a/b?c=d&e#f%00", "' OR 1=1 --", '"; DROP TABLE ends; --', NASTY, "é\u2028\n😀"]
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def made(folder: Path) -> RunFolder:
    """A run of six rows: two accepted, two captions, a rejected and a failed one."""
    run = RunFolder(folder / "runs [1]", write_job(folder))
    RunFolder(folder / "runs 1", write_job(folder)).part("1", accepted("another's"))  # what a pattern would find
    run.part("1", accepted("a1", image=picture(), text="Is it TEAL?"), accepted("a2", scores={"clarity": 3}))
    run.part("2", caption("c1", spoken="de"), caption("c2"), rejected("r1", text="100% _odd_"), failed("f1"))
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run for one test."""
    return made(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that tests only look at: ada finds a1 good, bo finds a2 bad."""
    run = made(tmp_path_factory.mktemp("still"))
    marks.append(run.path, "a1", "good", "ada")
    marks.append(run.path, "a2", "bad", "bo")
    return run


@pytest.fixture(scope="module")
def looking(still: RunFolder) -> TestClient:
    """Ada's page of the run that is only looked at."""
    return client(still)


def client(run: RunFolder, who: str = "ada", **headers: str) -> TestClient:
    app = application(Rows(str(run.path), who), TOKEN, PORT)
    return TestClient(app, base_url=HERE, headers={**COOKIE, **headers}, follow_redirects=False)


def ids(browsing: TestClient, **wanted: Any) -> list[str]:
    answer = browsing.get("/api/rows", params=wanted)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["rows"]]


def mark(browsing: TestClient, name: str, value: str | None, **headers: str) -> int:
    given = {"Origin": HERE, **headers}
    return browsing.post("/api/marks", json={"id": name, "mark": value}, headers=given).status_code


# Who is let in

PATHS = [
    "/",
    "/page.js",
    "/row.js",
    "/page.css",
    "/api/run",
    "/api/rows",
    "/api/row?id=a1",
    "/image?id=a1",
    "/docs",
    "/openapi.json",
]


@pytest.mark.parametrize(
    "cookie", ["", f"oasis_browse_{PORT}=", f"oasis_browse_{PORT}=a-tokeN", f"oasis_browse_1={TOKEN}"]
)
def test_without_the_token_nothing_is_given(looking: TestClient, cookie: str) -> None:
    for path in [*PATHS, "/?token=", "/?token=wrong", f"/api/run?token={TOKEN}"]:
        answer = looking.get(path, headers={"Cookie": cookie})
        assert (answer.status_code, answer.text) == (403, "open the address that `oasis-ray browse` printed")


def test_the_address_with_the_token_gives_a_cookie_that_no_script_and_no_other_site_can_use(
    looking: TestClient,
) -> None:
    answer = looking.get(f"/?token={TOKEN}", headers={"Cookie": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == f"oasis_browse_{PORT}={TOKEN}; HttpOnly; Path=/; SameSite=strict"
    assert looking.get("/").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 400), (f"evil.example:{PORT}", 400), (f"localhost.evil:{PORT}", 400),
        (f"127.0.0.1.:{PORT}", 400), ("", 400), (f"127.0.0.1:{PORT}@evil.example", 400),
        ("127.0.0.1", 421), ("127.0.0.1:1", 421),
    ],
)  # fmt: skip
def test_a_name_of_somebody_elses_that_leads_here_is_refused(looking: TestClient, host: str, status: int) -> None:
    answers = {looking.get(path, headers={"Host": host}).status_code for path in [*PATHS, f"/?token={TOKEN}"]}
    assert answers | {mark(looking, "a1", "bad", Host=host)} == {status}


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", "http://127.0.0.1:1", f"https://127.0.0.1:{PORT}", f"{HERE}.evil.example"],
)
def test_only_the_own_page_may_mark(run: RunFolder, origin: str) -> None:
    browsing = client(run)
    assert mark(browsing, "a1", "good", Origin=origin) == 403
    assert not (run.path / "marks.jsonl").exists()
    assert mark(browsing, "a1", "good") == 200


def test_every_answer_forbids_what_the_page_does_not_need(looking: TestClient) -> None:
    wanted = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }
    for sent in ({}, {"Cookie": ""}, {"Host": "evil.example"}):
        for path in [*PATHS, f"/?token={TOKEN}", "/nothing", "/api/row?id=nobody", "/api/rows?limit=0"]:
            headers = looking.get(path, headers=sent).headers
            assert {name: headers.get(name) for name in wanted} == wanted


# What it gives


def test_what_there_is_to_choose_from_comes_from_the_run(looking: TestClient) -> None:
    overview = looking.get("/api/run").json()
    assert overview.pop("nodes")[:2] == ["hook", "categorize"]
    judged = ("caption_coherence", "caption_information", "caption_language")
    assert overview == {
        "name": "runs [1]", "recipe": "oasis", "state": "done", "input_rows": 10, "who": "ada",
        "scales": {
            axis: [1, 5] for axis in (*judged, "hallucination", "nonsense", "solvability", "clarity")
        },
        "outcomes": ["accepted", "captions", "rejected", "failed"],
        "places": [
            {"outcome": "accepted", "node": None, "reason": None, "rows": 2},
            {"outcome": "captions", "node": None, "reason": None, "rows": 2},
            {"outcome": "rejected", "node": "clarity", "reason": "score_1", "rows": 1},
            {"outcome": "failed", "node": "admit", "reason": "image_broken", "rows": 1},
        ],
        "axes": [
            *({"axis": axis, "least": 5, "most": 5} for axis in judged),
            {"axis": "clarity", "least": 1, "most": 5},
            *({"axis": axis, "least": 5, "most": 5} for axis in ("hallucination", "nonsense", "solvability")),
        ],
        "languages": [{"language": "de", "rows": 1}, {"language": "en", "rows": 1}],
        "marks": [{"who": "ada", "mark": "good", "rows": 1}, {"who": "bo", "mark": "bad", "rows": 1}],
        "skipped_marks": 0, "unreadable": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["a1", "a2", "c1", "c2", "r1", "f1"]),
        ({"outcome": "captions"}, ["c1", "c2"]),
        ({"node": "clarity"}, ["r1"]),
        ({"node": "admit", "reason": "image_broken"}, ["f1"]),
        ({"language": "de"}, ["c1"]),
        ({"axis": "clarity"}, ["a1", "a2", "r1"]),
        ({"axis": "clarity", "least": 2}, ["a1", "a2"]),
        ({"axis": "clarity", "least": 2, "most": 4}, ["a2"]),
        ({"axis": "clarity", "most": 3, "outcome": "rejected"}, ["r1"]),
        ({"axis": "x'] OR true --"}, []),
        ({"text": "is it teal"}, ["a1"]),
        ({"text": "WORTH [[3]]"}, ["a2"]),
        ({"text": "can't be decoded"}, ["f1"]),
        ({"text": "KIND: caption"}, ["c1", "c2"]),
        ({"text": "100% _ODD_"}, ["r1"]),
        ({"text": "100_ "}, []),
        ({"text": "' OR 1=1 --"}, []),
        ({"text": ""}, ["a1", "a2", "c1", "c2", "r1", "f1"]),
        ({"mark": "none", "outcome": "accepted"}, ["a2"]),
        ({"mark": "good"}, ["a1"]),
        ({"mark": "bad"}, []),
    ],
)
def test_a_filter_takes_the_rows_that_are_like_it(
    looking: TestClient, wanted: dict[str, Any], expected: list[str]
) -> None:
    assert ids(looking, **wanted) == expected


@pytest.mark.parametrize(
    "wanted",
    [
        {"outcome": "lost"}, {"outcome": ""}, {"after_outcome": "lost", "after_id": "a1"}, {"limit": 0}, {"limit": 501},
        {"least": "x"}, {"text": "x" * 1001}, {"sql": "1"},
    ],
)  # fmt: skip
def test_a_filter_that_is_none_is_refused(looking: TestClient, wanted: dict[str, Any]) -> None:
    assert looking.get("/api/rows", params=wanted).status_code == 422


def test_pages_hold_every_row_once_though_rows_are_added(run: RunFolder) -> None:
    browsing, seen = client(run), []
    last: dict[str, Any] = {}
    while page := browsing.get("/api/rows", params={"limit": 1, **last}).json()["rows"]:
        assert len(seen) < 6
        seen += [(row["outcome"], row["id"]) for row in page]
        last = {"after_outcome": page[-1]["outcome"], "after_id": page[-1]["id"]}
        run.part(f"x{len(seen)}", accepted(f"a0{len(seen)}"))
        ids(browsing)
    assert seen == [("accepted", "a1"), ("accepted", "a2"), ("captions", "c1"), ("captions", "c2"),
                    ("rejected", "r1"), ("failed", "f1")]  # fmt: skip


def test_a_row_is_given_whole_but_its_picture(looking: TestClient) -> None:
    given = looking.get("/api/row", params={"id": "r1"}).json()
    written = {name: out for name, out in given.pop("nodes").items() if out}
    assert written == {
        "hook": {"text": "100% _odd_", "truncated": False},
        "clarity": {"score": 1, "reply": "100% _odd_ is worth [[1]]"},
    }
    assert [step["node"] for step in given.pop("lineage")] == ["hook", "clarity"]
    assert {axis: value for axis, value in given.pop("scores").items() if value} == {"clarity": 1}
    assert given == {
        "id": "r1", "outcome": "rejected", "node": "clarity", "reason": "score_1", "detail": "score_1",
        "said": "100% _odd_", "scored_in_full": False, "image_sha256": None, "origin": None, "moves": [],
        "source": {"file": "a", "row_group": 0, "row": 0}, "marks": [],
    }  # fmt: skip
    assert looking.get("/api/row", params={"id": "r"}).status_code == 404


def test_hostile_ids_and_texts_come_as_they_are_and_do_nothing(run: RunFolder) -> None:
    run.part("x", *(accepted(name, text=NASTY, answer=NASTY, image=picture()) for name in NASTY_IDS))
    browsing = client(run)
    assert sorted(ids(browsing, outcome="accepted")) == sorted(["a1", "a2", *NASTY_IDS])
    assert sorted(ids(browsing, text=NASTY[:40].upper())) == sorted(NASTY_IDS)
    for name in NASTY_IDS:
        given = browsing.get("/api/row", params={"id": name})
        assert given.headers["content-type"] == "application/json"
        assert [given.json()[key] for key in ("id", "instruction", "response")] == [name, NASTY, NASTY]
        assert browsing.get("/image", params={"id": name}).headers["content-type"] == "image/webp"
        assert mark(browsing, name, "good") == 200
    assert sorted(ids(client(run), mark="good")) == sorted(NASTY_IDS)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "accepted", "captions", "failed", "marks.jsonl", "rejected", "run.json"
    ]  # fmt: skip


def test_values_that_json_lacks_become_null(run: RunFolder) -> None:
    run.part("x", accepted("n", nodes={"respond": respond.Out("x", float("nan"))}))
    assert client(run).get("/api/row", params={"id": "n"}).json()["nodes"]["respond"] == {
        "text": "x",
        "likelihood": None,
    }


# Pictures


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (picture(), (200, "image/webp", (112, 112))),
        (picture(size=(3000, 1500), kind="JPEG"), (200, "image/webp", (1024, 512))),
        (picture(kind="GIF"), (200, "image/webp", (112, 112))),
        (SVG, (415, "application/json", None)),
        (b"<html><script>alert(1)</script>", (415, "application/json", None)),
        (b"GIF89a<script>alert(1)</script>", (415, "application/json", None)),
        (picture()[:80], (415, "application/json", None)),
    ],
)
def test_a_picture_is_drawn_anew_or_not_shown(
    run: RunFolder, data: bytes, expected: tuple[int, str, tuple[int, int] | None]
) -> None:
    run.part("x", accepted("p", image=data))
    answer = client(run).get("/image", params={"id": "p"})
    size = PIL.Image.open(io.BytesIO(answer.content)).size if answer.status_code == 200 else None
    assert (answer.status_code, answer.headers["content-type"], size) == expected


def test_a_row_without_an_image_shows_that_of_the_input_if_it_is_unchanged(tmp_path: Path, run: RunFolder) -> None:
    shard(tmp_path / "shards/a.parquet", [{"id": "r", "bytes": picture("red")}, {"id": "s", "bytes": picture("blue")}])
    given = {"red": 0, "blue": 1, "changed": 0, "beyond": 9}
    run.part("x", *(rejected(name, image=picture(name if name != "changed" else "green"), at=at)
                    for name, at in given.items() if name != "beyond"),
             rejected("beyond", image=picture("red"), at=9), rejected("none"))  # fmt: skip
    browsing = client(run)
    shown = {name: browsing.get("/image", params={"id": name}) for name in [*given, "none"]}
    assert {name: answer.status_code for name, answer in shown.items()} == {
        "red": 200, "blue": 200, "changed": 204, "beyond": 204, "none": 204
    }  # fmt: skip
    assert PIL.Image.open(io.BytesIO(shown["blue"].content)).convert("RGB").getpixel((5, 5)) == (0, 0, 255)


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "", "b"])
def test_an_address_in_a_row_opens_no_file_but_the_inputs(tmp_path: Path, run: RunFolder, file: str) -> None:
    for name in ("shards/a", "secret"):
        shard(tmp_path / f"{name}.parquet", [{"id": "r", "bytes": picture()}])
    row = rejected("r", image=picture())
    row.address = {"file": file, "row_group": 0, "row": 0}
    run.part("x", row)
    assert client(run).get("/image", params={"id": "r"}).status_code == 204


# Marks


def test_marks_outlive_the_server_and_each_person_has_their_own(run: RunFolder) -> None:
    ada = client(run)
    for name, value in (("a1", "good"), ("a1", "bad"), ("r1", "good"), ("c1", "good"), ("c1", None)):
        assert mark(ada, name, value) == 200
    assert mark(client(run, "bo"), "a1", "good") == 200
    overview = client(run).get("/api/run").json()
    assert overview["marks"] == [
        {"who": "ada", "mark": "bad", "rows": 1}, {"who": "ada", "mark": "good", "rows": 1},
        {"who": "bo", "mark": "good", "rows": 1},
    ]  # fmt: skip
    spoken = client(run).get("/api/row", params={"id": "a1"}).json()["marks"]
    assert [(one["who"], one["mark"]) for one in spoken] == [("ada", "bad"), ("bo", "good")]
    lines = [json.loads(line) for line in (run.path / "marks.jsonl").read_text().splitlines()]
    assert [(one["id"], one["mark"], one["who"]) for one in lines] == [
        ("a1", "good", "ada"), ("a1", "bad", "ada"), ("r1", "good", "ada"), ("c1", "good", "ada"), ("c1", None, "ada"),
        ("a1", "good", "bo"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body", [{"id": "nobody", "mark": "good"}, {"id": "a1", "mark": "fine"}, {"id": "a1"}, {}, [], 1]
)
def test_a_mark_of_no_row_or_of_another_word_is_refused(run: RunFolder, body: Any) -> None:
    answer = client(run).post("/api/marks", json=body, headers={"Origin": HERE})
    assert answer.status_code in (404, 422)
    assert not (run.path / "marks.jsonl").exists()


def test_a_run_is_only_written_to_by_marks(run: RunFolder) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    browsing = client(run)
    for path in [*PATHS, "/api/rows?text=teal"]:
        browsing.get(path)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()} == before


# Runs that are not whole


def test_an_active_run_is_shown_in_its_current_state(run: RunFolder) -> None:
    browsing = client(run)
    assert ids(browsing, outcome="rejected", text="more") == []
    run.part("3", rejected("r2", text="more"))
    assert ids(browsing, outcome="rejected", text="more") == ["r2"]
    run.part("3", accepted("r2", text="more"))  # tried again, and its part taken back
    (run.path / "rejected/part-3.parquet").unlink()
    assert ids(browsing, text="more") == ["r2"]
    assert browsing.get("/api/row", params={"id": "r2"}).json()["outcome"] == "accepted"
    (run.path / "accepted/part-3.parquet").unlink()
    assert browsing.get("/api/row", params={"id": "r2"}).status_code == 404


@pytest.mark.parametrize("whole_footer", [True, False])
def test_a_part_that_cannot_be_read_is_left_out_and_reported(run: RunFolder, whole_footer: bool) -> None:
    part = (run.path / "accepted/part-1.parquet").read_bytes()
    damaged = part[:4] + b"\xff" * 2000 + part[2004:] if whole_footer else b"PAR1 garbage PAR1"
    (run.path / "accepted/part-0.parquet").write_bytes(damaged)
    browsing = client(run)
    assert ids(browsing, text="teal") == ["a1"]
    (message,) = browsing.get("/api/run").json()["unreadable"]
    assert message.startswith("accepted/part-0.parquet: ")
    (run.path / "accepted/part-0.parquet").unlink()
    assert browsing.get("/api/run").json()["unreadable"] == []


def test_texts_that_cannot_be_searched_are_reported(run: RunFolder) -> None:
    part = pq.ParquetFile(run.path / "accepted/part-1.parquet")
    chunks = [part.metadata.row_group(0).column(i) for i in range(part.metadata.num_columns)]
    (begin,) = [chunk.dictionary_page_offset for chunk in chunks if chunk.path_in_schema == "nodes.respond.text"]
    whole = (run.path / "accepted/part-1.parquet").read_bytes()
    (run.path / "accepted/part-0.parquet").write_bytes(whole[:begin] + b"\xff" * 40 + whole[begin + 40 :])
    browsing = client(run)
    assert ids(browsing, outcome="accepted") == ["a1", "a1", "a2", "a2"]
    assert ids(browsing, text="teal") == ["a1"]
    (message,) = browsing.get("/api/run").json()["unreadable"]
    assert message.startswith("accepted/part-0.parquet: its texts could not be searched: ")


def test_parts_with_different_columns_are_read_together(run: RunFolder) -> None:
    """A run that was resumed with another recipe has parts with other columns, names that need quoting among them."""
    older = pa.table({"id": ["o1"], "nodes": [{'a "b"': {"score": 2, "reply": "an old word"}}], "node": ["x"]})
    pq.write_table(older, run.path / "rejected/part-0.parquet")
    pq.write_table(pa.table({"id": ["o2"]}), run.path / "failed/part-0.parquet")
    browsing = client(run)
    assert ids(browsing) == ["a1", "a2", "c1", "c2", "o1", "r1", "f1", "o2"]
    assert ids(browsing, axis='a "b"', most=2) == ids(browsing, text="old word") == ["o1"]
    assert browsing.get("/api/row", params={"id": "o2"}).json() == {
        "id": "o2", "outcome": "failed", "said": None, "scores": {}, "marks": []
    }  # fmt: skip
    assert [browsing.get("/image", params={"id": name}).status_code for name in ("o1", "o2")] == [204, 204]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("s3://bucket/run", "is not on this machine; copy the run folder to this machine"),
        ("nowhere", "it has no run.json"),
    ],
)
def test_a_run_that_is_not_on_this_machine_is_reported(folder: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        serve(folder, "ada", 0, print)


def test_a_port_that_is_taken_is_reported(still: RunFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(JobError, match=rf"--port {port} can't be listened on: .*; --port 0 picks a free one"):
            serve(str(still.path), "ada", port, print)
