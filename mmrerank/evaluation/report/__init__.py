"""Results as one HTML page that opens anywhere."""

from __future__ import annotations

from mmrerank.evaluation.report.content import EvalReport, ScoredExample, Table
from mmrerank.evaluation.report.history import read_log_history
from mmrerank.evaluation.report.page import render_report, write_report

__all__ = [
    "EvalReport",
    "ScoredExample",
    "Table",
    "read_log_history",
    "render_report",
    "write_report",
]
