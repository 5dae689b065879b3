"""The wire: the only room that speaks gRPC to callers."""
