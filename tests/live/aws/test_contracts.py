"""The contracts of AWS's ports, body by body as they're asked of the embedded AWS, at a real account."""

from __future__ import annotations

from tests.contracts.aws.test_belongings import test_a_run_gives_back_what_it_made_and_nothing_else
from tests.contracts.aws.test_machine_images import (
    test_a_lost_answer_is_made_good_and_another_image_is_not_taken,
    test_an_image_is_found_by_its_name_and_its_id,
    test_anybodys_image_is_described_and_what_is_not_there_is_unsuitable,
)
from tests.contracts.aws.test_objects import (
    test_a_read_gives_all_or_says_why_not,
    test_a_small_object_is_there_until_it_is_removed,
    test_an_upload_is_seen_when_it_is_finished,
    test_an_upload_that_was_given_up_is_gone,
)
from tests.contracts.aws.test_snapshots import (
    test_blocks_are_read_as_they_were_written,
    test_completing_again_is_fine_and_a_wrong_count_is_not,
)

__all__ = [
    "test_a_lost_answer_is_made_good_and_another_image_is_not_taken",
    "test_a_read_gives_all_or_says_why_not",
    "test_a_run_gives_back_what_it_made_and_nothing_else",
    "test_a_small_object_is_there_until_it_is_removed",
    "test_an_image_is_found_by_its_name_and_its_id",
    "test_an_upload_is_seen_when_it_is_finished",
    "test_an_upload_that_was_given_up_is_gone",
    "test_anybodys_image_is_described_and_what_is_not_there_is_unsuitable",
    "test_blocks_are_read_as_they_were_written",
    "test_completing_again_is_fine_and_a_wrong_count_is_not",
]
