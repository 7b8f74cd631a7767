"""A tiny llama-nemotron-rerank-vl: config, model and processor stand in its own Python files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from ._save import make_model, round_up, write_json
from .sentencepiece import make_llama_tokenizer

__all__ = ["build_nemotron_vl"]

# What the vendor's three files do, in our own words: a picture is cut into tiles, their states go
# through a projector into a Llama without the causal mask; the mean of all states, one row.
_CONFIGURATION = """
from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig


class LlamaNemotronVLForSequenceClassificationConfig(PretrainedConfig):
    model_type = "llama_nemotron_vl_rerank"
    sub_configs = {"vision_config": SiglipVisionConfig, "llm_config": LlamaConfig}

    def __init__(self, vision_config=None, llm_config=None, temperature=1.0, **kwargs):
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.llm_config = LlamaConfig(**(llm_config or {}))
        super().__init__(**kwargs)
        self.temperature = temperature
"""
_MODELING = """
import torch
from torch import nn
from transformers import LlamaModel, PreTrainedModel, SiglipVisionModel
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from .configuration_llama_nemotron_vl import LlamaNemotronVLForSequenceClassificationConfig


class LlamaNemotronVLModel(PreTrainedModel):
    config_class = LlamaNemotronVLForSequenceClassificationConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        width, size = config.vision_config.hidden_size, config.llm_config.hidden_size
        self.vision_model = SiglipVisionModel(config.vision_config)
        self.language_model = LlamaModel(config.llm_config)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(4 * width), nn.Linear(4 * width, size), nn.GELU(), nn.Linear(size, size)
        )
        self.post_init()

    def forward(self, pixel_values, input_ids, attention_mask):
        embeds = self.language_model.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            is_picture = input_ids == self.config.img_context_token_id
            embeds = embeds.masked_scatter(is_picture[..., None], self.states_of(pixel_values))
        seen = attention_mask[:, None, None, :].expand(-1, 1, input_ids.shape[1], -1)
        mask = torch.zeros(seen.shape, dtype=embeds.dtype).masked_fill(seen == 0, -1e30)
        return self.language_model(inputs_embeds=embeds, attention_mask=mask, use_cache=False)

    def states_of(self, pixel_values):
        patches = self.vision_model(pixel_values=pixel_values).last_hidden_state
        tiles, num_patches, width = patches.shape
        half = int(num_patches**0.5) // 2
        squares = patches.view(tiles, half, 2, half, 2, width).transpose(2, 3)
        return self.mlp1(squares.reshape(tiles * half * half, 4 * width))


class LlamaNemotronVLForSequenceClassification(PreTrainedModel):
    config_class = LlamaNemotronVLForSequenceClassificationConfig
    base_model_prefix = "model"

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaNemotronVLModel(config)
        self.score = nn.Linear(config.llm_config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(
        self,
        pixel_values=None,
        input_ids=None,
        attention_mask=None,
        use_cache=None,
        return_dict=None,
    ):
        states = self.model(pixel_values, input_ids, attention_mask).last_hidden_state
        kept = attention_mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(dim=1) / kept.sum(dim=1)
        return SequenceClassifierOutputWithPast(logits=self.score(mean) / self.config.temperature)
"""
_PROCESSING = """
import numpy as np
import torch
from PIL import Image
from transformers import ProcessorMixin


class LlamaNemotronVLRerankProcessor(ProcessorMixin):
    attributes = ["tokenizer"]
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self,
        tokenizer,
        padding=True,
        rerank_max_length=None,
        max_input_tiles=2,
        num_image_token=None,
        prompt_template=None,
        force_image_size=512,
        use_thumbnail=True,
        chat_template=None,
        **kwargs,
    ):
        tokenizer.padding_side = "left"
        self.padding = padding
        self.rerank_max_length = rerank_max_length
        self.max_input_tiles = max_input_tiles
        self.num_image_token = num_image_token
        self.prompt_template = prompt_template
        self.force_image_size = force_image_size
        self.use_thumbnail = use_thumbnail
        super().__init__(tokenizer, chat_template=chat_template)

    def apply_chat_template(self, messages, tokenize=True, chat_template=None, **kwargs):
        # For sentence-transformers, whose pairs come as messages of two roles.
        if not tokenize:
            template = chat_template or self.chat_template
            kwargs.pop("return_dict", None)
            return self.tokenizer.apply_chat_template(
                messages, chat_template=template, tokenize=False
            )
        conversations = messages if isinstance(messages[0], list) else [messages]
        return self.process_queries_documents_crossencoder(
            [self.feature(conversation) for conversation in conversations]
        )

    def feature(self, conversation):
        parts = {
            (message["role"], part["type"]): part[part["type"]]
            for message in conversation
            for part in message["content"]
        }
        return {
            "question": parts.get(("query", "text"), ""),
            "doc_text": parts.get(("document", "text"), ""),
            "doc_image": parts.get(("document", "image")),
        }

    def __call__(self, text=None, images=None, **kwargs):
        raise RuntimeError("whole pairs only")

    def process_queries_documents_crossencoder(
        self, features, padding=None, truncation=True, max_length=None
    ):
        prompts, pictures = [], []
        for feature in features:
            prompt = self.prompt(feature["question"], feature["doc_text"])
            if feature["doc_image"] in (None, ""):
                prompts.append(prompt.replace("<image>", "", 1))
                continue
            tiles = self.tiles(feature["doc_image"])
            pictures += [self.pixels(tile) for tile in tiles]
            states = "<IMG_CONTEXT>" * (self.num_image_token * len(tiles))
            prompts.append("<img>" + states + "</img> " + prompt)
        rows = self.tokenizer(
            prompts,
            padding=self.padding if padding is None else padding,
            truncation=truncation,
            max_length=self.rerank_max_length if max_length is None else max_length,
            return_tensors="pt",
        )
        return {
            "input_ids": rows["input_ids"],
            "attention_mask": rows["attention_mask"],
            "pixel_values": torch.stack(pictures).to(torch.bfloat16) if pictures else None,
        }

    def prompt(self, question, text):
        if self.prompt_template == "v1":
            return f"question:{question} \\n \\n passage:{text}"
        return f"{question} \\n {text}"

    def tiles(self, image):
        side = self.force_image_size
        most = range(1, self.max_input_tiles + 1)
        grids = [(c, r) for c in most for r in most if c * r <= self.max_input_tiles]
        grids.sort(key=lambda grid: grid[0] * grid[1])
        columns, rows = max(grids, key=lambda grid: self.fit(image, *grid))
        large = image.resize((columns * side, rows * side))
        corners = [(c * side, r * side) for r in range(rows) for c in range(columns)]
        tiles = [large.crop((x, y, x + side, y + side)) for x, y in corners]
        return tiles + [image.resize((side, side))] * (self.use_thumbnail and len(tiles) > 1)

    def fit(self, image, columns, rows):
        shape = columns * image.height / (rows * image.width)
        area = columns * rows * self.force_image_size**2 / (image.width * image.height)
        return min(area, 0.6) * min(shape, 1 / shape)

    def pixels(self, tile):
        tile = tile.convert("RGB").resize((self.force_image_size,) * 2, Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(tile) / np.float32(127.5) - 1).permute(2, 0, 1)
