"""Patches: a picture as models of Qwen2-VL's kind look at it, the same as by their own image processor but faster.

Theirs runs in one thread and holds the interpreter's lock for half of the time. This one runs in any thread, and its
time is spent in a few long calls that hold no lock.
"""

# numpy types what is seen as numbers of another size as unknown.
# pyrefly: ignore-errors[unknown-argument-type, unknown-attribute-access, unknown-variable-type]

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from PIL.Image import Image

#: Bytes of a pixel in memory: three colours, and one byte without meaning.
_PIXEL_BYTES = 4
_COLOURS = 3
#: Rows of merged patches that are made at a time: few calls, and what is between them stays in the processor's cache.
_ROWS_AT_A_TIME = 8

_this_thread = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMaker:
    """Makes the patches of one model's pictures.

    Attributes:
        patch: edge of a patch, in pixels.
        merge: the model makes one token of so many by so many patches.
        frames: how often each patch is given, because these models look at films, too.
        size_of: the height and width that the model scales a picture to, from its height and width, as `smart_resize`
            of transformers; raises ValueError for a shape that the model does not take.
        most_pixels: greatest height times width that comes of this.
    """

    patch: int
    merge: int
    frames: int
    size_of: Callable[[int, int], tuple[int, int]]
    most_pixels: int

    @property
    def most_bytes(self) -> int:
        """How much memory making the patches takes at most, beyond the picture."""
        return self.most_pixels * (_PIXEL_BYTES + _COLOURS * self.frames)

    def __call__(self, image: Image) -> tuple[torch.Tensor, tuple[int, int]]:
        """The patches of an RGB image, one in each row of the tensor, and how many rows and columns of them there are.

        Raises:
            ValueError: the model does not take pictures of this shape.
        """
        height, width = self.size_of(image.height, image.width)
        with _pixels(image) as pixels:
            patches = self._patches(_scaled(pixels, height, width))
        return torch.from_numpy(patches), (height // self.patch, width // self.patch)

    def _patches(self, pixels: np.ndarray) -> np.ndarray:
        """Cut the picture up: by merged patches, in each by patches, then by colour, frame and pixel."""
        patch, merge = self.patch, self.merge
        rows, columns = (length // (patch * merge) for length in pixels.shape[:2])
        # A row of a patch is copied as one element. What comes before a line's own pixels is how lines are taken apart.
        lines = pixels.reshape(pixels.shape[0], -1).view(np.dtype((np.void, patch * _PIXEL_BYTES)))
        ordered = lines.reshape(rows, merge, patch, columns, merge).transpose(0, 3, 1, 4, 2)
        result = np.empty((rows, columns * merge**2, _COLOURS, self.frames, patch**2), np.uint8)
        band = np.empty((min(rows, _ROWS_AT_A_TIME), *ordered.shape[1:]), ordered.dtype)
        for first in range(0, rows, _ROWS_AT_A_TIME):
            source, target = ordered[first : first + _ROWS_AT_A_TIME], result[first : first + _ROWS_AT_A_TIME]
            band[: len(source)] = source
            # One number for each pixel, of which a byte after the other is the lowest.
            numbers = band[: len(source)].view("<u4").reshape(len(source), -1, 1, patch**2)
            for colour in range(_COLOURS):
                np.copyto(target[:, :, colour], numbers, casting="unsafe")
                np.right_shift(numbers, 8, out=numbers)
        return result.reshape(rows * columns * merge**2, -1)


def _scaled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture in another size, as torchvision does it, of which the model's own image processor makes use.

    With four bytes a pixel this takes half of the time that it takes with three.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if not getattr(_this_thread, "alone", False):
        # There is a thread for each picture. OpenMP keeps this for each thread that asks.
        torch.set_num_threads(1)
        _this_thread.alone = True
    # The shape becomes (picture, colour, row, column), the order in memory stays.
    source = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    scaled = torch.nn.functional.interpolate(
        source, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    )
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


class _ArrowArray(ctypes.Structure):
    """The struct of this name in Arrow's C data interface, as far as it is read."""


_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


@contextmanager
def _pixels(image: Image) -> Generator[np.ndarray]:
    """The pixels of an RGB image: rows, columns, bytes. They are not to be used after the block."""
    shape = (image.height, image.width, _PIXEL_BYTES)
    try:
        # Where Pillow has them. A copy by `tobytes` takes long and holds the interpreter's lock.
        _, capsule = image.__arrow_c_array__()
    except ValueError:
        # They are not in one piece: this is a very large image.
        yield np.frombuffer(bytearray(image.tobytes("raw", "RGBX")), np.uint8).reshape(shape)
        return
    array = _ArrowArray.from_address(_pointer(capsule, b"arrow_array") or 0)
    block = ctypes.c_uint8 * (image.height * image.width * _PIXEL_BYTES)
    yield np.frombuffer(memoryview(block.from_address(array.children[0].contents.buffers[1])), np.uint8).reshape(shape)
    # Until here it has kept them.
    del capsule
