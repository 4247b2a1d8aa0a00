"""Measures: SDR, segmentation, cost, and the floor that needs no network."""

from unetsep.metrics.cost import cost_card
from unetsep.metrics.oracles import apply_masks, fixed_masks
from unetsep.metrics.sdr import csdr, dropped_frames, frame_sdr, usdr
from unetsep.metrics.segmentation import confusion, dominant_source, seg_accuracy, seg_miou

__all__ = [
    "apply_masks",
    "confusion",
    "cost_card",
    "csdr",
    "dominant_source",
    "dropped_frames",
    "fixed_masks",
    "frame_sdr",
    "seg_accuracy",
    "seg_miou",
    "usdr",
]
