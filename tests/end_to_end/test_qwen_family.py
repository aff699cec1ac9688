"""A tiny model of the default model's family through everything there is: its pictures, its tokens, its limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image

from persqa.reasons import Reason
from persqa.results import Status
from persqa.settings import Settings
from producer import Client
from tests.end_to_end.conftest import LOAD_SECONDS
from tests.support.one_process import engines_in_one_process
from tests.support.oracle import check_audits
from tests.support.qwen_model import qwen_model
from tests.support.servers import broker_process, valkey_binary
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persqa.pairs import PairRow

_CONTEXT = 1024
_MODEL_PIXELS = 400_000
_PROMPT = "What is the person in this picture wearing?"
#: Pictures of which the family cuts one token for each square of this edge, and from which on it takes a shape.
_SQUARE = 28
_NARROWEST = 200
_GREEDY = {"temperature": 0, "max_tokens": 16}

pytestmark = pytest.mark.timeout(600)

Rows = dict[str, "PairRow"]


def noise(width: int, height: int) -> Image.Image:
    """A picture with something to see everywhere."""
    return Image.effect_noise((width, height), 90).convert("RGB")


def write_pictures(folder: Path) -> None:
    upright = noise(112, 56)
    upright.paste("white", (0, 0, 40, 56))
    upright.save(folder / "upright.png")
    # As a camera has it that lay on its side: the pixels turned, and a note of it.
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "turned.png")
    note = Image.Exif()
    note[ExifTags.Base.Orientation] = 6
    turned.save(folder / "noted.png", exif=note)
    for width, height in ((1, 1), (27, 27), (5, 100), (1500, 20), (20, 3980), (10, 2100), (2100, 10), (420, 420)):
        noise(width, height).save(folder / f"{width}x{height}.png")
    noise(4000, 3000).save(folder / "photo.jpg")


RECORDS: dict[str, dict[str, Any]] = {
    **{name: {"image": f"{name}.png"} for name in ("upright", "turned", "noted")},
    **{f"{size}": {"image": f"{size}.png"} for size in ("1x1", "27x27", "5x100", "1500x20", "20x3980")},
    **{f"{size}": {"image": f"{size}.png"} for size in ("10x2100", "2100x10")},
    "of twelve megapixels": {"image": "photo.jpg"},
    "two": {"image": ["upright.png", "turned.png"]},
    "the other way round": {"image": ["turned.png", "upright.png"]},
    "four": {"image": ["upright.png", "turned.png", "27x27.png", "noted.png"]},
    "one of four is too narrow": {"image": ["upright.png", "turned.png", "10x2100.png", "noted.png"]},
    "too long by its text": {"image": "upright.png", "prompt": "word " * 3000},
    "too long by its pictures": {"image": ["420x420.png"] * 4, "prompt": "word " * 100},
    **{
        token: {"image": "upright.png", "prompt": f"What is {token} here?"}
        for token in ("<|image_pad|>", "<|vision_start|>", "<|video_pad|>", "<|im_end|>", "<|endoftext|>")
    },
    "half of a special token": {"image": "upright.png", "prompt": "What is <|image_pad or |im_end|> here?"},
    "words with brackets": {"image": "upright.png", "prompt": "<tool_call> and <|no such thing|>"},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """With one worker that has loaded the model; every run's audit must hold at the end."""
    folder = tmp_path_factory.mktemp("qwen")
    write_pictures(folder)
    with broker_process(valkey_binary()) as broker:
        settings = Settings(
            broker_url=broker.url,
            database_url=f"sqlite:///{folder}/persqa.db",
            model=str(qwen_model()),
            model_pixels=_MODEL_PIXELS,
            engine_args={"dtype": "float32", "max_model_len": _CONTEXT},
            image_roots=[folder],
        )
        with engines_in_one_process(), WorkerProcess(settings, folder) as worker, Client(settings) as client:
            worker.wait_ready(seconds=LOAD_SECONDS)
            yield client
        check_audits(settings)


@pytest.fixture(scope="module")
def rows(client: Client) -> Rows:
    """The results of all records, which were in the engine together, by their ids."""
    return answers(client, "all", RECORDS, verbatim=True, sampling=_GREEDY)


