"""What works on this machine, and whether a model scores as it should. Computes, prints nothing."""

from __future__ import annotations

from mmrerank.diagnosis.finding import Finding, State
from mmrerank.diagnosis.model import ModelReport, diagnose_model
from mmrerank.diagnosis.report import Report, diagnose

__all__ = ["Finding", "ModelReport", "Report", "State", "diagnose", "diagnose_model"]
