"""VllmPictures: how pictures get to vLLM: as patches made in our own threads, or by its own image processor.

The second way serves every model. The first one is for models of which the patches have been compared with what vLLM's
own processor makes of the same pictures, each time that an engine starts.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from persqa.errors import Rejected
from persqa.reasons import Reason
from persqa.words import counted
from worker.engines import vllm_inner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm.v1.engine.async_llm import AsyncLLM

    from persqa.images import Resolution
    from worker.engines.chat_prompts import ChatPrompts
    from worker.engines.vllm_patches import PatchMaker
    from worker.pictures import Picture

logger = logging.getLogger(__name__)

#: Width and height of the pictures that are compared, besides one that is a little larger than the model's limit.
_COMPARED = (1, 1), (100, 57), (300, 411)
#: A larger one than this is not compared: that would take long.
_MOST_COMPARED = 2**22


@dataclass(frozen=True, slots=True)
class Patches:
    """A picture in vLLM's form.

    Attributes:
        item: the patches, and how they lie.
        tokens: how many tokens of the prompt stand for it.
        nbytes: its size.
    """

    item: Any
    tokens: int
    nbytes: int


class PatchPreparation:
    """Makes patches of pictures, in any thread, for one model."""

    def __init__(self, engine: AsyncLLM, maker: PatchMaker) -> None:
        # Not the engine, which may be replaced.
        self._processor = engine.renderer.mm_processor
        self._maker = maker
        self.most_pixels, self.most_bytes = maker.most_pixels, maker.most_bytes

    def __call__(self, image: Image.Image) -> Patches:
        """Make the patches of an RGB image.

        Raises:
            Rejected: the model does not take pictures of this shape.
        """
        try:
            pixels, (rows, columns) = self._maker(image)
        except ValueError as error:
            size = f"{image.width} x {image.height} pixels"
            raise Rejected(Reason.REFUSED, f"the model takes no picture of {size}: {error}") from error
        item = vllm_inner.picture_item(self._processor, pixels, torch.tensor([[1, rows, columns]]))
        return Patches(item, rows * columns // self._maker.merge**2, pixels.nbytes)


class VllmPictures:
    """Writes the inputs of one engine's requests."""

    def __init__(self, engine: AsyncLLM) -> None:
        self._engine = engine
        #: What makes the patches of a picture; None if vLLM's own processor does all of it.
        self.prepare: PatchPreparation | None = None
        self._placeholder = -1

    async def start(self, resolution: Resolution | None, prompts: ChatPrompts) -> None:
        """Find out whether patches can be made; the resolution is that of the model."""
        maker = None if resolution is None else vllm_inner.patch_maker(self._engine, resolution)
        prepare = None if maker is None else PatchPreparation(self._engine, maker)
        if prepare is None or not await self._is_the_same(prepare, prompts.about_one_picture()):
            vllm_inner.share_processed_images(self._engine)
            return
        self.prepare = prepare

    async def input(self, tokens: list[int], pictures: Sequence[Picture]) -> Any:
        """The input of a request: the prompt, which has a placeholder for each picture, and the pictures.

        Raises:
            Rejected: there are more of them than the engine takes; vLLM's processor raises something else then.
        """
        patches = [picture.pixels for picture in pictures if isinstance(picture.pixels, Patches)]
        names = [picture.digest for picture in pictures]
        if patches:
            if len(patches) > (most := vllm_inner.most_images(self._engine)):
                raise Rejected(Reason.REFUSED, f"the engine takes at most {counted(most, 'image')} in one prompt")
            return self._patched(tokens, patches, names)
        images = [picture.pixels for picture in pictures if isinstance(picture.pixels, Image.Image)]
        return await vllm_inner.render(self._engine, tokens, images, names)

    def _patched(self, tokens: list[int], patches: Sequence[Patches], names: Sequence[str]) -> dict[str, Any]:
        prompt, places, begin = list[int](), list[tuple[int, int]](), 0
        for picture in patches:
            end = tokens.index(self._placeholder, begin)
            prompt += tokens[begin:end]
            places.append((len(prompt), picture.tokens))
            prompt += [self._placeholder] * picture.tokens
            begin = end + 1
        prompt += tokens[begin:]
        part = vllm_inner.image_part([picture.item for picture in patches], names, places)
        return {"type": "multimodal", "prompt_token_ids": prompt, "arrival_time": time.time(), **part}

    async def _is_the_same(self, prepare: PatchPreparation, tokens: list[int]) -> bool:
        """Whether vLLM's own processor makes the same inputs of some pictures."""
        edge = math.isqrt(min(prepare.most_pixels, _MOST_COMPARED)) + 30
        try:
            for size in (*_COMPARED, (edge, edge)):
                image = Image.merge("RGB", [Image.effect_noise(size, 100) for _ in "RGB"])
                own = await vllm_inner.render(self._engine, tokens, [image], [str(size)])
                (place,) = own["mm_placeholders"]["image"]
                self._placeholder = tokens[place.offset]
                ours = self._patched(tokens, [prepare(image)], [str(size)])
                if difference := [name for name in own if name != "arrival_time" and own[name] != ours.get(name)]:
                    raise ValueError(f"{', '.join(difference)} differ for a picture of {image.width} x {image.height}")
        except Exception as error:  # noqa: BLE001 - another version of vLLM may raise anything here
            logger.warning("pictures go through vLLM's own image processor, which is slower: %s", error)
            return False
        return True
