"""Definitions of other engines, turned into workflows: pure functions from foreign JSON to files and a report.

Each reader marks every key that it reads. What is left over is reported, so that nothing is lost in silence.
"""

from __future__ import annotations

from ritesmith.migrate.draft import Migration, Options
from ritesmith.migrate.source import Difference
from ritesmith.models import JSON

__all__ = ["SOURCES", "Difference", "Migration", "Options", "migrate"]

SOURCES = ("trama", "smith-dag", "asl")


def migrate(source: str, value: JSON, options: Options) -> Migration:
    """What a definition of an engine, one of SOURCES, becomes. InvalidInput, with every problem, where it is none."""
    if source == "trama":
        from ritesmith.migrate import trama

        return trama.migrate(value, options)
    if source == "smith-dag":
        from ritesmith.migrate import smith_dag

        return smith_dag.migrate(value, options)
    from ritesmith.migrate import asl

    return asl.migrate(value, options)
