"""The stage give_back."""
