"""Train the demo model; see the model card for what came out."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoProcessor, Idefics3ForConditionalGeneration

from scripts.demo_model.accuracy import measure, question_accuracy
from scripts.demo_model.architecture import new_model, save_model
from scripts.demo_model.checks import check_pixels, check_scores, check_tokens
from scripts.demo_model.dialogues import BriefDialogues, Dialogues
from scripts.demo_model.pictures import HELD_OUT, TRAIN, Stream
from scripts.demo_model.progress import say
from scripts.demo_model.training import Amount, calm, train_answers
from scripts.demo_model.vision import report_vision, train_vision
from scripts.demo_model.vocabulary import new_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_STATES = ("vision.pt", "brief.pt", "answers.pt", "hard.pt", "harder.pt", "hardest.pt")
#: The last stages: fewer questions and more pictures in the end, when little but seeing is left to learn.
_HARD = (
    Amount(steps=1_200, batch=12, questions=6),
    Amount(steps=800, batch=12, questions=6),
    Amount(steps=600, batch=24, questions=3),
)
#: So much more often than one that is always answered right is the question asked that is answered worst.
_EMPHASIS = 5


def main() -> None:
    """Draw, train, save, and measure what was saved."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    # Numbers too small to matter are slow to multiply.
    torch.set_flush_denormal(True)
    began = time.monotonic()
    options.build.mkdir(parents=True, exist_ok=True)
    if not options.resume:
        for name in _STATES:
            (options.build / name).unlink(missing_ok=True)
    words = new_tokenizer()
    dialogues = Dialogues(words)
    if not options.measure_only:
        _train(options, dialogues, words)
    _check_folder(options.out)
    shown = Stream(HELD_OUT, options.seed)
    saved = Idefics3ForConditionalGeneration.from_pretrained(options.out, dtype=torch.bfloat16).eval()
    report = measure(saved, words, dialogues, shown, shown.pictures(options.held_out, options.build)[: options.asked])
    (options.build / "accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
    say(f"\n{options.out} in {(time.monotonic() - began) / 60:.0f} minutes; accuracy in {options.build}/accuracy.json")


def _train(options: argparse.Namespace, dialogues: Dialogues, words: Tokenizer) -> None:
    """All stages; what is saved at the end is complete."""
    model = new_model(words, options.seed)
    count = sum(weight.numel() for weight in model.parameters())
    say(f"{count:,} parameters, {words.get_vocab_size()} tokens")
    check_tokens(words, dialogues)
    check_pixels(words)
    check_scores(model, dialogues)
    stream, shown = Stream(TRAIN, options.seed), Stream(HELD_OUT, options.seed)
    seen = shown.pictures(options.held_out, options.build)
    pictures = stream.pictures(options.images, options.build)
    heads = train_vision(
        model, stream, pictures, steps=options.vision_steps, batch=options.vision_batch, folder=options.build
    )
    report_vision(model, heads, shown, seen)
    calm(model, pictures)
    brief = Amount(steps=options.brief_steps, batch=options.brief_batch, questions=12)
    whole = Amount(steps=options.steps, batch=options.batch, questions=options.questions)
    for name, spoken, amount in (("brief", BriefDialogues(words), brief), ("answers", dialogues, whole)):
        train_answers(model, heads, spoken, stream, pictures, amount, name=name, folder=options.build)
    for name, amount in zip(("hard", "harder", "hardest"), _HARD, strict=True):
        right = question_accuracy(model.eval(), words, dialogues, stream, pictures[: options.asked])
        spoken = Dialogues(words, _how_often(right))
        train_answers(model.train(), heads, spoken, stream, pictures, amount, name=name, folder=options.build)
    check_scores(model, dialogues)
    save_model(model, words, options.out)


def _how_often(right: dict[str, float]) -> dict[str, float]:
    """How often each question is to be asked, from how often it was answered right."""
    worst = max(1 - share for share in right.values())
    often = {template: 1 + _EMPHASIS * (1 - share) / max(worst, 1e-9) for template, share in right.items()}
    say("wrong answers, and how often that is asked from now on")
    for template, share in right.items():
        say(f"  {template:<52}{1 - share:8.2%}{often[template]:6.1f}")
    return often


def _check_folder(folder: Path) -> None:
    """What anyone would load it with can load it."""
    processor = AutoProcessor.from_pretrained(folder)
    assert processor.tokenizer.chat_template, folder
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"{folder}: {size / 1e6:.1f} MB")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("worker/engines/demo_model"), help="folder of the finished model"
    )
    parser.add_argument("--build", type=Path, default=Path("build/demo_model"), help="folder of what is kept meanwhile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=40_000, help="pictures to train with")
    parser.add_argument("--held-out", type=int, default=1_000, help="pictures to measure with")
    parser.add_argument("--asked", type=int, default=500, help="of these, pictures all questions are asked about")
    parser.add_argument("--vision-steps", type=int, default=5_000)
    parser.add_argument("--vision-batch", type=int, default=64)
    parser.add_argument("--brief-steps", type=int, default=500)
    parser.add_argument("--brief-batch", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1_400)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--questions", type=int, default=6, help="asked about each picture of a batch")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--measure-only", action="store_true", help="measure the model that is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
