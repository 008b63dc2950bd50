"""Croissant metadata of a Hugging Face folder: its files with their SHA-256, and their columns.

Source: the Croissant format specification 1.0 of MLCommons (docs.mlcommons.org/croissant).
"""

from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa

from oasis_ray.export.provenance import distinct

CR = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    **{word: f"cr:{word}" for word in CR},
}
TYPES = {pa.int64(): "sc:Integer", pa.float64(): "sc:Float", pa.bool_(): "sc:Boolean"}
DESCRIPTION = "Instructions with responses, written by models from images."
TEXTS = {
    "id": "The row's id in its run.",
    "data_source": "The kind of record.",
    "instruction": "The instruction.",
    "response": "The response.",
    "origin": "Where the image comes from.",
    "language": "The language, if a node of the run detected it.",
    "run": "The run that produced the row.",
    "image_sha256": "The SHA-256 of the image's bytes.",
}


def croissant(folder: Path, manifest: dict[str, Any], structs: Mapping[str, pa.StructType]) -> dict[str, Any]:
    """Return the metadata of the shards below `folder` as JSON-LD. `structs`: the types of `scores` and `columns`."""
    cite_as = "\n\n".join(text.strip() for text in distinct(manifest, "cite"))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "visual_instructions",
        "description": " ".join([DESCRIPTION, *distinct(manifest, "about")]),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": manifest["options"]["license"],
        "version": "1.0.0",
        **({"citeAs": cite_as} if cite_as else {}),
        "distribution": [
            *_files(folder),
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "description": "All shards of all splits.",
                "encodingFormat": "application/x-parquet",
                "includes": "data/*.parquet",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "description": f"The rows of the splits {', '.join(manifest['splits'])}.",
                "field": list(_fields(structs, images=manifest["options"]["images"])),
            }
        ],
    }


def _files(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("data/*.parquet")):
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        name = f"data/{path.name}"
        yield {
            "@type": "cr:FileObject", "@id": name, "name": path.stem, "description": "A shard.", "contentUrl": name,
            "contentSize": f"{path.stat().st_size} B", "encodingFormat": "application/x-parquet", "sha256": digest,
        }  # fmt: skip


def _fields(structs: Mapping[str, pa.StructType], *, images: bool) -> Iterator[dict[str, Any]]:
    for name, text in TEXTS.items():
        yield _field(name, text, "sc:Text", name)
    if images:
        yield _field("image", "The image.", "sc:ImageObject", "image", "bytes")
    else:
        yield _field("image", "The path of the image.", "sc:Text", "image")
    for struct, kind in structs.items():
        for field in kind:
            yield from _value_fields(struct, field.name, field.type)
    turns = [_field(f"conversations/{key}", text, "sc:Text", "conversations", key) | {"repeated": True}
             for key, text in (("from", "The speaker: human, gpt or system."), ("value", "The text."))]  # fmt: skip
    yield from turns


def _value_fields(struct: str, name: str, kind: Any) -> Iterator[dict[str, Any]]:
    """Yield the field of one value of `scores` or `columns`, or the fields of its turn.

    None for a conversation: no path of the format leads into a list within a struct.
    """
    text = f"The score on the axis {name}." if struct == "scores" else f"The value {name} of the record."
    repeated = {"repeated": True} if pa.types.is_list(kind) else {}
    inner = kind.value_type if repeated else kind
    if pa.types.is_struct(inner):
        for part in () if repeated else inner.names:
            yield _field(f"{struct}/{name}/{part}", text, "sc:Text", struct, f"{name}.{part}")
        return
    yield _field(f"{struct}/{name}", text, TYPES.get(inner, "sc:Text"), struct, name) | repeated


def _field(name: str, text: str, kind: str, column: str, inner: str | None = None) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": "shards"}, "extract": {"column": column}}
    if inner:
        source["transform"] = {"jsonPath": inner}
    return {"@type": "cr:Field", "@id": f"rows/{name}", "name": f"rows/{name}", "description": text, "dataType": kind,
            "source": source}  # fmt: skip