"""
_FILES = {
    "configuration_llama_nemotron_vl": _CONFIGURATION,
    "modeling_llama_nemotron_vl": _MODELING,
    "processing_llama_nemotron_vl": _PROCESSING,
}
_NAME = "LlamaNemotronVLForSequenceClassification"
_WORDS = ("<img>", "</img>", "<IMG_CONTEXT>")
_TILE_PX = 32  # of the published model: 512, and 256 tokens a tile


def build_nemotron_vl(folder: Path, *, seed: int = 0, temperature: float = 1.0) -> Path:
    """llama-nemotron-rerank-vl: towers of text and pictures, the mean of all states, one label.

    temperature: what the logits are divided by; 1.0 in the published ones.
    """
    tokenizer = make_llama_tokenizer(model_max_length=10240)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_WORDS)})
    text = LlamaConfig(
        vocab_size=round_up(len(tokenizer)),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=10240,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=_TILE_PX,
        patch_size=8,
    )
    towers: dict[str, Any] = {
        "language_model": make_model(lambda: LlamaModel(text), seed=seed, matrix_gain=8.0),
        "vision_model": make_model(lambda: SiglipVisionModel(vision), seed=seed, matrix_gain=8.0),
        "mlp1": _projector(vision, text, seed=seed),
    }
    weights = {
        f"model.{tower}.{name}": tensor
        for tower, model in towers.items()
        for name, tensor in model.state_dict().items()
    }
    draw = torch.Generator().manual_seed(seed)
    weights["score.weight"] = torch.randn(1, text.hidden_size, generator=draw)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    processor = "processing_llama_nemotron_vl.LlamaNemotronVLRerankProcessor"
    write_json(
        folder / "processor_config.json",
        {
            "auto_map": {"AutoProcessor": processor},
            "processor_class": "LlamaNemotronVLRerankProcessor",
            "max_input_tiles": 2,
            "num_image_token": (_TILE_PX // 8 // 2) ** 2,
            "force_image_size": _TILE_PX,
            "prompt_template": "v1",
        },
    )
    write_json(
        folder / "config.json",
        {
            "architectures": [_NAME],
            "auto_map": {
                "AutoConfig": f"configuration_llama_nemotron_vl.{_NAME}Config",
                "AutoModelForSequenceClassification": f"modeling_llama_nemotron_vl.{_NAME}",
                "AutoProcessor": processor,
            },
            "model_type": "llama_nemotron_vl_rerank",
            "llm_config": text.to_dict(),
            "vision_config": vision.to_dict(),
            "num_labels": 1,
            "img_context_token_id": tokenizer.convert_tokens_to_ids(_WORDS[2]),
            "prompt_template": "v1",
            "max_input_tiles": 2,
            "use_thumbnail": True,
            "dynamic_image_size": True,
            "pooling": "avg",
            "temperature": temperature,
        },
    )
    for file, code in _FILES.items():
        (folder / f"{file}.py").write_text(code, encoding="utf-8")
    return folder


def _projector(vision: SiglipVisionConfig, text: LlamaConfig, *, seed: int) -> nn.Sequential:
    """Four patches of a square to one state of the language model."""
    width, size = 4 * vision.hidden_size, text.hidden_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, size), nn.GELU(), nn.Linear(size, size)
        )
