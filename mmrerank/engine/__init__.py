"""Stages 5 to 7 of the walk: many prompts to the states that scores are read from."""

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.build import build_engine
from mmrerank.engine.interface import Engine, EngineCaches
from mmrerank.engine.openvino import OpenVINO
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.plan import BatchPlan, plan_batches
from mmrerank.engine.report import PlanReport
from mmrerank.engine.run import PackedEngine
from mmrerank.engine.run_openvino import OpenVINOEngine
from mmrerank.engine.run_padded import PaddedEngine

__all__ = [
    "BatchPlan",
    "Engine",
    "EngineCaches",
    "OpenVINO",
    "OpenVINOEngine",
    "PackedEngine",
    "PaddedEngine",
    "PaddedRunner",
    "PlanReport",
    "TokenBudget",
    "build_engine",
    "plan_batches",
]
