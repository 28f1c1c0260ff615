"""Finds what makes a data set's scores mean less than they seem to: leaks, mistakes, and facts to know."""

from melder.data.audit.audited import Audited, gather
from melder.data.audit.clean import LEFT_OUT, clean, write_clean
from melder.data.audit.findings import ENTITIES, Finding, LeftOut
from melder.data.audit.registry import CHECKS, Check, Findings, audit

__all__ = [
    "CHECKS",
    "ENTITIES",
    "LEFT_OUT",
    "Audited",
    "Check",
    "Finding",
    "Findings",
    "LeftOut",
    "audit",
    "clean",
    "gather",
    "write_clean",
]
