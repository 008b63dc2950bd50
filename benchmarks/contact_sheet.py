"""Accepted rows of a run as one HTML page that opens offline: picture, instruction, response.

python -m benchmarks.contact_sheet runs/demo
"""

import base64
import sys
from html import escape
from pathlib import Path

import pyarrow.dataset as ds

SHOWN = 60
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }}
body {{ margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem }}
main {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)) }}
figure {{ border: 1px solid #8885; border-radius: 8px; margin: 0; padding: .75rem }}
img {{ display: block; image-rendering: pixelated; width: 100% }}
figcaption b {{ display: block; margin: .5rem 0 .25rem }}
</style>
<h1>{title}</h1>
<p>{shown} of {count} accepted rows: the picture, the instruction that the model wrote for it, and the response.</p>
<main>
{figures}
</main></html>
"""
FIGURE = (
    '<figure><img alt="{id}" src="data:image/png;base64,{data}"><figcaption><b>{asked}</b>{said}</figcaption></figure>'
)


def sheet(run: Path, shown: int = SHOWN) -> str:
    """The page of a run folder, with at most `shown` rows. Raises FileNotFoundError where nothing was accepted."""
    rows = ds.dataset(run / "accepted", format="parquet")
    some = rows.head(shown, columns=["id", "image", "instruction", "response"]).to_pylist()
    figures = [
        FIGURE.format(
            id=escape(row["id"]),
            data=base64.b64encode(row["image"]["bytes"]).decode(),
            asked=escape(row["instruction"]),
            said=escape(row["response"]),
        )
        for row in some
    ]
    title = f"Accepted rows of {escape(run.name)}"
    return PAGE.format(title=title, shown=len(some), count=rows.count_rows(), figures="\n".join(figures))


if __name__ == "__main__":
    run = Path(sys.argv[1])
    (run / "sheet.html").write_text(sheet(run), encoding="utf-8")
    print(f"written to {run / 'sheet.html'}: open it in a browser")
