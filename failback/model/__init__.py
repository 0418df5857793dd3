"""Everything that crosses JSON or text, as frozen pydantic models."""
