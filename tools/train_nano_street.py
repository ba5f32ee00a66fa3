"""First training of the packaged nano weights on the synthetic street.

A plain recipe that a laptop's CPU finishes within the hour: a single-frame network learns the
street's frames, gives its weights to the four paths, and these learn clips of four frames. The
last step streams held-out drives and writes the weights with its scores in their header.

    python tools/train_nano_street.py --cache /tmp/street --output td4-psp18-nano.safetensors
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tdnet.class_map import ClassMap
from tdnet.network import SingleFrameNetwork, TDNet, create_model
from tdnet.network.layers import resize
from tdnet.preprocess import Preprocessor, resize_picture
from tdnet.streaming import StreamingSegmenter
from tdnet.weights import load_weights, save_weights
from tdnet_offline.street import StreetDrive

logger = logging.getLogger("train")

IGNORED = 255
FRAMES_PER_DRIVE = 7
CLASSES = 19
HELD_OUT_SEED = 1_000_000


def render_cache(folder: Path, drives: int, size: tuple[int, int]) -> tuple[np.memmap, np.memmap]:
    """Render the training drives once: frames and labels at the network's size."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (drives, FRAMES_PER_DRIVE, *size)
    image_file, label_file = folder / "images.npy", folder / "labels.npy"
    done_file = folder / "done"
    if done_file.exists():
        return np.load(image_file, mmap_mode="r"), np.load(label_file, mmap_mode="r")
    images = np.lib.format.open_memmap(image_file, "w+", np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(label_file, "w+", np.uint8, shape)
    for seed in range(drives):
        drive = StreetDrive(seed)
        first = int(np.random.default_rng(seed).integers(0, 200))
        for index in range(FRAMES_PER_DRIVE):
            frame = drive.frame(first + index)
            small = resize_picture(torch.from_numpy(frame.image), size).round().to(torch.uint8)
            images[seed, index] = small[0].permute(1, 2, 0).numpy()
            nearest = nn.functional.interpolate(
                torch.from_numpy(frame.labels)[None, None].float(), size=size, mode="nearest-exact"
            )
            labels[seed, index] = nearest[0, 0].to(torch.uint8).numpy()
        if seed % 50 == 0:
            logger.info("rendered %d of %d drives", seed, drives)
    images.flush()
    labels.flush()
    done_file.touch()
    return images, labels


class ClipSampler:
    """Draws random clips of the rendered drives, flipped and with other exposure and colours.

    Args:
        images: (drives, frames, H, W, 3) uint8.
        labels: (drives, frames, H, W) uint8.
        seed: of the draws.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        self._images, self._labels = images, labels
        self._random = np.random.default_rng(seed)
        size = (images.shape[2], images.shape[3])
        self._normalise = Preprocessor(size, torch.device("cpu"), torch.float32)

    def batch(self, clips: int, length: int) -> tuple[Tensor, Tensor]:
        """Return clips (B, length, 3, H, W), normalised, and labels (B, H, W) of the last."""
        batch, truth = [], []
        for _ in range(clips):
            drive = int(self._random.integers(len(self._images)))
            gap = int(self._random.integers(1, 3)) if length > 1 else 1
            span = (length - 1) * gap
            last = int(self._random.integers(span, FRAMES_PER_DRIVE))
            chosen = slice(last - span, last + 1, gap)
            frames = torch.from_numpy(np.array(self._images[drive, chosen]))
            labels = torch.from_numpy(np.array(self._labels[drive, last]))
            if self._random.random() < 0.5:
                frames, labels = frames.flip(2), labels.flip(1)
            gain = torch.from_numpy(self._random.uniform(0.8, 1.2, 3).astype(np.float32))
            gain = gain * float(self._random.uniform(0.75, 1.25))
            varied = (frames.float() * gain).clamp_(0, 255).to(torch.uint8)
            batch.append(torch.cat([self._normalise(frame) for frame in varied]))
            truth.append(labels)
        return torch.stack(batch), torch.stack(truth).long()


def class_weights(labels: np.ndarray) -> Tensor:
    """Weigh rare classes up: one over the root of the frequency, at mean one, at most eight."""
    counts = np.bincount(np.asarray(labels[:, ::3]).ravel(), minlength=256)[:CLASSES]
    weights = (counts / counts.sum() + 1e-4) ** -0.5
    return torch.from_numpy(np.minimum(weights / weights.mean(), 8)).float()


def train(
    name: str,
    model: nn.Module,
    loss_of: Callable[[int], Tensor],
    steps: int,
    peak: float,
) -> None:
    """Run AdamW with warm-up and polynomial decay; bfloat16 in convolutions."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-4)

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / 100) * (1 - step / steps) ** 0.9

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    begin, mean = time.perf_counter(), 0.0
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 25 == 0 or step == steps - 1:
            elapsed = time.perf_counter() - begin
            logger.info("%s step %d of %d: loss %.4f, %.0f s", name, step, steps, mean, elapsed)
    model.eval()


