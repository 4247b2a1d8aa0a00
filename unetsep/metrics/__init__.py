"""Measures: SDR, segmentation, cost, the floors that need no network, and the ceilings that know the stems."""

from unetsep.metrics.bsseval import BSSEval, bss_eval
from unetsep.metrics.cost import cost_card
from unetsep.metrics.ideal import ideal_binary_mask, ideal_ratio_mask, multichannel_wiener
from unetsep.metrics.oracles import apply_masks, fixed_masks, mixture_as_estimate
from unetsep.metrics.sdr import csdr, dropped_frames, frame_sdr, usdr
from unetsep.metrics.segmentation import confusion, dominant_source, seg_accuracy, seg_miou

__all__ = [
    "BSSEval",
    "apply_masks",
    "bss_eval",
    "confusion",
    "cost_card",
    "csdr",
    "dominant_source",
    "dropped_frames",
    "fixed_masks",
    "frame_sdr",
    "ideal_binary_mask",
    "ideal_ratio_mask",
    "mixture_as_estimate",
    "multichannel_wiener",
    "seg_accuracy",
    "seg_miou",
    "usdr",
]
