"""The package's own walk over its imports (polychromic.provenance.walk), bound to this repository."""

from __future__ import annotations

from polychromic.provenance.walk import PACKAGE, Package, Part, Symbol, chain
from tests.workspace import REPOSITORY

CODE = Package(REPOSITORY)
definitions, source_of, walk, body_uses = CODE.definitions, CODE.source_of, CODE.walk, CODE.body_uses

__all__ = ["CODE", "PACKAGE", "Part", "Symbol", "body_uses", "chain", "definitions", "source_of", "walk"]
