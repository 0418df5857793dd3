"""The contract of homes, as far as nobody has to be in the guest or read an image, at a real project."""

from __future__ import annotations

from tests.home.test_contract import (
    test_a_boot_test_is_kept_with_the_image,
    test_a_size_that_no_disk_has_is_refused,
    test_importing_what_is_there_is_done_at_once,
    test_removing_what_is_gone_is_fine,
)

__all__ = [
    "test_a_boot_test_is_kept_with_the_image",
    "test_a_size_that_no_disk_has_is_refused",
    "test_importing_what_is_there_is_done_at_once",
    "test_removing_what_is_gone_is_fine",
]
