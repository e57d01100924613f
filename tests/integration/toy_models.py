# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes models of toy size whose answers can be checked: `python toy_models.py DIRECTORY`, with the tested release's Python.

Each is of two layers or fewer, and is trained for seconds on the few examples that the tests ask about, or has random weights where
only the form of the answer is checked (a picture's size). They are files as a hub has them, so a server loads them as any other model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy
import torch

#: What each sound says; a test asks for the text of both.
SOUNDS = {"low": (220.0, "hello"), "high": (1760.0, "bye")}
RATE = 16000
#: The questions and documents that the cross-encoder knows, the first of each is relevant. The middle ones are the proof's.
RANKED = [
    (
        "What is the capital of France?",
        ["The capital of France is Paris.", "Bread is baked from flour and water.", "The sea is salty."],
    ),
    (
        "Where does bread come from?",
        ["Bread is baked from flour and water.", "The capital of France is Paris.", "The sea is salty."],
    ),
    (
        "How does the sea taste?",
        ["The sea is salty.", "The capital of France is Paris.", "Bread is baked from flour and water."],
    ),
]


def fit(model, batch, good, steps: int = 400) -> None:
    """Trains until `good(output)`."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    output = model(**batch)
    while not good(output):
        if steps == 0:
            sys.exit(f"{type(model).__name__} did not learn its examples")
        steps -= 1
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        output = model(**batch)
    model.eval()


def reranker(path: Path) -> None:
    """A cross-encoder that puts the relevant document first."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    pairs = [(query, text, float(not place)) for query, texts in RANKED for place, text in enumerate(texts)]
    words = sorted(
        {
            word
            for pair in pairs
            for text in pair[:2]
            for word in text.lower().replace("?", " ?").replace(".", " .").split()
        }
    )
    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    tokenizer = BertTokenizerFast(vocab=str(path / "vocab.txt"), model_max_length=64)
    sizes = dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64
    )
    model = BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), num_labels=1, hidden_dropout_prob=0.0, **sizes)
    )
    batch = tokenizer([pair[0] for pair in pairs], [pair[1] for pair in pairs], padding=True, return_tensors="pt")
    labels = torch.tensor([[8.0 * pair[2] - 4.0] for pair in pairs])
    fit(model, {**batch, "labels": labels}, lambda output: output.loss < 0.05)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def sound(frequency: float, seconds: float = 1.0) -> numpy.ndarray:
    return numpy.sin(2 * numpy.pi * frequency * numpy.arange(int(RATE * seconds)) / RATE).astype("float32") * 0.5


def write_wav(path: Path, samples: numpy.ndarray) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def whisper(path: Path) -> None:
    """A speech recogniser that hears 'hello' in a low tone and 'bye' in a high one."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>", "<|startofprev|>"]
    special += ["<|startoflm|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>"]
    path.mkdir(parents=True)
    vocabulary = {sign: number for number, sign in enumerate([*bytes_to_unicode().values(), *special])}
    tokenizer = WhisperTokenizer(
        vocab=vocabulary, merges=[], unk_token="<|endoftext|>", bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special, "pad_token": "<|endoftext|>"})
    ids = {sign: tokenizer.convert_tokens_to_ids(sign) for sign in special}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_target_positions=64,
        max_source_positions=100,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    features = WhisperFeatureExtractor(feature_size=80, chunk_length=2)  # seconds: a fifteenth of the work
    heard = features(
        [sound(tone) for tone, text in SOUNDS.values()], sampling_rate=RATE, return_tensors="pt"
    ).input_features
    texts = [
        [start, ids["<|notimestamps|>"], *tokenizer.encode(text, add_special_tokens=False), end]
        for tone, text in SOUNDS.values()
    ]
    longest = max(map(len, texts))
    given = torch.tensor([text[:-1] + [end] * (longest - len(text)) for text in texts])
    wanted = torch.tensor([text[1:] + [-100] * (longest - len(text)) for text in texts])
    fit(
        model,
        {"input_features": heard, "decoder_input_ids": given, "labels": wanted},
        lambda output: output.loss < 0.02,
    )
    model.generation_config = GenerationConfig(
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        is_multilingual=False,
        max_length=32,
        no_timestamps_token_id=ids["<|notimestamps|>"],
        forced_decoder_ids=None,
    )
    model.save_pretrained(path)
    WhisperProcessor(features, tokenizer).save_pretrained(path)
    for name, spoken in SOUNDS.items():
        write_wav(path / f"{name}.wav", sound(spoken[0]))


def painter(path: Path) -> None:
    """A diffusion pipeline with random weights: what it paints is noise of the right size."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    torch.manual_seed(0)
    signs = list(bytes_to_unicode().values())
    vocabulary = {
        sign: n for n, sign in enumerate([*signs, *(s + "</w>" for s in signs), "<|startoftext|>", "<|endoftext|>"])
    }
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=1,
            num_attention_heads=2,
            bos_token_id=vocabulary["<|startoftext|>"],
            eos_token_id=vocabulary["<|endoftext|>"],
            pad_token_id=vocabulary["<|endoftext|>"],
        )
    )
    # An eighth of the picture's size, as of a real one: it is the number of latent pixels that costs time.
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(4, 8),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = AutoencoderKL(
        block_out_channels=[4] * 4,
        norm_num_groups=2,
        latent_channels=4,
        sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(path)


def main() -> None:
    target = Path(sys.argv[1])
    # More threads than idle cores wait for each other.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = {}
    for make in (reranker, whisper, painter):
        make(target / make.__name__)
        made[make.__name__] = str(target / make.__name__)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
