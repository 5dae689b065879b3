"""The engine: many callers become one batch."""