def start_paths(network: TDNet, single: SingleFrameNetwork) -> None:
    """Give every path the single-frame network's backbone, pyramid and slice of the head."""
    for path in network.paths:
        path.backbone.load_state_dict(single.backbone.state_dict())
        path.pyramid.load_state_dict(single.pyramid.state_dict())
        channels = single.backbone.out_channels
        kept, pooled = path.pyramid.kept, path.pyramid.kept_pooled
        columns = list(range(channels))[kept]
        for branch in range(4):
            offset = channels + branch * channels // 4
            columns += [offset + c for c in range(channels // 4)[pooled]]
        with torch.no_grad():
            path.encoding.value.weight.copy_(torch.eye(len(columns))[:, :, None, None])
            path.head.conv.conv.weight.copy_(single.head.conv.conv.weight[:, columns])
        path.head.classifier.load_state_dict(single.head.classifier.state_dict())


def held_out_scores(
    model: TDNet | SingleFrameNetwork, drives: int, frames: int
) -> dict[str, object]:
    """Stream unseen drives; pixel accuracy and IoU by class against the exact labels."""
    class_map = ClassMap.load("cityscapes")
    segmenter = StreamingSegmenter(model.float(), class_map=class_map, precision="float32")
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + drives):
        drive = StreetDrive(seed)
        segmenter.reset()
        for index in range(frames):
            frame = drive.frame(index)
            labels = segmenter.step(frame.image).labels
            valid = frame.labels != IGNORED
            pairs = frame.labels[valid].astype(np.int64) * CLASSES + labels[valid]
            confusion += np.bincount(pairs, minlength=CLASSES**2).reshape(confusion.shape)
    hits = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hits
    present = confusion.sum(1) > 0
    iou = hits / np.maximum(union, 1)
    return {
        "held_out_drives": drives,
        "frames_per_drive": frames,
        "pixel_accuracy": round(float(hits.sum() / confusion.sum()), 4),
        "mean_iou": round(float(iou[present].mean()), 4),
        "iou": {
            entry.name: round(float(iou[entry.id]), 4)
            for entry in class_map.classes
            if present[entry.id]
        },
    }


def main() -> None:
    """Render, train both networks, score, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--cache",
        type=Path,
        required=True,
        help="folder for rendered drives and the single-frame network",
    )
    parser.add_argument("--output", type=Path, required=True, help="weights file to write")
    parser.add_argument("--drives", type=int, default=500, help="training drives")
    parser.add_argument("--single-steps", type=int, default=1800, help="of eight frames each")
    parser.add_argument("--clip-steps", type=int, default=2500, help="of two clips each")
    parser.add_argument("--seed", type=int, default=1, help="of weights and draws")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(options.seed)

    network = create_model("td4-psp18-nano", num_classes=CLASSES, memory_stride=3)
    single = create_model("psp18-nano", num_classes=CLASSES)
    if not isinstance(network, TDNet) or not isinstance(single, SingleFrameNetwork):
        raise TypeError("the variants are not what this recipe is for")
    size = network.input_size
    images, labels = render_cache(options.cache, options.drives, size)
    sampler = ClipSampler(images, labels, options.seed)
    criterion = nn.CrossEntropyLoss(weight=class_weights(labels), ignore_index=IGNORED)

    def compare(logits: Tensor, truth: Tensor) -> Tensor:
        return criterion(resize(logits.float(), size), truth)

    def single_loss(_step: int) -> Tensor:
        clips, truth = sampler.batch(8, 1)
        return compare(single(clips[:, 0]), truth)

    def clip_loss(step: int) -> Tensor:
        clips, truth = sampler.batch(2, network.variant.paths)
        output = network.forward_clip(clips, step % network.variant.paths)
        return compare(output.full, truth) + 0.5 * compare(output.sub, truth)

    for model in (single, network):
        model.to(memory_format=torch.channels_last)
    finished = options.cache / "psp18-nano.safetensors"
    if finished.exists():
        load_weights(single, finished)
    else:
        train("single", single, single_loss, options.single_steps, 2e-3)
        save_weights(single, finished, class_map=ClassMap.load("cityscapes"))
    scores = {"single_frame": held_out_scores(single, 24, 12)}
    logger.info("single-frame network: %s", json.dumps(scores["single_frame"]))
    start_paths(network, single)
    train("clips", network, clip_loss, options.clip_steps, 1e-3)
    network.memory_stride = network.variant.memory_stride
    network.half()  # what is saved is what is scored
    scores["streamed"] = held_out_scores(network, 24, 12)
    logger.info("streamed: %s", json.dumps(scores["streamed"]))
    save_weights(
        network.half(),
        options.output,
        class_map=ClassMap.load("cityscapes"),
        extra={
            "scores": json.dumps(scores),
            "seed": str(options.seed),
            "data": "synthetic street",
        },
    )


if __name__ == "__main__":
    main()
