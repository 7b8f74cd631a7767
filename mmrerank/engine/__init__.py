"""Stages 5 to 7 of the walk: many prompts to the states that scores are read from."""

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.plan import BatchPlan, plan_batches
from mmrerank.engine.run import Engine, Runner

__all__ = ["BatchPlan", "Engine", "PaddedRunner", "Runner", "TokenBudget", "plan_batches"]
