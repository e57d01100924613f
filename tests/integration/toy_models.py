# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes models of toy size whose answers can be checked: `python toy_models.py DIRECTORY`, with the tested release's Python.

Each is of two layers or fewer, and is trained for seconds on the few examples that the tests ask about, or has random weights where
only the form of the answer is checked (a picture's size, a sound's length). They are files as a hub has them, so a server loads them
as any other model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy
import torch

#: The text of each sound; a test asks for the text of both.
SOUNDS = {"low": (220.0, "hello"), "high": (1760.0, "bye")}
RATE = 16000
#: The colours of pictures that the model which sees can name.
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}
ASKED = {"type": "text", "text": "Which colour is this ?"}
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
    begin = [start, ids["<|en|>"], ids["<|transcribe|>"], ids["<|notimestamps|>"]]
    texts = [[*begin, *tokenizer.encode(text, add_special_tokens=False), end] for tone, text in SOUNDS.values()]
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
        # Xinference always names the task, which transformers refuses for a model of English only.
        is_multilingual=True,
        lang_to_id={"<|en|>": ids["<|en|>"]},
        task_to_id={task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
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


def speaker(path: Path) -> None:
    """A Kokoro with random weights: it hums a note for each sound of the text. Some of its widths are written into its code."""
    from kokoro import KModel

    signs = "abcdefghijklmnopqrstuvwxyz .,!?ˈˌɾɣβðθʎɲŋʝʧ"
    config = {
        "vocab": {sign: number + 1 for number, sign in enumerate(signs)},
        "n_token": len(signs) + 1,
        "hidden_dim": 512,
        "style_dim": 128,
        "n_layer": 1,
        "max_dur": 2,
        "dropout": 0.1,
        "n_mels": 80,
        "text_encoder_kernel_size": 3,
        "plbert": {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "intermediate_size": 64,
            "max_position_embeddings": 512,
        },
        "istftnet": {
            "resblock_kernel_sizes": [3],
            "resblock_dilation_sizes": [[1, 3, 5]],
            "upsample_rates": [10, 6],
            "upsample_kernel_sizes": [20, 12],
            "upsample_initial_channel": 512,
            "gen_istft_n_fft": 20,
            "gen_istft_hop_size": 5,
        },
    }
    (path / "voices").mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    weights = path / "kokoro-v1_0.pth"
    torch.save({}, weights)
    model = KModel(repo_id="toy/speaker", config=config, model=str(weights))
    # Half the precision is half the file: 60 million weights.
    parts = {
        name: {key: value.half() for key, value in part.state_dict().items()} for name, part in model.named_children()
    }
    torch.save(parts, weights)
    torch.save(torch.randn(510, 1, 256), path / "voices" / "af_alloy.pt")


def seer(path: Path) -> None:
    """A Gemma 3 that says whether a picture is red or blue."""
    from PIL import Image
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3Processor,
        GenerationConfig,
        PreTrainedTokenizerFast,
    )
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    special = ["<pad>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    special += ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    words = [*special, "user", "model", *COLOURS]
    number = {word: n for n, word in enumerate(words)}
    words_only = Tokenizer(models.WordLevel(number, unk_token="<unk>"))
    words_only.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words_only,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end_of_turn>",
        unk_token="<unk>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
        additional_special_tokens=special[3:],
        model_max_length=512,
    )
    template = (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }} "
        "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
        "{{ '<start_of_image>' if part.type == 'image' else part.text }} {% endfor %}{% endif %}<end_of_turn>{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model {% endif %}"
    )
    images = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    processor = Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    tokens = dict(pad_token_id=number["<pad>"], bos_token_id=number["<bos>"], eos_token_id=number["<end_of_turn>"])
    text = dict(vocab_size=len(words), num_key_value_heads=1, head_dim=16, max_position_embeddings=512)
    model = Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config={**sizes, **text, **tokens},
            vision_config={**sizes, "image_size": 28, "patch_size": 14},
            mm_tokens_per_image=4,
            boi_token_index=number["<start_of_image>"],
            eoi_token_index=number["<end_of_image>"],
            image_token_index=number["<image_soft_token>"],
            **tokens,
        )
    )
    asked = [
        [{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (28, 28), colour)}, ASKED]}]
        for colour in COLOURS.values()
    ]
    batch = processor.apply_chat_template(
        asked, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    answers = torch.tensor([[number[name], number["<end_of_turn>"]] for name in COLOURS])
    ids = torch.cat([batch["input_ids"], answers], dim=1)
    seen = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.cat([batch["token_type_ids"], torch.zeros_like(answers)], dim=1),
        "labels": torch.cat([torch.full_like(batch["input_ids"], -100), answers], dim=1),
        "pixel_values": batch["pixel_values"],
    }
    fit(model, seen, lambda output: output.loss < 0.02)
    # Of a question without a picture it knows nothing, and would now and then answer with nothing but special tokens.
    model.generation_config = GenerationConfig(**tokens, begin_suppress_tokens=[number[word] for word in special])
    model.to(torch.bfloat16).save_pretrained(path)
    processor.save_pretrained(path)


def filmer(path: Path) -> None:
    """A Wan with random weights: what it films is noise of the right size."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    words_only = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    words_only.pre_tokenizer = pre_tokenizers.Whitespace()
    names = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    text = UMT5EncoderModel(
        UMT5Config(vocab_size=3, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    )
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=32,
        freq_dim=32,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )
    pipeline = WanPipeline(
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words_only, **names),
        text_encoder=text,
        vae=vae,
        transformer=transformer,
        scheduler=UniPCMultistepScheduler(flow_shift=3.0, prediction_type="flow_prediction", use_flow_sigmas=True),
    )
    pipeline.save_pretrained(path)


def main() -> None:
    target = Path(sys.argv[1])
    # More threads than idle cores wait for each other.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = {}
    for make in (reranker, whisper, painter, speaker, seer, filmer):
        make(target / make.__name__)
        made[make.__name__] = str(target / make.__name__)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
