"""Melder inside other programs."""
