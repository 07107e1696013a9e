"""What a package index is told: where the project lives, and the README with links that work from there.

`make dist URL=https://…` builds with the address at which the source lies, in the environment as DISTILTUNE_URL.
Without it, as in an editable install, nothing is told and the README stays as it is: an address that is made up may be
anybody's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<to>(?!https?://|#|mailto:)[^)]+)\)")


def with_absolute_links(text: str, url: str, version: str) -> str:
    """Markdown whose links to files of the source lead to them in its repository, at the tag of this version."""

    def absolute(found: re.Match[str]) -> str:
        kind = "raw" if found["image"] else "blob"
        return f"{found['image']}[{found['text']}]({url.rstrip('/')}/{kind}/v{version}/{found['to']})"

    return _LINK.sub(absolute, text)


def addresses(url: str, version: str) -> dict[str, str]:
    """The project's addresses, by the names that indexes know."""
    url = url.rstrip("/")
    return {
        "Homepage": url,
        "Source": url,
        "Documentation": f"{url}/blob/v{version}/docs/index.md",
        "Changelog": f"{url}/blob/v{version}/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }


class AsAnIndexShowsIt(MetadataHookInterface):
    """Adds the README and, where an address is given, the project's addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in ``readme`` and ``urls``.

        Raises:
            ValueError: if the address is none.

        """
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        url = os.environ.get("DISTILTUNE_URL", "")
        if url:
            if not re.match(r"https://[\w.-]+/\S+", url):
                raise ValueError(f"DISTILTUNE_URL is {url!r}, not an address such as https://example.org/owner/name")
            text = with_absolute_links(text, url, metadata["version"])
            metadata["urls"] = addresses(url, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
