"""The stage boot_test."""