def answers(client: Client, run: str, records: dict[str, dict[str, Any]], **options: Any) -> Rows:
    data = client.settings.image_roots[0] / f"{run}.jsonl"
    data.write_text(
        "".join(json.dumps({"prompt": _PROMPT, **record, "id": name}) + "\n" for name, record in records.items())
    )
    handle = client.submit(data, run=run, **options)
    handle.wait(timeout_seconds=300, display=lambda _progress: None)
    found = {str(row.record_id): row for row in handle.results()}
    assert found.keys() == records.keys()
    return found


def squares(width: int, height: int) -> int:
    return max(1, round(width / _SQUARE)) * max(1, round(height / _SQUARE))


def test_a_picture_is_turned_as_its_note_says_and_its_content_is_seen(rows: Rows) -> None:
    assert rows["noted"].answer == rows["upright"].answer
    assert rows["noted"].prompt_tokens == rows["upright"].prompt_tokens
    assert rows["turned"].answer != rows["upright"].answer


@pytest.mark.parametrize("size", ["1x1", "27x27", "5x100", "1500x20", "20x3980"])
def test_tiny_and_narrow_pictures_are_answered(rows: Rows, size: str) -> None:
    assert rows[size].status is Status.OK, rows[size]
    assert rows[size].answer


@pytest.mark.parametrize("record", ["10x2100", "2100x10", "one of four is too narrow"])
def test_a_picture_too_narrow_for_the_model_is_refused_by_its_size(rows: Rows, record: str) -> None:
    assert rows[record].status is Status.INVALID
    assert ("10 x 2100" if record != "2100x10" else "2100 x 10") in (rows[record].detail or "")
    assert str(_NARROWEST) in (rows[record].detail or "")


def test_of_a_photo_the_model_sees_as_much_as_the_cap_says(rows: Rows) -> None:
    photo, alone = rows["of twelve megapixels"], rows["upright"].prompt_tokens
    assert photo.status is Status.OK
    assert alone is not None
    assert photo.prompt_tokens == alone - squares(112, 56) + 26 * 19
    assert _MODEL_PIXELS // _SQUARE**2 >= 26 * 19


def test_several_pictures_are_seen_in_their_order(rows: Rows) -> None:
    first, second = rows["two"], rows["the other way round"]
    assert first.status is second.status is rows["four"].status is Status.OK
    assert first.answer != second.answer
    assert first.prompt_tokens == second.prompt_tokens
    alone = rows["upright"].prompt_tokens
    assert alone is not None
    # Beside the squares of a picture there are two tokens around it.
    assert first.prompt_tokens == alone + squares(56, 112) + 2


@pytest.mark.parametrize("token", [name for name in RECORDS if name.startswith("<|")])
def test_a_special_token_in_a_text_is_refused_by_its_name(rows: Rows, token: str) -> None:
    assert rows[token].status is Status.INVALID
    assert rows[token].reason == Reason.SPECIAL_TOKEN
    assert token in (rows[token].detail or "")


@pytest.mark.parametrize("record", ["half of a special token", "words with brackets"])
def test_what_only_looks_special_is_asked(rows: Rows, record: str) -> None:
    assert rows[record].status is Status.OK, rows[record]


@pytest.mark.parametrize("record", ["too long by its text", "too long by its pictures"])
def test_what_exceeds_the_context_is_refused_by_its_length(rows: Rows, record: str) -> None:
    assert rows[record].status is Status.INVALID
    assert rows[record].reason == Reason.TOO_LONG, rows[record].detail
    assert str(_CONTEXT) in (rows[record].detail or "")


def test_an_answer_goes_on_from_its_beginning(client: Client) -> None:
    records = {name: RECORDS[name] for name in ("upright", "turned", "two", "27x27")}
    forced = answers(client, "forced", records, tag="mam", tag_policy="prefill", sampling=_GREEDY)
    assert all((row.answer or "").startswith("<mam>") for row in forced.values())
    assert {row.rung for row in forced.values()} == {"prefill"}
    assert len({row.answer for row in forced.values()}) > 1
