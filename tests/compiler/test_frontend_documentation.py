"""docs/onnx.md says what the code does."""

from pathlib import Path

import pytest

from vle.compiler.frontend.documentation import updated

DOCUMENT = Path(__file__).parents[2] / "docs" / "onnx.md"


def test_the_document_is_up_to_date():
    text = DOCUMENT.read_text()
    assert updated(text) == text, "run python -m vle.compiler.frontend.documentation docs/onnx.md"


def test_a_document_without_its_parts_is_refused():
    with pytest.raises(ValueError, match="document must have one part 'operators', not 0"):
        updated("nothing")
