"""Bytes become arrays: decoding, colour, resizing, and the steps that each scorer asks for."""
