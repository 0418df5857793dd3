"""The page on the stages is what their files say."""

from __future__ import annotations

from stacks.stages_page import PAGE, ROOT, page


def test_the_page_is_current() -> None:
    current = page(ROOT / "lambdas/stages", ROOT / "lambdas/doors")
    assert PAGE.read_text(encoding="utf-8") == current, "run python -m stacks.stages_page"
