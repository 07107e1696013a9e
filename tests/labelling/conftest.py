"""The browser of `tests/serving`."""

from tests.serving.conftest import browser as browser
from tests.serving.conftest import context as context
