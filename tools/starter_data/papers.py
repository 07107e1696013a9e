"""Write the thirty documents of the tutorial: the first thirty passages of the starter data, a text file each.

Run from the repository: `python -m tools.starter_data.papers`. A test compares every byte.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "src" / "distiltune" / "starter" / "data" / "train.json"
FOLDER = ROOT / "docs" / "examples" / "papers"
N = 30


def papers() -> dict[str, str]:
    """Name of the file → its text."""
    articles = json.loads(DATA.read_text(encoding="utf-8"))["data"]
    found = [(article["title"], each["context"]) for article in articles for each in article["paragraphs"]]
    return {f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}.txt": f"{text}\n" for title, text in found[:N]}


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in papers().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"written: {N} documents in {FOLDER}")


if __name__ == "__main__":
    main()
