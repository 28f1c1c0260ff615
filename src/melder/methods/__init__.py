"""The published methods, each a composition of heads, units and losses."""

from melder.methods.resolver import METHODS, build_matcher, from_official_state_dict, method_of

__all__ = ["METHODS", "build_matcher", "from_official_state_dict", "method_of"]
