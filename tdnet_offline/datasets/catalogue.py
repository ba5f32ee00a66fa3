"""The data sets by name: what each is, and where it can be had."""

from __future__ import annotations

DATASETS = {
    "cityscapes": "folder with gtFine, and leftImg8bit_sequence or, for stills, leftImg8bit",
    "camvid": "folder with 701_StillsRaw_full, LabeledApproved_full and frames",
    "nyudv2": "folder with nyu_depth_v2_labeled.mat, splits.mat, classMapping40.mat and raw",
    "folder": "folder with frames/VIDEO, labels/VIDEO and class_map.yaml",
    "street": "synthetic street, rendered as it is read: FIRST-LAST[@HxW], a range of seeds",
}
"""What may stand before the colon, and what stands behind it."""

SPLITS = ("train", "val", "test")

CITYSCAPES = (
    "https://www.cityscapes-dataset.com/downloads has the labels (gtFine_trainvaltest.zip), the "
    "sequences (leftImg8bit_sequence_trainvaltest.zip, 324 GB) and the labelled frames alone "
    "(leftImg8bit_trainvaltest.zip, 11 GB), which suffice for single-frame networks"
)
CAMVID = (
    "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid has 701_StillsRaw_full.zip, "
    "LabeledApproved_full.zip and the videos; docs/datasets.md says how their frames are extracted"
)
NYUDV2 = (
    "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html has nyu_depth_v2_labeled.mat and "
    "the raw videos, https://github.com/ankurhanda/nyuv2-meta-data has splits.mat and "
    "classMapping40.mat; docs/datasets.md says where each belongs"
)
FOLDER = "docs/datasets.md shows how the folder looks"

WHERE = {"cityscapes": CITYSCAPES, "camvid": CAMVID, "nyudv2": NYUDV2, "folder": FOLDER}
"""By the name of the data set."""
