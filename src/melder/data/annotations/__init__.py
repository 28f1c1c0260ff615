"""Mentions as annotation tools write and read them."""
