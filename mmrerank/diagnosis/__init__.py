"""What works on this machine: libraries, decoders, devices, memory. Computes, prints nothing."""

from __future__ import annotations

from mmrerank.diagnosis.finding import Finding, State
from mmrerank.diagnosis.report import Report, diagnose

__all__ = ["Finding", "Report", "State", "diagnose"]
