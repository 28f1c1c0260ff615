"""Reads data sets and pictures, and prepares them for an encoder."""

from melder.data.dataset import DataSet, load
from melder.data.entity_file import EntityFile
from melder.data.items import MODALITIES, draw_image, entity_items, mention_item, mention_items
from melder.data.pictures import Limits, UnreadablePicture, fit, read_picture
from melder.data.splits import TUNE, selection_split, tune_split

__all__ = [
    "MODALITIES",
    "TUNE",
    "DataSet",
    "EntityFile",
    "Limits",
    "UnreadablePicture",
    "draw_image",
    "entity_items",
    "fit",
    "load",
    "mention_item",
    "mention_items",
    "read_picture",
    "selection_split",
    "tune_split",
]
